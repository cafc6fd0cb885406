// SPDX-License-Identifier: Apache-2.0
// Requests and answers on a connection: framing, keep-alive, streams, backpressure, aborts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse, sleep, statuses, unchunk, withGateway } from "./lib.mjs";

const get = (path, extra = "") => `GET ${path} HTTP/1.1\r\nHost: test\r\n${extra}\r\n`;
const close = "Connection: close\r\n";

test("pipelined requests are answered in order", () =>
  withGateway({}, async (gateway) => {
    const paths = Array.from({ length: 50 }, (_, i) => (i % 7 === 0 ? `/sleep?ms=5&i=${i}` : `/p${i}`));
    const text = await gateway.raw(paths.map((p) => get(p)).join("") + "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody" + get("/last", close), { end: false });
    assert.equal(statuses(text).length, 52);
    const seen = [...text.matchAll(/path http:\/\/test(\S+)|(slept)|\r\n\r\n(4)HTTP/g)].map((m) => m[1] ?? m[2] ?? m[3]);
    assert.deepEqual(seen, [...paths.map((p) => (p.startsWith("/sleep") ? "slept" : p)), "4", "/last"]);
  }));

test("a client that closed its sending side still gets all its answers", () =>
  withGateway({}, async (gateway) => {
    const text = await gateway.raw(get("/sleep?ms=50") + get("/one") + get("/sleep?ms=10"));
    assert.deepEqual(statuses(text), [200, 200, 200]);
  }));

test("a slow answer after half-close survives the probe", () =>
  withGateway({}, async (gateway) => {
    const text = await gateway.raw(get("/sleep?ms=2000"));
    assert.deepEqual(statuses(text), [100, 200]);
    assert.match(text, /slept$/);
  }));

test("a client that is gone aborts its request", () =>
  withGateway({}, async (gateway) => {
    const client = gateway.connect();
    client.send(get("/silent"));
    await gateway.event("spawn");
    await sleep(100);
    client.destroy();
    await gateway.line((l) => l.type === "console" && l.text === "aborted", { what: "aborted" });
    await gateway.line((l) => l.type === "request" && l.status === 499, { what: "499" });
    assert.equal(await gateway.metric("weir_requests_in_flight"), 0);
  }));

test("a client that goes away in a stream aborts it", () =>
  withGateway({}, async (gateway) => {
    const client = gateway.connect();
    client.send(get("/stream?n=1000&ms=10"));
    await client.until("sssss");
    client.destroy();
    await gateway.line((l) => l.type === "console" && l.text === "aborted", { what: "aborted" });
  }));

test("keep-alive, close, HTTP/1.0", () =>
  withGateway({}, async (gateway) => {
    let answer = parse(await gateway.raw(get("/a", close), { end: false }));
    assert.equal(answer.headers.connection, "close");
    answer = parse(await gateway.raw("GET /a HTTP/1.0\r\n\r\n", { end: false }));
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.connection, "close");
    const client = gateway.connect();
    client.send("GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    assert.match(await client.until("pid"), /Connection: keep-alive\r\n/);
    client.send("GET /big?n=100000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const text = await client.untilClosed();
    const second = parse(text.slice(text.lastIndexOf("HTTP/1.1")));
    assert.equal(second.headers["transfer-encoding"], undefined);
    assert.equal(second.headers["content-length"], undefined);
    assert.equal(second.headers.connection, "close");
    assert.equal(second.body.length, 100000);
  }));

test("framing of answers", () =>
  withGateway({}, async (gateway) => {
    const status = async (code, h = "", body = "", method = "GET") =>
      parse(await gateway.raw(`${method} /status?code=${code}&h=${encodeURIComponent(h)}&body=${body} HTTP/1.1\r\nHost: a\r\n${close}\r\n`, { end: false }));
    let r = await status(200, "", "hello");
    assert.equal(r.headers["content-length"], "5");
    assert.ok(Math.abs(Date.parse(r.headers.date) - Date.now()) < 3000);
    r = await status(204, "content-length: 5\n", "hello");
    assert.equal(r.headers["content-length"], undefined);
    assert.equal(r.body, "");
    r = await status(304, "content-length: 5\n", "hello");
    assert.equal(r.headers["content-length"], "5");
    assert.equal(r.body, "");
    r = await status(200, "", "hello", "HEAD");
    assert.equal(r.headers["content-length"], "5");
    assert.equal(r.body, "");
    r = await status(200, "content-length: 77\n", "", "HEAD");
    assert.equal(r.headers["content-length"], "77");
    r = await status(200, "", "", "HEAD");
    assert.equal(r.headers["content-length"], undefined);
    assert.equal(r.body, "");
    r = await status(200, "Content-Length: 3\n", "hello");
    assert.equal(r.headers["content-length"], "5", "what is there counts");
    r = await status(299, "date: Thu, 01 Jan 1970 00:00:00 GMT\nset-cookie: a=1\nset-cookie: b=2\n", "");
    assert.equal(r.headers.date, "Thu, 01 Jan 1970 00:00:00 GMT");
    assert.equal(r.headers["set-cookie"], "a=1, b=2");
    assert.equal(r.headers["content-length"], "0");
  }));

test("a worker cannot write heads of its own", () =>
  withGateway({}, async (gateway) => {
    const block = "x-cr: a\rb\nx-control: \x01\nno field\n: empty\nbad name: x\nConnection: keep-alive\nTransfer-Encoding: chunked\nUpgrade: h2c\nTrailer: x\nTE: x\nKeep-Alive: x\nx-good: 1\n\nx-also: 2\nx-last: 3";
    const { headers, body } = await gateway.get(`/status?h=${encodeURIComponent(block)}&body=fine`);
    assert.deepEqual(Object.keys(headers).sort(), ["connection", "content-length", "date", "x-also", "x-good", "x-last"]);
    assert.equal(headers.connection, "close");
    assert.equal(body, "fine");
  }));

test("answers of unknown length are chunked, and stream", () =>
  withGateway({}, async (gateway) => {
    const client = gateway.connect();
    client.send(get("/stream?n=3&size=5&ms=100", close));
    await client.until("sssss");
    assert.ok(!client.received.includes("0\r\n\r\n"), "the first chunk came alone");
    assert.equal(parse(await client.untilClosed()).body, "s".repeat(15));
    assert.equal((await gateway.get("/big?n=3000000")).body.length, 3000000);
    const declared = await gateway.get("/big?n=3000000&declared=1");
    assert.equal(declared.headers["content-length"], "3000000");
    assert.equal(declared.body.length, 3000000);
  }));

test("an answer that fails half-way breaks the connection", () =>
  withGateway({}, async (gateway) => {
    const text = await gateway.raw(get("/latefail"), { end: false });
    assert.match(text, /^HTTP\/1\.1 200/);
    assert.throws(() => unchunk(text.slice(text.indexOf("\r\n\r\n") + 4)));
  }));

test("a client that does not read holds up neither memory nor others", () =>
  withGateway({}, async (gateway) => {
    const slow = gateway.connect();
    slow.send(get("/big?n=200000000"));
    await slow.until("xxxx");
    slow.socket.pause();
    await sleep(500);
    const before = await gateway.metric("weir_sent_bytes_total");
    await sleep(300);
    const after = await gateway.metric("weir_sent_bytes_total");
    assert.ok(after - before < 1e5, `${after - before} bytes went to a client that does not read`);
    assert.ok(after < 2e7);
    assert.equal((await gateway.get("/json")).status, 200);
    slow.socket.resume();
    const from = slow.received.length;
    await new Promise((resolve) => slow.socket.once("data", resolve));
    await sleep(200);
    assert.ok(slow.received.length > from + 1e6, "it goes on");
    slow.destroy();
  }));

test("bodies go to the worker: whole, in parts, chunked, large", () =>
  withGateway({}, async (gateway) => {
    const post = async (path, headers, body) => parse(await gateway.raw(`POST ${path} HTTP/1.1\r\nHost: a\r\n${close}${headers}\r\n${body}`, { end: false }));
    assert.equal((await post("/echo", "Content-Length: 5\r\n", "hello")).body, "hello");
    assert.equal((await post("/count", "Content-Length: 0\r\n", "")).body, "0");
    const big = "0123456789".repeat(200000);
    assert.equal((await post("/echo", `Content-Length: ${big.length}\r\n`, big)).body, big);
    const chunk = (size) => `${size.toString(16)}\r\n${"c".repeat(size)}\r\n`;
    const sizes = Array.from({ length: 300 }, (_, i) => 1 + ((i * 7919) % 20000));
    const chunked = await post("/echo", "Transfer-Encoding: chunked\r\n", sizes.map(chunk).join("") + "0\r\n\r\n");
    assert.equal(chunked.body.length, sizes.reduce((a, b) => a + b));
    const client = gateway.connect();
    client.send(`POST /echo HTTP/1.1\r\nHost: a\r\n${close}Content-Length: 6\r\n\r\nab`);
    await client.until("ab\r\n");
    client.send("cd");
    await client.until("cd\r\n");
    client.send("ef");
    assert.equal(parse(await client.untilClosed()).body, "abcdef");
  }));

test("many large bodies at once wait for room in the ring", () =>
  withGateway({ worker: { scale: { max_instances: 1 } } }, async (gateway) => {
    const size = 3000000, body = "z".repeat(size);
    const all = Array.from({ length: 24 }, () => gateway.raw(`POST /count HTTP/1.1\r\nHost: a\r\n${close}Content-Length: ${size}\r\n\r\n${body}`, { end: false }));
    const block = gateway.get("/block?ms=300");
    for (const text of await Promise.all(all)) assert.equal(parse(text).body, String(size));
    await block;
    assert.equal(gateway.count("kill"), 0);
  }));

test("a body that the worker leaves unread does not become the next request", () =>
  withGateway({}, async (gateway) => {
    const hidden = get("/hidden");
    const client = gateway.connect();
    client.send(`POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: ${hidden.length + 10}\r\n\r\n`);
    await client.until("unread");
    client.send(`${hidden}0123456789${get("/next", close)}`);
    const text = await client.untilClosed();
    assert.deepEqual(statuses(text), [200, 200]);
    assert.ok(text.includes("/next") && !text.includes("/hidden"));
    const chunked = gateway.connect();
    chunked.send("POST /unread HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    await chunked.until("unread");
    chunked.send(`${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n${get("/next", close)}`);
    assert.ok((await chunked.untilClosed()).includes("/next"));
    assert.ok(!chunked.received.includes("/hidden"));
    const long = await gateway.raw("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n", { end: false });
    assert.equal(parse(long).headers.connection, "close", "too much to throw away");
  }));

test("too long a body is refused, at once or when it shows", () =>
  withGateway({ worker: { limits: { request_body_bytes: 1000 } } }, async (gateway) => {
    assert.deepEqual(statuses(await gateway.raw("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", { end: false })), [413]);
    const chunk = `200\r\n${"c".repeat(512)}\r\n`;
    const client = gateway.connect();
    client.send(`POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`);
    await gateway.event("spawn");
    await sleep(100);
    client.send(chunk + chunk);
    assert.deepEqual(statuses(await client.untilClosed()), [413]);
    await gateway.line((l) => l.type === "console" && l.text === "aborted", { what: "the worker is told" });
  }));

test("Expect: 100-continue", () =>
  withGateway({}, async (gateway) => {
    const client = gateway.connect();
    client.send(`POST /count HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n${close}\r\n`);
    await client.until("HTTP/1.1 100 Continue\r\n\r\n");
    client.send("abc");
    assert.deepEqual(statuses(await client.untilClosed()), [100, 200]);
    const hasty = await gateway.raw(`POST /count HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n${close}\r\nabc`, { end: false });
    assert.deepEqual(statuses(hasty), [200], "who does not wait is not told to go on");
    const old = await gateway.raw("POST /count HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", { end: false });
    assert.deepEqual(statuses(old), [200]);
  }));

test("waitUntil: the answer goes out, the slot stays taken", () =>
  withGateway({ worker: { scale: { max_instances: 1, concurrency: 1 } } }, async (gateway) => {
    const start = Date.now();
    assert.equal((await gateway.get("/wait?ms=400")).body, "answered");
    assert.ok(Date.now() - start < 300);
    assert.equal((await gateway.get("/json")).status, 200);
    assert.ok(Date.now() - start >= 380, "concurrency 1 counts it");
  }));

test("half a body ends the request", () =>
  withGateway({}, async (gateway) => {
    const client = gateway.connect();
    client.send("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf");
    await gateway.event("spawn");
    await sleep(100);
    client.socket.end();
    assert.equal(await client.untilClosed(), "");
    await gateway.line((l) => l.type === "console" && l.text === "aborted", { what: "aborted" });
  }));
