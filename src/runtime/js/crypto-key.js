// SPDX-License-Identifier: Apache-2.0
// https://w3c.github.io/webcrypto/#cryptokey-interface, and what all algorithms share: their errors, the reading of
// their parameters, usages, JSON Web Keys (RFC 7517). The names of errors and the order of the checks are workerd's,
// which are the standard's but where a comment says otherwise.

import {
  ArrayBufferIsView,
  ArrayPush,
  StringToUpperCase,
  TypeError,
  TypedArrayFill,
  Uint8Array,
} from "./primordials.js";
import { native } from "./native.js";
import { DOMException } from "./dom-exception.js";
import { bytesOf, defineInterface, illegalConstructor, isArrayBuffer, isObject, toDOMString, toIntegerEnforced, toSequence } from "./webidl.js";

export const notSupported = (text) => new DOMException(text, "NotSupportedError");
export const invalidAccess = (text) => new DOMException(text, "InvalidAccessError");
export const syntaxError = (text) => new DOMException(text, "SyntaxError");
export const dataError = (text) => new DOMException(text, "DataError");
export const operationError = (text) => new DOMException(text, "OperationError");

// ---- parameters ----

// Bytes of a block: what an HMAC key has by default.
const hashes = { __proto__: null, "SHA-1": 64, "SHA-256": 64, "SHA-384": 128, "SHA-512": 128, MD5: 64 };
export const blockBytes = (hash) => hashes[hash];
export const digestBytes = { __proto__: null, "SHA-1": 20, "SHA-256": 32, "SHA-384": 48, "SHA-512": 64, MD5: 16 };

const noParameters = Object.freeze({ __proto__: null });

// → {name: as it was given, key: for lookups, params}. An object without a name is a string as in workerd, and no
// algorithm is called "[object Object]"; the standard has a TypeError.
export function normalize(algorithm) {
  if (algorithm === undefined || algorithm === null) throw new TypeError("The algorithm is missing.");
  const name = isObject(algorithm) ? algorithm.name : undefined;
  const text = toDOMString(name === undefined ? algorithm : name);
  return { name: text, key: StringToUpperCase.call(text), params: name === undefined ? noParameters : algorithm };
}

export function hashName(hash) {
  const { name, key } = normalize(hash);
  if (hashes[key] === undefined) throw notSupported(`Unrecognized or unimplemented digest algorithm "${name}" requested.`);
  return key;
}

const missing = (field, where = "algorithm") => new TypeError(`Missing field "${field}" in "${where}".`);

export function hashParameter(params, where) {
  const { hash } = params;
  if (hash === undefined) throw missing("hash", where);
  return hashName(hash);
}

export function bytesParameter(params, field, where) {
  const value = params[field];
  if (value === undefined) throw missing(field, where);
  return bytesOf(value, field);
}

export const optionalInteger = (params, field) => {
  const value = params[field];
  return value === undefined ? undefined : toIntegerEnforced(value, -2147483648, 2147483647, field);
};

export function integerParameter(params, field, where) {
  const value = optionalInteger(params, field);
  if (value === undefined) throw missing(field, where);
  return value;
}

export function textParameter(params, field, where) {
  const value = params[field];
  if (value === undefined) throw missing(field, where);
  return toDOMString(value);
}

// ---- keys ----

const internal = Symbol("internal");
let recordOf;

// A record: type, extractable, name, usages, describe() → the algorithm as it is shown, material (C's object), and
// what its algorithm adds.
export class CryptoKey {
  #record;
  #algorithm;
  #usages;

  constructor(token, record) {
    if (token !== internal) throw illegalConstructor();
    this.#record = record;
  }

  get type() {
    return this.#record.type;
  }

  get extractable() {
    return this.#record.extractable;
  }

  // Shown are copies: what a worker writes to them changes no key.
  get algorithm() {
    return (this.#algorithm ??= this.#record.describe());
  }

  get usages() {
    return (this.#usages ??= this.#record.usages.slice());
  }

  static {
    recordOf = (key) => {
      if (!isObject(key) || !(#record in key)) throw new TypeError("The argument is not a CryptoKey.");
      return key.#record;
    };
  }
}
defineInterface(CryptoKey, "CryptoKey");

export const isCryptoKey = (value) => {
  try {
    recordOf(value);
    return true;
  } catch {
    return false;
  }
};
export const makeKey = (record) => new CryptoKey(internal, record);
export { recordOf };

// ---- usages ----

const usageOrder = ["encrypt", "decrypt", "sign", "verify", "deriveKey", "deriveBits", "wrapKey", "unwrapKey"];
const publicUsages = ["encrypt", "verify", "wrapKey"];

export const usagesOf = (value) => toSequence(value, toDOMString, "keyUsages");
export const publicOf = (usages) => usages.filter((usage) => publicUsages.includes(usage));
export const privateOf = (usages) => usages.filter((usage) => !publicUsages.includes(usage));

// → the usages in the standard's order, each once. One that is unknown is a SyntaxError as in workerd; Web IDL
// would make it a TypeError.
export function checkUsages(what, name, usages, allowed) {
  for (let i = 0; i < usages.length; i++) {
    if (!allowed.includes(usages[i])) throw syntaxError(`Attempt to ${what} ${name} key with invalid usage "${usages[i]}".`);
  }
  return usageOrder.filter((usage) => usages.includes(usage));
}

// ---- JSON Web Keys ----

export const toBase64Url = (bytes) => bytes.toBase64({ alphabet: "base64url", omitPadding: true });

// Only the one text that the bytes have: no padding, no white space, no stray bits at the end.
export function fromBase64Url(text, message) {
  let bytes;
  if (text !== undefined) {
    try {
      bytes = Uint8Array.fromBase64(text, { alphabet: "base64url" });
    } catch {}
  }
  if (bytes === undefined || bytes.length === 0 || toBase64Url(bytes) !== text) throw dataError(message);
  return bytes;
}

export function wipe(arrays) {
  for (let i = 0; i < arrays.length; i++) if (arrays[i] !== undefined) TypedArrayFill.call(arrays[i], 0);
}

const jwkTexts = ["use", "alg", "crv", "x", "y", "d", "n", "e", "p", "q", "dp", "dq", "qi", "k"];

export const isJwk = (value) => isObject(value) && !ArrayBufferIsView(value) && !isArrayBuffer(value);

// Each member read once; undefined when it is no object.
export function readJwk(value) {
  if (!isJwk(value)) return undefined;
  const jwk = { __proto__: null, kty: toDOMString(value.kty) };
  for (let i = 0; i < jwkTexts.length; i++) {
    const member = value[jwkTexts[i]];
    if (member !== undefined) jwk[jwkTexts[i]] = toDOMString(member);
  }
  const { key_ops, ext, oth } = value;
  if (key_ops !== undefined) jwk.key_ops = toSequence(key_ops, toDOMString, "key_ops");
  if (ext !== undefined) jwk.ext = !!ext;
  if (oth !== undefined) jwk.oth = true;
  return jwk;
}

// key_ops names each usage once, and all that are asked for. RFC 7517, 4.3
export function checkKeyOps(jwk, usages) {
  const { key_ops } = jwk;
  if (key_ops === undefined) return;
  for (let i = 0; i < key_ops.length; i++)
    if (key_ops.indexOf(key_ops[i]) !== i) throw dataError('A JSON Web Key\'s Key Operations parameter ("key_ops") must not contain duplicates.');
  for (let i = 0; i < usages.length; i++)
    if (!key_ops.includes(usages[i])) throw dataError('All specified key usages must be present in the JSON Web Key\'s Key Operations parameter ("key_ops").');
}

// The members in workerd's order.
export function writeJwk(kty, alg, usages, members) {
  const jwk = { kty, key_ops: usages.slice() };
  if (alg !== undefined) jwk.alg = alg;
  jwk.ext = true;
  return Object.assign(jwk, members);
}

// "SHA-256" → "256": what the names of JWK's algorithms end in. There are none for MD5.
export function jwkHash(hash) {
  if (hash === "MD5") throw notSupported(`JWK export not supported for hash algorithm "${hash}".`);
  return hash.slice(4);
}

// ---- pairs, and keys with two halves ----

const derUsages = { __proto__: null, spki: "import public", pkcs8: "import private" };

// The numbers of a JWK's key, in C's order (bindings_key_parts.h).
const jwkMembers = { __proto__: null, RSA: ["n", "e", "d", "p", "q", "dp", "dq", "qi"], EC: ["x", "y", "d"], OKP: ["x", "d"] };

function checkJwkUse(jwk, name, usages, { use, operations }) {
  if (jwk.use !== undefined && jwk.use !== use && (usages.length > 0 || jwk.key_ops !== undefined))
    throw dataError(`Asymmetric "jwk" import requires a JSON Web Key with Public Key Use "use" ("${jwk.use}") equal to "${use}".`);
  checkKeyOps(jwk, usages);
  if (jwk.use === undefined || jwk.key_ops === undefined) return;
  for (let i = 0; i < jwk.key_ops.length; i++)
    if (!operations.includes(jwk.key_ops[i]))
      throw dataError(
        'A JSON Web Key should have either a Public Key Use parameter ("use") or a Key Operations parameter ("key_ops"); ' +
          `otherwise, the parameters must be consistent with each other (not "${jwk.key_ops[i]}" for ${name}).`,
      );
}

function importJwk(jwk, name, extractable, usages, rules) {
  const isPrivate = jwk.d !== undefined;
  const checked = isPrivate
    ? checkUsages("import private", name, usages, privateOf(rules.usages))
    : checkUsages("import public", name, usages, rules.publicUsages ?? publicOf(rules.usages));
  if (jwk.oth !== undefined && isPrivate) throw notSupported(`Multi-prime private keys not supported for "${name}".`);
  checkJwkUse(jwk, name, usages, rules);
  if (jwk.ext === false && extractable) throw dataError("Cannot create an extractable CryptoKey from an unextractable JSON Web Key.");
  const kind = rules.checkJwk(jwk), members = jwkMembers[jwk.kty], parts = [];
  // A public key has no other numbers; workerd does not look at them.
  const publicCount = members.indexOf("d"), count = isPrivate ? members.length : publicCount;
  try {
    for (let i = 0; i < count; i++) {
      const text = jwk[members[i]];
      if (text === undefined && i >= publicCount) ArrayPush.call(parts, undefined);
      else ArrayPush.call(parts, fromBase64Url(text, `Invalid ${jwk.kty} key in JSON Web Key; missing or invalid "${members[i]}".`));
    }
    const material = native.crypto.keyFromParts(kind, parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], parts[6], parts[7]);
    if (material === null) throw rules.explain?.(kind, parts) ?? dataError(`Invalid ${jwk.kty} key in JSON Web Key.`);
    return { type: isPrivate ? "private" : "public", material, usages: checked };
  } finally {
    wipe(parts);
  }
}

// → {type, material, usages}. rules: usages, publicUsages (else those of `usages` that are), use, operations (what a
// JWK may have in "use" and beside it in "key_ops"), checkJwk(jwk) → C's kind, explain(kind, parts) → the error of numbers that are no key, raw: C's kind for the format "raw".
export function importAsymmetric(format, data, name, extractable, usages, rules) {
  if (format === "jwk") return importJwk(data, name, extractable, usages, rules);
  if (format === "raw" && rules.raw !== undefined) {
    const checked = checkUsages("import public", name, usages, rules.rawUsages);
    const material = native.crypto.keyFromRaw(rules.raw, data);
    if (material === null) throw dataError(`Invalid raw ${name} key provided.`);
    return { type: "public", material, usages: checked };
  }
  if (derUsages[format] === undefined) throw notSupported(`Unrecognized key import format "${format}" for "${name}".`);
  const material = native.crypto.keyImport(format, data);
  if (material === null) throw dataError(`Invalid ${StringToUpperCase.call(format)} input.`);
  const allowed = format === "pkcs8" ? privateOf(rules.usages) : rules.publicUsages ?? publicOf(rules.usages);
  return { type: format === "pkcs8" ? "private" : "public", material, usages: checkUsages(derUsages[format], name, usages, allowed) };
}

export function exportAsymmetric(record, format, kty, alg, crv) {
  const { name, type, material } = record;
  if (format === "jwk") {
    const members = crv === undefined ? {} : { crv }, names = jwkMembers[kty];
    const count = type === "private" ? names.length : names.indexOf("d");
    if (kty === "RSA" && type === "private") members.d = undefined; // workerd has it first
    for (let i = 0; i < count; i++) {
      const bytes = native.crypto.keyPart(material, i);
      if (bytes === null) throw operationError(`The ${name} key cannot be exported.`);
      members[names[i]] = toBase64Url(bytes);
      if (i >= names.indexOf("d")) wipe([bytes]);
    }
    return writeJwk(kty, alg, record.usages, members);
  }
  const needed = format === "pkcs8" ? "private" : "public";
  if (format !== "pkcs8" && format !== "spki" && (format !== "raw" || kty === "RSA")) throw invalidAccess(`Cannot export "${name}" in "${format}" format.`);
  if (type !== needed) throw invalidAccess(`Asymmetric ${format} export requires ${needed} key (not "${type}").`);
  const bytes = format === "raw" ? native.crypto.keyRaw(material) : native.crypto.keyExport(material, format);
  if (bytes === null) throw operationError(`The ${name} key cannot be exported.`);
  return bytes.buffer;
}

// common: what both records have.
export function makePair(material, extractable, publicUsages, privateUsages, common) {
  if (material === null) throw operationError(`A ${common.name} key could not be generated.`);
  const half = native.crypto.keyPublic(material);
  return {
    publicKey: makeKey({ ...common, type: "public", extractable: true, usages: publicUsages, material: half }),
    privateKey: makeKey({ ...common, type: "private", extractable, usages: privateUsages, material }),
  };
}

export function checkPairUsages(name, usages, allowed) {
  const checked = checkUsages("generate", name, usages, allowed);
  return { publicUsages: publicOf(checked), privateUsages: privateOf(checked) };
}

// The standard has this check last; nothing is generated for a key that nobody gets.
export function requirePrivateUsages(usages) {
  if (usages.length === 0) throw syntaxError("Attempt to generate asymmetric keys with no valid private key usages.");
}

export const exact = (bytes) => (bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer);
