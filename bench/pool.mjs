// SPDX-License-Identifier: Apache-2.0
// pgbench through weir's pool, through PgBouncer and to Postgres itself, in one run and in turns: transactions a second,
// the 99th percentile, the pooler's CPU time for each; memory of idle clients; how long a login takes; a worker's first query.
// Medians of the rounds. A ratio says whether the floor and the aim that the project set itself are met.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import tls from "node:tls";

import pg from "pg";

import { manyQueries } from "./apps/pool/many.js";
import { median, quantile, scratch, sleep } from "./lib.mjs";
import { readOptions } from "./options.mjs";
import { PASSWORD, certificate, cpuTicks, pgbouncers, postgresBin, pssKb, run, startBackend, startPgBouncer, startPostgres, startWeir, startWorker } from "./pool_targets.mjs";
import { judged, runParts, said, say, writeSection } from "./report.mjs";

const { values: options } = readOptions("pool");
const { quick } = options;
const rounds = quick ? 1 : 3, seconds = 2;

// ---- pgbench ----

// A thread for each client where a transaction has several statements: pgbench waits for a statement to be prepared, and
// other clients of its thread, which may have all connections, can not go on meanwhile.
function pgbench(target, args, clients, host = "127.0.0.1", sslmode = "disable") {
  const threads = args.some((arg) => arg.endsWith("select-only")) ? 1 : clients;
  const logs = mkdtempSync(join(scratch, "latency-"));
  const before = target.pid ? cpuTicks(target.pid) : 0;
  const duration = Math.round(seconds + clients / (target.forks ? 100 : 600)); // its clock runs while they connect
  const text = run([join(postgresBin, "pgbench"), "-h", host, "-p", String(target.port), "-U", "postgres", "-n", "-c", String(clients), "-j", String(threads), "-T", String(duration),
    "-l", `--log-prefix=${join(logs, "l")}`, "--sampling-rate=0.1", ...args, "bench"], { env: { ...process.env, PGSSLMODE: sslmode } });
  const cpu = target.pid ? cpuTicks(target.pid) - before : NaN;
  const count = Number(text.match(/actually processed: (\d+)/)[1]);
  const latencies = readdirSync(logs).flatMap((file) => readFileSync(join(logs, file), "utf8").split("\n").filter(Boolean)).map((line) => Number(line.split(" ")[2])).sort((a, b) => a - b);
  rmSync(logs, { recursive: true });
  return { tps: Number(text.match(/tps = ([\d.]+)/)?.[1] ?? 0), cpu: (cpu * 10_000) / count, p99: (latencies[Math.floor(latencies.length * 0.99)] ?? NaN) / 1000 };
}

// targets: direct, PgBouncers of which the last is the rival, weir; these: those that can do it.
function compare(title, targets, these, args, clients, { rounds, cpu, tps, host, sslmode }) {
  const results = new Map(these.map((target) => [target, []]));
  for (let round = 0; round < rounds; round++)
    for (let turn = 0; turn < these.length; turn++) {
      const target = these[(turn + round) % these.length]; // nobody is always first
      results.get(target).push(pgbench(target, args, clients, host?.(target), sslmode));
    }
  const middle = (target, key) => median(results.get(target).map((result) => result[key]));
  const [rival, ours] = targets.slice(-2);
  const cells = targets.map((target) => {
    if (!results.has(target)) return target === targets[0] ? "–" : "not possible";
    const own = target.pid ? `, ${middle(target, "cpu").toFixed(1)} µs` : "", tps = Math.round(middle(target, "tps")), p99 = middle(target, "p99");
    if (tps === 0) return "none in time";
    return `${tps.toLocaleString("en")} (${Number.isNaN(p99) ? "few" : `p99 ${p99.toFixed(1)} ms`}${own})`;
  });
  const ratio = (key) => middle(ours, key) / middle(rival, key);
  say(`| ${title} | ${cells.join(" | ")} | ${results.has(rival) ? `${judged(ratio("tps"), tps)} | ${judged(ratio("cpu"), cpu)}` : "– | –"} |`);
}

const modes = ["simple", "extended", "prepared"];
function table(title, targets) {
  say("", `**${title}**: transactions a second (99th percentile, CPU of the pooler for each)`, "",
    `| | ${targets.map(({ name }) => name).join(" | ")} | transactions, weir / PgBouncer | CPU, weir / PgBouncer |`, `|${"---|".repeat(targets.length + 3)}`);
}
const able = (targets, mode) => targets.filter(({ prepared }) => mode !== "prepared" || prepared);
const stop = (targets) => Promise.all([...targets].reverse().map((target) => target.stop()));

// Every mode with 32, 256 and 1,000 clients, unix: over unix sockets on both sides. all: every PgBouncer there is;
// repeat: the median of the rounds instead of one. limits(mode, clients): what is judged.
async function matrix(title, startDatabase, args, { unix = false, all = false, repeat = all, limits = () => ({}), more } = {}) {
  const direct = await startDatabase(), bouncers = [];
  for (const program of all ? pgbouncers : pgbouncers.slice(-1)) bouncers.push(await startPgBouncer(direct, { unix, program }));
  const targets = [direct, ...bouncers, await startWeir(direct, { unix })];
  table(`${title}, 20 connections, ${unix ? "unix sockets on both sides" : "TCP"}`, targets);
  const settings = { rounds: repeat ? rounds : 1, host: unix ? ({ dir }) => dir : undefined };
  for (const clients of quick ? [32, 256] : [32, 256, 1000])
    for (const mode of modes) compare(`${clients} clients, ${mode}`, targets, able(targets, mode), ["-M", mode, ...args], clients, { ...settings, ...limits(mode, clients) });
  more?.(targets, settings);
  await stop(targets);
}

const ready = "A database that answers at once (the pooler is the limit)", postgres = "A real Postgres";
const select = ["-b", "select-only"], change = ["-b", "tpcb-like"];

// The same as a file: before its own scripts pgbench asks for tables that the backend does not have.
function byFile([, script]) {
  const file = join(scratch, script);
  writeFileSync(file, spawnSync(join(postgresBin, "pgbench"), [`--show-script=${script}`]).stderr);
  return ["-s", "10", "-f", file];
}

const canned = () =>
  matrix(`${ready}, select-only`, startBackend, byFile(select), {
    all: true,
    limits: (mode, clients) =>
      clients !== 256 ? {} : {
        cpu: mode === "prepared" ? { floor: 0.7, aim: 0.45 } : { floor: 0.8, aim: 0.6 },
        tps: { simple: undefined, extended: { floor: 1, aim: 1.25, above: true }, prepared: { floor: 1.25, aim: 1.6, above: true } }[mode],
      },
    more: (targets, settings) => {
      for (const mode of modes)
        compare(`256 clients with TLS, ${mode}`, targets, able(targets, mode).slice(1), ["-M", mode, ...byFile(select)], 256, { ...settings, sslmode: "require" });
    },
  });

const real = () => {
  const floors = { simple: { floor: 1, aim: 1.15, above: true }, extended: { floor: 1.05, aim: 1.2, above: true }, prepared: { floor: 1.15, aim: 1.4, above: true } };
  return matrix(`${postgres}, select-only`, startPostgres, select, { all: true, limits: (mode) => ({ tps: floors[mode] }) });
};

const atLeastAsMany = () => ({ tps: { floor: 1, aim: 1.15, above: true } });
const tpcb = () => matrix(`${postgres}, TPC-B`, startPostgres, change, { repeat: true, limits: atLeastAsMany });
const unix = () => matrix(`${postgres}, select-only`, startPostgres, select, { unix: true, repeat: true, limits: atLeastAsMany });
const tpcbUnix = () => matrix(`${postgres}, TPC-B`, startPostgres, change, { unix: true });
const cannedUnix = () => matrix(`${ready}, select-only`, startBackend, byFile(select), { unix: true });
const cannedTpcb = () => matrix(`${ready}, TPC-B`, startBackend, byFile(change));
const cannedTpcbUnix = () => matrix(`${ready}, TPC-B`, startBackend, byFile(change), { unix: true });

// What a unix socket to the server brings, and what the pool adds to a query while there is room.
async function sides() {
  // In turns, the first of each only to warm up.
  const inTurns = (targets, args, key) => {
    const all = targets.map(() => []);
    for (let round = 0; round < 4; round++) targets.forEach((target, i) => round > 0 ? all[i].push(pgbench(target, args, 32)[key]) : pgbench(target, args, 32));
    return all.map(median);
  };
  const both = async (to) => [to, await startWeir(to), await startWeir(to, { unix: true })];
  const targets = await both(await startPostgres()), bouncer = await startPgBouncer(targets[0]);
  targets.push(bouncer);
  const tps = inTurns(targets, select, "tps"), rate = Math.floor(Math.min(...tps) / 2), p99 = inTurns(targets, [...select, "-R", String(rate)], "p99");
  await stop(targets);
  const atOnce = await both(await startBackend()), fast = inTurns(atOnce, byFile(select), "tps");
  await stop(atOnce);
  say("", `Towards the server over a unix socket instead of TCP (32 clients, simple): ${judged(fast[2] / fast[1], { floor: 1.2, aim: 1.35, above: true })} the transactions where the server answers at once, ` +
    `${judged(tps[2] / tps[1], { floor: 1.2, aim: 1.35, above: true })} with Postgres. ` +
    `At half of what the slowest of these can do (${rate} a second) the 99th percentile is ${p99[0].toFixed(2)} ms on Postgres itself; ${bouncer.name} adds ${(p99[3] - p99[0]).toFixed(2)} ms, weir ${judged(p99[1] - p99[0], { floor: 0.15, aim: 0.08, unit: " ms" })}.`);
}

// ---- memory ----

const startup = (user) => {
  const packet = Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 3, 0, 0]), Buffer.from(`user\0${user}\0database\0bench\0\0`)]);
  packet.writeUInt32BE(packet.length);
  return packet;
};
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

const connectTls = (port) =>
  new Promise((done, fail) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write(sslRequest));
    socket.on("error", fail).once("data", () => {
      socket.removeAllListeners("error");
      const secure = tls.connect({ socket, rejectUnauthorized: false }, () => done(secure)).on("error", fail);
    });
  });
const connectPlain = (port) => new Promise((done, fail) => { const socket = net.connect(port, "127.0.0.1", () => done(socket)).on("error", fail); });

// Growth of the pooler's own memory for a client that has asked once and is idle.
async function idleMemory(target, count, connect) {
  const open = (n) => Promise.all(Array.from({ length: n }, async () => {
    const socket = await connect(target.port);
    return new Promise((done, fail) => {
      let asked = false;
      socket.on("error", fail).on("data", (data) => {
        if (data.at(-6) !== 0x5a) return;
        if (asked) return done(socket);
        asked = true;
        socket.write(Buffer.from("Q\0\0\0\x0dselect 1\0", "latin1"));
      });
      socket.write(startup("postgres"));
    });
  }));
  const first = await open(100);
  await sleep(300);
  const before = pssKb(target.pid), sockets = [];
  for (let i = 0; i < count; i += 100) sockets.push(...(await open(100)));
  await sleep(500);
  const kb = (pssKb(target.pid) - before) / count;
  [...first, ...sockets].forEach((socket) => socket.destroy());
  return kb;
}

async function memory() {
  const direct = await startPostgres(), count = quick ? 1000 : 5000;
  say("", `**Memory of an idle client**, of ${count} that have each asked once, by a pooler that is fresh`, "", "| | PgBouncer | weir | weir / PgBouncer |", "|---|---|---|---|");
  for (const [name, connect, limits] of [["plain", connectPlain, { floor: 0.5, aim: 0.15 }], ["TLS", connectTls, { floor: 0.7, aim: 0.4 }]]) {
    const kb = [];
    for (const start of [startPgBouncer, startWeir]) {
      const target = await start(direct);
      kb.push(await idleMemory(target, count, connect));
      await target.stop();
    }
    say(`| ${name} | ${kb[0].toFixed(2)} KiB | ${kb[1].toFixed(2)} KiB | ${judged(kb[1] / kb[0], limits)} |`);
  }
  await direct.stop();
}

// ---- logins ----

async function loginOnce(settings) {
  const begun = performance.now(), client = new pg.Client({ database: "bench", ...settings });
  await client.connect();
  await client.query("select 1");
  const ms = performance.now() - begun;
  await client.end();
  return ms;
}

async function logins() {
  const direct = await startPostgres(), count = quick ? 60 : 300, pair = certificate();
  say("", `**From connect to the first row**, ${count} in turn, from Node with pg: median (99th percentile)`, "", "| | direct | PgBouncer | weir | weir / direct | weir / PgBouncer |", "|---|---|---|---|---|---|");
  const ssl = { rejectUnauthorized: false }, scram = { user: "scram", password: PASSWORD };
  const target = { floor: 0.5, aim: 1 / 3 };
  const ways = [ // name, how the poolers ask, settings of the client, what is judged
    ["trust, TCP", "trust", { user: "postgres" }],
    ["trust, unix socket", "trust", { user: "postgres", unix: true }],
    ["trust, TLS", "trust", { user: "postgres", ssl }],
    ["password, TCP", "password", { user: "plain", password: PASSWORD }],
    ["md5, TCP", "md5", { user: "md5", password: PASSWORD }],
    ["SCRAM, TCP", "scram", scram, target],
    ["SCRAM, TLS", "scram", { ...scram, ssl }, target],
    ["SCRAM-SHA-256-PLUS, TLS", "scram", { ...scram, ssl, enableChannelBinding: true }, target],
    ["SCRAM by a verifier, TCP", "verifier", scram, target],
    ["SCRAM by auth_query, TCP", "query", scram, target],
    ["client certificate", "cert", { user: "cert", ssl: { ...ssl, cert: readFileSync(pair.certificate), key: readFileSync(pair.key) } }],
  ];
  let poolers = [], asked;
  for (const [name, auth, { unix: local, ...settings }, limits] of ways) {
    if (auth !== asked) {
      await stop(poolers);
      poolers = [await startPgBouncer(direct, { auth }), await startWeir(direct, { auth })];
      asked = auth;
    }
    // PgBouncer offers SCRAM without channel binding alone.
    const targets = [direct, ...poolers].filter((to) => !settings.enableChannelBinding || to !== poolers[0]), times = new Map(targets.map((to) => [to, []]));
    for (let i = 0; i < count + 5; i++)
      for (const to of targets) {
        await sleep(5); // a backend of Postgres's that ends is not to take the next one's time
        const ms = await loginOnce({ ...settings, host: local ? to.dir : "127.0.0.1", port: to.port });
        if (i >= 5) times.get(to).push(ms);
      }
    const middle = (to) => (times.has(to) ? median(times.get(to)) : NaN);
    const cells = [direct, ...poolers].map((to) => (times.has(to) ? `${middle(to).toFixed(2)} (${quantile(times.get(to), 0.99).toFixed(2)}) ms` : "not possible"));
    const ratio = (to, judge) => (times.has(to) ? judged(middle(poolers[1]) / middle(to), judge) : "–");
    say(`| ${name} | ${cells.join(" | ")} | ${ratio(direct, limits)} | ${ratio(poolers[0])} |`);
  }
  await stop([direct, ...poolers]);
}

// ---- a worker ----

async function worker() {
  const direct = await startPostgres(), weir = await startWorker(direct), count = quick ? 20 : 60;
  const paths = ["/", "/plain", "/direct"], first = paths.map(() => []), next = paths.map(() => []), hot = [], node = [];
  for (let i = -2; i < count; i++) { // the first starts are before what starts again and again is rehearsed
    for (const [at, path] of paths.entries()) {
      await sleep(600); // the instance is gone
      for (const times of [first[at], next[at]]) {
        const { ms } = await weir.get(path);
        if (i >= 0) times.push(ms);
      }
    }
    node.push(await loginOnce({ host: "127.0.0.1", port: direct.port, user: "scram", password: PASSWORD }));
  }
  for (let i = 0; i < 400; i++) hot.push((await weir.get("/")).ms);
  const of = median(node), row = (name, times, judge) => `| ${name} | ${median(times).toFixed(2)} | ${judged(median(times) / of, judge)} |`;
  say("", `**Connect and query from a worker** (pg, a new client each time; the middle of ${count})`, "", "| | ms | to a direct SCRAM connection |", "|---|---|---|",
    row("a cold instance, Hyperdrive binding", first[0], { floor: 0.1, aim: 0.025 }), row("its second request", next[0]), row("an instance that has answered 300", hot.slice(300)),
    row("the protocol without a driver: a cold instance", first[1]), row("… its second request", next[1]),
    row("a connection of the worker's own to Postgres, SCRAM: a cold instance", first[2]), row("… its second request", next[2]),
    `| Node, direct, SCRAM | ${of.toFixed(2)} | 1 |`);
  await weir.stop();
  await ring(direct);
  await direct.stop();
}

// The same driver with 32 connections: in a worker, and in Node through PgBouncer.
async function ring(direct) {
  const weir = await startWorker(direct, "60s"), bouncer = await startPgBouncer(direct), rates = [[], []];
  const warmUp = 4;
  for (let round = 0; round < warmUp + rounds * 3; round++) {
    const results = [await weir.get("/many"), { rate: await manyQueries(pg, { host: "127.0.0.1", port: bouncer.port, user: "postgres", database: "bench" }) }];
    if (round >= warmUp) results.forEach(({ rate }, i) => rates[i].push(rate));
  }
  const [ours, theirs] = rates.map(median);
  say("", `Queries a second over 32 connections: ${Math.round(ours)} in a worker by its ring, ${Math.round(theirs)} in Node through ${bouncer.name} over TCP, ${judged(ours / theirs, { floor: 1.3, aim: 2, above: true })}.`);
  await stop([bouncer, weir]);
}

await runParts({ canned, real, tpcb, unix, "canned-unix": cannedUnix, "canned-tpcb": cannedTpcb, "canned-tpcb-unix": cannedTpcbUnix, "tpcb-unix": tpcbUnix, sides, memory, logins, worker }, options.only);
if (options.write) writeSection("pool", `${quick ? "From a quick run; differences below a fifth are noise.\n\n" : ""}${said()}`);
process.exit(0);
