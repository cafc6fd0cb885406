// SPDX-License-Identifier: Apache-2.0
// Node's Web Crypto makes keys, signatures and ciphertexts that we take, and takes ours.
//// node
const { subtle } = globalThis.crypto, message = new TextEncoder().encode("from one to the other");
const rsa = { modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]) };
const nist = ["P-256", "P-384", "P-521"], hashes = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"];
const base64 = (data) => Buffer.from(data).toString("base64"), bytes = (text) => Buffer.from(text, "base64");
const all = [
  ...["RSASSA-PKCS1-v1_5", "RSA-PSS", "RSA-OAEP"].flatMap((name) => hashes.filter((hash) => name !== "RSA-OAEP" || hash !== "SHA-512").map((hash) => ({ name, hash, ...rsa }))),
  ...nist.flatMap((namedCurve) => hashes.map((hash) => ({ name: "ECDSA", namedCurve, hash }))),
  ...nist.map((namedCurve) => ({ name: "ECDH", namedCurve })),
  { name: "Ed25519" },
  { name: "X25519" },
];
const usages = (name) => (name === "RSA-OAEP" ? ["encrypt", "decrypt"] : name === "ECDH" || name === "X25519" ? ["deriveBits"] : ["sign", "verify"]);
const how = ({ name, hash }) => ({ name, hash, saltLength: 20, label: message });

export default async function () {
  const given = [];
  for (const algorithm of all) {
    const { publicKey, privateKey } = await subtle.generateKey(algorithm, true, usages(algorithm.name)), one = { algorithm: { ...algorithm, publicExponent: undefined } };
    for (const format of ["spki", "jwk", "raw"]) {
      if (format === "raw" && algorithm.modulusLength) continue;
      const data = await subtle.exportKey(format, publicKey);
      one[format] = format === "jwk" ? data : base64(data);
    }
    one.pkcs8 = base64(await subtle.exportKey("pkcs8", privateKey));
    one.privateJwk = await subtle.exportKey("jwk", privateKey);
    if (algorithm.name === "RSA-OAEP") one.made = base64(await subtle.encrypt(how(algorithm), publicKey, message));
    else if (usages(algorithm.name)[0] === "sign") one.made = base64(await subtle.sign(how(algorithm), privateKey, message));
    else {
      const other = await subtle.generateKey(algorithm, true, ["deriveBits"]);
      one.peer = await subtle.exportKey("jwk", other.publicKey);
      const bits = { "P-384": 384, "P-521": 528 }[algorithm.namedCurve] ?? 256;
      one.made = base64(await subtle.deriveBits({ name: algorithm.name, public: other.publicKey }, privateKey, bits));
    }
    given.push(one);
  }
  return given;
}

export async function check(back, assert) {
  assert.equal(back.length, all.length);
  for (const { algorithm, spki, pkcs8, jwk, made, peer } of back) {
    const open = await subtle.importKey("spki", bytes(spki), algorithm, true, usages(algorithm.name).slice(1).filter((usage) => usage === "verify"));
    const own = await subtle.importKey("pkcs8", bytes(pkcs8), algorithm, true, usages(algorithm.name).filter((usage) => usage !== "verify" && usage !== "encrypt"));
    await subtle.importKey("jwk", jwk, algorithm, true, usages(algorithm.name).filter((usage) => usage !== "verify" && usage !== "encrypt"));
    assert.equal(base64(await subtle.exportKey("pkcs8", own)), pkcs8, algorithm.name);
    assert.equal(base64(await subtle.exportKey("spki", open)), spki, algorithm.name);
    if (algorithm.name === "RSA-OAEP") assert.deepEqual(bytes(base64(await subtle.decrypt(how(algorithm), own, bytes(made)))), Buffer.from(message));
    else if (usages(algorithm.name)[0] === "sign") assert.equal(await subtle.verify(how(algorithm), open, bytes(made), message), true, algorithm.name);
    else {
      const other = await subtle.importKey("jwk", peer, algorithm, true, []);
      assert.equal(base64(await subtle.deriveBits({ name: algorithm.name, public: other }, own, bytes(made).length * 8)), made);
    }
  }
}
//// driver
const { subtle } = crypto, message = new TextEncoder().encode("from one to the other");
const base64 = (data) => new Uint8Array(data).toBase64(), bytes = (text) => Uint8Array.fromBase64(text);
const how = ({ name, hash }) => ({ name, hash, saltLength: 20, label: message });
const publicUsages = { "RSA-OAEP": ["encrypt"], ECDH: [], X25519: [] }, privateUsages = { "RSA-OAEP": ["decrypt"], ECDH: ["deriveBits"], X25519: ["deriveBits"] };
const back = [];

for (const { algorithm, spki, jwk, raw, pkcs8, privateJwk, peer, made } of given) {
  const { name } = algorithm;
  test(`${name} ${algorithm.namedCurve ?? ""} ${algorithm.hash ?? ""}`, async () => {
    const usages = publicUsages[name] ?? ["verify"], own = privateUsages[name] ?? ["sign"];
    const publics = [await subtle.importKey("spki", bytes(spki), algorithm, true, usages), await subtle.importKey("jwk", { ...jwk, key_ops: undefined }, algorithm, true, usages)];
    if (raw) publics.push(await subtle.importKey("raw", bytes(raw), algorithm, true, usages));
    const privates = [await subtle.importKey("pkcs8", bytes(pkcs8), algorithm, true, own), await subtle.importKey("jwk", { ...privateJwk, key_ops: undefined }, algorithm, true, own)];
    for (const key of publics) equal(base64(await subtle.exportKey("spki", key)), spki);
    for (const key of privates) {
      equal(base64(await subtle.exportKey("pkcs8", key)), pkcs8);
      const exported = await subtle.exportKey("jwk", key);
      for (const member of ["kty", "crv", "x", "y", "d", "n", "e", "p", "q", "dp", "dq", "qi"]) equal(exported[member], privateJwk[member], member);
    }
    if (name === "RSA-OAEP") for (const key of privates) equal(base64(await subtle.decrypt(how(algorithm), key, bytes(made))), base64(message));
    else if (peer) {
      const other = await subtle.importKey("jwk", { ...peer, key_ops: undefined }, algorithm, true, []);
      for (const key of privates) equal(base64(await subtle.deriveBits({ name, public: other }, key, null)), made);
    } else for (const key of publics) equal(await subtle.verify(how(algorithm), key, bytes(made), message), true);

    // Ours, for node.
    const mine = await subtle.generateKey(algorithm.modulusLength ? { ...algorithm, publicExponent: new Uint8Array([1, 0, 1]) } : algorithm, true, [...usages, ...own]);
    const one = { algorithm, spki: base64(await subtle.exportKey("spki", mine.publicKey)), pkcs8: base64(await subtle.exportKey("pkcs8", mine.privateKey)), jwk: await subtle.exportKey("jwk", mine.privateKey) };
    if (name === "RSA-OAEP") one.made = base64(await subtle.encrypt(how(algorithm), mine.publicKey, message));
    else if (peer) {
      const theirs = publics[0];
      one.peer = { ...(await subtle.exportKey("jwk", theirs)), key_ops: undefined };
      one.made = base64(await subtle.deriveBits({ name, public: theirs }, mine.privateKey, null));
    } else one.made = base64(await subtle.sign(how(algorithm), mine.privateKey, message));
    back.push(one);
  });
}
test("all of them", () => give(back));
