// SPDX-License-Identifier: Apache-2.0
// Instances: how many, which one, and what becomes of requests when one misbehaves or ends.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse, sleep, statuses, withGateway } from "./lib.mjs";

const pid = (answer) => Number(/(?:pid|blocked) (\d+)/.exec(answer.body)?.[1]);

test("an instance starts on the first request and serves the next ones", () =>
  withGateway({}, async (gateway) => {
    assert.equal(gateway.count("spawn"), 0);
    const first = pid(await gateway.get("/a"));
    assert.equal(pid(await gateway.get("/b")), first);
    assert.equal(gateway.count("spawn"), 1);
  }));

test("more requests than their concurrency start more instances, up to the limit", () =>
  withGateway({ worker: { scale: { concurrency: 2, max_instances: 3 } } }, async (gateway) => {
    const all = await Promise.all(Array.from({ length: 12 }, () => gateway.get("/sleep?ms=300")));
    assert.ok(all.every((a) => a.status === 200));
    assert.equal(gateway.count("spawn"), 3);
  }));

test("idle instances retire, down to the minimum", () =>
  withGateway({ worker: { scale: { concurrency: 1, min_instances: 1, max_instances: 4, idle_timeout_ms: 300 } } }, async (gateway) => {
    await Promise.all(Array.from({ length: 4 }, () => gateway.get("/sleep?ms=100")));
    await gateway.event("gone");
    await sleep(800);
    assert.equal(gateway.count("gone"), gateway.count("spawn") - 1);
    assert.equal(gateway.count("kill"), 0, "they went by themselves");
    assert.ok(gateway.lines.filter((l) => l.event === "gone").every((l) => l.status === 0));
  }));

test("a minimum of instances starts without requests, and again when one crashes", () =>
  withGateway({ worker: { scale: { min_instances: 2 } } }, async (gateway) => {
    await sleep(200);
    assert.equal(gateway.count("spawn"), 2);
    gateway.command("kill-instances");
    await sleep(300);
    assert.equal(gateway.count("spawn"), 4);
  }));

test("beyond the queue 503 with Retry-After; in the queue until its deadline", () =>
  withGateway({ worker: { scale: { concurrency: 1, max_instances: 1, queue_length: 2, queue_timeout_ms: 400 } } }, async (gateway) => {
    await gateway.get("/json");
    const busy = gateway.get("/sleep?ms=1000");
    await sleep(50);
    const start = Date.now();
    const rest = await Promise.all([1, 2, 3, 4].map(() => gateway.get("/json").then((a) => ({ ...a, ms: Date.now() - start }))));
    assert.deepEqual(rest.map((a) => a.status), [503, 503, 503, 503]);
    assert.ok(rest.every((a) => a.headers["retry-after"] === "1"));
    assert.equal(rest.filter((a) => a.ms < 200).length, 2, "two were shed at once");
    assert.equal(rest.filter((a) => a.ms >= 380).length, 2, "two waited");
    assert.equal((await busy).status, 200);
    assert.equal(await gateway.metric("weir_requests_shed_total"), 4);
  }));

test("a crash fails what ran and spares what had not begun", () =>
  withGateway({ worker: { scale: { max_instances: 1 } } }, async (gateway) => {
    await gateway.get("/json");
    const slept = gateway.get("/sleep?ms=2000");
    await sleep(50);
    const block = gateway.get("/block?ms=30"); // what follows is in the ring while it computes
    await sleep(5);
    const crash = gateway.get("/crash");
    await sleep(5);
    const behind = gateway.get("/a");
    assert.equal((await crash).status, 500);
    assert.match((await crash).body, /1101/);
    assert.equal((await slept).status, 500);
    assert.equal((await block).status, 200);
    assert.equal((await behind).status, 200);
    assert.equal(await gateway.metric("weir_requests_retried_total"), 1);
    assert.equal((await gateway.get("/json")).status, 200);
  }));

test("a request that kills every instance is not tried for ever", () =>
  withGateway({}, async (gateway) => {
    assert.equal((await gateway.get("/crash")).status, 500);
    assert.equal((await gateway.get("/exit")).status, 500);
    assert.ok(gateway.count("spawn") <= 2);
  }));

test("one long computation does not hold up what waits behind it", () =>
  withGateway({ worker: { scale: { max_instances: 2 } } }, async (gateway) => {
    await gateway.get("/json");
    const block = gateway.get("/block?ms=1500");
    await sleep(20);
    const start = Date.now();
    const others = await Promise.all(Array.from({ length: 10 }, () => gateway.get("/a")));
    assert.ok(Date.now() - start < 700, `others waited ${Date.now() - start} ms`);
    assert.ok(others.every((a) => a.status === 200 && pid(a) !== undefined));
    assert.notEqual(pid(others[0]), pid(await block));
    assert.equal((await block).status, 200);
  }));

test("with one instance allowed they wait for it, and are answered", () =>
  withGateway({ worker: { scale: { max_instances: 1 } } }, async (gateway) => {
    await gateway.get("/json");
    const block = gateway.get("/block?ms=400");
    await sleep(20);
    const others = await Promise.all(Array.from({ length: 5 }, () => gateway.get("/a")));
    assert.ok(others.every((a) => a.status === 200));
    assert.equal((await block).status, 200);
  }));

test("an instance that never comes back is killed after its CPU limit", () =>
  withGateway({ worker: { limits: { cpu_ms: 100 }, scale: { max_instances: 1 } } }, async (gateway) => {
    await gateway.get("/json");
    const stuck = gateway.get("/block?ms=60000");
    await sleep(50);
    const behind = gateway.get("/a");
    const kill = await gateway.event("kill");
    assert.equal(kill.reason, 1);
    assert.equal((await stuck).status, 500);
    assert.equal((await behind).status, 200);
  }));

test("errors of the worker: pages for people, JSON and text for programs", () =>
  withGateway({}, async (gateway) => {
    const html = await gateway.get("/error", "Accept: text/html\r\n");
    assert.equal(html.status, 500);
    assert.match(html.headers["content-type"], /text\/html/);
    assert.match(html.body, /1101/);
    assert.ok(!html.body.includes("boom"), "production tells no details");
    const json = JSON.parse((await gateway.get("/error", "Accept: application/json\r\n")).body);
    assert.equal(json.error.code, 1101);
    assert.match(json.error.request_id, /^[0-9a-f]{16}$/);
    assert.equal((await gateway.get("/cpu")).status, 503);
    assert.match((await gateway.get("/cpu")).body, /1102/);
    assert.match((await gateway.get("/never")).body, /1101/);
    const logged = await gateway.line((l) => l.type === "exception", { what: "exception" });
    assert.equal(logged.message, "Error: <boom>");
    assert.match(logged.stack, /src\/index\.ts:3:9/);
  }));

test("in dev the page shows message and stack, escaped", () =>
  withGateway({ mode: "dev" }, async (gateway) => {
    const html = (await gateway.get("/error", "Accept: text/html\r\n")).body;
    assert.match(html, /Error: &lt;boom&gt;/);
    assert.match(html, /src\/index\.ts:3:9/);
    assert.ok(!html.includes("<boom>"));
  }));

test("a worker that does not start says why; one that does not build too", () =>
  withGateway({ mode: "dev", spawn_fails: true }, async (gateway) => {
    const failed = await gateway.get("/a");
    assert.equal(failed.status, 500);
    assert.match(failed.body, /SyntaxError: no such thing/);
    await gateway.reload({ mode: "dev", worker: { version: "2", bundle: null, failed: "src/index.ts:1:1: unexpected end" } });
    assert.match((await gateway.get("/a")).body, /unexpected end/);
    await gateway.reload({ mode: "dev", worker: { version: "3" } });
    assert.equal((await gateway.get("/a")).status, 200);
  }));

test("pass-through on exception with nobody to pass to shows the error", () =>
  withGateway({}, async (gateway) => {
    assert.equal((await gateway.get("/error?pass=1")).status, 500);
  }));

for (const kind of ["length", "status", "short", "type", "twice", "credit", "bodyfirst", "ring", "tail", "asset", "assetlen"])
  test(`an instance that breaks the protocol is ended: ${kind}`, () =>
    withGateway({ worker: { scale: { max_instances: 1 } } }, async (gateway) => {
      const text = await gateway.raw(`GET /bad?kind=${kind} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`, { end: false });
      if (kind !== "twice" && kind !== "tail") assert.deepEqual(statuses(text), [500]);
      if (kind === "tail") await gateway.get("/json"); // shows when the gateway next looks
      const kill = await gateway.event("kill");
      assert.equal(kill.reason, 2);
      assert.equal((await gateway.get("/json")).status, 200);
    }));

test("frames of unknown slots and requests are dropped", () =>
  withGateway({}, async (gateway) => {
    assert.equal((await gateway.get("/bad?kind=slot")).body, "fine");
    assert.equal(gateway.count("kill"), 0);
  }));

test("an instance that ignores its credit is ended before it fills our memory", () =>
  withGateway({}, async (gateway) => {
    const client = gateway.connect();
    client.socket.pause();
    client.send("GET /flood?n=2000 HTTP/1.1\r\nHost: a\r\n\r\n");
    const kill = await gateway.event("kill");
    assert.equal(kill.reason, 2);
    client.destroy();
  }));

test("console lines are limited a request", () =>
  withGateway({ worker: { limits: { log_bytes: 1000 } } }, async (gateway) => {
    await gateway.get("/log?n=100&size=84");
    await gateway.get("/json");
    assert.equal(gateway.lines.filter((l) => l.type === "console").length, 10);
    assert.equal(await gateway.metric("weir_log_dropped_bytes_total"), 9000);
    const line = gateway.lines.find((l) => l.type === "console");
    assert.deepEqual([line.worker, line.level, line.where], ["one", "warn", "src/index.ts:1:1"]);
  }));

test("a reload moves new requests to the new version; those in flight end on the old", () =>
  withGateway({}, async (gateway) => {
    const before = pid(await gateway.get("/a"));
    const slow = gateway.get("/sleep?ms=500");
    await sleep(50);
    await gateway.reload({ worker: { version: "2" } });
    assert.notEqual(pid(await gateway.get("/a")), before);
    assert.equal((await slow).status, 200);
    await gateway.event("gone");
    assert.equal(gateway.count("kill"), 0);
    const same = pid(await gateway.get("/a"));
    await gateway.reload({ worker: { version: "2" }, http: { header_timeout_ms: 9000 } });
    assert.equal(pid(await gateway.get("/a")), same, "the same version keeps its instances");
  }));

test("a reload keeps connections, and what is queued goes to the new version", () =>
  withGateway({ worker: { scale: { concurrency: 1, max_instances: 1 } } }, async (gateway) => {
    const busy = gateway.get("/sleep?ms=800");
    await gateway.event("spawn");
    await sleep(50);
    const queued = gateway.get("/a");
    const kept = gateway.connect();
    await sleep(50);
    const start = Date.now();
    await gateway.reload({ worker: { version: "2", scale: { concurrency: 1, max_instances: 1 } } });
    assert.equal((await queued).status, 200);
    assert.ok(Date.now() - start < 500, "it did not wait for the old one");
    kept.send("GET /json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert.equal(parse(await kept.untilClosed()).status, 200);
    assert.equal((await busy).status, 200);
  }));

test("drain: what is in flight ends, idle connections close, then the process", () =>
  withGateway({}, async (gateway) => {
    const idle = gateway.connect();
    await gateway.get("/json");
    const slow = gateway.connect();
    slow.send("GET /sleep?ms=600 HTTP/1.1\r\nHost: a\r\n\r\n");
    await sleep(50);
    gateway.command("drain");
    await idle.untilClosed();
    assert.ok(!slow.closed);
    const answer = parse(await slow.untilClosed());
    assert.deepEqual([answer.status, answer.headers.connection], [200, "close"]);
    slow.destroy();
    assert.equal((await gateway.event("gateway_exit")).status, 0);
  }));

test("scheduled events, by the supervisor and by hand", () =>
  withGateway({ mode: "dev" }, async (gateway) => {
    gateway.command("event 1 */5 * * * *");
    assert.deepEqual(await gateway.event("event_result"), { event: "event_result", id: 1, result: 0 });
    await gateway.line((l) => l.text === "scheduled */5 * * * * at 1700000000000", { what: "scheduled" });
    const from = gateway.lines.length;
    gateway.command("event 1 fail");
    assert.equal((await gateway.event("event_result", { from })).result, -1);
    const ran = await gateway.get("/__scheduled?cron=1+2+*+*+*&time=1234");
    assert.deepEqual([ran.status, ran.body], [200, "Ran scheduled event"]);
    await gateway.line((l) => l.text === "scheduled 1 2 * * * at 1234", { what: "by hand" });
    assert.equal((await gateway.get("/cdn-cgi/handler/scheduled?cron=fail")).status, 500);
    const hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    const posted = await gateway.raw(`POST /__scheduled HTTP/1.1\r\nHost: a\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}GET /json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`, { end: false });
    assert.deepEqual(statuses(posted), [200, 200]);
  }));

test("in serve the handler by hand is an ordinary path", () =>
  withGateway({}, async (gateway) => {
    assert.match((await gateway.get("/__scheduled")).body, /^path /);
  }));

test("admin: health, readiness, metrics", () =>
  withGateway({}, async (gateway) => {
    await gateway.get("/json");
    const admin = async (path, method = "GET") => parse(await gateway.raw(`${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`, { port: gateway.admin, end: false }));
    assert.equal((await admin("/healthz")).body, "ok\n");
    assert.equal((await admin("/readyz")).status, 200);
    assert.equal((await admin("/nothing")).status, 404);
    assert.equal((await admin("/metrics", "POST")).status, 405);
    const { body } = await admin("/metrics");
    assert.match(body, /weir_requests_total\{worker="one",status="2xx"\} 1\n/);
    assert.match(body, /weir_instance_start_seconds_count\{worker="one"\} 1\n/);
    // every series is there once, and every line is well-formed
    const names = body.split("\n").filter((l) => l && !l.startsWith("#")).map((l) => l.slice(0, l.lastIndexOf(" ")));
    assert.equal(new Set(names).size, names.length);
    for (const name of names) assert.match(name, /^[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})?$/);
  }));

test("routes: hosts, paths, the most specific", () =>
  withGateway(
    {
      workers: [
        { name: "all", version: "1", bundle: "x", default: true, routes: [] },
        { name: "site", version: "1", bundle: "x", routes: ["example.com/*", "https://www.example.com/*"] },
        { name: "api", version: "1", bundle: "x", routes: ["example.com/api/*"] },
        { name: "subs", version: "1", bundle: "x", routes: ["*.example.com/*"] },
      ],
    },
    async (gateway) => {
      const worker = async (host, path) => {
        const from = gateway.lines.length;
        await gateway.raw(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`, { end: false });
        return (await gateway.line((l) => l.type === "request", { from })).worker;
      };
      assert.equal(await worker("example.com", "/"), "site");
      assert.equal(await worker("EXAMPLE.com:8080", "/x"), "site");
      assert.equal(await worker("example.com", "/api/x?y"), "api");
      assert.equal(await worker("example.com", "/apix"), "site");
      assert.equal(await worker("www.example.com", "/"), "site");
      assert.equal(await worker("a.b.example.com", "/"), "subs");
      assert.equal(await worker("badexample.com", "/"), "all");
      assert.equal(await worker("other.org", "/"), "all");
      assert.equal(await gateway.metric('weir_requests_total{worker="api",status="2xx"}'), 1);
    },
  ));
