// SPDX-License-Identifier: Apache-2.0
// The first answer: from no instance (its template is there), and from no process at all.

import { median, number, once, quantile, ratio, sleep, startBun, startWeir, startWorkerd, table } from "./lib.mjs";

async function instances(server) {
  const text = await (await fetch(`http://127.0.0.1:${server.admin}/metrics`)).text();
  return Number(/^weir_instances\{[^}]*\} (\d+)/m.exec(text)[1]);
}

export async function cold({ rounds }) {
  const weir = await startWeir({ tables: '[scale]\nidle_timeout = "50ms"\n' });
  const first = [], warm = [];
  for (let i = 0; i < 20 * rounds; i++) {
    while ((await instances(weir)) > 0) await sleep(20);
    await sleep(10);
    const answer = await once(weir.port, "/json");
    if (answer.status !== 200) throw new Error(`weir answered ${answer.status}`);
    first.push(answer.ms);
    warm.push((await once(weir.port, "/json")).ms);
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
  const us = median(first), them = median(starts.workerd);
  return table(
    ["time to the first answer", "median ms", "p99 ms", "of workerd's start"],
    [
      ["weir, no instance, template there", number(us), number(quantile(first, 0.99)), ratio(us / them)],
      ["weir, instance there, new connection", number(median(warm)), number(quantile(warm, 0.99)), ratio(median(warm) / them)],
      ["workerd, process start", number(them), number(Math.max(...starts.workerd)), ratio(1)],
      ["Bun, process start", number(median(starts.bun)), number(Math.max(...starts.bun)), ratio(median(starts.bun) / them)],
      ["weir serve, all of it: bundling, templates", number(median(starts.weir)), number(Math.max(...starts.weir)), ratio(median(starts.weir) / them)],
    ],
  );
}
