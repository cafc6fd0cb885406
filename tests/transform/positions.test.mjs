// SPDX-License-Identifier: Apache-2.0
// Every position of a stack trace, mapped back, is that of the module as it was given.
import assert from "node:assert/strict";
import { test } from "node:test";

import { evaluate, makeBundle, readBundle, transform } from "./harness.mjs";
import { originalColumn } from "../../src/runtime/js/transform/positions.js";

// Each `new Mark(n)` logs where the engine says it is.
const files = {
  "index.js": `import { AsyncLocalStorage } from "node:async_hooks"; import { f, g } from "./m.js"; new Mark(1);
f(new Mark(2)); f(f(new Mark(3)), { f, x: new Mark(4) }, new Mark(5)); export default new Mark(6);
/* two
lines */ export const x = f(new Mark(7)), y = new Mark(8); import {
  h
} from "./m.js"; h(g(new Mark(9)));
async function a() { f(await f(new Mark(10)), new Mark(11)); await f(new Mark(12)); return new Mark(13) }
const b = async () => [await f(), new Mark(14)]
a().then(b).then(async (v) => { try { f(await f()); throw v } catch (e) { new Mark(15) } finally { f(new Mark(16)) } for await (const x of [f()]) new Mark(17) })
export default2: new Mark(18)
`.replace("export default2", "label"),
  "m.js": "export let f = (v) => v, g = f, h = f; export function set() { f = 0; g = 0 } new Mark(19);",
};

for (const [name, withFrames] of [["with frames", true], ["without frames", false]]) {
  test(name, () => {
    const given = withFrames
      ? files
      : { ...files, "index.js": files["index.js"].replace("node:async_hooks", "node:path").replace("AsyncLocalStorage", "join") };
    const [{ bundle, error }] = transform([makeBundle(given)]);
    assert.equal(error, undefined);
    const { manifest, blob } = readBundle(bundle);
    const run = `globalThis.Mark = class { constructor(n) {
      // The second frame is the caller; the evaluator's prefix on line 1 shifts columns there.
      const [, path, line, column] = /(\\w+\\.js):(\\d+):(\\d+)$/.exec(new Error().stack.split("\\n")[1]);
      log([n, path, +line, +column]);
    } };
    __main("index.js");`;
    const seen = evaluate(bundle, { run })
      .split("\n")
      .filter((line) => line.startsWith("["))
      .map((line) => JSON.parse(line));
    assert.equal(seen.length, 19);
    for (const [n, path, line, column] of seen) {
      const module = manifest.modules.find(({ name: moduleName }) => moduleName === path);
      const bytes = blob(module.shifts), shifts = new Int32Array(Uint8Array.from(bytes).buffer);
      const prefix = line === 1 ? `__scripts[${JSON.stringify(path)}]=`.length : 0;
      // The engine counts columns from 1, and points behind the constructor's name.
      const original = originalColumn(shifts, line, column - 1 - prefix);
      const text = given[path].split("\n")[line - 1];
      const expected = text.indexOf(`new Mark(${n})`);
      assert.ok(expected >= 0, `mark ${n} is not on line ${line}`);
      assert.ok(original >= expected && original <= expected + 8, `mark ${n}: column ${original}, not ${expected}`);
    }
  });
}
