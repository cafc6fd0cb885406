// SPDX-License-Identifier: Apache-2.0
// Built-ins captured before the worker's code can patch them. Convention: the library calls a
// captured method as `method.call(receiver, …)`. The engine compiles `.call` on a built-in away
// (measured: equal to a direct call, where a bound "uncurried" function costs 20 ns more), so only a
// worker that replaces Function.prototype.call reaches the library, and it harms itself alone.
// Loops over arrays use indexes: `for…of`, spread and array destructuring go through
// Array.prototype[Symbol.iterator], which can be patched.

export const {
  Array,
  ArrayBuffer,
  BigInt,
  Boolean,
  DataView,
  Date,
  Error,
  EvalError,
  Float32Array,
  Float64Array,
  Map,
  Math,
  Number,
  Object,
  Promise,
  Proxy,
  RangeError,
  ReferenceError,
  Reflect,
  RegExp,
  Set,
  String,
  Symbol,
  SyntaxError,
  TypeError,
  URIError,
  Uint8Array,
  Uint16Array,
  Uint32Array,
  WeakMap,
  WeakRef,
  WeakSet,
} = globalThis;

export const {
  assign: ObjectAssign,
  create: ObjectCreate,
  defineProperties: ObjectDefineProperties,
  defineProperty: ObjectDefineProperty,
  entries: ObjectEntries,
  freeze: ObjectFreeze,
  getOwnPropertyDescriptor: ObjectGetOwnPropertyDescriptor,
  getOwnPropertyNames: ObjectGetOwnPropertyNames,
  getPrototypeOf: ObjectGetPrototypeOf,
  hasOwn: ObjectHasOwn,
  keys: ObjectKeys,
  setPrototypeOf: ObjectSetPrototypeOf,
} = Object;

export const { apply: ReflectApply, construct: ReflectConstruct, ownKeys: ReflectOwnKeys } = Reflect;
export const { isArray: ArrayIsArray } = Array;
export const { isView: ArrayBufferIsView } = ArrayBuffer;
export const { ceil: MathCeil, floor: MathFloor, imul: MathImul, max: MathMax, min: MathMin, trunc: MathTrunc } = Math;
export const {
  isFinite: NumberIsFinite,
  isInteger: NumberIsInteger,
  isNaN: NumberIsNaN,
} = Number;
export const { parse: JSONParse, stringify: JSONStringify } = JSON;
export const { fromCharCode: StringFromCharCode, fromCodePoint: StringFromCodePoint } = String;
export const {
  asyncIterator: SymbolAsyncIterator,
  iterator: SymbolIterator,
  toStringTag: SymbolToStringTag,
} = Symbol;

export const {
  indexOf: ArrayIndexOf,
  join: ArrayJoin,
  map: ArrayMap,
  push: ArrayPush,
  shift: ArrayShift,
  slice: ArraySlice,
  sort: ArraySort,
  splice: ArraySplice,
} = Array.prototype;

export const {
  charCodeAt: StringCharCodeAt,
  codePointAt: StringCodePointAt,
  endsWith: StringEndsWith,
  includes: StringIncludes,
  indexOf: StringIndexOf,
  lastIndexOf: StringLastIndexOf,
  padStart: StringPadStart,
  repeat: StringRepeat,
  replace: StringReplace,
  replaceAll: StringReplaceAll,
  slice: StringSlice,
  split: StringSplit,
  startsWith: StringStartsWith,
  toLowerCase: StringToLowerCase,
  toUpperCase: StringToUpperCase,
  toWellFormed: StringToWellFormed,
  isWellFormed: StringIsWellFormed,
  trim: StringTrim,
} = String.prototype;

export const { toString: NumberToString } = Number.prototype;
export const { exec: RegExpExec, test: RegExpTest } = RegExp.prototype;

export const {
  delete: MapDelete,
  forEach: MapForEach,
  get: MapGet,
  has: MapHas,
  set: MapSet,
} = Map.prototype;
export const { add: SetAdd, delete: SetDelete, forEach: SetForEach, has: SetHas } = Set.prototype;
export const { get: WeakMapGet, has: WeakMapHas, set: WeakMapSet } = WeakMap.prototype;
export const { deref: WeakRefDeref } = WeakRef.prototype;
export const { hasOwnProperty: ObjectHasOwnProperty, toString: ObjectToString } = Object.prototype;

const getter = (prototype, name) => ObjectGetOwnPropertyDescriptor(prototype, name).get;

export const MapSize = getter(Map.prototype, "size");
export const SetSize = getter(Set.prototype, "size");

export const TypedArray = ObjectGetPrototypeOf(Uint8Array);
export const TypedArrayPrototype = TypedArray.prototype;
export const {
  set: TypedArraySet,
  subarray: TypedArraySubarray,
  slice: TypedArraySlice,
  fill: TypedArrayFill,
} = TypedArrayPrototype;
export const TypedArrayBuffer = getter(TypedArrayPrototype, "buffer");
export const TypedArrayByteLength = getter(TypedArrayPrototype, "byteLength");
export const TypedArrayByteOffset = getter(TypedArrayPrototype, "byteOffset");
export const TypedArrayLength = getter(TypedArrayPrototype, "length");
// "Uint8Array" … for a typed array, undefined for everything else.
export const TypedArrayName = getter(TypedArrayPrototype, SymbolToStringTag);
export const DataViewBuffer = getter(DataView.prototype, "buffer");
export const DataViewByteLength = getter(DataView.prototype, "byteLength");
export const DataViewByteOffset = getter(DataView.prototype, "byteOffset");
// Throws when the receiver is no ArrayBuffer: also the brand check.
export const ArrayBufferByteLength = getter(ArrayBuffer.prototype, "byteLength");
export const ArrayBufferDetached = getter(ArrayBuffer.prototype, "detached");
export const ArrayBufferResizable = getter(ArrayBuffer.prototype, "resizable");
export const { slice: ArrayBufferSlice, transfer: ArrayBufferTransfer } = ArrayBuffer.prototype;

export const { then: PromiseThen, catch: PromiseCatch, finally: PromiseFinally } = Promise.prototype;
const { resolve, reject, withResolvers, all } = Promise;

export function promiseResolve(value) {
  return resolve.call(Promise, value);
}

export function promiseReject(reason) {
  return reject.call(Promise, reason);
}

export function promiseWithResolvers() {
  return withResolvers.call(Promise);
}

export function promiseAll(promises) {
  return all.call(Promise, promises);
}

export function promiseThen(promise, onFulfilled, onRejected) {
  return PromiseThen.call(promise, onFulfilled, onRejected);
}

export function noop() {}

// Keeps a rejection from being reported as unhandled.
export function markHandled(promise) {
  PromiseThen.call(promise, undefined, noop);
}

const resolved = promiseResolve(undefined);

export function queueMicrotask(callback) {
  PromiseThen.call(resolved, callback);
}
