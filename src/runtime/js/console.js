// SPDX-License-Identifier: Apache-2.0
// https://console.spec.whatwg.org/

import { Map, MapDelete, MapGet, MapSet } from "./primordials.js";
import { native } from "./native.js";
import { current } from "./context.js";
import { format } from "./node/inspect.js";
import { callerPosition, readableStack } from "./positions.js";

const DEBUG = 0, INFO = 1, LOG = 2, WARN = 3, ERROR = 4;

let indent = "";
const counts = new Map(), timers = new Map();

function print(level, args) {
  let text;
  try {
    text = format(...args);
  } catch { // a getter or an inspect function of the worker's threw: that is not console's affair
    text = "[a value that cannot be shown]";
  }
  if (indent !== "") text = indent + text.replaceAll("\n", `\n${indent}`);
  const owner = current();
  native.log(owner === undefined ? 0 : owner.id, level, text, callerPosition(print.depth));
}
print.depth = 3; // callerPosition, print, the method of console

function label(value) {
  return value === undefined ? "default" : `${value}`;
}

export const console = {
  log(...args) {
    print(LOG, args);
  },
  info(...args) {
    print(INFO, args);
  },
  debug(...args) {
    print(DEBUG, args);
  },
  warn(...args) {
    print(WARN, args);
  },
  error(...args) {
    print(ERROR, args);
  },
  trace(...args) {
    print(LOG, [`Trace: ${format(...args)}\n${readableStack(new Error())}`]);
  },
  dir(value) {
    print(LOG, [value]);
  },
  dirxml(...args) {
    print(LOG, args);
  },
  table(...args) {
    print(LOG, args);
  },
  assert(condition, ...args) {
    if (condition) return;
    print(ERROR, ["Assertion failed" + (args.length > 0 ? ":" : ""), ...args]);
  },
  group(...args) {
    if (args.length > 0) print(LOG, args);
    indent += "  ";
  },
  groupCollapsed(...args) {
    if (args.length > 0) print(LOG, args);
    indent += "  ";
  },
  groupEnd() {
    indent = indent.slice(2);
  },
  count(name = undefined) {
    const key = label(name), value = (MapGet.call(counts, key) ?? 0) + 1;
    MapSet.call(counts, key, value);
    print(INFO, [`${key}: ${value}`]);
  },
  countReset(name = undefined) {
    MapDelete.call(counts, label(name));
  },
  time(name = undefined) {
    MapSet.call(timers, label(name), native.now());
  },
  timeLog(name = undefined, ...args) {
    const start = MapGet.call(timers, label(name));
    if (start !== undefined) print(LOG, [`${label(name)}: ${(native.now() - start).toFixed(3)}ms`, ...args]);
  },
  timeEnd(name = undefined) {
    const start = MapGet.call(timers, label(name));
    if (start !== undefined) print(LOG, [`${label(name)}: ${(native.now() - start).toFixed(3)}ms`]);
    MapDelete.call(timers, label(name));
  },
  clear() {},
  timeStamp() {},
  profile() {},
  profileEnd() {},
};
Object.defineProperty(console, Symbol.toStringTag, { value: "console", configurable: true });
