// SPDX-License-Identifier: Apache-2.0
// Who waits for a connection with whom, and who is served first.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import { Wire, database, errorOf, eventually, patience, query, sleep, startPool, startPostgres, startup, table } from "./lib.mjs";

let postgres;
before(async () => {
  postgres = await startPostgres();
  postgres.sql("create role other login; create role third login; create role keeper login; create table turns (id serial, who text)");
});

const open = (settings, extra = "") => startPool(`auth = "any"\nadmin_users = ["postgres"]\n${settings}\n${database(postgres, extra)}`);
const login = (pool, application_name, user = "postgres") => Wire.login(pool.port, { user, application_name });
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

// How long a short query takes, from when it is sent.
async function times(wire, count) {
  const list = [];
  for (let i = 0; i < count; i++) {
    const begun = performance.now();
    assert.deepEqual(await wire.rows("select 1"), [["1"]]);
    list.push(performance.now() - begun);
  }
  return list;
}

// Each turn adds a row, and the table is held whenever a single client comes, until it is known to wait: so the turns
// that others had before it can be counted, however long they take.
test("of a thousand that wait no more than three come before the single client of another application", { timeout: 60000 * patience }, async () => {
  const pool = await open("pool_size = 1");
  const console = await Wire.login(pool.port, { database: "pgbouncer" });
  const gate = await Wire.login(postgres.port);
  const crowd = await Promise.all(Array.from({ length: 1000 }, () => login(pool, "crowd")));
  const one = await login(pool, "single");
  const waiting = async () => (await table(console, "show pools")).reduce((sum, { cl_waiting }) => sum + Number(cl_waiting), 0);
  const take = (who) => `insert into turns (who) values ('${who}') returning id`;
  const turns = [];
  let going = true;
  await gate.rows("begin; lock table turns");
  const busy = crowd.map(async (wire) => {
    while (going) {
      wire.send(query(take("crowd")));
      await wire.until("Z", 1, 50000 * patience);
    }
  });
  for (let i = 0; i < 20; i++) {
    await eventually(async () => assert.equal(await waiting(), crowd.length - 1));
    const answer = one.rows(take("single"));
    await eventually(async () => assert.equal(await waiting(), crowd.length));
    const [[before]] = await gate.rows("select last_value from turns_id_seq");
    await gate.rows("commit");
    turns.push((await answer)[0][0] - before);
    await gate.rows("begin; lock table turns");
  }
  going = false;
  await gate.rows("commit");
  await Promise.all(busy);
  assert.ok(turns.every((count) => count <= 4), turns.join(" "));
  gate.close();
  await pool.stop();
});

test("who was away does not save up time", async () => {
  const pool = await open("pool_size = 1");
  const [a, b, away] = await Promise.all([login(pool, "a"), login(pool, "b"), login(pool, "away")]);
  let going = true;
  const counts = { a: 0, b: 0 };
  const busy = [["a", a], ["b", b]].map(async ([name, wire]) => {
    while (going) {
      await wire.rows("select pg_sleep(0.005)");
      counts[name]++;
    }
  });
  await sleep(1000);
  assert.ok(counts.a > 20 && Math.abs(counts.a - counts.b) < counts.a / 5, JSON.stringify(counts));
  const before = { ...counts };
  for (let i = 0; i < 30; i++) await away.rows("select pg_sleep(0.005)");
  assert.ok(counts.a - before.a >= 20, `${counts.a - before.a} while the newcomer had 30`);
  going = false;
  await Promise.all(busy);
  await pool.stop();
});

test("a queue that one tenant has filled takes another's client, and refuses the last of the long line", async () => {
  const pool = await open("pool_size = 1\nqueue_max = 4");
  const holder = await login(pool, "crowd");
  await holder.rows("begin");
  const crowd = [];
  for (let i = 0; i < 4; i++) {
    crowd.push(await login(pool, "crowd"));
    crowd[i].socket.write(Buffer.from("Q\0\0\0\x0dselect 1\0", "latin1"));
    await sleep(20);
  }
  const single = await login(pool, "single");
  const answer = single.rows("select 'in'");
  assert.equal(errorOf(await crowd[3].until("Z")).C, "53300");
  await holder.rows("commit");
  assert.deepEqual(await answer, [["in"]]);
  for (const wire of crowd.slice(0, 3)) assert.equal(errorOf(await wire.until("Z")), undefined);
  await pool.stop();
});

test("users of a database with a limit of its own give connections up to each other", async () => {
  const pool = await open("pool_size = 4", "connections_max = 4");
  const many = await Promise.all(Array.from({ length: 12 }, () => login(pool, "many")));
  let going = true;
  const busy = many.map(async (wire) => {
    while (going) await wire.rows("select pg_sleep(0.02)");
  });
  await sleep(200);
  const other = await login(pool, "one", "other");
  await eventually(() => other.rows("select 1"));
  assert.ok(median(await times(other, 10)) < 100);
  // A backend that was told to end needs a moment for it.
  await eventually(() => assert.ok(Number(postgres.sql("select count(*) from pg_stat_activity where application_name in ('many', 'one')")) <= 4));
  going = false;
  await Promise.all(busy);
  await pool.stop();
});

test("more users than a database may have connections take turns, with those that no session keeps", { timeout: 60000 * patience }, async () => {
  const pool = await open("pool_size = 4", "connections_max = 3");
  const keeps = await login(pool, "keeps", "keeper");
  await keeps.rows("create temp table kept (a int)");
  const counts = { postgres: 0, other: 0, third: 0 };
  let going = true;
  const busy = Object.keys(counts).flatMap((user) =>
    Array.from({ length: 10 }, async () => {
      const wire = await login(pool, "many", user);
      while (going) {
        await wire.rows("select pg_sleep(0.005)");
        counts[user]++;
      }
    }),
  );
  for (let turn = 0; turn < 3; turn++) {
    const before = { ...counts };
    await eventually(() => assert.ok(Object.keys(counts).every((user) => counts[user] > before[user]), JSON.stringify(counts)));
  }
  assert.deepEqual(await keeps.rows("select count(*) from kept"), [["0"]]);
  going = false;
  await Promise.all(busy);
  await pool.stop();
});

test("whoever keeps a connection for its session's state has its turns with other clients as well", async () => {
  const pool = await open("pool_size = 4", "connections_max = 2");
  const keeps = await login(pool, "keeps", "keeper");
  await keeps.rows("create temp table kept (a int)");
  const [one, other] = [await login(pool, "one", "keeper"), await login(pool, "one", "other")];
  let going = true;
  const busy = (await Promise.all(Array.from({ length: 4 }, () => login(pool, "busy", "other")))).map(async (wire) => {
    while (going) await wire.rows("select pg_sleep(0.005)");
  });
  for (let i = 0; i < 3; i++) {
    await one.rows("select 1");
    await other.rows("select 1");
  }
  going = false;
  await Promise.all(busy);
  await pool.stop();
});

test("for a minimum that nobody waits for none is taken from others", async () => {
  const pool = await open("pool_size_min = 2\nlog_disconnections = true", "connections_max = 3");
  const console = await Wire.login(pool.port, { database: "pgbouncer" });
  const counts = async (...expected) => {
    const users = (await table(console, "show servers")).filter(({ state }) => state === "idle").map(({ user }) => user);
    assert.deepEqual(["keeper", "other"].map((name) => users.filter((user) => user === name).length), expected);
  };
  await login(pool, "a", "keeper");
  await eventually(() => counts(2, 0));
  await login(pool, "b", "other");
  await eventually(() => counts(2, 1));
  await sleep(1000); // twice what makes one idle for long
  await counts(2, 1);
  assert.doesNotMatch(pool.weir.output, /evicted/);
  await pool.stop();
});

// Connections that are to be closed when they come back.
const asked = async (console) => (await table(console, "show servers")).filter(({ close_needed }) => close_needed === "1").length;

test("a session whose connection was asked for holds nobody up: what idles is given up", async () => {
  const pool = await open('pool_mode = "session"', "connections_max = 2");
  const console = await Wire.login(pool.port, { database: "pgbouncer" });
  const [stays, leaves] = [await login(pool, "a", "keeper"), await login(pool, "b", "other")];
  for (const wire of [stays, leaves]) await wire.rows("select 1");
  const third = login(pool, "c", "third").then((wire) => wire.rows("select 'in'"));
  await eventually(async () => assert.notEqual(await asked(console), 0));
  leaves.close();
  assert.deepEqual(await third, [["in"]]);
  assert.deepEqual(await stays.rows("select 1"), [["1"]]);
  await pool.stop();
});

for (const [what, then] of [["is in a long transaction", []], ["pins its session", ["create temp table kept (a int)", "commit"]]])
  test(`whoever was asked for a connection and then ${what} is not the only one that is asked`, async () => {
    const pool = await open("", "connections_max = 2");
    const console = await Wire.login(pool.port, { database: "pgbouncer" });
    const keeps = await login(pool, "keeps", "keeper");
    await keeps.rows("begin");
    let going = true;
    const busy = (await Promise.all(Array.from({ length: 4 }, () => login(pool, "busy", "other")))).map(async (wire) => {
      while (going) await wire.rows("select pg_sleep(0.01)");
    });
    const third = login(pool, "c", "third").then((wire) => wire.rows("select 'in'"));
    await eventually(async () => assert.notEqual(await asked(console), 0));
    for (const sql of then) await keeps.rows(sql);
    assert.deepEqual(await third, [["in"]]);
    going = false;
    await Promise.all(busy);
    keeps.close(); // in its transaction, for whose end a stop waits
    await pool.stop();
  });

const pid = async (wire) => (await wire.rows("select pg_backend_pid()"))[0][0];
const waits = async (console, name) =>
  eventually(async () => assert.ok((await table(console, "show pools")).some(({ database, cl_waiting }) => database === name && Number(cl_waiting) > 0)));

test("whom the limit of its user holds back takes none from others of its database, and gets one as soon as it may", { timeout: 60000 * patience }, async () => {
  const pool = await startPool(
    `auth = "any"\nadmin_users = ["postgres"]\n[[users]]\nname = "other"\nconnections_max = 1\n` +
      `${database(postgres, 'database = "postgres"\nconnections_max = 1', "full")}\n${database(postgres, 'database = "postgres"\nconnections_max = 1', "free")}`,
  );
  const on = (database, user) => Wire.login(pool.port, { database, user });
  const console = await on("pgbouncer", "postgres");
  const other = await on("full", "other");
  const third = await on("full", "third");
  const long = await on("free", "other");
  const before = await pid(third);
  await long.rows("begin");
  const held = other.rows("select 'in'");
  await waits(console, "full");
  for (let i = 0; i < 3; i++) assert.equal(await pid(third), before);
  await console.rows("reconnect full");
  await eventually(async () => assert.notEqual(await pid(third), before));
  await long.rows("commit");
  assert.deepEqual(await held, [["in"]]);
  // Neither limit has room for it, and all that there are are in use.
  let going = true;
  const crowd = await Promise.all([["full", "third"], ["free", "other"]].flatMap(([name, user]) => Array.from({ length: 4 }, () => on(name, user))));
  const busy = crowd.map(async (wire) => {
    while (going) await wire.rows("select pg_sleep(0.01)");
  });
  for (let i = 0; i < 5; i++) assert.deepEqual(await other.rows("select 'in'"), [["in"]]);
  going = false;
  await Promise.all(busy);
  await pool.stop();
});

test("for a pool that is paused none is taken from others, and for one that is refused one for each attempt", { timeout: 60000 * patience }, async () => {
  postgres.sql("create role refused login");
  const pool = await open("log_disconnections = true", "connections_max = 1");
  const console = await Wire.login(pool.port, { database: "pgbouncer" });
  const refused = await login(pool, "a", "refused");
  const paused = await Wire.login(pool.port, { database: "template1" });
  await console.rows("pause template1");
  const other = await login(pool, "b", "other");
  const before = await pid(other);
  const waiting = paused.rows("select 'in'");
  await waits(console, "template1");
  for (let i = 0; i < 3; i++) assert.equal(await pid(other), before);
  await console.rows("resume template1");
  assert.deepEqual(await waiting, [["in"]]);
  await pid(other);
  postgres.sql("alter role refused nologin");
  const count = (what) => pool.weir.output.split(what).length;
  const evicted = count("evicted for another pool");
  const attempts = count("not permitted to log in");
  while (count("not permitted to log in") < attempts + 3) {
    assert.equal(errorOf(await refused.query("select 1")).C, "28000");
    await pid(other);
  }
  await pid(other);
  assert.ok(count("evicted for another pool") - evicted <= count("not permitted to log in") - attempts, pool.weir.output);
  await pool.stop();
});

test("limits of a database and of a user: clients, and connections", async () => {
  const pool = await startPool(
    `auth = "any"\npool_size = 4\nuser_clients_max = 6\n${database(postgres, "clients_max = 3", "postgres")}\n` +
      `[[users]]\nname = "postgres"\nconnections_max = 3\n${database(postgres, "", "*")}`,
  );
  const login = (db) => Wire.login(pool.port, { database: db });
  const refused = async (db) => {
    const wire = await Wire.open(pool.port);
    wire.send(startup({ user: "postgres", database: db }));
    return errorOf(await wire.until("E"));
  };
  const first = [await login("postgres"), await login("postgres"), await login("postgres")];
  const full = await refused("postgres");
  assert.equal(full.C, "53300");
  assert.match(full.M, /clients_max of the database .* is 3/);
  first.pop().close();
  await eventually(async () => first.push(await login("postgres")));
  const second = [await login("template1"), await login("template1"), await login("template1")];
  assert.match((await refused("template1")).M, /clients_max of the user .* is 6/);
  // Three connections for six clients of two databases: all are served, and there are never four.
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, Number(postgres.sql("select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()")))), 30);
  for (let round = 0; round < 4; round++)
    await Promise.all([...first, ...second].map((wire) => wire.rows("select pg_sleep(0.05)")));
  clearInterval(watch);
  assert.ok(most > 0 && most <= 3, `${most} connections`);
  const console = await Wire.login(pool.port, { user: "pgbouncer", database: "pgbouncer" });
  const user = (await table(console, "show users")).find(({ name }) => name === "postgres");
  assert.deepEqual([user.max_user_connections, user.max_user_client_connections, user.current_client_connections], ["3", "6", "6"]);
  const shown = (await table(console, "show databases")).find(({ name }) => name === "postgres");
  assert.deepEqual([shown.max_client_connections, shown.current_client_connections, shown.pool_size], ["3", "3", "4"]);
  await console.rows("set max_user_client_connections = 7");
  await login("template1");
  await pool.stop();
});
