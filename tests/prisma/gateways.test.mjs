// SPDX-License-Identifier: Apache-2.0
// Several gateways, each with a Prisma endpoint's instance and its cache: what is made invalid is so for the clients of all, and a
// key's limit is one.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";

import pg from "pg";

import { Weir, descendants, freePort, patience, project, weirPath, wrangler } from "../e2e/lib.mjs";
import { sleep, startPostgres } from "../pool/lib.mjs";
import { until } from "./lib.mjs";

const LIMIT = 10; // requests a second
let postgres, served, weir, port, limited, few;
before(async () => {
  postgres = await startPostgres();
  postgres.sql("create table t (name text); insert into t values ('one')");
  port = await freePort();
  // A worker that hands on what it is asked, and tells which instance it is.
  served = project({
    "app/wrangler.toml": wrangler(),
    "app/src/index.js": `const me = {}; export default { async fetch(request, env) {
      me.id ??= crypto.randomUUID();
      const url = new URL(request.url);
      const headers = new Headers(request.headers);
      headers.set("authorization", "Bearer " + (request.headers.get("x-key") ?? new URL(env.DATABASE_URL).searchParams.get("api_key")));
      const answer = await fetch("https://accelerate.prisma-data.net" + url.pathname + url.search, { method: request.method, headers, body: await request.text() });
      return Response.json({ me: me.id, status: answer.headers.get("accelerate-cache-status"), body: await answer.text() });
    } };`,
    "weir.toml": `access_log = "off"\ngateways = 2\n[[listener]]\nport = ${port}\n[[worker]]\nproject = "app"\ndefault = true\n[worker.scale]\nmax_instances = 1\n` +
      `[pool]\nlisten = []\n[[pool.databases]]\nname = "app"\nurl = "postgres://postgres@127.0.0.1:${postgres.port}/postgres?sslmode=disable"\n`,
  });
  const mint = (...args) => keys("create", "--json", "--database", "app", ...args).key;
  const key = mint();
  limited = mint("--requests", String(LIMIT));
  few = mint("--transactions", "2");
  writeFileSync(join(served.dir, "app/.dev.vars"), `DATABASE_URL="prisma://accelerate.prisma-data.net/?api_key=${key}"\n`, { mode: 0o600 });
  weir = await Weir.start(["serve", "--config", join(served.dir, "weir.toml")]);
  await weir.waitFor("serving");
});
const keys = (verb, ...args) => {
  const { stdout } = spawnSync(weirPath, ["prisma", "key", verb, "--config", join(served.dir, "weir.toml"), ...args], { encoding: "utf8" });
  return args.includes("--json") ? JSON.parse(stdout) : stdout;
};
after(async () => {
  await weir.stop("SIGTERM");
  served.remove();
});

// By a connection of its own, which stays with its gateway.
function client() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const post = (path, body, headers = {}) =>
    new Promise((done, fail) => {
      const request = http.request({ host: "127.0.0.1", port, path, method: "POST", agent, headers: { "content-type": "application/json", ...headers } }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
        response.on("end", () => (response.statusCode === 200 ? done(JSON.parse(text)) : fail(new Error(`${response.statusCode} ${text}\n${weir.output.slice(-2000)}`))));
      });
      request.on("error", fail);
      request.end(body);
    });
  return {
    post,
    close: () => agent.destroy(),
    async ask(tag) {
      const plan = { type: "query", args: { type: "rawSql", sql: "select name from t", args: [], argTypes: [] } };
      const { me, status, body } = await post("/query", JSON.stringify({ operation: "findMany", plan }), { "cache-control": "max-age=60", "accelerate-cache-tags": tag });
      return { me, told: `${status} ${/"(one|two|three|four)"/.exec(body)?.[1] ?? body}` };
    },
    invalidate: (tags, search = "") => post(`/invalidate${search}`, JSON.stringify({ tags })),
  };
}

// Two clients, of a gateway each.
async function twoClients() {
  const a = client(), { me } = await a.ask("rows");
  let b, other;
  for (let i = 0; i < 200 && (b === undefined || other === me); i++) {
    b?.close();
    b = client();
    other = (await b.ask("rows")).me;
  }
  assert.notEqual(other, me, "no connection reached the second gateway");
  return [a, b];
}

test("what a client makes invalid is not served to those of other gateways", { timeout: 60000 * patience }, async () => {
  const [a, b] = await twoClients();
  const told = async () => [(await a.ask("rows")).told, (await b.ask("rows")).told];
  assert.deepEqual(await told(), ["ttl one", "ttl one"]);
  postgres.sql("update t set name = 'two'");
  assert.deepEqual(await told(), ["ttl one", "ttl one"]);
  await a.invalidate(["rows"]);
  assert.deepEqual(await told(), ["miss two", "miss two"]);
  assert.deepEqual(await told(), ["ttl two", "ttl two"]);
  postgres.sql("update t set name = 'three'");
  await b.invalidate(["others"]); // the other gateway's instance knows no tags, and forgets all
  assert.deepEqual(await told(), ["miss three", "ttl two"]);
  postgres.sql("update t set name = 'four'");
  await b.invalidate("all", "?x");
  assert.deepEqual(await told(), ["miss four", "miss four"]);
  a.close();
  b.close();
});

test("a key's requests are limited over all gateways together", { timeout: 60000 * patience }, async () => {
  const both = await twoClients(), began = Date.now();
  const answers = [];
  for (let i = 0; i < 6 * LIMIT; i++) answers.push(await both[i % 2].post("/connection-info", "", { "x-key": limited }));
  const admitted = answers.filter(({ body }) => !body.includes("P5011")).length, seconds = (Date.now() - began) / 1000;
  assert.ok(admitted >= LIMIT && admitted <= LIMIT * (1 + seconds) + 2, `${admitted} of ${answers.length} in ${seconds} s`);
  for (const one of both) one.close();
});

test("a key's transactions are limited over all gateways together", { timeout: 60000 * patience }, async () => {
  const both = await twoClients(), [a, b] = both;
  const call = async (one, path, body = "") => JSON.parse((await one.post(path, body, { "x-key": few })).body);
  const start = (one, options) => call(one, "/transaction/start", JSON.stringify({ timeout: 10000, maxWait: 200, ...options }));
  const end = (one, { id }) => call(one, `/transaction/${id}/rollback`);
  const none = async () => assert.deepEqual([(await start(a)).code, (await start(b)).code], ["P2028", "P2028"]);

  const first = await start(a), second = await start(b);
  assert.ok(first.id && second.id);
  await none();
  keys("create", "--json", "--database", "app"); // which every gateway takes up
  await none();
  const [waiting] = [start(b, { maxWait: 10000 }), await end(a, first)];
  const third = await waiting;
  assert.ok(third.id, JSON.stringify(third));
  await none();
  await Promise.all([end(b, second), end(b, third)]);
  for (const one of both) {
    const two = [await start(one), await start(one)];
    await none();
    await Promise.all(two.map((made) => end(one, made)));
  }
  // One that nobody ends gives its place back, and so does one whose instance has ended.
  await Promise.all([start(a, { timeout: 500 }), start(b, { timeout: 500 })]);
  const later = await Promise.all([start(a, { maxWait: 5000 }), start(b, { maxWait: 5000 })]);
  assert.ok(later.every(({ id }) => id), JSON.stringify(later));
  await none();
  for (const { pid, name } of descendants(weir.process.pid)) if (name === "weir-instance") process.kill(pid, "SIGKILL");
  await until(async () => (await start(a, { timeout: 100 })).id && (await start(b, { timeout: 100 })).id);

  // A crowd, by connections of their own: there are never more than two, and each has its turn.
  const admin = new pg.Client({ connectionString: `postgres://postgres@127.0.0.1:${postgres.port}/postgres` });
  await admin.connect();
  let over = false, most = 0;
  const watch = (async () => {
    for (; !over; await sleep(5)) most = Math.max(most, (await admin.query("select count(*)::int as n from pg_stat_activity where state like 'idle in transaction%'")).rows[0].n);
  })();
  const turns = await Promise.all(
    Array.from({ length: 30 }, async () => {
      const one = client(), made = await start(one, { maxWait: 10000 });
      await sleep(20);
      const { error = "done" } = made.id === undefined ? made : await end(one, made);
      one.close();
      return error;
    }),
  );
  over = true;
  await watch;
  await admin.end();
  assert.deepEqual(new Set(turns), new Set(["done"]));
  assert.ok(most > 0 && most <= 2, String(most));
  for (const one of both) one.close();
});

// Its queries, and its key, are not for whoever has that host in the internet.
test("a worker whose key was revoked, as was every other, is told so here", { timeout: 60000 * patience }, async () => {
  const one = client();
  assert.ok(!(await one.post("/connection-info", "")).body.includes("P6002"));
  for (const id of Object.keys(keys("list", "--json"))) keys("revoke", id);
  await until(async () => (await one.post("/connection-info", "")).body.includes("P6002"));
  one.close();
});
