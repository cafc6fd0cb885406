// SPDX-License-Identifier: Apache-2.0
// node:fs: there are no files.

import { notImplemented } from "./not-implemented.js";

const INSTEAD = "there are no files; import them as modules, or serve them as assets";

export const access = notImplemented("fs.access", INSTEAD);
export const accessSync = notImplemented("fs.accessSync", INSTEAD);
export const createReadStream = notImplemented("fs.createReadStream", INSTEAD);
export const createWriteStream = notImplemented("fs.createWriteStream", INSTEAD);
export const lstat = notImplemented("fs.lstat", INSTEAD);
export const lstatSync = notImplemented("fs.lstatSync", INSTEAD);
export const mkdir = notImplemented("fs.mkdir", INSTEAD);
export const mkdirSync = notImplemented("fs.mkdirSync", INSTEAD);
export const open = notImplemented("fs.open", INSTEAD);
export const openSync = notImplemented("fs.openSync", INSTEAD);
export const readFile = notImplemented("fs.readFile", INSTEAD);
export const readFileSync = notImplemented("fs.readFileSync", INSTEAD);
export const readdir = notImplemented("fs.readdir", INSTEAD);
export const readdirSync = notImplemented("fs.readdirSync", INSTEAD);
export const realpath = notImplemented("fs.realpath", INSTEAD);
export const realpathSync = notImplemented("fs.realpathSync", INSTEAD);
export const rename = notImplemented("fs.rename", INSTEAD);
export const renameSync = notImplemented("fs.renameSync", INSTEAD);
export const rm = notImplemented("fs.rm", INSTEAD);
export const rmSync = notImplemented("fs.rmSync", INSTEAD);
export const stat = notImplemented("fs.stat", INSTEAD);
export const statSync = notImplemented("fs.statSync", INSTEAD);
export const unlink = notImplemented("fs.unlink", INSTEAD);
export const unlinkSync = notImplemented("fs.unlinkSync", INSTEAD);
export const watch = notImplemented("fs.watch", INSTEAD);
export const writeFile = notImplemented("fs.writeFile", INSTEAD);
export const writeFileSync = notImplemented("fs.writeFileSync", INSTEAD);
export const existsSync = () => false;
export const constants = { F_OK: 0, R_OK: 4, W_OK: 2, X_OK: 1 };
export const promises = {
  access: notImplemented("fs.promises.access", INSTEAD),
  lstat: notImplemented("fs.promises.lstat", INSTEAD),
  mkdir: notImplemented("fs.promises.mkdir", INSTEAD),
  open: notImplemented("fs.promises.open", INSTEAD),
  readFile: notImplemented("fs.promises.readFile", INSTEAD),
  readdir: notImplemented("fs.promises.readdir", INSTEAD),
  realpath: notImplemented("fs.promises.realpath", INSTEAD),
  rename: notImplemented("fs.promises.rename", INSTEAD),
  rm: notImplemented("fs.promises.rm", INSTEAD),
  stat: notImplemented("fs.promises.stat", INSTEAD),
  unlink: notImplemented("fs.promises.unlink", INSTEAD),
  writeFile: notImplemented("fs.promises.writeFile", INSTEAD),
};

export default { access, accessSync, constants, createReadStream, createWriteStream, existsSync, lstat, lstatSync, mkdir, mkdirSync, open, openSync, promises, readFile, readFileSync, readdir, readdirSync, realpath, realpathSync, rename, renameSync, rm, rmSync, stat, statSync, unlink, unlinkSync, watch, writeFile, writeFileSync };
