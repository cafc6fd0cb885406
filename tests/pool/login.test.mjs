// SPDX-License-Identifier: Apache-2.0
// Ways into the pool, and from it into Postgres.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, chownSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { before, test } from "node:test";
import tls from "node:tls";

import pg from "pg";

import { Wire, assertConfined, assertNoneLeaked, copies, database, errorOf, eventually, makeCertificate, message, patience, query, sanitized, scramVerifier, sslRequest, startPool, startPostgres, startup, terminate } from "./lib.mjs";

let postgres;
before(async () => {
  postgres = await startPostgres();
});

// libpq's connection string → the rows of a query, or the error's text.
function psql(parameters, sql = "select current_user") {
  const { password, ...rest } = parameters;
  const text = Object.entries({ connect_timeout: 10, ...rest }).map(([k, v]) => `${k}='${v}'`).join(" ");
  try {
    const env = { ...process.env, PGPASSWORD: password ?? "" };
    return execFileSync(`${postgres.bin}/psql`, [text, "-XAtqc", sql], { env, encoding: "utf8", stdio: "pipe", timeout: 20000 * patience }).trim();
  } catch (error) {
    return `failed: ${error.stderr}`;
  }
}

const user = (name, secret, extra = "") => `[[users]]\nname = "${name}"\npassword = "${secret}"\n${extra}\n`;

for (const [name, secret] of [["scram_user", "scram secret"], ["md5_user", "md5 secret"], ["password_user", "clear secret"]])
  test(`to the server: ${name}`, async () => {
    const pool = await startPool(`auth = "any"\n${database(postgres, `user = "${name}"\npassword = "${secret}"`)}`);
    assert.equal(psql({ host: "127.0.0.1", port: pool.port, user: "anybody", dbname: "postgres" }), name);
    await pool.stop();
  });

test("to the server: SCRAM with channel binding over TLS", async () => {
  const pool = await startPool(
    `auth = "any"\n[[databases]]\nname = "*"\nhost = "127.0.0.1"\nport = ${postgres.port}\nuser = "tls_user"\npassword = "tls secret"\n` +
      `[databases.tls]\nmode = "require"\n`,
  );
  assert.equal(psql({ host: "127.0.0.1", port: pool.port, user: "x", dbname: "postgres" }, "select ssl from pg_stat_ssl where pid = pg_backend_pid()"), "t");
  await pool.stop();
});

test("to the server: TLS at once with its ALPN, and the client's certificate", async () => {
  const ca = makeCertificate(postgres.dir, "direct_ca", "test authority");
  const server = makeCertificate(postgres.dir, "direct_server", "localhost", { ca });
  const client = makeCertificate(postgres.dir, "direct_client", "the pool", { ca });
  const files = `mode = "verify-full"\nca_file = "${ca.certificate}"\ncertificate_file = "${client.certificate}"\nkey_file = "${client.key}"\n`;
  // Postgres 15 has no direct TLS: something in front of it does, and wants a certificate.
  const seen = [];
  const front = tls.createServer(
    { key: readFileSync(server.key), cert: readFileSync(server.certificate), ca: readFileSync(ca.certificate), requestCert: true, rejectUnauthorized: true, ALPNProtocols: ["postgresql"] },
    (near) => {
      const far = net.connect(postgres.port, "127.0.0.1");
      seen.push([near.alpnProtocol, near.getPeerCertificate().subject.CN]);
      near.pipe(far).pipe(near);
      for (const socket of [near, far]) socket.unref().on("error", () => {});
    },
  ).unref();
  await new Promise((done) => front.listen(0, "127.0.0.1", done));
  const through = (port, settings) => startPool(`auth = "any"\n[[databases]]\nname = "*"\nhost = "127.0.0.1"\nport = ${port}\n[databases.tls]\n${settings}`);
  const direct = await through(front.address().port, `${files}direct = true\n`);
  assert.deepEqual(await (await Wire.login(direct.port)).rows("select 1"), [["1"]]);
  assert.deepEqual(seen, [["postgresql", "the pool"]]);
  await direct.stop();
  // Without a certificate, or asking first, nobody gets in there.
  for (const settings of [`mode = "require"\ndirect = true\n`, files]) {
    const refused = await through(front.address().port, settings);
    const wire = await Wire.open(refused.port);
    wire.send(startup({ user: "postgres", database: "postgres" }));
    assert.match(errorOf(await wire.until("E")).C, /^08/);
    await refused.stop();
  }
  assert.equal(seen.length, 1);
  front.close();
  // Nor does the pool go on with who does not say that it is Postgres.
  const stranger = tls.createServer({ key: readFileSync(server.key), cert: readFileSync(server.certificate) }, (near) => near.on("error", () => {}).on("data", () => assert.fail("it was told something"))).unref();
  await new Promise((done) => stranger.listen(0, "127.0.0.1", done));
  const wary = await through(stranger.address().port, 'mode = "require"\ndirect = true\n'), asking = await Wire.open(wary.port);
  asking.send(startup({ user: "postgres", database: "postgres" }));
  assert.match(errorOf(await asking.until("E")).M, /ALPN/);
  await wary.stop();
  stranger.close();
  // Postgres itself, asked first, sees whose certificate it is.
  postgres.sql(`alter system set ssl_ca_file = '${ca.certificate}'`);
  postgres.sql("select pg_reload_conf()");
  const asked = await through(postgres.port, files.replace("verify-full", "require"));
  assert.deepEqual(await (await Wire.login(asked.port)).rows("select client_dn from pg_stat_ssl where pid = pg_backend_pid()"), [["/CN=the pool"]]);
  await asked.stop();
  postgres.sql("alter system reset ssl_ca_file");
  postgres.sql("select pg_reload_conf()");
});

test("to the server: verify-full wants the name that it connects to, verify-ca the authority alone; only prefer goes on without TLS", async (t) => {
  const ca = makeCertificate(postgres.dir, "naming_ca", "test authority"), stranger = makeCertificate(postgres.dir, "strange_ca", "test authority");
  const pair = makeCertificate(postgres.dir, "naming", "db.example", { ca }); // and the address, but not localhost
  if (process.getuid() === 0) chownSync(pair.key, 65534, 65534);
  chmodSync(pair.key, 0o600);
  const set = (...settings) => {
    for (const [name, value] of settings) postgres.sql(`alter system ${value === undefined ? `reset ${name}` : `set ${name} = '${value}'`}`);
    postgres.sql("select pg_reload_conf()");
    return eventually(() => assert.equal(postgres.sql(`show ${settings[0][0]}`), settings[0][1] ?? "on"));
  };
  const base = (name, mode, host = "localhost", authority = undefined) =>
    `[[databases]]\nname = "${name}"\ndatabase = "postgres"\nhost = "${host}"\nport = ${postgres.port}\nuser = "scram_user"\npassword = "scram secret"\n` +
    `[databases.tls]\nmode = "${mode}"\n${authority ? `ca_file = "${authority.certificate}"\n` : ""}`;
  const pool = await startPool(
    `auth = "any"\npool_size = 1\n` + ["prefer", "require", "verify-ca", "verify-full"].map((mode) => base(mode, mode, "localhost", mode.startsWith("verify") && ca)).join("") +
      base("address", "verify-full", "127.0.0.1", ca) + base("stranger", "verify-ca", "localhost", stranger),
  );
  const login = (dbname) => psql({ host: "127.0.0.1", port: pool.port, user: "anybody", dbname }, "select ssl from pg_stat_ssl where pid = pg_backend_pid()");
  t.after(() => set(["ssl"], ["ssl_cert_file"], ["ssl_key_file"]));
  await set(["ssl_cert_file", pair.certificate], ["ssl_key_file", pair.key]);
  const failed = "TLS with the database's server at localhost failed: certificate: ";
  assert.match(login("verify-full"), new RegExp(`${failed}hostname mismatch`, "i"));
  assert.match(login("stranger"), new RegExp(failed));
  for (const name of ["address", "verify-ca", "require", "prefer"]) assert.equal(login(name), "t", name);
  await set(["ssl", "off"]);
  const admin = await Wire.login(pool.port, { database: "pgbouncer", user: "pgbouncer" });
  await admin.rows("reconnect");
  assert.equal(login("prefer"), "f");
  for (const name of ["require", "verify-ca", "verify-full"]) assert.match(login(name), /the database's server at localhost does not offer TLS/, name);
  await pool.stop();
});

test("to the server: a wrong password is told at once, and so is a database that there is not", async () => {
  const pool = await startPool(`auth = "any"\n${database(postgres, 'user = "scram_user"\npassword = "wrong"')}`);
  const at = { host: "127.0.0.1", port: pool.port, user: "x", dbname: "postgres" };
  const open = () => readdirSync(`/proc/${pool.pid()}/fd`).length;
  assert.match(psql(at), /password authentication failed for user "scram_user"/);
  const before = open();
  for (let i = 0; i < 5; i++) assert.match(psql(at), /password authentication failed/);
  await eventually(() => assert.equal(open(), before));
  await assertNoneLeaked(postgres, pool, 0);
  await pool.stop();
  const other = await startPool(`auth = "any"\n${database(postgres)}`);
  assert.match(psql({ host: "127.0.0.1", port: other.port, user: "postgres", dbname: "nowhere" }), /database "nowhere" does not exist/);
  await assertNoneLeaked(postgres, other, 0);
  await other.stop();
});

test("clients: SCRAM, by a password and by a verifier; wrong passwords and unknown users look the same", async () => {
  const pool = await startPool(`${user("scram_user", "scram secret")}${user("postgres", scramVerifier("of postgres"))}${database(postgres)}`);
  const at = { host: "127.0.0.1", port: pool.port, dbname: "postgres" };
  assert.equal(psql({ ...at, user: "scram_user", password: "scram secret" }), "scram_user");
  assert.equal(psql({ ...at, user: "postgres", password: "of postgres" }), "postgres");
  assert.match(psql({ ...at, user: "postgres", password: "another" }), /password authentication failed for user "postgres"/);
  assert.match(psql({ ...at, user: "nobody here", password: "x" }), /password authentication failed for user "nobody here"/);
  await pool.stop();
});

// The numbers of authentication requests, and what SCRAM's first answer says: the salt and the iterations.
async function askedFor(pool, user, { withTls } = {}) {
  const wire = withTls ? await Wire.openTls(pool.port, { ALPNProtocols: ["postgresql"] }) : await Wire.open(pool.port);
  const next = async () => (await wire.wait((messages) => messages.length > 0))[0].body;
  wire.send(startup({ user, database: "postgres" }));
  const code = (await next()).readUInt32BE(0);
  let scram;
  if (code === 10) {
    const first = Buffer.from("n,,n=,r=abcdefgh");
    wire.send(message("p", "SCRAM-SHA-256", Buffer.from([0, 0, 0, first.length]), first));
    const [, salt, iterations] = (await next()).toString("latin1", 4).match(/s=([^,]*),i=(\d+)/);
    scram = { salt, iterations: Number(iterations), bytes: Buffer.from(salt, "base64").length };
  }
  wire.close();
  return { code, ...scram };
}

test("who guesses names sees nothing: neither in what is asked for, nor over a reload and a restart", async () => {
  const names = ["real", "clear", "unknown", "another"];
  const users = `${user("real", scramVerifier("x", 5000))}${user("clear", "y")}`;
  const { certificate, key } = makeCertificate(postgres.dir, "names", "localhost");
  for (const withTls of [false, true]) {
    const tls = withTls ? `[tls]\nmode = "require"\ncertificate_file = "${certificate}"\nkey_file = "${key}"\n` : "";
    const toml = `${users}${tls}${database(postgres)}`;
    const answers = async (pool) => Promise.all(names.map((name) => askedFor(pool, name, { withTls })));
    const pool = await startPool(toml);
    const before = await answers(pool);
    assert.equal(new Set(before.map(({ salt }) => salt)).size, names.length);
    assert.ok(before.every(({ code, bytes }) => code === 10 && bytes === 16));
    assert.deepEqual(await answers(pool), before);
    pool.write(`${toml}\n`);
    pool.weir.process.kill("SIGHUP");
    await eventually(() => assert.equal(pool.weir.output.match(/pool ready on/g).length, 2));
    assert.deepEqual(await answers(pool), before);
    await pool.stop();
    const again = await startPool(toml);
    assert.deepEqual(await answers(again), before);
    await again.stop();
  }
  // Of many that there are not, some are asked as the one and some as the other.
  const many = Array.from({ length: 40 }, (_, i) => `guess${i}`);
  const pool = await startPool(`auth = "md5"\nfailed_login_delay = "0s"\n${users}${database(postgres)}`);
  assert.deepEqual([await askedFor(pool, "real"), await askedFor(pool, "clear")].map(({ code, iterations }) => [code, iterations]), [[10, 5000], [5, undefined]]);
  const kinds = new Set();
  for (const name of many) kinds.add(JSON.stringify([await askedFor(pool, name)].map(({ code, iterations }) => [code, iterations])));
  assert.deepEqual([...kinds].sort(), ["[[10,5000]]", "[[5,null]]"]);
  await pool.stop();
  // Where all are kept alike, all are asked alike.
  for (const [secret, code] of [[scramVerifier("x"), 10], ["x", 5]]) {
    const alike = await startPool(`auth = "md5"\n${user("real", secret)}${database(postgres)}`);
    for (const name of ["real", ...many.slice(0, 8)]) assert.equal((await askedFor(alike, name)).code, code);
    await alike.stop();
  }
});

test("clients: md5 and clear passwords", async () => {
  for (const auth of ["md5", "password"]) {
    const pool = await startPool(`auth = "${auth}"\n${user("md5_user", "md5 secret")}${database(postgres)}`);
    const at = { host: "127.0.0.1", port: pool.port, dbname: "postgres", user: "md5_user" };
    assert.equal(psql({ ...at, password: "md5 secret" }), "md5_user");
    assert.match(psql({ ...at, password: "wrong" }), /password authentication failed/);
    await pool.stop();
  }
});

test("md5's form of a password is taken for no password where the server asks for one", async () => {
  for (const [name, secret] of [["scram_user", "scram secret"], ["password_user", "clear secret"]]) {
    const form = `md5${createHash("md5").update(secret + name).digest("hex")}`;
    const pool = await startPool(`auth = "md5"\n${user(name, form)}${database(postgres)}`);
    const answer = psql({ host: "127.0.0.1", port: pool.port, dbname: "postgres", user: name, password: secret });
    assert.match(answer, /only md5's form of its password is known.*\n.*HINT: {2}Give the pool the password itself/);
    await pool.stop();
  }
});

test("pass-through: a verifier of users_file logs in to the server by what the client proves, and no password is known", async () => {
  const verifier = postgres.sql("select rolpassword from pg_authid where rolname = 'scram_user'");
  const file = join(postgres.dir, "verifiers.txt");
  writeFileSync(file, `"scram_user" "${verifier}"\n"md5_user" "${scramVerifier("md5 secret")}"\n`, { mode: 0o600 });
  const pool = await startPool(`users_file = "${file}"\n${database(postgres)}`);
  const at = { host: "127.0.0.1", port: pool.port, dbname: "postgres", user: "scram_user" };
  assert.match(psql({ ...at, password: "wrong" }), /password authentication failed/);
  assert.equal(psql({ ...at, password: "scram secret" }), "scram_user");
  if (process.getuid() === 0 && !sanitized) assert.deepEqual(copies(pool.pid(), ["scram secret"]), [0]);
  // What is proved is of use where it is the server's own verifier alone: another salt, or md5, tells so.
  assert.match(psql({ ...at, user: "md5_user", password: "md5 secret" }), /cannot log in to the database as "md5_user"/);
  const other = scramVerifier("scram secret");
  writeFileSync(file, `"scram_user" "${other}"\n`);
  const strange = await startPool(`users_file = "${file}"\n${database(postgres)}`);
  assert.match(psql({ ...at, port: strange.port, password: "scram secret" }), /cannot log in to the database as "scram_user"/);
  await strange.stop();
  await pool.stop();
});

test("keys of a million iterations, that a server or a verifier asks for, keep nobody else waiting", { timeout: 60000 * patience }, async () => {
  // Plays SCRAM up to the proof, which takes a quarter of a second of the pool's time, and then refuses.
  const million = { asked: 0, answered: 0 };
  const code = (number) => Buffer.from([0, 0, 0, number]);
  const server = net.createServer((socket) => {
    socket.unref().on("error", () => {});
    socket.once("data", () => socket.write(message("R", code(10), "SCRAM-SHA-256", Buffer.from([0]))));
    socket.on("data", (data) => {
      const text = data.toString("latin1");
      if (data[0] !== 0x70) return;
      if (text.includes("n,,")) {
        million.asked = Date.now();
        million.queries = queries;
        socket.write(message("R", code(11), Buffer.from(`r=${text.match(/r=(.*)$/)[1]}more,s=${Buffer.from("salt").toString("base64")},i=1000000`)));
      } else {
        million.answered = Date.now();
        million.queries = queries - million.queries;
        socket.end(message("E", Buffer.from("SFATAL\0C28P01\0Mno\0\0")));
      }
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  server.unref();
  // A server that keeps more iterations than most: by the clear password, and by what a client's login proves.
  const verifier = scramVerifier("scram secret", 200000);
  postgres.sql(`alter role scram_user password '${verifier}'`);
  const base = (name, extra = "", at = postgres) => database(at, `database = "postgres"\n${extra}`, name);
  const pool = await startPool(
    `auth = "password"\nfailed_login_delay = "0s"\n${user("patient", scramVerifier("x", 1000000))}${user("quick", "y")}${user("scram_user", verifier)}` +
      base("good", 'user = "postgres"') + base("own") + base("clear", 'user = "scram_user"\npassword = "scram secret"') +
      base("hostile", 'user = "u"\npassword = "p"', server.address()),
  );
  const to = (name, password, database) => new pg.Client({ host: "127.0.0.1", port: pool.port, user: name, password, database });
  const login = async (...parameters) => {
    const client = to(...parameters);
    client.on("error", () => {});
    try {
      await client.connect();
      return (await client.query("select current_user::text as u")).rows[0].u;
    } catch (error) {
      return error.code;
    } finally {
      await client.end().catch(() => {});
    }
  };
  const quick = to("quick", "y", "good");
  await quick.connect();
  let queries = 0, stop = false;
  const busy = (async () => {
    for (; !stop; queries++) await quick.query("select 1");
  })();
  assert.equal(await login("quick", "y", "hostile"), "28P01");
  assert.ok(million.answered > million.asked, "it was answered");
  assert.ok(million.queries > 3, `${million.queries} queries in ${million.answered - million.asked} ms`);
  for (const [name, password, found] of [["patient", "x", "postgres"], ["patient", "wrong", "28P01"]]) {
    const before = queries, begun = Date.now();
    assert.equal(await login(name, password, "good"), found);
    assert.ok(queries - before > 20, `${queries - before} queries in ${Date.now() - begun} ms`);
  }
  // No more than a hundred wait; the rest is told so at once, and a login to a server goes before all of them.
  const crowd = await Promise.all(Array.from({ length: 130 }, () => Wire.open(pool.port)));
  const hasty = Date.now();
  for (const wire of crowd) wire.send(startup({ user: "patient", database: "good" }), message("p", "x"));
  await eventually(() => assert.ok(crowd.filter((wire) => /53300.*too many passwords/s.test(wire.text)).length >= 10));
  assert.equal(await login("quick", "y", "clear"), "scram_user");
  assert.ok(Date.now() - hasty < 8000 * patience, `${Date.now() - hasty} ms`);
  for (const wire of crowd) wire.close();
  // Who leaves waits no longer, and nothing waits for it.
  const gone = await Promise.all(Array.from({ length: 30 }, () => Wire.open(pool.port)));
  for (const wire of gone) wire.send(startup({ user: "patient", database: "good" }), message("p", "x"));
  await new Promise((done) => setTimeout(done, 300));
  for (const wire of gone) wire.close();
  const begun = Date.now();
  assert.equal(await login("patient", "x", "good"), "postgres");
  assert.ok(Date.now() - begun < 5000 * patience);
  stop = true;
  await busy;
  await quick.end();
  assert.equal(await login("quick", "y", "clear"), "scram_user");
  assert.equal(await login("scram_user", "scram secret", "own"), "scram_user");
  assert.equal(await login("scram_user", "wrong", "own"), "28P01");
  await pool.stop();
  server.close();
  postgres.sql("alter role scram_user password 'scram secret'");
});

test("trust: known users only; any: everybody", async () => {
  const pool = await startPool(`auth = "trust"\n${user("postgres", "x")}${database(postgres)}`);
  const at = { host: "127.0.0.1", port: pool.port, dbname: "postgres" };
  assert.equal(psql({ ...at, user: "postgres" }), "postgres");
  assert.match(psql({ ...at, user: "scram_user" }), /authentication failed for user "scram_user".*\n.*HINT: {2}The pool's users are in/);
  await pool.stop();
});

test("TLS from clients: modes, channel binding, certificates, direct", async () => {
  const ca = makeCertificate(postgres.dir, "ca", "test authority");
  const server = makeCertificate(postgres.dir, "pool", "localhost", { ca });
  const client = makeCertificate(postgres.dir, "client", "postgres", { ca });
  const tls = `[tls]\nmode = "require"\ncertificate_file = "${server.certificate}"\nkey_file = "${server.key}"\n`;
  const pool = await startPool(`${user("postgres", "secret")}${tls}${database(postgres)}`);
  const at = { host: "localhost", hostaddr: "127.0.0.1", port: pool.port, dbname: "postgres", user: "postgres", password: "secret" };
  assert.equal(psql({ ...at, sslmode: "verify-full", sslrootcert: ca.certificate, channel_binding: "require" }), "postgres");
  assert.match(psql({ ...at, sslmode: "disable" }), /TLS only\n.*HINT: {2}Connect with sslmode=require/);
  // Direct TLS, as of Postgres 17: with its ALPN it is taken, without it refused.
  for (const [ALPNProtocols, type] of [[["postgresql"], "R"], [undefined, "E"]]) {
    const direct = await Wire.openTls(pool.port, { ALPNProtocols });
    direct.send(startup({ user: "postgres", database: "postgres" }));
    const replies = await direct.wait((messages) => messages.length > 0);
    assert.equal(replies[0]?.type, type);
    if (type === "E") assert.match(errorOf(replies).H, /sslnegotiation=postgres/);
    direct.close();
  }
  await pool.stop();
  const strict = await startPool(`auth = "cert"\n${user("postgres", "x")}[tls]\nmode = "verify-full"\ncertificate_file = "${server.certificate}"\n` +
    `key_file = "${server.key}"\nca_file = "${ca.certificate}"\n${database(postgres)}`);
  const to = { ...at, port: strict.port, sslmode: "verify-full", sslrootcert: ca.certificate };
  assert.equal(psql({ ...to, sslcert: client.certificate, sslkey: client.key }), "postgres");
  assert.match(psql({ ...to, user: "scram_user", sslcert: client.certificate, sslkey: client.key }), /certificate authentication failed/);
  assert.match(psql({ ...to, sslcert: "", sslkey: "" }), /failed:/);
  await strict.stop();
});

test("bytes that come in the clear after an SSLRequest are not taken for what comes through TLS", async () => {
  const pair = makeCertificate(postgres.dir, "early", "localhost");
  const tls = `[tls]\nmode = "prefer"\ncertificate_file = "${pair.certificate}"\nkey_file = "${pair.key}"\n`;
  const pool = await startPool(`auth = "any"\n${tls}${database(postgres)}`);
  const wire = await Wire.open(pool.port);
  wire.send(sslRequest(), startup({ user: "postgres", database: "postgres" }));
  await wire.wait(() => false);
  assert.ok(wire.ended && !wire.text.includes("server_version"), wire.text);
  await pool.stop();
});

// CVE-2026-6664 of PgBouncer: what a stranger says of lengths is not believed.
test("passwords and SASL messages of impossible lengths end the login, cost no memory and nobody else anything", { timeout: 60000 * patience }, async () => {
  const int32 = (value) => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value]);
  const lengths = [0, 3, 0x80000000, 0xffffffff, 0x7fffffff, 1 << 30];
  for (const auth of ["scram-sha-256", "md5", "password"]) {
    const pool = await startPool(`auth = "${auth}"\nfailed_login_delay = "0s"\n${user("scram_user", "scram secret")}${database(postgres)}`);
    const pid = pool.pid();
    const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
    const told = async (...bytes) => {
      const wire = await Wire.open(pool.port);
      wire.send(startup({ user: "scram_user", database: "postgres" }));
      await wire.until("R");
      wire.send(...bytes);
      const error = errorOf(await wire.wait(() => false));
      assert.ok(wire.ended);
      return error?.C;
    };
    const before = memory();
    for (const length of lengths) assert.match((await told(Buffer.from("p"), int32(length), Buffer.alloc(64, "x"))) ?? "08P01", /^(08P01|28P01)$/, `${auth}, ${length}`);
    // Of the response within the message of SASL; -1 is none, which is one too few.
    if (auth === "scram-sha-256")
      for (const length of lengths) assert.match(await told(message("p", "SCRAM-SHA-256", int32(length), Buffer.from("n,,n=,r=abcdefgh"))), /^(08P01|28P01)$/, `SASL, ${length}`);
    if (!sanitized) assert.ok(memory() - before < 8192, `${memory() - before} KiB`);
    assert.equal(pool.pid(), pid);
    assert.equal(psql({ host: "127.0.0.1", port: pool.port, dbname: "postgres", user: "scram_user", password: "scram secret" }), "scram_user");
    await pool.stop();
  }
});

test("startup packets: protocol 3.2 and options are negotiated, nonsense is refused", async () => {
  const pool = await startPool(`auth = "any"\n${database(postgres)}`);
  // The version that there is, and the options that are not known: as Postgres 15 tells them, or says nothing.
  const negotiated = async (port, minor, options) => {
    const wire = await Wire.open(port);
    wire.send(startup({ user: "postgres", database: "postgres", ...options }, (3 << 16) | minor));
    const replies = await wire.until("Z");
    wire.close();
    assert.ok(!replies.slice(1).some(({ type }) => type === "v"));
    return replies[0].type === "v" ? replies[0].body.toString("hex") : undefined;
  };
  for (const [minor, options] of [[0, {}], [0, { "_pq_.wish": "1" }], [2, {}], [2, { "_pq_.wish": "1", "_pq_.other": "" }], [9999, { "_pq_.wish": "1" }]]) {
    const told = await negotiated(pool.port, minor, options);
    assert.equal(told, await negotiated(postgres.port, minor, options), `3.${minor} ${Object.keys(options)}`);
    assert.equal(told === undefined, minor === 0 && Object.keys(options).length === 0);
    if (told) assert.match(told, /^00030000/);
  }
  for (const [packet, code, hint] of [
    [startup({ database: "postgres" }), "08P01", /PGUSER/],
    [startup({ user: "postgres" }, 2 << 16), "0A000", /protocol 3/],
    [startup({ user: "postgres", options: "-c user=other" }), "08P01", /not in options/],
    [startup({ user: "postgres", options: "--Database=other" }), "08P01"],
    [startup({ user: "postgres", replication: "database", options: "-c replication=off" }), "08P01"],
    [startup({ user: "postgres", replication: "perhaps" }), "22023", /^Leave it out/],
    [startup({ user: "postgres", options: "statement_timeout=1" }), "42601", /-c statement_timeout=5s/],
    [startup({ user: "postgres", options: "-c statement_timeout" }), "42601", /-c statement_timeout=5s/],
    [startup({ user: "u".repeat(128) }), "08P01", /127 bytes/],
    [startup({ user: "postgres", ...Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`a.p${i}`, "1"])) }), "08P01", /SET the others/],
    [startup({ user: "postgres", replication: "o" }), "22023"],
    [startup({ user: "postgres", "bad name;": "x" }), "08P01", /letters, digits/],
    // No client of Postgres, or one that leaves before it has said hello (node-postgres): no answer, as from Postgres.
    [Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0]), undefined],
    [Buffer.concat([terminate(), startup({ user: "postgres" })]), undefined],
  ]) {
    const wire = await Wire.open(pool.port);
    wire.send(packet);
    const error = errorOf(await wire.until("E"));
    assert.equal(error?.C, code);
    if (hint) assert.match(error.H, hint);
    wire.close();
  }
  await pool.stop();
});

test("startup parameters and options hold for the session, on whatever server", async () => {
  const pool = await startPool(`auth = "any"\npool_size = 2\n${database(postgres)}`);
  const one = await Wire.login(pool.port, { application_name: "one", options: "-c statement_timeout=4321 -c search_path=pg_catalog,public" });
  const two = await Wire.login(pool.port, { application_name: "two", TimeZone: "Asia/Tokyo" });
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(await one.rows("select current_setting('application_name'), current_setting('statement_timeout'), current_setting('search_path')"), [
      ["one", "4321ms", "pg_catalog,public"],
    ]);
    assert.deepEqual(await two.rows("select current_setting('application_name'), current_setting('statement_timeout'), current_setting('TimeZone')"), [
      ["two", "0", "Asia/Tokyo"],
    ]);
  }
  await pool.stop();
});

test("however many logins are half open, those who come get in, and those who are in stay", { timeout: 60000 * patience }, async () => {
  const pool = await startPool(`auth = "scram-sha-256"\nclients_max = 20\n[[users]]\nname = "scram_user"\npassword = "scram secret"\n${database(postgres)}`);
  const { default: pg } = await import("pg");
  const login = async () => {
    const client = new pg.Client({ host: "127.0.0.1", port: pool.port, user: "scram_user", database: "postgres", password: "scram secret" });
    await client.connect();
    return client;
  };
  const before = await login();
  const half = [];
  for (let i = 0; i < 400; i++) {
    const wire = await Wire.open(pool.port);
    if (i % 2) wire.send(startup({ user: "scram_user", database: "postgres" }));
    half.push(wire);
    if (i % 100 === 99) {
      const client = await login();
      assert.equal((await client.query("select 1 as one")).rows[0].one, 1);
      await client.end();
    }
  }
  await eventually(() => assert.ok(half.filter((wire) => !wire.ended).length <= 20));
  assert.equal(errorOf(half[1].messages).C, "53300");
  assert.equal((await before.query("select 2 as two")).rows[0].two, 2);
  assert.ok(readdirSync(`/proc/${pool.pid()}/fd`).length < 60);
  await before.end();
  half.forEach((wire) => wire.close());
  await pool.stop();
});

test("half-open logins are ended, and the pool goes on", async () => {
  const pool = await startPool(`auth = "any"\nclient_login_timeout = "1s"\n${database(postgres)}`);
  const half = await Promise.all(Array.from({ length: 50 }, () => Wire.open(pool.port)));
  half.forEach((wire, i) => wire.send(startup({ user: "postgres" }).subarray(0, i % 12)));
  await Promise.all(half.map((wire) => wire.wait(() => false, 10000 * patience)));
  assert.ok(half.every((wire) => wire.ended));
  const wire = await Wire.login(pool.port);
  assert.deepEqual(await wire.rows("select 1"), [["1"]]);
  await pool.stop();
});

// Each has a descriptor here, too: of 18,000 one costs as much.
test("six thousand half-open logins cost little memory, keep nobody out, and end", { timeout: 120000 * patience, skip: sanitized }, async (t) => {
  const { certificate, key } = makeCertificate(postgres.dir, "half", "localhost");
  const pool = await startPool(
    `auth = "any"\nadmin_users = ["postgres"]\nclients_max = 30000\nclient_login_timeout = "100s"\n${database(postgres)}[tls]\nmode = "allow"\ncertificate_file = "${certificate}"\nkey_file = "${key}"\n`,
  );
  const pid = pool.pid();
  const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
  const open = () => readdirSync(`/proc/${pid}/fd`).length;
  const hello = Buffer.concat([Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]), Buffer.alloc(200)]);
  const sockets = [];
  const admin = await Wire.login(pool.port, { database: "pgbouncer" });
  const each = 2000;
  for (const [name, bytes, most] of [["nothing", undefined, 4], ["half a startup packet", startup({ user: "postgres" }).subarray(0, 12), 12], ["half a ClientHello", hello, 64]]) {
    const [before, opened] = [memory(), open()];
    for (let i = 0; i < each; i += 500) {
      const more = Array.from({ length: Math.min(500, each - i) }, () => net.connect(pool.port, "127.0.0.1").on("error", () => {}));
      sockets.push(...more);
      await Promise.all(more.map((socket) => new Promise((done) => socket.once("connect", () => (bytes ? socket.write(bytes, done) : done())))));
      const client = await Wire.login(pool.port);
      assert.deepEqual(await client.rows("select 1"), [["1"]]);
      client.close();
    }
    await eventually(() => assert.ok(open() >= opened + each - 5));
    const kib = (memory() - before) / each;
    t.diagnostic(`${name}: ${kib.toFixed(1)} KiB each`);
    assert.ok(kib < most, `${name}: ${kib} KiB each`);
  }
  await admin.rows("set client_login_timeout = '1'");
  await eventually(() => assert.ok(open() < 60, `${open()} descriptors`), 60000 * patience);
  assert.deepEqual(await (await Wire.login(pool.port)).rows("select 1"), [["1"]]);
  assert.equal(pool.pid(), pid);
  sockets.forEach((socket) => socket.destroy());
  await pool.stop();
});

test("large statements and results over TLS on both sides, 1.2 and 1.3: nothing waits for an event that does not come", async () => {
  const pair = makeCertificate(postgres.dir, "large", "localhost");
  const pool = await startPool(
    `auth = "any"\n[tls]\nmode = "require"\ncertificate_file = "${pair.certificate}"\nkey_file = "${pair.key}"\n` +
      `[[databases]]\nname = "*"\nhost = "127.0.0.1"\nport = ${postgres.port}\n[databases.tls]\nmode = "require"\n`,
  );
  for (const version of ["TLSv1.2", "TLSv1.3"]) {
    const client = new pg.Client({
      host: "127.0.0.1", port: pool.port, user: "postgres", database: "postgres",
      ssl: { rejectUnauthorized: false, minVersion: version, maxVersion: version },
    });
    await client.connect();
    for (const name of [undefined, "named"])
      for (const length of [100, 17000, 70000, 1000000]) {
        const { rows } = await client.query({ name, text: "select $1::text as back", values: ["x".repeat(length)] });
        assert.equal(rows[0].back.length, length, `${version} ${name}`);
      }
    await client.end();
  }
  await pool.stop();
});

test("who guesses passwords waits, and can not guess at many connections at once; who knows it does not wait", async () => {
  const pool = await startPool(`auth = "password"\n${user("postgres", "right")}${database(postgres, 'user = "postgres"')}`);
  const from = async (address, password, hangsUp = false) => {
    const socket = net.connect({ port: pool.port, host: "127.0.0.1", localAddress: address });
    await new Promise((done, fail) => socket.once("connect", done).once("error", fail));
    const wire = new Wire(socket), began = Date.now();
    wire.send(startup({ user: "postgres", database: "postgres" }));
    const first = await wire.wait((messages) => messages.length > 0);
    if (first[0].type === "R") wire.send(message("p", password));
    if (hangsUp) socket.end();
    const replies = first[0].type === "R" ? await wire.wait((messages) => messages.some(({ type }) => "EZ".includes(type))) : first;
    wire.close();
    return { code: errorOf(replies)?.C, ms: Date.now() - began };
  };
  for (let i = 0; i < 5; i++) assert.equal((await from("127.0.0.1", "wrong")).code, "28P01");
  const sixth = await from("127.0.0.1", "wrong");
  assert.equal(sixth.code, "28P01");
  assert.ok(sixth.ms >= 950, `${sixth.ms} ms`);
  const many = Promise.all(Array.from({ length: 40 }, () => from("127.0.0.1", "wrong")));
  await eventually(async () => assert.equal((await from("127.0.0.1", "right")).code, "53300"));
  assert.equal((await from("127.0.0.2", "right")).code, undefined); // another address
  assert.equal((await from("127.0.0.2", "wrong")).code, "28P01");
  const codes = (await many).map(({ code }) => code);
  assert.ok(codes.every((code) => code === "28P01" || code === "53300"), codes.join());
  assert.ok(codes.includes("53300") && codes.filter((code) => code === "28P01").length >= 20, codes.join());
  await eventually(async () => assert.equal((await from("127.0.0.1", "right")).code, undefined));
  // Who hangs up does not get around it.
  await eventually(async () => {
    const some = Promise.all(Array.from({ length: 30 }, () => from("127.0.0.3", "wrong", true)));
    const { code } = await from("127.0.0.3", "right"); // not when all are over, which is late on a busy machine
    await some;
    assert.equal(code, "53300");
  });
  await pool.stop();
});

test("who guesses the keys of cancel requests is not heard for a while, and others are", async () => {
  const pool = await startPool(`auth = "any"\npool_size = 1\n${database(postgres)}`);
  const [holder, asks, admin] = [await Wire.login(pool.port), await Wire.login(pool.port), await Wire.login(pool.port, { database: "pgbouncer" })];
  const guess = Buffer.from(asks.key.map((byte, i) => (i < 4 ? byte : byte ^ 255)));
  // Of a query that waits, which is told at once.
  const cancelled = async (from) => {
    await holder.rows("begin");
    asks.send(query("select 1"));
    await eventually(async () => assert.ok((await admin.rows("show pools")).some(([name, , , waiting]) => name === "postgres" && waiting === "1")));
    await Wire.cancel(pool.port, asks.key, from);
    await holder.rows("commit");
    return errorOf(await asks.until("Z"))?.C;
  };
  await Wire.cancel(pool.port, guess);
  assert.equal(await cancelled(), "57014");
  await eventually(async () => {
    for (let i = 0; i < 30; i++) await Wire.cancel(pool.port, guess);
    assert.equal(await cancelled(), undefined);
  });
  assert.equal(await cancelled("127.0.0.2"), "57014");
  await pool.stop();
});

test("a password may be as long as Postgres takes it, and longer ones are refused", async () => {
  const long = "p".repeat(65000);
  const pool = await startPool(`auth = "password"\n${user("postgres", long)}${database(postgres, 'user = "postgres"')}`);
  const login = async (password) => {
    const wire = await Wire.open(pool.port);
    wire.send(startup({ user: "postgres", database: "postgres" }));
    await wire.until("R");
    wire.send(message("p", password));
    return errorOf(await wire.wait((messages) => messages.some(({ type }) => "EZ".includes(type))))?.C;
  };
  assert.equal(await login(long), undefined);
  assert.equal(await login(`${long}x`), "28P01");
  assert.equal(await login("p".repeat(70000)), "28P01");
  await pool.stop();
});

// Another user's memory, as the pool's is, is for root to read alone.
test("passwords are in the pool's memory, once or twice each, and in none of the supervisor's", { skip: process.getuid() !== 0 ? "not root" : sanitized }, async () => {
  const secrets = ["in-the-file-5e1f", "in-the-variable-77ac", "in-the-table-90be", "of-a-client-42d1"];
  const names = ["in_file", "in_variable", "in_table"];
  postgres.sql(names.map((name, i) => `create role ${name} login password '${secrets[i]}'`).join(";"));
  const file = join(postgres.dir, "secret");
  writeFileSync(file, `${secrets[0]}\n`, { mode: 0o600 });
  const from = [`password_file = "${file}"`, `password_env = "SECRET_OF_A_TEST"`, `password = "${secrets[2]}"`];
  const toml = user("ana", secrets[3]) + names.map((name, i) => database(postgres, `database = "postgres"\nuser = "${name}"\n${from[i]}`, name)).join("");
  const pool = await startPool(toml, { env: { SECRET_OF_A_TEST: secrets[1] } });
  const check = (when) => {
    for (const dbname of names) assert.equal(psql({ host: "127.0.0.1", port: pool.port, dbname, user: "ana", password: secrets[3] }), dbname);
    assert.deepEqual(copies(pool.weir.process.pid, secrets), [0, 0, 0, 0], `the supervisor's, ${when}`);
    const own = copies(pool.pid(), secrets);
    assert.ok(own.every((count) => count >= 1 && count <= 2), `the pool's, ${when}: ${own}`);
  };
  check("after the start");
  const read = pool.weir.output.length;
  pool.weir.process.kill("SIGHUP"); // the variable is read again
  await pool.weir.waitFor("pool ready on", read);
  check("after a reload");
  assert.doesNotMatch(readFileSync(`/proc/${pool.weir.process.pid}/environ`, "latin1"), new RegExp(secrets[1]));
  await pool.stop();
});

test("the process that has the passwords is nobody's, and confined, in all of its threads and after a restart", async () => {
  const pool = await startPool(`auth = "any"\n[[databases]]\nname = "*"\nhost = "localhost"\nport = ${postgres.port}\n[databases.tls]\nmode = "disable"\n`);
  assert.deepEqual(await (await Wire.login(pool.port)).rows("select 1"), [["1"]]);
  const first = pool.pid();
  assertConfined(first);
  pool.weir.process.kill("SIGUSR2");
  await eventually(() => {
    assert.notEqual(pool.pid(), first); // one of them alone
    assertConfined(pool.pid());
  });
  await pool.stop();
});
