// SPDX-License-Identifier: Apache-2.0
// weir serve: many workers, reload without a dropped connection, drain, metrics.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import http from "node:http";
import net from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { Weir, descendants, freePort, patience, project, weirPath, wrangler } from "./lib.mjs";

const files = (port, admin, extra = "") => ({
  "weir.toml": `gateways = 2\naccess_log = "json"\n[[listener]]\nport = ${port}\n[admin]\nport = ${admin}\n
[[worker]]\nproject = "a"\nroutes = ["a.test/*"]\n
[[worker]]\nproject = "b"\nroutes = ["a.test/b/*", "*.b.test/*"]\n
[[worker]]\nproject = "c"\ndefault = true\n${extra}`,
  ...Object.fromEntries(
    ["a", "b", "c"].flatMap((name) => [
      [`${name}/wrangler.toml`, wrangler().replace('name = "t"', `name = "${name}"`)],
      [`${name}/src/index.js`, `export default { fetch(request) { return new Response("${name}1 " + new URL(request.url).pathname); } }`],
    ]),
  ),
});

function get(port, host, path, agent) {
  return new Promise((done, fail) => {
    const request = http.get({ port, host: "127.0.0.1", path, headers: { host }, agent }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk) => (body += chunk)).on("end", () => done({ status: response.statusCode, body }));
    });
    request.on("error", fail);
  });
}

async function serving(run) {
  const port = await freePort(), admin = await freePort();
  const made = project(files(port, admin));
  const weir = await Weir.start(["serve", "--config", join(made.dir, "weir.toml")]);
  try {
    await weir.waitFor("serving: 3 workers");
    await run({ port, admin, made, weir });
  } finally {
    await weir.stop("SIGTERM");
    made.remove();
  }
}

test("routes by host and path, a default, metrics and health", () =>
  serving(async ({ port, admin, weir }) => {
    assert.equal((await get(port, "a.test", "/x")).body, "a1 /x");
    assert.equal((await get(port, "a.test:8080", "/b/x")).body, "b1 /b/x");
    assert.equal((await get(port, "www.b.test", "/")).body, "b1 /");
    assert.equal((await get(port, "elsewhere.test", "/")).body, "c1 /");
    assert.equal((await get(admin, "127.0.0.1", "/healthz")).body, "ok\n");
    assert.equal((await get(admin, "127.0.0.1", "/readyz")).status, 200);
    const metrics = (await get(admin, "127.0.0.1", "/metrics")).body;
    assert.match(metrics, /weir_requests_total\{worker="a",status="2xx"\} 1/);
    assert.match(metrics, /weir_request_seconds_bucket\{worker="b",le="\+Inf"\} 2/);
    await weir.waitFor(/"type":"request".*"worker":"c".*"path":"\/"/);
  }));

test("metrics are of all gateways, also after one was started again", () =>
  serving(async ({ port, admin, weir }) => {
    const counted = async (name) => Number(new RegExp(`^weir_${name} (\\d+)`, "m").exec((await get(admin, "127.0.0.1", "/metrics")).body)[1]);
    const gateways = () => descendants(weir.process.pid).filter(({ name }) => name === "weir-gateway");
    for (let i = 0; i < 40; i++) await get(port, "elsewhere.test", "/", false); // a connection each: the kernel spreads them
    assert.equal(await counted('requests_total{worker="c",status="2xx"}'), 40);
    assert.ok((await counted("connections_accepted_total")) >= 41);
    const [, second] = gateways();
    process.kill(second.pid, "SIGKILL");
    await weir.waitFor(/gateway .*signal 9/);
    while (gateways().length < 2 || gateways().some(({ pid }) => pid === second.pid)) await new Promise((done) => setTimeout(done, 10));
    assert.equal(await counted('requests_total{worker="c",status="2xx"}'), 40);
    let answered = 0;
    for (let i = 0; i < 40; i++) answered += await get(port, "elsewhere.test", "/", false).then(() => 1, () => 0);
    assert.equal(await counted('requests_total{worker="c",status="2xx"}'), 40 + answered);
    assert.equal(await counted('requests_in_flight{worker="c"}'), 0);
  }));

test("a reload under load drops nothing and switches over", () =>
  serving(async ({ port, made, weir }) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
    let stop = false, count = 0;
    const seen = new Set();
    const client = async () => {
      while (!stop) {
        const { status, body } = await get(port, "a.test", "/", agent);
        assert.equal(status, 200);
        seen.add(body);
        count++;
      }
    };
    const clients = Array.from({ length: 8 }, client);
    for (let round = 2; round <= 6; round++) {
      made.write("a/src/index.js", `export default { fetch() { return new Response("a${round}"); } }`);
      const from = weir.output.length;
      execFileSync(weirPath, ["reload", "--config", join(made.dir, "weir.toml")]);
      await weir.waitFor("reloaded: 3 workers", from);
      while (!seen.has(`a${round}`)) await Promise.race([new Promise((done) => setTimeout(done, 10)), ...clients]);
    }
    while (count <= 50) await Promise.race([new Promise((done) => setTimeout(done, 10)), ...clients]);
    stop = true;
    await Promise.all(clients);
    agent.destroy();
    assert.equal((await get(port, "a.test", "/")).body, "a6");
  }));

test("a mistake in the configuration leaves the old one in force", () =>
  serving(async ({ port, made, weir }) => {
    made.write("weir.toml", "[[listener]]\nport = 99999\n");
    weir.process.kill("SIGHUP");
    await weir.waitFor("stays in force");
    assert.match(weir.output, /weir\.toml:2: \[\[listener\]\] port = 99999: must be between 1 and 65535/);
    assert.equal((await get(port, "a.test", "/x")).body, "a1 /x");
  }));

test("the access log tells the CPU time of short, long and failing requests", async () => {
  const port = await freePort();
  const made = project({
    "weir.toml": `[[listener]]\nport = ${port}\n[[worker]]\nproject = "."\ndefault = true\nlimits = { cpu_ms = 300 }\n`,
    "wrangler.toml": wrangler(),
    "src/index.js": `export default { async fetch(request) {
      const { pathname } = new URL(request.url);
      const until = performance.now() + (pathname === "/busy" || pathname === "/throws" ? 60 : 0);
      while (performance.now() < until);
      if (pathname === "/endless") for (;;);
      if (pathname === "/throws") throw new Error("thrown");
      if (pathname === "/streams") return new Response(new Blob(["a".repeat(100000)]).stream());
      return new Response("done");
    } }`,
  });
  const weir = await Weir.start(["serve", "--config", join(made.dir, "weir.toml")]);
  const cpuOf = async (path) => {
    await get(port, "x.test", path);
    await weir.waitFor(`"path":"${path}"`);
    return JSON.parse(weir.output.split("\n").find((line) => line.includes(`"path":"${path}"`))).cpu_us;
  };
  try {
    await weir.waitFor("serving: 1 worker");
    await cpuOf("/first");
    const quick = await cpuOf("/quick");
    assert.ok(quick > 0 && quick < 50_000 * patience, `quick: ${quick}`);
    assert.ok((await cpuOf("/streams")) > 0);
    for (const path of ["/busy", "/throws"]) {
      const us = await cpuOf(path);
      assert.ok(us > 5_000 && us < 120_000 * patience, `${path}: ${us}`);
    }
    const endless = await cpuOf("/endless");
    assert.ok(endless >= 300_000 && endless < 900_000 * patience, `endless: ${endless}`);
  } finally {
    await weir.stop();
    made.remove();
  }
});

test("SIGTERM finishes what is under way and leaves no process behind", async () => {
  const port = await freePort();
  const made = project({
    "weir.toml": `[[listener]]\nport = ${port}\n[[worker]]\nproject = "."\ndefault = true\n`,
    "wrangler.toml": wrangler(),
    "src/index.js": `export default { async fetch() { await scheduler.wait(600); return new Response("late"); } }`,
  });
  const weir = await Weir.start(["serve", "--config", join(made.dir, "weir.toml")]);
  try {
    await weir.waitFor("serving: 1 worker");
    const late = get(port, "x.test", "/");
    await new Promise((done) => setTimeout(done, 200));
    weir.process.kill("SIGTERM");
    assert.equal((await late).body, "late");
    assert.deepEqual(await weir.exited, { code: 0, signal: null });
    const left = spawnSync("pgrep", ["-f", made.dir]).stdout.toString().trim();
    assert.equal(left, "");
  } finally {
    await weir.stop();
    made.remove();
  }
});

test("after SIGTERM connections are refused, health is told to the end, and what takes too long is answered", async () => {
  const port = await freePort(), admin = await freePort();
  const made = project({
    "weir.toml": `gateways = 2\n[[listener]]\nport = ${port}\n[admin]\nport = ${admin}\n[http]\ndrain_timeout = "1500ms"\n[[worker]]\nproject = "."\ndefault = true\n`,
    "wrangler.toml": wrangler(),
    "src/index.js": `export default { async fetch(request) { await scheduler.wait(Number(new URL(request.url).searchParams.get("ms"))); return new Response("late"); } }`,
  });
  const weir = await Weir.start(["serve", "--config", join(made.dir, "weir.toml")]);
  try {
    await weir.waitFor("serving: 1 worker");
    await Promise.all(Array.from({ length: 8 }, () => get(port, "x.test", "/?ms=0", false))); // a first start may take longer than the drain
    const all = Promise.all(Array.from({ length: 8 }, (_, i) => get(port, "x.test", `/?ms=${i % 2 ? 700 : 60000}`, false))); // on both gateways
    all.catch(() => {}); // where something else fails first, that is what is told
    await new Promise((done) => setTimeout(done, 400));
    const start = Date.now();
    weir.process.kill("SIGTERM");
    const probe = net.connect({ port: admin, host: "127.0.0.1", allowHalfOpen: true }), told = probe.setEncoding("utf8").toArray();
    told.catch(() => {});
    await weir.waitFor("draining: 8 requests in flight, at most 1.5 s more");
    for (let outcome; outcome !== "ECONNREFUSED"; ) {
      outcome = await get(port, "x.test", "/?ms=0", false).then(({ status }) => status, ({ code }) => code);
      // The second gateway may be a moment later, and the kernel may let somebody in between the last accept() and the close().
      assert.ok([200, "ECONNREFUSED", "ECONNRESET"].includes(outcome), `${outcome}`);
      assert.ok(Date.now() - start < 700 * patience);
    }
    while (Date.now() - start < 1000) {
      const ready = await get(admin, "127.0.0.1", "/readyz", false);
      assert.deepEqual([ready.status, ready.body], [503, "draining\n"]);
      assert.equal((await get(admin, "127.0.0.1", "/healthz", false)).status, 200);
      await new Promise((done) => setTimeout(done, 50));
    }
    probe.write("GET /readyz HTTP/1.1\r\nHost: x.test\r\n\r\n"); // who connected early, and asks late
    assert.match((await told).join(""), /^HTTP\/1\.1 503 /);
    probe.destroy();
    assert.deepEqual((await all).map(({ status }) => status), [503, 200, 503, 200, 503, 200, 503, 200]);
    assert.deepEqual(await weir.exited, { code: 0, signal: null });
    assert.equal(weir.output.match(/draining:/g).length, 1);
    assert.equal(weir.output.match(/"query":"ms=60000".*"status":503/g).length, 4);
    assert.ok(Date.now() - start < 4000 * patience);
  } finally {
    await weir.stop();
    made.remove();
  }
});

test("check-config names file, line, key and remedy, also as JSON", () => {
  const made = project({
    "weir.toml": `acess_log = "json"\n[http]\nheader_timeout = "soon"\n[[worker]]\nproject = "nowhere"\n`,
  });
  try {
    const config = join(made.dir, "weir.toml");
    const text = spawnSync(weirPath, ["check-config", "--config", config]);
    assert.equal(text.status, 1);
    assert.match(text.stderr.toString(), /weir\.toml:1: .*"acess_log"; did you mean "access_log"\?/);
    assert.match(text.stderr.toString(), /weir\.toml:3: \[http\] header_timeout = "soon": expected a duration/);
    assert.match(text.stderr.toString(), /nowhere has no wrangler\.toml/);
    const json = JSON.parse(spawnSync(weirPath, ["check-config", "--json", "--config", config]).stdout);
    assert.equal(json.ok, false);
    assert.equal(json.errors, 3);
  } finally {
    made.remove();
  }
});
