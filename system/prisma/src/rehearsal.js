// SPDX-License-Identifier: Apache-2.0
// Run while the worker starts: what a first query needs of the compiler's WebAssembly is compiled then, and every instance begins
// with it. (Prisma's interpreter and pg in the same way, with a database that is none: no gain, their time goes into pages.)
import { Compiler } from "./compiler.js";
import { Parameters } from "./parameters.js";

const SCHEMA = `
datasource db {
  provider = "postgresql"
}
enum Kind {
  ONE
  TWO
}
model Author {
  id      Int      @id @default(autoincrement())
  email   String   @unique
  name    String?
  kind    Kind     @default(ONE)
  created DateTime @default(now())
  books   Book[]
  profile Profile?
}
model Profile {
  id       String  @id @default(uuid())
  about    String?
  author   Author? @relation(fields: [authorId], references: [id])
  authorId Int?    @unique
}
model Book {
  id       String   @id @default(uuid())
  title    String
  price    Decimal?
  sold     BigInt   @default(0)
  data     Json?
  tags     String[]
  printed  Boolean  @default(false)
  changed  DateTime @updatedAt
  author   Author?  @relation(fields: [authorId], references: [id])
  authorId Int?
  themes   Theme[]
  @@index([authorId])
}
model Theme {
  id    Int    @id @default(autoincrement())
  name  String @unique
  books Book[]
}
`;

const all = { $composites: true, $scalars: true };
const query = (modelName, action, args = {}, selection = all) => ({ modelName, action, query: { arguments: args, selection } });
const book = { title: "t", tags: { set: [] }, changed: { $type: "DateTime", value: "2026-01-01T00:00:00.000Z" } };

const QUERIES = [
  query("Author", "findUnique", { where: { id: 1 } }),
  query("Author", "findUnique", { where: { email: "a" } }, { ...all, books: { arguments: {}, selection: all }, profile: { arguments: {}, selection: all } }),
  query("Author", "findFirst", { where: { OR: [{ email: { contains: "a" } }, { name: null }], books: { some: { printed: { equals: true } } } } }),
  query("Book", "findMany", { where: { printed: true, author: { is: { kind: "ONE" } } }, orderBy: [{ changed: "desc" }], take: 10, skip: 5 }, { ...all, author: { arguments: {}, selection: all }, themes: { arguments: {}, selection: all } }),
  query("Book", "findMany", { where: { id: { in: ["a", "b"] } }, cursor: { id: "a" }, take: 5 }, { id: true, title: true }),
  query("Author", "createOne", { data: { email: "a", name: "n" } }),
  query("Author", "createOne", { data: { email: "a", books: { create: [book] }, profile: { create: { about: "x" } } } }, { ...all, books: { arguments: {}, selection: all } }),
  query("Book", "createOne", { data: { ...book, author: { connect: { id: 1 } }, themes: { connectOrCreate: [{ where: { name: "x" }, create: { name: "x" } }] } } }),
  query("Author", "createMany", { data: [{ email: "a" }, { email: "b" }], skipDuplicates: true }, { count: true }),
  query("Author", "updateOne", { where: { id: 1 }, data: { name: "n", kind: "TWO" } }),
  query("Book", "updateOne", { where: { id: "a" }, data: { title: "t", sold: { increment: 1 }, author: { disconnect: true } } }),
  query("Book", "updateMany", { where: { printed: false }, data: { printed: true } }, { count: true }),
  query("Author", "upsertOne", { where: { email: "a" }, create: { email: "a" }, update: { name: "b" } }),
  query("Author", "deleteOne", { where: { id: 1 } }),
  query("Book", "deleteMany", { where: { authorId: 1 } }, { count: true }),
  query("Book", "aggregate", { where: { printed: true } }, { _count: { arguments: {}, selection: { _all: true } }, _sum: { arguments: {}, selection: { price: true } } }),
  query("Book", "groupBy", { by: ["authorId"], orderBy: [{ authorId: "asc" }] }, { authorId: true, _count: { arguments: {}, selection: { _all: true } } }),
];

const ROUNDS = 3; // until what they run through is compiled

export function rehearse() {
  const parameters = new Parameters(SCHEMA);
  for (let round = 0; round < ROUNDS; round++) {
    const compiler = new Compiler(SCHEMA, { supportsRelationJoins: true });
    for (const one of QUERIES) {
      compiler.compile(JSON.stringify(one));
      compiler.compile(JSON.stringify(parameters.ofQuery(one).query));
    }
    compiler.free();
  }
}
