// SPDX-License-Identifier: Apache-2.0
// The servers that are compared, the load, and what is read of both.

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../tests/e2e/port.mjs";

export { freePort };

export const here = dirname(fileURLToPath(import.meta.url));
export const root = resolve(here, "..");
export const weirPath = process.env.WEIR ?? join(root, "build/weir");
const bin = (name) => join(here, "node_modules/.bin", name);
export const scratch = mkdtempSync(join(tmpdir(), "weir-bench-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))];

// A process of ours, ended with ours.
export class Server {
  constructor(name, command, args, options = {}) {
    this.name = name;
    this.started = performance.now();
    this.output = "";
    this.process = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    this.process.on("error", (error) => (this.output += error.message));
    for (const stream of [this.process.stdout, this.process.stderr])
      stream.setEncoding("utf8").on("data", (chunk) => (this.output = (this.output + chunk).slice(-100_000)));
    this.exited = new Promise((done) => this.process.on("exit", done));
    process.on("exit", this.#kill);
  }

  #kill = () => this.process.kill("SIGKILL");

  async stop() {
    this.process.kill("SIGTERM");
    const timer = setTimeout(this.#kill, 10_000);
    await this.exited;
    clearTimeout(timer);
    process.off("exit", this.#kill);
  }

  // Until a first answer; fails when the process ends before.
  async ready(port, path = "/", headers = {}, ms = 60_000) {
    this.port = port;
    for (const end = performance.now() + ms; ; ) {
      const answer = await once(port, path, headers).catch(() => null);
      if (answer) return answer;
      if (this.process.exitCode !== null || performance.now() > end) throw new Error(`${this.name} did not start:\n${this.output}`);
      await sleep(0);
    }
  }
}

// One request on a connection of its own. Returns {status, ms} : from connect() to the first byte.
export function once(port, path, headers = {}) {
  return new Promise((done, fail) => {
    const start = performance.now();
    const socket = net.connect(port, "127.0.0.1");
    socket.setNoDelay(true).setTimeout(30_000, () => socket.destroy(new Error("no answer in 30 s")));
    const lines = Object.entries({ host: "bench.test", connection: "close", ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.on("connect", () => socket.write(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`));
    socket.once("data", (data) => {
      done({ status: Number(data.toString("latin1", 9, 12)), ms: performance.now() - start });
      socket.resume().end();
    });
    socket.on("error", fail).on("close", () => fail(new Error("closed without an answer")));
  });
}

// ---- the servers ----

let bundled;
function bundle() {
  bundled ??= (() => {
    const file = join(scratch, "bundle.js");
    execFileSync(join(root, "node_modules/.bin/esbuild"), [join(here, "apps/hono/src/index.js"), "--bundle", "--format=esm", "--target=es2022", `--outfile=${file}`, "--log-level=error"]);
    return file;
  })();
  return bundled;
}

export async function startWorkerd() {
  const port = await freePort(), dir = mkdtempSync(join(scratch, "workerd-"));
  bundle();
  writeFileSync(
    join(dir, "config.capnp"),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [(name = "index.js", esModule = embed "../bundle.js")], compatibilityDate = "2025-01-01"))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]
);\n`,
  );
  const server = new Server("workerd", bin("workerd"), ["serve", join(dir, "config.capnp")]);
  server.first = await server.ready(port, "/text");
  server.startMs = performance.now() - server.started;
  return server;
}

export async function startBun() {
  const port = await freePort();
  const server = new Server("bun", bin("bun"), ["run", join(here, "apps/hono/bun.js")], { env: { ...process.env, PORT: String(port), NODE_ENV: "production" } });
  server.first = await server.ready(port, "/text");
  server.startMs = performance.now() - server.started;
  return server;
}

// settings: lines of weir.toml before the tables; workers: the [[worker]] tables.
export async function startWeir({ settings = "", tables = "", workers, path = "/text", headers, ms } = {}) {
  const port = await freePort(), admin = await freePort(), dir = mkdtempSync(join(scratch, "weir-"));
  const file = join(dir, "weir.toml");
  workers ??= `[[worker]]\nproject = "${join(here, "apps/hono")}"\ndefault = true\n`;
  writeFileSync(file, `access_log = "off"\n${settings}\n[[listener]]\nport = ${port}\n[admin]\nport = ${admin}\n${tables}\n${workers}`);
  const server = new Server("weir", weirPath, ["serve", "--config", file]);
  Object.assign(server, { admin, file });
  server.first = await server.ready(port, path, headers, ms);
  server.startMs = performance.now() - server.started;
  return server;
}

export async function startNginx(directory) {
  const port = await freePort(), dir = mkdtempSync(join(scratch, "nginx-"));
  for (const name of ["body", "proxy", "fastcgi", "uwsgi", "scgi"]) mkdirSync(join(dir, name));
  writeFileSync(
    join(dir, "nginx.conf"),
    `worker_processes 1; daemon off; pid ${dir}/pid; error_log ${dir}/error.log; ${process.getuid() === 0 ? "user root;" : ""}
events { worker_connections 16384; }
http {
  include /etc/nginx/mime.types; access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; open_file_cache max=1000;
  client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/fastcgi; uwsgi_temp_path ${dir}/uwsgi; scgi_temp_path ${dir}/scgi;
  server { listen 127.0.0.1:${port}; root ${directory}; }
}\n`,
  );
  const server = new Server("nginx", "/usr/sbin/nginx", ["-p", dir, "-e", join(dir, "error.log"), "-c", join(dir, "nginx.conf")]);
  server.first = await server.ready(port, "/index.html");
  return server;
}

// ---- load ----

const units = { us: 1e-3, ms: 1, s: 1e3, m: 60e3 };

// Returns {rate (requests a second), p50, p99 (ms), bytes (a second), errors}.
export async function wrk(port, path, { connections = 32, seconds = 5, script } = {}) {
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", "--timeout", "20s"];
  if (script) args.push("-s", script);
  const child = spawn("wrk", [...args, `http://127.0.0.1:${port}${path}`], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk) => (text += chunk));
  await new Promise((done) => child.on("exit", done));
  const latency = (percent) => {
    const [, value, unit] = new RegExp(`${percent}%\\s+([\\d.]+)(us|ms|s|m)`).exec(text);
    return value * units[unit];
  };
  const wrong = /Non-2xx or 3xx responses: (\d+)/.exec(text), socket = /Socket errors: (.*)/.exec(text);
  return {
    rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)[1]),
    p50: latency(50),
    p99: latency(99),
    errors: Number(wrong?.[1] ?? 0) + (socket ? socket[1].match(/\d+/g).reduce((sum, n) => sum + Number(n), 0) : 0),
  };
}

// ---- memory ----

export function family(pid) {
  const children = new Map();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "latin1");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
    } catch {} // it ended meanwhile
  }
  const found = [];
  for (const open = [pid]; open.length > 0; ) {
    const next = open.pop();
    found.push(next);
    open.push(...(children.get(next) ?? []));
  }
  return found;
}

// KiB: rss, pss, and what ending it would give back.
export function memoryOf(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "latin1");
  const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)[1]);
  return { rss: field("Rss"), pss: field("Pss"), own: field("Private_Clean") + field("Private_Dirty") };
}

export function memoryOfAll(pids) {
  const sum = { rss: 0, pss: 0, own: 0 };
  for (const pid of pids) {
    try {
      const one = memoryOf(pid);
      for (const key of Object.keys(sum)) sum[key] += one[key];
    } catch {} // it ended meanwhile
  }
  return sum;
}

export const commandOf = (pid) => {
  try {
    return readFileSync(`/proc/${pid}/comm`, "latin1").trim();
  } catch {
    return "";
  }
};

// ---- tables ----

export function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

export const number = (value, digits = value >= 100 ? 0 : value >= 10 ? 1 : 2) =>
  value.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
export const ratio = (value) => `${value.toFixed(value >= 10 ? 1 : 2)}×`;
export const mib = (kib) => `${number(kib / 1024)} MiB`;
