// SPDX-License-Identifier: Apache-2.0
// Conversions and property attributes of Web IDL, as far as our interfaces use them.
// https://webidl.spec.whatwg.org/

import {
  ArrayBufferByteLength,
  ArrayBufferDetached,
  ArrayBufferIsView,
  ArrayPush,
  BigInt,
  DataViewBuffer,
  DataViewByteLength,
  DataViewByteOffset,
  Map,
  MapGet,
  MapHas,
  MapSet,
  MathFloor,
  MathTrunc,
  Number,
  NumberIsFinite,
  ObjectDefineProperty,
  ObjectGetOwnPropertyDescriptor,
  ObjectGetPrototypeOf,
  ReflectOwnKeys,
  StringCharCodeAt,
  StringToWellFormed,
  SymbolIterator,
  SymbolToStringTag,
  TypedArrayBuffer,
  TypedArrayByteLength,
  TypedArrayByteOffset,
  TypedArrayName,
  TypeError,
  TypedArraySet,
  Uint8Array,
} from "./primordials.js";

// Interface objects: operations and attributes are enumerable, unlike what `class` makes, and the
// prototype carries the interface's name. Members that are no part of the IDL are left alone by
// passing their names in `hidden`.
// The name is given because the bundler renames classes that mention themselves.
export function defineInterface(constructor, name, { constants, hidden = [] } = {}) {
  const { prototype } = constructor;
  ObjectDefineProperty(constructor, "name", {
    value: name,
    writable: false,
    enumerable: false,
    configurable: true,
  });
  expose(prototype, hidden);
  expose(constructor, hidden);
  ObjectDefineProperty(prototype, SymbolToStringTag, {
    value: name,
    writable: false,
    enumerable: false,
    configurable: true,
  });
  MapSet.call(interfaces, prototype, undefined);
  for (const key in constants) {
    const descriptor = { value: constants[key], writable: false, enumerable: true, configurable: false };
    ObjectDefineProperty(constructor, key, descriptor);
    ObjectDefineProperty(prototype, key, descriptor);
  }
}

const interfaces = new Map(); // prototype → what to show of its objects, found when first asked for

// For people to read: whether an object of the platform is a collection of pairs, and its attributes, those of
// its parents first. undefined: it is none.
export function interfaceOf(value) {
  if (MapHas.call(interfaces, value)) return undefined;
  let prototype = ObjectGetPrototypeOf(value);
  while (prototype !== null && !MapHas.call(interfaces, prototype)) prototype = ObjectGetPrototypeOf(prototype);
  return prototype === null ? undefined : described(prototype);
}

function described(prototype) {
  const known = MapGet.call(interfaces, prototype);
  if (known !== undefined) return known;
  const attributes = [];
  for (let object = prototype; object !== null && MapHas.call(interfaces, object); object = ObjectGetPrototypeOf(object)) {
    const own = ReflectOwnKeys(object).filter((key) => typeof key === "string" && ObjectGetOwnPropertyDescriptor(object, key).get !== undefined);
    attributes.unshift(...own);
  }
  const made = { pairs: "getAll" in prototype || "getSetCookie" in prototype, attributes };
  MapSet.call(interfaces, prototype, made);
  return made;
}

function expose(object, hidden) {
  const keys = ReflectOwnKeys(object);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    if (
      typeof key !== "string" || key === "constructor" || key === "prototype" || key === "name" ||
      key === "length" || hidden.includes(key)
    )
      continue;
    const descriptor = ObjectGetOwnPropertyDescriptor(object, key);
    descriptor.enumerable = true;
    ObjectDefineProperty(object, key, descriptor);
  }
}

export function requireArguments(count, required, what) {
  if (count < required)
    throw new TypeError(
      `Failed to execute ${what}: ${required} argument${required === 1 ? "" : "s"} required, ` +
        `but only ${count} present.`,
    );
}

export function illegalConstructor() {
  return new TypeError("Illegal constructor");
}

export function illegalInvocation() {
  return new TypeError("Illegal invocation");
}

export function isObject(value) {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

export function toDOMString(value) {
  if (typeof value === "string") return value;
  if (typeof value === "symbol") throw new TypeError("Cannot convert a Symbol value to a string");
  return `${value}`;
}

export function toUSVString(value) {
  return StringToWellFormed.call(typeof value === "string" ? value : toDOMString(value));
}

export function toByteString(value, what) {
  const text = toDOMString(value);
  for (let i = 0; i < text.length; i++)
    if (StringCharCodeAt.call(text, i) > 255)
      throw new TypeError(
        `${what}: the character at index ${i} is greater than 255 and cannot be in a ByteString`,
      );
  return text;
}

function toNumber(value, what) {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") throw new TypeError(`${what}: a BigInt cannot be converted to a number`);
  return +value;
}

// [EnforceRange] unsigned long long and friends.
export function toIntegerEnforced(value, min, max, what) {
  const number = toNumber(value, what);
  if (!NumberIsFinite(number)) throw new TypeError(`${what} is not a finite number`);
  const integer = MathTrunc(number);
  if (integer < min || integer > max)
    throw new TypeError(`${what} is outside the range ${min} to ${max}`);
  return integer + 0; // no -0
}

// [Clamp] long long.
export function toLongLongClamped(value, what) {
  const number = toNumber(value, what);
  if (number !== number) return 0;
  const limit = Number.MAX_SAFE_INTEGER;
  if (number <= -limit) return -limit;
  if (number >= limit) return limit;
  const floor = MathFloor(number), rest = number - floor;
  return (rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1) + 0;
}

// unsigned long, modulo 2^32; unsigned short, modulo 2^16; long long.
export function toUnsignedLong(value, what) {
  return toNumber(value, what) >>> 0;
}

export function toUnsignedShort(value, what) {
  return toNumber(value, what) & 0xffff;
}

export function toLongLong(value, what) {
  const number = MathTrunc(toNumber(value, what));
  if (!NumberIsFinite(number)) return 0;
  if (number >= -9007199254740992 && number <= 9007199254740992) return number + 0;
  const wrapped = BigInt.asIntN(64, BigInt(number));
  return Number(wrapped);
}

export function toUnrestrictedDouble(value, what) {
  return toNumber(value, what);
}

// A dictionary argument: undefined and null are the empty one.
export function toDictionary(value, what) {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw new TypeError(`${what} is not an object`);
  return value;
}

export function toCallback(value, what) {
  if (typeof value !== "function") throw new TypeError(`${what} is not a function`);
  return value;
}

export function toSequence(value, convert, what) {
  if (!isObject(value)) throw new TypeError(`${what} is not a sequence`);
  const method = value[SymbolIterator];
  if (method === undefined || method === null) throw new TypeError(`${what} is not iterable`);
  return sequenceFrom(value, method, convert, what);
}

export function sequenceFrom(value, method, convert, what) {
  if (typeof method !== "function") throw new TypeError(`${what} is not iterable`);
  const iterator = method.call(value);
  if (!isObject(iterator)) throw new TypeError(`${what}: the iterator is not an object`);
  const { next } = iterator;
  const items = [];
  for (;;) {
    const result = next.call(iterator);
    if (!isObject(result)) throw new TypeError(`${what}: the iterator's result is not an object`);
    if (result.done) return items;
    ArrayPush.call(items, convert(result.value));
  }
}

export function isArrayBuffer(value) {
  try {
    ArrayBufferByteLength.call(value);
    return true;
  } catch {
    return false;
  }
}

export function isBufferSource(value) {
  return typeof value === "object" && value !== null && (ArrayBufferIsView(value) || isArrayBuffer(value));
}

// The three numbers of a view, whatever kind it is.
export function viewBuffer(view) {
  return TypedArrayName.call(view) === undefined ? DataViewBuffer.call(view) : TypedArrayBuffer.call(view);
}

export function viewByteOffset(view) {
  return TypedArrayName.call(view) === undefined
    ? DataViewByteOffset.call(view)
    : TypedArrayByteOffset.call(view);
}

export function viewByteLength(view) {
  return TypedArrayName.call(view) === undefined
    ? DataViewByteLength.call(view)
    : TypedArrayByteLength.call(view);
}

// A Uint8Array on the bytes of a BufferSource; a detached one has none.
export function bytesOf(value, what) {
  if (typeof value === "object" && value !== null) {
    if (ArrayBufferIsView(value)) {
      if (TypedArrayName.call(value) === "Uint8Array") return value;
      const buffer = viewBuffer(value);
      if (ArrayBufferDetached.call(buffer)) return new Uint8Array(0);
      return new Uint8Array(buffer, viewByteOffset(value), viewByteLength(value));
    }
    if (isArrayBuffer(value)) {
      if (ArrayBufferDetached.call(value)) return new Uint8Array(0);
      return new Uint8Array(value);
    }
  }
  throw new TypeError(`${what} is not an ArrayBuffer or a view on one`);
}

// A copy of the bytes, as "get a copy of the bytes held by the buffer source".
export function copyBytes(value, what) {
  const bytes = bytesOf(value, what);
  const copy = new Uint8Array(TypedArrayByteLength.call(bytes));
  TypedArraySet.call(copy, bytes);
  return copy;
}
