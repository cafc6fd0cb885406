// SPDX-License-Identifier: Apache-2.0
// LISTEN and NOTIFY in transaction mode: many listeners, one connection.
import assert from "node:assert/strict";
import net from "node:net";
import { before, test } from "node:test";

import { Wire, bind, database, describe, errorFields, errorOf, eventually, execute, flush, parse, patience, query, sleep, startPool, startPostgres, startRelay, sync } from "./lib.mjs";

let postgres;
before(async () => {
  postgres = await startPostgres();
});

const open = (extra) => startPool(`auth = "any"\nadmin_users = ["postgres"]\n${extra}\n${database(postgres)}`);
const notification = ({ body }) => {
  const [channel, payload] = body.toString("utf8", 4).split("\0");
  return `${channel}: ${payload}`;
};
const nextNotification = async (wire) => notification((await wire.until("A")).find(({ type }) => type === "A"));

test("listeners share one connection, and each hears its channels alone", async () => {
  const pool = await open("pool_size = 1");
  const clients = await Promise.all(Array.from({ length: 10 }, () => Wire.login(pool.port)));
  const replies = await Promise.all(clients.map((client, i) => client.query(i % 2 ? "listen odd" : 'LISTEN "Even"')));
  assert.deepEqual(replies[0].map(({ type }) => type), ["C", "Z"]);
  assert.equal(replies[0][0].body.toString("latin1"), "LISTEN\0");
  const speaker = await Wire.login(pool.port);
  await speaker.rows("notify odd, 'to the odd'");
  await speaker.rows("select pg_notify('Even', 'to the even')");
  for (const [i, client] of clients.entries()) assert.equal(await nextNotification(client), i % 2 ? "odd: to the odd" : "Even: to the even");
  // They go on asking: the one connection is not theirs.
  for (const client of clients) assert.deepEqual(await client.rows("select 1"), [["1"]]);
  assert.equal(postgres.sql("select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"), "2");
  await clients[1].rows("unlisten odd");
  await clients[3].rows("unlisten *");
  clients[5].close();
  await sleep(100);
  await speaker.rows("notify odd, 'again'");
  assert.equal(await nextNotification(clients[7]), "odd: again");
  await sleep(100);
  assert.ok(![...clients[1].messages, ...clients[3].messages].some(({ type }) => type === "A"));
  await pool.stop();
});

test("a notification holds from the moment LISTEN is answered", async () => {
  const pool = await open("pool_size = 2");
  const [listener, speaker] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  for (let i = 0; i < 20; i++) {
    await listener.rows(`listen c${i}`);
    await speaker.rows(`notify c${i}, 'p${i}'`);
    assert.equal(await nextNotification(listener), `c${i}: p${i}`);
  }
  await pool.stop();
});

test("in a pipeline LISTEN is answered in its place", async () => {
  const pool = await open("pool_size = 2");
  const wire = await Wire.login(pool.port);
  wire.send(query("select 'one'"), query("listen p"), query("select 'two'"), query("unlisten p"), query("select 'three'"));
  const tags = (await wire.until("Z", 5)).filter(({ type }) => type === "C").map(({ body }) => body.toString("latin1", 0, body.length - 1));
  assert.deepEqual(tags, ["SELECT 1", "LISTEN", "SELECT 1", "UNLISTEN", "SELECT 1"]);
  await pool.stop();
});

test("notifications never come in the middle of a message", async () => {
  const pool = await open("pool_size = 2");
  const [listener, speaker] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  await listener.rows("listen busy");
  listener.send(query("select repeat('x', 3000000) from generate_series(1, 10)"));
  for (let i = 0; i < 50; i++) await speaker.rows(`notify busy, '${i}'`);
  const all = await listener.wait((messages) => messages.filter(({ type }) => type === "A").length === 50 && messages.some(({ type }) => type === "Z"), 20000);
  assert.equal(all.filter(({ type, body }) => type === "D" && body.length === 3000006).length, 10);
  assert.deepEqual(all.filter(({ type }) => type === "A").map(notification), Array.from({ length: 50 }, (_, i) => `busy: ${i}`));
  await pool.stop();
});

test("a listening connection that is lost comes back with its channels", async () => {
  const pool = await open("pool_size = 2");
  const [listener, speaker] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  await listener.rows("listen back");
  postgres.sql("select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%' and pid <> pg_backend_pid()");
  await eventually(async () => {
    await speaker.rows("notify back, 'again'");
    assert.ok((await listener.wait((messages) => messages.some(({ type }) => type === "A"), 300)).length > 0);
  });
  await pool.stop();
});

test("LISTEN in a transaction pins, as other session state does", async () => {
  const pool = await open("pool_size = 2");
  const [listener, speaker] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  await listener.rows("begin");
  await listener.rows("listen late");
  await listener.rows("commit");
  await speaker.rows("notify late, 'heard'");
  await listener.rows("select 1").catch(() => {});
  await eventually(async () => {
    listener.send(query("select 1"));
    const replies = await listener.until("Z");
    assert.equal(errorOf(replies), undefined);
    assert.ok(replies.some(({ type }) => type === "A") || listener.messages.some(({ type }) => type === "A") || listener.text.includes("late\0heard"));
  });
  await pool.stop();
});

test("LISTEN of an extended query shares the connection, too", async () => {
  const pool = await open("pool_size = 1");
  const clients = await Promise.all(Array.from({ length: 5 }, () => Wire.login(pool.port)));
  for (const wire of clients) {
    wire.send(parse("", 'listen "Wide"'), bind(), describe("P", ""), execute(), sync());
    const replies = await wire.until("Z");
    assert.equal(replies.map(({ type }) => type).join(""), "12nCZ");
    assert.equal(replies[3].body.toString("latin1"), "LISTEN\0");
  }
  // In a pipeline with others, before and behind it.
  clients[0].send(parse("", "select 'before'"), bind(), execute(), sync(), parse("l", "listen other"), bind("", "l"), execute(), sync(), query("select 'behind'"));
  assert.equal((await clients[0].until("Z", 3)).map(({ type }) => type).join(""), "12DCZ12CZTDCZ");
  const speaker = await Wire.login(pool.port);
  await speaker.rows("notify \"Wide\", 'to all'");
  for (const wire of clients) assert.equal(await nextNotification(wire), "Wide: to all");
  await speaker.rows("notify other, 'to one'");
  assert.equal(await nextNotification(clients[0]), "other: to one");
  clients[0].send(parse("", "unlisten *"), bind(), execute(), sync());
  assert.equal((await clients[0].until("Z")).map(({ type }) => type).join(""), "12CZ");
  await speaker.rows("notify \"Wide\", 'again'");
  assert.equal(await nextNotification(clients[1]), "Wide: again");
  assert.deepEqual((await clients[0].query("select 1")).map(({ type }) => type).join(""), "TDCZ");
  // After another statement of its batch it is the server's that the client has: it pins.
  clients[1].send(parse("", "select 1"), bind(), execute(), parse("", "listen third"), bind(), execute(), sync());
  assert.equal((await clients[1].until("Z")).map(({ type }) => type).join(""), "12DC12CZ");
  await pool.stop();
});

test("what the pool does itself ends no batch that has no Sync yet, and holds no earlier than that", async () => {
  const pool = await open("pool_size = 1");
  postgres.sql("create table if not exists done (a int); create sequence if not exists drawn");
  const count = () => Number(postgres.sql("select count(*) from done"));
  const insert = async (wire) => {
    wire.send(parse("", "insert into done values (1)"), bind(), execute(), flush());
    await wire.until("C");
  };
  const wire = await Wire.login(pool.port), other = await Wire.login(pool.port);
  await wire.rows("listen before");
  wire.send(parse("p", "select 1"), sync());
  await wire.until("Z");
  // A simple query ends the batch, as with Postgres: it is committed when that is answered.
  for (const [sql, code] of [["listen before"], ["unlisten other"], ["deallocate p", "26000"], ["listen amid"]]) {
    const before = count();
    await insert(wire);
    const replies = await wire.query(sql);
    assert.equal(errorOf(replies)?.C, code, sql);
    assert.equal(replies.filter(({ type }) => type === "Z").length, 1, sql);
    assert.equal(count(), before + (code === undefined ? 1 : 0), sql);
  }
  wire.close();
  assert.deepEqual(await other.rows("select 1"), [["1"]]);
  // One that is pinned, and listens already.
  await other.rows("listen pinned");
  await other.rows("create temp table pins ()");
  const before = count();
  await insert(other);
  await other.rows("listen pinned");
  assert.equal(count(), before + 1);
  await other.rows("discard all");
  // What the batch takes back, it takes back.
  await insert(other);
  other.send(parse("", "listen never"), bind(), execute(), parse("", "select 1/0"), bind(), execute(), sync());
  assert.equal(errorOf(await other.until("Z")).C, "22012");
  const speaker = await Wire.login(pool.port);
  await speaker.rows("notify never").catch(() => {});
  await sleep(200);
  assert.ok(!(await other.query("select 1")).some(({ type }) => type === "A"));
  assert.equal(count(), before + 1);
  // In one batch currval() is of the same connection.
  await other.rows("discard all");
  other.send(parse("", "select nextval('drawn')"), bind(), execute(), flush());
  await other.until("C");
  other.send(parse("", "select currval('drawn')"), bind(), execute(), sync());
  assert.equal(errorOf(await other.until("Z")), undefined);
  await pool.stop();
});

test("pg_listening_channels() tells a session's own channels, or that it can not", async () => {
  const pool = await open("pool_size = 2");
  const [wire, other] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  const plain = "select pg_listening_channels()", star = "SELECT * FROM pg_catalog.pg_listening_channels();";
  await wire.rows("listen one");
  await wire.rows(`listen "it's \\ ""odd"""`);
  await other.rows("listen two");
  const own = ['it\'s \\ "odd"', "one"];
  for (const sql of [plain, star]) {
    const replies = await wire.query(sql);
    assert.match(replies[0].body.toString("latin1"), /pg_listening_channels\0/);
    assert.equal(replies[0].body.readUInt32BE(2 + "pg_listening_channels".length + 1 + 6), 25);
    assert.deepEqual((await wire.rows(sql)).flat().sort(), own);
    assert.deepEqual(await other.rows(sql), [["two"]]);
  }
  // The extended query, unnamed and named, before and after a change.
  const rows = async (...messages) => {
    wire.send(...messages, sync());
    const replies = await wire.until("Z");
    assert.equal(errorOf(replies), undefined);
    return replies.filter(({ type }) => type === "D").map(({ body }) => body.toString("utf8", 6)).sort();
  };
  assert.deepEqual(await rows(parse("", star), bind(), describe("P", ""), execute()), own);
  assert.deepEqual(await rows(parse("c", plain), describe("S", "c"), bind("", "c"), execute()), own);
  await wire.rows("listen three");
  assert.deepEqual(await rows(bind("", "c"), execute()), [...own, "three"]);
  await wire.rows("unlisten one");
  assert.deepEqual(await rows(bind("", "c"), execute()), [own[0], "three"]);
  // In a transaction, and one that has failed; what can not be answered is refused.
  await wire.rows("begin");
  assert.deepEqual((await wire.rows(plain)).flat().sort(), [own[0], "three"]);
  await assert.rejects(wire.rows(`select count(*) from pg_listening_channels()`), { code: "0A000" });
  await assert.rejects(wire.rows(plain), { code: "25P02" });
  await wire.rows("rollback");
  wire.send(parse("", "select count(*) from pg_listening_channels()"), bind(), execute(), sync());
  const refused = errorOf(await wire.until("Z"));
  assert.equal(refused.C, "0A000");
  assert.match(refused.H, /SELECT pg_listening_channels\(\) alone/);
  // A pinned one listens by both; who listens to nothing hears so from the server.
  await wire.rows("begin; listen four; commit");
  assert.deepEqual((await wire.rows(plain)).flat().sort(), ["four", own[0], "three"]);
  await wire.rows("unlisten *");
  assert.deepEqual(await wire.rows(plain), []);
  assert.deepEqual(await wire.rows("select count(*) from pg_listening_channels()"), [["0"]]);
  await pool.stop();
  const nameless = await open("prepared_statements_max = 0");
  const last = await Wire.login(nameless.port);
  await last.rows("listen one");
  assert.deepEqual(await last.rows(plain), [["one"]]);
  last.send(parse("", plain), bind(), execute(), sync());
  assert.equal(errorOf(await last.until("Z")).C, "0A000");
  await nameless.stop();
});

test("notifications are in the client's encoding", async () => {
  const pool = await open("pool_size = 3");
  const latin = await Wire.login(pool.port, { client_encoding: "LATIN1" }), utf8 = await Wire.login(pool.port, { client_encoding: "UTF8" });
  await latin.rows("listen words");
  await utf8.rows("listen words");
  const speaker = await Wire.login(pool.port);
  await speaker.rows("notify words, 'Grüße'");
  const heard = async (wire) => (await wire.until("A")).find(({ type }) => type === "A").body.subarray(4).toString("latin1").split("\0")[1];
  assert.equal(await heard(utf8), Buffer.from("Grüße").toString("latin1"));
  assert.equal(await heard(latin), "Grüße");
  await pool.stop();
});

test("the connection that listens is closed when nobody has listened for server_idle_timeout", async () => {
  const pool = await open('pool_size = 1\nserver_idle_timeout = "1s"');
  const wire = await Wire.login(pool.port);
  await wire.rows("listen gone");
  const connections = () => postgres.sql("select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()");
  assert.equal(connections(), "2");
  await sleep(1500);
  assert.ok(Number(connections()) >= 1, "it listens");
  await wire.rows("unlisten gone");
  await eventually(() => assert.equal(connections(), "0"));
  await wire.rows("listen gone");
  const speaker = await Wire.login(pool.port);
  await speaker.rows("notify gone, 'and back'");
  assert.equal(await nextNotification(wire), "gone: and back");
  await pool.stop();
});

// Listens, and is told numbers from a connection of its own until stop(), which resolves to what was told and what was heard.
async function hearing(pool, channel) {
  const [listener, speaker] = [await Wire.login(pool.port), await Wire.login(postgres.port)];
  await listener.rows(`listen ${channel}`);
  let told = 0, stopped = false;
  const speaking = (async () => {
    while (!stopped) {
      await speaker.rows(`notify ${channel}, '${told}'`);
      told++;
    }
  })();
  return {
    told: () => told,
    async stop() {
      stopped = true;
      await speaking;
      await speaker.rows(`notify ${channel}, 'end'`);
      const last = (messages) => messages.some((m) => m.type === "A" && notification(m) === `${channel}: end`);
      const heard = (await listener.wait(last)).filter(({ type }) => type === "A").map(notification);
      listener.close();
      speaker.close();
      return { heard, expected: [...Array.from({ length: told }, (_, i) => `${channel}: ${i}`), `${channel}: end`] };
    },
  };
}

const administrator = async (pool) => {
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  // The process ids of the connections that listen.
  const listening = async () => (await admin.rows("show servers")).filter((row) => row[4] === "listening").map((row) => row[16]);
  return Object.assign(admin, { listening });
};

test("RECONNECT replaces the connection that listens; each notification comes once, in order", { timeout: 60000 * patience }, async () => {
  const pool = await open("pool_size = 2");
  const admin = await administrator(pool);
  const one = await hearing(pool, "ever");
  const late = await Wire.login(pool.port);
  for (let i = 0; i < 10; i++) {
    const [before] = await admin.listening();
    await admin.rows("reconnect");
    // Who asks amid it is heard from then on, too.
    await late.rows(`listen late${i}`);
    postgres.sql(`notify late${i}, 'heard'`);
    assert.equal(await nextNotification(late), `late${i}: heard`);
    await admin.rows("wait_close");
    const now = await admin.listening();
    assert.equal(now.length, 1);
    assert.notEqual(now[0], before);
  }
  assert.ok(one.told() > 20, `${one.told()} were told`);
  const { heard, expected } = await one.stop();
  assert.deepEqual(heard, expected);
  await pool.stop();
});

test("server_lifetime replaces it, too; one that nobody needs is closed", { timeout: 60000 * patience }, async () => {
  const pool = await open('pool_size = 2\nserver_lifetime = "1s"');
  const admin = await administrator(pool);
  const one = await hearing(pool, "aged");
  const seen = new Set();
  await eventually(async () => {
    for (const pid of await admin.listening()) seen.add(pid);
    assert.ok(seen.size >= 3);
  });
  const { heard, expected } = await one.stop();
  assert.deepEqual(heard, expected);
  await eventually(async () => assert.deepEqual(await admin.listening(), []));
  await pool.stop();
});

test("PAUSE and KILL close it, and RESUME opens it again", { timeout: 60000 * patience }, async () => {
  postgres.sql("create database renamed");
  const pool = await open('pool_size = 2\nquery_wait_timeout = "2s"');
  const admin = await administrator(pool);
  const listener = await Wire.login(pool.port, { database: "renamed" });
  await listener.rows("listen here");
  await admin.rows("pause renamed");
  assert.deepEqual(await admin.listening(), []);
  await eventually(() => postgres.sql("alter database renamed rename to moved"));
  postgres.sql("alter database moved rename to renamed");
  // A LISTEN waits, and no longer than a query would.
  const begun = Date.now();
  const [other, hasty] = [await Wire.login(pool.port, { database: "renamed" }), await Wire.login(pool.port, { database: "renamed" })];
  assert.equal(errorOf(await hasty.query("listen there"))?.C, "57P03");
  assert.ok(Date.now() - begun >= 1900);
  const waiting = other.rows("listen there");
  await sleep(300);
  assert.deepEqual(await admin.listening(), []);
  await admin.rows("resume renamed");
  await waiting;
  postgres.sql("notify here, 'again'; notify there, 'too'", "renamed");
  assert.equal(await nextNotification(listener), "here: again");
  assert.equal(await nextNotification(other), "there: too");
  await admin.rows("kill renamed");
  assert.deepEqual(await admin.listening(), []);
  await eventually(() => postgres.sql("drop database renamed"));
  await pool.stop();
});

test("after RECONNECT to another server its notifications come, though the old one lives on", { timeout: 60000 * patience }, async () => {
  const other = await startPostgres();
  const relay = await startRelay(postgres);
  const pool = await startPool(`auth = "any"\nadmin_users = ["postgres"]\npool_size = 2\n${database(relay)}`);
  const [listener, admin] = [await Wire.login(pool.port), await administrator(pool)];
  await listener.rows("listen moving");
  postgres.sql("notify moving, 'old'");
  assert.equal(await nextNotification(listener), "moving: old");
  relay.to = other;
  await admin.rows("reconnect");
  await admin.rows("wait_close");
  other.sql("notify moving, 'new'");
  assert.equal(await nextNotification(listener), "moving: new");
  const backends = () => postgres.sql("select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()");
  await eventually(() => assert.equal(backends(), "0"));
  await pool.stop();
});

// Between the pool and Postgres: the first that matches `held` goes no further, nor what comes behind it on its connection, until release().
async function startGate() {
  const gate = { held: undefined, refuses: false, waiting: [] };
  const server = net.createServer((near) => {
    near.on("error", () => {});
    if (gate.refuses) {
      near.destroy();
      return;
    }
    const far = net.connect(postgres.port, "127.0.0.1");
    let kept;
    near.on("data", (data) => {
      if (kept) kept.push(data);
      else if (gate.held?.test(data.toString("latin1"))) {
        gate.held = undefined;
        kept = [data];
        const release = (count = Infinity) => {
          kept.splice(0, count).forEach((each) => far.write(each));
          if (count === Infinity) kept = undefined;
        };
        gate.waiting.push({ release, pieces: () => kept.length });
      } else far.write(data);
    });
    far.on("data", (data) => near.write(data)).on("error", () => {}).on("close", () => near.destroy());
    near.on("close", () => far.destroy());
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return Object.assign(gate, { port: server.unref().address().port });
}

const openGate = (gate, size, extra = "") => startPool(`auth = "any"\nadmin_users = ["postgres"]\npool_size = ${size}\n${extra}\n${database(gate)}`);

test("an heir that does not answer is given up, and channels asked for meanwhile are heard by the old connection", { timeout: 60000 * patience }, async () => {
  const gate = await startGate();
  const pool = await openGate(gate, 2);
  const [listener, late, admin] = [await Wire.login(pool.port), await Wire.login(pool.port), await administrator(pool)];
  await listener.rows("listen early");
  gate.held = /LISTEN/;
  await admin.rows("reconnect");
  await eventually(() => assert.equal(gate.waiting.length, 1));
  await late.rows("listen late");
  postgres.sql("notify late, 'heard'; notify early, 'too'");
  assert.equal(await nextNotification(late), "late: heard");
  assert.equal(await nextNotification(listener), "early: too");
  await admin.rows("wait_close");
  postgres.sql("notify late, 'again'");
  assert.equal(await nextNotification(late), "late: again");
  await pool.stop();
});

test("amid a replacement a LISTEN is answered when its own channel is heard, not another", { timeout: 60000 * patience }, async () => {
  const gate = await startGate();
  const pool = await openGate(gate, 2);
  const [listener, admin] = [await Wire.login(pool.port), await administrator(pool)];
  await listener.rows("listen one");
  gate.held = /NOTIFY "weir_/;
  await admin.rows("reconnect");
  await eventually(() => assert.equal(gate.waiting.length, 1));
  const [heir] = gate.waiting, before = (await admin.listening()).length;
  assert.equal(before, 2);
  listener.send(query("listen two"));
  await eventually(() => assert.equal(heir.pieces(), 2));
  heir.release(1); // the mark alone
  await eventually(async () => assert.equal((await admin.listening()).length, 1));
  await sleep(200);
  assert.deepEqual(listener.messages.map(({ type }) => type), []);
  heir.release();
  assert.deepEqual((await listener.until("Z")).map(({ type }) => type), ["C", "Z"]);
  postgres.sql("notify two, 'heard'");
  assert.equal(await nextNotification(listener), "two: heard");
  await pool.stop("SIGKILL");
});

test("who was refused a LISTEN does not listen", { timeout: 60000 * patience }, async () => {
  const gate = await startGate();
  const pool = await openGate(gate, 2, 'query_wait_timeout = "1s"');
  const [refused, other] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  gate.held = /LISTEN/;
  assert.equal(errorOf(await refused.query("listen slow"))?.C, "57P03");
  gate.waiting[0].release();
  await other.rows("listen slow");
  postgres.sql("notify slow, 'heard'");
  assert.equal(await nextNotification(other), "slow: heard");
  assert.deepEqual((await refused.query("select 1")).map(({ type }) => type), ["T", "D", "C", "Z"]);
  // A channel that it had stays.
  await refused.rows("listen slow");
  gate.held = /LISTEN/;
  postgres.sql("select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%' and pid <> pg_backend_pid()");
  await eventually(() => assert.equal(gate.waiting.length, 2));
  assert.equal(errorOf(await refused.query("listen slow"))?.C, "57P03");
  gate.waiting[1].release();
  await eventually(async () => {
    postgres.sql("notify slow, 'again'");
    assert.ok((await refused.wait((messages) => messages.some(({ type }) => type === "A"), 300)).length > 0);
  });
  await pool.stop();
});

test("who does not read its notifications is told so when it does, after all that came before", { timeout: 60000 * patience }, async () => {
  const pool = await open("");
  const wire = await Wire.login(pool.port);
  await wire.rows("listen many");
  wire.socket.pause();
  postgres.sql("select pg_notify('many', n || repeat('.', 7900)) from generate_series(1, 2500) n");
  await pool.weir.waitFor("more notifications wait for this session than the pool keeps");
  wire.socket.resume();
  const replies = await wire.wait(() => false);
  assert.equal(errorOf(replies.slice(-1))?.C, "53400");
  assert.ok(replies.slice(0, -1).every(({ type }) => type === "A"));
  await pool.stop();
});

test("a session listens to 4,096 channels at most, and they count as what clients make the pool keep", { timeout: 60000 * patience }, async () => {
  const pool = await open("pool_size = 2\nclients_bytes_max = \"1MB\"");
  const [wire, other] = await Promise.all([1, 2].map(() => Wire.login(pool.port)));
  const listen = async (of, prefix, count) => {
    of.send(...Array.from({ length: count }, (_, i) => query(`listen ${prefix}${i}`)));
    return (await of.until("Z", count)).filter(({ type }) => type === "E").map(({ body }) => errorFields(body));
  };
  assert.deepEqual(await listen(wire, "c", 4096), []);
  const [refused] = await listen(wire, "more", 1);
  assert.equal(refused.C, "53400");
  assert.match(refused.H, /UNLISTEN/);
  wire.send(parse("", "listen more"), bind(), execute(), sync());
  assert.equal(errorOf(await wire.until("Z")).C, "53400");
  await wire.rows("listen c7");
  await wire.rows("unlisten c8");
  await wire.rows("listen more");
  postgres.sql("notify more, 'heard'; notify c4095, 'too'");
  assert.deepEqual((await wire.until("A", 2)).map(notification).sort(), ["c4095: too", "more: heard"]);
  const beyond = await listen(other, "d", 4096);
  assert.ok(beyond.length > 0 && beyond.every(({ C, H }) => C === "53200" && /LISTEN to less/.test(H)));
  wire.close();
  await eventually(async () => assert.deepEqual(await listen(other, "e", 1000), []));
  await pool.stop();
});

test("whose LISTEN is not answered yet may cancel it, or leave", { timeout: 60000 * patience }, async () => {
  const gate = await startGate();
  const pool = await openGate(gate, 2);
  const admin = await administrator(pool);
  const [cancels, leaves, extended] = await Promise.all([1, 2, 3].map(() => Wire.login(pool.port)));
  gate.held = /LISTEN/;
  for (const wire of [cancels, leaves]) wire.send(query("listen slow"));
  extended.send(parse("", "listen slow"), bind(), execute(), sync());
  await eventually(() => assert.equal(gate.waiting.length, 1));
  await Wire.cancel(pool.port, cancels.key);
  assert.equal(errorOf(await cancels.until("Z")).C, "57014");
  assert.deepEqual(await cancels.rows("select 1"), [["1"]]);
  leaves.close();
  const clients = async () => (await admin.rows("show clients")).filter((row) => row[2] === "postgres").length;
  await eventually(async () => assert.equal(await clients(), 2));
  await Wire.cancel(pool.port, extended.key); // its server listens instead: it may be too late
  assert.match((await extended.until("Z")).map(({ type }) => type).join(""), /^12.Z$/);
  gate.waiting[0].release();
  postgres.sql("notify slow, 'heard'");
  assert.deepEqual((await cancels.query("select 1")).map(({ type }) => type).join(""), "TDCZ");
  await pool.stop("SIGKILL");
});

test("a listening connection that does not come about is nobody else's failure", { timeout: 60000 * patience }, async () => {
  const gate = await startGate();
  const pool = await openGate(gate, 1);
  const [pinned, waiting, listener] = await Promise.all([1, 2, 3].map(() => Wire.login(pool.port)));
  await listener.rows("listen back");
  await pinned.rows("create temp table pins ()");
  waiting.send(query("select 'served'"));
  gate.refuses = true;
  postgres.sql("select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%' and pid <> pg_backend_pid()");
  await sleep(2000); // of some attempts
  await pinned.rows("discard all");
  assert.equal(errorOf(await waiting.until("Z")), undefined);
  gate.refuses = false;
  await eventually(async () => {
    postgres.sql("notify back, 'again'");
    assert.ok((await listener.wait((messages) => messages.some(({ type }) => type === "A"), 300)).length > 0);
  });
  await pool.stop();
});
