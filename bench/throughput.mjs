// SPDX-License-Identifier: Apache-2.0
// Requests a second and latency under load: the same application on every server, in turns.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { here, median, number, ratio, scratch, startBun, startNginx, startWeir, startWorkerd, table, wrk } from "./lib.mjs";

const cases = [
  { name: "Hono JSON", path: "/json" },
  { name: "Hono text", path: "/text" },
  { name: "route with parameter and query", path: "/users/42?q=abc" },
  { name: "POST JSON echo", path: "/echo", script: join(here, "lua/echo.lua") },
  { name: "100 KiB body", path: "/large" },
  { name: "stream of 16 parts", path: "/stream" },
];

// Every server takes its turn in each round, so that a slow minute of the machine is everybody's.
async function measure(servers, { path, script }, { rounds, seconds }) {
  const runs = new Map(servers.map((server) => [server, []]));
  for (const server of servers) await wrk(server.port, path, { seconds: 1, script });
  for (let round = 0; round < rounds; round++)
    for (const server of servers) runs.get(server).push(await wrk(server.port, path, { seconds, script }));
  return servers.map((server) => {
    const all = runs.get(server);
    const result = { rate: median(all.map((r) => r.rate)), p99: median(all.map((r) => r.p99)), errors: all.reduce((sum, r) => sum + r.errors, 0) };
    if (result.errors > 0) throw new Error(`${server.name} ${path}: ${result.errors} errors`);
    return result;
  });
}

export async function throughput(options) {
  const servers = [await startWeir(), await startWorkerd(), await startBun()];
  const rows = [];
  for (const one of cases) {
    const [weir, workerd, bun] = await measure(servers, one, options);
    rows.push([
      one.name, number(weir.rate), number(workerd.rate), number(bun.rate),
      ratio(weir.rate / workerd.rate), ratio(weir.rate / bun.rate),
      number(weir.p99), number(workerd.p99), number(bun.p99), ratio(weir.p99 / workerd.p99),
    ]);
    console.error(rows.at(-1).join("  "));
  }
  for (const server of servers) await server.stop();
  return table(["32 connections", "weir req/s", "workerd", "Bun", "weir : workerd", "weir : Bun", "weir p99 ms", "workerd", "Bun", "p99 weir : workerd"], rows);
}

export async function files(options) {
  const project = join(scratch, "files"), directory = join(project, "public");
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "index.html"), "<!doctype html><title>small</title>".padEnd(1024, " "));
  writeFileSync(join(directory, "large.bin"), Buffer.alloc(1 << 20, 7));
  writeFileSync(join(project, "wrangler.toml"), `name = "files"\ncompatibility_date = "2025-01-01"\n[assets]\ndirectory = "public"\nhtml_handling = "none"\n`);
  const weir = await startWeir({ workers: `[[worker]]\nproject = "${project}"\ndefault = true\n`, path: "/index.html" });
  const servers = [weir, await startNginx(directory)];
  const rows = [];
  for (const [name, path] of [["1 KiB page", "/index.html"], ["1 MiB file", "/large.bin"]]) {
    const [ours, nginx] = await measure(servers, { path }, options);
    rows.push([name, number(ours.rate), number(nginx.rate), ratio(ours.rate / nginx.rate), number(ours.p99), number(nginx.p99)]);
    console.error(rows.at(-1).join("  "));
  }
  for (const server of servers) await server.stop();
  return table(["static file", "weir req/s", "nginx", "weir : nginx", "weir p99 ms", "nginx"], rows);
}
