// SPDX-License-Identifier: Apache-2.0
// The edge client of each version in a worker, by the vendor's host name: what Node is told by a direct connection, too.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { patience, root } from "../e2e/lib.mjs";
import { caching, clients, startEndpoint } from "./lib.mjs";

const here = join(root, "tests/prisma"), seed = readFileSync(join(here, "seed.sql"), "utf8");
const edges = {
  v5: { client: "generated/edge/edge.js", option: "datasourceUrl" },
  v6: { client: "generated/edge/edge.js", option: "datasourceUrl" },
  v7: { client: "generated/client/edge.js", option: "accelerateUrl" },
};

// As in the worker, where it is source text.
async function operate(p) {
  const code = (promise) => promise.then(() => "it went well", (error) => error.code);
  return {
    one: await p.user.findUnique({ where: { email: "ada@example.com" }, select: { id: true, role: true, _count: { select: { posts: true } } } }),
    many: await p.post.findMany({ orderBy: { id: "asc" }, take: 3, select: { title: true, author: { select: { name: true } } } }),
    made: await p.tag.create({ data: { name: "of a worker" }, select: { name: true } }),
    twice: await code(p.tag.create({ data: { name: "of a worker" } })),
    transaction: await p.$transaction(async (tx) => {
      await tx.post.update({ where: { id: 1 }, data: { views: 11 } });
      return tx.post.findUnique({ where: { id: 1 }, select: { views: true } });
    }),
    rolledBack: await code(p.$transaction([p.tag.deleteMany(), p.user.delete({ where: { id: 99 } })])),
    tags: await p.tag.count(),
    raw: await p.$queryRaw`select ${7}::int as n`,
  };
}

for (const [version, { client, option }] of Object.entries(edges)) {
  test(`Prisma ${version} in a worker`, { timeout: 120000 * patience }, async () => {
    const made = clients(version), dir = join(here, version);
    const endpoint = await startEndpoint({
      modules: join(dir, "node_modules"),
      source: `import { PrismaClient } from "${join(dir, client)}";
        import { withAccelerate } from "@prisma/extension-accelerate";
        ${operate}
        ${caching}
        export default { async fetch(request, env) {
          const p = new PrismaClient({ ${option}: env.DATABASE_URL }).$extends(withAccelerate());
          return Response.json(await (request.url.endsWith("/caching") ? caching(p) : operate(p)));
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
    } finally {
      await endpoint.stop();
    }
  });
}
