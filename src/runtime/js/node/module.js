// SPDX-License-Identifier: Apache-2.0
// node:module: createRequire for the bundle's modules and the built-in ones.

import { environment } from "./environment.js";
import { codeError, invalidArgValue, notImplemented } from "./errors.js";
import { nodeModuleNames } from "./names.js";

export const builtinModules = nodeModuleNames.map((name) => name.slice("node:".length));
export const isBuiltin = (name) => nodeModuleNames.includes(name.startsWith("node:") ? name : `node:${name}`);

export function createRequire(filename) {
  const path = `${filename}`;
  if (!path.startsWith("file:///") && !path.startsWith("/")) {
    throw invalidArgValue("filename", path, "must be a file URL object, file URL string, or absolute path string");
  }
  const referrer = path.replace(/^file:\/\//, "").replace(/^\/+(?:bundle\/)?/, "");
  return function require(specifier) {
    try {
      return environment.require(`${specifier}`, referrer);
    } catch (error) {
      if (!/^No such module/.test(error?.message)) throw error;
      throw codeError(Error, "MODULE_NOT_FOUND", `Cannot find module '${specifier}'`);
    }
  };
}

export function register() {
  throw notImplemented("module.register");
}
export const syncBuiltinESMExports = () => {};
export const findSourceMap = () => undefined;

export class Module {
  static builtinModules = builtinModules;
  static createRequire = createRequire;
  static isBuiltin = isBuiltin;
  static register = register;
  static syncBuiltinESMExports = syncBuiltinESMExports;
  static findSourceMap = findSourceMap;
  static Module = Module;
}
export default Module;
