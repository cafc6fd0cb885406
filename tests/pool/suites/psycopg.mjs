// SPDX-License-Identifier: Apache-2.0
// psycopg 3 (psycopg/psycopg), in pure Python, with Debian's pytest: the files that are about the protocol.
import { join } from "node:path";

import { database } from "../lib.mjs";
import { pytest } from "./pytest.mjs";

export const bar = 341;
export const settings = "";
export const known = {};

export const pool = (postgres) => `auth = "any"\n${database(postgres)}`;

const files = ["prepared", "cursor", "connection", "transaction", "copy", "pipeline"].map((name) => `tests/test_${name}.py`);

export async function run({ dir, port, only, execute }) {
  const results = await pytest(execute, dir, ["-m", "not slow and not mypy", ...files, `--test-dsn=host=127.0.0.1 port=${port} dbname=postgres user=postgres`], {
    PYTHONPATH: join(dir, "psycopg"),
    PSYCOPG_IMPL: "python",
  });
  return new Map([...results].filter(([name]) => only.test(name)));
}
