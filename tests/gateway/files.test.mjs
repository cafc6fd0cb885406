// SPDX-License-Identifier: Apache-2.0
// Static files over the connection: sendfile, pipelining, env.ASSETS, and the way around the worker.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { parse, sleep, statuses, withGateway } from "./lib.mjs";

const close = "Connection: close\r\n";
const large = Buffer.alloc(20_000_000);
for (let i = 0; i < large.length; i++) large[i] = (i * 7 + (i >> 9)) & 0xff;
const script = Buffer.from("console.log(1);".repeat(100));
const random = randomBytes(300_000); // does not shrink: its neighbours are sent by sendfile, too
const packed = Object.fromEntries([["page.js", script], ["data.bin", random]].map(([name, bytes]) => [name, { identity: bytes, br: brotliCompressSync(bytes), gzip: gzipSync(bytes) }]));
let directory;

before(() => {
  directory = mkdtempSync(join(tmpdir(), "weir-files-"));
  chmodSync(directory, 0o755); // the gateway gives up root
  writeFileSync(join(directory, "index.html"), "<h1>home</h1>");
  writeFileSync(join(directory, "error"), "instead of the worker");
  writeFileSync(join(directory, "small.txt"), "small file");
  writeFileSync(join(directory, "large.bin"), large);
  writeFileSync(join(directory, "empty.txt"), "");
  writeFileSync(join(directory, "huge.bin"), "");
  for (const [name, codings] of Object.entries(packed))
    for (const [coding, bytes] of Object.entries(codings)) writeFileSync(join(directory, name + { identity: "", br: ".br", gzip: ".gz" }[coding]), bytes);
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

test("a huge file passes by the gateway's memory", () =>
  withFiles({}, async (gateway) => {
    truncateSync(join(directory, "huge.bin"), 0);
    truncateSync(join(directory, "huge.bin"), 2 ** 31 + 4096);
    const [pid] = readFileSync(`/proc/${gateway.child.pid}/task/${gateway.child.pid}/children`, "utf8").split(" ").map(Number);
    const peak = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
    await gateway.get("/small.txt");
    const before = peak();
    let bytes = 0;
    await new Promise((done, fail) => {
      const socket = connect(gateway.port, "127.0.0.1", () => socket.write(`GET /huge.bin HTTP/1.1\r\nHost: a\r\n${close}Range: bytes=0-${2 ** 28 - 1}\r\n\r\n`));
      socket.on("data", (part) => (bytes += part.length)).on("end", done).on("error", fail);
    });
    assert.ok(bytes > 2 ** 28 && bytes < 2 ** 28 + 1000, `${bytes}`);
    assert.ok(peak() - before < 4096, `${peak() - before} kB more`);
    const tail = await gateway.get("/huge.bin", `Range: bytes=${2 ** 31}-\r\n`);
    assert.deepEqual([tail.status, tail.body.length, tail.headers["content-range"]], [206, 4096, `bytes ${2 ** 31}-${2 ** 31 + 4095}/${2 ** 31 + 4096}`]);
  }));

test("compressed neighbours, small and large: chosen by weight, told by Vary", () =>
  withFiles({}, async (gateway) => {
    for (const name of ["page.js", "data.bin"]) {
      const plain = await gateway.get(`/${name}`);
      assert.deepEqual([plain.headers["content-encoding"], plain.headers.vary], [undefined, "accept-encoding"], name);
      for (const [accept, coding] of [["gzip, br", "br"], ["gzip", "gzip"], ["br;q=0.5, gzip;q=0.6", "gzip"], ["br;q=0, gzip;q=0", undefined], ["zstd", undefined]]) {
        const answer = await gateway.get(`/${name}`, `Accept-Encoding: ${accept}\r\n`);
        assert.deepEqual([answer.status, answer.headers["content-encoding"], answer.headers.vary], [200, coding, "accept-encoding"], `${name} ${accept}`);
        assert.ok(answer.body === packed[name][coding ?? "identity"].toString("latin1"), `${name} ${accept}`);
        assert.equal(answer.headers["content-length"], String(packed[name][coding ?? "identity"].length));
        const head = parse(await gateway.raw(`HEAD /${name} HTTP/1.1\r\nHost: a\r\n${close}Accept-Encoding: ${accept}\r\n\r\n`, { end: false }));
        assert.deepEqual([head.headers.etag, head.headers["content-length"], head.body], [answer.headers.etag, answer.headers["content-length"], ""]);
        const fresh = await gateway.get(`/${name}`, `Accept-Encoding: ${accept}\r\nIf-None-Match: ${answer.headers.etag}\r\n`);
        assert.deepEqual([fresh.status, fresh.headers.vary, fresh.headers.etag, fresh.body], [304, "accept-encoding", answer.headers.etag, ""]);
      }
    }
  }));

test("ranges of small and large files: If-Range, several, beyond the end", () =>
  withFiles({}, async (gateway) => {
    for (const [path, text] of [["/small.txt", "small file"], ["/large.bin", large.toString("latin1")]]) {
      const ask = async (range, more = "") => {
        const { status, headers, body } = await gateway.get(path, `Range: ${range}\r\n${more}`);
        return [status, headers["content-range"], body === text ? "whole" : body.length < 100 ? body : body.length];
      };
      const { headers } = await gateway.get(path), size = text.length;
      assert.equal(headers["accept-ranges"], "bytes");
      assert.deepEqual(await ask("bytes=2-4"), [206, `bytes 2-4/${size}`, text.slice(2, 5)]);
      assert.deepEqual(await ask("bytes=-3"), [206, `bytes ${size - 3}-${size - 1}/${size}`, text.slice(-3)]);
      assert.deepEqual(await ask(`bytes=${size}-`), [416, `bytes */${size}`, ""]);
      assert.deepEqual(await ask("bytes=2-4", `If-Range: ${headers.etag}\r\n`), [206, `bytes 2-4/${size}`, text.slice(2, 5)]);
      assert.deepEqual(await ask("bytes=2-4", `If-Range: ${headers["last-modified"]}\r\n`), [206, `bytes 2-4/${size}`, text.slice(2, 5)]);
      for (const old of ['"other"', `W/${headers.etag}`, "Thu, 01 Jan 1970 00:00:00 GMT"]) assert.deepEqual(await ask("bytes=2-4", `If-Range: ${old}\r\n`), [200, undefined, "whole"], old);
      assert.deepEqual(await ask(`bytes=${size}-`, 'If-Range: "other"\r\n'), [200, undefined, "whole"]);
      for (const several of ["bytes=0-1,4-5", "bytes=0-0, -1", `bytes=${size}-,0-0`]) assert.deepEqual(await ask(several), [200, undefined, "whole"], several);
      assert.equal((await gateway.get(path, `Range: bytes=2-4\r\nIf-None-Match: ${headers.etag}\r\n`)).status, 304, "the precondition comes first");
      const posted = parse(await gateway.raw(`POST ${path} HTTP/1.1\r\nHost: a\r\n${close}Content-Length: 0\r\nRange: bytes=2-4\r\n\r\n`, { end: false }));
      assert.deepEqual([posted.status, posted.headers.allow], [405, "GET, HEAD"]);
    }
    const packedRange = await gateway.get("/page.js", "Accept-Encoding: br\r\nRange: bytes=0-9\r\n");
    assert.deepEqual([packedRange.status, packedRange.headers["content-encoding"], packedRange.body], [206, undefined, packed["page.js"].identity.toString("latin1", 0, 10)]);
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
