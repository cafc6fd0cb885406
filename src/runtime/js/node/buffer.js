// SPDX-License-Identifier: Apache-2.0
// node:buffer: npm's `buffer` (which readable-stream uses too), with its text conversions done by C
// or the engine, base64url, and what newer versions of Node have.

import npm from "buffer";

import { native } from "../native.js";
import { decodeShort, encodeShort, encodeUtf8, isShort } from "../short-text.js";
import { numberMethods } from "./buffer-numbers.js";
import { codeError, invalidArgType, outOfRange } from "./errors.js";

export const { Buffer } = npm;

const names = {
  __proto__: null,
  utf8: "utf8",
  "utf-8": "utf8",
  hex: "hex",
  base64: "base64",
  base64url: "base64url",
  ascii: "ascii",
  latin1: "latin1",
  binary: "latin1",
  ucs2: "utf16le",
  "ucs-2": "utf16le",
  utf16le: "utf16le",
  "utf-16le": "utf16le",
};

function encodingOf(encoding) {
  if (encoding === undefined || encoding === null || encoding === "") return "utf8";
  const name = names[encoding] ?? names[`${encoding}`.toLowerCase()];
  if (name === undefined) {
    throw codeError(TypeError, "ERR_UNKNOWN_ENCODING", `Unknown encoding: ${encoding}`);
  }
  return name;
}

// Node takes both alphabets, skips what is in neither and stops at the padding.
function base64Bytes(text) {
  const end = text.indexOf("=");
  const clean = (end < 0 ? text : text.slice(0, end)).replace(/[^A-Za-z0-9+/_-]/g, "");
  const whole = clean.length % 4 === 1 ? clean.slice(0, -1) : clean;
  return Uint8Array.fromBase64(whole.replace(/-/g, "+").replace(/_/g, "/"));
}

function hexBytes(text) {
  const good = /^(?:[0-9a-f]{2})*/i.exec(text)[0];
  return Uint8Array.fromHex(good);
}

function utf16Bytes(text) {
  const units = new Uint16Array(text.length);
  for (let i = 0; i < text.length; i++) units[i] = text.charCodeAt(i);
  return new Uint8Array(units.buffer);
}

function bytesOf(text, encoding) {
  switch (encoding) {
    case "utf8":
      return encodeUtf8(text);
    case "hex":
      return hexBytes(text);
    case "base64":
    case "base64url":
      return base64Bytes(text);
    case "utf16le":
      return utf16Bytes(text);
    default: {
      const bytes = new Uint8Array(text.length);
      for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
      return bytes;
    }
  }
}

function textOf(bytes, encoding) {
  switch (encoding) {
    case "utf8":
      return native.utf8Decode(bytes, false, true);
    case "latin1":
      return native.latin1Decode(bytes);
    case "ascii":
      return native.latin1Decode(bytes.map((byte) => byte & 0x7f));
    case "hex":
      return bytes.toHex();
    case "base64":
      return bytes.toBase64();
    case "base64url":
      return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
    default: {
      const parts = [];
      for (let i = 0; i + 1 < bytes.length; i += 2) parts.push(String.fromCharCode(bytes[i] | (bytes[i + 1] << 8)));
      return parts.join("");
    }
  }
}

// A Uint8Array that nobody else has becomes a Buffer.
const madeBuffer = (bytes) => Object.setPrototypeOf(bytes, Buffer.prototype);
const bufferOver = ({ buffer, byteOffset, byteLength }) => madeBuffer(new Uint8Array(buffer, byteOffset, byteLength));
const plain = ({ buffer, byteOffset }, start, end) => new Uint8Array(buffer, byteOffset + start, end - start);

// As of Array.prototype.slice's arguments.
function placeIn(length, place, unset) {
  if (place === undefined) return unset;
  const whole = Math.trunc(place) || 0;
  return whole < 0 ? Math.max(length + whole, 0) : Math.min(whole, length);
}

function define(target, methods) {
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true });
  }
}

const { from, write, alloc, concat } = { ...Buffer, write: Buffer.prototype.write };
const { fill, indexOf, lastIndexOf, includes } = Buffer.prototype;
const withEncoding = (encoding) => typeof encoding === "string" && encodingOf(encoding) === "base64url";

define(Buffer, {
  from(value, encodingOrOffset, length) {
    if (typeof value === "string") return madeBuffer(bytesOf(value, encodingOf(encodingOrOffset)));
    if (value instanceof Uint8Array) return madeBuffer(new Uint8Array(value));
    if (value === null || (typeof value !== "object" && typeof value !== "function")) {
      throw invalidArgType("first", ["string", "Buffer", "ArrayBuffer", "Array", "Array-like Object"], value);
    }
    return from.call(Buffer, value, encodingOrOffset, length);
  },
  isEncoding: (encoding) => typeof encoding === "string" && names[encoding.toLowerCase()] !== undefined,
  byteLength(value, encoding) {
    if (typeof value === "string") {
      const name = names[`${encoding ?? "utf8"}`.toLowerCase()] ?? "utf8";
      switch (name) {
        case "utf8":
          return isShort(value) ? value.length : native.utf8Length(value);
        case "hex":
          return value.length >>> 1;
        case "utf16le":
          return value.length * 2;
        case "base64":
        case "base64url":
          return Math.floor((value.replace(/=+$/, "").length * 3) / 4);
        default:
          return value.length;
      }
    }
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength;
    throw invalidArgType("string", ["string", "Buffer", "ArrayBuffer"], value);
  },
  copyBytesFrom(view, offset = 0, length = undefined) {
    if (!ArrayBuffer.isView(view) || view instanceof DataView) throw invalidArgType("view", ["TypedArray"], view);
    const part = view.subarray(offset, length === undefined ? undefined : offset + length);
    return madeBuffer(new Uint8Array(part.buffer, part.byteOffset, part.byteLength).slice());
  },
  alloc(size, value, encoding) {
    if (typeof size !== "number") throw invalidArgType("size", "number", size);
    if (!(size >= 0 && size <= constants.MAX_LENGTH)) {
      throw outOfRange("size", `>= 0 && <= ${constants.MAX_LENGTH}`, size);
    }
    const buffer = alloc.call(Buffer, size);
    return value === undefined || value === 0 ? buffer : buffer.fill(value, encoding);
  },
  concat(list, length) {
    if (!Array.isArray(list)) throw invalidArgType("list", "Array", list);
    return concat.call(Buffer, list, length);
  },
});

define(Buffer.prototype, {
  toString(encoding, start = 0, end = this.length) {
    const length = this.length;
    start = Math.max(0, Math.trunc(start) || 0);
    end = end === undefined ? length : Math.min(length, Math.trunc(end) || 0);
    if (start >= end) return "";
    const name = encodingOf(encoding);
    const short = name === "utf8" || name === "latin1" || name === "ascii" ? decodeShort(this, start, end) : undefined;
    return short ?? textOf(plain(this, start, end), name);
  },
  write(string, offset, length, encoding) {
    if (typeof offset === "string") [offset, length, encoding] = [0, undefined, offset];
    else if (typeof length === "string") [length, encoding] = [undefined, length];
    const name = encodingOf(encoding);
    if (name !== "base64url" && name !== "base64" && name !== "utf8" && name !== "hex") {
      return write.call(this, string, offset ?? 0, length ?? this.length - (offset ?? 0), name);
    }
    offset ??= 0;
    if (!(offset >= 0 && offset <= this.length)) throw outOfRange("offset", `>= 0 && <= ${this.length}`, offset);
    const room = Math.min(length ?? Infinity, this.length - offset);
    if (name === "utf8" && typeof string === "string" && string.length <= room && isShort(string)) {
      encodeShort(string, this, offset);
      return string.length;
    }
    let bytes = bytesOf(`${string}`, name);
    if (bytes.length > room) {
      let end = room;
      // Never half a character.
      if (name === "utf8") while (end > 0 && (bytes[end] & 0xc0) === 0x80) end--;
      bytes = bytes.subarray(0, end);
    }
    this.set(bytes, offset);
    return bytes.length;
  },
  fill(value, start, end, encoding) {
    const given = [start, end, encoding].find((part) => typeof part === "string");
    if (typeof value === "string" && withEncoding(given)) {
      const bytes = madeBuffer(bytesOf(value, "base64url"));
      return fill.call(this, bytes, ...[start, end].filter((part) => typeof part !== "string"));
    }
    return fill.call(this, value, start, end, encoding);
  },
  // Without the species that leads through Buffer's constructor.
  subarray(start, end) {
    const { length } = this, first = placeIn(length, start, 0);
    return madeBuffer(plain(this, first, Math.max(first, placeIn(length, end, length))));
  },
  slice(start, end) {
    return this.subarray(start, end);
  },
  toLocaleString(encoding, start, end) {
    return this.toString(encoding, start, end);
  },
  [Symbol.for("nodejs.util.inspect.custom")]() {
    const shown = plain(this, 0, Math.min(this.length, npm.INSPECT_MAX_BYTES));
    const more = this.length - shown.length;
    const hex = [...shown].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    return `<${this.constructor.name}${hex ? ` ${hex}` : ""}${more > 0 ? ` ... ${more} more byte${more > 1 ? "s" : ""}` : ""}>`;
  },
});
define(Buffer.prototype, numberMethods);
for (const [name, search] of Object.entries({ indexOf, lastIndexOf, includes })) {
  define(Buffer.prototype, {
    [name](value, offset, encoding) {
      const given = typeof offset === "string" ? offset : encoding;
      if (value === "" && name !== "lastIndexOf") {
        const at = Math.min(Math.max(offset < 0 ? this.length + offset : +offset || 0, 0), this.length);
        return name === "includes" ? true : at;
      }
      if (typeof value !== "string" || !withEncoding(given)) return search.call(this, value, offset, encoding);
      return search.call(this, madeBuffer(bytesOf(value, "base64url")), typeof offset === "string" ? undefined : offset);
    },
  });
}

export const constants = { MAX_LENGTH: 2 ** 31 - 1, MAX_STRING_LENGTH: 2 ** 30 - 1 };
export const kMaxLength = constants.MAX_LENGTH;
export const kStringMaxLength = constants.MAX_STRING_LENGTH;
export const { SlowBuffer, INSPECT_MAX_BYTES } = npm;
export const { Blob, File, atob, btoa } = globalThis;

const viewOf = (input) =>
  ArrayBuffer.isView(input)
    ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
    : new Uint8Array(input);

export const isAscii = (input) => viewOf(input).every((byte) => byte < 0x80);

export function isUtf8(input) {
  try {
    native.utf8Decode(viewOf(input), true, true);
    return true;
  } catch {
    return false;
  }
}

export function transcode(source, fromEncoding, toEncoding) {
  return Buffer.from(bufferOver(source).toString(fromEncoding), toEncoding);
}

export function resolveObjectURL() {
  return undefined;
}

export default {
  Buffer,
  SlowBuffer,
  Blob,
  File,
  INSPECT_MAX_BYTES,
  atob,
  btoa,
  constants,
  isAscii,
  isUtf8,
  kMaxLength,
  kStringMaxLength,
  resolveObjectURL,
  transcode,
};
