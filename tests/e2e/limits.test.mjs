// SPDX-License-Identifier: Apache-2.0
// What a worker may use, and what becomes of one that wants more.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withWorker, worker } from "./lib.mjs";

test("an endless loop is stopped at its CPU limit while other requests are answered", () =>
  withWorker(
    worker(
      `export default { fetch(request) {
        if (request.url.endsWith("/loop")) for (;;);
        return new Response("fine");
      } }`,
      "[limits]\ncpu_ms = 400\n",
    ),
    async ({ fetch }) => {
      assert.equal(await (await fetch("/")).text(), "fine");
      const loop = fetch("/loop");
      const others = [];
      for (let i = 0; i < 20; i++) others.push(fetch("/").then((r) => r.text()));
      assert.deepEqual(new Set(await Promise.all(others)), new Set(["fine"]));
      const response = await loop;
      assert.equal(response.status, 503);
      assert.match(await response.text(), /1102/);
      assert.equal(await (await fetch("/")).text(), "fine");
    },
  ));

test("memory exhaustion ends that instance alone", () =>
  withWorker(
    worker(`export default { fetch(request) {
      if (request.url.endsWith("/bomb")) { const kept = []; for (;;) kept.push(new Uint8Array(1e6).fill(1)); }
      return new Response("fine");
    } }`),
    async ({ fetch }) => {
      const response = await fetch("/bomb");
      assert.equal(response.status, 503);
      assert.match(await response.text(), /1102/);
      assert.equal(await (await fetch("/")).text(), "fine");
    },
  ));

test("thrown, rejected, no response, never settling", () =>
  withWorker(
    worker(`export default { fetch(request) {
      switch (new URL(request.url).pathname) {
        case "/thrown": throw new TypeError("thrown here");
        case "/rejected": return Promise.reject(new RangeError("rejected here"));
        case "/wrong": return { not: "a response" };
        case "/never": return new Promise(() => {});
        case "/late": Promise.reject(new Error("nobody listens")); return new Response("fine");
        default: return new Response("fine");
      }
    } }`),
    async ({ fetch, weir }) => {
      const text = async (path, headers) => {
        const response = await fetch(path, { headers });
        return [response.status, await response.text()];
      };
      let [status, body] = await text("/thrown");
      assert.equal(status, 500);
      assert.match(body, /1101/);
      assert.match(body, /TypeError: thrown here/);
      assert.match(body, /src\/index\.js:3:\d+/, "the stack names the author's source");
      [status, body] = await text("/rejected", { accept: "application/json" });
      assert.equal(status, 500);
      assert.equal(JSON.parse(body).error.message, "RangeError: rejected here");
      [status, body] = await text("/wrong", { accept: "text/html" });
      assert.equal(status, 500);
      assert.match(body, /<!doctype html>[^]*did not resolve to (&#39;|')Response/);
      [status, body] = await text("/never");
      assert.equal(status, 500);
      assert.match(body, /never generate a response/);
      assert.equal((await text("/late"))[1], "fine");
      await weir.waitFor("nobody listens");
    },
  ));

test("subrequests are counted", () =>
  withWorker(
    worker(
      `export default { async fetch() {
        const results = [];
        for (let i = 0; i < 4; i++) {
          try { await fetch("http://127.0.0.1:1/"); } catch (error) { results.push(error.message); }
        }
        return Response.json(results);
      } }`,
      "[limits]\nsubrequests = 2\n",
    ),
    async ({ fetch }) => {
      const results = await (await fetch("/")).json();
      assert.equal(results.length, 4);
      assert.equal(results[2], "Too many subrequests.");
      assert.notEqual(results[1], "Too many subrequests.");
    },
  ));

test("nothing asynchronous and nothing random at global scope", async () => {
  for (const [code, what] of [
    ["await fetch('http://127.0.0.1/')", "fetch"],
    ["setTimeout(() => {}, 1)", "timer"],
    ["crypto.randomUUID()", "randomness"],
  ])
    await withWorker(worker(`const x = ${code}; export default { fetch() { return new Response(String(x)); } }`), async ({ fetch }) => {
      const response = await fetch("/");
      assert.equal(response.status, 500, what);
      assert.match(await response.text(), /Disallowed operation called within global scope/, what);
    });
});

test("no code from strings at request time", () =>
  withWorker(
    worker(`export default { fetch() {
      const results = [];
      for (const attempt of [() => eval("1"), () => new Function("return 1")(), () => (async () => {}).constructor("return 1"),
        () => new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))]) {
        try { attempt(); results.push("allowed"); } catch (error) { results.push(error.name); }
      }
      return Response.json(results);
    } }`),
    async ({ fetch }) => {
      assert.deepEqual(await (await fetch("/")).json(), ["EvalError", "EvalError", "EvalError", "CompileError"]);
    },
  ));
