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
  endpoint = await startEndpoint();
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

// Versions 5 and 7 have the same here and there: what Prisma's engine says, and what the adapter does. Where version 6's client is the one
// beside it, 5 and 6 are told what the engine of their time said (endpoint.test.mjs looks at that); everything else is the same.
const ofTheEngine = ["target", "field_name", "constraint", "column_name", "code", "message", "cause"];
function sameMeta(actual, expected, of) {
  const { driverAdapterError: a, ...rest } = actual ?? {}, { driverAdapterError: b, ...wanted } = expected ?? {};
  if (of === "v7") return assert.deepEqual([rest, asJson(a?.cause)], [wanted, asJson(b?.cause)]);
  if (of === "v6") for (const name of ofTheEngine) delete rest[name];
  assert.deepEqual(rest, wanted);
}

const asJson = (value) => value && JSON.parse(JSON.stringify(value)); // what is undefined is not sent
const failedAs = ({ failed, code, message }) => ({ failed, code, message });

// What a version does not have.
const missing = {
  v5: { updateManyAndReturn: "since 6.2" },
};
// Where version 6's client stands for version 5's, and why.
const sixForFive = {
  "5's adapter has no lists of Json, and no infinite floats": /^all types: (full|zero|written and read)$|^infinities|^NaN/,
  "5's engine does not know the error of an adapter": /^a large integer is refused$|^P2023: no uuid$|^P2020/,
  "5's engine has other words for it": /^(update|delete|connect to|P2025:).*(nobody|nested)|^delete what is referred to$|division by zero$|^P2002 of a composite|^P2003$/,
};
// Where the edge client is meant to do otherwise than the client beside it, and why.
const otherwise = {
  v6: {
    // Version 6's adapter does not know the error, and its client passes on what no program expects.
    "P2023: no uuid": { failed: "PrismaClientKnownRequestError", code: "P2007", message: 'Invalid input value: invalid input syntax for type uuid: "not a uuid"' },
  },
};

for (const version of (process.env.PRISMA_VERSIONS ?? "v5,v6,v7").split(","))
  describe(version, { timeout: 180000 * patience }, () => {
    let made, edge;
    const direct = {}, Prisma = {}; // by version
    before(() => {
      made = clients(version);
      for (const of of version === "v5" ? ["v5", "v6"] : [version]) {
        const beside = clients(of);
        [direct[of], Prisma[of]] = [beside.direct(endpoint.url), beside.Prisma.direct];
      }
      made.trust?.(readFileSync(endpoint.certificate)); // version 5 insists on TLS
      edge = made.edge(endpoint.edgeUrl(undefined, !made.trust));
    });
    after(async () => {
      for (const client of [edge, ...Object.values(direct)]) await client.$disconnect();
    });
    for (const [name, operation] of Object.entries(operations))
      test(name, { skip: missing[version]?.[name] }, async () => {
        const of = version === "v5" && Object.values(sixForFive).some((names) => names.test(name)) ? "v6" : version;
        const meant = otherwise[of]?.[name];
        const expected = meant ?? (await run(operation, direct[of], Prisma[of]));
        const actual = await run(operation, edge, made.Prisma.edge);
        if (meant === undefined && expected?.failed !== undefined) {
          sameMeta(actual?.meta, expected.meta, of);
          assert.deepEqual(failedAs(actual), failedAs(expected));
        } else if (actual?.failed !== undefined) {
          assert.deepEqual(failedAs(actual), expected);
        } else {
          assert.deepEqual(actual, expected);
        }
      });
  });
