// SPDX-License-Identifier: Apache-2.0
// The protocol of the edge clients of Prisma 5 and 6: they upload their schema and send queries as JSON.
import { UserFacingError, convertCompactedRows } from "@prisma/client-engine-runtime";

import { errorEntry, invalidRequest, refusalOf, unknownRequest } from "./errors.js";
import { findSchema } from "./schemas.js";

const isRaw = ({ action }) => action === "queryRaw" || action === "executeRaw";

// As Prisma's client makes it of a raw query: its parameters are a JSON text, with tagged values.
function rawPlan({ action, query }) {
  const { query: sql, parameters } = query.arguments ?? {};
  let values;
  try {
    values = parameters === undefined ? [] : JSON.parse(parameters);
  } catch {
    throw invalidRequest("The parameters of the raw query are not JSON.");
  }
  if (typeof sql !== "string" || !Array.isArray(values)) throw invalidRequest("The raw query has no text, or no list of parameters.");
  const args = [], argTypes = [];
  for (const value of values) {
    const { arg, type } = rawParameter(value);
    args.push(arg);
    argTypes.push(type);
  }
  return { type: action === "queryRaw" ? "query" : "execute", args: { type: "rawSql", sql, args, argTypes } };
}

// A value of that type is a text, and a date that is none, null: what else has a field of that name is a user's JSON.
const typeOf = (value) => (typeof value?.prisma__value === "string" || (value?.prisma__value === null && value.prisma__type === "date") ? value.prisma__type : undefined);

// Of a list, whose elements' type is not told to anybody: bytes are bytes here already.
const rawElement = (value) => (typeOf(value) === "bytes" ? Buffer.from(value.prisma__value, "base64") : rawParameter(value).arg);

function rawParameter(value) {
  const scalar = (scalarType) => ({ arity: "scalar", scalarType });
  if (Array.isArray(value)) return { arg: value.map(rawElement), type: { arity: "list", scalarType: "unknown" } };
  if (typeof value === "object" && value !== null) {
    switch (typeOf(value)) {
      case "bigint":
        return { arg: value.prisma__value, type: scalar("bigint") };
      case "decimal":
        return { arg: value.prisma__value, type: scalar("decimal") };
      case "bytes":
        return { arg: value.prisma__value, type: scalar("bytes") };
      case "date":
        return { arg: value.prisma__value, type: scalar("datetime") };
      default:
        return { arg: JSON.stringify(value), type: scalar("json") };
    }
  }
  return { arg: value, type: scalar("unknown") };
}

const NAME_LENGTH_MAX = 100; // that is told

// The compiler panics where it does not know one.
const ACTIONS = new Set(["findUnique", "findFirst", "findMany", "createOne", "createMany", "updateOne", "updateMany", "upsertOne", "deleteOne", "deleteMany",
  "findUniqueOrThrow", "findFirstOrThrow", "createManyAndReturn", "updateManyAndReturn", "aggregate", "groupBy", "queryRaw", "executeRaw"]);

function check(query, version) {
  if (typeof query !== "object" || query === null || typeof query.action !== "string" || typeof query.query !== "object" || query.query === null)
    throw invalidRequest("A query is an object with an action and a query.");
  if (!ACTIONS.has(query.action)) throw unknownRequest(`The operation ${query.action.slice(0, NAME_LENGTH_MAX)}`, version);
  return query;
}

// {plan, scope}
const planOf = (schema, query) => (isRaw(query) ? { plan: rawPlan(query), scope: {} } : schema.compile(query));

// Rows of createMany that are compiled at once: it takes its time, and others wait.
const ROWS_AT_ONCE = 1000;

function isLong({ action, query }) {
  const data = query.arguments?.data;
  return action.startsWith("createMany") && Array.isArray(data) && data.length > ROWS_AT_ONCE; // a row may have a field of that name
}

const dataOf = ({ action }, data) => ({ data: { [action]: data } });

// run(): the answer to one query.
async function answered(run) {
  try {
    return await run();
  } catch (error) {
    return { errors: [errorEntry(rethrowRefusal(error))] };
  }
}

// createMany of many rows, in parts.
async function inParts(schema, query, runPlan) {
  const { arguments: given } = query.query, results = [];
  for (let at = 0; at < given.data.length; at += ROWS_AT_ONCE) {
    const part = { ...given, data: given.data.slice(at, at + ROWS_AT_ONCE) };
    const { plan, scope } = schema.compile({ ...query, query: { ...query.query, arguments: part } });
    results.push(await runPlan(plan, scope));
  }
  return Array.isArray(results[0]) ? results.flat() : { count: results.reduce((sum, { count }) => sum + count, 0) };
}

// … all or none. measured(answer): it, before it is committed.
const runLong = (schema, query, measured, runInTransaction) =>
  answered(() => runInTransaction(undefined, async (run) => measured(dataOf(query, await inParts(schema, query, run)))));

// runPlan(plan, scope): its result.
const runQuery = (schema, query, runPlan) =>
  answered(async () => {
    const { plan, scope } = planOf(schema, query);
    return dataOf(query, await runPlan(plan, scope));
  });

const BATCH_AT_ONCE = 100, // queries that are compiled as one: each looks through the rows of all
  TURN_MS = 20; // so long the queries of a batch have it for themselves

// f(query) of each, one after the other: resolves to a list. Others have their turn in between.
async function each(queries, f) {
  const all = [];
  let begunMs = performance.now();
  for (const query of queries) {
    if (performance.now() - begunMs >= TURN_MS) {
      await new Promise((done) => setTimeout(done, 0));
      begunMs = performance.now();
    }
    all.push(f(query));
  }
  return all;
}

// What is not of the query itself is for the whole request.
function rethrowRefusal(error) {
  const told = refusalOf(error);
  if (told.status !== undefined) throw told;
  return told;
}

// Of one that is not there, as when it is asked for alone.
const notThere = (error) => Object.assign(error, { meta: { cause: "No record was found for a query.", operation: "a query" } });

async function runCompacted(queries, compiled, scope, runPlan) {
  const [first] = queries;
  try {
    const rows = await runPlan(compiled.plan, scope);
    return convertCompactedRows(rows, compiled, scope).map((row) =>
      row instanceof UserFacingError ? { errors: [errorEntry(notThere(row))] } : dataOf(first, row),
    );
  } catch (error) {
    const entry = errorEntry(rethrowRefusal(error));
    return queries.map(() => ({ errors: [entry] }));
  }
}

// All or none: the first error ends it, and says at which query.
async function runTogether(schema, queries, plans, runPlan) {
  const results = [];
  for (const [index, planned] of plans.entries()) {
    const query = queries[index];
    try {
      const result = planned === undefined ? inParts(schema, query, runPlan) : runPlan(planned.plan, planned.scope);
      results.push(dataOf(query, await result));
    } catch (error) {
      throw Object.assign(rethrowRefusal(error), { batchIndex: index });
    }
  }
  return results;
}

// Outside of a transaction: each part may be one query in the end.
async function runSeparately(schema, queries, runPlan) {
  const parts = Array.from({ length: Math.ceil(queries.length / BATCH_AT_ONCE) }, (_, index) => queries.slice(index * BATCH_AT_ONCE, (index + 1) * BATCH_AT_ONCE));
  const compiled = await each(parts, (batch) => schema.compileBatch({ batch }));
  const results = [];
  for (const [index, part] of parts.entries()) {
    const { compiled: plan, scope } = compiled[index];
    results.push(...(plan.type === "compacted" ? await runCompacted(part, plan, scope, runPlan) : await runEach(schema, part, runPlan)));
  }
  return results;
}

async function runEach(schema, queries, runPlan) {
  const run = (query) => {
    const result = runQuery(schema, query, runPlan);
    result.catch(() => {}); // until all are waited for
    return result;
  };
  return Promise.all(await each(queries, run));
}

async function runBatch(schema, { batch, transaction }, { version, measured }, runPlan, runInTransaction) {
  const queries = batch.map((query) => check(query, version));
  const isTransaction = transaction !== undefined && transaction !== null;
  const planned = (query) => (isLong(query) ? undefined : planOf(schema, query));
  try {
    if (queries.length === 0) return { batchResult: [] };
    if (isTransaction) {
      const plans = await each(queries, planned);
      return await runInTransaction(transaction.isolationLevel, async (run) => measured({ batchResult: await runTogether(schema, queries, plans, run) }));
    }
    return { batchResult: await (queries.some(isRaw) ? runEach(schema, queries, runPlan) : runSeparately(schema, queries, runPlan)) };
  } catch (error) {
    return { errors: [errorEntry(rethrowRefusal(error), error.batchIndex)] };
  }
}

// What a request for …/graphql comes to. context: as database.run() has it, the client's version, where it says one, and measured(answer): the
// answer, which is refused where it is too large.
export async function answerQuery(hash, body, database, context) {
  if (typeof body !== "object" || body === null) throw invalidRequest("The body is not an object.");
  const schema = findSchema(hash);
  const runPlan = (plan, scope) => database.run(plan, scope, context);
  // Inside of an interactive transaction a batch begins none of its own.
  const runInTransaction =
    context.transaction === undefined
      ? (level, run) => database.transact(level, context, run)
      : (_, run) => run(runPlan);
  if (Object.hasOwn(body, "batch") && Array.isArray(body.batch)) return runBatch(schema, body, context, runPlan, runInTransaction);
  return isLong(check(body, context.version)) ? runLong(schema, body, context.measured, runInTransaction) : runQuery(schema, body, runPlan);
}
