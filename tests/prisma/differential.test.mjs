// SPDX-License-Identifier: Apache-2.0
// Every operation of operations.mjs, by a client that is connected to the database itself and by the edge client through
// weir: values and errors are the same.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";

import pg from "pg";

import { patience } from "../e2e/lib.mjs";
import { clients, failure, plain, startEndpoint } from "./lib.mjs";
import { operations } from "./operations.mjs";

const seed = readFileSync(new URL("seed.sql", import.meta.url), "utf8");
let endpoint, reset;
before(async () => {
  // Where the database's time zone is another one, Prisma's own adapter is wrong unless it is told.
  endpoint = await startEndpoint({ settings: "timezone = 'Asia/Kolkata'" });
  const client = new pg.Client({ connectionString: endpoint.url });
  await client.connect();
  reset = () => client.query(seed);
  endpoint.closing = () => client.end();
});
after(async () => {
  await endpoint.closing();
  await endpoint.stop();
});

// make(options): a client like this one.
async function run(operation, prisma, Prisma, make) {
  await reset();
  const others = [];
  const client = (options) => (others.push(make(options)), others.at(-1));
  try {
    return plain(await operation(prisma, { Prisma, client }));
  } catch (error) {
    return { ...failure(error), meta: error.meta };
  } finally {
    for (const other of others) await other.$disconnect();
  }
}

// Versions 5 and 7 have the same here and there: what Prisma's engine says, and what the adapter does. Where version 6's client is the one
// beside it, 5 and 6 are told what the engine of their time said (endpoint.test.mjs looks at that); everything else is the same.
const ofTheEngine = ["field_name", "constraint", "column_name", "table", "column", "error", "code", "message", "cause", "relation_name", "parent_name", "child_name", "model_a_name", "model_b_name"];
const ofTheInterpreter = ["relation", "parent", "child", "modelA", "modelB"];
const unquoted = (text) => text.replaceAll('"', ""); // the adapter of 6 leaves Postgres's quotes in a constraint's fields
function sameMeta(actual, expected, of) {
  const { driverAdapterError: a, ...rest } = actual ?? {}, { driverAdapterError: b, ...wanted } = expected ?? {};
  if (of === "v7") return assert.deepEqual([rest, asJson(a?.cause)], [wanted, asJson(b?.cause)]);
  if (of === "v6") for (const name of ofTheEngine) delete rest[name];
  if (of === "v6") for (const name of ofTheInterpreter) delete rest[name], delete wanted[name];
  if (b?.cause?.kind === "UniqueConstraintViolation") wanted.target = b.cause.constraint.fields.map(unquoted);
  assert.deepEqual(rest, wanted);
}

const asJson = (value) => value && JSON.parse(JSON.stringify(value)); // what is undefined is not sent
// The form of errors that have no code, of 5 and 6.
const unknown = (code, text, { detail, hint } = {}) => {
  const some = (told) => (told === undefined ? "None" : `Some(${JSON.stringify(told)})`);
  return { failed: "PrismaClientUnknownRequestError", code: undefined, message: `ConnectorError(ConnectorError { user_facing_error: None, kind: QueryError(PostgresError { code: "${code}", message: ${JSON.stringify(text)}, severity: "ERROR", detail: ${some(detail)}, column: None, hint: ${some(hint)} }), transient: false })` };
};
const failedAs = ({ failed, code, message }) => ({ failed, code, message });

// What a version does not have.
const nested = Object.fromEntries(Object.keys(operations).filter((name) => name.startsWith("nested transaction")).map((name) => [name, "since 7.5"]));
const missing = {
  v6: nested,
  v5: { ...nested, updateManyAndReturn: "since 6.2", "updateManyAndReturn with include": "since 6.2", "updateMany, deleteMany: limit": "since 6.3" },
};
// Where another client stands for the one beside it, and why: version 6's for version 5's, …
const sixForFive = {
  "5's adapter has no lists of Json, and no infinite floats": /^all types: (full|zero|written and read)$|^infinities|^NaN/,
  "5's adapter rounds the Decimals of joined rows, and does not read times with a zone": /^all types of a relation|^dates with a time zone/,
  "5's engine does not know the error of an adapter": /^a large integer is refused$|^P2023: no uuid$|^P2020/,
  "5's engine has other words for it": /^(update|delete|connect to|P2025:).*(nobody|nested)|^delete what is referred to$|division by zero$|^P2002 of a composite|^P2003$/,
};
// … and one that does not join for one that does.
const withoutJoins = { "their adapters round the Decimals and BigInts of joined rows, or do not read lists of them": /^all types of a relation/ };
function standIn(version, name) {
  const [of, joins] = version.split("/"), within = (reasons) => Object.values(reasons).some((names) => names.test(name));
  if (joins) return within(withoutJoins) ? of : version;
  return of === "v5" && within(sixForFive) ? "v6" : of;
}
// Where the edge client is meant to do otherwise than the client beside it, and why.
const otherwise = {
  v6: {
    // Version 6's adapter does not know the error, and its client passes on what no program expects.
    "P2011": { failed: "PrismaClientKnownRequestError", code: "P2011", message: "Null constraint violation on the fields: (`amount`)" },
    // … nor which column it is of.
    "P2022": { failed: "PrismaClientKnownRequestError", code: "P2022", message: "The column `Tag.name` does not exist in the current database." },
    // … nor these, which it throws as they are.
    "violation of a CHECK": unknown("23514", 'new row for relation "Stock" violates check constraint "positive"', { detail: "Failing row contains (c, c, -5)." }),
    "exception of a trigger": unknown("P0001", 'it says "no"', { detail: "two\nlines", hint: "ask another shop" }),
    "division by zero": unknown("22012", "division by zero"),
    "a NUL in a text": unknown("22021", 'invalid byte sequence for encoding "UTF8": 0x00'),
    "after a statement that failed": unknown("25P02", "current transaction is aborted, commands ignored until end of transaction block"),
    "P2023: no uuid": { failed: "PrismaClientKnownRequestError", code: "P2007", message: 'Invalid input value: invalid input syntax for type uuid: "not a uuid"' },
  },
};

// Version 5's clients join relations; with those of 6 and 7 that do it is about relations alone.
const relations = /include|posts|things/;
for (const version of (process.env.PRISMA_VERSIONS ?? "v5,v6,v7").split(",").flatMap((one) => (one === "v5" ? one : [one, `${one}/joins`])))
  describe(version, { timeout: 180000 * patience }, () => {
    let made, edge, makeEdge;
    const direct = {}, makeDirect = {}, Prisma = {}; // by version
    before(() => {
      made = clients(version);
      for (const of of new Set(Object.keys(operations).map((name) => standIn(version, name)))) {
        const beside = clients(of);
        makeDirect[of] = (options) => beside.direct(`${endpoint.url}?options=-c%20TimeZone%3DUTC`, options);
        [direct[of], Prisma[of]] = [makeDirect[of](), beside.Prisma.direct];
      }
      made.trust?.(readFileSync(endpoint.certificate)); // version 5 insists on TLS
      makeEdge = (options) => made.edge(endpoint.edgeUrl(undefined, !made.trust), options);
      edge = makeEdge();
    });
    after(async () => {
      for (const client of [edge, ...Object.values(direct)]) await client.$disconnect();
    });
    for (const [name, operation] of Object.entries(operations).filter(([, operation]) => !version.endsWith("/joins") || relations.test(operation)))
      test(name, { skip: missing[version]?.[name] }, async () => {
        const beside = standIn(version, name), [of] = beside.split("/");
        const meant = otherwise[of]?.[name];
        const expected = meant ?? (await run(operation, direct[beside], Prisma[beside], makeDirect[beside]));
        const actual = await run(operation, edge, made.Prisma.edge, makeEdge);
        if (meant === undefined && expected?.failed !== undefined) {
          sameMeta(actual?.meta, expected.meta, of);
          if (expected.code === "P2002") expected.message = unquoted(expected.message);
          assert.deepEqual(failedAs(actual), failedAs(expected));
        } else if (actual?.failed !== undefined) {
          assert.deepEqual(failedAs(actual), expected);
        } else {
          assert.deepEqual(actual, expected);
        }
      });
  });
