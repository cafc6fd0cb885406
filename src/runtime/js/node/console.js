// SPDX-License-Identifier: Apache-2.0
// node:console: the global one; a Console over streams writes formatted lines to them.

import { invalidArgType } from "./errors.js";
import { format, inspect } from "./inspect.js";

const { console } = globalThis;

export class Console {
  #out;
  #err;
  constructor(options, stderr) {
    const streams = typeof options?.write === "function" ? { stdout: options, stderr } : options;
    if (typeof streams?.stdout?.write !== "function") throw invalidArgType("stdout", "Stream", streams?.stdout);
    this.#out = streams.stdout;
    this.#err = streams.stderr ?? streams.stdout;
    for (const name of ["log", "info", "debug"]) this[name] = (...args) => this.#write(this.#out, args);
    for (const name of ["error", "warn", "trace"]) this[name] = (...args) => this.#write(this.#err, args);
  }
  #write(stream, args) {
    stream.write(`${format(...args)}\n`);
  }
  dir(value, options) {
    this.#out.write(`${inspect(value, options)}\n`);
  }
  assert(condition, ...args) {
    if (!condition) this.error(...(args.length > 0 ? ["Assertion failed:", ...args] : ["Assertion failed"]));
  }
}

export const {
  assert,
  clear,
  count,
  countReset,
  debug,
  dir,
  dirxml,
  error,
  group,
  groupCollapsed,
  groupEnd,
  info,
  log,
  table,
  time,
  timeEnd,
  timeLog,
  trace,
  warn,
} = console;
if (!Object.hasOwn(console, "Console")) {
  Object.defineProperty(console, "Console", { value: Console, writable: true, configurable: true });
}
export default console;
