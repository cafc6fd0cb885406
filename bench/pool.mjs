// SPDX-License-Identifier: Apache-2.0
// pgbench through weir's pool, through PgBouncer and to Postgres itself, in one run and in turns: transactions a second,
// the pooler's CPU time for each, memory of an idle client. Medians of the rounds.
import { execFileSync } from "node:child_process";
import { appendFileSync, chmodSync, chownSync, existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";

import { Server, freePort, median, root, scratch, sleep, weirPath } from "./lib.mjs";

const quick = process.argv.includes("--quick");
const rounds = quick ? 1 : 3, seconds = quick ? 2 : 4;
const isRoot = process.getuid() === 0;
const nobody = isRoot ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : [];
const postgresBin = join("/usr/lib/postgresql", readdirSync("/usr/lib/postgresql").sort((a, b) => b - a).find((v) => existsSync(`/usr/lib/postgresql/${v}/bin/postgres`)), "bin");
const asNobody = (command, args) => [...nobody, command, ...args];
const run = ([command, ...args], options = {}) => execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], ...options });

if (isRoot) chmodSync(scratch, 0o755); // others run as nobody

function directory(name) {
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

async function startPostgres() {
  const dir = directory("postgres"), data = join(dir, "data"), port = await freePort();
  run(asNobody(join(postgresBin, "initdb"), ["-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]));
  appendFileSync(join(data, "postgresql.conf"), `port=${port}\nlisten_addresses='127.0.0.1'\nunix_socket_directories='${dir}'\nfsync=off\nmax_connections=400\nshared_buffers=128MB\n`);
  const server = new Server("postgres", ...(([c, ...a]) => [c, a])(asNobody(join(postgresBin, "postgres"), ["-D", data])));
  await listens(port, server);
  await sleep(500);
  run([join(postgresBin, "createdb"), "-h", "127.0.0.1", "-p", String(port), "-U", "postgres", "bench"]);
  run([join(postgresBin, "pgbench"), "-h", "127.0.0.1", "-p", String(port), "-U", "postgres", "-i", "-q", "-s", "10", "bench"]);
  return { name: "direct", port, server, pid: null };
}

async function startBackend() {
  const port = await freePort();
  const server = new Server("backend", join(root, "build/bench/pool_backend"), [String(port)]);
  await listens(port, server);
  return { name: "direct", port, server, pid: null };
}

const below = (pid, name) => Number(execFileSync("pgrep", ["-P", String(pid), name], { encoding: "utf8" }));

async function startWeir(to) {
  const port = await freePort(), dir = directory("weir");
  writeFileSync(join(dir, "pool.toml"), `listen = ["127.0.0.1:${port}"]\nauth = "any"\npool_size = 20\n[[databases]]\nname = "*"\nhost = "127.0.0.1"\nport = ${to.port}\n[databases.tls]\nmode = "disable"\n`);
  const server = new Server("weir", weirPath, ["pool", "--config", join(dir, "pool.toml")]);
  await listens(port, server);
  await sleep(300);
  return { name: "weir", port, server, pid: below(server.process.pid, "weir-pool") };
}

async function startPgBouncer(to) {
  const program = process.env.PGBOUNCER ?? "pgbouncer", port = await freePort(), dir = directory("pgbouncer");
  const version = run([program, "--version"]).match(/\d+\.\d+/)[0];
  const prepared = Number(version.split(".")[1]) >= 21;
  writeFileSync(join(dir, "users.txt"), '"postgres" "x"\n');
  writeFileSync(join(dir, "b.ini"), `[databases]\n* = host=127.0.0.1 port=${to.port}\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=${port}\nauth_type=trust\nauth_file=${dir}/users.txt\npool_mode=transaction\n` +
    `default_pool_size=20\nmax_client_conn=6000\nlog_connections=0\nlog_disconnections=0\nserver_tls_sslmode=disable\nunix_socket_dir=\n${prepared ? "max_prepared_statements=200\n" : ""}`);
  if (isRoot) run(["chown", "-R", "65534:65534", dir]);
  const server = new Server("pgbouncer", ...(([c, ...a]) => [c, a])(asNobody(program, ["-q", join(dir, "b.ini")])));
  await listens(port, server);
  return { name: `PgBouncer ${version}`, port, server, pid: server.process.pid, prepared };
}

const cpuTicks = (pid) => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ").slice(11, 13).reduce((a, b) => a + Number(b), 0);
const pssKb = (pid) => Number(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8").match(/^Pss:\s+(\d+)/m)[1]);

function pgbench(target, args, clients) {
  const before = target.pid ? cpuTicks(target.pid) : 0;
  const text = run([join(postgresBin, "pgbench"), "-h", "127.0.0.1", "-p", String(target.port), "-U", "postgres", "-n", "-c", String(clients), "-j", "1", "-T", String(seconds), ...args, "bench"]);
  const count = Number(text.match(/actually processed: (\d+)/)[1]);
  return { tps: Number(text.match(/tps = ([\d.]+)/)[1]), cpu: target.pid ? ((cpuTicks(target.pid) - before) * 10_000) / count : NaN };
}

// these: the targets that can do it.
function compare(title, targets, these, args, clients) {
  const results = new Map(these.map((target) => [target, []]));
  for (let round = 0; round < rounds; round++)
    for (let turn = 0; turn < these.length; turn++) {
      const target = these[(turn + round) % these.length]; // nobody is always first
      results.get(target).push(pgbench(target, args, clients));
    }
  const middle = (target, key) => median(results.get(target).map((result) => result[key]));
  const [, rival, ours] = targets;
  const cells = targets.map((target) => {
    if (!results.has(target)) return "not possible";
    const cpu = target.pid ? ` (${middle(target, "cpu").toFixed(1)} µs)` : "";
    return Math.round(middle(target, "tps")).toLocaleString("en") + cpu;
  });
  const ratio = (key) => (middle(ours, key) / middle(rival, key)).toFixed(2);
  lines.push(`| ${title} | ${cells.join(" | ")} | ${results.has(rival) ? `${ratio("tps")}× / ${ratio("cpu")}×` : "–"} |`);
  console.log(lines.at(-1));
}

// Growth of the pooler's own memory for a client that has asked once and is idle.
async function idleMemory(target, count) {
  const startup = Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 3, 0, 0]), Buffer.from("user\0postgres\0database\0bench\0\0")]);
  startup.writeUInt32BE(startup.length);
  const open = (n) => Promise.all(Array.from({ length: n }, () => new Promise((done, fail) => {
    const socket = net.connect(target.port, "127.0.0.1", () => socket.write(startup));
    let asked = false;
    socket.on("error", fail).on("data", (data) => {
      if (data.at(-6) !== 0x5a) return;
      if (asked) return done(socket);
      asked = true;
      socket.write(Buffer.from("Q\0\0\0\x0dselect 1\0", "latin1"));
    });
  })));
  const first = await open(100);
  await sleep(300);
  const before = pssKb(target.pid), sockets = [];
  for (let i = 0; i < count; i += 200) sockets.push(...(await open(200)));
  await sleep(500);
  const kb = (pssKb(target.pid) - before) / count;
  [...first, ...sockets].forEach((socket) => socket.destroy());
  return kb;
}

const lines = [];
const modes = [["simple", ["-M", "simple"]], ["extended", ["-M", "extended"]], ["prepared", ["-M", "prepared"]]];
const select = join(scratch, "select.sql");
writeFileSync(select, "SELECT 1;\n");
const header = (targets) => `| | ${targets.map(({ name }) => name).join(" | ")} | weir / PgBouncer: transactions / CPU |`;

for (const [what, start, clientCounts, script] of [
  ["A database that answers at once (the pooler is the limit)", startBackend, [32, 256], ["-f", select]],
  ["A real Postgres, select-only", startPostgres, quick ? [32] : [32, 256], ["-S"]],
]) {
  const direct = await start();
  const weir = await startWeir(direct), bouncer = await startPgBouncer(direct);
  const targets = [direct, bouncer, weir];
  lines.push("", `**${what}**, 20 connections, TCP: transactions a second (CPU of the pooler for each)`, "", header(targets), "|---|---|---|---|---|");
  console.log(lines.slice(-5).join("\n"));
  for (const clients of clientCounts)
    for (const [mode, args] of modes) {
      const these = mode === "prepared" && !bouncer.prepared ? [direct, weir] : targets;
      compare(`${clients} clients, ${mode}`, targets, these, [...args, ...script], clients);
    }
  if (start === startPostgres) {
    const count = quick ? 1000 : 5000;
    const [ours, theirs] = [await idleMemory(weir, count), await idleMemory(bouncer, count)];
    lines.push("", `Memory of an idle client (${count} of them, each has asked once): weir ${ours.toFixed(2)} KiB, ${bouncer.name} ${theirs.toFixed(2)} KiB, ${(ours / theirs).toFixed(2)}×.`);
    console.log(lines.at(-1));
  }
  await Promise.all([weir, bouncer, direct].map(({ server }) => server.stop()));
}

if (process.argv.includes("--write")) {
  const page = join(root, "docs/benchmarks.md"), mark = ["<!-- pool -->", "<!-- /pool -->"];
  const old = readFileSync(page, "utf8"), [from, to] = [old.indexOf(mark[0]), old.indexOf(mark[1])];
  const text = `${mark[0]}\n${quick ? "From a quick run; differences below a fifth are noise.\n\n" : ""}${lines.join("\n").trim()}\n`;
  writeFileSync(page, from < 0 ? `${old}\n## The Postgres pool\n\n\`bench/pool --write\` (\`--quick\`: one round of two seconds instead of the median of three)\n\n${text}${mark[1]}\n` : old.slice(0, from) + text + old.slice(to));
}
process.exit(0);
