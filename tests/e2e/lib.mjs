// SPDX-License-Identifier: Apache-2.0
// Starts the real program on a port of its own, waits for what it prints, and ends it.

import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { freePort } from "./port.mjs";

export { freePort };

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
export const weirPath = process.env.WEIR ?? join(root, "build/weir");
// Sanitizers make everything slower; waits stretch, expectations do not change.
export const patience = process.env.WEIR_SLOW ? 6 : 1;

// The processes below one, as [{pid, name}], parents before their children. Names are those of ps.
export function descendants(pid) {
  const children = new Map();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    let stat;
    try {
      stat = readFileSync(`/proc/${entry}/stat`, "utf8");
    } catch {
      continue; // ended meanwhile
    }
    const [, name, parent] = stat.match(/\((.*)\) \S (\d+)/s);
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push({ pid: Number(entry), name });
  }
  const below = (parent) => (children.get(String(parent)) ?? []).flatMap((child) => [child, ...below(child.pid)]);
  return below(pid);
}

// A project directory with the given files, removed by close(). npm packages come from tests/node_modules.
export function project(files) {
  const dir = mkdtempSync(join(tmpdir(), "weir-test-"));
  symlinkSync(join(root, "tests/node_modules"), join(dir, "node_modules"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), content);
  }
  return { dir, write: (name, content) => writeFileSync(join(dir, name), content), remove: () => rmSync(dir, { recursive: true, force: true }) };
}

export const wrangler = (extra = "") => `name = "t"\nmain = "src/index.js"\ncompatibility_date = "2025-01-01"\n${extra}`;

// A test that failed before it could stop its server must not keep the file from ending.
const running = new Set();
after(() => running.forEach((weir) => weir.process.kill("SIGKILL")));

export class Weir {
  output = "";
  #waiting = [];

  static async start(args, options = {}) {
    const weir = new Weir();
    const [program, ...all] = [...(options.within ?? []), options.program ?? weirPath, ...args];
    weir.process = spawn(program, all, {
      env: { ...process.env, NO_COLOR: "1", ...options.env },
      cwd: options.cwd ?? root,
      stdio: ["ignore", "pipe", "pipe"],
    });
    weir.exited = new Promise((done) => weir.process.on("exit", (code, signal) => done({ code, signal })));
    running.add(weir);
    weir.exited.then(() => running.delete(weir));
    const take = (chunk) => {
      weir.output += chunk;
      weir.#waiting = weir.#waiting.filter((check) => !check());
    };
    weir.process.stdout.setEncoding("utf8").on("data", take);
    weir.process.stderr.setEncoding("utf8").on("data", take);
    return weir;
  }

  // Resolves when the output has text (after the first `from` characters of it).
  waitFor(text, from = 0, ms = 20000 * patience) {
    return new Promise((done, fail) => {
      const timer = setTimeout(() => fail(new Error(`"${text}" did not come; output so far:\n${this.output}`)), ms);
      const check = () => {
        const found = typeof text === "string" ? this.output.indexOf(text, from) >= 0 : text.test(this.output.slice(from));
        if (found) {
          clearTimeout(timer);
          done();
        }
        return found;
      };
      if (!check()) this.#waiting.push(check);
    });
  }

  async stop(signal = "SIGINT") {
    if (this.process.exitCode === null && this.process.signalCode === null) this.process.kill(signal);
    const timer = setTimeout(() => this.process.kill("SIGKILL"), 20000 * patience);
    const result = await this.exited;
    clearTimeout(timer);
    return result;
  }
}

// weir dev on a project (its directory). Returns {weir, url, port, fetch(path, init), stop()}.
export async function dev(dir, ...args) {
  const port = await freePort();
  const weir = await Weir.start(["dev", dir, "--port", String(port), ...args]);
  await Promise.race([
    weir.waitFor("ready on"),
    weir.exited.then(({ code }) => Promise.reject(new Error(`weir ended with ${code}:\n${weir.output}`))),
  ]);
  const url = `http://127.0.0.1:${port}`;
  return { weir, url, port, fetch: (path, init) => fetch(url + path, { redirect: "manual", ...init }), stop: (signal) => weir.stop(signal) };
}

// A whole test of one worker: files → body({fetch, …}) → cleaned up.
export async function withWorker(files, body, ...args) {
  const made = project(files);
  try {
    const server = await dev(made.dir, ...args);
    try {
      await body({ ...server, project: made });
    } catch (error) {
      console.error(server.weir.output); // what it said meanwhile
      throw error;
    } finally {
      await server.stop();
    }
  } finally {
    made.remove();
  }
}

export const worker = (source, extra) => ({ "wrangler.toml": wrangler(extra), "src/index.js": source });

// Bytes to the server, text back until it closes or `ms` passed.
export function raw(port, text, { ms = 3000 * patience, end = false, until = undefined } = {}) {
  return new Promise((done, fail) => {
    const socket = net.connect(port, "127.0.0.1");
    let answer = "";
    const timer = setTimeout(() => {
      socket.destroy();
      done(answer);
    }, ms);
    socket.setEncoding("latin1");
    socket.on("connect", () => {
      socket.write(text, "latin1");
      if (end) socket.end();
    });
    socket.on("data", (chunk) => {
      answer += chunk;
      if (until !== undefined && answer.includes(until)) {
        clearTimeout(timer);
        socket.destroy();
        done(answer);
      }
    });
    socket.on("close", () => {
      clearTimeout(timer);
      done(answer);
    });
    socket.on("error", (error) => {
      clearTimeout(timer);
      if (error.code === "ECONNRESET" || error.code === "EPIPE") done(answer);
      else fail(error);
    });
  });
}
