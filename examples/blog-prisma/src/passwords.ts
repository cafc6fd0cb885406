// SPDX-License-Identifier: Apache-2.0
// Passwords are kept as salted PBKDF2 hashes: "iterations:salt:hash", the last two in base64.
const ITERATIONS = 100_000;

const toBase64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));
const fromBase64 = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

async function derive(password: string, salt: Uint8Array, iterations: number): Promise<Uint8Array> {
  const key = await crypto.subtle.importKey("raw", new TextEncoder().encode(password), "PBKDF2", false, ["deriveBits"]);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, key, 256));
}

export async function hashPassword(password: string): Promise<string> {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  return `${ITERATIONS}:${toBase64(salt)}:${toBase64(await derive(password, salt, ITERATIONS))}`;
}

export async function isPassword(password: string, kept: string): Promise<boolean> {
  const [iterations, salt, hash] = kept.split(":");
  const expected = fromBase64(hash), given = await derive(password, fromBase64(salt), Number(iterations));
  let difference = expected.length ^ given.length; // compared in constant time
  for (let i = 0; i < expected.length; i++) difference |= expected[i] ^ given[i];
  return difference === 0;
}
