// SPDX-License-Identifier: Apache-2.0
// The Prisma endpoint of weir serve: [prisma] with TLS, several databases, keys while it runs, and what is wrong with it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import https from "node:https";
import net from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Weir, descendants, freePort, patience, project, root, weirPath, wrangler } from "../e2e/lib.mjs";
import { copies, makeCertificate, sleep, startPostgres } from "../pool/lib.mjs";
import { clients, edges, operate, until } from "./lib.mjs";

let postgres, served, weir, ports, pair;
const large = "A large file, sent over TLS.\n".repeat(200000);
const config = () => join(served.dir, "weir.toml");
const cli = (...args) => spawnSync(weirPath, ["prisma", "key", ...args, "--config", config()], { encoding: "utf8" });
const key = (...args) => JSON.parse(cli("create", "--json", ...args).stdout);
const toml = (prisma = `port = ${ports.prisma}\ncertificate_file = "server.crt"\nkey_file = "server.key"\nquery_timeout = "1500ms"\nresponse_max = "2KB"`) =>
  `access_log = "off"\n[[listener]]\nport = ${ports.http}\n[[listener]]\nport = ${ports.https}\ncertificate_file = "${pair.certificate}"\nkey_file = "${pair.key}"\n` +
  `[[worker]]\nproject = "app"\ndefault = true\n[admin]\nport = ${ports.admin}\n[pool]\nlisten = []\npool_size = 4\nquery_wait_timeout = "1s"\n` +
  ["one", "two"].map((name) => `[[pool.databases]]\nname = "${name}"\nurl = "postgres://postgres@127.0.0.1:${postgres.port}/${name}?sslmode=disable"\n`).join("") +
  `[[pool.databases]]\nname = "tenant"\nurl = "postgres://postgres@127.0.0.1:${postgres.port}/one?schema=a%20Tenant&sslmode=disable"\n` +
  `[[pool.databases]]\nname = "wide"\nid = "An id?"\npool_size = 128\nurl = "postgres://postgres@127.0.0.1:${postgres.port}/one?sslmode=disable"\n` +
  `[prisma]\n${prisma}\n`;

before(async () => {
  postgres = await startPostgres();
  for (const name of ["one", "two"]) {
    postgres.sql(`create database ${name}`);
    postgres.sql(`create table t (name text); insert into t values ('${name}')`, name);
  }
  postgres.sql(`create schema "a Tenant"; create table "a Tenant".t (name text primary key); insert into "a Tenant".t values ('tenant')`, "one");
  ports = { http: await freePort(), https: await freePort(), prisma: await freePort(), admin: await freePort() };
  served = project({
    "app/wrangler.toml": wrangler('[assets]\ndirectory = "public"\n'),
    "app/src/index.js": `export default { async fetch(request) {
      if (request.method === "POST") return new Response(request.url + " " + request.headers.get("x-forwarded-proto") + " " + (await request.text()).length);
      return new Response("worker"); } };`,
    "app/public/large.txt": large,
  });
  pair = makeCertificate(served.dir, "server", "localhost");
  spawnSync("cp", [pair.certificate, join(served.dir, "server.crt")]);
  spawnSync("cp", [pair.key, join(served.dir, "server.key")]);
  writeFileSync(config(), toml());
  weir = await Weir.start(["serve", "--config", config()]);
  await weir.waitFor("serving");
});
after(async () => {
  await weir.stop("SIGTERM");
  served.remove();
});

const agent = new https.Agent({ rejectUnauthorized: false, keepAlive: true });
const secure = (port, path, { method = "GET", body, headers = {} } = {}) =>
  new Promise((done, fail) => {
    const request = https.request({ host: "127.0.0.1", port, path, method, headers, agent }, (response) => {
      const protocol = response.socket.getProtocol(); // it goes back to the agent
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      response.on("end", () => done({ status: response.statusCode, headers: response.headers, text, protocol }));
    });
    request.on("error", fail);
    request.end(body);
  });
const raw = (sql) => JSON.stringify({ plan: { type: "query", args: { type: "rawSql", sql, args: [], argTypes: [] } } });
const ask = async (made, sql) => {
  const answer = await secure(ports.prisma, "/query", { method: "POST", body: raw(sql), headers: { authorization: `Bearer ${made.key}` } });
  assert.match(answer.text, /^\{/, `${sql}: ${answer.status}\n${weir.output.slice(-2000)}`);
  return answer;
};

test("a listener with a certificate: workers and files over TLS, bodies of any size", async () => {
  const [hello, file, posted] = await Promise.all([
    secure(ports.https, "/"), secure(ports.https, "/large.txt"), secure(ports.https, "/x", { method: "POST", body: "y".repeat(3000000) }),
  ]);
  assert.equal(hello.text, "worker");
  assert.equal(hello.protocol, "TLSv1.3");
  assert.ok(file.text === large);
  assert.equal(posted.text, `https://127.0.0.1:${ports.https}/x https 3000000`);
  for (let i = 0; i < 20; i++) assert.equal((await secure(ports.https, "/")).status, 200); // on kept connections
  const old = await new Promise((done) => https.get({ host: "127.0.0.1", port: ports.https, rejectUnauthorized: false, maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" }).on("error", (error) => done(error.code)));
  assert.match(String(old), /ERR_SSL|ECONNRESET/);
  assert.equal(await fetch(`http://127.0.0.1:${ports.https}/`).catch(() => "no"), "no");
});

test("each key reaches its own database alone, also when it was made while the server runs; limits are as configured", { timeout: 60000 * patience }, async () => {
  const one = key("--database", "one"), two = key("--database", "two");
  assert.deepEqual(JSON.parse((await ask(one, "select name from t")).text).data.rows, [["one"]]);
  assert.deepEqual(JSON.parse((await ask(two, "select name from t")).text).data.rows, [["two"]]);
  assert.equal(JSON.parse((await ask(one, "select repeat('x', 3000)")).text).code, "P6009");
  assert.equal(JSON.parse((await ask(one, "select pg_sleep(5)::text")).text).code, "P6004");
  assert.equal(cli("revoke", one.id).status, 0);
  assert.equal((await ask(one, "select 1")).status, 401); // at once
  assert.equal((await ask(two, "select 1 as x")).status, 200);
  assert.equal(cli("create", "--database", "three").status, 1);
  for (const verb of ["create", "list"]) assert.match(cli(verb, "--database", "three").stderr, /no database "three" in \[\[pool\.databases\]\]: .*"one".*"two"/);
  assert.equal(cli("create").status, 2);
  const plain = await fetch(`http://127.0.0.1:${ports.prisma}/query`).catch(() => "no");
  assert.equal(plain, "no");
});

test("--database: list shows that one's keys, revoke leaves those of others", () => {
  const one = key("--database", "one"), two = key("--database", "two"), listed = (...args) => JSON.parse(cli("list", "--json", ...args).stdout);
  assert.ok(listed()[one.id] && listed()[two.id]);
  assert.deepEqual([one.id in listed("--database", "one"), two.id in listed("--database", "one")], [true, false]);
  assert.match(cli("list", "--database", "two").stdout, new RegExp(`^${two.id} +two`, "m"));
  assert.ok(!cli("list", "--database", "two").stdout.includes(one.id));
  assert.deepEqual([cli("list", "--database", "three").status, cli("list", "--database", "three", "--json").stdout], [1, ""]);
  const wrong = cli("revoke", one.id, "--database", "two");
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, new RegExp(`key ${one.id} is for the database "one", not for "two"`));
  assert.ok(listed()[one.id]);
  assert.equal(cli("revoke", one.id, "--database", "one").status, 0);
  assert.ok(!listed()[one.id]);
  const byName = key("--database", "wide"), byId = key("--database", "An id?");
  for (const either of ["wide", "An id?"]) assert.ok(byName.id in listed("--database", either) && byId.id in listed("--database", either), either);
  assert.equal(cli("revoke", byId.id, "--database", "one").status, 1);
  assert.deepEqual([cli("revoke", byName.id, "--database", "An id?").status, cli("revoke", byId.id, "--database", "wide").status], [0, 0]);
});

test("what is kept of a query is of one database, and of one schema of it", async () => {
  const schema = Buffer.from('datasource db {\n  provider = "postgresql"\n}\nmodel t {\n  name String @id\n}\n').toString("base64");
  const path = `/6.19.3/${createHash("sha256").update(schema).digest("hex")}`;
  const plan = JSON.stringify({ operation: "findMany", ...JSON.parse(raw("select name from t")) });
  const query = JSON.stringify({ modelName: "t", action: "findMany", query: { arguments: {}, selection: { $scalars: true } } });
  const names = ["one", "two", "tenant"], keys = Object.fromEntries(names.map((name) => [name, key("--database", name)]));
  const get = async (name, path, body) => {
    const headers = { authorization: `Bearer ${keys[name].key}`, "cache-control": "max-age=600" };
    const answer = await secure(ports.prisma, path, { method: "POST", body, headers }), { data } = JSON.parse(answer.text);
    return [answer.headers["accelerate-cache-status"], data.findMany?.[0].name ?? data.rows[0][0]];
  };
  for (const name of names) await secure(ports.prisma, `${path}/schema`, { method: "PUT", body: schema, headers: { authorization: `Bearer ${keys[name].key}` } });
  for (const [where, body] of [["/query", plan], [`${path}/graphql`, query]])
    for (const status of ["miss", "ttl"]) for (const name of names) assert.deepEqual(await get(name, where, body), [status, name]);
});

test("?schema= of a database's URL is where its tables are, in each protocol and in raw queries", async () => {
  const made = key("--database", "tenant"), headers = { authorization: `Bearer ${made.key}` };
  const info = await secure(ports.prisma, "/connection-info", { headers });
  assert.equal(JSON.parse(info.text).connectionInfo.schemaName, "a Tenant");
  assert.deepEqual(JSON.parse((await ask(made, "select name from t")).text).data.rows, [["tenant"]]);
  const schema = Buffer.from('datasource db {\n  provider = "postgresql"\n  url = env("X")\n}\nmodel t {\n  name String @id\n}\n').toString("base64");
  const path = `/6.19.3/${createHash("sha256").update(schema).digest("hex")}`;
  assert.equal((await secure(ports.prisma, `${path}/schema`, { method: "PUT", body: schema, headers })).status, 200);
  const query = { modelName: "t", action: "findMany", query: { arguments: {}, selection: { $scalars: true } } };
  const found = await secure(ports.prisma, `${path}/graphql`, { method: "POST", body: JSON.stringify(query), headers });
  assert.deepEqual(JSON.parse(found.text), { data: { findMany: [{ name: "tenant" }] } });
});

// Of the endpoint at that path, with a key.
const call = (made, path, body) => secure(ports.prisma, path, { method: "POST", body, headers: { authorization: `Bearer ${made.key}` } });
const start = async (made, options) => {
  const answer = await call(made, "/transaction/start", JSON.stringify(options));
  return { status: answer.status, ...JSON.parse(answer.text) };
};

test("a key's own limits, and what it is counted under", { timeout: 60000 * patience }, async () => {
  const slow = key("--database", "one", "--requests", "3"), few = key("--database", "one", "--transactions", "1"), free = key("--database", "one");
  assert.match(cli("list").stdout, new RegExp(`${slow.id} .*  3 requests a second`));
  assert.match(cli("list").stdout, new RegExp(`${few.id} .*  1 transactions at once`));
  for (const wrong of [["--requests", "0"], ["--transactions", "many"]]) assert.equal(cli("create", "--database", "one", ...wrong).status, 2);
  const answers = await Promise.all(Array.from({ length: 10 }, () => ask(slow, "select 1 as x")));
  const refused = answers.filter(({ status }) => status === 429);
  assert.ok(refused.length >= 5 && refused.length <= 7, String(answers.map(({ status }) => status)));
  assert.equal(JSON.parse(refused[0].text).code, "P5011");
  assert.equal((await ask(free, "select 1 as x")).status, 200);
  await until(async () => (await ask(slow, "select 1 as x")).status === 200);
  // It ends what it has begun, however many requests there were; that counts as others do.
  const ends = await Promise.all(Array.from({ length: 20 }, (_, i) => call(slow, i % 2 ? "/transaction/none.1/commit" : "/itx/x/none.1/rollback?x")));
  assert.ok(ends.every(({ text }) => text.includes("P2028")), ends.map(({ text }) => text).join("\n"));
  for (const path of ["/query", "/query/commit", "/transaction/start/commit", "/transaction/none.1/query", "/transaction/none.1/../start/commit", "/transaction/%2e%2e/commit", "/itx/../transaction/start/commit"])
    assert.equal((await call(slow, path)).status, 429, path);
  // One transaction at once: the next waits for its turn, as long as it says.
  const first = await start(few, { timeout: 3000 });
  const late = await start(few, { timeout: 3000, maxWait: 300 });
  assert.deepEqual([late.status, late.code], [409, "P2028"]);
  assert.match(late.error, /1 of this api key/);
  const next = start(few, { timeout: 3000, maxWait: 5000 });
  assert.equal((await start(free, { timeout: 1000 })).status, 200, "another key's place is its own");
  assert.equal((await call(few, `/transaction/${first.id}/commit`)).status, 200);
  const { id } = await next;
  assert.equal((await call(few, `/transaction/${id}/rollback`)).status, 200);
  await start(few, { timeout: 300 });
  assert.equal((await start(few, { timeout: 300, maxWait: 5000 })).status, 200, "one that nobody ends gives its place back");
  const metrics = await (await fetch(`http://127.0.0.1:${ports.admin}/metrics`)).text();
  const counted = (name, made, more = "") => Number(new RegExp(`${name}\\{key="${made.id}",database="one"${more}\\} ([\\d.]+)`).exec(metrics)?.[1]);
  assert.ok(counted("weir_prisma_requests_total", slow, ',status="2xx"') >= 4);
  assert.ok(counted("weir_prisma_throttled_total", slow) >= refused.length);
  assert.equal(counted("weir_prisma_throttled_total", free), 0);
  assert.ok(counted("weir_prisma_microseconds_total", few) > 0);
  assert.ok(!metrics.includes(slow.key));
});

test("half of the connections are the most that a key's transactions take, by default; who gets none in time is told P2024", { timeout: 60000 * patience }, async () => {
  const [greedy, greedy2, other] = [key("--database", "two"), key("--database", "two"), key("--database", "two")];
  const begun = [];
  for (let i = 0; i < 2; i++) begun.push(await start(greedy, { timeout: 15000 }));
  assert.equal((await start(greedy, { timeout: 3000, maxWait: 200 })).code, "P2028");
  assert.equal((await ask(other, "select 1 as x")).status, 200, "there is room for others");
  for (let i = 0; i < 2; i++) begun.push(await start(greedy2, { timeout: 15000 }));
  const late = await ask(other, "select 1 as x");
  assert.equal(JSON.parse(late.text).code, "P2024", late.text);
  assert.deepEqual(JSON.parse(late.text).meta, { connection_limit: 4, timeout: 1 });
  assert.match(JSON.parse(late.text).error, /from the connection pool\. .*timeout: 1, connection limit: 4\)$/);
  // A transaction's beginning is a statement like others.
  const none = await start(other, { timeout: 3000, maxWait: 8000 });
  assert.deepEqual([none.status, none.code, none.meta], [400, "P2024", { connection_limit: 4, timeout: 1 }], JSON.stringify(none));
  for (const { id } of begun) await Promise.all([greedy, greedy2].map((made) => call(made, `/transaction/${id}/rollback`)));
  assert.equal((await ask(other, "select 1 as x")).status, 200);
});

test("a key's share is half of what the endpoint has, however large the pool is", { timeout: 60000 * patience }, async () => {
  const crowd = key("--database", "wide"), other = key("--database", "wide");
  const started = await Promise.all(Array.from({ length: 32 }, () => start(crowd, { timeout: 15000, maxWait: 10000 })));
  assert.deepEqual([...new Set(started.map(({ status }) => status))], [200]);
  const late = await start(crowd, { timeout: 1000, maxWait: 200 });
  assert.match(String(late.error), /32 of this api key/);
  assert.equal((await start(other, { timeout: 1000 })).status, 200);
  await Promise.all(started.map(({ id }) => call(crowd, `/transaction/${id}/rollback`)));
});

test("a database's name and its id are one endpoint", async () => {
  const told = async (made) => {
    const { key } = made, headers = { authorization: `Bearer ${key}`, "cache-control": "max-age=60" };
    const plan = { type: "query", args: { type: "rawSql", sql: "select name from t", args: [], argTypes: [] } };
    const answer = await secure(ports.prisma, "/query", { method: "POST", body: JSON.stringify({ operation: "findMany", plan }), headers });
    return answer.headers["accelerate-cache-status"];
  };
  assert.equal(await told(key("--database", "wide")), "miss");
  assert.equal(await told(key("--database", "An id?")), "ttl");
});

test("the URL in [vars]; its port is the default one", { timeout: 60000 * patience }, async () => {
  const one = key("--database", "one");
  const worker = `export default { async fetch(request, { DATABASE_URL }) {
    const url = new URL(DATABASE_URL.replace("prisma:", "https:"));
    const answer = await fetch(url.origin + "/connection-info", { headers: { authorization: "Bearer " + url.searchParams.get("api_key") } });
    return new Response(answer.status + " " + (await answer.text()));
  } };`;
  mkdirSync(join(served.dir, "vars/src"), { recursive: true });
  writeFileSync(join(served.dir, "vars/src/index.js"), worker);
  for (const host of ["db.invalid", "db.invalid:443", "DB.invalid:0443"]) {
    writeFileSync(join(served.dir, "vars/wrangler.toml"), wrangler(`[vars]\nDATABASE_URL = "prisma://${host}/?api_key=${one.key}"\n`).replace('"t"', '"vars"'));
    writeFileSync(config(), `${toml()}[[worker]]\nproject = "vars"\nroutes = ["vars.test/*"]\n`);
    assert.equal(spawnSync(weirPath, ["reload", "--config", config()]).status, 0);
    const answer = await secure(ports.https, "/", { headers: { host: "vars.test" } });
    assert.match(answer.text, /^200 .*"provider":"postgres"/, host);
  }
  writeFileSync(config(), toml());
  assert.equal(spawnSync(weirPath, ["reload", "--config", config()]).status, 0);
});

const tight = (more) => toml(`port = ${ports.prisma}\ncertificate_file = "server.crt"\nkey_file = "server.key"\ntransaction_timeout = "10s"\n${more}`);
const reload = (text) => {
  writeFileSync(config(), text);
  const { status, stderr } = spawnSync(weirPath, ["reload", "--config", config()], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
};

test("limits that weir.toml has for every key, with their codes; at one key's limit others go on", { timeout: 90000 * patience }, async () => {
  const [one, own, other] = [key("--database", "tenant"), key("--database", "tenant", "--requests", "10000", "--transactions", "3"), key("--database", "tenant")];
  const crowd = async (made) => Promise.all((await Promise.all(Array.from({ length: 30 }, () => ask(made, "select 1 as x")))).map(({ status, text }) => `${status} ${JSON.parse(text).code}`));
  reload(tight("key_requests_max = 3"));
  const told = await crowd(one), refused = told.filter((each) => each === "429 P5011").length;
  assert.deepEqual([...new Set(told)].sort(), ["200 undefined", "429 P5011"]);
  assert.ok(refused > 0 && refused <= 27, String(refused));
  assert.deepEqual(new Set(await crowd(own)), new Set(["200 undefined"]), "its own limit comes first");
  assert.equal((await ask(other, "select 1 as x")).status, 200);

  reload(tight("transactions_max = 3\nkey_transactions_max = 2"));
  const open = (made, maxWait = 200, timeout = 10000) => start(made, { timeout, maxWait });
  assert.deepEqual([(await open(one, 200, 10001)).code, (await open(own, 200, 10001)).code], ["P6005", "P6005"]);
  const begun = [await open(one), await open(one)], more = await open(one);
  assert.deepEqual([more.status, more.code, /2 of this api key, or 3 of all, are open/.test(more.error)], [409, "P2028", true], more.error);
  const third = await open(other), full = await open(own);
  assert.equal(third.status, 200);
  assert.deepEqual([full.status, full.code], [409, "P2028"], full.error);
  assert.equal((await ask(own, "select 1 as x")).status, 200, "queries have no such limit");
  const waits = open(own, 10000);
  assert.equal((await call(one, `/transaction/${begun[0].id}/commit`)).status, 200);
  for (const [made, { id }] of [[own, await waits], [one, begun[1]], [other, third]]) assert.equal((await call(made, `/transaction/${id}/rollback`)).status, 200);
  const all = [await open(own), await open(own), await open(own)];
  assert.deepEqual(all.map(({ status }) => status), [200, 200, 200]);
  for (const { id } of all) await call(own, `/transaction/${id}/rollback`);

  reload(tight('cache_max = "1MB"\nquery_timeout = "1s"\nresponse_max = "1MB"'));
  const cached = async (n, length) => {
    const body = JSON.stringify({ ...JSON.parse(raw(`select ${n} as n, repeat('x', ${length}) as x`)), operation: "findMany" });
    const { headers } = await secure(ports.prisma, "/query", { method: "POST", body, headers: { authorization: `Bearer ${one.key}`, "cache-control": "max-age=600" } });
    return headers["accelerate-cache-status"];
  };
  for (let n = 0; n < 8; n++) assert.equal(await cached(n, 100000), "miss"); // 200 KB each
  assert.deepEqual([await cached(7, 100000), await cached(4, 100000), await cached(0, 100000)], ["ttl", "ttl", "miss"]);
  assert.deepEqual([await cached(9, 140000), await cached(9, 140000)], ["miss", "miss"], "more than a quarter");
  const slow = ask(one, "select pg_sleep(100)::text"), large = ask(one, "select repeat('x', 1100000)");
  assert.equal((await ask(other, "select repeat('x', 1000000)")).status, 200);
  assert.deepEqual([await slow, await large].map(({ status, text }) => [status, JSON.parse(text).code]), [[422, "P6004"], [413, "P6009"]]);
  reload(toml());
});

// docs/prisma.md, "In production" and "Clients outside of weir": the URL is in the project's .dev.vars on the server.
test("in production: the edge client in workers over TLS, and programs that trust the certificate by one variable", { timeout: 240000 * patience }, async () => {
  const of = join(root, "tests/prisma"), schema = readFileSync(join(of, "schema.sql"), "utf8"), seed = readFileSync(join(of, "seed.sql"), "utf8");
  const url = `postgres://postgres@127.0.0.1:${postgres.port}/shop`;
  postgres.sql("create database shop");
  postgres.sql(schema, "shop");
  const shop = `${tight("")}[[pool.databases]]\nname = "shop"\nurl = "${url}?sslmode=disable"\n`;
  writeFileSync(config(), shop);
  const made = key("--database", "shop");
  let workers = "";
  for (const [version, { client, option }] of Object.entries(edges)) {
    const dir = join(served.dir, version);
    mkdirSync(join(dir, "src"), { recursive: true });
    symlinkSync(join(of, version, "node_modules"), join(dir, "node_modules"));
    clients(version);
    writeFileSync(join(dir, "wrangler.toml"), wrangler().replace('"t"', `"${version}"`));
    writeFileSync(join(dir, "src/index.js"), `import { PrismaClient } from "${join(of, version, client)}";
      import { withAccelerate } from "@prisma/extension-accelerate";
      ${operate}
      export default { fetch: async (request, env) => Response.json(await operate(new PrismaClient({ ${option}: env.DATABASE_URL }).$extends(withAccelerate()))) };`);
    writeFileSync(join(dir, ".dev.vars"), `DATABASE_URL="prisma://accelerate.prisma-data.net/?api_key=${made.key}"\n`, { mode: 0o600 });
    workers += `[[worker]]\nproject = "${version}"\nroutes = ["${version}.test/*"]\n`;
  }
  reload(`${shop}${workers}`);
  const script = `${operate}
    operate(require("./clients.cjs").node(process.argv[1])).then((told) => (console.log(JSON.stringify(told)), process.exit()));`;
  for (const version of Object.keys(edges)) {
    postgres.sql(seed, "shop");
    const direct = clients(version).direct(url), expected = JSON.parse(JSON.stringify(await operate(direct)));
    await direct.$disconnect();
    postgres.sql(seed, "shop");
    const answer = await secure(ports.https, "/", { headers: { host: `${version}.test` } });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(JSON.parse(answer.text), expected, version);
    const program = (variables) => {
      postgres.sql(seed, "shop");
      const { stdout, stderr } = spawnSync("node", ["-e", script, `prisma://localhost:${ports.prisma}/?api_key=${made.key}`], { cwd: join(of, version), env: { ...process.env, ...variables }, encoding: "utf8" });
      return [stdout, stderr];
    };
    const [out, errors] = program({ NODE_EXTRA_CA_CERTS: pair.certificate });
    assert.notEqual(out, "", errors);
    assert.deepEqual(JSON.parse(out), expected, version);
    const [none, why] = program({});
    assert.deepEqual([none, /fetch failed|self.signed|Cannot fetch/i.test(why)], ["", true], why);
  }
  reload(toml());
});

test("an instance with an open transaction does not end, whatever idle_timeout says", { timeout: 60000 * patience }, async () => {
  const made = key("--database", "tenant");
  reload(tight('idle_timeout = "1s"'));
  const { id } = await start(made, { timeout: 10000 });
  assert.equal((await call(made, `/transaction/${id}/query`, raw("insert into t values ('idle') returning name"))).status, 200);
  await sleep(2500);
  assert.equal((await call(made, `/transaction/${id}/commit`)).status, 200);
  assert.match((await ask(made, "select name from t where name = 'idle'")).text, /idle/);
  reload(toml());
});

test("a reload that changes the endpoint leaves a transaction where it is, until its time is over", { timeout: 60000 * patience }, async () => {
  const made = key("--database", "tenant");
  const instances = async () => Number(/weir_instances\{worker="prisma:tenant"\} (\d+)/.exec(await (await fetch(`http://127.0.0.1:${ports.admin}/metrics`)).text())?.[1]);
  const insert = (name) => raw(`insert into t values ('${name}') returning name`), ended = async (id) => JSON.parse((await call(made, `/transaction/${id}/commit`)).text).code;
  reload(tight(""));
  const seven = await start(made, { timeout: 10000 }), six = JSON.parse((await call(made, "/6.19.3/x/transaction/start", '{"timeout":10000}')).text), left = await start(made, { timeout: 10000 });
  assert.equal((await call(made, `/transaction/${seven.id}/query`, insert("before"))).status, 200);
  reload(tight('response_max = "1MB"'));
  assert.equal((await call(made, `/transaction/${seven.id}/query`, insert("behind"))).status, 200);
  assert.equal((await ask(made, "select 1 as x")).status, 200);
  const newer = await start(made, { timeout: 10000 });
  assert.ok((await instances()) >= 2);
  for (const path of [`/transaction/${newer.id}/rollback`, `/transaction/${seven.id}/commit`, `${new URL(six["data-proxy"].endpoint).pathname}/commit`]) assert.equal((await call(made, path)).status, 200, path);
  assert.match((await ask(made, "select count(*)::int from t where name in ('before', 'behind')")).text, /\[\[2\]\]/);
  await until(async () => (await instances()) === 1, 20000 * patience);
  for (const id of [left.id, "x", "x.1", "x.", "x.99999999999999999999"]) assert.equal(await ended(id), "P2028", id);
  reload(toml());
});

test("a reload that gives a database an id leaves its transactions and its cache; keys may have either", { timeout: 60000 * patience }, async () => {
  const made = key("--database", "tenant");
  const kept = async ({ key }) => {
    const headers = { authorization: `Bearer ${key}`, "cache-control": "max-age=600" };
    return (await secure(ports.prisma, "/query", { method: "POST", body: JSON.stringify({ operation: "findMany", ...JSON.parse(raw("select 'kept' as x")) }), headers })).headers["accelerate-cache-status"];
  };
  const { id } = await start(made, { timeout: 10000 });
  assert.equal((await call(made, `/transaction/${id}/query`, raw("insert into t values ('with an id') returning name"))).status, 200);
  assert.deepEqual([await kept(made), await kept(made)], ["miss", "ttl"]);
  reload(toml().replace('name = "tenant"\n', 'name = "tenant"\nid = "of the tenant"\n'));
  const byId = key("--database", "of the tenant");
  assert.deepEqual([await kept(made), await kept(byId)], ["ttl", "ttl"]);
  assert.equal((await call(made, `/transaction/${id}/commit`)).status, 200);
  assert.match((await ask(byId, "select count(*)::int from t where name = 'with an id'")).text, /\[\[1\]\]/);
  reload(toml());
});

test("what is kept is of the database that was asked, also when a reload gives its name to another", { timeout: 60000 * patience }, async () => {
  const made = key("--database", "one"), body = JSON.stringify({ operation: "findMany", ...JSON.parse(raw("select name, 'by name' as x from t")) });
  const kept = async () => {
    const { headers, text } = await secure(ports.prisma, "/query", { method: "POST", body, headers: { authorization: `Bearer ${made.key}`, "cache-control": "max-age=600" } });
    return [headers["accelerate-cache-status"], JSON.parse(text).data.rows[0][0]];
  };
  assert.deepEqual([await kept(), await kept()], [["miss", "one"], ["ttl", "one"]]);
  reload(toml().replace(/name = "(one|two)"\n/g, (_, name) => `name = "${name === "one" ? "two" : "one"}"\n`));
  assert.deepEqual(await kept(), ["miss", "two"]);
  reload(toml());
  assert.equal((await kept())[1], "one");
});

test("a busy instance keeps its transactions over a reload; what is begun says who has it, also when it has waited for another", { timeout: 60000 * patience }, async () => {
  const made = key("--database", "tenant"), placeOf = ({ id }) => id.split(".")[1];
  const instances = () => descendants(weir.process.pid).filter(({ name }) => name === "weir-instance");
  const signal = (name, those) => {
    for (const { pid } of those)
      try {
        process.kill(pid, name);
      } catch (error) {
        assert.equal(error.code, "ESRCH"); // the one before it ends by itself
      }
  };
  reload(tight(""));
  const { id } = await start(made, { timeout: 10000 }), older = instances();
  const ask = (name) => call(made, `/transaction/${id}/query`, raw(`insert into t values ('${name}') returning name`));
  signal("SIGSTOP", older);
  const first = ask("sent while it is busy");
  await sleep(200);
  reload(tight('response_max = "1MB"'));
  const second = ask("sent later");
  await sleep(200);
  signal("SIGCONT", older);
  for (const answer of [await first, await second, await call(made, `/transaction/${id}/commit`)]) assert.equal(answer.status, 200, answer.text);
  // Its instance ends before it has begun it.
  const left = await start(made, { timeout: 10000 }), dying = instances();
  signal("SIGSTOP", dying);
  const waits = start(made, { timeout: 10000 });
  await sleep(200);
  reload(tight('response_max = "2MB"'));
  signal("SIGKILL", dying);
  const moved = await waits, newer = await start(made, { timeout: 10000 });
  assert.equal(placeOf(moved), placeOf(newer), JSON.stringify(moved));
  assert.notEqual(placeOf(moved), placeOf(left));
  for (const { id } of [moved, newer]) assert.equal((await call(made, `/transaction/${id}/rollback`)).status, 200);
  reload(toml());
});

test("weir is ended, or killed, amid a transaction: its client is told, and no lock is left", { timeout: 90000 * patience }, async () => {
  const made = key("--database", "tenant"), insert = raw("insert into t values ('left open') returning name");
  for (const signal of ["SIGTERM", "SIGKILL"]) {
    const { id } = await start(made, { timeout: 10000 });
    assert.equal((await call(made, `/transaction/${id}/query`, insert)).status, 200);
    await weir.stop(signal);
    agent.destroy();
    weir = await Weir.start(["serve", "--config", config()]);
    await weir.waitFor("serving");
    for (const path of ["query", "commit"]) assert.equal(JSON.parse((await call(made, `/transaction/${id}/${path}`, insert)).text).code, "P2028", signal);
    assert.match((await ask(made, "insert into t values ('left open') returning name")).text, /\[\["left open"\]\]/);
    assert.equal(postgres.sql("select count(*) from pg_stat_activity where state like 'idle in transaction%'"), "0");
    assert.equal((await ask(made, "delete from t where name = 'left open'")).status, 200);
  }
});

test("the database goes away and comes back: an error with a code at once, and then rows again", { timeout: 90000 * patience }, async () => {
  const made = key("--database", "one");
  assert.equal((await ask(made, "select name from t")).status, 200);
  postgres.stop("immediate");
  for (let i = 0; i < 3; i++) {
    const started = Date.now(), answer = await ask(made, "select name from t");
    assert.ok(answer.status >= 400 && Date.now() - started < 5000, answer.text);
    assert.match(answer.text, /"code":"P\d{4}"/);
    assert.ok(!answer.text.includes("postgres://"), answer.text);
  }
  postgres.start();
  await until(async () => (await ask(made, "select name from t")).status === 200, 30000 * patience);
});

// The one who has the database's password is the pool. Another user's memory is for root to read alone.
test("the database's password is in no answer, log, metric, argument, environment, nor in the memory of those who answer", { timeout: 90000 * patience }, async () => {
  const secrets = ["of-the-database-5e1f", "that-is-wrong-77ac"], [right, wrong] = secrets, file = join(served.dir, "secrets.toml");
  postgres.sql(`alter role scram_user password '${right}'; grant select on t to scram_user`, "one");
  const [http, prisma, admin] = [await freePort(), await freePort(), await freePort()];
  const databases = {
    good: [postgres.port, "one", right], refused: [postgres.port, "one", wrong], nowhere: [await freePort(), "one", right], misnamed: [postgres.port, "not there", right],
  };
  const tables = Object.entries(databases).map(([name, [port, database, password]]) =>
    `[[pool.databases]]\nname = "${name}"\nurl = "postgres://scram_user:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}?sslmode=disable"\n`);
  writeFileSync(file, `data_dir = "secrets"\n[[listener]]\nport = ${http}\n[[worker]]\nproject = "app"\ndefault = true\n[admin]\nport = ${admin}\n[pool]\nlisten = []\nquery_wait_timeout = "2s"\n${tables.join("")}[prisma]\nport = ${prisma}\n`, { mode: 0o600 });
  const mint = (database) => JSON.parse(spawnSync(weirPath, ["prisma", "key", "create", "--json", "--config", file, "--database", database], { encoding: "utf8" }).stdout);
  const server = await Weir.start(["serve", "--config", file]), told = [];
  try {
    await server.waitFor("serving");
    const ask = async (made, path, body) => {
      const answer = await fetch(`http://127.0.0.1:${prisma}${path}`, { method: body && "POST", body, headers: { authorization: `Bearer ${made.key}` } });
      told.push(JSON.stringify([...answer.headers]), await answer.text());
      return JSON.parse(told.at(-1));
    };
    const outcome = {};
    for (const database of Object.keys(databases)) {
      const made = mint(database), { data, code } = await ask(made, "/query", raw("select name from t"));
      const begun = await ask(made, "/6.19.3/x/transaction/start", '{"timeout":1000}');
      outcome[database] = `${code ?? data.rows[0][0]} ${begun.error_code}`;
      await ask(made, "/connection-info");
    }
    assert.deepEqual(outcome, { good: "one undefined", refused: "P2010 P1000", nowhere: "P1001 P1001", misnamed: "P2010 P1003" });
    told.push(await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text(), server.output);
    const all = descendants(server.process.pid), names = new Set();
    for (const { pid, name } of [{ pid: server.process.pid, name: "weir" }, ...all]) {
      told.push(readFileSync(`/proc/${pid}/cmdline`, "latin1"), readFileSync(`/proc/${pid}/environ`, "latin1"));
      if (process.getuid() !== 0 || process.env.ASAN_OPTIONS !== undefined) continue;
      const found = copies(pid, [...secrets, ...secrets.map((text) => Buffer.from(text, "utf16le"))]).map((count) => count > 0);
      assert.deepEqual(found, [name === "weir-pool", name === "weir-pool", false, false], name);
      names.add(name);
    }
    if (names.size > 0) assert.ok(names.has("weir-pool") && names.has("weir-instance") && names.has("weir-gateway"), [...names].join());
    for (const text of told) for (const secret of secrets) assert.ok(!text.includes(secret), text);
  } finally {
    await server.stop("SIGTERM");
  }
});

test("a key whose database is not configured any more", async () => {
  const two = key("--database", "two");
  writeFileSync(config(), toml().replace(/\[\[pool\.databases\]\]\nname = "two"\n.*\n/, ""));
  assert.equal(spawnSync(weirPath, ["reload", "--config", config()]).status, 0);
  const answer = await ask(two, "select 1");
  assert.equal(answer.status, 404);
  assert.match(answer.text, /P6001.*not configured/);
  const count = 'require("./clients.cjs").edge(process.argv[1]).user.count().catch(({ name, code }) => console.log(name, code)).then(() => process.exit())';
  for (const version of Object.keys(edges)) {
    clients(version);
    const { stdout, stderr } = spawnSync("node", ["-e", count, `prisma://localhost:${ports.prisma}/?api_key=${two.key}`], { cwd: join(root, "tests/prisma", version), env: { ...process.env, NODE_EXTRA_CA_CERTS: pair.certificate }, encoding: "utf8" });
    assert.equal(stdout, "PrismaClientKnownRequestError P6001\n", version + stderr);
  }
  assert.match(cli("list", "--database", "two").stdout, new RegExp(two.id), "to be revoked it has to be found");
  writeFileSync(config(), toml());
  assert.equal(spawnSync(weirPath, ["reload", "--config", config()]).status, 0);
  await until(async () => (await ask(two, "select 1 as x")).status === 200);
});

test("a key is revoked at once, whatever else is wrong with the configuration", { timeout: 60000 * patience }, async () => {
  const kept = key("--database", "one"), isGood = async (made) => (await ask(made, "select 1 as x")).status === 200;
  const wrong = {
    "a worker's directory": (good) => `${good}[[worker]]\nproject = "nowhere"\nroutes = ["x.test/*"]\n`,
    "a key": (good) => `colour = 1\n${good}`,
    syntax: (good) => `${good}[[[\n`,
    "syntax, behind data_dir": (good) => `# ours\n data_dir = "${join(served.dir, ".weir")}"\n${good}x =\n`,
  };
  for (const [what, break_] of Object.entries(wrong)) {
    const made = key("--database", "one");
    assert.ok(await isGood(made), what);
    writeFileSync(config(), break_(toml()));
    const { status, stderr } = cli("revoke", made.id);
    assert.equal(status, 0, `${what}: ${stderr}`);
    assert.match(stderr, /the key is revoked; else the configuration before stays in force: .*weir\.toml/, what);
    assert.equal((await ask(made, "select 1")).status, 401, what);
    assert.ok(await isGood(kept), what);
    assert.match(cli("list").stdout, new RegExp(kept.id), what);
    assert.equal(spawnSync(weirPath, ["reload", "--config", config()]).status, 1, what);
    writeFileSync(config(), toml());
  }
  // Where its server is nobody can tell: then nothing is done, or what was done is told.
  const other = join(served.dir, "other.toml"), revoke = () => spawnSync(weirPath, ["prisma", "key", "revoke", kept.id, "--config", other], { encoding: "utf8" });
  writeFileSync(other, 'data_dir = "elsewhere"\nx =\n');
  assert.deepEqual([revoke().status, existsSync(join(served.dir, "elsewhere"))], [1, false]);
  assert.match(revoke().stderr, /nothing was done: there are no keys in .*\/elsewhere.*: .*other\.toml:2/);
  cpSync(join(served.dir, ".weir/prisma"), join(served.dir, "elsewhere/prisma"), { recursive: true });
  const done = revoke();
  assert.equal(done.status, 0);
  assert.match(done.stderr, /off the list in .*\/elsewhere, with which no weir serve runs/);
  assert.ok(await isGood(kept));
  // Where the list cannot be read no key is known to be revoked, and the server says so.
  const told = async () => String(await once(net.connect(join(served.dir, ".weir/weir.sock")), "data"))[0];
  writeFileSync(config(), wrong.syntax(toml()));
  assert.equal(await told(), "1");
  chmodSync(join(served.dir, ".weir/prisma/keys.json"), 0o644);
  assert.equal(await told(), "2");
  chmodSync(join(served.dir, ".weir/prisma/keys.json"), 0o600);
  assert.ok(await isGood(kept));
  writeFileSync(config(), toml());
  assert.equal(spawnSync(weirPath, ["reload", "--config", config()]).status, 0);
});

test("weir check-config tells what is wrong with [prisma] and with a certificate, by line", () => {
  const check = (prisma) => {
    writeFileSync(join(served.dir, "bad.toml"), toml(prisma));
    const done = spawnSync(weirPath, ["check-config", "--config", join(served.dir, "bad.toml")], { encoding: "utf8" });
    return done.stdout + done.stderr;
  };
  assert.match(check('certificate_file = "server.crt"'), /bad\.toml:\d+.*\[prisma\] needs key_file, too/);
  assert.match(check('certificate_file = "nowhere.pem"\nkey_file = "server.key"'), /\[prisma\] certificate_file = "nowhere\.pem": cannot read it/);
  assert.match(check('certificate_file = "server.key"\nkey_file = "server.key"'), /no certificate in PEM/);
  assert.match(check('certificate_file = "server.crt"\nkey_file = "server.crt"'), /no private key in PEM/);
  const other = makeCertificate(served.dir, "other", "localhost");
  assert.match(check(`certificate_file = "server.crt"\nkey_file = "${other.key}"`), /key of another certificate/);
  const weak = ["weak.key", "weak.crt"].map((name) => join(served.dir, name));
  assert.equal(spawnSync("openssl", ["req", "-x509", "-newkey", "rsa:1024", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", weak[0], "-out", weak[1]]).status, 0);
  assert.match(check('certificate_file = "weak.crt"\nkey_file = "weak.key"'), /certificate_file = "weak\.crt": .*key too small/);
  assert.match(check('query_timeout = "1h"'), /query_timeout/);
  assert.match(check('query_timeout = "900000000000000d"'), /query_timeout/); // no number holds it
  assert.match(check("port = 99999"), /port/);
  assert.match(check(`port = ${ports.http}`), /another listener/);
  assert.match(check("colour = 1"), /colour/);
});

test("no database has another's id, or another's name as its id: a key for the one would open the other", () => {
  const check = (...databases) => {
    writeFileSync(join(served.dir, "bad.toml"), `[pool]\nlisten = []\n${databases.map((lines) => `[[pool.databases]]\nurl = "postgres://u@h/d"\n${lines}\n`).join("")}[[worker]]\nproject = "app"\n`);
    const { status, stdout, stderr } = spawnSync(weirPath, ["check-config", "--config", join(served.dir, "bad.toml")], { encoding: "utf8" });
    return `${status} ${stdout}${stderr}`;
  };
  assert.match(check('name = "a"\nid = "x"', 'name = "b"\nid = "x"'), /^1 .*bad\.toml:10.*id = "x" is the id of another one, too: give this one/s);
  assert.match(check('name = "a"', 'name = "b"\nid = "a"'), /^1 .*bad\.toml:9.*id = "a" is the name of another one, too: give this one/s);
  assert.match(check('name = "a"\nid = "b"', 'name = "b"'), /^1 .*bad\.toml:9.*name = "b" is the id of another one, too: give that one/s);
  assert.match(check('name = "a"\nid = "a"', 'name = "b"\nid = "c"'), /^0 /);
});
