import { KeyObject, constants, createHmac, createPrivateKey, createPublicKey, createSecretKey, createSign, createVerify, diffieHellman, generateKeyPair, generateKeyPairSync, privateDecrypt, publicEncrypt, sign, verify } from "node:crypto";
const details = (key) => key.asymmetricKeyDetails && Object.entries(key.asymmetricKeyDetails).map(String);
const data = Buffer.from("some data"), attempt = (run) => { try { return run() } catch (error) { return error.code ?? error.name } };
// RFC 7515 A.2: what is made with it is the same everywhere.
const jwk = {
  kty: "RSA",
  n: "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
  e: "AQAB",
  d: "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
  p: "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
  q: "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
  dp: "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0",
  dq: "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU",
  qi: "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U",
};
const known = createPrivateKey({ key: jwk, format: "jwk" }), open = createPublicKey(known);
log(known.export({ format: "jwk" }), open.export({ format: "jwk" }));
log(known.type, open.type, known.asymmetricKeyType, details(known), known.symmetricKeySize, String(known));
for (const type of ["pkcs1", "pkcs8", "sec1", "spki", undefined]) for (const format of ["pem", "der", undefined]) log(type, format, attempt(() => known.export({ type, format })), attempt(() => open.export({ type, format })));
for (const hash of ["RSA-SHA256", "sha1", "SHA512"]) log(hash, createSign(hash).update("some ").update(data.subarray(5)).sign(known, "base64"), sign(hash, data, known.export({ type: "pkcs1", format: "pem" })).equals(createSign(hash).update(data).sign(known)), createVerify(hash).update(data).verify(open, createSign(hash).update(data).sign(known, "hex"), "hex"));
log(attempt(() => createSign("nope")), attempt(() => createSign("sha256").sign(open)), attempt(() => createSign("sha256").sign("no key")), attempt(() => createPublicKey(5)), attempt(() => createPrivateKey({ key: {}, format: "jwk" })));
for (const saltLength of [undefined, 0, 20, constants.RSA_PSS_SALTLEN_DIGEST, constants.RSA_PSS_SALTLEN_MAX_SIGN]) {
  const signature = sign("sha256", data, { key: known, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });
  log(saltLength, signature.length, [undefined, 0, 20, 32, 222, -1, -2].map((length) => verify("sha256", data, { key: open, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: length }, signature)), verify("sha256", data, open, signature));
}
const types = { rsa: { modulusLength: 1024 }, "ec P-256": { namedCurve: "P-256" }, "ec secp384r1": { namedCurve: "secp384r1" }, "ec P-521": { namedCurve: "P-521" }, ed25519: {}, x25519: {} };
for (const [name, options] of Object.entries(types)) {
  const [type] = name.split(" "), { publicKey, privateKey } = generateKeyPairSync(type, options), hash = type === "ed25519" ? null : "sha256";
  // First of all: node 20 exports a JWK under a lock, and hangs when garbage that shares the key is collected meanwhile.
  const own = privateKey.export({ format: "jwk" }), open = publicKey.export({ format: "jwk" });
  log(name, publicKey instanceof KeyObject, publicKey.type, privateKey.type, publicKey.asymmetricKeyType, details(publicKey), privateKey.equals(privateKey), publicKey.equals(privateKey), createPublicKey(privateKey).equals(publicKey), Object.keys(own).sort(), Object.keys(open).sort());
  for (const format of ["pem", "der"]) for (const encoding of type === "rsa" ? ["pkcs1", "pkcs8"] : type === "ec" ? ["sec1", "pkcs8"] : ["pkcs8"]) {
    const exported = privateKey.export({ type: encoding, format }), again = createPrivateKey(format === "pem" ? exported : { key: exported, format, type: encoding });
    log(format, encoding, format === "pem" ? exported.split("\n")[0] : Buffer.isBuffer(exported), again.equals(privateKey));
  }
  const spki = publicKey.export({ type: "spki", format: "pem" });
  log(createPublicKey(spki).equals(publicKey), createPublicKey(Buffer.from(spki)).equals(publicKey), createPublicKey({ key: publicKey.export({ type: "spki", format: "der" }), format: "der", type: "spki" }).equals(publicKey), createPublicKey({ key: open, format: "jwk" }).equals(publicKey), createPublicKey(privateKey.export({ type: "pkcs8", format: "pem" })).equals(publicKey));
  if (type === "x25519") continue;
  const signature = sign(hash, data, privateKey);
  log(verify(hash, data, spki, signature), verify(hash, Buffer.from("other"), publicKey, signature), verify(hash, data, privateKey, signature), await new Promise((done) => verify(hash, data, publicKey, signature, (error, result) => done([error, result]))));
  if (type === "ec") {
    const raw = sign(hash, data, { key: privateKey, dsaEncoding: "ieee-p1363" });
    log(raw.length, signature[0], verify(hash, data, { key: publicKey, dsaEncoding: "ieee-p1363" }, raw), verify(hash, data, publicKey, raw), verify(hash, data, { key: publicKey, dsaEncoding: "ieee-p1363" }, signature));
  }
}
for (const [name, options] of Object.entries({ ec: { namedCurve: "P-256" }, x25519: {} })) { const a = generateKeyPairSync(name, options), b = generateKeyPairSync(name, options); log(name, diffieHellman({ privateKey: a.privateKey, publicKey: b.publicKey }).equals(diffieHellman({ privateKey: b.privateKey, publicKey: a.publicKey }))); }
for (const options of [{}, { oaepHash: "sha256" }, { oaepLabel: Buffer.from("l") }]) { const sealed = publicEncrypt({ key: open, ...options }, data); log(sealed.length, privateDecrypt({ key: known, ...options }, sealed).toString(), attempt(() => privateDecrypt({ key: known, ...options, oaepLabel: Buffer.from("m") }, sealed)) !== undefined); }
const pair = generateKeyPairSync("rsa", { modulusLength: 1024, publicExponent: 3, publicKeyEncoding: { type: "pkcs1", format: "pem" }, privateKeyEncoding: { type: "pkcs8", format: "der" } });
log(pair.publicKey.split("\n")[0], Buffer.isBuffer(pair.privateKey), details(createPublicKey(pair.publicKey)), createPublicKey({ key: pair.privateKey, format: "der", type: "pkcs8" }).export({ type: "pkcs1", format: "pem" }) === pair.publicKey);
log(await new Promise((done) => generateKeyPair("ed25519", {}, (error, publicKey, privateKey) => done([error, publicKey.type, privateKey.type]))));
log(attempt(() => generateKeyPairSync("ec", { namedCurve: "no" })), attempt(() => generateKeyPairSync("rsa", {})), attempt(() => new KeyObject("secret", {})));
const secret = createSecretKey(Buffer.from("a secret"));
log(secret.type, secret.symmetricKeySize, secret.export(), secret.export({ format: "jwk" }), secret.equals(createSecretKey("6120736563726574", "hex")), createHmac("sha256", secret).update("x").digest("hex") === createHmac("sha256", "a secret").update("x").digest("hex"), attempt(() => createHmac("sha256", open)));
