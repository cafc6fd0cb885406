// SPDX-License-Identifier: Apache-2.0
// node:crypto's keys beside Web Crypto's. More of it is compared with node itself in tests/transform/node/cases.
import { KeyObject, createPrivateKey, createPublicKey, createSign, createVerify, generateKeyPairSync, sign, verify } from "node:crypto";

const data = Buffer.from("some data"), { subtle } = crypto;

async function web() {
  const result = [];
  for (const [algorithm, hash] of [[{ name: "ECDSA", namedCurve: "P-256" }, "sha256"], [{ name: "Ed25519" }, null], [{ name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }, "sha256"]]) {
    const pair = await subtle.generateKey(algorithm, true, ["sign", "verify"]), own = KeyObject.from(pair.privateKey), open = KeyObject.from(pair.publicKey);
    const how = { name: algorithm.name, hash: "SHA-256" };
    result.push([own.type, open.type, own.asymmetricKeyType, open.asymmetricKeyType]);
    // workerd takes no KeyObject as `key` of the options, and signatures of ECDSA are DER without them.
    if (algorithm.name === "ECDSA") continue;
    result.push(await subtle.verify(how, pair.publicKey, sign(hash, data, own), data));
    result.push(verify(hash, data, open, Buffer.from(await subtle.sign(how, pair.privateKey, data))));
    const spki = Buffer.from(await subtle.exportKey("spki", pair.publicKey));
    result.push(createPublicKey({ key: spki, format: "der", type: "spki" }).export({ format: "der", type: "spki" }).equals(spki));
  }
  return result;
}

// As libraries for tokens do it.
async function pem() {
  const result = [];
  for (const [type, options] of [["rsa", { modulusLength: 2048 }], ["ec", { namedCurve: "P-256" }]]) {
    const { publicKey, privateKey } = generateKeyPairSync(type, { ...options, publicKeyEncoding: { type: "spki", format: "pem" }, privateKeyEncoding: { type: "pkcs8", format: "pem" } });
    const signature = createSign("RSA-SHA256").update("some ").update("data").sign(privateKey, "base64");
    result.push(publicKey.split("\n")[0], privateKey.split("\n")[0], createVerify("RSA-SHA256").update(data).verify(publicKey, signature, "base64"), createVerify("RSA-SHA256").update("x").verify(publicKey, signature, "base64"));
    result.push(createPrivateKey(privateKey).asymmetricKeyType, createPublicKey(publicKey).type);
  }
  return result;
}

export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    return Response.json(await { "/web": web, "/pem": pem }[pathname]());
  },
};
export const settings = { flags: ["nodejs_compat"] };
export const requests = ["/web", "/pem"];
