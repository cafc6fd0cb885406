// SPDX-License-Identifier: Apache-2.0
// A configuration of PgBouncer's, run as it is.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";

import { Wire, errorOf, eventually, freePort, makeCertificate, message, patience, query, scramVerifier, sleep, startPostgres, startup } from "./lib.mjs";
import { Weir, weirPath } from "../e2e/lib.mjs";

let postgres;
before(async () => {
  postgres = await startPostgres();
});

async function start(name, ini, files = {}) {
  const dir = join(postgres.dir, name);
  mkdirSync(dir);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(dir, file), text);
  writeFileSync(join(dir, "b.ini"), ini.replaceAll("DIR", dir));
  const weir = await Weir.start(["pool", "--pgbouncer-ini", join(dir, "b.ini")]);
  await Promise.race([weir.waitFor("pool ready on"), weir.exited]);
  return { weir, dir };
}

test("an ordinary one: users, databases, sizes, console; what is not carried over is told", async () => {
  const port = await freePort();
  const { weir, dir } = await start(
    "ordinary",
    `;; comment
%include DIR/databases.ini
[users]
postgres = pool_mode=transaction
[pgbouncer]
listen_addr = localhost
listen_port = ${port}
unix_socket_dir = DIR
auth_type = scram-sha-256
auth_file = DIR/users.txt
admin_users = postgres, other
pool_mode = session
default_pool_size = 2
max_client_conn = 50
query_wait_timeout = 1.5
server_tls_sslmode = disable
ignore_startup_parameters = extra_float_digits
resolv_conf = DIR/resolv.conf
stats_period = 60
`,
    {
      "users.txt": '"postgres" "it""s secret"\n"other" "md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"\n',
      "databases.ini": `[databases]\napp = host=127.0.0.1 port=${postgres.port} dbname=postgres user=postgres connect_query='select ''quoted''' timezone=Asia/Tokyo\n* = host=127.0.0.1 port=${postgres.port}\n`,
    },
  );
  assert.match(weir.output, /resolv_conf is not carried over/);
  assert.doesNotMatch(weir.output, /stats_period/);
  const psql = (database, sql, host = "127.0.0.1") =>
    execFileSync(`${postgres.bin}/psql`, ["-h", host, "-p", String(port), "-U", "postgres", "-d", database, "-XAtqc", sql], {
      env: { ...process.env, PGPASSWORD: 'it"s secret' }, encoding: "utf8", timeout: 20000 * patience, stdio: ["ignore", "pipe", "pipe"],
    }).trim();
  assert.equal(psql("app", "show timezone"), "Asia/Tokyo");
  assert.equal(psql("postgres", "select 1", dir), "1");
  assert.match(psql("pgbouncer", "show config"), /query_wait_timeout\|1.5\|/);
  assert.match(psql("pgbouncer", "show config"), /query_wait_notify\|5\|/);
  assert.match(psql("pgbouncer", "show databases"), /app\|127\.0\.0\.1/);
  assert.equal((await weir.stop("SIGTERM")).code, 0);
});

test("who knows a password is let in while others of the address fail again and again", async () => {
  const port = await freePort();
  const { weir } = await start("failing", `[databases]\n* = host=127.0.0.1 port=${postgres.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =\n` +
    "auth_type = plain\nauth_file = DIR/users.txt\nserver_tls_sslmode = disable\n", { "users.txt": '"postgres" "right"\n' });
  const logIn = async (password) => {
    const wire = await Wire.open(port);
    wire.send(startup({ user: "postgres", database: "postgres" }));
    await wire.wait((messages) => messages.length > 0);
    wire.send(message("p", password));
    return errorOf(await wire.wait((messages) => messages.some(({ type }) => type === "E" || type === "Z")))?.C;
  };
  const codes = await Promise.all(Array.from({ length: 40 }, () => logIn("wrong")));
  assert.deepEqual([...new Set(codes)], ["28P01"]);
  assert.equal(await logIn("right"), undefined);
  await weir.stop("SIGINT");
});

test("a hundred thousand users are read at once, by either kind of configuration", () => {
  const dir = join(postgres.dir, "many");
  mkdirSync(dir);
  const verifier = scramVerifier("x");
  writeFileSync(join(dir, "users.txt"), Array.from({ length: 100000 }, (_, i) => `"user ${i}" "${verifier}"\n`).join(""));
  writeFileSync(join(dir, "b.ini"), `[databases]\n* = host=127.0.0.1\n[pgbouncer]\nlisten_addr = 127.0.0.1\nauth_file = ${dir}/users.txt\n`);
  writeFileSync(join(dir, "pool.toml"), 'users_file = "users.txt"\n[[databases]]\nname = "*"\nhost = "127.0.0.1"\n');
  for (const file of [["--pgbouncer-ini", join(dir, "b.ini")], ["--config", join(dir, "pool.toml")]]) {
    const { status, stderr } = spawnSync(weirPath, ["pool", ...file, "--check"], { encoding: "utf8", timeout: 20000 * patience }); // a third of a second
    assert.equal(status, 0, `${file[0]}: ${stderr}`);
  }
});

test("weir pool import writes the same as a configuration of weir's", async () => {
  const port = await freePort();
  const dir = join(postgres.dir, "imported");
  mkdirSync(dir);
  writeFileSync(join(dir, "users.txt"), '"postgres" "it""s secret"\n"other" "x"\n', { mode: 0o600 });
  writeFileSync(
    join(dir, "b.ini"),
    `[databases]\napp = host=127.0.0.1 port=${postgres.port} dbname=postgres user=postgres password='a"b\\c' timezone=Asia/Tokyo auth_user=postgres auth_dbname=app\nquestion = host=127.0.0.1 port=${postgres.port} auth_user=postgres auth_query='select $1, null'\n[users]\npostgres = pool_mode=transaction\nguest = pool_mode=session\n[pgbouncer]\n` +
      `server_lifetime = 172800\nclient_login_timeout = 0\ncancel_wait_timeout = 0\nlisten_addr = localhost\nlisten_port = ${port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = ${dir}/users.txt\nadmin_users = postgres\nserver_tls_sslmode = disable\n` +
      `query_wait_timeout = 1.5\nserver_reset_query_always = 1\nlog_disconnections = 1\npool_idle_timeout = 60\nquery_wait_notify = 0\nlogin_notify_message = by the "pool"\nresolv_conf = ${dir}/resolv.conf\n`,
  );
  const weirRun = (...args) => spawnSync(weirPath, ["pool", "import", ...args], { encoding: "utf8", timeout: 20000 * patience });
  const toml = join(dir, "pool.toml");
  const done = weirRun(join(dir, "b.ini"), "--output", toml);
  assert.equal(done.status, 0, done.stderr);
  assert.match(done.stderr, /b\.ini:\d+: resolv_conf is not carried over/);
  assert.equal(statSync(toml).mode & 0o777, 0o600);
  const users = readFileSync(toml, "utf8").split("[[users]]").slice(1);
  assert.deepEqual(users.map((user) => [/name = "(\w+)"/.exec(user)[1], user.includes("login = false")]), [["postgres", false], ["guest", true]]); // auth_file has none
  assert.equal(weirRun(join(dir, "b.ini"), "--output", toml).status, 1); // not over another
  assert.equal(weirRun(join(dir, "none.ini")).status, 1);
  assert.equal(weirRun().status, 2);
  const weir = await Weir.start(["pool", "--config", toml]);
  await Promise.race([weir.waitFor("pool ready on"), weir.exited.then(() => Promise.reject(new Error(weir.output)))]);
  const psql = (database, sql) =>
    execFileSync(`${postgres.bin}/psql`, ["-h", "127.0.0.1", "-p", String(port), "-U", "postgres", "-d", database, "-XAtqc", sql], {
      env: { ...process.env, PGPASSWORD: 'it"s secret' }, encoding: "utf8", timeout: 20000 * patience, stdio: ["ignore", "pipe", "pipe"],
    }).trim();
  assert.equal(psql("app", "show timezone"), "Asia/Tokyo");
  assert.match(psql("pgbouncer", "show config"), /query_wait_timeout\|1.5\|/);
  assert.match(psql("pgbouncer", "show config"), /server_lifetime\|172800\|\|yes\n[^]*server_check_delay\|30\|\|yes\nserver_check_query\|<empty>\|\|yes\n/);
  assert.match(psql("pgbouncer", "show config"), /query_wait_notify\|0\|[^]*login_notify_message\|by the "pool"\|/);
  assert.match(psql("pgbouncer", "show pools"), /app\|postgres\|.*transaction/);
  assert.equal((await weir.stop("SIGTERM")).code, 0);
});

test("the console of whoever runs it: SET and RELOAD", async () => {
  const port = await freePort();
  const ini = (size) => `[databases]\n* = host=127.0.0.1 port=${postgres.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir = DIR\n` +
    `auth_type = trust\nauth_file = DIR/users.txt\nserver_tls_sslmode = disable\npool_mode = statement\nstats_users = postgres\ndefault_pool_size = ${size}\n`;
  const { weir, dir } = await start("owner", ini(3), { "users.txt": '"postgres" "x"\n"pgbouncer" "x"\n' });
  // By a unix socket, as root or whoever has started it, without being listed; not by TCP.
  const admin = await Wire.open(join(dir, `.s.PGSQL.${port}`));
  admin.send(startup({ user: "pgbouncer", database: "pgbouncer" }));
  await admin.until("Z");
  const tcp = await Wire.open(port);
  tcp.send(startup({ user: "pgbouncer", database: "pgbouncer" }));
  assert.equal(errorOf(await tcp.until("E")).C, "28000");
  const wire = await Wire.login(port);
  const refused = await wire.query("begin");
  assert.deepEqual(refused.map(({ type }) => type), ["C", "E"]); // never that it is ready
  assert.equal(errorOf(refused).C, "0A000");
  for (const [sql, code] of [
    ["set pool_mode=transaction"], ["SET query_timeout TO '2.5'"], ["set default_pool_size = 7;"], ["set extra_float_digits = 3"],
    ["set pool_mode=often", "22023"], ["set default_pool_size = -1", "22023"], ["set nonsense = 1", "22023"], ["set pool_mode", "42601"],
  ])
    assert.equal(errorOf(await admin.query(sql))?.C, code, sql);
  const config = async () => Object.fromEntries((await admin.rows("show config")).map(([key, value]) => [key, value]));
  assert.equal((await config()).pool_size ?? (await config()).default_pool_size, "7");
  const again = await Wire.login(port);
  await again.rows("begin");
  assert.equal(errorOf(await again.query("select pg_sleep(9)")).C, "57014");
  // Who may only look may not set.
  const stats = await Wire.login(port, { database: "pgbouncer" });
  assert.equal(errorOf(await stats.query("set default_pool_size = 1")).C, "42501");
  assert.equal(errorOf(await stats.query("reload")).C, "42501");
  // RELOAD answers when the file is in force.
  // It listens where it did at start, whatever the file says now, as PgBouncer does.
  writeFileSync(join(dir, "b.ini"), ini(5).replace(/unix_socket_dir.*\n/, "").replace(`listen_port = ${port}`, `listen_port = ${await freePort()}`).replaceAll("DIR", dir));
  assert.equal(errorOf(await admin.query("RELOAD")), undefined);
  assert.equal((await config()).pool_size ?? (await config()).default_pool_size, "5");
  writeFileSync(join(dir, "b.ini"), "[pgbouncer]\nlisten_port = many\n");
  assert.equal(errorOf(await admin.query("RELOAD")).C, "F0000");
  assert.equal((await config()).pool_size ?? (await config()).default_pool_size, "5");
  again.close(); // its transaction would be waited for
  assert.equal((await weir.stop("SIGTERM")).code, 0);
});

test("signals are PgBouncer's: SIGTERM waits for clients, SIGINT for connections, a second ends it, SIGQUIT at once", async () => {
  const run = async (name, mode) => {
    const port = await freePort();
    const { weir } = await start(name, `[databases]\n* = host=127.0.0.1 port=${postgres.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =\nauth_type = any\npool_mode = ${mode}\n`);
    const signal = (which) => weir.process.kill(which);
    const told = async (which, text) => {
      const said = weir.output.length;
      signal(which);
      await weir.waitFor(text, said);
      await sleep(300);
      assert.equal(weir.process.exitCode, null);
    };
    const [a, b] = [await Wire.login(port), await Wire.login(port)];
    return { port, weir, signal, told, a, b, ended: async () => assert.equal((await weir.exited).code, 0) };
  };
  const paused = await run("sigusr1", "transaction");
  await paused.told("SIGUSR1", "all databases are paused");
  const waits = paused.a.rows("select 3");
  assert.equal(await Promise.race([waits.then(() => "answered"), sleep(300).then(() => "waits")]), "waits");
  await paused.told("SIGUSR2", "databases are resumed");
  assert.deepEqual(await waits, [["3"]]);
  paused.signal("SIGTERM");
  paused.a.close();
  paused.b.close();
  await paused.ended();

  const term = await run("sigterm", "transaction");
  await term.told("SIGTERM", "all clients have left");
  await assert.rejects(Wire.open(term.port));
  assert.deepEqual(await term.a.rows("select 1"), [["1"]]);
  await term.told("SIGUSR2", "got SIGUSR2 while shutting down, ignoring");
  term.a.close();
  assert.deepEqual(await term.b.rows("select 2"), [["2"]]);
  term.b.close();
  await term.ended();

  const interrupted = await run("sigint", "transaction");
  await interrupted.a.rows("begin");
  await interrupted.told("SIGINT", "no client has a connection");
  assert.equal(errorOf(await interrupted.b.query("select 1")).C, "57P01");
  assert.deepEqual(await interrupted.a.rows("select 1"), [["1"]]);
  await interrupted.a.rows("commit");
  await interrupted.ended();

  for (const [first, second] of [["SIGTERM", "SIGTERM"], ["SIGINT", "SIGINT"], ["SIGTERM", "SIGINT"]]) {
    const twice = await run(`${first}-${second}`, "session");
    await twice.a.rows("select 1");
    await twice.told(first, "shutting down");
    assert.deepEqual(await twice.a.rows("select 2"), [["2"]]);
    twice.signal(second);
    await twice.ended();
  }
  const quit = await run("sigquit", "transaction");
  await quit.a.rows("begin");
  quit.signal("SIGQUIT");
  await quit.ended();
});

test("signals and the console have one pause", async () => {
  const port = await freePort();
  const { weir } = await start("one-pause", `[databases]\n* = host=127.0.0.1 port=${postgres.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n`);
  const told = async (which, text) => {
    const said = weir.output.length;
    weir.process.kill(which);
    await weir.waitFor(text, said);
  };
  const [admin, wire] = [await Wire.login(port, { database: "pgbouncer" }), await Wire.login(port)];
  const paused = async () => (await admin.rows("show state")).find(([key]) => key === "paused")[1];
  await told("SIGUSR1", "all databases are paused");
  await eventually(async () => assert.equal(await paused(), "yes"));
  await admin.rows("resume");
  await admin.rows("reload"); // does not bring it back
  assert.deepEqual(await wire.rows("select 1"), [["1"]]);
  await admin.rows("pause");
  await told("SIGUSR2", "databases are resumed");
  assert.deepEqual(await wire.rows("select 2"), [["2"]]);
  assert.equal(await paused(), "no");
  await told("SIGUSR2", "started anew");
  assert.deepEqual(await wire.rows("select 3"), [["3"]]);
  await weir.stop("SIGQUIT");
});

test("mistakes are told with file and line", async () => {
  const { weir } = await start("mistakes", "[databases]\napp = host=x\n[nonsense]\n[pgbouncer]\ndefault_pool_size = many\nauth_type = pam\nno equals here\nlisten_port = 0\n");
  const { code } = await weir.exited;
  assert.equal(code, 1);
  for (const line of [/b\.ini:3: \[nonsense\]: there is no such section/, /b\.ini:5: default_pool_size = "many": expected a number/, /b\.ini:6: auth_type = "pam"/, /b\.ini:7: /, /b\.ini:8: listen_port = "0": expected a number from 1 to 65535/])
    assert.match(weir.output, line);
});

test("TLS by PgBouncer's words: shortcuts of ciphers and protocols, files that are not there", async () => {
  const port = await freePort();
  const pair = makeCertificate(postgres.dir, "pgbouncer", "localhost");
  chmodSync(pair.key, 0o644);
  const ini = (client, server) =>
    `[databases]\n* = host=127.0.0.1 port=${postgres.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =\nauth_type = any\n` +
    `client_tls_sslmode = Require\nclient_tls_key_file = ${pair.key}\nclient_tls_cert_file = ${pair.certificate}\nclient_tls_ca_file =\n${client}\n` +
    `server_tls_sslmode = require\nserver_tls_ca_file =\nserver_tls_key_file =\nserver_tls_cert_file =\n${server}\n`;
  const version = (versions, ssl) =>
    spawnSync(`${postgres.bin}/psql`, [`host=127.0.0.1 port=${port} user=postgres dbname=postgres sslmode=${ssl} ssl_min_protocol_version=${versions} ssl_max_protocol_version=${versions}`,
      "-XAtqc", "select version from pg_stat_ssl where pid = pg_backend_pid()"], { encoding: "utf8", timeout: 20000 * patience });
  const { weir } = await start("tls_words", ini("client_tls_ciphers = fast\nclient_tls_protocols = secure:!tlsv1.3", "server_tls_ciphers = all\nserver_tls_protocols = TLSv1.2"));
  assert.equal(version("TLSv1.2", "require").stdout.trim(), "TLSv1.2", weir.output); // also to the server
  assert.notEqual(version("TLSv1.3", "require").status, 0);
  await weir.stop();
  for (const [name, words] of [["normal", "default"], ["legacy", "legacy"], ["ours", "ECDHE-ECDSA-AES256-GCM-SHA384"]]) {
    const { weir: next } = await start(`tls_${name}`, ini(`client_tls_ciphers = ${words}\nclient_tls_protocols = all`, `server_tls_ciphers = ${words}\nserver_tls_protocols = tlsv1.2,tlsv1.3`));
    assert.equal(version("TLSv1.2", "require").stdout.trim(), "TLSv1.3", next.output);
    await next.stop();
  }
  const toml = spawnSync(weirPath, ["pool", "import", join(postgres.dir, "tls_legacy", "b.ini")], { encoding: "utf8" }).stdout;
  assert.match(toml, /ciphers = "HIGH:MEDIUM:!aNULL"/);
  assert.match(toml, /protocols = "tlsv1.2,tlsv1.3"/);
  assert.doesNotMatch(toml, /ca_file/);
});

test("mistakes of TLS are told at start, not by the first client", async () => {
  const wrong = async (name, lines, text) => {
    const { weir } = await start(name, `[databases]\n* = host=127.0.0.1\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${await freePort()}\nunix_socket_dir =\nauth_type = any\n${lines}\n`);
    assert.equal((await weir.exited).code, 1, name);
    assert.match(weir.output, text);
  };
  await wrong("tls_cipher", "server_tls_ciphers = nonsense", /b\.ini:8: tls_ciphers = "nonsense": OpenSSL knows no such cipher/);
  await wrong("tls_protocol", "server_tls_protocols = tlsv1.2,tlsv1.9", /b\.ini:8: tls_protocols = "tlsv1\.2,tlsv1\.9": expected secure, all, or a list/);
  await wrong("tls_mode", "server_tls_sslmode = verify", /b\.ini:8: sslmode = "verify": expected one of disable allow prefer/);
  await wrong("tls_no_key", "client_tls_sslmode = require", /client_tls_sslmode = "require" needs client_tls_key_file and client_tls_cert_file/);
  await wrong("tls_no_pem", "server_tls_ca_file = DIR/b.ini", /server_tls_ca_file: there is no certificate in it/);
});

test("the unix socket's rights and group are kept, also by the import", async () => {
  const port = await freePort();
  const group = process.getuid() === 0 ? 65534 : process.getgid();
  const { weir, dir } = await start("rights", `[databases]\n* = host=127.0.0.1 port=${postgres.port}\n[pgbouncer]\nlisten_addr =\nlisten_port = ${port}\nunix_socket_dir = DIR\n` +
    `unix_socket_mode = 0750\nunix_socket_group = ${group}\nauth_type = any\nserver_tls_sslmode = disable\n`);
  const rights = () => {
    const { mode, gid } = statSync(join(dir, `.s.PGSQL.${port}`));
    return [(mode & 0o777).toString(8), gid];
  };
  assert.deepEqual(rights(), ["750", group], weir.output);
  await weir.stop();
  const toml = join(dir, "pool.toml");
  assert.equal(spawnSync(weirPath, ["pool", "import", join(dir, "b.ini"), "--output", toml]).status, 0);
  const again = await Weir.start(["pool", "--config", toml]);
  await Promise.race([again.waitFor("pool ready on"), again.exited]);
  assert.deepEqual(rights(), ["750", group], again.output);
  await again.stop();
  const wrong = await start("rights_wrong", "[databases]\n* = host=x\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = DIR\nunix_socket_mode = 0999\nauth_type = any\n");
  assert.equal((await wrong.weir.exited).code, 1);
  assert.match(wrong.weir.output, /b\.ini:6: unix_socket_mode = "0999": expected rights in octal/);
});

const settings = {
  logfile: "/var/log/pgbouncer.log", pidfile: "/run/pgbouncer.pid", user: "postgres", max_packet_size: 65536,
  server_login_retry: 1, tcp_keepalive: 0, tcp_keepidle: 1, tcp_keepintvl: 1, tcp_keepcnt: 1, tcp_socket_buffer: 65536, tcp_defer_accept: 3, listen_backlog: 1024,
  stats_period: 10, dns_nxdomain_ttl: 1, so_reuseport: 1, pkt_buf: 8192, sbuf_loopcnt: 1, verbose: 2, track_extra_parameters: "IntervalStyle, search_path", resolv_conf: "/etc/resolv.conf", syslog: 1, application_name_add_host: 1, suspend_timeout: 5,
};
const defaults = {
  logfile: "", pidfile: "", max_packet_size: 2147483647, server_check_query: "select 1", server_check_delay: "30.0", server_login_retry: 15, tcp_keepalive: 1, tcp_keepidle: 0,
  tcp_defer_accept: 1, listen_backlog: 128, stats_period: 60, dns_max_ttl: 15, so_reuseport: 0, pkt_buf: 4096, verbose: 0, track_extra_parameters: "IntervalStyle", syslog: 0,
  client_tls_dheparams: "auto", client_tls_ecdhcurve: "auto",
};

test("each setting that has an effect and is not carried over is told, with what is done instead; defaults are not", async () => {
  const ini = async (set) => `[databases]\n* = host=127.0.0.1 port=${postgres.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${await freePort()}\nunix_socket_dir =\nauth_type = any\n` +
    Object.entries(set).map(([name, value]) => `${name} = ${value}\n`).join("");
  const told = (text) => [...text.matchAll(/b\.ini:(\d+): (\w+) is not carried over: (\S.*)/g)];
  const { weir, dir } = await start("notes", await ini(settings));
  assert.deepEqual(told(weir.output).map(([, line, name]) => [Number(line), name]), Object.keys(settings).map((name, i) => [8 + i, name]), weir.output);
  assert.ok(told(weir.output).every(([, , , text]) => !text.startsWith("the pool has nothing")), weir.output);
  assert.match(weir.output, /logfile is not carried over: the log goes to standard error; let systemd or the shell keep it/);
  await weir.stop();
  const imported = spawnSync(weirPath, ["pool", "import", join(dir, "b.ini")], { encoding: "utf8" });
  assert.equal(told(imported.stderr).length, Object.keys(settings).length, imported.stderr);
  const json = JSON.parse(spawnSync(weirPath, ["pool", "--pgbouncer-ini", join(dir, "b.ini"), "--check", "--json"], { encoding: "utf8" }).stdout);
  assert.deepEqual([json.ok, json.errors, json.warnings], [true, 0, json.messages.length]);
  assert.deepEqual(json.messages.map(({ file, line, severity, key }) => [file, line, severity, key]), Object.keys(settings).map((name, i) => [join(dir, "b.ini"), 8 + i, "warning", name]));
  assert.ok(json.messages.every(({ key, message }) => message.startsWith(`${key} is not carried over: `)));
  const quiet = await start("notes_of_defaults", await ini(defaults));
  assert.deepEqual(told(quiet.weir.output), []);
  await quiet.weir.stop();
});

// weir pool --check of a file: what it says, and its exit code.
function checked(name, ini) {
  const file = join(postgres.dir, `${name}.ini`);
  writeFileSync(file, ini);
  const { status, stderr } = spawnSync(weirPath, ["pool", "--pgbouncer-ini", file, "--check"], { encoding: "utf8", timeout: 20000 * patience });
  return { status, text: stderr };
}

test("what PgBouncer refuses is a mistake here, too", () => {
  const general = "[pgbouncer]\nunix_socket_dir =\nauth_type = any\n";
  for (const [line, told] of [
    [`[databases]\napp = host=h\n${general}listen_adr = x\n`, /:6: listen_adr: PgBouncer has no such setting; did you mean "listen_addr"\?\n/],
    [`[databases]\napp = host=h\n${general}quaint = 1\n`, /:6: quaint: PgBouncer has no such setting\n/],
    [`[databases]\napp = host=h\n${general}server_tls_sslmod = verify-full\n`, /:6: server_tls_sslmod: .*"server_tls_sslmode"\?\n/],
    [`[databases]\napp = host=h\n${general}log_connections = maybe\n`, /:6: log_connections = "maybe": expected 0 or 1\n/],
    [`[databases]\napp = host=h\n${general}server_reset_query_always = on\n`, /:6: server_reset_query_always = "on": expected 0 or 1\n/],
    [`[databases]\napp = host=h prot=1\n${general}`, /:2: prot: PgBouncer has no such parameter of a database; did you mean "port"\?\n/],
    [`[databases]\napp = host=h port\n${general}`, /:2: "port": expected key=value\n/],
    [`[databases]\npgbouncer = host=h\n${general}`, /:2: the name pgbouncer is the console's\n/],
    [`[databases]\napp = host=h\n[users]\nana = pool_mod=session\n${general}`, /:4: pool_mod: PgBouncer has no such setting of a user; did you mean "pool_mode"\?\n/],
    [`[databases]\napp = host=@h\n${general}`, /:2: host = "@h": abstract sockets are not possible; give a directory\n/],
    ["[databases]\napp = host=h\n[pgbouncer]\nauth_type = any\nunix_socket_dir = @h\n", /:5: unix_socket_dir = "@h": abstract sockets are not possible; give a directory\n/],
    [`[databases]\napp = host=h\n${general}listen_addr = nowhere.invalid\n`, /: listen_addr = "nowhere\.invalid": \w/],
  ]) {
    const { status, text } = checked("refused", line);
    assert.match(text, told);
    assert.match(text, /has 1 mistake\n$/);
    assert.equal(status, 1);
  }
  const twice = checked("twice", `[databases]\napp = host=h\napp = host=i connect_query='select 1'\n${general}`);
  assert.equal(twice.status, 0);
  assert.match(twice.text, /:3: the database "app" is there twice; the last one holds\n/);
  assert.match(twice.text, /:3: connect_query ends the login when it fails: PgBouncer logs that, and goes on\n/);
});

test("listen_addr is what the resolver makes of it, databases without a host, and no reserve after no time", async () => {
  const port = await freePort();
  const { weir, dir } = await start("places", `[databases]\npostgres = port=${postgres.port}\nfirst = host=h\nfirst = port=${postgres.port} dbname=postgres reserve_pool=3\n` +
    `[pgbouncer]\nlisten_addr = 127.1, localhost\nlisten_port = ${port}\nunix_socket_dir = ${postgres.dir}\nauth_type = any\nserver_tls_sslmode = disable\n` +
    `admin_users = postgres\nreserve_pool_size = 5\nreserve_pool_timeout = 0\n`);
  const wires = [await Wire.login(port), await Wire.login(port, { database: "first" })];
  for (const wire of wires) assert.deepEqual(await wire.rows("select current_database()"), [["postgres"]], weir.output);
  const admin = await Wire.login(port, { database: "pgbouncer" });
  const rows = await admin.rows("show databases");
  assert.deepEqual(rows.map(([name, host]) => [name, host]), [["postgres", postgres.dir], ["first", postgres.dir], ["pgbouncer", null]]);
  assert.deepEqual(rows.map((row) => row[7]).slice(0, 2), ["0", "0"]);
  for (const wire of [...wires, admin]) wire.close(); // SIGTERM waits for them
  await weir.stop();
  assert.match(spawnSync(weirPath, ["pool", "import", join(dir, "b.ini")], { encoding: "utf8" }).stdout, /^listen = \["\S+:\d+", /m);
});

test("a file that was imported is taken: auth_query for all, auth_user of one database", () => {
  const dir = join(postgres.dir, "taken"), toml = join(dir, "pool.toml");
  mkdirSync(dir);
  writeFileSync(join(dir, "b.ini"), "[databases]\n* = host=127.0.0.1 auth_user=auth\n[pgbouncer]\nlisten_addr = 127.0.0.1\nunix_socket_dir =\nauth_type = md5\nauth_query = select usename, passwd from pg_shadow where usename = $1\n");
  assert.equal(spawnSync(weirPath, ["pool", "import", join(dir, "b.ini"), "--output", toml]).status, 0);
  const { status, stderr } = spawnSync(weirPath, ["pool", "--config", toml, "--check"], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
});

test("Debian's own file, in which there is no database, starts, and its console answers", async () => {
  const port = await freePort();
  const { weir, dir } = await start("debian", `;;; PgBouncer configuration file
[databases]
;foodb =
[users]
[pgbouncer]
logfile = /var/log/postgresql/pgbouncer.log
pidfile = /var/run/postgresql/pgbouncer.pid
listen_addr = localhost
listen_port = ${port}
unix_socket_dir = DIR
auth_type = md5
auth_file = DIR/userlist.txt
`, { "userlist.txt": "" });
  assert.match(weir.output, /b\.ini: \[databases\] is empty: nothing but the console can be connected to/);
  const admin = await Wire.open(join(dir, `.s.PGSQL.${port}`));
  admin.send(startup({ user: "pgbouncer", database: "pgbouncer" }));
  await admin.until("Z");
  assert.deepEqual((await admin.rows("show databases")).map(([name]) => name), ["pgbouncer"]);
  await weir.stop();
});

test("listen_addr = * is IPv6 as well; names in quotes are what is within", async (t) => {
  const port = await freePort();
  const { weir } = await start("star", `[databases]\n"my-app" = host=127.0.0.1 port=${postgres.port} dbname=postgres\n"an=""other""" = host=127.0.0.1 port=${postgres.port} dbname=template1\n` +
    `'plain' = host=127.0.0.1 port=${postgres.port} dbname=postgres\n[users]\n"post-gres" = pool_mode=statement\n` +
    `[pgbouncer]\nlisten_addr = *\nlisten_port = ${port}\nunix_socket_dir =\nauth_type = any\nserver_tls_sslmode = disable\n`);
  const ask = (host, database) =>
    execFileSync(`${postgres.bin}/psql`, ["-h", host, "-p", String(port), "-U", "postgres", "-d", `dbname='${database}'`, "-XAtqc", "select current_database()"], { encoding: "utf8", stdio: "pipe", timeout: 20000 * patience }).trim();
  assert.equal(ask("127.0.0.1", "my-app"), "postgres", weir.output);
  assert.equal(ask("127.0.0.1", 'an="other"'), "template1");
  assert.equal(ask("127.0.0.1", "plain"), "postgres");
  if (Object.values(networkInterfaces()).flat().some(({ address }) => address === "::1")) assert.equal(ask("::1", "my-app"), "postgres");
  else t.diagnostic("this machine has no IPv6");
  await weir.stop();
});

test("session pooling is the default there, and stays it", async () => {
  const port = await freePort();
  const { weir } = await start("session", `[databases]\n* = host=127.0.0.1 port=${postgres.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =\nauth_type = any\n`);
  const wire = await Wire.login(port);
  await wire.rows("set statement_timeout = 1234");
  const other = await Wire.login(port);
  other.send(query("show statement_timeout"));
  assert.equal(errorOf(await other.until("Z")), undefined);
  assert.deepEqual(await wire.rows("show statement_timeout"), [["1234ms"]]);
  for (const one of [wire, other]) one.close(); // SIGTERM waits for them
  await weir.stop();
});

test("auth_type plain is a clear password", async () => {
  const port = await freePort();
  const ini = `[databases]\n* = host=127.0.0.1 port=${postgres.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =\nauth_type = plain\nauth_file = DIR/users.txt\n`;
  const { weir } = await start("plain", ini, { "users.txt": '"postgres" "clear"\n' });
  const ask = (password) =>
    execFileSync(`${postgres.bin}/psql`, ["-h", "127.0.0.1", "-p", String(port), "-U", "postgres", "-d", "postgres", "-XAtqc", "select 1"], {
      env: { ...process.env, PGPASSWORD: password }, encoding: "utf8", timeout: 20000 * patience, stdio: ["ignore", "pipe", "pipe"],
    }).trim();
  assert.equal(ask("clear"), "1");
  assert.throws(() => ask("wrong"), /password authentication failed/);
  await weir.stop();
});
