// SPDX-License-Identifier: Apache-2.0
// Any process may be killed at any time: who was in its hands gets a clear error, everybody else goes on, and soon
// all is as before.
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { Weir, descendants, freePort, patience, project, wrangler } from "./lib.mjs";

const source = `export default { async fetch(request) {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname === "/wait") { await scheduler.wait(60000); return new Response("waited"); }
  if (pathname === "/fetch") return new Response("got " + await (await fetch(searchParams.get("url"))).text());
  return new Response("fine");
} }`;

const entry = (name) => `[[worker]]\nproject = "${name}"\nroutes = ["${name}.test/*"]\negress_allow = ["127.0.0.0/8"]\n`;

let made, weir, port, origin;

before(async () => {
  port = await freePort();
  made = project({
    "weir.toml": `gateways = 1\n[[listener]]\nport = ${port}\n${["a", "b"].map(entry).join("")}`,
    "a/wrangler.toml": wrangler().replace('"t"', '"a"'),
    "b/wrangler.toml": wrangler().replace('"t"', '"b"'),
    "a/src/index.js": source,
    "b/src/index.js": source,
  });
  origin = http.createServer((request, response) => response.end("origin")).listen(0, "127.0.0.1");
  await once(origin, "listening");
  weir = await Weir.start(["serve", "--config", join(made.dir, "weir.toml")]);
  await weir.waitFor("serving: 2 workers");
});

after(async () => {
  origin.close();
  await weir.stop("SIGTERM");
  made.remove();
});

function isAlive({ pid }) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

// → {status, body, error}: never throws.
function get(path, { host = "a.test" } = {}) {
  return new Promise((done) => {
    const request = http.get({ port, host: "127.0.0.1", path, headers: { host }, agent: false, timeout: 30000 * patience }, (response) => {
      let body = "";
      response
        .setEncoding("utf8")
        .on("data", (chunk) => (body += chunk))
        .on("end", () => done({ status: response.statusCode, body }))
        .on("error", (error) => done({ error: error.code }));
    });
    request.on("timeout", () => request.destroy(Object.assign(new Error("too late"), { code: "TIMEOUT" })));
    request.on("error", (error) => done({ error: error.code }));
  });
}

// Requests to both workers, one after the other on connections of their own, from now until stop(). Of each, the one
// that was under way may fail.
function trickle() {
  let on = true;
  const run = async (host) => {
    const failed = [];
    let count = 0;
    for (; on || count < 10; count++) {
      const answer = await get("/", { host });
      if (answer.status !== 200 || answer.body !== "fine") failed.push(answer);
      await new Promise((done) => setTimeout(done, 5));
    }
    assert.ok(failed.length <= 1, JSON.stringify(failed));
  };
  const running = Promise.all(["a.test", "b.test"].map(run));
  return {
    stop: () => {
      on = false;
      return running;
    },
  };
}

const processes = (name) => descendants(weir.process.pid).filter((found) => found.name === name);

async function until(condition, what) {
  for (const end = Date.now() + 10000 * patience; !condition(); ) {
    assert.ok(Date.now() < end, `${what} did not happen; weir said:\n${weir.output}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

// Everything answers, the broker's way included.
async function assertWell() {
  const url = `/fetch?url=http://127.0.0.1:${origin.address().port}/`;
  for (const host of ["a.test", "b.test"]) {
    assert.deepEqual(await get("/", { host }), { status: 200, body: "fine" });
    assert.deepEqual(await get(url, { host }), { status: 200, body: "got origin" });
  }
}

function assertFailed({ status, body }) {
  assert.equal(status, 500);
  assert.match(body, /^error code: 1101\n/);
}

function kill(victims, signal) {
  assert.ok(victims.length > 0, "somebody to kill");
  for (const { pid } of victims) process.kill(pid, signal);
  return until(() => !victims.some(isAlive), "its end");
}

// A request that an instance works on: [the promise of its answer].
async function hanging() {
  const waiting = get("/wait");
  await get("/"); // the only instance has taken both
  return [waiting];
}

for (const signal of ["SIGKILL", "SIGSEGV"]) {
  test(`${signal} to the instances in the middle of a request`, async () => {
    await assertWell();
    const [waiting] = await hanging();
    const traffic = trickle(), from = weir.output.length;
    await kill(processes("weir-instance"), signal);
    assertFailed(await waiting);
    const number = signal === "SIGKILL" ? 9 : 11;
    await weir.waitFor(`was ended by signal ${number}`, from);
    await weir.waitFor(new RegExp(`The worker's process crashed \\(signal ${number}\\).*`), from);
    await assertWell();
    await traffic.stop();
  });

  test(`${signal} to the templates`, async () => {
    await assertWell();
    const [waiting] = await hanging();
    const traffic = trickle();
    await kill(processes("weir-template"), signal);
    assertFailed(await waiting);
    await assertWell();
    await traffic.stop();
  });

  for (const which of [0, -1])
    test(`${signal} to the nursery${which ? ", inside of its namespace" : ""}`, async () => {
      await assertWell();
      const [waiting] = await hanging();
      const traffic = trickle();
      await kill([processes("weir-nursery").at(which)], signal);
      assertFailed(await waiting);
      await assertWell();
      await traffic.stop();
    });

  test(`${signal} to the broker`, async () => {
    await assertWell();
    const silent = net.createServer(() => {}).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const connected = once(silent, "connection");
    const waiting = get(`/fetch?url=http://127.0.0.1:${silent.address().port}/`);
    const [socket] = await connected;
    const traffic = trickle();
    await kill(processes("weir-broker"), signal);
    assertFailed(await waiting);
    await assertWell();
    await traffic.stop();
    socket.destroy();
    silent.close();
  });

  test(`${signal} to the gateways`, async () => {
    await assertWell();
    const [waiting] = await hanging();
    await kill(processes("weir-gateway"), signal);
    assert.equal((await waiting).error, "ECONNRESET");
    const began = Date.now();
    await assertWell();
    assert.ok(Date.now() - began < 3000 * patience, `${Date.now() - began} ms`);
  });
}

test("SIGTERM just after the gateways were killed stops at once and leaves no process", async () => {
  await assertWell();
  const all = descendants(weir.process.pid);
  assert.deepEqual([...new Set(all.map(({ name }) => name))].sort(), ["weir-broker", "weir-gateway", "weir-instance", "weir-nursery", "weir-template"]);
  await kill(processes("weir-gateway"), "SIGKILL");
  weir.process.kill("SIGTERM");
  const began = Date.now();
  assert.deepEqual(await weir.exited, { code: 0, signal: null });
  assert.ok(Date.now() - began < 2000 * patience, `${Date.now() - began} ms`);
  assert.deepEqual(all.filter(isAlive), []);
});

test("SIGKILL to the supervisor ends all, also who is too busy to notice", async () => {
  await weir.stop("SIGTERM");
  const alone = await Weir.start(["serve", "--config", join(made.dir, "weir.toml")]);
  await alone.waitFor("serving: 2 workers");
  const all = descendants(alone.process.pid);
  for (const { pid } of all) process.kill(pid, "SIGSTOP");
  await alone.stop("SIGKILL");
  const isThere = ({ pid }) => existsSync(`/proc/${pid}`) && !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  try {
    await until(() => !all.some(isThere), "its end");
  } finally {
    for (const { pid } of all.filter(isThere)) process.kill(pid, "SIGKILL");
  }
});
