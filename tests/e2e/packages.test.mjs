// SPDX-License-Identifier: Apache-2.0
// What packages from npm look like after the bundler: CommonJS that asks for Node's modules.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withWorker, wrangler } from "./lib.mjs";

const files = {
  "src/index.js": `import shout from "./package.cjs";
    export default { fetch() { return Response.json({ said: shout("weir"), free: typeof require }); } }`,
  "src/package.cjs": `const Emitter = require("events"), { Buffer } = require("node:buffer");
    let missing; try { require("node:wasi") } catch (error) { missing = error.message }
    module.exports = (text) => { let said; new Emitter().once("say", (x) => { said = x }).emit("say", Buffer.from(text).toString("hex")); return [said, missing]; };`,
};

test("a CommonJS package requires Node's modules", () =>
  withWorker({ "wrangler.toml": wrangler('compatibility_flags = ["nodejs_compat"]\n'), ...files }, async ({ fetch }) => {
    const { said, free } = await (await fetch("/")).json();
    assert.equal(said[0], "77656972");
    assert.match(said[1], /No such module "node:wasi"/);
    assert.equal(free, "function"); // as under wrangler, whose bundler leaves such a name, too
  }));

test("without nodejs_compat the deploy tells which module is missing", () =>
  withWorker({ "wrangler.toml": wrangler(), ...files }, async ({ fetch }) => {
    const response = await fetch("/");
    assert.equal(response.status, 500);
    assert.match(await response.text(), /events.*nodejs_compat/s);
  }));
