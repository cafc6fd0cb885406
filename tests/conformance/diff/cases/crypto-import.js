// SPDX-License-Identifier: Apache-2.0
// Keys from outside, right and wrong: what becomes a key, and which error what does not. Keys are made for each request,
// or are examples of RFC 7515, 7517 and 8037.
const { subtle } = crypto;
const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const bytes = (text) => Uint8Array.from(text.replace(/\s/g, "").match(/../g) ?? [], (pair) => parseInt(pair, 16));
const join = (...parts) => bytes(parts.map((part) => (typeof part === "string" ? part : hex(part))).join(""));
const der = (tag, ...parts) => {
  const body = join(...parts), length = body.length < 128 ? [body.length] : body.length < 256 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 255];
  return join(tag, new Uint8Array(length), body);
};
const fromBase64Url = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));

// RFC 7515 A.2 and A.3, RFC 8037 A.1
const rsaJwk = {
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
const ecJwk = { kty: "EC", crv: "P-256", x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", d: "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI" };
const edJwk = { kty: "OKP", crv: "Ed25519", d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" };
const publicOf = (jwk) => Object.fromEntries(Object.entries(jwk).filter(([name]) => /^(kty|crv|x|y|n|e)$/.test(name)));
const rsaOid = "06092a864886f70d010101", ecOid = "06072a8648ce3d0201", p256 = "06082a8648ce3d030107", p384 = "06052b81040022";
const [x, y, d] = [ecJwk.x, ecJwk.y, ecJwk.d].map(fromBase64Url), [edX, edD] = [edJwk.x, edJwk.d].map(fromBase64Url);
const off = y.slice();
off[31] ^= 1;
const point = join("04", x, y), half = join(y[31] & 1 ? "03" : "02", x);
const integer = (value) => (value[0] & 0x80 ? der("02", "00", value) : der("02", value));
const rsaNumbers = ["n", "e", "d", "p", "q", "dp", "dq", "qi"].map((name) => fromBase64Url(rsaJwk[name]));
const pkcs1 = der("30", "020100", ...rsaNumbers.map(integer)), pkcs1Public = der("30", ...rsaNumbers.slice(0, 2).map(integer));
const spki = (algorithm, key) => der("30", der("30", algorithm), der("03", "00", key));
const pkcs8 = (algorithm, key, version = "020100", rest = "") => der("30", version, der("30", algorithm), der("04", key), rest);
const sec1 = (...rest) => der("30", "020101", der("04", d), ...rest);

const ecdsa = { name: "ECDSA", namedCurve: "P-256" }, rs256 = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const cases = {
  ec: {
    algorithm: ecdsa,
    raw: {
      good: point,
      compressed: half,
      hybrid: join(y[31] & 1 ? "07" : "06", x, y),
      empty: "",
      infinity: "00",
      short: point.subarray(1),
      long: join(point, "00"),
      "off the curve": join("04", x, off),
      "above p": join("04", "ff".repeat(32), y),
      zeros: join("04", "00".repeat(64)),
      "P-384 length": join("04", "11".repeat(96)),
    },
    spki: {
      good: spki(ecOid + p256, point),
      compressed: spki(ecOid + p256, half),
      "other curve": spki(ecOid + p384, point),
      "no curve": spki(ecOid, point),
      "no point": spki(ecOid + p256, ""),
      "off the curve": spki(ecOid + p256, join("04", x, off)),
      trailing: join(spki(ecOid + p256, point), "00"),
      truncated: spki(ecOid + p256, point).subarray(0, 80),
      "unused bits": der("30", der("30", ecOid, p256), der("03", "01", point)),
      "long length": join("308159", spki(ecOid + p256, point).subarray(2)),
      indefinite: join("3080", spki(ecOid + p256, point).subarray(2), "0000"),
      rsa: spki(rsaOid + "0500", pkcs1Public),
      ed: spki("06032b6570", edX),
      empty: "",
    },
    pkcs8: {
      good: pkcs8(ecOid + p256, sec1(der("a1", der("03", "00", point)))),
      "with wrong curve": pkcs8(ecOid + p256, sec1(der("a0", p384))),
      "wrong public": pkcs8(ecOid + p256, sec1(der("a1", der("03", "00", "04", x, off)))),
      zero: pkcs8(ecOid + p256, der("30", "020101", der("04", "00".repeat(32)))),
      "order of the group": pkcs8(ecOid + p256, der("30", "020101", der("04", "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"))),
      "bare EC key": sec1(der("a0", p256), der("a1", der("03", "00", point))),
      "bare EC key, no curve": sec1(),
      trailing: join(pkcs8(ecOid + p256, sec1()), "00"),
      spki: spki(ecOid + p256, point),
      rsa: pkcs8(rsaOid + "0500", pkcs1),
    },
    "pkcs8-without-point": {
      plain: pkcs8(ecOid + p256, sec1()),
      "with curve": pkcs8(ecOid + p256, sec1(der("a0", p256))),
      attributes: pkcs8(ecOid + p256, sec1(), undefined, "a000"),
    },
    jwk: {
      good: ecJwk,
      public: publicOf(ecJwk),
      "with alg": { ...ecJwk, alg: "ES256" },
      "wrong alg": { ...ecJwk, alg: "ES384" },
      "unknown alg": { ...ecJwk, alg: "HS256" },
      "no kty": { ...ecJwk, kty: undefined },
      "wrong kty": { ...ecJwk, kty: "RSA" },
      "no x": { ...ecJwk, x: undefined },
      "off the curve": { ...ecJwk, y: ecJwk.x },
      "wrong d": { ...ecJwk, d: ecJwk.x },
      "long x": { ...publicOf(ecJwk), x: `${ecJwk.x}AA` },
      use: { ...publicOf(ecJwk), use: "sig" },
      "wrong use": { ...publicOf(ecJwk), use: "enc" },
      ops: { ...ecJwk, key_ops: ["sign"] },
      "wrong ops": { ...ecJwk, key_ops: ["verify"] },
      "twice ops": { ...ecJwk, key_ops: ["sign", "sign"] },
      "other ops": { ...publicOf(ecJwk), key_ops: ["verify", "x"] },
      "ops and use": { ...ecJwk, key_ops: ["sign", "verify"], use: "sig" },
      "ops and wrong use": { ...ecJwk, key_ops: ["sign", "encrypt"], use: "sig" },
      "ext false": { ...ecJwk, ext: false },
      "not base64": { ...ecJwk, x: "!" + ecJwk.x.slice(1) },
      string: "jwk",
      buffer: point,
    },
    "jwk-as-base64": {
      padded: { ...publicOf(ecJwk), x: `${ecJwk.x}=` },
      "too much padding": { ...publicOf(ecJwk), x: `${ecJwk.x}==` },
      space: { ...publicOf(ecJwk), x: ` ${ecJwk.x}` },
      "space inside": { ...publicOf(ecJwk), x: ecJwk.x.replace("2xF", "2 xF") },
      "base64": { ...publicOf(ecJwk), y: ecJwk.y.replace("_", "/") },
      "stray bits": { ...publicOf(ecJwk), x: ecJwk.x.replace(/U$/, "V") },
    },
  },
  ecdh: {
    algorithm: { name: "ECDH", namedCurve: "P-256" },
    privateUsages: ["deriveBits"],
    publicUsages: [],
    raw: { good: point },
    spki: { good: spki(ecOid + p256, point) },
    pkcs8: { good: pkcs8(ecOid + p256, sec1(der("a1", der("03", "00", point)))) },
    jwk: { good: ecJwk, public: publicOf(ecJwk), "with alg": { ...ecJwk, alg: "ECDH-ES" }, use: { ...ecJwk, use: "enc" }, "wrong use": { ...ecJwk, use: "sig" }, ops: { ...ecJwk, key_ops: ["deriveBits"] }, "ops and use": { ...ecJwk, use: "enc", key_ops: ["deriveBits"] } },
  },
  ed: {
    algorithm: { name: "Ed25519" },
    raw: { good: edX, short: edX.subarray(1), long: join(edX, "00"), empty: "", zeros: "00".repeat(32), ones: "ff".repeat(32) },
    spki: { good: spki("06032b6570", edX), parameters: spki("06032b65700500", edX), short: spki("06032b6570", edX.subarray(1)) },
    "spki-of-others": { x: spki("06032b656e", edX) },
    pkcs8: { good: pkcs8("06032b6570", der("04", edD)), short: pkcs8("06032b6570", der("04", edD.subarray(1))), bare: pkcs8("06032b6570", edD) },
    "pkcs8-of-others": { x: pkcs8("06032b656e", der("04", edD)) },
    jwk: {
      good: edJwk,
      public: publicOf(edJwk),
      alg: { ...edJwk, alg: "EdDSA" },
      "wrong alg": { ...edJwk, alg: "ES256" },
      "wrong crv": { ...edJwk, crv: "X25519" },
      "no crv": { ...edJwk, crv: undefined },
      "no x": { ...edJwk, x: undefined },
      "short x": { ...publicOf(edJwk), x: "AAAA" },
      "short d": { ...edJwk, d: "AAAA" },
      "x of another": { ...edJwk, x: edJwk.d },
    },
  },
  x: {
    algorithm: { name: "X25519" },
    privateUsages: ["deriveKey"],
    publicUsages: [],
    raw: { good: edX, zeros: "00".repeat(32), short: "00" },
    spki: { good: spki("06032b656e", edX) },
    "spki-of-others": { ed: spki("06032b6570", edX) },
    pkcs8: { good: pkcs8("06032b656e", der("04", edD)) },
    jwk: { good: { ...edJwk, crv: "X25519" }, public: { ...publicOf(edJwk), crv: "X25519" }, ed: edJwk },
  },
  rsa: {
    algorithm: rs256,
    raw: { good: "00" },
    spki: {
      good: spki(rsaOid + "0500", pkcs1Public),
      "no null": spki(rsaOid, pkcs1Public),
      bare: pkcs1Public,
      private: spki(rsaOid + "0500", pkcs1),
      truncated: spki(rsaOid + "0500", pkcs1Public).subarray(0, 200),
      "negative modulus": spki(rsaOid + "0500", der("30", der("02", rsaNumbers[0]), integer(rsaNumbers[1]))),
      "even modulus": spki(rsaOid + "0500", der("30", integer(join(rsaNumbers[0].subarray(0, 255), "a0")), integer(rsaNumbers[1]))),
      "exponent 1": spki(rsaOid + "0500", der("30", integer(rsaNumbers[0]), "020101")),
      "exponent 3": spki(rsaOid + "0500", der("30", integer(rsaNumbers[0]), "020103")),
      "exponent 5": spki(rsaOid + "0500", der("30", integer(rsaNumbers[0]), "020105")),
      "exponent 2": spki(rsaOid + "0500", der("30", integer(rsaNumbers[0]), "020102")),
      "zero modulus": spki(rsaOid + "0500", der("30", "020100", "020103")),
    },
    pkcs8: {
      good: pkcs8(rsaOid + "0500", pkcs1),
      "bare RSA key": pkcs1,
      "other version": pkcs8(rsaOid + "0500", der("30", "020101", ...rsaNumbers.map(integer))),
      "two numbers": pkcs8(rsaOid + "0500", pkcs1Public),
      "wrong factors": pkcs8(rsaOid + "0500", der("30", "020100", ...[0, 1, 2, 3, 3, 5, 6, 7].map((i) => integer(rsaNumbers[i])))),
    },
    jwk: {
      good: rsaJwk,
      public: publicOf(rsaJwk),
      alg: { ...rsaJwk, alg: "RS256" },
      "PSS alg": { ...rsaJwk, alg: "PS256" },
      "wrong hash": { ...rsaJwk, alg: "RS512" },
      "unknown alg": { ...rsaJwk, alg: "XX" },
      "no n": { ...rsaJwk, n: undefined },
      "no e": { ...rsaJwk, e: undefined },
      "no p": { ...rsaJwk, p: undefined },
      oth: { ...rsaJwk, oth: [] },
      "wrong kty": { ...rsaJwk, kty: "EC" },
      "not base64": { ...rsaJwk, n: "*" },
      "e 5": { ...publicOf(rsaJwk), e: "BQ" },
      "ext true": { ...rsaJwk, ext: true },
    },
  },
  hmac: {
    algorithm: { name: "HMAC", hash: "SHA-256" },
    privateUsages: ["verify", "sign"],
    publicUsages: ["sign"],
    raw: { good: "00112233", empty: "" },
    spki: { good: "00" },
    pkcs8: { good: "00" },
    jwk: { good: { kty: "oct", k: "AAEC" }, alg: { kty: "oct", k: "AAEC", alg: "HS256" }, "wrong alg": { kty: "oct", k: "AAEC", alg: "HS512" }, "no k": { kty: "oct" }, empty: { kty: "oct", k: "" }, "ext false": { kty: "oct", k: "AAEC", ext: false }, kty: { kty: "RSA", k: "AAEC" } },
  },
  aes: {
    algorithm: "AES-GCM",
    privateUsages: ["encrypt"],
    publicUsages: ["decrypt", "encrypt"],
    raw: { good: "00".repeat(16), short: "00".repeat(15), long: "00".repeat(32), empty: "" },
    spki: { good: "00" },
    pkcs8: { good: "00" },
    jwk: {
      good: { kty: "oct", k: "AAAAAAAAAAAAAAAAAAAAAA" },
      alg: { kty: "oct", k: "AAAAAAAAAAAAAAAAAAAAAA", alg: "A128GCM" },
      "wrong alg": { kty: "oct", k: "AAAAAAAAAAAAAAAAAAAAAA", alg: "A256GCM" },
      use: { kty: "oct", k: "AAAAAAAAAAAAAAAAAAAAAA", use: "enc" },
      "wrong use": { kty: "oct", k: "AAAAAAAAAAAAAAAAAAAAAA", use: "sig" },
      ops: { kty: "oct", k: "AAAAAAAAAAAAAAAAAAAAAA", key_ops: ["encrypt"] },
      "wrong ops": { kty: "oct", k: "AAAAAAAAAAAAAAAAAAAAAA", key_ops: ["wrapKey"] },
      short: { kty: "oct", k: "AAAA" },
    },
  },
  kdf: {
    algorithm: "PBKDF2",
    privateUsages: ["deriveBits"],
    publicUsages: ["deriveBits"],
    raw: { good: "00", empty: "" },
    spki: { good: "00" },
    pkcs8: { good: "00" },
    jwk: { good: { kty: "oct", k: "AAEC" } },
  },
};

async function attempt(format, data, algorithm, extractable, usages) {
  try {
    const key = await subtle.importKey(format, typeof data === "string" && format !== "jwk" ? bytes(data) : data, algorithm, extractable, usages);
    const back = {};
    for (const form of extractable ? ["raw", "spki", "pkcs8", "jwk"] : []) {
      try {
        const out = await subtle.exportKey(form, key);
        back[form] = form === "jwk" ? out : hex(out);
      } catch (error) {
        back[form] = error.name;
      }
    }
    return { type: key.type, algorithm: key.algorithm, usages: key.usages, back };
  } catch (error) {
    return error.name;
  }
}

export default {
  async fetch(request) {
    const [, name, part] = new URL(request.url).pathname.split("/"), format = part.split("-")[0], { algorithm, privateUsages = ["sign"], publicUsages = ["verify"], ...formats } = cases[name], result = {};
    for (const [what, data] of Object.entries(formats[part])) {
      const own = format === "pkcs8" || (format === "jwk" && (data?.d !== undefined || data?.k !== undefined)) ? privateUsages : publicUsages;
      result[what] = await attempt(format, data, algorithm, name !== "kdf", own);
      if (what !== "good") continue;
      result["no usages"] = await attempt(format, data, algorithm, false, []);
      result["wrong usages"] = await attempt(format, data, algorithm, false, ["sign", "verify", "encrypt"]);
      result["own usages twice"] = await attempt(format, data, algorithm, false, [...own, ...own]);
      result["no hash or curve"] = await attempt(format, data, { name: algorithm.name ?? algorithm }, false, own);
      result["other curve"] = await attempt(format, data, { ...algorithm, namedCurve: "P-521", hash: "MD5" }, false, own);
      result["other format"] = await attempt("other", data, algorithm, false, own);
      result["no data"] = await attempt(format, undefined, algorithm, false, own);
      result["no algorithm"] = await attempt(format, data, undefined, false, own);
      result["null algorithm"] = await attempt(format, data, null, false, own);
      result["number for an algorithm"] = await attempt(format, data, 1, false, own);
      result["unknown algorithm"] = await attempt(format, data, "ROT13", false, own);
    }
    return new Response(JSON.stringify(result, null, 1));
  },
};

const differs = {
  "-of-others": { body: "workerd takes the keys of other algorithms for Ed25519 and X25519; the standard and we do not" },
  "-as-base64": { body: "workerd takes base64 in any form; RFC 7515 and we only base64url as it is written" },
  "-without-point": { body: "workerd exports what has no point in its DER without one; the standard and we with it" },
};
export const requests = Object.keys(cases).flatMap((name) =>
  Object.keys(cases[name])
    .filter((part) => /^(raw|spki|pkcs8|jwk)/.test(part))
    .map((part) => ({ path: `/${name}/${part}`, differs: Object.entries(differs).find(([end]) => part.endsWith(end))?.[1] })),
);
