// SPDX-License-Identifier: Apache-2.0
// A worker that starts again and again is rehearsed in its template: later starts find its code compiled, and nothing else.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { Weir, descendants, freePort, patience, project, wrangler } from "./lib.mjs";

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// weir serve with a worker of that source, whose instances leave at once; body({start, weir}): start(path, init) asks when no
// instance runs, and resolves to {text, cpuUs}.
async function starting(source, body, extra = "") {
  const port = await freePort();
  const made = project({
    "weir.toml": `gateways = 1\n[[listener]]\nport = ${port}\n[[worker]]\nproject = "."\ndefault = true\n[worker.scale]\nidle_timeout = "100ms"\n${extra}`,
    "wrangler.toml": wrangler(extra && '[[hyperdrive]]\nbinding = "DB"\nid = "app"\n'),
    "src/index.js": source,
  });
  const weir = await Weir.start(["serve", "--config", join(made.dir, "weir.toml")]);
  const requests = () => weir.output.split("\n").filter((line) => line.startsWith('{"type":"request"')).map((line) => JSON.parse(line));
  const start = async (path = "/", init) => {
    await sleep(500 * patience); // the instance of before is gone
    const before = requests().length;
    const text = await (await fetch(`http://127.0.0.1:${port}${path}`, init)).text();
    for (const end = Date.now() + 5000 * patience; requests().length === before; await sleep(10)) assert.ok(Date.now() < end, weir.output);
    return { text, cpuUs: requests().at(-1).cpu_us };
  };
  try {
    await weir.waitFor("serving: 1 worker");
    await body({ start, weir });
  } finally {
    await weir.stop("SIGTERM");
    made.remove();
  }
}

// So many functions, each of which the engine compiles when it is first called.
const many = (count) => Array.from({ length: count }, (_, i) => `(a) => { let s = a; for (const x of [1, 2, ${i}]) s = (s * 31 + x) % 1000003; return s > ${i} ? s - 1 : s + 1; }`).join(",\n");

test("what a worker's requests need is compiled from the third start on; of the rehearsal nothing is left", () =>
  starting(
    `const all = [${many(4000)}];
     let count = 0;
     export default { async fetch(request) {
       count++;
       console.log("asked for " + new URL(request.url).pathname);
       let sum = 1;
       if (new URL(request.url).pathname === "/all") for (const one of all) sum = one(sum);
       return new Response([count, sum, typeof native + typeof weirRuntime + typeof bundle, crypto.randomUUID(), Math.random()].join(" "));
     } };`,
    async ({ start, weir }) => {
      const starts = [];
      for (let i = 0; i < 7; i++) starts.push(await start("/all?secret"));
      const words = starts.map(({ text }) => text.split(" ")), different = (at) => new Set(words.map((of) => of[at])).size;
      assert.deepEqual([different(0), different(1), words[0][0], words[0][2]], [1, 1, "1", "undefinedundefinedundefined"], "each finds the worker as it was loaded");
      assert.deepEqual([different(3), different(4)], [starts.length, starts.length], "nobody draws another's numbers");
      const cold = starts.slice(0, 2).map(({ cpuUs }) => cpuUs), rehearsed = starts.slice(3).map(({ cpuUs }) => cpuUs);
      assert.ok(Math.min(...rehearsed) < Math.min(...cold) / 2, `CPU time of the first starts ${cold} us, of later ones ${rehearsed}`);
      assert.equal(weir.output.match(/asked for \/all/g).length, starts.length, "nobody hears of the rehearsal");
    },
  ));

test("each route is rehearsed, and what one needs stays compiled when another is", () =>
  starting(
    `const things = [${many(3000)}], others = [${many(3000)}];
     export default { async fetch(request) {
       const all = new URL(request.url).pathname.startsWith("/things/") ? things : others;
       let sum = 1;
       for (const one of all) sum = one(sum);
       return new Response(sum);
     } };`,
    async ({ start }) => {
      const times = { things: [], others: [] };
      for (let i = 0; i < 5; i++) times.things.push((await start(`/things/${i}`)).cpuUs);
      for (let i = 0; i < 5; i++) times.others.push((await start("/others")).cpuUs);
      for (let i = 5; i < 8; i++) times.things.push((await start(`/things/${i}`)).cpuUs);
      const cold = Math.min(...times.things.slice(0, 2));
      for (const later of [times.things.slice(3, 5), times.others.slice(3), times.things.slice(5)])
        assert.ok(Math.min(...later) < cold / 2, `CPU time of each start in us: ${JSON.stringify(times)}`);
    },
  ));

for (const [what, code] of [
  ["has no end", "for (;;);"],
  ["takes all memory", "const all = []; for (let i = 0; i < 300; i++) all.push(new Uint8Array(1000000).fill(1));"],
  ["waits for ever", "await new Promise(() => {});"],
  ["throws", 'throw new Error("not today");'],
])
  test(`a worker whose rehearsal ${what} goes on as it was`, () =>
    starting(
      `export default { async fetch(request) {
         if (request.headers.get("x-real") === null) { ${code} }
         return new Response("fine");
       } };`,
      async ({ start, weir }) => {
        const template = () => descendants(weir.process.pid).filter(({ name }) => name === "weir-template").map(({ pid }) => pid).join();
        assert.equal((await start("/", { headers: { "x-real": "1" } })).text, "fine");
        const before = template();
        for (let i = 0; i < 4; i++) assert.equal((await start("/", { headers: { "x-real": "1" } })).text, "fine");
        assert.equal(template(), before);
        assert.doesNotMatch(weir.output, /\] error|not today/);
      },
    ));

test("a driver is rehearsed with a database that is none: what comes behind its answers is compiled, too", () =>
  starting(
    `import { connect } from "cloudflare:sockets";
     const all = [${many(4000)}];
     async function ask({ host, port }) {
       const socket = connect({ hostname: host, port }), writer = socket.writable.getWriter(), reader = socket.readable.getReader();
       writer.write(new Uint8Array([0, 0, 0, 8, 0, 3, 0, 0]));
       let { value } = await reader.read();
       if (value.at(-6) !== 0x5a) throw new Error("not ready");
       writer.write(new Uint8Array([0x51, 0, 0, 0, 13, ...new TextEncoder().encode("select 1"), 0]));
       ({ value } = await reader.read());
       if (value[0] !== 0x54 || value.at(-6) !== 0x5a) throw new Error("no rows");
     }
     export default { async fetch(request, env) {
       if (!request.headers.has("x-real")) await ask(env.DB);
       let sum = 1;
       for (const one of all) sum = one(sum);
       return new Response(sum);
     } };`,
    async ({ start }) => {
      const times = [];
      for (let i = 0; i < 7; i++) times.push((await start("/", { headers: { "x-real": "1" } })).cpuUs);
      assert.ok(Math.min(...times.slice(3)) < Math.min(...times.slice(0, 2)) / 2, `CPU time of each start in us: ${times}`);
    },
    '[pool]\nlisten = []\n[[pool.databases]]\nname = "app"\nid = "app"\nuser = "nobody"\nhost = "127.0.0.1"\nport = 1\n',
  ));
