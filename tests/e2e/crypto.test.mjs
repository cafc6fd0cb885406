// SPDX-License-Identifier: Apache-2.0
// Keys in forked and sandboxed instances: there are no files to read there, and no randomness may be inherited.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withWorker, worker } from "./lib.mjs";

const source = `
  let instance;
  export default { async fetch(request) {
    const { pathname, searchParams } = new URL(request.url), { subtle } = crypto, made = {};
    if (pathname === "/long") {
      const bits = Number(searchParams.get("bits"));
      const { publicKey } = await subtle.generateKey({ name: "RSA-PSS", hash: "SHA-256", modulusLength: bits, publicExponent: new Uint8Array([1, 0, 1]) }, true, ["sign"]);
      return new Response(publicKey.algorithm.modulusLength);
    }
    if (pathname !== "/keys") return new Response("fine");
    instance ??= crypto.randomUUID();
    for (const algorithm of [{ name: "ECDSA", namedCurve: "P-256" }, { name: "Ed25519" }, { name: "RSA-PSS", hash: "SHA-256", modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]) }]) {
      const { publicKey, privateKey } = await subtle.generateKey(algorithm, true, ["sign", "verify"]);
      const how = { name: algorithm.name, hash: "SHA-256", saltLength: 32 };
      const signature = await subtle.sign(how, privateKey, new Uint8Array(9));
      if (!(await subtle.verify(how, publicKey, signature, new Uint8Array(9)))) throw new Error(algorithm.name);
      made[algorithm.name] = [new Uint8Array(await subtle.exportKey("spki", publicKey)).join(), new Uint8Array(signature).join()];
    }
    made.uuid = crypto.randomUUID();
    if (searchParams.has("end")) for (;;);
    return Response.json({ instance, made });
  } }`;

test("each instance has keys and signatures of its own", () =>
  withWorker(worker(source, "[limits]\ncpu_ms = 500\n"), async ({ fetch, weir }) => {
    const all = [], instances = new Set();
    // Each loop ends an instance: a later request meets a new fork of the same template.
    for (let i = 0; i < 20 && instances.size < 4; i++) {
      const response = await fetch("/keys");
      assert.equal(response.status, 200, weir.output);
      const { instance, made } = await response.json();
      instances.add(instance);
      all.push(...Object.values(made).flat());
      assert.notEqual((await fetch("/keys?end")).status, 200);
    }
    assert.equal(instances.size, 4);
    assert.equal(new Set(all).size, all.length);
  }));

test("looking for primes ends with the request's CPU time", () =>
  withWorker(worker(source, "[limits]\ncpu_ms = 300\n"), async ({ fetch, weir }) => {
    assert.equal(await (await fetch("/")).text(), "fine");
    const started = Date.now();
    const response = await fetch("/long?bits=16384");
    assert.equal(response.status, 503);
    assert.match(await response.text(), /1102/);
    // It would take minutes; one test of a candidate may still be under way.
    assert.ok(Date.now() - started < 20_000, `${Date.now() - started} ms`);
    assert.equal(await (await fetch("/")).text(), "fine");
    assert.doesNotMatch(weir.output, /signal|does not react/);
  }));

test("4096 bits are found within the usual limit", () =>
  withWorker(worker(source), async ({ fetch }) => {
    assert.equal(await (await fetch("/long?bits=4096")).text(), "4096");
  }));
