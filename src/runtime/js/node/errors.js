// SPDX-License-Identifier: Apache-2.0
// Errors with a `code`, as Node's API throws them.

export function codeError(Base, code, message, fields) {
  const error = new Base(message);
  error.code = code;
  Object.defineProperty(error, "toString", {
    value: () => `${error.name} [${code}]: ${error.message}`,
    configurable: true,
    writable: true,
  });
  return fields ? Object.assign(error, fields) : error;
}

export function describe(value) {
  if (value === null || value === undefined) return ` Received ${value}`;
  if (typeof value === "function") return ` Received function ${value.name}`;
  if (typeof value === "object") {
    const name = value.constructor?.name;
    return name ? ` Received an instance of ${name}` : " Received an object";
  }
  const text = typeof value === "bigint" ? `${value}n` : String(value);
  const shown = typeof value === "string" ? `'${text.length > 28 ? `${text.slice(0, 25)}...` : text}'` : text;
  return ` Received type ${typeof value} (${shown})`;
}

export function invalidArgType(name, expected, value) {
  const what = name.includes(".") ? "property" : "argument";
  const list = [].concat(expected);
  const kinds = list.length > 2 ? `one of ${list.slice(0, -1).join(", ")}, or ${list.at(-1)}` : list.join(" or ");
  const kind = /^[a-z]/.test(list[0]) ? `of type ${kinds}` : `an instance of ${kinds}`;
  return codeError(TypeError, "ERR_INVALID_ARG_TYPE", `The "${name}" ${what} must be ${kind}.${describe(value)}`);
}

export function invalidArgValue(name, value, reason = "is invalid") {
  const what = name.includes(".") ? "property" : "argument";
  const shown = typeof value === "string" ? `'${value}'` : String(value);
  return codeError(TypeError, "ERR_INVALID_ARG_VALUE", `The ${what} '${name}' ${reason}. Received ${shown}`);
}

export function outOfRange(name, range, value) {
  return codeError(RangeError, "ERR_OUT_OF_RANGE", `The value of "${name}" is out of range. It must be ${range}. Received ${String(value)}`);
}

export function notImplemented(what) {
  return codeError(Error, "ERR_METHOD_NOT_IMPLEMENTED", `The ${what} method is not implemented`);
}

export function requireString(value, name) {
  if (typeof value !== "string") throw invalidArgType(name, "string", value);
}

export function requireFunction(value, name) {
  if (typeof value !== "function") throw invalidArgType(name, "function", value);
}
