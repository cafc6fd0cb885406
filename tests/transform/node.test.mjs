// SPDX-License-Identifier: Apache-2.0
// Each file of node/cases/ uses node: modules: its log with our library must be node's.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { nodeModuleNames } from "../../src/runtime/js/node/names.js";
import { evaluate, makeBundle, oracle, parseCase, transform } from "./harness.mjs";

const folder = new URL("node/cases/", import.meta.url);
const cases = readdirSync(folder).map((name) => {
  const { files, expected } = parseCase(`//// index.js\n${readFileSync(new URL(name, folder), "utf8")}`);
  return { name, files, expected, bundle: makeBundle(files) };
});
const answers = transform(cases.map(({ bundle }) => bundle));

cases.forEach(({ name, files, expected }, i) => {
  test(name, () => {
    const { bundle, error } = answers[i];
    assert.equal(error, undefined);
    assert.equal(evaluate(bundle), expected ?? oracle(files));
  });
});

test("every listed module can be imported and has what node's has, or a listed exception", async () => {
  const source = nodeModuleNames
    .map((name, i) => `import * as m${i} from "${name}"; log("${name}", Object.keys(m${i}));`)
    .join("\n");
  const [{ bundle, error }] = transform([makeBundle({ "index.js": source })]);
  assert.equal(error, undefined);
  const seen = new Map();
  for (const line of evaluate(bundle).split("\n")) {
    const [, name, keys] = /^"(node:[^"]+)" (\[.*\])$/.exec(line) ?? [];
    if (name) seen.set(name, JSON.parse(keys));
  }
  assert.deepEqual([...seen.keys()], nodeModuleNames);
  const { missing } = JSON.parse(readFileSync(new URL("node/missing.json", import.meta.url)));
  for (const name of nodeModuleNames) {
    const theirs = Object.keys(await import(name));
    const lacking = theirs.filter((key) => !seen.get(name).includes(key) && key !== "module.exports");
    const listed = missing[name] ?? [];
    const unexpected = lacking.filter((key) => !listed.includes(key) && !listed.includes("*"));
    assert.deepEqual(unexpected, [], name);
    assert.deepEqual(listed.filter((key) => seen.get(name).includes(key)), [], `${name}: no longer missing`);
  }
});
