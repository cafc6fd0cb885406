// SPDX-License-Identifier: Apache-2.0
// https://html.spec.whatwg.org/#structured-cloning

import { ArrayBufferTransfer, Map, Set, TypedArrayName } from "./primordials.js";
import { DOMException } from "./dom-exception.js";
import { Blob, File, isBlob } from "./blob.js";
import { requireArguments, toSequence } from "./webidl.js";

const errorTypes = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

function refuse(value) {
  let shown = "value";
  try {
    shown = typeof value === "symbol" ? value.toString() : typeof value === "function" ? "function" : Object.prototype.toString.call(value);
  } catch {}
  return new DOMException(`${shown} could not be cloned.`, "DataCloneError");
}

export function structuredClone(value, options = undefined) {
  requireArguments(arguments.length, 1, "'structuredClone'");
  const transfer = options?.transfer === undefined ? [] : toSequence(options.transfer, (item) => item, "structuredClone: transfer");
  const seen = new Map();
  for (const item of transfer) {
    if (!(item instanceof ArrayBuffer)) throw new DOMException("Value not transferable", "DataCloneError");
    if (seen.has(item) || item.detached) throw new DOMException("An ArrayBuffer cannot be transferred twice", "DataCloneError");
    seen.set(item, undefined);
  }
  seen.clear();
  const moved = new Set(transfer);
  const result = clone(value, seen, moved);
  for (const item of transfer) if (!item.detached) ArrayBufferTransfer.call(item);
  return result;
}

function clone(value, seen, moved) {
  if (typeof value === "symbol" || typeof value === "function") throw refuse(value);
  if (typeof value !== "object" || value === null) return value;
  if (seen.has(value)) return seen.get(value);
  const keep = (copy) => {
    seen.set(value, copy);
    return copy;
  };
  if (value instanceof Boolean || value instanceof Number || value instanceof String || value instanceof BigInt)
    return keep(Object(value.valueOf()));
  if (value instanceof Date) return keep(new Date(value.getTime()));
  if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
  if (value instanceof ArrayBuffer) {
    if (value.detached) throw new DOMException("An ArrayBuffer is detached and could not be cloned.", "DataCloneError");
    return keep(moved.has(value) ? ArrayBufferTransfer.call(value) : value.slice(0));
  }
  if (ArrayBuffer.isView(value)) {
    const { byteOffset } = value;
    const length = value instanceof DataView ? value.byteLength : value.length;
    const buffer = clone(value.buffer, seen, moved);
    const constructor = value instanceof DataView ? DataView : globalThis[TypedArrayName.call(value)];
    return keep(new constructor(buffer, byteOffset, length));
  }
  if (value instanceof Map) {
    const copy = keep(new Map());
    for (const [key, item] of [...value]) copy.set(clone(key, seen, moved), clone(item, seen, moved));
    return copy;
  }
  if (value instanceof Set) {
    const copy = keep(new Set());
    for (const item of [...value]) copy.add(clone(item, seen, moved));
    return copy;
  }
  if (value instanceof DOMException) return keep(new DOMException(value.message, value.name));
  if (Error.isError?.(value) ?? value instanceof Error) return cloneError(value, seen, moved);
  if (isBlob(value)) return keep(value instanceof File ? new File([value], value.name, { type: value.type, lastModified: value.lastModified }) : new Blob([value], { type: value.type }));
  if (Array.isArray(value)) {
    const copy = keep(new Array(value.length));
    for (const key of Object.keys(value)) copy[key] = clone(value[key], seen, moved);
    return copy;
  }
  if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef) throw refuse(value);
  const tag = Object.getPrototypeOf(value)?.[Symbol.toStringTag];
  if (tag !== undefined && Object.getPrototypeOf(value) !== Object.prototype) throw refuse(value); // a platform object
  const copy = keep({});
  for (const key of Object.keys(value)) copy[key] = clone(value[key], seen, moved);
  return copy;
}

function cloneError(value, seen, moved) {
  const name = Object.hasOwn(errorTypes, value.name) ? value.name : "Error";

  const error = new errorTypes[name](value.message);
  for (const [key, item] of [["stack", value.stack], ["message", Object.getOwnPropertyDescriptor(value, "message")?.value]])
    if (item !== undefined) Object.defineProperty(error, key, { value: `${item}`, writable: true, configurable: true });
  seen.set(value, error);
  if (Object.hasOwn(value, "cause"))
    Object.defineProperty(error, "cause", { value: clone(value.cause, seen, moved), writable: true, configurable: true });

  return error;
}
