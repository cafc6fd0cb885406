// SPDX-License-Identifier: Apache-2.0
// What is refused, so that nobody behind or before us can read a request differently.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse, statuses, withGateway } from "./lib.mjs";

const get = (extra = "", path = "/plain") => `GET ${path} HTTP/1.1\r\nHost: test\r\n${extra}\r\n`;

test("malformed heads get their status, and the connection closes", () =>
  withGateway({}, async (gateway) => {
    const cases = [
      [400, "\0\r\n\r\n"],
      [400, "GET\r\n\r\n"],
      [400, "GET /\r\n\r\n"],
      [400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"],
      [400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"],
      [400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"],
      [400, "GET / http/1.1\r\nHost: a\r\n\r\n"],
      [400, "GET / HTTP/1.x\r\nHost: a\r\n\r\n"],
      [505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"],
      [505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
      [400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"],
      [501, `${"M".repeat(40)} / HTTP/1.1\r\nHost: a\r\n\r\n`],
      [405, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"],
      [405, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"],
      [400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"],
      [400, "GET path HTTP/1.1\r\nHost: a\r\n\r\n"],
      [400, "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"],
      [400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"],
      [400, "GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n"],
      [400, "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"],
      // line ends
      [400, "GET / HTTP/1.1\nHost: a\n\n"],
      [400, "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost: a\r\nX: y\0\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost: a\r\nX: y\x7f\r\n\r\n"],
      // fields
      [400, "GET / HTTP/1.1\r\nHost: a\r\nX y\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tfolded\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost: a\r\nX\x80: y\r\n\r\n"],
      // Host
      [400, "GET / HTTP/1.1\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost: a%41\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"],
      [400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"],
      // body length
      [400, get("Content-Length: 1\r\nContent-Length: 1\r\n")],
      [400, get("Content-Length: 1\r\nContent-Length: 2\r\n")],
      [400, get("Content-Length: 1, 1\r\n")],
      [400, get("Content-Length: +1\r\n")],
      [400, get("Content-Length: -1\r\n")],
      [400, get("Content-Length: 0x1\r\n")],
      [400, get("Content-Length: 1 \t1\r\n")],
      [400, get("Content-Length:\r\n")],
      [400, get("Content-Length: 99999999999999999999\r\n")],
      [413, get("Content-Length: 999999999999999999\r\n")],
      [400, get("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n"],
      [400, get("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n") + "0\r\n\r\n"],
      [400, get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n"],
      [400, get("Transfer-Encoding: chunked, chunked\r\n") + "0\r\n\r\n"],
      [400, get("Transfer-Encoding: chunked, identity\r\n") + "0\r\n\r\n"],
      [400, get("Transfer-Encoding: identity\r\n")],
      [400, get("Transfer-Encoding: xchunked\r\n") + "0\r\n\r\n"],
      [400, get("Transfer-Encoding: \x0bchunked\r\n") + "0\r\n\r\n"],
      [400, get("Transfer-Encoding:\r\n")],
      [501, get("Transfer-Encoding: gzip, chunked\r\n") + "0\r\n\r\n"],
      [400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
      [417, get("Expect: the-unexpected\r\n")],
      // limits
      [431, get(`X: ${"y".repeat(140000)}\r\n`)],
      [431, get("a: b\r\n".repeat(300))],
      [414, get("", `/${"y".repeat(20000)}`)],
      [414, `GET /${"y".repeat(20000)}`],
      [400, "\r\n".repeat(10) + get()],
    ];
    for (const [status, bytes] of cases) {
      // A second request hides behind each: it must not be answered.
      const text = await gateway.raw(`${bytes}GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n`, { end: false });
      assert.deepEqual(statuses(text), [status], JSON.stringify(bytes.slice(0, 80)));
      assert.equal(parse(text).headers.connection, "close");
      assert.ok(!text.includes("/hidden"));
    }
    assert.equal(gateway.count("spawn"), 0, "no worker was woken");
  }));

test("broken chunks of a body that a worker reads", () =>
  withGateway({}, async (gateway) => {
    const cases = [
      ["x\r\n", 400],
      ["\r\n", 400],
      ["-1\r\n", 400],
      ["+1\r\n", 400],
      ["0x1\r\na\r\n", 400],
      ["1 \r\na\r\n", 400],
      ["1\na\r\n", 400],
      ["1\r\nab\r\n", 400],
      ["1\r\na\n", 400],
      ["1\r\na\r\r", 400],
      ["1;\x01\r\na\r\n", 400],
      ["10000000000000000\r\n", 400],
      [`1;${"e".repeat(5000)}\r\na\r\n`, 400],
      [`1;${"e".repeat(3000)}\r\na\r\n`.repeat(8), 400],
      ["0\r\nbroken\r\n\r\n", 400],
      ["0\r\n folded: x\r\n\r\n", 400],
      ["0\r\nX: \x01\r\n\r\n", 400],
      [`0\r\n${"x: y\r\n".repeat(4000)}\r\n`, 431],
    ];
    for (const [chunks, status] of cases) {
      const text = await gateway.raw(`POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n`, { end: false });
      assert.deepEqual(statuses(text), [status], JSON.stringify(chunks.slice(0, 60)));
      assert.ok(!text.includes("/hidden"));
    }
  }));

test("what is allowed", () =>
  withGateway({}, async (gateway) => {
    const close = "Connection: close\r\n";
    const head = async (bytes) => parse(await gateway.raw(bytes, { end: false })).body;
    assert.match(await head(`GET http://Other:80/head?q=1 HTTP/1.1\r\nHost: test\r\n${close}\r\n`), /^GET http:\/\/Other:80\/head\?q=1\n/);
    assert.match(await head(`GET /head?[]{}|"^\`\\ HTTP/1.1\r\nHost: [::1]:8080\r\n${close}\r\n`), /^GET http:\/\/\[::1\]:8080\/head\?\[\]\{\}\|"\^`\\\n/);
    assert.match(await head(`GET /head?\xc3\xa4 HTTP/1.1\r\nHost: test\r\n${close}\r\n`), /^GET http:\/\/test\/head\?%C3%A4\n/);
    assert.match(await head(`OPTIONS * HTTP/1.1\r\nHost: test\r\n${close}\r\n`), /^path http:\/\/test\/ /);
    assert.match(await head(`\r\n\r\nGET /head HTTP/1.1\r\nHost: test\r\n${close}\r\n`), /^GET/);
    assert.match(await head(`GET /head HTTP/1.9\r\nHost: test\r\n${close}\r\n`), /^GET/);
    assert.match(await head(`PURGE /head HTTP/1.1\r\nHost: test\r\n${close}\r\n`), /^PURGE/);
    assert.match(await head(`GET /head HTTP/1.1\r\nHost: test\r\nX-Latin: \xe4\t y \r\nX-Empty:\r\n${close}\r\n`), /\nx-latin: \xe4\t y\nx-empty: \n/);
    assert.equal(await head(`POST /count HTTP/1.1\r\nHost: a\r\n${close}Transfer-Encoding: CHUNKED\r\n\r\n5;a=b;c="d"\r\nhello\r\n00005 ;x\r\nworld\r\n0;last\r\nTrailer: dropped\r\n\r\n`), "10");
  }));

test("heads may come byte by byte", () =>
  withGateway({}, async (gateway) => {
    const client = gateway.connect();
    for (const byte of get("X-One: 1\r\nConnection: close\r\n", "/head")) {
      client.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.match(await client.untilClosed(), /x-one: 1/);
  }));

test("a worker is not told by the client who the client is", () =>
  withGateway({}, async (gateway) => {
    const spoofed = ["CF-Connecting-IP: 6.6.6.6", "X-Real-IP: 6.6.6.6", "CF-Ray: x", "CF-Visitor: x", "X-Forwarded-Proto: https", "True-Client-IP: 6.6.6.6", "CF-IPCountry: XX", "X-Forwarded-For: 6.6.6.6", "Upgrade: h2c", "TE: trailers", "Keep-Alive: x", "Proxy-Connection: x"];
    const { body } = await gateway.get("/head", spoofed.map((s) => `${s}\r\n`).join(""));
    assert.match(body, /\ncf-connecting-ip: 127\.0\.0\.1\n/);
    assert.match(body, /\nx-real-ip: 127\.0\.0\.1\n/);
    assert.match(body, /\nx-forwarded-for: 6\.6\.6\.6, 127\.0\.0\.1\n/);
    assert.match(body, /\nx-forwarded-proto: http\n/);
    assert.match(body, /\ncf-ray: [0-9a-f]{16}\n/);
    assert.equal(body.match(/6\.6\.6\.6/g).length, 1);
    for (const name of ["upgrade", "te", "keep-alive", "proxy-connection", "connection", "true-client-ip", "cf-ipcountry"]) assert.ok(!body.includes(`\n${name}:`), name);
  }));
