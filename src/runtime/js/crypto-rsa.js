// SPDX-License-Identifier: Apache-2.0
// RSASSA-PKCS1-v1_5, RSA-PSS, RSA-OAEP, and RSA-RAW, which is Cloudflare's: the bare private operation.
// https://w3c.github.io/webcrypto/#rsassa-pkcs1 and what follows there.

import { Uint8Array } from "./primordials.js";
import { native } from "./native.js";
import { bytesOf } from "./webidl.js";
import {
  bytesParameter,
  checkPairUsages,
  dataError,
  digestBytes,
  exact,
  exportAsymmetric,
  hashParameter,
  importAsymmetric,
  integerParameter,
  invalidAccess,
  jwkHash,
  makeKey,
  makePair,
  notSupported,
  operationError,
  optionalInteger,
  requirePrivateUsages,
} from "./crypto-key.js";
import { TypeError } from "./primordials.js";

const jwkAlgorithms = { __proto__: null };
for (const [prefix, hashes] of [["RS", ["1", "256", "384", "512"]], ["PS", ["1", "256", "384", "512"]], ["RSA-OAEP-", ["256", "384", "512"]]])
  for (const hash of hashes) jwkAlgorithms[prefix + hash] = `SHA-${hash}`;
jwkAlgorithms["RSA-OAEP"] = "SHA-1";

// Also in workerd an RS256 key can be imported for RSA-PSS: only the hash is compared.
function checkJwk(jwk, name, hash) {
  if (jwk.kty !== "RSA") throw dataError(`${name} "jwk" key import requires a JSON Web Key with Key Type parameter "kty" ("${jwk.kty}") equal to "RSA".`);
  if (jwk.alg !== undefined) {
    const named = jwkAlgorithms[jwk.alg];
    if (named === undefined) throw notSupported(`Unrecognized or unimplemented algorithm "${jwk.alg}" listed in JSON Web Key Algorithm parameter.`);
    if (hash !== undefined && named !== hash) throw dataError(`JSON Web Key Algorithm parameter "alg" ("${jwk.alg}") does not match requested hash algorithm "${hash}".`);
  }
  return "RSA";
}

const numberOf = (bytes) => bytes.reduce((number, byte) => number * 256 + byte, 0);

function checkModulus(bits) {
  if (bits % 8 !== 0 || bits < 256 || bits > 16384)
    throw operationError(`The modulus length must be a multiple of 8 and between 256 and 16k, but ${bits} was requested.`);
}

const importedExponents = [3, 17, 37, 65537]; // workerd's

function describe() {
  const { name, bits, exponent, hash } = this;
  const described = { name, modulusLength: bits, publicExponent: exponent.slice() };
  if (hash !== undefined) described.hash = { name: hash };
  return described;
}

function importRsa(name, hash, rules, format, data, extractable, usages) {
  const imported = importAsymmetric(format, data, name, extractable, usages, { ...rules, checkJwk: (jwk) => checkJwk(jwk, name, hash) });
  const { material } = imported;
  if (native.crypto.keyKind(material) !== "RSA") throw dataError("Input was not an RSA key.");
  const bits = Math.ceil(native.crypto.keyBits(material) / 8) * 8, exponent = native.crypto.keyPart(material, 1);
  checkModulus(bits);
  if (!importedExponents.includes(numberOf(exponent))) throw operationError(`Imported RSA key has invalid publicExponent ${numberOf(exponent)}.`);
  return makeKey({ ...imported, name, extractable, describe, bits, exponent, hash });
}

function generateRsa(name, rules, params, extractable, usages) {
  const exponent = Uint8Array.from(bytesParameter(params, "publicExponent")), hash = hashParameter(params);
  const bits = integerParameter(params, "modulusLength"), exponentNumber = numberOf(exponent);
  if (bits <= 0) throw operationError(`modulusLength must be greater than zero (requested ${bits}).`);
  const { publicUsages, privateUsages } = checkPairUsages(name, usages, rules.usages);
  checkModulus(bits);
  if (exponentNumber !== 3 && exponentNumber !== 65537) throw operationError(`The "publicExponent" must be either 3 or 65537, but got ${exponentNumber}.`);
  if (bits % 128 !== 0) throw operationError("Can't generate key: RSA key size is required to be a multiple of 128");
  requirePrivateUsages(privateUsages);
  const material = native.crypto.keyGenerate("RSA", bits, exponent);
  return makePair(material, extractable, publicUsages, privateUsages, { name, describe, bits, exponent, hash });
}

function makeAlgorithm(name, rules, jwkAlgorithm, operations) {
  return {
    name,
    importKey: (format, data, params, extractable, usages) => importRsa(name, hashParameter(params), rules, format, data, extractable, usages),
    generateKey: (params, extractable, usages) => generateRsa(name, rules, params, extractable, usages),
    exportKey: (record, format) => exportAsymmetric(record, format, "RSA", format === "jwk" ? jwkAlgorithm(record.hash) : undefined),
    ...operations,
  };
}

// ---- signatures ----

const forSigning = { usages: ["sign", "verify"], use: "sig", operations: ["sign", "verify"] };

function sign(record, scheme, saltBytes, data) {
  const signature = native.crypto.keySign(record.material, scheme, record.hash, saltBytes, bytesOf(data, "data"));
  if (signature === null) throw operationError(`${record.name} signing failed.`);
  return exact(signature);
}

function verify(record, scheme, saltBytes, signature, data) {
  const valid = native.crypto.keyVerify(record.material, scheme, record.hash, saltBytes, bytesOf(signature, "signature"), bytesOf(data, "data"));
  if (valid === null) throw operationError(`${record.name} verification failed.`);
  return valid;
}

const tooSmall = (text) => operationError(`key too small for signing with given digest${text}`);

export const rsaPkcs1 = makeAlgorithm("RSASSA-PKCS1-v1_5", forSigning, (hash) => `RS${jwkHash(hash)}`, {
  sign(record, params, data) {
    const bytes = digestBytes[record.hash] + 32;
    if (bytes > record.bits / 8) throw tooSmall(`, need at least ${8 * bytes}bits.`);
    return sign(record, "PKCS1", 0, data);
  },
  verify: (record, params, signature, data) => verify(record, "PKCS1", 0, signature, data),
});

const noSalt = "Failed to provide salt for RSA-PSS key operation which requires a salt";
const negativeSalt = (bytes) => dataError(`SaltLength for RSA-PSS must be non-negative (provided ${bytes}).`);

export const rsaPss = makeAlgorithm("RSA-PSS", forSigning, (hash) => `PS${jwkHash(hash)}`, {
  // Without a salt's length: DataError here and TypeError below, as in workerd; the standard has TypeError for both.
  sign(record, params, data) {
    const saltBytes = optionalInteger(params, "saltLength"), room = record.bits / 8 - digestBytes[record.hash] - 2;
    if (saltBytes === undefined) throw dataError(noSalt);
    if (saltBytes < 0) throw negativeSalt(saltBytes);
    if (room < 0) throw tooSmall("");
    if (saltBytes > room) throw tooSmall(" and salt length");
    return sign(record, "PSS", saltBytes, data);
  },
  verify(record, params, signature, data) {
    const saltBytes = optionalInteger(params, "saltLength");
    if (saltBytes === undefined) throw new TypeError(noSalt);
    if (saltBytes < 0) throw negativeSalt(saltBytes);
    // No signature of this key has so long a salt.
    if (saltBytes > record.bits / 8) return false;
    return verify(record, "PSS", saltBytes, signature, data);
  },
});

// RSA-RAW's data is what was signed already: a number below the modulus, of its length.
export const rsaRaw = {
  name: "RSA-RAW",
  importKey(format, data, params, extractable, usages) {
    const key = importRsa("RSA-RAW", undefined, forSigning, format, data, extractable, usages);
    if (key.type !== "private") throw dataError(`RSA-RAW only supports private keys but requested "${key.type}".`);
    return key;
  },
  exportKey(record, format) {
    if (format === "jwk") throw notSupported('JWK export is not supported for "RSA-RAW".');
    return exportAsymmetric(record, format, "RSA");
  },
  sign(record, params, data) {
    const bytes = bytesOf(data, "data"), size = record.bits / 8;
    if (bytes.length > size) throw dataError(`Blind Signing requires presigned data (${bytes.length} bytes) to be smaller than the key (${size} bytes).`);
    const signature = native.crypto.keyCrypt(record.material, false, "raw", undefined, bytes);
    if (signature === null) throw bytes.length === size ? dataError("Blind Signing requires presigned data value to be strictly smaller than RSA key modulus.") : operationError("RSA-RAW signing failed.");
    return exact(signature);
  },
};

// ---- encryption ----

function crypt(record, params, encrypt, data) {
  const label = params.label === undefined ? undefined : bytesOf(params.label, "label");
  const output = native.crypto.keyCrypt(record.material, encrypt, record.hash, label, bytesOf(data, "data"));
  if (output === null) throw operationError("RSA-OAEP failed encrypt/decrypt.");
  return exact(output);
}

const forEncryption = { usages: ["encrypt", "decrypt", "wrapKey", "unwrapKey"], use: "enc", operations: ["encrypt", "wrapKey"] };
const oaepName = (hash) => (hash === "SHA-1" ? "RSA-OAEP" : `RSA-OAEP-${jwkHash(hash)}`);

export const rsaOaep = makeAlgorithm("RSA-OAEP", forEncryption, oaepName, {
  encrypt(record, params, data) {
    if (record.type !== "public") throw invalidAccess(`Encryption/key wrapping only works with public keys, not "${record.type}".`);
    return crypt(record, params, true, data);
  },
  decrypt(record, params, data) {
    if (record.type !== "private") throw invalidAccess(`Decryption/key unwrapping only works with private keys, not "${record.type}".`);
    return crypt(record, params, false, data);
  },
});
