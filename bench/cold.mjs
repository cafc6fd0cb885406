// SPDX-License-Identifier: Apache-2.0
// The first answer: from no instance (its template is there, and a spare instance or none), and from no process at all.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { commandOf, family, median, number, once, quantile, ratio, root, sleep, startBun, startWeir, startWorkerd, table } from "./lib.mjs";

async function instances(server) {
  const text = await (await fetch(`http://127.0.0.1:${server.admin}/metrics`)).text();
  return Number(/^weir_instances\{[^}]*\} (\d+)/m.exec(text)[1]);
}

// Pages that a process took, copied or mapped so far; 0 if it has ended meanwhile.
function faultsOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[7]);
  } catch {
    return 0;
  }
}

// One by one, and many at once.
function copiedPageUs() {
  const runs = [1, 2, 3].map(() => execFileSync(join(root, "build/bench/copied_page"), { encoding: "utf8" }).trim().split("\n").map(Number));
  return [0, 1].map((i) => median(runs.map((run) => run[i])));
}

const instancePids = (server) => family(server.process.pid).filter((pid) => commandOf(pid) === "weir-instance");

// No instance is there, but the spare one, if it is wanted.
async function rest(server, withSpare) {
  for (;;) {
    await sleep(20);
    if ((await instances(server)) > 0) continue;
    const spare = instancePids(server);
    if (withSpare ? spare.length === 1 : spare.length === 0) break;
    if (!withSpare) for (const pid of spare) process.kill(pid, "SIGKILL");
  }
  await sleep(10);
}

export async function cold({ rounds }) {
  const weir = await startWeir({ tables: '[scale]\nidle_timeout = "100ms"\n' });
  const spare = [], first = [], warm = [], faults = [];
  const ask = async () => {
    const answer = await once(weir.port, "/json");
    if (answer.status !== 200) throw new Error(`weir answered ${answer.status}`);
    return answer.ms;
  };
  await ask(); // the second start says that there will be more
  while ((await instances(weir)) > 0) await sleep(20);
  await ask();
  for (let i = 0; i < 20 * rounds; i++) {
    await rest(weir, true);
    spare.push(await ask());
    warm.push(await ask());
  }
  for (let i = 0; i < 20 * rounds; i++) {
    await rest(weir, false);
    first.push(await ask());
    faults.push(faultsOf(instancePids(weir)[0]));
  }
  await weir.stop();
  const starts = { workerd: [], bun: [], weir: [weir.startMs] };
  for (let i = 0; i < 2 * rounds; i++) {
    for (const start of [startWorkerd, startBun, startWeir]) {
      const server = await start();
      starts[server.name].push(server.startMs);
      await server.stop();
    }
  }
  const us = median(first), ready = median(spare), them = median(starts.workerd);
  const pages = median(faults.filter(Boolean)), [alone, together] = copiedPageUs();
  const machine = `An instance touches ${number(pages, 0)} pages until then. On this machine a page that is copied after a fork takes ${number(alone)} µs, ` +
    `and ${number(together)} µs as one of many; about 0.5 µs on hardware, 1 to 2 µs in most virtual machines.`;
  const results = table(
    ["time to the first answer", "median ms", "p99 ms", "of workerd's start"],
    [
      ["weir, no instance, template there", number(us), number(quantile(first, 0.99)), ratio(us / them)],
      ["weir, no instance but a spare one", number(ready), number(quantile(spare, 0.99)), ratio(ready / them)],
      ["weir, instance there, new connection", number(median(warm)), number(quantile(warm, 0.99)), ratio(median(warm) / them)],
      ["workerd, process start", number(them), number(Math.max(...starts.workerd)), ratio(1)],
      ["Bun, process start", number(median(starts.bun)), number(Math.max(...starts.bun)), ratio(median(starts.bun) / them)],
      ["weir serve, all of it: bundling, templates", number(median(starts.weir)), number(Math.max(...starts.weir)), ratio(median(starts.weir) / them)],
    ],
  );
  return `${results}\n\n${machine}`;
}
