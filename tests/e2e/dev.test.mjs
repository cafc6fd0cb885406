// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { raw, weirPath, withWorker, worker, wrangler } from "./lib.mjs";

test("a change reloads, a broken change keeps the old version", () =>
  withWorker(worker(`export default { fetch() { return new Response("one"); } }`), async ({ fetch, project, weir }) => {
    assert.equal(await (await fetch("/")).text(), "one");
    let from = weir.output.length;
    project.write("src/index.js", `export default { fetch() { return new Response("two"); } }`);
    await weir.waitFor("reloaded", from);
    assert.equal(await (await fetch("/")).text(), "two");
    from = weir.output.length;
    project.write("src/index.js", `export default { fetch() { return new Response("three" } }`);
    await weir.waitFor("does not build", from);
    from = weir.output.length;
    project.write("src/index.js", `export default { fetch() { return new Response("four"); } }`);
    await weir.waitFor("reloaded", from);
    assert.equal(await (await fetch("/")).text(), "four");
  }));

test("beside assets, what does not build or start says so on a page of its own", () =>
  withWorker(
    { "wrangler.toml": wrangler(`[assets]\ndirectory = "public"\n`), "public/here.txt": "here", "src/index.js": `export default { fetch() { return new Response("three" } }` },
    async ({ fetch, project, weir }) => {
      const error = async () => (await (await fetch("/api", { headers: { accept: "application/problem+json" } })).json()).error;
      assert.equal(await (await fetch("/here.txt")).text(), "here");
      const page = await fetch("/api", { headers: { accept: "text/html" } });
      assert.equal(page.status, 500);
      const html = await page.text();
      assert.match(html, /<title>Error: The project does not build<\/title>/);
      assert.match(html, /<h1 class="message">Expected &quot;\)&quot; but found &quot;}&quot;<\/h1>\n<pre>    src\/index\.js:1:\d+:\n/);
      const built = await error();
      assert.deepEqual([built.code, built.title, built.message], [null, "The project does not build", 'Expected ")" but found "}"']);
      const from = weir.output.length;
      project.write("src/index.js", `null.x; export default { fetch() { return new Response("x"); } }`);
      await weir.waitFor("does not start", from);
      const started = await error();
      assert.deepEqual([started.code, started.title], [10021, "The worker does not start"]);
      assert.match(started.message, /TypeError: null is not an object/);
      assert.match(started.stack, /^    at .*src\/index\.js:1:\d+/);
      assert.equal(await (await fetch("/here.txt")).text(), "here");
    },
  ));

test("requests in flight survive a reload", () =>
  withWorker(
    worker(`export default { async fetch() { await scheduler.wait(700); return new Response("old"); } }`),
    async ({ fetch, project, weir }) => {
      await fetch("/"); // an instance is there
      const slow = fetch("/").then((r) => r.text());
      const from = weir.output.length;
      project.write("src/index.js", `export default { fetch() { return new Response("new"); } }`);
      await weir.waitFor("reloaded", from);
      assert.equal(await (await fetch("/")).text(), "new");
      assert.equal(await slow, "old");
    },
  ));

test("console lines tell their place, requests their time", () =>
  withWorker(
    worker(`export default {
  fetch() {
    console.log("an object", { a: [1, 2], b: new Map([["k", 1]]) });
    console.error("a problem");
    return new Response("ok");
  }
}`),
    async ({ fetch, weir }) => {
      await fetch("/path?q=1");
      await weir.waitFor("an object { a: [ 1, 2 ], b: Map(1) { 'k' => 1 } }");
      await weir.waitFor(/\(src\/index\.js:3:\d+\)/);
      await weir.waitFor(/GET \/path\?q=1 200 \(\d+\.\d ms\)/);
    },
  ));

test("vars, an environment, secrets, define and alias", () =>
  withWorker(
    {
      "wrangler.toml": `${wrangler(`[vars]\nA = "top"\nB = { deep = [1, true] }\n[env.staging.vars]\nA = "staging"\nC = "c"\n[env.staging.define]\nBUILD = "'b1'"\n`).replace("main =", 'alias = { "some-package" = "./src/stub.js" }\nmain =')}`,
      ".dev.vars": `SECRET="hidden value"\nC = overridden # comment\n`,
      "src/stub.js": `export const stub = "stubbed";`,
      "src/index.js": `import { stub } from "some-package"; export default { fetch(request, env) { return Response.json({ env, build: BUILD, stub }); } }`,
    },
    async ({ fetch, weir }) => {
      assert.deepEqual(await (await fetch("/")).json(), {
        env: { A: "staging", C: "overridden", SECRET: "hidden value" },
        build: "b1",
        stub: "stubbed",
      });
      assert.ok(!weir.output.includes("hidden value"));
    },
    "--env",
    "staging",
  ));

test("unknown keys warn with their line, unserved bindings say so", () =>
  withWorker(
    { "wrangler.toml": `nam = "x"\n${wrangler(`[[kv_namespaces]]\nbinding = "KV"\nid = "1"\n`)}`, "src/index.js": `export default { fetch() { return new Response("ok"); } }` },
    async ({ fetch, weir }) => {
      assert.equal(await (await fetch("/")).text(), "ok");
      assert.match(weir.output, /wrangler\.toml:1: .*unknown key "nam"; did you mean "name"\?/);
      assert.match(weir.output, /"kv_namespaces" is not available on this server yet/);
    },
  ));

test("what weir dev says of a connection string is what can be done there", () =>
  withWorker(
    { "wrangler.toml": wrangler(`[[hyperdrive]]\nbinding = "DB"\nid = "x"\nlocalConnectionString = "postgres://u@127.0.0.1:1/app?options=-c%20search_path%3Da"\n`), "src/index.js": `export default { fetch() { return new Response("ok"); } }` },
    async ({ fetch, weir }) => {
      assert.equal(await (await fetch("/")).text(), "ok");
      await weir.waitFor("options is not used: clients bring their own, and ALTER ROLE … SET is for all of a user");
      assert.doesNotMatch(weir.output, /databases\.settings/);
    },
  ));

test("service-worker syntax", () =>
  withWorker(
    { "wrangler.toml": wrangler(`[vars]\nNAME = "global"\n`), "src/index.js": `addEventListener("fetch", (event) => event.respondWith(new Response("sw " + NAME)));` },
    async ({ fetch }) => assert.equal(await (await fetch("/")).text(), "sw global"),
  ));

test("several modules, dynamic import, import.meta, top-level await, cloudflare:workers", () =>
  withWorker(
    {
      "wrangler.toml": wrangler(`no_bundle = true\n[vars]\nV = "v"\n`),
      "src/index.js": `import { counter, bump } from "./lib/counter.js";
import text from "./words.txt";
import { env, WorkerEntrypoint } from "cloudflare:workers";
const late = await Promise.resolve("tla");
export default class extends WorkerEntrypoint {
  async fetch() {
    bump();
    const name = "./lib/" + "lazy.js";
    const lazy = await import(name);
    return Response.json([counter, text.trim(), late, lazy.value, typeof import.meta.url, env.V, this.env.V]);
  }
}`,
      "src/lib/counter.js": `export let counter = 0; export function bump() { counter++; }`,
      "src/lib/lazy.js": `export const value = "lazy";`,
      "src/words.txt": "words\n",
    },
    async ({ fetch }) => {
      assert.deepEqual(await (await fetch("/")).json(), [1, "words", "tla", "lazy", "string", "v", "v"]);
    },
  ));

test("AsyncLocalStorage keeps interleaved requests apart", () =>
  withWorker(
    worker(
      `import { AsyncLocalStorage } from "node:async_hooks";
const storage = new AsyncLocalStorage();
const deep = async (n) => { await scheduler.wait(Math.random() * 5); return n === 0 ? storage.getStore() : deep(n - 1); };
export default { fetch(request) {
  return storage.run(new URL(request.url).pathname, async () => {
    const direct = await deep(5);
    const chained = await Promise.resolve().then(() => storage.getStore());
    const timed = await new Promise((done) => setTimeout(() => done(storage.getStore()), 3));
    return Response.json([direct, chained, timed]);
  });
} }`,
      'compatibility_flags = ["nodejs_compat"]\n',
    ),
    async ({ fetch }) => {
      const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => fetch(`/${i}`).then((r) => r.json())));
      answers.forEach((answer, i) => assert.deepEqual(answer, [`/${i}`, `/${i}`, `/${i}`]));
    },
  ));

test("a missing file and a missing directory are told clearly", () => {
  const missing = spawnSync(weirPath, ["dev", "/nonexistent"]);
  assert.equal(missing.status, 1);
  assert.match(missing.stderr.toString(), /\/nonexistent has no wrangler\.toml, wrangler\.json or wrangler\.jsonc/);
  assert.equal(spawnSync(weirPath, ["dev", "--port", "abc"]).status, 2);
  assert.equal(spawnSync(weirPath, ["frobnicate"]).status, 2);
});

test("HTTP/1.1: pipelining, chunked bodies, HEAD, 100-continue, half-close", () =>
  withWorker(
    worker(`export default { async fetch(request) {
      const url = new URL(request.url);
      if (url.pathname === "/echo") return new Response(await request.text());
      if (url.pathname === "/pipe") return new Response(request.body);
      return new Response("path " + url.pathname);
    } }`),
    async ({ port }) => {
      const get = (path, extra = "") => `GET ${path} HTTP/1.1\r\nHost: x\r\n${extra}\r\n`;
      const three = await raw(port, get("/1") + get("/2") + get("/3", "Connection: close\r\n"));
      assert.deepEqual([...three.matchAll(/path \/(\d)/g)].map((m) => m[1]), ["1", "2", "3"]);
      const chunked = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\nTrailer: x\r\n\r\n";
      assert.match(await raw(port, chunked), /\r\n\r\nabcdefg$/);
      assert.match(await raw(port, chunked.replace("/echo", "/pipe")), /Transfer-Encoding: chunked\r\n[^]*\r\n\r\n[^]*abc[^]*defg\r\n0\r\n\r\n$/);
      const head = await raw(port, "HEAD /h HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      assert.match(head, /Content-Length: 7\r\n[^]*\r\n\r\n$/);
      const wait = await raw(port, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n", { until: "100 Continue", ms: 2000 });
      assert.match(wait, /^HTTP\/1\.1 100 Continue/);
      assert.match(await raw(port, get("/half"), { end: true }), /path \/half/);
    },
  ));

test("HTTP/1.1: what could be smuggled is refused", () =>
  withWorker(worker(`export default { fetch() { return new Response("ok"); } }`), async ({ port }) => {
    const cases = {
      "400 two lengths": "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
      "400 length and chunked": "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "400 signed length": "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n",
      "400 folded header": "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
      "400 bare LF": "GET / HTTP/1.1\nHost: x\n\n",
      "400 blank before colon": "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
      "400 no host": "GET / HTTP/1.1\r\n\r\n",
      "400 two hosts": "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
      "400 NUL": "GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n",
      "501 unknown coding": "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
      "505 version": "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
      "414 long target": `GET /${"a".repeat(20000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
      "431 long head": `GET / HTTP/1.1\r\nHost: x\r\nA: ${"a".repeat(140000)}\r\n\r\n`,
      "417 expectation": "GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n",
    };
    for (const [name, bytes] of Object.entries(cases)) {
      const answer = await raw(port, bytes);
      assert.equal(answer.slice(9, 12), name.slice(0, 3), `${name}: ${answer.slice(0, 80)}`);
      assert.match(answer, /Connection: close/, name);
    }
  }));
