// SPDX-License-Identifier: Apache-2.0
// What `meson install` puts under a prefix runs from there, without the tree that it was built in.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { Weir, freePort, root, weirPath } from "./lib.mjs";

let dir, program;
before(() => {
  dir = mkdtempSync(join(tmpdir(), "weir-installed-"));
  execFileSync("meson", ["install", "-C", dirname(weirPath), "--no-rebuild", "--quiet", "--destdir", join(dir, "dest")], { stdio: ["ignore", "ignore", "inherit"] });
  cpSync(join(dir, "dest/usr/local"), join(dir, "moved"), { recursive: true }); // it is looked for from where the program is
  rmSync(join(dir, "dest"), { recursive: true });
  program = join(dir, "moved/bin/weir");
});
after(() => rmSync(dir, { recursive: true, force: true }));

const run = (...args) => execFileSync(program, args, { encoding: "utf8", cwd: dir, stdio: ["ignore", "pipe", "pipe"] });
const served = async (...args) => {
  const weir = await Weir.start(args, { program, cwd: dir });
  await Promise.race([weir.waitFor(/ready on|serving/), weir.exited.then(() => assert.fail(weir.output))]);
  return weir;
};

test("weir dev and weir serve have the bundler and the worker that answers Prisma, and weir pool reads its configuration", async () => {
  const hello = join(dir, "hello"), port = await freePort();
  cpSync(join(root, "examples/hello"), hello, { recursive: true, filter: (path) => !/node_modules|\.weir/.test(path.slice(root.length)) });
  mkdirSync(join(hello, "node_modules"));
  symlinkSync(join(root, "tests/node_modules/hono"), join(hello, "node_modules/hono"));
  const greeted = async () => assert.deepEqual(await (await fetch(`http://127.0.0.1:${port}/api/greet/you`)).json(), { message: "Hello, you!" });
  assert.equal(JSON.parse(run("doctor", "--json")).checks.find(({ check }) => check === "esbuild").found, join(realpathSync(dir), "moved/lib/weir/esbuild"));
  const weir = await served("dev", hello, "--port", String(port));
  await greeted();
  await weir.stop();

  const pool = 'listen = []\nDATABASES\nname = "app"\nhost = "127.0.0.1"\nuser = "app"\n';
  writeFileSync(join(dir, "weir.toml"), `[[listener]]\nport = ${port}\n[[worker]]\nproject = "hello"\ndefault = true\n[pool]\n${pool.replace("DATABASES", "[[pool.databases]]")}`);
  run("prisma", "key", "create", "--database", "app", "--config", "weir.toml");
  const server = await served("serve", "--config", "weir.toml");
  await greeted();
  await server.stop();

  writeFileSync(join(dir, "pool.toml"), `auth = "any"\n${pool.replace("[]", '["127.0.0.1:6432"]').replace("DATABASES", "[[databases]]")}`);
  assert.match(run("pool", "--config", "pool.toml", "--check"), /pool\.toml is fine/);
});
