// SPDX-License-Identifier: Apache-2.0
// Faults of networks, names, disks and limits: what clients saw, and what is left afterwards.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import tls from "node:tls";

import { Wire, assertNoneLeaked, copyData, copyDone, database, errorOf, eventually, makeCertificate, patience, query, sleep, sslRequest, startPool, startPostgres } from "./lib.mjs";

// Some containers have a root that may do neither.
const may = (...args) => spawnSync(args[0], args.slice(1), { stdio: "ignore" }).status === 0;
const able = process.getuid() === 0 && may("unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt") && may("unshare", "-n", "ip", "link", "set", "lo", "up");
const needsRoot = { skip: able ? false : "mounts and network namespaces are root's", timeout: 90000 * patience };

let postgres;
before(async () => {
  postgres = await startPostgres();
  postgres.sql("create table t (a int)");
});

const open = (extra = "", to = postgres) => startPool(`auth = "any"\nadmin_users = ["postgres"]\n${extra}\n${database(to)}`);
const backends = (of = postgres) => Number(of.sql("select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"));
const command = (program, ...args) => execFileSync(program, args, { stdio: ["ignore", "pipe", "pipe"], timeout: 20000 });

// A child of the postmaster each, and the postmaster.
const processes = () => command("pgrep", "-g", command("ps", "-o", "pgid=", "-p", readFileSync(join(postgres.dir, "data/postmaster.pid"), "utf8").split("\n")[0]).toString().trim()).toString().split("\n").filter(Boolean).map(Number);

test("a server that accepts and never answers: queries and logins end at their limits, and all is well when it wakes", { timeout: 60000 * patience }, async () => {
  const pool = await open('pool_size = 2\nquery_timeout = "700ms"\nquery_wait_timeout = "1500ms"\nserver_connect_timeout = "1s"\ncancel_wait_timeout = "1s"');
  const wires = await Promise.all([1, 2, 3].map(() => Wire.login(pool.port)));
  await wires[0].rows("select 1");
  const stopped = [...processes(), ...postgres.sql("select pid from pg_stat_activity where pid <> pg_backend_pid()").split("\n").map(Number)];
  for (const pid of stopped) process.kill(pid, "SIGSTOP");
  try {
    const begun = Date.now();
    const errors = await Promise.all(wires.map(async (wire) => errorOf(await wire.query("select 2"))));
    for (const error of errors) assert.ok(["57014", "57P03", "08006", "08001"].includes(error?.C), JSON.stringify(error));
    assert.ok(Date.now() - begun < 8000 * patience);
  } finally {
    for (const pid of stopped) process.kill(pid, "SIGCONT");
  }
  const fresh = await eventually(async () => {
    const wire = await Wire.login(pool.port);
    assert.deepEqual(await wire.rows("select 3"), [["3"]]);
    return wire;
  });
  fresh.close();
  await eventually(() => assert.ok(backends() <= 2, `${backends()} backends`));
  await pool.stop();
});

test("who does not read for longer than tcp_user_timeout is still there: a server amid a COPY that waits for a lock, a client", { timeout: 60000 * patience }, async () => {
  postgres.sql("create table keyed (a int primary key, b text)");
  const pool = await open('pool_size = 1\ntcp_user_timeout = "1s"');
  const holder = await Wire.login(postgres.port), wire = await Wire.login(pool.port);
  await holder.rows("begin");
  await holder.rows("insert into keyed values (1)");
  wire.send(query("copy keyed from stdin"));
  await wire.until("G");
  let number = 1;
  for (let i = 0; i < 200; i++) wire.send(copyData(Array.from({ length: 100 }, () => `${number++}\t${"x".repeat(1000)}\n`).join("")));
  wire.send(copyDone());
  await sleep(5000);
  await holder.rows("rollback");
  assert.equal(errorOf(await wire.until("Z", 1, 30000 * patience)), undefined);
  assert.deepEqual(await wire.rows("select count(*) from keyed"), [["20000"]]);
  wire.socket.pause();
  wire.send(query("select b from keyed"));
  await sleep(5000);
  wire.socket.resume();
  const rows = (await wire.until("Z", 1, 30000 * patience)).filter(({ type }) => type === "D");
  assert.equal(rows.length, 20000);
  postgres.sql("drop table keyed");
  await pool.stop();
});

// A Postgres behind a network of its own, which link() cuts and mends; one for the whole file.
let elsewhere, leave = () => {};
after(() => leave());
async function apart() {
  if (elsewhere) return elsewhere;
  const name = `weir${process.pid}`;
  const [ours, theirs] = [`wa${process.pid}`.slice(0, 15), `wb${process.pid}`.slice(0, 15)];
  const ip = (...args) => command("ip", ...args);
  leave = () => command("sh", "-c", `ip netns del ${name} 2>/dev/null; ip link del ${ours} 2>/dev/null; true`);
  ip("netns", "add", name);
  ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name);
  ip("addr", "add", "10.213.77.1/30", "dev", ours);
  ip("link", "set", ours, "up");
  ip("-n", name, "addr", "add", "10.213.77.2/30", "dev", theirs);
  const link = (state) => ip("-n", name, "link", "set", theirs, state);
  link("up");
  // It asks whether somebody is there, since the end of a connection may be lost, too.
  const far = await startPostgres("tcp_keepalives_idle=1\ntcp_keepalives_interval=1", { address: "10.213.77.2", within: ["ip", "netns", "exec", name] });
  far.sql("create table t (a int)");
  const toml = (settings) => `auth = "any"\npool_size = 2\n${settings}\n[[databases]]\nname = "*"\nhost = "10.213.77.2"\nport = ${far.port}\n[databases.tls]\nmode = "disable"\n`;
  return (elsewhere = { far, link, open: (settings) => startPool(toml(settings)) });
}

test("a network that swallows everything: 08006 for what was under way, new connections after it", needsRoot, async () => {
  const { far, link, open } = await apart();
  const pool = await open('query_timeout = "10s"\nquery_wait_timeout = "3s"\nserver_connect_timeout = "1s"');
  const [one, two, three] = await Promise.all([1, 2, 3].map(() => Wire.login(pool.port)));
  // Without a limit of its own a query ends by what TCP says.
  const other = await open('tcp_user_timeout = "3s"');
  const [four, five] = await Promise.all([1, 2].map(() => Wire.login(other.port)));
  await four.rows("select 1");
  await five.rows("listen a");
  await one.rows("begin");
  await one.rows("insert into t values (1)");
  two.send(query("select pg_sleep(1)"));
  await sleep(200);
  link("down");
  // In a transaction, in a query, and with nothing begun: each hears of it, and none of it looks done.
  const begun = Date.now();
  one.send(query("commit"));
  four.send(query("select 2"));
  const lost = errorOf(await four.until("Z", 1, 60000 * patience));
  assert.equal(lost?.C, "08006", JSON.stringify(lost));
  assert.match(lost.M, /acknowledges nothing/);
  assert.ok(Date.now() - begun < 8000 * patience, `${Date.now() - begun} ms`);
  const [commit, slow] = [errorOf(await one.until("Z", 1, 60000 * patience)), errorOf(await two.until("Z", 1, 60000 * patience))];
  for (const error of [commit, slow]) {
    assert.ok(["08006", "57014"].includes(error?.C), JSON.stringify(error));
    assert.match(error.D, /outcome .*is unknown/);
  }
  assert.ok(Date.now() - begun < 45000 * patience, `${Date.now() - begun} ms`);
  const none = errorOf(await three.query("select 1"));
  assert.match(none.C, /^08|57P03/);
  link("up");
  await eventually(() => three.rows("select 1"), 20000 * patience);
  await far.sql("select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction'");
  // Nobody was told that it was committed, nor that it was not: TCP may still have brought the COMMIT there.
  assert.match((await three.rows("select count(*) from t"))[0][0], /^[01]$/);
  await eventually(() => four.rows("select 3"), 20000 * patience);
  four.close();
  five.close();
  await other.stop();
  await assertNoneLeaked(far, pool, 2);
  await pool.stop();
});

test("a network that loses a part of everything: each statement is done once, or its client hears that it was not, or may have been", needsRoot, async () => {
  const { far, link, open } = await apart();
  far.sql("create table numbers (a int)");
  const pool = await open('server_connect_timeout = "2s"\ntcp_user_timeout = "1s"');
  const wires = await Promise.all(Array.from({ length: 4 }, () => Wire.login(pool.port)));
  const done = [], unknown = [];
  let number = 0, going = true;
  const busy = wires.map(async (wire) => {
    while (going) {
      const mine = number++;
      const error = errorOf(await wire.query(`insert into numbers values (${mine})`));
      if (error === undefined) done.push(mine);
      else if (/outcome .*is unknown/.test(error.D)) unknown.push(mine);
      else assert.match(error.C, /^(08001|08006|57P03)$/, JSON.stringify(error));
    }
  });
  try {
    for (let cut = 1; cut <= 20; cut++) {
      const [before, lost] = [done.length, unknown.length];
      link("down");
      // TCP sends most of it again; twice it has no time to.
      if (cut % 10 === 0) await eventually(() => assert.ok(unknown.length > lost), 20000 * patience);
      else await sleep(cut);
      link("up");
      await eventually(() => assert.ok(done.length > before + 10), 20000 * patience);
    }
  } finally {
    going = false;
  }
  await Promise.all(busy);
  const there = far.sql("select a from numbers order by a").split("\n").map(Number);
  assert.deepEqual(there.filter((a) => !unknown.includes(a)), done.sort((a, b) => a - b));
  assert.equal(new Set(there).size, there.length, "none was done twice");
  await assertNoneLeaked(far, pool, 2);
  await pool.stop();
});

// Between the pool and Postgres: what goes to the server is counted, and connections can be made to swallow everything, or to
// be somebody else's: what near() does with them.
async function middle() {
  const way = { connections: [], seen: "", near: undefined };
  const server = net.createServer((near) => {
    if (way.near) return way.near(near.unref());
    const far = net.connect(postgres.port, "127.0.0.1"), connection = { swallows: false, seen: "" };
    way.connections.push(connection);
    near.on("data", (data) => {
      connection.seen += data.toString("latin1");
      way.seen += data.toString("latin1");
      if (!connection.swallows) far.write(data);
    });
    far.on("data", (data) => near.write(data));
    for (const [one, other] of [[near, far], [far, near]]) one.unref().on("error", () => {}).on("close", () => other.destroy());
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  server.unref();
  const count = (text) => way.seen.split(text).length - 1;
  return Object.assign(way, { port: server.address().port, count, close: () => server.close() });
}

test("server_check_query: who was idle for server_check_delay is asked first, and replaced when it does not answer", { timeout: 60000 * patience }, async () => {
  const way = await middle();
  const start = (extra) => open(`pool_size = 2\ncancel_wait_timeout = "3s"\n${extra}`, way);
  const ask = async (wire, i) => assert.deepEqual(await wire.rows(`select ${i}`), [[String(i)]]);
  let pool = await start('server_check_query = "select \'check\'"\nserver_check_delay = "0s"');
  const wires = await Promise.all([1, 2, 3].map(() => Wire.login(pool.port)));
  for (let i = 0; i < 4; i++) await ask(wires[i % 3], i);
  // The first was lent as it logged in, the others after a question each, on the same connection.
  assert.equal(way.count("select 'check'"), 3);
  assert.equal(way.connections.length, 1);
  await Promise.all(wires.map(ask));
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  assert.match(JSON.stringify(await admin.rows("show pools")), /"transaction"/);
  // One that is as good as gone: whoever comes waits for another one, a second and not for ever.
  await sleep(1100); // what has just logged in is believed
  for (const connection of way.connections) connection.swallows = true;
  await ask(wires[0], 5);
  // A question that fails costs its connection, and nobody a query.
  await admin.rows("set server_check_query = 'select 1/0'");
  for (let i = 0; i < 3; i++) await ask(wires[i], i);
  await pool.weir.waitFor("server_check_query has failed, and it is closed: division by zero");
  await pool.stop();

  // With the delay not over, or without a query, nobody is asked.
  way.seen = "";
  way.connections.length = 0;
  for (const extra of ['server_check_query = "select \'check\'"', 'server_check_delay = "0s"']) {
    pool = await start(extra);
    const wire = await Wire.login(pool.port);
    for (let i = 0; i < 3; i++) await ask(wire, i);
    assert.equal(way.count("select 'check'"), 0);
    await pool.stop();
  }
  // PgBouncer's word for an empty query.
  pool = await start('server_check_query = "<empty>"\nserver_check_delay = "0s"');
  const wire = await Wire.login(pool.port);
  for (let i = 0; i < 3; i++) await ask(wire, i);
  assert.equal(way.count("Q\0\0\0\x05\0"), 2);
  way.close();
  await pool.stop();
});

test("a cancel request that may still come hits nobody: its connection is closed", { timeout: 60000 * patience }, async () => {
  const pool = await open('pool_size = 1\ncancel_wait_timeout = "1s"');
  const [one, other] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  const [[first]] = await one.rows("select pg_backend_pid()");
  const postmaster = Number(readFileSync(join(postgres.dir, "data/postmaster.pid"), "utf8").split("\n")[0]);
  one.send(query("select pg_sleep(1.5)"));
  await sleep(100);
  process.kill(postmaster, "SIGSTOP"); // it accepts, and passes nothing on
  try {
    await Wire.cancel(pool.port, one.key);
    assert.equal(errorOf(await one.until("Z")), undefined);
    other.send(query("select pg_backend_pid(), pg_sleep(1)"));
    await sleep(1500);
  } finally {
    process.kill(postmaster, "SIGCONT");
  }
  const replies = await other.until("Z");
  assert.equal(errorOf(replies), undefined);
  assert.ok(!replies.some(({ type, body }) => type === "D" && body.includes(first)), "it has another backend");
  // One that is passed on costs no connection.
  const [[second]] = await one.rows("select pg_backend_pid()");
  one.send(query("select pg_sleep(20)"));
  await sleep(200);
  await Wire.cancel(pool.port, one.key);
  assert.equal(errorOf(await one.until("Z")).C, "57014");
  assert.deepEqual(await other.rows("select pg_backend_pid()"), [[second]]);
  await pool.stop();
});

test("whoever answers a cancel request without end keeps nobody waiting", { timeout: 60000 * patience }, async () => {
  const much = Buffer.alloc(1 << 20, "x");
  let floods = 0;
  const relay = net.createServer((near) => {
    near.on("error", () => {});
    near.once("data", (first) => {
      if (first.length >= 8 && first.readUInt32BE(4) === 80877102) {
        floods++;
        const more = () => {
          while (!near.destroyed && near.write(much));
        };
        near.on("drain", more);
        more();
        return;
      }
      const far = net.connect(postgres.port, "127.0.0.1");
      far.write(first);
      near.pipe(far).on("error", () => {}).on("close", () => near.destroy()).pipe(near).on("close", () => far.destroy());
    });
  });
  await new Promise((done) => relay.listen(0, "127.0.0.1", done));
  relay.unref();
  const pool = await open("pool_size = 2", { port: relay.address().port });
  const [one, other] = [await Wire.login(pool.port), await Wire.login(pool.port)];
  one.send(query("select pg_sleep(2)"));
  await sleep(200);
  await Wire.cancel(pool.port, one.key);
  await eventually(() => assert.equal(floods, 1));
  for (let i = 0; i < 20; i++) {
    const begun = Date.now();
    assert.deepEqual(await other.rows("select 1"), [["1"]]);
    assert.ok(Date.now() - begun < 1000 * patience);
  }
  assert.equal(errorOf(await one.until("Z")), undefined);
  relay.close();
  await pool.stop("SIGKILL");
});

test("cancel requests go through TLS where the connection does, to the same server, or not at all", { timeout: 60000 * patience }, async () => {
  const way = await middle();
  for (const mode of ["verify-full", "prefer", "disable"]) {
    way.connections.length = 0;
    const pool = await startPool(`auth = "any"\npool_size = 1\ncancel_wait_timeout = "2s"\n[[databases]]\nname = "*"\nhost = "localhost"\nport = ${way.port}\n` +
      `[databases.tls]\nmode = "${mode}"\nca_file = "${postgres.dir}/server.crt"\n`);
    const wire = await Wire.login(pool.port);
    const cancel = async () => {
      wire.send(query("select pg_sleep(2)"));
      await sleep(300);
      await Wire.cancel(pool.port, wire.key);
      return errorOf(await wire.until("Z"))?.C;
    };
    assert.equal(await cancel(), "57014", mode);
    const inTheClear = way.connections.filter(({ seen }) => seen.includes("\x04\xd2\x16\x2e"));
    const named = way.connections.filter(({ seen }) => seen.includes("\0\x09localhost"));
    assert.equal(way.connections.length, 2);
    assert.deepEqual([inTheClear.length, named.length], mode === "disable" ? [1, 0] : [0, 2], `${mode}: in the clear, with SNI`);
    if (mode === "disable") {
      await pool.stop();
      break;
    }
    // Whoever else answers is told nothing: one without TLS, and one with another certificate.
    const { certificate, key } = makeCertificate(postgres.dir, "impostor", "localhost");
    let told = "";
    const hear = (socket) => socket.on("error", () => {}).on("data", (data) => (told += data.toString("latin1")));
    const impostors = [
      (near) => near.once("data", () => hear(near).write("N")).on("error", () => {}),
      (near) => near.once("data", () => {
        hear(new tls.TLSSocket(near, { isServer: true, cert: readFileSync(certificate), key: readFileSync(key) }));
        near.write("S");
      }).on("error", () => {}),
    ];
    for (const near of mode === "verify-full" ? impostors : impostors.slice(0, 1)) {
      way.near = near;
      assert.equal(await cancel(), undefined, mode);
      assert.equal(told, "", mode);
    }
    const logged = pool.weir.output.match(/a cancel request was not sent: TLS failed: .+/g);
    assert.equal(logged.length, mode === "verify-full" ? 2 : 1, pool.weir.output);
    assert.match(logged[0], /it was refused$/);
    way.near = undefined;
    assert.equal(await cancel(), "57014", mode);
    await pool.stop();
  }
  // The same where it begins with TLS (Postgres 17), which something in front of it does here.
  const { certificate, key } = makeCertificate(postgres.dir, "direct", "localhost");
  let cancels = 0, ALPNProtocols = ["postgresql"];
  way.near = (near) => {
    const inside = new tls.TLSSocket(near.on("error", () => {}), { isServer: true, cert: readFileSync(certificate), key: readFileSync(key), ALPNProtocols });
    const far = net.connect(postgres.port, "127.0.0.1").unref();
    inside.on("data", (data) => (cancels += data.includes(Buffer.from([4, 210, 22, 46])))).pipe(far).on("error", () => {}).pipe(inside).on("error", () => {});
  };
  const pool = await startPool(`auth = "any"\npool_size = 1\n[[databases]]\nname = "*"\nhost = "127.0.0.1"\nport = ${way.port}\n[databases.tls]\nmode = "require"\ndirect = true\n`);
  const wire = await Wire.login(pool.port);
  wire.send(query("select pg_sleep(20)"));
  await sleep(300);
  await Wire.cancel(pool.port, wire.key);
  assert.equal(errorOf(await wire.until("Z")).C, "57014");
  assert.equal(cancels, 1);
  // Who agrees to no ALPN, or to another alone, is told nothing; the log says so, once.
  for (const [protocols, why] of [[undefined, /ALPN "postgresql" was not agreed to/], [["http/1.1"], /no application protocol/]]) {
    ALPNProtocols = protocols;
    wire.send(query("select pg_sleep(20)"));
    const before = pool.weir.output.length;
    await sleep(300);
    await Wire.cancel(pool.port, wire.key);
    await eventually(() => assert.match(pool.weir.output.slice(before), why));
    assert.equal(pool.weir.output.slice(before).match(/was not sent/g).length, 1);
    assert.equal(cancels, 1);
    ALPNProtocols = ["postgresql"];
    await Wire.cancel(pool.port, wire.key);
    assert.equal(errorOf(await wire.until("Z")).C, "57014");
    cancels = 1;
  }
  await pool.stop();
  way.close();
});

test("a name that means another host: connections go there, without a word from anybody", needsRoot, async () => {
  const there = await startPostgres("", { address: "127.0.0.2", port: postgres.port });
  there.sql("create table only_there (a int)");
  const hosts = join(there.dir, "hosts");
  writeFileSync(hosts, "127.0.0.1 localhost\n127.0.0.1 moving.test\n");
  const pool = await startPool(
    `auth = "any"\nadmin_users = ["postgres"]\npool_size = 2\ndns_max_ttl = "1s"\n[[databases]]\nname = "*"\nhost = "moving.test"\nport = ${postgres.port}\n[databases.tls]\nmode = "disable"\n`,
    { within: ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', hosts] },
  );
  const [wire, admin] = await Promise.all([Wire.login(pool.port), Wire.login(pool.port, { database: "pgbouncer" })]);
  const where = async (of = wire) => (await of.rows("select inet_server_addr()"))[0][0];
  const moved = async (to) => eventually(async () => assert.match(await where(), to));
  await moved(/127\.0\.0\.1/);
  const [listener, busy] = await Promise.all([1, 2].map(() => Wire.login(pool.port)));
  await listener.rows("listen there");
  await busy.rows("begin");
  writeFileSync(hosts, "127.0.0.1 localhost\n127.0.0.2 moving.test\n");
  await moved(/127\.0\.0\.2/);
  // What is under way stays where it is to its end; whoever listens hears the other one.
  assert.match(await where(busy), /127\.0\.0\.1/);
  await busy.rows("commit");
  const servers = async (column) => (await admin.rows("show servers")).map((row) => row[column]).sort();
  await eventually(async () => assert.deepEqual(await servers(5), ["127.0.0.2", "127.0.0.2"]));
  there.sql("notify there, 'moved'");
  assert.match((await listener.until("A")).find(({ type }) => type === "A").body.toString("latin1"), /moved/);
  await pool.weir.waitFor(/host moving\.test: it has another address now/);
  // A failed look-up changes nothing, and one address of several is enough.
  const before = await servers(16);
  writeFileSync(hosts, "127.0.0.1 localhost\n");
  await sleep(2500);
  writeFileSync(hosts, "127.0.0.1 localhost\n127.0.0.1 moving.test\n127.0.0.2 moving.test\n");
  await sleep(2500);
  assert.match(await where(), /127\.0\.0\.2/);
  assert.deepEqual(await servers(16), before);
  // A name that is no more is told, and heals.
  writeFileSync(hosts, "127.0.0.1 localhost\n");
  await admin.rows("reconnect");
  assert.match(errorOf(await wire.query("select 1"))?.C ?? "none", /^08|57P03/);
  writeFileSync(hosts, "127.0.0.1 localhost\n127.0.0.1 moving.test\n");
  await eventually(async () => assert.match(await where(), /127\.0\.0\.1/));
  await pool.stop();
});

test("a full disk is the server's own error; its transaction comes to nothing, and the session goes on", needsRoot, async () => {
  const small = join(postgres.dir, "small");
  mkdirSync(small);
  command("mount", "-t", "tmpfs", "-o", "size=2M", "tmpfs", small);
  after(() => command("umount", "-l", small));
  chownSync(small, 65534, 65534);
  postgres.sql(`create tablespace small location '${small}'`);
  postgres.sql("create table filling (a text) tablespace small; alter table filling alter a set storage external");
  const pool = await open("pool_size = 2");
  const wire = await Wire.login(pool.port);
  const fill = "insert into filling select repeat(md5(i::text), 30) from generate_series(1, 10000) i";
  assert.equal(errorOf(await wire.query(fill)).C, "53100");
  await wire.rows("begin");
  await wire.rows("insert into filling values ('first')");
  assert.equal(errorOf(await wire.query(fill)).C, "53100");
  assert.equal(errorOf(await wire.query("select 1")).C, "25P02");
  await wire.rows("rollback");
  wire.send(query("copy filling from stdin"));
  await wire.until("G");
  for (let i = 0; i < 40; i++) wire.send(copyData(`${"x".repeat(60000)}${i}\n`.repeat(2)));
  wire.send(copyDone());
  assert.equal(errorOf(await wire.until("Z")).C, "53100");
  assert.deepEqual(await wire.rows("select count(*) from filling"), [["0"]]);
  await wire.rows("delete from filling");
  assert.deepEqual(await wire.rows("select count(*) from filling"), [["0"]]);
  assert.ok(backends() <= 2);
  await pool.stop();
  postgres.sql("drop table filling");
  postgres.sql("drop tablespace small");
});

test("more connections than the server allows: those that there are serve all", { timeout: 60000 * patience }, async () => {
  postgres.sql("create role limited login connection limit 2; grant all on t to limited");
  const pool = await open("pool_size = 10");
  const wires = await Promise.all(Array.from({ length: 12 }, () => Wire.login(pool.port, { user: "limited" })));
  const answers = await Promise.all(wires.map((wire) => wire.rows("select pg_sleep(0.05)").then(() => "ok", (error) => error.code)));
  assert.deepEqual(answers, Array(12).fill("ok"));
  // When there are none at all, it is told why.
  postgres.sql("alter role limited connection limit 0");
  const alive = () => wires.find(({ ended }) => !ended); // one may meet a backend that is about to end
  const refused = await eventually(async () => {
    // Again: one may have been on its way in, which the database does not list yet.
    postgres.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'limited'");
    const error = errorOf(await alive().query("select 1"));
    assert.equal(error?.C, "53300");
    return error;
  });
  assert.match(refused.M, /too many connections/);
  postgres.sql("alter role limited connection limit 2");
  await eventually(() => alive().rows("select 1"));
  await eventually(() => assertNoneLeaked(postgres, pool, 2, { user: "limited" }));
  await pool.stop();
});

test("clients that vanish amid TLS leave nothing", { timeout: 60000 * patience }, async () => {
  const { certificate, key } = makeCertificate(postgres.dir, "vanish", "localhost");
  const pool = await open(`pool_size = 2\n[tls]\nmode = "allow"\ncertificate_file = "${certificate}"\nkey_file = "${key}"`);
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  const clients = async () => (await admin.rows("show clients")).length;
  const before = await clients();
  const hello = Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]);
  for (const bytes of [sslRequest(), Buffer.concat([sslRequest(), hello]), hello, hello.subarray(0, 2)]) {
    for (let i = 0; i < 50; i++) {
      const socket = net.connect(pool.port, "127.0.0.1");
      socket.on("error", () => {}).on("connect", () => socket.write(bytes, () => setTimeout(() => socket.resetAndDestroy(), i % 20)));
    }
  }
  await sleep(300);
  await eventually(async () => assert.equal(await clients(), before));
  const wire = await Wire.openTls(pool.port, { ALPNProtocols: ["postgresql"] });
  wire.socket.destroy();
  assert.deepEqual(await (await Wire.login(pool.port)).rows("select 1"), [["1"]]);
  await pool.stop();
});
