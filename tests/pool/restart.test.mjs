// SPDX-License-Identifier: Apache-2.0
// Online restart: a new pool process takes the place of the one that runs, and clients do not notice.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, renameSync } from "node:fs";
import net from "node:net";
import { dirname, join } from "node:path";
import { before, test } from "node:test";

import { weirPath } from "../e2e/lib.mjs";
import { Wire, bind, database, errorFields, errorOf, eventually, execute, makeCertificate, parse, patience, query, sleep, startPool, startPostgres, startRelay, startup, sync } from "./lib.mjs";

const anotherFormat = join(dirname(weirPath), "tests/pool/weir_of_another_format");
let postgres;
before(async () => {
  postgres = await startPostgres();
});

const pids = (pool) => spawnSync("pgrep", ["-P", String(pool.weir.process.pid), "weir-pool"], { encoding: "utf8" }).stdout.split("\n").filter(Boolean);

// The new process listens, the old one does not any more.
async function restart(pool) {
  const before = pids(pool);
  pool.weir.process.kill("SIGUSR2");
  await eventually(() => assert.ok(pids(pool).some((pid) => !before.includes(pid))));
  return before[0];
}
// Who comes now comes to the process of so many restarts: its numbers say so.
const arrived = (pool, generation) =>
  eventually(async () => {
    const wire = await Wire.login(pool.port);
    wire.close();
    assert.equal(wire.key.readUInt32BE(0) >>> 20, 1024 + generation);
  });
// A pool that was restarted, and a console of its first process.
async function restartedOnce() {
  const pool = await startPool(`auth = "any"\nadmin_users = ["postgres"]\n${database(postgres)}`);
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  const first = await restart(pool);
  await arrived(pool, 1);
  return { pool, admin, first };
}
const gone = (pool, pid) => eventually(() => assert.ok(!pids(pool).includes(pid), "the old process is there"));

async function loginWithKey(pool, parameters = {}) {
  const wire = await Wire.open(pool.port);
  wire.send(startup({ user: "postgres", database: "postgres", ...parameters }));
  const key = (await wire.until("Z")).find(({ type }) => type === "K").body;
  return { wire, key };
}
function cancel(pool, key) {
  const socket = net.connect(pool.port, "127.0.0.1");
  socket.on("error", () => {}).end(Buffer.concat([Buffer.from([0, 0, 0, 16, 4, 210, 22, 46]), key]));
}

test("clients keep their sessions: prepared statements, parameters, numbers", { timeout: 60000 * patience }, async () => {
  const pool = await startPool(`auth = "any"\npool_size = 4\n${database(postgres)}`);
  const one = await loginWithKey(pool, { application_name: "moves", datestyle: "German" });
  const { wire } = one;
  await wire.rows("set app.tenant = '42'");
  wire.send(parse("p", "select $1::int + 1"), bind("", "p", [1]), execute(), sync());
  await wire.until("Z");
  wire.send(parse("", "select 'unnamed'"), sync());
  await wire.until("Z");
  const busy = await loginWithKey(pool);
  await busy.wire.rows("begin");
  await busy.wire.rows("create temp table mine (a int) on commit drop");
  const old = await restart(pool);
  const fresh = await eventually(() => Wire.login(pool.port));
  assert.deepEqual(await fresh.rows("select 'new'"), [["new"]]);
  // The one that was idle is the new one's; the transaction goes on in the old one.
  wire.send(bind("", "", []), execute(), sync());
  assert.match((await wire.until("Z")).find(({ type }) => type === "D").body.toString(), /unnamed/);
  wire.send(bind("", "p", [41]), execute(), sync());
  assert.match((await wire.until("Z")).find(({ type }) => type === "D").body.toString(), /42/);
  assert.deepEqual(await wire.rows("show datestyle"), [["German, DMY"]]);
  assert.deepEqual(await wire.rows("show application_name"), [["moves"]]);
  assert.deepEqual(await wire.rows("show app.tenant"), [["42"]]);
  assert.deepEqual(await busy.wire.rows("select count(*) from mine"), [["0"]]);
  assert.ok(pids(pool).includes(old));
  // Cancel requests come to the new process and find both.
  for (const { wire: sleeper, key } of [one, busy]) {
    sleeper.send(query("select pg_sleep(20)"));
    await sleep(150);
    cancel(pool, key);
    assert.equal(errorOf(await sleeper.until("Z")).C, "57014");
  }
  await busy.wire.rows("rollback");
  await gone(pool, old);
  assert.deepEqual(await busy.wire.rows("select 'went along'"), [["went along"]]);
  busy.wire.send(query("select pg_sleep(20)"));
  await sleep(150);
  cancel(pool, busy.key);
  assert.equal(errorOf(await busy.wire.until("Z")).C, "57014");
  // Once more, with sessions that were moved before.
  await gone(pool, await restart(pool));
  wire.send(bind("", "p", [1]), execute(), sync());
  assert.equal(errorOf(await wire.until("Z")), undefined);
  await eventually(() => assert.equal(postgres.sql("select count(*) from pg_stat_activity where state = 'idle in transaction'"), "0"));
  await pool.stop();
});

test("under load nobody sees an error", { timeout: 60000 * patience }, async () => {
  const pool = await startPool(`auth = "any"\npool_size = 5\n${database(postgres)}`);
  let going = true;
  const clients = await Promise.all(Array.from({ length: 30 }, () => Wire.login(pool.port)));
  const counts = clients.map(async (wire, i) => {
    let count = 0;
    for (; going; count++) {
      if (i % 3 === 0) {
        await wire.rows("begin");
        await wire.rows("select pg_sleep(0.01)");
        await wire.rows("commit");
      } else {
        wire.send(parse("", "select $1::text"), bind("", "", [`${i} ${count}`]), execute(), sync());
        assert.match((await wire.until("Z")).find(({ type }) => type === "D")?.body.toString("utf8", 6) ?? "", new RegExp(`^${i} ${count}$`));
      }
    }
    return count;
  });
  for (let i = 0; i < 3; i++) {
    await sleep(300);
    await gone(pool, await restart(pool));
  }
  going = false;
  for (const count of await Promise.all(counts)) assert.ok(count > 10);
  await pool.stop();
});

test("who can not go along stays until it leaves; passwords that were only proved are known to the new one", { timeout: 60000 * patience }, async () => {
  const { certificate, key } = makeCertificate(postgres.dir, "restart", "localhost");
  const verifier = postgres.sql("select rolpassword from pg_authid where rolname = 'scram_user'");
  const pool = await startPool(
    `auth = "scram-sha-256"\n[tls]\nmode = "allow"\ncertificate_file = "${certificate}"\nkey_file = "${key}"\n` +
      `[[users]]\nname = "scram_user"\npassword = "${verifier}"\n${database(postgres)}`,
  );
  const psql = (...args) =>
    spawnSync("psql", ["-XAtq", ...args], { encoding: "utf8", timeout: 20000 * patience, env: { ...process.env, PGPASSWORD: "scram secret" } });
  const { default: pg } = await import("pg");
  const base = { host: "127.0.0.1", port: pool.port, user: "scram_user", database: "postgres", password: "scram secret" };
  const ssl = { rejectUnauthorized: false };
  const [plain, encrypted, older, listener] = [{}, { ssl }, { ssl: { ...ssl, maxVersion: "TLSv1.2" } }, {}].map((of) => new pg.Client({ ...base, ...of }));
  for (const client of [plain, encrypted, older, listener]) await client.connect();
  assert.equal((await encrypted.query("select length($1) as n", ["x".repeat(100000)])).rows[0].n, 100000);
  const heard = [];
  listener.on("notification", ({ payload }) => heard.push(payload));
  await listener.query("listen news");
  const old = await restart(pool);
  await sleep(500);
  // The new process has never seen the password, and logs in to the database for the client that came over.
  assert.equal((await plain.query("select 1 as one")).rows[0].one, 1);
  assert.equal((await encrypted.query("select 2 as two")).rows[0].two, 2);
  assert.equal((await older.query("select 2 as two")).rows[0].two, 2);
  await plain.query("notify news, 'heard'");
  await eventually(() => assert.deepEqual(heard, ["heard"]));
  assert.ok(pids(pool).includes(old));
  await older.end(); // TLS 1.2
  await listener.end();
  await gone(pool, old);
  const text = (await encrypted.query("select repeat('y', 1000000) as text")).rows[0].text;
  assert.equal(text, "y".repeat(1000000));
  await gone(pool, await restart(pool));
  assert.equal((await encrypted.query("select length($1) as n", ["x".repeat(100000)])).rows[0].n, 100000);
  await encrypted.end();
  assert.equal(psql(`postgres://scram_user@127.0.0.1:${pool.port}/postgres?sslmode=disable`, "-c", "select 3").stdout, "3\n");
  await plain.end();
  await pool.stop();
});

test("what a login proves that ends after the new process has come is known to that, too", { timeout: 60000 * patience }, async () => {
  const verifier = postgres.sql("select rolpassword from pg_authid where rolname = 'scram_user'");
  const pool = await startPool(`[[users]]\nname = "scram_user"\npassword = "${verifier}"\n${database(postgres)}`);
  const { default: pg } = await import("pg");
  let old;
  const password = async () => {
    old = await restart(pool);
    return "scram secret";
  };
  const client = new pg.Client({ host: "127.0.0.1", port: pool.port, user: "scram_user", database: "postgres", password });
  await client.connect();
  await gone(pool, old);
  assert.deepEqual((await client.query("select 1 as one")).rows, [{ one: 1 }]);
  await client.end();
  await pool.stop();
});

test("who goes along late brings what it has proved, though the new process has forgotten it, or there is a new plan", { timeout: 60000 * patience }, async () => {
  const verifier = postgres.sql("select rolpassword from pg_authid where rolname = 'scram_user'");
  const toml = (host) => `admin_users = ["scram_user"]\npool_idle_timeout = "1s"\n[[users]]\nname = "scram_user"\npassword = "${verifier}"\n${database(postgres).replace("127.0.0.1", host)}`;
  const pool = await startPool(toml("127.0.0.1"));
  const { default: pg } = await import("pg");
  const login = async (database) => {
    const client = new pg.Client({ host: "127.0.0.1", port: pool.port, user: "scram_user", database, password: "scram secret" });
    await client.connect();
    return client;
  };
  const [admin, first, second] = [await login("pgbouncer"), await login("postgres"), await login("postgres")];
  for (const client of [first, second]) await client.query("begin");
  const old = await restart(pool);
  await pool.weir.waitFor("cleaning up idle pool");
  await first.query("commit");
  assert.deepEqual((await first.query("select 1 as one")).rows, [{ one: 1 }]);
  await first.end();
  pool.write(toml("localhost"));
  pool.weir.process.kill("SIGHUP");
  await eventually(async () => assert.ok((await admin.query("show databases")).rows.some(({ host }) => host === "localhost")));
  await admin.end();
  const next = await login("pgbouncer");
  await eventually(async () => assert.deepEqual((await next.query("show pools")).rows.filter(({ database }) => database === "postgres"), []));
  await next.end();
  await second.query("commit");
  await gone(pool, old);
  assert.deepEqual((await second.query("select 2 as two")).rows, [{ two: 2 }]);
  await second.end();
  await pool.stop();
});

test("who goes along late does not bring back an old password", { timeout: 60000 * patience }, async () => {
  const pool = await startPool(`auth_user = "postgres"\nadmin_users = ["postgres"]\n[[users]]\nname = "postgres"\npassword = "admin secret"\n${database(postgres)}`);
  const { default: pg } = await import("pg");
  const login = async (password, { user = "scram_user", database = "postgres" } = {}) => {
    const client = new pg.Client({ host: "127.0.0.1", port: pool.port, user, database, password });
    await client.connect();
    return client;
  };
  const late = await login("scram secret");
  await late.query("begin");
  const old = await restart(pool);
  postgres.sql("alter role scram_user password 'another'");
  const client = await login("another");
  assert.deepEqual((await client.query("select 1 as one")).rows, [{ one: 1 }]);
  await late.query("commit");
  await gone(pool, old);
  const admin = await login("admin secret", { user: "postgres", database: "pgbouncer" });
  await admin.query("reconnect");
  for (const each of [late, client]) {
    assert.deepEqual((await each.query("select 2 as two")).rows, [{ two: 2 }]);
    await each.end();
  }
  await admin.end();
  postgres.sql("alter role scram_user password 'scram secret'");
  await pool.stop();
});

test("a query whose client leaves it to the old process is cancelled before that ends", { timeout: 60000 * patience }, async () => {
  const relay = await startRelay(postgres);
  const pool = await startPool(`auth = "any"\n${database(relay).replace('"disable"', '"require"')}`);
  const wire = await Wire.login(pool.port);
  const sleepers = (count) => eventually(() => assert.equal(postgres.sql("select count(*) from pg_stat_activity where wait_event = 'PgSleep'"), count));
  wire.send(query("select pg_sleep(300)"));
  await sleepers("1");
  const old = await restart(pool);
  await arrived(pool, 1);
  relay.opens = () => sleep(500); // far away
  wire.socket.destroy();
  await sleepers("0");
  await gone(pool, old);
  await pool.stop();
});

test("what auth_query has said of a user logs in to the database after it, too", { timeout: 60000 * patience }, async () => {
  postgres.sql("create role asker login superuser password 'asker secret'");
  const pool = await startPool(`auth = "md5"\nauth_user = "asker"\n[[users]]\nname = "asker"\npassword = "asker secret"\n${database(postgres)}`);
  const { default: pg } = await import("pg");
  const client = new pg.Client({ host: "127.0.0.1", port: pool.port, user: "md5_user", database: "postgres", password: "md5 secret" });
  await client.connect();
  await gone(pool, await restart(pool));
  assert.deepEqual((await client.query("select 1 as one")).rows, [{ one: 1 }]);
  await client.end();
  await pool.stop();
});

test("what is paused or disabled stays it, and who waits for the end of a pause goes along", { timeout: 60000 * patience }, async () => {
  const { certificate, key } = makeCertificate(postgres.dir, "paused", "localhost");
  const pool = await startPool(
    `auth = "any"\nadmin_users = ["postgres"]\npool_size = 2\n[tls]\nmode = "allow"\ncertificate_file = "${certificate}"\nkey_file = "${key}"\n` +
      `${database(postgres, 'database = "postgres"', "one")}${database(postgres, 'database = "postgres"', "two")}`,
  );
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  const [waits, other] = [await Wire.login(pool.port, { database: "one" }), await Wire.login(pool.port, { database: "two" })];
  const encrypted = await Wire.openTls(pool.port, { ALPNProtocols: ["postgresql"] });
  encrypted.send(startup({ user: "postgres", database: "one" }));
  await encrypted.until("Z");
  await admin.rows("pause one");
  await admin.rows("disable two");
  waits.send(query("select 'at last'"));
  encrypted.send(query("select 'at last, and nobody else has read it'"));
  await sleep(200);
  const old = await restart(pool);
  admin.close();
  await gone(pool, old);
  const next = await eventually(() => Wire.login(pool.port, { database: "pgbouncer" }));
  assert.deepEqual(await other.rows("select 'there already'"), [["there already"]]);
  const refused = await Wire.open(pool.port);
  refused.send(startup({ user: "postgres", database: "two" }));
  assert.equal(errorOf(await refused.until("E")).C, "57P03");
  assert.equal(waits.messages.length, 0);
  await next.rows("resume one");
  assert.equal(errorOf(await waits.until("Z")), undefined);
  assert.match((await encrypted.until("Z")).find(({ type }) => type === "D").body.toString(), /nobody else/);
  await pool.stop();
});

test("who is too large to go along waits in the old process, no longer than it may", { timeout: 60000 * patience }, async () => {
  const pool = await startPool(`auth = "any"\nadmin_users = ["postgres"]\nquery_wait_timeout = "2s"\n${database(postgres)}`);
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  const [prepared, asks] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  prepared.send(parse("large", `select '${"x".repeat(20000)}'`), sync());
  await prepared.until("Z");
  await admin.rows("pause");
  prepared.send(query("select 1"));
  asks.send(query(`select '${"x".repeat(20000)}'`));
  await eventually(async () => assert.equal((await admin.rows("show clients")).filter((row) => row.includes("waiting")).length, 2));
  const old = await restart(pool);
  for (const wire of [prepared, asks]) assert.equal(errorOf(await wire.until("Z")).C, "57P03");
  assert.ok(pids(pool).includes(old));
  prepared.close();
  await pool.stop();
});

test("of two restarts in a row the second reaches who stayed after the first", { timeout: 60000 * patience }, async () => {
  const pool = await startPool(`auth = "any"\n${database(postgres)}`);
  const amid = [await Wire.login(pool.port), await Wire.login(pool.port)];
  for (const wire of amid) await wire.rows("begin");
  const first = await restart(pool);
  await arrived(pool, 1);
  const second = pids(pool).find((pid) => pid !== first);
  await restart(pool);
  await arrived(pool, 2);
  const pid = (await amid[0].rows("select pg_backend_pid()"))[0][0];
  amid[0].send(query("select pg_sleep(20)"));
  await eventually(() => assert.equal(postgres.sql(`select count(*) from pg_stat_activity where pid = ${pid} and wait_event = 'PgSleep'`), "1"));
  await Wire.cancel(pool.port, amid[0].key);
  assert.equal(errorOf(await amid[0].until("Z")).C, "57014");
  for (const wire of amid) await wire.rows("rollback");
  await gone(pool, first);
  await gone(pool, second);
  for (const wire of amid) assert.deepEqual(await wire.rows("select 'went along'"), [["went along"]]);
  await pool.stop();
});

test("what an administrator says holds in the processes of before, too, whichever hears it", { timeout: 60000 * patience }, async () => {
  const pool = await startPool(`auth = "any"\nadmin_users = ["postgres"]\n${database(postgres)}`);
  const first = await Wire.login(pool.port, { database: "pgbouncer" });
  const [stays, amid] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  await stays.rows("listen news");
  await amid.rows("begin");
  for (const generation of [1, 2]) {
    await restart(pool);
    await arrived(pool, generation);
  }
  const last = await Wire.login(pool.port, { database: "pgbouncer" });
  const state = async (admin) => (await admin.rows("show state")).find(([key]) => key === "paused")[1];
  // From the last to the first: PAUSE waits for the transaction there.
  last.send(query("pause"));
  await eventually(async () => assert.equal(await state(first), "yes"));
  await sleep(500);
  assert.equal(last.messages.length, 0);
  await amid.rows("commit");
  assert.equal(errorOf(await last.until("Z")), undefined);
  stays.send(query("select 'goes on'"));
  await last.rows("resume");
  assert.match((await stays.until("Z")).find(({ type }) => type === "D").body.toString(), /goes on/);
  // And from the first to the last.
  await first.rows("pause");
  assert.equal(await state(last), "yes"); // PAUSE has waited for it
  await first.rows("resume");
  await eventually(async () => assert.equal(await state(last), "no"));
  assert.deepEqual(await amid.rows("select 1"), [["1"]]);
  await first.rows("disable postgres");
  await eventually(async () => {
    const wire = await Wire.open(pool.port);
    wire.send(startup({ user: "postgres", database: "postgres" }));
    assert.equal(errorOf(await wire.wait((messages) => messages.some(({ type }) => type === "E" || type === "Z")))?.C, "57P03");
    wire.close();
  });
  await first.rows("enable postgres");
  await last.rows("kill postgres");
  assert.equal(errorOf(await stays.until("E")).C, "57P01");
  await pool.stop();
});

test("SET, WAIT_CLOSE and KILL_CLIENT reach the processes of before and after, and SHOW says what those have", { timeout: 60000 * patience }, async () => {
  const pool = await startPool(`auth = "any"\nadmin_users = ["postgres"]\n${database(postgres)}`);
  const first = await Wire.login(pool.port, { database: "pgbouncer" });
  const [stays, amid] = [await Wire.login(pool.port, { application_name: "stays" }), await Wire.login(pool.port)];
  await stays.rows("listen news");
  await amid.rows("begin");
  for (const generation of [1, 2]) {
    await restart(pool);
    await arrived(pool, generation);
  }
  const last = await Wire.login(pool.port, { database: "pgbouncer" });
  const noticed = (replies) => replies.filter(({ type }) => type === "N").map(({ body }) => errorFields(body).M).join();
  const others = async (admin) => noticed(await admin.query("show clients")).match(/(\d+) clients and (\d+) connections more/)?.slice(1);
  // Of the first process: its console and the two clients, one connection that is lent, one that listens, and any that idle.
  await eventually(async () => {
    const [clients, connections] = await others(last);
    assert.deepEqual([clients, connections >= 2], ["3", true]);
  });
  await eventually(async () => assert.equal((await others(first))[0], "1"));
  const config = async (admin, name) => (await admin.rows("show config")).find(([key]) => key === name)[1];
  await last.rows("set server_reset_query = 'select ''a b'''");
  await eventually(async () => assert.equal(await config(first, "server_reset_query"), "select 'a b'"));
  await first.rows("set query_wait_timeout = 77");
  await eventually(async () => assert.equal(await config(last, "query_wait_timeout"), "77"));
  await last.rows("set server_reset_query = 'discard all'");
  // WAIT_CLOSE waits for the connection of the transaction there.
  await last.rows("reconnect");
  last.send(query("wait_close"));
  await sleep(300);
  assert.equal(last.messages.length, 0);
  await amid.rows("commit");
  assert.equal(errorOf(await last.until("Z")), undefined);
  // An id is one client's, in whichever process.
  const clients = async (admin) => (await admin.rows("show clients")).map((row) => ({ database: row[2], name: row[18], id: row[20] }));
  const [old, now] = [await clients(first), await clients(last)];
  assert.deepEqual(now.filter(({ id }) => old.some((other) => other.id === id)), []);
  assert.match(noticed(await last.query(`kill_client ${old.find(({ name }) => name === "stays").id}`)), /another process of the pool/);
  assert.equal(errorOf(await stays.until("E")).C, "57P01");
  assert.equal(errorOf(await last.query(`kill_client ${Number(now[0].id) + 1000}`)).M, "client not found");
  await first.rows(`kill_client ${now.find((client) => client.database === "postgres").id}`); // it went along
  assert.equal(errorOf(await amid.until("E")).C, "57P01");
  await pool.stop();
});

test("a process in the middle that has nobody left ends, and those beside it go on with each other", { timeout: 90000 * patience }, async () => {
  const pool = await startPool(`auth = "any"\nadmin_users = ["postgres"]\n${database(postgres)}`);
  const [stays, amid] = [await loginWithKey(pool), await Wire.login(pool.port)];
  await stays.wire.rows("listen news");
  await amid.rows("begin");
  const first = pids(pool)[0];
  for (let generation = 1; generation <= 10; generation++) { // more than there may be with clients
    await restart(pool);
    await arrived(pool, generation);
    await eventually(() => assert.ok(pids(pool).length <= 2, `${pids(pool)}`));
  }
  assert.ok(pids(pool).includes(first));
  stays.wire.send(query("select pg_sleep(20)"));
  await eventually(() => assert.equal(postgres.sql("select count(*) from pg_stat_activity where wait_event = 'PgSleep'"), "1"));
  cancel(pool, stays.key);
  assert.equal(errorOf(await stays.wire.until("Z")).C, "57014");
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  admin.send(query("pause"));
  await sleep(300);
  assert.equal(admin.messages.length, 0, "it waits for the transaction there");
  await amid.rows("commit");
  assert.equal(errorOf(await admin.until("Z")), undefined);
  stays.wire.send(query("select 'goes on'"));
  await admin.rows("resume");
  assert.equal(errorOf(await stays.wire.until("Z")), undefined);
  assert.deepEqual(await amid.rows("select 'went along'"), [["went along"]]);
  stays.wire.close();
  await gone(pool, first);
  await pool.stop();
});

test("… and the older one learns what the newer one has", { timeout: 60000 * patience }, async () => {
  const { pool, admin, first } = await restartedOnce();
  const amid = await Wire.login(pool.port);
  await amid.rows("begin");
  const middle = pids(pool).find((pid) => pid !== first);
  await restart(pool);
  await arrived(pool, 2);
  const newest = pids(pool).find((pid) => pid !== first && pid !== middle);
  process.kill(Number(newest), "SIGSTOP");
  try {
    admin.send(query("pause"));
    amid.close();
    await sleep(500); // the one in the middle says that nothing was heard of the newest, and leaves
  } finally {
    process.kill(Number(newest), "SIGCONT");
  }
  assert.equal(errorOf(await admin.until("Z")), undefined);
  await gone(pool, middle);
  await pool.stop();
});

test("… it ends, too, when the newest has crashed", { timeout: 60000 * patience }, async () => {
  const pool = await startPool(`auth = "any"\n${database(postgres)}`);
  const stays = [];
  for (const generation of [1, 2]) {
    stays.push(await Wire.login(pool.port));
    await stays.at(-1).rows("listen news");
    await restart(pool);
    await arrived(pool, generation);
  }
  const [first, middle, newest] = pids(pool);
  process.kill(Number(newest), "SIGKILL");
  await gone(pool, newest);
  stays[1].close();
  await gone(pool, middle);
  assert.deepEqual(await stays[0].rows("select 'goes on'"), [["goes on"]]);
  assert.ok(pids(pool).includes(first));
  await pool.stop();
});

test("a process that is started again after a crash has numbers and ids of its own", { timeout: 60000 * patience }, async () => {
  const { pool, admin, first: old } = await restartedOnce();
  process.kill(Number(pids(pool).find((pid) => pid !== old)), "SIGKILL");
  await arrived(pool, 2);
  const next = await Wire.login(pool.port, { database: "pgbouncer" });
  const ids = async (console) => (await console.rows("show clients")).map((row) => row[20]);
  const ofOld = await ids(admin);
  assert.deepEqual((await ids(next)).filter((id) => ofOld.includes(id)), []);
  await restart(pool);
  await arrived(pool, 3);
  await pool.stop();
});

test("a new configuration is for who stayed in an old process, too", { timeout: 60000 * patience }, async () => {
  const toml = (names) => `auth = "any"\nadmin_users = ["postgres"]\n${names.map((name) => database(postgres, 'database = "postgres"', name)).join("")}`;
  const pool = await startPool(toml(["postgres", "removed"]));
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  const [stays, goes] = [await Wire.login(pool.port), await Wire.login(pool.port, { database: "removed" })];
  for (const wire of [stays, goes]) await wire.rows("listen news");
  await restart(pool);
  await arrived(pool, 1);
  pool.write(toml(["postgres"]));
  await admin.rows("reload"); // on the old one's console
  assert.equal(errorOf(await goes.until("E")).C, "57P01");
  pool.write("listen = 1\n");
  assert.equal(errorOf(await admin.query("reload")).C, "F0000");
  assert.deepEqual(await stays.rows("select 1"), [["1"]]);
  assert.deepEqual(await (await Wire.login(pool.port)).rows("select 2"), [["2"]]);
  await stays.rows("notify news");
  await pool.stop();
});

test("… also one that is loaded while the newest process is down", { timeout: 60000 * patience }, async () => {
  const toml = (names) => `auth = "any"\n${names.map((name) => database(postgres, 'database = "postgres"', name)).join("")}`;
  const pool = await startPool(toml(["postgres", "removed"]));
  const wire = await Wire.login(pool.port, { database: "removed" });
  await wire.rows("listen news");
  const old = await restart(pool);
  await arrived(pool, 1);
  for (let i = 0; i < 4; i++) { // each time it is started later
    const newest = await eventually(() => {
      const [pid] = pids(pool).filter((pid) => pid !== old);
      assert.ok(pid);
      return pid;
    });
    process.kill(Number(newest), "SIGKILL");
    await gone(pool, newest);
  }
  pool.write(toml(["postgres"]));
  pool.weir.process.kill("SIGHUP");
  assert.equal(errorOf(await wire.until("E")).C, "57P01");
  await pool.stop();
});

test("a program that keeps sessions in another way: those that would go along are told so, the others stay", { timeout: 60000 * patience, skip: !existsSync(anotherFormat) && "it is beside a weir that was built here" }, async () => {
  const { certificate, key } = makeCertificate(postgres.dir, "format", "localhost");
  const [program, next] = ["weir", "weir.next"].map((name) => join(postgres.dir, name));
  const install = (from) => {
    copyFileSync(from, next);
    renameSync(next, program);
  };
  install(weirPath);
  const pool = await startPool(`auth = "any"\n[tls]\nmode = "allow"\ncertificate_file = "${certificate}"\nkey_file = "${key}"\n${database(postgres)}`, { program });
  for (const [generation, from] of [[1, anotherFormat], [2, weirPath]]) {
    const [plain, stays] = [await Wire.login(pool.port), await Wire.login(pool.port)];
    const encrypted = await Wire.openTls(pool.port, { ALPNProtocols: ["postgresql"] });
    encrypted.send(startup({ user: "postgres", database: "postgres" }));
    await encrypted.until("Z");
    await stays.rows("listen news");
    install(from);
    await restart(pool);
    const error = errorOf(await plain.until("E"));
    assert.deepEqual([error.C, error.M, error.H], ["57P01", "the pool was restarted as another version, which can not take this session over", "Connect again."]);
    await encrypted.wait(() => encrypted.ended);
    assert.equal(encrypted.messages.length, 0, "which nobody could read");
    await arrived(pool, generation);
    assert.deepEqual(await stays.rows("select 'stays'"), [["stays"]]);
    stays.close();
  }
  await pool.stop();
});

test("RESUME for all ends every pause", async () => {
  const pool = await startPool(`auth = "any"\nadmin_users = ["postgres"]\n${database(postgres)}`);
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  await admin.rows("pause nobody_has_used_it_yet");
  await admin.rows("pause");
  await admin.rows("resume");
  const wire = await Wire.open(pool.port);
  wire.send(startup({ user: "postgres", database: "postgres" }));
  await wire.until("Z");
  assert.deepEqual(await wire.rows("select 1"), [["1"]]);
  assert.ok((await admin.rows("show databases")).every((row) => row[15] === "0"));
  await pool.stop();
});
