// SPDX-License-Identifier: Apache-2.0
// ECDSA and ECDH on the curves of NIST, Ed25519 and X25519. https://w3c.github.io/webcrypto/#ecdsa,
// https://wicg.github.io/webcrypto-secure-curves/; NODE-ED25519 is the name that Ed25519 had before.

import { ObjectHasOwn, StringToUpperCase, TypeError } from "./primordials.js";
import { native } from "./native.js";
import { bytesOf } from "./webidl.js";
import {
  checkPairUsages,
  dataError,
  exact,
  exportAsymmetric,
  hashName,
  importAsymmetric,
  invalidAccess,
  makeKey,
  makePair,
  notSupported,
  operationError,
  recordOf,
  requirePrivateUsages,
  textParameter,
} from "./crypto-key.js";

const curves = { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512" };

function curveParameter(params) {
  const given = textParameter(params, "namedCurve"), curve = StringToUpperCase.call(given);
  if (!ObjectHasOwn(curves, curve)) throw notSupported(`Unrecognized or unimplemented EC curve "${given}" requested.`);
  return curve;
}

function describeWithCurve() {
  return { name: this.name, namedCurve: this.curve };
}

function describeName() {
  return { name: this.name };
}

// ---- the curves of NIST ----

function checkEcJwk(jwk, name, curve) {
  if (jwk.kty !== "EC") throw dataError(`Elliptic curve "jwk" key import requires a JSON Web Key with Key Type parameter "kty" ("${jwk.kty}") equal to "EC".`);
  if (name === "ECDSA" && jwk.alg !== undefined) {
    if (!Object.values(curves).includes(jwk.alg)) throw notSupported(`Unrecognized or unimplemented algorithm "${jwk.alg}" listed in JSON Web Key Algorithm parameter.`);
    if (jwk.alg !== curves[curve]) throw dataError(`JSON Web Key Algorithm parameter "alg" ("${jwk.alg}") does not match requested curve.`);
  }
  // workerd does not look at "crv", and finds out by the point: hence this error, where the standard has a DataError.
  if (jwk.crv !== undefined && jwk.crv !== curve) throw operationError(`JSON Web Key Curve parameter "crv" ("${jwk.crv}") does not match requested curve.`);
  return curve;
}

// workerd's as well: a point that is none is an OperationError, one that does not belong to "d" the standard's DataError.
function explainEc(curve, [x, y]) {
  if (native.crypto.keyFromParts(curve, x, y) === null) return operationError('Invalid EC key; public key coordinates "x" and "y" are invalid.');
}

function makeEc(name, rules, operations) {
  return {
    name,
    importKey(format, data, params, extractable, usages) {
      const curve = curveParameter(params);
      const imported = importAsymmetric(format, data, name, extractable, usages, { ...rules, raw: curve, checkJwk: (jwk) => checkEcJwk(jwk, name, curve), explain: explainEc });
      const kind = native.crypto.keyKind(imported.material);
      if (!ObjectHasOwn(curves, kind)) throw dataError("Input was not an EC key.");
      if (kind !== curve) throw dataError(`"algorithm.namedCurve" "${curve}" does not match the curve specified by the input key data.`);
      return makeKey({ ...imported, name, extractable, describe: describeWithCurve, curve });
    },
    generateKey(params, extractable, usages) {
      const { publicUsages, privateUsages } = checkPairUsages(name, usages, rules.usages), curve = curveParameter(params);
      requirePrivateUsages(privateUsages);
      return makePair(native.crypto.keyGenerate(curve), extractable, publicUsages, privateUsages, { name, describe: describeWithCurve, curve });
    },
    exportKey: (record, format) => exportAsymmetric(record, format, "EC", undefined, record.curve),
    ...operations,
  };
}

const forSigning = { usages: ["sign", "verify"], rawUsages: ["verify"], use: "sig", operations: ["sign", "verify"] };
const forAgreement = { usages: ["deriveKey", "deriveBits"], publicUsages: [], rawUsages: [], use: "enc", operations: [] };

// Named at each use, unlike all others: https://github.com/w3c/webcrypto/issues/111
function ecdsaHash({ hash }) {
  if (hash === undefined) throw new TypeError('Missing "hash" in AlgorithmIdentifier. (ECDSA requires that the hash algorithm be specified at call time rather than on the key. This differs from other WebCrypto algorithms for historical reasons.)');
  return hashName(hash);
}

export const ecdsa = makeEc("ECDSA", forSigning, {
  sign(record, params, data) {
    const signature = native.crypto.keySign(record.material, "ECDSA", ecdsaHash(params), 0, bytesOf(data, "data"));
    if (signature === null) throw operationError("ECDSA signing failed.");
    return exact(signature);
  },
  verify(record, params, signature, data) {
    const valid = native.crypto.keyVerify(record.material, "ECDSA", ecdsaHash(params), 0, bytesOf(signature, "signature"), bytesOf(data, "data"));
    if (valid === null) throw operationError("ECDSA verification failed.");
    return valid;
  },
});

// ---- agreement ----

function peerOf(record, params) {
  if (record.type !== "private") throw invalidAccess(`The deriveBits operation is only valid for a private key, not "${record.type}".`);
  if (params.public === undefined) throw new TypeError('Missing field "public" in "derivedKeyParams".');
  const peer = recordOf(params.public);
  if (peer.type !== "public") throw invalidAccess(`The provided key has type "${peer.type}", not "public"`);
  if (peer.name !== record.name) throw invalidAccess(`Private key for derivation is using "${record.name}" while public key is using "${peer.name}".`);
  if (peer.curve !== record.curve) throw invalidAccess(`Private key for derivation is using curve "${record.curve}" while public key is using "${peer.curve}".`);
  return peer;
}

// bits: undefined: all of it. Bits of the last byte that were not asked for are zero.
function deriveBits(record, params, bits) {
  const peer = peerOf(record, params), secret = native.crypto.keyAgree(record.material, peer.material);
  if (secret === null) throw operationError(`Failed to generate shared ${record.name} secret.`);
  const wanted = bits ?? secret.length * 8;
  if (wanted > secret.length * 8) throw operationError(`Derived key length (${wanted} bits) is too long (should be at most ${secret.length * 8} bits).`);
  const result = secret.slice(0, Math.ceil(wanted / 8));
  if (wanted % 8 !== 0) result[result.length - 1] &= 0xff00 >> (wanted % 8);
  secret.fill(0);
  return result.buffer;
}

export const ecdh = makeEc("ECDH", forAgreement, { deriveBits });

// ---- Ed25519, X25519 ----

function checkOkpJwk(jwk, kind) {
  if (jwk.kty !== "OKP") throw dataError(`${kind} "jwk" key imports requires a JSON Web Key with Key Type parameter "kty" ("${jwk.kty}") equal to "OKP".`);
  if (jwk.crv === undefined) throw dataError(`Missing field "crv" for ${kind} key.`);
  if (jwk.crv !== kind) throw notSupported(`Only ${kind} is supported but "${jwk.crv}" was requested.`);
  // RFC 9864's name is taken as well; workerd does not know it yet.
  if (kind === "Ed25519" && jwk.alg !== undefined && jwk.alg !== "EdDSA" && jwk.alg !== "Ed25519") throw dataError(`JSON Web Key Algorithm parameter "alg" ("${jwk.alg}") does not match requested Ed25519 curve.`);
  return kind;
}

// checkParams: of the old name, which has a curve.
function makeOkp(name, kind, rules, operations, { alg, curve } = {}) {
  const describe = curve === undefined ? describeName : describeWithCurve;
  const checkParams = (params) => {
    if (curve === undefined) return;
    const given = textParameter(params, "namedCurve");
    if (given !== curve) throw notSupported(`EDDSA curve "${given}" isn't supported.`);
  };
  return {
    name,
    importKey(format, data, params, extractable, usages) {
      checkParams(params);
      const imported = importAsymmetric(format, data, name, extractable, usages, { ...rules, raw: kind, checkJwk: (jwk) => checkOkpJwk(jwk, kind) });
      if (native.crypto.keyKind(imported.material) !== kind) throw dataError(`Input was not a key for "${name}".`);
      return makeKey({ ...imported, name, extractable, describe, curve });
    },
    generateKey(params, extractable, usages) {
      const { publicUsages, privateUsages } = checkPairUsages(name, usages, rules.usages);
      checkParams(params);
      requirePrivateUsages(privateUsages);
      return makePair(native.crypto.keyGenerate(kind), extractable, publicUsages, privateUsages, { name, describe, curve });
    },
    exportKey: (record, format) => exportAsymmetric(record, format, "OKP", alg, kind),
    ...operations,
  };
}

const signing = {
  sign(record, params, data) {
    const signature = native.crypto.keySign(record.material, "EDDSA", undefined, 0, bytesOf(data, "data"));
    if (signature === null) throw operationError(`${record.name} signing failed.`);
    return exact(signature);
  },
  verify(record, params, signature, data) {
    const bytes = bytesOf(signature, "signature");
    // The standard: such a signature is not valid. workerd: it is an error.
    if (bytes.length !== 64) throw operationError(`Invalid ${record.name} signature length ${bytes.length}`);
    const valid = native.crypto.keyVerify(record.material, "EDDSA", undefined, 0, bytes, bytesOf(data, "data"));
    if (valid === null) throw operationError(`${record.name} verification failed.`);
    return valid;
  },
};

export const ed25519 = makeOkp("Ed25519", "Ed25519", forSigning, signing, { alg: "EdDSA" });
export const nodeEd25519 = makeOkp("NODE-ED25519", "Ed25519", forSigning, signing, { curve: "NODE-ED25519" });
// No public usages: those of X25519 are of the private half.
export const x25519 = makeOkp("X25519", "X25519", { ...forAgreement }, { deriveBits });
