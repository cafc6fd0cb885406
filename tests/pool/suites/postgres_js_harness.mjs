// SPDX-License-Identifier: Apache-2.0
// In place of postgres.js's tests/test.js: runs every test in turn, whatever became of those before, and prints a line of
// JSON for each. A test returns [expected, got, things to wait for…].
import { inspect } from "node:util";

const only = new RegExp(process.env.ONLY);
const tests = [];

const seconds = (limit) => new Promise((done, fail) => setTimeout(() => fail(new Error("timed out")), limit * 1000));

export function t(name, options, body) {
  if (typeof options === "function") [options, body] = [{}, options];
  const count = tests.filter((test) => test.name.replace(/ \d+$/, "") === name).length;
  tests.push({ name: count === 0 ? name : `${name} ${count + 1}`, timeout: options.timeout ?? t.timeout, body });
}
t.timeout = 5;
export const nt = () => {};
export const ot = t;

// Connections that tests left behind fail when the next one has begun.
process.on("unhandledRejection", (error) => console.log("unhandled:", error));

async function run({ name, timeout, body }) {
  let error = "";
  try {
    const results = await Promise.race([body(), seconds(timeout)]);
    const [expected, got] = await Promise.race([Promise.all(results), seconds(timeout)]);
    if (expected !== got) error = `expected ${inspect(expected)}, got ${inspect(got)}`;
  } catch (thrown) {
    error = String(thrown?.message ?? inspect(thrown)) || "threw";
  }
  process.stdout.write(`\0${JSON.stringify({ name, error })}\n`);
}

setImmediate(async () => {
  for (const test of tests) if (only.test(test.name)) await run(test);
  process.exit();
});
