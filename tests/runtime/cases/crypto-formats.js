// SPDX-License-Identifier: Apache-2.0
// Keys of every algorithm through every format that it has, what they show, and the order of the checks.
//// driver
const { subtle } = crypto, message = new TextEncoder().encode("a message");
const hex = (bytes) => new Uint8Array(bytes).toHex();
const rsa = { hash: "SHA-384", modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]) };
const nist = ["P-256", "P-384", "P-521"];
const signing = [...["RSASSA-PKCS1-v1_5", "RSA-PSS"].map((name) => ({ name, ...rsa })), ...nist.map((namedCurve) => ({ name: "ECDSA", namedCurve })), { name: "Ed25519" }, { name: "NODE-ED25519", namedCurve: "NODE-ED25519" }];
const agreeing = [...nist.map((namedCurve) => ({ name: "ECDH", namedCurve })), { name: "X25519" }];
const title = ({ name, namedCurve = "" }) => `${name} ${namedCurve}`;
const outcome = (promise) => promise.then((value) => value, (error) => error.name);

for (const algorithm of signing) {
  test(`${title(algorithm)}: signs and verifies through every format`, async () => {
    const how = { name: algorithm.name, hash: "SHA-256", saltLength: 16 }, pair = await subtle.generateKey(algorithm, true, ["verify", "sign"]);
    equal([pair.publicKey.type, pair.publicKey.usages, pair.publicKey.extractable], ["public", ["verify"], true]);
    equal([pair.privateKey.type, pair.privateKey.usages, pair.privateKey.extractable], ["private", ["sign"], true]);
    const privates = [pair.privateKey], publics = [pair.publicKey];
    for (const format of ["pkcs8", "jwk"]) privates.push(await subtle.importKey(format, await subtle.exportKey(format, pair.privateKey), algorithm, true, ["sign"]));
    for (const format of algorithm.modulusLength ? ["spki", "jwk"] : ["spki", "jwk", "raw"]) publics.push(await subtle.importKey(format, await subtle.exportKey(format, pair.publicKey), algorithm, true, ["verify"]));
    for (const key of privates) {
      equal(hex(await subtle.exportKey("pkcs8", key)), hex(await subtle.exportKey("pkcs8", pair.privateKey)));
      const signature = await subtle.sign(how, key, message);
      ok(signature instanceof ArrayBuffer);
      for (const open of publics) equal(await subtle.verify(how, open, signature, message), true);
    }
  });
}
for (const algorithm of agreeing) {
  test(`${title(algorithm)}: agrees through every format`, async () => {
    const left = await subtle.generateKey(algorithm, true, ["deriveKey", "deriveBits"]), right = await subtle.generateKey(algorithm, false, ["deriveBits"]);
    equal([left.privateKey.usages, left.publicKey.usages, right.privateKey.extractable, right.publicKey.extractable], [["deriveKey", "deriveBits"], [], false, true]);
    const shared = hex(await subtle.deriveBits({ name: algorithm.name, public: left.publicKey }, right.privateKey));
    for (const format of ["pkcs8", "jwk"]) {
      const again = await subtle.importKey(format, await subtle.exportKey(format, left.privateKey), algorithm, false, ["deriveBits"]);
      equal(hex(await subtle.deriveBits({ name: algorithm.name, public: right.publicKey }, again, null)), shared);
    }
    for (const format of ["spki", "jwk", "raw"]) {
      const again = await subtle.importKey(format, await subtle.exportKey(format, right.publicKey), algorithm, true, []);
      equal(hex(await subtle.deriveBits({ name: algorithm.name, public: again }, left.privateKey, 256)), shared.slice(0, 64));
    }
    await rejects(subtle.exportKey("pkcs8", right.privateKey), /^InvalidAccessError/);
    const [one, other] = await Promise.all([[left.privateKey, right.publicKey]].flatMap(([key, peer]) => [subtle.deriveKey({ name: algorithm.name, public: peer }, key, { name: "AES-GCM", length: 256 }, true, ["encrypt"]), subtle.deriveBits({ name: algorithm.name, public: peer }, key, 256)]));
    equal(hex(await subtle.exportKey("raw", one)), hex(other));
  });
}
test("RSA-OAEP encrypts, and wraps through every format", async () => {
  const pair = await subtle.generateKey({ name: "RSA-OAEP", ...rsa, hash: "SHA-1", modulusLength: 2048 }, true, ["unwrapKey", "wrapKey", "decrypt", "encrypt"]);
  equal([pair.publicKey.usages, pair.privateKey.usages], [["encrypt", "wrapKey"], ["decrypt", "unwrapKey"]]);
  equal((await subtle.exportKey("jwk", pair.publicKey)).alg, "RSA-OAEP");
  for (const label of [undefined, new Uint8Array(0), message]) {
    const algorithm = label ? { name: "RSA-OAEP", label } : "RSA-OAEP";
    equal(hex(await subtle.decrypt(algorithm, pair.privateKey, await subtle.encrypt(algorithm, pair.publicKey, message))), hex(message));
  }
  const ed = await subtle.generateKey("Ed25519", true, ["sign", "verify"]), wrapped = await subtle.wrapKey("pkcs8", ed.privateKey, pair.publicKey, "RSA-OAEP");
  const again = await subtle.unwrapKey("pkcs8", wrapped, pair.privateKey, "RSA-OAEP", "Ed25519", false, ["sign"]);
  equal(await subtle.verify("Ed25519", ed.publicKey, await subtle.sign("Ed25519", again, message), message), true);
  equal([again.extractable, again.algorithm, again.type], [false, { name: "Ed25519" }, "private"]);
});
test("what is shown of a key", async () => {
  const pss = (await subtle.generateKey({ name: "rsa-pss", ...rsa, hash: { name: "sha-512" } }, false, ["sign", "verify"])).privateKey;
  equal([pss.algorithm.name, pss.algorithm.modulusLength, pss.algorithm.hash], ["RSA-PSS", 1024, { name: "SHA-512" }]);
  ok(pss.algorithm.publicExponent instanceof Uint8Array && hex(pss.algorithm.publicExponent) === "010001");
  ok(pss.algorithm === pss.algorithm && pss.usages === pss.usages, "the same object each time");
  const hmac = await subtle.importKey("raw", new Uint8Array(9), { name: "HMAC", hash: "SHA-1", length: 70 }, true, ["verify", "sign", "verify"]);
  equal([hmac.algorithm, hmac.usages], [{ name: "HMAC", hash: { name: "SHA-1" }, length: 70 }, ["sign", "verify"]]);
  const ecdsa = (await subtle.generateKey({ name: "ecdsa", namedCurve: "p-384" }, true, ["sign"])).publicKey;
  equal([ecdsa.algorithm, ecdsa.usages, String(ecdsa)], [{ name: "ECDSA", namedCurve: "P-384" }, [], "[object CryptoKey]"]);
  const aes = await subtle.generateKey({ name: "AES-GCM", length: 192 }, true, ["unwrapKey", "wrapKey", "decrypt", "encrypt"]);
  equal([aes.algorithm, aes.usages], [{ name: "AES-GCM", length: 192 }, ["encrypt", "decrypt", "wrapKey", "unwrapKey"]]);
  throws(() => new CryptoKey(), /^TypeError/);
});
test("what a worker writes to it changes nothing", async () => {
  const { publicKey, privateKey } = await subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
  privateKey.algorithm.name = "HMAC";
  privateKey.algorithm.namedCurve = "P-521";
  privateKey.usages.push("verify", "deriveBits");
  publicKey.usages.push("verify");
  equal((await subtle.sign({ name: "ECDSA", hash: "SHA-256" }, privateKey, message)).byteLength, 64);
  equal(await outcome(subtle.verify({ name: "ECDSA", hash: "SHA-256" }, publicKey, new Uint8Array(64), message)), "InvalidAccessError");
  equal(await outcome(subtle.exportKey("jwk", privateKey)), "InvalidAccessError");
});
test("the exponent is the key's own copy", async () => {
  const publicExponent = new Uint8Array([1, 0, 1]), { publicKey, privateKey } = await subtle.generateKey({ name: "RSA-PSS", hash: "SHA-256", modulusLength: 512, publicExponent }, true, ["sign"]);
  publicExponent.fill(0);
  publicKey.algorithm.publicExponent.fill(9);
  equal([hex(privateKey.algorithm.publicExponent), (await subtle.exportKey("jwk", publicKey)).e], ["010001", "AQAB"]);
});
test("checks come in order", async () => {
  const ec = { name: "ECDSA", namedCurve: "P-256" }, order = async (expected, promise) => equal(await outcome(promise), expected);
  await order("NotSupportedError", subtle.importKey("odd", 1, "none", true, []));
  await order("TypeError", subtle.importKey("raw", {}, "none", true, []));
  await order("NotSupportedError", subtle.importKey("raw", message, "none", true, ["x"]));
  await order("SyntaxError", subtle.importKey("raw", message, ec, true, ["x"]));
  await order("DataError", subtle.importKey("raw", message, ec, true, []));
  await order("TypeError", subtle.importKey("raw", message, ec, true));
  await order("SyntaxError", subtle.generateKey(ec, true, ["verify"]));
  await order("SyntaxError", subtle.generateKey(ec, true, ["encrypt"]));
  await order("NotSupportedError", subtle.generateKey({ name: "PBKDF2" }, true, ["deriveBits"]));
  await order("NotSupportedError", subtle.generateKey({ ...ec, namedCurve: "P-224" }, true, ["sign"]));
  const { privateKey, publicKey } = await subtle.generateKey(ec, false, ["sign", "verify"]);
  await order("InvalidAccessError", subtle.sign("HMAC", privateKey, message));
  await order("InvalidAccessError", subtle.sign(ec, publicKey, message));
  await order("TypeError", subtle.sign(ec, privateKey, message));
  await order("NotSupportedError", subtle.sign({ ...ec, hash: "SHA-3" }, privateKey, message));
  await order("TypeError", subtle.sign({ ...ec, hash: "SHA-256" }, privateKey, "message"));
  await order("TypeError", subtle.sign({ ...ec, hash: "SHA-256" }, {}, message));
  await order("InvalidAccessError", subtle.exportKey("odd", privateKey));
  await order("InvalidAccessError", subtle.exportKey("pkcs8", publicKey));
});
test("what is not supported has its name in the error", async () => {
  const said = async (name, promise) => match((await promise.catch((error) => error)).message, new RegExp(name));
  await said("SHA-3", subtle.digest("SHA-3", message));
  await said("ROT13", subtle.generateKey("ROT13", true, ["sign"]));
  await said("ROT13", subtle.importKey("raw", message, "ROT13", true, ["sign"]));
  await said("P-224", subtle.generateKey({ name: "ECDH", namedCurve: "P-224" }, true, ["deriveBits"]));
  await said("HS1234", subtle.importKey("jwk", { kty: "EC", crv: "P-256", x: "", y: "", alg: "HS1234" }, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]));
  await said("Ed448", subtle.importKey("jwk", { kty: "OKP", crv: "Ed448", x: "" }, "Ed25519", true, ["verify"]));
});
test("inputs may lie anywhere in a buffer, and are not changed", async () => {
  const { publicKey, privateKey } = await subtle.generateKey("Ed25519", true, ["sign", "verify"]), room = new Uint8Array(100);
  room.set(message, 7);
  const view = new DataView(room.buffer, 7, message.length), signature = await subtle.sign("Ed25519", privateKey, view);
  equal(await subtle.verify("Ed25519", publicKey, signature, message), true);
  const spki = new Uint8Array(await subtle.exportKey("spki", publicKey)), wide = new Uint8Array(spki.length + 5);
  wide.set(spki, 5);
  await subtle.importKey("spki", wide.subarray(5), "Ed25519", true, ["verify"]);
  equal(hex(wide.subarray(5)), hex(spki));
  const raw = new Uint8Array(16).fill(5), key = await subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256", length: 123 }, true, ["sign"]);
  equal([hex(raw), hex(await subtle.exportKey("raw", key))], ["05".repeat(16), "05".repeat(15) + "00"]);
});
test("a detached buffer is an empty one", async () => {
  const { publicKey } = await subtle.generateKey("Ed25519", true, ["sign", "verify"]), gone = new Uint8Array(64);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  equal(await outcome(subtle.verify("Ed25519", publicKey, gone, message)), "OperationError");
  equal(await outcome(subtle.importKey("spki", gone, "Ed25519", true, ["verify"])), "DataError");
});
test("keys come and go", async () => {
  for (let i = 0; i < 300; i++) {
    const { privateKey } = await subtle.generateKey("Ed25519", true, ["sign", "verify"]);
    await subtle.importKey("jwk", await subtle.exportKey("jwk", privateKey), "Ed25519", true, ["sign"]);
  }
});
