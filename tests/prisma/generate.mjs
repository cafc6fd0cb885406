// SPDX-License-Identifier: Apache-2.0
// generate.mjs VERSION: makes the clients of tests/prisma/VERSION, unless they are there for the schema as it is; VERSION/joins: those
// that join relations. Whoever runs it holds a lock: test files run side by side, and half a client is worse than none.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { cliEnvironment } from "./environment.mjs";

const here = dirname(fileURLToPath(import.meta.url)), [version, joins] = process.argv[2].split("/"), of = join(here, version), dir = join(of, joins ?? "");
const read = (...path) => readFileSync(join(...path), "utf8");
// Functions that a version does not have.
const unknown = { v4: /\b(?:uuid\(7\)|ulid\(\))/g, v5: /\bulid\(\)/g }[version];
const head = read(of, "head.prisma"), models = read(here, "schema.prisma");
const schema = (joins ? head.replaceAll("previewFeatures = [", 'previewFeatures = ["relationJoins", ') : head) + (unknown === undefined ? models : models.replaceAll(unknown, "uuid()"));
const made = join(dir, "generated/of.prisma");
const env = { ...cliEnvironment, PRISMA_MIGRATION_ENGINE_BINARY: cliEnvironment.PRISMA_SCHEMA_ENGINE_BINARY }; // its name in version 4

if (!existsSync(made) || readFileSync(made, "utf8") !== schema) {
  rmSync(join(dir, "generated"), { recursive: true, force: true });
  if (joins) for (const name of ["clients.cjs", "package.json"]) cpSync(join(of, name), join(dir, name));
  writeFileSync(join(dir, "schema.prisma"), schema);
  for (const args of JSON.parse(read(dir, "package.json")).generate) {
    const done = spawnSync("npx", ["prisma", "generate", "--schema", "schema.prisma", ...args], { cwd: dir, env, encoding: "utf8" });
    if (done.status !== 0) throw new Error(`prisma generate in ${dir}: ${done.stdout}${done.stderr}`);
  }
  writeFileSync(made, schema);
}
