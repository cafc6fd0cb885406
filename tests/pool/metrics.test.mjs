// SPDX-License-Identifier: Apache-2.0
// What an operator sees: counts for Prometheus, and slow queries without their data.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";

import { raw } from "../e2e/lib.mjs";
import { Wire, bind, database, errorOf, eventually, execute, freePort, parse as parseMessage, query, sleep, startPool, startPostgres, startup, sync } from "./lib.mjs";

let postgres;
before(async () => {
  postgres = await startPostgres();
});

// {name{labels}: value}, after a look at the format.
function parse(text) {
  const values = {};
  const typed = new Set();
  for (const line of text.trimEnd().split("\n")) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
    if (type) {
      assert.ok(!typed.has(type[1]), `${type[1]} comes twice`);
      typed.add(type[1]);
    } else if (!line.startsWith("# HELP ")) {
      const [, series, value] = /^([a-z_]+(?:\{(?:[a-z]+="[^"]*",?)*\})?) (\S+)$/.exec(line) ?? assert.fail(line);
      assert.ok(typed.has(series.replace(/\{.*/, "")) || typed.has(series.replace(/_(bucket|sum|count)\{.*/, "")), series);
      assert.ok(!(series in values), `${series} comes twice`);
      values[series] = Number(value);
    }
  }
  return values;
}

test("counts and histograms for Prometheus, also across a reload", async () => {
  const metrics = await freePort();
  const toml = (size) => `auth = "any"\npool_size = ${size}\nmetrics_listen = "127.0.0.1:${metrics}"\n${database(postgres)}`;
  const pool = await startPool(toml(1));
  const scrape = async () => {
    const response = await fetch(`http://127.0.0.1:${metrics}/metrics`);
    assert.match(response.headers.get("content-type"), /^text\/plain; version=0\.0\.4/);
    return parse(await response.text());
  };
  const one = await Wire.login(pool.port);
  const two = await Wire.login(pool.port);
  await one.rows("begin");
  const waiting = two.rows("select pg_sleep(0.05)");
  const labels = 'database="postgres",user="postgres"';
  await eventually(async () => assert.equal((await scrape())[`weir_pool_clients{${labels},state="waiting"}`], 1));
  assert.equal((await scrape())[`weir_pool_clients{${labels},state="active"}`], 1);
  await one.rows("commit");
  await waiting;
  const seen = await scrape();
  assert.equal(seen[`weir_pool_clients{${labels},state="active"}`], 0);
  assert.equal(seen[`weir_pool_clients{${labels},state="idle"}`], 2);
  assert.equal(seen[`weir_pool_wait_seconds_bucket{${labels},le="134.217728"}`], 2);
  assert.equal(seen[`weir_pool_wait_seconds_count{${labels}}`], 2);
  assert.equal(seen[`weir_pool_servers{${labels},state="idle"}`], 1);
  assert.equal(seen[`weir_pool_servers_max{${labels}}`], 1);
  assert.equal(seen[`weir_pool_queries_total{${labels}}`], 3);
  assert.ok(seen.weir_pool_clients_bytes > 0 && seen.weir_pool_clients_bytes < 10000, "its sets of parameters"); // nothing else
  assert.equal(seen[`weir_pool_transactions_total{${labels}}`], 2);
  assert.equal(seen[`weir_pool_waits_total{${labels}}`], 1);
  const buckets = Object.entries(seen).filter(([name]) => name.startsWith("weir_pool_query_seconds_bucket")).map(([, value]) => value);
  assert.deepEqual(buckets, [...buckets].sort((a, b) => a - b));
  assert.equal(buckets.at(-1), seen[`weir_pool_query_seconds_count{${labels}}`]);
  assert.ok(seen[`weir_pool_query_seconds_sum{${labels}}`] >= 0.05);
  assert.ok(seen[`weir_pool_query_seconds_bucket{${labels},le="0.032768"}`] < buckets.at(-1));
  // One more, that took between so and so many seconds by this clock; the pool looks at its own once a turn.
  const landed = async (name, happens) => {
    const before = await scrape(), took = await happens(), after = await scrape();
    const [least, most] = [took[0] - 0.02, took[1] + 0.02];
    const grown = (series) => after[series] - before[series];
    const bounds = Object.keys(after).filter((series) => series.startsWith(`${name}_bucket`)).map((series) => [series, Number(/le="([^"]+)"/.exec(series)[1].replace("+Inf", "Infinity"))]);
    assert.ok(bounds.length > 20);
    for (const [series, bound] of bounds) if (bound < least || bound >= most) assert.equal(grown(series), bound < least ? 0 : 1, `${series}: ${least} to ${most}`);
    const sum = grown(`${name}_sum{${labels}}`);
    assert.ok(sum >= least && sum <= most, `${sum}: ${least} to ${most}`);
    assert.equal(grown(`${name}_count{${labels}}`), 1);
  };
  const seconds = () => performance.now() / 1000;
  await one.rows("begin");
  await landed("weir_pool_wait_seconds", async () => {
    const asked = seconds(), answer = two.rows("select 1");
    await eventually(async () => assert.equal((await scrape())[`weir_pool_clients{${labels},state="waiting"}`], 1));
    const waits = seconds();
    await sleep(300);
    const least = seconds() - waits;
    await one.rows("commit");
    await answer;
    return [least, seconds() - asked];
  });
  await landed("weir_pool_query_seconds", async () => {
    const asked = seconds();
    await two.rows("select pg_sleep(0.3)");
    return [0.3, seconds() - asked];
  });
  // Old pool and new pool are one series, and nothing goes back.
  pool.write(toml(2));
  pool.weir.process.kill("SIGHUP");
  const three = await eventually(async () => {
    const wire = await Wire.login(pool.port);
    await wire.rows("select 1");
    assert.equal((await scrape())[`weir_pool_servers_max{${labels}}`], 2);
    return wire;
  });
  const later = await scrape();
  assert.ok(later[`weir_pool_queries_total{${labels}}`] > 7);
  three.close();
  // It is for Prometheus and nothing else.
  assert.equal((await fetch(`http://127.0.0.1:${metrics}/`)).status, 404);
  assert.equal((await fetch(`http://127.0.0.1:${metrics}/metrics`, { method: "POST" })).status, 404);
  assert.equal(await raw(metrics, "x".repeat(100000)), "");
  assert.match(await raw(metrics, "GET /metrics HTTP/1.0\r\n\r\n"), /weir_pool_queries_total/);
});

test("slow queries are logged without what is in them", async () => {
  const pool = await startPool(`auth = "any"\nslow_query = 100\n${database(postgres)}`);
  const wire = await Wire.login(pool.port);
  await wire.rows("select pg_sleep(0.15), 'a secret', 4711 -- more secrets");
  await pool.weir.waitFor(/slow query: \d+ ms, user postgres, database postgres, client \d+: select pg_sleep\(\?\), \?, \?\n/);
  wire.send(parseMessage("named", "select $1::text, pg_sleep($2::float), 'fixed secret'"), sync());
  await wire.until("Z");
  wire.send(bind("", "named", ["bound secret", "0.15"]), execute(), sync());
  await wire.until("Z");
  await pool.weir.waitFor(/slow query: .*: select \$1::text, pg_sleep\(\$2::float\), \?\n/);
  await wire.rows("select 'quick'");
  assert.ok(!/secret|4711|quick/.test(pool.weir.output), pool.weir.output);
});

test("refusals and failed logins by SQLSTATE, failed connections by database", async () => {
  const metrics = await freePort(), nowhere = { port: await freePort() };
  const pool = await startPool(
    `auth = "any"\npool_size = 1\nquery_wait_timeout = "400ms"\nidle_transaction_timeout = "1s"\nclients_bytes_max = "1MB"\nmetrics_listen = "127.0.0.1:${metrics}"\n` +
      database(postgres, "", "postgres") + database(nowhere, "", "away"),
  );
  const scrape = async () => parse(await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text());
  const counts = async (name) =>
    Object.fromEntries(Object.entries(await scrape()).flatMap(([series, value]) => (series.startsWith(`weir_pool_${name}_total{sqlstate=`) && value > 0 ? [[series.split('"')[1], value]] : [])));
  assert.deepEqual(await counts("refusals"), {});
  const refused = async (database) => {
    const wire = await Wire.open(pool.port);
    wire.send(startup({ user: "postgres", database }));
    return errorOf(await wire.until("E")).C;
  };
  assert.equal(await refused("nothing"), "3D000");
  assert.equal(await refused("away"), "08001");
  assert.deepEqual(await counts("failed_logins"), { "08001": 1, "3D000": 1 });
  const [one, two] = await Promise.all([1, 2].map(() => Wire.login(pool.port)));
  await one.rows("begin");
  assert.equal(errorOf(await two.query("select 1")).C, "57P03");
  await sleep(1200);
  assert.equal(errorOf(await one.query("select 1")).C, "25P03");
  await one.rows("rollback");
  two.send(bind("", "unknown"), sync());
  assert.equal(errorOf(await two.until("Z")).C, "26000");
  const large = await Wire.login(pool.port);
  large.send(parseMessage("large", "x".repeat(2 << 20)).subarray(0, 1500 << 10));
  assert.equal(errorOf(await large.until("E")).C, "53200");
  large.close();
  // What the server itself says is not the pool's.
  assert.equal(errorOf(await two.query("select 1/0")).C, "22012");
  await two.rows("begin");
  two.send(query("select pg_sleep(10)"));
  await sleep(200);
  postgres.sql("select pg_terminate_backend(pid) from pg_stat_activity where query like '%sleep%' and pid <> pg_backend_pid()");
  await two.wait(() => false);
  assert.deepEqual(await counts("refusals"), { "08001": 1, "25P03": 1, 26000: 1, "3D000": 1, 53200: 1, "57P03": 1 });
  assert.deepEqual(await counts("failed_logins"), { "08001": 1, "3D000": 1 });
  const seen = await scrape();
  const listed = readFileSync(new URL("../../docs/pool.md", import.meta.url), "utf8").split("## What clients are told")[1].split("\n## ")[0];
  for (const sqlstate of listed.match(/\b[0-9][0-9A-Z]{4}\b/g)) assert.ok(`weir_pool_refusals_total{sqlstate="${sqlstate}"}` in seen, sqlstate);
  assert.ok(seen['weir_pool_failed_connects_total{database="away",user="postgres"}'] >= 1);
  assert.equal(seen['weir_pool_failed_connects_total{database="postgres",user="postgres"}'], 0);
  await pool.stop();
});

test("what sessions set counts towards clients_bytes_max; beyond it a SET pins", async () => {
  const metrics = await freePort();
  const pool = await startPool(`auth = "any"\npool_size = 60\nclients_bytes_max = "1MB"\nmetrics_listen = "127.0.0.1:${metrics}"\n${database(postgres)}`);
  const scrape = async () => parse(await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text());
  const pinned = 'weir_pool_pinned_clients{database="postgres",user="postgres"}';
  const wires = [];
  for (let i = 0; i < 50; i++) {
    const wire = await Wire.login(pool.port);
    wires.push(wire);
    wire.send(...Array.from({ length: 32 }, (_, at) => query(`set x.p${at} = '${i} ${"x".repeat(1000)}'`)));
    assert.equal(errorOf(await wire.until("Z", 32)), undefined);
    if (i === 10) assert.equal((await scrape())[pinned], 0);
  }
  const seen = await scrape();
  assert.ok(seen[pinned] > 10 && seen[pinned] < 40, `${seen[pinned]} are pinned`);
  assert.ok(seen.weir_pool_clients_bytes < 1200000, `${seen.weir_pool_clients_bytes} bytes`);
  for (const [i, wire] of wires.entries()) assert.match((await wire.rows("show x.p31"))[0][0], new RegExp(`^${i} x`));
  for (const wire of wires) wire.close();
  await eventually(async () => assert.equal((await scrape())[pinned], 0));
  await pool.stop();
});
