// SPDX-License-Identifier: Apache-2.0
// What bench/pool.mjs measures: Postgres itself, a backend that answers at once, and the poolers before them.
// A target is {name, port, dir: of its unix socket, server, pid: of the process that is measured, forks: it takes a
// while for a connection, stop()}.
import { execFileSync } from "node:child_process";
import { appendFileSync, chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";

import { Server, freePort, root, scratch, sleep, weirPath } from "./lib.mjs";

const isRoot = process.getuid() === 0;
const nobody = isRoot ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : [];
const asNobody = (command, args) => [...nobody, command, ...args];
const start = (name, [command, ...args], options) => new Server(name, command, args, options);

export const postgresBin = join("/usr/lib/postgresql", readdirSync("/usr/lib/postgresql").sort((a, b) => b - a).find((v) => existsSync(`/usr/lib/postgresql/${v}/bin/postgres`)), "bin");
export const run = ([command, ...args], options = {}) => execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], ...options });
export const PASSWORD = "a secret of the benchmark's";

if (isRoot) chmodSync(scratch, 0o755); // others run as nobody

export function directory(name) {
  const dir = mkdtempSync(join(scratch, `${name}-`));
  if (isRoot) chownSync(dir, 65534, 65534);
  return dir;
}

async function listens(port, server) {
  for (let tries = 0; ; tries++) {
    const open = await new Promise((done) => net.connect(port, "127.0.0.1").on("connect", function () { this.destroy(); done(true); }).on("error", () => done(false)));
    if (open) return;
    if (tries > 200 || server.process.exitCode !== null) throw new Error(`${server.name} did not start:\n${server.output}`);
    await sleep(50);
  }
}

// For TLS, of every target, and of the client "cert" to all.
export function certificate() {
  const dir = join(scratch, "tls"), pair = { certificate: join(dir, "crt"), key: join(dir, "key") };
  if (existsSync(dir)) return pair;
  mkdirSync(dir, { mode: 0o755 });
  run(["openssl", "req", "-x509", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", pair.key, "-out", pair.certificate, "-subj", "/CN=cert"]);
  if (isRoot) chownSync(pair.key, 65534, 65534);
  chmodSync(pair.key, 0o600);
  return pair;
}

export async function startPostgres() {
  const dir = directory("postgres"), data = join(dir, "data"), port = await freePort(), pair = certificate();
  run(asNobody(join(postgresBin, "initdb"), ["-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]));
  appendFileSync(join(data, "postgresql.conf"), `port=${port}\nlisten_addresses='127.0.0.1'\nunix_socket_directories='${dir}'\nfsync=off\nmax_connections=1100\nshared_buffers=128MB\n` +
    `ssl=on\nssl_cert_file='${pair.certificate}'\nssl_key_file='${pair.key}'\nssl_ca_file='${pair.certificate}'\n`);
  writeFileSync(join(data, "pg_hba.conf"), "local all all trust\n" +
    "hostssl all cert 127.0.0.1/32 cert\nhost all scram 127.0.0.1/32 scram-sha-256\nhost all md5 127.0.0.1/32 md5\nhost all plain 127.0.0.1/32 password\n" +
    "host all all 127.0.0.1/32 trust\n");
  const server = start("postgres", asNobody(join(postgresBin, "postgres"), ["-D", data]));
  await listens(port, server);
  await sleep(500);
  const on = ["-h", "127.0.0.1", "-p", String(port), "-U", "postgres"];
  run([join(postgresBin, "createdb"), ...on, "bench"]);
  const sql = (text) => run([join(postgresBin, "psql"), ...on, "-qAtc", text, "bench"]).trim(), secret = `password '${PASSWORD.replaceAll("'", "''")}'`;
  sql(`create role scram login ${secret}; create role plain login ${secret}; create role cert login; set password_encryption = md5; create role md5 login ${secret}`);
  const verifier = sql("select rolpassword from pg_authid where rolname = 'scram'");
  run([join(postgresBin, "pgbench"), ...on, "-i", "-q", "-s", "10", "bench"]);
  return { name: "direct", port, dir, server, verifier, pid: null, forks: true, prepared: true, stop: () => server.stop() };
}

export async function startBackend() {
  const port = await freePort(), dir = directory("backend");
  chmodSync(dir, 0o755);
  const server = start("backend", [join(root, "build/bench/pool_backend"), String(port), join(dir, `.s.PGSQL.${port}`)]);
  await listens(port, server);
  return { name: "direct", port, dir, server, pid: null, prepared: true, stop: () => server.stop() };
}

// Debian's, and last the one that weir is compared with.
export const pgbouncers = ["pgbouncer", ...(process.env.PGBOUNCER ? [process.env.PGBOUNCER] : [])];

const below = (pid, name) => Number(execFileSync("pgrep", ["-P", String(pid), name], { encoding: "utf8" }));

// How each pooler is told to ask: lines of weir's configuration and of PgBouncer's. users: whom it has in its list.
const authentication = {
  trust: { weir: 'auth = "any"', bouncer: "auth_type=trust" },
  password: { weir: 'auth = "password"', bouncer: "auth_type=plain", users: { plain: PASSWORD } },
  md5: { weir: 'auth = "md5"', bouncer: "auth_type=md5", users: { md5: PASSWORD } },
  scram: { weir: 'auth = "scram-sha-256"', bouncer: "auth_type=scram-sha-256", users: { scram: PASSWORD } },
  verifier: { weir: 'auth = "scram-sha-256"', bouncer: "auth_type=scram-sha-256", users: (to) => ({ scram: to.verifier }) },
  query: {
    weir: 'auth = "scram-sha-256"\nauth_user = "postgres"',
    bouncer: "auth_type=scram-sha-256\nauth_user=postgres\nauth_query=SELECT usename, passwd FROM pg_shadow WHERE usename=$1",
    users: { postgres: "x" },
  },
  cert: { weir: 'auth = "cert"', bouncer: "auth_type=cert", users: { cert: "x" }, tls: "verify-full" },
};
const authOf = (name, to) => {
  const { users = { postgres: "x" }, ...auth } = authentication[name];
  return { tls: "allow", ...auth, users: Object.entries(typeof users === "function" ? users(to) : users) };
};

const writeUsers = (dir, users) => writeFileSync(join(dir, "users.txt"), users.map(([name, secret]) => `"${name}" "${secret}"\n`).join(""), { mode: 0o600 });

// unix: towards the server, too. auth: one of those above.
export async function startWeir(to, { unix = false, auth = "trust" } = {}) {
  const port = await freePort(), dir = directory("weir"), pair = certificate(), config = join(dir, "pool.toml");
  const { weir, users, tls } = authOf(auth, to);
  writeFileSync(config, `listen = ["127.0.0.1:${port}", "${dir}/.s.PGSQL.${port}"]\npool_size = 20\n${weir}\nusers_file = "users.txt"\n[tls]\nmode = "${tls}"\nca_file = "${pair.certificate}"\ncertificate_file = "${pair.certificate}"\nkey_file = "${pair.key}"\n` +
    `[[databases]]\nname = "*"\nhost = "${unix ? to.dir : "127.0.0.1"}"\nport = ${to.port}\n[databases.tls]\nmode = "disable"\n`, { mode: 0o600 });
  writeUsers(dir, users);
  const server = start("weir", [weirPath, "pool", "--config", config]);
  await listens(port, server);
  await sleep(300);
  return { name: "weir", port, dir, server, pid: below(server.process.pid, "weir-pool"), prepared: true, stop: () => server.stop() };
}

export async function startPgBouncer(to, { unix = false, auth = "trust", program = pgbouncers.at(-1) } = {}) {
  const port = await freePort(), dir = directory("pgbouncer"), pair = certificate();
  const version = run([program, "--version"]).match(/\d+\.\d+/)[0];
  const prepared = Number(version.split(".")[1]) >= 21;
  const { bouncer, users, tls } = authOf(auth, to);
  writeUsers(dir, users);
  writeFileSync(join(dir, "b.ini"), `[databases]\n* = host=${unix ? to.dir : "127.0.0.1"} port=${to.port}\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=${port}\nunix_socket_dir=${dir}\n` +
    `${bouncer}\nauth_file=${dir}/users.txt\npool_mode=transaction\ndefault_pool_size=20\nmax_client_conn=7000\nlisten_backlog=4096\nlog_connections=0\nlog_disconnections=0\nserver_tls_sslmode=disable\n` +
    `client_tls_sslmode=${tls}\nclient_tls_ca_file=${pair.certificate}\nclient_tls_cert_file=${pair.certificate}\nclient_tls_key_file=${pair.key}\n${prepared ? "max_prepared_statements=200\n" : ""}`);
  if (isRoot) run(["chown", "-R", "65534:65534", dir]);
  const server = start("pgbouncer", asNobody(program, ["-q", join(dir, "b.ini")]));
  await listens(port, server);
  return { name: `PgBouncer ${version}`, port, dir, server, pid: server.process.pid, prepared, stop: () => server.stop() };
}

// A worker with a Hyperdrive binding, whose instances are gone when they were idle for so long. get(path) answers its JSON.
export async function startWorker(to, idle = "200ms") {
  const dir = mkdtempSync(join(scratch, "worker-")), port = await freePort(), config = join(dir, "weir.toml");
  mkdirSync(join(dir, "w"));
  writeFileSync(join(dir, "w/wrangler.toml"), `name = "w"\nmain = "${join(root, "bench/apps/pool/index.js")}"\ncompatibility_date = "2026-11-01"\ncompatibility_flags = ["nodejs_compat"]\n[[hyperdrive]]\nbinding = "DB"\nid = "bench"\n[vars]\nDIRECT = "postgres://scram:${PASSWORD}@127.0.0.1:${to.port}/bench"\n`);
  writeFileSync(join(dir, "password"), PASSWORD, { mode: 0o600 });
  writeFileSync(config, `[[listener]]\nport = ${port}\n[[worker]]\nproject = "w"\ndefault = true\negress_allow = ["127.0.0.1:${to.port}"]\n[worker.scale]\nidle_timeout = "${idle}"\n[pool]\nlisten = []\n[[pool.databases]]\nname = "bench"\nid = "bench"\nuser = "scram"\npassword_file = "password"\nhost = "127.0.0.1"\nport = ${to.port}\n[pool.databases.tls]\nmode = "disable"\n`, { mode: 0o600 });
  const server = start("weir", [weirPath, "serve", "--config", config]);
  const get = async (path = "/") => (await fetch(`http://127.0.0.1:${port}${path}`)).json();
  for (let tries = 0; tries < 200; tries++) {
    const answer = await get().catch(() => null);
    if (answer?.one === 1) return { name: "weir", port, server, get, stop: () => server.stop() };
    if (server.process.exitCode !== null) break;
    await sleep(100);
  }
  throw new Error(`the worker did not answer:\n${server.output}`);
}

export const cpuTicks = (pid) => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ").slice(11, 13).reduce((a, b) => a + Number(b), 0);
export const pssKb = (pid) => Number(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8").match(/^Pss:\s+(\d+)/m)[1]);
