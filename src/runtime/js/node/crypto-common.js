// SPDX-License-Identifier: Apache-2.0
// What the files of node:crypto share.

import { Buffer } from "./buffer.js";
import { codeError, invalidArgType, requireString } from "./errors.js";

const hashNames = {
  __proto__: null,
  md5: "MD5",
  sha1: "SHA-1",
  sha256: "SHA-256",
  sha384: "SHA-384",
  sha512: "SHA-512",
};

export function hashName(algorithm) {
  requireString(algorithm, "algorithm");
  const name = hashNames[algorithm.toLowerCase().replace(/^rsa-/, "").replace(/^sha-/, "sha")];
  if (name === undefined) throw codeError(Error, "ERR_CRYPTO_INVALID_DIGEST", `Invalid digest: ${algorithm}`);
  return name;
}

export function bytesOf(data, encoding, name) {
  if (typeof data === "string") return Buffer.from(data, encoding === "buffer" ? "utf8" : encoding);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  throw invalidArgType(name, ["string", "Buffer", "TypedArray", "DataView"], data);
}

export const asBuffer = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
export const output = (bytes, encoding) =>
  encoding === undefined || encoding === "buffer" ? asBuffer(bytes) : asBuffer(bytes).toString(encoding);

// A callback hears of it in a turn of its own.
export const later = (callback, produce) => {
  let result;
  try {
    result = [null, produce()];
  } catch (error) {
    result = [error];
  }
  setTimeout(() => callback(...result), 0);
};
