// SPDX-License-Identifier: Apache-2.0
// RFC 9112 and 9110 from a client's side: what keeps a connection, what ends it, and where one message stops and
// the next begins. Syntax that is refused is in syntax.test.mjs, bodies and streams are in exchange.test.mjs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse, sleep, statuses, withGateway } from "./lib.mjs";

const get = (path, extra = "", version = "1.1") => `GET ${path} HTTP/${version}\r\nHost: test\r\n${extra}\r\n`;
const close = "Connection: close\r\n";

test("the target's authority replaces Host, for the URL and for the worker", () =>
  withGateway({}, async (gateway) => {
    const { body } = parse(await gateway.raw(`GET http://real.test:81/head HTTP/1.1\r\nHost: other.test\r\n${close}\r\n`, { end: false }));
    assert.match(body, /^GET http:\/\/real\.test:81\/head\n/);
    assert.match(body, /\nhost: real\.test:81\n/);
    assert.ok(!body.includes("other.test"));
  }));

test("Connection: lists, repeated fields, any case; close wins", () =>
  withGateway({}, async (gateway) => {
    for (const fields of ["Connection: CLOSE\r\n", "Connection: x, close ,y\r\n", "Connection: keep-alive\r\nConnection: close\r\n", "connection:close,keep-alive\r\n"]) {
      const text = await gateway.raw(get("/first", fields) + get("/hidden"), { end: false });
      assert.deepEqual(statuses(text), [200], fields);
      assert.ok(!text.includes("/hidden"), "what follows a close is no request");
    }
    for (const fields of ["Connection: keep-alive\r\n", "Connection: closed, not-close\r\n", "Connection:\r\n", "Connection: ,,\r\n"])
      assert.deepEqual(statuses(await gateway.raw(get("/first", fields) + get("/second", close), { end: false })), [200, 200], fields);
  }));

test("HTTP/1.0: no Host needed, closes unless asked, never chunked", () =>
  withGateway({}, async (gateway) => {
    const old = (path, extra = "") => `GET ${path} HTTP/1.0\r\n${extra}\r\n`;
    assert.deepEqual(statuses(await gateway.raw(old("/a") + old("/hidden"), { end: false })), [200]);
    const keep = "Connection: keep-alive\r\n";
    const text = await gateway.raw(old("/json", keep) + `POST /count HTTP/1.0\r\n${keep}Content-Length: 3\r\n\r\nabc` + old("/json"), { end: false });
    assert.deepEqual(statuses(text), [200, 200, 200]);
    assert.equal(text.match(/Connection: keep-alive\r\n/g).length, 2);
    const stream = await gateway.raw(old("/stream?n=2&size=3&ms=1", keep), { end: false });
    assert.match(stream, /Connection: close\r\n\r\nssssss$/);
    assert.ok(!/transfer-encoding/i.test(stream));
    assert.deepEqual(statuses(await gateway.raw(old("/a", "Connection: close, keep-alive\r\n") + old("/hidden"), { end: false })), [200]);
  }));

test("an offered upgrade is not taken up, and the connection goes on as it was", () =>
  withGateway({}, async (gateway) => {
    for (const fields of [
      "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
      "Connection: upgrade\r\nUpgrade: TLS/1.2\r\n",
    ]) {
      const text = await gateway.raw(get("/head", fields) + get("/second", close), { end: false });
      assert.deepEqual(statuses(text), [200, 200], fields);
      assert.ok(!/\nupgrade:/i.test(text), "the worker is not told either");
    }
  }));

test("pipelining: bodies of all kinds, empty lines between, byte by byte", () =>
  withGateway({}, async (gateway) => {
    const requests = [
      "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nGET / HTTP",
      "\r\n",
      "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=\"y\"\r\n world\r\n0\r\nX-Trailer: 1\r\nHost: evil\r\n\r\n",
      "HEAD /big?n=9 HTTP/1.1\r\nHost: a\r\n\r\n",
      "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "\r\n\r\n",
      "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      get("/last", close),
    ].join("");
    const check = (text) => {
      assert.deepEqual(statuses(text), Array(6).fill(200));
      const bodies = text.split(/HTTP\/1\.1 200 OK\r\n(?:[^\r\n]+\r\n)+\r\n/).slice(1);
      assert.deepEqual(bodies.slice(0, 5), ["10", "11", "", "0", "0"]);
      assert.match(bodies[5], /^path http:\/\/test\/last /);
    };
    check(await gateway.raw(requests, { end: false }));
    check(await gateway.raw(requests));
    const slowly = gateway.connect();
    for (const byte of requests) {
      slowly.send(byte);
      await new Promise((done) => setImmediate(done));
    }
    check(await slowly.untilClosed());
  }));

test("HEAD never has a body, whoever answers", () =>
  withGateway({ worker: { limits: { request_body_bytes: 10 } } }, async (gateway) => {
    const head = (path, extra = "") => `HEAD ${path} HTTP/1.1\r\nHost: a\r\n${extra}\r\n`;
    const kept = await gateway.raw(head("/json") + head("/stream?n=2&ms=1") + head("/big?n=70000") + head("/error") + head("/never") + get("/json", close), { end: false });
    assert.deepEqual(statuses(kept), [200, 200, 200, 500, 500, 200]);
    const parts = kept.split(/(?=HTTP\/1\.1 )/);
    for (const part of parts.slice(0, -1)) assert.match(part, /\r\n\r\n$/);
    assert.ok(parts.slice(0, -1).every((part) => !/transfer-encoding/i.test(part)));
    assert.match(await gateway.raw(head("/count", "Content-Length: 11\r\n"), { end: false }), /^HTTP\/1\.1 413 [^]*\r\nContent-Length: 22\r\n[^]*\r\n\r\n$/);
  }));

test("Expect: a refusal comes instead of 100, and the body is not waited for", () =>
  withGateway({ worker: { limits: { request_body_bytes: 10 } } }, async (gateway) => {
    const post = (path, extra) => `POST ${path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n${extra}\r\n`;
    const refused = await gateway.raw(post("/count", "Content-Length: 11\r\n"), { end: false });
    assert.deepEqual([statuses(refused), parse(refused).headers.connection], [[413], "close"]);
    const early = gateway.connect().send(post("/error", "Content-Length: 5\r\n"));
    await early.until("request: ");
    early.send(`hello${get("/a", close)}`); // asked for, and then dropped
    assert.deepEqual(statuses(await early.untilClosed()), [100, 500, 200]);
    const chunked = gateway.connect().send(post("/count", `Transfer-Encoding: chunked\r\n${close}`));
    await chunked.until("100 Continue\r\n\r\n");
    chunked.send("3\r\nabc\r\n0\r\n\r\n");
    assert.deepEqual(statuses(await chunked.untilClosed()), [100, 200]);
    const empty = await gateway.raw(post("/count", "Content-Length: 0\r\n") + get("/a", close), { end: false });
    assert.deepEqual(statuses(empty), [200, 200], "without a body there is nothing to go on with");
  }));

test("limits are where they say: one byte less is fine", () =>
  withGateway({ http: { url_bytes_max: 100, header_bytes_max: 1000, headers_count_max: 5 }, worker: { limits: { request_body_bytes: 100 } } }, async (gateway) => {
    const status = async (bytes) => statuses(await gateway.raw(bytes, { end: false }))[0];
    const path = (n) => `/${"p".repeat(n - 1)}`;
    assert.deepEqual([await status(get(path(100), close)), await status(get(path(101), close))], [200, 414]);
    const padded = (n) => {
      const bare = get("/", `${close}X: \r\n`);
      return get("/", `${close}X: ${"y".repeat(n - bare.length)}\r\n`);
    };
    assert.deepEqual([padded(1000).length, await status(padded(1000)), await status(padded(1001))], [1000, 200, 431]);
    assert.deepEqual([await status(get("/", `${close}A: 1\r\nB: 2\r\nC: 3\r\n`)), await status(get("/", `${close}A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n`))], [200, 431]);
    const post = (n) => `POST /count HTTP/1.1\r\nHost: a\r\n${close}Content-Length: ${n}\r\n\r\n${"b".repeat(n)}`;
    assert.deepEqual([await status(post(100)), await status(post(101))], [200, 413]);
    const chunked = (n) => `POST /count HTTP/1.1\r\nHost: a\r\n${close}Transfer-Encoding: chunked\r\n\r\n${n.toString(16)}\r\n${"b".repeat(n)}\r\n0\r\n\r\n`;
    assert.deepEqual([await status(chunked(100)), await status(chunked(101))], [200, 413]);
  }));

test("a client that closes in the middle of a head gets nothing, in the middle of a body ends its request", () =>
  withGateway({ worker: { scale: { max_instances: 1, concurrency: 1 } } }, async (gateway) => {
    assert.equal(await gateway.raw("GET /a HTTP/1.1\r\nHos"), "");
    assert.equal(await gateway.raw("\r\n"), "");
    assert.equal(await gateway.raw("POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"), "");
    assert.equal(await gateway.raw("POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n"), "");
    // the same while the request waits for an instance
    const busy = gateway.get("/sleep?ms=400");
    await sleep(50);
    assert.equal(await gateway.raw("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf"), "");
    await busy;
    assert.equal((await gateway.get("/json")).status, 200);
    assert.equal(await gateway.metric("weir_requests_in_flight"), 0);
    assert.equal(await gateway.metric("weir_requests_queued"), 0);
  }));

test("a body that drips is read as long as it comes; a chunk's line that stops is timed out", () =>
  withGateway({ http: { body_timeout_ms: 500, header_timeout_ms: 500 } }, async (gateway) => {
    const slow = gateway.connect().send(`POST /count HTTP/1.1\r\nHost: a\r\n${close}Transfer-Encoding: chunked\r\n\r\n`);
    for (let i = 0; i < 6; i++) {
      await sleep(200);
      slow.send("1\r\nx\r\n");
    }
    slow.send("0\r\n\r\n");
    assert.equal(parse(await slow.untilClosed()).body, "6");
    const stuck = gateway.connect().send(`POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n1`);
    assert.deepEqual(statuses(await stuck.untilClosed(3000)), [408]);
    const trailers = gateway.connect().send(`POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n`);
    assert.deepEqual(statuses(await trailers.untilClosed(3000)), [408]);
  }));

test("answers to requests whose rest is refused are still read by the client", () =>
  withGateway({ worker: { limits: { request_body_bytes: 1000 } } }, async (gateway) => {
    // the client goes on sending what nobody wants: a reset would destroy the answer on its way
    for (let i = 0; i < 5; i++) {
      const client = gateway.connect().send(`POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n`);
      for (let part = 0; part < 20; part++) client.send("z".repeat(50000));
      assert.deepEqual(statuses(await client.untilClosed()), [413]);
      client.destroy();
    }
  }));

test("fields that frame or route are read once, others reach the worker as they came", () =>
  withGateway({}, async (gateway) => {
    const { body } = await gateway.get("/head", "X-A: 1\r\nx-a: 2\r\nCookie: a=1\r\nCookie: b=2\r\nTransfer_Encoding: chunked\r\nContent_Length: 5\r\nX-Blank: \t v \t\r\n");
    assert.match(body, /\nx-a: 1\nx-a: 2\ncookie: a=1\ncookie: b=2\n/);
    assert.match(body, /\nx-blank: v\n/);
    for (const bytes of ["Transfer-Encoding : chunked\r\n", "Transfer-Encoding:\tchunked\x00\r\n", "Content-Length: 1\r\n Transfer-Encoding: chunked\r\n", "Content-Length: 1;1\r\n", "Content-Length: \u00b2\r\n"]) {
      const text = await gateway.raw(`POST /count HTTP/1.1\r\nHost: a\r\n${bytes}\r\n1\r\nx\r\n0\r\n\r\n${get("/hidden")}`, { end: false });
      assert.deepEqual(statuses(text), [400], bytes);
      assert.ok(!text.includes("/hidden"));
    }
  }));
