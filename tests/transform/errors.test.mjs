// SPDX-License-Identifier: Apache-2.0
// What the transform refuses, and how it says so: file, line, column, remedy.
import assert from "node:assert/strict";
import { test } from "node:test";

import { build } from "esbuild";

import { makeBundle, readBundle, transform } from "./harness.mjs";

const errors = [
  ["syntax", { "index.js": "let a = 1;\nlet a = 2;" }, "index.js:2:5: Identifier 'a' has already been declared"],
  ["position in a later module", { "index.js": "import './dir/b.js'", "dir/b.js": "\n\n  return 1" }, "dir/b.js:3:3: 'return' outside of function"],
  ["import twice", { "index.js": "import {a} from './b.js'; let a", "b.js": "export let a" }, "index.js:1:31: Identifier 'a' has already been declared"],
  ["export of nothing", { "index.js": "export { nothing }" }, "index.js:1:10: Export 'nothing' is not defined"],
  ["with statement", { "index.js": "with ({}) ;" }, "index.js:1:1: 'with' in strict mode"],
  ["await in a plain function", { "index.js": "function f() { await 1 }" }, "index.js:1:16: "],
  ["relative module", { "index.js": "// one\nimport './hepler.js'", "helper.js": "" }, `index.js:2:1: no module "./hepler.js" in the bundle; did you mean "./helper.js"?`],
  ["out of the bundle", { "index.js": "import '../../etc/passwd'" }, `index.js:1:1: no module "../../etc/passwd" in the bundle`],
  ["package", { "index.js": "import x from 'hono'" }, `index.js:1:1: no module "hono" in the bundle; install the package and let the bundler include it`],
  ["named import", { "index.js": "import { helo, other } from './b.js'", "b.js": "export const hello = 1" }, `index.js:1:10: "./b.js" has no export named "helo"; did you mean "hello"?`],
  ["default import", { "index.js": "import b from './b.js'", "b.js": "export const hello = 1" }, `index.js:1:8: "./b.js" has no export named "default"; it exports hello`],
  ["re-export", { "index.js": "export { x } from './b.js'", "b.js": "export * from './c.js'", "c.js": "" }, `index.js:1:10: "./b.js" has no export named "x"`],
  ["ambiguous", { "index.js": "import { x } from './b.js'", "b.js": "export * from './c.js'; export * from './d.js'", "c.js": "export let x", "d.js": "export let x" }, `index.js:1:10: "./b.js" exports "x" from two modules by "export *"; import it from one of them`],
  ["default by star", { "index.js": "import x from './b.js'", "b.js": "export * from './c.js'", "c.js": "export default 1" }, `index.js:1:8: "./b.js" has no export named "default"`],
  ["name of a text module", { "index.js": "import { x } from './a.txt'", "a.txt": "" }, `index.js:1:10: "./a.txt" has no export named "x"; a text module has only a default export`],
  ["unknown attribute", { "index.js": "import x from './a.json' with { kind: 'json' }", "a.json": "1" }, `index.js:1:33: unknown import attribute "kind"; only "type" exists`],
  ["wrong attribute type", { "index.js": "import x from './a.txt' with { type: 'json' }", "a.txt": "1" }, `index.js:1:1: "./a.txt" is imported with type "json" but is text`],
  ["unavailable node module", { "index.js": "import 'node:http2'" }, /^index\.js:1:1: "node:http2" is not available; available are node:assert, .*node:util/],
  ["unknown platform module", { "index.js": "import 'cloudflare:nothing'" }, /^index\.js:1:1: "cloudflare:nothing" does not exist here; there are cloudflare:workers/],
  ["using", { "index.js": "{ using x = null }" }, `index.js:1:3: "using" declarations are not supported; bundle with target es2024`],
  ["CommonJS syntax", { "index.js": "import './a.cjs'", "a.cjs": "\nexport let x" }, "a.cjs:2:1: "],
  ["deep nesting", { "index.js": `${"[".repeat(200000)}${"]".repeat(200000)}` }, /^index\.js:1:\d+: the code is nested too deeply$/],
];
const node = `"node:buffer" needs the compatibility flag "nodejs_compat"; add compatibility_flags = ["nodejs_compat"] to the configuration`;
const flagged = [
  ["without the flag", { compatibility_flags: [] }, `index.js:1:1: ${node}`],
  ["with the flag", { compatibility_flags: ["nodejs_compat"] }, undefined],
  ["version 2 of the flag", { compatibility_flags: ["nodejs_compat_v2"] }, undefined],
  ["by date", { compatibility_flags: [], compatibility_date: "2026-08-04" }, undefined],
  ["by date, refused", { compatibility_flags: ["no_nodejs_compat"], compatibility_date: "2026-08-04" }, `index.js:1:1: ${node}`],
  ["nodejs_als is not enough", { compatibility_flags: ["nodejs_als"] }, `index.js:1:1: ${node}`],
];

test("errors", async (t) => {
  const answers = transform(errors.map(([, files]) => makeBundle(files)));
  for (const [i, [name, , expected]] of errors.entries()) {
    await t.test(name, () => {
      const { error } = answers[i];
      if (expected instanceof RegExp) assert.match(error, expected);
      else if (expected.endsWith(": ")) assert.ok(error?.startsWith(expected), error);
      else assert.equal(error, expected);
    });
  }
});

test("node modules by flag and date", async (t) => {
  const files = { "index.js": "import { Buffer } from 'node:buffer'" };
  const answers = transform(flagged.map(([, options]) => makeBundle(files, options)));
  for (const [i, [name, , expected]] of flagged.entries()) {
    await t.test(name, () => assert.equal(answers[i].error, expected));
  }
});

test("nodejs_als gives async_hooks alone", () => {
  const files = { "index.js": "import { AsyncLocalStorage } from 'node:async_hooks'" };
  const [{ error, bundle }] = transform([makeBundle(files, { compatibility_flags: ["nodejs_als"] })]);
  assert.equal(error, undefined);
  assert.equal(readBundle(bundle).manifest.async_context, true);
});

test("bundles that are none", () => {
  const good = makeBundle({ "index.js": "" });
  const outside = makeBundle({ "index.js": "" });
  outside.write('"offset":9', outside.indexOf('"offset":0'), "latin1");
  const answers = transform([Buffer.from("nonsense"), good, good.subarray(0, 40), outside, good]);
  assert.deepEqual(
    answers.map(({ error }) => error?.slice(0, 12)),
    ["not a bundle", undefined, "not a bundle", "not a bundle", undefined],
  );
});

test("fields that the transform does not know stay, as do maps and data", () => {
  const files = { "index.js": "export default 1", "a.bin": Buffer.from([0, 255, 254]) };
  const bundle = makeBundle(files, { env: { vars: { a: [1] } }, dev: true });
  const [answer] = transform([bundle]);
  const { manifest, blob } = readBundle(answer.bundle);
  assert.deepEqual(manifest.env, { vars: { a: [1] } });
  assert.equal(manifest.dev, true);
  assert.deepEqual([...blob(manifest.modules[1])], [0, 255, 254]);
});

test("text survives: UTF-8 of all lengths, a byte order mark, malformed bytes", () => {
  const source = Buffer.concat([
    Buffer.from('\ufeffexport default "é€😀\u2028 '),
    Buffer.from([0xff, 0xe2, 0x82]),
    Buffer.from('";'),
  ]);
  const [answer] = transform([makeBundle({ "index.js": source })]);
  const { manifest, blob } = readBundle(answer.bundle);
  const text = blob(manifest.modules[0]).toString();
  assert.ok(text.includes('"é€😀\u2028 \ufffd\ufffd";'), text);
});

test("errors name the author's file where there is a source map", async () => {
  const source = 'import { b } from "node:http2";\nlog(b);';
  const { outputFiles } = await build({
    stdin: { contents: `// author\n\n${source}`, sourcefile: "src/author.ts", loader: "ts" },
    bundle: true, format: "esm", external: ["node:*"], write: false, sourcemap: "external", outfile: "src/out.js",
  });
  const [map, code] = outputFiles.map(({ text }) => text);
  const bundle = makeBundle({ "index.js": code, "map.txt": map });
  const { manifest } = readBundle(bundle);
  const [main, { offset, bytes }] = manifest.modules;
  const options = { modules: [{ ...main, map: { offset, bytes } }] };
  const [answer] = transform([makeBundle({ "index.js": code, "map.txt": map }, options)]);
  assert.match(answer.error, /^src\/author\.ts:3:\d+: "node:http2" is not available/);
});

test("a service-worker script stays as it is, but for its syntax check", () => {
  const source = "addEventListener('fetch', (e) => e.respondWith(new Response(this === self)));\nvar a; var a;";
  const options = { syntax: "service-worker" };
  const [good, bad] = transform([makeBundle({ "index.js": source }, options), makeBundle({ "index.js": "let a;\nlet a" }, options)]);
  const { manifest, blob } = readBundle(good.bundle);
  assert.equal(blob(manifest.modules[0]).toString(), source);
  assert.equal(bad.error, "index.js:2:5: Identifier 'a' has already been declared");
});
