// SPDX-License-Identifier: Apache-2.0
// node:crypto: hashes, HMAC, randomness and key derivation, over OpenSSL in C. Keys are in crypto-keys.js.

import { native } from "../native.js";
import { Buffer } from "./buffer.js";
import { codeError, invalidArgType, notImplemented, outOfRange, requireFunction } from "./errors.js";
import { asBuffer, bytesOf, hashName, later, output } from "./crypto-common.js";
import {
  KeyObject,
  Sign,
  Verify,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  createSign,
  createVerify,
  diffieHellman,
  generateKeyPair,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
  secretOf,
  sign,
  verify,
} from "./crypto-keys.js";

class Digester {
  #finished = false;

  _begin(name) {
    if (this.#finished) throw codeError(Error, "ERR_CRYPTO_HASH_FINALIZED", "Digest already called");
    if (name === "digest") this.#finished = true;
  }

  update(data, encoding) {
    this._begin("update");
    this._add(bytesOf(data, encoding, "data"));
    return this;
  }

  digest(encoding) {
    this._begin("digest");
    return output(this._finish(), encoding);
  }

  // As a stream it is written to and read once.
  write(data, encoding, callback) {
    this.update(data, encoding);
    (typeof encoding === "function" ? encoding : callback)?.();
    return true;
  }

  end(data, encoding) {
    if (data !== undefined && typeof data !== "function") this.update(data, encoding);
    return this;
  }

  read() {
    return this.digest();
  }
}

export class Hash extends Digester {
  #state;
  constructor(algorithm) {
    super();
    this.#state = native.digestNew(hashName(algorithm));
  }
  _add(bytes) {
    native.digestUpdate(this.#state, bytes);
  }
  _finish() {
    return native.digestFinal(this.#state);
  }
  copy() {
    throw notImplemented("hash.copy");
  }
}

export class Hmac extends Digester {
  #name;
  #key;
  #parts = [];
  constructor(algorithm, key) {
    super();
    this.#name = hashName(algorithm);
    this.#key = secretOf(key) ?? native.crypto.secret(bytesOf(key, "utf8", "key"));
  }
  _add(bytes) {
    this.#parts.push(Uint8Array.from(bytes));
  }
  _finish() {
    const data = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    return native.hmac(this.#name, this.#key, data);
  }
}

export const createHash = (algorithm) => new Hash(algorithm);
export const createHmac = (algorithm, key) => new Hmac(algorithm, key);
export const getHashes = () => ["RSA-MD5", "RSA-SHA1", "RSA-SHA256", "RSA-SHA384", "RSA-SHA512", "md5", "sha1", "sha256", "sha384", "sha512"];
export const getCiphers = () => [];
export const getCurves = () => ["prime256v1", "secp384r1", "secp521r1"];
export const getFips = () => 0;

export function hash(algorithm, data, encoding = "hex") {
  return output(native.digest(hashName(algorithm), bytesOf(data, "utf8", "input")), encoding);
}

export const { crypto: webcrypto } = globalThis;
export const { subtle } = webcrypto;
export const getRandomValues = (view) => webcrypto.getRandomValues(view);
export const randomUUID = () => webcrypto.randomUUID();

// In pieces: Web Crypto gives at most 65,536 bytes a call, and refuses in the global scope.
function fill(bytes) {
  for (let at = 0; at < bytes.length; at += 65536) webcrypto.getRandomValues(bytes.subarray(at, at + 65536));
  return bytes;
}

export function randomBytes(size, callback) {
  if (typeof size !== "number") throw invalidArgType("size", "number", size);
  if (!(size >= 0 && size <= 2 ** 31 - 1)) throw outOfRange("size", ">= 0 && <= 2147483647", size);
  const produce = () => asBuffer(fill(new Uint8Array(size)));
  if (callback === undefined) return produce();
  requireFunction(callback, "callback");
  return later(callback, produce);
}
export const pseudoRandomBytes = randomBytes;
export const prng = randomBytes;
export const rng = randomBytes;

export function randomFillSync(target, offset = 0, size = target.byteLength - offset) {
  const bytes = bytesOf(target, undefined, "buf");
  if (offset < 0 || offset + size > bytes.length) throw outOfRange("size + offset", `<= ${bytes.length}`, size + offset);
  fill(bytes.subarray(offset, offset + size));
  return target;
}

export function randomFill(target, ...args) {
  const callback = args.pop();
  requireFunction(callback, "callback");
  later(callback, () => randomFillSync(target, ...args));
}

// Without the bias of a remainder: draws that fall into the incomplete last range are thrown away.
export function randomInt(min, max, callback) {
  if (max === undefined || typeof max === "function") [min, max, callback] = [0, min, max];
  if (!Number.isSafeInteger(min)) throw invalidArgType("min", "a safe integer", min);
  if (!Number.isSafeInteger(max)) throw invalidArgType("max", "a safe integer", max);
  const range = max - min;
  if (range <= 0) throw outOfRange("max", `greater than the value of "min" (${min})`, max);
  if (range > 2 ** 48 - 1) throw outOfRange("max - min", `<= ${2 ** 48 - 1}`, range);
  const produce = () => {
    const limit = 2 ** 48 - (2 ** 48 % range);
    for (;;) {
      const drawn = asBuffer(fill(new Uint8Array(6))).readUIntBE(0, 6);
      if (drawn < limit) return min + (drawn % range);
    }
  };
  return callback === undefined ? produce() : later(callback, produce);
}

export function timingSafeEqual(a, b) {
  const left = bytesOf(a, undefined, "buf1");
  const right = bytesOf(b, undefined, "buf2");
  if (typeof a === "string" || typeof b === "string") throw invalidArgType("buf1", ["ArrayBuffer", "Buffer", "TypedArray", "DataView"], a);
  if (left.length !== right.length) {
    throw codeError(RangeError, "ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH", "Input buffers must have the same byte length");
  }
  return native.timingSafeEqual(left, right);
}

export function pbkdf2Sync(password, salt, iterations, bytes, digest) {
  if (typeof iterations !== "number") throw invalidArgType("iterations", "number", iterations);
  if (!(iterations >= 1 && iterations < 2 ** 31)) throw outOfRange("iterations", ">= 1 && <= 2147483647", iterations);
  const derived = native.crypto.pbkdf2(hashName(digest), bytesOf(password, "utf8", "password"), bytesOf(salt, "utf8", "salt"), iterations, bytes);
  if (derived === null) throw outOfRange("keylen", ">= 0 && <= 16777216", bytes);
  return asBuffer(derived);
}

export function pbkdf2(password, salt, iterations, bytes, digest, callback) {
  requireFunction(callback, "callback");
  later(callback, () => pbkdf2Sync(password, salt, iterations, bytes, digest));
}

export function hkdfSync(digest, key, salt, info, bytes) {
  const derived = native.crypto.hkdf(hashName(digest), bytesOf(key, "utf8", "ikm"), bytesOf(salt, "utf8", "salt"), bytesOf(info, "utf8", "info"), bytes);
  if (derived === null) throw codeError(RangeError, "ERR_CRYPTO_INVALID_KEYLEN", "Invalid key length");
  return derived.buffer;
}

export function hkdf(digest, key, salt, info, bytes, callback) {
  requireFunction(callback, "callback");
  later(callback, () => hkdfSync(digest, key, salt, info, bytes));
}

export {
  KeyObject,
  Sign,
  Verify,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  createSign,
  createVerify,
  diffieHellman,
  generateKeyPair,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
  sign,
  verify,
};

// Programs import more than they use, so what is not there fails when it is called.
function missing(name) {
  const stub = function () {
    throw notImplemented(`crypto.${name}`);
  };
  return Object.defineProperty(stub, "name", { value: name });
}

export const Certificate = missing("Certificate");
export const Cipheriv = missing("Cipheriv");
export const Decipheriv = missing("Decipheriv");
export const DiffieHellman = missing("DiffieHellman");
export const DiffieHellmanGroup = missing("DiffieHellmanGroup");
export const ECDH = missing("ECDH");
export const X509Certificate = missing("X509Certificate");
export const checkPrime = missing("checkPrime");
export const checkPrimeSync = missing("checkPrimeSync");
export const createCipheriv = missing("createCipheriv");
export const createDecipheriv = missing("createDecipheriv");
export const createDiffieHellman = missing("createDiffieHellman");
export const createDiffieHellmanGroup = missing("createDiffieHellmanGroup");
export const createECDH = missing("createECDH");
export const generateKey = missing("generateKey");
export const generateKeySync = missing("generateKeySync");
export const generatePrime = missing("generatePrime");
export const generatePrimeSync = missing("generatePrimeSync");
export const getCipherInfo = missing("getCipherInfo");
export const getDiffieHellman = missing("getDiffieHellman");
export const privateEncrypt = missing("privateEncrypt");
export const publicDecrypt = missing("publicDecrypt");
export const scrypt = missing("scrypt");
export const scryptSync = missing("scryptSync");
export const secureHeapUsed = missing("secureHeapUsed");
export const setEngine = missing("setEngine");
export const setFips = missing("setFips");
export const constants = {
  RSA_PKCS1_PADDING: 1,
  RSA_NO_PADDING: 3,
  RSA_PKCS1_OAEP_PADDING: 4,
  RSA_PKCS1_PSS_PADDING: 6,
  RSA_PSS_SALTLEN_DIGEST: -1,
  RSA_PSS_SALTLEN_MAX_SIGN: -2,
  RSA_PSS_SALTLEN_AUTO: -2,
};

export default {
  Certificate,
  Cipheriv,
  Decipheriv,
  DiffieHellman,
  DiffieHellmanGroup,
  ECDH,
  Hash,
  Hmac,
  KeyObject,
  Sign,
  Verify,
  X509Certificate,
  checkPrime,
  checkPrimeSync,
  constants,
  createCipheriv,
  createDecipheriv,
  createDiffieHellman,
  createDiffieHellmanGroup,
  createECDH,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  createSign,
  createVerify,
  diffieHellman,
  generateKey,
  generateKeyPair,
  generateKeyPairSync,
  generateKeySync,
  generatePrime,
  generatePrimeSync,
  getCipherInfo,
  getCiphers,
  getCurves,
  getDiffieHellman,
  getFips,
  getHashes,
  getRandomValues,
  hash,
  hkdf,
  hkdfSync,
  pbkdf2,
  pbkdf2Sync,
  privateDecrypt,
  privateEncrypt,
  prng,
  pseudoRandomBytes,
  publicDecrypt,
  publicEncrypt,
  randomBytes,
  randomFill,
  randomFillSync,
  randomInt,
  randomUUID,
  rng,
  scrypt,
  scryptSync,
  secureHeapUsed,
  setEngine,
  setFips,
  sign,
  subtle,
  timingSafeEqual,
  verify,
  webcrypto,
};
