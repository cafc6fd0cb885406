// SPDX-License-Identifier: Apache-2.0
// What bench/prisma measures: the same calls for each client.
let made = 0;
export const operations = {
  findUnique: (p, i) => p.user.findUnique({ where: { id: 1 + (i % 4) } }),
  "findMany with include, 100 rows": (p) => p.post.findMany({ take: 100, orderBy: { id: "asc" }, include: { author: true } }),
  create: (p) => p.tag.create({ data: { name: `tag ${Date.now()} ${Math.random()} ${made++}` } }),
  "interactive transaction": (p, i) =>
    p.$transaction(async (tx) => {
      const post = await tx.post.findUnique({ where: { id: 1 + (i % 100) } });
      return tx.post.update({ where: { id: post.id }, data: { views: post.views + 1 } });
    }),
};

// What the endpoint answers without the database.
export const cached = (p) => p.user.findUnique({ where: { id: 1 }, cacheStrategy: { ttl: 600 } });

// Milliseconds of one, of several in a row, for each round: clocks in workers are coarse.
export async function measure(prisma, operation, rounds, each) {
  const times = [];
  for (let i = 0; i < 3 * each; i++) await operation(prisma, i);
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    for (let i = 0; i < each; i++) await operation(prisma, round * each + i);
    times.push((performance.now() - start) / each);
  }
  return times;
}
