// SPDX-License-Identifier: Apache-2.0
// node:util/types: brands, found by methods that only the real thing lets through.

const passes = (probe) => (value) => {
  try {
    probe(value);
    return true;
  } catch {
    return false;
  }
};
const getter = (prototype, name) => {
  const { get } = Object.getOwnPropertyDescriptor(prototype, name);
  return passes((value) => get.call(value));
};
const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";
const tag = (value) => Object.prototype.toString.call(value).slice(8, -1);
const TypedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype);
const { get: typedArrayName } = Object.getOwnPropertyDescriptor(TypedArrayPrototype, Symbol.toStringTag);
const typed = (name) => (value) => typedArrayName.call(value) === name;
const boxed = (valueOf) => {
  const check = passes((value) => valueOf.call(value));
  return (value) => isObject(value) && check(value);
};
const functionKind = (name) => (value) =>
  typeof value === "function" && Object.getPrototypeOf(value)?.[Symbol.toStringTag] === name;

export const isArrayBuffer = getter(ArrayBuffer.prototype, "byteLength");
export const isSharedArrayBuffer = () => false;
export const isAnyArrayBuffer = isArrayBuffer;
export const { isView: isArrayBufferView } = ArrayBuffer;
export const isDataView = (value) => ArrayBuffer.isView(value) && typedArrayName.call(value) === undefined;
export const isTypedArray = (value) => typedArrayName.call(value) !== undefined;
export const isUint8Array = typed("Uint8Array");
export const isUint8ClampedArray = typed("Uint8ClampedArray");
export const isUint16Array = typed("Uint16Array");
export const isUint32Array = typed("Uint32Array");
export const isInt8Array = typed("Int8Array");
export const isInt16Array = typed("Int16Array");
export const isInt32Array = typed("Int32Array");
export const isFloat16Array = typed("Float16Array");
export const isFloat32Array = typed("Float32Array");
export const isFloat64Array = typed("Float64Array");
export const isBigInt64Array = typed("BigInt64Array");
export const isBigUint64Array = typed("BigUint64Array");
export const isMap = getter(Map.prototype, "size");
export const isSet = getter(Set.prototype, "size");
const { has: weakMapHas } = WeakMap.prototype;
const { has: weakSetHas } = WeakSet.prototype;
export const isWeakMap = passes((value) => weakMapHas.call(value, {}));
export const isWeakSet = passes((value) => weakSetHas.call(value, {}));
const { getTime } = Date.prototype;
export const isDate = passes((value) => getTime.call(value));
const { get: regExpSource } = Object.getOwnPropertyDescriptor(RegExp.prototype, "source");
export const isRegExp = (value) => value !== RegExp.prototype && passes((v) => regExpSource.call(v))(value);
export const isPromise = (value) => isObject(value) && value instanceof Promise;
export const isNativeError = (value) => (Error.isError ? Error.isError(value) : value instanceof Error);
export const isProxy = () => false;
export const isExternal = () => false;
export const isModuleNamespaceObject = (value) =>
  isObject(value) && Object.getPrototypeOf(value) === null && value[Symbol.toStringTag] === "Module";
export const isNumberObject = boxed(Number.prototype.valueOf);
export const isStringObject = boxed(String.prototype.valueOf);
export const isBooleanObject = boxed(Boolean.prototype.valueOf);
export const isBigIntObject = boxed(BigInt.prototype.valueOf);
export const isSymbolObject = boxed(Symbol.prototype.valueOf);
export const isBoxedPrimitive = (value) =>
  isNumberObject(value) || isStringObject(value) || isBooleanObject(value) || isBigIntObject(value) || isSymbolObject(value);
export const isAsyncFunction = (value) =>
  functionKind("AsyncFunction")(value) || functionKind("AsyncGeneratorFunction")(value);
export const isGeneratorFunction = (value) =>
  functionKind("GeneratorFunction")(value) || functionKind("AsyncGeneratorFunction")(value);
export const isGeneratorObject = (value) => isObject(value) && /Generator$/.test(tag(value));
export const isMapIterator = (value) => isObject(value) && tag(value) === "Map Iterator";
export const isSetIterator = (value) => isObject(value) && tag(value) === "Set Iterator";
export const isArgumentsObject = (value) =>
  isObject(value) && !(Symbol.toStringTag in value) && tag(value) === "Arguments";
export const isKeyObject = () => false;
export const isCryptoKey = (value) => typeof CryptoKey === "function" && value instanceof CryptoKey;

export default {
  isAnyArrayBuffer,
  isArgumentsObject,
  isArrayBuffer,
  isArrayBufferView,
  isAsyncFunction,
  isBigInt64Array,
  isBigIntObject,
  isBigUint64Array,
  isBooleanObject,
  isBoxedPrimitive,
  isCryptoKey,
  isDataView,
  isDate,
  isExternal,
  isFloat16Array,
  isFloat32Array,
  isFloat64Array,
  isGeneratorFunction,
  isGeneratorObject,
  isInt16Array,
  isInt32Array,
  isInt8Array,
  isKeyObject,
  isMap,
  isMapIterator,
  isModuleNamespaceObject,
  isNativeError,
  isNumberObject,
  isPromise,
  isProxy,
  isRegExp,
  isSet,
  isSetIterator,
  isSharedArrayBuffer,
  isStringObject,
  isSymbolObject,
  isTypedArray,
  isUint16Array,
  isUint32Array,
  isUint8Array,
  isUint8ClampedArray,
  isWeakMap,
  isWeakSet,
};
