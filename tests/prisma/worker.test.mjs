// SPDX-License-Identifier: Apache-2.0
// The edge client of each version in a worker, by the vendor's host name: what Node is told by a direct connection, too.
import assert from "node:assert/strict";
import { appendFileSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { descendants, patience, root } from "../e2e/lib.mjs";
import { caching, clients, edges, operate, startEndpoint, until } from "./lib.mjs";

const here = join(root, "tests/prisma"), seed = readFileSync(join(here, "seed.sql"), "utf8");

// Of the instances, that which has had most of the CPU.
function busiest(weir) {
  const ticks = (pid) => Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ")[11]);
  return descendants(weir).filter(({ name }) => name === "weir-instance").map(({ pid }) => pid).sort((a, b) => ticks(b) - ticks(a))[0];
}

// A worker that does not come to the end of it.
async function dying(p, how) {
  const kept = [];
  await p.$transaction(async (tx) => {
    await tx.post.update({ where: { id: 1 }, data: { views: 66 } });
    for (;;) if (how === "memory") kept.push(new Uint8Array(1e6).fill(1));
  }, { timeout: 15000 });
}

for (const [version, { client, option }] of Object.entries(edges)) {
  test(`Prisma ${version} in a worker`, { timeout: 120000 * patience }, async () => {
    const made = clients(version), dir = join(here, version);
    const endpoint = await startEndpoint({
      modules: join(dir, "node_modules"),
      wrangler: "[limits]\ncpu_ms = 1000\n",
      source: `import { PrismaClient } from "${join(dir, client)}";
        import { withAccelerate } from "@prisma/extension-accelerate";
        ${operate}
        ${caching}
        ${dying}
        export default { async fetch(request, env) {
          const p = new PrismaClient({ ${option}: env.DATABASE_URL }).$extends(withAccelerate());
          const { pathname, search } = new URL(request.url);
          return Response.json(await (pathname === "/caching" ? caching(p) : pathname === "/dying" ? dying(p, search.slice(1)) : pathname === "/count" ? p.user.count() : operate(p)));
        } };`,
    });
    try {
      endpoint.postgres.sql(seed);
      const answer = await endpoint.fetch("/");
      assert.equal(answer.status, 200, (await answer.clone().text()).slice(0, 2000));
      endpoint.postgres.sql(seed);
      const direct = made.direct(endpoint.url);
      assert.deepEqual(await answer.json(), JSON.parse(JSON.stringify(await operate(direct))));
      await direct.$disconnect();
      const told = await endpoint.fetch("/caching");
      assert.deepEqual(await told.json(), caching.told);
      // Its rows are free at once, and others are answered all the while.
      const open = () => endpoint.postgres.sql("select count(*) from pg_stat_activity where state = 'idle in transaction'");
      for (const how of ["killed", "cpu", "memory"].slice(0, process.env.ASAN_OPTIONS === undefined ? 3 : 2)) {
        endpoint.postgres.sql(seed);
        const died = endpoint.fetch(`/dying?${how}`).then(async (answer) => `${answer.status} ${await answer.text()}`);
        await until(() => open() === "1");
        if (how === "killed") process.kill(busiest(endpoint.weir.process.pid), "SIGKILL");
        assert.match(await died, /^50[023] .*110[12]/s, how); // on a busy machine it is missed before it has had its CPU time
        assert.equal(await (await endpoint.fetch("/count")).text(), "4");
        assert.equal(endpoint.postgres.sql('set lock_timeout = \'8s\'; select views from "Post" where id = 1 for update').split("\n").at(-1), "100", how);
        await until(() => open() === "0");
      }
    } finally {
      await endpoint.stop();
    }
  });
}

test("a client whose URL is in [vars]; more requests at once than an instance may have", { timeout: 60000 * patience }, async () => {
  clients("v6");
  const endpoint = await startEndpoint({
    modules: join(here, "v6/node_modules"),
    source: `import { PrismaClient } from "${join(here, "v6", edges.v6.client)}";
      export default { async fetch(request, env) {
        const p = new PrismaClient({ datasourceUrl: env.DATABASE_URL });
        if (new URL(request.url).pathname !== "/crowd") return Response.json([typeof env.DATABASE_URL, await p.user.count()]);
        const told = await Promise.all(Array.from({ length: 700 }, () => p.user.count().then(String, (error) => error.code ?? error.message)));
        return Response.json([...new Set(told)].sort());
      } };`,
  });
  try {
    const variables = join(endpoint.dir, ".dev.vars"), [line] = readFileSync(variables, "utf8").split("\n");
    rmSync(variables);
    appendFileSync(join(endpoint.dir, "wrangler.toml"), `[vars]\n${line}\n`);
    await endpoint.restart();
    assert.deepEqual(await (await endpoint.fetch("/")).json(), ["string", 0]);
    assert.deepEqual(await (await endpoint.fetch("/crowd")).json(), ["0", "P5008"]);
    assert.deepEqual(await (await endpoint.fetch("/")).json(), ["string", 0]);
  } finally {
    await endpoint.stop();
  }
});
