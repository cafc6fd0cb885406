// SPDX-License-Identifier: Apache-2.0
// Buffer's numbers: readInt16LE, writeDoubleBE …, with Node's checks. Byte by byte: a DataView of each small Buffer would
// cost a memory block for its ArrayBuffer, which the engine makes only when asked for.

import { codeError, invalidArgType, outOfRange } from "./errors.js";

function requireOffset(offset, room) {
  if (typeof offset !== "number") throw invalidArgType("offset", "number", offset);
  if (!Number.isInteger(offset)) throw outOfRange("offset", "an integer", offset);
  if (offset >= 0 && offset <= room) return;
  if (room < 0) throw codeError(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", "Attempt to access memory outside buffer bounds");
  throw outOfRange("offset", `>= 0 and <= ${room}`, offset);
}

function requireValue(value, low, high) {
  if (typeof value !== typeof low) throw invalidArgType("value", typeof low, value);
  if (value < low || value > high) throw outOfRange("value", `>= ${low} and <= ${high}`, value);
}

// Where a number is wider than an Int32, or no whole number, its bytes pass through here; this machine is little endian.
const scratch = new Uint8Array(8);
const wide = {
  Uint32: new Uint32Array(scratch.buffer, 0, 1),
  BigUint64: new BigUint64Array(scratch.buffer),
  BigInt64: new BigInt64Array(scratch.buffer),
  Float32: new Float32Array(scratch.buffer, 0, 1),
  Float64: new Float64Array(scratch.buffer),
};

const kinds = [
  // name, the engine's, bytes, lowest, highest
  ["UInt8", "Uint8", 1, 0, 2 ** 8 - 1],
  ["Int8", "Int8", 1, -(2 ** 7), 2 ** 7 - 1],
  ["UInt16", "Uint16", 2, 0, 2 ** 16 - 1],
  ["Int16", "Int16", 2, -(2 ** 15), 2 ** 15 - 1],
  ["UInt32", "Uint32", 4, 0, 2 ** 32 - 1],
  ["Int32", "Int32", 4, -(2 ** 31), 2 ** 31 - 1],
  ["BigUInt64", "BigUint64", 8, 0n, 2n ** 64n - 1n],
  ["BigInt64", "BigInt64", 8, -(2n ** 63n), 2n ** 63n - 1n],
  ["Float", "Float32", 4, null, null],
  ["Double", "Float64", 8, null, null],
];

export const numberMethods = {};

for (const [name, typed, bytes, low, high] of kinds) {
  const numbers = wide[typed], unused = 32 - 8 * bytes, signed = low < 0;
  for (const end of bytes === 1 ? [""] : ["LE", "BE"]) {
    const first = end === "LE" ? 0 : bytes - 1, step = end === "LE" ? 1 : -1; // of the bytes, the least one first
    numberMethods[`read${name}${end}`] = numbers
      ? function (offset = 0) {
          requireOffset(offset, this.length - bytes);
          for (let i = 0, at = offset + first; i < bytes; i++, at += step) scratch[i] = this[at];
          return numbers[0];
        }
      : function (offset = 0) {
          requireOffset(offset, this.length - bytes);
          let value = 0;
          for (let i = 0, at = offset + first; i < bytes; i++, at += step) value |= this[at] << (8 * i);
          return signed ? (value << unused) >> unused : value;
        };
    numberMethods[`write${name}${end}`] = function (value, offset = 0) {
      if (low !== null) {
        if (typeof low === "number") value = +value;
        requireValue(value, low, high);
      }
      requireOffset(offset, this.length - bytes);
      if (numbers) {
        numbers[0] = value;
        for (let i = 0, at = offset + first; i < bytes; i++, at += step) this[at] = scratch[i];
      } else {
        for (let i = 0, at = offset + first; i < bytes; i++, at += step) this[at] = value >> (8 * i);
      }
      return offset + bytes;
    };
  }
}

// Whole numbers of one to six bytes.
for (const signed of [false, true]) {
  for (const end of ["LE", "BE"]) {
    const place = (i, bytes) => (end === "LE" ? i : bytes - 1 - i);
    const name = `${signed ? "Int" : "UInt"}${end}`;
    numberMethods[`read${name}`] = function (offset, bytes) {
      requireBytes(bytes);
      requireOffset(offset, this.length - bytes);
      let value = 0;
      for (let i = bytes - 1; i >= 0; i--) value = value * 256 + this[offset + place(i, bytes)];
      return signed && value >= 2 ** (8 * bytes - 1) ? value - 2 ** (8 * bytes) : value;
    };
    numberMethods[`write${name}`] = function (value, offset, bytes) {
      requireBytes(bytes);
      value = +value;
      requireValue(value, signed ? -(2 ** (8 * bytes - 1)) : 0, 2 ** (8 * bytes - (signed ? 1 : 0)) - 1);
      requireOffset(offset, this.length - bytes);
      let rest = value < 0 ? value + 2 ** (8 * bytes) : value;
      for (let i = 0; i < bytes; i++) {
        this[offset + place(i, bytes)] = rest % 256;
        rest = Math.floor(rest / 256);
      }
      return offset + bytes;
    };
  }
}

function requireBytes(bytes) {
  if (typeof bytes !== "number") throw invalidArgType("byteLength", "number", bytes);
  if (!(Number.isInteger(bytes) && bytes >= 1 && bytes <= 6)) throw outOfRange("byteLength", ">= 1 and <= 6", bytes);
}

for (const [name, method] of Object.entries(numberMethods)) {
  Object.defineProperty(method, "name", { value: name, configurable: true });
  if (name.includes("UInt")) numberMethods[name.replace("UInt", "Uint")] = method;
}
