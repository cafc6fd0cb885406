// SPDX-License-Identifier: Apache-2.0
// Postgres's own regression tests (src/test/regress of its source), in session mode: as many as without the pool must pass.
// Some of them look whether their backend has served others before: each client has one of its own (server_lifetime = "0s").
// The programs are Debian's postgresql-server-dev-15; the source is that of the same 15.x (apt-get source --download-only
// postgresql-15=VERSION): regress.so of other headers does not load, and whatever needs it fails.
import { chmodSync, existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";

import { asUser, database } from "../lib.mjs";

export const bar = 217; // as many as pass without the pool
export const settings = "max_connections=100";
export const known = {};

export const pool = (postgres) =>
  `auth = "any"\npool_mode = "session"\npool_size = 50\nquery_wait_timeout = "5m"\nserver_lifetime = "0s"\n${database(postgres)}`;

const within = (dir) => (existsSync(join(dir, "parallel_schedule")) ? dir : join(dir, "src/test/regress"));

export async function run({ dir, postgres, port, only, execute }) {
  const tests = within(dir);
  const library = join(tests, "regress.so");
  const built = await execute("gcc", ["-O1", "-fPIC", "-shared", "-I/usr/include/postgresql/15/server", "-o", library, join(tests, "regress.c")]);
  if (built.status !== 0) throw new Error(`regress.so: ${built.output}`);
  // "triggers" looks for these of contrib/spi beside it; Debian has them where the server's own libraries are.
  for (const name of ["autoinc.so", "refint.so"]) symlinkSync(join(postgres.bin, "../lib", name), join(tests, name));
  const output = join(tests, "out");
  await execute("sh", ["-c", 'rm -rf "$1/out"; mkdir -p "$1/out" && chmod -R a+rX "$1" && chmod 777 "$1/out"', "sh", tests]);
  chmodSync(output, 0o777);
  postgres.sql("create database regression template template0");
  for (const [name, value] of Object.entries({ lc_messages: "C", lc_monetary: "C", lc_numeric: "C", lc_time: "C", timezone_abbreviations: "Default", bytea_output: "hex" }))
    postgres.sql(`alter database regression set ${name} = '${value}'`);
  const runner = "/usr/lib/postgresql/15/lib/pgxs/src/test/regress/pg_regress";
  const args = [`--inputdir=${tests}`, `--outputdir=${output}`, `--bindir=${postgres.bin}`, `--dlpath=${tests}`, "--host=127.0.0.1", `--port=${port}`, "--user=postgres",
    "--dbname=regression", "--use-existing", "--max-connections=10", `--schedule=${join(tests, "parallel_schedule")}`];
  const [command, ...rest] = asUser.command(runner, args);
  const { output: text } = await execute(command, rest, { cwd: output, env: { PGUSER: "postgres" }, seconds: 1200 });
  await execute("sh", ["-c", 'cat "$1/regression.diffs" 2>/dev/null || true', "sh", output]);
  const results = new Map();
  for (const line of text.split("\n")) {
    const match = line.match(/^(?:test| {4,})\s*(\S+)\s+\.\.\. (ok|FAILED)/);
    if (match !== null && only.test(match[1])) results.set(match[1], match[2] === "ok" ? "" : "differs");
  }
  return results;
}
