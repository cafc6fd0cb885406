// SPDX-License-Identifier: Apache-2.0
// Runs one suite. A suite is a module here that exports
//   bar       how many tests must pass through the pool
//   settings  lines for postgresql.conf
//   pool      (postgres) => what follows `listen` in pool.toml; without it the suite starts its poolers itself
//   known     {test: why it does not pass through the pool}
//   run       async (context) => Map of test => "" or why it failed
// where context is {dir: scratch copy of the source, port and socketDir: of the pool, or of Postgres with --direct,
// postgres, only: RegExp, execute: see below}.
import { spawn, spawnSync } from "node:child_process";
import { createWriteStream, chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { after, test } from "node:test";
import { parseArgs } from "node:util";

import { root } from "../../e2e/lib.mjs";
import { startPool, startPostgres } from "../lib.mjs";

const names = readdirSync(import.meta.dirname ?? new URL(".", import.meta.url).pathname)
  .filter((file) => /^[a-z_]+\.mjs$/.test(file) && !["main.mjs", "pytest.mjs", "postgres_js_harness.mjs"].includes(file))
  .map((file) => basename(file, ".mjs"));

function usage(why) {
  process.stderr.write(`${why}\nusage: tests/pool/suites/run ${names.join("|")} --source DIR [--direct] [--only PATTERN]\n`);
  process.exit(2);
}

function options() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { source: { type: "string" }, direct: { type: "boolean", default: false }, only: { type: "string", default: "" } },
    });
    if (positionals.length !== 1 || !names.includes(positionals[0])) usage("which suite?");
    if (values.source === undefined || !existsSync(values.source)) usage("--source: where is the project's source?");
    return { name: positionals[0], ...values };
  } catch (error) {
    return usage(error.message);
  }
}

// The source as files below a directory that everybody may read.
function copySource(source) {
  const dir = mkdtempSync(join(tmpdir(), "weir-suite-"));
  after(() => rmSync(dir, { recursive: true, force: true }));
  chmodSync(dir, 0o755);
  const git = spawnSync("git", ["-C", source, "rev-parse", "--absolute-git-dir"], { encoding: "utf8" });
  const bare = existsSync(join(source, "HEAD")) || existsSync(join(source, ".git"));
  if (git.status !== 0 || !bare) {
    cpSync(source, dir, { recursive: true });
    return dir;
  }
  const archive = spawnSync("sh", ["-c", 'git --git-dir="$1" archive HEAD | tar x -C "$2"', "sh", git.stdout.trim(), dir]);
  if (archive.status !== 0) throw new Error(`git archive of ${source}: ${archive.stderr}`);
  return dir;
}

// Runs a command to its end, or for so many seconds; {status, output}, status null when its time was over.
function executor(log) {
  const running = new Set();
  const kill = (child) => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // all of it has ended
    }
  };
  after(() => running.forEach(kill));
  return (command, args, { cwd, env, seconds = 60 } = {}) =>
    new Promise((done, fail) => {
      const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, detached: true, stdio: ["ignore", "pipe", "pipe"] });
      let output = "";
      const take = (chunk) => {
        output += chunk;
        log.write(chunk);
      };
      running.add(child);
      child.stdout.setEncoding("utf8").on("data", take);
      child.stderr.setEncoding("utf8").on("data", take);
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        kill(child);
      }, seconds * 1000);
      child.on("error", fail);
      child.on("close", (status) => {
        clearTimeout(timer);
        kill(child); // what it left behind
        running.delete(child);
        done({ status: late ? null : status, output });
      });
    });
}

const { name, source, direct, only } = options();
const suite = await import(`./${name}.mjs`);

test(`${name} ${direct || suite.pool === undefined ? "" : "through weir pool"}`, { timeout: 3600000 }, async (t) => {
  const logDir = join(root, "build-suites");
  mkdirSync(logDir, { recursive: true });
  const logFile = join(logDir, `${name}${direct ? "-direct" : ""}.log`);
  const log = createWriteStream(logFile);
  const dir = copySource(resolve(source));
  const postgres = await startPostgres(suite.settings);
  const pool = direct || suite.pool === undefined ? undefined : await startPool(suite.pool(postgres));
  const begun = Date.now();
  const results = await suite.run({
    dir,
    postgres,
    direct,
    port: pool?.port ?? postgres.port,
    socketDir: pool?.dir ?? postgres.dir,
    only: new RegExp(only),
    execute: executor(log),
  });
  if (pool !== undefined) log.write(`\n--- weir pool ---\n${pool.weir.output}`);

  const failed = [...results].filter(([, why]) => why !== "");
  const passed = results.size - failed.length;
  for (const [what, why] of failed) {
    const reason = direct ? undefined : suite.known?.[what];
    console.log(`  ${reason === undefined ? "FAILED" : "known "} ${what}: ${reason ?? why}`);
  }
  for (const what of direct ? [] : Object.keys(suite.known ?? {}))
    if (results.get(what) === "") console.log(`  passes, and is listed as failing: ${what}`);
  const whole = only === "" && !direct;
  console.log(`${name}: ${passed} passed, ${failed.length} failed of ${results.size} in ${Math.round((Date.now() - begun) / 1000)} s` +
    `${whole ? `; at least ${suite.bar} must pass` : ""}; output in ${logFile}`);
  if (pool?.weir.process.exitCode !== null && pool !== undefined) throw new Error(`weir pool ended:\n${pool.weir.output}`);
  if (whole && passed < suite.bar) t.diagnostic("below the bar");
  if (whole && passed < suite.bar) process.exitCode = 1;
});
