// SPDX-License-Identifier: Apache-2.0
// What a session leaves on a connection, in spellings and by ways that are easily overlooked: the next one does not find it.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import { Wire, bind, copyData, database, errorOf, eventually, execute, message, parse, patience, query, sanitized, show, sleep, startPool, startPostgres, sync } from "./lib.mjs";

let postgres;
before(async () => {
  postgres = await startPostgres();
  postgres.sql("create extension dblink");
  postgres.sql("create role limited");
  postgres.sql("create table t (id serial primary key, v text)");
});

const open = (extra = "") => startPool(`auth = "any"\npool_size = 1\n${extra}\n${database(postgres)}`);
const setting = (name) => `select current_setting('${name}', true)`;
const int16 = (value) => Buffer.from([value >> 8, value & 255]);
const int32 = (value) => Buffer.from([value >> 24, value >> 16, value >> 8, value].map((byte) => byte & 255));
const call = (oid, ...values) =>
  message("F", int32(oid), int16(0), int16(values.length), ...values.flatMap((value) => [int32(value.length), Buffer.from(value)]), int16(0));

// How A leaves something, with texts or with messages; what B asks; what it is to be told.
const long = "x".repeat(70000), unset = (rows) => assert.ok(!rows[0][0], rows[0][0]);
const missing = (error) => assert.match(error.code, /^(42P01|26000|34000)$/);
const ways = {
  "a parameter of a name like a keyword's": [["set session.user_id = '42'", "set local.a = '1'", "set transaction.a = '1'", "set application_name.a = '1'"], "select concat(current_setting('session.user_id', true), current_setting('local.a', true), current_setting('transaction.a', true), current_setting('application_name.a', true))", unset],
  "set_config that is not local after all": [["select set_config('a.one', 'x', not true)", "select set_config('a.two', 'x', false and true)"], "select concat(current_setting('a.one', true), current_setting('a.two', true))", unset],
  "set_config within another": [["select set_config('a.b', coalesce(set_config('a.c', 'x', false), ''), true)"], setting("a.c"), unset],
  "set_config of a composed name": [["select set_config('timezone' || '.x', 'y', false)"], setting("timezone.x"), unset],
  "PREPARE of a statement called transaction": [["prepare transaction as select 1"], "execute transaction", missing],
  "a name with another escape character": [[`select U&"set!005fconfig" UESCAPE '!' ('a.d', 'x', false)`], setting("a.d"), unset],
  "a comment that ends with CR": [["-- a comment\rset a.e = 'x'"], setting("a.e"), unset],
  "behind a string of two lines": [["select E'a'\n'\\''; set a.f = 'x'"], setting("a.f"), unset],
  "UPDATE of pg_settings behind WITH": [["with a as (select '7777' v) update pg_settings set setting = (select v from a) where name = 'work_mem'"], "show work_mem", ([[value]]) => assert.equal(value, "4MB")],
  "UPDATE of pg_settings by its quoted schema": [[`update "pg_catalog".pg_settings set setting = '7778' where name = 'work_mem'`], "show work_mem", ([[value]]) => assert.equal(value, "4MB")],
  "a function call of the protocol": [[call(2078, "a.g", "x", "f")], setting("a.g"), unset],
  "pg_temp as a string": [["begin", "set local search_path = 'pg_temp'", "create table left_over (a int)", "commit"], "select * from left_over", missing],
  "pg_temp in the search_path of the login": [["create table left_over (a int)"], "select * from pg_temp.left_over", missing, { options: "-c search_path=pg_temp,public" }],
  "a statement that was prepared, and run after an error": [[[parse("s", "set a.h = 'x'"), sync()], "select 1/0", [bind("", "s"), execute(), sync()]], setting("a.h"), unset],
  "a long text, prepared": [[[parse("", `select '${long}', set_config('a.i', 'x', false)`), bind(), execute(), sync()]], setting("a.i"), unset],
  "a connection of dblink": [[`select dblink_connect('x', 'host=/nowhere')`, () => `select dblink_connect('x', 'port=${postgres.port} host=127.0.0.1 user=postgres dbname=postgres')`], "select dblink_get_connections()", ([[value]]) => assert.equal(value, null)],
  "a SET that is run behind the Bind of another portal": [[[parse("", "set a.j = 'x'"), bind(), parse("other", "select 1"), bind("p", "other"), execute(), sync()]], setting("a.j"), unset],
  "a SET that is run behind its batch": [[[query("begin"), parse("", "set a.k = 'x'"), bind(), sync(), execute(), sync(), query("commit")]], setting("a.k"), unset],
  "a SET that is run behind its batch and a query of nothing": [[[query("begin"), parse("", "set a.l = 'x'"), bind(), sync(), query(""), execute(), sync(), query("commit")]], setting("a.l"), unset],
  "a SET that is run behind a batch that begins a block": [[[parse("b", "begin"), parse("", "set a.m = 'x'"), bind("p", "b"), bind(), execute("p"), sync(), execute(), sync(), query("commit")]], setting("a.m"), unset],
  "a LISTEN that is run behind its batch": [[[query("begin"), parse("", "listen left_over"), bind(), sync(), execute(), sync(), query("commit")]], "select count(*) from pg_listening_channels() where true", ([[count]]) => assert.equal(count, "0")],
  "a library": [["load 'auto_explain'"], "select count(*) from pg_settings where name like 'auto_explain.%'", ([[count]]) => assert.equal(count, "0")],
};
for (const [name, [steps, asked, check, parameters]] of Object.entries(ways))
  test(`${name}: nobody finds it`, async () => {
    const pool = await open();
    const a = await Wire.login(pool.port, parameters);
    for (const step of steps) {
      const sent = typeof step === "function" ? step() : step;
      a.send(...(typeof sent === "string" ? [query(sent)] : [sent].flat()));
      await a.until("Z");
    }
    const b = await Wire.login(pool.port);
    const told = b.rows(asked).catch((error) => error); // it waits where A is pinned
    await sleep(100);
    a.close();
    check(await told);
    await pool.stop();
  });

test("a SET that fails does not unpin the one behind it", async () => {
  const pool = await open();
  const a = await Wire.login(pool.port), b = await Wire.login(pool.port);
  a.send(query("select set_config('work_mem', 'bad', false)"), query("select set_config('work_mem', '5MB', false)"));
  await a.until("Z", 2);
  const waits = b.rows("select 1");
  assert.deepEqual(await a.rows("show work_mem"), [["5MB"]]);
  a.close();
  await waits;
  await pool.stop();
});

// What A's and B's sessions begin with; the text that both prepare. Each is told what it would be without a pool.
const readings = {
  "in another encoding": [{ client_encoding: "UTF8" }, { client_encoding: "LATIN1" }, "select length('é')"],
  "with backslashes that escape": [{}, { options: "-c standard_conforming_strings=off" }, "select 'a\\\\b'"],
  "where = NULL is IS NULL": [{}, { options: "-c transform_null_equals=on" }, "select count(*) from (values (null::int)) v (a) where a = null"],
  "with digits that are a constant's": [{}, { options: "-c extra_float_digits=-5" }, "select (0.1::float8 + 0.2)::text"],
};
for (const [name, [first, second, sql]] of Object.entries(readings))
  test(`the same text, ${name}, is another statement`, async () => {
    const ask = async (wire, ...messages) => {
      wire.send(...messages, bind("", "s"), execute(), sync());
      return (await wire.until("Z")).map(show).filter((text) => /^[DE]/.test(text));
    };
    const run = async (port) => {
      const [a, b] = [await Wire.login(port, first), await Wire.login(port, second)];
      const told = [await ask(a, parse("s", sql)), await ask(b, parse("s", sql)), await ask(a), await ask(b)];
      for (const wire of [a, b]) wire.close();
      return told;
    };
    const pool = await open();
    const told = await run(pool.port);
    assert.deepEqual(told, await run(postgres.port));
    assert.notDeepEqual(told[0], told[1]);
    await pool.stop();
  });

test("a statement of before a SET that is prepared anew is nobody else's", async () => {
  const pool = await startPool(`auth = "any"\npool_size = 2\n${database(postgres)}`);
  const [a, b, other] = [await Wire.login(pool.port), await Wire.login(pool.port), await Wire.login(pool.port)];
  const sql = "select extract(epoch from '2020-01-01 00:00'::timestamptz)";
  const ask = async (wire, ...messages) => {
    wire.send(...messages, bind("", "s"), execute(), sync());
    return (await wire.until("Z")).find(({ type }) => type === "D").body.toString("latin1", 6);
  };
  const [[zone], told] = [(await b.rows("show timezone"))[0], await ask(a, parse("s", sql))];
  await a.rows("set timezone = 'Asia/Tokyo'");
  // A runs where it was not prepared, and B after it, on the same connection.
  await other.rows("begin");
  assert.equal((await other.rows("select count(*) from pg_prepared_statements"))[0][0], "0");
  await ask(a);
  await other.rows("commit");
  await a.rows("begin");
  assert.equal(await ask(b, parse("s", sql)), told, zone);
  await a.rows("rollback");
  await b.rows("begin");
  await ask(a);
  await b.rows("rollback");
  for (let i = 0; i < 4; i++) assert.equal(await ask(b), told);
  await pool.stop();
});

test("sessions that set, reset and undo at random have what they would have without a pool", { timeout: 120000 * patience }, async () => {
  const pool = await startPool(`auth = "any"\npool_size = 4\n${database(postgres)}`); // as many as there are sessions: any may be pinned
  let seed = process.env.WEIR_SEED === "random" ? Date.now() & 0xffffff : Number(process.env.WEIR_SEED ?? 7);
  const began = seed;
  const random = (below) => ((seed = (seed * 1103515245 + 12345) & 0x7fffffff) >> 8) % below;
  const pick = (list) => list[random(list.length)];
  const settings = ["set work_mem = '5MB'", "set work_mem to 8192", "reset work_mem", "set work_mem to default", "reset all", "discard all", "set app.x = 'a'", "reset app.x", "set search_path = 'a, b'", "reset search_path",
    "set timezone = 'Asia/Tokyo'", "set transform_null_equals = on", "set work_mem = 'bad'", "set local work_mem = '7MB'", "select 1/0", "set role postgres", "select set_config('work_mem', '9MB', false)"];
  const sql = () => (random(6) === 0 ? pick(["begin", "commit", "rollback", "savepoint s", "rollback to s"]) : pick(settings));
  const extended = () => [parse("", sql()), bind(), execute()];
  const ways = [() => [query(sql())], () => [...extended(), sync()], () => [...extended(), ...extended(), sync()], () => [query(sql()), ...extended(), sync()], () => [query(`${sql()}; ${sql()}`)]];
  const state = query("select current_setting('work_mem'), nullif(current_setting('app.x', true), ''), current_setting('search_path'), current_setting('timezone'), current_setting('transform_null_equals')");
  for (let round = 0; round < 60; round++) {
    const sessions = await Promise.all([0, 1, 2].map(() => Promise.all([pool, postgres].map(({ port }) => Wire.login(port)))));
    const sent = [];
    for (let step = 0; step < 25; step++) {
      const who = random(3), messages = pick(ways)();
      sent.push(`${who}: ${messages.map((bytes) => bytes.toString("latin1").replace(/[^ -~]+/g, "|")).join(" ")}`);
      const [told, meant] = await Promise.all(sessions[who].map(async (wire) => {
        wire.send(...messages, state);
        const ends = messages.filter((bytes) => "QS".includes(String.fromCharCode(bytes[0]))).length + 1;
        return (await wire.until("Z", ends)).filter(({ type }) => "CDEZ".includes(type)).map((reply) => (reply.type === "E" ? errorOf([reply]).C : show(reply)));
      }));
      assert.deepEqual(told, meant, `seed ${began}:\n${sent.join("\n")}`);
    }
    for (const wire of sessions.flat()) wire.close();
  }
  await pool.stop();
});

test("a statement behind a SET of its own batch is nobody else's", async () => {
  const pool = await open();
  const [a, b] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  const asks = [parse("s", "select count(*) from (values (null::int)) v (a) where a = null"), bind("", "s"), execute(), sync()];
  for (const [wire, set, told] of [[a, [parse("", "set transform_null_equals = on"), bind(), execute()], "1"], [b, [], "0"]]) {
    wire.send(...set, ...asks);
    assert.equal((await wire.until("Z")).find(({ type }) => type === "D").body.toString("latin1", 6), told);
  }
  await pool.stop();
});

test("a pinned session's statements are its own", async () => {
  const pool = await open();
  const [a, b] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  const sql = "select count(*) from (values (null::int)) v (a) where a = null";
  const ask = async (wire) => {
    wire.send(parse("s", sql), bind("", "s"), execute(), sync());
    return (await wire.until("Z")).find(({ type }) => type === "D").body.toString("latin1", 6);
  };
  assert.equal(await ask(a), "0");
  await b.rows("select set_config('transform_null_equals', 'on', false)");
  assert.equal(await ask(b), "1");
  await pool.stop();
});

test("in an encoding whose characters hide a backslash nothing is left behind, nor with backslashes that escape", async () => {
  for (const [parameters, text] of [
    [{ client_encoding: "shift-jis" }, Buffer.from("select E'\x95\\', set_config('work_mem', '777kB', false) --'\0", "latin1")],
    [{ client_encoding: "gbk" }, Buffer.from("select E'\x81\\', set_config('work_mem', '777kB', false) --'\0", "latin1")],
    [{ options: "-c standard_conforming_strings=off" }, Buffer.from("select '\\'', set_config($$work_mem$$, $$777kB$$, false) --'\0")],
  ])
    for (const extended of [false, true]) {
      const pool = await open();
      const before = await Wire.login(pool.port, parameters);
      await before.rows("select 1"); // so that the server does not tell A what its encoding is called
      const [a, b] = [await Wire.login(pool.port, parameters), await Wire.login(pool.port)];
      a.send(...(extended ? [message("P", "", text, int16(0)), bind(), execute(), sync()] : [message("Q", text)]));
      const replies = await a.until("Z");
      assert.equal(errorOf(replies), undefined);
      assert.match(replies.find(({ type }) => type === "D").body.toString("latin1"), /777kB|work_mem/);
      assert.deepEqual(await b.rows("show work_mem"), [["4MB"]], JSON.stringify(parameters));
      await pool.stop();
    }
});

test("what is created in a temporary schema by its number is nobody else's", async () => {
  const pool = await open();
  const [a, b] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  for (const sql of ["begin", "create temp table x (a int) on commit drop", "commit"]) await a.rows(sql);
  const [[schema]] = await a.rows("select nspname from pg_namespace where oid = pg_my_temp_schema()");
  await a.rows(`create table "${schema}".left_over (a int)`);
  const told = b.query("select * from left_over");
  await sleep(100);
  a.close();
  assert.equal(errorOf(await told).C, "42P01");
  await pool.stop();
});

test("another server_reset_query than DISCARD ALL leaves nothing of a pin, nor of what is reported", async () => {
  for (const [mode, reset] of [["transaction", ""], ["transaction", "select 1"], ["session", "deallocate all"]]) {
    const pool = await open(`pool_mode = "${mode}"\nserver_reset_query = "${reset}"`);
    const a = await Wire.login(pool.port, { options: "-c search_path=pg_catalog" });
    await a.rows("set timezone = 'Asia/Tokyo'");
    if (mode === "transaction") await a.rows("select set_config('a.stays', 'x', false)");
    a.close();
    const b = await Wire.login(pool.port);
    assert.deepEqual(await b.rows("select current_setting('timezone') <> 'Asia/Tokyo', nullif(current_setting('a.stays', true), ''), current_setting('search_path') = 'pg_catalog'"), [["t", null, "f"]], `${mode} ${reset}`);
    await pool.stop();
  }
});

test("settings that a session has had do not come about: its statement runs without them nowhere", { timeout: 60000 * patience }, async () => {
  const pool = await open();
  const a = await Wire.login(pool.port, { options: "-c role=limited -c search_path=pg_catalog" }), b = await Wire.login(pool.port);
  const admin = await Wire.login(postgres.port);
  let stop = false;
  const cancels = (async () => {
    while (!stop) await admin.query("select count(pg_cancel_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend'");
  })();
  const users = new Set();
  for (const end = Date.now() + 3000; Date.now() < end; ) {
    await a.query("select 1");
    const rows = await b.rows("select current_user").catch(() => []);
    for (const [user] of rows) users.add(user);
  }
  stop = true;
  await cancels;
  assert.deepEqual([...users], ["postgres"]);
  await pool.stop();
});

test("settings are restored in the encoding of who has them", async () => {
  const pool = await open();
  const a = await Wire.login(pool.port, { client_encoding: "latin1", application_name: "café" }), b = await Wire.login(pool.port, { client_encoding: "utf-8", search_path: '"schéma",public' });
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(await a.rows("show application_name"), [["caf??"]]);
    assert.deepEqual(await b.rows("show search_path"), [['"schéma",public']]);
  }
  assert.deepEqual(await b.rows("show client_encoding"), [["UTF8"]]);
  await pool.stop();
});

test("a batch of very many statements", { timeout: 60000 * patience }, async () => {
  const pool = await open();
  const a = await Wire.login(pool.port), batch = [parse("p", "select $1::int")];
  for (let i = 0; i < 20000; i++) batch.push(bind("", "p", [i]), execute());
  a.send(...batch, sync());
  const rows = (await a.until("Z")).filter(({ type }) => type === "D").map(({ body }) => Number(body.subarray(6)));
  assert.equal(rows.length, 20000);
  assert.ok(rows.every((value, i) => value === i));
  await pool.stop();
});

test("who leaves with a large result unread does not keep its connection", async () => {
  const pool = await open();
  for (let i = 0; i < 4; i++) {
    const a = await Wire.login(pool.port), b = await Wire.login(pool.port);
    a.socket.pause();
    a.send(query("select repeat('x', 1000) from generate_series(1, 200000)"));
    await sleep(50 + i * 50);
    a.close();
    b.send(query("select 1"));
    await b.until("Z", 1, 2000 * patience);
    b.close();
  }
  await pool.stop();
});

test("UNLISTEN in a transaction holds at its end, and not if that comes to nothing", async () => {
  const pool = await open();
  const a = await Wire.login(pool.port), b = await Wire.login(pool.port);
  const heard = async () => {
    await b.rows("notify ch, 'x'");
    await b.rows("select pg_sleep(0.1)");
    await a.rows("select 1");
    await sleep(100);
    const count = a.text.split("ch\0x\0").length - 1;
    a.text = "";
    return count;
  };
  await a.rows("listen ch");
  for (const undone of [["begin", "unlisten ch", "rollback"], ["begin", "unlisten *", "rollback"], ["unlisten ch; select 1/0"]]) for (const sql of undone) await a.query(sql);
  assert.equal(await heard(), 1);
  for (const sql of ["begin", "unlisten ch", "commit"]) await a.query(sql);
  assert.equal(await heard(), 0);
  await a.rows("listen ch");
  await a.query("select 1; unlisten ch");
  assert.equal(await heard(), 0);
  // Listens already, when it is pinned: not twice.
  await a.rows("listen ch");
  await a.rows("create temp table pins ()");
  await a.rows("listen ch");
  a.close();
  await pool.stop();
});

test("LISTEN of a pinned session for what it listens to already is one subscription; a keyword is no channel", async () => {
  const pool = await startPool(`auth = "any"\npool_size = 2\n${database(postgres)}`);
  const a = await Wire.login(pool.port), b = await Wire.login(pool.port);
  await a.rows("listen ch");
  await a.rows("create temp table pins ()");
  await a.rows("listen ch");
  await b.rows("notify ch, 'y'");
  await sleep(300);
  await a.rows("select 1");
  assert.equal(a.text.split("ch\0y\0").length - 1, 1);
  assert.equal(errorOf(await b.query("listen select")).C, "42601");
  await pool.stop();
});

test("LISTEN right after UNLISTEN hears what comes after its answer", { timeout: 60000 * patience }, async () => {
  const pool = await open();
  const a = await Wire.login(pool.port), admin = await Wire.login(postgres.port);
  await a.rows("listen ch");
  for (let i = 0; i < 200; i++) {
    await a.rows("unlisten ch");
    await a.rows("listen ch");
    await admin.rows(`notify ch, 'n${i}'`);
    await eventually(() => assert.ok(a.text.includes(`ch\0n${i}\0`), `round ${i}`), 2000 * patience);
  }
  await pool.stop();
});

test("who listens and does not read is ended, and costs no more than some MiB", { timeout: 60000 * patience }, async () => {
  const pool = await open();
  const a = await Wire.login(pool.port), b = await Wire.login(pool.port);
  await a.rows("listen storm");
  a.socket.pause();
  for (let i = 0; i < 10; i++) await b.rows("select count(pg_notify('storm', repeat('x', 7000) || i)) from generate_series(1, 500) i");
  await eventually(async () => assert.match(pool.weir.output, /more notifications wait for this session/));
  await pool.stop();
});

test("statements that nobody has any more are kept within bounds", { skip: sanitized, timeout: 60000 * patience }, async () => {
  const pool = await open();
  const a = await Wire.login(pool.port), pid = pool.pid();
  const { readFileSync } = await import("node:fs");
  const rss = () => Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/VmRSS:\s+(\d+)/)[1]) / 1024;
  const large = (i) => `select ${i} as "${"x".repeat(20)}" /* ${"y".repeat(2 << 20)} */`;
  const ask = (i) => (a.send(parse("", large(i)), bind(), execute(), sync()), a.until("Z"));
  for (let i = 0; i < 5; i++) await ask(i);
  const was = rss();
  for (let i = 5; i < 45; i++) await ask(i);
  assert.ok(rss() - was < 40, `${was} MB, then ${rss()}`);
  await pool.stop();
});

test("pg_terminate_backend that is not run ends nobody", async () => {
  const pool = await startPool(`auth = "any"\npool_size = 3\n${database(postgres)}`);
  const a = await Wire.login(pool.port), b = await Wire.login(pool.port);
  const number = b.key.readUInt32BE(0);
  await a.rows(`explain select pg_terminate_backend(${number})`);
  await a.rows(`select 1 where false and pg_terminate_backend(${number})`);
  await a.rows(`select pg_terminate_backend(${number}) limit 0`);
  await a.query("begin; select 1/0");
  await a.query(`select pg_terminate_backend(${number})`);
  await a.query("rollback");
  assert.deepEqual(await b.rows("select 1"), [["1"]]);
  await a.rows(`select pg_terminate_backend(${number})`);
  assert.equal(errorOf(await b.wait(() => b.ended)).C, "57P01");
  await pool.stop();
});

test("statement mode: a block that comes in one piece is not committed", async () => {
  const pool = await open('pool_mode = "statement"');
  const a = await Wire.login(pool.port);
  a.send(query("begin"), query("insert into t (v) values ('block')"), query("commit"));
  assert.equal(errorOf(await a.wait(() => a.ended)).C, "0A000");
  assert.equal(postgres.sql("select count(*) from t where v = 'block'").trim(), "0");
  await pool.stop();
});

test("currval of what the same statement inserts", async () => {
  const pool = await open();
  const a = await Wire.login(pool.port);
  assert.equal((await a.rows("insert into t (v) values ('a') returning currval('t_id_seq') = id"))[0][0], "t");
  await a.rows("with i as (insert into t (v) values ('b') returning id) select (select id from i), currval('t_id_seq')");
  assert.equal(errorOf(await a.query("insert into t (v) values (currval('t_id_seq')::text)")).C, "0A000");
  await pool.stop();
});

test("prepared_statements_max = 0: a name pins, and what is not one's own is not there", async () => {
  const pool = await startPool(`auth = "any"\npool_size = 1\nprepared_statements_max = 0\n${database(postgres)}`);
  const a = await Wire.login(pool.port), b = await Wire.login(pool.port);
  a.send(parse("", "select 'mine'"), bind(), execute(), sync());
  await a.until("Z");
  b.send(bind(), execute(), sync());
  assert.equal(errorOf(await b.until("Z")).C, "26000");
  a.send(parse("s", "select 'mine'"), sync());
  await a.until("Z");
  b.send(bind("", "s"), execute(), sync()); // waits
  await sleep(100);
  a.send(bind("", "s"), execute(), sync());
  assert.match((await a.until("Z")).map(show).join(), /mine/);
  a.close();
  assert.equal(errorOf(await b.until("Z")).C, "26000");
  await pool.stop();
});

test("a first login waits no longer than query_wait_timeout, and is told why", async () => {
  const pool = await startPool(`auth = "any"\npool_size = 5\nconnections_max = 1\nquery_wait_timeout = "500ms"\n${database(postgres)}`);
  const a = await Wire.login(pool.port);
  await a.rows("begin");
  const began = Date.now();
  const wire = await Wire.open(pool.port);
  const { startup } = await import("./lib.mjs");
  wire.send(startup({ user: "limited", database: "postgres" }));
  const error = errorOf(await wire.wait(() => wire.ended));
  assert.equal(error.C, "57P03");
  assert.ok(Date.now() - began < 4000 * patience);
  a.close(); // in its transaction, for whose end a stop waits
  await pool.stop();
});

test("settings that the database refuses are told once, and end the session; those of a transaction alone do not matter", async () => {
  const pool = await startPool(`auth = "any"\npool_size = 2\nlog_disconnections = true\n${database(postgres)}`);
  const a = await Wire.login(pool.port, { client_encoding: "mule_internal" });
  a.send(query("select 1"));
  assert.match(errorOf(await a.wait(() => a.ended)).C, /^0A000|22023$/);
  const b = await Wire.login(pool.port, { options: "-c transaction_isolation=serializable" });
  assert.deepEqual(await b.rows("select 1"), [["1"]]);
  assert.ok(pool.weir.output.split("closing because").length < 5, pool.weir.output);
  await pool.stop();
});

test("statement mode: COPY from a client", async () => {
  const pool = await open('pool_mode = "statement"');
  const a = await Wire.login(pool.port);
  a.send(query("copy t (v) from stdin"));
  await a.until("G");
  a.send(copyData("one\ntwo\n"), message("c"));
  assert.equal(errorOf(await a.until("Z")), undefined);
  a.send(query("copy t (v) from stdin"), copyData("three\n"), message("c"));
  assert.equal(errorOf(await a.until("Z")), undefined);
  await pool.stop();
});

test("statements are prepared anew after a reset that takes them away, whatever it is called", async () => {
  for (const reset of ["DISCARD ALL;", "deallocate all; reset all"]) {
    const pool = await open(`server_reset_query = "${reset}"\nserver_reset_query_always = true`);
    const a = await Wire.login(pool.port);
    a.send(parse("s", "select 'here'"), sync());
    await a.until("Z");
    await a.rows("begin");
    a.send(bind("", "s"), execute(), sync());
    assert.match((await a.until("Z")).map(show).join(), /here/, reset);
    a.close(); // in its transaction, for whose end a stop waits
    await pool.stop();
  }
});

test("prepared_statements_max = 0: an error leaves a named statement, and the unnamed one is there for the next batch", async () => {
  const pool = await open("prepared_statements_max = 0");
  const a = await Wire.login(pool.port);
  a.send(parse("s", "select 1 / $1::int"), bind("", "s", [0]), execute(), sync());
  assert.equal(errorOf(await a.until("Z")).C, "22012");
  a.send(bind("", "s", [1]), execute(), sync());
  assert.equal(errorOf(await a.until("Z")), undefined);
  a.close();
  const b = await Wire.login(pool.port);
  b.send(parse("", "select 2"), sync());
  await b.until("Z");
  b.send(bind(), execute(), sync());
  assert.equal(errorOf(await b.until("Z")), undefined);
  await pool.stop();
});

test("what is refused leaves its connection as it was", async () => {
  const pool = await open('session_state = "error"');
  const a = await Wire.login(pool.port), [[pid]] = await a.rows("select pg_backend_pid()");
  for (const sql of ["load 'auto_explain'", "select dblink_connect('x', 'host=/nowhere')"]) assert.equal(errorOf(await a.query(sql)).C, "0A000");
  assert.deepEqual(await a.rows("select pg_backend_pid()"), [[pid]]);
  await pool.stop();
});

const harmless = [
  "with s as (select setseed(0.5)) select random() from s", "select setseed(7)", "select dblink_connect('x', 'host=/nowhere')",
  "select 1 as set_limit", "select set_config('a.b', 'x', is_local => true)", `select 1 as U&"a"`,
  "insert into t (v) select name from pg_settings limit 1 on conflict (id) do update set v = (select count(*) from pg_settings)",
  "set local search_path = 'public, pg_temp'", "select 'pg_temp'",
];
test("what leaves nothing, or nothing that is missed, pins nobody", async () => {
  const pool = await open();
  const a = await Wire.login(pool.port), b = await Wire.login(pool.port);
  for (const sql of harmless) {
    await a.query(sql);
    b.send(query("select 1"));
    await b.until("Z", 1, 2000 * patience).catch(() => assert.fail(sql));
  }
  await pool.stop();
});

test("UNLISTEN of a transaction that is taken away comes to nothing; behind a ROLLBACK it holds", { timeout: 60000 * patience }, async () => {
  const pool = await startPool(`auth = "any"\npool_size = 2\nidle_transaction_timeout = "300ms"\n${database(postgres)}`);
  const a = await Wire.login(pool.port), b = await Wire.login(pool.port);
  const heard = async (text) => {
    await b.rows(`notify ch, '${text}'`);
    await sleep(300);
    await a.rows("select 1");
    return a.text.includes(`ch\0${text}\0`);
  };
  await a.rows("listen ch");
  await a.rows("begin");
  await a.query("unlisten ch");
  await sleep(1500); // 25P03
  await a.query("select 1");
  await a.query("select 2");
  await a.query("rollback");
  assert.ok(await heard("first"));
  await a.query("rollback; unlisten *");
  assert.ok(!(await heard("second")));
  await a.rows("listen ch");
  await a.rows("create temp table pins ()");
  a.send(parse("", "listen ch"), bind(), execute(), sync());
  await a.until("Z");
  assert.ok(await heard("third"));
  assert.equal(a.text.split("ch\0third\0").length - 1, 1);
  await pool.stop();
});

test("WAIT_CLOSE does not wait for who has left something that no reset takes away", async () => {
  const pool = await startPool(`auth = "any"\npool_mode = "session"\npool_size = 2\nadmin_users = ["postgres"]\n${database(postgres)}`);
  const a = await Wire.login(pool.port);
  await a.rows("select setseed(0.5)");
  const console_ = await Wire.login(pool.port, { database: "pgbouncer" });
  assert.equal(errorOf(await console_.query("wait_close")), undefined);
  await pool.stop();
});

test("a result that is kept is asked for once, also where settings are restored before it", async () => {
  const pool = await startPool(`auth = "any"\npool_size = 1\nadmin_users = ["postgres"]\n${database(postgres, "[databases.cache]\nmax_age = \"60s\"")}`);
  const a = await Wire.login(pool.port, { options: "-c search_path=public" }), b = await Wire.login(pool.port, { options: "-c search_path=public,pg_catalog" });
  for (let i = 0; i < 10; i++) for (const wire of [a, b]) await wire.rows(`select ${i}`);
  const console_ = await Wire.login(pool.port, { database: "pgbouncer" });
  const replies = await console_.query("show cache");
  const columns = replies.find(({ type }) => type === "T").body.toString("latin1", 2).split("\0").map((name) => name.match(/[a-z_]+$/)?.[0]).filter(Boolean);
  const row = (await console_.rows("show cache")).at(-1);
  assert.ok(Number(row[columns.indexOf("misses")]) <= 21, `${columns}: ${row}`);
  await pool.stop();
});

test("what stands in the startup packet itself is stronger than its options", async () => {
  const pool = await open();
  const a = await Wire.login(pool.port, { TimeZone: "UTC", options: "-c timezone=Asia/Tokyo" });
  assert.deepEqual(await a.rows("show timezone"), [["UTC"]]);
  await pool.stop();
});

test("EXECUTE does not run what the pool has prepared, for whomever", async () => {
  const pool = await open();
  const [a, b, c] = [await Wire.login(pool.port), await Wire.login(pool.port), await Wire.login(pool.port)];
  a.send(parse("s", "set a.p = 'x'"), sync());
  await a.until("Z");
  const ways = [(i) => [query(`execute weir_${i}`)], (i) => [query(`select 1; execute "weir_${i}"`)], (i) => [parse("", `execute weir_${i}`), bind(), execute(), sync()], (i) => [query(`/* */ Execute Weir_${i}; select 1`)]];
  for (const way of ways)
    for (let i = 1; i < 5; i++) {
      b.send(...way(i));
      assert.equal(errorOf(await b.until("Z"))?.C, "26000", String(way(i)));
      unset(await c.rows(setting("a.p")));
    }
  a.send(parse("t", "select 'mine'"), sync());
  await a.until("Z");
  assert.deepEqual(await a.rows("execute t"), [["mine"]]);
  await pool.stop();
});

test("a parameter that can not be reset any more ends nobody who has not set it", async () => {
  const pool = await open();
  postgres.sql("create function runs() returns int language plpgsql as 'begin return 1; end'");
  const [a, b] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  await a.rows("set plpgsql.bogus = 1");
  await a.rows("select runs()"); // which reserves the prefix
  assert.deepEqual(await b.rows("select 1"), [["1"]]);
  await pool.stop();
});

test("idle_session_timeout ends the session that has set it, and no connection that is nobody's", async () => {
  const pool = await open();
  const [a, b] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  await a.rows("set idle_session_timeout = '300ms'");
  assert.equal(errorOf(await a.wait(() => a.ended)).C, "57P05");
  const c = await Wire.login(pool.port, { options: "-c idle_session_timeout=300ms" });
  await c.rows("select 1");
  const [[pid]] = await b.rows("select pg_backend_pid()");
  await c.rows("select 1");
  await sleep(600);
  assert.deepEqual(await b.rows("select pg_backend_pid()"), [[pid]]);
  await pool.stop();
});

test("what is reset over a setting of the login is as it would be without a pool", async () => {
  const pool = await startPool(`auth = "any"\npool_size = 2\n${database(postgres)}`);
  const ask = async (port, steps) => {
    const a = await Wire.login(port, { options: "-c work_mem=5MB" }), told = [];
    await a.rows("set work_mem = '6MB'");
    for (const sql of steps) await a.query(sql);
    told.push(...(await a.rows("show work_mem")), ...(await a.rows("show work_mem")));
    a.close();
    return told;
  };
  for (const steps of [["begin", "reset all", "rollback"], ["begin", "reset all", "select 1/0", "rollback"], ["begin", "reset all", "commit"], ["begin; reset all; rollback"], ["reset all; select 1"], ["reset work_mem; select 1"], ["reset all; select 1/0"]])
    assert.deepEqual(await ask(pool.port, steps), await ask(postgres.port, steps), steps.join(", "));
  await pool.stop();
});

test("what follows a RESET in the same write has what its session began with", async () => {
  const pool = await open();
  const begun = { options: "-c search_path=pg_catalog -c app.v=begun" }, asks = "select current_setting('app.v', true), current_setting('search_path')";
  for (const reset of ["reset all", "discard all", "set search_path to default"])
    for (const extended of [false, true]) {
      const a = await Wire.login(pool.port, begun);
      await a.rows("set search_path = public");
      const run = (sql) => (extended ? [parse("", sql), bind(), execute(), sync()] : [query(sql)]);
      a.send(...run(reset), ...run(asks));
      const row = (await a.until("Z", 2)).find(({ type }) => type === "D");
      assert.match(row.body.toString("latin1"), /begun.*pg_catalog/s, `${reset} ${extended}`);
      a.close();
    }
  await pool.stop();
});
