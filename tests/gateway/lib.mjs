// SPDX-License-Identifier: Apache-2.0
// Runs gateway_peer (peer.c) and talks to its gateway in raw bytes.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const peer = process.env.GATEWAY_PEER ?? fileURLToPath(new URL("../../build/tests/gateway/gateway_peer", import.meta.url));

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function plan({ http = {}, worker = {}, ...rest } = {}) {
  return {
    mode: "serve",
    listeners: [{ address: "127.0.0.1", port: 0 }],
    admin: { address: "127.0.0.1", port: 0 },
    access_log: "json",
    http,
    workers: [{ name: "one", version: "1", bundle: "x", routes: [], default: true, ...worker }],
    ...rest,
  };
}

// What a client reads, as text with one character a byte.
class Client {
  received = "";
  closed = false;
  #waiting = [];

  constructor(port) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.socket.setNoDelay(true);
    this.socket.on("data", (bytes) => this.#got(bytes.toString("latin1")));
    this.socket.on("end", () => this.#end());
    this.socket.on("close", () => this.#end());
    this.socket.on("error", (error) => {
      this.error = error;
      this.#end();
    });
  }

  #got(text) {
    this.received += text;
    this.#look();
  }

  #end() {
    this.closed = true;
    this.#look();
  }

  #look() {
    this.#waiting = this.#waiting.filter((check) => !check());
  }

  send(text) {
    this.socket.write(Buffer.from(text, "latin1"));
    return this;
  }

  // Resolves when the pattern was received; rejects when the connection closed without it.
  until(pattern, ms = 5000) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${pattern} in ${JSON.stringify(this.received.slice(0, 500))}`)), ms);
      const check = () => {
        const found = typeof pattern === "string" ? this.received.includes(pattern) : pattern.test(this.received);
        if (!found && !this.closed) return false;
        clearTimeout(timer);
        if (found) resolve(this.received);
        else reject(new Error(`closed without ${pattern}: ${JSON.stringify(this.received.slice(0, 500))}`));
        return true;
      };
      if (!check()) this.#waiting.push(check);
    });
  }

  untilClosed(ms = 8000) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`still open after ${JSON.stringify(this.received.slice(0, 500))}`)), ms);
      const check = () => {
        if (!this.closed) return false;
        clearTimeout(timer);
        resolve(this.received);
        return true;
      };
      if (!check()) this.#waiting.push(check);
    });
  }

  destroy() {
    this.socket.destroy();
  }
}

class Gateway {
  lines = [];
  #waiting = [];
  #text = "";

  constructor(options) {
    this.directory = mkdtempSync(join(tmpdir(), "weir-gateway-"));
    this.plans = 0;
    this.child = spawn(peer, [this.#writePlan(options)], { stdio: ["pipe", "pipe", "pipe"] });
    this.errors = "";
    this.child.stdin.on("error", () => {}); // it ended: the test sees that otherwise
    this.child.stderr.on("data", (bytes) => (this.errors += bytes));
    this.child.stdout.on("data", (bytes) => this.#got(bytes.toString()));
    this.exited = new Promise((resolve) => this.child.on("exit", resolve));
  }

  #writePlan(options) {
    const path = join(this.directory, `plan-${this.plans++}.json`);
    writeFileSync(path, JSON.stringify(plan(options)));
    return path;
  }

  #got(text) {
    this.#text += text;
    const lines = this.#text.split("\n");
    this.#text = lines.pop();
    for (const line of lines) {
      try {
        this.lines.push(JSON.parse(line));
      } catch {
        this.lines.push({ text: line });
      }
    }
    this.#waiting = this.#waiting.filter((check) => !check());
  }

  // The first line, from `from` on, that the predicate accepts.
  line(accepts, { from = 0, ms = 5000, what = accepts } = {}) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no line ${what} in\n${this.lines.map((l) => JSON.stringify(l)).join("\n")}\n${this.errors}`)), ms);
      const check = () => {
        const found = this.lines.slice(from).find(accepts);
        if (!found) return false;
        clearTimeout(timer);
        resolve(found);
        return true;
      };
      if (!check()) this.#waiting.push(check);
    });
  }

  event(name, options) {
    return this.line((l) => l.event === name, { what: name, ...options });
  }

  count(name) {
    return this.lines.filter((l) => l.event === name).length;
  }

  async ready() {
    const listening = await this.event("listening");
    [this.port] = listening.ports;
    this.admin = listening.admin;
    await this.event("plan_taken");
    return this;
  }

  command(text) {
    this.child.stdin.write(`${text}\n`);
  }

  async reload(options) {
    const from = this.lines.length;
    this.command(`plan ${this.#writePlan(options)}`);
    await this.event("plan_taken", { from });
  }

  connect(port = this.port) {
    return new Client(port);
  }

  // Sends bytes, half-closes, and returns all that comes.
  async raw(text, { end = true, port = this.port } = {}) {
    const client = this.connect(port);
    client.send(text);
    if (end) client.socket.end();
    return client.untilClosed();
  }

  // A GET, and what it gave.
  async get(path, headers = "") {
    return parse(await this.raw(`GET ${path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n${headers}\r\n`, { end: false }));
  }

  async metric(name) {
    const text = await this.raw("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", { port: this.admin });
    return Number(text.split("\n").find((l) => l.startsWith(name))?.split(" ").pop());
  }

  async stop() {
    this.child.stdin.write("stop\n");
    await this.exited;
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export function parse(text) {
  const end = text.indexOf("\r\n\r\n");
  const [first, ...fields] = text.slice(0, end).split("\r\n");
  const headers = {};
  for (const field of fields) {
    const colon = field.indexOf(":");
    const name = field.slice(0, colon).toLowerCase();
    headers[name] = name in headers ? `${headers[name]}, ${field.slice(colon + 1).trim()}` : field.slice(colon + 1).trim();
  }
  let body = text.slice(end + 4);
  if (headers["transfer-encoding"] === "chunked") body = unchunk(body);
  return { status: Number(first.split(" ")[1]), headers, body, text };
}

// The data of a chunked body, which must be whole.
export function unchunk(text) {
  let data = "";
  for (;;) {
    const end = text.indexOf("\r\n");
    const size = parseInt(text.slice(0, end), 16);
    if (!/^[0-9a-f]+$/.test(text.slice(0, end))) throw new Error(`not a chunk size: ${JSON.stringify(text.slice(0, 40))}`);
    if (size === 0) {
      if (text.slice(end) !== "\r\n\r\n") throw new Error(`after the last chunk: ${JSON.stringify(text.slice(end))}`);
      return data;
    }
    data += text.slice(end + 2, end + 2 + size);
    if (text.slice(end + 2 + size, end + 4 + size) !== "\r\n") throw new Error("chunk without its end");
    text = text.slice(end + 4 + size);
  }
}

export const statuses = (text) => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => Number(m[1]));

export async function withGateway(options, run) {
  const gateway = await new Gateway(options).ready();
  try {
    await run(gateway);
  } finally {
    const failure = /AddressSanitizer|runtime error|Assertion|assert/.exec(gateway.errors);
    await gateway.stop();
    if (failure) throw new Error(gateway.errors);
  }
}
