// SPDX-License-Identifier: Apache-2.0
// node:crypto's keys, and what is done with them: KeyObject, PEM and DER, sign and verify, RSA-OAEP, agreement,
// generation. The keys are C's (bindings_keys.c), the same as Web Crypto's. Encrypted PEM is not read.

import { native, platform } from "../native.js";
import { CryptoKey } from "../crypto.js";
import { recordOf } from "../crypto-key.js";
import { Buffer } from "./buffer.js";
import { codeError, invalidArgType, invalidArgValue, notImplemented, requireFunction, requireString } from "./errors.js";
import { asBuffer, bytesOf, hashName, later, output } from "./crypto-common.js";

const undecodable = () => codeError(Error, "ERR_OSSL_UNSUPPORTED", "error:1E08010C:DECODER routines::unsupported");

// ---- DER, as far as it must be taken apart or put around what C knows ----

function derValue(bytes, at) {
  let length = bytes[at + 1], start = at + 2;
  if (length & 0x80) {
    const count = length & 0x7f;
    length = 0;
    for (let i = 0; i < count && i < 4; i++) length = length * 256 + bytes[start + i];
    start += count;
  }
  if (!(start + length <= bytes.length)) throw undecodable();
  return { tag: bytes[at], start, end: start + length };
}

const inner = (bytes, value) => bytes.subarray(value.start, value.end);

// The values in a sequence's contents.
function derItems(bytes) {
  const items = [];
  for (let at = 0; at < bytes.length; at = items.at(-1).end) items.push({ ...derValue(bytes, at), from: at });
  return items;
}

function der(tag, ...parts) {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part))), { length } = body;
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), body]);
}

const rsaAlgorithm = Buffer.from("300d06092a864886f70d0101010500", "hex");
const spkiOfPkcs1 = (bytes) => der(0x30, rsaAlgorithm, der(3, [0], bytes));
const contents = (bytes) => inner(bytes, derValue(bytes, 0));

// Of a certificate: serial, algorithm, issuer, validity, subject, key; before them maybe a version.
function spkiOfCertificate(bytes) {
  const body = contents(contents(bytes)), items = derItems(body), at = items[0]?.tag === 0xa0 ? 6 : 5;
  if (items[at]?.tag !== 0x30) throw undecodable();
  return body.subarray(items[at].from, items[at].end);
}

function toTraditional(material, isPrivate, isRsa) {
  const bytes = native.crypto.keyExport(material, isPrivate ? "pkcs8" : "spki"), items = derItems(contents(bytes));
  if (!isPrivate) return inner(contents(bytes), items[1]).subarray(1);
  const key = inner(contents(bytes), items[2]);
  if (isRsa) return key;
  // An ECPrivateKey that stands alone names its curve.
  const parts = derItems(contents(key)), curve = derItems(inner(contents(bytes), items[1]))[1], algorithm = inner(contents(bytes), items[1]);
  const part = (item) => contents(key).subarray(item.from, item.end);
  return der(0x30, part(parts[0]), part(parts[1]), der(0xa0, algorithm.subarray(curve.from, curve.end)), ...parts.slice(2).map(part));
}

// ---- PEM ----

const pemPattern = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n([\s\S]*?)-----END \1-----/;

function fromPem(text) {
  const match = pemPattern.exec(text);
  if (match === null || match[2].includes(":")) throw undecodable(); // headers: it is encrypted
  return { label: match[1], bytes: Buffer.from(match[2], "base64") };
}

const toPem = (label, bytes) => `-----BEGIN ${label}-----\n${Buffer.from(bytes).toString("base64").replace(/.{1,64}/g, "$&\n")}-----END ${label}-----\n`;

function importMaterial({ label, bytes }) {
  const at = { __proto__: null, "PUBLIC KEY": ["spki", bytes], "PRIVATE KEY": ["pkcs8", bytes], "RSA PRIVATE KEY": ["pkcs8", bytes], "EC PRIVATE KEY": ["pkcs8", bytes] }[label];
  const [format, data] = at ?? (label === "RSA PUBLIC KEY" ? ["spki", spkiOfPkcs1(bytes)] : label === "CERTIFICATE" ? ["spki", spkiOfCertificate(bytes)] : []);
  const material = format === undefined ? null : native.crypto.keyImport(format, data);
  if (material === null) throw undecodable();
  return { material, type: format === "spki" ? "public" : "private" };
}

const jwkMembers = { __proto__: null, RSA: ["n", "e", "d", "p", "q", "dp", "dq", "qi"], EC: ["x", "y", "d"], OKP: ["x", "d"] };

function fromJwk(jwk) {
  if (typeof jwk !== "object" || jwk === null) throw invalidArgType("key.key", "object", jwk);
  const members = jwkMembers[jwk.kty];
  if (members === undefined) throw invalidArgValue("key.kty", jwk.kty);
  const part = (i) => (typeof jwk[members[i]] === "string" ? Buffer.from(jwk[members[i]], "base64url") : undefined);
  const material = native.crypto.keyFromParts(jwk.kty === "RSA" ? "RSA" : `${jwk.crv}`, part(0), part(1), part(2), part(3), part(4), part(5), part(6), part(7));
  if (material === null) throw codeError(TypeError, "ERR_CRYPTO_INVALID_JWK", "Invalid JWK data");
  return { material, type: jwk.d === undefined ? "public" : "private" };
}

// ---- KeyObject ----

const kindTypes = { __proto__: null, RSA: "rsa", "P-256": "ec", "P-384": "ec", "P-521": "ec", Ed25519: "ed25519", X25519: "x25519" };
const curveNames = { __proto__: null, "P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1" };
const curveKinds = { __proto__: null, prime256v1: "P-256", secp256r1: "P-256", secp384r1: "P-384", secp521r1: "P-521", "P-256": "P-256", "P-384": "P-384", "P-521": "P-521" };
const internal = Symbol("internal");
let partsOf;

export class KeyObject {
  #type;
  #material;

  constructor(token, { type, material } = {}) {
    if (token !== internal) throw token === "secret" || token === "public" || token === "private" ? invalidArgType("handle", "object", material) : invalidArgValue("type", token);
    this.#type = type;
    this.#material = material;
  }

  static from(key) {
    if (!(key instanceof CryptoKey)) throw invalidArgType("key", "CryptoKey", key);
    return new KeyObject(internal, recordOf(key));
  }

  get type() {
    return this.#type;
  }

  get symmetricKeySize() {
    return this.#type === "secret" ? native.crypto.secretBytes(this.#material).length : undefined;
  }

  get asymmetricKeyType() {
    return this.#type === "secret" ? undefined : kindTypes[native.crypto.keyKind(this.#material)];
  }

  get asymmetricKeyDetails() {
    if (this.#type === "secret") return undefined;
    const kind = native.crypto.keyKind(this.#material);
    if (kind === "RSA") return { modulusLength: native.crypto.keyBits(this.#material), publicExponent: BigInt(`0x${native.crypto.keyPart(this.#material, 1).toHex()}`) };
    return kind in curveNames ? { namedCurve: curveNames[kind] } : {};
  }

  export(options = {}) {
    const { format = this.#type === "secret" ? "buffer" : undefined, type, cipher } = options;
    if (format === "jwk") return exportJwk(this.#type, this.#material);
    if (this.#type === "secret") {
      if (format !== "buffer") throw invalidArgValue("options.format", format);
      return asBuffer(native.crypto.secretBytes(this.#material));
    }
    if (cipher !== undefined) throw notImplemented("keyObject.export with a cipher");
    return encode(this.#type, this.#material, format, type);
  }

  equals(other) {
    if (!isKeyObject(other)) throw invalidArgType("otherKeyObject", "KeyObject", other);
    if (other.type !== this.#type || other.asymmetricKeyType !== this.asymmetricKeyType) return false;
    const bytes = (key) => (key.type === "secret" ? key.export() : key.export({ format: "der", type: key.type === "public" ? "spki" : "pkcs8" }));
    const [left, right] = [bytes(this), bytes(other)];
    return left.length === right.length && native.timingSafeEqual(left, right);
  }

  get [Symbol.toStringTag]() {
    return "KeyObject";
  }

  static {
    partsOf = (key) => ({ type: key.#type, material: key.#material });
  }
}

export const isKeyObject = (value) => value instanceof KeyObject;

function exportJwk(type, material) {
  const encoded = (bytes) => bytes.toBase64({ alphabet: "base64url", omitPadding: true });
  if (type === "secret") return { kty: "oct", k: encoded(native.crypto.secretBytes(material)) };
  const kind = native.crypto.keyKind(material), kty = kind === "RSA" ? "RSA" : kind.startsWith("P-") ? "EC" : "OKP", jwk = kty === "RSA" ? { kty } : { kty, crv: kind };
  const members = jwkMembers[kty], count = type === "private" ? members.length : members.indexOf("d");
  for (let i = 0; i < count; i++) jwk[members[i]] = encoded(native.crypto.keyPart(material, i));
  return jwk;
}

function encode(type, material, format, wanted) {
  const isPrivate = type === "private", kind = kindTypes[native.crypto.keyKind(material)];
  const labels = isPrivate ? { pkcs8: "PRIVATE KEY", pkcs1: "RSA PRIVATE KEY", sec1: "EC PRIVATE KEY" } : { spki: "PUBLIC KEY", pkcs1: "RSA PUBLIC KEY" };
  if (format !== "pem" && format !== "der") throw invalidArgValue("options.format", format);
  if (!Object.hasOwn(labels, wanted)) throw invalidArgValue("options.type", wanted);
  if ((wanted === "pkcs1" && kind !== "rsa") || (wanted === "sec1" && kind !== "ec"))
    throw codeError(Error, "ERR_CRYPTO_INCOMPATIBLE_KEY_OPTIONS", `The selected key encoding ${wanted} can only be used for ${wanted === "pkcs1" ? "RSA" : "EC"} keys.`);
  const bytes = wanted === "spki" || wanted === "pkcs8" ? native.crypto.keyExport(material, wanted) : toTraditional(material, isPrivate, wanted === "pkcs1");
  return format === "pem" ? toPem(labels[wanted], bytes) : Buffer.from(bytes);
}

// What a key argument may be: PEM, DER with its type, JWK, a KeyObject or CryptoKey, or an object with one of them as
// `key`. → {material, type}
function readKey(value, name = "key") {
  if (isKeyObject(value)) return partsOf(value);
  if (value instanceof CryptoKey) return recordOf(value);
  if (typeof value === "string") return importMaterial(fromPem(value));
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return importMaterial(fromPem(Buffer.from(bytesOf(value, undefined, name)).toString("latin1")));
  if (typeof value !== "object" || value === null) throw invalidArgType(name, ["ArrayBuffer", "Buffer", "TypedArray", "DataView", "string", "KeyObject", "CryptoKey"], value);
  const { key, format = "pem", type } = value;
  if (format === "jwk") return fromJwk(key);
  if (format === "pem" || isKeyObject(key) || key instanceof CryptoKey) {
    if (value.passphrase !== undefined) throw notImplemented("reading of encrypted keys");
    return readKey(key, `${name}.key`);
  }
  if (format !== "der") throw invalidArgValue(`${name}.format`, format);
  const bytes = bytesOf(key, value.encoding, `${name}.key`);
  const labels = { __proto__: null, spki: "PUBLIC KEY", pkcs8: "PRIVATE KEY", sec1: "EC PRIVATE KEY" };
  const label = type === "pkcs1" ? `RSA ${derItems(contents(bytes)).length > 2 ? "PRIVATE" : "PUBLIC"} KEY` : labels[type];
  if (label === undefined) throw invalidArgValue(`${name}.type`, type);
  return importMaterial({ label, bytes });
}

function privateKey(value) {
  const { material, type } = readKey(value);
  if (type !== "private") throw invalidKeyType(type, "private");
  return material;
}

// Of a private key its public half.
function publicKey(value) {
  const { material, type } = readKey(value);
  if (type === "secret") throw invalidKeyType(type, "public or private");
  return type === "public" ? material : native.crypto.keyPublic(material);
}

const invalidKeyType = (type, expected) => codeError(TypeError, "ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE", `Invalid key object type ${type}, expected ${expected}.`);

export const createPublicKey = (key) => new KeyObject(internal, { type: "public", material: publicKey(key) });
export const createPrivateKey = (key) => new KeyObject(internal, { type: "private", material: privateKey(key) });
export const createSecretKey = (key, encoding) => new KeyObject(internal, { type: "secret", material: native.crypto.secret(bytesOf(key, encoding, "key")) });

// What an HMAC or a cipher takes as its key.
export const secretOf = (key) => {
  if (!isKeyObject(key) && !(key instanceof CryptoKey)) return undefined;
  const { material, type } = isKeyObject(key) ? partsOf(key) : recordOf(key);
  if (type !== "secret") throw invalidKeyType(type, "secret");
  return material;
};

// ---- signatures ----

const PKCS1 = 1, OAEP = 4, PSS = 6, digestBytes = { __proto__: null, MD5: 16, "SHA-1": 20, "SHA-256": 32, "SHA-384": 48, "SHA-512": 64 };
const failed = (what) => codeError(Error, "ERR_CRYPTO_OPERATION_FAILED", `${what} failed`);

// → [scheme, hash, salt bytes] for C, whose -1 takes a salt of any length.
function schemeOf(material, hash, { padding = PKCS1, saltLength, dsaEncoding = "der" }, signing) {
  const kind = native.crypto.keyKind(material);
  if (kind === "Ed25519") {
    if (hash !== undefined) throw codeError(Error, "ERR_OSSL_EVP_INVALID_DIGEST", "error:1C800095:Provider routines::invalid digest");
    return ["EDDSA", undefined, 0];
  }
  if (hash === undefined) hash = "SHA-256"; // OpenSSL's for these keys
  if (kind === "RSA") {
    if (padding === PKCS1) return ["PKCS1", hash, 0];
    if (padding !== PSS) throw notImplemented(`signing with padding ${padding}`);
    const most = Math.ceil((native.crypto.keyBits(material) - 1) / 8) - digestBytes[hash] - 2;
    if (saltLength === -1) return ["PSS", hash, digestBytes[hash]];
    if (saltLength === undefined || saltLength === -2) return ["PSS", hash, signing ? most : -1];
    return ["PSS", hash, saltLength];
  }
  if (dsaEncoding !== "der" && dsaEncoding !== "ieee-p1363") throw invalidArgValue("options.dsaEncoding", dsaEncoding);
  return [dsaEncoding === "der" ? "ECDSA-DER" : "ECDSA", hash, 0];
}

const optionsOf = (key) => (typeof key === "object" && key !== null && !isKeyObject(key) ? key : {});

function signBytes(hash, data, key) {
  const material = privateKey(key), [scheme, digest, salt] = schemeOf(material, hash, optionsOf(key), true);
  const signature = native.crypto.keySign(material, scheme, digest, salt, data);
  if (signature === null) throw failed("Signing");
  return asBuffer(signature);
}

function verifyBytes(hash, data, key, signature) {
  const material = publicKey(key), [scheme, digest, salt] = schemeOf(material, hash, optionsOf(key), false);
  return native.crypto.keyVerify(material, scheme, digest, salt, signature, data) === true;
}

const optionalHash = (algorithm) => (algorithm === null || algorithm === undefined ? undefined : hashName(algorithm));

export function sign(algorithm, data, key, callback) {
  const run = () => signBytes(optionalHash(algorithm), bytesOf(data, undefined, "data"), key);
  return callback === undefined ? run() : (requireFunction(callback, "callback"), later(callback, run));
}

export function verify(algorithm, data, key, signature, callback) {
  const run = () => verifyBytes(optionalHash(algorithm), bytesOf(data, undefined, "data"), key, bytesOf(signature, undefined, "signature"));
  return callback === undefined ? run() : (requireFunction(callback, "callback"), later(callback, run));
}

class Collector {
  #parts = [];
  _hash;

  constructor(algorithm) {
    requireString(algorithm, "algorithm");
    this._hash = hashName(algorithm);
  }

  update(data, encoding) {
    this.#parts.push(Buffer.from(bytesOf(data, encoding, "data")));
    return this;
  }

  write(data, encoding, callback) {
    this.update(data, typeof encoding === "string" ? encoding : undefined);
    (typeof encoding === "function" ? encoding : callback)?.();
    return true;
  }

  end(data, encoding) {
    if (data !== undefined && typeof data !== "function") this.update(data, encoding);
    return this;
  }

  _data() {
    return Buffer.concat(this.#parts);
  }
}

export class Sign extends Collector {
  sign(key, encoding) {
    return output(signBytes(this._hash, this._data(), key), encoding);
  }
}

export class Verify extends Collector {
  verify(key, signature, encoding) {
    return verifyBytes(this._hash, this._data(), key, bytesOf(signature, encoding, "signature"));
  }
}

export const createSign = (algorithm) => new Sign(algorithm);
export const createVerify = (algorithm) => new Verify(algorithm);

// ---- encryption, agreement, generation ----

function crypt(name, key, encrypt, data) {
  const { padding = OAEP, oaepHash = "sha1", oaepLabel } = optionsOf(key);
  if (padding !== OAEP) throw notImplemented(`crypto.${name} with padding ${padding}`);
  const label = oaepLabel === undefined ? undefined : bytesOf(oaepLabel, undefined, "key.oaepLabel");
  const result = native.crypto.keyCrypt(encrypt ? publicKey(key) : privateKey(key), encrypt, hashName(oaepHash), label, bytesOf(data, undefined, "buffer"));
  if (result === null) throw codeError(Error, "ERR_OSSL_RSA_OAEP_DECODING_ERROR", "error:02000079:rsa routines::oaep decoding error");
  return asBuffer(result);
}

export const publicEncrypt = (key, data) => crypt("publicEncrypt", key, true, data);
export const privateDecrypt = (key, data) => crypt("privateDecrypt", key, false, data);

export function diffieHellman({ privateKey: own, publicKey: peer }) {
  const secret = native.crypto.keyAgree(privateKey(own), publicKey(peer));
  if (secret === null) throw codeError(Error, "ERR_CRYPTO_INCOMPATIBLE_KEY", "Incompatible key types for Diffie-Hellman");
  return asBuffer(secret);
}

function exponentBytes(number) {
  const bytes = [];
  for (let left = number; left > 0; left = Math.floor(left / 256)) bytes.unshift(left % 256);
  return Uint8Array.from(bytes);
}

function generate(type, { modulusLength, publicExponent = 65537, namedCurve } = {}) {
  platform.requireRequest("generating random values");
  if (type === "rsa") {
    if (typeof modulusLength !== "number") throw invalidArgType("options.modulusLength", "number", modulusLength);
    return native.crypto.keyGenerate("RSA", modulusLength, exponentBytes(publicExponent));
  }
  if (type === "ed25519" || type === "x25519") return native.crypto.keyGenerate(type === "ed25519" ? "Ed25519" : "X25519");
  if (type !== "ec") throw notImplemented(`crypto.generateKeyPair("${type}")`);
  requireString(namedCurve, "options.namedCurve");
  if (curveKinds[namedCurve] === undefined) throw codeError(TypeError, "ERR_CRYPTO_INVALID_CURVE", "Invalid EC curve name");
  return native.crypto.keyGenerate(curveKinds[namedCurve]);
}

export function generateKeyPairSync(type, options = {}) {
  requireString(type, "type");
  const material = generate(type, options);
  if (material === null) throw failed(`Generating a key of type "${type}"`);
  const pair = { publicKey: createPublicKey(new KeyObject(internal, { type: "private", material })), privateKey: new KeyObject(internal, { type: "private", material }) };
  for (const half of ["publicKey", "privateKey"]) {
    const encoding = options[`${half}Encoding`];
    if (encoding !== undefined) pair[half] = pair[half].export(encoding);
  }
  return pair;
}

export function generateKeyPair(type, options, callback) {
  const done = typeof options === "function" ? options : callback;
  requireFunction(done, "callback");
  later((error, pair) => (error ? done(error) : done(null, pair.publicKey, pair.privateKey)), () => generateKeyPairSync(type, typeof options === "function" ? {} : options));
}
