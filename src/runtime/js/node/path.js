// SPDX-License-Identifier: Apache-2.0
// node:path. Workers have POSIX paths; `win32` is there for programs that look at both.

import posix from "path-browserify";

import win32 from "./path-win32.js";

Object.assign(posix, { posix, win32 });
posix.toNamespacedPath ??= (path) => path;
Object.assign(win32, { posix, win32 });

export const {
  basename,
  delimiter,
  dirname,
  extname,
  format,
  isAbsolute,
  join,
  normalize,
  parse,
  relative,
  resolve,
  sep,
  toNamespacedPath,
} = posix;
export { posix, win32 };
export default posix;
