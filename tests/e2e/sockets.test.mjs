// SPDX-License-Identifier: Apache-2.0
// connect() of cloudflare:sockets, to servers of our own on loopback, which weir dev allows.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import tls from "node:tls";

import { Weir, freePort, patience, project, withWorker, worker, wrangler } from "./lib.mjs";

const source = `
  import { connect } from "cloudflare:sockets";
  const bytes = (text) => new TextEncoder().encode(text);
  async function readAll(readable) {
    let text = "";
    for await (const chunk of readable) text += new TextDecoder().decode(chunk, { stream: true });
    return text;
  }
  const write = async (socket, text) => { const writer = socket.writable.getWriter(); await writer.write(bytes(text)); writer.releaseLock(); };
  const readSome = async (socket) => { const reader = socket.readable.getReader(); const { value, done } = await reader.read(); reader.releaseLock(); return done ? null : new TextDecoder().decode(value); };
  let kept;
  const cases = {
    async echo(address) {
      const socket = connect(address);
      const info = await socket.opened;
      await write(socket, "hello");
      const text = await readSome(socket);
      const kinds = [String(socket), socket.upgraded, socket.secureTransport, socket.readable.constructor.name, socket.writable.constructor.name];
      await socket.close();
      await socket.closed;
      return { info, text, kinds, after: await readSome(socket) };
    },
    // The server answers when it has seen the end of what came.
    async halfOpen(address) {
      const socket = connect(address, { allowHalfOpen: true });
      const writer = socket.writable.getWriter();
      await writer.write(bytes("count me"));
      await writer.close();
      return readAll(socket.readable);
    },
    async big(address) {
      const socket = connect(address), size = 8_000_000;
      const chunk = new Uint8Array(70_000).fill(65);
      let got = 0;
      const reading = (async () => { for await (const part of socket.readable) if ((got += part.byteLength) >= size) break; })();
      const writer = socket.writable.getWriter();
      for (let sent = 0; sent < size; sent += chunk.length) await writer.write(chunk);
      await reading;
      return got >= size;
    },
    async closedByPeer(address) {
      const socket = connect(address);
      const text = await readAll(socket.readable);
      await socket.closed;
      const writer = socket.writable.getWriter();
      return { text, write: await writer.write(bytes("x")).then(() => "written", (error) => error.name) };
    },
    async failures(address, { port }) {
      const said = async (make) => { try { const s = make(); await s.opened; return "opened"; } catch (error) { return error.name + ": " + error.message; } };
      const closed = async (make) => { const s = make(); const [opened, closing] = await Promise.allSettled([s.opened, s.closed]); return [opened.status, closing.status]; };
      return {
        refused: await said(() => connect("127.0.0.1:1")),
        both: await closed(() => connect("127.0.0.1:1")),
        private: await said(() => connect("10.0.0.1:80")),
        unknown: await said(() => connect("no-such-host.invalid:80")),
        noPort: await said(() => connect("localhost")),
        badPort: await said(() => connect({ hostname: "localhost", port: 70000 })),
        mode: await said(() => connect(address, { secureTransport: "maybe" })),
        notTls: await said(() => connect(address, { secureTransport: "on" })),
        startTls: await said(() => connect(address).startTls()),
        text: await connect(address).writable.getWriter().write("text").catch((error) => error.name),
      };
    },
    async names(address) {
      const said = async (hostname) => { try { await connect({ hostname, port: 1 }).opened; return "opened"; } catch (error) { return error.name + ": " + error.message; } };
      const upgraded = async (expectedServerHostname) => {
        const socket = connect(address, { secureTransport: "starttls" });
        await socket.opened;
        try { socket.startTls({ expectedServerHostname }); return "started"; } catch (error) { return error.name + ": " + error.message; } finally { socket.close(); }
      };
      const bad = ["", "a\0b.com", "a\tb", "x".repeat(300000), "b\u00fccher.example", "\u4e00.example"];
      return {
        connect: await Promise.all([...bad, "[::1", "[a]", "[]", "a\x7f"].map(said)),
        startTls: await Promise.all(bad.map(upgraded)),
      };
    },
    async lateClose(address) { // what was written goes out although nobody waits
      const socket = connect(address), writer = socket.writable.getWriter();
      for (let i = 0; i < 40; i++) writer.write(bytes("x".repeat(10_000)));
      await socket.close();
      return "closed";
    },
    // A connection in use, while others beside it are refused for their certificate.
    async mixed(address, { port }) {
      const socket = connect({ hostname: "localhost", port }, { secureTransport: "on" });
      let rounds = 0, refused = 0;
      try {
        await socket.opened;
        for (; rounds < 40; rounds++) {
          const other = connect({ hostname: "127.0.0.1", port }, { secureTransport: "on" });
          other.closed.catch(() => {});
          const ending = other.opened.catch(() => refused++);
          await write(socket, "ping");
          if ((await readSome(socket)) !== "PING") break;
          if (rounds % 4 === 0) await ending;
        }
      } catch (error) { return error.message; }
      await socket.close();
      return { rounds, refused: refused >= 10 };
    },
    // The server says GO, and something more in the clear, before TLS.
    async inject(address, { port, delay, spin, byob }) {
      const socket = connect({ hostname: "localhost", port }, { secureTransport: "starttls" });
      await write(socket, delay);
      let answer;
      if (byob) answer = new TextDecoder().decode((await socket.readable.getReader({ mode: "byob" }).read(new Uint8Array(2))).value);
      else answer = await readSome(socket);
      if (answer !== "GO") return "seen";
      for (const end = Date.now() + Number(spin ?? 0); Date.now() < end;);
      const secure = socket.startTls();
      const [opened, closed] = await Promise.allSettled([secure.opened, Promise.race([secure.closed, secure.opened])]);
      if (opened.status === "rejected") return closed.status + ": " + opened.reason.message;
      return "opened: " + (await readSome(secure));
    },
    async settles(address, { port }) {
      const told = async (...promises) => (await Promise.allSettled(promises)).map(({ status, reason }) => reason?.message ?? status);
      const early = connect({ hostname: "localhost", port }, { secureTransport: "starttls" }), secure = early.startTls();
      const opened = await told(early.opened, secure.opened);
      await write(secure, "early");
      const text = await readSome(secure);
      await secure.close();
      const refused = connect("127.0.0.1:1", { secureTransport: "starttls" }), never = refused.startTls();
      const both = await told(refused.opened, never.opened, never.closed);
      const failed = connect("127.0.0.1:1", { secureTransport: "starttls" });
      await failed.closed.catch(() => {});
      const later = failed.startTls();
      const closed = connect({ hostname: "localhost", port });
      await closed.close();
      return { opened, text, both, later: await told(later.opened, later.closed), closed: await told(closed.opened) };
    },
    // A socket that a request leaves in global scope, and what becomes of it in another.
    async keep(address) {
      const socket = connect(address);
      await socket.opened;
      kept = { socket, reader: socket.readable.getReader(), writer: socket.writable.getWriter() };
      kept.reading = kept.reader.read();
      return "kept";
    },
    async use(address, { how }) {
      const { socket, reader, writer, reading } = kept;
      const ways = {
        closed: () => socket.closed, opened: () => socket.opened.then(() => socket.closed), close: () => socket.close(),
        read: () => reader.read(), write: () => writer.write(bytes("x")), end: () => writer.close(),
        reading: () => (writer.write(bytes("x")).catch(() => {}), reading),
      };
      try { return { done: await ways[how]() }; } catch (error) { return error.message; }
    },
    async tls(address, { host, port, mode }) {
      let socket = connect({ hostname: host, port }, { secureTransport: mode });
      if (mode === "starttls") {
        await write(socket, "STARTTLS");
        const answer = await readSome(socket);
        if (answer !== "GO") return answer;
        const before = socket;
        socket = socket.startTls();
        await before.closed;
      }
      try { await socket.opened; } catch (error) { return error.message; }
      await write(socket, "in secret");
      const text = await readSome(socket);
      await socket.close();
      return text;
    },
  };
  export default {
    async fetch(request) {
      const { pathname, searchParams } = new URL(request.url);
      const params = Object.fromEntries(searchParams);
      return Response.json(await cases[pathname.slice(1)](\`127.0.0.1:\${params.port}\`, { ...params, port: Number(params.port) }));
    },
  };`;

const servers = [];
after(() => servers.forEach((server) => server.close()));
const listen = (server) => new Promise((done) => { servers.push(server); server.listen(0, "127.0.0.1", () => done(server.address().port)); });

test("a socket reads and writes, half-opens, streams megabytes, and closes", { timeout: 60000 * patience }, async () => {
  let received = 0;
  const echo = await listen(net.createServer((socket) => socket.on("error", () => {}).pipe(socket)));
  const counter = await listen(net.createServer({ allowHalfOpen: true }, (socket) => {
    let count = 0;
    socket.on("data", (data) => (count += data.length)).on("end", () => socket.end(`${count} bytes`)).on("error", () => {});
  }));
  const greeter = await listen(net.createServer((socket) => socket.on("error", () => {}).end("bye")));
  const sink = await listen(net.createServer((socket) => socket.on("data", (data) => (received += data.length)).on("error", () => {})));
  await withWorker(worker(source), async ({ fetch }) => {
    const run = async (name, port) => {
      const response = await fetch(`/${name}${name.includes("?") ? "" : "?"}port=${port}`);
      return response.status === 200 ? response.json() : response.text();
    };
    const first = await run("echo", echo);
    assert.equal(first.info.remoteAddress, `127.0.0.1:${echo}`);
    assert.match(first.info.localAddress, /^127\.0\.0\.1:\d+$/);
    assert.equal(first.text, "hello");
    assert.deepEqual(first.kinds, ["[object Socket]", false, "off", "ReadableStream", "WritableStream"]);
    assert.equal(first.after, null);
    assert.equal(await run("halfOpen", counter), "8 bytes");
    assert.equal(await run("big", echo), true);
    assert.deepEqual(await run("closedByPeer", greeter), { text: "bye", write: "TypeError" });
    assert.equal(await run("lateClose", sink), "closed");
    for (let i = 0; received < 400_000 && i < 100; i++) await new Promise((done) => setTimeout(done, 20));
    assert.equal(received, 400_000);
    for (const how of ["closed", "opened", "close", "read", "write", "end", "reading"]) {
      assert.equal(await run("keep", echo), "kept");
      assert.match(await run(`use?how=${how}&`, echo), /^Cannot perform I\/O on behalf of a different request: the socket belongs to a request that is over/, how);
    }
    const names = await run("names", echo);
    assert.deepEqual(names.connect, Array(10).fill("TypeError: Specified address could not be parsed."));
    assert.deepEqual(names.startTls, Array(6).fill("TypeError: The `expectedServerHostname` option is no host name."));
    assert.deepEqual(await run("failures", echo), {
      refused: "Error: The server refused the connection, or cannot be reached.",
      both: ["rejected", "rejected"],
      private: "TypeError: The address is private or reserved: not allowed (see egress_allow).",
      unknown: "Error: The host name cannot be resolved.",
      noPort: "TypeError: Specified address could not be parsed.",
      badPort: "TypeError: Specified address could not be parsed.",
      mode: "TypeError: Unsupported value in secureTransport socket option: maybe",
      notTls: "Error: TLS: the server's certificate or handshake was refused.",
      startTls: "TypeError: The `secureTransport` socket option must be set to 'starttls' for startTls to be used.",
      text: "TypeError",
    });
  });
});

let dir;
before(() => {
  dir = mkdtempSync(join(tmpdir(), "weir-sockets-"));
  chmodSync(dir, 0o755); // as root the broker is nobody
  execFileSync("openssl", ["req", "-x509", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
    "-keyout", join(dir, "key"), "-out", join(dir, "crt"), "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], { stdio: "pipe" });
});
after(() => rmSync(dir, { recursive: true, force: true }));

test("TLS at once or later, towards a certificate that is checked", { timeout: 60000 * patience }, async () => {
  const pair = { key: readFileSync(join(dir, "key")), cert: readFileSync(join(dir, "crt")) };
  const shout = (socket) => socket.on("data", (data) => socket.write(`${data}`.toUpperCase())).on("error", () => {});
  const secure = await listen(tls.createServer(pair, shout).on("tlsClientError", () => {}));
  const upgrading = await listen(net.createServer((socket) => {
    socket.on("error", () => {}).once("data", () => {
      socket.write("GO");
      shout(new tls.TLSSocket(socket, { ...pair, isServer: true }));
    });
  }));
  const injecting = await listen(net.createServer((socket) => {
    socket.on("error", () => {}).once("data", (data) => {
      const [delay, goes] = [Number(data), data.includes("together") ? "GOINJECTED" : "GO"];
      const secure = () => shout(new tls.TLSSocket(socket, { ...pair, isServer: true }));
      socket.pause().write(goes);
      if (goes !== "GO") secure();
      else setTimeout(() => socket.write("INJECTED", secure), delay);
    });
  }));
  const made = project({ "wrangler.toml": wrangler(), "src/index.js": source });
  const port = await freePort();
  // OpenSSL's own variable: this certificate is all that is trusted.
  const weir = await Weir.start(["dev", made.dir, "--port", String(port)], { env: { SSL_CERT_FILE: join(dir, "crt") } });
  try {
    await weir.waitFor("ready on");
    const run = async (host, to, mode) => (await fetch(`http://127.0.0.1:${port}/tls?host=${host}&port=${to}&mode=${mode}`)).json();
    assert.equal(await run("localhost", secure, "on"), "IN SECRET");
    assert.equal(await run("localhost", upgrading, "starttls"), "IN SECRET");
    const inject = async (query) => (await fetch(`http://127.0.0.1:${port}/inject?port=${injecting}&${query}`)).json();
    const clear = "rejected: The server sent bytes in the clear before TLS began.";
    assert.equal(await inject("delay=0&spin=50"), clear);
    assert.equal(await inject("delay=5&spin=50"), clear);
    assert.equal(await inject("delay=together&byob=1"), clear);
    for (let i = 0; i < 40; i++) {
      const said = await inject(`delay=${(i % 8) / 4}`);
      assert.match(said, /^(seen|rejected: (The server sent bytes in the clear before TLS began|TLS: the server's certificate or handshake was refused)\.)$/);
    }
    assert.equal(await run("127.0.0.1", secure, "on"), "TLS: the server's certificate or handshake was refused.");
    assert.equal(await run("127.0.0.1", upgrading, "starttls"), "TLS: the server's certificate or handshake was refused.");
    const settled = await (await fetch(`http://127.0.0.1:${port}/settles?port=${secure}`)).json();
    const refused = "The server refused the connection, or cannot be reached.", lost = "Network connection lost.";
    assert.deepEqual(settled, {
      opened: ["fulfilled", "fulfilled"], text: "EARLY", both: [refused, refused, refused], later: [lost, lost],
      closed: ["The socket was closed before it was open."],
    });
    assert.deepEqual(await (await fetch(`http://127.0.0.1:${port}/mixed?port=${secure}`)).json(), { rounds: 40, refused: true });
  } finally {
    await weir.stop();
    made.remove();
  }
});
