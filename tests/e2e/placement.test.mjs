// SPDX-License-Identifier: Apache-2.0
// Who serves one request at a time keeps to one CPU; several at once may have all of them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { after, before, test } from "node:test";

import { descendants, dev, patience, project, wrangler } from "./lib.mjs";

let running, dir;
before(async () => {
  ({ dir } = project({
    "wrangler.toml": wrangler(),
    "src/index.js": `export default { async fetch(request) {
      if (new URL(request.url).pathname === "/slow") await new Promise((done) => setTimeout(done, 2000));
      return new Response("ok"); } };`,
  }));
  running = await dev(dir);
});
after(() => running.weir.stop());

// CPUs that a process, or those of that name, may use, as the kernel lists them.
const cpusOf = (pid) => /Cpus_allowed_list:\s*(\S+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1];
const cpus = (wanted) => descendants(running.weir.process.pid).filter(({ name }) => name === wanted).map(({ pid }) => cpusOf(pid));
const ask = async (path = "/") => assert.equal(await (await fetch(running.url + path)).text(), "ok");

test("one request at a time is served on one CPU, several at once on all", { skip: availableParallelism() < 2 && "there is one CPU", timeout: 60000 * patience }, async () => {
  const all = cpusOf("self"); // weir has them from us
  const together = async () => {
    for (let i = 0; i < 5; i++) await ask();
    return [...cpus("weir-gateway"), ...cpus("weir-instance")];
  };
  const crowd = async () => {
    await Promise.all([ask("/slow"), ask("/slow"), ask("/slow")]);
    await new Promise((done) => setTimeout(done, 300));
  };
  await together(); // its first turns are long ones, and who has those goes elsewhere until it is advised anew
  await crowd();
  const [cpu, ...others] = await together();
  assert.match(cpu, /^\d+$/);
  assert.deepEqual(new Set(others), new Set([cpu]));
  const slow = [ask("/slow"), ask("/slow"), ask("/slow")];
  for (let i = 0; i < 20 && cpus("weir-gateway")[0] !== all; i++) await ask(); // until they have arrived
  assert.deepEqual(cpus("weir-gateway"), [all]);
  await Promise.all(slow);
  assert.deepEqual(new Set(cpus("weir-instance")), new Set([all]));
  await crowd();
  assert.deepEqual(new Set(await together()), new Set([cpu]));
});
