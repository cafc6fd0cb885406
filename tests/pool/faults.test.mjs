// SPDX-License-Identifier: Apache-2.0
// What clients see when something goes wrong, and what the pool makes of hostile peers. A fake server plays what
// no Postgres would do.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import net from "node:net";
import { before, test } from "node:test";
import tls from "node:tls";

import { Wire, assertNoneLeaked, bind, copyData, copyDone, database, errorFields, errorOf, eventually, execute, flush, freePort, message, parse, patience, query, sanitized, show, sleep, startPool, startPostgres, startRelay, startup, sync } from "./lib.mjs";

let postgres;
before(async () => {
  postgres = await startPostgres();
  postgres.sql("create table t (id int primary key)");
});

const open = (extra = "", of = "") => startPool(`auth = "any"\nadmin_users = ["postgres"]\n${extra}\n${database(postgres, of)}`);
const rss = (pid) => Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/VmRSS:\s+(\d+)/)[1]);
const idle = () =>
  eventually(() => assert.equal(postgres.sql("select count(*) from pg_stat_activity where backend_type = 'client backend' and state <> 'idle' and pid <> pg_backend_pid()"), "0"));

test("clients that vanish at each point leave no transaction, no lock and no connection behind", async () => {
  const pool = await open("pool_size = 2");
  const points = {
    idle: () => [],
    "in a transaction": () => [query("begin; insert into t values (1)")],
    "in a failed transaction": () => [query("begin; insert into t values (1); select 1/0")],
    "while a query runs": () => [query("begin; insert into t values (1)"), query("select pg_sleep(30)")],
    "in COPY in": () => [query("begin"), query("copy t from stdin"), copyData("1\n")],
    "in COPY in of an extended query": () => [parse("", "copy t from stdin"), bind(), execute(), sync(), copyData("1\n")],
    "in COPY in, before its Sync": () => [parse("", "copy t from stdin"), bind(), execute(), flush(), copyData("1\n"), copyDone()],
    "in COPY out": () => [query("copy (select repeat('x', 1000) from generate_series(1, 100000)) to stdout")],
    "amid a row": () => [query("select repeat('x', 100000000)")],
    "before Sync": () => [query("begin"), parse("", "insert into t values (1)"), bind("", ""), execute()],
    "amid a message": () => [query("begin; insert into t values (1)"), query("select 1").subarray(0, 7)],
    "amid a large message": () => [query("begin"), message("Q", "x".repeat(200000)).subarray(0, 100000)],
    "after an error, before Sync": () => [parse("", "nonsense")],
  };
  for (const [name, messages] of Object.entries(points)) {
    const wire = await Wire.login(pool.port);
    wire.socket.on("error", () => {});
    if (name === "amid a row") wire.socket.pause();
    if (messages().length > 0) wire.send(...messages());
    await sleep(60);
    wire.socket.resetAndDestroy();
    const others = await Promise.all([Wire.login(pool.port), Wire.login(pool.port)]);
    for (const other of others) {
      await other.rows("set local lock_timeout = 1000");
      assert.deepEqual(await other.rows("select count(*) from t"), [["0"]], name);
      await other.rows("begin; insert into t values (1); rollback");
      other.send(parse("", "select 'extended'"), bind(), execute(), sync());
      assert.equal((await other.until("Z")).map(({ type }) => type).join(""), "12DCZ", name);
      other.close();
    }
  }
  await idle();
  await assertNoneLeaked(postgres, pool, 2);
  await pool.stop();
});

test("a backend that an administrator ends ends its session, as Postgres says; other sessions go on", async () => {
  const pool = await open("pool_size = 2");
  const kill = "select pg_terminate_backend(pg_backend_pid())";
  const other = await Wire.login(pool.port);
  for (const messages of [[query(kill)], [query("begin"), query(kill)], [parse("", kill), bind("", ""), execute(), sync()]]) {
    const wire = await Wire.login(pool.port);
    wire.send(...messages);
    const error = errorOf(await wire.wait(() => wire.ended));
    assert.equal(`${error.S} ${error.C}`, "FATAL 57P01");
    assert.deepEqual(await other.rows("select 'goes on'"), [["goes on"]]);
  }
  // In a transaction, between two queries.
  const wire = await Wire.login(pool.port);
  await wire.rows("begin");
  await wire.rows("insert into t values (5)");
  const [[pid]] = await wire.rows("select pg_backend_pid()");
  postgres.sql(`select pg_terminate_backend(${pid})`);
  assert.equal(errorOf(await wire.wait(() => wire.ended)).C, "57P01");
  assert.deepEqual(await other.rows("select count(*) from t"), [["0"]]);
  await assertNoneLeaked(postgres, pool, 2);
  await pool.stop();
});

test("a backend that is gone without a word: 08006 where something was under way, and the session goes on", { timeout: 60000 * patience }, async () => {
  const pool = await open("pool_size = 2");
  const [wire, idle] = await Promise.all([Wire.login(pool.port), Wire.login(pool.port)]);
  const kill = (pid) => process.kill(Number(pid), "SIGKILL"); // Postgres restarts all of its processes then
  // Until it has, a query may be refused as one that was not begun, or have met a backend that ends with the others.
  const refusals = new Set();
  const again = (wire, sql) =>
    eventually(() => wire.rows(sql).catch((error) => {
      refusals.add(error.code);
      throw error;
    }));
  for (const ask of [query("select pg_sleep(10)"), Buffer.concat([parse("", "select pg_sleep(10)"), bind("", ""), execute(), sync()])]) {
    wire.send(ask);
    const pid = await eventually(() => {
      const found = postgres.sql("select pid from pg_stat_activity where wait_event = 'PgSleep'");
      assert.match(found, /^\d+$/);
      return found;
    });
    kill(pid);
    const error = errorOf(await wire.until("Z"));
    assert.equal(error.C, "08006");
    assert.match(error.D, /unknown/);
    assert.deepEqual(await again(wire, "select 'goes on'"), [["goes on"]]);
    assert.deepEqual(await again(idle, "select 'did not notice'"), [["did not notice"]]);
  }
  // A transaction between two queries must not look committed.
  await wire.rows("begin");
  await wire.rows("insert into t values (6)");
  const [[pid]] = await wire.rows("select pg_backend_pid()");
  kill(pid);
  await sleep(200);
  assert.equal(errorOf(await wire.query("commit"))?.C, "08006");
  assert.deepEqual(await again(wire, "select count(*) from t"), [["0"]]);
  assert.deepEqual([...refusals].filter((code) => !["57P03", "08001", "08006"].includes(code)), []);
  await assertNoneLeaked(postgres, pool, 2);
  await pool.stop();
});

test("Postgres restarted: idle sessions do not notice, and of what was under way nothing is done", async () => {
  const pool = await open("pool_size = 3");
  const [asks, holds, batches, ...clients] = await Promise.all(Array.from({ length: 8 }, () => Wire.login(pool.port)));
  for (const client of clients) await client.rows("select 1");
  await holds.rows("begin; insert into t values (20)");
  asks.send(query("insert into t select 21 from pg_sleep(600)"));
  batches.send(parse("", "insert into t values (22)"), bind(), execute(), parse("", "select pg_sleep(600)"), bind(), execute(), sync());
  await eventually(() => assert.equal(postgres.sql("select count(*) from pg_stat_activity where wait_event = 'PgSleep'"), "2"));
  postgres.restart();
  for (const client of clients) assert.deepEqual(await client.rows("select 2"), [["2"]]);
  for (const wire of [asks, holds, batches]) {
    const { S, C } = errorOf(await wire.wait(() => false));
    assert.equal(`${S} ${C}`, "FATAL 57P01");
  }
  assert.deepEqual(await clients[0].rows("select count(*) from t"), [["0"]]);
  await assertNoneLeaked(postgres, pool, 3);
  await pool.stop();
});

test("Postgres away: queries fail fast with 08xxx, and work again soon after it is back", async () => {
  const pool = await open();
  const wire = await Wire.login(pool.port);
  await wire.rows("select 1");
  postgres.stop("immediate");
  await eventually(async () => {
    const began = Date.now();
    const error = errorOf(await wire.query("select 1"));
    assert.match(error.C, /^(08|57P)/);
    assert.ok(Date.now() - began < 500, "the circuit is open");
  });
  const late = await Wire.login(pool.port); // what the pool knows of the database is enough for that
  assert.match(errorOf(await late.query("select 1")).C, /^(08|57P)/);
  postgres.start();
  await eventually(async () => assert.deepEqual(await wire.rows("select 2"), [["2"]]), 15000 * patience);
  await assertNoneLeaked(postgres, pool, 20);
  await pool.stop();
});

test("a database that is away is tried by one probe at a time, however many clients of however many users ask", { timeout: 60000 * patience }, async () => {
  const users = Array.from({ length: 10 }, (_, i) => `user${i}`);
  const open = new Set();
  let total = 0, holds = false;
  const away = net.createServer((socket) => {
    total++;
    socket.on("error", () => {});
    if (!holds) return socket.destroy();
    open.add(socket.on("close", () => open.delete(socket)));
  });
  await new Promise((done) => away.listen(0, "127.0.0.1", done));
  const target = await startRelay(postgres);
  const pool = await startPool(`auth = "any"\n${database({ port: target.port })}`);
  postgres.sql(users.map((name) => `create role ${name} login`).join(";"));
  const clients = await Promise.all(Array.from({ length: 100 }, (_, i) => Wire.login(pool.port, { user: users[i % users.length] })));
  for (const wire of clients) await wire.rows("select 1");
  target.to = { port: away.address().port };
  target.cut();
  const ask = async () => {
    for (const replies of await Promise.all(clients.map((wire) => wire.query("select 1")))) assert.match(errorOf(replies)?.C ?? "none", /^08/);
  };
  await ask();
  for (let round = 0; round < 2; round++) {
    holds = true;
    await eventually(async () => {
      await ask();
      assert.equal(open.size, 1);
    });
    const before = total;
    for (let i = 0; i < 5; i++) await ask();
    assert.deepEqual([open.size, total - before], [1, 0]);
    for (const socket of open) socket.destroy();
  }
  target.to = postgres;
  for (const socket of open) socket.destroy();
  await eventually(async () => {
    for (const wire of clients) assert.deepEqual(await wire.rows("select 1"), [["1"]]);
  });
  away.close();
  await pool.stop();
});

test("several hosts: the first that answers, and the primary alone when that is asked for", async () => {
  const nobody = await freePort();
  const pool = await startPool(`auth = "any"\n[[databases]]\nname = "*"\nurl = "postgres://127.0.0.1:${nobody},127.0.0.1:${postgres.port}/?sslmode=disable&target_session_attrs=read-write"\n`);
  const wire = await Wire.login(pool.port);
  assert.deepEqual(await wire.rows("select 1"), [["1"]]);
  await pool.stop();
  const standby = await startPool(`auth = "any"\n[[databases]]\nname = "*"\nurl = "postgres://127.0.0.1:${postgres.port}/?sslmode=disable&target_session_attrs=standby"\n`);
  const refused = await Wire.open(standby.port);
  refused.send(startup({ user: "postgres", database: "postgres" }));
  assert.match(errorOf(await refused.until("E", 1, 20000 * patience)).M, /target_session_attrs/);
  await standby.stop();
});

test("a host that takes connections and says nothing: the next one is tried, and at first for a while", async () => {
  const sockets = new Set(), silent = net.createServer((socket) => sockets.add(socket.on("error", () => {})));
  await new Promise((done) => silent.listen(0, "127.0.0.1", done));
  const pool = await startPool(`auth = "any"\nserver_connect_timeout = "2s"\n[[databases]]\nname = "*"\nurl = "postgres://127.0.0.1:${silent.address().port},127.0.0.1:${postgres.port}/?sslmode=disable"\n`);
  const wire = await Wire.login(pool.port);
  assert.deepEqual(await wire.rows("select 1"), [["1"]]);
  const asked = sockets.size, other = await Wire.login(pool.port);
  await wire.rows("begin");
  assert.deepEqual(await other.rows("select 2"), [["2"]]);
  assert.equal(sockets.size, asked, "nobody asks who has just kept one waiting");
  for (const socket of sockets) socket.destroy();
  silent.close();
  await pool.stop();
});

test("time limits: of a query, of a transaction that idles, of a login", async () => {
  const pool = await open('query_timeout = "400ms"\nidle_transaction_timeout = "400ms"\npool_size = 1');
  const slow = await Wire.login(pool.port);
  slow.send(query("select pg_sleep(20)"));
  assert.equal(errorOf(await slow.until("E")).C, "57014");
  const wire = await Wire.login(pool.port);
  await wire.rows("begin");
  await wire.rows("insert into t values (7)");
  const other = await Wire.login(pool.port);
  assert.deepEqual(await other.rows("select count(*) from t"), [["0"]], "the idle transaction gave its connection back");
  assert.equal(errorOf(await wire.query("select 1")).C, "25P03");
  await wire.rows("rollback");
  assert.deepEqual(await wire.rows("select 'goes on'"), [["goes on"]]);
  await idle();
  await pool.stop();
});

// The session goes on, and its next statement is right; of a transaction it was in, only ROLLBACK is to be had.
test("query_timeout: the statement is cancelled and answered with 57014 and a hint, and the session goes on", async () => {
  const pool = await open('pool_size = 2\nquery_timeout = "500ms"\ncancel_wait_timeout = "60s"');
  const wire = await Wire.login(pool.port);
  const told = (replies) => replies.filter(({ type }) => type === "E").map(({ body }) => errorFields(body)).map(({ S, C, M, H }) => [S, C, /pool's query_timeout/.test(M), /raise query_timeout/.test(H)]);
  const one = [["ERROR", "57014", true, true]];
  const shape = (replies) => replies.map(({ type, body }) => (type === "Z" ? `Z(${body})` : type)).join("");
  const goesOn = async () => assert.deepEqual(await wire.rows("select 'goes on'"), [["goes on"]]);
  const ask = async (messages, expected, count = 1) => {
    wire.send(...messages);
    const replies = await wire.until("Z", count);
    assert.equal(shape(replies), expected);
    assert.deepEqual(told(replies), one);
  };
  const sleeps = (name = "") => [parse(name, "select pg_sleep(30)"), bind("", name), execute()];
  await ask([query("select pg_sleep(30)")], "TEZ(I)");
  await goesOn();
  await ask([...sleeps(), sync()], "12EZ(I)");
  await goesOn();
  await ask([...sleeps("named"), sync()], "12EZ(I)");
  await ask([bind("", "named"), execute(), sync()], "2EZ(I)"); // it is prepared still
  wire.send(...sleeps(), flush()); // the Sync comes when the error has been told
  assert.deepEqual(told(await wire.until("E")), one);
  wire.send(sync());
  await wire.until("Z");
  // Of a pipeline it is that one statement.
  await ask([query("select 1"), query("select pg_sleep(30)"), query("select 3")], "TDCZ(I)TEZ(I)TDCZ(I)", 3);
  await ask([parse("", "select 1"), bind(), execute(), ...sleeps(), sync(), parse("", "select 3"), bind(), execute(), sync()], "12DC12EZ(I)12DCZ(I)", 2);
  // COPY, for whose data the server waits, which hears no cancel request; and one that it sends.
  for (const begin of [[query("copy t from stdin")], [parse("", "copy t from stdin"), bind(), execute(), sync()]]) {
    wire.send(...begin);
    await wire.until("G");
    wire.send(copyData("4711\n"));
    assert.deepEqual(told(await wire.until("E")), one);
    wire.send(copyData("4712\n"), copyDone(), ...(begin.length > 1 ? [sync()] : []), query("select count(*) from t where id in (4711, 4712)"));
    const replies = await wire.wait((messages) => messages.at(-1)?.type === "Z" && messages.some(({ type }) => type === "C"));
    assert.match(replies.map(show).join(), /^(Z I,)?T count:20,D .*0,C SELECT 1\|,Z I$/);
  }
  wire.send(query("copy (select pg_sleep(30)) to stdout"));
  assert.deepEqual(told(await wire.until("Z")), one);
  // In a transaction, which has failed then.
  await wire.rows("begin; insert into t values (4713)");
  const [[pid]] = await wire.rows("select pg_backend_pid()");
  await ask([query("select pg_sleep(30)")], "TEZ(E)");
  assert.equal(errorOf(await wire.query("select 1")).C, "25P02");
  await wire.rows("rollback");
  await goesOn();
  assert.equal(postgres.sql("select count(*) from t where id > 4000"), "0");
  assert.deepEqual(await wire.rows("select pg_backend_pid()"), [[pid]], "its connection is as good as before");
  await wire.rows("begin; insert into t values (4713); savepoint a");
  await ask([query("select pg_sleep(30)")], "TEZ(E)");
  await wire.rows("rollback to a; rollback");
  assert.match(pool.weir.output, /client \d+: 57014: query timeout/);
  await pool.stop();
});

test("… and the request to cancel hits nothing that is asked later, however late it comes", async () => {
  const way = await startRelay(postgres);
  const pool = await startPool(`auth = "any"\npool_mode = "session"\npool_size = 2\nquery_timeout = "${patience}s"\ncancel_wait_timeout = "60s"\n${database(way)}`);
  const [wire, other] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  await other.rows("select 1"); // it has its connection
  const [[pid]] = await wire.rows("select pg_backend_pid()");
  const held = [];
  way.opens = () => new Promise((done) => held.push(done));
  assert.equal(errorOf(await wire.query("copy t from stdin")).C, "57014");
  await eventually(() => assert.equal(held.length, 1)); // the COPY has ended without it
  wire.send(query("select pg_backend_pid()"));
  for (let i = 0; i < 20; i++) assert.deepEqual(await other.rows(`select query from pg_stat_activity where pid = ${pid}`), [["copy t from stdin"]]);
  assert.deepEqual(wire.messages, []);
  held[0]();
  assert.equal((await wire.until("Z")).map(({ type }) => type).join(""), "TDCZ");
  await pool.stop();
});

test("… and what is asked before the error arrives is answered, once nothing can hit it", async () => {
  const way = await startRelay(postgres);
  const pool = await startPool(`auth = "any"\npool_size = 2\nquery_timeout = "500ms"\ncancel_wait_timeout = "60s"\n${database(way)}`);
  const wire = await Wire.login(pool.port);
  wire.send(query("copy t from stdin"));
  await wire.until("G");
  const [[near, far]] = way.pairs, held = [];
  way.opens = () => new Promise((done) => held.push(done));
  far.unpipe(near);
  await eventually(() => assert.equal(held.length, 1));
  wire.send(query("select 'goes on'"));
  await sleep(200);
  far.pipe(near);
  assert.equal(errorOf(await wire.until("Z")).C, "57014");
  held[0]();
  assert.equal((await wire.until("Z")).map(({ type }) => type).join(""), "TDCZ");
  await pool.stop();
});

test("… and so is what was sent with it and waited for its end", async () => {
  const way = await startRelay(postgres), held = [];
  const pool = await startPool(`auth = "any"\npool_size = 2\nquery_timeout = "500ms"\ncancel_wait_timeout = "60s"\n${database(way)}`);
  const wire = await Wire.login(pool.port);
  await wire.rows("select 1");
  way.opens = () => new Promise((done) => held.push(done));
  wire.send(query("copy t from stdin"), query("set work_mem = '1MB'"));
  assert.equal(errorOf(await wire.until("Z")).C, "57014");
  await sleep(300);
  way.opens = undefined;
  held.forEach((go) => go());
  assert.equal((await wire.until("Z")).map(({ type }) => type).join(""), "CZ");
  await pool.stop();
});

test("… and a database that does not react to that loses the connection; its client is told, and goes on", async () => {
  const pool = await open('pool_size = 1\nquery_timeout = "300ms"\ncancel_wait_timeout = "1s"');
  const wire = await Wire.login(pool.port);
  const [[pid]] = await wire.rows("select pg_backend_pid()");
  const error = errorOf(await wire.query("do $$ begin loop begin perform pg_sleep(30); exception when query_canceled then null; end; end loop; end $$"));
  assert.deepEqual([error.S, error.C, /outcome is unknown/.test(error.D)], ["ERROR", "57014", true]);
  assert.notDeepEqual(await wire.rows("select pg_backend_pid()"), [[pid]]);
  postgres.sql(`select pg_terminate_backend(${pid})`);
  await pool.stop();
});

test("… nor does anything wait for ever where cancel_wait_timeout is 0", async () => {
  const way = await startRelay(postgres);
  const pool = await startPool(`auth = "any"\npool_size = 2\ntransaction_timeout = "${patience}s"\ncancel_wait_timeout = 0\nidle_transaction_timeout = "${2 * patience}s"\n${database(way)}`);
  const [deaf, copies] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  for (const sql of ["begin", "commit"]) for (const wire of [deaf, copies]) await wire.rows(sql); // each has a connection
  way.opens = () => new Promise(() => {}); // cancel requests do not come through
  deaf.send(query("select pg_sleep(60)"));
  assert.equal(errorOf(await copies.query("begin; copy t from stdin")).C, "25P04");
  copies.send(query("rollback"));
  const [rollback, told] = await Promise.all([copies.until("Z", 1, 30000 * patience), deaf.until("E", 1, 30000 * patience)]);
  assert.deepEqual(rollback.map(show), ["C ROLLBACK|", "Z I"]);
  assert.match(errorOf(told).D, /outcome is unknown/);
  postgres.sql("select pg_terminate_backend(pid) from pg_stat_activity where query = 'select pg_sleep(60)'");
  await pool.stop();
});

test("a reset has its time from when it begins, however long the transaction before it was", async () => {
  const pool = await open('pool_size = 1\ncancel_wait_timeout = "1s"\nserver_reset_query_always = true\nserver_reset_query = "select pg_sleep(0.4)"');
  const wire = await Wire.login(pool.port);
  const [[first]] = await wire.rows("select pg_backend_pid(), pg_sleep(1.2)");
  assert.equal((await wire.rows("select pg_backend_pid()"))[0][0], first);
  await pool.stop();
});

test("who is too busy to notice that its supervisor is gone ends all the same", async () => {
  const pool = await open();
  const pid = pool.pid();
  process.kill(pid, "SIGSTOP");
  await pool.stop("SIGKILL");
  await eventually(() => assert.throws(() => assert.doesNotMatch(readFileSync(`/proc/${pid}/status`, "utf8"), /^State:\tZ/m), `${pid} is there`)).finally(() => {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // it has ended
    }
  });
});

test("a cancel request whose connection fails, or is not answered, is in the log", async () => {
  const sockets = new Set();
  let silent = false;
  const listen = (port) => new Promise((done) => {
    const server = net.createServer((near) => {
      sockets.add(near.on("error", () => {}));
      if (!silent) near.pipe(net.connect(postgres.port, "127.0.0.1").on("error", () => {})).pipe(near);
    });
    server.listen(port, "127.0.0.1", () => done(server));
  });
  const way = await listen(0), { port } = way.address();
  const pool = await startPool(`auth = "any"\ncancel_wait_timeout = "500ms"\n${database({ port })}`);
  const wire = await Wire.login(pool.port);
  const [[pid]] = await wire.rows("select pg_backend_pid()");
  wire.send(query("select pg_sleep(60)"));
  await eventually(() => assert.equal(postgres.sql(`select wait_event from pg_stat_activity where pid = ${pid}`), "PgSleep"));
  way.close(); // who is connected stays it
  await Wire.cancel(pool.port, wire.key);
  await pool.weir.waitFor("database postgres, user postgres: a cancel request was not sent: Connection refused");
  silent = true;
  const again = await listen(port);
  await Wire.cancel(pool.port, wire.key);
  await pool.weir.waitFor("a cancel request was not acknowledged: cancel_wait_timeout is over");
  postgres.sql(`select pg_terminate_backend(${pid})`);
  assert.equal(errorOf(await wire.until("E")).C, "57P01");
  again.close();
  for (const socket of sockets) socket.destroy();
  await pool.stop();
});

test("a reload keeps clients, and a stop lets transactions end", async () => {
  const pool = await open("pool_size = 2");
  const wire = await Wire.login(pool.port);
  await wire.rows("begin");
  pool.weir.process.kill("SIGHUP");
  await pool.weir.waitFor("pool ready on", pool.weir.output.length);
  assert.deepEqual(await wire.rows("select 1"), [["1"]]);
  await wire.rows("commit");
  assert.deepEqual(await wire.rows("select 2"), [["2"]]);
  // New clients get what the new plan says; the old connections go when nobody uses them.
  pool.write(`auth = "any"\npool_size = 3\n${database(postgres)}`);
  pool.weir.process.kill("SIGHUP");
  await eventually(async () => {
    const admin = await Wire.login(pool.port, { database: "pgbouncer" });
    const size = (await admin.rows("show config")).find(([key]) => key === "default_pool_size")[1];
    admin.close();
    assert.equal(size, "3");
  });
  const newer = await Wire.login(pool.port);
  assert.deepEqual(await newer.rows("select 1"), [["1"]]);
  wire.close();
  await eventually(() => assert.equal(postgres.sql("select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"), "1"));
  newer.close();
  const last = await Wire.login(pool.port);
  await last.rows("begin");
  const stopped = pool.stop("SIGTERM");
  await sleep(300);
  assert.equal(errorOf(await last.query("select 'during the stop'")), undefined);
  assert.equal(errorOf(await last.query("commit")), undefined);
  assert.equal((await stopped).code, 0);
});

// ---- hostile peers ----

// A server that answers the startup packet with what `play` writes.
async function fakeServer(play) {
  const server = net.createServer((socket) => {
    socket.unref(); // a test that fails is not to hold up the file
    socket.on("error", () => {});
    socket.once("data", () => play(socket));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  server.unref();
  return { port: server.address().port, close: () => server.close() };
}

const auth = (code, rest = Buffer.alloc(0)) => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(code);
  return message("R", head, rest);
};
const welcome = Buffer.concat([auth(0), message("S", "server_version", "15"), message("K", Buffer.alloc(8)), message("Z", Buffer.from("I"))]);

test("several hosts before Postgres 14, which do not report what they are: they are asked", async () => {
  const row = (value) => Buffer.concat([message("T", Buffer.from([0, 1]), "x", Buffer.alloc(18)), message("D", Buffer.from([0, 1, 0, 0, 0, value.length]), Buffer.from(value)), message("C", "SELECT 1"), message("Z", Buffer.from("I"))]);
  const old = async (name, { readOnly, standby }) => {
    const asked = [];
    const server = await fakeServer((socket) => {
      socket.write(welcome);
      socket.on("data", (data) => {
        const sql = data.toString("latin1", 5, data.length - 1);
        asked.push(sql);
        socket.write(row({ "SHOW transaction_read_only": readOnly ? "on" : "off", "SELECT pg_catalog.pg_is_in_recovery()": standby ? "t" : "f" }[sql] ?? name));
      });
    });
    return Object.assign(server, { asked });
  };
  const hosts = [await old("standby", { readOnly: true, standby: true }), await old("read only", { readOnly: true }), await old("primary", {})];
  const ports = [...hosts, ...hosts].map(({ port }) => port);
  for (const [attrs, from, found] of [["any", 0, "standby"], ["read-write", 0, "primary"], ["read-only", 1, "read only"], ["primary", 0, "read only"], ["standby", 1, "standby"], ["prefer-standby", 1, "standby"]]) {
    for (const { asked } of hosts) asked.length = 0;
    const url = `postgres://${ports.slice(from, from + 3).map((port) => `127.0.0.1:${port}`).join(",")}/x?sslmode=disable&target_session_attrs=${attrs}`;
    const pool = await startPool(`auth = "any"\n[[databases]]\nname = "*"\nurl = "${url}"\n`);
    const wire = await Wire.login(pool.port);
    assert.deepEqual(await wire.rows("select name"), [[found]], attrs);
    if (attrs === "any") assert.deepEqual(hosts.flatMap(({ asked }) => asked), ["select name"]);
    await pool.stop("SIGKILL");
  }
  // Where there is none, any is right for prefer-standby alone.
  for (const [attrs, found] of [["prefer-standby", "primary"], ["standby", undefined]]) {
    const pool = await startPool(`auth = "any"\n[[databases]]\nname = "*"\nurl = "postgres://127.0.0.1:${hosts[2].port}/x?sslmode=disable&target_session_attrs=${attrs}"\n`);
    const wire = await Wire.open(pool.port);
    wire.send(startup({ user: "x", database: "x" }));
    const replies = await wire.wait((messages) => messages.some(({ type }) => "EZ".includes(type)));
    if (found) assert.deepEqual(await wire.rows("select name"), [[found]]);
    else assert.match(errorOf(replies).M, /no host has the target_session_attrs/);
    await pool.stop("SIGKILL");
  }
  for (const host of hosts) host.close();
});

for (const [name, play] of Object.entries({
  "closes at once": (socket) => socket.end(),
  "says nothing": () => {},
  "sends garbage": (socket) => socket.write("garbage that is no protocol at all, really"),
  "claims a message of 1 GiB": (socket) => socket.write(Buffer.from([0x52, 0x3f, 0xff, 0xff, 0xff, 0, 0, 0, 0])),
  "claims a length below four": (socket) => socket.write(Buffer.from([0x52, 0, 0, 0, 1])),
  "errs without a SQLSTATE": (socket) => socket.write(message("E", Buffer.from("MWho knows\0\0"))),
  "asks for SCRAM with an endless nonce": (socket) => {
    socket.write(auth(10, Buffer.from("SCRAM-SHA-256\0\0")));
    socket.once("data", (data) => {
      const nonce = data.toString("latin1").match(/r=([^,]*)/)[1];
      socket.write(auth(11, Buffer.from(`r=${nonce}${"x".repeat(5000)},s=c2FsdA==,i=4096`)));
    });
  },
  "asks for a billion iterations": (socket) => {
    socket.write(auth(10, Buffer.from("SCRAM-SHA-256\0\0")));
    socket.once("data", (data) => socket.write(auth(11, Buffer.from(`r=${data.toString("latin1").match(/r=([^,]*)/)[1]}abc,s=c2FsdA==,i=1000000000`))));
  },
  "says yes without proving that it knows the password": (socket) => {
    socket.write(auth(10, Buffer.from("SCRAM-SHA-256\0\0")));
    socket.once("data", () => socket.write(welcome));
  },
}))
  test(`a server that ${name}`, async () => {
    const server = await fakeServer(play);
    const pool = await startPool(
      `auth = "any"\nserver_connect_timeout = "700ms"\n[[databases]]\nname = "*"\nhost = "127.0.0.1"\nport = ${server.port}\nuser = "u"\npassword = "p"\n[databases.tls]\nmode = "disable"\n`,
    );
    const wire = await Wire.open(pool.port);
    wire.send(startup({ user: "postgres", database: "postgres" }));
    const error = errorOf(await wire.until("E", 1, 15000 * patience));
    assert.match(error.C, /^(08|28)/);
    assert.equal(error.S, "FATAL");
    server.close();
    await pool.stop();
  });

// Eight MiB of a message that is said to have 1 GiB.
const gigabyte = (type, begin = "") => Buffer.concat([Buffer.from(type), Buffer.from([0x3f, 0xff, 0xff, 0xff]), Buffer.from(begin), Buffer.alloc(8 << 20, "x")]);

// Data are passed on as they come, and whoever has half of a message is ended without a word. Anything else is told.
for (const [name, reply] of Object.entries({
  "answers what was not asked": message("1"),
  "ends a query twice": Buffer.concat([message("C", "SELECT 1"), message("Z", Buffer.from("I")), message("Z", Buffer.from("I"))]),
  "sends a message without a type": Buffer.from([0, 0, 0, 0, 5, 1]),
  "claims an error of 1 GiB": gigabyte("E", "SERROR\0C22012\0M"),
  "claims a parameter of 1 GiB": gigabyte("S", "TimeZone\0"),
  "claims a row of 1 GiB, and goes": gigabyte("D", "\0\x01"),
  "claims a notice of 1 GiB, and goes": gigabyte("N", "SNOTICE\0C00000\0M"),
  "claims columns of 1 GiB, and goes": gigabyte("T", "\0\x01"),
}))
  test(`a server that ${name} after its login`, async () => {
    const goes = name.endsWith("goes");
    let hostile = true;
    const server = await fakeServer((socket) => {
      socket.write(welcome);
      socket.on("data", () => {
        socket.write(hostile ? reply : Buffer.concat([message("C", "SELECT 1"), message("Z", Buffer.from("I"))]));
        if (hostile && goes) socket.end();
      });
    });
    const pool = await startPool(`auth = "any"\npool_size = 1\nlog_disconnections = true\n${database(server)}`);
    const pid = pool.pid();
    const [wire, other] = [await Wire.login(pool.port), await Wire.login(pool.port)];
    const before = rss(pid);
    wire.send(query("select 1"));
    const replies = await wire.until("Z");
    hostile = false;
    const { S, C, D, H } = errorOf(replies) ?? {};
    if (goes || name.startsWith("ends")) assert.deepEqual([replies.map(show), wire.ended], goes ? [[], true] : [["C SELECT 1|", "Z I"], false]);
    else assert.deepEqual([S, C, D, H], ["ERROR", "08006", "The outcome of the transaction is unknown.", "Look whether it was done before it is run again."]);
    await pool.weir.waitFor(goes ? "the database closed the connection" : "the server does not follow the protocol; its connection is closed");
    // Nobody else notices, and there is no other pool, nor a larger one.
    for (const next of goes ? [other] : [wire, other]) assert.deepEqual((await next.query("select 1")).map(show), ["C SELECT 1|", "Z I"]);
    assert.equal(pool.pid(), pid);
    assert.ok(sanitized || rss(pid) - before < 4096, `${rss(pid) - before} KB more`);
    server.close();
    await pool.stop();
  });

// Answers each simple query with answer(sql), and notes it.
async function queried(answer, greeting = welcome) {
  const asked = [];
  const server = await fakeServer((socket) => {
    socket.write(greeting);
    socket.on("data", (data) => {
      for (let at = 0; at + 5 <= data.length; at += data.readUInt32BE(at + 1) + 1) {
        if (data[at] !== 0x51) continue;
        const sql = data.toString("latin1", at + 5, at + data.readUInt32BE(at + 1));
        asked.push(sql);
        socket.write(Buffer.concat([answer(sql), message("Z", Buffer.from("I"))]));
      }
    });
  });
  return Object.assign(server, { asked });
}

test("a server of another version reports other parameters: sessions follow, and what one has not is not set there", async () => {
  const greeting = (parameters) => Buffer.concat([auth(0), ...Object.entries(parameters).map(([name, value]) => message("S", name, value)), message("K", Buffer.alloc(8)), message("Z", Buffer.from("I"))]);
  const done = () => message("C", "SELECT 1");
  const older = await queried(done, greeting({ server_version: "13.1", client_encoding: "UTF8", TimeZone: "UTC" }));
  const newer = await queried(done, greeting({ server_version: "18.1", client_encoding: "UTF8", TimeZone: "UTC", search_path: '"$user", public' }));
  const relay = await startRelay(older);
  const pool = await startPool(`auth = "any"\nadmin_users = ["postgres"]\npool_size = 1\n${database(relay)}`);
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  const wire = await Wire.login(pool.port);
  const told = async (sql) => (await wire.query(sql)).filter(({ type }) => type === "S").map(show).sort();
  const move = async (to) => {
    relay.to = to;
    await admin.rows("reconnect");
  };
  assert.deepEqual(await told("select 1"), []);
  await move(newer);
  assert.deepEqual(await told("select 2"), ['S search_path|"$user", public|', "S server_version|18.1|"]);
  await move(older);
  assert.deepEqual(await told("select 3"), ["S server_version|13.1|"]);
  await move(newer);
  assert.deepEqual(await told("select 4"), ['S search_path|"$user", public|', "S server_version|18.1|"]);
  assert.deepEqual([older.asked, newer.asked], [["select 1", "select 3"], ["select 2", "select 4"]]);
  for (const server of [older, newer]) server.close();
  await pool.stop();
});

test("a server that refuses a session's settings without saying why ends that session, and no more", async () => {
  const server = await queried((sql) => (sql.includes("set_config") ? message("E", Buffer.from([0])) : message("C", "SELECT 1")));
  const pool = await startPool(`auth = "any"\n${database(server)}`);
  const pid = pool.pid();
  const wire = await Wire.login(pool.port, { options: "-c search_path=a" });
  wire.send(query("select 1"));
  const error = errorOf(await wire.wait(() => wire.ended));
  assert.equal(error.C, "XX000");
  assert.ok(error.M);
  const other = await Wire.login(pool.port);
  assert.equal(errorOf(await other.query("select 1")), undefined);
  assert.equal(pool.pid(), pid);
  server.close();
  await pool.stop();
});

test("settings are restored, and a connection is checked, without the time limits of who had it before", async () => {
  const server = await queried((sql) => message("C", sql.startsWith("set") ? "SET" : sql === "DISCARD ALL" ? sql : "SELECT 1"));
  const pool = await startPool(`auth = "any"\npool_size = 1\nserver_check_query = "select check"\nserver_check_delay = "500ms"\n${database(server)}`);
  const [a, b] = [await Wire.login(pool.port), await Wire.login(pool.port, { options: "-c search_path=a" })];
  await a.query("set statement_timeout = 1");
  await b.query("select 1");
  assert.deepEqual(server.asked, ["set statement_timeout = 1", 'RESET "statement_timeout";', "SELECT pg_catalog.set_config('search_path','a',false)", "select 1"]);
  await a.query("select 2");
  server.asked.length = 0;
  await sleep(1000);
  await a.query("select 3");
  assert.deepEqual(server.asked, ["DISCARD ALL", "select check", "SELECT pg_catalog.set_config('statement_timeout','1',false)", "select 3"]);
  server.close();
  await pool.stop();
});

for (const secure of [false, true])
  test(`a server whose end comes along with the last of its login${secure ? ", over TLS," : ""} is not taken for one that waits to be asked`, async () => {
    const [key, cert] = ["key", "crt"].map((end) => readFileSync(`${postgres.dir}/server.${end}`));
    let pid, logins = 0;
    const greet = (socket) => {
      if (++logins > 1) {
        socket.write(welcome);
        socket.on("data", () => socket.write(Buffer.concat([message("C", "SELECT 1"), message("Z", Buffer.from("I"))])));
        return;
      }
      process.kill(pid, "SIGSTOP"); // so that it finds both at once
      socket.end(welcome, () => setTimeout(() => process.kill(pid, "SIGCONT"), 50));
    };
    const server = await fakeServer((socket) => {
      if (!secure) return greet(socket);
      const inner = new tls.TLSSocket(socket, { isServer: true, key, cert });
      inner.on("error", () => {}).once("data", () => greet(inner));
      socket.write("S");
    });
    const sockets = process.env.WEIR_POOL_IO === "epoll" ? "" : "io_uring = false\n"; // which would meet the end anew
    const pool = await startPool(`auth = "any"\n${sockets}log_disconnections = true\n${database(server).replace("disable", secure ? "require" : "disable")}`);
    pid = pool.pid();
    const wire = await Wire.login(pool.port);
    await pool.weir.waitFor("the database closed the connection");
    assert.deepEqual((await wire.query("select 1")).map(show), ["C SELECT 1|", "Z I"]);
    assert.equal(logins, 2);
    server.close();
    await pool.stop();
  });

test("a server whose login never ends, though it says much", async () => {
  const little = Buffer.concat(Array.from({ length: 3000 }, (_, i) => message("S", `p${i % 7}`, String(i))));
  const server = await fakeServer((socket) => {
    socket.write(auth(0));
    const more = () => {
      while (!socket.destroyed && socket.write(little));
    };
    socket.on("drain", more);
    more();
  });
  const pool = await startPool(`auth = "any"\nserver_connect_timeout = "60s"\n${database(server)}`);
  const wire = await Wire.open(pool.port);
  wire.send(startup({ user: "postgres", database: "postgres" }));
  const error = errorOf(await wire.until("E"));
  assert.equal(error.C, "08006");
  assert.match(error.M, /more than 1 MiB in a login/);
  server.close();
  await pool.stop();
});

test("a server that reports more parameters than there are, in its login and amid a query", async () => {
  const many = (after) => Buffer.concat([...Array.from({ length: 300 }, (_, i) => message("S", `p${i}`, "x")), after]);
  let login = true;
  const server = await fakeServer((socket) => {
    socket.write(login ? Buffer.concat([auth(0), many(welcome.subarray(auth(0).length))]) : welcome);
    socket.on("data", () => socket.write(many(Buffer.concat([message("C", "SELECT 1"), message("Z", Buffer.from("I"))]))));
  });
  const pool = await startPool(`auth = "any"\n${database(server)}`);
  const refused = await Wire.open(pool.port);
  refused.send(startup({ user: "postgres", database: "postgres" }));
  assert.match(errorOf(await refused.until("E")).M, /too many parameters/);
  login = false;
  const wire = await eventually(async () => {
    const wire = await Wire.open(pool.port);
    wire.send(startup({ user: "postgres", database: "postgres" }));
    assert.ok((await wire.wait((messages) => messages.some(({ type }) => "EZ".includes(type)))).some(({ type }) => type === "Z"));
    return wire;
  });
  wire.send(query("select 1"));
  assert.match(errorOf(await wire.until("E")).M, /does not follow the protocol/);
  server.close();
  await pool.stop();
});

test("a server that sends notices without end, and nobody asks it", async () => {
  const notice = message("N", Buffer.from("SNOTICE\0C00000\0M" + "x".repeat(8000) + "\0\0"));
  const server = await fakeServer((socket) => {
    socket.write(welcome);
    const more = () => {
      while (!socket.destroyed && socket.write(notice));
    };
    socket.on("drain", more);
    setTimeout(more, 300);
  });
  const pool = await startPool(`auth = "any"\nlog_disconnections = true\n${database(server)}`);
  await Wire.login(pool.port);
  await pool.weir.waitFor("sends without being asked");
  server.close();
  await pool.stop();
});

test("clients that send nonsense after their login are ended with 08P01, and nobody else", async () => {
  const pool = await open("pool_size = 2");
  const good = await Wire.login(pool.port);
  const pid = pool.pid(), before_ = rss(pid);
  for (const bytes of [
    Buffer.from([0x51, 0, 0, 0, 1]), Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff]), Buffer.from([0, 0, 0, 0, 8, 0, 0, 0, 0]),
    Buffer.from([0x50, 0x7f, 0xff, 0xff, 0xff]), Buffer.from([0x53, 0x3f, 0xff, 0xff, 0xff]), message("P", Buffer.from("no end")), message("B", Buffer.from("no end")),
    message("D", Buffer.from("S")), message("C", Buffer.from("Sno end")), message("p", "a password"), message("P", "", "select 1", Buffer.from([0, 9])),
    Buffer.concat([Buffer.from([0x50, 0x3f, 0xff, 0xff, 0xff]), Buffer.alloc(100000, 0x61)]),
  ]) {
    const bad = await Wire.login(pool.port);
    bad.send(bytes);
    const replies = await bad.wait((messages) => messages.some(({ type }) => type === "E"));
    const { C: code, H: hint } = errorOf(replies) ?? {};
    assert.match(code ?? "closed", /08P01|54000/, bytes.subarray(0, 20).toString("hex"));
    assert.ok(hint, bytes.subarray(0, 20).toString("hex"));
    bad.close();
    assert.deepEqual(await good.rows("select 1"), [["1"]]);
  }
  assert.ok(rss(pid) - before_ < 4096, `${rss(pid) - before_} KB more`);
  await pool.stop();
});

test("random bytes at each stage crash nothing", async () => {
  const pool = await open("pool_size = 2");
  const pid = pool.pid();
  let seed = 12345;
  const random = (n) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % n;
  for (let i = 0; i < 150; i++) {
    const wire = i % 2 ? await Wire.login(pool.port) : await Wire.open(pool.port);
    const types = "QPBDESCHFdcfXp";
    const parts = Array.from({ length: 1 + random(6) }, () => {
      const body = Buffer.from(Array.from({ length: random(60) }, () => (random(3) ? random(256) : 0)));
      return random(5) ? message(types[random(types.length)], body) : body;
    });
    wire.socket.on("error", () => {});
    wire.send(...parts);
    await sleep(5);
    wire.close();
  }
  const wire = await eventually(() => Wire.login(pool.port));
  assert.deepEqual(await wire.rows("select 1"), [["1"]]);
  assert.equal(pool.pid(), pid, "the pool is the same process");
  await pool.stop();
});

test("a name can not forge lines of the log", async () => {
  const pool = await startPool(`auth = "trust"\n[[users]]\nname = "u"\n${database(postgres)}`);
  const wire = await Wire.open(pool.port);
  wire.send(startup({ user: "x\nweir[pool] warn: \x1b[31mforged", database: "postgres" }));
  assert.match(errorOf(await wire.until("E")).M, /user "x\nweir/);
  await pool.weir.waitFor('user "x\\nweir[pool] warn: \\x1b[31mforged"');
  await pool.stop();
});

test("what keeps a client from its connection is told as soon as it is known, and what helps", async () => {
  const server = net.createServer(() => {}); // takes everything, and says nothing
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  server.unref();
  const silent = await startPool(`auth = "any"\nserver_connect_timeout = "2s"\n[[databases]]\nname = "*"\nhost = "127.0.0.1"\nport = ${server.address().port}\n[databases.tls]\nmode = "disable"\n`);
  const begun = Date.now();
  const lone = await Wire.open(silent.port);
  lone.send(startup({ user: "postgres", database: "postgres" }));
  assert.match(errorOf(await lone.until("E")).M, /did not answer within server_connect_timeout/);
  assert.ok(Date.now() - begun < 5000 * patience, `after ${Date.now() - begun} ms`);
  await silent.stop("SIGKILL");

  // That somebody keeps a connection does not mean that it comes back.
  postgres.sql("create role limited login connection limit 1");
  const pool = await open('pool_size = 5\nquery_wait_timeout = "2m"');
  const [keeps, other] = [await Wire.login(pool.port, { user: "limited" }), await Wire.login(pool.port, { user: "limited" })];
  await keeps.rows("create temp table kept (a int)");
  const full = errorOf(await other.query("select 1"));
  assert.deepEqual([full.C, /max_connections/.test(full.H)], ["53300", true], JSON.stringify(full));
  await pool.stop();

  const paused = await open('query_wait_timeout = "500ms"');
  const [wire, admin] = [await Wire.login(paused.port), await Wire.login(paused.port, { database: "pgbouncer" })];
  await wire.rows("select 1");
  await admin.rows("pause");
  const late = errorOf(await wire.query("select 1"));
  assert.deepEqual([late.C, /RESUME/.test(late.H)], ["57P03", true], JSON.stringify(late));
  await paused.stop("SIGKILL");
});
