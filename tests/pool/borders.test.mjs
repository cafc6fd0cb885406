// SPDX-License-Identifier: Apache-2.0
// Where one thing ends and another begins: messages larger than a read, limits amid a transaction, what was asked and what is left.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";

import { weirPath } from "../e2e/lib.mjs";

import { Wire, assertNoneLeaked, bind, close, copyData, copyDone, database, describe, errorOf, eventually, execute, freePort, makeCertificate, message, parse, patience, query, sanitized, show, sleep, startPool, startPostgres, startRelay, startup, sync, flush, terminate } from "./lib.mjs";

const options = { timeout: 60000 * patience };
let postgres;
before(async () => {
  postgres = await startPostgres();
  postgres.sql("create table hacked (a int); create table blobs (b bytea); create schema s1; create table done (a int)");
});
const open = (extra = "", to = postgres) => startPool(`auth = "any"\nadmin_users = ["postgres"]\n${extra}\n${database(to)}`);
const count = (table) => Number(postgres.sql(`select count(*) from ${table}`));
const codes = (messages) => messages.filter(({ type }) => type === "E").map((one) => errorOf([one]).C);

test("the rest of a large message that the pool refuses is nothing to the server", options, async () => {
  const pool = await open('pool_size = 1\nsession_state = "error"');
  const wire = await Wire.login(pool.port);
  wire.send(parse("u", "select * from blobs where b = $1", [17]), sync());
  await wire.until("Z");
  await wire.query("deallocate all");
  // The values of a Bind, of which the pool hands on what it has read so far: beyond that, whole messages are hidden in them.
  for (let filler = 65300; filler < 65560; filler += 20) {
    const hidden = Buffer.concat([sync(), query("insert into hacked values (1)"), Buffer.from("d\0\0\0\x06")]);
    const value = Buffer.concat([Buffer.alloc(filler, 65), hidden]);
    const head = Buffer.concat([Buffer.from("\0u\0"), Buffer.from([0, 1, 0, 1, 0, 1]), u32(value.length)]);
    wire.send(message("B", Buffer.concat([head, value, Buffer.from([0, 0])])), execute(), sync());
    assert.deepEqual(codes(await wire.until("Z")), ["26000"]);
  }
  assert.equal(errorOf(await wire.query(`set search_path = s1; select '${"A".repeat(200000)}'`)).C, "0A000");
  assert.deepEqual(await wire.rows("select 1"), [["1"]]);
  assert.equal(count("hacked"), 0);
  await pool.stop();
});
const u32 = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

test("limits count from when a statement was done: a transaction is not idle while it works, nor one statement all of them", options, async () => {
  const pool = await open('pool_size = 1\nidle_transaction_timeout = "2s"\nquery_timeout = "6s"');
  const wire = await Wire.login(pool.port);
  await wire.rows("begin");
  await wire.rows("select pg_sleep(2.5)");
  await sleep(300);
  assert.deepEqual(await wire.rows("select 1"), [["1"]]);
  await wire.rows("commit");
  wire.send(...Array.from({ length: 20 }, () => query("select pg_sleep(0.4)")));
  assert.deepEqual(codes(await wire.until("Z", 20, 30000 * patience)), []);
  await pool.stop();
});

test("a batch whose client leaves before its Sync keeps nothing, as without a pool", options, async () => {
  const way = await startRelay(postgres);
  const pool = await open("pool_size = 1", way);
  const other = await Wire.login(pool.port);
  const insert = [parse("", "insert into done values (7)"), bind(), execute()];
  const ways = { answered: [flush()], "still at work": [parse("", "select pg_sleep(0.3)"), bind(), execute(), flush()] };
  for (const [way, rest] of Object.entries(ways)) {
    for (const leave of [(wire) => wire.close(), (wire) => { wire.send(terminate()); wire.close(); }]) {
      const wire = await Wire.login(pool.port);
      wire.send(...insert, ...rest);
      await wire.until("C");
      leave(wire);
      await sleep(500 * patience);
      assert.deepEqual(await other.rows("select count(*) from done"), [["0"]], way);
    }
  }
  // A Sync behind a connection that is lost hears of no success.
  const wire = await Wire.login(pool.port);
  for (const begin of [[], [query("begin")]]) {
    wire.send(...begin, ...insert, flush());
    await wire.until("C", begin.length + 1);
    way.cut();
    await sleep(300 * patience);
    wire.send(sync());
    assert.deepEqual((await wire.until("Z", 1)).filter(({ type }) => "EZ".includes(type)).map(({ type }) => type), ["E", "Z"]);
    if (begin.length > 0) await wire.rows("rollback");
    assert.deepEqual(await wire.rows("select count(*) from done"), [["0"]]);
  }
  await pool.stop();
});

test("what goes on with a transaction that is gone does not happen outside of one", options, async () => {
  const pool = await open('pool_size = 1\nidle_transaction_timeout = "300ms"'), other = await Wire.login(pool.port);
  const run = (sql) => [parse("", sql), bind(), execute(), sync()];
  const inserts = [query("insert into done values (1)"), query("insert into done values (2)"), query("commit")];
  const ways = {
    "queries at once": [inserts, /^E ERROR 25P03 [^|]*,Z E,E ERROR 25P02 [^|]*,Z E,C ROLLBACK,Z I$/],
    "batches at once": [["insert into done values (1)", "insert into done values (2)", "commit"].flatMap(run), /^E ERROR 25P03 [^|]*,Z E,E ERROR 25P02 [^|]*,Z E,1,2,C ROLLBACK,Z I$/],
    "its end": [[query("commit")], /^E ERROR 25P03 [^|]*,Z I$/],
    "its end, and what was sent with it": [[query("commit"), query("insert into done values (3)")], /^E ERROR 25P03 [^|]*,Z I,E ERROR 25P03 [^|]*,Z I$/],
    "its end, extended": [[...run(" /* a */ END TRANSACTION")], /^E ERROR 25P03 [^|]*,Z I$/],
    "its end and another": [[query("commit and chain"), query("insert into done values (3)"), query("rollback")], /^E ERROR 25P03 [^|]*,Z E,E ERROR 25P02 [^|]*,Z E,C ROLLBACK,Z I$/],
  };
  const said = (replies) => replies.map(show).map((reply) => reply.trim().replace(/\|$/, "").replace(/^([TD]) .*/, "$1 ")).join();
  for (const [name, [messages, expected]] of Object.entries(ways)) {
    for (const apart of name.endsWith("at once") ? [false, true] : [false]) {
      const wire = await Wire.login(pool.port);
      await wire.rows("begin; insert into done values (0)");
      await sleep(600);
      await other.rows("select 1"); // the connection is somebody else's, or was
      const ready = (list) => list.filter((message) => "QS".includes(String.fromCharCode(message[0]))).length;
      let replies = [];
      if (apart)
        for (const message of messages) {
          wire.send(message);
          if (ready([message]) > 0) replies.push(...(await wire.until("Z")));
        }
      else {
        wire.send(...messages);
        replies = await wire.until("Z", ready(messages));
      }
      assert.match(said(replies), expected, `${name}, ${apart}`);
      wire.close();
    }
  }
  assert.equal(count("done"), 0);
  await pool.stop();
});

test("a transaction block that is gone and whose client knows: it has failed, whatever comes, until its end", options, async () => {
  const pool = await open('pool_size = 1\nidle_transaction_timeout = "300ms"'), other = await Wire.login(pool.port);
  const lose = async (wire) => { // it has been told, and its Sync is answered
    await other.query("rollback");
    wire.send(query("begin"), parse("", "insert into done values (1)"), bind(), execute(), flush());
    assert.deepEqual(codes(await wire.until("E", 1, 5000 * patience)), ["25P03"]);
    wire.send(sync());
    assert.equal((await wire.until("Z")).map(show).join(), "Z E");
    await other.rows("begin"); // the connection is somebody else's
  };
  const ask = async (wire, ...messages) => {
    wire.send(...messages);
    return (await wire.until("Z", messages.length)).map(show).map((reply) => reply.replace(/^(E ERROR \S+) .*/, "$1").replace(/\|$/, "")).join();
  };
  const wire = await Wire.login(pool.port);
  await lose(wire);
  assert.equal(await ask(wire, sync(), query("rollback")), "Z E,C ROLLBACK,Z I"); // no connection is there for that
  await lose(wire);
  await other.query("rollback");
  for (const rest of ["listen ch", "deallocate nothing", "insert into done values (2)", "create temp table x ()"]) assert.equal(await ask(wire, query(rest)), "E ERROR 25P02,Z E", rest);
  assert.equal(await ask(wire, query("rollback; begin; insert into done values (3); commit; truncate done; select 1")).then((told) => told.replace(/,T .*/, "")), "C ROLLBACK,C BEGIN,C INSERT 0 1,C COMMIT,C TRUNCATE TABLE");
  await lose(wire);
  await other.query("rollback");
  assert.match(await ask(wire, query("rollback; begin; insert into done values (4); commit")), /^C ROLLBACK,C BEGIN,C INSERT 0 1,C COMMIT,Z I$/);
  assert.equal(count("done"), 1);
  postgres.sql("truncate done");
  // A message of which not all is there, or that says what is not true of its length.
  await lose(wire);
  await other.query("rollback");
  wire.send(Buffer.concat([Buffer.from("Q"), Buffer.from([0, 0, 0x10, 0]), Buffer.from("commit\0")]));
  await sleep(100);
  wire.send(Buffer.alloc(0x1000 - 11, " "));
  assert.match((await wire.until("Z", 1, 5000 * patience)).map(show).join(), /^E ERROR /);
  wire.close();
  for (const type of ["S", "d"]) {
    const broken = await Wire.login(pool.port);
    await lose(broken);
    broken.send(Buffer.from([type.charCodeAt(0), 0, 0]));
    await sleep(100);
    broken.send(Buffer.from([0, 1]));
    await broken.wait(() => broken.ended);
  }
  await other.query("rollback");
  // A COPY: what is on its way of it needs no connection.
  const copies = await Wire.login(pool.port);
  copies.send(query("begin"), query("copy done from stdin"));
  const told = errorOf(await copies.until("E", 1, 5000 * patience));
  assert.deepEqual([told.C, told.D], ["25P03", "What it had not committed was rolled back."]);
  await other.rows("begin");
  copies.send(copyData("1\n"), copyDone());
  await sleep(200);
  assert.deepEqual(codes(copies.messages), []);
  await other.query("rollback");
  copies.send(query("select 1"), query("commit"));
  assert.match((await copies.wait((all) => all.some(({ type }) => type === "C"))).map(show).join(), /E ERROR 25P02 .*Z E,C ROLLBACK/);
  await pool.stop();
});

test("what was sent with what the pool refuses is refused as well: it may be the rest of a transaction", options, async () => {
  const pool = await open('pool_size = 1\nquery_wait_timeout = "300ms"');
  const [holder, wire] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  await holder.rows("begin");
  wire.send(query("begin"), parse("", "insert into done values (1)"), bind(), execute(), sync(), query("insert into done values (2)"), query("commit"));
  await sleep(800);
  await holder.rows("commit");
  assert.deepEqual(codes(await wire.until("Z", 4)), Array(4).fill("57P03"));
  assert.deepEqual(await wire.rows("select count(*) from done"), [["0"]]);
  await pool.stop();
});

test("a connection that is lost amid a transaction ends the session, whose outcome nobody knows", options, async () => {
  const way = await startRelay(postgres), pool = await open("pool_size = 1", way);
  const wire = await Wire.login(pool.port);
  await wire.rows("begin; insert into done values (1)");
  wire.send(query("select pg_sleep(20)"), query("insert into done values (2)"), parse("named", "insert into done values (3)"), bind("", "named"), execute(), sync());
  await sleep(300);
  way.cut();
  assert.match((await wire.wait(() => wire.ended)).map(show).at(-1), /^E FATAL 08006 /);
  await sleep(300);
  assert.equal(count("done"), 0);
  await pool.stop();
});

test("a COPY that is done before its Sync belongs to nobody else", options, async () => {
  const pool = await open("pool_size = 1");
  const [wire, other] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  wire.send(parse("", "copy done from stdin"), bind(), execute(), sync());
  await wire.until("G");
  wire.send(copyData("7\n"), copyDone(), flush());
  await wire.until("C");
  other.send(query("begin; select 1; rollback"));
  await sleep(200);
  wire.send(sync());
  assert.equal((await wire.until("Z")).map(show).join(), "Z I");
  await other.until("Z");
  assert.equal(count("done"), 1);
  postgres.sql("truncate done");
  await pool.stop();
});

test("a connection that is lost when all of a COPY is sent: one error, and the session goes on", options, async () => {
  const way = await startRelay(postgres), pool = await open("pool_size = 1", way);
  postgres.sql(
    "create table slow (a int); create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(20); return null; end $$;" +
      "create trigger slow after insert on slow for each statement execute function slow()",
  );
  const copies = { simple: [query("copy slow from stdin")], extended: [parse("", "copy slow from stdin"), bind(), execute(), sync()] };
  for (const [name, messages] of Object.entries(copies)) {
    const wire = await Wire.login(pool.port);
    wire.send(...messages);
    await wire.until("G");
    wire.send(copyData("1\n"), copyDone(), ...(name === "simple" ? [] : [sync()]));
    await sleep(300);
    way.cut();
    assert.match((await wire.until("Z")).map(show).join(), /^(1,2,)?E ERROR 08006 [^,]*,Z I$/, name);
    assert.deepEqual(await wire.rows("select 1"), [["1"]]);
    wire.close();
  }
  await pool.stop();
});

test("a batch that is asked again, and whose connection is lost meanwhile, is asked on another", options, async () => {
  const way = await startRelay(postgres), pool = await open("pool_size = 1", way);
  postgres.sql("create table widens (a int)");
  const wire = await Wire.login(pool.port);
  wire.send(parse("s", "select * from widens"), sync());
  await wire.until("Z");
  const ask = () => wire.send(bind("", "s"), describe("P", ""), execute(), sync());
  ask();
  await wire.until("Z");
  postgres.sql("alter table widens add column b int");
  const [[near, far]] = way.pairs;
  near.unpipe(far);
  let seen = false;
  near.on("data", (bytes) => {
    seen = seen || bytes.includes("DEALLOCATE ALL");
    if (seen) near.destroy();
    else far.write(bytes);
  }).resume();
  ask();
  assert.equal((await wire.until("Z")).map(({ type }) => type).join(""), "2TCZ");
  assert.ok(seen);
  await pool.stop();
});

test("what the pool sets for a session is not set amid a batch, whose first part that would commit", options, async () => {
  const pool = await open("pool_size = 1");
  const wire = await Wire.login(pool.port, { TimeZone: "Asia/Tokyo" });
  postgres.sql("create table parts (a int primary key)");
  const run = (sql) => [parse("", sql), bind(), execute()];
  wire.send(...run("reset timezone"), ...run("insert into parts values (1)"), flush());
  await wire.until("C", 2);
  wire.send(...run("insert into parts values (1)"), sync());
  assert.deepEqual(codes(await wire.until("Z")), ["23505"]);
  assert.equal(count("parts"), 0);
  await pool.stop();
});

test("a client that keeps its transaction from going on, by what it does not send or take, loses it as an idle one", options, async () => {
  const pool = await open('pool_size = 1\nidle_transaction_timeout = "500ms"\nquery_timeout = "20s"');
  const other = await Wire.login(pool.port);
  const locks = [query("begin; lock table done")];
  const insert = [parse("", "insert into done values (7)"), bind(), execute()];
  // What it sends, and what then ends what it has been told: its session goes on after that, or not (null).
  const points = {
    "a batch without Sync": [insert, [sync()]],
    "… of which all was answered": [[...insert, flush()], [sync()]],
    "… in a block": [[...locks, ...insert], [sync()]],
    "a batch without Sync, of which a part was answered": [[...locks, insert[0], flush(), ...insert.slice(1)], [sync()]],
    "COPY without data": [[...locks, query("copy done from stdin")], []],
    "COPY outside of a block, with some": [[query("copy done from stdin"), copyData("7\n")], []],
    "COPY of an extended query": [[parse("", "copy done from stdin"), bind(), execute(), sync()], [sync()]],
    "a question amid COPY": [[query("copy done from stdin"), query("set some.thing = 1")], []],
    "a part of a large query": [[...locks, message("Q", `insert into done values (7); ${" ".repeat(200000)}`).subarray(0, 100000)], null],
    "a result that it does not read": [[...locks, query("insert into done values (7); select repeat('x', 1000) from generate_series(1, 200000)")], null],
  };
  for (const [name, [messages, rest]] of Object.entries(points)) {
    const wire = await Wire.login(pool.port);
    wire.socket.on("error", () => {});
    if (name.startsWith("a result")) wire.socket.pause();
    wire.send(...messages);
    await sleep(200); // the connection is its own now
    assert.deepEqual(await other.rows("select count(*) from done"), [["0"]], name);
    if (name.startsWith("a result")) {
      wire.close();
      continue;
    }
    const told = errorOf(await wire.until("E", 1, 5000 * patience));
    assert.deepEqual([told.C, /idle_transaction_timeout/.test(told.H)], ["25P03", true], name);
    if (name === "a question amid COPY") { // which the protocol does not have: that it keeps nothing is enough
      wire.close();
      continue;
    }
    if (!rest) {
      await wire.wait(() => wire.ended);
      continue;
    }
    // What it has sent meanwhile of its COPY goes nowhere.
    wire.send(...(name.startsWith("COPY") ? [copyData("8\n"), copyDone()] : []), ...rest);
    if (messages[0] === locks[0]) { // it has failed, and is to be ended
      wire.send(query("insert into done values (9)"), query("commit"));
      const ended = (await wire.until("C", 1, 5000 * patience)).map(show).join();
      assert.match(ended, /(Z E,)?E ERROR 25P02 [^,]*,[^,]*,Z E,C ROLLBACK/, name);
    }
    wire.send(query("select 'goes on'"));
    const replies = (await wire.until("C", 1, 5000 * patience)).map(({ type }) => type).join("");
    assert.match(replies, /^Z?TDC/, name);
    wire.close();
  }
  assert.equal(count("done"), 0);
  await pool.stop();
});

test("what may be committed by now is not told as rolled back to who does not read the answer", options, async () => {
  const pool = await open('pool_size = 1\nidle_transaction_timeout = "500ms"');
  postgres.sql("create table unread (a int)");
  const wire = await Wire.open(`${pool.dir}/.s.PGSQL.${pool.port}`); // which holds little
  wire.send(startup({ user: "postgres", database: "postgres" }));
  await wire.until("Z");
  wire.socket.pause();
  wire.send(query(`insert into unread values (7);${"discard plans;".repeat(50000)}`)); // no rows: amid one it would hear nothing
  await sleep(2500);
  wire.socket.resume();
  const told = errorOf(await wire.until("E", 1, 5000 * patience));
  assert.deepEqual([told.C, /outcome is unknown/.test(told.D), /rolled back/.test(told.D), /idle_transaction_timeout/.test(told.H)], ["25P03", true, false, true]);
  wire.close();
  await pool.stop();
});

test("who sends or takes slowly is not idle, nor is who waits for what the server computes", options, async () => {
  const pool = await open('pool_size = 4\nidle_transaction_timeout = "1s"');
  const [sender, reader, flushes, part] = await Promise.all([1, 2, 3, 4].map(() => Wire.login(pool.port)));
  const slowly = async (step) => {
    for (let i = 0; i < 10; i++) {
      await step();
      await sleep(300);
    }
  };
  const rows = 40000;
  reader.socket.pause();
  await Promise.all([
    (async () => {
      sender.send(query("copy done from stdin"));
      await slowly(() => sender.send(copyData("9\n")));
      sender.send(copyDone());
      assert.deepEqual(codes(await sender.until("Z")), []);
    })(),
    (async () => {
      // More than the kernel keeps, of which some is taken now and then.
      reader.send(query(`select repeat('x', 1000) from generate_series(1, ${rows})`));
      await slowly(async () => {
        const before = reader.socket.bytesRead;
        reader.socket.resume();
        while (reader.socket.bytesRead < before + 1000000) await new Promise((done) => setImmediate(done));
        reader.socket.pause();
      });
      reader.socket.resume();
      const replies = await reader.until("Z", 1, 20000 * patience);
      assert.deepEqual([codes(replies), replies.filter(({ type }) => type === "D").length], [[], rows]);
    })(),
    (async () => {
      flushes.send(parse("", "select 'done' from pg_sleep(2.5)"), bind(), execute(), flush(), parse("", "select 1"), bind(), execute());
      assert.deepEqual(codes(await flushes.until("C")), []);
      flushes.send(sync());
      assert.deepEqual(codes(await flushes.until("Z")), []);
    })(),
    (async () => {
      const text = message("Q", `select 1 ${" ".repeat(200000)}`);
      await part.rows("begin");
      let at = 0;
      await slowly(() => part.send(text.subarray(at, (at += 19000))));
      part.send(text.subarray(at));
      assert.deepEqual(codes(await part.until("Z")), []);
    })(),
  ]);
  assert.equal(count("done"), 10);
  postgres.sql("truncate done");
  await pool.stop();
});

test("a client that is answered from the cache, waits or is refused is not idle", options, async () => {
  const settings = 'pool_size = 1\nclient_idle_timeout = "1500ms"\nquery_wait_timeout = "6s"\nqueue_max = 1\nidle_transaction_timeout = "1h"';
  const pool = await startPool(`auth = "any"\n${settings}\n${database(postgres)}\n[databases.cache]\n`);
  const [holder, waits, refused] = await Promise.all([1, 2, 3].map(() => Wire.login(pool.port)));
  for (let i = 0; i < 30; i++) {
    assert.deepEqual(codes(await refused.query("select a from done")), []);
    await sleep(100);
  }
  const [again, late] = await Promise.all([Wire.login(pool.port), Wire.login(pool.port)]);
  holder.close();
  waits.close();
  await again.rows("begin");
  late.send(query("select 2"));
  await sleep(200);
  for (const end = Date.now() + 2000; Date.now() < end; await sleep(100))
    assert.deepEqual(codes(await refused.query("select 1, now()")), ["53300"]);
  assert.deepEqual(codes(await late.until("Z")), ["57P03"]);
  await again.rows("commit");
  assert.deepEqual(await late.rows("select 'still there'"), [["still there"]]);
  assert.equal((await refused.until("E", 1, 5000 * patience)).length, 1); // now it is
  await pool.stop();
});

test("what all clients make the pool keep has a limit: begun messages and statements beyond it are refused, and sessions go on", options, async () => {
  const pool = await open('pool_size = 10\nclients_bytes_max = "8MB"\nclient_statements_bytes_max = "1GB"');
  const memory = () => Number(readFileSync(`/proc/${pool.pid()}/status`, "utf8").match(/VmRSS:\s+(\d+)/)[1]);
  const before = memory();
  const text = `select '${"x".repeat(15 << 20)}'`;
  // Ten begin a statement of 15 MiB each; all keep their connections after the error, up to Sync.
  const clients = await Promise.all(Array.from({ length: 10 }, () => Wire.login(pool.port)));
  const whole = parse("large", text);
  for (const wire of clients) wire.send(whole.subarray(0, 14 << 20));
  for (const told of await Promise.all(clients.map((wire) => wire.until("E", 1, 20000 * patience)))) assert.match(errorOf(told).H, /clients_bytes_max/);
  if (!sanitized) assert.ok(memory() - before < 40 << 10, `${memory() - before} KiB more`);
  for (const wire of clients) {
    wire.send(whole.subarray(14 << 20), sync());
    assert.deepEqual(codes(await wire.until("Z")), []);
    assert.deepEqual(await wire.rows("select 1"), [["1"]]);
  }
  // Statements, under names and without, until there is no room; what is closed makes some.
  const [wire, other] = clients;
  const prepare = async (by, name, mark) => {
    by.send(parse(name, `select '${mark}${"y".repeat(1 << 20)}'`), sync());
    return codes(await by.until("Z"));
  };
  let kept = 0;
  while ((await prepare(wire, `s${kept}`, kept)).length === 0) kept++;
  assert.ok(kept > 4 && kept < 9, `${kept} of 1 MiB`);
  assert.deepEqual(await prepare(other, "", "other"), ["53200"]);
  assert.deepEqual(await prepare(other, "", "0"), []); // there already
  assert.deepEqual(await wire.rows("select 1"), [["1"]]);
  wire.send(bind("", "s0"), execute(), sync());
  assert.deepEqual(codes(await wire.until("Z")), []);
  for (let i = 0; i < kept; i++) wire.send(close("S", `s${i}`));
  wire.send(sync());
  await wire.until("Z");
  for (let i = 0; i < 20; i++) assert.deepEqual(await prepare(other, "", `later ${i}`), []);
  await pool.stop();
});

test("a session whose state is lost with its idle transaction ends, and does not go on without it", options, async () => {
  const pool = await open('pool_size = 1\nidle_transaction_timeout = "500ms"');
  const wire = await Wire.login(pool.port);
  await wire.rows("create temp table lost ()");
  await wire.rows("begin");
  const ended = new Promise((done) => wire.socket.once("close", done));
  await ended;
  assert.equal((await (await Wire.login(pool.port)).rows("select to_regclass('lost')"))[0][0], null);
  await pool.stop();
});

test("UNLISTEN pins nothing, and with other statements does what it says; a channel that the server refuses is refused", options, async () => {
  const pool = await open("pool_size = 1");
  const [wire, other] = await Promise.all([Wire.login(pool.port), Wire.login(pool.port)]);
  await wire.rows("listen news");
  await other.rows("notify news");
  await wire.until("A", 1, 5000 * patience);
  await wire.query("select pg_advisory_unlock_all();\nclose all;\nunlisten *;\nreset all;");
  await other.rows("notify news"); // it would wait for ever
  await sleep(300);
  assert.equal((await wire.query("select 1")).filter(({ type }) => type === "A").length, 0);
  const bad = await Wire.login(pool.port);
  bad.send(message("Q", Buffer.concat([Buffer.from('listen "'), Buffer.from([0xe9]), Buffer.from('"\0')])));
  assert.deepEqual(codes(await bad.until("Z")), ["22021"]);
  await wire.rows("listen more");
  await other.rows("notify more");
  await wire.until("A", 1, 5000 * patience);
  await pool.stop();
});

test("what stands behind DISCARD ALL, or behind what is looked at of a text, is not left to others", options, async () => {
  const pool = await open("pool_size = 1");
  const path = async () => {
    const wire = await Wire.login(pool.port);
    const [[value]] = await wire.rows("show search_path");
    wire.close();
    return value;
  };
  for (const texts of [["discard all", "set search_path = s1"], [`select 1 /*${"x".repeat(20000)}*/; select 2 /*${"y".repeat(60000)}*/; set search_path = s1`]]) {
    const wire = await Wire.login(pool.port);
    wire.send(...texts.map((text) => query(text)));
    assert.deepEqual(codes(await wire.until("Z", texts.length)), []);
    wire.close();
    assert.equal(await path(), '"$user", public', texts[0].slice(0, 20));
  }
  await pool.stop();
});

test("the rest of a COPY that has failed, and a message of any size that meets an error of the pool's own, leave nothing to wait for", options, async () => {
  const pool = await open('pool_size = 1\nquery_wait_timeout = "500ms"');
  const [holder, wire] = await Promise.all([Wire.login(pool.port), Wire.login(pool.port)]);
  await holder.rows("begin");
  wire.send(query(`select length('${"x".repeat(17 << 20)}')`));
  assert.deepEqual(codes(await wire.until("Z")), ["57P03"]);
  wire.send(parse("", "select length($1)"), bind("", "", ["x".repeat(17 << 20)]), execute(), sync());
  assert.deepEqual(codes(await wire.until("Z")), ["57P03"]);
  await holder.rows("commit");
  assert.deepEqual(await wire.rows("select 1"), [["1"]]);
  await pool.stop();
  // The database goes away amid a COPY; what is sent of it later is nothing to answer, and nothing to be silent about the rest.
  const away = await startPostgres(), second = await open("pool_size = 1", away);
  away.sql("create table t (a int)");
  const copying = await Wire.login(second.port), others = await Wire.login(second.port);
  copying.send(query("copy t from stdin"));
  await copying.until("G");
  copying.send(copyData("1\n"));
  await sleep(100);
  away.stop("immediate");
  assert.deepEqual(codes(await copying.until("Z")), ["08006"]);
  for (let i = 0; i < 4; i++) await others.query("select 1");
  copying.send(copyData("2\n"), copyDone());
  await sleep(200);
  copying.send(query("select 3"));
  assert.match(codes(await copying.until("Z", 1, 10000 * patience))[0], /^08/);
  await second.stop();
});

test("Flush brings all that was answered; a simple query after it ends the batch", options, async () => {
  const pool = await open('pool_size = 1\nquery_wait_timeout = "1s"');
  const [wire, other] = await Promise.all([Wire.login(pool.port), Wire.login(pool.port)]);
  wire.send(parse("q1", "select 1"), bind("", "q1"), execute(), close("S", "q1"), flush());
  await wire.until("3", 1, 5000 * patience);
  wire.send(query("select 2"));
  await wire.until("Z");
  assert.deepEqual(await other.rows("select 3"), [["3"]]);
  await pool.stop();
});

test("the same text is another statement to who has another time zone, date style or search path", options, async () => {
  postgres.sql("create table s1.w (x int); insert into s1.w values (1); create table w (x text); insert into w values ('text')");
  const pool = await open("pool_size = 1");
  const ask = async (parameters, sql) => {
    const wire = await Wire.login(pool.port, parameters);
    wire.send(parse("s", sql), bind("", "s"), execute(), sync());
    const row = (await wire.until("Z")).find(({ type }) => type === "D");
    return row.body.subarray(6).toString();
  };
  const epoch = "select extract(epoch from '2020-06-01 00:00'::timestamptz)::int";
  assert.equal(await ask({ TimeZone: "Asia/Tokyo" }, epoch), "1590937200");
  assert.equal(await ask({ TimeZone: "America/New_York" }, epoch), "1590984000");
  const month = "select extract(month from '01/02/2020'::date)::int";
  assert.equal(await ask({ DateStyle: "ISO, MDY" }, month), "1");
  assert.equal(await ask({ DateStyle: "ISO, DMY" }, month), "2");
  assert.equal(await ask({}, "select x from w"), "text");
  assert.equal(await ask({ options: "-c search_path=s1" }, "select x from w"), "1");
  await pool.stop();
});

test("who says goodbye has what it asked for done", options, async () => {
  const pool = await open("pool_size = 1");
  const wire = await Wire.login(pool.port);
  wire.send(query("insert into done select 1 from pg_sleep(0.7)"), message("X", Buffer.alloc(0)));
  await eventually(() => assert.equal(count("done"), 1), 10000 * patience);
  await pool.stop();
});

test("a RESET amid a transaction goes to what the session began with; what was set in one that came to nothing was not", options, async () => {
  const pool = await open('pool_size = 1\nidle_transaction_timeout = "500ms"');
  const wire = await Wire.login(pool.port, { TimeZone: "Asia/Tokyo", options: "-c work_mem=7MB" });
  const show = async (name) => (await wire.rows(`show ${name}`))[0][0];
  await wire.rows("begin");
  for (const text of ["reset timezone", "set time zone default", "set timezone to default", "reset all"]) {
    await wire.rows("set timezone = 'Europe/Oslo'");
    const told = (await wire.query(text)).filter(({ type }) => type === "S").map(({ body }) => body.toString().split("\0").slice(0, 2));
    assert.deepEqual(told, [["TimeZone", "Asia/Tokyo"]], text);
    assert.equal(await show("timezone"), "Asia/Tokyo", text);
  }
  assert.equal(await show("work_mem"), "7MB");
  await wire.rows("set timezone = 'Europe/Oslo'");
  const told = await wire.until("S", 1, 5000 * patience); // it is rolled back
  assert.match(told[0].body.toString(), /^TimeZone\0Asia\/Tokyo/);
  assert.deepEqual(codes(await wire.query("select 1")), ["25P03"]);
  await wire.rows("rollback");
  assert.equal(await show("timezone"), "Asia/Tokyo");
  // What a transaction has committed stays, though the one that it began is lost.
  await wire.rows("begin; set timezone = 'Europe/Oslo'");
  await wire.rows("commit and chain");
  await wire.rows("set timezone = 'Europe/Rome'");
  await wire.until("S", 1, 5000 * patience);
  assert.deepEqual(codes(await wire.query("select 1")), ["25P03"]);
  await wire.rows("rollback");
  assert.equal(await show("timezone"), "Europe/Oslo");
  // A RESET by the extended protocol.
  const other = await Wire.login(pool.port, { options: "-c work_mem=9MB" });
  other.send(parse("", "reset work_mem"), bind("", ""), execute(), sync());
  assert.deepEqual(codes(await other.until("Z")), []);
  other.close();
  assert.equal(await show("work_mem"), "7MB");
  await pool.stop();
});

test("what a session begins with and the server refuses ends it, before its first query is run", options, async () => {
  const pool = await open("pool_size = 1");
  for (const [parameters, code, text] of [[{ options: "-c work_mem=7MB -c enable_seqscan=perhaps" }, "22023", /enable_seqscan/], [{ TimeZone: "Nowhere/AtAll" }, "22023", /Nowhere/], [{ options: "-c no_such_thing=1" }, "42704", /no_such_thing/]]) {
    const wire = await Wire.login(pool.port, parameters);
    wire.send(query("insert into done values (9)"));
    const replies = await wire.until("Z", 1, 5000 * patience);
    const { S, C, M } = errorOf(replies);
    assert.deepEqual([S, C], ["FATAL", code]);
    assert.match(M, text);
    assert.ok(wire.ended);
  }
  assert.equal(postgres.sql("select count(*) from done where a = 9"), "0");
  // What the server makes of a value is told.
  const wire = await Wire.login(pool.port, { DateStyle: "german" });
  const told = (await wire.query("select 1")).filter(({ type }) => type === "S");
  assert.match(told[0].body.toString(), /^DateStyle\0German, DMY/);
  await pool.stop();
});

test("currval() and lastval() of another transaction are refused, and of their own are not", options, async () => {
  postgres.sql("create table numbered (id serial, v int)");
  const pool = await open("pool_size = 1");
  const wire = await Wire.login(pool.port);
  const drawn = "currval('numbered_id_seq')";
  await wire.rows("insert into numbered (v) values (1)");
  for (const text of [`select ${drawn}`, "select lastval()", `insert into numbered (v) values (${drawn})`]) {
    assert.equal(errorOf(await wire.query(text))?.C, "0A000", text);
    wire.send(parse("", text), bind(), execute(), sync());
    assert.deepEqual(codes(await wire.until("Z")), ["0A000"], text);
  }
  assert.deepEqual(await wire.rows(`insert into numbered (v) values (1); select ${drawn}`), [["2"]]);
  assert.deepEqual(await wire.rows(`select nextval('numbered_id_seq'), ${drawn}`), [["3", "3"]]);
  await wire.rows("begin");
  await wire.rows("insert into numbered (v) values (1)");
  assert.deepEqual(await wire.rows("select lastval()"), [["4"]]);
  await wire.rows("commit");
  wire.send(parse("", "insert into numbered (v) values (1)"), bind(), execute(), parse("", "select lastval()"), bind(), execute(), sync());
  assert.deepEqual(codes(await wire.until("Z")), []);
  assert.deepEqual(await wire.rows("select 1 as currval, 'lastval()' as lastval"), [["1", "lastval()"]]);
  await pool.stop();
});

test("a statement that is too long to be prepared is refused, all of it is read, and the session goes on", options, async () => {
  for (const mode of ["transaction", "session"]) {
    const pool = await open(`pool_size = 1\npool_mode = "${mode}"`);
    const wire = await Wire.login(pool.port);
    const large = `select '${"x".repeat(40_000_000)}'`;
    for (const name of ["", "large"]) {
      wire.send(parse("", "select 'before'"), bind(), execute(), sync(), parse(name, large), bind("", name), execute(), sync(), query("select 'behind'"));
      const replies = await wire.until("Z", 3);
      assert.equal(replies.map(({ type }) => type).join(""), "12DCZEZTDCZ");
      assert.equal(errorOf(replies).C, "54000");
      assert.equal(errorOf(replies).S, "ERROR");
    }
    // There is no such statement, and in a transaction it is as any error.
    wire.send(bind(), execute(), sync());
    assert.equal(errorOf(await wire.until("Z")).C, "26000");
    await wire.rows("begin");
    wire.send(parse("", large), sync());
    assert.equal(errorOf(await wire.until("Z")).C, "54000");
    wire.send(parse("", large), sync());
    assert.equal(errorOf(await wire.until("Z")).C, "54000");
    await assert.rejects(wire.rows("select 1"), { code: "25P02" });
    await wire.rows("rollback");
    const rss = () => Number(readFileSync(`/proc/${pool.pid()}/status`, "utf8").match(/VmRSS:\s+(\d+)/)[1]);
    assert.ok(sanitized || rss() < 60_000, `${rss()} KB`);
    // Who leaves amid it leaves nothing behind.
    wire.send(query("begin"), parse("", large).subarray(0, 20_000_000));
    await wire.until("Z");
    wire.close();
    const other = await Wire.login(pool.port);
    assert.deepEqual(await other.rows("select 1"), [["1"]]);
    await pool.stop();
  }
});

test("who leaves in the middle of a message, or of many queries, leaves nothing running", options, async () => {
  const pool = await open('pool_size = 2\ncancel_wait_timeout = "20s"');
  const running = () => Number(postgres.sql("select count(*) from pg_stat_activity where state = 'active' and query like 'select pg_sleep(30%'"));
  const cut = await Wire.login(pool.port);
  cut.send(query("select pg_sleep(300)"), message("Q", `select length('${"x".repeat(200000)}')`).subarray(0, 150000));
  const many = await Wire.login(pool.port);
  many.send(...Array.from({ length: 5 }, () => query("select pg_sleep(300)")));
  await eventually(() => assert.equal(running(), 2));
  cut.close();
  many.close();
  await eventually(() => assert.equal(running(), 0));
  const next = await Wire.login(pool.port);
  assert.deepEqual(await next.rows("select 1"), [["1"]]);
  await pool.stop();
});

test("more is closed in one batch than the pool keeps answers in mind, and DEALLOCATE of an extended query is answered", options, async () => {
  const pool = await open("pool_size = 1");
  const wire = await Wire.login(pool.port);
  wire.send(parse("a", "select 1"), ...Array.from({ length: 30000 }, (_, i) => close("S", `none${i}`)), sync());
  const replies = await wire.until("Z", 1, 20000 * patience);
  assert.equal(replies.filter(({ type }) => type === "3").length, 30000);
  wire.send(parse("", "deallocate a"), bind(), execute(), sync(), parse("", "deallocate a"), bind(), execute(), sync());
  const all = await wire.until("Z", 2);
  assert.deepEqual(all.map(({ type }) => type).join(""), "12CZ12EZ");
  assert.equal(all[2].body.toString(), "DEALLOCATE\0");
  assert.deepEqual(codes(all), ["26000"]);
  await pool.stop();
});

test("a statement that fails pins nothing, and who waits because of pins is told so", options, async () => {
  const pool = await open('pool_size = 1\nquery_wait_timeout = "400ms"');
  const [wire, other] = await Promise.all([Wire.login(pool.port), Wire.login(pool.port)]);
  for (const text of ["set nonexistent = 1", "create temp table", "prepare p as selec 1", "set work_mem = 'abc'"]) {
    assert.notEqual(errorOf(await wire.query(text)), undefined, text);
    assert.deepEqual(await other.rows("select 1"), [["1"]], text);
    wire.send(parse("", text), bind(), execute(), sync());
    assert.notEqual(errorOf(await wire.until("Z")), undefined, text);
    assert.deepEqual(await other.rows("select 1"), [["1"]], text);
  }
  // What holds in spite of the error, or was done before it.
  for (const text of ["select pg_advisory_lock(1), 1 / 0", "select 1; set work_mem = '3MB'; select 1 / 0"]) {
    await wire.query(text);
    const { C, D, H } = errorOf(await other.query("select 1"));
    assert.equal(C, "57P03", text);
    assert.match(D, /1 connections are in use, 1 of them pinned/);
    assert.match(H, /session_state/);
    await wire.rows("discard all");
  }
  // No function is called by its name here.
  for (const text of ["update pg_settings set setting = '1MB' where name = 'work_mem'", 'select U&"pg\\005fadvisory_lock"(1)']) {
    await wire.rows(text);
    assert.equal(errorOf(await other.query("select 1"))?.C, "57P03", text);
    await wire.rows("discard all");
  }
  await pool.stop();
});

test("server_reset_query_always resets what nobody has seen", options, async () => {
  const pool = await open("pool_size = 1\nserver_reset_query_always = true");
  const [wire, other] = await Promise.all([Wire.login(pool.port), Wire.login(pool.port)]);
  await wire.rows("do $$ begin perform set_config('work_mem', '1MB', false); create temp table hidden (a int); end $$");
  assert.deepEqual(await other.rows("select current_setting('work_mem'), to_regclass('hidden')"), [["4MB", null]]);
  wire.send(query("do $$ begin perform set_config('work_mem', '1MB', false); perform pg_sleep(0.5); end $$"));
  await sleep(100);
  wire.close();
  assert.deepEqual(await other.rows("show work_mem"), [["4MB"]]);
  await pool.stop();
});

test("a login that the database refuses is told with whose it was", options, async () => {
  const pool = await startPool(`auth = "any"\n${database(postgres, 'user = "nobody_there"', "own")}\n${database(postgres)}`);
  const told = async (database, user) => {
    const wire = await Wire.open(pool.port);
    wire.send(startup({ user, database }));
    const { C, M, H } = errorOf(await wire.until("E"));
    return `${C} ${M} (${H})`;
  };
  assert.match(await told("own", "postgres"), /^28000 role "nobody_there" does not exist \(The pool's own login was refused/);
  assert.match(await told("postgres", "nobody_here"), /^28000 role "nobody_here" does not exist \(The database refused the login that the pool made for this user/);
  assert.match(await told("nosuch", "postgres"), /^3D000 .*\(Check the database's name/);
  // What the pool itself would not go on with brings its own remedy, and a server's words are only words.
  assert.match(await told("postgres", "no password is known"), /^28000 role "no password is known" does not exist \(The database refused the login that the pool made/);
  assert.match(await told("postgres", "scram_user"), /^28000 cannot log in .* no password is known \(A client of that user has to log in first/);
  assert.match(await told("postgres", "password_user"), /^28000 cannot log in .* none is configured \(.*users_file/);
  await pool.weir.waitFor("no password is known (28000); A client of that user");
  await assertNoneLeaked(postgres, pool, 0);
  await pool.stop();
});

test("each refusal has its code, and a hint that says what helps", options, async () => {
  const closes = net.createServer((socket) => socket.destroy());
  await new Promise((done) => closes.listen(0, "127.0.0.1", done));
  const pool = await startPool(
    `auth = "any"\npool_size = 1\nqueue_max = 1\nclients_max = 3\nclient_statements_max = 1\n${database(postgres, "", "postgres")}` +
      database({ port: await freePort() }, "", "away") + database(closes.address(), "", "closes"),
  );
  const limits = await startPool(`auth = "any"\nclient_idle_timeout = "500ms"\nclient_login_timeout = "500ms"\n${database(postgres)}`);
  const asks = await startPool(`auth = "password"\n[[users]]\nname = "postgres"\npassword = "secret"\n${database(postgres)}`);
  const says = ({ C, M, D, H }) => [C, M, D, H].join("|");
  const of = async (wire) => {
    const told = says(errorOf(await wire.until("E")));
    wire.close();
    return told;
  };
  const login = async ({ port }, database, ...more) => {
    const wire = await Wire.open(port);
    wire.send(startup({ user: "postgres", database }), ...more);
    return of(wire);
  };
  assert.match(await login(pool, "nothing"), /^3D000\|database "nothing" does not exist\|\|SHOW DATABASES on the console lists them/);
  assert.match(await login(pool, "away"), /^08001\|cannot connect to 127\.0\.0\.1 port \d+: Connection refused\|\|The pool tries again by itself\.$/);
  assert.match(await login(pool, "closes"), /^08006\|.*closed the connection\|\|The pool tries again by itself\.$/);
  assert.match(await login(asks, "postgres", message("p", "guessed")), /^28P01\|password authentication failed for user "postgres"\|\|It is the pool that asks for it: .*users_file or auth_query/);
  assert.match(await of(await Wire.open(limits.port)), /^57014\|.*client_login_timeout\|\|Connect anew; raise client_login_timeout/);
  assert.match(await of(await Wire.login(limits.port)), /^57P05\|.*client_idle_timeout\|\|Connect anew, or raise client_idle_timeout/);
  const [holds, waits, wire] = await eventually(() => Promise.all([1, 2, 3].map(() => Wire.login(pool.port))));
  assert.match(await login(pool, "postgres"), /^53300\|.*clients_max \(max_client_conn\) is 3\|\|Close connections, or raise the limit/);
  const refused = async (...messages) => {
    wire.send(...messages);
    return says(errorOf(await wire.until("Z")));
  };
  assert.match(await refused(parse("one", "select 1"), parse("two", "select 2"), sync()), /^53400\|.*too many prepared statements\|client_statements_max .*is reached\|Close statements that are not needed/);
  assert.match(await refused(parse("", "x".repeat(17 << 20)), sync()), /^54000\|.*16 MiB.*\|\|Send large values as parameters, by COPY/);
  await holds.rows("begin");
  const asked = [waits, wire].map((each) => each.query("select 1"));
  assert.match(says(errorOf(await Promise.race(asked))), /^53300\|too many clients wait for a connection to this database\|queue_max is reached\.\|Raise pool_size/);
  await holds.rows("commit");
  await Promise.all(asked);
  for (const each of [pool, limits, asks]) await each.stop("SIGKILL");
  closes.close();
});

test("what session_state = \"error\" refuses is named", options, async () => {
  const [pool, nameless] = await Promise.all(["", "prepared_statements_max = 0\n"].map((more) => open(`pool_size = 1\nsession_state = "error"\n${more}`)));
  const [wire, other] = await Promise.all([pool, nameless].map(({ port }) => Wire.login(port)));
  const refused = async (wire, what, ...messages) => {
    wire.send(...messages, sync());
    const { S, C, M, D, H } = errorOf(await wire.until("Z", messages[0][0] === 0x51 ? 2 : 1));
    assert.deepEqual([S, C, M], ["ERROR", "0A000", `${what} is not possible with transaction pooling`]);
    assert.match(`${D} ${H}`, /would outlive the transaction.* Use a pool_mode of session, or session_state = "pin"\./);
  };
  for (const [what, ...texts] of [
    ["SET of a session parameter", "set role postgres", "select set_config('work_mem', '1MB', false)"],
    ["SQL-level PREPARE", "prepare a as select 1"],
    ["LISTEN", "select 1; listen a"],
    ["a cursor WITH HOLD", "declare a cursor with hold for select 1"],
    ["a temporary table", "create temp table a (a int)", "select 1 into temp a"],
    ["a session-level advisory lock", "select pg_advisory_lock(1)"],
    ["LOAD", "load 'auto_explain'"],
    ["a function that changes its session", "select dblink_connect('dbname=postgres')"],
  ])
    for (const text of texts) {
      await refused(wire, what, query(text));
      await refused(wire, what, parse("", text), bind(), execute());
    }
  await refused(other, "a named statement, with prepared_statements_max = 0,", parse("a", "select 1"));
  for (const each of [wire, other]) assert.deepEqual(await each.rows("select 'goes on'"), [["goes on"]]);
  for (const each of [pool, nameless]) await each.stop();
});

test("TLS that can not be used is a mistake of the configuration, and no pool that waits", options, () => {
  const dir = mkdtempSync(join(tmpdir(), "weir-tls-")), file = join(dir, "pool.toml");
  const one = makeCertificate(dir, "one", "localhost"), other = makeCertificate(dir, "other", "localhost");
  const tls = (text, table = "tls") => {
    writeFileSync(file, `listen = ["127.0.0.1:1"]\nauth = "any"\n${table === "tls" ? `[tls]\n${text}\n` : ""}[[databases]]\nname = "*"\n${table === "tls" ? "" : `[databases.tls]\n${text}\n`}`, { mode: 0o600 });
    const { status, stderr } = spawnSync(weirPath, ["pool", "--config", file], { encoding: "utf8", timeout: 20000 * patience });
    return `${status} ${stderr}`;
  };
  const pair = `mode = "require"\ncertificate_file = "${one.certificate}"`;
  assert.match(tls(`${pair}\nkey_file = "${other.key}"`), /^1 .*pool\.toml:6: \[tls\] key_file = .*key values mismatch/);
  assert.match(tls(`${pair}\nkey_file = "${one.key}"\nciphers = "nonsense"`), /^1 .*:7: \[tls\] ciphers = "nonsense": no cipher match/);
  assert.match(tls(`${pair}\nkey_file = "${one.key}"\nprotocols = "tlsv1.3,tlsv9"`), /^1 .*:7: \[tls\] protocols = "tlsv1\.3,tlsv9": expected "secure", "all", or a list/);
  assert.match(tls(`mode = "verify-full"\nca_file = "${one.key}"`, "databases"), /^1 [^]*\[databases\.tls\] ca_file = .*no certificate in it/);
  rmSync(dir, { recursive: true });
});
