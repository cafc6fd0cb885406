// SPDX-License-Identifier: Apache-2.0
// The end of a gateway: who is still served, who is refused, and what is told about it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse, sleep, statuses, withGateway } from "./lib.mjs";

const get = (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const admin = async (gateway, path) => parse(await gateway.raw(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`, { port: gateway.admin, end: false }));

async function refused(gateway, port = gateway.port) {
  const client = gateway.connect(port);
  await client.untilClosed(2000);
  return client.error?.code;
}

test("while draining, new connections are refused and the admin listener answers", () =>
  withGateway({}, async (gateway) => {
    await gateway.get("/json");
    const slow = gateway.connect().send(get("/sleep?ms=900"));
    const kept = gateway.connect(gateway.admin).send(get("/healthz"));
    await kept.until("ok\n");
    await sleep(50);
    gateway.command("drain 5000");
    while (gateway.errors.indexOf("draining") < 0) await sleep(10);
    assert.equal(await refused(gateway), "ECONNREFUSED");
    const ready = await admin(gateway, "/readyz");
    assert.deepEqual([ready.status, ready.body], [503, "draining\n"]);
    assert.deepEqual([(await admin(gateway, "/healthz")).status, (await admin(gateway, "/metrics")).status], [200, 200]);
    gateway.connect(gateway.admin); // holds nothing up
    const answer = parse(await slow.untilClosed());
    assert.deepEqual([answer.status, answer.body], [200, "slept"]);
    slow.destroy(); // it has read all: nothing to linger for
    assert.equal((await gateway.event("gateway_exit", { ms: 1500 })).status, 0);
    assert.deepEqual(gateway.errors.match(/.*draining.*/g), ["weir[gateway 0] info: draining: 1 requests in flight, at most 5.0 s more"]);
  }));

test("whom the kernel let in before the drain is served", () =>
  withGateway({}, async (gateway) => {
    await gateway.get("/json");
    const [pid] = readFileSync(`/proc/${gateway.child.pid}/task/${gateway.child.pid}/children`, "utf8").split(" ").map(Number);
    process.kill(pid, "SIGSTOP");
    const clients = Array.from({ length: 100 }, (_, i) => gateway.connect().send(get(`/p${i}`)));
    await Promise.all(clients.map((c) => c.socket.connecting && new Promise((done) => c.socket.once("connect", done))));
    gateway.command("drain");
    await sleep(100);
    process.kill(pid, "SIGCONT");
    for (const client of clients) assert.deepEqual(statuses(await client.untilClosed()), [200]);
    assert.equal((await gateway.event("gateway_exit")).status, 0);
  }));

test("who has the admin listener stays until it is the last", () =>
  withGateway({}, async (gateway) => {
    gateway.command("drain 5000 0");
    await sleep(300);
    assert.equal(await refused(gateway), "ECONNREFUSED");
    assert.equal((await admin(gateway, "/readyz")).status, 503);
    gateway.command("drain 5000 1");
    assert.equal((await gateway.event("gateway_exit")).status, 0);
  }));

test("what the drain's time does not suffice for is answered, and logged", () =>
  withGateway({ worker: { scale: { max_instances: 1, concurrency: 2 } } }, async (gateway) => {
    const silent = gateway.connect().send(get("/silent"));
    const stream = gateway.connect().send(get("/stream?n=1000&ms=50"));
    await stream.until("sssss");
    const queued = gateway.connect().send(get("/queued"));
    await sleep(50);
    const start = Date.now();
    gateway.command("drain 400");
    for (const client of [silent, queued]) {
      const answer = parse(await client.untilClosed());
      assert.deepEqual([answer.status, answer.headers.connection, answer.headers["retry-after"]], [503, "close", "1"]);
    }
    const broken = await stream.untilClosed();
    assert.ok(!broken.endsWith("0\r\n\r\n"), "its end is missing");
    assert.equal((await gateway.event("gateway_exit")).status, 0);
    assert.ok(Date.now() - start < 1500);
    const seen = gateway.lines.filter((l) => l.type === "request").map((l) => [l.path, l.status]);
    assert.deepEqual(seen.sort(), [["/queued", 503], ["/silent", 503], ["/stream", 200]]);
    assert.match(gateway.errors, /the drain's time is over: 3 requests are cut off/);
  }));
