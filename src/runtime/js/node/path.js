// SPDX-License-Identifier: Apache-2.0
// node:path. Workers have POSIX paths; `win32` is there for programs that look at both.

import posix from "path-browserify";

import { requireString } from "./errors.js";
import win32 from "./path-win32.js";

for (const name of ["basename", "dirname", "extname", "isAbsolute", "join", "normalize", "parse", "relative", "resolve"]) {
  const method = posix[name];
  const count = name === "join" || name === "resolve" ? Infinity : name === "relative" ? 2 : 1;
  posix[name] = function (...args) {
    for (let i = 0; i < Math.min(count, Math.max(args.length, 1)); i++) {
      if (count !== Infinity || i < args.length) requireString(args[i], count === 2 ? ["from", "to"][i] : "path");
    }
    return method.apply(posix, args);
  };
  Object.defineProperty(posix[name], "name", { value: name, configurable: true });
}

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
