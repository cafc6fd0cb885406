// SPDX-License-Identifier: Apache-2.0
// Each file of cases/ is a module graph: its log in the engine, transformed, must be node's.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { evaluate, makeBundle, oracle, parseCase, transform } from "./harness.mjs";

const folder = new URL("cases/", import.meta.url);
const cases = readdirSync(folder).map((name) => {
  const { files, expected } = parseCase(readFileSync(new URL(name, folder), "utf8"));
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
