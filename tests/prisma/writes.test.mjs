// SPDX-License-Identifier: Apache-2.0
// Plans of writes are kept by shape and used again with other values: the same long series of writes, by a client that is connected
// to the database itself and by the edge client through weir, comes to the same results, errors and rows.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import pg from "pg";

import { patience } from "../e2e/lib.mjs";
import { clients, failure, plain, startEndpoint } from "./lib.mjs";

const seed = readFileSync(new URL("seed.sql", import.meta.url), "utf8");
const made = clients("v6");
let endpoint, admin, direct, edge;
before(async () => {
  endpoint = await startEndpoint();
  admin = new pg.Client({ connectionString: endpoint.url });
  await admin.connect();
  direct = made.direct(endpoint.url);
  edge = made.edge(endpoint.edgeUrl());
});
after(async () => {
  await direct.$disconnect();
  await edge.$disconnect();
  await admin.end();
  await endpoint.stop();
});

// Numbers that are the same for both.
function dice(start) {
  let state = start >>> 0;
  const below = (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  return { below, of: (...values) => values[below(values.length)] };
}

const strings = ["", "plain", "it's \"quoted\" \\ and %w0", "ü 漢 🚀", "x".repeat(3000), "null", "{\"$type\":\"Param\"}", "0"];
const uuids = ["6f1c1b9e-3f0a-4a57-9d8e-2b8f2c9d7e11", "00000000-0000-0000-0000-000000000000"];
const ints = [0, 1, -1, 2147483647, -2147483648, 2147483648, 12];

// Every kind of write, with values of every kind; some of them fail, on both sides.
const writes = [
  (p, d, i) => p.tag.create({ data: { name: `${d.of(...strings)} ${i}` } }),
  (p, d) => p.tag.create({ data: { name: d.of("taken", "taken too") } }),
  (p, d, i) => p.tag.update({ where: { name: `${d.of("taken", "taken too", "nobody's")}` }, data: { name: `was taken ${i}` } }),
  (p, d) => p.tag.delete({ where: { id: 1 + d.below(12) } }),
  (p, d) => p.tag.deleteMany({ where: { name: d.of(...strings) } }),
  (p, d, i) => p.user.create({ data: { email: `${i}@example.com`, name: d.of(null, undefined, ...strings), age: d.of(null, undefined, ...ints), role: d.of("ADMIN", "READER", undefined), score: d.of(0, 1.5, -2, undefined) } }),
  (p, d, i) => p.user.create({ data: { email: `${i}@example.org`, posts: { create: [{ title: d.of(...strings), views: d.below(5) }] } }, include: { posts: true } }),
  (p, d, i) => p.user.update({ where: { id: 1 + d.below(8) }, data: { email: `moved ${i}`, age: d.of(...ints), name: d.of(null, ...strings) } }),
  (p, d) => p.user.update({ where: { email: d.of("ada@example.com", "nobody@example.com") }, data: { age: { increment: d.below(3) } }, select: { age: true } }),
  (p, d) => p.user.update({ where: { id: 1 + d.below(4), age: { gt: d.below(40) } }, data: { role: d.of("ADMIN", "AUTHOR") } }),
  (p, d) => p.user.updateMany({ where: { age: d.of(null, ...ints) }, data: { name: d.of(...strings), age: d.of(7, 8) } }),
  (p, d, i) => p.user.upsert({ where: { email: d.of("ada@example.com", `up ${i}`) }, create: { email: d.of("ada@example.com", `up ${i}`) }, update: { name: d.of(...strings) } }),
  (p, d) => p.post.update({ where: { id: 1 + d.below(6) }, data: { title: d.of(...strings), published: d.of(true, false), author: d.of(undefined, { connect: { id: 1 + d.below(5) } }, { disconnect: true }) }, include: { author: { select: { id: true } } } }),
  (p, d) => p.post.updateMany({ where: { published: d.of(true, false), authorId: d.of(1, 2, null) }, data: { views: d.of(...ints) } }),
  (p, d) => p.post.create({ data: { title: d.of(...strings), authorId: d.of(1, 2, 99, null) } }),
  (p, d) => p.post.delete({ where: { id: 1 + d.below(40), views: d.below(3) } }),
  (p, d, i) => p.everything.create({ data: { id: d.of(1, 1000 + i), string: d.of(null, ...strings), int: d.of(...ints), bool: d.of(true, false, null), uuid: d.of(null, ...uuids), bigint: d.of(1n, 9223372036854775807n), decimal: d.of("1.5", 2), json: d.of({ a: [1] }, "text", 5), bytes: Uint8Array.of(d.below(256)), zoned: new Date(d.below(1e9) * 1000), strings: [d.of(...strings)], ints: [d.below(9)] } }),
  (p, d) => p.everything.update({ where: { id: 1 + d.below(4) }, data: { string: d.of(null, ...strings), uuid: d.of(...uuids), bool: d.of(true, false), ints: { push: d.below(5) }, float: d.of(1, 1.25) } }),
  (p, d) => p.everything.deleteMany({ where: { string: d.of(...strings), bool: d.of(true, false) } }),
  (p, d) => p.stock.create({ data: { shop: d.of("north", "south"), item: d.of("nails", ...strings), amount: d.of(1, 2, 2147483648) } }),
  (p, d) => p.stock.update({ where: { shop_item: { shop: d.of("north", "south"), item: "nails" } }, data: { amount: d.below(1000), item: d.of("nails", "screws") } }),
  (p, d) => p.comment.delete({ where: { postId_number: { postId: d.below(3), number: d.below(3) } } }),
  (p, d, i) => p.$transaction([p.tag.create({ data: { name: `first ${i}` } }), p.tag.update({ where: { name: `first ${i}` }, data: { name: d.of(`second ${i}`, "taken") } })]),
];

async function series(p, start, count) {
  await admin.query(seed);
  const d = dice(start), results = [];
  for (let i = 0; i < count; i++) {
    const write = writes[d.below(writes.length)];
    try {
      results.push(plain(await write(p, d, i)));
    } catch (error) {
      results.push(failure(error));
    }
  }
  for (const model of ["user", "post", "tag", "everything", "stock", "comment"]) results.push(plain(await p[model].findMany({ orderBy: model === "stock" ? [{ shop: "asc" }, { item: "asc" }] : model === "comment" ? [{ postId: "asc" }, { number: "asc" }] : { id: "asc" } })));
  return results;
}

for (const start of [1, 2, 3].concat(process.env.WEIR_SEED === "random" ? [Date.now()] : []))
  test(`series ${start}`, { timeout: 120000 * patience }, async () => {
    const expected = await series(direct, start, 200), actual = await series(edge, start, 200);
    const withoutTime = (results) => JSON.stringify(results).replace(/date 202\d-[^"]*/g, "now"); // of createdAt
    for (const [i, one] of expected.entries()) assert.equal(withoutTime(actual[i]), withoutTime(one), `write ${i} of series ${start}`);
    assert.ok(expected.filter((one) => one?.failed === undefined).length > 80, "most of it works");
  });
