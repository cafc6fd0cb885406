// SPDX-License-Identifier: Apache-2.0
// docs/prisma.md, step by step, in a directory that begins empty: Prisma's own commands, the private Postgres, examples/blog-prisma's
// code, and its API; with both of Prisma's generators. The two places where Prisma's CLI would fetch native engines are marked.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { dev, patience, root, weirPath } from "../e2e/lib.mjs";
import { cliEnvironment } from "./environment.mjs";

const example = join(root, "examples/blog-prisma");
const dir = mkdtempSync(join(tmpdir(), "weir-walk-"));
after(() => {
  execFileSync(weirPath, ["db", "stop", "--project", dir]);
  rmSync(dir, { recursive: true, force: true });
});

// The generators that docs/prisma.md says to write in place of init's: the one for @prisma/client/edge, the new one for Workers.
const generators = [...readFileSync(join(root, "docs/prisma.md"), "utf8").matchAll(/```prisma\n(generator [^]*?\n\}\n)```/g)].map(([, text]) => text);

const { DATABASE_URL: _, ...environment } = cliEnvironment; // marked: these variables keep the CLI from fetching engines
const run = (command, ...args) => execFileSync(command, args, { cwd: dir, env: environment, encoding: "utf8", timeout: 240000 * patience });
const write = (name, text) => writeFileSync(join(dir, name), text);
const read = (name) => readFileSync(join(dir, name), "utf8");

// Prisma's schema engine as WebAssembly leaves a timer of a minute behind, and the process with it.
async function untilPrinted(pattern, command, args, options) {
  const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"], detached: true });
  let output = "";
  await new Promise((done) => {
    const take = (chunk) => ((output += chunk), pattern.test(output) && done());
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("exit", done);
  });
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {} // it had ended
  return output;
}

test("from an empty directory to a blog with accounts, through prisma://", { timeout: 400000 * patience }, async () => {
  // npm i prisma hono …; npx prisma init
  for (const name of ["package.json", "package-lock.json", ".npmrc"]) cpSync(join(example, name), join(dir, name));
  run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error");
  run("npx", "prisma", "init", "--datasource-provider", "postgresql");
  assert.equal(read("prisma.config.ts"), readFileSync(join(example, "prisma.config.ts"), "utf8"));

  // wrangler.toml; .env: the direct URL, for migrations
  for (const name of ["wrangler.toml", "src"]) cpSync(join(example, name), join(dir, name), { recursive: true });
  const direct = run(weirPath, "db", "url").trim();
  write(".env", `DATABASE_URL="${direct}"\n`);

  // The generator, and the models, in what init wrote
  const models = readFileSync(join(example, "prisma/schema.prisma"), "utf8").replace(/^[^]*?(?=model )/, "");
  const edit = (name, from, to) => write(name, read(name).replace(from, to));
  const initial = read("prisma/schema.prisma");
  edit("prisma/schema.prisma", /generator client \{[^}]*\}\n/, generators[0]);
  write("prisma/schema.prisma", `${read("prisma/schema.prisma")}\n${models}`);
  assert.equal(read("prisma/schema.prisma").replace(/^\/\/.*\n+/gm, ""), readFileSync(join(example, "prisma/schema.prisma"), "utf8"));

  // npx prisma migrate dev --name init_schema
  cpSync(join(root, "tests/prisma/v6/prisma.config.ts"), join(dir, "wasm.config.ts")); // marked: the schema engine as WebAssembly
  const migrate = ["prisma", "migrate", "dev", "--config", "wasm.config.ts", "--name", "init_schema"];
  const withDatabase = { cwd: dir, env: { ...environment, DATABASE_URL: direct } };
  assert.match(await untilPrinted(/Generated Prisma Client/, "npx", migrate, withDatabase), /Your database is now in sync/);
  assert.ok(readdirSync(join(dir, "prisma/migrations")).some((name) => name.endsWith("_init_schema")));

  // npx prisma generate --no-engine
  assert.match(run("npx", "prisma", "generate", "--no-engine"), /Generated Prisma Client/);
  assert.ok(existsSync(join(dir, "node_modules/.prisma/client/edge.js")));

  // The prisma:// URL, with the vendor's host left as it is
  const url = run(weirPath, "prisma", "key", "create").trim();
  assert.match(url, /^prisma:\/\/accelerate\.prisma-data\.net\/\?api_key=/);
  write(".dev.vars", `DATABASE_URL="${url}"\nJWT_SECRET="only for this test"\n`);
  write(".gitignore", `${read(".gitignore")}.dev.vars\n`);
  assert.equal(read(".gitignore"), readFileSync(join(example, ".gitignore"), "utf8"));

  let running = await dev(dir);
  const ask = async (method, path, body, jwt) => {
    const response = await running.fetch(`/api/v1${path}`, {
      method,
      headers: { "content-type": "application/json", ...(jwt && { authorization: `Bearer ${jwt}` }) },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, ...(text.startsWith("{") ? JSON.parse(text) : { text }) };
  };
  let walked = 0;
  const walk = async (email) => {
    const { status, jwt, id: userId } = await ask("POST", "/user/signup", { email, name: "Ada", password: "correct horse" });
    assert.equal(status, 201);
    assert.equal((await ask("POST", "/user/signup", { email, password: "x" })).status, 409);
    assert.equal((await ask("POST", "/user/signup", { email: "nobody" })).status, 400);
    assert.equal((await ask("POST", "/user/signin", { email, password: "wrong" })).status, 403);
    const signedIn = await ask("POST", "/user/signin", { email, password: "correct horse" });
    assert.deepEqual([signedIn.status, signedIn.id], [200, userId]);
    assert.equal((await ask("POST", "/blog", { title: "t", content: "c" })).status, 401);
    const made = await ask("POST", "/blog", { title: "First", content: "Hello" }, jwt);
    assert.equal(made.status, 201);
    assert.equal((await ask("GET", `/blog/${made.id}`)).status, 404); // not published
    const stranger = await ask("POST", "/user/signup", { email: `not-${email}`, password: "pw" });
    assert.equal((await ask("PUT", `/blog/${made.id}`, { title: "Mine" }, stranger.jwt)).status, 404);
    assert.equal((await ask("PUT", `/blog/${made.id}`, { title: "Edited", published: true }, jwt)).status, 200);
    assert.deepEqual(await ask("GET", `/blog/${made.id}`), { status: 200, id: made.id, title: "Edited", content: "Hello", author: { name: "Ada" } });
    for (let i = 0; i < 11; i++) {
      const { id } = await ask("POST", "/blog", { title: `Post ${String(i).padStart(2, "0")}`, content: "…" }, jwt);
      await ask("PUT", `/blog/${id}`, { published: true }, jwt);
    }
    walked++;
    const listed = [], pages = Math.ceil((12 * walked) / 10);
    for (let page = 1; page <= pages + 1; page++) {
      const { posts, ...rest } = await ask("GET", page === 1 ? "/blog/bulk" : `/blog/bulk?page=${page}`);
      assert.deepEqual(rest, { status: 200, page, pages });
      assert.equal(posts.length, Math.max(0, Math.min(10, 12 * walked - 10 * (page - 1))));
      listed.push(...posts);
    }
    assert.deepEqual(Object.keys(listed[0]), ["id", "title", "author"]);
    assert.equal(new Set(listed.map(({ id }) => id)).size, 12 * walked, "each is on one page");
    assert.deepEqual(listed.map(({ title }) => title), listed.map(({ title }) => title).sort());
    assert.equal((await ask("GET", "/blog/bulk?page=x")).page, 1);
  };
  await walk("ada@example.com");
  const stored = execFileSync("psql", [direct, "-XAtc", 'select password from "User" limit 1'], { encoding: "utf8" });
  assert.match(stored, /^100000:[^:]{24}:[^:]{44}\n$/);
  await running.stop();

  // With a host of one's own in the URL: the rest is the same
  edit(".dev.vars", "accelerate.prisma-data.net", "db.example.com");
  running = await dev(dir);
  await walk("bob@example.com");
  await running.stop();

  // The generator that init wrote, for Workers; and a transaction
  assert.equal(initial.includes(generators[1].replace(/ +runtime.*\n/, "")), true, initial);
  edit("prisma/schema.prisma", generators[0], generators[1]);
  assert.match(run("npx", "prisma", "generate", "--no-engine"), /Generated Prisma Client/);
  edit("src/index.ts", "@prisma/client/edge", "../generated/prisma/client");
  edit("src/index.ts", "export default app;", `app.get("/api/v1/counts", async (c) =>
    c.json(await prismaOf(c.env.DATABASE_URL).$transaction(async (tx) => ({ before: await tx.post.count(), deleted: (await tx.post.deleteMany()).count, after: await tx.post.count() }))));
    export default app;`);
  rmSync(join(dir, "node_modules/.prisma"), { recursive: true });
  running = await dev(dir);
  await walk("carl@example.com");
  assert.deepEqual(await ask("GET", "/counts"), { status: 200, before: 36, deleted: 36, after: 0 });
  await running.stop();
  assert.ok(!running.weir.output.includes(new URL(url).searchParams.get("api_key")), "the log has no key");
});
