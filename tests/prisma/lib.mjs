// SPDX-License-Identifier: Apache-2.0
// Prisma's clients of each version, directly on a Postgres and through weir.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

import { dev, freePort, project, root, weirPath } from "../e2e/lib.mjs";
import { eventually, startPostgres } from "../pool/lib.mjs";

const here = join(root, "tests/prisma");

// Resolves when check() is true at last.
export const until = (check, ms) => eventually(async () => assert.ok(await check(), check.toString()), ms);

// Clients of tests/prisma/VERSION: {direct(url), edge(url), Prisma}; of VERSION/joins: with relationJoins.
export function clients(version) {
  const dir = join(here, version);
  // The kernel's lock goes with its holder.
  const done = spawnSync("flock", [join(here, version.split("/")[0], "head.prisma"), process.execPath, join(here, "generate.mjs"), version], { encoding: "utf8" });
  if (done.status !== 0) throw new Error(done.stderr || String(done.error));
  return createRequire(join(dir, "package.json"))("./clients.cjs");
}

// A Postgres with the tables of schema.sql, and a weir dev with a Prisma endpoint for it. source: of the worker, which has the
// first key in DATABASE_URL; modules: its node_modules.
export async function startEndpoint({ settings = "", wrangler = "", source = "export default { fetch: () => new Response('') };", modules } = {}) {
  const postgres = await startPostgres(settings);
  postgres.sql(readFileSync(join(here, "schema.sql"), "utf8"));
  const url = `postgres://postgres@127.0.0.1:${postgres.port}/postgres`;
  const { dir } = project({
    "wrangler.toml": `name = "t"\nmain = "src/index.js"\ncompatibility_date = "2023-12-01"\n${wrangler}\n[[hyperdrive]]\nbinding = "DB"\nid = "app"\nlocalConnectionString = "${url}"\n`,
    "src/index.js": source,
  });
  const key = (...args) => {
    const done = spawnSync(weirPath, ["prisma", "key", "create", "--database", "app", "--project", dir, "--json", ...args], { encoding: "utf8" });
    if (done.status !== 0) throw new Error(done.stderr);
    return JSON.parse(done.stdout);
  };
  // One more, when the running weir has taken it up.
  const live = async (...args) => {
    const made = key(...args);
    const headers = { authorization: `Bearer ${made.key}` };
    await until(async () => (await fetch(`http://127.0.0.1:${port}/connection-info`, { headers })).status === 200);
    return made;
  };
  if (modules !== undefined) {
    unlinkSync(join(dir, "node_modules"));
    symlinkSync(modules, join(dir, "node_modules"));
  }
  const first = key(), port = await freePort();
  writeFileSync(join(dir, ".dev.vars"), `DATABASE_URL="prisma://accelerate.prisma-data.net/?api_key=${first.key}"\n`, { mode: 0o600 });
  const running = await dev(dir, "--prisma-port", String(port));
  const endpoint = { ...running, postgres, dir, port, key, live, first, url,
    // plain: without TLS, which is only for localhost, and from version 6 on.
    edgeUrl: (made = first, plain = true) => `${plain ? "prisma+postgres" : "prisma"}://localhost:${port}/?api_key=${made.key}`,
    certificate: join(dir, ".weir/prisma/localhost.pem"),
    // weir is ended by the signal, and another one is there in its place.
    async restart(signal) {
      await endpoint.stop(signal);
      const { weir, stop, fetch } = await dev(dir, "--prisma-port", String(port));
      Object.assign(endpoint, { weir, stop, fetch });
    },
  };
  return endpoint;
}

// The same for what is the same, as JSON: types that JSON has not are named.
export function plain(value) {
  if (value === undefined) return "undefined";
  if (typeof value === "bigint") return `bigint ${value}`;
  if (value === null || typeof value !== "object") return value;
  if (value instanceof Date) return `date ${value.toISOString()}`;
  if (ArrayBuffer.isView(value)) return `bytes ${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex")}`;
  if (typeof value.toFixed === "function") return `decimal ${value.toFixed()}`;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

// Of an error: what a program looks at, and its last line.
export function failure(error) {
  const lines = error.message.trim().split("\n");
  return { failed: error.constructor.name.replace(/\d$/, ""), code: error.code, message: lines.at(-1).trim() };
}

// What withAccelerateInfo() says, in turn: of the cache and all that makes it forget, by the extension itself. It is source text in workers, too.
export async function caching(p) {
  const where = { id: 1 }, select = { name: true }, told = [], sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  const ask = async (cacheStrategy) => {
    const { data, info } = await p.user.findUnique({ where, select, cacheStrategy }).withAccelerateInfo();
    if (!/^[0-9a-f]{16}-WEIR$/.test(info.requestId) || info.region !== "WEIR" || !(Math.abs(Date.now() - info.lastModified) < 120000)) throw new Error(JSON.stringify(info));
    return `${info.cacheStatus} ${data.name}`;
  };
  const isNamed = (name) => p.user.update({ where, data: { name } });
  const tell = async (name, strategy) => {
    if (name) await isNamed(name);
    told.push(await ask(strategy));
  };
  // What comes when it is no longer as it was.
  const tellNext = async (strategy) => {
    const before = told.at(-1).replace(/^\w+/, "ttl");
    for (let now = before; now === before || told.push(now) === 0; await sleep(50)) now = await ask(strategy);
  };
  const kept = { ttl: 600, tags: ["own", "shared"] };
  await p.$accelerate.invalidateAll();
  await tell("one", undefined);
  await tell(undefined, kept);
  await tell("two", kept);
  await tell(undefined, undefined);
  await p.$accelerate.invalidate({ tags: ["other"] });
  await tell(undefined, kept);
  await p.$accelerate.invalidate({ tags: ["none", "own"] });
  await tell(undefined, kept);
  await isNamed("three");
  await p.$transaction(async (tx) => told.push(`interactive ${(await tx.user.findUnique({ where, select, cacheStrategy: kept })).name}`));
  told.push(`list ${(await p.$transaction([p.user.findUnique({ where, select, cacheStrategy: kept }), p.user.count({ cacheStrategy: kept })]))[0].name}`); // one alone is sent as a query
  await tell(undefined, kept);
  await p.$accelerate.invalidateAll();
  await tell(undefined, kept);
  await p.$accelerate.invalidateAll();
  await p.$transaction((tx) => tx.user.findUnique({ where, select, cacheStrategy: kept }));
  await tell(undefined, kept);
  // Its time is over, and then another one's, who may have what is stale meanwhile.
  await isNamed("four");
  await tellNext({ ttl: 1 });
  await isNamed("five");
  await tellNext({ ttl: 1, swr: 600 });
  await tellNext(kept);
  return told;
}
caching.told = "none one, miss one, ttl one, none two, ttl one, miss two, interactive three, list three, ttl two, miss three, miss three, miss four, swr four, ttl five".split(", ");

// The edge client of each version, for workers.
export const edges = {
  v5: { client: "generated/edge/edge.js", option: "datasourceUrl" },
  v6: { client: "generated/edge/edge.js", option: "datasourceUrl" },
  v7: { client: "generated/client/edge.js", option: "accelerateUrl" },
};

// What a program does, as a list of all that it was told. It is source text in workers, too.
export async function operate(p) {
  const code = (promise) => promise.then(() => "it went well", (error) => error.code);
  return {
    one: await p.user.findUnique({ where: { email: "ada@example.com" }, select: { id: true, role: true, _count: { select: { posts: true } } } }),
    many: await p.post.findMany({ orderBy: { id: "asc" }, take: 3, select: { title: true, author: { select: { name: true } } } }),
    made: await p.tag.create({ data: { name: "of a worker" }, select: { name: true } }),
    twice: await code(p.tag.create({ data: { name: "of a worker" } })),
    transaction: await p.$transaction(async (tx) => {
      await tx.post.update({ where: { id: 1 }, data: { views: 11 } });
      return tx.post.findUnique({ where: { id: 1 }, select: { views: true } });
    }),
    rolledBack: await code(p.$transaction([p.tag.deleteMany(), p.user.delete({ where: { id: 99 } })])),
    tags: await p.tag.count(),
    raw: await p.$queryRaw`select ${7}::int as n`,
  };
}
