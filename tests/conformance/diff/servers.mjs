// SPDX-License-Identifier: Apache-2.0
// weir and workerd with the same cases, and a client that takes an answer as it came.
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import http from "node:http";
import { tmpdir } from "node:os";
import { join, parse } from "node:path";

import { build } from "../../../node_modules/esbuild/lib/main.js";
import { Weir, freePort, patience, root } from "../../e2e/lib.mjs";

const here = import.meta.dirname ?? join(root, "tests/conformance/diff");
const workerdPath = join(root, "tests/conformance/node_modules/.bin/workerd");
const compatibility = "2025-01-01";

export const scratch = mkdtempSync(join(tmpdir(), "weir-diff-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

// Runs in both: a request for this path ends the log of the one before it.
const endPath = "/--end--";
const entryOf = (file) => `
import worker from ${JSON.stringify(file)};
export * from ${JSON.stringify(file)};
export default {
  ...worker,
  fetch(request, env, ctx) {
    if (!request.url.endsWith("${endPath}")) return worker.fetch(request, env, ctx);
    console.log("${endPath}");
    return new Response();
  },
};
`;

// What a case's file exports besides its worker. It runs here for that, bundled as its imports may be those of a Worker.
async function exportsOf(file) {
  const { outputFiles } = await build({
    stdin: { contents: `export * from ${JSON.stringify(file)};`, resolveDir: here },
    bundle: true,
    format: "esm",
    platform: "node",
    write: false,
    logLevel: "error",
    external: ["cloudflare:*"],
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}

export async function readCases() {
  const only = process.env.CASE;
  const files = readdirSync(join(here, "cases")).filter((file) => !only || file.startsWith(only));
  return Promise.all(
    files.sort().map(async (file) => {
      const path = join(here, "cases", file), { requests, settings = {} } = await exportsOf(path);
      return { name: parse(file).name, path, settings, requests: requests.map((one) => (typeof one === "string" ? { path: one } : one)) };
    }),
  );
}

// ---- the client ----

// → {status, headers: [[name, value]…], body}, or {broken} when the answer ended early.
export function ask(port, host, { method = "GET", path, headers = {}, body }) {
  return new Promise((done, fail) => {
    const request = http.request({ host: "127.0.0.1", port, path, method, headers: { host, connection: "close", ...headers } });
    request.on("error", fail).on("response", (response) => {
      const chunks = [], pairs = [];
      for (let i = 0; i < response.rawHeaders.length; i += 2) pairs.push([response.rawHeaders[i].toLowerCase(), response.rawHeaders[i + 1]]);
      const answer = () => ({ status: response.statusCode, headers: pairs, body: Buffer.concat(chunks) });
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => done(answer())).on("error", () => done({ ...answer(), broken: true }));
    });
    request.setTimeout(20_000 * patience, () => request.destroy(new Error(`no answer to ${method} ${path} in time`)));
    // Chunks of a list are sent as they are, so that the body has no length.
    if (Array.isArray(body)) for (const chunk of body) request.write(chunk);
    request.end(Array.isArray(body) ? undefined : body);
  });
}

// Collects lines; resolves when one has come.
class Lines {
  all = [];
  #waiting = [];
  #rest = "";

  read(stream) {
    stream.setEncoding("utf8").on("data", (text) => {
      const lines = (this.#rest + text).split("\n");
      this.#rest = lines.pop();
      this.all.push(...lines);
      this.#waiting = this.#waiting.filter((check) => !check());
    });
    return this;
  }

  // → the index of the first line from `from` on that passes
  wait(test, from = 0, ms = 20_000 * patience) {
    return new Promise((done, fail) => {
      const timer = setTimeout(() => fail(new Error(`a line did not come; there are:\n${this.all.slice(from).join("\n")}`)), ms);
      const check = () => {
        const at = this.all.findIndex((line, i) => i >= from && test(line));
        if (at < 0) return false;
        clearTimeout(timer);
        done(at);
        return true;
      };
      if (!check()) this.#waiting.push(check);
    });
  }
}

// The console lines of one request: its own, up to the mark that follows it.
class Talk {
  #from = 0;

  constructor(port, host, lines, parseLine) {
    Object.assign(this, { port, host, lines, parseLine });
  }

  async ask(request) {
    const answer = await ask(this.port, this.host, request);
    const has = (text) => (line) => this.parseLine(line)?.message.includes(text) === true;
    if (request.waits !== undefined) await this.lines.wait(has(request.waits), this.#from);
    await ask(this.port, this.host, { path: endPath });
    const end = await this.lines.wait(has(endPath), this.#from);
    const logs = this.lines.all.slice(this.#from, end).map(this.parseLine);
    this.#from = end + 1;
    return { ...answer, logs: logs.filter((line) => line !== undefined) };
  }
}

function ending(child) {
  const exited = new Promise((done) => child.on("exit", done));
  return async () => {
    child.kill("SIGTERM");
    await exited;
  };
}

// ---- weir: one program, every case a worker of it ----

export async function startWeir(cases) {
  const port = await freePort(), dir = join(scratch, "weir");
  mkdirSync(dir);
  let config = `gateways = 1\naccess_log = "json"\n[[listener]]\nport = ${port}\n`;
  for (const { name, path, settings } of cases) {
    mkdirSync(join(dir, name));
    writeFileSync(join(dir, name, "index.js"), entryOf(path));
    writeFileSync(
      join(dir, name, "wrangler.json"),
      JSON.stringify({ name, main: "index.js", compatibility_date: compatibility, compatibility_flags: settings.flags, vars: settings.vars }),
    );
    config += `[[worker]]\nproject = "${name}"\nroutes = ["${name}.test/*"]\n[worker.scale]\nmax_instances = 1\n`;
  }
  writeFileSync(join(dir, "weir.toml"), config);
  const weir = await Weir.start(["serve", "--config", join(dir, "weir.toml")]);
  const lines = new Lines().read(weir.process.stdout);
  await Promise.race([
    weir.waitFor("serving:"),
    weir.exited.then(({ code }) => Promise.reject(new Error(`weir ended with ${code}:\n${weir.output}`))),
  ]);
  const consoleOf = (name) => (line) => {
    const { type, worker, level, text, message } = JSON.parse(line);
    if (worker !== name || type === "request") return undefined;
    return type === "console" ? { level, message: text } : { level: "error", message: `Uncaught ${message}` };
  };
  return { talk: ({ name }) => new Talk(port, `${name}.test`, lines, consoleOf(name)), stop: () => weir.stop() };
}

// ---- workerd: one process a case, so that each log is a case's own ----

export async function startWorkerd({ name, path, settings }) {
  const dir = join(scratch, `workerd-${name}`);
  mkdirSync(dir);
  await build({
    stdin: { contents: entryOf(path), resolveDir: dir },
    bundle: true,
    format: "esm",
    target: "es2022",
    conditions: ["workerd", "worker", "browser"],
    external: ["node:*", "cloudflare:*"],
    outfile: join(dir, "index.js"),
    logLevel: "error",
  });
  const bindings = Object.entries(settings.vars ?? {}).map(([key, value]) =>
    typeof value === "string" ? `(name = "${key}", text = ${JSON.stringify(value)})` : `(name = "${key}", json = ${JSON.stringify(JSON.stringify(value))})`,
  );
  writeFileSync(
    join(dir, "config.capnp"),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [(name = "index.js", esModule = embed "index.js")],
    compatibilityDate = "${compatibility}",
    compatibilityFlags = ${JSON.stringify(settings.flags ?? [])},
    bindings = [${bindings.join(", ")}],
  ))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
  structuredLogging = true,
);\n`,
  );
  const child = spawn(workerdPath, ["serve", join(dir, "config.capnp"), "--control-fd=3"], { stdio: ["ignore", "pipe", "pipe", "pipe"] });
  const stop = ending(child);
  const control = new Lines().read(child.stdio[3]), lines = new Lines().read(child.stdout);
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (errors += text));
  await Promise.race([
    control.wait((line) => JSON.parse(line).event === "listen"),
    new Promise((_, fail) => child.on("exit", (code) => fail(new Error(`workerd ended with ${code}:\n${errors}`)))),
  ]);
  const parseLine = (line) => {
    const { level, message } = JSON.parse(line);
    const uncaught = /^Uncaught exception: .*?remote\.jsg\.([^\n]*)/s.exec(message);
    return { level, message: uncaught ? `Uncaught ${uncaught[1]}` : message };
  };
  return { talk: new Talk(JSON.parse(control.all[0]).port, `${name}.test`, lines, parseLine), stop };
}
