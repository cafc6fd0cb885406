// SPDX-License-Identifier: Apache-2.0
// ./quickstart in a checkout of its own: packages and what is built are this one's, and found to be as they should.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Weir, freePort, patience, root, weirPath } from "./lib.mjs";

const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
const modules = [".", "system/prisma", "examples/blog"].map((dir) => join(dir, "node_modules"));
const build = dirname(weirPath);
const missing = [".git", ...modules.map((dir) => join(dir, ".weir-lock"))].find((file) => !existsSync(join(root, file)));
// What is copied would else be built from here, and here.
const stale = !missing && !spawnSync("ninja", ["-C", build, "-n"], { encoding: "utf8" }).stdout?.includes("no work to do");
const unreachable = () => spawnSync(nobody[0], [...nobody.slice(1), "test", "-r", join(root, modules[0], ".weir-lock")]).status !== 0;

function checkout() {
  const dir = mkdtempSync("/tmp/weir-quickstart-");
  execFileSync("bash", ["-c", `set -eo pipefail
    files() { git -c safe.directory='*' ls-files "$@"; }
    files -co --exclude-standard -z | grep -zvxFf <(files -d) | xargs -0 cp -a --parents -t "$1"
    cp -a "$2" "$1/build"
    chmod 755 "$1"`, "bash", dir, build], { cwd: root });
  for (const path of modules) symlinkSync(join(root, path), join(dir, path));
  return dir;
}

// Processes that are in a directory, or below it.
const within = (dir) => readdirSync("/proc").filter((pid) => {
  try {
    return /^\d+$/.test(pid) && `${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${dir}/`);
  } catch {
    return false; // ended, or somebody else's
  }
});

for (const [who, as, skip] of [
  ["whoever runs this", [], false],
  ["another user", nobody, process.getuid() !== 0 ? "not root" : unreachable() && "the checkout is not for others to read"],
])
  test(`quickstart, by ${who}: it finds what is built, serves the blog, and Ctrl-C ends all of it`, { timeout: 240000 * patience, skip: missing ? `no ${missing}` : stale ? "build/ is older than what it is built from" : skip }, async () => {
    const dir = checkout();
    try {
      if (as.length > 0) execFileSync("chown", ["-hR", "65534:65534", dir]);
      for (const before of as.length > 0 ? [[]] : [[], ["Hello"]]) {
        const port = await freePort();
        const weir = await Weir.start(["--port", String(port)], { program: join(dir, "quickstart"), within: as, cwd: "/", env: { HOME: dir } });
        try {
          await weir.waitFor("ready on", 0, 120000 * patience);
          const url = /ready on (http:\/\/\S+)/.exec(weir.output)[1];
          assert.equal(url, `http://127.0.0.1:${port}`);
          const posts = async () => (await (await fetch(`${url}/api/posts`)).json()).map(({ title }) => title);
          assert.deepEqual(await posts(), before);
          const made = await fetch(`${url}/api/posts`, { method: "POST", headers: { "content-type": "application/json" }, body: '{"title":"Hello"}' });
          assert.equal(made.status, 201);
          assert.deepEqual(await posts(), ["Hello", ...before]);
        } finally {
          await weir.stop("SIGINT");
        }
        assert.deepEqual(await weir.exited, { code: 0, signal: null }, weir.output);
        assert.deepEqual(within(dir), []);
      }
    } finally {
      for (const pid of within(dir)) process.kill(Number(pid), "SIGKILL");
      rmSync(dir, { recursive: true, force: true });
    }
  });
