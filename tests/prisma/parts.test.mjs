// SPDX-License-Identifier: Apache-2.0
// Parts of the endpoint's worker that run anywhere.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { build } from "esbuild";

import { Flights } from "../../system/prisma/src/flights.js";
import { Results, strategyOf } from "../../system/prisma/src/results.js";
import { Rows } from "../../system/prisma/src/rows.js";
import { root } from "../e2e/lib.mjs";
import { sleep } from "../pool/lib.mjs";

const late = () => new Error("late");

test("what is being fetched is fetched once; what does not end is waited for no longer than it may be, and begun anew", async () => {
  const flights = new Flights(200);
  const fetched = flights.begin("a", () => sleep(50).then(() => "one"));
  assert.deepEqual([flights.has("a"), flights.has("b"), flights.join("b", late)], [true, false, undefined]);
  assert.deepEqual(await Promise.all([fetched, flights.join("a", late), flights.join("a", late)]), ["one", "one", "one"]);
  assert.equal(flights.has("a"), false);
  const failing = flights.begin("a", () => sleep(10).then(() => Promise.reject(new Error("no"))));
  await Promise.all([assert.rejects(failing, /no/), assert.rejects(flights.join("a", late), /no/)]);
  let end;
  const endless = flights.begin("a", () => new Promise((done) => (end = done)));
  await assert.rejects(flights.join("a", late), /late/);
  assert.equal(flights.has("a"), false);
  const anew = flights.begin("a", () => sleep(100).then(() => "two"));
  end("at last");
  assert.deepEqual([await endless, flights.has("a")], ["at last", true], "it takes nobody else's name");
  assert.deepEqual(await Promise.all([anew, flights.join("a", late)]), ["two", "two"]);
});

test("rows: who began first goes on, others wait for room; what a request has counts until it is answered", async () => {
  Rows.limit(3200); // 800 of all, 100 are few
  const one = new Rows(), two = new Rows(), few = new Rows(), first = {}, second = {}, third = {};
  const isThrough = async (rows, connection) => Promise.race([rows.room(connection).then(() => true), sleep(20).then(() => false)]);
  const bring = (rows, connection, bytes) => (rows.begin(connection), rows.add(bytes));
  for (const rows of [one, two, few]) rows.hold();
  bring(one, first, 700);
  bring(two, second, 500);
  bring(few, third, 50);
  assert.deepEqual(await Promise.all([isThrough(one, first), isThrough(two, second), isThrough(few, third)]), [true, false, true]);
  one.end(first);
  assert.equal(await isThrough(two, second), true, "it is the first now");
  bring(one, first, 2000);
  assert.deepEqual([one.areTooMany, await isThrough(one, first)], [false, false]);
  bring(one, first, 501);
  assert.deepEqual([one.areTooMany, await isThrough(one, first)], [true, true], "it is to be given up");
  one.end(first);
  one.letGo();
  for (const [rows, connection] of [[two, second], [few, third]]) {
    rows.end(connection);
    rows.letGo();
  }
  // Of all there is an end, too.
  const held = Array.from({ length: 4 }, () => new Rows());
  for (const rows of held) {
    rows.hold();
    bring(rows, rows, 2500);
    rows.end(rows);
  }
  few.hold();
  bring(few, third, 50);
  assert.deepEqual([held[3].areTooMany, few.areTooMany], [true, false]);
  for (const rows of held) rows.letGo();
  bring(few, third, 1000);
  assert.deepEqual([few.areTooMany, await isThrough(few, third)], [false, true], "all of that is gone");
});

test("results that are kept have so many bytes at most: what was used longest ago goes; what is more than a quarter is not kept", () => {
  const max = 10000, results = new Results(max), strategy = { ttl: 60, swr: 0 };
  const has = (key) => results.find(key, strategy) !== undefined;
  const keep = (key, length = 300, tags = ["all"]) => {
    results.store(key, "x".repeat(length), tags, results.age);
    assert.ok(results.bytes <= max, String(results.bytes));
  };
  keep("used");
  for (let i = 0; i < 1000; i++) {
    keep(`k${i}`);
    assert.ok(has("used") && has(`k${i}`), String(i));
  }
  const kept = Array.from({ length: 1000 }, (_, i) => i).filter((i) => has(`k${i}`));
  assert.ok(kept.length >= 8 && kept[0] === 1000 - kept.length, `the last ${kept.length}, from ${kept[0]} on`);
  // The same key again is no more; a quarter is as much as one may have.
  const { bytes } = results;
  for (let i = 0; i < 100; i++) keep("k999");
  assert.equal(results.bytes, bytes);
  keep("large", 1100, []);
  keep("too large", 1300, []);
  assert.deepEqual([has("large"), has("too large")], [true, false]);
  // What went took its tags with it.
  results.invalidate(["all"], 1);
  assert.deepEqual([has("k999"), has("used"), has("large")], [false, false, true]);
  results.invalidate("all", 2);
  assert.equal(results.bytes, 0);
});

test("a tag that is given twice is one", () => {
  const headers = new Headers({ "cache-control": "max-age=60", "accelerate-cache-tags": "a, b,a,,b" });
  assert.deepEqual(strategyOf(headers), { ttl: 60, swr: 0, tags: ["a", "b"] });
  const results = new Results(10000), has = (key) => results.find(key, { ttl: 60, swr: 0 }) !== undefined;
  for (const key of ["one", "two"]) results.store(key, "x", ["a", "a"], results.age);
  results.store("one", "y", ["a", "a"], results.age);
  assert.deepEqual([has("one"), has("two")], [true, true]);
  results.invalidate(["a", "a"], 1);
  assert.deepEqual([has("one"), has("two"), results.bytes], [false, false, 0]);
});

test("a result has the tags of all who have had it, also when it is stored anew", () => {
  const results = new Results(1000000), had = (...tags) => results.find("one", { ttl: 60, swr: 0, tags }) !== undefined;
  const store = (...tags) => results.store("one", "x", tags, results.age);
  const isGone = (tag) => (results.invalidate([tag], 1), [had(), results.bytes]);
  store("a");
  const { bytes } = results;
  assert.equal(had("b", "a", "b"), true);
  assert.equal(results.bytes, bytes + 102);
  assert.deepEqual(isGone("b"), [false, 0]);
  // … by who had it while it was stale.
  for (const tag of ["a", "b", "c"]) {
    store("a");
    assert.equal(results.find("one", { ttl: 0, swr: 60, tags: ["b"] }).status, "swr");
    store("c");
    assert.deepEqual(isGone(tag), [false, 0], tag);
  }
  // There is an end: then any tag makes it invalid, and nobody is forgotten; nor when it is stored anew.
  for (const anew of [false, true]) {
    store("a");
    for (let i = 1; i <= 1000; i++) assert.equal(had(`t${i}`), true, String(i));
    if (anew) store("b");
    results.store("two", "x", ["t1"], results.age);
    assert.deepEqual(isGone("a")[0], false);
    assert.notEqual(results.find("two", { ttl: 60, swr: 0 }), undefined);
    assert.deepEqual(isGone("t1"), [false, 0]);
  }
  // Tags are of its bytes.
  const small = new Results(2000);
  small.store("one", "x", ["a"], small.age);
  assert.deepEqual([small.find("one", { ttl: 60, swr: 0, tags: ["x".repeat(200)] }), small.bytes], [undefined, 0]);
  for (let i = 0; i < 6; i++) small.store(`k${i}`, "x", [], small.age);
  for (let i = 0; i < 6; i++) small.find(`k${i}`, { ttl: 60, swr: 0, tags: ["x".repeat(20)] });
  assert.ok(small.bytes > 1500 && small.bytes <= 2000, String(small.bytes));
});

// Its compiler with the WebAssembly that is Prisma's, and nothing of weir's runtime.
async function compilerAlone() {
  const wasm = join(root, "system/prisma/node_modules/@prisma/query-compiler-wasm/postgresql/query_compiler_fast_bg.wasm");
  const stubs = { "cloudflare:workers": "export const env = { collectGarbage() {} };", "./compiler.wasm": `import { readFileSync } from "node:fs"; export default new WebAssembly.Module(readFileSync(${JSON.stringify(wasm)}));` };
  const stub = (plugin) => {
    plugin.onResolve({ filter: /^cloudflare:workers$|^\.\/compiler\.wasm$/ }, ({ path }) => ({ path, namespace: "stub" }));
    plugin.onLoad({ filter: /./, namespace: "stub" }, ({ path }) => ({ contents: stubs[path] }));
  };
  const contents = 'export { Compiler } from "./compiler.js"; export { QueryCompiler } from "@prisma/query-compiler-wasm/postgresql/query_compiler_fast_bg.js";';
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: join(root, "system/prisma/src") }, bundle: true, write: false, format: "esm", platform: "node", logLevel: "silent", plugins: [{ name: "stub", setup: stub }],
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire("/");' },
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString("base64")}`);
}

test("a compiler that is freed frees what it makes anew for what is under way", async () => {
  const { Compiler, QueryCompiler } = await compilerAlone(), { free, compile } = QueryCompiler.prototype, freed = [], used = new Set();
  QueryCompiler.prototype.free = function () {
    freed.push(this);
    free.call(this);
  };
  QueryCompiler.prototype.compile = function (query) {
    used.add(this);
    return compile.call(this, query);
  };
  const compiler = new Compiler('datasource db {\n  provider = "postgresql"\n}\nmodel T {\n  id Int @id\n}\n', { supportsRelationJoins: true });
  const query = JSON.stringify({ modelName: "T", action: "findMany", query: { arguments: {}, selection: { $scalars: true } } }), [plan] = [compiler.compile(query), compiler.free()];
  for (let i = 0; i < 2; i++) assert.deepEqual(compiler.compile(query), plan);
  assert.throws(() => compiler.compile("{"));
  assert.deepEqual([freed.length, used.size], [4, 4]);
  assert.deepEqual(new Set(freed), used);
});
