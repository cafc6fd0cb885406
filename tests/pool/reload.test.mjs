// SPDX-License-Identifier: Apache-2.0
// A new configuration under clients that stay connected.
import assert from "node:assert/strict";
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";

import { Wire, bind, describe, errorOf, eventually, execute, parse, query, scramVerifier, sleep, startPool, startPostgres, sync } from "./lib.mjs";
import { spawnSync } from "node:child_process";

let one, two;
before(async () => {
  [one, two] = await Promise.all([startPostgres(), startPostgres()]);
  for (const [postgres, name] of [[one, "one"], [two, "two"]]) {
    postgres.sql(`create table here (name text)`);
    postgres.sql(`insert into here values ('${name}')`);
    postgres.sql("create role ana login password 'secret'");
    postgres.sql("grant select on here to ana");
  }
});

const toml = (postgres, more = "", general = "") =>
  `auth = "any"\nadmin_users = ["postgres"]\npool_size = 2\n${general}\n[[databases]]\nname = "app"\nhost = "127.0.0.1"\nport = ${postgres.port}\ndatabase = "postgres"\n${more}\n[databases.tls]\nmode = "disable"\n`;
const backends = (postgres) => Number(postgres.sql("select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"));
const login = (pool, more = {}) => Wire.login(pool.port, { database: "app", ...more });
const where = async (wire) => (await wire.rows("select name from here"))[0][0];
async function reload(pool, text) {
  pool.write(text);
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  await admin.rows("reload");
  admin.close();
}

test("clients go over to the database's new place between two transactions, with their statements and parameters", async () => {
  const pool = await startPool(toml(one));
  const [a, b, idle] = [await login(pool), await login(pool), await login(pool)];
  await a.rows("set datestyle = 'German'");
  a.send(parse("s", "select name from here where $1"), parse("", "select 'unnamed'"), describe("S", "s"), sync());
  await a.until("Z");
  await b.rows("begin");
  assert.equal(await where(b), "one");
  await idle.rows("select 1");
  await reload(pool, toml(two));
  assert.equal(await where(b), "one", "a transaction ends where it began");
  a.send(bind("", "", []), execute(), bind("", "s", ["t"]), execute(), sync());
  const rows = (await a.until("Z")).filter(({ type }) => type === "D").map(({ body }) => body.subarray(6).toString());
  assert.deepEqual(rows, ["unnamed", "two"]);
  assert.deepEqual(await a.rows("show datestyle"), [["German, DMY"]]);
  await b.rows("commit");
  assert.equal(await where(b), "two");
  await eventually(() => assert.equal(backends(one), 0, "nothing is left at the old place"));
  assert.equal(await where(idle), "two");
  assert.equal(await where(await login(pool)), "two");
  await pool.stop();
});

test("who waits for a connection gets one of the new plan", async () => {
  const pool = await startPool(toml(one, "pool_size = 1"));
  const [a, waiting] = [await login(pool), await login(pool)];
  await a.rows("begin");
  waiting.send(query("select name from here"));
  await sleep(200);
  await reload(pool, toml(two, "pool_size = 1"));
  const replies = await waiting.until("Z");
  assert.equal(errorOf(replies), undefined);
  assert.equal(replies.find(({ type }) => type === "D").body.subarray(6).toString(), "two");
  await a.rows("commit");
  await pool.stop();
});

test("what does not concern connections leaves them as they are, and holds", async () => {
  const pool = await startPool(toml(one));
  const [a, b] = [await login(pool), await login(pool)];
  const [[pid]] = await a.rows("select pg_backend_pid()");
  await reload(pool, toml(one, 'pool_mode = "session"\npool_size = 1\nquery_timeout = "300ms"'));
  assert.deepEqual(await a.rows("select pg_backend_pid()"), [[pid]]);
  b.send(query("select 1"));
  await sleep(300);
  assert.equal(b.messages.length, 0, "session pooling over one connection");
  assert.equal(errorOf(await a.query("select pg_sleep(5)")).C, "57014");
  a.close();
  assert.equal(errorOf(await b.until("Z")), undefined);
  await pool.stop();
});

test("another user of the database: what only the server can set is not tried", async () => {
  one.sql("grant all on schema public to ana");
  const pool = await startPool(toml(one, 'user = "postgres"'));
  const a = await login(pool);
  await a.rows("set timezone = 'Asia/Tokyo'");
  await reload(pool, toml(one, 'user = "ana"\npassword = "secret"'));
  assert.deepEqual(await a.rows("select current_user, current_setting('timezone')"), [["ana", "Asia/Tokyo"]]);
  const [[pid]] = await a.rows("select pg_backend_pid()");
  for (let i = 0; i < 3; i++) assert.deepEqual(await a.rows("select pg_backend_pid()"), [[pid]]);
  await pool.stop();
});

test("from transactions to sessions: statements that were prepared before go on", async () => {
  const pool = await startPool(toml(one));
  const [a, b] = [await login(pool), await login(pool)];
  for (const wire of [a, b]) {
    wire.send(parse("s", "select name from here where $1"), parse("", "select 'unnamed'"), sync());
    await wire.until("Z");
  }
  await b.rows("begin");
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  const use = async (wire) => {
    wire.send(bind("", "s", ["t"]), execute(), sync());
    const replies = await wire.until("Z");
    assert.equal(errorOf(replies), undefined);
    assert.ok(replies.some(({ type }) => type === "D"));
  };
  for (const change of ["set pool_mode = session", "set max_prepared_statements = 0"]) {
    await admin.rows(change);
    await use(a);
    await use(b);
  }
  await b.rows("commit");
  await use(b);
  await pool.stop();
});

test("a password that is another now is used, and what clients have proved is not forgotten", async () => {
  const verifier = scramVerifier("secret");
  const base = (secret, more) => `auth = "scram-sha-256"\nadmin_users = ["boss"]\n[[users]]\nname = "ana"\npassword = "${secret}"\n[[users]]\nname = "boss"\npassword = "b"\n[[databases]]\nname = "app"\nhost = "127.0.0.1"\nport = ${one.port}\ndatabase = "postgres"\n${more}\n[databases.tls]\nmode = "disable"\n`;
  one.sql(`alter role ana password '${verifier}'`);
  const pool = await startPool(base(verifier, ""));
  const psql = (sql, user = "ana", password = "secret", name = "app") =>
    spawnSync(`${one.bin}/psql`, ["-h", "127.0.0.1", "-p", String(pool.port), "-U", user, "-d", name, "-XAtqc", sql], { env: { ...process.env, PGPASSWORD: password }, encoding: "utf8" });
  assert.equal(psql("select 1").stdout, "1\n");
  pool.write(base(verifier, 'connect_query = "select 1"'));
  assert.equal(psql("reload", "boss", "b", "pgbouncer").status, 0);
  assert.equal(psql("select 2").stdout, "2\n");
  await pool.stop();
});

test("LISTEN goes along", async () => {
  const pool = await startPool(toml(one));
  const a = await login(pool);
  await a.rows("listen news");
  await reload(pool, toml(two));
  await eventually(() => assert.equal(two.sql("select count(*) from pg_stat_activity where query ilike 'listen%'").trim(), "1"));
  two.sql("notify news, 'hello'");
  const [{ body }] = await a.until("A");
  assert.match(body.toString(), /news\0hello\0$/);
  await eventually(() => assert.equal(backends(one), 0));
  await pool.stop();
});

test("a database that is taken away ends its clients", async () => {
  const pool = await startPool(toml(one));
  const [a, b] = [await login(pool), await login(pool)];
  await b.rows("begin");
  await reload(pool, toml(one).replace('name = "app"', 'name = "other"'));
  const error = errorOf(await a.until("E"));
  assert.equal(error.C, "57P01");
  assert.match(error.M, /not served any more/);
  assert.match(error.H, /add it to the pool's configuration/);
  await b.rows("commit");
  b.send(query("select 1"));
  assert.equal(errorOf(await b.until("E")).C, "57P01");
  await eventually(() => assert.equal(backends(one), 0));
  await pool.stop();
});

test("unix sockets have the rights and the group that are asked for, after a reload as well", async () => {
  const group = process.getuid() === 0 ? 65534 : process.getgid();
  const pool = await startPool(toml(one, "", `unix_socket_mode = "0770"\nunix_socket_group = "${group}"`));
  const rights = () => {
    const { mode, gid } = statSync(join(pool.dir, `.s.PGSQL.${pool.port}`));
    return [(mode & 0o777).toString(8), gid];
  };
  assert.deepEqual(rights(), ["770", group]);
  await reload(pool, toml(one, "", `unix_socket_mode = "0700"`));
  assert.deepEqual(rights(), ["700", group]);
  await reload(pool, toml(one));
  assert.equal(rights()[0], "777");
  const output = pool.weir.output.length;
  pool.write(toml(one, "", `unix_socket_mode = "rw"\nunix_socket_group = "nobody such"`));
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  assert.equal(errorOf(await admin.query("reload")).C, "F0000");
  assert.match(pool.weir.output.slice(output), /pool\.toml:5: unix_socket_mode = "rw": expected rights in octal, such as "0770"/);
  assert.match(pool.weir.output.slice(output), /pool\.toml:6: unix_socket_group = "nobody such": there is no such group/);
  assert.equal(rights()[0], "777");
  await pool.stop();
});

test("a configuration that is no ordinary file is refused, and not waited for", async () => {
  const pool = await startPool(toml(one)), wire = await login(pool), file = join(pool.dir, "pool.toml");
  rmSync(file);
  assert.equal(spawnSync("mkfifo", ["-m", "600", file]).status, 0);
  pool.weir.process.kill("SIGHUP");
  await pool.weir.waitFor("pool.toml: cannot read it: it is no ordinary file");
  await pool.weir.waitFor("the configuration before stays in force");
  assert.equal(await where(wire), "one");
  rmSync(file);
  await reload(pool, toml(two));
  assert.equal(await where(wire), "two");
  await pool.stop();
});
