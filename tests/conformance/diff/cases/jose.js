// SPDX-License-Identifier: Apache-2.0
// jose, the library that most projects check tokens with: JWS with every algorithm, JWE with those that Web Crypto has, key
// sets, and the errors of tokens that are wrong. Its keys are made for each request; what is random is not shown.
import * as jose from "jose";

const signing = ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA"];
const agreement = ["ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"];
const encryption = ["dir", "A128KW", "A192KW", "A256KW", "A128GCMKW", "A256GCMKW", "RSA-OAEP", "RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512", ...agreement, "PBES2-HS256+A128KW", "PBES2-HS512+A256KW"];
const contents = ["A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"];

const keysFor = async (alg, options) => {
  const made = await jose.generateKeyPair(alg, { extractable: true, ...options }).catch(() => undefined);
  return made ?? (await secretFor(alg));
};
async function secretFor(alg) {
  const secret = alg.startsWith("HS") ? new Uint8Array(Number(alg.slice(2)) / 8).fill(7) : await jose.generateSecret(alg, { extractable: true });
  return { publicKey: secret, privateKey: secret };
}

async function outcome(run) {
  try {
    return await run();
  } catch (error) {
    return `${error.code ?? error.name}: ${error.message}`;
  }
}

const flip = (token, part) => {
  const parts = token.split("."), text = parts[part];
  parts[part] = (text[0] === "A" ? "B" : "A") + text.slice(1);
  return parts.join(".");
};

async function sign(alg) {
  const { publicKey, privateKey } = alg.startsWith("HS") ? await secretFor(alg) : await keysFor(alg);
  const token = await new jose.SignJWT({ scope: "all" }).setProtectedHeader({ alg }).setSubject("me").setIssuer("urn:us").setAudience("urn:you").setIssuedAt(1700000000).setExpirationTime(4000000000).sign(privateKey);
  const check = (text, options) => outcome(async () => (await jose.jwtVerify(text, publicKey, options)).payload);
  const result = { length: token.split(".")[2].length, header: jose.decodeProtectedHeader(token) };
  result.good = await check(token, { issuer: "urn:us", audience: "urn:you" });
  result.audience = await check(token, { audience: "urn:other" });
  result.algorithm = await check(token, { algorithms: ["none"] });
  result.late = await check(token, { currentDate: new Date(5e12) });
  for (let part = 0; part < 3; part++) result[`part ${part}`] = await check(flip(token, part));
  result.short = await check(token.slice(0, -4));
  result.unsigned = await check(token.replace(/[^.]*$/, ""));
  if (alg.startsWith("HS")) return result;

  const jwk = await jose.exportJWK(publicKey), spki = await jose.exportSPKI(publicKey), pkcs8 = await jose.exportPKCS8(privateKey);
  const set = jose.createLocalJWKSet({ keys: [{ ...jwk, alg, use: "sig", kid: "1" }, { kty: "oct", k: "AAAA" }] });
  result.members = Object.keys(jwk).sort();
  result.set = await outcome(async () => (await jose.jwtVerify(token, set)).payload.sub);
  result.spki = await outcome(async () => (await jose.jwtVerify(token, await jose.importSPKI(spki, alg))).payload.sub);
  result.pkcs8 = await outcome(async () => (await jose.jwtVerify(await new jose.SignJWT({}).setProtectedHeader({ alg }).sign(await jose.importPKCS8(pkcs8, alg)), publicKey)).payload);
  result.jwk = await outcome(async () => (await jose.jwtVerify(token, await jose.importJWK(jwk, alg))).payload.sub);
  result.other = await outcome(async () => (await jose.jwtVerify(token, (await keysFor(alg)).publicKey)).payload.sub);
  return result;
}

async function encrypt(alg) {
  const result = {};
  for (const enc of contents) {
    result[enc] = await outcome(async () => {
      const { publicKey, privateKey } = alg === "dir" ? await secretFor(enc) : alg.startsWith("PBES2") ? { publicKey: new TextEncoder().encode("a password"), privateKey: new TextEncoder().encode("a password") } : await keysFor(alg);
      const token = await new jose.EncryptJWT({ secret: "ü" }).setProtectedHeader({ alg, enc }).encrypt(publicKey);
      const open = (text) => outcome(async () => (await jose.jwtDecrypt(text, privateKey)).payload);
      return { header: Object.keys(jose.decodeProtectedHeader(token)), good: await open(token), key: alg === "dir" ? "" : await open(token.split(".").map((part, i) => (i === 1 ? part.slice(8) : part)).join(".")), text: await open(flip(token, 3)), tag: await open(flip(token, 4)) };
    });
  }
  return result;
}

// X25519 has a name of its own in the options.
async function agree() {
  const { publicKey, privateKey } = await keysFor("ECDH-ES", { crv: "X25519" });
  const token = await new jose.EncryptJWT({ secret: 1 }).setProtectedHeader({ alg: "ECDH-ES", enc: "A256GCM" }).encrypt(publicKey);
  return [jose.decodeProtectedHeader(token).epk.crv, (await jose.jwtDecrypt(token, privateKey)).payload];
}

// RFC 7515 A.2 and A.3, RFC 8037 A.4: tokens that others made.
const examples = {
  RS256: [
    { kty: "RSA", n: "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ", e: "AQAB" },
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
  ],
  ES256: [
    { kty: "EC", crv: "P-256", x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" },
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
  ],
  EdDSA: [
    { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
  ],
};

async function example(alg) {
  const [jwk, token] = examples[alg], key = await jose.importJWK(jwk, alg);
  const check = (text) => outcome(async () => new TextDecoder().decode((await jose.compactVerify(text, key)).payload));
  return [await check(token), await check(flip(token, 1)), await check(flip(token, 2)), await jose.calculateJwkThumbprint(jwk)];
}

export default {
  async fetch(request) {
    const [, what, alg] = new URL(request.url).pathname.split("/").map(decodeURIComponent);
    return Response.json(await { sign, encrypt, agree, example }[what](alg));
  },
};

export const requests = [
  ...signing.map((alg) => `/sign/${alg}`),
  ...encryption.map((alg) => `/encrypt/${encodeURIComponent(alg)}`),
  "/agree",
  ...Object.keys(examples).map((alg) => `/example/${alg}`),
];
