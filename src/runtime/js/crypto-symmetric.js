// SPDX-License-Identifier: Apache-2.0
// HMAC, AES, PBKDF2, HKDF. https://w3c.github.io/webcrypto/#aes-ctr and what follows there. Their keys are bytes,
// kept by C (`material`) and wiped with the object.

import { Uint8Array } from "./primordials.js";
import { native } from "./native.js";
import { bytesOf } from "./webidl.js";
import {
  blockBytes,
  bytesParameter,
  checkKeyOps,
  checkUsages,
  dataError,
  exact,
  fromBase64Url,
  hashParameter,
  integerParameter,
  jwkHash,
  makeKey,
  notSupported,
  operationError,
  optionalInteger,
  syntaxError,
  toBase64Url,
  wipe,
  writeJwk,
} from "./crypto-key.js";
import { TypeError } from "./primordials.js";

const keep = (bytes) => native.crypto.secret(bytes);
const bytesOfSecret = (record) => native.crypto.secretBytes(record.material);

function keepRandom(bits) {
  const bytes = new Uint8Array(Math.ceil(bits / 8));
  native.random(bytes);
  return keepBits(bytes, bits);
}

// Bits of the last byte that are no part of the key are zero.
function keepBits(bytes, bits) {
  if (bits % 8 !== 0) bytes[bytes.length - 1] &= 0xff00 >> (bits % 8);
  const kept = keep(bytes);
  wipe([bytes]);
  return kept;
}

// → a copy that is ours to change
function importedBytes(format, data, name) {
  if (format === "raw") return Uint8Array.from(data);
  if (format !== "jwk") throw notSupported(`Unrecognized key import format "${format}" for "${name}".`);
  if (data.kty !== "oct") throw dataError(`Symmetric "jwk" key import requires a JSON Web Key with Key Type parameter "kty" equal to "oct" (encountered "${data.kty}").`);
  // A key of no bytes is refused by those that take it, with a word about its length.
  if (data.k === "") return new Uint8Array(0);
  return fromBase64Url(data.k, 'Symmetric "jwk" key import requires a base64Url encoding of the key.');
}

function checkAlg(jwk, expected) {
  if (jwk.alg !== undefined && jwk.alg !== expected) throw dataError(`Symmetric "jwk" key contains invalid "alg" value "${jwk.alg}", expected "${expected}".`);
}

function exportSecret(record, format, alg) {
  if (format !== "raw" && format !== "jwk") throw notSupported(`${record.name} key only supports exporting "raw" & "jwk", not "${format}".`);
  const bytes = bytesOfSecret(record);
  if (format === "raw") return bytes.buffer;
  const jwk = writeJwk("oct", alg(), record.usages, { k: toBase64Url(bytes) });
  wipe([bytes]);
  return jwk;
}

// ---- HMAC ----

const hmacUsages = ["sign", "verify"];

function describeHmac() {
  return { name: "HMAC", hash: { name: this.hash }, length: this.bits };
}

const makeHmac = (material, bits, hash, extractable, usages) =>
  makeKey({ type: "secret", name: "HMAC", extractable, usages, describe: describeHmac, material, bits, hash });

export const hmac = {
  name: "HMAC",
  importKey(format, data, params, extractable, usages) {
    const checked = checkUsages("import secret", "HMAC", usages, hmacUsages), hash = hashParameter(params);
    const bytes = importedBytes(format, data, "HMAC");
    if (format === "jwk" && data.alg !== undefined) checkAlg(data, `HS${jwkHash(hash)}`);
    const size = bytes.length * 8, bits = optionalInteger(params, "length") ?? size;
    if (bits === 0 || bits > size || bits <= size - 8)
      throw dataError(`Imported HMAC key length (${bits}) must be a non-zero value up to 7 bits less than, and no greater than, the bit length of the raw key data (${size}).`);
    return makeHmac(keepBits(bytes, bits), bits, hash, extractable, checked);
  },
  generateKey(params, extractable, usages) {
    const hash = hashParameter(params), checked = checkUsages("generate", "HMAC", usages, hmacUsages);
    const bits = optionalInteger(params, "length") ?? blockBytes(hash) * 8;
    if (!(bits > 0 && bits < 1 << 20)) throw operationError(`HMAC key length must be a non-zero unsigned long integer (requested ${bits}).`);
    return makeHmac(keepRandom(bits), bits, hash, extractable, checked);
  },
  exportKey: (record, format) => exportSecret(record, format, () => `HS${jwkHash(record.hash)}`),
  sign: (record, params, data) => exact(native.hmac(record.hash, record.material, bytesOf(data, "data"))),
  verify(record, params, signature, data) {
    const expected = native.hmac(record.hash, record.material, bytesOf(data, "data"));
    return native.timingSafeEqual(expected, bytesOf(signature, "signature"));
  },
};

// ---- AES ----

const aesBits = [128, 192, 256];

function describeAes() {
  return { name: this.name, length: this.bits };
}

function run(name, mode, encrypt, record, iv, data, extra, number) {
  const output = native.crypto.aes(mode, encrypt, record.material, iv, bytesOf(data, "data"), extra, number);
  if (output === null)
    throw operationError(
      encrypt
        ? `${name} encryption failed.`
        : "Decryption failed. This could be due to a ciphertext authentication failure, bad padding, incorrect CryptoKey, or another algorithm-specific reason.",
    );
  return exact(output);
}

function makeAes(name, usages, operations) {
  const make = (material, bits, extractable, checked) => makeKey({ type: "secret", name, extractable, usages: checked, describe: describeAes, material, bits });
  return {
    name,
    importKey(format, data, params, extractable, wanted) {
      const checked = checkUsages("import secret", name, wanted, usages), bytes = importedBytes(format, data, name), bits = bytes.length * 8;
      if (!aesBits.includes(bits)) throw dataError(`Imported AES key length must be 128, 192, or 256 bits but provided ${bits}.`);
      if (format === "jwk") {
        checkAlg(data, `A${bits}${name.slice(4)}`);
        if (wanted.length > 0 && data.use !== undefined && data.use !== "enc") throw dataError(`Symmetric "jwk" key must have a "use" of "enc", not "${data.use}".`);
        checkKeyOps(data, wanted);
      }
      return make(keepBits(bytes, bits), bits, extractable, checked);
    },
    generateKey(params, extractable, wanted) {
      const checked = checkUsages("generate", name, wanted, usages), bits = integerParameter(params, "length");
      if (!aesBits.includes(bits)) throw operationError(`Generated AES key length must be 128, 192, or 256 bits but requested ${bits}.`);
      return make(keepRandom(bits), bits, extractable, checked);
    },
    exportKey: (record, format) => exportSecret(record, format, () => `A${record.bits}${name.slice(4)}`),
    ...operations,
  };
}

const makeCipher = (name, crypt) =>
  makeAes(name, ["encrypt", "decrypt", "wrapKey", "unwrapKey"], {
    encrypt: (record, params, data) => crypt(record, params, true, data),
    decrypt: (record, params, data) => crypt(record, params, false, data),
  });

export const aesCbc = makeCipher("AES-CBC", (record, params, encrypt, data) => {
  const iv = bytesParameter(params, "iv");
  if (iv.length !== 16) throw operationError(`AES-CBC IV must be 16 bytes long (provided ${iv.length} bytes).`);
  return run("AES-CBC", "CBC", encrypt, record, iv, data);
});

export const aesCtr = makeCipher("AES-CTR", (record, params, encrypt, data) => {
  const counter = bytesParameter(params, "counter"), bits = integerParameter(params, "length");
  if (counter.length !== 16 || !(bits >= 1 && bits <= 128)) throw operationError("AES-CTR counter must have 16 bytes, and its length 1 to 128 bits.");
  return run("AES-CTR", "CTR", encrypt, record, counter, data, undefined, bits);
});

const tagBits = [32, 64, 96, 104, 112, 120, 128];

export const aesGcm = makeCipher("AES-GCM", (record, params, encrypt, data) => {
  const iv = bytesParameter(params, "iv");
  if (iv.length === 0) throw operationError("AES-GCM IV must not be empty.");
  const bits = optionalInteger(params, "tagLength") ?? 128;
  if (!tagBits.includes(bits)) throw operationError(`Invalid AES-GCM tag length ${bits}.`);
  const extra = params.additionalData === undefined ? undefined : bytesOf(params.additionalData, "additionalData");
  return run("AES-GCM", "GCM", encrypt, record, iv, data, extra, bits / 8);
});

// RFC 3394. What is wrapped is not padded: also in workerd most JSON Web Keys are too odd for it.
function wrap(encrypt, record, data) {
  const bytes = bytesOf(data, "data"), least = encrypt ? 16 : 24;
  if (bytes.length % 8 !== 0 || bytes.length < least)
    throw operationError(`AES-KW takes a key whose length is a multiple of 64 bits and at least ${least * 8} (provided ${bytes.length * 8}).`);
  const output = native.crypto.aes("WRAP", encrypt, record.material, undefined, bytes);
  if (output === null) throw operationError(`AES-KW key ${encrypt ? "" : "un"}wrapping failed.`);
  return exact(output);
}

export const aesKw = makeAes("AES-KW", ["wrapKey", "unwrapKey"], {
  wrapKey: (record, params, data) => wrap(true, record, data),
  unwrapKey: (record, params, data) => wrap(false, record, data),
});

// ---- derivation ----

function describeName() {
  return { name: this.name };
}

function makeDerivation(name, derive) {
  return {
    name,
    importKey(format, data, params, extractable, usages) {
      const checked = checkUsages("import secret", name, usages, ["deriveKey", "deriveBits"]);
      if (extractable) throw syntaxError(`${name} key cannot be extractable.`);
      if (format !== "raw") throw notSupported(`${name} key must be imported in "raw" format (requested "${format}")`);
      return makeKey({ type: "secret", name, extractable, usages: checked, describe: describeName, material: keep(data) });
    },
    deriveBits(record, params, bits) {
      const hash = hashParameter(params), salt = bytesParameter(params, "salt");
      return derive(record, params, bits, hash, salt).buffer;
    },
  };
}

function checkBits(name, bits) {
  if (bits === undefined) throw operationError(`${name} cannot derive a key with null length.`);
  if (bits % 8 !== 0) throw operationError(`${name} requires a derived key length that is a multiple of eight (requested ${bits}).`);
}

const iterationsMax = 100000; // Cloudflare's

export const pbkdf2 = makeDerivation("PBKDF2", (record, params, bits, hash, salt) => {
  const iterations = integerParameter(params, "iterations");
  checkBits("PBKDF2", bits);
  if (iterations <= 0) throw operationError(`PBKDF2 requires a positive iteration count (requested ${iterations}).`);
  if (iterations > iterationsMax) throw notSupported(`Pbkdf2 failed: iteration counts above ${iterationsMax} are not supported (requested ${iterations}).`);
  const derived = native.crypto.pbkdf2(hash, record.material, salt, iterations, bits / 8);
  if (derived === null) throw operationError("Pbkdf2 failed: derived key length exceeds maximum for this hash");
  return derived;
});

export const hkdf = makeDerivation("HKDF", (record, params, bits, hash, salt) => {
  const info = bytesParameter(params, "info");
  checkBits("HKDF", bits);
  const derived = native.crypto.hkdf(hash, record.material, salt, info, bits / 8);
  if (derived === null) throw operationError("HKDF deriveBits failed.");
  return derived;
});

// "get key length": how many bits deriveKey() asks for. undefined: as many as there are.
export function keyBits({ name, key, params }) {
  const where = "derivedKeyParams";
  if (key === "PBKDF2" || key === "HKDF") return undefined;
  if (key === "HMAC") {
    const bits = optionalInteger(params, "length");
    if (bits !== undefined && bits <= 0) throw new TypeError("HMAC key length must be a non-zero unsigned long integer.");
    return bits ?? blockBytes(hashParameter(params, where)) * 8;
  }
  if (key !== "AES-CTR" && key !== "AES-CBC" && key !== "AES-GCM" && key !== "AES-KW") throw notSupported(`Unrecognized derived key type "${name}" requested.`);
  const bits = integerParameter(params, "length", where);
  if (!aesBits.includes(bits)) throw operationError(`Derived AES key must be 128, 192, or 256 bits in length but provided ${bits}.`);
  return bits;
}
