// SPDX-License-Identifier: Apache-2.0
// Results that are kept: which, for whom, and for how long.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import pg from "pg";
import postgresJs from "postgres";

import { Wire, bind, database, describe, errorOf, eventually, execute, flush, parse, patience, query, show, sleep, startPool, startPostgres, startRelay, sync } from "./lib.mjs";

let postgres;
before(async () => {
  postgres = await startPostgres();
  postgres.sql(
    "create table facts (id int primary key, text text); insert into facts values (1, 'one'), (2, 'two');" +
      "create view plain as select text from facts; create view moving as select text, now() from facts;" +
      "create view above as select * from moving; create table guarded (a int); alter table guarded enable row level security;" +
      "create function fixed(int) returns int immutable language sql as 'select $1'; create sequence numbers;" +
      "create function drifting(int) returns int volatile language sql as 'select $1';" +
      "create function shadowed(int) returns int immutable language sql as 'select $1';" +
      "create function shadowed(text) returns text volatile language sql as 'select $1';" +
      "create function field(facts) returns float volatile language sql as 'select random()';" +
      "create function boxed(int) returns box volatile language sql as 'select box(point($1, random()))';" +
      "create cast (int as box) with function boxed(int); create domain moment as timestamptz;" +
      "create function added(float, int) returns float volatile language sql as 'select random()';" +
      "create aggregate summed(int) (sfunc = added, stype = float, initcond = 0);" +
      "create aggregate total(int) (sfunc = int4pl, stype = int, initcond = 0);" +
      "create function since(int, int) returns int stable language sql as 'select extract(epoch from now())::int';" +
      "create operator @@@ (leftarg = int, rightarg = int, function = since);" +
      "create view sampled as select text from facts tablesample system (100);" +
      "create view joined as select text, ('n' || 'ow')::timestamptz from facts;" +
      "create view joined_array as select text, ('{n' || 'ow}')::timestamptz[] from facts;" +
      "create role other login; grant all on facts to other",
  );
});

const open = (cache = "", settings = "") =>
  startPool(`auth = "any"\n${settings}\n${database(postgres)}\n[databases.cache]\n${cache}\n`);
const prepared = (name, sql, values = []) => [parse(name, sql), bind("", name, values), describe("P", ""), execute(), sync()];

// Whether the pool keeps the result of a statement: whoever changes the table behind its back shows it. What the catalogue
// says of the statement arrives some time after it was first asked: `rounds` is how often it may not be known yet.
async function isKept(wire, sql, rounds = 1) {
  const ask = async () => (await wire.rows(sql)).flat().join();
  for (; rounds > 0; rounds--) {
    for (let i = 0; i < 4; i++) await ask(), await sleep(15);
    const old = await ask();
    postgres.sql("update facts set text = text || '.' where id = 1");
    if ((await ask()) === old) return true;
  }
  return false;
}

test("what may be kept, and what may not", async () => {
  const pool = await open();
  const wire = await Wire.login(pool.port);
  const text = "(select text from facts where id = 1)";
  for (const sql of [
    `select ${text}`,
    "select text from facts where id = 1",
    "SELECT lower(text), count(*) FROM facts WHERE id = 1 GROUP BY text HAVING count(*) > 0 ORDER BY 1 LIMIT 3;",
    "with f as (select * from facts) select f.text from f where id in (1, 3) union all select 'x'",
    "select text from plain",
    "select fixed(id), text, case when id = 1 then array[id] else null end from facts f where id = 1",
    "select f.text, json_agg(g.text) from facts f join public.facts g on f.id = g.id where f.id = 1 group by 1",
    "select row_number() over (order by id), text from facts",
    "select text, to_char(id, '999'), date_trunc('day', date '2001-01-01') from facts where id = 1",
    "/* a hint */ select text from facts where id = 1 -- now()",
    "select text, 'for update, into, random()', 'nowhere known' from facts where id = 1",
    "with total as (select * from facts) select total.text from total where total.id = 1",
    "select f.text, f.date from (select text, date '2001-01-01' as date from facts where id = 1) f",
    "select text, '{2001-01-01}'::date[], array['2001-01-01']::date[], id::text::int from facts where id = 1",
    "select text, ('1' || '2')::int, (select total(id) from facts) from facts where id = 1",
  ])
    assert.equal(await isKept(wire, sql, 20), true, sql);
  for (const sql of [
    `select ${text}, now()`,
    `select ${text}, current_timestamp`,
    `select ${text}, current_user`,
    `select ${text}, random()`,
    `select ${text}, 'now'::timestamptz is null`,
    `select ${text}, date ' today' is null`,
    `select ${text}, nextval('numbers')`,
    `select ${text}, drifting(1)`,
    `select ${text}, shadowed(1)`,
    "select text from facts where id = 1 for update",
    "select text from facts tablesample system (100) where id = 1",
    "select text from moving",
    "select text from above",
    "select text, (select count(*) from guarded) from facts where id = 1",
    "select text, (select count(*) from pg_class where relname = 'none') from facts where id = 1",
    "with u as (update facts set id = id where id = 1 returning text) select text from u",
    "table facts",
    "values ((select text from facts where id = 1))",
    `select ${text}; select 1`,
    `select ${text}, pg_backend_pid()`,
    `select ${text}, current_setting('TimeZone')`,
    "with moving as (select * from moving) select text from moving",
    "select moving.text from (with moving as (select 1) select * from moving) s, moving where text is not null",
    "with guarded as (select * from guarded) select text, (select count(*) from guarded) from facts where id = 1",
    "select facts.text, facts.field from facts where id = 1",
    "select text, (facts).field from facts where id = 1",
    `select ${text}, g.pg_sleep from generate_series(0, 0) g`,
    `select ${text}, '{now}'::timestamptz[]`,
    `select ${text}, '[now,infinity)'::tstzrange`,
    `select ${text}, '12:00today'::timestamptz`,
    `select ${text}, 'now()'::timestamptz`,
    `select ${text}, ('n' || 'ow')::timestamptz`,
    `select ${text}, ('{n' || 'ow}')::timestamptz[]`,
    `select ${text}, ('[n' || 'ow,)')::tstzrange`,
    `select ${text}, tstzrange('[n' || 'ow,)')`,
    `select ${text}, cast(concat('to', 'day') as moment)`,
    "select text from joined",
    "select text from joined_array",
    "select text, (select summed(id) from facts) from facts where id = 1",
    `select ${text}, 1 @@@ 2`,
    `select ${text}, 1::box`,
    "select text from sampled",
  ])
    assert.equal(await isKept(wire, sql), false, sql);
  await pool.stop();
});

test("a result is its own: values, types, parameters, users, and forms of asking apart", async () => {
  const pool = await open();
  const wire = await Wire.login(pool.port);
  const sql = "select text from facts where id = $1";
  const ask = async (client, messages) => {
    client.send(...messages);
    return (await client.until("Z")).map(show);
  };
  const warm = async (client, messages) => {
    for (let i = 0; i < 4; i++) await ask(client, messages()), await sleep(15);
    return ask(client, messages());
  };
  postgres.sql("update facts set text = 'one' where id = 1");
  let n = 0;
  const named = (value) => () => prepared(`s${n++}`, sql, [value]);
  assert.deepEqual(await warm(wire, named(1)), ["1 ", "2 ", "T text:25", "D |\x01|||\x03one", "C SELECT 1|", "Z I"]);
  assert.deepEqual((await warm(wire, named(2)))[3], "D |\x01|||\x03two");
  postgres.sql("update facts set text = upper(text)");
  assert.deepEqual((await ask(wire, named(1)()))[3], "D |\x01|||\x03one");
  assert.deepEqual((await ask(wire, named(2)()))[3], "D |\x01|||\x03two");
  // The name that came with an answer of the cache is one: and without its Parse, and without the columns, it is another form.
  const kept = `s${n - 2}`;
  assert.deepEqual(await ask(wire, [bind("", kept, [1]), describe("P", ""), execute(), sync()]), ["2 ", "T text:25", "D |\x01|||\x03one", "C SELECT 1|", "Z I"]);
  assert.deepEqual(await ask(wire, [bind("", kept, [1]), execute(), sync()]), ["2 ", "D |\x01|||\x03ONE", "C SELECT 1|", "Z I"]);
  // So is the unnamed statement; and a simple query ends it.
  assert.deepEqual((await ask(wire, prepared("", sql, [1])))[3], "D |\x01|||\x03one");
  assert.deepEqual((await ask(wire, [bind("", "", [2]), describe("P", ""), execute(), sync()]))[2], "D |\x01|||\x03two");
  await warm(wire, () => [query("select text from facts where id = 2")]);
  wire.send(bind("", "", [2]), describe("P", ""), execute(), sync());
  assert.equal(errorOf(await wire.until("Z")).C, "26000");
  // Who has other parameters, or is another, sees for itself.
  const dated = await Wire.login(pool.port, { DateStyle: "German" });
  await dated.rows("select 1"); // brings what the server makes of that
  assert.deepEqual((await ask(dated, named(1)()))[3], "D |\x01|||\x03ONE");
  const other = await Wire.login(pool.port, { user: "other" });
  assert.deepEqual((await ask(other, named(1)()))[3], "D |\x01|||\x03ONE");
  // In a transaction the database is asked.
  await wire.rows("begin");
  assert.deepEqual((await ask(wire, named(1)()))[3], "D |\x01|||\x03ONE");
  await wire.rows("rollback");
  // 'now' as a value is another each time.
  for (const [type, value] of [["timestamptz", "now"], ["timestamptz[]", "{now}"], ["tstzrange", "[today,)"]]) {
    const moment = () => prepared(`s${n++}`, `select text, $1::${type} from facts where id = 1`, [value]);
    postgres.sql("update facts set text = 'old'");
    await warm(wire, moment);
    postgres.sql("update facts set text = 'new'");
    assert.match((await ask(wire, moment()))[3], /new/);
  }
  // Errors are not results.
  for (let i = 0; i < 3; i++) {
    wire.send(...prepared(`s${n++}`, "select id / (id - 1) from facts where id = $1", [1]));
    assert.equal(errorOf(await wire.until("Z")).C, "22012");
  }
  await pool.stop();
});

test("a pipeline is answered in order, from the cache and from the database", async () => {
  const pool = await open();
  const wire = await Wire.login(pool.port);
  for (let i = 0; i < 4; i++) await wire.rows("select 'kept'"), await sleep(15);
  wire.send(query("select 'kept'"), query("select 'kept'"), query("select now() is null"), query("select 'kept'"));
  const rows = (await wire.until("Z", 4)).filter(({ type }) => type === "D").map(({ body }) => body.toString("utf8", 6));
  assert.deepEqual(rows, ["kept", "kept", "f", "kept"]);
  await pool.stop();
});

test("after max_age the old result is given out while it is fetched anew; after that it is gone", async () => {
  const pool = await open('max_age = "1s"\nstale_while_revalidate = "1s"');
  const wire = await Wire.login(pool.port);
  const ask = async () => (await wire.rows("select text from facts where id = 2"))[0][0];
  const set = (text) => postgres.sql(`update facts set text = '${text}' where id = 2`);
  set("first");
  for (let i = 0; i < 4; i++) await ask(), await sleep(15);
  set("second");
  assert.equal(await ask(), "first");
  await sleep(1100);
  assert.equal(await ask(), "first"); // stale, and asks
  await eventually(async () => assert.equal(await ask(), "second"), 800);
  set("third");
  assert.equal(await ask(), "second");
  await sleep(2200);
  assert.equal(await ask(), "third");
  await pool.stop();
});

test("memory is bounded, and large results are not kept", { timeout: 60000 * patience }, async () => {
  const pool = await open('bytes_max = "1MB"\nresult_bytes_max = "100KB"', 'log_errors = false');
  const wire = await Wire.login(pool.port);
  await isKept(wire, "select repeat('x', 50000), text from facts where id = 1");
  assert.equal(await isKept(wire, "select repeat('x', 50000), text from facts where id = 1", 20), true);
  assert.equal(await isKept(wire, "select repeat('x', 200000), text from facts where id = 1"), false);
  for (let i = 0; i < 60; i++) {
    wire.send(...prepared("", "select repeat('x', 50000), $1::text, text from facts where id = 1", [i]));
    await wire.until("Z");
  }
  assert.equal(await isKept(wire, "select repeat('x', 50000), text from facts where id = 1", 20), true); // asked again, kept again
  const shown = await Wire.login(pool.port, { database: "pgbouncer" });
  const bytes = Number((await shown.rows("show cache")).find((row) => row[1] === "postgres")[2]);
  assert.ok(bytes > 500000 && bytes <= 1048576, String(bytes));
  await pool.stop();
});

test("a statement's text counts in bytes_max, once for all of its results", { timeout: 60000 * patience }, async () => {
  const pool = await open('bytes_max = "1MB"');
  const wires = { postgres: await Wire.login(pool.port), other: await Wire.login(pool.port, { user: "other" }) };
  const comment = `/* ${"x".repeat(12000)} */`;
  const shown = await Wire.login(pool.port, { database: "pgbouncer" });
  const cached = async (user) => (await shown.rows("show cache")).find((row) => row[1] === user).slice(2, 4).map(Number);
  await eventually(async () => {
    for (let i = 0; i < 150; i++) await wires.postgres.rows(`select ${i} ${comment}`);
    const [bytes, results] = await cached("postgres");
    assert.ok(bytes > 500000 && bytes <= 1048576 && bytes > results * 12000, `${bytes} bytes, ${results} results`);
  }, 4000 * patience);
  const values = Array.from({ length: 100 }, (_, i) => i);
  await eventually(async () => {
    for (const value of values) {
      wires.other.send(...prepared("", `select $1::text ${comment}`, [value]));
      await wires.other.until("Z");
    }
    assert.equal((await cached("other"))[1], values.length);
  });
  const [shared] = await cached("other");
  assert.ok(shared > 12000 && shared < 100000, String(shared));
  await pool.stop();
});

test("an answer of the cache is no transaction, and what the pool asks itself no traffic of clients", async () => {
  const pool = await open('max_age = "1s"\nstale_while_revalidate = "30s"');
  const wire = await Wire.login(pool.port);
  const shown = await Wire.login(pool.port, { database: "pgbouncer" });
  const sql = "select text from facts where id = 2";
  let asked = 0;
  const ask = async () => (asked++, (await wire.rows(sql))[0][0]);
  const counted = async () => {
    const [, , transactions, , received] = (await shown.rows("show stats")).find((row) => row[0] === "postgres").map(Number);
    return { transactions, received };
  };
  postgres.sql("update facts set text = 'counted' where id = 2");
  for (let i = 0; i < 4; i++) await ask(), await sleep(15);
  const before = await counted();
  assert.ok(before.transactions > 0);
  assert.equal(before.received, asked * query(sql).length);
  postgres.sql("update facts set text = 'anew' where id = 2");
  await sleep(1100);
  await eventually(async () => assert.equal(await ask(), "anew"));
  assert.deepEqual(await counted(), { transactions: before.transactions, received: asked * query(sql).length });
  await pool.stop();
});

test("pg and postgres.js are answered from the cache", async () => {
  const pool = await open();
  const url = `postgres://postgres@127.0.0.1:${pool.port}/postgres?sslmode=disable`;
  const client = new pg.Client(url);
  await client.connect();
  const sql = postgresJs(url, { max: 1 });
  const asks = {
    pg: async () => (await client.query("select text from facts where id = $1", [1])).rows[0].text,
    named: async () => (await client.query({ name: "n", text: "select text from facts where id = $1", values: [1] })).rows[0].text,
    js: async () => (await sql`select text from facts where id = ${1}`)[0].text,
  };
  for (const [name, ask] of Object.entries(asks)) {
    postgres.sql("update facts set text = 'old'");
    for (let i = 0; i < 4; i++) await ask(), await sleep(15);
    const old = await ask();
    postgres.sql("update facts set text = 'changed'");
    assert.equal(await ask(), old, name);
    assert.equal(old, "old", name);
  }
  await client.end();
  await sql.end();
  await pool.stop();
});

test("messages may come one at a time, and a statement may be described first", async () => {
  const pool = await open();
  const wire = await Wire.login(pool.port);
  const sql = "select text from facts where id = $1";
  const set = (text) => postgres.sql(`update facts set text = '${text}' where id = 1`);
  let n = 0;
  // As postgres.js asks: what the statement takes and returns, and only then the query.
  const ask = async (client, name, slowly) => {
    const send = async (...messages) => {
      if (!slowly) return client.send(...messages);
      for (const message of messages) client.send(message.subarray(0, 3)), await sleep(3), client.send(message.subarray(3)), await sleep(3);
    };
    await send(parse(name, sql), describe("S", name), flush());
    const told = await client.until("T");
    await send(bind("", name, [1]), execute(), sync());
    return [...told, ...(await client.until("Z"))].map(show);
  };
  set("old");
  const answer = ["1 ", "t |\x01|||\x17", "T text:25", "2 ", "D |\x01|||\x03old", "C SELECT 1|", "Z I"];
  for (const name of [() => `s${n++}`, () => ""]) {
    set("old");
    for (let i = 0; i < 5; i++) assert.deepEqual(await ask(wire, name(), i === 3), answer), await sleep(15);
    const transactions = async () => (await (await Wire.login(pool.port, { database: "pgbouncer" })).rows("show stats")).find((row) => row[0] === "postgres")[1];
    const before = await transactions();
    for (let i = 0; i < 4; i++) assert.deepEqual(await ask(wire, name(), i % 2 === 1), answer);
    assert.equal(await transactions(), before);
    set("new");
    assert.deepEqual(await ask(wire, name()), answer);
  }
  // A batch that is never whole takes no connection, and one of another kind is not held up.
  const stalled = await Wire.login(pool.port);
  stalled.send(parse("", sql), bind("", "", [1]));
  await sleep(30);
  const console = await Wire.login(pool.port, { database: "pgbouncer" });
  const active = async () => (await console.rows("show pools")).find((row) => row[0] === "postgres")[6];
  assert.equal(await active(), "0");
  stalled.send(parse("long", `select 1 /* ${"x".repeat(40000)} */`));
  stalled.send(sync());
  assert.equal((await stalled.until("Z")).at(-1).body.toString(), "I");
  await pool.stop();
});

test("who was told the columns by the cache hears that they have changed, and is told anew", async () => {
  const pool = await open();
  const wire = await Wire.login(pool.port);
  postgres.sql("create table changing (a int); insert into changing values (7)");
  const sql = "select * from changing where a = $1";
  const told = async (name) => {
    wire.send(parse(name, sql), describe("S", name), flush());
    return show((await wire.until("T")).at(-1));
  };
  let n = 0;
  for (const name of [() => `s${n++}`, () => ""]) {
    for (let i = 0; i < 4; i++) {
      await told(name());
      wire.send(sync());
      await wire.until("Z");
      await sleep(15);
    }
    const last = name();
    const before = await told(last);
    postgres.sql(`alter table changing add column b${n} text default 'x'`);
    wire.send(bind("", last, [7]), execute(), sync());
    const error = errorOf(await wire.until("Z"));
    assert.equal(error.C, "0A000");
    assert.equal(error.R, "RevalidateCachedQuery");
    const again = name();
    const after = await told(again);
    assert.notEqual(after, before);
    wire.send(bind("", again, [7]), execute(), sync());
    assert.match(show((await wire.until("Z"))[1]), /x/);
  }
  await pool.stop();
});

test("who was told the columns hears that they have changed, too, when a result is fetched anew", async () => {
  const pool = await open('max_age = "1s"\nstale_while_revalidate = "30s"');
  postgres.sql("create table reshaped (a int, b text); insert into reshaped values (1, 'x')");
  const forms = { plain: [execute(), sync()], described: [describe("P", ""), execute(), sync()] };
  const wires = {};
  const ask = async (form) => {
    wires[form].send(bind("", "s", [1]), ...forms[form]);
    return (await wires[form].until("Z")).map(show);
  };
  const old = {};
  for (const form in forms) {
    wires[form] = await Wire.login(pool.port);
    wires[form].send(parse("s", "select * from reshaped where a = $1"), describe("S", "s"), sync());
    await wires[form].until("Z");
    for (let i = 0; i < 4; i++) (old[form] = await ask(form)), await sleep(15);
    assert.ok(old[form].includes("D |\x02|||\x011|||\x01x"), old[form].join());
  }
  postgres.sql("alter table reshaped alter a type bigint, add column c int default 7, drop column b");
  await sleep(1100);
  for (const form in forms) {
    assert.deepEqual(await ask(form), old[form]); // stale, and asks
    await eventually(async () => assert.notDeepEqual(await ask(form), old[form]), 800 * patience);
    assert.match((await ask(form)).join(), /E ERROR 0A000 cached plan must not change result type/);
  }
  // One that returns the same as before is only fetched anew.
  const wire = await Wire.login(pool.port);
  wire.send(parse("s", "select text from facts where id = $1"), describe("S", "s"), sync());
  await wire.until("Z");
  const text = async () => {
    wire.send(bind("", "s", [2]), execute(), sync());
    return (await wire.until("Z")).map(show)[1];
  };
  for (let i = 0; i < 4; i++) await text(), await sleep(15);
  postgres.sql("update facts set text = 'renewed' where id = 2");
  assert.doesNotMatch(await text(), /renewed/);
  await sleep(1100);
  assert.doesNotMatch(await text(), /renewed/);
  await eventually(async () => assert.match(await text(), /renewed/), 800 * patience);
  await pool.stop();
});

test("many who ask the same at once wait for one answer; if it comes to nothing, or is not for them, they ask themselves", { timeout: 60000 * patience }, async () => {
  postgres.sql("create table slow (id int, text text); insert into slow select n, 'number ' || n from generate_series(1, 9) n");
  const pool = await open("", "pool_size = 30");
  const sql = "select text from slow where id = $1";
  const clients = await Promise.all(Array.from({ length: 12 }, () => Wire.login(pool.port)));
  const ask = (wire, id) => wire.send(...prepared("", sql, [id]));
  const text = (messages) => messages.filter(({ type }) => type === "D").map(({ body }) => body.subarray(6).toString());
  const waiting = () => Number(postgres.sql("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"));
  // Until it is known that it may be kept.
  for (let i = 0; i < 10; i++) ask(clients[0], 1), await clients[0].until("Z"), await sleep(15);
  const [locker, leader, ...others] = [await Wire.login(pool.port), ...clients];
  const lock = async (id) => {
    await locker.rows("begin; lock table slow");
    ask(leader, id);
    await eventually(() => assert.equal(waiting(), 1));
    others.forEach((wire) => ask(wire, id));
    await sleep(200);
    assert.equal(waiting(), 1, "only one asks");
  };
  await lock(2);
  await locker.rows("commit");
  for (const wire of [leader, ...others]) assert.deepEqual(text(await wire.until("Z")), ["number 2"]);
  // The one who asks is gone; one of the others is cancelled.
  await lock(3);
  const cancelled = others.pop();
  await Wire.cancel(pool.port, cancelled.key);
  assert.equal(errorOf(await cancelled.until("Z")).C, "57014");
  leader.close();
  await eventually(() => assert.equal(waiting(), others.length));
  await locker.rows("commit");
  for (const wire of others) assert.deepEqual(text(await wire.until("Z")), ["number 3"]);
  await pool.stop();
});

test("… also if its connection is lost while a request to cancel it is under way", { timeout: 60000 * patience }, async () => {
  postgres.sql("create table lost (id int, text text); insert into lost values (1, 'one'), (2, 'two')");
  const way = await startRelay(postgres), held = [];
  const pool = await startPool(`auth = "any"\ncancel_wait_timeout = 0\n${database(way)}\n[databases.cache]\n`);
  const [locker, leader, other] = [await Wire.login(pool.port), await Wire.login(pool.port), await Wire.login(pool.port)];
  const waiting = () => postgres.sql("select client_port from pg_stat_activity where wait_event_type = 'Lock'").split("\n").filter(Boolean);
  const ask = (wire, id) => wire.send(...prepared("", "select text from lost where id = $1", [id]));
  for (let i = 0; i < 10; i++) ask(leader, 1), await leader.until("Z"), await sleep(15); // until it is known that it may be kept
  await locker.rows("begin; lock table lost");
  ask(leader, 2);
  await eventually(() => assert.equal(waiting().length, 1));
  const [port] = waiting();
  ask(other, 2);
  await sleep(200);
  assert.equal(waiting().length, 1, "only one asks");
  way.opens = () => new Promise((done) => held.push(done));
  const cancelled = Wire.cancel(pool.port, leader.key);
  await eventually(() => assert.equal(held.length, 1));
  way.opens = undefined;
  way.pairs.find(([, far]) => String(far.localPort) === port)[0].destroy();
  assert.equal(errorOf(await leader.until("E")).C, "08006");
  await locker.rows("commit");
  assert.deepEqual((await other.until("Z")).filter(({ type }) => type === "D").map(({ body }) => body.subarray(6).toString()), ["two"]);
  held[0]();
  await cancelled;
  await pool.stop();
});
