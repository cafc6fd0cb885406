// SPDX-License-Identifier: Apache-2.0
// A client that traces gets the spans of what weir did, below its own; and (7) its comments are carried to the database.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { root } from "../e2e/lib.mjs";
import { clients, startEndpoint } from "./lib.mjs";

let endpoint;
before(async () => {
  endpoint = await startEndpoint();
});
after(() => endpoint.stop());

// One version's instrumentation, before its client is loaded: {tracer, take(): the spans since, by name}.
function instrument(version) {
  const require = createRequire(join(root, "tests/prisma", version, "package.json"));
  const { context, trace } = require("@opentelemetry/api");
  const { AsyncLocalStorageContextManager } = require("@opentelemetry/context-async-hooks");
  const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require("@opentelemetry/sdk-trace-base");
  const { PrismaInstrumentation } = require("@prisma/instrumentation");
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const manager = new AsyncLocalStorageContextManager().enable();
  context.setGlobalContextManager(manager);
  trace.setGlobalTracerProvider(provider);
  const instrumentation = new PrismaInstrumentation();
  instrumentation.setTracerProvider(provider);
  instrumentation.enable();
  const take = () => {
    const spans = exporter.getFinishedSpans().slice();
    exporter.reset();
    return spans;
  };
  const done = () => {
    instrumentation.disable();
    context.disable();
    trace.disable();
  };
  return { tracer: provider.getTracer("test"), take, done };
}

const parentOf = (span, spans) => spans.find((one) => one.spanContext().spanId === (span.parentSpanContext?.spanId ?? span.parentSpanId));
const lineage = (span, spans) => (span === undefined ? [] : [span.name, ...lineage(parentOf(span, spans), spans)]);

for (const version of ["v6", "v7"])
  test(`spans of queries and of transactions, with the client's trace (${version})`, async () => {
    const { tracer, take, done } = instrument(version);
    const p = clients(version).edge(endpoint.edgeUrl());
    await p.user.count();
    take();
    await tracer.startActiveSpan("asking", async (span) => {
      await p.user.findMany({ select: { id: true } });
      span.end();
    });
    const spans = take(), traceId = spans[0].spanContext().traceId;
    const statement = spans.find(({ name }) => name === "prisma:engine:db_query");
    assert.ok(statement, spans.map(({ name }) => name).join());
    assert.match(statement.attributes["db.query.text"], /^SELECT .*"users"/);
    assert.equal(statement.attributes["db.system.name"], "postgresql");
    const line = lineage(statement, spans);
    assert.equal(line[1], "prisma:engine:query");
    assert.equal(line.at(-1), "asking");
    assert.ok(line.includes("prisma:client:operation"), line.join());
    for (const span of spans) {
      assert.equal(span.spanContext().traceId, traceId);
      assert.ok(Math.abs(span.startTime[0] * 1000 - Date.now()) < 60000 && span.duration[0] < 10 && span.duration[0] >= 0, span.name);
    }
    await p.$transaction(async (tx) => tx.user.count());
    const names = take().map(({ name }) => name);
    assert.ok(names.includes("prisma:engine:start_transaction") && names.includes("prisma:engine:commit_transaction"), names.join());
    await p.$disconnect();
    done();
  });

test("the second query of a shape is not compiled, and who traces sees that", async () => {
  const { take, done } = instrument("v6");
  const p = clients("v6").edge(endpoint.edgeUrl());
  const compiled = async (query) => {
    take();
    await query;
    return take().filter(({ name }) => name === "prisma:engine:compile").length;
  };
  const found = (take) => p.user.findMany({ take, skip: take, orderBy: [{ age: "asc" }, { name: "desc" }] });
  for (let n = 1; n <= 10; n++) await found(n); // a schema's first queries are compiled each
  const named = (name) => p.user.findFirst({ where: { name, age: { gt: name.length } }, orderBy: { id: "asc" } });
  assert.deepEqual([await compiled(named("Ada")), await compiled(named("Bob")), await compiled(named("somebody else"))], [1, 0, 0]);
  const made = (name) => p.tag.create({ data: { name } });
  assert.deepEqual([await compiled(made("one")), await compiled(made("two"))], [1, 0]);
  await p.$disconnect();
  done();
});

// What @prisma/instrumentation registers for version 5's clients, in which the feature is a preview.
test("the client's trace arrives, and spans return (v5)", async () => {
  const made = clients("v5"), traceId = "0af7651916cd43dd8448eb211c80319c", caller = "b7ad6b7169203331", told = [];
  made.trust(readFileSync(endpoint.certificate));
  globalThis.PRISMA_INSTRUMENTATION = {
    helper: { isEnabled: () => true, getTraceParent: () => `00-${traceId}-${caller}-01`, getActiveContext: () => undefined, createEngineSpan: (event) => told.push(event), runInChildSpan: (_, callback) => callback() },
  };
  try {
    const p = made.edge(endpoint.edgeUrl(undefined, false));
    await p.user.findMany({ select: { id: true } });
    await p.$transaction(async (tx) => tx.user.count());
    const spans = told.flatMap(({ spans }) => spans), named = (name) => spans.find((span) => span.name === name);
    assert.ok(told.every(({ span }) => span === true) && spans.every((span) => span.trace_id === traceId), JSON.stringify(spans));
    const query = named("prisma:engine:query"), statement = named("prisma:engine:db_query");
    assert.equal(query.parent_span_id, caller);
    assert.equal(spans.find(({ span_id }) => span_id === statement.parent_span_id), query);
    assert.match(statement.attributes["db.query.text"] ?? statement.attributes["db.statement"], /^SELECT .*"users"/);
    assert.ok(named("prisma:engine:start_transaction") && named("prisma:engine:commit_transaction"), spans.map(({ name }) => name).join());
    await p.$disconnect();
  } finally {
    delete globalThis.PRISMA_INSTRUMENTATION;
  }
});

test("who does not trace is told nothing; comments of a client are the statements'", async () => {
  const ask = async (more) => {
    const plan = { type: "query", args: { type: "rawSql", sql: "select current_query() as text", args: [], argTypes: [] } };
    const answer = await fetch(`http://127.0.0.1:${endpoint.port}/query`, {
      method: "POST", headers: { authorization: `Bearer ${endpoint.first.key}` }, body: JSON.stringify({ plan, ...more }),
    });
    return JSON.parse(await answer.text());
  };
  const { data, extensions } = await ask({});
  assert.equal(extensions, undefined);
  assert.equal(data.rows[0][0], "select current_query() as text");
  const commented = await ask({ comments: { route: "/posts; */ drop", by: "it's" } });
  assert.equal(commented.data.rows[0][0], "select current_query() as text /*by='it\\'s',route='%2Fposts%3B%20*%2F%20drop'*/");
  for (const comments of [5, "text", [1], { a: 5 }, { a: { b: 1 } }]) assert.equal((await ask({ comments })).code, "P6000", JSON.stringify(comments));
});

test("queries that differ in their comments alone have one result in the cache", async () => {
  const { edge } = clients("v7");
  let number = 0;
  const comments = [() => ({ traceparent: `00-${String(++number).padStart(32, "0")}-0123456789abcdef-01`, route: `/${number}` })];
  const tagged = edge(endpoint.edgeUrl(), { comments }), bare = edge(endpoint.edgeUrl());
  const statusOf = async (p, id) => (await p.user.findUnique({ where: { id }, cacheStrategy: { ttl: 600 } }).withAccelerateInfo()).info.cacheStatus;
  assert.deepEqual([await statusOf(tagged, 1), await statusOf(tagged, 1), await statusOf(bare, 1), await statusOf(tagged, 2)], ["miss", "ttl", "ttl", "miss"]);
  assert.equal(number, 3);
  await tagged.$disconnect();
  await bare.$disconnect();
});
