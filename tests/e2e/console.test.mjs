// SPDX-License-Identifier: Apache-2.0
// What the author of a worker reads: values as text, and stacks that point into the source.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withWorker, wrangler } from "./lib.mjs";

const source = `class Boom extends Error { code = 7 as number; }
type Unused = { a: 1 };
function inner(n: number): never { throw new Boom("inside " + n, { cause: new TypeError("root") }); }
export default { async fetch(request: Request) {
  switch (new URL(request.url).pathname) {
    case "/throw": inner(1);
    case "/object": throw { not: "an error" };
    case "/caught": try { inner(2); } catch (error) { console.error("caught", error); } break;
    case "/trace": console.trace("here"); break;
    case "/timer": await new Promise<void>((done) => setTimeout(() => { console.log("later"); done(); }, 1)); break;
    case "/values":
      console.log(new Headers({ a: "1" }), new URL("http://h/p?q=1").searchParams);
      console.log(new Response("x", { status: 201 }));
      console.log(new (class extends Headers {})([["b", "2"]]));
  }
  return new Response("fine");
} }`;

test("stacks and values in the log and in answers", () =>
  withWorker({ "wrangler.toml": wrangler().replace("index.js", "index.ts"), "src/index.ts": source }, async ({ fetch, weir }) => {
    const logged = async (path, until) => {
      const from = weir.output.length;
      const response = await fetch(path, { headers: { accept: "text/plain" } });
      const text = await response.text();
      await weir.waitFor(until, from);
      return { text, log: weir.output.slice(from) };
    };
    const thrown = await logged("/throw", "GET /throw 500");
    for (const text of [thrown.text, thrown.log]) {
      assert.match(text, /Error: inside 1\n {4}at inner \(src\/index\.ts:3:\d+\)\n {4}at fetch \(src\/index\.ts:6:\d+\)/);
      assert.match(text, /\[cause\]: TypeError: root\n {6}at inner \(src\/index\.ts:3:\d+\)/);
      assert.doesNotMatch(text, /weir:|at \(\)|@/);
    }
    assert.match((await logged("/object", "GET /object 500")).log, /Uncaught \{ not: 'an error' \}/);
    const caught = (await logged("/caught", "GET /caught 200")).log;
    assert.match(caught, /caught Boom \[Error\]: inside 2\n {4}at inner \(src\/index\.ts:3:\d+\)[^]*code: 7,\n {2}\[cause\]: TypeError: root[^]*\(src\/index\.ts:8:\d+\)\n/);
    assert.match((await logged("/trace", "GET /trace 200")).log, /Trace: here\n {4}at fetch \(src\/index\.ts:9:\d+\)/);
    assert.match((await logged("/timer", "GET /timer 200")).log, /later {2}\(src\/index\.ts:10:\d+\)/);
    const values = (await logged("/values", "GET /values 200")).log;
    assert.match(values, /Headers\(1\) \{ 'a' => '1' \} URLSearchParams\(1\) \{ 'q' => '1' \}/);
    assert.match(values, /Response \{\n {2}status: 201,[^]*body: \[Getter\]/);
    assert.match(values, /Headers\(1\) \{ 'b' => '2' \}/);
  }));
