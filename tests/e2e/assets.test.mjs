// SPDX-License-Identifier: Apache-2.0
// Static assets through the whole program: over real connections, beside a worker, from its binding.
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { raw, withWorker, wrangler } from "./lib.mjs";

const large = Buffer.alloc(3_000_000);
for (let i = 0; i < large.length; i++) large[i] = i % 251;

const site = {
  "public/index.html": "<title>home</title>",
  "public/about.html": "about",
  "public/app.js": "console.log(1);".repeat(100),
  "public/app.js.gz": gzipSync("console.log(1);".repeat(100)),
  "public/large.bin": large,
  "public/404.html": "lost",
  "public/_headers": "/app.js\n  cache-control: public, max-age=31536000, immutable\n/*\n  x-site: yes\n",
  "public/_redirects": "/old/* /:splat 301\n",
};
const bytesOf = async (response) => Buffer.from(await response.arrayBuffer());

test("a site without code", () =>
  withWorker(
    { ...site, "wrangler.toml": `name = "t"\ncompatibility_date = "2025-01-01"\n[assets]\ndirectory = "public"\nnot_found_handling = "404-page"\n` },
    async ({ fetch, port }) => {
      const home = await fetch("/");
      assert.equal(await home.text(), "<title>home</title>");
      assert.equal(home.headers.get("content-type"), "text/html; charset=utf-8");
      assert.equal(home.headers.get("cache-control"), "public, max-age=0, must-revalidate");
      assert.equal(home.headers.get("x-site"), "yes");
      assert.ok(home.headers.get("date"));

      const again = await fetch("/", { headers: { "if-none-match": home.headers.get("etag") } });
      assert.equal(again.status, 304);
      assert.equal(again.headers.get("etag"), home.headers.get("etag"));

      const about = await fetch("/about.html?x=1");
      assert.deepEqual([about.status, about.headers.get("location")], [307, "/about?x=1"]);
      const old = await fetch("/old/about");
      assert.deepEqual([old.status, old.headers.get("location")], [301, "/about"]);

      const script = await fetch("/app.js", { headers: { "accept-encoding": "gzip" } });
      assert.equal(script.headers.get("content-encoding"), "gzip");
      assert.equal(script.headers.get("vary"), "accept-encoding");
      assert.equal(script.headers.get("cache-control"), "public, max-age=31536000, immutable");
      assert.equal(await script.text(), "console.log(1);".repeat(100));

      const whole = await fetch("/large.bin");
      assert.ok((await bytesOf(whole)).equals(large));
      const part = await fetch("/large.bin", { headers: { range: "bytes=1000000-1999999" } });
      assert.equal(part.status, 206);
      assert.equal(part.headers.get("content-range"), "bytes 1000000-1999999/3000000");
      assert.ok((await bytesOf(part)).equals(large.subarray(1000000, 2000000)));

      const missing = await fetch("/nothing/here");
      assert.deepEqual([missing.status, await missing.text()], [404, "lost"]);
      assert.equal((await fetch("/about", { method: "POST", body: "x" })).status, 405);

      const head = await raw(port, "HEAD /large.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
      assert.match(head, /\r\ncontent-length: 3000000\r\n/i);
      assert.ok(head.endsWith("\r\n\r\n"));
      const pipelined = await raw(port, "GET /about HTTP/1.1\r\nHost: x\r\n\r\nGET /large.bin HTTP/1.1\r\nHost: x\r\n\r\nGET /about HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      assert.equal(pipelined.match(/HTTP\/1\.1 200 OK/g).length, 3);
      assert.ok(pipelined.endsWith("about"));
      for (const path of ["/_headers", "/_redirects", "/..%2f..%2fetc/passwd", "/../../../etc/passwd"])
        assert.match(await raw(port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 404/);
    },
  ));

test("assets beside a worker, and through its binding", () =>
  withWorker(
    {
      ...site,
      "wrangler.toml": wrangler(`[assets]\ndirectory = "public"\nbinding = "FILES"\nrun_worker_first = ["/first/*", "/large.bin"]\n`),
      "src/index.js": `export default { async fetch(request, env) {
        const url = new URL(request.url);
        if (url.pathname === "/large.bin") return env.FILES.fetch(request);
        if (url.pathname === "/first/about") {
          const response = await env.FILES.fetch(new URL("/about", url));
          return new Response("the worker says: " + await response.text(), response);
        }
        return new Response("worker " + url.pathname);
      } }`,
    },
    async ({ fetch }) => {
      assert.equal(await (await fetch("/about")).text(), "about");
      assert.equal(await (await fetch("/api/x")).text(), "worker /api/x");
      assert.equal(await (await fetch("/first/other")).text(), "worker /first/other");
      const wrapped = await fetch("/first/about");
      assert.equal(await wrapped.text(), "the worker says: about");
      assert.equal(wrapped.headers.get("x-site"), "yes");
      const whole = await fetch("/large.bin");
      assert.equal(whole.status, 200);
      assert.ok((await bytesOf(whole)).equals(large));
      const range = await fetch("/large.bin", { headers: { range: "bytes=5-9" } });
      assert.equal(range.status, 206);
      assert.ok((await bytesOf(range)).equals(large.subarray(5, 10)));
    },
  ));

test("a file that changes is served as it is now", () =>
  withWorker(
    { ...site, "wrangler.toml": `name = "t"\ncompatibility_date = "2025-01-01"\n[assets]\ndirectory = "public"\n` },
    async ({ fetch, project }) => {
      assert.equal(await (await fetch("/about")).text(), "about");
      project.write("public/about.html", "about, again");
      let text;
      for (let i = 0; i < 100 && text !== "about, again"; i++) {
        await new Promise((done) => setTimeout(done, 50));
        text = await (await fetch("/about")).text();
      }
      assert.equal(text, "about, again");
    },
  ));
