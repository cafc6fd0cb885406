// SPDX-License-Identifier: Apache-2.0
// What an instance of the endpoint has learned: those that come after it know it from their beginning.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { Weir, descendants, freePort, patience, project, weirPath, wrangler } from "../e2e/lib.mjs";
import { startPostgres } from "../pool/lib.mjs";
import { until } from "./lib.mjs";

let postgres, served, weir, port, key;
const config = () => join(served.dir, "weir.toml");
const toml = (http, prisma = "") =>
  `access_log = "off"\n[[listener]]\nport = ${http}\n[[worker]]\nproject = "app"\ndefault = true\n[pool]\nlisten = []\n[[pool.databases]]\nname = "app"\n` +
  `url = "postgres://postgres@127.0.0.1:${postgres.port}/postgres?sslmode=disable"\n[prisma]\nport = ${port}\n${prisma}`;

before(async () => {
  postgres = await startPostgres();
  postgres.sql(`create table "Person" (id int primary key, email text unique, name text); insert into "Person" values (1, 'ada@example.com', 'Ada'), (2, 'ben@example.com', 'Ben');
    create table "Note" (id int primary key, title text not null, "personId" int not null references "Person")`);
  port = await freePort();
  served = project({ "app/wrangler.toml": wrangler(), "app/src/index.js": "export default { fetch: () => new Response('') };" });
  const http = await freePort();
  writeFileSync(config(), toml(http));
  served.change = (prisma) => writeFileSync(config(), toml(http, prisma));
  key = JSON.parse(spawnSync(weirPath, ["prisma", "key", "create", "--json", "--database", "app", "--config", config()], { encoding: "utf8" }).stdout).key;
  weir = await Weir.start(["serve", "--config", config()]);
  await weir.waitFor("serving");
});
after(async () => {
  await weir.stop("SIGTERM");
  served.remove();
});

const PASSWORD = "sesame-open", VALUES = ["ada@example.com", "Secretive"];
const models = `generator client {\n  provider = "prisma-client-js"\n}\ndatasource db {\n  provider = "postgresql"\n  url      = "postgres://app:${PASSWORD}@db.example/app" // not "postgres://app:${PASSWORD}@db.example/old"\n}\n  // url = "postgres://app:${PASSWORD}@db.example/older"
model Person {\n  id    Int     @id\n  email String? @unique\n  name  String?\n  notes Note[]\n}
model Note {\n  id       Int    @id\n  title    String\n  person   Person @relation(fields: [personId], references: [id])\n  personId Int\n}\n`;
function schemaOf(text) {
  const base64 = Buffer.from(text).toString("base64");
  return { base64, hash: createHash("sha256").update(base64).digest("hex") };
}

async function ask(method, path, body) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, body, headers: { authorization: `Bearer ${key}` } });
  return { status: response.status, text: await response.text() };
}
const query = ({ hash }, action, args) =>
  ask("POST", `/6.19.3/${hash}/graphql`, JSON.stringify({ modelName: "Person", action, query: { arguments: args, selection: { $composites: true, $scalars: true } } }));
const upload = async (schema) => assert.equal((await ask("PUT", `/6.19.3/${schema.hash}/schema`, schema.base64)).status, 200);
const ada = { where: { email: VALUES[0] } };
const knows = async (schema) => (await query(schema, "findUnique", ada)).status === 200;

const processes = (wanted) => descendants(weir.process.pid).filter(({ name }) => name === wanted).map(({ pid }) => pid);
const endInstances = () => processes("weir-instance").forEach((pid) => process.kill(pid, "SIGKILL"));

// Ends the endpoint's instance; there is another template when this is over, which has what the instance learned.
async function renew() {
  const templates = processes("weir-template");
  endInstances();
  await until(() => processes("weir-template").some((pid) => !templates.includes(pid)), 20000 * patience);
}

// The file in memory that the supervisor keeps for templates to come.
function seedFile() {
  const dir = `/proc/${weir.process.pid}/fd`;
  for (const fd of readdirSync(dir)) if (readlinkSync(join(dir, fd)).includes("weir-seed")) return join(dir, fd);
  return undefined;
}

test("instances to come know the schemas and shapes of those before; passwords and values are not kept", { timeout: 120000 * patience }, async () => {
  const schema = schemaOf(models);
  assert.match((await query(schema, "findUnique", ada)).text, /SchemaMissing/);
  await upload(schema);
  for (let i = 0; i < 10; i++) assert.match((await query(schema, "findMany", { where: { id: { not: 10 + i } } })).text, /"id":1\b/);
  assert.match((await query(schema, "findUnique", ada)).text, /"id":1\b/);
  const wheres = [{ name: "Ada" }, { name: { contains: "Ad" } }, { id: { in: [1, 7] } }, { OR: [{ id: 1 }, { name: VALUES[1] }] }, { NOT: { name: "Ben" } }, { notes: { none: { title: VALUES[1] } } }];
  for (const where of wheres) assert.match((await query(schema, "findMany", { where, orderBy: [{ id: "asc" }], take: 10 })).text, /"id":1\b/);
  await query(schema, "createOne", { data: { id: 3, email: "carl@example.com", notes: { create: [{ id: 1, title: VALUES[1] }] } } });
  await query(schema, "upsertOne", { where: { email: "carl@example.com" }, create: { id: 4, email: "carl@example.com" }, update: { name: { set: VALUES[1] } } });
  assert.match((await query(schema, "findUnique", { where: {} })).text, /error/);
  await until(async () => (await knows(schema)) && JSON.parse(readFileSync(seedFile(), "utf8"))[0].shapes.length >= 4);
  const seed = readFileSync(seedFile(), "utf8");
  assert.equal(JSON.parse(seed)[0].hash, schema.hash);
  for (const secret of [PASSWORD, "db.example", "carl", ...VALUES]) assert.ok(!seed.includes(secret), `${secret} in ${seed}`);

  await renew();
  assert.match((await query(schema, "findUnique", ada)).text, /"name":"Ada"/);
  assert.match((await query(schema, "findMany", { where: wheres[1], orderBy: [{ id: "asc" }], take: 10 })).text, /"id":1\b/);
  const other = schemaOf(models.replace("  name  String?\n", "")); // it goes on from one to the next, with what is new
  await upload(other);
  await until(async () => (await knows(other)) && readFileSync(seedFile(), "utf8").includes(other.hash));
  await renew();
  for (const one of [schema, other]) assert.ok(await knows(one));
});

test("what was learned survives a reload", { timeout: 120000 * patience }, async () => {
  const schema = schemaOf(`${models}// of another client\n`);
  await upload(schema);
  await until(async () => (await knows(schema)) && readFileSync(seedFile(), "utf8").includes(schema.hash));
  served.change('query_timeout = "9s"\n');
  const done = spawnSync(weirPath, ["reload", "--config", config()], { encoding: "utf8" });
  assert.equal(done.status, 0, done.stderr);
  await until(() => knows(schema), 30000 * patience);
});

test("what keeps the endpoint from starting is forgotten, and the endpoint starts; one schema that is broken hurts no other", { timeout: 120000 * patience }, async () => {
  const [schema, other] = ["a third", "a fourth"].map((whose) => schemaOf(`${models}// of ${whose}\n`));
  const sow = async (text) => {
    await upload(schema);
    await until(async () => (await knows(schema)) && seedFile() && readFileSync(seedFile(), "utf8").includes(schema.hash));
    writeFileSync(seedFile(), text);
    await renew();
  };
  await sow("[{");
  await weir.waitFor("what its instances learned keeps it from starting");
  await until(async () => (await query(schema, "findUnique", ada)).text.includes("SchemaMissing"), 30000 * patience);
  assert.equal(seedFile(), undefined);

  const text = models.replace(/url .*/, "");
  await sow(JSON.stringify([{ hash: schema.hash, text, shapes: ["{}"] }, { hash: other.hash, text, shapes: [] }]));
  await until(async () => (await query(schema, "findUnique", ada)).text.includes("SchemaMissing"), 30000 * patience);
  assert.ok(await knows(other));
});
