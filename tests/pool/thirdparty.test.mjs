// SPDX-License-Identifier: Apache-2.0
// What Debian has of other people's tests: pgTAP's assertions and sqlsmith's random queries, through the pool. Suites that
// need a source are in suites/.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";

import { Wire, database, patience, startPool, startPostgres } from "./lib.mjs";

let postgres;
before(async () => {
  postgres = await startPostgres();
});

const open = (settings = "") => startPool(`auth = "any"\n${settings}\n${database(postgres)}`);

test("pgTAP: a test in a transaction, one that needs its session, and one that fails", { timeout: 60000 * patience }, async () => {
  postgres.sql("create extension pgtap; create table things (id int primary key, name text not null)");
  const pool = await open("pool_size = 2");
  const file = (name, body) => {
    const path = join(pool.dir, name);
    writeFileSync(path, body);
    return path;
  };
  const prove = (...files) =>
    spawnSync("pg_prove", ["-h", "127.0.0.1", "-p", String(pool.port), "-U", "postgres", "-d", "postgres", "--verbose", ...files], {
      encoding: "utf8",
      timeout: 30000 * patience,
    });
  const inTransaction = file("transaction.sql", `
    begin;
    select plan(9);
    select has_table('things');
    select col_is_pk('things', 'id');
    select col_not_null('things', 'name');
    insert into things values (1, 'one'), (2, 'two');
    select results_eq('select name from things order by id', array['one', 'two']);
    select throws_ok('insert into things values (1, ''again'')', '23505');
    select lives_ok('insert into things values (3, ''three'')');
    prepare have as select count(*)::int from things;
    select results_eq('have', array[3]);
    select is_empty('select * from things where id = 4');
    select performs_ok('select * from things', 1000);
    select * from finish();
    rollback;`);
  const inSession = file("session.sql", `
    create temp table kept (a int);
    set application_name = 'tap';
    select plan(3);
    insert into kept values (1);
    select is(count(*)::int, 1, 'a temporary table') from kept;
    select is(current_setting('application_name'), 'tap');
    select isnt_empty('select * from kept');
    select * from finish();`);
  const passed = prove(inTransaction, inSession);
  assert.equal(passed.status, 0, passed.stdout + passed.stderr);
  assert.match(passed.stdout, /Files=2, Tests=12/);
  const failed = prove(file("fails.sql", "begin; select plan(1); select is(1, 2); select * from finish(); rollback;"));
  assert.match(failed.stdout, /not ok 1/);
  assert.equal(postgres.sql("select count(*) from things"), "0");
  await pool.stop();
});

test("sqlsmith: three hundred random queries, and the pool is sound", { timeout: 120000 * patience }, async () => {
  const pool = await open("pool_size = 2");
  const run = spawnSync("sqlsmith", [`--target=host=127.0.0.1 port=${pool.port} dbname=postgres user=postgres options='-c statement_timeout=500'`, "--max-queries=300", "--seed=1", "--exclude-catalog"], {
    encoding: "utf8",
    timeout: 60000 * patience,
  });
  assert.equal(run.status, 0, run.stderr.slice(-2000));
  const wire = await Wire.login(pool.port);
  assert.deepEqual(await wire.rows("select 1"), [["1"]]);
  assert.doesNotMatch(pool.weir.output, /does not follow|starting it again/);
  await pool.stop();
});
