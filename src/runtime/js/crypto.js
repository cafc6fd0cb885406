// SPDX-License-Identifier: Apache-2.0
// https://w3c.github.io/webcrypto/ : randomness, digests, and what one may ask of keys. The algorithms, each an object
// with the operations that it has, are in crypto-symmetric.js, crypto-rsa.js and crypto-ec.js; OpenSSL computes.
// Everything is done before the call returns, as in workerd, so that the inputs need not be copied.

import { JSONParse, JSONStringify, StringToUpperCase, TypeError, TypedArraySet, Uint8Array } from "./primordials.js";
import { native, platform } from "./native.js";
import { DOMException } from "./dom-exception.js";
import { WritableStream } from "./streams.js";
import { bytesOf, defineInterface, illegalConstructor, isBufferSource, requireArguments, toDOMString, toIntegerEnforced } from "./webidl.js";
import { CryptoKey, dataError, exact, hashName, invalidAccess, normalize, notSupported, readJwk, recordOf, syntaxError, usagesOf } from "./crypto-key.js";
import { aesCbc, aesCtr, aesGcm, aesKw, hkdf, hmac, keyBits, pbkdf2 } from "./crypto-symmetric.js";
import { rsaOaep, rsaPkcs1, rsaPss, rsaRaw } from "./crypto-rsa.js";
import { ecdh, ecdsa, ed25519, nodeEd25519, x25519 } from "./crypto-ec.js";

export { CryptoKey };

const internal = Symbol("internal");

const algorithms = { __proto__: null };
for (const algorithm of [
  hmac, aesCtr, aesCbc, aesGcm, aesKw, pbkdf2, hkdf,
  rsaPkcs1, rsaPss, rsaOaep, rsaRaw,
  ecdsa, ecdh, ed25519, nodeEd25519, x25519,
])
  algorithms[algorithm.name.toUpperCase()] = algorithm;

const algorithmOf = (record) => algorithms[StringToUpperCase.call(record.name)];

// → the key's record, when it may be used so
function checkedKey(key, { name, key: wanted }, usage) {
  const record = recordOf(key);
  if (wanted !== StringToUpperCase.call(record.name))
    throw invalidAccess(`Requested algorithm "${name}" does not match this CryptoKey's algorithm "${record.name}".`);
  if (!record.usages.includes(usage)) throw invalidAccess(`Requested key usage "${usage}" does not match any usage listed in this CryptoKey.`);
  return record;
}

function operationOf(record, operation) {
  const algorithm = algorithmOf(record);
  if (algorithm[operation] === undefined) throw notSupported(`The ${operation} operation is not implemented for "${record.name}".`);
  return algorithm[operation];
}

// The checks that importKey, deriveKey and unwrapKey share. jwk: of readJwk.
function importChecked(format, data, wanted, extractable, usages) {
  if (format === "jwk" && data.ext === false && extractable) throw dataError(`JWK ext field for "${wanted.name}" is set to false but extractable is true`);
  const algorithm = algorithms[wanted.key];
  if (algorithm === undefined) throw notSupported(`Unrecognized key import algorithm "${wanted.name}" requested.`);
  const key = algorithm.importKey(format, data, wanted.params, extractable, usages), { type, usages: kept } = recordOf(key);
  if (kept.length === 0 && type !== "public") throw syntaxError("Secret/private CryptoKeys must have at least one usage.");
  return key;
}

function exportChecked(format, record) {
  if (!record.extractable) throw invalidAccess(`Attempt to export non-extractable ${record.name} key.`);
  return operationOf(record, "exportKey")(record, format);
}

export class SubtleCrypto {
  constructor(token) {
    if (token !== internal) throw illegalConstructor();
  }

  async digest(algorithm, data) {
    requireArguments(arguments.length, 2, "'digest' on 'SubtleCrypto'");
    return exact(native.digest(hashName(algorithm), bytesOf(data, "data")));
  }

  async importKey(format, keyData, algorithm, extractable, keyUsages) {
    requireArguments(arguments.length, 5, "'importKey' on 'SubtleCrypto'");
    const form = toDOMString(format), wanted = normalize(algorithm), usages = usagesOf(keyUsages);
    let data;
    if (form === "raw" || form === "pkcs8" || form === "spki") {
      if (!isBufferSource(keyData)) throw new TypeError('Import data provided for "raw", "pkcs8", or "spki" import formats must be a buffer source.');
      data = bytesOf(keyData, "keyData");
    } else if (form === "jwk") {
      data = readJwk(keyData);
      if (data === undefined) throw new TypeError('Import data provided for "jwk" import format must be a JsonWebKey.');
    } else {
      throw notSupported(`Unrecognized key import format "${form}".`);
    }
    return importChecked(form, data, wanted, !!extractable, usages);
  }

  async exportKey(format, key) {
    requireArguments(arguments.length, 2, "'exportKey' on 'SubtleCrypto'");
    return exportChecked(toDOMString(format), recordOf(key));
  }

  async generateKey(algorithm, extractable, keyUsages) {
    requireArguments(arguments.length, 3, "'generateKey' on 'SubtleCrypto'");
    platform.requireRequest("generating random values");
    const wanted = normalize(algorithm), usages = usagesOf(keyUsages), generator = algorithms[wanted.key];
    if (generator?.generateKey === undefined) throw notSupported(`Unrecognized key generation algorithm "${wanted.name}" requested.`);
    const made = generator.generateKey(wanted.params, !!extractable, usages);
    if (usages.length === 0) throw syntaxError("Secret/private CryptoKeys must have at least one usage.");
    return made;
  }

  async sign(algorithm, key, data) {
    requireArguments(arguments.length, 3, "'sign' on 'SubtleCrypto'");
    const wanted = normalize(algorithm), record = checkedKey(key, wanted, "sign");
    return operationOf(record, "sign")(record, wanted.params, data);
  }

  async verify(algorithm, key, signature, data) {
    requireArguments(arguments.length, 4, "'verify' on 'SubtleCrypto'");
    const wanted = normalize(algorithm), record = checkedKey(key, wanted, "verify");
    return operationOf(record, "verify")(record, wanted.params, signature, data);
  }

  async encrypt(algorithm, key, data) {
    requireArguments(arguments.length, 3, "'encrypt' on 'SubtleCrypto'");
    const wanted = normalize(algorithm), record = checkedKey(key, wanted, "encrypt");
    return operationOf(record, "encrypt")(record, wanted.params, data);
  }

  async decrypt(algorithm, key, data) {
    requireArguments(arguments.length, 3, "'decrypt' on 'SubtleCrypto'");
    const wanted = normalize(algorithm), record = checkedKey(key, wanted, "decrypt");
    return operationOf(record, "decrypt")(record, wanted.params, data);
  }

  async deriveBits(algorithm, key, length) {
    requireArguments(arguments.length, 2, "'deriveBits' on 'SubtleCrypto'");
    const wanted = normalize(algorithm);
    const bits = length === undefined || length === null ? undefined : toIntegerEnforced(length, -2147483648, 2147483647, "deriveBits length");
    if (bits < 0) throw new TypeError("deriveBits length must be an unsigned long integer.");
    const record = checkedKey(key, wanted, "deriveBits");
    return operationOf(record, "deriveBits")(record, wanted.params, bits);
  }

  async deriveKey(algorithm, key, derivedType, extractable, keyUsages) {
    requireArguments(arguments.length, 5, "'deriveKey' on 'SubtleCrypto'");
    const wanted = normalize(algorithm), made = normalize(derivedType), usages = usagesOf(keyUsages);
    const record = checkedKey(key, wanted, "deriveKey");
    const secret = operationOf(record, "deriveBits")(record, wanted.params, keyBits(made));
    return importChecked("raw", bytesOf(secret, "secret"), made, !!extractable, usages);
  }

  // Algorithms that encrypt wrap by encrypting.
  async wrapKey(format, key, wrappingKey, wrapAlgorithm) {
    requireArguments(arguments.length, 4, "'wrapKey' on 'SubtleCrypto'");
    const form = toDOMString(format), wanted = normalize(wrapAlgorithm), record = checkedKey(wrappingKey, wanted, "wrapKey");
    const exported = exportChecked(form, recordOf(key));
    const bytes = form === "jwk" ? native.utf8Encode(JSONStringify(exported)) : exported;
    const wrap = algorithmOf(record).wrapKey ?? operationOf(record, "encrypt");
    return wrap(record, wanted.params, bytes);
  }

  async unwrapKey(format, wrappedKey, unwrappingKey, unwrapAlgorithm, unwrappedType, extractable, keyUsages) {
    requireArguments(arguments.length, 7, "'unwrapKey' on 'SubtleCrypto'");
    const form = toDOMString(format), wanted = normalize(unwrapAlgorithm), made = normalize(unwrappedType), usages = usagesOf(keyUsages);
    const record = checkedKey(unwrappingKey, wanted, "unwrapKey");
    const unwrap = algorithmOf(record).unwrapKey ?? operationOf(record, "decrypt");
    const bytes = bytesOf(unwrap(record, wanted.params, wrappedKey), "key");
    if (form !== "jwk" && form !== "raw" && form !== "pkcs8" && form !== "spki") throw notSupported(`Unrecognized key import format "${form}".`);
    const data = form === "jwk" ? readJwk(JSONParse(native.utf8Decode(bytes, false, true))) : bytes;
    if (data === undefined) throw dataError('Missing "kty" field or corrupt JSON unwrapping key?');
    return importChecked(form, data, made, !!extractable, usages);
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
    if (!native.random(view)) {
      // WebAssembly's memory, which C cannot write to.
      const bytes = new Uint8Array(view.byteLength);
      native.random(bytes);
      TypedArraySet.call(bytesOf(view), bytes);
    }
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
