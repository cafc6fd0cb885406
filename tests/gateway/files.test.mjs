// SPDX-License-Identifier: Apache-2.0
// Static files over the connection: sendfile, pipelining, env.ASSETS, and the way around the worker.
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parse, sleep, statuses, withGateway } from "./lib.mjs";

const close = "Connection: close\r\n";
const large = Buffer.alloc(20_000_000);
for (let i = 0; i < large.length; i++) large[i] = (i * 7 + (i >> 9)) & 0xff;
let directory;

before(() => {
  directory = mkdtempSync(join(tmpdir(), "weir-files-"));
  chmodSync(directory, 0o755); // the gateway gives up root
  writeFileSync(join(directory, "index.html"), "<h1>home</h1>");
  writeFileSync(join(directory, "error"), "instead of the worker");
  writeFileSync(join(directory, "small.txt"), "small file");
  writeFileSync(join(directory, "large.bin"), large);
  writeFileSync(join(directory, "empty.txt"), "");
});
after(() => rmSync(directory, { recursive: true }));

const withFiles = (options, run) =>
  withGateway({ worker: { assets: { directory, html_handling: "auto-trailing-slash", not_found_handling: "none", ...options } } }, run);

// The sum that the fake worker makes.
function checksum(bytes) {
  let sum = 0;
  for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) >>> 0;
  return sum;
}

test("files are served without a worker", () =>
  withFiles({}, async (gateway) => {
    const small = await gateway.get("/small.txt");
    assert.deepEqual([small.status, small.body], [200, "small file"]);
    assert.equal((await gateway.get("/empty.txt")).headers["content-length"], "0");
    const head = parse(await gateway.raw(`HEAD /large.bin HTTP/1.1\r\nHost: a\r\n${close}\r\n`, { end: false }));
    assert.deepEqual([head.headers["content-length"], head.body], ["20000000", ""]);
    const fresh = await gateway.get("/small.txt", `If-None-Match: ${small.headers.etag}\r\n`);
    assert.deepEqual([fresh.status, fresh.body], [304, ""]);
    assert.equal(gateway.count("spawn"), 0);
  }));

test("large files: whole, in ranges, to slow clients", () =>
  withFiles({}, async (gateway) => {
    const text = large.toString("latin1");
    assert.ok((await gateway.get("/large.bin")).body === text);
    const range = await gateway.get("/large.bin", "Range: bytes=15000000-19999999\r\n");
    assert.equal(range.status, 206);
    assert.ok(range.body === text.slice(15000000));
    const slow = gateway.connect();
    slow.send(`GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\nGET /small.txt HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    await slow.until("\r\n\r\n");
    slow.socket.pause();
    await sleep(300);
    assert.equal((await gateway.get("/small.txt")).body, "small file");
    slow.socket.resume();
    const all = await slow.untilClosed();
    const start = all.indexOf("\r\n\r\n") + 4;
    assert.ok(all.slice(start, start + large.length) === text);
    assert.match(all.slice(start + large.length), /^HTTP\/1\.1 200[^]*small file$/);
  }));

test("pipelined files of all kinds stay in order", () =>
  withFiles({}, async (gateway) => {
    const paths = ["/small.txt", "/large.bin", "/empty.txt", "/json", "/small.txt", "/large.bin", "/last"];
    const text = await gateway.raw(paths.map((p, i) => `GET ${p} HTTP/1.1\r\nHost: a\r\n${i === paths.length - 1 ? close : ""}\r\n`).join(""), { end: false });
    let rest = text;
    for (const path of paths) {
      const end = rest.indexOf("\r\n\r\n") + 4;
      const length = Number(/Content-Length: (\d+)/i.exec(rest.slice(0, end))[1]);
      const body = rest.slice(end, end + length);
      if (path === "/large.bin") assert.ok(body === large.toString("latin1"));
      if (path === "/small.txt") assert.equal(body, "small file");
      if (path === "/json") assert.match(body, /Hello/);
      if (path === "/last") assert.match(body, /^path .*\/last/);
      rest = rest.slice(end + length);
    }
    assert.equal(rest, "");
  }));

test("a file's request with a body", () =>
  withFiles({}, async (gateway) => {
    const hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    const text = await gateway.raw(`GET /small.txt HTTP/1.1\r\nHost: a\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}GET /empty.txt HTTP/1.1\r\nHost: a\r\n${close}\r\n`, { end: false });
    assert.deepEqual(statuses(text), [200, 200]);
    const large = await gateway.raw(`GET /large.bin HTTP/1.1\r\nHost: a\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}GET /empty.txt HTTP/1.1\r\nHost: a\r\n${close}\r\n`, { end: false });
    assert.deepEqual(statuses(large), [200, 200]);
  }));

test("pass-through on exception reaches the assets", () =>
  withFiles({ run_worker_first: true }, async (gateway) => {
    const thrown = await gateway.get("/error?pass=1");
    assert.deepEqual([thrown.status, thrown.body], [200, "instead of the worker"]);
    assert.equal((await gateway.get("/error")).status, 500);
  }));

test("beside a worker that does not build: its assets are served, the rest gets the error", () =>
  withGateway(
    { mode: "dev", worker: { bundle: null, failed: "src/index.ts:1:1: unexpected end", assets: { directory, html_handling: "auto-trailing-slash", not_found_handling: "none", run_worker_first: ["/error"] } } },
    async (gateway) => {
      assert.equal((await gateway.get("/small.txt")).body, "small file");
      assert.equal((await gateway.get("/")).body, "<h1>home</h1>");
      for (const path of ["/api", "/error", "/nothing.txt"]) {
        const answer = await gateway.get(path);
        assert.equal(answer.status, 500, path);
        assert.match(answer.body, /unexpected end/, path);
      }
    },
  ));

test("a worker fetches from its assets, small and large, many at once", () =>
  withFiles({}, async (gateway) => {
    assert.equal((await gateway.get("/asset?path=/small.txt")).body, `200 10 ${checksum(Buffer.from("small file"))}`);
    assert.equal((await gateway.get("/asset?path=/nowhere")).body.slice(0, 4), "404 ");
    assert.equal((await gateway.get("/asset?path=/empty.txt")).body, "200 0 0");
    const expected = `200 20000000 ${checksum(large)}`;
    const all = await Promise.all(Array.from({ length: 12 }, () => gateway.get("/asset?path=/large.bin")));
    for (const answer of all) assert.equal(answer.body, expected);
    assert.equal(gateway.count("kill"), 0);
  }));
