// SPDX-License-Identifier: Apache-2.0
// 2,000 inputs that were keys once. Each is refused by an exception of the standard's or becomes a key that works; the
// same ones every time.
//// driver
const { subtle } = crypto, message = new TextEncoder().encode("a message");
let state = 20240601;
const random = (below) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};
const rsa = { hash: "SHA-256", modulusLength: 512, publicExponent: new Uint8Array([1, 0, 1]) };
const types = [
  { name: "RSASSA-PKCS1-v1_5", ...rsa },
  { name: "RSA-PSS", ...rsa, saltLength: 4 },
  { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  { name: "ECDSA", namedCurve: "P-521", hash: "SHA-256" },
  { name: "Ed25519" },
];
const interesting = [0, 1, 2, 3, 4, 5, 6, 0x30, 0x7f, 0x80, 0x81, 0x82, 0x84, 0x88, 0xa0, 0xa1, 0xfe, 0xff];

function mutateBytes(bytes) {
  let result = [...bytes];
  for (let left = 1 + random(3); left > 0; left--) {
    const at = random(result.length), kind = random(7);
    if (kind === 0) result[at] ^= 1 << random(8);
    else if (kind === 1) result[at] = interesting[random(interesting.length)];
    else if (kind === 2) result.splice(at, 1 + random(4));
    else if (kind === 3) result.splice(at, 0, ...Array.from({ length: 1 + random(4) }, () => random(256)));
    else if (kind === 4) result = result.slice(0, at);
    else if (kind === 5) result.splice(at, 0, ...result.slice(random(result.length), random(result.length)));
    else result = result.slice(0, 40).concat(result.slice(at));
  }
  return Uint8Array.from(result);
}

function mutateJwk(jwk, other) {
  const result = { ...jwk };
  for (let left = 1 + random(2); left > 0; left--) {
    const members = Object.keys(result), member = members[random(members.length)], kind = random(8), value = result[member];
    if (kind === 0) delete result[member];
    else if (kind === 1) result[member] = [null, 1, "", {}, [], true, "AA", "AQ", "=", "\u0000", "A".repeat(5000)][random(11)];
    else if (kind === 2) result[member] = other[member];
    else if (kind === 3) result[member] = result[members[random(members.length)]];
    else if (typeof value === "string" && value.length > 0) {
      const at = random(value.length);
      result[member] = value.slice(0, at) + "ABCxyz-_+/=0"[random(12)] + value.slice(at + random(2));
    }
  }
  return result;
}

let kept = 0;
async function tryOne(format, data, algorithm, isPrivate) {
  let key;
  try {
    key = await subtle.importKey(format, data, algorithm, true, [isPrivate ? "sign" : "verify"]);
  } catch (error) {
    ok(error instanceof DOMException || error instanceof TypeError, `${format} ${error.name}: ${error.message}\n${error.stack}`);
    return;
  }
  kept++;
  try {
    if (key.type === "private") await subtle.sign(algorithm, key, message);
    else await subtle.verify(algorithm, key, new Uint8Array(64), message);
    for (const form of ["jwk", "pkcs8", "spki", "raw"]) await subtle.exportKey(form, key).catch((error) => ok(error instanceof DOMException, `${form} ${error}`));
  } catch (error) {
    ok(error instanceof DOMException, `${format} ${error.name}: ${error.message}\n${error.stack}`);
  }
}

for (const algorithm of types) {
  for (const format of ["spki", "pkcs8", "jwk"]) {
    test(`${algorithm.name} ${algorithm.namedCurve ?? ""} ${format}`, async () => {
      const [one, two] = [await subtle.generateKey(algorithm, true, ["sign", "verify"]), await subtle.generateKey(algorithm, true, ["sign", "verify"])];
      for (let i = 0; i < 134; i++) {
        const isPrivate = format === "pkcs8" || (format === "jwk" && i % 2 === 0), name = isPrivate ? "privateKey" : "publicKey";
        const data = await subtle.exportKey(format, one[name]);
        await tryOne(format, format === "jwk" ? mutateJwk(data, await subtle.exportKey(format, two[name])) : mutateBytes(new Uint8Array(data)), algorithm, isPrivate);
      }
    });
  }
}
test("some were still keys", () => ok(kept > 20 && kept < 1500, `${kept} of 2010`));
