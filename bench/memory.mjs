// SPDX-License-Identifier: Apache-2.0
// Memory at rest and under load, of a thousand workers, and of connections that wait.

import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { commandOf, family, here, median, memoryOf, memoryOfAll, mib, number, once, quantile, ratio, scratch, sleep, startBun, startWeir, startWorkerd, table, wrk } from "./lib.mjs";

const instancesOf = (server) => family(server.process.pid).filter((pid) => commandOf(pid) === "weir-instance");

export async function memory() {
  const servers = [await startWeir(), await startWorkerd(), await startBun()];
  const rows = [];
  let workerdIdle;
  const read = (server) => memoryOfAll(family(server.process.pid));
  await sleep(7000); // instances give memory back after 5 s of quiet
  const idle = servers.map(read);
  const [instance] = instancesOf(servers[0]);
  const own = memoryOf(instance).own;
  workerdIdle = idle[1].rss;
  rows.push(["one idle weir instance, private", mib(own), ratio(own / workerdIdle)]);
  rows.push(["workerd, idle, resident", mib(workerdIdle), ratio(1)]);
  rows.push(["Bun, idle, resident", mib(idle[2].rss), ratio(idle[2].rss / workerdIdle)]);
  rows.push(["weir, all processes, idle, proportional", mib(idle[0].pss), ratio(idle[0].pss / workerdIdle)]);
  for (const server of servers) {
    const load = wrk(server.port, "/json", { seconds: 5 });
    await sleep(4500);
    const all = read(server);
    server.loaded = server.name === "weir" ? all.pss : all.rss;
    if (server.name === "weir") server.instance = memoryOf(instancesOf(server)[0]).own;
    await load;
  }
  const [weir, workerd, bun] = servers;
  rows.push(["one weir instance under load, private", mib(weir.instance), ratio(weir.instance / workerd.loaded)]);
  rows.push(["weir, all processes, under load, proportional", mib(weir.loaded), ratio(weir.loaded / workerd.loaded)]);
  rows.push(["workerd under load, resident", mib(workerd.loaded), ratio(1)]);
  rows.push(["Bun under load, resident", mib(bun.loaded), ratio(bun.loaded / workerd.loaded)]);
  for (const server of servers) await server.stop();
  return table(["memory", "", "of workerd's"], rows);
}

export async function thousand({ workers = 1000 } = {}) {
  const dir = join(scratch, "thousand");
  let tables = "";
  for (let i = 0; i < workers; i++) {
    const project = join(dir, `w${i}`);
    mkdirSync(project, { recursive: true });
    writeFileSync(join(project, "wrangler.toml"), `name = "w${i}"\nmain = "index.js"\ncompatibility_date = "2025-01-01"\n`);
    writeFileSync(join(project, "index.js"), `export default { fetch(request) { return new Response("worker ${i} " + new URL(request.url).pathname); } };\n`);
    tables += `[[worker]]\nproject = "${project}"\nroutes = ["w${i}.test/*"]\n`;
  }
  const weir = await startWeir({ settings: 'memory_max = "4GB"', tables: '[scale]\nidle_timeout = "10s"\n', workers: tables, path: "/", headers: { host: "w0.test" }, ms: 300_000 });
  const times = [];
  for (let i = 0; i < workers; i++) {
    const answer = await once(weir.port, "/", { host: `w${i}.test` });
    if (answer.status !== 200) throw new Error(`worker ${i} answered ${answer.status}\n${weir.output}`);
    times.push(answer.ms);
  }
  const hot = memoryOfAll(family(weir.process.pid)), count = instancesOf(weir).length;
  while (instancesOf(weir).length > 0) await sleep(500);
  const rest = memoryOfAll(family(weir.process.pid)), processes = family(weir.process.pid).length;
  await weir.stop();
  return table(
    [`${number(workers, 0)} workers in one weir serve`, ""],
    [
      ["start until the first answer, everything bundled", `${number(weir.startMs / 1000)} s`],
      ["each hit once in turn: answered", `${times.length}`],
      ["time to the first answer, median", `${number(median(times))} ms`],
      ["… 99th percentile", `${number(quantile(times, 0.99))} ms`],
      [`memory with ${count} instances, proportional`, mib(hot.pss)],
      [`memory at rest, ${processes} processes, proportional`, mib(rest.pss)],
    ],
  );
}

export async function connections({ connections = Number(process.env.BENCH_CONNECTIONS ?? 100_000) } = {}) {
  const weir = await startWeir({ settings: "", tables: '[http]\nkeepalive_timeout = "10m"\nconnections_max = 200000\n' });
  const gateway = family(weir.process.pid).find((pid) => commandOf(pid) === "weir-gateway");
  const before = memoryOf(gateway).own, socketsBefore = socketMemory();
  const client = spawn(join(here, "../build/bench/idle_clients"), [String(weir.port), String(connections)], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await new Promise((done, fail) => {
    client.stdout.setEncoding("utf8").once("data", (text) => done(text.split("\n")));
    client.once("exit", (code) => fail(new Error(`idle_clients ended with ${code}`)));
  });
  await sleep(1000);
  const after = memoryOf(gateway).own, sockets = socketMemory() - socketsBefore;
  const answer = await once(weir.port, "/json");
  client.stdin.end();
  await weir.stop();
  return table(
    [`${number(connections, 0)} keep-alive connections, each answered once, then idle`, ""],
    [
      ["open", line],
      ["the gateway's private memory", `${mib(after - before)}, ${number(((after - before) * 1024) / connections, 0)} bytes each`],
      ["the kernel's memory for both ends", `${mib(sockets)}, ${number((sockets * 1024) / connections, 0)} bytes each`],
      ["a request meanwhile", `${answer.status} in ${number(answer.ms)} ms`],
    ],
  );
}

// KiB of slab objects, where sockets, their files and epoll entries live.
function socketMemory() {
  const text = execFileSync("cat", ["/proc/meminfo"], { encoding: "latin1" });
  return Number(/^Slab:\s+(\d+)/m.exec(text)[1]);
}
