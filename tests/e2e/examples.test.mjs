// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { dev, patience, root } from "./lib.mjs";

describe("examples/hello", () => {
  let server;
  before(async () => (server = await dev(join(root, "examples/hello"))));
  after(() => server.stop());

  test("a page written in JSX", async () => {
    const response = await server.fetch("/");
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type"), /text\/html/);
    assert.match(await response.text(), /<h1>Hello from a Worker<\/h1>/);
  });

  test("a JSON route with CORS", async () => {
    const response = await server.fetch("/api/greet/you", { headers: { origin: "http://elsewhere.test" } });
    assert.deepEqual(await response.json(), { message: "Hello, you!" });
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
  });

  test("a JSON body comes back", async () => {
    const response = await server.fetch("/api/echo", { method: "POST", body: JSON.stringify({ a: [1, "ü"] }) });
    assert.deepEqual(await response.json(), { a: [1, "ü"] });
  });

  test("a streamed answer arrives in parts", async () => {
    const response = await server.fetch("/stream");
    const times = [];
    let text = "";
    for await (const chunk of response.body) {
      times.push(Date.now());
      text += new TextDecoder().decode(chunk);
    }
    assert.equal(text, "line 1\nline 2\nline 3\nline 4\nline 5\n");
    assert.ok(times.at(-1) - times[0] >= 200, "it came at once");
  });

  test("server-sent events", async () => {
    const response = await server.fetch("/events");
    assert.match(response.headers.get("content-type"), /text\/event-stream/);
    assert.match(await response.text(), /event: tick\ndata: tick 2\nid: 2/);
  });

  test("forms, urlencoded and multipart", async () => {
    const urlencoded = await server.fetch("/form", { method: "POST", body: new URLSearchParams({ text: "a & b" }) });
    assert.equal(await urlencoded.text(), "You wrote: a & b");
    const form = new FormData();
    form.append("text", "multi\npart");
    const multipart = await server.fetch("/form", { method: "POST", body: form });
    assert.match(await multipart.text(), /You wrote: multi\r?\npart/);
  });

  test("cookies", async () => {
    const first = await server.fetch("/visit");
    assert.match(first.headers.get("set-cookie"), /visits=1; Path=\/; HttpOnly; SameSite=Lax/);
    const second = await server.fetch("/visit", { headers: { cookie: "visits=1" } });
    assert.equal(await second.text(), "visit 2");
    const forget = await server.fetch("/forget");
    assert.equal(forget.status, 302);
    assert.match(forget.headers.get("set-cookie"), /visits=; Max-Age=0/);
  });

  test("an entity tag saves the body", async () => {
    const first = await server.fetch("/cached");
    const tag = first.headers.get("etag");
    assert.ok(tag);
    const second = await server.fetch("/cached", { headers: { "if-none-match": tag } });
    assert.equal(second.status, 304);
    assert.equal(await second.text(), "");
  });

  test("a JWT opens a private route", async () => {
    assert.equal((await server.fetch("/private/me")).status, 401);
    const { token } = await (await server.fetch("/login")).json();
    const response = await server.fetch("/private/me", { headers: { authorization: `Bearer ${token}` } });
    assert.deepEqual(await response.json(), { sub: "visitor" });
    const forged = await server.fetch("/private/me", { headers: { authorization: `Bearer ${token.slice(0, -2)}xx` } });
    assert.equal(forged.status, 401);
  });

  test("404 and a failing route", async () => {
    assert.equal((await server.fetch("/nothing")).status, 404);
    assert.equal((await server.fetch("/fail")).status, 500);
    await server.weir.waitFor("this route always fails");
  });
});

describe("examples/plain", () => {
  let server;
  before(async () => (server = await dev(join(root, "examples/plain"))));
  after(() => server.stop());

  // The compiler of WebAssembly has a thread, and what has threads is not forked.
  test("the first request does not wait for the engine's helpers to leave", async () => {
    const began = Date.now();
    await (await server.fetch("/")).text();
    assert.ok(Date.now() - began < 4000 * patience, `it took ${Date.now() - began} ms`);
  });

  test("variables and a text module", async () => {
    assert.equal(await (await server.fetch("/")).text(), "plain: Water finds its level.\n");
    assert.deepEqual(await (await server.fetch("/settings")).json(), { retries: 3, tags: ["a", "b"] });
  });

  test("a WebAssembly module", async () => {
    assert.equal(await (await server.fetch("/add?a=2&b=40")).text(), "42");
  });

  test("waitUntil goes on after the answer", async () => {
    assert.equal(await (await server.fetch("/later")).text(), "answered");
    await server.weir.waitFor("later is now");
  });

  test("the scheduled handler by hand", async () => {
    const response = await server.fetch("/__scheduled?cron=*/5+*+*+*+*&time=1700000000000");
    assert.equal(await response.text(), "Ran scheduled event");
    assert.deepEqual(await (await server.fetch("/last-run")).json(), {
      lastRun: { cron: "*/5 * * * *", scheduledTime: 1700000000000 },
    });
  });
});

describe("examples/static", () => {
  let server;
  before(async () => (server = await dev(join(root, "examples/static"))));
  after(() => server.stop());

  test("pages at their canonical paths", async () => {
    const home = await server.fetch("/");
    assert.equal(home.status, 200);
    assert.match(await home.text(), /A static site/);
    const redirect = await server.fetch("/index.html");
    assert.equal(redirect.status, 307);
    assert.equal(redirect.headers.get("location"), "/");
    assert.equal((await server.fetch("/about")).headers.get("location"), "/about/");
    assert.equal((await server.fetch("/about/")).status, 200);
  });

  test("types, rules of _headers and _redirects", async () => {
    const css = await server.fetch("/css/style.css");
    assert.match(css.headers.get("content-type"), /text\/css/);
    assert.equal(css.headers.get("cache-control"), "public, max-age=3600");
    assert.equal(css.headers.get("x-content-type-options"), "nosniff");
    const old = await server.fetch("/old");
    assert.equal(old.status, 301);
    assert.equal(old.headers.get("location"), "/about/");
    assert.equal((await server.fetch("/team/ann")).headers.get("location"), "/about/#ann");
    assert.equal((await server.fetch("/_headers")).status, 404);
  });

  test("validators and ranges", async () => {
    const first = await server.fetch("/img/mark.svg");
    const bytes = new Uint8Array(await first.arrayBuffer());
    const again = await server.fetch("/img/mark.svg", { headers: { "if-none-match": first.headers.get("etag") } });
    assert.equal(again.status, 304);
    const range = await server.fetch("/img/mark.svg", { headers: { range: "bytes=4-9" } });
    assert.equal(range.status, 206);
    assert.equal(range.headers.get("content-range"), `bytes 4-9/${bytes.length}`);
    assert.deepEqual(new Uint8Array(await range.arrayBuffer()), bytes.slice(4, 10));
  });

  test("the 404 page", async () => {
    const response = await server.fetch("/no/such/page");
    assert.equal(response.status, 404);
    assert.match(await response.text(), /Not here/);
  });
});
