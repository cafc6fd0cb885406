// SPDX-License-Identifier: Apache-2.0
// What a worker may use, and what becomes of one that wants more.
import assert from "node:assert/strict";
import { test } from "node:test";
import { patience, withWorker, worker } from "./lib.mjs";

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

// Each of these is another way into the engine, and none may take a request along that only waits.
for (const [name, source] of Object.entries({
  "after an await": "await 0; for (;;);",
  "in then()": "return new Promise(() => { Promise.resolve().then(() => { for (;;); }); });",
  "in a microtask": "queueMicrotask(() => { for (;;); }); return new Promise(() => {});",
  "in finally": "await 0; try { for (;;); } finally { for (;;); }",
  "of microtasks": "for (;;) await 0;",
  "of thenables": "const again = () => ({ then: (done) => done(again()) }); return again();",
  "in a timer": "return new Promise(() => setTimeout(() => { for (;;); }, 1));",
  "in a stream's pull": "return new Response(new ReadableStream({ pull() { for (;;); } }));",
  "in a stream": "return new Response(new ReadableStream({ async pull() { await null; for (;;); } }));",
  "in waitUntil": "context.waitUntil((async () => { await scheduler.wait(1); for (;;); })()); return new Promise(() => {});",
}))
  test(`an endless loop ${name} is stopped, and who waits in the same instance is answered`, () =>
    withWorker(
      worker(
        `export default { async fetch(request, env, context) {
          if (request.url.endsWith("/loop")) { ${source} }
          if (request.url.endsWith("/slow")) await scheduler.wait(1500);
          return new Response("fine");
        } }`,
        "[limits]\ncpu_ms = 100\n",
      ),
      async ({ fetch, weir }) => {
        assert.equal(await (await fetch("/")).text(), "fine");
        const slow = fetch("/slow");
        const loop = await fetch("/loop").then(async (r) => [r.status, await r.text().catch(() => "cut short")]);
        if (name === "in a stream") assert.equal(loop[1], "cut short");
        else assert.ok(loop[0] === 503 && /1102/.test(loop[1]), loop.join(" "));
        assert.equal(await (await slow).text(), "fine");
        assert.equal(await (await fetch("/")).text(), "fine");
        assert.doesNotMatch(weir.output, /signal|does not react/);
      },
    ));

test("CPU time is a request's over all that it waits for, and nobody else's", () =>
  withWorker(
    worker(
      `export default { async fetch(request) {
        const burn = (ms) => { for (const end = performance.now() + ms; performance.now() < end; ); };
        if (request.url.endsWith("/piecemeal")) for (let i = 0; i < 40; i++) { await scheduler.wait(1); burn(40); }
        if (request.url.endsWith("/patient")) for (let i = 0; i < 20; i++) { await scheduler.wait(50); burn(1); }
        return new Response("fine");
      } }`,
      "[limits]\ncpu_ms = 200\n",
    ),
    async ({ fetch }) => {
      const patient = fetch("/patient");
      const response = await fetch("/piecemeal");
      assert.equal(response.status, 503);
      assert.match(await response.text(), /1102/);
      assert.equal(await (await patient).text(), "fine");
    },
  ));

test("a small CPU limit is not used up by the first request's warming up", () =>
  withWorker(
    worker(
      `import { Buffer } from "node:buffer"; import { format } from "node:util";
      export default { fetch(request) { return Response.json([format("%o", [...request.headers].length > 0), Buffer.from("weir").toString("base64")]); } }`,
      'compatibility_flags = ["nodejs_compat"]\n[limits]\ncpu_ms = 5\n',
    ),
    async ({ fetch }) => {
      for (let i = 0; i < 3; i++) assert.deepEqual(await (await fetch("/")).json(), ["true", "d2Vpcg=="]);
    },
  ));

// With the address sanitizer there is no memory limit: its shadow takes 20 TB of address space (template.c). These would run into the CPU
// limit instead, after half a minute each, and pass without having tested anything.
const unlimited = process.env.ASAN_OPTIONS !== undefined && "the sanitizer's build has no memory limit";

// Some end in an exception that the worker could catch, some in the engine's abort: to the client it is the same.
for (const [name, source] of Object.entries({
  buffers: "const kept = []; for (;;) kept.push(new Uint8Array(1e6).fill(1));",
  arrays: "const kept = []; for (;;) kept.push(new Array(1e5).fill(1.5));",
  objects: "const kept = []; for (;;) kept.push({ a: 1, b: [] });",
  strings: "let text = 'x'; for (let i = 0; ; i++) text = (text + i).split('').join('') + text;",
  maps: "const map = new Map(); for (let i = 0; ; i++) map.set(i, { i });",
  promises: "const kept = []; for (;;) kept.push(new Promise(() => {}));",
}))
  test(`memory exhaustion by ${name} ends that instance alone`, { skip: unlimited }, () =>
    withWorker(
      worker(`export default { fetch(request) { if (request.url.endsWith("/bomb")) { ${source} } return new Response("fine"); } }`),
      async ({ fetch, weir }) => {
        const response = await fetch("/bomb");
        assert.equal(response.status, 503);
        assert.match(await response.text(), /1102/);
        assert.equal(await (await fetch("/")).text(), "fine");
        assert.doesNotMatch(weir.output, /signal/);
      },
    ));

// Half of the memory each time. Left to itself the engine collects when its heap has doubled again and again, whatever the limit is.
for (const [name, source] of Object.entries({
  "in one request after the other": "return Response.json(rows(400000));",
  "in one request, with waits": "let sum = 0; for (let i = 0; i < 6; i++) { sum += rows(); await scheduler.wait(1); } return Response.json(sum / 6);",
  "in one turn": "let sum = 0; for (let i = 0; i < 12; i++) sum += rows(); return Response.json(sum / 12);",
}))
  test(`garbage ${name} does not use the memory up`, { skip: unlimited }, () =>
    withWorker(
      worker(`const rows = (count = 250000) => {
        const made = [];
        for (let i = 0; i < count; i++) made.push({ id: i, title: "t" + i, text: "some text " + i, parts: [{ a: i }, { a: i + 1 }] });
        return made.length;
      };
      export default { async fetch(request) { if (new URL(request.url).pathname === "/make") { ${source} } return new Response("fine"); } }`),
      async ({ fetch }) => {
        for (let i = 0; i < 6; i++) assert.deepEqual(await fetch("/make").then(async (r) => [r.status, await r.text()]), [200, name.startsWith("in one request after") ? "400000" : "250000"], `request ${i}`);
      },
    ));

test("large uploads arrive, or are refused for lack of memory", () =>
  withWorker(
    worker(`export default { async fetch(request) {
      const kind = new URL(request.url).pathname.slice(1);
      const body = await request[kind]();
      return new Response(String(body.byteLength ?? body.length ?? body.size));
    } }`),
    async ({ fetch, weir }) => {
      const send = async (kind, bytes) => {
        const response = await fetch(`/${kind}`, { method: "POST", body: Buffer.alloc(bytes, "a"), signal: AbortSignal.timeout(20000 * patience) });
        return [response.status, await response.text()];
      };
      for (const kind of ["arrayBuffer", "text", "bytes", "blob"]) assert.deepEqual(await send(kind, 20e6), [200, "20000000"], kind);
      for (const [kind, bytes] of [["arrayBuffer", 50e6], ["text", 99e6]]) {
        const [status, text] = await send(kind, bytes);
        assert.ok(status === 200 || (status === 503 && /1102/.test(text)), `${kind}: ${status} ${text}`);
      }
      assert.deepEqual(await send("text", 10), [200, "10"]);
      assert.doesNotMatch(weir.output, /signal|library threw/);
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

test("response headers beyond what can be sent are an error, not left out", () =>
  withWorker(
    worker(`export default { fetch(request) {
      const headers = new Headers();
      for (let i = 0; i < 100; i++) headers.append("x-" + i, "v".repeat(request.url.endsWith("/large") ? 2000 : 20));
      return new Response("fine", { headers });
    } }`),
    async ({ fetch }) => {
      assert.equal((await fetch("/")).status, 200);
      const response = await fetch("/large");
      assert.equal(response.status, 500);
      assert.match(await response.text(), /headers are too large/);
    },
  ));
