// SPDX-License-Identifier: Apache-2.0
// Signatures, ciphertexts and keys that are nearly right, as the collections of Wycheproof have them. Keys are made here.
//// driver
const { subtle } = crypto, message = new TextEncoder().encode("a message");
const hex = (bytes) => new Uint8Array(bytes).toHex(), bytes = (text) => Uint8Array.fromHex(text);
const pad = (number, length) => bytes(number.toString(16).padStart(2 * length, "0"));
const join = (...parts) => bytes(parts.map(hex).join(""));
const numberOf = (data) => BigInt(`0x${hex(data)}`);
const rsa = (name, bits = 1024) => subtle.generateKey({ name, hash: name === "RSA-OAEP" && bits < 1024 ? "SHA-1" : "SHA-256", modulusLength: bits, publicExponent: new Uint8Array([1, 0, 1]) }, true, name === "RSA-OAEP" ? ["encrypt", "decrypt"] : ["sign", "verify"]);
const curves = {
  "P-256": [32, 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n, 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn],
  "P-384": [48, 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n, 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n],
  "P-521": [66, 2n ** 521n - 2n ** 260n + 0xa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n, 2n ** 521n - 1n],
};

// Of each byte one bit, and lengths around the right one.
async function refusesAll(verify, signature, step = 1) {
  ok(await verify(signature, message), "the right one");
  ok(!(await verify(signature, join(message, [0]))), "another message");
  for (let i = 0; i < signature.length; i += step) {
    const wrong = signature.slice();
    wrong[i] ^= 1 << i % 8;
    if (await verify(wrong, message)) ok(false, `byte ${i}`);
  }
}

for (const [curve, [length, order]] of Object.entries(curves)) {
  test(`ECDSA ${curve}: changed bits, lengths, numbers out of range`, async () => {
    const { publicKey, privateKey } = await subtle.generateKey({ name: "ECDSA", namedCurve: curve }, true, ["sign", "verify"]);
    const algorithm = { name: "ECDSA", hash: "SHA-512" }, verify = (signature, data) => subtle.verify(algorithm, publicKey, signature, data);
    const signature = new Uint8Array(await subtle.sign(algorithm, privateKey, message));
    equal(signature.length, 2 * length);
    await refusesAll(verify, signature, curve === "P-256" ? 1 : 4);
    const r = signature.slice(0, length), s = signature.slice(length), zero = new Uint8Array(length), all = zero.slice().fill(255);
    // n - s is as good as s: the standard does not ask for the lower one.
    equal(await verify(join(r, pad(order - numberOf(s), length)), message), true);
    for (const wrong of [join(zero, s), join(r, zero), join(zero, zero), join(all, all), join(pad(order, length), s), join(r, pad(order, length)), join(r, pad(order - 1n, length)), join(s, r), join(r, s, [0]), join([0], r, s), join(r, s.slice(1)), new Uint8Array(0), new Uint8Array(1), new Uint8Array(1000)])
      equal(await verify(wrong, message), false, hex(wrong).slice(0, 80));
    // Its DER form is none of ours.
    equal(await verify(join(bytes("30"), [4 + 2 * length], [2, length], r, [2, length], s), message), false);
  });
  test(`ECDH ${curve}: points that are none`, async () => {
    const [, , prime] = curves[curve], algorithm = { name: "ECDH", namedCurve: curve };
    const { publicKey, privateKey } = await subtle.generateKey(algorithm, true, ["deriveBits"]), raw = new Uint8Array(await subtle.exportKey("raw", publicKey));
    equal(raw.length, 1 + 2 * length);
    const x = raw.slice(1, 1 + length), y = raw.slice(1 + length), refused = (wrong) => rejects(subtle.importKey("raw", wrong, algorithm, true, []), /^DataError/);
    const off = y.slice();
    off[length - 1] ^= 1;
    for (const wrong of [join([4], x, off), join([4], y, x), join([5], x, y), join([6 + (y[length - 1] & 1)], x, y), join([4], x), join([4], x, y, [0]), x, [], [0], [4], join([4], pad(prime, length), y), join([4], new Uint8Array(2 * length)), join([2], pad(prime, length))]) await refused(Uint8Array.from(wrong));
    // The other root is a point, too, and not ours.
    const other = await subtle.importKey("raw", join([4], x, pad(prime - numberOf(y), length)), algorithm, true, []), compressed = await subtle.importKey("raw", join([2 + (y[length - 1] & 1)], x), algorithm, true, []);
    equal(hex(await subtle.exportKey("raw", compressed)), hex(raw));
    ok(hex(await subtle.exportKey("raw", other)) !== hex(raw));
    const jwk = await subtle.exportKey("jwk", privateKey), encode = (data) => data.toBase64({ alphabet: "base64url", omitPadding: true });
    await rejects(subtle.importKey("jwk", { ...jwk, y: encode(off) }, algorithm, true, ["deriveBits"]), /^OperationError/);
    await rejects(subtle.importKey("jwk", { ...jwk, y: encode(pad(prime - numberOf(y), length)) }, algorithm, true, ["deriveBits"]), /^DataError/);
    for (const d of [0n, curves[curve][1], curves[curve][1] + 1n, 1n]) await rejects(subtle.importKey("jwk", { ...jwk, d: encode(pad(d, length)) }, algorithm, true, ["deriveBits"]), /^DataError/);
    await rejects(subtle.importKey("jwk", { ...jwk, d: "" }, algorithm, true, ["deriveBits"]), /^DataError/);
  });
}

test("Ed25519: changed bits, the sum with the order, points of small order", async () => {
  const { publicKey, privateKey } = await subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const verify = (signature, data, key = publicKey) => subtle.verify("Ed25519", key, signature, data), signature = new Uint8Array(await subtle.sign("Ed25519", privateKey, message));
  await refusesAll(verify, signature);
  const reversed = (data) => data.slice().reverse(), order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const sum = numberOf(reversed(signature.slice(32))) + order;
  equal(await verify(join(signature.slice(0, 32), reversed(pad(sum, 32))), message), false);
  for (const wrong of [new Uint8Array(64), new Uint8Array(64).fill(255), join(signature.slice(32), signature.slice(0, 32))]) equal(await verify(wrong, message), false);
  for (const length of [0, 63, 65, 128]) await rejects(verify(new Uint8Array(length), message), /^OperationError: Invalid Ed25519 signature length/);
  equal(hex(await subtle.sign("Ed25519", privateKey, message)), hex(signature));
});
test("X25519: points of small order agree on nothing", async () => {
  const { privateKey } = await subtle.generateKey("X25519", true, ["deriveBits"]);
  for (const point of ["00".repeat(32), `01${"00".repeat(31)}`, "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"]) {
    const peer = await subtle.importKey("raw", bytes(point), "X25519", true, []);
    await rejects(subtle.deriveBits({ name: "X25519", public: peer }, privateKey, 256), /^OperationError/);
  }
});
for (const name of ["RSASSA-PKCS1-v1_5", "RSA-PSS"]) {
  test(`${name}: changed bits, lengths, numbers out of range`, async () => {
    const { publicKey, privateKey } = await rsa(name), algorithm = { name, saltLength: 32 }, verify = (signature, data) => subtle.verify(algorithm, publicKey, signature, data);
    const signature = new Uint8Array(await subtle.sign(algorithm, privateKey, message)), jwk = await subtle.exportKey("jwk", publicKey);
    await refusesAll(verify, signature);
    const modulus = numberOf(Uint8Array.fromBase64(jwk.n, { alphabet: "base64url" })), more = numberOf(signature) + modulus;
    for (const wrong of [new Uint8Array(128), new Uint8Array(128).fill(255), pad(modulus, 128), pad(modulus - 1n, 128), pad(1n, 128), signature.slice(1), join([0], signature), join(signature, [0]), new Uint8Array(0), new Uint8Array(5000), pad(more, 129)]) equal(await verify(wrong, message), false, hex(wrong).slice(0, 40));
    // With the other padding's rules it is none.
    const other = await subtle.importKey("jwk", { kty: jwk.kty, n: jwk.n, e: jwk.e }, { name: name === "RSA-PSS" ? "RSASSA-PKCS1-v1_5" : "RSA-PSS", hash: "SHA-256" }, true, ["verify"]);
    equal(await subtle.verify({ name: other.algorithm.name, saltLength: 32 }, other, signature, message), false);
    if (name === "RSA-PSS") for (const saltLength of [0, 31, 33, 94, 1000]) equal(await subtle.verify({ name, saltLength }, publicKey, signature, message), false, `salt ${saltLength}`);
  });
}
test("RSASSA-PKCS1-v1_5: forged padding under exponent 3", async () => {
  const { publicKey } = await subtle.generateKey({ name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 2048, publicExponent: new Uint8Array([3]) }, true, ["sign", "verify"]);
  // Bleichenbacher's: the digest in front, and as many bytes behind it as a cube root needs.
  const block = numberOf(join(bytes("0001ffffffffffffffff00"), bytes("3031300d060960864801650304020105000420"), new Uint8Array(await subtle.digest("SHA-256", message)), new Uint8Array(194)));
  let low = 0n, high = 1n << 683n;
  while (low < high) {
    const middle = (low + high) / 2n;
    if (middle ** 3n < block) low = middle + 1n;
    else high = middle;
  }
  ok(low ** 3n >> 1552n === block >> 1552n, "is the forgery that it should be");
  equal(await subtle.verify("RSASSA-PKCS1-v1_5", publicKey, pad(low, 256), message), false);
});
test("RSA-OAEP: changed bits, lengths, labels", async () => {
  const { publicKey, privateKey } = await rsa("RSA-OAEP"), sealed = new Uint8Array(await subtle.encrypt("RSA-OAEP", publicKey, message));
  equal(hex(await subtle.decrypt("RSA-OAEP", privateKey, sealed)), hex(message));
  const refused = (data, algorithm = "RSA-OAEP") => rejects(subtle.decrypt(algorithm, privateKey, data), /^OperationError: RSA-OAEP failed encrypt\/decrypt\.$/);
  for (let i = 0; i < sealed.length; i += 8) {
    const wrong = sealed.slice();
    wrong[i] ^= 1;
    await refused(wrong);
  }
  for (const wrong of [new Uint8Array(0), new Uint8Array(128), new Uint8Array(128).fill(255), sealed.slice(1), join(sealed, [0])]) await refused(wrong);
  await refused(sealed, { name: "RSA-OAEP", label: new Uint8Array([1]) });
  equal((await subtle.encrypt("RSA-OAEP", publicKey, new Uint8Array(62))).byteLength, 128);
  await rejects(subtle.encrypt("RSA-OAEP", publicKey, new Uint8Array(63)), /^OperationError/);
});
test("RSA: a leading zero may not be left out", async () => {
  const seal = await rsa("RSA-OAEP", 512 + 128);
  let left = 3;
  for (let i = 0; i < 4000 && left > 0; i++) {
    const sealed = new Uint8Array(await subtle.encrypt({ name: "RSA-OAEP" }, seal.publicKey, new Uint8Array(1)));
    if (sealed[0] !== 0) continue;
    left--;
    await rejects(subtle.decrypt("RSA-OAEP", seal.privateKey, sealed.slice(1)), /^OperationError/);
  }
  equal(left, 0);
  for (const name of ["RSASSA-PKCS1-v1_5", "RSA-PSS"]) {
    const { publicKey, privateKey } = await rsa(name, 512 + 128), algorithm = { name, saltLength: 0 };
    left = 2;
    for (let i = 0; i < 4000 && left > 0; i++) {
      const data = pad(BigInt(i), 4), signature = new Uint8Array(await subtle.sign(algorithm, privateKey, data));
      if (signature[0] !== 0) continue;
      left--;
      equal(await subtle.verify(algorithm, publicKey, signature, data), true);
      equal(await subtle.verify(algorithm, publicKey, signature.slice(1), data), false, name);
    }
    equal(left, 0);
  }
});
test("DER cut anywhere is no key", async () => {
  const made = [
    [await subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]), { name: "ECDSA", namedCurve: "P-256" }],
    [await subtle.generateKey("Ed25519", true, ["sign", "verify"]), "Ed25519"],
    [await rsa("RSA-PSS", 512 + 128), { name: "RSA-PSS", hash: "SHA-1" }],
  ];
  for (const [{ publicKey, privateKey }, algorithm] of made)
    for (const [format, key, usages] of [["spki", publicKey, ["verify"]], ["pkcs8", privateKey, ["sign"]]]) {
      const whole = new Uint8Array(await subtle.exportKey(format, key));
      for (let length = 0; length < whole.length; length++) await rejects(subtle.importKey(format, whole.slice(0, length), algorithm, true, usages), /^DataError/);
      await rejects(subtle.importKey(format, join(whole, [0]), algorithm, true, usages), /^DataError/);
    }
});
test("RSA keys whose numbers do not fit are none", async () => {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, { privateKey } = await rsa("RSASSA-PKCS1-v1_5"), jwk = await subtle.exportKey("jwk", privateKey);
  for (const member of ["n", "d", "p", "q", "dp", "dq", "qi"]) {
    const data = Uint8Array.fromBase64(jwk[member], { alphabet: "base64url" });
    data[data.length - 1] ^= 2;
    await rejects(subtle.importKey("jwk", { ...jwk, [member]: data.toBase64({ alphabet: "base64url", omitPadding: true }) }, algorithm, true, ["sign"]), /^DataError/);
    if (member !== "n" && member !== "d") await rejects(subtle.importKey("jwk", { ...jwk, [member]: undefined }, algorithm, true, ["sign"]), /^DataError/);
  }
  await rejects(subtle.importKey("jwk", { ...jwk, p: "AQ", q: jwk.n }, algorithm, true, ["sign"]), /^DataError/);
  await rejects(subtle.importKey("jwk", { ...jwk, p: jwk.n, q: "AQ" }, algorithm, true, ["sign"]), /^DataError/);
  for (const n of ["AA", "AQ", "Aw", "//"]) await rejects(subtle.importKey("jwk", { kty: "RSA", n, e: "AQAB" }, algorithm, true, ["verify"]), /^(DataError|OperationError)/);
  await rejects(subtle.importKey("jwk", { kty: "RSA", n: "f".repeat(3000), e: "AQAB" }, algorithm, true, ["verify"]), /^(DataError|OperationError)/);
});
test("no error names a key's bytes", async () => {
  const secret = "AAECAwQFBgcICQoLDA0ODw", seen = [];
  for (const jwk of [{ kty: "EC", crv: "P-256", x: secret, y: secret, d: secret }, { kty: "OKP", crv: "Ed25519", x: secret, d: secret }, { kty: "RSA", n: secret, e: "AQAB", d: secret }, { kty: "oct", k: `${secret}*` }, { kty: "oct", k: `${secret}AA` }])
    for (const algorithm of [{ name: "ECDSA", namedCurve: "P-256" }, "Ed25519", { name: "RSA-PSS", hash: "SHA-256" }, "AES-GCM"]) {
      const error = await subtle.importKey("jwk", jwk, algorithm, true, ["sign"]).catch((error) => error);
      seen.push(`${error.message} ${error.stack}`);
    }
  ok(!seen.some((text) => text.includes(secret.slice(0, 8)) || text.includes("000102")), "key bytes in an error");
});
