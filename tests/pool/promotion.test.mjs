// SPDX-License-Identifier: Apache-2.0
// The primary is gone and its standby promoted, under a pool that knows both hosts.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import { Wire, database, errorOf, eventually, patience, query, sleep, startPool, startPostgres, startRelay, startup } from "./lib.mjs";

let primary, standby;
before(async () => {
  primary = await startPostgres("synchronous_commit = remote_apply\n");
  primary.sql("create table written (writer text, v int)");
  standby = await startPostgres("hot_standby = on\n", { standbyOf: primary });
  // Only now: the standby took the configuration over, and would wait for itself when it is the primary.
  primary.sql("alter system set synchronous_standby_names = '*'");
  primary.sql("select pg_reload_conf()");
  await eventually(() => assert.equal(primary.sql("select sync_state from pg_stat_replication"), "sync"));
});

// Writes 1, 2, 3 … until it is told to stop: what was acknowledged, and the errors of the others.
function writeOn(wire, name) {
  const writer = { acknowledged: [], refused: [], slowest_ms: 0, stop: false };
  const loop = async () => {
    for (let v = 1; !writer.stop; v++) {
      const began = Date.now();
      const error = errorOf(await wire.query(`insert into written values ('${name}', ${v})`));
      assert.ok(!wire.ended, `the session of ${name} ended: ${error?.M}`);
      writer.slowest_ms = Math.max(writer.slowest_ms, Date.now() - began);
      if (error) writer.refused.push({ v, code: error.C, detail: error.D });
      else writer.acknowledged.push(v);
      await sleep(5);
    }
  };
  writer.done = loop();
  return writer;
}

const writtenBy = (name) => standby.sql(`select v from written where writer = '${name}' order by v`).split("\n").map(Number);

test("target_session_attrs and load_balance_hosts choose among hosts", { timeout: 120000 * patience }, async () => {
  primary.sql("create role reader login; alter role reader set default_transaction_read_only = on");
  const both = `127.0.0.1:${primary.port},127.0.0.1:${standby.port}`;
  // Where so many connections lead, in the order in which they were asked for; or the error's code.
  const where = async (wish, { hosts = both, user = "postgres", count = 2 } = {}) => {
    const pool = await startPool(`auth = "any"\npool_size = ${count}\n[[databases]]\nname = "*"\nurl = "postgres://${hosts}/?sslmode=disable&${wish}"\n`);
    try {
      const ports = [], wires = await Promise.all(Array.from({ length: count }, async () => {
        const wire = await Wire.open(pool.port);
        wire.send(startup({ user, database: "postgres" }));
        const refused = errorOf(await wire.wait((messages) => messages.some(({ type }) => "EZ".includes(type)), 20000 * patience));
        return refused?.C ?? wire;
      }));
      if (typeof wires[0] === "string") return wires[0];
      for (const wire of wires) ports.push((await wire.query("begin; show port")).find(({ type }) => type === "D").body.toString("latin1", 6));
      return ports.map((port) => (Number(port) === primary.port ? "primary" : "standby")).join(" ");
    } finally {
      await pool.stop("SIGKILL");
    }
  };
  assert.equal(await where("target_session_attrs=any"), "primary primary");
  assert.equal(await where("target_session_attrs=primary", { hosts: both.split(",").reverse().join() }), "primary primary");
  for (const attrs of ["read-only", "standby", "prefer-standby"]) assert.equal(await where(`target_session_attrs=${attrs}`), "standby standby", attrs);
  assert.equal(await where("target_session_attrs=prefer-standby", { hosts: `127.0.0.1:${primary.port}` }), "primary primary");
  assert.equal(await where("target_session_attrs=primary", { hosts: `127.0.0.1:${standby.port}` }), "08001");
  // Who may only read finds a primary that lets it, and none that takes writes.
  const reads = { user: "reader", count: 1 };
  assert.equal(await where("target_session_attrs=read-only", reads), "primary");
  assert.equal(await where("target_session_attrs=primary", reads), "primary");
  assert.equal(await where("target_session_attrs=read-write", reads), "08001");
  assert.equal(await where("load_balance_hosts=disable", { count: 4 }), "primary primary primary primary");
  assert.equal((await where("load_balance_hosts=round-robin", { count: 6 })).match(/primary/g).length, 3);
  const any = await where("load_balance_hosts=random", { count: 25 });
  assert.match(any, /primary/);
  assert.match(any, /standby/);
});

test("a server that has what target_session_attrs asks for no more is left", { timeout: 60000 * patience }, async () => {
  const pool = await startPool(`auth = "any"\npool_size = 1\n[[databases]]\nname = "*"\nurl = "postgres://127.0.0.1:${primary.port}/?sslmode=disable&target_session_attrs=read-write"\n`);
  const wire = await Wire.login(pool.port);
  const fence = (value) => {
    primary.sql(`alter system set default_transaction_read_only = ${value}`);
    primary.sql("select pg_reload_conf()");
  };
  const answers = (code) => eventually(async () => assert.equal(errorOf(await wire.query("create table fenced (); drop table fenced"))?.C, code));
  try {
    await answers(undefined);
    fence("on");
    await answers("08001"); // that there is no other, where there was 25006
  } finally {
    fence("off");
  }
  await answers(undefined);
  await pool.stop();
});

test("a standby does not take the place of the connection that listens", { timeout: 60000 * patience }, async () => {
  const relay = await startRelay(primary);
  const pool = await startPool(`auth = "any"\nadmin_users = ["postgres"]\npool_size = 2\n${database(relay)}`);
  const [wire, other, admin] = [await Wire.login(pool.port), await Wire.login(pool.port), await Wire.login(pool.port, { database: "pgbouncer" })];
  const listening = async () => (await admin.rows("show servers")).filter((row) => row[4] === "listening").map((row) => row[16]);
  const hears = async (payload, ms) => {
    primary.sql(`notify here, '${payload}'`);
    assert.match((await wire.until("A", 1, ms)).find(({ type }) => type === "A").body.toString("latin1", 4), new RegExp(`^here\0${payload}`));
  };
  await wire.rows("listen here");
  const before = await listening();
  relay.to = standby;
  await admin.rows("reconnect");
  for (let i = 0; i < 5; i++) {
    await sleep(500);
    await hears(`still ${i}`);
    await other.rows(`listen other${i}`);
  }
  assert.deepEqual(await listening(), before);
  relay.to = primary;
  await admin.rows("wait_close");
  assert.notDeepEqual(await listening(), before);
  await hears("again");
  // Nor do sessions lose what they listen to when it is the only one that there is.
  relay.to = standby;
  primary.sql(`select pg_terminate_backend(${(await listening())[0]})`);
  await sleep(1500);
  relay.to = primary;
  await eventually(() => hears("back", 500));
  await pool.stop();
});

test("promoted elsewhere: sessions go on at the new primary, and nothing acknowledged is lost", { timeout: 120000 * patience }, async () => {
  const url = `postgres://127.0.0.1:${primary.port},127.0.0.1:${standby.port}/?sslmode=disable&target_session_attrs=read-write`;
  const pool = await startPool(`auth = "any"\nadmin_users = ["postgres"]\npool_size = 5\n[[databases]]\nname = "*"\nurl = "${url}"\n`);
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  const names = ["a", "b", "c"];
  const wires = await Promise.all(names.map((name) => Wire.login(pool.port, { application_name: name })));
  const readers = await startPool(`auth = "any"\npool_size = 1\n[[databases]]\nname = "*"\nurl = "${url.replace("read-write", "standby")}"\n`);
  const reader = await Wire.login(readers.port);
  assert.deepEqual(await reader.rows("show port"), [[String(standby.port)]]);
  const [idle, between, flying] = await Promise.all([Wire.login(pool.port), Wire.login(pool.port), Wire.login(pool.port)]);
  await idle.rows("set timezone = 'Asia/Tokyo'");
  await between.rows("begin");
  await between.rows("insert into written values ('between', 1)");
  flying.send(query("insert into written select 'flying', 1 from pg_sleep(600)"));
  const writers = wires.map((wire, i) => writeOn(wire, names[i]));
  const all = (check) => eventually(() => writers.forEach((writer) => assert.ok(check(writer))), 40000 * patience);
  await all(({ acknowledged }) => acknowledged.length >= 20);
  assert.ok((await admin.rows("show servers")).every((row) => row.includes(String(primary.port))));

  primary.stop("immediate");
  // Two in a row: the second was told that there is no primary, neither here nor there.
  await all(({ refused }) => refused.length >= 2);
  assert.equal(errorOf(await between.query("commit"))?.C, "08006", "a transaction that began there did not take place");
  const lost = errorOf(await flying.until("Z"));
  assert.equal(lost.C, "08006");
  assert.match(lost.D, /unknown/);
  const before = writers.map(({ acknowledged }) => acknowledged.length);
  standby.ctl("promote");
  await all((writer) => writer.acknowledged.length >= before[writers.indexOf(writer)] + 20);
  for (const writer of writers) writer.stop = true;
  await Promise.all(writers.map(({ done }) => done));

  for (const [i, { acknowledged, refused, slowest_ms }] of writers.entries()) {
    for (const { code } of refused) assert.match(code, /^(08001|08006|57P0[1-3]|25006)$/);
    assert.ok(slowest_ms < 5000 * patience, `each query is answered soon; one took ${slowest_ms} ms`);
    // The outcome is unknown of at most the one that was under way.
    const written = writtenBy(names[i]);
    const unknown = refused.filter(({ detail }) => /unknown/.test(detail ?? "")).map(({ v }) => v);
    assert.ok(unknown.length <= 1, `unknown: ${unknown}`);
    assert.deepEqual(written.filter((v) => !unknown.includes(v)), acknowledged);
    assert.equal(new Set(written).size, written.length, "nothing was written twice");
    assert.deepEqual(await wires[i].rows("show application_name"), [[names[i]]]);
  }
  assert.equal(standby.sql("select count(*) from written where writer in ('between', 'flying')"), "0");
  for (const wire of [between, flying]) assert.deepEqual(await wire.rows("select 'goes on'"), [["goes on"]]);
  assert.deepEqual(await idle.rows("show timezone"), [["Asia/Tokyo"]]);

  // Who asked for a standby does not stay with what is none any more.
  await eventually(async () => assert.equal(errorOf(await reader.query("select 1"))?.C, "08001"));
  await readers.stop();

  // No connection is left to where the primary was, and none that the pool does not know of.
  await eventually(async () => {
    const servers = await admin.rows("show servers");
    assert.ok(servers.length >= 1 && servers.length <= 5, `${servers.length} connections`);
    assert.ok(servers.every((row) => row.includes(String(standby.port)) && row.includes("idle")), servers.join("\n"));
    const backends = standby.sql("select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()");
    assert.equal(Number(backends), servers.length);
  });
  await pool.stop();
});
