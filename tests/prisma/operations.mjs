// SPDX-License-Identifier: Apache-2.0
// What is done through weir and directly, and compared: one entry an operation, each on the tables of seed.sql.
// (p, { Prisma, client }) => its value; what it throws is compared, too. client(options): another one like p.
const all = { select: { id: true, email: true, name: true } };
const byId = { orderBy: { id: "asc" } };
const sequentially = async (...runs) => {
  const values = [];
  for (const run of runs) values.push(await run());
  return values;
};
// The outcome of a call that is meant to fail, beside what follows.
const outcome = async (promise) => promise.then((value) => ({ value }), (error) => ({ failed: error.code ?? error.name }));

const withInfinities = (p) => p.$executeRaw`update "Everything" set float = '-Infinity', floats = '{Infinity,1,-Infinity}' where id = 1`.then(() => p.$executeRaw`update users set score = 'Infinity' where id = 1`);
// The edge client can not be told of the number NaN: a field is a Decimal, a raw column a text. Both are NaN to who counts with them.
const asNumbers = (value) => (Array.isArray(value) ? value.map(asNumbers) : `number ${Number(value)}, ${value > 0}, ${value * 2}`);

// run() while the database has been changed.
const changed = (p, sql, undo, run) => p.$executeRawUnsafe(sql).then(run).finally(() => p.$executeRawUnsafe(undo));

const byConstructor = { orderBy: { constructor: "asc" } };

const withPosts = { select: { id: true, posts: { select: { id: true, title: true, views: true }, ...byId } } };

export const operations = {
  // ---- find ----
  "findUnique by id": (p) => p.user.findUnique({ where: { id: 1 } }),
  "findUnique by a unique field": (p) => p.user.findUnique({ where: { email: "bob@example.com" } }),
  "findUnique: nobody": (p) => p.user.findUnique({ where: { id: 99 } }),
  "findUnique by a unique field and more": (p) => p.user.findUnique({ where: { email: "bob@example.com", age: { gt: 30 } } }),
  "findUnique by a composite id": (p) => p.comment.findUnique({ where: { postId_number: { postId: 1, number: 2 } } }),
  "findUnique by a named composite key": (p) => p.stock.findUnique({ where: { itemAmount: { item: "nails", amount: 4 } } }),
  "findUniqueOrThrow": (p) => p.user.findUniqueOrThrow({ where: { id: 2 } }),
  "findUniqueOrThrow: nobody": (p) => p.user.findUniqueOrThrow({ where: { id: 99 } }),
  "findFirst": (p) => p.user.findFirst({ where: { role: "AUTHOR" }, orderBy: { id: "desc" } }),
  "findFirst: nobody": (p) => p.user.findFirst({ where: { name: "Zoe" } }),
  "findFirstOrThrow: nobody": (p) => p.user.findFirstOrThrow({ where: { name: "Zoe" } }),
  "findMany": (p) => p.user.findMany(byId),
  "findMany: none": (p) => p.user.findMany({ where: { id: { in: [] } } }),
  "several findUnique at once": (p) => Promise.all([1, 2, 99, 3].map((id) => p.user.findUnique({ where: { id } }))),
  "several findUnique at once, with relations": (p) =>
    Promise.all([1, 3, 4].map((id) => p.post.findUnique({ where: { id }, include: { author: true } }))),
  "findUnique and then its relation": (p) => p.user.findUnique({ where: { id: 1 } }).posts(byId),
  "findUnique and then a relation's relation": (p) => p.profile.findUnique({ where: { id: "profile-2" } }).user().posts({ where: { views: 42 }, ...byId }),

  // ---- where ----
  "equals": (p) => p.user.findMany({ where: { name: { equals: "Ada" } }, ...all }),
  "not": (p) => p.user.findMany({ where: { name: { not: "Ada" } }, ...all, ...byId }),
  "null": (p) => p.user.findMany({ where: { name: null }, ...all }),
  "not null": (p) => p.user.findMany({ where: { name: { not: null } }, ...all, ...byId }),
  "in": (p) => p.user.findMany({ where: { id: { in: [1, 3, 77] } }, ...all, ...byId }),
  "notIn": (p) => p.user.findMany({ where: { email: { notIn: ["ada@example.com"] } }, ...all, ...byId }),
  "lt, lte, gt, gte": (p) => p.user.findMany({ where: { age: { gte: 25, lt: 61 }, score: { lte: 9.5, gt: -10 } }, ...all, ...byId }),
  "contains": (p) => p.post.findMany({ where: { title: { contains: "i" } }, ...byId }),
  "contains, with the signs of LIKE": (p) => p.post.findMany({ where: { title: { contains: "%" } } }),
  "startsWith, endsWith": (p) => p.post.findMany({ where: { OR: [{ title: { startsWith: "W" } }, { title: { endsWith: "s" } }] }, ...byId }),
  "insensitive": (p) => p.user.findMany({ where: { email: { contains: "ADA", mode: "insensitive" } }, ...all }),
  "AND, OR, NOT": (p) =>
    p.user.findMany({ where: { AND: [{ role: "AUTHOR" }, { NOT: { name: null } }], OR: [{ age: 25 }, { age: 26 }] }, ...all }),
  "enum": (p) => p.user.findMany({ where: { role: { in: ["ADMIN", "READER"] } }, select: { id: true, role: true }, ...byId }),
  "date": (p) => p.user.findMany({ where: { createdAt: { gte: new Date("2024-02-01T11:30:00.123Z"), lt: new Date("2024-04-01") } }, ...all, ...byId }),
  "another field": (p) => p.post.findMany({ where: { views: { gt: p.post.fields.id } }, ...byId }),
  "relation is": (p) => p.post.findMany({ where: { author: { is: { name: "Bob" } } }, ...byId }),
  "relation isNot": (p) => p.post.findMany({ where: { author: { isNot: { name: "Bob" } } }, ...byId }),
  "relation is null": (p) => p.post.findMany({ where: { author: null } }),
  "some": (p) => p.user.findMany({ where: { posts: { some: { views: { gt: 50 } } } }, ...all }),
  "every": (p) => p.user.findMany({ where: { posts: { every: { published: true } } }, ...all, ...byId }),
  "none": (p) => p.user.findMany({ where: { posts: { none: {} } }, ...all, ...byId }),
  "a relation of a relation": (p) => p.tag.findMany({ where: { posts: { some: { author: { profile: { bio: "Builds" } } } } }, ...byId }),
  "list has": (p) => p.everything.findMany({ where: { strings: { has: "b, c" } }, select: { id: true } }),
  "list hasSome, hasEvery, isEmpty": (p) =>
    p.everything.findMany({ where: { OR: [{ ints: { hasSome: [0, 9] } }, { ints: { hasEvery: [1, 3] } }, { ints: { isEmpty: true } }] }, select: { id: true }, ...byId }),
  "json path": (p) => p.everything.findMany({ where: { json: { path: ["a", "3", "b"], equals: "ü" } }, select: { id: true } }),
  "json string_contains": (p) => p.everything.findMany({ where: { json: { path: ["a", "3", "b"], string_contains: "ü" } }, select: { id: true } }),
  "json array_contains": (p) => p.everything.findMany({ where: { json: { path: ["a"], array_contains: [1] } }, select: { id: true } }),
  "json array_starts_with": (p) => p.everything.findMany({ where: { json: { path: ["a"], array_starts_with: 1 } }, select: { id: true } }),
  "json array_ends_with": (p) => p.everything.findMany({ where: { json: { path: ["a"], array_ends_with: { b: "ü" } } }, select: { id: true } }),
  "json gt": (p) => p.everything.findMany({ where: { json: { path: ["n"], gt: 50 } }, select: { id: true } }),
  "json equals": (p) => p.everything.findMany({ where: { json: { equals: { a: [1, 2.5, null, { b: "ü" }], n: 100 } } }, select: { id: true } }),
  "list equals, of each type": (p, { Prisma }) =>
    p.everything.findMany({ where: { ints: { equals: [1, -2, 3] }, decimals: { has: new Prisma.Decimal("1.1") }, bigints: { has: 9007199254740993n }, dates: { has: new Date("2024-01-01") }, bytesList: { has: Buffer.from([1]) }, jsons: { equals: [1, "x", { k: [] }] } }, select: { id: true } }),
  "list equals, of a relation's bytes": (p) => {
    const things = (bytesList) => ({ select: { id: true, things: { where: { bytesList }, select: { id: true, bytesList: true } } }, ...byId }), one = Buffer.from([1]);
    const hasSome = (id) => p.user.findUnique({ where: { id }, ...things({ hasSome: [one] }), orderBy: undefined });
    return sequentially(() => p.user.findMany(things({ hasEvery: [one] })), () => p.user.findMany(things({ equals: [one] })), () => p.user.findMany(things({ hasEvery: [Buffer.from([2])] })), () => Promise.all([1, 2, 99].map(hasSome)));
  },
  "OR of nothing, AND of nothing": (p) => sequentially(() => p.user.count({ where: { OR: [] } }), () => p.user.count({ where: { AND: [] } })),
  "every, none of many to many": (p) => sequentially(() => p.post.findMany({ where: { tags: { every: { name: "news" } } }, ...byId, select: { id: true } }), () => p.post.findMany({ where: { tags: { none: { name: "news" } } }, ...byId, select: { id: true } })),
  "date, time": (p) => p.everything.findMany({ where: { date: new Date("2024-02-29"), time: { gt: new Date("1970-01-01T01:00:00Z") } }, select: { id: true } }),
  "full text": (p) => p.post.findMany({ where: { title: { search: "weirs | rivers" } }, ...byId }),
  "json null and database null": (p, { Prisma }) =>
    sequentially(
      () => p.everything.findMany({ where: { json: { equals: Prisma.JsonNull } }, select: { id: true } }),
      () => p.everything.findMany({ where: { json: { equals: Prisma.DbNull } }, select: { id: true } }),
      () => p.everything.findMany({ where: { json: { equals: Prisma.AnyNull } }, select: { id: true }, ...byId }),
    ),
  "bigint, decimal, bytes, uuid": (p, { Prisma }) =>
    p.everything.findMany({
      where: { bigint: 9223372036854775807n, decimal: new Prisma.Decimal("12345678901234567890.0123456789"), bytes: Buffer.from([0, 255, 16]), uuid: "123e4567-e89b-12d3-a456-426614174000" },
      select: { id: true },
    }),

  // ---- select, include, omit, order, pages ----
  "select": (p) => p.user.findFirst({ where: { id: 1 }, select: { email: true, profile: { select: { bio: true } } } }),
  "include": (p) => p.user.findMany({ include: { profile: true, posts: byId }, ...byId }),
  "include deep": (p) =>
    p.user.findUnique({ where: { id: 2 }, include: { posts: { ...byId, include: { tags: { orderBy: { name: "asc" } }, comments: { include: { user: { select: { name: true } } } } } } } }),
  "relations joined, and asked for one by one": (p) =>
    sequentially(
      ...Object.entries({ join: 1, query: 2 }).flatMap(([relationLoadStrategy, id]) => [
        () => p.user.findMany({ relationLoadStrategy, include: { profile: true, manager: { select: { name: true } }, reports: byId, posts: { ...byId, include: { tags: byId, comments: { orderBy: { number: "asc" }, include: { user: { select: { role: true } } } } } }, _count: { select: { comments: true } } }, ...byId }),
        () => p.user.findFirst({ relationLoadStrategy, where: { posts: { some: { tags: { some: {} } } } }, select: { posts: { where: { views: { gte: 1 } }, orderBy: [{ views: "desc" }, { id: "asc" }], skip: 1, take: 1, distinct: ["title"], select: { title: true, _count: { select: { tags: { where: { id: { gt: 1 } } } } } } } }, ...byId }),
        () => p.post.create({ relationLoadStrategy, data: { title: "t", authorId: 1, tags: { connect: [{ id: 1 }, { id: 2 }] } }, select: { author: { select: { createdAt: true, score: true } }, tags: byId } }),
        () => p.post.update({ relationLoadStrategy, where: { id }, data: { views: { increment: 1 } }, select: { views: true, author: { include: { profile: true } } } }),
        () => p.post.delete({ relationLoadStrategy, where: { id }, select: { comments: { orderBy: { number: "asc" } } } }),
        () => p.$transaction((tx) => tx.tag.findUnique({ relationLoadStrategy, where: { id: 2 }, include: { posts: { ...byId, include: { author: true } } } })),
      ]),
    ),
  "include with where and take": (p) => p.user.findMany({ include: { posts: { where: { published: true }, orderBy: { views: "desc" }, take: 1 } }, ...byId }),
  "include a self relation": (p) => p.user.findMany({ include: { manager: { select: { name: true } }, reports: { select: { id: true }, ...byId } }, ...byId }),
  "include many to many": (p) => p.tag.findMany({ include: { posts: { select: { title: true }, ...byId } }, ...byId }),
  "omit": (p) => p.user.findFirst({ where: { id: 1 }, omit: { email: true, score: true } }),
  "_count": (p) => p.user.findMany({ select: { id: true, _count: { select: { posts: true, comments: true } } }, ...byId }),
  "_count with where": (p) => p.user.findMany({ select: { id: true, _count: { select: { posts: { where: { published: true } } } } }, ...byId }),
  "orderBy several": (p) => p.post.findMany({ orderBy: [{ views: "desc" }, { title: "asc" }], select: { title: true } }),
  "orderBy nulls": (p) => p.user.findMany({ orderBy: { age: { sort: "asc", nulls: "first" } }, select: { age: true } }),
  "orderBy a relation's field": (p) => p.post.findMany({ where: { authorId: { not: null } }, orderBy: [{ author: { name: "desc" } }, { id: "asc" }], select: { id: true } }),
  "orderBy a relation's count": (p) => p.user.findMany({ orderBy: [{ posts: { _count: "desc" } }, { id: "asc" }], select: { id: true } }),
  "skip and take": (p) => p.post.findMany({ skip: 1, take: 2, ...byId }),
  "take from the end": (p) => p.post.findMany({ take: -2, ...byId }),
  "cursor": (p) => p.post.findMany({ cursor: { id: 3 }, skip: 1, take: 2, ...byId }),
  "cursor, backwards": (p) => p.post.findMany({ cursor: { id: 3 }, take: -2, ...byId }),
  "composite cursor": (p) => p.comment.findMany({ cursor: { postId_number: { postId: 1, number: 2 } }, orderBy: [{ postId: "asc" }, { number: "asc" }] }),
  "omit by the client": (p, { client }) => sequentially(() => client({ omit: { user: { email: true, createdAt: true } } }).user.findMany(byId), () => client({ omit: { user: { email: true } } }).post.findFirst({ where: { id: 1 }, include: { author: { omit: { email: false, score: true } } } })),
  "omit in a relation, in a write": (p) => sequentially(() => p.user.findMany({ omit: { score: true }, include: { posts: { omit: { content: true }, ...byId } }, ...byId }), () => p.tag.create({ data: { name: "o" }, omit: { id: true } })),
  "cursor, by another order": (p) => p.post.findMany({ cursor: { id: 3 }, orderBy: [{ views: "desc" }, { id: "asc" }], take: 2 }),
  "cursor, by an order with nulls": (p) => p.user.findMany({ cursor: { id: 3 }, orderBy: [{ age: "asc" }, { id: "asc" }], take: 3, select: { id: true, age: true } }),
  "cursor, by a relation's order": (p) => p.post.findMany({ cursor: { id: 3 }, orderBy: [{ author: { name: "asc" } }, { id: "asc" }], take: 3, select: { id: true } }),
  "cursor of a relation": (p) => p.user.findMany({ ...byId, select: { id: true, posts: { cursor: { id: 2 }, ...byId, take: 1 } } }),
  "skip and take of a relation": (p) => p.user.findMany({ ...byId, select: { id: true, posts: { skip: 1, take: 1, orderBy: { views: "asc" } } } }),
  "distinct with skip and take": (p) => p.post.findMany({ distinct: ["authorId"], orderBy: { id: "asc" }, skip: 1, take: 1 }),
  "distinct of a relation": (p) => p.user.findMany({ ...byId, select: { id: true, posts: { distinct: ["views"], ...byId, select: { views: true } } } }),
  "distinct": (p) => p.post.findMany({ distinct: ["views"], orderBy: [{ views: "asc" }, { id: "asc" }], select: { views: true } }),

  // ---- every type ----
  "all types: full": (p) => p.everything.findUnique({ where: { id: 1 } }),
  "all types: null and empty": (p) => p.everything.findUnique({ where: { id: 2 } }),
  "all types: zero": (p) => p.everything.findUnique({ where: { id: 3 } }),
  "all types: written and read": (p, { Prisma }) =>
    p.everything.create({
      data: {
        id: 10, string: "a\n\t\\\"'ü🎉", int: -2147483648, bigint: -9223372036854775808n, float: 0.1, decimal: new Prisma.Decimal("-0.0000000001"),
        bool: false, bytes: Buffer.from("bytes \u0000 ü"), json: { deep: [1, "2", { three: null }], ü: "ö" }, date: new Date("2000-02-29"),
        time: new Date("1970-01-01T23:59:59.999Z"), timestamp: new Date("2099-12-31T23:59:59.999Z"), zoned: new Date("1900-01-01T00:00:00.001Z"),
        uuid: "ffffffff-ffff-4fff-bfff-ffffffffffff", role: "ADMIN", strings: ["", "x,y", "{}", "\"", "ü"], ints: [1, 2], bigints: [1n, 2n ** 60n],
        floats: [1.5, -0.25], decimals: [new Prisma.Decimal("1.5"), new Prisma.Decimal("99999.99999")], bools: [true, false],
        bytesList: [Buffer.from([1, 2]), Buffer.from([])], jsons: [1, "s", { a: 1 }, [true]], dates: [new Date(0)], roles: ["ADMIN", "READER"],
      },
    }),
  "texts that are names of what all objects inherit": (p) => {
    const data = { string: "__proto__", strings: ["__proto__", "constructor"], json: "__proto__" };
    const text = "__proto__";
    return sequentially(
      () => p.everything.create({ data: { id: 10, ...data } }),
      () => p.everything.findMany({ where: { string: text, strings: { has: text }, json: { equals: text } }, select: { id: true } }),
      () => p.user.create({ data: { email: text, name: "constructor", things: { create: { id: 11, ...data } } }, select: { email: true, name: true, things: true } }),
      () => p.$queryRaw`select ${text}::text as a, ${data}::jsonb as b`,
      () => p.tag.createMany({ data: [{ name: text }, { name: "prototype" }] }),
      () => p.tag.findUnique({ where: { name: text }, select: { name: true } }),
    );
  },
  "all types: set to null": (p, { Prisma }) =>
    p.everything.update({ where: { id: 1 }, data: { string: null, bigint: null, decimal: null, bytes: null, json: Prisma.DbNull, zoned: null, role: null, strings: [], jsons: [] } }),
  "json null written": (p, { Prisma }) => p.everything.update({ where: { id: 1 }, data: { json: Prisma.JsonNull }, select: { json: true } }),
  "lists: push and set": (p) =>
    p.everything.update({ where: { id: 1 }, data: { strings: { push: "z" }, ints: { push: [7, 8] }, roles: { set: ["AUTHOR"] } }, select: { strings: true, ints: true, roles: true } }),
  "lists of an enum: push": (p) => p.everything.update({ where: { id: 1 }, data: { roles: { push: ["ADMIN", "READER"] } }, select: { roles: true } }),
  "a large integer is refused": (p) => p.user.update({ where: { id: 1 }, data: { age: 2147483648 } }),
  // Version 5's edge client joins them, and the one beside it does not.
  "all types of a relation": (p) => p.user.findMany({ include: { things: byId }, ...byId }),
  "all types of a relation's relation": (p) => p.profile.findMany({ include: { user: { select: { score: true, things: { ...byId, include: { owner: { select: { things: { select: { decimal: true, bigint: true }, ...byId } } } } } } } }, orderBy: { id: "asc" } }),
  "all types of a relation, by several findUnique at once": (p) => Promise.all([1, 2].map((id) => p.user.findUnique({ where: { id }, select: { things: { select: { decimal: true, decimals: true, bigints: true, json: true }, ...byId } } }))),
  "all types of a relation, of a write": (p) =>
    p.user.create({
      data: { email: "t@example.com", things: { create: { id: 11, decimal: "12345678901234567890.0123456789", bigint: 9007199254740993n, decimals: ["123456789012345.12345"], bigints: [-9007199254740993n], json: ["12345678901234567890.5"] } } },
      select: { things: { select: { decimal: true, bigint: true, decimals: true, bigints: true, json: true } } },
    }),
  "all types of a relation, zero and NaN": async (p) => {
    await p.$executeRaw`update "Everything" set decimal = 'NaN', decimals = '{NaN,1.5}', "ownerId" = 1 where id = 3`;
    return p.user.findUnique({ where: { id: 1 }, select: { things: { select: { decimal: true, decimals: true, float: true, time: true, date: true, bytes: true }, ...byId } } });
  },
  "dates with a time zone: written, found, read": (p) =>
    sequentially(
      () => p.everything.update({ where: { id: 2 }, data: { zoned: new Date("2024-07-01T12:00:00.123Z") }, select: { zoned: true } }),
      () => p.everything.findMany({ where: { zoned: { gte: new Date("2024-07-01T12:00:00.123Z"), lt: new Date("2024-07-01T12:00:00.124Z") } }, select: { id: true } }),
      () => p.$queryRaw`select zoned, zoned::text as text, extract(epoch from zoned)::text as seconds, current_setting('TimeZone') as zone from "Everything" order by id`,
      () => p.$queryRaw`select ${new Date("2024-07-01T12:00:00Z")}::timestamptz as a, '2024-07-01 12:00:00'::timestamptz as b, '{2024-07-01 12:00:00+02}'::timestamptz[] as c`,
      async () => Math.abs((await p.$queryRaw`select now() as now`)[0].now - Date.now()) < 60000,
    ),
  "long text": async (p) => (await p.post.create({ data: { title: "x".repeat(70000) } })).title.length,

  "native types": async (p) => {
    const data = {
      citext: "Ada", inet: "192.168.0.1/24", bit: "1010", varbit: "101", xml: "<a>ü</a>", char: "abc", varchar: "abcde", small: -32768, oid: 4000000, real: 0.25,
      time: new Date("1970-01-01T23:59:59.999Z"), timetz: new Date("1970-01-01T01:02:03.004Z"), json: { b: 1, a: [null, "x"] },
      inets: ["::1", "10.0.0.0/8"], bits: ["1", "00"], uuids: ["123e4567-e89b-12d3-a456-426614174000"],
    };
    return sequentially(
      () => p.native.create({ data: { id: 1, ...data } }),
      () => p.native.createMany({ data: [{ id: 2, ...data }, { id: 3 }] }),
      () => p.native.findMany(byId),
      () => p.native.update({ where: { id: 2 }, data: { inets: { push: "1.2.3.4" }, oid: 5, real: 1e-7, bit: null, timetz: new Date("1970-01-01T00:00:00Z") } }),
      () => p.native.findUnique({ where: { id: 1 } }),
    );
  },
  ...Object.fromEntries(
    Object.entries({
      citext: { where: { citext: "ADA" } }, inet: { where: { inet: "192.168.0.1/24" } }, "list of inet": { where: { inets: { has: "::1" } } }, bit: { where: { bit: "1010", varbit: "101" } },
      char: { where: { char: "abc", varchar: { startsWith: "abc" } } }, small: { where: { small: { lt: 0 }, oid: 4000000 } }, time: { where: { time: { gt: new Date("1970-01-01T20:00:00Z") } } },
      timetz: { where: { timetz: new Date("1970-01-01T01:02:03.004Z") } }, real: { where: { real: 0.25 } }, "order of citext": { where: { citext: { gt: "a" } }, orderBy: { citext: "asc" } },
    }).map(([name, query]) => [
      `native types: ${name} in where`,
      async (p) => {
        await p.$executeRaw`insert into "Native" (id, citext, inet, inets, bit, varbit, "char", "varchar", small, oid, "time", timetz, "real", xml)
          values (1, 'Ada', '192.168.0.1/24', '{::1}', B'1010', B'101', 'abc', 'abcde', -5, 4000000, '23:00', '01:02:03.004+00', 0.25, '<a/>'), (2, null, null, '{}', null, null, null, null, null, null, null, null, null, null)`;
        return p.native.findMany({ ...query, select: { id: true } });
      },
    ]),
  ),
  "view": (p) => sequentially(() => p.author.findMany(byId), () => p.author.findUnique({ where: { id: 2 } }), () => p.author.aggregate({ _sum: { posts: true }, _count: true })),

  // ---- create ----
  "defaults": async (p) => {
    const texts = ["id", "nano", "short", "uuid", "ulid"], now = Date.now();
    const shape = ({ changed, ...made }) => [...texts.map((field) => made[field].length), /^c[a-z0-9]{24}$/.test(made.id), made.uuid[14], made.name, made.given, made.number, made.list, made.at, Math.abs(changed - now) < 60000];
    const one = await p.made.create({ data: { name: "one" } });
    const many = await p.made.createManyAndReturn({ data: [{ name: "two" }, { name: "three" }, { name: "four", nano: "mine", changed: new Date(5) }] });
    const counted = await p.made.createMany({ data: [{ name: "five" }, { name: "six" }] });
    const all = await p.made.findMany({ orderBy: { number: "asc" } });
    const distinct = texts.map((field) => new Set(all.map((made) => made[field])).size);
    const again = await p.made.update({ where: { id: many[2].id }, data: { name: "changed" } });
    const upserted = await p.made.upsert({ where: { id: "none" }, create: { name: "seven" }, update: {} });
    return [shape(one), many.map(shape), counted, all.map(shape), distinct, shape(again), again.changed > many[2].changed, shape(upserted)];
  },
  "create": (p) => p.user.create({ data: { email: "new@example.com", createdAt: new Date("2024-05-05T05:05:05.555Z") } }),
  "create with select": (p) => p.user.create({ data: { email: "new@example.com", name: "New" }, select: { id: true, role: true } }),
  "create with nested create": (p) =>
    p.user.create({
      data: { email: "new@example.com", createdAt: new Date(1), profile: { create: { id: "p", bio: "b" } }, posts: { create: [{ title: "one" }, { title: "two", tags: { create: { name: "fresh" } } }] } },
      include: { profile: true, posts: { include: { tags: true }, ...byId } },
    }),
  "create with connect": (p) => p.post.create({ data: { title: "t", author: { connect: { email: "bob@example.com" } }, tags: { connect: [{ id: 1 }, { name: "water" }] } }, include: { tags: byId, author: { select: { name: true } } } }),
  "create with connectOrCreate": (p) =>
    p.post.create({ data: { title: "t", tags: { connectOrCreate: [{ where: { name: "news" }, create: { name: "news" } }, { where: { name: "rare" }, create: { name: "rare" } }] } }, include: { tags: { select: { name: true }, ...byId } } }),
  "create with an unchecked id": (p) => p.post.create({ data: { title: "t", authorId: 3 } }),
  "create in another schema": (p) => p.stock.create({ data: { shop: "west", item: "nails", amount: 99 } }),
  "createMany": (p) => p.tag.createMany({ data: [{ name: "a" }, { name: "b" }] }),
  "createMany, skipDuplicates": (p) => sequentially(() => p.tag.createMany({ data: [{ name: "news" }, { name: "c" }], skipDuplicates: true }), () => p.tag.count()),
  "createMany with nothing": (p) => p.tag.createMany({ data: [] }),
  "createManyAndReturn": (p) => p.tag.createManyAndReturn({ data: [{ name: "a" }, { name: "b" }] }),
  "createManyAndReturn with select": (p) => p.tag.createManyAndReturn({ data: [{ name: "a" }], select: { name: true } }),
  "nested createMany": (p) => p.user.update({ where: { id: 3 }, data: { posts: { createMany: { data: [{ title: "m1" }, { title: "m2" }] } } }, select: { posts: { select: { title: true }, ...byId } } }),
  "createMany of many rows": async (p) => [await p.tag.createMany({ data: Array.from({ length: 3000 }, (_, i) => ({ name: `tag ${i}` })) }), await p.tag.count()],

  // ---- update ----
  "update": (p) => p.user.update({ where: { id: 1 }, data: { name: "Ada L." } }),
  "update numbers": (p) => p.post.update({ where: { id: 1 }, data: { views: { increment: 5 } } }),
  "update: decrement, multiply, divide": (p) =>
    sequentially(
      () => p.post.update({ where: { id: 1 }, data: { views: { decrement: 1 } }, select: { views: true } }),
      () => p.post.update({ where: { id: 1 }, data: { views: { multiply: 2 } }, select: { views: true } }),
      () => p.user.update({ where: { id: 1 }, data: { score: { divide: 2 } }, select: { score: true } }),
    ),
  "update: undefined changes nothing": (p) => p.user.update({ where: { id: 2 }, data: { name: undefined, age: 26 } }),
  "update: nobody": (p) => p.user.update({ where: { id: 99 }, data: { name: "x" } }),
  "update to a taken value": (p) => p.user.update({ where: { id: 1 }, data: { email: "bob@example.com" } }),
  "update the id": (p) => p.tag.update({ where: { id: 3 }, data: { id: 30 } }),
  "update with nested update": (p) => p.user.update({ where: { id: 1 }, data: { profile: { update: { bio: "changed" } }, posts: { update: { where: { id: 1 }, data: { title: "changed" } } } }, include: { profile: true, posts: byId } }),
  "update with nested upsert": (p) =>
    sequentially(
      () => p.user.update({ where: { id: 3 }, data: { profile: { upsert: { create: { id: "p3", bio: "made" }, update: { bio: "not" } } } }, include: { profile: true } }),
      () => p.user.update({ where: { id: 1 }, data: { profile: { upsert: { create: { bio: "not" }, update: { bio: "updated" } } } }, select: { profile: true } }),
    ),
  "update with nested delete": (p) => p.user.update({ where: { id: 1 }, data: { profile: { delete: true } }, include: { profile: true } }),
  "update with nested updateMany and deleteMany": (p) =>
    p.user.update({ where: { id: 2 }, data: { posts: { updateMany: { where: { views: 42 }, data: { published: false } }, deleteMany: { title: "Rivers" } } }, include: { posts: byId } }),
  "connect and disconnect": (p) => p.post.update({ where: { id: 4 }, data: { author: { disconnect: true }, tags: { disconnect: { id: 1 }, connect: { id: 3 } } }, include: { author: true, tags: byId } }),
  "set a relation": (p) => p.post.update({ where: { id: 4 }, data: { tags: { set: [{ id: 3 }] } }, include: { tags: true } }),
  "connect to nobody": (p) => p.post.update({ where: { id: 1 }, data: { author: { connect: { id: 99 } } } }),
  "updateMany": (p) => sequentially(() => p.post.updateMany({ where: { published: false }, data: { published: true } }), () => p.post.findMany(byId)),
  "updateMany, deleteMany: limit": (p) => sequentially(() => p.post.updateMany({ where: {}, data: { views: 1 }, limit: 2 }), () => p.post.count({ where: { views: 1 } }), () => p.comment.deleteMany({ limit: 1 })),
  "updateManyAndReturn with include": (p) => p.post.updateManyAndReturn({ where: { views: 42 }, data: { views: 43 }, include: { author: true } }),
  "update with nested upsert of a list": (p) => p.user.update({ where: { id: 1 }, data: { posts: { upsert: [{ where: { id: 1 }, create: { title: "c" }, update: { title: "u" } }, { where: { id: 999 }, create: { title: "made" }, update: { title: "x" }, }] } }, ...withPosts }),
  "update with nested set": (p) => sequentially(() => p.user.update({ where: { id: 1 }, data: { posts: { set: [{ id: 3 }] } }, ...withPosts }), () => p.user.update({ where: { id: 1 }, data: { posts: { set: [] } }, ...withPosts })),
  "update with nested disconnect of a list": (p) => p.user.update({ where: { id: 1 }, data: { posts: { disconnect: [{ id: 1 }, { id: 2 }] } }, ...withPosts }),
  "update with nested delete of a list": (p) => p.user.update({ where: { id: 1 }, data: { posts: { delete: [{ id: 2 }] } }, ...withPosts }),
  "P2017: nested delete of another's": (p) => p.user.update({ where: { id: 1 }, data: { posts: { delete: [{ id: 3 }] } }, ...withPosts }),
  "update with nested deep update": (p) =>
    p.user.update({ where: { id: 1 }, data: { posts: { update: { where: { id: 1 }, data: { comments: { update: { where: { postId_number: { postId: 1, number: 1 } }, data: { text: "changed" } } } } } } }, include: { posts: { include: { comments: { orderBy: { number: "asc" } } }, ...byId } } }),
  "upsert with nested": (p) => p.user.upsert({ where: { email: "ada@example.com" }, create: { email: "ada@example.com" }, update: { posts: { create: { title: "by upsert" } } }, ...withPosts }),
  "updateMany: none": (p) => p.post.updateMany({ where: { id: 99 }, data: { title: "x" } }),
  "updateManyAndReturn": (p) => p.post.updateManyAndReturn({ where: { views: 42 }, data: { views: 43 }, select: { id: true, views: true } }),
  "upsert that updates": (p) => p.tag.upsert({ where: { name: "news" }, update: { name: "olds" }, create: { name: "news" } }),
  "upsert that creates": (p) => p.tag.upsert({ where: { name: "extra" }, update: { name: "x" }, create: { name: "extra" } }),
  "upsert by a composite id": (p) => p.stock.upsert({ where: { shop_item: { shop: "north", item: "rope" } }, update: { amount: { increment: 1 } }, create: { shop: "north", item: "rope", amount: 0 } }),

  // ---- delete ----
  "delete": (p) => sequentially(() => p.tag.delete({ where: { id: 3 } }), () => p.tag.count()),
  "delete: nobody": (p) => p.tag.delete({ where: { id: 99 } }),
  "delete with include": (p) => p.comment.delete({ where: { postId_number: { postId: 1, number: 1 } }, include: { user: { select: { name: true } } } }),
  "delete what is referred to": (p) => p.user.update({ where: { id: 1 }, data: { managerId: 77 } }),
  "delete cascades": (p) => sequentially(() => p.post.delete({ where: { id: 1 } }), () => p.comment.count()),
  "deleteMany": (p) => sequentially(() => p.comment.deleteMany({ where: { postId: 1 } }), () => p.comment.findMany()),
  "deleteMany: all": (p) => p.comment.deleteMany(),

  // ---- floats that JSON has no form for ----
  "infinities": (p) => withInfinities(p).then(() => p.everything.findMany({ select: { float: true, floats: true, string: true }, ...byId })),
  "infinities of a relation": (p) => withInfinities(p).then(() => p.post.findMany({ select: { content: true, author: { select: { name: true, score: true } } }, ...byId })),
  "infinities: aggregate, groupBy": (p) =>
    withInfinities(p).then(() => sequentially(() => p.user.aggregate({ _sum: { score: true, age: true }, _min: { score: true } }), () => p.everything.groupBy({ by: ["float"], _max: { float: true }, orderBy: { float: "asc" } }))),
  "infinities: raw": (p) => p.$queryRaw`select 'Infinity'::float4 as a, '-Infinity'::float8 as b, array['Infinity', null, '1.5']::float8[] as c, null as d, 'Infinity' as e, 'NaN'::numeric as f`,
  "infinities in a list of transactions": (p) => p.$transaction([p.$executeRaw`update users set score = '-Infinity' where id = 1`, p.user.findUnique({ where: { id: 1 }, select: { score: true } }), p.$queryRaw`select score from users order by id`]),
  "NaN": async (p) => {
    await p.$executeRaw`update "Everything" set float = 'NaN', floats = '{NaN,1}', decimal = 'NaN' where id = 1`;
    const [{ float, floats, decimal }, other] = await p.everything.findMany({ select: { float: true, floats: true, decimal: true }, ...byId });
    return [asNumbers([float, floats]), decimal, other];
  },
  "NaN: raw": async (p) => {
    const [{ a, b, c }] = await p.$queryRaw`select 'NaN'::float8 as a, array['NaN', '1']::float4[] as b, null::float8 as c`;
    return [asNumbers([a, b]), c];
  },

  // ---- aggregates ----
  "count": (p) => p.user.count({ where: { role: "AUTHOR" } }),
  "count with select": (p) => p.user.count({ select: { _all: true, name: true, age: true } }),
  "aggregate": (p) => p.post.aggregate({ _count: true, _sum: { views: true }, _avg: { views: true }, _min: { title: true }, _max: { views: true } }),
  "aggregate with where, take": (p) => p.post.aggregate({ where: { published: true }, orderBy: { views: "desc" }, take: 2, _sum: { views: true } }),
  "aggregate of nothing": (p) => p.post.aggregate({ where: { id: 99 }, _sum: { views: true }, _avg: { views: true } }),
  "aggregate of bigint, decimal, dates": (p) => p.everything.aggregate({ _sum: { bigint: true, decimal: true }, _max: { zoned: true, date: true }, _avg: { float: true } }),
  "groupBy": (p) => p.post.groupBy({ by: ["published"], _count: { _all: true }, _sum: { views: true }, orderBy: { published: "asc" } }),
  "groupBy having": (p) => p.post.groupBy({ by: ["authorId"], _avg: { views: true }, having: { views: { _avg: { gt: 20 } } }, orderBy: { authorId: "asc" } }),
  "groupBy two fields, order by a sum": (p) => p.post.groupBy({ by: ["authorId", "published"], _sum: { views: true }, orderBy: [{ _sum: { views: "desc" } }, { authorId: "asc" }] }),
  "groupBy an enum": (p) => p.user.groupBy({ by: ["role"], _count: true, orderBy: { role: "asc" } }),

  // ---- raw ----
  "$queryRaw": (p) => p.$queryRaw`select id, email, score, created_at from users where id = ${1}`,
  "$queryRaw: types": (p) =>
    p.$queryRaw`select 1::int2 as a, 2::int8 as b, 1.5::float4 as c, 2.5::numeric as d, true as e, '\\x0102'::bytea as f, '{"x":1}'::jsonb as g, '2024-01-01'::date as h,
      '2024-01-01 01:02:03.456'::timestamp as i, '2024-01-01 01:02:03+00'::timestamptz as j, null as k, array[1,2] as l, 'x'::char(3) as m, '01:02:03'::time as n,
      '123e4567-e89b-12d3-a456-426614174000'::uuid as o`,
  "$queryRaw: parameters": (p, { Prisma }) =>
    p.$queryRaw`select ${"text"}::text as a, ${5n}::int8 as b, ${1.25}::float8 as c, ${true}::bool as d, ${new Date("2024-01-01T00:00:00Z")}::timestamptz as e, ${Buffer.from([1, 2])}::bytea as f,
      ${new Prisma.Decimal("1.10")}::numeric as g, ${null}::text as h, ${{ a: 1 }}::jsonb as i, ${[1, 2, 3]}::int[] as j`,
  "$queryRaw: Prisma.sql, join, raw": (p, { Prisma }) => p.$queryRaw(Prisma.sql`select id from ${Prisma.raw("users")} where id in (${Prisma.join([1, 2])}) order by id`),
  "$queryRawUnsafe": (p) => p.$queryRawUnsafe("select title from \"Post\" where views > $1 order by id", 40),
  "$queryRaw: nothing": (p) => p.$queryRaw`select id from users where false`,
  "$queryRaw: an error": (p) => p.$queryRaw`select nothing from nowhere`,
  "$queryRaw: division by zero": (p) => p.$queryRaw`select 1 / ${0}::int`,
  "$executeRaw": (p) => p.$executeRaw`update "Post" set views = views + ${1} where published`,
  "$executeRawUnsafe": (p) => p.$executeRawUnsafe("delete from \"Comment\" where \"postId\" = $1", 1),

  // ---- transactions ----
  "$transaction of a list": (p) => p.$transaction([p.tag.create({ data: { name: "t1" } }), p.tag.count(), p.post.findMany({ take: 1, ...byId })]),
  "$transaction of a list that fails": (p) =>
    sequentially(() => outcome(p.$transaction([p.tag.create({ data: { name: "t1" } }), p.tag.create({ data: { name: "news" } })])), () => p.tag.count()),
  "$transaction of a list, its error": (p) => p.$transaction([p.tag.create({ data: { name: "t1" } }), p.tag.create({ data: { name: "news" } })]),
  "$transaction of a list, with isolation": (p) => p.$transaction([p.$queryRaw`select current_setting('transaction_isolation') as level`, p.user.count()], { isolationLevel: "Serializable" }),
  "$transaction of a list with raw": (p) => p.$transaction([p.$executeRaw`update "Tag" set name = 'renamed' where id = 1`, p.tag.findUnique({ where: { id: 1 } })]),
  "interactive transaction": (p) => p.$transaction(async (tx) => { await tx.tag.create({ data: { name: "t1" } }); return tx.tag.count(); }),
  "interactive transaction, rolled back": (p) =>
    sequentially(() => outcome(p.$transaction(async (tx) => { await tx.tag.deleteMany({ where: { id: 3 } }); throw new Error("no"); })), () => p.tag.count()),
  "interactive transaction, a query fails": (p) =>
    sequentially(() => outcome(p.$transaction(async (tx) => { await tx.tag.delete({ where: { id: 3 } }); await tx.tag.create({ data: { name: "news" } }); })), () => p.tag.count()),
  "interactive transaction, a failed query does not end it by itself": (p) =>
    p.$transaction(async (tx) => [await outcome(tx.tag.findUniqueOrThrow({ where: { id: 99 } })), await tx.tag.count()]),
  "interactive transaction, isolation": (p) =>
    p.$transaction((tx) => tx.$queryRaw`select current_setting('transaction_isolation') as level`, { isolationLevel: "RepeatableRead", maxWait: 3000, timeout: 4000 }),
  "transactions of each isolation": (p) =>
    sequentially(...["ReadUncommitted", "ReadCommitted", "RepeatableRead", "Serializable"].flatMap((isolationLevel) => [
      () => p.$transaction((tx) => tx.$queryRaw`show transaction_isolation`, { isolationLevel }),
      () => p.$transaction([p.$queryRaw`show transaction_isolation`, p.tag.count()], { isolationLevel }),
    ])),
  "interactive transaction, too long": (p) =>
    outcome(p.$transaction(async (tx) => { await tx.tag.count(); await new Promise((done) => setTimeout(done, 300)); return tx.tag.count(); }, { timeout: 100 })),
  "interactive transaction sees its own writes alone": (p) =>
    p.$transaction(async (tx) => { await tx.post.update({ where: { id: 1 }, data: { views: 1 } }); return [await tx.post.findUnique({ where: { id: 1 } }), await p.post.findUnique({ where: { id: 1 } })]; }),
  "several findUnique at once, by an enum's value that has another name in the database": (p) =>
    Promise.all([[1, "ADMIN"], [2, "ADMIN"], [1, "READER"]].map(([id, role]) => p.user.findUnique({ where: { id, role }, select: { id: true } }))),
  "interactive transaction: several at once": (p) =>
    Promise.all([1, 2, 3].map((id) => p.$transaction(async (tx) => { await tx.post.update({ where: { id }, data: { views: { increment: 1000 } } }); return (await tx.post.findUnique({ where: { id } })).views; }))),
  "interactive transaction: queries at once": (p) => p.$transaction((tx) => Promise.all([tx.user.count(), tx.post.count(), tx.user.findUnique({ where: { id: 1 } }), tx.user.findUnique({ where: { id: 2 } })])),
  "nested transaction": (p) =>
    p.$transaction(async (tx) => {
      const [id, inner] = await tx.$transaction(async (nested) => [(await nested.tag.create({ data: { name: "n1" } })).id > 0, await nested.$transaction((third) => third.tag.count())]);
      return [id, inner, await tx.tag.findMany({ where: { name: "n1" }, select: { name: true } })];
    }),
  "nested transaction, its writes go with the outer one": (p) =>
    sequentially(() => outcome(p.$transaction(async (tx) => { await tx.$transaction((nested) => nested.tag.create({ data: { name: "n1" } })); throw new Error("no"); })), () => p.tag.count()),
  "nested transaction, rolled back alone": (p) =>
    sequentially(
      () =>
        p.$transaction(async (tx) => {
          await tx.tag.create({ data: { name: "outer" } });
          const nested = (name, fails) => outcome(tx.$transaction(async (deep) => { await deep.tag.create({ data: { name } }); if (fails) throw new Error("no"); }, { timeout: 1000, isolationLevel: "Serializable" }));
          return [await nested("n1", true), await nested("n2"), await nested("news"), await tx.tag.count()];
        }),
      () => p.tag.findMany({ select: { name: true }, orderBy: { name: "asc" } }),
    ),
  "nested transaction, a query of it fails, and in the one around it nothing does": (p) =>
    sequentially(() => p.$transaction(async (tx) => [await outcome(tx.$transaction((nested) => nested.$queryRaw`select 1 / 0`)), await tx.tag.create({ data: { name: "outer" } })]), () => p.tag.count()),

  // ---- names of what every object has, and relations between schemas ----
  "inherited names: where, unique, cursor, distinct": (p) =>
    Promise.all([
      p.inherited.findMany(byConstructor), p.inherited.findUnique({ where: { toString_valueOf: { toString: "b", valueOf: "toString" } } }),
      p.inherited.findMany({ where: { valueOf: { in: ["constructor", "hasOwnProperty"] }, toString: { not: "a" } }, ...byConstructor }),
      p.inherited.findMany({ cursor: { constructor: 2 }, skip: 1, take: 2, ...byConstructor }), p.inherited.findMany({ distinct: ["valueOf"], ...byConstructor }),
      p.inherited.findMany({ where: { prototype: { is: { toString: "a" } }, toLocaleString: { none: { constructor: 3 } } }, ...byConstructor }),
    ]),
  "inherited names: several findUnique at once": (p) => Promise.all([1, 2, 9].map((constructor) => p.inherited.findUnique({ where: { constructor } }))),
  "inherited names: select, omit": (p) =>
    Promise.all([
      p.inherited.findMany({ select: { hasOwnProperty: true, constructor: true, toString: true }, ...byConstructor }),
      p.inherited.findMany({ omit: { hasOwnProperty: true, constructor: true, toString: true }, ...byConstructor }),
    ]),
  "inherited names: relations": (p) =>
    p.inherited.findMany({ include: { prototype: true, isPrototypeOf: byConstructor, toLocaleString: { include: { hasOwnProperty: true }, ...byConstructor }, _count: true }, ...byConstructor }),
  "inherited names: a relation's cursor, distinct": (p) =>
    p.inherited.findMany({
      include: { isPrototypeOf: { cursor: { constructor: 3 }, distinct: ["hasOwnProperty"], take: 1, ...byConstructor }, toLocaleString: { cursor: { constructor: 2 }, take: 1, ...byConstructor } },
      ...byConstructor,
    }),
  "inherited names: a relation of one found": async (p) => {
    const found = await sequentially(() => p.inherited.findUnique({ where: { constructor: 1 } }).isPrototypeOf(byConstructor), () => p.constructor.findUnique({ where: { constructor: 3 } }).hasOwnProperty());
    return JSON.parse(JSON.stringify(found)); // clients that are extended give it methods
  },
  "inherited names: aggregate, groupBy": (p) =>
    Promise.all([
      p.inherited.aggregate({ _count: { constructor: true, toString: true }, _sum: { constructor: true, hasOwnProperty: true }, _min: { toString: true } }),
      p.inherited.groupBy({ by: ["valueOf", "hasOwnProperty"], _count: { constructor: true, _all: true }, _max: { toString: true }, having: { constructor: { _max: { gt: 1 } } }, orderBy: [{ valueOf: "asc" }, { hasOwnProperty: "asc" }] }),
      p.constructor.groupBy({ by: ["toString"], _sum: { constructor: true }, orderBy: { toString: "asc" } }),
    ]),
  "inherited names: nested writes": (p) =>
    p.inherited.create({
      data: {
        constructor: 7, toString: "x", valueOf: "hasOwnProperty", prototype: { connect: { constructor: 1 } }, isPrototypeOf: { create: [{ constructor: 8, toString: "y" }] },
        toLocaleString: { connectOrCreate: [5, 1].map((constructor) => ({ where: { constructor }, create: { constructor } })) },
      },
      include: { prototype: true, isPrototypeOf: true, toLocaleString: byConstructor },
    }),
  "inherited names: nested updates": (p) =>
    p.inherited.update({
      where: { constructor: 1 },
      data: {
        isPrototypeOf: { update: { where: { constructor: 2 }, data: { toString: "nested" } }, disconnect: { constructor: 3 } },
        toLocaleString: { updateMany: { where: { constructor: 1 }, data: { constructor: 99 } }, upsert: { where: { constructor: 2 }, create: { constructor: 2 }, update: { constructor: 22 } } },
      },
      include: { isPrototypeOf: byConstructor, toLocaleString: byConstructor },
    }),
  "inherited names: set, upsert, delete": (p) =>
    sequentially(
      () => p.inherited.update({ where: { constructor: 1 }, data: { isPrototypeOf: { set: [{ constructor: 4 }] } }, include: { isPrototypeOf: byConstructor } }),
      () => p.inherited.upsert({ where: { constructor: 9 }, create: { constructor: 9, toString: "u" }, update: { toString: "v" } }),
      () => p.constructor.delete({ where: { constructor: 2 } }),
      () => p.constructor.createManyAndReturn({ data: [{ constructor: 7, toString: 1 }] }),
    ),

  // ---- errors ----
  "P2002": (p) => p.user.create({ data: { email: "ada@example.com" } }),
  "P2002 of a composite key": (p) => p.stock.create({ data: { shop: "north", item: "nails", amount: 1 } }),
  "P2002 of names in quotes": (p) => p.profile.create({ data: { id: "x", bio: "b", userId: 1 } }),
  "P2002 of a composite key, names in quotes": (p) => p.comment.create({ data: { postId: 1, number: 1, text: "x" } }),
  "P2002 of a value like the end of a key": (p) => sequentially(() => p.tag.create({ data: { name: "a)=(b" } }), () => p.tag.create({ data: { name: "a)=(b" } })),
  "P2011": (p) => p.stock.create({ data: { shop: "null", item: "c", amount: 5 } }),
  "P2014": (p) => p.user.update({ where: { id: 1 }, data: { profile: { create: { bio: "x" } } }, select: { id: true } }),
  "P2000": (p) => p.native.create({ data: { id: 9, varchar: "too long" } }),
  "P2021": (p) => changed(p, `alter table "Tag" rename to "Gone"`, `alter table "Gone" rename to "Tag"`, () => p.tag.findMany()),
  "P2022": (p) => changed(p, `alter table "Tag" rename column name to gone`, `alter table "Tag" rename column gone to name`, () => p.tag.deleteMany({ where: { name: "x" } })),
  "P2028: after its end": async (p) => {
    let ended;
    await p.$transaction(async (tx) => (ended = tx));
    return ended.tag.count();
  },
  "an argument that is none": (p) => p.user.findMany({ where: { nothing: 1 } }),
  "a value of another type": (p) => p.user.findMany({ where: { id: "x" } }),
  "a value that is not there": (p) => p.user.create({ data: { name: "x" } }),
  "a field that is none": (p) => p.user.findMany({ select: { nothing: true } }),
  "violation of a CHECK": (p) => p.stock.create({ data: { shop: "c", item: "c", amount: -5 } }),
  "exception of a trigger": (p) => p.stock.create({ data: { shop: "refused", item: "c", amount: 5 } }),
  "division by zero": (p) => p.post.update({ where: { id: 1 }, data: { views: { divide: 0 } } }),
  "a NUL in a text": (p) => p.tag.create({ data: { name: "a\0b" } }),
  "after a statement that failed": (p) => p.$transaction(async (tx) => { await outcome(tx.tag.create({ data: { name: "news" } })); return tx.tag.count(); }),
  "P2003": (p) => p.post.create({ data: { title: "x", authorId: 99 } }),
  "P2025: nested connect": (p) => p.post.create({ data: { title: "x", author: { connect: { id: 99 } } } }),
  "P2025: nested update": (p) => p.user.update({ where: { id: 3 }, data: { profile: { update: { bio: "x" } } } }),
  "P2017 or P2025: disconnect what is not connected": (p) => p.user.update({ where: { id: 3 }, data: { posts: { disconnect: [{ id: 1 }] } }, include: { posts: true } }),
  "P2023: no uuid": (p) => p.everything.findMany({ where: { uuid: "not a uuid" } }),
  "P2020 or its like: out of range": (p) => p.post.update({ where: { id: 1 }, data: { views: { multiply: 1000000000 } } }),
};
