// SPDX-License-Identifier: Apache-2.0
// Instances come with traffic and go without it; who finds no place is told so.
import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";
import { join } from "node:path";
import { Weir, descendants, freePort, patience, project, wrangler } from "./lib.mjs";

const source = `export default { async fetch(request) {
  const url = new URL(request.url);
  if (url.pathname === "/loop") for (;;);
  if (url.pathname === "/wait") await scheduler.wait(Number(url.searchParams.get("ms")));
  return new Response("fine");
} }`;

// weir serve with one gateway and one worker, whose [scale] table is given; body({get, metric, until, weir}).
async function scaled(scale, body) {
  const port = await freePort(), admin = await freePort();
  const made = project({
    "weir.toml": `gateways = 1\n[[listener]]\nport = ${port}\n[admin]\nport = ${admin}\n[[worker]]\nproject = "."\ndefault = true\n[worker.scale]\n${scale}\n`,
    "wrangler.toml": wrangler(),
    "src/index.js": source,
  });
  const get = (path, at = port) =>
    new Promise((done, fail) => {
      http
        .get({ port: at, host: "127.0.0.1", path, agent: false }, (response) => {
          let text = "";
          response
            .setEncoding("utf8")
            .on("data", (chunk) => (text += chunk))
            .on("end", () => done({ status: response.statusCode, headers: response.headers, text }));
        })
        .on("error", fail);
    });
  const metric = async (name) => {
    const { text } = await get("/metrics", admin);
    const line = text.split("\n").find((line) => line.startsWith(`weir_${name}{worker="t"} `));
    assert.ok(line, `no metric ${name}`);
    return Number(line.split(" ")[1]);
  };
  const until = async (name, wanted, ms = 5000) => {
    let value;
    for (const end = Date.now() + ms * patience; (value = await metric(name)) !== wanted; ) {
      assert.ok(Date.now() < end, `${name} stays ${value} and not ${wanted}`);
      await new Promise((done) => setTimeout(done, 10));
    }
  };
  const weir = await Weir.start(["serve", "--config", join(made.dir, "weir.toml")]);
  try {
    await weir.waitFor("serving: 1 worker");
    await body({ get, metric, until, weir });
  } finally {
    await weir.stop("SIGTERM");
    made.remove();
  }
}

const statuses = async (answers) => (await Promise.all(answers)).map(({ status }) => status);

test("from nothing to one with the first request, and back to nothing without any", () =>
  scaled('idle_timeout = "300ms"', async ({ get, metric, until }) => {
    assert.equal(await metric("instances"), 0);
    assert.equal((await get("/")).text, "fine");
    assert.equal(await metric("instances"), 1);
    await until("instances", 0);
    assert.equal((await get("/")).text, "fine");
    assert.equal(await metric("instances_started_total"), 2);
    assert.equal(await metric("instances_killed_total"), 0);
  }));

test("min_instances are there before the first request and stay", () =>
  scaled('min_instances = 2\nmax_instances = 4\nconcurrency = 1\nidle_timeout = "200ms"', async ({ get, metric, until }) => {
    await until("instances", 2);
    const waiting = Array.from({ length: 4 }, () => get("/wait?ms=300"));
    await until("instances", 4);
    assert.deepEqual(await statuses(waiting), [200, 200, 200, 200]);
    await until("instances", 2);
    const started = await metric("instances_started_total");
    await new Promise((done) => setTimeout(done, 600)); // three times the idle time: none may go
    assert.equal(await metric("instances"), 2);
    assert.equal(await metric("instances_started_total"), started);
  }));

test("requests that work side by side get instances of their own, up to max_instances", () =>
  scaled("max_instances = 3\nconcurrency = 1", async ({ get, metric, until }) => {
    const began = Date.now();
    const waiting = Array.from({ length: 6 }, () => get("/wait?ms=500"));
    await until("requests_in_flight", 3);
    assert.equal(await metric("instances"), 3);
    assert.equal(await metric("requests_queued"), 3);
    assert.deepEqual(await statuses(waiting), Array(6).fill(200));
    assert.ok(Date.now() - began >= 1000, "in two turns");
    assert.equal(await metric("instances_started_total"), 3);
  }));

test("a burst of short requests is answered by few instances, one of long ones by one for each", () =>
  scaled("max_instances = 200\nconcurrency = 1", async ({ get, metric, until }) => {
    assert.deepEqual(await statuses(Array.from({ length: 200 }, () => get("/"))), Array(200).fill(200));
    const started = await metric("instances_started_total");
    assert.ok(started < 100, `${started} instances for 200 requests that take no time`);
    const waiting = Array.from({ length: 60 }, () => get(`/wait?ms=${4000 * patience}`));
    await until("requests_in_flight", 60);
    assert.deepEqual(await statuses(waiting), Array(60).fill(200));
  }));

test("instances whose first request computes for long hold up no others", () =>
  scaled('max_instances = 40\nconcurrency = 1\n[worker.limits]\ncpu_ms = "3s"', async ({ get, metric, until }) => {
    const looping = Array.from({ length: 40 }, () => get("/loop"));
    await until("instances", 40, 15000);
    assert.ok((await metric("requests_in_flight")) > 20, "those that came first run still");
    await Promise.allSettled(looping);
  }));

test("a worker that starts again and again has a spare instance, which the next start finds", () =>
  scaled('idle_timeout = "100ms"', async ({ get, metric, until, weir }) => {
    const running = () => descendants(weir.process.pid).filter(({ name }) => name === "weir-instance").map(({ pid }) => pid);
    const settled = async (count) => {
      await until("instances", 0);
      for (const end = Date.now() + 5000 * patience; running().length !== count; await new Promise((done) => setTimeout(done, 10)))
        assert.ok(Date.now() < end, `${running().length} instances run, and not ${count}`);
      return running()[0];
    };
    await get("/");
    await settled(0); // one start is no habit
    await get("/"); // after the second the template rehearses
    const first = await settled(1);
    await get("/");
    await until("instances", 0);
    const spare = await settled(1);
    const waiting = get(`/wait?ms=${500 * patience}`);
    await until("requests_in_flight", 1);
    assert.ok(running().includes(spare));
    assert.equal(await metric("instances"), 1);
    assert.equal((await waiting).text, "fine");
    const next = await settled(1);
    assert.equal(new Set([first, spare, next]).size, 3, "nobody serves twice");
    process.kill(next, "SIGKILL");
    await settled(0);
    assert.equal((await get("/")).text, "fine");
    const started = await metric("instances_started_total"); // one more where the killed one was given before it was missed
    assert.ok(started === 5 || started === 6, `${started} instances`);
    assert.equal(await metric("exceptions_total"), 0);
  }));

test("one instance takes as many requests as its concurrency says, and no more", () =>
  scaled("max_instances = 1\nconcurrency = 8", async ({ get, metric, until }) => {
    await get("/");
    const waiting = Array.from({ length: 9 }, () => get("/wait?ms=800"));
    await until("requests_in_flight", 8);
    await until("requests_queued", 1);
    assert.equal(await metric("instances"), 1);
    assert.deepEqual(await statuses(waiting), Array(9).fill(200));
  }));

test("a full queue refuses with 503 and Retry-After", () =>
  scaled("max_instances = 1\nconcurrency = 1\nqueue_length = 2", async ({ get, metric, until }) => {
    const served = [get("/wait?ms=800")];
    await until("requests_in_flight", 1);
    served.push(get("/"), get("/"));
    await until("requests_queued", 2);
    const refused = await get("/");
    assert.equal(refused.status, 503);
    assert.ok(Number(refused.headers["retry-after"]) >= 1, refused.headers["retry-after"]);
    assert.match(refused.text, /1105/);
    assert.equal(await metric("requests_shed_total"), 1);
    assert.deepEqual(await statuses(served), [200, 200, 200]);
  }));

test("who waits too long in the queue gets 503 with Retry-After", () =>
  scaled('max_instances = 1\nconcurrency = 1\nqueue_timeout = "200ms"', async ({ get, metric, until }) => {
    while ((await get("/")).status !== 200); // until its template is there, the queue's time may be over
    const shed = await metric("requests_shed_total");
    const first = get("/wait?ms=1500");
    await until("requests_in_flight", 1);
    const began = Date.now();
    const refused = await get("/");
    const took = Date.now() - began;
    assert.ok(took >= 190 && took < 1000, `${took} ms`);
    assert.equal(refused.status, 503);
    assert.ok(Number(refused.headers["retry-after"]) >= 1, refused.headers["retry-after"]);
    assert.equal(await metric("requests_shed_total"), shed + 1);
    assert.equal((await first).status, 200);
  }));

// Twenty workers of some 10 MB each, and as much again for the instance, under a budget of 64 MB: what has not been
// used for the longest time goes and comes back, although no instance's idle time is over; what is used all the time stays.
test("idle instances and templates are dropped beyond memory_max, the least recently used first", async () => {
  const port = await freePort(), names = Array.from({ length: 20 }, (_, i) => `w${i}`);
  const made = project({
    "weir.toml": `gateways = 1\nmemory_max = "64MB"\n[[listener]]\nport = ${port}\n${names
      .map((name) => `[[worker]]\nproject = "${name}"\nroutes = ["${name}.test/*"]\n`)
      .join("")}`,
    ...Object.fromEntries(
      names.flatMap((name) => [
        [`${name}/wrangler.toml`, wrangler().replace('"t"', `"${name}"`)],
        [`${name}/src/index.js`, `const big = new Uint8Array(8e6).fill(1); export default { fetch() { return new Response("${name} " + big[7]); } }`],
      ]),
    ),
  });
  const get = (name) =>
    new Promise((done, fail) => {
      http
        .get({ port, host: "127.0.0.1", path: "/", headers: { host: `${name}.test` }, agent: false }, (response) => {
          let text = "";
          response.setEncoding("utf8").on("data", (chunk) => (text += chunk)).on("end", () => done(text));
        })
        .on("error", fail);
    });
  const weir = await Weir.start(["serve", "--config", join(made.dir, "weir.toml")]);
  const templates = () => descendants(weir.process.pid).filter(({ name }) => name === "weir-template");
  const settled = async () => {
    for (const end = Date.now() + 10000 * patience; templates().length > 6; ) {
      assert.ok(Date.now() < end, `${templates().length} templates live`);
      await new Promise((done) => setTimeout(done, 20));
    }
  };
  try {
    await weir.waitFor("serving: 20 workers");
    await settled(); // they were started to see whether they can be
    assert.equal(await get("w0"), "w0 1");
    const before = new Set(templates().map(({ pid }) => pid));
    for (const name of names) {
      assert.equal(await get(name), `${name} 1`);
      assert.equal(await get("w0"), "w0 1");
    }
    await settled();
    assert.ok(templates().length >= 3, `only ${templates().length} templates live`);
    assert.equal(templates().filter(({ pid }) => before.has(pid)).length, 1, "that of w0 alone has stayed");
  } finally {
    await weir.stop("SIGTERM");
    made.remove();
  }
});
