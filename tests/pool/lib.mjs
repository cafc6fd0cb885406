// SPDX-License-Identifier: Apache-2.0
// A private Postgres, `weir pool` before it, and a client that speaks the protocol message by message.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { appendFileSync, chmodSync, chownSync, closeSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";
import tls from "node:tls";

import { Weir, freePort, patience } from "../e2e/lib.mjs";

export { Weir, freePort, patience };

// For tests of a process's memory: false, or why they can not be run.
export const sanitized = process.env.ASAN_OPTIONS !== undefined && "the sanitizer keeps what was freed, and more";

// Hooks that are made within another hook belong to that one: these are the file's.
const cleanups = [];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

const NOBODY = 65534;
const root = process.getuid() === 0;

// Where nobody gets to, too.
const open = (dir) => dir === "/" || ((statSync(dir).mode & 0o001) !== 0 && open(dirname(dir)));
const scratch = [tmpdir(), "/tmp", "/var/tmp"].find((dir) => !root || open(dir)) ?? tmpdir();

export function postgresBin() {
  const base = "/usr/lib/postgresql";
  const versions = existsSync(base) ? readdirSync(base).filter((v) => existsSync(join(base, v, "bin/postgres"))) : [];
  if (versions.length === 0) throw new Error("Postgres is missing: apt-get install postgresql-15");
  return join(base, versions.sort((a, b) => b - a)[0], "bin");
}

// Postgres refuses to be root.
export function asUser(command, args, options = {}) {
  const [program, ...rest] = asUser.command(command, args);
  return execFileSync(program, rest, { stdio: ["ignore", "pipe", "pipe"], timeout: 60000 * patience, ...options });
}

asUser.command = (command, args) => [...(root ? ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"] : []), command, ...args];

export function makeCertificate(dir, name, subject, { ca } = {}) {
  const at = (file) => join(dir, file);
  const openssl = (...args) => execFileSync("openssl", args, { stdio: ["ignore", "pipe", "pipe"] });
  const key = at(`${name}.key`);
  const certificate = at(`${name}.crt`);
  const common = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-subj", `/CN=${subject}`];
  if (ca === undefined) {
    openssl("req", "-x509", "-days", "2", ...common, "-out", certificate);
  } else {
    openssl("req", ...common, "-out", at(`${name}.csr`));
    writeFileSync(at(`${name}.ext`), `subjectAltName=DNS:${subject},IP:127.0.0.1`);
    openssl("x509", "-req", "-days", "2", "-in", at(`${name}.csr`), "-CA", ca.certificate, "-CAkey", ca.key, "-CAcreateserial",
      "-out", certificate, "-extfile", at(`${name}.ext`));
  }
  return { key, certificate };
}

const hba = `
local all all trust
local replication postgres trust
host all scram_user 127.0.0.1/32 scram-sha-256
host all md5_user 127.0.0.1/32 md5
host all password_user 127.0.0.1/32 password
hostssl all tls_user 127.0.0.1/32 scram-sha-256
host all all 127.0.0.0/8 trust
host all all 10.213.77.0/30 trust
`;

// {port, dir, sql(text), stop(), start(), restart(), kill(), ctl(arguments)}; gone when the file's tests are over.
// standbyOf: another such, which it follows.
export async function startPostgres(settings = "", { address = "127.0.0.1", port: wanted, within = [], standbyOf: primary } = {}) {
  const bin = postgresBin();
  const dir = mkdtempSync(join(scratch, "weir-pg-"));
  const data = join(dir, "data");
  const port = wanted ?? (await freePort());
  if (root) chownSync(dir, NOBODY, NOBODY);
  const postgres = {
    dir,
    port,
    bin,
    ctl(...args) {
      const [program, ...rest] = [...within, ...asUser.command(join(bin, "pg_ctl"), ["-D", data, "-w", "-t", "30", ...args])];
      execFileSync(program, rest, { stdio: "ignore", timeout: 60000 * patience });
    },
    sql: (text, database = "postgres") =>
      execFileSync(join(bin, "psql"), ["-h", dir, "-p", String(port), "-U", "postgres", "-d", database, "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", text], {
        encoding: "utf8",
        timeout: 20000 * patience,
      }).trimEnd(),
    start: () => postgres.ctl("-l", join(dir, "log"), "start"),
    stop: (mode = "fast") => postgres.ctl("-m", mode, "stop"),
    restart: () => postgres.ctl("-l", join(dir, "log"), "-m", "fast", "restart"),
    kill: () => process.kill(Number(readFileSync(join(data, "postmaster.pid"), "utf8").split("\n")[0]), "SIGKILL"),
    log: () => readFileSync(join(dir, "log"), "utf8"),
  };
  if (primary === undefined) asUser(join(bin, "initdb"), ["-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"]);
  else asUser(join(bin, "pg_basebackup"), ["-h", primary.dir, "-p", String(primary.port), "-U", "postgres", "-w", "-D", data, "-R", "-C", "-S", `standby_${port}`, "-c", "fast", "--no-sync"]);
  const pair = makeCertificate(dir, "server", "localhost");
  if (root) chownSync(pair.key, NOBODY, NOBODY);
  chmodSync(pair.key, 0o600);
  appendFileSync(
    join(data, "postgresql.conf"),
    `port=${port}\nlisten_addresses='${address}'\nunix_socket_directories='${dir}'\nfsync=off\nmax_connections=60\nshared_buffers=32MB\n` +
      `max_prepared_transactions=5\nssl=on\nssl_cert_file='${pair.certificate}'\nssl_key_file='${pair.key}'\nlog_min_messages=fatal\n` +
      `log_min_error_statement=panic\n${settings}\n`,
  );
  writeFileSync(join(data, "pg_hba.conf"), hba);
  cleanups.push(() => {
    try {
      postgres.stop("immediate");
    } catch {
      // it is stopped already
    }
    rmSync(dir, { recursive: true, force: true });
  });
  postgres.start();
  if (primary !== undefined) return postgres;
  postgres.sql(
    "create role scram_user login password 'scram secret'; create role tls_user login password 'tls secret';" +
      "create role password_user login password 'clear secret'; set password_encryption = md5;" +
      "create role md5_user login password 'md5 secret'",
  );
  return postgres;
}

// A verifier as Postgres keeps it.
export function scramVerifier(password, iterations = 4096) {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const hmac = (text) => createHmac("sha256", salted).update(text).digest();
  const stored = createHash("sha256").update(hmac("Client Key")).digest("base64");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${stored}:${hmac("Server Key").toString("base64")}`;
}

export const database = (postgres, extra = "", name = "*") =>
  `[[databases]]\nname = "${name}"\nhost = "127.0.0.1"\nport = ${postgres.port}\n${extra}\n[databases.tls]\nmode = "disable"\n`;

// How the pool reads and writes: by io_uring, or as it does where the kernel has none.
const sockets = process.env.WEIR_POOL_IO === "epoll" ? "io_uring = false\n" : "";

// `weir pool` on a port of its own; toml: what follows `listen`. {port, dir, weir, stop(), pid()}
export async function startPool(toml, options = {}) {
  const dir = mkdtempSync(join(scratch, "weir-pool-"));
  const port = await freePort();
  const file = join(dir, "pool.toml");
  const write = (text) => {
    writeFileSync(file, `listen = ["127.0.0.1:${port}", "${dir}/.s.PGSQL.${port}"]\n${sockets}${text}`);
    chmodSync(file, 0o600);
  };
  write(toml);
  chmodSync(dir, 0o755);
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  const weir = await Weir.start(["pool", "--config", file], options);
  cleanups.push(() => weir.stop("SIGKILL"));
  await Promise.race([
    weir.waitFor("pool ready on"),
    weir.exited.then(({ code }) => Promise.reject(new Error(`weir pool ended with ${code}:\n${weir.output}`))),
  ]);
  return {
    port,
    dir,
    weir,
    write,
    stop: (signal) => weir.stop(signal),
    // Of the process that does the work.
    pid: () => Number(spawnSync("pgrep", ["-P", String(weir.process.pid), "weir-pool"], { encoding: "utf8" }).stdout),
  };
}

// The pool's process has no rights but those that its seccomp profile lists (tests/unit/test_sandbox.c).
export function assertConfined(pid) {
  const id = root ? NOBODY : undefined;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const status = Object.fromEntries(readFileSync(`/proc/${pid}/task/${task}/status`, "utf8").trimEnd().split("\n").map((line) => line.split(/:\s*/)));
    assert.equal(status.Name, "weir-pool");
    assert.deepEqual([status.Seccomp, status.NoNewPrivs], ["2", "1"]);
    for (const set of ["CapEff", "CapPrm", "CapInh", "CapAmb"]) assert.equal(BigInt(`0x${status[set]}`), 0n, set);
    assert.deepEqual(new Set(status.Uid.split("\t")), new Set([String(id ?? process.getuid())]));
    assert.deepEqual(new Set(status.Gid.split("\t")), new Set([String(id ?? process.getgid())]));
    if (root) assert.equal(status.Groups, "");
  }
}

// Between the pool and Postgres: new connections lead to whichever `to` is, once opens() has resolved, if there is that; cut()
// ends those that there are. {port, to, opens, cut()}
export async function startRelay(to) {
  const sockets = new Set();
  const relay = { to, pairs: [], cut: () => sockets.forEach((socket) => socket.destroy()) };
  const server = net.createServer(async (near) => {
    const far = net.connect(relay.to.port, "127.0.0.1");
    sockets.add(near.on("close", () => sockets.delete(near)));
    for (const socket of [near, far]) socket.unref().on("error", () => {}).on("close", () => [near, far].forEach((each) => each.destroy()));
    await relay.opens?.();
    relay.pairs.push([near, far]);
    near.pipe(far).pipe(near);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return Object.assign(relay, { port: server.unref().address().port });
}

// How often each text is in a process's memory.
export function copies(pid, texts) {
  const PIECE = 1 << 20, PAGE = 4096, OVERLAP = 200; // a text may be in two pieces
  const counts = texts.map(() => 0), [memory, pages] = ["mem", "pagemap"].map((name) => openSync(`/proc/${pid}/${name}`));
  const buffer = Buffer.alloc(PIECE + OVERLAP), present = Buffer.alloc((PIECE / PAGE) * 8);
  for (const line of readFileSync(`/proc/${pid}/maps`, "utf8").trimEnd().split("\n")) {
    const [, from, to] = line.match(/^(\w+)-(\w+) r/) ?? [];
    if (from === undefined || /\[(vvar|vsyscall)/.test(line)) continue;
    for (let at = parseInt(from, 16), end = parseInt(to, 16); at < end; at += PIECE) {
      const bytes = Math.min(PIECE, end - at), told = readSync(pages, present, 0, (bytes / PAGE) * 8, (at / PAGE) * 8);
      let entry = 7;
      while (entry < told && (present[entry] & 0xc0) === 0) entry += 8;
      if (entry >= told) continue; // of gigabytes that the engine reserves
      const found = buffer.subarray(0, readSync(memory, buffer, 0, Math.min(bytes + OVERLAP, end - at), at));
      texts.forEach((text, i) => {
        for (let where = -1; (where = found.indexOf(text, where + 1)) >= 0 && where < PIECE; ) counts[i]++;
      });
    }
  }
  for (const fd of [memory, pages]) closeSync(fd);
  return counts;
}

// ---- the protocol ----

const text = (value) => Buffer.from(`${value}\0`);
const int16 = (value) => Buffer.from([(value >> 8) & 255, value & 255]);
const int32 = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

export function message(type, ...parts) {
  const body = Buffer.concat(parts.map((part) => (typeof part === "string" ? text(part) : part)));
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

export const query = (sql) => message("Q", sql);
export const parse = (name, sql, types = []) => message("P", name, sql, int16(types.length), ...types.map(int32));
export const bind = (portal = "", name = "", values = []) =>
  message("B", portal, name, int16(0), int16(values.length),
    ...values.flatMap((v) => (v === null ? [int32(0xffffffff)] : [int32(Buffer.byteLength(String(v))), Buffer.from(String(v))])), int16(0));
export const describe = (kind, name) => message("D", Buffer.from(kind), name);
export const execute = (portal = "", rows = 0) => message("E", portal, int32(rows));
export const close = (kind, name) => message("C", Buffer.from(kind), name);
export const sync = () => message("S");
export const flush = () => message("H");
export const copyData = (data) => message("d", Buffer.from(data));
export const copyDone = () => message("c");
export const copyFail = (why) => message("f", why);
export const terminate = () => message("X");

export function startup(parameters, code = 3 << 16) {
  const body = Buffer.concat([int32(code), ...Object.entries(parameters).flatMap(([k, v]) => [text(k), text(v)]), Buffer.from([0])]);
  return Buffer.concat([int32(body.length + 4), body]);
}

export const sslRequest = () => Buffer.concat([int32(8), int32(80877103)]);

export function errorFields(body) {
  const fields = {};
  for (let at = 0; body[at] !== 0 && at < body.length; ) {
    const end = body.indexOf(0, at);
    fields[String.fromCharCode(body[at])] = body.toString("utf8", at + 1, end);
    at = end + 1;
  }
  return fields;
}

// What a reply says, in a form that can be compared: the numbers that differ by run are left out.
export function show({ type, body }) {
  if (type === "E" || type === "N") {
    const { S, C, M } = errorFields(body);
    return `${type} ${S} ${C} ${M}`;
  }
  if (type === "T") {
    const names = [];
    for (let at = 2, i = 0; i < body.readUInt16BE(0); i++) {
      const end = body.indexOf(0, at);
      names.push(`${body.toString("utf8", at, end)}:${body.readUInt32BE(end + 7)}`);
      at = end + 19;
    }
    return `T ${names.join(" ")}`;
  }
  if (type === "K") return "K";
  return `${type} ${body.toString("latin1").replaceAll("\0", "|")}`;
}

export class Wire {
  #waiting = [];
  #buffer = Buffer.alloc(0);
  messages = [];
  ended = false;
  text = ""; // all that came

  constructor(socket) {
    this.#attach(socket);
  }

  #attach(socket) {
    this.socket = socket;
    socket.on("data", (chunk) => this.#take(chunk));
    const end = () => {
      this.ended = true;
      this.#wake();
    };
    socket.on("close", end);
    socket.on("error", end);
  }

  static async open(port, host = "127.0.0.1", localAddress = undefined) {
    const socket = typeof port === "string" ? net.connect(port) : net.connect({ port, host, localAddress });
    await new Promise((done, fail) => socket.once("connect", done).once("error", fail));
    socket.setNoDelay(true);
    return new Wire(socket);
  }

  static async openTls(port, options) {
    const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
    await new Promise((done, fail) => socket.once("secureConnect", done).once("error", fail));
    return new Wire(socket);
  }

  // Logs in where no password is asked for.
  static async login(port, { user = "postgres", database = "postgres", ...parameters } = {}) {
    const wire = await Wire.open(port);
    wire.send(startup({ user, database, ...parameters }));
    wire.key = (await wire.until("Z")).find(({ type }) => type === "K")?.body;
    return wire;
  }

  // Asks that the query of a session with that key be cancelled; resolves when the connection for it is closed.
  static async cancel(port, key, from) {
    const wire = await Wire.open(port, "127.0.0.1", from);
    wire.send(Buffer.concat([int32(8 + key.length), int32(80877102), key]));
    await wire.wait(() => false);
  }

  #take(chunk) {
    this.text += chunk.length < 65536 ? chunk.toString("latin1") : "";
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    while (this.#buffer.length >= 5) {
      const size = this.#buffer.readUInt32BE(1) + 1;
      if (this.#buffer.length < size) break;
      this.messages.push({ type: String.fromCharCode(this.#buffer[0]), body: this.#buffer.subarray(5, size) });
      this.#buffer = this.#buffer.subarray(size);
    }
    this.#wake();
  }

  #wake() {
    this.#waiting = this.#waiting.filter((check) => !check());
  }

  send(...messages) {
    this.socket.write(Buffer.concat(messages));
  }

  // Resolves when ready() is true of what came; all messages so far, which are taken.
  wait(ready, ms = 10000 * patience) {
    return new Promise((done, fail) => {
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== check);
        fail(new Error(`nothing more came; so far: ${this.messages.map(show).join(", ")}`));
      }, ms);
      const check = () => {
        if (!ready(this.messages) && !this.ended) return false;
        clearTimeout(timer);
        done(this.messages.splice(0));
        return true;
      };
      if (!check()) this.#waiting.push(check);
    });
  }

  // Until `count` messages of that type have come.
  until(type, count = 1, ms) {
    return this.wait((messages) => messages.filter((m) => m.type === type).length >= count, ms);
  }

  async query(sql) {
    this.send(query(sql));
    return this.until("Z");
  }

  // Rows of a simple query as arrays of text; throws what the server says.
  async rows(sql) {
    const replies = await this.query(sql);
    const error = replies.find(({ type }) => type === "E");
    if (error) throw Object.assign(new Error(errorFields(error.body).M), { code: errorFields(error.body).C });
    return replies.filter(({ type }) => type === "D").map(({ body }) => {
      const row = [];
      for (let at = 2; at < body.length; ) {
        const length = body.readInt32BE(at);
        row.push(length < 0 ? null : body.toString("utf8", at + 4, at + 4 + length));
        at += 4 + Math.max(length, 0);
      }
      return row;
    });
  }

  close() {
    this.socket.destroy();
  }
}

export const errorOf = (replies) => {
  const error = replies.find(({ type }) => type === "E");
  return error && errorFields(error.body);
};

// Rows as objects, by the names of their columns.
export async function table(wire, sql) {
  const replies = await wire.query(sql);
  assert.equal(errorOf(replies), undefined, sql);
  const { body } = replies.find(({ type }) => type === "T");
  const names = [];
  for (let at = 2; at < body.length; at += 18) {
    const end = body.indexOf(0, at);
    names.push(body.toString("utf8", at, end));
    at = end + 1;
  }
  return replies.filter(({ type }) => type === "D").map(({ body: row }) => {
    const values = [];
    for (let at = 2; at < row.length; ) {
      const length = row.readInt32BE(at);
      values.push(length < 0 ? null : row.toString("utf8", at + 4, at + 4 + length));
      at += 4 + Math.max(length, 0);
    }
    return Object.fromEntries(names.map((name, i) => [name, values[i]]));
  });
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export async function eventually(check, ms = 10000 * patience) {
  const until = Date.now() + ms;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > until) throw error;
      await sleep(50);
    }
  }
}

// That many connections of the pool can be had at once, it knows of no more, and Postgres has those and no others by TCP (of the
// user that is named).
export async function assertNoneLeaked(postgres, pool, count, user = {}) {
  const admin = await Wire.login(pool.port, { user: "pgbouncer", database: "pgbouncer" });
  const wires = await Promise.all(Array.from({ length: count }, () => Wire.login(pool.port, user)));
  await Promise.all(wires.map((wire) => wire.rows("begin")));
  await eventually(async () => {
    const known = (await table(admin, "show servers")).map(({ remote_pid }) => remote_pid).sort();
    assert.equal(known.length, count);
    const those = user.user === undefined ? "" : ` and usename = '${user.user}'`;
    assert.deepEqual(postgres.sql(`select pid from pg_stat_activity where client_addr is not null${those}`).split("\n").filter(Boolean).sort(), known);
  }, 20000 * patience);
  for (const wire of [admin, ...wires]) wire.close();
}
