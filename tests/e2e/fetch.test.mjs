// SPDX-License-Identifier: Apache-2.0
// Outbound fetch through the broker, to a server of our own on loopback, which weir dev allows.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { withWorker, worker } from "./lib.mjs";

// An origin that answers by path; closed with the test.
async function withOrigin(body) {
  const seen = { aborted: 0 };
  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://x");
    if (url.pathname === "/echo") {
      response.setHeader("x-seen", JSON.stringify({ method: request.method, headers: request.headers }));
      return request.pipe(response);
    }
    if (url.pathname === "/gzip" || url.pathname === "/br") {
      response.setHeader("content-encoding", url.pathname.slice(1));
      return response.end((url.pathname === "/gzip" ? gzipSync : brotliCompressSync)("packed and unpacked"));
    }
    if (url.pathname === "/moved") {
      response.writeHead(302, { location: "/echo" });
      return response.end();
    }
    if (url.pathname === "/drip") {
      const timer = setInterval(() => response.write("drip "), 20);
      return response.on("close", () => (clearInterval(timer), seen.aborted++));
    }
    if (url.pathname === "/big") return response.end(Buffer.alloc(5_000_000, "x"));
    if (url.pathname === "/drop") return request.socket.destroy();
    response.end(`origin ${request.url}`);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  try {
    await body(`http://127.0.0.1:${server.address().port}`, seen);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const relay = `
  export default {
    async fetch(request, env, ctx) {
      const url = new URL(request.url);
      const target = request.headers.get("x-target");
      switch (url.pathname) {
        case "/through": return fetch(target, request);
        case "/text": {
          const response = await fetch(target, { redirect: url.search === "?manual" ? "manual" : "follow" });
          return Response.json({ status: response.status, url: response.url, redirected: response.redirected, text: await response.text(), encoding: response.headers.get("content-encoding") });
        }
        case "/error":
          try { await (await fetch(target)).text(); return new Response("no error", { status: 500 }); }
          catch (error) { return Response.json({ name: error.name, message: error.message }); }
        case "/heads": {
          const told = async (init) => { try { return (await fetch(target, init)).status; } catch (error) { return error.name + ": " + error.message; } };
          return Response.json(await Promise.all([
            told({ method: "A".repeat(31) }), told({ method: "A".repeat(32) }), told({ headers: { x: "a\tb\xe9" } }),
            told({ headers: { x: "a\x01b" } }), told({ headers: { x: "\x7f" } }), told(new Request(target, { headers: { x: "\v" } })),
          ]));
        }
        case "/abort": {
          const controller = new AbortController();
          const response = await fetch(target, { signal: controller.signal });
          const reader = response.body.getReader();
          await reader.read();
          controller.abort();
          try { for (;;) if ((await reader.read()).done) return new Response("ended", { status: 500 }); }
          catch (error) { return new Response(error.name); }
        }
        case "/many": {
          const all = await Promise.all(Array.from({ length: 40 }, (_, i) => fetch(target + "/" + i).then((r) => r.text())));
          return Response.json(all);
        }
        case "/stream": {
          const { readable, writable } = new TransformStream();
          const writer = writable.getWriter();
          ctx.waitUntil((async () => { for (let i = 0; i < 30; i++) await writer.write(new Uint8Array(50000).fill(65)); await writer.close(); })());
          const response = await fetch(target, { method: "POST", body: readable });
          return new Response(String((await response.arrayBuffer()).byteLength));
        }
      }
    },
  };`;

test("fetch reaches an origin, and what it says comes back", () =>
  withOrigin((origin, seen) =>
    withWorker(worker(relay), async ({ fetch }) => {
      const at = (path, target, init) => fetch(path, { ...init, headers: { "x-target": origin + target, ...init?.headers } });

      const echoed = await at("/through", "/echo", { method: "POST", body: "a body", headers: { "x-mine": "1" } });
      assert.equal(await echoed.text(), "a body");
      const told = JSON.parse(echoed.headers.get("x-seen"));
      assert.equal(told.method, "POST");
      assert.equal(told.headers["x-mine"], "1");

      for (const coding of ["gzip", "br"]) {
        const answer = await (await at("/text", `/${coding}`)).json();
        assert.equal(answer.text, "packed and unpacked");
        const passed = await at("/through", `/${coding}`);
        assert.equal(await passed.text(), "packed and unpacked");
      }

      const followed = await (await at("/text", "/moved")).json();
      assert.deepEqual([followed.status, followed.redirected, followed.url], [200, true, `${origin}/echo`]);
      const manual = await (await at("/text?manual", "/moved")).json();
      assert.deepEqual([manual.status, manual.redirected], [302, false]);

      const big = await at("/through", "/big");
      assert.equal((await big.arrayBuffer()).byteLength, 5_000_000);
      assert.equal(await (await at("/stream", "/echo")).text(), "1500000");
      assert.deepEqual(await (await at("/many", "")).json(), Array.from({ length: 40 }, (_, i) => `origin /${i}`));

      assert.equal(await (await at("/abort", "/drip")).text(), "AbortError");
      for (let i = 0; i < 100 && seen.aborted === 0; i++) await new Promise((done) => setTimeout(done, 20));
      assert.equal(seen.aborted, 1);
    }),
  ));

test("fetch fails as a worker can understand", () =>
  withOrigin((origin) =>
    withWorker(worker(relay), async ({ fetch }) => {
      const error = async (target) => (await fetch("/error", { headers: { "x-target": target } })).json();
      assert.match((await error(`${origin}/drop`)).message, /connection lost/);
      assert.match((await error("http://name.invalid/")).message, /cannot be resolved/);
      assert.match((await error("http://10.0.0.1/")).message, /private or reserved/);
      assert.match((await error("http://169.254.169.254/latest/meta-data/")).message, /private or reserved/);
      assert.equal((await error("ftp://example.com/")).name, "TypeError");
      const control = "TypeError: A header's value has a control character.";
      assert.deepEqual(await (await fetch("/heads", { headers: { "x-target": `${origin}/` } })).json(), [
        400, "TypeError: The method is too long: 32 characters, of 31 at most.", 200, control, control, control,
      ]);
    }),
  ));
