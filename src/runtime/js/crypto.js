// SPDX-License-Identifier: Apache-2.0
// https://w3c.github.io/webcrypto/ : randomness, digests, HMAC, AES, PBKDF2, HKDF over OpenSSL.
// Algorithms with public keys follow.

import { TypeError, Uint8Array } from "./primordials.js";
import { native, platform } from "./native.js";
import { DOMException } from "./dom-exception.js";
import { WritableStream } from "./streams.js";
import { bytesOf, copyBytes, defineInterface, illegalConstructor, isObject, requireArguments } from "./webidl.js";

const internal = Symbol("internal");
const hashes = { "SHA-1": 64, "SHA-256": 64, "SHA-384": 128, "SHA-512": 128, MD5: 64 };

const notSupported = (what) => new DOMException(`Unrecognized or unimplemented ${what}.`, "NotSupportedError");
const invalidAccess = (text) => new DOMException(text, "InvalidAccessError");
const syntax = (text) => new DOMException(text, "SyntaxError");
const data = (text) => new DOMException(text, "DataError");
const operation = (text) => new DOMException(text, "OperationError");

function normalize(algorithm) {
  if (typeof algorithm === "string") return { name: algorithm.toUpperCase() };
  if (!isObject(algorithm) || algorithm.name === undefined) throw new TypeError("The algorithm has no name.");
  return Object.assign({}, algorithm, { name: `${algorithm.name}`.toUpperCase() });
}

function hashName(hash) {
  const { name } = normalize(hash);
  if (!Object.hasOwn(hashes, name)) throw notSupported(`digest algorithm "${name}" requested`);
  return name;
}

const exact = (bytes) => (bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer);

let keyParts;

export class CryptoKey {
  #type;
  #extractable;
  #algorithm;
  #usages;
  #secret;

  constructor(token, parts) {
    if (token !== internal) throw illegalConstructor();
    this.#type = parts.type;
    this.#extractable = parts.extractable;
    this.#algorithm = parts.algorithm;
    this.#usages = parts.usages;
    this.#secret = parts.secret;
  }

  get type() {
    return this.#type;
  }

  get extractable() {
    return this.#extractable;
  }

  get algorithm() {
    return this.#algorithm;
  }

  get usages() {
    return this.#usages;
  }

  static {
    keyParts = (key) => {
      if (!isObject(key) || !(#secret in key)) throw new TypeError("The argument is not a CryptoKey.");
      return { secret: key.#secret, algorithm: key.#algorithm, usages: key.#usages, extractable: key.#extractable };
    };
  }
}
defineInterface(CryptoKey, "CryptoKey");

const symmetric = {
  HMAC: ["sign", "verify"],
  "AES-CBC": ["encrypt", "decrypt", "wrapKey", "unwrapKey"],
  "AES-CTR": ["encrypt", "decrypt", "wrapKey", "unwrapKey"],
  "AES-GCM": ["encrypt", "decrypt", "wrapKey", "unwrapKey"],
  "AES-KW": ["wrapKey", "unwrapKey"],
  PBKDF2: ["deriveBits", "deriveKey"],
  HKDF: ["deriveBits", "deriveKey"],
};

function keyFor(key, name, usage) {
  const parts = keyParts(key);
  if (parts.algorithm.name !== name) throw invalidAccess("Requested algorithm does not match this CryptoKey.");
  if (!parts.usages.includes(usage)) throw invalidAccess(`Requested key usage "${usage}" does not match any usage listed in this CryptoKey.`);
  return parts;
}

function makeKey(algorithm, secret, extractable, usages) {
  const allowed = symmetric[algorithm.name];
  for (const usage of usages) if (!allowed.includes(usage)) throw syntax(`Attempt to create a key with an invalid usage: ${usage}.`);
  if (usages.length === 0) throw syntax("Secret/private CryptoKeys must have at least one usage.");
  const described = { name: algorithm.name };
  if (algorithm.name === "HMAC") {
    described.hash = { name: hashName(algorithm.hash) };
    described.length = secret.byteLength * 8;
    if (secret.byteLength === 0) throw data("HMAC key length must be a non-zero unsigned long integer.");
  } else if (algorithm.name.startsWith("AES-")) {
    described.length = secret.byteLength * 8;
    if (![128, 192, 256].includes(described.length)) throw data(`Imported AES key length must be 128, 192, or 256 bits but provided ${described.length}.`);
  }
  return new CryptoKey(internal, { type: "secret", extractable, algorithm: described, usages: [...new Set(usages)], secret });
}

const toBase64Url = (bytes) => bytes.toBase64({ alphabet: "base64url", omitPadding: true });
const fromBase64Url = (text) => {
  try {
    return Uint8Array.fromBase64(text, { alphabet: "base64url" });
  } catch {
    throw data("The JWK's key is not base64url.");
  }
};

const aesModes = { "AES-CBC": "CBC", "AES-CTR": "CTR", "AES-GCM": "GCM" };

function aes(encrypt, algorithm, secret, input) {
  let iv, extra = new Uint8Array(0), bits = 0;
  if (algorithm.name === "AES-CTR") {
    iv = bytesOf(algorithm.counter, "counter");
    bits = algorithm.length;
    if (iv.byteLength !== 16 || !(bits >= 1 && bits <= 128)) throw operation("Counter must have 16 bytes, and its length 1 to 128 bits.");
  } else {
    iv = bytesOf(algorithm.iv, "iv");
    if (algorithm.name === "AES-CBC" && iv.byteLength !== 16) throw operation("AES-CBC initialization vector length must be 16 bytes.");
    if (algorithm.additionalData !== undefined) extra = bytesOf(algorithm.additionalData, "additionalData");
    bits = algorithm.name === "AES-GCM" ? (algorithm.tagLength ?? 128) / 8 : 0;
  }
  const output = native.crypto.aes(aesModes[algorithm.name], encrypt, secret, iv, input, extra, bits);
  if (output === null) throw operation(encrypt ? "Encryption failed." : "Decryption failed. This could be due to a ciphertext authentication failure, bad padding, incorrect CryptoKey, or another algorithm-specific reason.");
  return output;
}

function derive(algorithm, secret, bits) {
  if (bits === null || bits === undefined || bits % 8 !== 0) throw operation("The length must be a multiple of 8 bits.");
  const salt = bytesOf(algorithm.salt, "salt"), hash = hashName(algorithm.hash);
  if (algorithm.name === "PBKDF2") {
    const iterations = Number(algorithm.iterations);
    if (!(iterations > 0)) throw operation("PBKDF2 requires a positive number of iterations.");
    if (iterations > 100000) throw notSupported("Pbkdf2 iteration counts above 100000 are not supported");
    return native.crypto.pbkdf2(hash, secret, salt, iterations, bits / 8);
  }
  const derived = native.crypto.hkdf(hash, secret, salt, bytesOf(algorithm.info, "info"), bits / 8);
  if (derived === null) throw operation("HKDF failed.");
  return derived;
}

function keyBits(algorithm) {
  if (algorithm.name === "HMAC") return algorithm.length ?? hashes[hashName(algorithm.hash)] * 8;
  if (algorithm.name.startsWith("AES-")) return algorithm.length;
  return null;
}

export class SubtleCrypto {
  constructor(token) {
    if (token !== internal) throw illegalConstructor();
  }

  async digest(algorithm, input) {
    requireArguments(arguments.length, 2, "'digest' on 'SubtleCrypto'");
    return exact(native.digest(hashName(algorithm), copyBytes(input)));
  }

  async importKey(format, keyData, algorithm, extractable, usages) {
    const wanted = normalize(algorithm);
    if (!Object.hasOwn(symmetric, wanted.name)) throw notSupported(`key import algorithm "${wanted.name}" requested`);
    let secret;
    if (format === "raw") {
      secret = copyBytes(keyData);
    } else if (format === "jwk") {
      if (!isObject(keyData) || keyData.kty !== "oct" || typeof keyData.k !== "string") throw data('Symmetric "jwk" key import requires a JSON Web Key with Key Type parameter "kty" equal to "oct".');
      secret = fromBase64Url(keyData.k);
    } else {
      throw notSupported(`key import format "${format}"`);
    }
    return makeKey(wanted, secret, !!extractable, [...usages]);
  }

  async exportKey(format, key) {
    const { secret, algorithm, usages, extractable } = keyParts(key);
    if (!extractable) throw invalidAccess("Attempt to export non-extractable CryptoKey.");
    if (format === "raw") return secret.slice().buffer;
    if (format !== "jwk") throw notSupported(`key export format "${format}"`);
    const alg = algorithm.name === "HMAC" ? `HS${algorithm.hash.name.replace("SHA-", "")}` : `A${algorithm.length}${algorithm.name.slice(4)}`;
    return { kty: "oct", k: toBase64Url(secret), alg, key_ops: [...usages], ext: true };
  }

  async generateKey(algorithm, extractable, usages) {
    platform.requireRequest("generating random values");
    const wanted = normalize(algorithm);
    const bits = Object.hasOwn(symmetric, wanted.name) ? keyBits(wanted) : null;
    if (bits === null) throw notSupported(`key generation algorithm "${wanted.name}" requested`);
    const secret = new Uint8Array(bits / 8);
    native.random(secret);
    return makeKey(wanted, secret, !!extractable, [...usages]);
  }

  async sign(algorithm, key, input) {
    const { name } = normalize(algorithm);
    const parts = keyFor(key, name, "sign");
    return exact(native.hmac(parts.algorithm.hash.name, parts.secret, copyBytes(input)));
  }

  async verify(algorithm, key, signature, input) {
    const { name } = normalize(algorithm);
    const parts = keyFor(key, name, "verify");
    const expected = native.hmac(parts.algorithm.hash.name, parts.secret, copyBytes(input));
    return native.timingSafeEqual(expected, bytesOf(signature, "The signature"));
  }

  async encrypt(algorithm, key, input) {
    const wanted = normalize(algorithm);
    if (!Object.hasOwn(aesModes, wanted.name)) throw notSupported(`encryption algorithm "${wanted.name}" requested`);
    return exact(aes(true, wanted, keyFor(key, wanted.name, "encrypt").secret, copyBytes(input)));
  }

  async decrypt(algorithm, key, input) {
    const wanted = normalize(algorithm);
    if (!Object.hasOwn(aesModes, wanted.name)) throw notSupported(`decryption algorithm "${wanted.name}" requested`);
    return exact(aes(false, wanted, keyFor(key, wanted.name, "decrypt").secret, copyBytes(input)));
  }

  async deriveBits(algorithm, key, bits) {
    const wanted = normalize(algorithm);
    if (wanted.name !== "PBKDF2" && wanted.name !== "HKDF") throw notSupported(`derivation algorithm "${wanted.name}" requested`);
    return exact(derive(wanted, keyFor(key, wanted.name, "deriveBits").secret, bits));
  }

  async deriveKey(algorithm, key, derivedType, extractable, usages) {
    const wanted = normalize(algorithm), made = normalize(derivedType);
    if (wanted.name !== "PBKDF2" && wanted.name !== "HKDF") throw notSupported(`derivation algorithm "${wanted.name}" requested`);
    return makeKey(made, derive(wanted, keyFor(key, wanted.name, "deriveKey").secret, keyBits(made)), !!extractable, [...usages]);
  }

  timingSafeEqual(a, b) {
    const left = bytesOf(a, "The first argument"), right = bytesOf(b, "The second argument");
    if (left.byteLength !== right.byteLength) throw new TypeError("Input buffers must have the same byte length");
    return native.timingSafeEqual(left, right);
  }
}
defineInterface(SubtleCrypto, "SubtleCrypto");

// Cloudflare's own: a stream whose `digest` promise is the hash of what was written.
export class DigestStream extends WritableStream {
  #digest;

  constructor(algorithm) {
    const handle = native.digestNew(hashName(algorithm));
    const { promise, resolve, reject } = Promise.withResolvers();
    promise.catch(() => {});
    super({
      write(chunk) {
        native.digestUpdate(handle, typeof chunk === "string" ? native.utf8Encode(chunk) : bytesOf(chunk, "The chunk"));
      },
      close() {
        resolve(exact(native.digestFinal(handle)));
      },
      abort: reject,
    });
    this.#digest = promise;
  }

  get digest() {
    return this.#digest;
  }
}

const integerViews = ["Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array", "Uint32Array", "BigInt64Array", "BigUint64Array"];
const subtle = new SubtleCrypto(internal);

export class Crypto {
  constructor(token) {
    if (token !== internal) throw illegalConstructor();
  }

  get subtle() {
    return subtle;
  }

  getRandomValues(view) {
    platform.requireRequest("generating random values");
    requireArguments(arguments.length, 1, "'getRandomValues' on 'Crypto'");
    if (!ArrayBuffer.isView(view) || !integerViews.includes(view[Symbol.toStringTag]))
      throw new DOMException("The data argument must be an integer-type TypedArray.", "TypeMismatchError");
    if (view.byteLength > 65536)
      throw new DOMException(`getRandomValues() only accepts buffers of size <= 64K but provided ${view.byteLength} bytes.`, "QuotaExceededError");
    native.random(view);
    return view;
  }

  randomUUID() {
    platform.requireRequest("generating random values");
    return native.randomUUID();
  }

  get DigestStream() {
    return DigestStream;
  }
}
defineInterface(Crypto, "Crypto");

export const crypto = new Crypto(internal);
