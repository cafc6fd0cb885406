// SPDX-License-Identifier: Apache-2.0
// Deep equality as node:assert and util.isDeepStrictEqual define it.

import * as types from "./types.js";

const tag = (value) => Object.prototype.toString.call(value);

export function deepEqual(a, b, strict) {
  return equal(a, b, strict, []);
}

function equal(a, b, strict, pairs) {
  if (strict ? Object.is(a, b) : a === b || (a !== a && b !== b)) return true;
  const plain = (value) => value === null || typeof value !== "object";
  if (plain(a) || plain(b)) {
    // Loose equality is what is asked for.
    return !strict && plain(a) && plain(b) && typeof a !== "function" && a == b;
  }
  if (strict && Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (tag(a) !== tag(b)) return false;
  if (pairs.some(([left, right]) => left === a && right === b)) return true;
  if (!sameKind(a, b, strict)) return false;
  pairs.push([a, b]);
  const result = sameContents(a, b, strict, pairs);
  pairs.pop();
  return result;
}

function sameKind(a, b, strict) {
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a)) return a.length === b.length;
  if (types.isDate(a)) return types.isDate(b) && Object.is(a.getTime(), b.getTime());
  if (types.isRegExp(a)) return types.isRegExp(b) && `${a}` === `${b}` && a.lastIndex === b.lastIndex;
  if (types.isNativeError(a)) return types.isNativeError(b) && a.message === b.message && a.name === b.name;
  if (types.isBoxedPrimitive(a)) {
    return types.isBoxedPrimitive(b) && typeof a.valueOf() === typeof b.valueOf() && Object.is(a.valueOf(), b.valueOf());
  }
  if (types.isArrayBuffer(a)) return types.isArrayBuffer(b) && sameBytes(new Uint8Array(a), new Uint8Array(b));
  if (types.isDataView(a)) return types.isDataView(b) && sameBytes(bytesOf(a), bytesOf(b));
  if (types.isTypedArray(a)) {
    if (!types.isTypedArray(b) || a.length !== b.length) return false;
    // Numbers that are equal may have other bytes: 0 and -0.
    return a.every((value, i) => (strict ? Object.is(value, b[i]) : value === b[i] || (value !== value && b[i] !== b[i])));
  }
  if (types.isSet(a)) return types.isSet(b) && a.size === b.size;
  if (types.isMap(a)) return types.isMap(b) && a.size === b.size;
  if (types.isWeakMap(a) || types.isWeakSet(a) || types.isPromise(a)) return false;
  return true;
}

const bytesOf = ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength);
const sameBytes = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

function ownKeys(value, strict) {
  const skip = types.isTypedArray(value) || types.isStringObject(value);
  const names = skip ? Object.keys(value).filter((key) => !/^\d+$/.test(key)) : Object.keys(value);
  if (!strict) return names;
  const symbols = Object.getOwnPropertySymbols(value);
  return [...names, ...symbols.filter((key) => Object.prototype.propertyIsEnumerable.call(value, key))];
}

function sameContents(a, b, strict, pairs) {
  const keys = ownKeys(a, strict);
  if (keys.length !== ownKeys(b, strict).length) return false;
  for (const key of keys) {
    if (!Object.prototype.propertyIsEnumerable.call(b, key)) return false;
  }
  for (const key of keys) {
    if (!equal(a[key], b[key], strict, pairs)) return false;
  }
  if (types.isNativeError(a)) {
    for (const key of ["cause", "errors"]) {
      if (Object.hasOwn(a, key) !== Object.hasOwn(b, key)) return false;
      if (Object.hasOwn(a, key) && !equal(a[key], b[key], strict, pairs)) return false;
    }
  }
  if (types.isSet(a)) return sameSet(a, b, strict, pairs);
  if (types.isMap(a)) return sameMap(a, b, strict, pairs);
  return true;
}

// What is not found as it is must have an equal among those that nobody took yet.
function sameSet(a, b, strict, pairs) {
  const left = [...a].filter((value) => !b.has(value));
  const right = [...b].filter((value) => !a.has(value));
  return left.every((value) => take(right, (other) => equal(value, other, strict, pairs)));
}

function sameMap(a, b, strict, pairs) {
  const right = new Map(b);
  const left = [];
  for (const [key, value] of a) {
    if (right.has(key) && equal(value, right.get(key), strict, pairs)) right.delete(key);
    else left.push([key, value]);
  }
  const rest = [...right];
  return left.every(([key, value]) =>
    take(rest, ([otherKey, other]) => equal(key, otherKey, strict, pairs) && equal(value, other, strict, pairs)),
  );
}

function take(list, matches) {
  const at = list.findIndex(matches);
  if (at >= 0) list.splice(at, 1);
  return at >= 0;
}
