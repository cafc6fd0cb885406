// SPDX-License-Identifier: Apache-2.0
// bench/run [NAME…] [--rounds N] [--seconds N] [--write]: prints tables of medians and ratios; --write
// puts them into docs/benchmarks.md.

import { execFileSync } from "node:child_process";
import os from "node:os";
import { join } from "node:path";
import { cold } from "./cold.mjs";
import { here } from "./lib.mjs";
import { connections, memory, thousand } from "./memory.mjs";
import { readOptions } from "./options.mjs";
import { writeSection } from "./report.mjs";
import { files, throughput } from "./throughput.mjs";

const parts = { throughput, files, cold, memory, thousand, connections };
const { values, positionals } = readOptions("run");
const options = { rounds: Number(values.rounds), seconds: Number(values.seconds) };

const version = (command, args) => execFileSync(command, args, { encoding: "utf8" }).trim().split("\n")[0];
const local = (name) => join(here, "node_modules/.bin", name);
for (const name of positionals.length > 0 ? positionals : Object.keys(parts)) {
  const started = performance.now();
  const text = await parts[name](options);
  console.log(`\n## ${name}\n\n${text}`);
  console.error(`${name} took ${Math.round((performance.now() - started) / 1000)} s`);
  if (values.write) writeSection(name, text);
}
if (values.write)
  writeSection(
    "machine",
    `${os.cpus().length} × ${os.cpus()[0].model}, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Linux ${os.release()}; ${version(local("workerd"), ["--version"])}, Bun ${version(local("bun"), ["--version"])}; ` +
      `medians of ${options.rounds} rounds of ${options.seconds} s.`,
  );
