// SPDX-License-Identifier: Apache-2.0
// crypto.subtle, operation by operation: what a key looks like, and which error wrong use is, down to its message's first
// words. Signatures and generated keys are random: shown is what is done with them.
const rsa = { hash: "SHA-256", modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]) };
const types = {
  "RSASSA-PKCS1-v1_5": rsa,
  "RSA-PSS": rsa,
  "RSA-OAEP": rsa,
  "ECDSA-P-256": { namedCurve: "P-256" },
  "ECDSA-P-384": { namedCurve: "P-384" },
  "ECDSA-P-521": { namedCurve: "P-521" },
  "ECDH-P-256": { namedCurve: "P-256" },
  "ECDH-P-384": { namedCurve: "P-384" },
  "ECDH-P-521": { namedCurve: "P-521" },
  Ed25519: {},
  "NODE-ED25519": { namedCurve: "NODE-ED25519" },
  X25519: {},
  HMAC: { hash: "SHA-512" },
  "AES-CBC": { length: 128 },
  "AES-CTR": { length: 192 },
  "AES-GCM": { length: 256 },
  "AES-KW": { length: 256 },
};
const all = ["unwrapKey", "wrapKey", "deriveBits", "deriveKey", "verify", "sign", "decrypt", "encrypt"];
const usagesOf = (name) =>
  all.filter((usage) => {
    if (/^(RSASSA|RSA-PSS|ECDSA|Ed|NODE|HMAC)/.test(name)) return usage === "sign" || usage === "verify";
    if (/^(ECDH|X25519)/.test(name)) return usage.startsWith("derive");
    if (name === "AES-KW") return /wrap/i.test(usage);
    return /crypt|wrap/i.test(usage);
  });
const typeOf = (name) => ({ name: name.replace(/-P-\d+$/, ""), ...types[name] });
const { subtle } = crypto;
const text = new TextEncoder().encode("a text");
const generate = (name, extractable = true) => subtle.generateKey(typeOf(name), extractable, usagesOf(name));
const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const shown = (key) => ({
  string: String(key),
  type: key.type,
  extractable: key.extractable,
  algorithm: key.algorithm,
  exponent: key.algorithm.publicExponent && Object.prototype.toString.call(key.algorithm.publicExponent),
  usages: key.usages,
});

// → what came, or the error's name, and its message up to the first number, quote or parenthesis
async function outcome(run, messages) {
  try {
    const value = await run();
    if (value instanceof CryptoKey) return shown(value);
    if (value?.privateKey) return { keys: Object.keys(value), public: shown(value.publicKey), private: shown(value.privateKey) };
    if (value instanceof ArrayBuffer) return `${value.byteLength} bytes`;
    return value;
  } catch (error) {
    return messages ? `${error.name}: ${error.message}` : error.name;
  }
}

async function formats(name) {
  const made = await generate(name), keys = made instanceof CryptoKey ? [made] : [made.privateKey, made.publicKey], result = {};
  for (const key of keys) {
    for (const format of ["raw", "spki", "pkcs8", "jwk", "other"]) {
      result[`${key.type} ${format}`] = await outcome(async () => {
        const data = await subtle.exportKey(format, key);
        const again = await subtle.importKey(format, data, typeOf(name), true, key.usages);
        const second = await subtle.exportKey(format, again);
        const same = format === "jwk" ? JSON.stringify(data) === JSON.stringify(second) : hex(data) === hex(second);
        // Lengths of integers in DER and JWK vary with their first bits.
        const size = format === "jwk" ? Object.fromEntries(Object.entries(data).map(([member, value]) => [member, /^(kty|crv|alg|ext|key_ops)$/.test(member) ? value : "…"])) : format === "raw" ? data.byteLength : "…";
        return { same, size, key: shown(again) };
      });
    }
  }
  return result;
}

async function use(name) {
  const made = await generate(name), algorithm = typeOf(name), result = {};
  if (/^(RSASSA|RSA-PSS|ECDSA|Ed|NODE)/.test(name)) {
    for (const hash of ["SHA-1", "SHA-256", "SHA-384", "SHA-512"]) {
      const how = { name: algorithm.name, hash, saltLength: 20 };
      const signature = new Uint8Array(await subtle.sign(how, made.privateKey, text));
      const wrong = signature.slice();
      wrong[5] ^= 1;
      const check = (bytes, data = text) => outcome(() => subtle.verify(how, made.publicKey, bytes, data), true);
      result[hash] = [signature.length, await check(signature), await check(wrong), await check(signature.subarray(1)), await check(new Uint8Array(0)), await check(signature, text.subarray(1))];
    }
  } else if (/^(ECDH|X25519)/.test(name)) {
    const other = await generate(name), peer = { name: algorithm.name, public: other.publicKey };
    for (const bits of [undefined, null, 0, 8, 17, 256, 528, 5000, -8]) {
      const mine = await outcome(async () => hex(await subtle.deriveBits(peer, made.privateKey, bits)), true);
      const theirs = await outcome(async () => hex(await subtle.deriveBits({ ...peer, public: made.publicKey }, other.privateKey, bits)), true);
      result[`bits ${bits}`] = [mine === theirs, /^[0-9a-f]*$/.test(mine) ? mine.length : mine];
    }
    for (const derived of [{ name: "AES-GCM", length: 256 }, { name: "HMAC", hash: "SHA-256", length: 128 }, { name: "HKDF" }, { name: "AES-GCM", length: 100 }, { name: "ECDSA" }])
      result[`key ${JSON.stringify(derived)}`] = await outcome(() => subtle.deriveKey(peer, made.privateKey, derived, false, derived.name === "HKDF" ? ["deriveBits"] : derived.name === "HMAC" ? ["sign"] : ["encrypt"]));
    result.missing = await outcome(() => subtle.deriveBits({ name: algorithm.name }, made.privateKey, 8), true);
    result.private = await outcome(() => subtle.deriveBits({ name: algorithm.name, public: other.privateKey }, made.privateKey, 8), true);
    result.itself = await outcome(() => subtle.deriveBits({ name: algorithm.name, public: 1 }, made.privateKey, 8));
  } else if (name === "RSA-OAEP") {
    for (const label of [undefined, text]) {
      const how = { name, ...(label && { label }) }, sealed = await subtle.encrypt(how, made.publicKey, text);
      result[label ? "label" : "none"] = [sealed.byteLength, hex(await subtle.decrypt(how, made.privateKey, sealed))];
      result[`${label ? "label" : "none"} wrong`] = await outcome(() => subtle.decrypt({ name, label: new Uint8Array(3) }, made.privateKey, sealed));
    }
    result.long = await outcome(() => subtle.encrypt({ name }, made.publicKey, new Uint8Array(128)));
    result.short = await outcome(() => subtle.decrypt({ name }, made.privateKey, new Uint8Array(127)));
    result.zeros = await outcome(() => subtle.decrypt({ name }, made.privateKey, new Uint8Array(128)));
  }
  return result;
}

async function wrapping() {
  const result = {};
  const wrappers = {
    "AES-KW": { name: "AES-KW" },
    "AES-GCM": { name: "AES-GCM", iv: new Uint8Array(12) },
    "AES-CBC": { name: "AES-CBC", iv: new Uint8Array(16) },
    "AES-CTR": { name: "AES-CTR", counter: new Uint8Array(16), length: 64 },
    "RSA-OAEP": { name: "RSA-OAEP" },
  };
  const wrapped = { "AES-GCM": ["raw", "jwk"], HMAC: ["raw", "jwk"], "ECDSA-P-256": ["pkcs8", "spki", "raw", "jwk"], Ed25519: ["pkcs8", "raw", "jwk"], X25519: ["pkcs8"] };
  for (const [name, how] of Object.entries(wrappers)) {
    const made = name === "RSA-OAEP" ? await subtle.generateKey({ ...typeOf(name), modulusLength: 2048 }, true, usagesOf(name)) : await generate(name);
    for (const [inner, forms] of Object.entries(wrapped)) {
      const key = await generate(inner);
      for (const form of forms) {
        const one = key instanceof CryptoKey ? key : form === "spki" || form === "raw" ? key.publicKey : key.privateKey;
        const run = async () => {
          const sealed = await subtle.wrapKey(form, one, made.publicKey ?? made, how);
          const again = await subtle.unwrapKey(form, sealed, made.privateKey ?? made, how, typeOf(inner), true, one.usages);
          const left = await subtle.exportKey(form, one), right = await subtle.exportKey(form, again);
          return [shown(again), form === "jwk" ? JSON.stringify(left) === JSON.stringify(right) : hex(left) === hex(right)];
        };
        // The length of JSON and of DER decides about AES-KW and RSA-OAEP; that of these keys is always the same.
        result[`${name} ${inner} ${form}`] = await outcome(run);
      }
    }
  }
  const key = await generate("AES-KW"), locked = await generate("HMAC", false);
  result.locked = await outcome(() => subtle.wrapKey("raw", locked, key, "AES-KW"), true);
  result.bad = await outcome(() => subtle.unwrapKey("raw", new Uint8Array(24), key, "AES-KW", "AES-GCM", true, ["encrypt"]));
  result.odd = await outcome(() => subtle.unwrapKey("raw", new Uint8Array(25), key, "AES-KW", "AES-GCM", true, ["encrypt"]));
  const gcm = await generate("AES-GCM"), how = wrappers["AES-GCM"];
  for (const json of ["{}", '{"kty":"oct"}', "[]", "nonsense", '{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAA"}', '{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAA","ext":false}']) {
    const sealed = await subtle.encrypt(how, gcm, new TextEncoder().encode(json));
    result[json] = await outcome(() => subtle.unwrapKey("jwk", sealed, gcm, how, "AES-GCM", true, ["encrypt"]));
  }
  return result;
}

// Wrong use, by all whose messages can be compared.
async function misuse() {
  const result = {}, note = async (what, run, messages = true) => (result[what] = await outcome(run, messages));
  const pair = await generate("ECDSA-P-256"), oaep = await generate("RSA-OAEP"), hmac = await generate("HMAC"), ed = await generate("Ed25519");
  const pss = await generate("RSA-PSS"), pkcs1 = await subtle.generateKey({ ...typeOf("RSASSA-PKCS1-v1_5"), modulusLength: 512 }, true, ["sign", "verify"]).catch((error) => error.name);
  for (const [name, algorithm] of Object.entries({ none: { name: "none" }, lower: { name: "ecdsa", namedCurve: "p-256" }, curve: { name: "ECDSA", namedCurve: "P-224" }, noCurve: { name: "ECDSA" }, node: { name: "NODE-ED25519", namedCurve: "Ed25519" }, noHash: { ...rsa, name: "RSA-PSS", hash: undefined }, badHash: { ...rsa, name: "RSA-PSS", hash: "SHA-3" }, noBits: { ...rsa, name: "RSA-PSS", modulusLength: undefined }, zeroBits: { ...rsa, name: "RSA-PSS", modulusLength: 0 }, odd: { ...rsa, name: "RSA-PSS", modulusLength: 1030 }, eight: { ...rsa, name: "RSA-PSS", modulusLength: 1032 }, huge: { ...rsa, name: "RSA-PSS", modulusLength: 32768 }, small: { ...rsa, name: "RSA-PSS", modulusLength: 128 }, exponent: { ...rsa, name: "RSA-PSS", publicExponent: new Uint8Array([5]) }, noExponent: { ...rsa, name: "RSA-PSS", publicExponent: undefined }, three: { ...rsa, name: "RSA-PSS", publicExponent: new Uint8Array([3]) } }))
    await note(`generate ${name}`, () => subtle.generateKey(algorithm, true, ["sign", "verify"]), !/badHash|exponent|none$/.test(name));
  for (const usages of [[], ["verify"], ["encrypt"], ["sign", "sign"], ["deriveBits"], ["bogus"]])
    for (const name of ["ECDSA-P-256", "Ed25519", "RSA-PSS", "HMAC", "X25519", "ECDH-P-256", "RSA-OAEP"]) await note(`generate ${name} for ${usages}`, () => subtle.generateKey(typeOf(name), true, usages));
  await note("sign with public", () => subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.publicKey, text));
  await note("sign without hash", () => subtle.sign({ name: "ECDSA" }, pair.privateKey, text));
  await note("sign with string", () => subtle.sign("ECDSA", pair.privateKey, text));
  await note("sign with other", () => subtle.sign({ name: "HMAC" }, pair.privateKey, text));
  await note("sign with lower case", () => subtle.sign({ name: "ecdsa", hash: { name: "sha-256" } }, pair.privateKey, text));
  await note("sign no key", () => subtle.sign({ name: "ecdsa", hash: { name: "sha-256" } }, {}, text), false);
  await note("sign no data", () => subtle.sign({ name: "ecdsa", hash: { name: "sha-256" } }, pair.privateKey, "text"), false);
  await note("sign no algorithm", () => subtle.sign({}, pair.privateKey, text), false);
  await note("verify with private", () => subtle.verify("Ed25519", ed.privateKey, new Uint8Array(64), text));
  await note("encrypt with private", () => subtle.encrypt("RSA-OAEP", oaep.privateKey, text));
  await note("sign by OAEP", () => subtle.sign("RSA-OAEP", oaep.privateKey, text));
  await note("encrypt by HMAC", () => subtle.encrypt("HMAC", hmac, text));
  await note("PSS without salt", () => subtle.sign("RSA-PSS", pss.privateKey, text));
  await note("PSS verify without salt", () => subtle.verify("RSA-PSS", pss.publicKey, new Uint8Array(128), text));
  for (const saltLength of [-1, 0, 94, 95, 1000]) await note(`PSS salt ${saltLength}`, () => subtle.sign({ name: "RSA-PSS", saltLength }, pss.privateKey, text));
  await note("PSS verify salt", () => subtle.verify({ name: "RSA-PSS", saltLength: -1 }, pss.publicKey, new Uint8Array(128), text));
  await note("PSS verify long salt", () => subtle.verify({ name: "RSA-PSS", saltLength: 500 }, pss.publicKey, new Uint8Array(128), text), false);
  await note("512 bits", async () => (typeof pkcs1 === "string" ? pkcs1 : subtle.sign("RSASSA-PKCS1-v1_5", pkcs1.privateKey, text)));
  await note("export private spki", () => subtle.exportKey("spki", pair.privateKey), false);
  await note("export other", () => subtle.exportKey("other", hmac), false);
  await note("export locked", async () => subtle.exportKey("jwk", (await generate("Ed25519", false)).privateKey));
  await note("public of locked", async () => (await generate("Ed25519", false)).publicKey);
  return result;
}

export default {
  async fetch(request) {
    const { pathname } = new URL(request.url), [, what, name] = pathname.split("/");
    const does = { generate: () => outcome(() => generate(name)), formats: () => formats(name), use: () => use(name), wrap: wrapping, misuse };
    return new Response(JSON.stringify(await does[what](), null, 1));
  },
};

export const requests = [
  ...Object.keys(types).flatMap((name) => [`/generate/${name}`, `/formats/${name}`, ...(/^(AES|HMAC)/.test(name) ? [] : [`/use/${name}`])]),
  "/wrap",
  "/misuse",
];
