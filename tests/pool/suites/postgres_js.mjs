// SPDX-License-Identifier: Apache-2.0
// postgres.js (porsager/postgres), tests/index.js: one file, whose tests run one after the other on shared connections.
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { database, makeCertificate, startPostgres } from "../lib.mjs";

export const bar = 248;
export const settings = "wal_level=logical";

export function pool(postgres) {
  const { certificate, key } = makeCertificate(postgres.dir, "pool", "localhost");
  return `auth = "any"\n[tls]\nmode = "prefer"\ncertificate_file = "${certificate}"\nkey_file = "${key}"\n${database(postgres)}`;
}

export const known = {
  "listen result reports correct connection state after reconnection": "ends its backend by the session's number, which is the pool's",
  "throws correct error when authentication fails": "its server must ask for a password; so it is without the pool",
};

export async function run({ dir, port, socketDir, only, execute }) {
  const tests = join(dir, "tests/index.js");
  const second = await startPostgres();
  writeFileSync(tests, readFileSync(tests, "utf8").replaceAll("5432", port).replaceAll("5433", second.port));
  // Theirs stops at the first failure.
  copyFileSync(new URL("postgres_js_harness.mjs", import.meta.url), join(dir, "tests/test.js"));
  const env = { PGHOST: "localhost", PGPORT: port, PGUSER: "postgres", PGSOCKET: socketDir, ONLY: only.source };
  const { output } = await execute("node", ["index.js"], { cwd: join(dir, "tests"), env, seconds: 300 });
  const results = new Map();
  for (const line of output.split("\n")) {
    const match = line.match(/^\0(\{.*\})$/);
    if (match === null) continue;
    const { name, error } = JSON.parse(match[1]);
    results.set(name, error);
  }
  return results;
}
