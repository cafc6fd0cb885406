// SPDX-License-Identifier: Apache-2.0
// node:util.

import { deepEqual } from "./deep-equal.js";
import { codeError, invalidArgType, outOfRange, requireFunction } from "./errors.js";
import { format, formatWithOptions, inspect } from "./inspect.js";
import * as typesModule from "./types.js";

const types = typesModule.default;
const customPromisify = Symbol.for("nodejs.util.promisify.custom");

export function promisify(original) {
  requireFunction(original, "original");
  const custom = original[customPromisify];
  if (custom) {
    requireFunction(custom, "util.promisify.custom");
    return Object.defineProperty(custom, customPromisify, { value: custom, configurable: true });
  }
  function promised(...args) {
    return new Promise((resolve, reject) => {
      Reflect.apply(original, this, [...args, (error, value) => (error ? reject(error) : resolve(value))]);
    });
  }
  Object.setPrototypeOf(promised, Object.getPrototypeOf(original));
  Object.defineProperty(promised, customPromisify, { value: promised, configurable: true });
  return Object.defineProperties(promised, Object.getOwnPropertyDescriptors(original));
}
promisify.custom = customPromisify;

export function callbackify(original) {
  requireFunction(original, "original");
  function callbackified(...args) {
    const callback = args.pop();
    requireFunction(callback, "last argument");
    const call = (...values) => queueMicrotask(() => Reflect.apply(callback, this, values));
    Reflect.apply(original, this, args).then(
      (value) => call(null, value),
      (reason) =>
        call(reason || codeError(Error, "ERR_FALSY_VALUE_REJECTION", "Promise was rejected with falsy value", { reason })),
    );
  }
  const descriptors = Object.getOwnPropertyDescriptors(original);
  if (typeof descriptors.length.value === "number") descriptors.length.value++;
  if (typeof descriptors.name.value === "string") descriptors.name.value += "Callbackified";
  Object.setPrototypeOf(callbackified, Object.getPrototypeOf(original));
  return Object.defineProperties(callbackified, descriptors);
}

export function inherits(constructor, parent) {
  requireFunction(constructor, "ctor");
  requireFunction(parent, "superCtor");
  if (parent.prototype === undefined) throw invalidArgType("superCtor.prototype", "Object", parent.prototype);
  Object.defineProperty(constructor, "super_", { value: parent, writable: true, configurable: true });
  Object.setPrototypeOf(constructor.prototype, parent.prototype);
}

const warned = new Set();

export function deprecate(original, message, code) {
  let told = false;
  function deprecated(...args) {
    if (!told && !(code && warned.has(code))) {
      told = true;
      if (code) warned.add(code);
      console.warn(`${code ? `[${code}] ` : ""}DeprecationWarning: ${message}`);
    }
    return new.target ? Reflect.construct(original, args, new.target) : Reflect.apply(original, this, args);
  }
  Object.setPrototypeOf(deprecated, original);
  if (original.prototype) deprecated.prototype = original.prototype;
  return deprecated;
}

export function debuglog() {
  return Object.assign(() => {}, { enabled: false });
}
export const debug = debuglog;

export const isDeepStrictEqual = (a, b) => deepEqual(a, b, true);
export const isArray = Array.isArray;
export const toUSVString = (value) => `${value}`.toWellFormed();
export const stripVTControlCharacters = (text) =>
  text.replace(/\u001b\[[\d;?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[\u001b\u009b]./g, "");

export function styleText(style, text, options = undefined) {
  if (typeof text !== "string") throw invalidArgType("text", "string", text);
  let open = "";
  let close = "";
  for (const name of [].concat(style)) {
    const color = inspect.colors[name];
    if (!color) throw codeError(TypeError, "ERR_INVALID_ARG_VALUE", `The argument 'format' must be a known style. Received '${name}'`);
    open += `\u001b[${color[0]}m`;
    close = `\u001b[${color[1]}m${close}`;
  }
  // Nothing here is a terminal.
  return options?.validateStream === false || options?.stream?.isTTY ? `${open}${text}${close}` : text;
}

export function aborted(signal, resource) {
  if (signal === undefined) throw invalidArgType("signal", "AbortSignal", signal);
  return signal.aborted
    ? Promise.resolve()
    : new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

export function getSystemErrorName(number) {
  if (!Number.isInteger(number) || number >= 0) throw outOfRange("err", "a negative integer", number);
  return `Unknown system error ${number}`;
}
export const getSystemErrorMap = () => new Map();

export function parseEnv(text) {
  const result = {};
  const line = /^[ \t]*(?:export[ \t]+)?([\w.-]+)[ \t]*=[ \t]*("(?:\\.|[^"])*"|'[^']*'|`[^`]*`|[^\n#]*)/gm;
  for (const [, name, raw] of text.matchAll(line)) {
    const value = raw.trim();
    const quoted = /^(["'`])([^]*)\1$/.exec(value);
    result[name] = !quoted ? value : quoted[1] === '"' ? quoted[2].replaceAll("\\n", "\n") : quoted[2];
  }
  return result;
}

export class MIMEParams {
  #entries;
  constructor(entries = []) {
    this.#entries = new Map(entries);
  }
  get(name) {
    return this.#entries.get(name.toLowerCase()) ?? null;
  }
  has(name) {
    return this.#entries.has(name.toLowerCase());
  }
  set(name, value) {
    this.#entries.set(name.toLowerCase(), `${value}`);
  }
  delete(name) {
    this.#entries.delete(name.toLowerCase());
  }
  entries() {
    return this.#entries.entries();
  }
  keys() {
    return this.#entries.keys();
  }
  values() {
    return this.#entries.values();
  }
  [Symbol.iterator]() {
    return this.entries();
  }
  toString() {
    return [...this.#entries]
      .map(([name, value]) => `${name}=${/^[\w!#$%&'*+.^`|~-]+$/.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`}`)
      .join(";");
  }
}

export class MIMEType {
  #params;
  constructor(input) {
    const [, type, subtype, rest] =
      /^\s*([\w!#$%&'*+.^`|~-]+)\/([\w!#$%&'*+.^`|~-]+)\s*(?:;([^]*))?$/.exec(`${input}`) ?? [];
    if (type === undefined) {
      throw codeError(TypeError, "ERR_INVALID_MIME_SYNTAX", `The MIME syntax for a type in "${input}" is invalid`);
    }
    this.type = type.toLowerCase();
    this.subtype = subtype.toLowerCase();
    const entries = [];
    for (const [, name, quoted, plain] of (rest ?? "").matchAll(/\s*([^=;\s]+)=(?:"((?:\\.|[^"\\])*)"|([^;]*))/g)) {
      entries.push([name.toLowerCase(), quoted === undefined ? plain.trim() : quoted.replace(/\\(.)/g, "$1")]);
    }
    this.#params = new MIMEParams(entries);
  }
  get essence() {
    return `${this.type}/${this.subtype}`;
  }
  get params() {
    return this.#params;
  }
  toString() {
    const params = this.#params.toString();
    return params ? `${this.essence};${params}` : this.essence;
  }
}

// Deprecated, and still imported.
export const isBoolean = (value) => typeof value === "boolean";
export const isBuffer = (value) => require("./buffer.js").Buffer.isBuffer(value);
export const isDate = types.isDate;
export const isError = (value) => types.isNativeError(value) || value instanceof Error;
export const isFunction = (value) => typeof value === "function";
export const isNull = (value) => value === null;
export const isNullOrUndefined = (value) => value === null || value === undefined;
export const isNumber = (value) => typeof value === "number";
export const isObject = (value) => value !== null && typeof value === "object";
export const isPrimitive = (value) => value === null || (typeof value !== "object" && typeof value !== "function");
export const isRegExp = types.isRegExp;
export const isString = (value) => typeof value === "string";
export const isSymbol = (value) => typeof value === "symbol";
export const isUndefined = (value) => value === undefined;
export const log = (...args) => console.log(...args);

export const { TextDecoder, TextEncoder } = globalThis;
export const transferableAbortController = () => new AbortController();
export const transferableAbortSignal = (signal) => signal;
export const _extend = (target, source) => Object.assign(target, source);

export { format, formatWithOptions, inspect, types };
export default {
  MIMEParams,
  MIMEType,
  TextDecoder,
  TextEncoder,
  _extend,
  aborted,
  callbackify,
  debug,
  debuglog,
  deprecate,
  format,
  formatWithOptions,
  getSystemErrorMap,
  getSystemErrorName,
  inherits,
  inspect,
  isArray,
  isBoolean,
  isBuffer,
  isDate,
  isDeepStrictEqual,
  isError,
  isFunction,
  isNull,
  isNullOrUndefined,
  isNumber,
  isObject,
  isPrimitive,
  isRegExp,
  isString,
  isSymbol,
  isUndefined,
  log,
  parseEnv,
  promisify,
  stripVTControlCharacters,
  styleText,
  toUSVString,
  transferableAbortController,
  transferableAbortSignal,
  types,
};
