// SPDX-License-Identifier: Apache-2.0
// Replication connections: each has a connection to the server of its own, and goes through as it is.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";

import { Wire, asUser, database, errorOf, eventually, patience, startPool, startPostgres, startup } from "./lib.mjs";

let postgres;
before(async () => {
  postgres = await startPostgres("wal_level = logical\nmax_wal_senders = 10\n");
  postgres.sql("create role plain login");
  postgres.sql("create table replicated (v int primary key)");
});

const open = (extra = "") => startPool(`auth = "any"\nadmin_users = ["postgres"]\n${extra}\n${database(postgres, 'database = "postgres"')}`);
const senders = () => Number(postgres.sql("select count(*) from pg_stat_activity where backend_type = 'walsender'"));

async function replicate(pool, parameters) {
  const wire = await Wire.open(pool.port);
  wire.send(startup({ user: "postgres", database: "postgres", ...parameters }));
  await wire.until("Z");
  return wire;
}

test("its connection is not asked whether it works", async () => {
  const pool = await open('server_check_query = ";"\nserver_check_delay = "0s"');
  const wire = await replicate(pool, { replication: "database" }), begun = Date.now();
  assert.equal((await wire.rows("IDENTIFY_SYSTEM")).length, 1);
  assert.ok(Date.now() - begun < 5000, `after ${Date.now() - begun} ms`);
  await pool.stop();
});

test("commands, SQL and the parameters that it began with; ordinary sessions beside it", async () => {
  const pool = await open("pool_size = 1");
  const ordinary = await Wire.login(pool.port);
  const wire = await replicate(pool, { replication: "database", application_name: "abc", options: "-c enable_seqscan=off" });
  assert.equal((await wire.rows("IDENTIFY_SYSTEM")).length, 1);
  assert.deepEqual(await wire.rows("show application_name"), [["abc"]]);
  assert.deepEqual(await wire.rows("show enable_seqscan"), [["off"]]);
  assert.deepEqual(await ordinary.rows("show enable_seqscan"), [["on"]]);
  assert.equal(senders(), 1);
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  assert.ok((await admin.rows("show clients")).some((row) => row[3] === "logical"));
  wire.close();
  await eventually(() => assert.equal(senders(), 0));
  await eventually(async () => assert.equal((await admin.rows("show pools")).length, 1, "nothing of it is kept"));
  assert.deepEqual(await ordinary.rows("select 1"), [["1"]]);
  await pool.stop();
});

test("physical replication: pg_basebackup and pg_receivewal", async () => {
  const pool = await open();
  appendFileSync(postgres.sql("show hba_file").trim(), "host replication postgres 127.0.0.1/32 trust\n");
  postgres.sql("select pg_reload_conf()");
  const dir = mkdtempSync(join(postgres.dir, "copy-"));
  const at = ["-h", "127.0.0.1", "-p", String(pool.port), "-U", "postgres", "-w"];
  const run = (program, ...args) => {
    const [command, ...rest] = asUser.command(join(postgres.bin, program), args);
    return spawnSync(command, rest, { encoding: "utf8", timeout: 60000 * patience });
  };
  spawnSync("chmod", ["777", dir]);
  const copied = run("pg_basebackup", ...at, "-D", join(dir, "base"), "-X", "stream", "-c", "fast");
  assert.equal(copied.status, 0, copied.stderr);
  assert.match(readFileSync(join(dir, "base/PG_VERSION"), "utf8"), /^\d+/);
  const [command, ...rest] = asUser.command(join(postgres.bin, "pg_receivewal"), [...at, "-D", dir, "-v"]);
  const receiver = spawn(command, rest, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  receiver.stderr.on("data", (chunk) => (said += chunk));
  await eventually(() => assert.match(said, /starting log streaming/));
  postgres.sql("insert into replicated values (1)");
  await eventually(() => assert.ok(readdirSync(dir).some((name) => name.endsWith(".partial")), said));
  receiver.kill("SIGINT");
  await new Promise((done) => receiver.on("exit", done));
  await eventually(() => assert.equal(senders(), 0));
  await pool.stop();
});

test("a change arrives over logical replication, streamed both ways", async () => {
  const pool = await open();
  postgres.sql("select pg_create_logical_replication_slot('followed', 'test_decoding')");
  const wire = await replicate(pool, { replication: "database" });
  wire.send(Buffer.concat([Buffer.from("Q"), Buffer.from([0, 0, 0, 4 + "START_REPLICATION SLOT followed LOGICAL 0/0\0".length]), Buffer.from("START_REPLICATION SLOT followed LOGICAL 0/0\0")]));
  await wire.until("W");
  postgres.sql("insert into replicated values (7)");
  await wire.wait((messages) => messages.some(({ body }) => body.includes("table public.replicated: INSERT: v[integer]:7")));
  wire.close();
  await eventually(() => assert.equal(senders(), 0));
  postgres.sql("select pg_drop_replication_slot('followed')");
  await pool.stop();
});

test("who may not replicate hears it from the server, and nobody else does", async () => {
  const pool = await open();
  const wire = await Wire.open(pool.port);
  wire.send(startup({ user: "plain", database: "postgres", replication: "database" }));
  assert.match(errorOf(await wire.until("E")).M, /replication/);
  assert.deepEqual(await (await Wire.login(pool.port, { user: "plain" })).rows("select 1"), [["1"]]);
  for (const replication of ["off", "n", "FALS", "0", "of"]) {
    const off = await Wire.open(pool.port);
    off.send(startup({ user: "plain", database: "postgres", replication }));
    await off.until("Z");
    assert.deepEqual(await off.rows("select 2"), [["2"]]);
  }
  await pool.stop();
});

test("one that ends before it has asked anything leaves nothing", async () => {
  const pool = await open();
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  const wire = await replicate(pool, { replication: "database" });
  const id = (await admin.rows("show clients")).find((row) => row[3] === "logical").at(-1);
  await admin.rows(`kill_client ${id}`);
  await eventually(() => assert.ok(wire.ended));
  await eventually(() => assert.equal(senders(), 0));
  await pool.stop();
});

test("hba rules for replication are rules of their own", async () => {
  const file = join(postgres.dir, "hba.conf");
  writeFileSync(file, "host all all all trust\nhost replication plain all trust\nhost replication boss all trust\n");
  const pool = await startPool(`auth = "hba"\nhba_file = "${file}"\nadmin_users = ["boss"]\n[[users]]\nname = "postgres"\n[[users]]\nname = "boss"\n${database(postgres, 'database = "postgres"')}`);
  const wire = await Wire.open(pool.port);
  wire.send(startup({ user: "postgres", database: "postgres", replication: "true" }));
  assert.match(errorOf(await wire.until("E")).M, /there is no rule in the hba file/);
  assert.equal((await (await replicate(pool, { replication: "database" })).rows("IDENTIFY_SYSTEM")).length, 1);
  // The console is no server that could be copied: rules for replication let nobody in there.
  writeFileSync(file, "host replication boss all trust\n");
  const said = pool.weir.output.length;
  pool.weir.process.kill("SIGHUP");
  await pool.weir.waitFor("pool ready on", said);
  const boss = await Wire.open(pool.port);
  boss.send(startup({ user: "boss", database: "pgbouncer", replication: "true" }));
  assert.match(errorOf(await boss.until("E")).M, /login rejected/);
  await pool.stop();
});
