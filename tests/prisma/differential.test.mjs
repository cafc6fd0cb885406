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

async function run(operation, prisma, Prisma) {
  await reset();
  try {
    return plain(await operation(prisma, { Prisma }));
  } catch (error) {
    return { ...failure(error), meta: error.meta };
  }
}

// Version 7 hands on what the adapter says. 5 and 6 are told, in its place, what Prisma's engine of their time said (endpoint.test.mjs
// looks at that); everything else is the same.
const ofTheEngine = ["target", "field_name", "constraint", "column_name", "code", "message"];
function sameMeta(actual, expected, version) {
  const { driverAdapterError: a, ...rest } = actual ?? {}, { driverAdapterError: b, ...wanted } = expected ?? {};
  if (version === "v7") return assert.deepEqual([rest, asJson(a?.cause)], [wanted, asJson(b?.cause)]);
  for (const name of ofTheEngine) delete rest[name];
  assert.deepEqual(rest, wanted);
}

const asJson = (value) => value && JSON.parse(JSON.stringify(value)); // what is undefined is not sent
const failedAs = ({ failed, code, message }) => ({ failed, code, message });

// What a version does not have.
const missing = {
  v5: { updateManyAndReturn: "since 6.2" },
};
// Where the edge client is meant to do otherwise than the client beside it, and why.
const otherwise = {
  v5: {
    // Version 5's client has an error of its own for these.
    "findUniqueOrThrow: nobody": { failed: "NotFoundError", code: "P2025", message: "No User found" },
    "findFirstOrThrow: nobody": { failed: "NotFoundError", code: "P2025", message: "No User found" },
  },
  v6: {
    // Version 6's adapter does not know the error, and its client passes on what no program expects.
    "P2023: no uuid": { failed: "PrismaClientKnownRequestError", code: "P2007", message: 'Invalid input value: invalid input syntax for type uuid: "not a uuid"' },
  },
};
Object.assign(otherwise.v5, otherwise.v6);

for (const version of (process.env.PRISMA_VERSIONS ?? "v5,v6,v7").split(","))
  describe(version, { timeout: 180000 * patience }, () => {
    let made, beside, direct, edge;
    before(() => {
      made = clients(version);
      beside = made.direct ? made : clients("v6");
      direct = beside.direct(`${endpoint.url}?options=-c%20TimeZone%3DUTC`);
      made.trust?.(readFileSync(endpoint.certificate)); // version 5 insists on TLS
      edge = made.edge(endpoint.edgeUrl(undefined, !made.trust));
    });
    after(async () => {
      await direct.$disconnect();
      await edge.$disconnect();
    });
    for (const [name, operation] of Object.entries(operations))
      test(name, { skip: missing[version]?.[name] }, async () => {
        const expected = otherwise[version]?.[name] ?? (await run(operation, direct, beside.Prisma.direct));
        const actual = await run(operation, edge, made.Prisma.edge);
        if (otherwise[version]?.[name] === undefined && expected?.failed !== undefined) {
          sameMeta(actual?.meta, expected.meta, version);
          assert.deepEqual(failedAs(actual), failedAs(expected));
        } else if (actual?.failed !== undefined) {
          assert.deepEqual(failedAs(actual), expected);
        } else {
          assert.deepEqual(actual, expected);
        }
      });
  });
