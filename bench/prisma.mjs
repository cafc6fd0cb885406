// SPDX-License-Identifier: Apache-2.0
// Prisma connected to Postgres itself, through weir from Node, and through weir from a worker, in one run and in turns: medians of
// what one call takes, and of the ratios of each turn, since the machine's speed changes from one to the next; a worker's first call;
// and 500 requests at once, to as many instances, over 10 connections to the database; it fails where one of them is not answered.
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";

import { descendants } from "../tests/e2e/lib.mjs";
import { startPostgres } from "../tests/pool/lib.mjs";
import { clients } from "../tests/prisma/lib.mjs";
import { measure, operations } from "./apps/prisma/src/operations.js";
import { Server, freePort, here, median, root, scratch, sleep, weirPath } from "./lib.mjs";
import { readOptions } from "./options.mjs";
import { judged, runParts, said, say, writeSection } from "./report.mjs";

const { values: options } = readOptions("prisma");
const rounds = 20, each = 10, turns = options.quick ? 2 : 10, colds = options.quick ? 7 : 21, warmUps = options.quick ? 50 : 300;
const ms = (value) => (value < 10 ? value.toFixed(2) : value.toFixed(1));

const postgres = await startPostgres("fsync = off");
process.on("exit", () => {
  postgres.stop("immediate");
  rmSync(postgres.dir, { recursive: true, force: true });
});
postgres.url = `postgres://postgres@127.0.0.1:${postgres.port}/postgres`;
for (const file of ["schema.sql", "seed.sql"]) postgres.sql(readFileSync(join(root, "tests/prisma", file), "utf8"));
postgres.sql("insert into \"Post\" (title, content, \"authorId\") select 'Post ' || n, repeat('text ', 20), 1 + n % 4 from generate_series(1, 200) n");
const weir = await startWeir();
const made = clients("v6");
const direct = made.direct(postgres.url), remote = made.node(weir.edgeUrl);
const inWorker = (what, times = rounds) => weir.warm(`what=${encodeURIComponent(what)}&rounds=${times}&each=${each}`);

const parts = {
  async calls() {
    say("| Prisma 6, median of one call, ms | connected itself | through weir, from Node | through weir, from a worker | ratio, Node | ratio, worker |", "|---|---|---|---|---|---|");
    const replayPort = await freePort(), edgeUrl = new URL(weir.edgeUrl);
    const replay = new Server("replay", "node", [join(here, "replay.mjs"), String(replayPort), edgeUrl.port]);
    await replay.ready(replayPort);
    const aloneUrl = weir.edgeUrl.replace(`:${edgeUrl.port}`, `:${replayPort}`), alone = made.node(aloneUrl);
    const times = {};
    for (const [name, operation] of Object.entries(operations)) {
      const of = (times[name] = { direct: [], worker: [], node: [], alone: [] });
      for (const prisma of [direct, remote, alone]) await measure(prisma, operation, warmUps, each);
      await inWorker(name, warmUps);
      for (let turn = 0; turn < turns; turn++) {
        of.direct.push(median(await measure(direct, operation, rounds, each)));
        of.worker.push(median(await inWorker(name)));
        of.node.push(median(await measure(remote, operation, rounds, each)));
        of.alone.push(median(await measure(alone, operation, rounds, each)));
      }
      const ratio = (key) => judged(median(of[key].map((time, turn) => time / of.direct[turn])), { floor: 1.5, aim: 1 }); // of neighbours in time
      say(`| ${name} | ${["direct", "node", "worker"].map((key) => ms(median(of[key]))).join(" | ")} | ${ratio("node")} | ${ratio("worker")} |`);
    }
    await replay.stop();

    const own = Object.entries(times).map(([name, { alone, direct }]) => `${name} ${ms(median(alone))} ms, ${median(alone.map((time, turn) => time / direct[turn])).toFixed(2)}×`);
    await inWorker("cached", warmUps);
    say("", `The client in Node by itself, asking a server that has the answers ready: ${own.join("; ")} of a call that is connected itself. The edge client in a worker, with its way to the endpoint and back, answered from the endpoint's cache: ${ms(median(await inWorker("cached")))} ms.`);
  },

  // A process that has loaded nothing yet, from its first line to the first answer; and an instance that does not run yet.
  async first() {
    const rows = { whole: "Node: a process loads Prisma, connects and asks", client: "Node: Prisma is loaded, a new client connects and asks", worker: "weir: a cold instance, the whole request", rested: "weir: neither its instance nor the endpoint's runs" };
    const cells = Object.fromEntries(Object.keys(rows).map((row) => [row, []]));
    for (const [name, operation] of Object.entries(operations)) {
      const script = `const start = performance.now(); const { direct } = require("./clients.cjs"); const loaded = performance.now(); const p = direct(process.argv[1]);
        let made = 0;
        (${operation})(p, 0).then(() => { const end = performance.now(); console.log(JSON.stringify([end - start, end - loaded])); process.exit(); });`;
      const times = { whole: [], client: [], worker: [], rested: [] };
      const ask = async (row) => {
        const start = performance.now();
        await weir.cold(`what=first&call=${encodeURIComponent(name)}`);
        times[row].push(performance.now() - start);
      };
      for (let i = 0; i < colds; i++) {
        const [whole, client] = JSON.parse(spawnSync("node", ["-e", script, postgres.url], { cwd: join(root, "tests/prisma/v6"), encoding: "utf8" }).stdout);
        times.whole.push(whole);
        times.client.push(client);
        await sleep(1500); // the instance of before is gone
        await ask("worker");
      }
      // Neither instance runs; the endpoint's template has learned what was asked.
      for (let i = 0; i < Math.ceil(colds / 3); i++) {
        for (const { pid, name } of descendants(weir.pid)) if (name === "weir-instance") process.kill(pid, "SIGKILL");
        await sleep(6000);
        await ask("rested");
      }
      for (const row of ["whole", "client"]) cells[row].push(ms(median(times[row])));
      for (const row of ["worker", "rested"]) {
        const of = (other) => judged(median(times[row]) / median(times[other]), { floor: 0.2 });
        cells[row].push(`${ms(median(times[row]))}, ${of("client")} of the client, ${of("whole")} of the process`);
      }
    }
    say("", `| first call, median ms | ${Object.keys(operations).join(" | ")} |`, `|---|${"---|".repeat(Object.keys(operations).length)}`,
      ...Object.entries(rows).map(([row, text]) => `| ${text} | ${cells[row].join(" | ")} |`));
  },

  // Of a worker whose instances take one request at a time. At first nothing of it runs; then each request is held until all have
  // an instance of their own, and all ask at once.
  async many() {
    const count = 500, running = () => descendants(weir.pid).filter(({ name }) => name === "weir-instance").length;
    const askAll = async (query) => {
      const before = performance.now();
      const answers = await Promise.all(Array.from({ length: count }, () => weir.many(query).then((row) => row.id === 1, (error) => (console.error(error.message), false))));
      if (!answers.every(Boolean)) process.exitCode = 1;
      return { good: answers.filter(Boolean).length, seconds: (performance.now() - before) / 1000 };
    };
    const burst = await askAll("what=first");
    say("", `${count} requests at once to a worker of which nothing runs, whose up to ${count} instances take one at a time, over 10 connections to the database: ${burst.good} of ${count} answered, in ${burst.seconds.toFixed(1)} s.`);
    const holdSeconds = 60, at = Date.now() + holdSeconds * 1000;
    const asking = askAll(`what=first&at=${at}`);
    await sleep(at - Date.now() - 500);
    const held = running();
    const all = await asking;
    say(`The same where each request first waits until all of them have an instance: ${held} instances ran, ${all.good} of ${count} answered, ${(all.seconds - holdSeconds).toFixed(1)} s after the first query.`);
  },
};
await runParts(parts, options.only);
if (options.write) writeSection("bench/prisma", said());
await direct.$disconnect();
await weir.stop();
process.exit();

// Workers of the same code: one as it comes, one whose instances leave at once, one whose instances take a request at a time.
async function startWeir() {
  const [port, prisma] = [await freePort(), await freePort()], file = join(scratch, "weir.toml");
  const worker = (name, tables = "") => `[[worker]]\nname = "${name}"\nproject = "${join(here, "apps/prisma")}"\nroutes = ["${name}.test/*"]\n${tables}`;
  writeFileSync(file, `access_log = "off"\nmemory_max = "16GB"\n[limits]\nsubrequests = 100000\n[[listener]]\nport = ${port}\n[pool]\nlisten = []\n[[pool.databases]]\nname = "app"\npool_size = 10\nurl = "${postgres.url}?sslmode=disable"\n` +
    `[prisma]\nport = ${prisma}\n` + worker("warm") + worker("cold", '[worker.scale]\nidle_timeout = "200ms"\n') +
    worker("many", '[worker.scale]\nconcurrency = 1\nmax_instances = 500\nqueue_timeout = "60s"\n'));
  const { key } = JSON.parse(spawnSync(weirPath, ["prisma", "key", "create", "--config", file, "--database", "app", "--json"], { encoding: "utf8" }).stdout);
  writeFileSync(join(here, "apps/prisma/.dev.vars"), `DATABASE_URL="prisma://accelerate.prisma-data.net/?api_key=${key}"\n`, { mode: 0o600 });
  const server = new Server("weir", weirPath, ["serve", "--config", file]);
  await server.ready(port, "/?what=first", { host: "warm.test" });
  const ask = (name) => async (query) => {
    const response = await new Promise((done, fail) => http.get({ host: "127.0.0.1", port, path: `/?${query}`, headers: { host: `${name}.test` } }, done).on("error", fail));
    let text = "";
    for await (const chunk of response.setEncoding("utf8")) text += chunk;
    if (response.statusCode !== 200) throw new Error(`${name}: ${response.statusCode} ${text}`);
    return JSON.parse(text);
  };
  return { stop: () => server.stop(), pid: server.process.pid, edgeUrl: `prisma+postgres://localhost:${prisma}/?api_key=${key}`, warm: ask("warm"), cold: ask("cold"), many: ask("many") };
}
