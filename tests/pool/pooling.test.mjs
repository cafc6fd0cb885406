// SPDX-License-Identifier: Apache-2.0
// Many clients on few connections: who gets one, what is told to those who do not, and that no session shows in another.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";

import { Wire, bind, close, copyData, database, describe, errorOf, eventually, execute, flush, makeCertificate, message, parse, patience, query, sanitized, show, sleep, startPool, startPostgres, startup, sync, table, terminate } from "./lib.mjs";

let postgres;
before(async () => {
  postgres = await startPostgres();
  postgres.sql("create table t (id int primary key, v text); create role kept");
});

const open = (extra, of = "") => startPool(`auth = "any"\nadmin_users = ["postgres"]\n${extra}\n${database(postgres, of)}`);
const backends = (where = "true") => Number(postgres.sql(`select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and ${where}`));
const values = (rows) => rows.map(([value]) => value);

test("twenty clients share two connections", async () => {
  const pool = await open("pool_size = 2");
  const clients = await Promise.all(Array.from({ length: 20 }, () => Wire.login(pool.port)));
  const pids = new Set();
  for (let round = 0; round < 5; round++)
    for (const rows of await Promise.all(clients.map((client) => client.rows("select pg_backend_pid(), pg_sleep(0.002)")))) pids.add(rows[0][0]);
  assert.equal(pids.size, 2);
  assert.equal(backends(), 2);
  await pool.stop();
  await eventually(() => assert.equal(backends(), 0));
});

test("a transaction keeps its connection, and the next one may get another", async () => {
  const pool = await open("pool_size = 2");
  const [a, b] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  await a.rows("begin");
  const [[own]] = await a.rows("select pg_backend_pid()");
  for (let i = 0; i < 3; i++) assert.notEqual((await b.rows("select pg_backend_pid()"))[0][0], own);
  assert.equal((await a.rows("select pg_backend_pid()"))[0][0], own);
  await a.rows("commit");
  assert.equal((await b.rows("select pg_backend_pid()"))[0][0], own, "the connection that was used last is used next");
  await pool.stop();
});

test("of connections that idle the one that was used last is lent, or with server_round_robin each in turn", async () => {
  for (const [setting, expected] of [["", "2 2 2 2"], ["server_round_robin = true", "0 1 2 0"]]) {
    const pool = await open(`pool_size = 3\n${setting}`);
    const wires = await Promise.all([1, 2, 3].map(() => Wire.login(pool.port)));
    for (const wire of wires) await wire.rows("begin");
    const pids = [];
    for (const wire of wires) pids.push((await wire.rows("select pg_backend_pid()"))[0][0]);
    for (const wire of wires) await wire.rows("commit");
    const used = [];
    for (let i = 0; i < 4; i++) used.push(pids.indexOf((await wires[0].rows("select pg_backend_pid()"))[0][0]));
    assert.equal(used.join(" "), expected);
    await pool.stop();
  }
});

test("who waits for too long is told 57P03 with a hint, and its session goes on", async () => {
  const pool = await open('pool_size = 1\nquery_wait_timeout = "300ms"');
  const [a, b] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  await a.rows("begin");
  const error = errorOf(await b.query("select 1"));
  assert.equal(error.C, "57P03");
  assert.equal(error.S, "ERROR");
  assert.match(error.H, /pool_size/);
  b.send(parse("", "select 2"), bind("", ""), execute(), sync());
  assert.equal(errorOf(await b.until("Z")).C, "57P03");
  await a.rows("commit");
  assert.deepEqual(await b.rows("select 3"), [["3"]]);
  await pool.stop();
});

test("who waits for long is told so, once for each wait; who has logged in is greeted", async () => {
  const pool = await open('pool_size = 1\nquery_wait_notify = "1s"\nlogin_notify_message = "this is the pool"');
  const wire = await Wire.open(pool.port);
  wire.send(startup({ user: "postgres", database: "postgres" }));
  assert.deepEqual((await wire.until("Z")).slice(-2).map(show), ["N NOTICE 00000 this is the pool", "Z I"]);
  const other = await Wire.login(pool.port);
  const waited = "N NOTICE 00000 No server connection available in postgres backend, client being queued";
  for (const ask of [[query("select 1")], [parse("", "select 1"), bind(), execute(), sync()]]) {
    await other.rows("begin");
    wire.send(...ask);
    assert.deepEqual((await wire.until("N")).map(show), [waited]);
    await sleep(2200);
    await other.rows("commit");
    const replies = await wire.until("Z");
    assert.equal(errorOf(replies), undefined);
    assert.deepEqual(replies.filter(({ type }) => type === "N"), []);
  }
  // Not who does not wait for so long, and nobody on the console.
  await other.rows("begin");
  wire.send(query("select 2"));
  await sleep(300);
  await other.rows("commit");
  assert.deepEqual((await wire.until("Z")).map(({ type }) => type), ["T", "D", "C", "Z"]);
  const admin = await Wire.open(pool.port);
  admin.send(startup({ user: "postgres", database: "pgbouncer" }));
  assert.equal((await admin.until("Z")).filter(({ type }) => type === "N").length, 0);
  assert.equal((await admin.rows("show config")).find(([key]) => key === "query_wait_notify")[1], "1");
  await pool.stop();
});

test("who logs in and asks nothing waits for no connection, and has none made", async () => {
  const pool = await open('pool_size = 2\nquery_wait_timeout = "1s"');
  const a = await Wire.login(pool.port);
  await a.rows("begin");
  const b = await Wire.login(pool.port);
  await sleep(300);
  assert.equal(backends(), 1);
  await b.rows("begin");
  const late = await Wire.login(pool.port);
  await sleep(2500);
  await a.rows("commit");
  assert.deepEqual(await late.rows("select 1"), [["1"]]);
  // What came along with the login is done.
  const quick = await Wire.open(pool.port);
  quick.send(startup({ user: "postgres", database: "postgres" }), query("select 2"));
  assert.deepEqual((await quick.until("Z", 2)).slice(-4).map(({ type }) => type), ["T", "D", "C", "Z"]);
  await pool.stop();
});

test("a queue that is full answers 53300 at once", async () => {
  const pool = await open("pool_size = 1\nqueue_max = 2");
  const [a, ...others] = await Promise.all(Array.from({ length: 4 }, () => Wire.login(pool.port)));
  await a.rows("begin");
  others.slice(0, 2).forEach((client) => client.send(query("select 'waited'")));
  await sleep(100);
  assert.equal(errorOf(await others[2].query("select 1")).C, "53300");
  await a.rows("commit");
  for (const client of others.slice(0, 2)) assert.equal(errorOf(await client.until("Z")), undefined);
  await pool.stop();
});

test("too many clients are refused at login", async () => {
  const pool = await open("clients_max = 3");
  const clients = await Promise.all(Array.from({ length: 3 }, () => Wire.login(pool.port)));
  const late = await Wire.login(pool.port).catch(() => null);
  assert.ok(late.ended || late === null);
  clients[0].close();
  await eventually(async () => assert.equal((await Wire.login(pool.port)).ended, false));
  await pool.stop();
});

test("the reserve opens when somebody has waited", async () => {
  const pool = await open('pool_size = 1\npool_size_reserve = 1\nreserve_after = "200ms"');
  const [a, b] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  await a.rows("begin");
  const began = Date.now();
  assert.deepEqual(await b.rows("select 1"), [["1"]]);
  assert.ok(Date.now() - began >= 190, `after ${Date.now() - began} ms`);
  await pool.stop();
});

test("sizes: what a user has comes before what its database has, and that before the pool's; reserve and minimum likewise", async () => {
  const users = ["of_pool", "of_user", "owner"];
  postgres.sql(users.map((name) => `create role ${name} login`).join(";"));
  const plain = database(postgres, 'database = "postgres"', "plain");
  const special = database(postgres, 'database = "postgres"\npool_size = 3\npool_size_reserve = 1\npool_size_min = 1', "special");
  const owned = database(postgres, 'database = "postgres"\nuser = "owner"\npool_size_min = 3\npool_size = 4', "owned");
  const user = '[[users]]\nname = "of_user"\npool_size = 1\npool_size_reserve = 3\npool_size_min = 0\n';
  const pool = await startPool(`auth = "any"\nadmin_users = ["postgres"]\npool_size = 2\npool_size_reserve = 0\npool_size_min = 0\nreserve_after = "1ms"\n${user}${plain}${special}${owned}`);
  const of = (name) => backends(`usename = '${name}'`);
  await eventually(() => assert.equal(of("owner"), 3));
  const console = await Wire.login(pool.port, { database: "pgbouncer" });
  const waiting = async () => (await table(console, "show pools")).reduce((sum, { cl_waiting }) => sum + Number(cl_waiting), 0);
  for (const [user, name, size, least] of [["of_pool", "plain", 2, 0], ["of_pool", "special", 4, 1], ["of_user", "special", 4, 0], ["of_user", "plain", 4, 0], ["of_pool", "owned", 4, 3]]) {
    const backend = name === "owned" ? "owner" : user;
    const clients = await Promise.all(Array.from({ length: 6 }, () => Wire.login(pool.port, { user, database: name })));
    const begun = clients.map((wire) => wire.rows("begin"));
    // All but as many as there may be wait, and there is time for one more.
    await eventually(async () => assert.equal(`${of(backend)} ${await waiting()}`, `${size} ${6 - size}`, `${user} ${name}`));
    await sleep(200);
    assert.equal(`${of(backend)} ${await waiting()}`, `${size} ${6 - size}`, `${user} ${name}`);
    clients.forEach((wire) => wire.close());
    await Promise.allSettled(begun);
    await console.rows("reconnect");
    await eventually(() => assert.equal(of(backend), least, `${user} ${name}`));
  }
  await pool.stop();
});

test("more than the minimum is closed after server_idle_timeout, what was used last stays", async () => {
  const pool = await open('pool_size = 3\npool_size_min = 1\nserver_idle_timeout = "500ms"');
  const wires = await Promise.all([1, 2, 3].map(() => Wire.login(pool.port)));
  for (const wire of wires) await wire.rows("begin");
  const pids = [];
  for (const wire of wires) pids.push((await wire.rows("select pg_backend_pid()"))[0][0]);
  for (const i of [1, 2, 0]) await wires[i].rows("commit");
  await eventually(() => assert.equal(backends(), 1));
  assert.deepEqual(await wires[1].rows("select pg_backend_pid()"), [[pids[0]]]);
  await sleep(1000); // twice what closes the others
  assert.deepEqual(await wires[1].rows("select pg_backend_pid()"), [[pids[0]]]);
  await pool.stop();
});

test("the minimum is open before anybody comes, and connections have a lifetime", async () => {
  const pool = await open('pool_size_min = 2\nserver_lifetime = "500ms"', 'user = "postgres"').then(async (started) => {
    started.write(`auth = "any"\npool_size_min = 2\nserver_lifetime = "500ms"\n${database(postgres, 'user = "postgres"', "postgres")}`);
    started.weir.process.kill("SIGHUP");
    return started;
  });
  await eventually(() => assert.equal(backends(), 2));
  const first = postgres.sql("select string_agg(pid::text, ',' order by pid) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()");
  await eventually(() => {
    const now = postgres.sql("select string_agg(pid::text, ',' order by pid) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()");
    assert.notEqual(now, first);
    assert.equal(now.split(",").length, 2);
  });
  await pool.stop();
});

test("connections of one age do not end together", async () => {
  const pool = await open('pool_size = 20\nserver_lifetime = "4s"\nlog_disconnections = true');
  const clients = await Promise.all(Array.from({ length: 20 }, () => Wire.login(pool.port)));
  await Promise.all(clients.map((wire) => wire.rows("select pg_sleep(0.5)")));
  const ages = () => [...pool.weir.output.matchAll(/server_lifetime is over \(age=(\d+)s\)/g)].map(([, age]) => Number(age));
  await eventually(() => assert.equal(ages().length, 20));
  assert.ok(Math.min(...ages()) === 3, `${ages()} seconds`); // all would have 4
  await pool.stop();
});

test("with a lifetime of 0 a connection is used once", async () => {
  const pool = await open('pool_mode = "session"\npool_size = 2\nserver_lifetime = "0s"');
  const pids = [];
  for (let i = 0; i < 3; i++) {
    const wire = await Wire.login(pool.port);
    const [[pid]] = await wire.rows("select pg_backend_pid()");
    assert.deepEqual(await wire.rows("select pg_backend_pid()"), [[pid]]); // the session keeps it
    pids.push(pid);
    wire.close();
  }
  assert.equal(new Set(pids).size, 3);
  await eventually(() => assert.equal(backends(), 0));
  await pool.stop();
});

test("nothing of a session shows in another's", async () => {
  const pool = await open("pool_size = 1");
  const secrets = {
    "set search_path to pg_catalog, secret_path": ["show search_path", /secret_path/],
    "select set_config('app.tenant', 'secret tenant', false)": ["select current_setting('app.tenant', true)", /secret/],
    "create temp table secret_table as select 1": ["select count(*) from pg_class where relname = 'secret_table'", /[^0]/],
    "prepare secret_statement as select 'secret'": ["select count(*) from pg_prepared_statements where name = 'secret_statement'", /[^0]/],
    "listen secret_channel": ["select string_agg(c, ',') from pg_listening_channels() c", /secret/],
    "select pg_advisory_lock(77)": ["select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()", /[^0]/],
    "declare secret_cursor cursor with hold for select 1": ["select count(*) from pg_cursors where name = 'secret_cursor'", /[^0]/],
    "set timezone = 'Asia/Tokyo'": ["show timezone", /Tokyo/],
    "set session authorization scram_user": ["select session_user", /scram/],
    "set role scram_user": ["select current_user", /scram/],
  };
  for (const [leave, [look, found]] of Object.entries(secrets)) {
    const one = await Wire.login(pool.port);
    await one.rows(leave);
    one.send(message("X"));
    one.close();
    const other = await Wire.login(pool.port);
    const seen = String((await other.rows(look))[0]?.[0]);
    assert.doesNotMatch(seen, found, leave);
    other.close();
  }
  // A transaction that its client left open.
  const lost = await Wire.login(pool.port);
  await lost.rows("begin");
  await lost.rows("insert into t values (1, 'half')");
  lost.close();
  const other = await Wire.login(pool.port);
  assert.deepEqual(await other.rows("select count(*) from t"), [["0"]]);
  // The unnamed statement of another.
  const mine = await Wire.login(pool.port);
  mine.send(parse("", "select 'mine'"), sync());
  await mine.until("Z");
  other.send(bind("", ""), execute(), sync());
  assert.equal(errorOf(await other.until("Z")).C, "26000");
  // Statements of others, in the view of what is prepared: a client sees its own, those that its connection has not, too.
  for (const [wire, name] of [[mine, "my"], [other, "their"]]) {
    wire.send(parse(name, `select '${name} secret'`), sync());
    await wire.until("Z");
  }
  const look = "select statement from pg_prepared_statements";
  for (const [wire, name] of [[mine, "my"], [other, "their"], [mine, "my"]]) {
    assert.deepEqual(await wire.rows(look), [[`select '${name} secret'`]]);
    wire.send(parse("", look), bind("", ""), execute(), sync());
    const [row, ...more] = (await wire.until("Z")).filter(({ type }) => type === "D").map(({ body }) => body.toString("utf8", 6));
    assert.equal(row, `select '${name} secret'`);
    assert.equal(more.length, 0);
    wire.send(bind("", name), execute(), sync());
    assert.equal(errorOf(await wire.until("Z")), undefined);
  }
  // A name of ours that a client guesses.
  other.send(bind("", "weir_1"), execute(), sync());
  assert.equal(errorOf(await other.until("Z")).C, "26000");
  await pool.stop();
});

test("session state: pinned, refused or let through", async () => {
  for (const [policy, check] of [
    ["pin", async (a, b) => {
      await a.rows("select set_config('statement_timeout', '12345', false)");
      const [[own]] = await a.rows("select pg_backend_pid()");
      for (let i = 0; i < 3; i++) assert.notEqual((await b.rows("select pg_backend_pid()"))[0][0], own);
      assert.deepEqual(await a.rows("show statement_timeout"), [["12345ms"]]);
      await a.rows("discard all");
      assert.equal((await b.rows("select pg_backend_pid()"))[0][0], own, "DISCARD ALL gives it back");
      assert.deepEqual(await b.rows("show statement_timeout"), [["0"]]);
    }],
    ["error", async (a) => {
      const error = errorOf(await a.query("select set_config('statement_timeout', '12345', false)"));
      assert.equal(error.C, "0A000");
      assert.match(error.H, /pool_mode of session/);
      await a.rows("begin");
      await a.rows("set local statement_timeout = 12345");
      assert.deepEqual(await a.rows("select set_config('app.x', 'y', true)"), [["y"]]);
      a.send(parse("l", "listen x"), bind("", "l"), execute(), sync());
      assert.equal(errorOf(await a.until("Z")).C, "0A000");
      assert.equal(errorOf(await a.query("select 1")).C, "25P02", "the transaction has failed, as by any error");
      await a.rows("rollback");
    }],
    ["allow", async (a) => {
      await a.rows("set statement_timeout = 12345");
    }],
  ]) {
    const pool = await open(`pool_size = 2\nsession_state = "${policy}"`);
    const [a, b] = [await Wire.login(pool.port), await Wire.login(pool.port)];
    await check(a, b);
    await pool.stop();
  }
});

// What leaves state behind, what shows whether it is there, and what that says then.
for (const [what, leave, probe, there] of [
  ["a parameter that a function sets", "select set_config('app.x', 'left', false)", "select current_setting('app.x', true)", "left"],
  ["a parameter among other statements", "select 1; set statement_timeout = 12345", "show statement_timeout", "12345ms"],
  ["a role", "set role kept", "select current_user", "kept"],
  ["a statement of SQL", "prepare kept as select 'left'", "execute kept", "left"],
  ["a temporary table", "create temp table kept as select 'left' as v", "select v from kept", "left"],
  ["a cursor that is held", "declare kept scroll cursor with hold for select 'left'", "fetch absolute 1 kept", "left"],
  ["a lock of the session", "select pg_advisory_lock(7)", "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()", "1"],
])
  test(`session_state: ${what} is its session's alone, or refused, or anybody's`, async () => {
    const seen = async (wire) => wire.rows(probe).then(([row]) => row?.[0], (error) => error.code);
    for (const policy of ["pin", "error", "allow"]) {
      const pool = await open(`pool_size = ${policy === "pin" ? 2 : 1}\nsession_state = "${policy}"`);
      const [a, b] = [await Wire.login(pool.port), await Wire.login(pool.port)];
      const error = errorOf(await a.query(leave));
      assert.equal(error?.C, policy === "error" ? "0A000" : undefined, policy);
      if (error) assert.match(error.H, /session_state|pool_mode of session/);
      for (let i = 0; i < 2; i++) {
        assert.equal((await seen(a)) === there, policy !== "error", `${policy}, to itself`);
        assert.equal((await seen(b)) === there, policy === "allow", `${policy}, to another`);
      }
      // Who gives it back leaves nothing; what was let through stays until somebody takes it away.
      if (policy === "pin") await a.rows("discard all");
      a.close();
      for (let i = 0; i < 2; i++) assert.equal((await seen(b)) === there, policy === "allow", `${policy}, at last`);
      await pool.stop();
    }
  });

// SET and RESET of one parameter, by both protocols.
let serial = 0;
const ways = {
  simple: (wire, sql) => wire.rows(sql),
  extended: async (wire, sql) => {
    wire.send(parse("", sql), bind(), execute(), sync());
    assert.equal(errorOf(await wire.until("Z")), undefined, sql);
  },
  named: async (wire, sql) => {
    const name = `s${serial++}`;
    wire.send(parse(name, sql), sync(), bind("", name), execute(), sync());
    assert.equal(errorOf(await wire.until("Z", 2)), undefined, sql);
  },
};
const lonely = (extra = "") => open(`pool_size = 1\nquery_wait_timeout = "1s"\n${extra}`);

test("what a session sets goes with it, and pins it no more", async () => {
  const texts = [
    ["client_min_messages", "SET client_min_messages TO warning"], ["work_mem", "set session work_mem = '5MB';"], ["statement_timeout", "SET statement_timeout TO 4000"],
    ["app.tenant", "SET app.tenant = '42'"], ["session.user_id", "set session.user_id = 'it''s'"], ["random_page_cost", "set random_page_cost = 1.5"],
    ["search_path", "set search_path to '$user'"], ["search_path", "SET search_path = \"Odd \"\"one\"\"\""], ["search_path", "set search_path = 'a, b'"], ["search_path", "set search_path to Plain"],
    ["search_path", "set search_path to a, \"B \"\"c\", '$user' ,Public"], ["search_path", "set session search_path = 'a, b', 'C'"],
    ["transform_null_equals", "set transform_null_equals to ON"], ["default_transaction_read_only", "set default_transaction_read_only = true"], ["extra_float_digits", "set extra_float_digits = -3"],
  ];
  for (const [way, set] of Object.entries(ways)) {
    const pool = await lonely(way === "simple" ? 'session_state = "error"' : "");
    const direct = await Wire.login(postgres.port);
    for (const [name, sql] of texts) {
      const [a, b] = [await Wire.login(pool.port), await Wire.login(pool.port)];
      const show = `select current_setting('${name}', true)`;
      await set(a, sql);
      await direct.rows(sql);
      const is = await direct.rows(show), was = (await b.rows(show))[0][0] || null;
      await direct.rows("discard all");
      for (let i = 0; i < 3; i++) {
        assert.deepEqual(await a.rows(show), is, `${way}: ${sql}`);
        assert.equal((await b.rows(show))[0][0] || null, was, `${way}: ${sql}`);
      }
      assert.notEqual(is[0][0], was);
      await set(a, `reset ${name}`);
      for (const wire of [b, a]) assert.equal((await wire.rows(show))[0][0] || null, was, `${way}: reset ${name}`);
      for (const reset of ["reset all", "discard all", `set ${name} to default`]) {
        await set(a, sql);
        await b.rows("select 1");
        assert.deepEqual(await a.rows(show), is, `${way}: ${sql} again`);
        await set(a, reset);
        for (const wire of [b, a]) assert.equal((await wire.rows(show))[0][0] || null, was, `${way}: ${reset}`);
      }
      for (const wire of [a, b]) wire.close();
    }
    await pool.stop();
  }
});

test("what a session sets is there for what follows in the same write, and before what it began with", async () => {
  const pool = await lonely();
  const [a, b] = [await Wire.login(pool.port, { options: "-c work_mem=3MB" }), await Wire.login(pool.port)];
  const shown = (replies) => replies.filter(({ type }) => type === "D").map(({ body }) => body.toString("latin1", 6));
  a.send(query("set work_mem = '5MB'"), query("show work_mem"), query("set app.x = 'y'"), query("set app.x = 'z'"), parse("", "show app.x"), bind(), execute(), sync());
  assert.deepEqual(shown(await a.until("Z", 5)), ["5MB", "z"]);
  a.send(parse("", "set app.x = 'w'"), bind(), execute(), sync(), parse("", "show app.x"), bind(), execute(), sync(), query("show work_mem"));
  assert.deepEqual(shown(await a.until("Z", 3)), ["w", "5MB"]);
  a.send(...["set app.x = 'u'", "set app.y = 'v'"].flatMap((sql) => [parse("", sql), bind(), execute(), sync()]));
  await a.until("Z", 2);
  assert.deepEqual(await b.rows("select current_setting('work_mem'), nullif(current_setting('app.x', true), '')"), [["4MB", null]]);
  assert.deepEqual(await a.rows("select current_setting('work_mem'), current_setting('app.x'), current_setting('app.y')"), [["5MB", "u", "v"]]);
  for (const sql of ["begin", "reset timezone", "commit"]) await a.rows(sql);
  await a.rows("reset work_mem");
  await b.rows("select 1");
  assert.deepEqual(await a.rows("show work_mem"), [["3MB"]]);
  await pool.stop();
});

test("a SET that may come to nothing, or whose value is not certain, pins or is refused as before", async () => {
  const many = Array.from({ length: 33 }, (_, i) => `set app.p${i} = '1'`);
  for (const texts of [["begin", "set work_mem = '5MB'", "commit"], ["set work_mem = '5MB'; select 1"], ["set search_path to a, E'b'"], ["set role postgres"], ["set session authorization postgres"],
    ["set seed = 0.5"], ["set work_mem = E'5MB'"], ["set app.x = 'é'"], ["set work_mem = '5MB'", "begin", "reset all", "rollback"], ["set work_mem = '5MB'", "reset all; select 1"],
    ["set temp_buffers = '8MB'"], [`set app.x = '${"y".repeat(2000)}'`], many]) {
    const pool = await lonely(), strict = await lonely('session_state = "error"');
    const [a, b, refused] = [await Wire.login(pool.port), await Wire.login(pool.port), await Wire.login(strict.port)];
    let codes = [];
    for (const sql of texts) {
      assert.equal(errorOf(await a.query(sql)), undefined, sql);
      codes.push(errorOf(await refused.query(sql))?.C);
    }
    assert.equal(errorOf(await b.query("select 1"))?.C, "57P03", texts[0]);
    assert.ok(codes.includes("0A000"), texts[0]);
    a.close();
    assert.deepEqual(await b.rows("select current_setting('work_mem'), nullif(current_setting('app.x', true), ''), current_setting('search_path') ~ 'a, b'"), [["4MB", null, "f"]]);
    for (const one of [pool, strict]) await one.stop();
  }
});

test("a SET whose batch fails behind it has not been; in a block that begins behind it, it pins", async () => {
  const pool = await lonely();
  const [a, b] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  const sends = (...texts) => a.send(...texts.flatMap((sql) => [parse("", sql), bind(), execute()]), sync());
  for (const texts of [["set work_mem = '5MB'", "select 1/0"], ["set work_mem = '5MB'", "selec"]]) {
    sends(...texts);
    assert.ok(errorOf(await a.until("Z")));
    for (const wire of [a, b, a]) assert.deepEqual(await wire.rows("show work_mem"), [["4MB"]]);
  }
  await a.rows("set work_mem = '6MB'");
  sends("reset work_mem", "select 1/0");
  assert.ok(errorOf(await a.until("Z")));
  assert.deepEqual(await b.rows("show work_mem"), [["4MB"]]);
  assert.deepEqual(await a.rows("show work_mem"), [["6MB"]]);
  for (const texts of [["set work_mem = '5MB'", "rollback"], ["reset work_mem", "rollback"]]) {
    sends(...texts);
    assert.equal(errorOf(await a.until("Z")), undefined);
    for (const wire of [b, a]) assert.deepEqual(await wire.rows("show work_mem"), [[wire === a ? "6MB" : "4MB"]]);
  }
  assert.equal(errorOf(await a.query("set work_mem = 'much'")).C, "22023");
  for (const wire of [b, a]) assert.deepEqual(await wire.rows("show work_mem"), [[wire === a ? "6MB" : "4MB"]]);
  sends("set work_mem = '7MB'", "begin");
  assert.equal(errorOf(await a.until("Z")), undefined);
  await a.rows("rollback");
  const [[own]] = await a.rows("show work_mem");
  assert.equal(errorOf(await b.query("select 1"))?.C, "57P03", own);
  a.close();
  assert.deepEqual(await b.rows("show work_mem"), [["4MB"]]);
  await pool.stop();
});

test("who leaves right behind its SET leaves nothing", async () => {
  const pool = await lonely();
  const b = await Wire.login(pool.port);
  for (let i = 0; i < 30; i++) {
    const a = await Wire.login(pool.port);
    const messages = i % 2 ? [query("set work_mem = '5MB'")] : [parse("", "set work_mem = '5MB'"), bind(), execute(), ...(i % 4 ? [sync()] : [])];
    a.send(...messages, ...(i % 3 ? [message("X", Buffer.alloc(0))] : []));
    if (i % 3 !== 1) await sleep(i % 5);
    a.close();
    assert.deepEqual(await b.rows("show work_mem"), [["4MB"]], `round ${i}`);
  }
  await pool.stop();
});

test("what a session has set and a server takes no more ends it, with the server's error", async () => {
  postgres.sql("create role demoted superuser login");
  const pool = await lonely();
  const [a, b] = [await Wire.login(pool.port, { user: "demoted" }), await Wire.login(pool.port, { user: "demoted" })];
  await a.rows("set log_min_duration_statement = 777777");
  assert.notDeepEqual(await b.rows("show log_min_duration_statement"), [["777777ms"]]);
  postgres.sql("alter role demoted nosuperuser");
  const { S, C, M } = errorOf(await a.query("select 1"));
  assert.deepEqual([S, C], ["FATAL", "42501"]);
  assert.match(M, /log_min_duration_statement/);
  assert.deepEqual(await b.rows("select 1"), [["1"]]);
  assert.deepEqual(await a.wait(() => a.ended), []);
  await pool.stop();
});

test("reported parameters travel with their session", async () => {
  const pool = await open("pool_size = 1");
  const [a, b] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  await a.rows("set timezone = 'Asia/Tokyo'");
  await b.rows("set datestyle = 'SQL, DMY'");
  assert.deepEqual(await b.rows("select current_setting('timezone') = 'Asia/Tokyo', current_setting('datestyle')"), [["f", "SQL, DMY"]]);
  assert.deepEqual(await a.rows("select current_setting('timezone'), current_setting('datestyle') = 'SQL, DMY'"), [["Asia/Tokyo", "f"]]);
  await pool.stop();
});

test("connections begin with the database's settings: texts, numbers and booleans", async () => {
  const pool = await open("", "settings = { statement_timeout = 4321, enable_seqscan = false, search_path = \"elsewhere\" }");
  const a = await Wire.login(pool.port);
  assert.deepEqual(await a.rows("select current_setting('statement_timeout'), current_setting('enable_seqscan'), current_setting('search_path')"), [["4321ms", "off", "elsewhere"]]);
  await pool.stop();
});

test("prepared statements: shared, closed beyond the limit", async () => {
  const pool = await open("pool_size = 1\nprepared_statements_max = 5");
  const clients = await Promise.all([Wire.login(pool.port), Wire.login(pool.port)]);
  for (const client of clients) {
    client.send(parse("same", "select 'shared'"), bind("", "same"), execute(), sync());
    assert.equal(errorOf(await client.until("Z")), undefined);
  }
  assert.deepEqual(await clients[0].rows("select count(*) from pg_prepared_statements"), [["1"]]);
  for (let i = 0; i < 20; i++) {
    clients[0].send(parse(`s${i}`, `select ${i}`), bind("", `s${i}`), execute(), sync());
    await clients[0].until("Z");
  }
  assert.deepEqual(await clients[0].rows("select count(*) from pg_prepared_statements"), [["5"]]);
  for (let i = 0; i < 20; i += 7) {
    clients[0].send(bind("", `s${i}`), execute(), sync());
    assert.ok((await clients[0].until("Z")).some(({ type, body }) => type === "D" && body.toString("latin1").endsWith(String(i))));
  }
  await pool.stop();
});

test("of prepared statements the one used longest ago is closed, whoever has used it", async () => {
  const pool = await open("pool_size = 1\nprepared_statements_max = 3");
  const [one, other] = await Promise.all([Wire.login(pool.port), Wire.login(pool.port)]);
  const use = async (wire, text, ...first) => {
    wire.send(...first, bind("", text), execute(), sync());
    assert.equal(errorOf(await wire.until("Z")), undefined, text);
  };
  const prepare = (wire, text) => use(wire, text, parse(text, text));
  // In a function, as the pool prepares all that a session has where that looks at them.
  postgres.sql("create function prepared() returns text language sql as $$select string_agg(right(statement, 1), '' order by statement) from pg_prepared_statements$$");
  const there = async () => (await one.rows("select prepared()"))[0][0];
  for (const n of [1, 2, 3]) await prepare(one, `select ${n}`);
  assert.equal(await there(), "123");
  await prepare(other, "select 1");
  await prepare(one, "select 4");
  assert.equal(await there(), "134");
  await use(one, "select 3");
  await use(other, "select 1");
  await prepare(other, "select 5");
  assert.equal(await there(), "135");
  await use(one, "select 2");
  assert.equal(await there(), "125");
  await pool.stop();
});

test("client_statements_max: one more is refused, and the session goes on", async () => {
  const pool = await open("pool_size = 1\nclient_statements_max = 3\nclient_statements_bytes_max = 1024");
  const wire = await Wire.login(pool.port);
  const prepare = async (name, sql) => {
    wire.send(parse(name, sql), sync());
    return errorOf(await wire.until("Z"))?.C;
  };
  const told = [];
  for (let i = 0; i < 4; i++) told.push(await prepare(`s${i}`, `select ${i}`));
  assert.deepEqual(told, [undefined, undefined, undefined, "53400"]);
  wire.send(close("S", "s0"), sync());
  await wire.until("Z");
  assert.equal(await prepare("long", `select '${"x".repeat(2000)}'`), "53400");
  assert.equal(await prepare("s3", "select 3"), undefined);
  wire.send(bind("", "s3"), execute(), sync());
  assert.ok((await wire.until("Z")).some(({ type }) => type === "D"));
  await pool.stop();
});

test("transaction_timeout ends a transaction that runs for longer, whatever it does then, and the session goes on", async () => {
  const limited = (wait, size) => open(`pool_size = ${size}\ntransaction_timeout = "${800 * patience}ms"\nidle_transaction_timeout = 0\ncancel_wait_timeout = "${wait * patience}s"`);
  let pool = await limited(60, 1);
  let [wire, other] = await Promise.all([Wire.login(pool.port), Wire.login(pool.port)]);
  const insert = "insert into t values (4711, 'too late')", sleeps = query("select pg_sleep(60)");
  const over = (replies) => {
    const { S, C, H } = errorOf(replies);
    assert.deepEqual([S, C, /raise transaction_timeout/.test(H)], ["ERROR", "25P04", true]);
  };
  const rolledBack = async () => assert.deepEqual(await other.rows("select count(*) from t where id = 4711"), [["0"]]);
  await eventually(() => wire.rows(`rollback; begin; ${insert}`)); // in time, that is
  await rolledBack(); // of who idles; it is told at its next statement
  over(await wire.query("select 1"));
  await wire.rows("rollback");
  for (const messages of [[query(`begin; ${insert}`), sleeps], [query(`begin; ${insert}; select pg_sleep(60)`)]]) {
    wire.send(...messages);
    over(await wire.until("Z", messages.length));
    assert.equal(errorOf(await wire.query("select 1")).C, "25P02");
    await wire.rows("rollback");
    await rolledBack();
  }
  // A statement is a transaction, and so is a batch, as long as it has no Sync.
  wire.send(sleeps);
  over(await wire.until("Z"));
  wire.send(parse("", insert), bind(), execute(), parse("", `select pg_sleep(${0.2 * patience})`), flush());
  let replies = await wire.until("1", 2);
  for (let i = 0; i < 20 && !errorOf(replies); i++) {
    wire.send(bind(), execute(), flush());
    replies = await wire.wait((all) => all.some(({ type }) => type === "C" || type === "E"));
  }
  over(replies);
  wire.send(sync());
  await wire.until("Z");
  await rolledBack();
  assert.deepEqual(await wire.rows("select 'goes on'"), [["goes on"]]);
  await pool.stop();
  // Who says nothing to that loses its connection, but not at once.
  const batch = [query("begin"), parse("", "select pg_sleep(60)"), bind(), execute(), flush()];
  const told = () => pool.weir.output.match(/client \d+: 25P04: /g)?.length;
  pool = await limited(0, 2); // which are 10 s
  [wire, other] = await Promise.all([Wire.login(pool.port), Wire.login(pool.port)]);
  wire.send(...batch);
  over(await wire.until("E"));
  await eventually(() => other.rows("rollback; begin"));
  await eventually(() => assert.ok(told() > 1));
  wire.send(sync());
  assert.deepEqual((await wire.until("Z")).map(show), ["Z E"]);
  await wire.rows("rollback");
  await pool.stop();
  pool = await limited(2, 2);
  [wire, other] = await Promise.all([Wire.login(pool.port), Wire.login(pool.port)]);
  wire.send(query("begin"), sleeps);
  other.send(...batch);
  over(await wire.until("Z", 2));
  over(await other.until("E"));
  await eventually(() => assert.equal(told(), 4));
  other.send(bind(), execute(), sync()); // of the batch that has failed
  assert.deepEqual((await other.until("Z")).map(show), ["Z E"]);
  for (const each of [wire, other]) {
    over(await each.query("rollback"));
    assert.deepEqual(await each.rows("select 'goes on'"), [["goes on"]]);
  }
  await pool.stop();
});

test("… and of a pipeline each transaction has its time", async () => {
  const pool = await open(`pool_size = 1\ntransaction_timeout = "${2 * patience}s"`);
  const wire = await Wire.login(pool.port);
  const each = [query("begin"), query(`select pg_sleep(${0.4 * patience})`), query("commit")];
  wire.send(...Array(7).fill(each).flat());
  assert.equal((await wire.until("Z", 21)).map(({ type }) => type).join(""), "CZTDCZCZ".repeat(7));
  await pool.stop();
});

test("EXECUTE in SQL finds statements of the protocol, on whatever connection it runs", async () => {
  const pool = await open("pool_size = 2");
  const [wire, other] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  postgres.sql("create table executed (a int)");
  wire.send(parse("add", "select $1::int + $2::int as sum"), parse('Odd "one', "select 'odd' as odd"), parse("say", "select $1::text"), parse("gone", "select * from executed"), sync());
  await wire.until("Z");
  const right = async () => {
    assert.deepEqual(await wire.rows("execute add(1, 2)"), [["3"]]);
    assert.deepEqual(await wire.rows('/* it is */ EXECUTE "Odd ""one" ; -- odd'), [["odd"]]);
    assert.deepEqual(await wire.rows("execute\nSAY ('a; execute b') ;"), [["a; execute b"]]);
    await assert.rejects(wire.rows("execute add(1)"), { code: "42601", message: 'wrong number of parameters for prepared statement "add"' });
  };
  await right();
  await other.rows("begin"); // it has the connection now on which they were prepared
  await right();
  await wire.rows("begin");
  assert.deepEqual(await wire.rows("execute add(2, 2)"), [["4"]]);
  await wire.rows("commit");
  await other.rows("commit");
  // In a pipeline, with the names as they are when it runs.
  wire.send(query("execute add(1, 1)"), parse("late", "select 'late' as word"), sync(), query("execute late"), query("deallocate late"), query("execute late"));
  assert.equal((await wire.until("Z", 5)).map(({ type }) => type).join(""), "TDCZ1ZTDCZCZEZ");
  await assert.rejects(wire.rows("execute nothing"), { code: "26000", message: 'prepared statement "nothing" does not exist' });
  await assert.rejects(other.rows("execute add(1, 2)"), { code: "26000" });
  // One that can not be prepared any more: the query is answered with why, and so is one that shows what is prepared.
  postgres.sql("drop table executed");
  await other.rows("begin");
  const failed = async (sql) => {
    wire.send(query(sql));
    const replies = await wire.until("Z");
    assert.equal(replies.map(({ type }) => type).join(""), "EZ");
    return errorOf(replies).C;
  };
  const pooled = await Wire.login(pool.port);
  await pooled.rows("deallocate all"); // the connection that is left knows nothing
  assert.equal(await failed("execute gone"), "42P01");
  assert.deepEqual(await wire.rows("select name from pg_prepared_statements where name like 'gone'"), []);
  await wire.rows("begin");
  assert.equal(await failed("select name from pg_prepared_statements"), "42P01");
  assert.equal(await failed("select 1"), "25P02");
  await wire.rows("rollback");
  assert.deepEqual(await wire.rows("execute add(1, 2)"), [["3"]]);
  // What its statement may not do, it may not.
  await pooled.rows("create sequence executed_ids; select nextval('executed_ids')");
  wire.send(parse("last", "select currval('executed_ids')"), sync());
  await wire.until("Z");
  await assert.rejects(wire.rows("execute last"), { code: "0A000" });
  await pool.stop();
});

// What a client was told of a parameter last, of all that came.
const tell = (wire, name) => [...wire.text.matchAll(new RegExp(`S[^]{4}${name}\\0([^\\0]*)`, "g"))].at(-1)?.[1];

test("sessions follow what the database has for all, but in what they have begun with or set", async () => {
  const pool = await open("pool_size = 1");
  const console_ = await Wire.login(pool.port, { database: "pgbouncer" });
  const zone = async (wire) => {
    const [[value]] = await wire.rows("show timezone");
    assert.equal(tell(wire, "TimeZone"), value);
    return value;
  };
  postgres.sql("create database followed");
  postgres.sql("alter database followed set timezone = 'UTC'");
  const login = (parameters) => Wire.login(pool.port, { database: "followed", application_name: "follows", ...parameters });
  const [plain, given, same, set, alike, called, prepared] = [await login(), await login({ TimeZone: "Asia/Tokyo" }), await login({ TimeZone: "UTC" }), ...(await Promise.all([1, 2, 3, 4].map(() => login())))];
  await set.rows("set timezone = 'Europe/Oslo'");
  await alike.rows("set session timezone to 'UTC'"); // which says nothing new
  await called.rows("select set_config('timezone', 'UTC', false)");
  prepared.send(parse("", "select set_config('TimeZone', $1, false)"), bind("", "", ["UTC"]), execute(), sync());
  await prepared.until("Z");
  await plain.rows("select set_config('timezone', 'UTC', true)"); // of its transaction
  assert.deepEqual(await Promise.all([plain, given, same, set].map(zone)), ["UTC", "Asia/Tokyo", "UTC", "Europe/Oslo"]);
  postgres.sql("alter database followed set timezone = 'Europe/Berlin'");
  await console_.rows("reconnect");
  await eventually(async () => assert.equal(await zone(plain), "Europe/Berlin"));
  assert.deepEqual(await Promise.all([given, same, set, alike, called, prepared].map(zone)), ["Asia/Tokyo", "UTC", "Europe/Oslo", "UTC", "UTC", "UTC"]);
  const late = await login();
  assert.equal(tell(late, "TimeZone"), "Europe/Berlin");
  assert.equal(await zone(late), "Europe/Berlin");
  await set.rows("reset timezone");
  assert.equal(await zone(set), "Europe/Berlin");
  await pool.stop();
  postgres.sql("drop database followed");
});

test("who leaves needs no connection, and none is made or checked for it", async () => {
  const pool = await startPool(`auth = "any"\nadmin_users = ["postgres"]\nserver_lifetime = "0s"\n${database(postgres)}`);
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  const servers = () => admin.rows("show servers");
  for (const leave of [(wire) => wire.close(), (wire) => wire.send(terminate()), (wire) => wire.socket.destroy()]) {
    const wire = await Wire.login(pool.port);
    await wire.rows("select 1");
    await eventually(async () => assert.deepEqual(await servers(), [])); // it has served
    leave(wire);
    await eventually(async () => assert.equal((await admin.rows("show clients")).length, 1));
    await sleep(100);
    assert.deepEqual(await servers(), []);
  }
  await pool.stop();
});

test("what connect_query has set stays after a reset", async () => {
  const pool = await startPool(`auth = "any"\npool_size = 1\n${database(postgres, `connect_query = "set timezone = 'Asia/Tokyo'; set search_path to elsewhere"`)}`);
  const stays = await Wire.login(pool.port);
  const holds = async (wire) => assert.deepEqual(await wire.rows("select current_setting('timezone'), current_setting('search_path')"), [["Asia/Tokyo", "elsewhere"]]);
  for (const sql of ["create temp table left_over (a int)", "do $$ begin perform set_config('search_path', 'another', false); end $$", "discard all", "reset all"]) {
    const leaves = await Wire.login(pool.port);
    for (const wire of [leaves, stays]) await holds(wire);
    await leaves.rows(sql);
    leaves.close();
    for (const wire of [stays, await Wire.login(pool.port)]) await holds(wire);
  }
  await pool.stop();
});

test("a server's base is what it says, not how a client spells it", async () => {
  const pool = await open("pool_size = 1");
  const [spells, plain] = [await Wire.login(pool.port, { DateStyle: "ISO" }), await Wire.login(pool.port)];
  const before = tell(plain, "DateStyle");
  assert.deepEqual(await spells.rows("show datestyle"), [[before]]);
  await spells.rows("create temp table left_over (a int)");
  spells.close();
  await plain.rows("select 1");
  assert.equal(tell(plain, "DateStyle"), before);
  assert.equal(tell(await Wire.login(pool.port), "DateStyle"), before);
  await pool.stop();
});

for (const [kind, use] of [["in turn", 1], ["at once", 3]])
  test(`what the server has for all since pg_reload_conf() holds on each connection, of clients ${kind}`, async () => {
    const pool = await open("pool_size = 2");
    const wires = await Promise.all([1, 2, 3].map(() => Wire.login(pool.port)));
    const fenced = await Wire.login(pool.port, { options: "-c default_transaction_read_only=on" });
    const state = async (wire) => (await wire.rows("show default_transaction_read_only"))[0][0];
    const rounds = async (expected) => {
      const seen = [];
      for (let i = 0; i < 4; i++)
        if (use > 1) seen.push(...(await Promise.all(wires.map(state))));
        else for (const wire of wires) seen.push(await state(wire));
      assert.deepEqual([...new Set(seen)], [expected]);
      if (use === 1) for (const wire of wires) assert.equal(tell(wire, "default_transaction_read_only"), expected);
      if (use > 1) assert.equal(await state(fenced), "on"); // leaves its connection as it was
    };
    // Takes effect once the server has heard of it, which is soon: a connection of its own tells.
    const reload = async (value) => {
      postgres.sql(`alter system set default_transaction_read_only = ${value}`);
      postgres.sql("select pg_reload_conf()");
      await eventually(() => assert.equal(postgres.sql("show default_transaction_read_only"), value));
    };
    try {
      await Promise.all(wires.map((wire) => wire.rows("select pg_sleep(0.01)")));
      await rounds("off");
      await reload("on");
      await rounds("on");
      if (use === 1) assert.equal(tell(await Wire.login(pool.port), "default_transaction_read_only"), "on");
    } finally {
      await reload("off");
    }
    await rounds("off");
    await pool.stop();
  });

test("what a session has given or set is its own, whatever the server has for all by now", async () => {
  const pool = await open("pool_size = 1");
  const reload = async (name, value) => {
    postgres.sql(`alter system set ${name} = ${value}`);
    postgres.sql("select pg_reload_conf()");
    if (value !== "default") await eventually(() => assert.equal(postgres.sql(`show ${name}`), value.replaceAll("'", "")));
  };
  const [plain, given, set] = [await Wire.login(pool.port), await Wire.login(pool.port, { TimeZone: "UTC", options: "-c default_transaction_read_only=on" }), await Wire.login(pool.port)];
  const has = (wire) => wire.rows("select current_setting('timezone'), current_setting('default_transaction_read_only')");
  await set.rows("set timezone = 'Asia/Tokyo'");
  try {
    await reload("timezone", "'UTC'");
    await eventually(async () => assert.equal((await has(plain))[0][0], "UTC"));
    await set.rows("set timezone = 'UTC'");
    await reload("timezone", "'Europe/Berlin'");
    for (let i = 0; i < 3; i++) {
      await has(plain);
      assert.deepEqual(await has(given), [["UTC", "on"]]);
      await has(plain);
      assert.equal((await has(set))[0][0], "UTC");
    }
  } finally {
    await reload("timezone", "default");
  }
  await pool.stop();
});

test("a plan that a change of its table makes stale is replaced before the client hears of it", async () => {
  const pool = await open("pool_size = 1");
  const [a, b] = await Promise.all([Wire.login(pool.port), Wire.login(pool.port)]);
  await a.rows("create table changing (a int); insert into changing values (1)");
  a.send(parse("c", "select * from changing"), bind("", "c"), execute(), sync());
  await a.until("Z");
  postgres.sql("alter table changing add b text default 'new'"); // behind the pool's back
  a.send(bind("", "c"), describe("P", ""), execute(), sync());
  assert.deepEqual((await a.until("Z")).map(show), ["2 ", "T a:23 b:25", "D |\x02|||\x011|||\x03new", "C SELECT 1|", "Z I"]);
  postgres.sql("alter table changing drop b");
  a.send(bind("", "c"), describe("P", ""), execute(), sync());
  assert.deepEqual((await a.until("Z")).map(({ type }) => type).join(""), "2TDCZ");

  // Who does not ask for the columns would misread the row: the error is its to know, once.
  postgres.sql("alter table changing add c text default 'newer'");
  a.send(bind("", "c"), execute(), sync());
  assert.match(errorOf(await a.until("Z")).M, /cached plan must not change result type/);
  a.send(bind("", "c"), execute(), sync());
  assert.equal(errorOf(await a.until("Z")), undefined); // it was never told any

  // In a transaction what was done before it is lost with it, and the server decides.
  postgres.sql("alter table changing drop c");
  await a.rows("begin");
  a.send(bind("", "c"), describe("P", ""), execute(), sync());
  assert.equal(errorOf(await a.until("Z")).C, "0A000");
  await a.rows("rollback");

  // A statement that the server has lost is the same statement when it is prepared again.
  a.send(parse("lost", "select 'found'"), bind("", "lost"), execute(), sync());
  await a.until("Z");
  await b.rows("do $$ begin execute 'deallocate all'; end $$");
  a.send(bind("", "lost"), execute(), sync());
  assert.deepEqual((await a.until("Z")).map(({ type }) => type).join(""), "2DCZ");
  await pool.stop();
});

test("a shared statement that fails for what its table was before is prepared anew", async () => {
  const pool = await open("pool_size = 2");
  const holder = await Wire.login(pool.port);
  const use = async (wire, sql, value, parses = true) => {
    wire.send(...(parses ? [parse("s", sql)] : []), bind("", "s", [value]), execute(), sync());
    return errorOf(await wire.until("Z"))?.C;
  };
  const cases = [
    ["insert into retyped values ($1)", "text", "int", "42804", "5"],
    ["select from retyped where a = $1", "text", "int", "42883", "5"],
    ["insert into retyped values ($1)", "int", "bigint", "22003", "5000000000"],
  ];
  for (const [sql, before, after, code, value] of cases) {
    postgres.sql(`create table retyped (a ${before})`);
    const [old, told, fresh] = await Promise.all([1, 2, 3].map(() => Wire.login(pool.port)));
    // Two connections have it, of which the one that is used last is used next.
    assert.equal(await use(old, sql, "1"), undefined);
    await holder.rows("begin");
    told.send(parse("s", sql), describe("S", "s"), bind("", "s", ["1"]), execute(), sync());
    assert.equal(errorOf(await told.until("Z")), undefined);
    await holder.rows("commit");
    assert.equal(await use(old, sql, "1", false), undefined);
    postgres.sql(`alter table retyped alter a type ${after} using a::${after}`); // behind the pool's back
    assert.equal(await use(fresh, sql, value), code);
    assert.equal(await use(fresh, sql, value, false), undefined);
    const another = await Wire.login(pool.port);
    assert.equal(await use(another, sql, value), undefined);
    await holder.rows("begin"); // … on the other connection, too
    assert.equal(await use(another, sql, value, false), undefined);
    assert.equal(await use(old, sql, value, false), undefined);
    assert.equal(await use(told, sql, value, false), "0A000"); // it was told what type the parameter has
    await holder.rows("commit");
    postgres.sql("drop table retyped");
  }
  await pool.stop();
});

for (const [kind, name] of [["a named", "t"], ["the unnamed", ""]])
  test(`who was told the columns of ${kind} statement is never given others`, async () => {
    const pool = await open("pool_size = 2");
    const [told, holder, late] = await Promise.all([1, 2, 3].map(() => Wire.login(pool.port)));
    const types = (messages) => messages.map(({ type }) => type).join("");
    const use = async () => {
      told.send(bind("", name), execute(), sync());
      return told.until("Z");
    };
    await told.rows("create table told (a int); insert into told values (1)");
    told.send(parse(name, "select * from told"), describe("S", name), sync());
    assert.equal(types(await told.until("Z")), "1tTZ");
    assert.equal(types(await use()), "2DCZ");
    // On another connection the statement is prepared, and described once, before it is used.
    await holder.rows("begin");
    await late.rows("begin");
    await holder.rows("commit");
    assert.equal(types(await use()), "2DCZ");
    assert.equal(types(await use()), "2DCZ");
    told.send(bind("", name), execute(), bind("", name), execute(), sync(), bind("", name), execute(), sync());
    assert.equal(types(await told.until("Z", 2)), "2DC2DCZ2DCZ");
    await late.rows("commit");
    // Behind the pool's back, on connections that have it and on one that does not: it is an error that drivers know.
    postgres.sql("alter table told alter a type text");
    for (let i = 0; i < 4; i++) {
      // They are gone when this returns: to end while a query is on them would end that query's session, too.
      if (i === 2) postgres.sql("select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name <> 'psql' and backend_type = 'client backend'");
      const error = await eventually(async () => {
        const replies = await use();
        assert.equal(types(replies), "EZ");
        assert.equal(errorOf(replies).C, "0A000");
        return errorOf(replies);
      });
      assert.equal(error.M, "cached plan must not change result type");
      assert.equal(error.R, "RevalidateCachedQuery");
    }
    // Others are not concerned, and who prepares it anew knows.
    late.send(parse("mine", "select * from told"), describe("S", "mine"), sync(), bind("", "mine"), execute(), sync());
    assert.equal(types(await late.until("Z", 2)), "1tTZ2DCZ");
    told.send(close("S", name), parse(name, "select * from told"), describe("S", name), bind("", name), execute(), sync());
    assert.equal(types(await told.until("Z")), "31tT2DCZ");
    assert.equal(types(await use()), "2DCZ");
    await told.rows("drop table told");
    told.send(bind("", name), execute(), sync(), query("select 1"));
    assert.equal(types(await told.until("Z", 2)), "EZTDCZ");
    await pool.stop();
  });

test("a statement that is prepared anew after a type changed means the new type", async () => {
  const pool = await open("pool_size = 1");
  const insert = async () => {
    const wire = await Wire.login(pool.port);
    await wire.rows("drop table if exists moods; drop type if exists mood; create type mood as enum ('good'); create table moods (m mood[])");
    wire.send(parse("i", "insert into moods values ($1)"), bind("", "i", ["{good}"]), execute(), sync());
    const error = errorOf(await wire.until("Z"));
    wire.close();
    return error;
  };
  assert.equal(await insert(), undefined);
  assert.equal(await insert(), undefined);
  await pool.stop();
});

test("RESET goes back to what the session began with", async () => {
  for (const mode of ["session", "transaction"]) {
    const pool = await open(`pool_size = 2\npool_mode = "${mode}"`);
    const wire = await Wire.login(pool.port, { user: "postgres", datestyle: "German", search_path: "pg_catalog", options: "-c work_mem=1234kB" });
    assert.deepEqual([(await wire.rows("show datestyle"))[0][0], (await wire.rows("show search_path"))[0][0], (await wire.rows("show work_mem"))[0][0]], ["German, DMY", "pg_catalog", "1234kB"]);
    await wire.rows("set datestyle to iso, mdy"); // what the connection began with
    assert.deepEqual(await wire.rows("show datestyle"), [["ISO, MDY"]]);
    await wire.rows("reset DateStyle");
    assert.deepEqual(await wire.rows("show datestyle"), [["German, DMY"]]);
    await wire.rows("set search_path to public");
    await wire.rows("set work_mem to 4096");
    await wire.rows("reset search_path");
    assert.deepEqual(await wire.rows("show search_path"), [["pg_catalog"]]);
    assert.deepEqual(await wire.rows("show work_mem"), [["4MB"]]);
    await wire.rows("reset all");
    assert.deepEqual(await wire.rows("show work_mem"), [["1234kB"]]);
    assert.deepEqual(await wire.rows("show datestyle"), [["German, DMY"]]);
    await wire.rows("set datestyle to iso, mdy");
    await wire.rows("discard all");
    assert.deepEqual(await wire.rows("show datestyle"), [["German, DMY"]], `DISCARD ALL, ${mode}`);
    await pool.stop();
  }
});

test("session mode: a connection for as long as the client is there, reset after it", async () => {
  const pool = await open('pool_mode = "session"\npool_size = 1');
  const a = await Wire.login(pool.port);
  await a.rows("set statement_timeout = 777");
  await a.rows("create temp table mine (a int)");
  const waiting = await Wire.login(pool.port);
  waiting.send(query("show statement_timeout"));
  assert.deepEqual(await a.rows("show statement_timeout"), [["777ms"]]);
  a.close();
  const replies = await waiting.until("Z");
  assert.match(replies.find(({ type }) => type === "D").body.toString("latin1"), /0$/);
  await pool.stop();
});

test("statement mode refuses transactions", async () => {
  const pool = await open('pool_mode = "statement"');
  const a = await Wire.login(pool.port);
  assert.deepEqual(await a.rows("select 1"), [["1"]]);
  a.send(query("begin"));
  const error = errorOf(await a.wait((messages) => messages.some(({ type }) => type === "E")));
  assert.equal(error.C, "0A000");
  await pool.stop();
});

// ---- cancel ----

test("a cancel request ends that session's query and no other's", async () => {
  const pool = await open("pool_size = 2");
  const [a, b] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  a.send(query("select pg_sleep(20)"));
  b.send(query("select pg_sleep(1.5)"));
  await sleep(300);
  await Wire.cancel(pool.port, a.key);
  assert.equal(errorOf(await a.until("Z")).C, "57014");
  assert.equal(errorOf(await b.until("Z")), undefined);
  const wrong = Buffer.from(b.key);
  wrong[7] ^= 1;
  b.send(query("select pg_sleep(0.5)"));
  await Wire.cancel(pool.port, wrong);
  await Wire.cancel(pool.port, a.key); // runs nothing
  assert.equal(errorOf(await b.until("Z")), undefined);
  await pool.stop();
});

test("pg_terminate_backend and pg_cancel_backend know the numbers of sessions", async () => {
  const pool = await open("pool_size = 3");
  postgres.sql("create role somebody login");
  const open_ = async (user = "postgres") => {
    const wire = await Wire.open(pool.port);
    wire.send(startup({ user, database: "postgres" }));
    const key = (await wire.until("Z")).find(({ type }) => type === "K");
    return { wire, number: key.body.readUInt32BE(0) };
  };
  const [one, two, other, stranger] = [await open_(), await open_(), await open_(), await open_("somebody")];
  assert.ok(one.number > 4194304, "no process has such a number");
  two.wire.send(query("select pg_sleep(20)"));
  await sleep(100);
  await one.wire.rows(`SELECT pg_cancel_backend( ${two.number} )`);
  assert.equal(errorOf(await two.wire.until("Z")).C, "57014");
  one.wire.send(parse("", "select pg_terminate_backend($1)"), bind("", "", [two.number]), execute(), sync());
  await one.wire.until("Z");
  assert.equal(errorOf(await two.wire.wait(() => two.wire.ended)).C, "57P01");
  // Not another user's, and one's own at once.
  await one.wire.rows(`select pg_terminate_backend(${stranger.number})`);
  assert.deepEqual(await stranger.wire.rows("select 1").catch((error) => error.code), [["1"]]);
  await other.wire.rows("begin");
  assert.equal(errorOf(await one.wire.query(`select pg_terminate_backend(${one.number}::int)`)).C, "57P01");
  await other.wire.rows("commit");
  await pool.stop();
});

test("a cancel request that comes late hits nobody", async () => {
  const pool = await open("pool_size = 1");
  const wire = await Wire.open(pool.port);
  const { startup } = await import("./lib.mjs");
  wire.send(startup({ user: "postgres", database: "postgres" }));
  const key = (await wire.until("Z")).find(({ type }) => type === "K").body;
  const other = await Wire.login(pool.port);
  const head = Buffer.from([0, 0, 0, 16, 4, 210, 22, 46]);
  for (let i = 0; i < 40; i++) {
    wire.send(query("select 1"));
    const request = await Wire.open(pool.port);
    request.send(Buffer.concat([head, key]));
    const [, replies] = await Promise.all([wire.until("Z"), other.query("select pg_sleep(0.005)")]);
    assert.equal(errorOf(replies), undefined, `round ${i}`);
    request.close();
  }
  await pool.stop();
});

// ---- much data ----

test("who leaves while it waits asks nothing any more, however much it had sent", async () => {
  const pool = await open("pool_size = 1");
  const holder = await Wire.login(pool.port), admin = await Wire.login(pool.port, { database: "pgbouncer" });
  await holder.rows("create table late (text text)");
  const waiting = async () => (await admin.rows("show clients")).filter((row) => row.includes("waiting")).length;
  for (const bytes of [10, 20_000, 50_000]) {
    await holder.rows("begin");
    const [one, other] = [await Wire.login(pool.port), await Wire.login(pool.port)];
    for (const wire of [one, other]) wire.send(query(`insert into late values ('${"x".repeat(bytes)}')`));
    await eventually(async () => assert.equal(await waiting(), 2));
    one.socket.end();
    other.socket.resetAndDestroy();
    await eventually(async () => assert.equal(await waiting(), 0));
    await holder.rows("commit");
  }
  assert.deepEqual(await holder.rows("select count(*) from late"), [["0"]]);
  await pool.stop();
});

test("what a DO block has set and locked is gone with its transaction", async () => {
  const pool = await open("pool_size = 1");
  const [one, other] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  const block = "do $$ begin set enable_bitmapscan = off; perform pg_advisory_lock(4711); end $$";
  const seen = "select current_setting('enable_bitmapscan'), count(*) from pg_locks where locktype = 'advisory'";
  await one.rows(block);
  assert.deepEqual(await other.rows(seen), [["on", "0"]]);
  one.send(Buffer.concat([parse("", block), bind("", ""), execute(""), sync()]));
  assert.equal(errorOf(await one.until("Z")), undefined);
  assert.deepEqual(await other.rows(seen), [["on", "0"]]);
  await one.rows("begin");
  await one.rows(block);
  assert.deepEqual(await one.rows(seen), [["off", "1"]]);
  await one.rows("commit");
  assert.deepEqual(await other.rows(seen), [["on", "0"]]);
  await pool.stop();
});

const rssOf = (pid) => Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/VmRSS:\s+(\d+)/)[1]);

for (const secure of [false, true])
  for (const [what, sql] of [["of many rows", "select repeat('x', 1000) from generate_series(1, 200000)"], ["of one row", "select repeat('x', 100000000)"]])
    test(`a large result ${what} to a client that does not read costs bounded memory${secure ? " (TLS)" : ""}`, { skip: sanitized, timeout: 120000 * patience }, async () => {
      const { certificate, key } = makeCertificate(postgres.dir, "slow", "localhost");
      const pool = await startPool(`auth = "any"\npool_size = 2\n${database(postgres)}[tls]\nmode = "allow"\ncertificate_file = "${certificate}"\nkey_file = "${key}"\n`);
      const wire = await (secure ? Wire.openTls(pool.port, { ALPNProtocols: ["postgresql"] }) : Wire.open(pool.port));
      wire.send(startup({ user: "postgres", database: "postgres" }), query("select 1"));
      await wire.until("Z", 2);
      const pid = pool.pid(), before_ = rssOf(pid);
      wire.socket.pause();
      wire.send(query(sql));
      await eventually(() => assert.equal(postgres.sql("select count(*) from pg_stat_activity where wait_event = 'ClientWrite'"), "1"));
      for (let i = 0; i < 5; i++) {
        assert.ok(rssOf(pid) - before_ < 8 * 1024, `${rssOf(pid) - before_} KB more`);
        await sleep(100);
      }
      const other = await Wire.login(pool.port);
      assert.deepEqual(await other.rows("select 1"), [["1"]]);
      let bytes = 0, end = Buffer.alloc(0);
      wire.socket.removeAllListeners("data");
      await new Promise((done) => {
        wire.socket.on("data", (chunk) => {
          bytes += chunk.length;
          end = Buffer.concat([end, chunk.subarray(-6)]).subarray(-6);
          if (end.equals(Buffer.from("Z\0\0\0\x05I"))) done();
        });
        wire.socket.resume();
      });
      assert.ok(bytes > 100_000_000, `${bytes} bytes`);
      assert.ok(rssOf(pid) - before_ < 16 * 1024, `${rssOf(pid) - before_} KB more`);
      await pool.stop();
    });

const large = "x".repeat(15 << 20);
for (const [what, ...messages] of [
  ["a simple query", query(`select length('${large}')`)],
  ["a Bind", parse("", "select length($1)"), bind("", "", [large]), execute(), sync()],
])
  test(`${what} of 15 MB to a server that does not read costs bounded memory, and is answered when it reads`, { skip: sanitized, timeout: 120000 * patience }, async () => {
    const pool = await open("pool_size = 2");
    const [wire, other] = [await Wire.login(pool.port), await Wire.login(pool.port)];
    await other.rows("select 1");
    await wire.rows("begin");
    const [[backend]] = await wire.rows("select pg_backend_pid()");
    const pid = pool.pid(), before_ = rssOf(pid);
    process.kill(Number(backend), "SIGSTOP");
    try {
      wire.send(...messages);
      for (let same = 0, last; same < 5; await sleep(100)) {
        const left = wire.socket.writableLength;
        same = left === last ? same + 1 : 0;
        last = left;
        assert.ok(rssOf(pid) - before_ < 8 * 1024, `${rssOf(pid) - before_} KB more`);
      }
      assert.deepEqual(await other.rows("select 'goes on'"), [["goes on"]]);
    } finally {
      process.kill(Number(backend), "SIGCONT");
    }
    const replies = await wire.until("Z", 1, 60000 * patience);
    assert.equal(replies.find(({ type }) => type === "D")?.body.toString("latin1", 6), String(large.length));
    await wire.rows("commit");
    await pool.stop();
  });

test("a large COPY in arrives whole", async () => {
  const pool = await open("pool_size = 1");
  const wire = await Wire.login(pool.port);
  await wire.rows("create table big (a int, b text)");
  wire.send(query("copy big from stdin"));
  await wire.until("G");
  const line = "7\t" + "y".repeat(990) + "\n";
  for (let i = 0; i < 40; i++) {
    if (!wire.socket.write(copyData(line.repeat(1000)))) await new Promise((done) => wire.socket.once("drain", done));
  }
  wire.send(message("c"));
  await wire.until("Z", 1, 30000 * patience);
  assert.deepEqual(values(await wire.rows("select count(*) from big where length(b) = 990")), ["40000"]);
  await pool.stop();
});

for (const mode of ["disable", "require"])
  test(`COPY to a server that does not read costs bounded memory, and goes on when it reads (TLS: ${mode})`, { skip: sanitized, timeout: 120000 * patience }, async () => {
    postgres.sql(`create table sink_${mode} (a int, b text); create sequence seen_${mode}`);
    const pool = await startPool(`auth = "any"\npool_size = 2\n${database(postgres).replace("disable", mode)}`);
    const [wire, other] = [await Wire.login(pool.port), await Wire.login(pool.port)];
    const rss = () => rssOf(pool.pid());
    await other.rows("select 1");
    const before_ = rss();
    await wire.rows("begin");
    const [[backend]] = await wire.rows("select pg_backend_pid()");
    wire.send(query(`copy sink_${mode} from stdin where nextval('seen_${mode}') > 0 and a < 0`));
    await wire.until("G");
    process.kill(Number(backend), "SIGSTOP");
    let taken = 0, sending;
    try {
      sending = (async () => {
        const megabyte = copyData(`7\t${"y".repeat(1_000_000)}\n`);
        for (; taken < 500; taken++) await new Promise((done) => wire.socket.write(megabyte, done));
        wire.send(message("c"));
      })();
      for (let same = 0, last; same < 5; await sleep(100)) {
        same = taken === last ? same + 1 : 0;
        last = taken;
        assert.ok(rss() - before_ < 8 * 1024, `${rss() - before_} KB more`);
      }
      assert.ok(taken < 100, `${taken} MB were taken`);
      assert.deepEqual(await other.rows("select 'goes on'"), [["goes on"]]);
    } finally {
      process.kill(Number(backend), "SIGCONT");
    }
    await sending;
    assert.deepEqual((await wire.until("Z", 1, 60000 * patience)).map(show), ["C COPY 0|", "Z T"]);
    assert.deepEqual(await wire.rows(`select last_value from seen_${mode}`), [["500"]]);
    await wire.rows("commit");
    assert.ok(rss() - before_ < 8 * 1024, `${rss() - before_} KB more`);
    await pool.stop();
  });

// ---- the console ----

test("the console shows and commands", async () => {
  const pool = await open("pool_size = 1");
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  const a = await Wire.login(pool.port);
  await a.rows("select 1");
  assert.deepEqual((await admin.rows("show pools"))[0].slice(0, 2), ["postgres", "postgres"]);
  for (const subject of ["clients", "servers", "databases", "stats", "lists", "config", "users", "version"]) assert.ok(Array.isArray(await admin.rows(`show ${subject}`)));
  await a.rows("begin");
  admin.send(query("pause"));
  await sleep(200);
  assert.equal(admin.messages.length, 0, "PAUSE waits for transactions");
  await a.rows("commit");
  await admin.until("Z");
  a.send(query("select 'after the pause'"));
  await sleep(300);
  assert.equal(a.messages.length, 0);
  await admin.rows("resume");
  assert.equal(errorOf(await a.until("Z")), undefined);
  const [[before_]] = await a.rows("select pg_backend_pid()");
  await admin.rows("reconnect");
  assert.notEqual((await a.rows("select pg_backend_pid()"))[0][0], before_);
  await assert.rejects(admin.rows("nonsense"), { code: "42601" });
  await admin.rows("kill postgres");
  await eventually(() => assert.ok(a.ended));
  await pool.stop();
});
