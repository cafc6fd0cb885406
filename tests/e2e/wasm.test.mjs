// SPDX-License-Identifier: Apache-2.0
// WebAssembly in an instance: code that becomes hot, and its memory in the hands of the platform's functions.
import assert from "node:assert/strict";
import { test } from "node:test";

import { patience, withWorker, wrangler } from "./lib.mjs";

// (memory (export "memory") 1) (func (export "sum") (param i32) (result i32)): n + (n-1) + … + 1, in a loop
const text = (name) => [name.length, ...Buffer.from(name)];
const sum = Buffer.from([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, // magic, version
  1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f, // type: i32 → i32
  3, 2, 1, 0, // one function of it
  5, 3, 1, 0, 1, // a memory of a page
  7, 16, 2, ...text("memory"), 2, 0, ...text("sum"), 0, 0,
  10, 27, 1, 25, 1, 1, 0x7f, // code: one local
  0x03, 0x40, 0x20, 1, 0x20, 0, 0x6a, 0x21, 1, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b, 0x20, 1, 0x0b,
]);

const files = {
  "wrangler.toml": wrangler(),
  "src/sum.wasm": sum,
  "src/late.wasm": sum,
  "src/wrong.wasm": sum.subarray(0, 20),
  "src/index.js": `import wasm from "./sum.wasm";
    const { sum, memory } = new WebAssembly.Instance(wasm).exports;
    const view = (at, length) => new Uint8Array(memory.buffer, at, length);
    const paths = {
      "/hot": () => { let last; for (let i = 0; i < 300; i++) last = sum(100000); for (let i = 0; i < 100000; i++) sum(5); return last; },
      "/text": () => {
        const { read, written } = new TextEncoder().encodeInto("grüße, 世界", view(100, 50));
        return [read, written, new TextDecoder().decode(view(100, written)), new TextDecoder().decode(view(0, 100)) === "\\0".repeat(100)];
      },
      "/random": () => { crypto.getRandomValues(view(1000, 64)); return new Set(view(1000, 64)).size > 16 && view(1064, 8).every((b) => b === 0); },
      "/digest": async () => {
        new TextEncoder().encodeInto("abc", view(2000, 3));
        return new Uint8Array(await crypto.subtle.digest("SHA-256", view(2000, 3))).toHex();
      },
      // Memories come and go, and other buffers take their places.
      "/churn": () => {
        for (let i = 0; i < 3000; i++) {
          const memory = new WebAssembly.Memory({ initial: 1, maximum: 4 }), text = "churn " + i;
          const { written } = new TextEncoder().encodeInto(text, new Uint8Array(memory.buffer, 8, 20));
          if (new TextDecoder().decode(new Uint8Array(memory.buffer, 8, written)) !== text) return ["wasm", i];
          if (i % 3 === 0) memory.grow(1);
          const own = new Uint8Array(64), also = new TextEncoder().encodeInto(text, own);
          if (new TextDecoder().decode(own.subarray(0, also.written)) !== text) return ["own", i];
          if (crypto.getRandomValues(new Uint8Array(16)).every((b) => b === 0)) return ["random", i];
        }
        return "as it should be";
      },
      "/late": async () => {
        const { default: late } = await import("./late.wasm");
        const wrong = await import("./wrong.wasm").then(() => "it was taken", (error) => error.name);
        return [new WebAssembly.Instance(late).exports.sum(4), wrong];
      },
      "/grown": () => { new TextEncoder().encodeInto("grü", view(100, 4)); const old = view(100, 4); memory.grow(1); return [old.length, memory.buffer.byteLength, new TextDecoder().decode(view(100, 4))]; },
    };
    export default { async fetch(request) {
      const path = new URL(request.url).pathname;
      if (path === "/body") { new TextEncoder().encodeInto("from memory", view(3000, 11)); return new Response(view(3000, 11)); }
      return Response.json(await paths[path]());
    } };`,
};

test("WebAssembly: hot code, and its memory as text, random bytes, digest and body", { timeout: 60000 * patience }, () =>
  withWorker(files, async ({ fetch }) => {
    const ask = async (path) => (await fetch(path)).json();
    // The engine compiles hot code anew in a thread of its own, and stops the one that runs it for a moment.
    for (let i = 0; i < 10; i++) assert.equal(await ask("/hot"), 5000050000 | 0);
    assert.deepEqual(await ask("/text"), [9, 15, "grüße, 世界", true]);
    assert.deepEqual(await ask("/late"), [10, "CompileError"]); // imported in a request, where no code is made from bytes
    assert.equal(await ask("/random"), true);
    assert.equal(await ask("/digest"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert.equal(await (await fetch("/body")).text(), "from memory");
    assert.equal(await ask("/churn"), "as it should be");
    assert.deepEqual(await ask("/grown"), [0, 131072, "grü"]);
  }));
