// SPDX-License-Identifier: Apache-2.0
// Clients that are slow, and limits of time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse, sleep, statuses, withGateway } from "./lib.mjs";

const http = { header_timeout_ms: 500, body_timeout_ms: 600, keepalive_timeout_ms: 700, write_timeout_ms: 800 };

async function closesBetween(client, from, to) {
  const start = Date.now();
  const text = await client.untilClosed();
  const took = Date.now() - start;
  assert.ok(took >= from && took <= to, `closed after ${took} ms, not ${from}–${to}`);
  return text;
}

test("who says nothing is closed in silence", () =>
  withGateway({ http }, async (gateway) => {
    assert.equal(await closesBetween(gateway.connect(), 400, 1300), "");
  }));

test("half a head gets 408, however it trickles", () =>
  withGateway({ http }, async (gateway) => {
    const client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    const drip = setInterval(() => client.send("X: y\r\n"), 100);
    const text = await closesBetween(client, 400, 1300);
    clearInterval(drip);
    assert.deepEqual(statuses(text), [408]);
  }));

test("a kept-alive connection is closed when nothing follows", () =>
  withGateway({ http }, async (gateway) => {
    const client = gateway.connect();
    for (let i = 0; i < 4; i++) {
      client.send("GET /json HTTP/1.1\r\nHost: a\r\n\r\n");
      await sleep(300); // each request starts the time anew
    }
    assert.deepEqual(statuses(await closesBetween(client, 300, 1300)), [200, 200, 200, 200]);
  }));

test("a body that stops coming gets 408; one that keeps coming does not", () =>
  withGateway({ http }, async (gateway) => {
    const stuck = gateway.connect();
    stuck.send("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nab");
    assert.deepEqual(statuses(await closesBetween(stuck, 500, 1500)), [408]);
    const slow = gateway.connect();
    slow.send("POST /count HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10\r\n\r\n");
    for (let i = 0; i < 10; i++) {
      await sleep(150);
      slow.send("x");
    }
    assert.equal(parse(await slow.untilClosed()).body, "10");
  }));

test("a client that reads nothing is cut off", () =>
  withGateway({ http }, async (gateway) => {
    const client = gateway.connect();
    client.send("GET /big?n=100000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until("xxx");
    client.socket.pause();
    await gateway.line((l) => l.type === "request" && l.status >= 200, { what: "its end", ms: 3000 });
    client.destroy();
  }));

test("a worker may take longer than any time-out of clients", () =>
  withGateway({ http }, async (gateway) => {
    assert.equal((await gateway.get("/sleep?ms=1800")).body, "slept");
    // and what comes after is sent in peace
    assert.equal((await gateway.get("/stream?n=4&size=5&ms=900")).body.length, 20);
  }));

test("the wall limit answers 504 and aborts the worker's request", () =>
  withGateway({ worker: { limits: { wall_ms: 300 } } }, async (gateway) => {
    assert.equal((await gateway.get("/silent")).status, 504);
    await gateway.line((l) => l.type === "console" && l.text === "aborted", { what: "aborted" });
    assert.equal((await gateway.get("/json")).status, 200);
  }));

test("too many connections are turned away", () =>
  withGateway({ http: { connections_max: 5 } }, async (gateway) => {
    const idle = Array.from({ length: 5 }, () => gateway.connect());
    await sleep(100);
    assert.equal(await gateway.connect().untilClosed(), "");
    idle[0].destroy();
    await sleep(100);
    assert.equal((await gateway.get("/json")).status, 200);
    for (const client of idle) client.destroy();
  }));
