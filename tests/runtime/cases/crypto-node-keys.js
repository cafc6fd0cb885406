// SPDX-License-Identifier: Apache-2.0
// Keys of Web Crypto and of node:crypto are the same keys. The rest of node:crypto is compared with node's in
// tests/transform/node/cases.
//// index.js
import { KeyObject, createHmac, createPublicKey, diffieHellman, sign, verify } from "node:crypto";
const { subtle } = crypto, data = Buffer.from("some data");
export default {
  async fetch() {
    const seen = {};
    for (const [name, hash, options = {}] of [["ECDSA", "sha256", { namedCurve: "P-521" }], ["Ed25519", null], ["RSA-PSS", "sha384", { hash: "SHA-384", modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]) }]]) {
      const pair = await subtle.generateKey({ name, ...options }, false, ["sign", "verify"]), own = KeyObject.from(pair.privateKey);
      const how = { name, hash: "SHA-256", saltLength: 20 }, also = { key: own, dsaEncoding: "ieee-p1363", padding: name === "RSA-PSS" ? 6 : undefined, saltLength: 20 };
      seen[name] = [
        own.type, own.asymmetricKeyType, createPublicKey(own).equals(KeyObject.from(pair.publicKey)),
        await subtle.verify(how, pair.publicKey, sign(hash, data, also), data),
        verify(hash, data, { ...also, key: pair.publicKey }, Buffer.from(await subtle.sign(how, pair.privateKey, data))),
      ];
    }
    const [left, right] = [await subtle.generateKey("X25519", true, ["deriveBits"]), await subtle.generateKey("X25519", true, ["deriveBits"])];
    seen.agreed = diffieHellman({ privateKey: KeyObject.from(left.privateKey), publicKey: KeyObject.from(right.publicKey) }).equals(Buffer.from(await subtle.deriveBits({ name: "X25519", public: left.publicKey }, right.privateKey, 256)));
    const secret = await subtle.importKey("raw", Buffer.from("a secret"), { name: "HMAC", hash: "SHA-256" }, true, ["sign"]);
    seen.hmac = [KeyObject.from(secret).symmetricKeySize, createHmac("sha256", KeyObject.from(secret)).update(data).digest("hex") === Buffer.from(await subtle.sign("HMAC", secret, data)).toString("hex")];
    return Response.json(seen);
  },
};
//// manifest
{"compatibility_flags": ["nodejs_compat"]}
//// driver
test("both see the same", async () => {
  equal(await gateway.boot(bundle), "");
  const answer = await gateway.request("http://x/");
  equal(JSON.parse(answer.body), {
    ECDSA: ["private", "ec", true, true, true],
    Ed25519: ["private", "ed25519", true, true, true],
    "RSA-PSS": ["private", "rsa", true, true, true],
    agreed: true,
    hmac: [8, true],
  });
});
