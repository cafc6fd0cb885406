// SPDX-License-Identifier: Apache-2.0
// What the RFCs say comes out: 8032 and 8037 (Ed25519), 7748 (X25519), 7515 (JWS), 3394 (AES-KW), 5903 (ECDH).
//// driver
const { subtle } = crypto, utf8 = new TextEncoder();
const hex = (bytes) => new Uint8Array(bytes).toHex(), bytes = (text) => Uint8Array.fromHex(text.replace(/\s/g, ""));
const base64url = (data) => new Uint8Array(data).toBase64({ alphabet: "base64url", omitPadding: true });
const fromBase64url = (text) => Uint8Array.fromBase64(text, { alphabet: "base64url" });
const pkcs8 = (oid, secret) => bytes(`302e020100300506032b65${oid}04220420${secret}`);

test("Ed25519: RFC 8032, 7.1", async () => {
  const vectors = [
    ["9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"],
    ["4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"],
    ["c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"],
  ];
  for (const [secret, point, message, signature] of vectors)
    for (const algorithm of ["Ed25519", { name: "NODE-ED25519", namedCurve: "NODE-ED25519" }]) {
      const key = await subtle.importKey("pkcs8", pkcs8("70", secret), algorithm, true, ["sign"]);
      equal((await subtle.exportKey("jwk", key)).x, base64url(bytes(point)));
      equal(hex(await subtle.sign(algorithm, key, bytes(message))), signature);
      const other = await subtle.importKey("raw", bytes(point), algorithm, true, ["verify"]);
      equal(await subtle.verify(algorithm, other, bytes(signature), bytes(message)), true);
      equal(await subtle.verify(algorithm, other, bytes(signature), bytes(message + "00")), false);
    }
});
test("Ed25519: RFC 8037, A", async () => {
  const jwk = { kty: "OKP", crv: "Ed25519", d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" };
  const key = await subtle.importKey("jwk", jwk, "Ed25519", true, ["sign"]);
  const text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
  equal(base64url(await subtle.sign("Ed25519", key, utf8.encode(text))), "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
  equal(await subtle.exportKey("jwk", key), { kty: "OKP", key_ops: ["sign"], alg: "EdDSA", ext: true, crv: "Ed25519", x: jwk.x, d: jwk.d });
});
test("X25519: RFC 7748, 6.1", async () => {
  const key = await subtle.importKey("pkcs8", pkcs8("6e", "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"), "X25519", true, ["deriveBits"]);
  equal((await subtle.exportKey("jwk", key)).x, base64url(bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")));
  const peer = await subtle.importKey("raw", bytes("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"), "X25519", true, []);
  equal(hex(await subtle.deriveBits({ name: "X25519", public: peer }, key, 256)), "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
  equal(hex(await subtle.deriveBits({ name: "X25519", public: peer }, key, 20)), "4a5d90");
});
test("ECDH: RFC 5903, 8.1", async () => {
  const ecdh = { name: "ECDH", namedCurve: "P-256" };
  const jwk = (x, y, d) => ({ kty: "EC", crv: "P-256", x: base64url(bytes(x)), y: base64url(bytes(y)), ...(d && { d: base64url(bytes(d)) }) });
  const own = await subtle.importKey(
    "jwk",
    jwk("dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180", "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3", "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433"),
    ecdh,
    true,
    ["deriveBits"],
  );
  const peer = await subtle.importKey("jwk", jwk("d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63", "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab"), ecdh, true, []);
  equal(hex(await subtle.deriveBits({ name: "ECDH", public: peer }, own, null)), "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de");
});
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
const payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
test("RS256: RFC 7515, A.2", async () => {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, key = await subtle.importKey("jwk", rsaJwk, algorithm, true, ["sign"]);
  const signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
  equal(base64url(await subtle.sign("RSASSA-PKCS1-v1_5", key, utf8.encode(`eyJhbGciOiJSUzI1NiJ9.${payload}`))), signature);
  const { kty, n, e } = rsaJwk, open = await subtle.importKey("jwk", { kty, n, e }, algorithm, true, ["verify"]);
  equal(await subtle.verify("RSASSA-PKCS1-v1_5", open, fromBase64url(signature), utf8.encode(`eyJhbGciOiJSUzI1NiJ9.${payload}`)), true);
  const exported = await subtle.exportKey("jwk", key);
  for (const [member, value] of Object.entries(rsaJwk)) equal(exported[member], value, member);
  // Without its factors it still signs, and has no PrivateKeyInfo.
  const plain = await subtle.importKey("jwk", { kty, n, e, d: rsaJwk.d }, algorithm, true, ["sign"]);
  equal(base64url(await subtle.sign("RSASSA-PKCS1-v1_5", plain, utf8.encode(`eyJhbGciOiJSUzI1NiJ9.${payload}`))), signature);
  await rejects(subtle.exportKey("pkcs8", plain), /^OperationError/);
});
test("ES256: RFC 7515, A.3", async () => {
  const jwk = { kty: "EC", crv: "P-256", x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" };
  const key = await subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]);
  const signature = fromBase64url("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
  equal(await subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, signature, utf8.encode(`eyJhbGciOiJFUzI1NiJ9.${payload}`)), true);
  equal(await subtle.verify({ name: "ECDSA", hash: "SHA-384" }, key, signature, utf8.encode(`eyJhbGciOiJFUzI1NiJ9.${payload}`)), false);
});
test("RSA-RAW is the bare power", async () => {
  const key = await subtle.importKey("jwk", rsaJwk, { name: "RSA-RAW" }, true, ["sign"]), signer = await subtle.importKey("jwk", rsaJwk, { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }, true, ["sign"]);
  const digest = hex(await subtle.digest("SHA-256", utf8.encode("x"))), info = `3031300d060960864801650304020105000420${digest}`;
  const block = bytes(`0001${"ff".repeat(256 - 3 - info.length / 2)}00${info}`);
  equal(hex(await subtle.sign("RSA-RAW", key, block)), hex(await subtle.sign("RSASSA-PKCS1-v1_5", signer, utf8.encode("x"))));
  await rejects(subtle.sign("RSA-RAW", key, bytes("ff".repeat(256))), /^DataError/);
  await rejects(subtle.sign("RSA-RAW", key, new Uint8Array(257)), /^DataError/);
});
test("AES-KW: RFC 3394, 4.1 and 4.6", async () => {
  for (const [kek, data, wrapped] of [
    ["000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff", "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"],
    ["000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f", "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"],
  ]) {
    const key = await subtle.importKey("raw", bytes(kek), "AES-KW", false, ["wrapKey", "unwrapKey"]), inner = await subtle.importKey("raw", bytes(data), "AES-CBC", true, ["encrypt"]);
    equal(hex(await subtle.wrapKey("raw", inner, key, "AES-KW")), wrapped);
    equal(hex(await subtle.exportKey("raw", await subtle.unwrapKey("raw", bytes(wrapped), key, "AES-KW", "AES-CBC", true, ["encrypt"]))), data);
    const wrong = bytes(wrapped);
    wrong[3] ^= 1;
    await rejects(subtle.unwrapKey("raw", wrong, key, "AES-KW", "AES-CBC", true, ["encrypt"]), /^OperationError/);
  }
});
