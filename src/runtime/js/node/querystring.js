// SPDX-License-Identifier: Apache-2.0
// node:querystring.

const unreserved = /[^A-Za-z0-9\-_.!~*'()]/;

export function escape(value) {
  const text = typeof value === "string" ? value : typeof value === "object" ? String(value) : `${value}`;
  return unreserved.test(text) ? encodeURIComponent(text) : text;
}

// Bytes, as malformed sequences must survive.
export function unescapeBuffer(text, decodeSpaces = false) {
  const { Buffer } = require("./buffer.js");
  const bytes = [];
  const source = Buffer.from(`${text}`);
  for (let i = 0; i < source.length; i++) {
    const hex = source[i] === 0x25 ? /^[0-9a-f]{2}/i.exec(source.toString("latin1", i + 1, i + 3)) : null;
    if (hex) {
      bytes.push(parseInt(hex[0], 16));
      i += 2;
    } else {
      bytes.push(decodeSpaces && source[i] === 0x2b ? 0x20 : source[i]);
    }
  }
  return Buffer.from(bytes);
}

export function unescape(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return unescapeBuffer(text).toString();
  }
}

function primitive(value) {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
      return Number.isFinite(value) ? `${value}` : "";
    case "bigint":
    case "boolean":
      return `${value}`;
    default:
      return "";
  }
}

export function stringify(object, separator = "&", equals = "=", options = undefined) {
  const encode = options?.encodeURIComponent ?? querystring.escape;
  if (object === null || typeof object !== "object") return "";
  const parts = [];
  for (const key of Object.keys(object)) {
    const name = encode(key) + (equals || "=");
    const value = object[key];
    if (Array.isArray(value)) for (const item of value) parts.push(name + encode(primitive(item)));
    else parts.push(name + encode(primitive(value)));
  }
  return parts.join(separator || "&");
}

export function parse(text, separator = "&", equals = "=", options = undefined) {
  const result = { __proto__: null };
  if (typeof text !== "string" || text === "") return result;
  const custom = options?.decodeURIComponent ?? querystring.unescape;
  const decode = (part) => {
    const spaced = part.replaceAll("+", " ");
    if (!spaced.includes("%")) return spaced;
    try {
      return custom(spaced);
    } catch {
      return unescape(spaced);
    }
  };
  const mark = equals || "=";
  const max = typeof options?.maxKeys === "number" ? options.maxKeys : 1000;
  let parts = text.split(separator || "&");
  if (max > 0) parts = parts.slice(0, max);
  for (const part of parts) {
    if (part === "") continue;
    const at = part.indexOf(mark);
    const key = decode(at < 0 ? part : part.slice(0, at));
    const value = at < 0 ? "" : decode(part.slice(at + mark.length));
    if (!(key in result)) result[key] = value;
    else if (Array.isArray(result[key])) result[key].push(value);
    else result[key] = [result[key], value];
  }
  return result;
}

export const encode = stringify;
export const decode = parse;

const querystring = { decode, encode, escape, parse, stringify, unescape, unescapeBuffer };
export default querystring;
