// SPDX-License-Identifier: Apache-2.0
// node-postgres (brianc/node-postgres): the integration tests of pg, a file is a test. npm's package has none.
import { readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";

import { database, makeCertificate } from "../lib.mjs";

export const bar = 75;
export const settings = "";
export const known = {
  "connection-pool/error-tests.js": "ends idle backends, and expects sessions to end with them",
  "gh-issues/130-tests.js": "ends an idle backend, and expects the session to end with it",
};

export function pool(postgres) {
  const { certificate, key } = makeCertificate(postgres.dir, "pool", "localhost");
  return `auth = "any"\n[tls]\nmode = "prefer"\ncertificate_file = "${certificate}"\nkey_file = "${key}"\n${database(postgres)}`;
}

// What its tests ask for, without the tools of the repository.
const packages = ["typescript@5", "@types/node@20", "async@2.6.4", "bluebird@3", "co@4", "lodash@4", "pg-int8@1", "pg-types@2", "pgpass@1", "split2@4", "pg-copy-streams@0.3.0"];

async function build(dir, execute) {
  rmSync(join(dir, "package-lock.json"), { force: true });
  writeFileSync(join(dir, "package.json"), '{ "private": true }\n');
  const installed = await execute("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", ...packages], { cwd: dir, seconds: 300 });
  if (installed.status !== 0) throw new Error(`npm install failed:\n${installed.output.slice(-2000)}`);
  for (const name of readdirSync(join(dir, "packages"))) {
    rmSync(join(dir, "node_modules", name), { recursive: true, force: true });
    symlinkSync(join("..", "packages", name), join(dir, "node_modules", name));
  }
  const built = await execute("npx", ["tsc", "--build"], { cwd: dir, seconds: 120 });
  if (built.status === null) throw new Error("tsc --build did not end");
}

const files = (dir) =>
  readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith("-tests.js"))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();

export async function run({ dir, postgres, port, only, execute }) {
  await build(dir, execute);
  const pg = join(dir, "packages/pg");
  // As its LOCAL_DEV.md says.
  postgres.sql("create table person (id serial primary key, name varchar(10), age integer)");
  postgres.sql(`insert into person (name, age) values ${Array.from({ length: 26 }, (_, i) => `('${String.fromCharCode(65 + i)}bcdef', ${i * 10})`)}`);
  const env = { PGHOST: "127.0.0.1", PGPORT: String(port), PGUSER: "postgres", PGDATABASE: "postgres", PGPASSWORD: "unused", PGTESTNOSSL: "1" };
  const results = new Map();
  for (const file of files(join(pg, "test/integration"))) {
    const name = relative(join(pg, "test/integration"), file);
    if (!only.test(name)) continue;
    const { status, output } = await execute("node", ["--single-threaded", file], { cwd: pg, env, seconds: 10 });
    const why = status === null ? "did not end" : (output.match(/(?:Error|error): .*/)?.[0] ?? `ended with ${status}`);
    results.set(name, status === 0 ? "" : why);
  }
  return results;
}
