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
