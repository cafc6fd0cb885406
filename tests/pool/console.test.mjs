// SPDX-License-Identifier: Apache-2.0
// The console: what it shows, and what its commands do to clients and connections.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { before, test } from "node:test";

import { Wire, database, errorOf, eventually, patience, query, sanitized, show, sleep, startPool, startPostgres, startRelay, startup, table } from "./lib.mjs";

let postgres;
before(async () => {
  postgres = await startPostgres();
  postgres.sql("create role ana login");
});

const open = (extra = "", of = "", name = "*") => startPool(`auth = "any"\nadmin_users = ["postgres"]\n${extra}\n${database(postgres, of, name)}`);
const backends = () => Number(postgres.sql("select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"));
const toConsole = (pool, user = "postgres") => Wire.login(pool.port, { database: "pgbouncer", user });
const named = (rows, name, key = "name") => rows.find((row) => row[key] === name);
const refusal = (replies) => `${errorOf(replies)?.C} ${errorOf(replies)?.M}`;
// Does what was asked come while something else is awaited?
const waits = async (wire) => {
  await sleep(300);
  return wire.messages.length === 0;
};

test("everything that SHOW HELP names can be shown", async () => {
  const pool = await open();
  const [admin, a] = [await toConsole(pool), await Wire.login(pool.port, { application_name: "shop" })];
  await a.rows("begin");
  const commands = (await table(admin, "show help")).map(({ command }) => command);
  assert.ok(commands.includes("PAUSE [database]"));
  const subjects = commands.filter((command) => command.startsWith("SHOW "));
  assert.ok(subjects.length > 20);
  for (const subject of subjects) assert.ok(Array.isArray(await table(admin, subject.toLowerCase())));
  assert.equal(errorOf(await admin.query("show nonsense")).C, "42601");
  const clients = await table(admin, "show clients");
  const client = named(clients, "shop", "application_name");
  assert.deepEqual(
    [client.database, client.user, client.state, client.addr, client.port, client.local_port],
    ["postgres", "postgres", "active", "127.0.0.1", String(a.socket.localPort), String(pool.port)],
  );
  assert.match(client.connect_time, /^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
  const [server] = await table(admin, "show servers");
  assert.equal(server.link, client.ptr);
  assert.equal(client.link, server.ptr);
  assert.equal(server.remote_pid, (await a.rows("select pg_backend_pid()"))[0][0]);
  assert.equal(clients.filter((row) => row.database === "pgbouncer").length, 1);
  assert.ok((await table(admin, "show active_sockets")).some((row) => row.type === "S" && row.id === server.id));
  await a.rows("commit");
  assert.equal(named(await table(admin, "show clients"), "shop", "application_name").state, "idle");
  await pool.stop();
});

// As PgBouncer 1.25 has them, with their types: text, int4 (#), int8 (+), numeric (%).
const sockets = "type user database replication state addr #port local_addr #local_port connect_time request_time #wait #wait_us #close_needed ptr link #remote_pid tls application_name #prepared_statements +id";
const debug = `${sockets} #recv_pos #pkt_pos #pkt_remain #send_pos #send_remain #pkt_avail #send_avail`;
const times = "%server_assignment_count %xact_count %query_count %bytes_received %bytes_sent %xact_time %query_time %wait_time";
const columns = {
  clients: sockets, servers: sockets, sockets: debug, active_sockets: debug,
  pools: "database user #cl_active #cl_waiting #cl_active_cancel_req #cl_waiting_cancel_req #sv_active #sv_active_cancel #sv_being_canceled #sv_idle #sv_used #sv_tested #sv_login #maxwait #maxwait_us pool_mode load_balance_hosts",
  databases: "name host #port database force_user #pool_size #min_pool_size #reserve_pool_size #server_lifetime pool_mode load_balance_hosts #max_connections #current_connections #max_client_connections #current_client_connections #paused #disabled",
  users: "name pool_size reserve_pool_size pool_mode #max_user_connections #current_connections #max_user_client_connections #current_client_connections",
  stats: "database %total_server_assignment_count %total_xact_count %total_query_count %total_received %total_sent %total_xact_time %total_query_time %total_wait_time %total_client_parse_count %total_server_parse_count %total_bind_count %total_client_login_count " +
    "%avg_server_assignment_count %avg_xact_count %avg_query_count %avg_recv %avg_sent %avg_xact_time %avg_query_time %avg_wait_time %avg_client_parse_count %avg_server_parse_count %avg_bind_count %avg_client_login_count",
  stats_totals: `database ${times} %client_parse_count %server_parse_count %bind_count %client_login_count`,
  stats_averages: `database ${times} %avg_client_parse_count %avg_server_parse_count %avg_bind_count %avg_client_login_count`,
  totals: "name %value", lists: "list #items", state: "key value", config: "key value default changeable", version: "version",
  peers: "#peer_id host #port #pool_size", peer_pools: "#peer_id #cl_active_cancel_req #cl_waiting_cancel_req #sv_active_cancel #sv_login",
  dns_hosts: "hostname +ttl addrs", dns_zones: "zonename +serial #count",
};

test("columns have PgBouncer's names and types, and TOTALS its rows", async () => {
  const pool = await open(), admin = await toConsole(pool);
  for (const [subject, expected] of Object.entries(columns)) {
    const { body } = (await admin.query(`show ${subject}`)).find(({ type }) => type === "T");
    const found = [];
    for (let at = 2; at < body.length; ) {
      const end = body.indexOf(0, at);
      found.push(({ 25: "", 23: "#", 20: "+", 1700: "%" })[body.readUInt32BE(end + 7)] + body.toString("utf8", at, end));
      at = end + 19;
    }
    assert.equal(found.join(" "), expected, subject);
  }
  const figures = "server_assignment_count xact_count query_count client_bytes server_bytes xact_time query_time wait_time ps_client_parse_count ps_server_parse_count ps_bind_count client_login_count".split(" ");
  assert.deepEqual((await table(admin, "show totals")).map(({ name }) => name), ["total_", "avg_"].flatMap((prefix) => figures.map((name) => prefix + name)));
  await pool.stop();
});

test("who asks on and on and reads nothing costs no memory, and gets every answer in the end", { skip: sanitized }, async () => {
  const pool = await open(), admin = await toConsole(pool), pid = pool.pid(), count = 40000;
  const rss = () => Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/VmRSS:\s+(\d+)/)[1]);
  const before = rss();
  admin.socket.pause();
  const many = (sql, times = count) => Buffer.concat(Array(times).fill(query(sql)));
  admin.send(many("show help"), many("pause", 10), many("resume"));
  await sleep(700 * patience);
  assert.ok(rss() - before < 20000, `${rss() - before} KiB more`);
  let answers = 0, rest = Buffer.alloc(0);
  admin.socket.removeAllListeners("data");
  const all = new Promise((done) => admin.socket.on("data", (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    let at = 0;
    for (; rest.length >= at + 5 && rest.length > at + rest.readUInt32BE(at + 1); at += rest.readUInt32BE(at + 1) + 1) answers += rest[at] === 0x5a;
    rest = rest.subarray(at);
    if (answers === 2 * count + 10) done();
  }));
  admin.socket.resume();
  await Promise.race([all, sleep(20000 * patience).then(() => assert.fail(`${answers} answers`))]);

  // Nor does who waits for a command, and sends more of them.
  const [busy, a] = [await toConsole(pool), await Wire.login(pool.port)];
  await a.rows("begin");
  busy.send(query("pause"), many("show help", 2000000));
  await sleep(500 * patience);
  assert.ok(rss() - before < 20000, `${rss() - before} KiB more`);
  await pool.stop();
});

test("who logs in and waits for the pool's first connection is a client that waits", async () => {
  const way = await startRelay(postgres), held = [];
  const pool = await startPool(`auth = "any"\nadmin_users = ["postgres"]\n${database(way)}`);
  const admin = await toConsole(pool);
  way.opens = () => new Promise((done) => held.push(done));
  const wire = await Wire.open(pool.port);
  wire.send(startup({ user: "postgres", database: "postgres" }));
  await sleep(1200);
  const [row] = (await table(admin, "show pools")).filter(({ database }) => database === "postgres");
  assert.deepEqual([row.cl_active, row.cl_waiting, row.sv_login], ["0", "1", "1"]);
  assert.ok(Number(row.maxwait) >= 1, row.maxwait);
  assert.deepEqual((await table(admin, "show clients")).filter(({ database }) => database === "postgres").map(({ state, wait }) => [state, wait === row.maxwait]), [["waiting", true]]);
  held.forEach((go) => go());
  await wire.until("Z");
  const [then] = (await table(admin, "show pools")).filter(({ database }) => database === "postgres");
  assert.deepEqual([then.cl_active, then.cl_waiting, then.maxwait, then.maxwait_us], ["1", "0", "0", "0"]);
  await pool.stop();
});

test("what PgBouncer's scripts set and has no effect is told", async () => {
  const files = [...["client", "server"].flatMap((side) => ["key", "cert", "ca"].map((what) => `${side}_tls_${what}_file`)), "auth_file", "auth_hba_file", "auth_ident_file"];
  const pool = await open();
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  for (const [text, types] of [["set server_login_retry = 2", "NCZ"], ["set verbose = 2", "NCZ"], ["set query_timeout = 9", "CZ"]])
    assert.equal((await admin.query(text)).map(({ type }) => type).join(""), types, text);
  assert.deepEqual((await table(admin, "show config")).filter(({ changeable }) => changeable === "no").map(({ key, value }) => `${key} ${value}`), ["server_login_retry null", ...files.map((name) => `${name} null`), "verbose null"]);
  for (const name of files) assert.equal(refusal(await admin.query(`set ${name} = '/etc/ssl/x.pem'`)), `22023 "${name}" can not be set here, since the pool may read no file; name it in the configuration, and RELOAD`);
  await pool.stop();
});

test("SHOW FDS tells who has which descriptor, and no secret", async () => {
  const pool = await open("pool_size = 2");
  const [admin, a] = [await toConsole(pool), await Wire.login(pool.port, { TimeZone: "Asia/Tokyo" })];
  await a.rows("begin");
  const { body } = (await admin.query("show fds"))[0];
  assert.deepEqual(body.toString("latin1", 2).match(/[a-z_]+(?=\0)/g), ["fd", "task", "user", "database", "addr", "port", "cancel", "link", "client_encoding", "std_strings", "datestyle", "timezone", "password", "scram_client_key", "scram_server_key"]);
  const rows = await table(admin, "show fds");
  const of = (name) => rows.filter(({ task }) => task === name);
  assert.deepEqual(of("pooler").map(({ addr, user }) => [addr, user]), [["127.0.0.1", null], ["unix", null]]);
  assert.equal(of("pooler")[0].port, String(pool.port));
  const [client] = of("client"), [server] = of("server");
  assert.deepEqual([of("client").length, of("server").length], [1, 1]); // without the console's own
  assert.deepEqual([client.user, client.database, client.timezone, client.std_strings, client.link], ["postgres", "postgres", "Asia/Tokyo", "on", server.fd]);
  assert.deepEqual([server.link, server.port], [client.fd, String(postgres.port)]);
  for (const { fd } of rows) assert.match(readlinkSync(`/proc/${pool.pid()}/fd/${fd}`), /^socket:/);
  assert.ok(rows.every(({ cancel, password, scram_client_key }) => cancel === null && password === null && scram_client_key === null));
  await pool.stop();
});

test("one command at a time, and whose application asks", async () => {
  const pool = await open();
  const admin = await Wire.login(pool.port, { database: "pgbouncer", application_name: "shell" });
  for (const several of ["show version; show state", ";show version;;show state", "set query_timeout = 'a;b'; show state"])
    assert.equal(refusal(await admin.query(several)), "42601 the console takes one command at a time");
  for (const one of ["show version;", " ; show version ; ; ", "show version\n"]) assert.equal((await admin.rows(one)).length, 1);
  await admin.rows("set auth_query = 'select 1; select 2'");
  const config = async (key) => named(await table(admin, "show config"), key, "key").value;
  const long = `select '${"x".repeat(3000)}', $1`;
  for (const value of ["select u, p from f($1, 'x')", long, ""]) {
    await admin.rows(`set auth_query = '${value.replaceAll("'", "''")}'`);
    assert.equal(await config("auth_query"), value);
  }
  await admin.rows(" Set server_reset_query\nto 'a;'; ");
  for (const wrong of ["= select 1", "= 'a' 'b'", "= 'a", "=", "to", "tob", "'a'", "= a'b'"])
    assert.match(refusal(await admin.query(`set server_reset_query ${wrong}`)), /^42601 SET takes/, wrong);
  assert.equal(await config("server_reset_query"), "a;");
  assert.deepEqual((await admin.query(" ; ")).map(({ type }) => type), ["I", "Z"]);
  assert.equal(named(await table(admin, "show clients"), "pgbouncer", "database").application_name, "shell");
  const owner = await Wire.login(`${pool.dir}/.s.PGSQL.${pool.port}`, { database: "pgbouncer", user: "pgbouncer", application_name: "cron" });
  assert.equal(named(await table(owner, "show clients"), "pgbouncer", "user").application_name, "cron");
  await pool.stop();
});

test("what the console refuses comes with what helps", async () => {
  const pool = await startPool(`auth = "trust"\nadmin_users = ["postgres"]\nstats_users = ["ana"]\n[[users]]\nname = "ana"\n[[users]]\nname = "postgres"\n${database(postgres, "", "postgres")}`);
  const [admin, ana] = [await toConsole(pool), await toConsole(pool, "ana")];
  for (const [who, said, told, hint] of [
    [admin, "nonsense", "42601 invalid command", /^SHOW HELP/],
    [admin, "show nonsense", "42601 there is no such SHOW", /^SHOW HELP/],
    [admin, "reload now", "42601 there are too many arguments", /^SHOW HELP/],
    [admin, "pause nowhere", "08P01 no such database: nowhere", /^SHOW DATABASES/],
    [admin, "kill_client x", "08P01 invalid client pointer supplied", /SHOW CLIENTS/],
    [admin, "kill_client 999999", "08P01 client not found", /SHOW CLIENTS/],
    [admin, "suspend", "0A000 SUSPEND is not needed", /SIGUSR2/],
    [admin, "shutdown never", "42601 invalid mode of SHUTDOWN", /WAIT_FOR_CLIENTS/],
    [admin, "set nonsense", "42601 SET takes name = value, or name = 'value'", /^SHOW CONFIG/],
    [admin, "set pool_mode = x", '22023 invalid value for "pool_mode": "x"', /^SHOW CONFIG/],
    [admin, "show state; show state", "42601 the console takes one command at a time", /of its own/],
    [ana, "pause", "42501 admin access needed", /^admin_users/],
    [ana, "set query_timeout = 1", "42501 admin access needed", /^admin_users/],
  ]) {
    const replies = await who.query(said);
    assert.equal(refusal(replies), told);
    assert.match(errorOf(replies).H ?? "", hint, said);
  }
  await pool.stop();
});

test("PAUSE of a database lets its connections go, holds for who comes later, and outlasts RELOAD", async () => {
  const pool = await startPool(`auth = "any"\nadmin_users = ["postgres"]\n${database(postgres, 'database = "postgres"', "one")}${database(postgres, 'database = "postgres"', "two")}`);
  const admin = await toConsole(pool);
  const [one, two] = [await Wire.login(pool.port, { database: "one" }), await Wire.login(pool.port, { database: "two" })];
  await one.rows("begin");
  await two.rows("select 1");
  assert.match(errorOf(await admin.query('pause "no-one"')).M, /no such database: no-one/);
  assert.equal(refusal(await admin.query('pause "no; ""one"')), '08P01 no such database: no; "one');
  admin.send(query('pause "one"'));
  assert.ok(await waits(admin), "PAUSE waits for the transaction");
  await one.rows("commit");
  await admin.until("Z");
  assert.equal(backends(), 1, "only the other database's connection is left");
  one.send(query("select 'one'"));
  assert.ok(await waits(one));
  assert.deepEqual(await two.rows("select 'two'"), [["two"]]);
  // Of a user who was not there, and after a RELOAD.
  const late = await Wire.open(pool.port);
  late.send(startup({ user: "ana", database: "one" }));
  assert.ok(await waits(late));
  await admin.rows("reload");
  assert.equal(named(await table(admin, "show databases"), "one").paused, "1");
  assert.equal(named(await table(admin, "show databases"), "two").paused, "0");
  assert.ok(await waits(one));
  await admin.rows("resume one");
  assert.equal(errorOf(await one.until("Z")), undefined);
  assert.equal(errorOf(await late.until("Z")), undefined);
  for (const wrong of ["pause three", "kill three"]) assert.equal(refusal(await admin.query(wrong)), "08P01 no such database: three");
  await pool.stop();
});

test("PAUSE without a database is for all, those that nobody has used yet included", async () => {
  const pool = await open();
  const admin = await toConsole(pool);
  await admin.rows("pause");
  assert.equal(named(await table(admin, "show state"), "paused", "key").value, "yes");
  const late = await Wire.open(pool.port);
  late.send(startup({ user: "ana", database: "postgres" }));
  assert.ok(await waits(late));
  await admin.rows("resume");
  assert.equal(errorOf(await late.until("Z")), undefined);
  await pool.stop();
});

test("DISABLE refuses who comes, ENABLE lets in again", async () => {
  const pool = await open();
  const admin = await toConsole(pool);
  const a = await Wire.login(pool.port);
  await admin.rows("disable postgres");
  assert.equal(named(await table(admin, "show databases"), "*").disabled, "0");
  const refused = await Wire.open(pool.port);
  refused.send(startup({ user: "postgres", database: "postgres" }));
  const error = errorOf(await refused.until("E"));
  assert.equal(error.C, "57P03");
  assert.match(error.M, /database "postgres" is disabled/);
  assert.match(error.H, /ENABLE/);
  assert.deepEqual(await a.rows("select 1"), [["1"]]);
  await admin.rows("reload");
  const still = await Wire.open(pool.port);
  still.send(startup({ user: "postgres", database: "postgres" }));
  assert.equal(errorOf(await still.until("E")).C, "57P03");
  await admin.rows("enable postgres");
  assert.deepEqual(await (await Wire.login(pool.port)).rows("select 2"), [["2"]]);
  assert.equal(errorOf(await admin.query("disable")).C, "42601");
  await pool.stop();
});

test("KILL_CLIENT that comes along with PAUSE may end whoever connected next", async () => {
  const pool = await open();
  const [admin, b, c] = [await toConsole(pool), await Wire.login(pool.port, { application_name: "b" }), await Wire.login(pool.port)];
  const { id } = named(await table(admin, "show clients"), "b", "application_name");
  const pid = pool.pid();
  await c.rows("begin");
  admin.send(query("pause"), query(`kill_client ${id}`));
  assert.ok(await waits(admin), "PAUSE waits for the transaction");
  await c.rows("commit");
  assert.deepEqual((await admin.until("Z", 2)).map(show), ["C PAUSE|", "Z I", "C KILL_CLIENT|", "Z I"]);
  assert.equal(errorOf(await b.until("E")).C, "57P01");
  await admin.rows("resume");
  assert.deepEqual(await c.rows("select 1"), [["1"]]);
  assert.equal(pool.pid(), pid);
  await pool.stop();
});

test("KILL_CLIENT ends one session and rolls its transaction back", async () => {
  const pool = await open();
  const admin = await toConsole(pool);
  postgres.sql("create table killed (v int)");
  const [a, b] = [await Wire.login(pool.port, { application_name: "a" }), await Wire.login(pool.port, { application_name: "b" })];
  await a.rows("begin; insert into killed values (1)");
  const { id } = named(await table(admin, "show clients"), "a", "application_name");
  await admin.rows(`kill_client ${id}`);
  const told = errorOf(await a.until("E"));
  assert.equal(told.C, "57P01");
  assert.equal(told.H, "Connect anew.");
  await eventually(() => assert.ok(a.ended));
  assert.deepEqual(await b.rows("select count(*) from killed"), [["0"]]);
  for (const wrong of [id, "999999"]) assert.equal(refusal(await admin.query(`kill_client ${wrong}`)), "08P01 client not found");
  assert.match(refusal(await admin.query("kill_client x")), /^08P01 invalid client pointer supplied/);
  assert.equal(errorOf(await admin.query("kill_client")).C, "42601");
  await pool.stop();
});

test("WAIT_CLOSE waits for connections that RECONNECT has given notice", async () => {
  const pool = await open("pool_size = 2");
  const [admin, other, a] = [await toConsole(pool), await toConsole(pool), await Wire.login(pool.port)];
  await a.rows("begin");
  await admin.rows("reconnect");
  assert.equal((await table(other, "show servers"))[0].close_needed, "1");
  admin.send(query("wait_close postgres"));
  assert.ok(await waits(admin));
  assert.equal(errorOf(await other.query("wait_close nothing; ")), undefined, "another database has none");
  await a.rows("commit");
  assert.equal(errorOf(await admin.until("Z")), undefined);
  await pool.stop();
});

test("counts go on over a RELOAD, with averages beside them", async () => {
  const pool = await open();
  const [admin, a] = [await toConsole(pool), await Wire.login(pool.port)];
  await a.rows("begin");
  await a.rows("select 1");
  await a.rows("commit");
  await a.rows("select 2");
  a.close();
  await admin.rows("reload");
  const b = await Wire.login(pool.port);
  await b.rows("select 3");
  await eventually(async () => {
    const stats = named(await table(admin, "show stats"), "postgres", "database");
    assert.deepEqual(
      ["total_xact_count", "total_query_count", "total_server_assignment_count", "total_client_login_count"].map((key) => stats[key]),
      ["3", "5", "3", "2"],
    );
    assert.ok(Number(stats.avg_xact_time) > 0);
  });
  assert.equal(named(await table(admin, "show stats_totals"), "postgres", "database").xact_count, "3");
  assert.ok("xact_time" in named(await table(admin, "show stats_averages"), "postgres", "database"));
  assert.ok(Number(named(await table(admin, "show totals"), "total_client_login_count").value) >= 3);
  await pool.stop();
});

test("transactions of a session that keeps its connection count, too", async () => {
  const pool = await open('pool_mode = "session"');
  const [admin, a] = [await toConsole(pool), await Wire.login(pool.port)];
  const counts = async () => {
    const stats = named(await table(admin, "show stats"), "postgres", "database");
    return [stats.total_xact_count, stats.total_query_count, stats.total_server_assignment_count];
  };
  const queries = ["select 1", "begin", "select 2", "commit", "select 3"];
  for (const sql of queries) await a.rows(sql);
  assert.deepEqual(await counts(), ["3", "5", "1"]);
  a.send(...queries.map(query)); // as do those of a pipeline
  await a.until("Z", 5);
  assert.deepEqual(await counts(), ["6", "10", "1"]);
  await pool.stop();
});

test("limits hold on the console, except for who commands there", async () => {
  const pool = await startPool(`auth = "trust"\nadmin_users = ["postgres"]\nstats_users = ["ana"]\nuser_clients_max = 1\n[[users]]\nname = "ana"\n[[users]]\nname = "postgres"\n${database(postgres)}`);
  const [admin, second, ana] = [await toConsole(pool), await toConsole(pool), await toConsole(pool, "ana")];
  const refused = await Wire.open(pool.port);
  refused.send(startup({ user: "ana", database: "pgbouncer" }));
  const error = errorOf(await refused.until("E"));
  assert.equal(error.C, "53300");
  assert.match(error.M, /max_user_client_connections/);
  const users = await table(admin, "show users");
  assert.equal(named(users, "ana").current_client_connections, "1");
  assert.equal(named(users, "postgres").current_client_connections, "2");
  assert.equal(named(await table(second, "show databases"), "pgbouncer").current_client_connections, "3");
  assert.equal(errorOf(await ana.query("pause")).C, "42501");
  await pool.stop();
});

test("who is in stats_users alone may SHOW everything and do nothing", async () => {
  const pool = await startPool(`auth = "trust"\nadmin_users = ["postgres"]\nstats_users = ["ana"]\n[[users]]\nname = "ana"\n[[users]]\nname = "postgres"\n${database(postgres, "", "postgres")}`);
  const [admin, ana, client] = [await toConsole(pool), await toConsole(pool, "ana"), await Wire.login(pool.port)];
  await client.rows("begin");
  const state = async () => {
    const { paused, disabled } = named(await table(admin, "show databases"), "postgres");
    const clients = (await table(admin, "show clients")).map(({ user, database, id }) => [user, database, id]);
    return { paused, disabled, clients, config: await table(admin, "show config") };
  };
  const before = await state();
  const [, , id] = before.clients.find(([, database]) => database === "postgres");
  const commands = {
    SET: ["default_pool_size = 7", "no_such = 1", "nonsense"], PAUSE: ["", "postgres", "nowhere"], RESUME: ["", "postgres"], DISABLE: ["postgres", ""], ENABLE: ["postgres"], RECONNECT: ["", "postgres"],
    KILL: ["", "postgres"], KILL_CLIENT: [id, "x"], WAIT_CLOSE: ["", "postgres"], RELOAD: [""], SHUTDOWN: ["", "WAIT_FOR_SERVERS", "WAIT_FOR_CLIENTS"], SUSPEND: [""],
  };
  const help = (await table(ana, "show help")).map(({ command }) => command.split(" ")[0]).filter((verb) => verb !== "SHOW");
  assert.deepEqual([...help, "SUSPEND"].sort(), Object.keys(commands).sort());
  for (const [verb, all] of Object.entries(commands))
    for (const words of all)
      for (const spelled of [`${verb} ${words}`, `${verb.toLowerCase()} ${words};`]) assert.equal(refusal(await ana.query(spelled)), "42501 admin access needed", spelled);
  assert.deepEqual(await state(), before);
  assert.deepEqual(await client.rows("select 'still there'"), [["still there"]]);
  await client.rows("commit");
  for (const { command } of await table(ana, "show help")) if (command.startsWith("SHOW")) await table(ana, command);
  // Who is in neither does not get that far.
  const stranger = await Wire.open(pool.port);
  pool.write(`auth = "trust"\nadmin_users = ["postgres"]\n[[users]]\nname = "ana"\n[[users]]\nname = "postgres"\n${database(postgres, "", "postgres")}`);
  await admin.query("reload");
  stranger.send(startup({ user: "ana", database: "pgbouncer" }));
  const error = errorOf(await stranger.until("E"));
  assert.deepEqual([error.C, /admin_users and stats_users/.test(error.H)], ["28000", true]);
  await pool.stop();
});

test("a user's own client_idle_timeout comes first", async () => {
  const pool = await startPool(`auth = "trust"\nclient_idle_timeout = "1h"\n[[users]]\nname = "postgres"\n[[users]]\nname = "ana"\nclient_idle_timeout = "1s"\n${database(postgres)}`);
  const [a, ana] = [await Wire.login(pool.port), await Wire.login(pool.port, { user: "ana" })];
  assert.match(errorOf(await ana.until("E")).M, /client_idle_timeout/);
  await eventually(() => assert.ok(ana.ended));
  assert.deepEqual(await a.rows("select 1"), [["1"]]);
  await pool.stop();
});

test("client_idle_timeout ends who keeps a connection and asks nothing, but nobody amid a transaction", async () => {
  for (const mode of ["transaction", "session"]) {
    const pool = await open(`pool_size = 2\npool_mode = "${mode}"\nclient_idle_timeout = "1s"`);
    const [pinned, works, other] = [await Wire.login(pool.port), await Wire.login(pool.port), await Wire.login(pool.port)];
    await pinned.rows("create temp table kept (a int)");
    await works.rows("begin");
    const told = other.rows("select 1"); // it waits for a connection
    assert.match(errorOf(await pinned.until("E")).M, /client_idle_timeout/);
    assert.deepEqual(await told, [["1"]]);
    await works.rows("select pg_sleep(1.5)");
    await sleep(1500);
    assert.deepEqual(await works.rows("commit"), []);
    await pool.stop();
  }
});

test("client_idle_timeout is kept to a fraction of a second", async () => {
  const pool = await open('client_idle_timeout = "1s"');
  // Some come just before the pool looks, some just after: how late it is on the average does not depend on luck.
  const late = [];
  for (let i = 0; i < 20; i++) {
    const begun = performance.now();
    const a = await Wire.login(pool.port);
    late.push(a.until("E").then(() => performance.now() - begun - 1000));
    await sleep(100);
  }
  const mean = (await Promise.all(late)).reduce((sum, ms) => sum + ms, 0) / late.length;
  assert.ok(mean < 350 * patience, `${Math.round(mean)} ms late`);
  await pool.stop();
});

test("what is kept for a user and a database is forgotten when nobody uses it", async () => {
  const pool = await open('pool_idle_timeout = "1s"\nserver_idle_timeout = "500ms"');
  const [admin, a] = [await toConsole(pool), await Wire.login(pool.port, { user: "ana" })];
  await a.rows("select 1");
  assert.equal((await table(admin, "show pools")).length, 1);
  a.close();
  await eventually(async () => assert.equal((await table(admin, "show pools")).length, 0));
  assert.equal(named(await table(admin, "show stats"), "postgres", "database").total_query_count, "1");
  assert.deepEqual(await (await Wire.login(pool.port, { user: "ana" })).rows("select 2"), [["2"]]);
  await pool.stop();
});

test("who is ended amid a row does not get an error as a part of it", async () => {
  const pool = await open();
  const [admin, a] = [await toConsole(pool), await Wire.login(pool.port)];
  const { id } = named(await table(admin, "show clients"), "postgres", "database");
  a.send(query("select repeat('x', 30000000)"));
  await new Promise((done) => a.socket.once("data", () => done(a.socket.pause())));
  await admin.rows(`kill_client ${id}`);
  const row = [];
  a.socket.on("data", (chunk) => row.push(chunk)).resume();
  await a.wait(() => a.ended);
  assert.ok(!Buffer.concat(row).includes("57P01"));
  await pool.stop();
});

// ---- SHUTDOWN ----

const ended = (pool) => pool.weir.exited.then(({ code }) => assert.equal(code, 0));

test("SHUTDOWN, or a second signal, ends it at once: all are told, except amid a row", async () => {
  for (const signal of [undefined, "SIGTERM", "SIGINT"]) {
    const pool = await open();
    const [admin, idle, busy, amid] = [await toConsole(pool), await Wire.login(pool.port), await Wire.login(pool.port), await Wire.login(pool.port)];
    await busy.rows("begin");
    amid.send(query("select repeat('x', 30000000)"));
    await new Promise((done) => amid.socket.once("data", () => done(amid.socket.pause())));
    if (signal === undefined) {
      admin.send(query("shutdown"));
    } else {
      pool.weir.process.kill(signal);
      await eventually(() => assert.rejects(Wire.open(pool.port)));
      pool.weir.process.kill(signal);
    }
    await ended(pool);
    for (const each of [admin, idle, busy]) {
      const { S, C, H } = errorOf(await each.wait(() => each.ended));
      assert.deepEqual([S, C, H], ["FATAL", "57P01", "Connect anew."]);
    }
    const row = [];
    amid.socket.on("data", (chunk) => row.push(chunk)).resume();
    await amid.wait(() => amid.ended);
    assert.ok(!Buffer.concat(row).includes("57P01"));
  }
});

test("SHUTDOWN WAIT_FOR_SERVERS ends when transactions have, and lets none begin", async () => {
  const pool = await open("pool_size = 1");
  const [admin, a, b, waiting] = [await toConsole(pool), await Wire.login(pool.port), await Wire.login(pool.port), await Wire.login(pool.port)];
  await a.rows("begin");
  waiting.send(query("select 'never'"));
  await sleep(100);
  await admin.rows("shutdown wait_for_servers");
  const told = errorOf(await waiting.until("E"));
  assert.equal(told.C, "57P01");
  assert.match(told.H, /started again/);
  assert.deepEqual(await a.rows("select 1"), [["1"]]);
  b.send(query("select 2"));
  assert.equal(errorOf(await b.until("E")).C, "57P01");
  await assert.rejects(Wire.open(pool.port));
  for (const late of ["resume", "reload"]) assert.equal(refusal(await admin.query(late)), "08P01 pooler is shutting down");
  await a.rows("commit");
  await ended(pool);
});

test("SHUTDOWN WAIT_FOR_CLIENTS ends when all have left", async () => {
  const pool = await open();
  const [admin, a] = [await toConsole(pool), await Wire.login(pool.port)];
  await admin.rows("shutdown wait_for_clients");
  await sleep(500);
  assert.deepEqual(await a.rows("select 1"), [["1"]]);
  await assert.rejects(Wire.open(pool.port));
  a.close();
  await ended(pool);
});

test("while it shuts down the console is reached by the unix socket, and nothing else is", async () => {
  const pool = await open();
  const socket = `${pool.dir}/.s.PGSQL.${pool.port}`;
  const [admin, a] = [await toConsole(pool), await Wire.login(pool.port)];
  await admin.rows("shutdown wait_for_clients");
  await assert.rejects(Wire.open(pool.port));
  const refused = await Wire.open(socket);
  refused.send(startup({ user: "postgres", database: "postgres" }));
  const told = errorOf(await refused.until("E"));
  assert.equal(told.C, "57P01");
  assert.match(told.H, /started again/);
  const late = await Wire.login(socket, { database: "pgbouncer", user: "pgbouncer" });
  assert.equal((await late.rows("show version")).length, 1);
  assert.equal((await table(late, "show clients")).filter(({ database: of }) => of === "postgres").length, 1);
  // Who does not say who it is holds up nothing.
  await Wire.open(socket);
  a.close();
  await ended(pool);
  assert.ok(!existsSync(socket));
});

test("a second SHUTDOWN is of more weight than the first", async () => {
  const pool = await open();
  const [admin, a, b] = [await toConsole(pool), await Wire.login(pool.port), await Wire.login(pool.port)];
  await a.rows("begin");
  await admin.rows("shutdown wait_for_clients");
  assert.deepEqual(await b.rows("select 1"), [["1"]]);
  await admin.rows("shutdown wait_for_servers");
  await sleep(100);
  assert.equal(errorOf(await b.query("select 2")).C, "57P01");
  assert.deepEqual(await a.rows("select 3"), [["3"]]);
  admin.send(query("shutdown"));
  await ended(pool);
});

test("SHUTDOWN WAIT_FOR_SERVERS waits for sessions that keep a connection; SIGTERM for their transactions alone", async () => {
  const pool = await open('pool_mode = "session"');
  const [admin, a] = [await toConsole(pool), await Wire.login(pool.port)];
  await a.rows("select 1");
  await admin.rows("shutdown wait_for_servers");
  await sleep(500);
  assert.deepEqual(await a.rows("select 2"), [["2"]]);
  a.close();
  await ended(pool);
  const other = await open('pool_mode = "session"');
  const [b, idle] = [await Wire.login(other.port), await Wire.login(other.port)];
  await b.rows("select 1");
  assert.equal((await other.stop("SIGTERM")).code, 0);
  for (const each of [b, idle]) {
    const { C, H } = errorOf(await each.wait(() => each.ended));
    assert.deepEqual([C, H], ["57P01", "Connect anew."]);
  }
});

test("a pool that is told to stop refuses new transactions, so that it can", async () => {
  const pool = await open();
  const a = await Wire.login(pool.port);
  const b = await Wire.login(pool.port);
  await a.rows("begin");
  process.kill(pool.pid(), "SIGTERM"); // as service managers do that tell all processes of a service
  const stopped = pool.stop("SIGTERM");
  await sleep(300);
  b.send(query("select 1"));
  assert.equal(errorOf(await b.until("E")).C, "57P01");
  await a.rows("commit");
  assert.equal((await stopped).code, 0);
});
