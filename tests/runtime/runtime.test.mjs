// SPDX-License-Identifier: Apache-2.0
// The platform library without the other processes: `weir __shell` runs a case, gateway.js in it stands
// where the gateway and the broker are. A case is one file: modules of a worker separated by lines
// `//// name` (none: no worker is booted), then `//// driver`, a script that calls test(name, run).
// Each of its tests is one of ours. `//// node` is a module that runs here: what its default export returns
// is `given` in the driver, and what the driver hands to give() comes to its export `check`.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { makeBundle, transform, weir } from "../transform/harness.mjs";

const here = dirname(fileURLToPath(import.meta.url));

function parts(text) {
  const files = {};
  let driver = "", options = {}, node = "";
  for (const part of text.split(/^\/\/\/\/ /m).slice(1)) {
    const end = part.indexOf("\n");
    const name = part.slice(0, end).trim(), content = part.slice(end + 1);
    if (name === "driver") driver = content;
    else if (name === "node") node = content;
    else if (name === "manifest") options = JSON.parse(content);
    else if (name.endsWith(".wasm")) files[name] = bytesOf(content.trim());
    else files[name] = content;
  }
  return { files, driver, options, node };
}

// %41 is a byte, every other character stands for itself.
const bytesOf = (text) => Buffer.from(text.replace(/%(..)/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))), "latin1");

// → what the case printed, and its module of ours
async function run(name, before = []) {
  const { files, driver, options, node } = parts(readFileSync(join(here, "cases", name), "utf8"));
  const module = node === "" ? {} : await import(`data:text/javascript;base64,${Buffer.from(node).toString("base64")}`);
  const given = JSON.stringify(await module.default?.()) ?? "undefined";
  let bundle = "";
  if (Object.keys(files).length > 0) {
    const [answer] = transform([makeBundle(files, options)]);
    assert.equal(answer.error, undefined);
    bundle = answer.bundle.toString("base64");
  }
  const folder = mkdtempSync(join(tmpdir(), "weir-runtime-"));
  try {
    const script = join(folder, "driver.js");
    writeFileSync(
      script,
      `(async () => { const { test, equal, ok, match, throws, rejects, give } = suite; const bundle = ${JSON.stringify(bundle)}; const given = ${given};\n` +
        `${driver}\nawait suite.run(); })().catch((error) => print("not ok " + error + "\\n" + error.stack));`,
    );
    const { stdout, stderr, status } = spawnSync(weir, ["__shell", ...before, join(here, "gateway.js"), script], {
      encoding: "utf8",
      timeout: 60000,
    });
    return { stdout, stderr, status, module };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// Two of them also after the nursery's rehearsal, of which nothing may be left but compiled code.
const cases = [...readdirSync(join(here, "cases")).sort().map((name) => [name, []]), ...["worker.js", "global-object.js"].map((name) => [name, ["--rehearse"]])];
for (const [name, before] of cases) {
  test([name, ...before].join(" "), async (context) => {
    const { stdout, stderr, status, module } = await run(name, before);
    const results = stdout.split(/^(?=ok |not ok |given )/m);
    let count = 0;
    for (const result of results) {
      const match = /^(ok|not ok) ([^\n:]*)/.exec(result);
      if (match === null) continue;
      count++;
      await context.test(match[2], () => assert.equal(match[1], "ok", result));
    }
    const back = /^given (.*)$/m.exec(stdout);
    if (module.check !== undefined) await context.test("what came back to node", () => module.check(JSON.parse(back?.[1] ?? "null"), assert));
    // A driver that ends early would look like one that passed.
    assert.match(stdout, /^\d+ tests, \d+ failures$/m, `${stdout}${stderr}exit ${status}`);
    assert.ok(count > 0);
    assert.equal(status, 0, stderr);
  });
}
