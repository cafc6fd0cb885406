// SPDX-License-Identifier: Apache-2.0
// docs/prisma.md, step by step, in directories that begin empty, by the lines that it has: Prisma's own commands, the private Postgres,
// examples/blog-prisma's code, and its API; with both of Prisma's generators, and with versions 5 and 7. It goes the way without internet.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";

import { dev, patience, root, weirPath } from "../e2e/lib.mjs";

const example = join(root, "examples/blog-prisma");

// The blocks of code in a section of docs/prisma.md, by their language.
const docs = readFileSync(join(root, "docs/prisma.md"), "utf8");
function blocks(section) {
  const [, text] = new RegExp(`^##+ ${section}\n([^]*?)(?=^##|$(?![^]))`, "m").exec(docs);
  const of = (language) => [...text.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, "gm"))].map(([, code]) => code);
  return { sh: of("sh"), toml: of("toml"), prisma: of("prisma"), ts: of("ts") };
}
const walk = blocks("From an empty directory"), theExample = blocks("The example"), others = blocks("With version 7, or 5"), offline = blocks("Without internet");
const generators = walk.prisma.filter((text) => text.startsWith("generator "));

const { DATABASE_URL: _, ...environment } = { ...process.env, PATH: `${dirname(weirPath)}:${process.env.PATH}`, npm_config_fund: "false", npm_config_audit: "false" };

// A directory in which shell lines of the docs are run.
function directory() {
  const dir = mkdtempSync(join(tmpdir(), "weir-walk-"));
  after(() => {
    execFileSync(weirPath, ["db", "stop", "--project", dir]);
    rmSync(dir, { recursive: true, force: true });
  });
  const write = (name, text) => writeFileSync(join(dir, name), text);
  const read = (name) => readFileSync(join(dir, name), "utf8");
  return {
    dir, write, read,
    edit: (name, from, to) => write(name, read(name).replace(from, to)),
    run: (lines) => execFileSync("sh", ["-ec", `${offline.sh[0]}${lines.replaceAll("WEIR", root)}`], { cwd: dir, env: environment, encoding: "utf8", timeout: 240000 * patience }),
    migrate: (lines) => migrated(lines, dir),
  };
}

// Prisma's schema engine as WebAssembly leaves a timer of a minute behind, and the process with it.
async function migrated(lines, cwd) {
  const child = spawn("sh", ["-ec", offline.sh[0] + lines], { cwd, env: environment, stdio: ["ignore", "pipe", "pipe"], detached: true });
  let output = "";
  await new Promise((done) => {
    const take = (chunk) => ((output += chunk), /Generated Prisma Client/.test(output) && done());
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("exit", done);
  });
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {} // it had ended
  assert.match(output, /Your database is now in sync/);
  assert.ok(readdirSync(join(cwd, "prisma/migrations")).some((name) => name.endsWith("_init_schema")));
}
const linesWith = (text, lines) => lines.split("\n").filter((line) => line.includes(text)).join("\n");
const linesWithout = (texts, lines) => lines.split("\n").filter((line) => !texts.some((text) => line.includes(text))).join("\n");

// Of a running blog.
const asker = (running) => async (method, path, body, jwt) => {
  const response = await running().fetch(`/api/v1${path}`, {
    method,
    headers: { "content-type": "application/json", ...(jwt && { authorization: `Bearer ${jwt}` }) },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, ...(text.startsWith("{") ? JSON.parse(text) : { text }) };
};

// Sign up, write, list.
async function walkInShort(dir) {
  const running = await dev(dir), ask = asker(() => running), email = "ada@example.com", password = "correct horse";
  const { status, jwt, text } = await ask("POST", "/user/signup", { email, name: "Ada", password });
  assert.equal(status, 201, text);
  assert.equal((await ask("POST", "/user/signup", { email, password })).status, 409);
  const { id } = await ask("POST", "/blog", { title: "First", content: "Hello" }, jwt);
  assert.equal((await ask("PUT", `/blog/${id}`, { published: true }, jwt)).status, 200);
  const found = { status: 200, id, title: "First", content: "Hello", author: { name: "Ada" } };
  for (let i = 0; i < 2; i++) assert.deepEqual(await ask("GET", `/blog/${id}`), found);
  assert.deepEqual(await ask("GET", "/blog/bulk"), { status: 200, posts: [{ id, title: "First", author: { name: "Ada" } }], page: 1, pages: 1 });
  await running.stop();
}

const models = readFileSync(join(example, "prisma/schema.prisma"), "utf8").replace(/^[^]*?(?=model )/, "");
let migration; // the first test's

test("from an empty directory to a blog with accounts, through prisma://", { timeout: 400000 * patience }, async () => {
  const { dir, run, migrate, read, write, edit } = directory();
  const [install, env, tables, key] = walk.sh;
  run(install);
  assert.equal(read("prisma.config.ts"), readFileSync(join(example, "prisma.config.ts"), "utf8"));
  run(offline.sh[1]);

  write("wrangler.toml", walk.toml[0]);
  assert.ok(readFileSync(join(example, "wrangler.toml"), "utf8").startsWith(walk.toml[0]));
  cpSync(join(example, "src"), join(dir, "src"), { recursive: true });
  run(env);
  const direct = /"(.*)"/.exec(read(".env"))[1];

  // The generator, and the models, in what init wrote
  const initial = read("prisma/schema.prisma");
  edit("prisma/schema.prisma", /generator client \{[^}]*\}\n/, generators[0]);
  write("prisma/schema.prisma", `${read("prisma/schema.prisma")}\n${models}`);
  assert.equal(read("prisma/schema.prisma").replace(/^\/\/.*\n+/gm, ""), readFileSync(join(example, "prisma/schema.prisma"), "utf8"));

  await migrate(linesWith("migrate", tables));
  migration = readdirSync(join(dir, "prisma/migrations")).filter((name) => name.endsWith("_init_schema")).map((name) => read(`prisma/migrations/${name}/migration.sql`))[0];
  assert.match(run(linesWithout(["migrate"], tables)), /Generated Prisma Client/);
  assert.ok(existsSync(join(dir, "node_modules/.prisma/client/edge.js")));

  // The prisma:// URL, with the vendor's host left as it is
  run(key);
  const url = /"(.*)"/.exec(read(".dev.vars"))[1];
  assert.match(url, /^prisma:\/\/accelerate\.prisma-data\.net\/\?api_key=/);
  write(".dev.vars", `${read(".dev.vars")}JWT_SECRET="only for this test"\n`);
  assert.equal(read(".gitignore"), readFileSync(join(example, ".gitignore"), "utf8"));

  let running = await dev(dir);
  const ask = asker(() => running);
  let walked = 0;
  const walkThrough = async (email) => {
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
  await walkThrough("ada@example.com");
  const stored = execFileSync("psql", [direct, "-XAtc", 'select password from "User" limit 1'], { encoding: "utf8" });
  assert.match(stored, /^100000:[^:]{24}:[^:]{44}\n$/);
  await running.stop();

  // With a host of one's own in the URL: the rest is the same
  edit(".dev.vars", "accelerate.prisma-data.net", "db.example.com");
  running = await dev(dir);
  await walkThrough("bob@example.com");
  await running.stop();

  // The docs' own worker
  const blog = read("src/index.ts");
  write("src/index.ts", walk.ts[0]);
  running = await dev(dir);
  assert.equal((await (await running.fetch("/posts")).json()).length, 24);
  await running.stop();
  write("src/index.ts", blog);

  // The generator that init wrote, for Workers; and a transaction
  assert.equal(initial.includes(generators[1].replace(/ +runtime.*\n/, "")), true, initial);
  edit("prisma/schema.prisma", generators[0], generators[1]);
  assert.match(run(linesWith("generate", tables)), /Generated Prisma Client/);
  edit("src/index.ts", "@prisma/client/edge", "../generated/prisma/client");
  edit("src/index.ts", "export default app;", `app.get("/api/v1/counts", async (c) =>
    c.json(await prismaOf(c.env.DATABASE_URL).$transaction(async (tx) => ({ before: await tx.post.count(), deleted: (await tx.post.deleteMany()).count, after: await tx.post.count() }))));
    export default app;`);
  rmSync(join(dir, "node_modules/.prisma"), { recursive: true });
  running = await dev(dir);
  await walkThrough("carl@example.com");
  assert.deepEqual(await ask("GET", "/counts"), { status: 200, before: 36, deleted: 36, after: 0 });
  await running.stop();
  assert.ok(!running.weir.output.includes(new URL(url).searchParams.get("api_key")), "the log has no key");
});

test("the example, by its lines", { timeout: 400000 * patience }, async () => {
  const { dir, run, migrate, read } = directory();
  cpSync(example, dir, { recursive: true, filter: (path) => !path.includes("node_modules") });
  const own = ["npm ci", "migrate", "weir dev"], [lines] = theExample.sh;
  run(`${linesWith("npm ci", lines)}\n${offline.sh[1]}`);
  run(linesWith("> .env", lines));
  await migrate(linesWith("migrate", lines));
  run(linesWithout([...own, "> .env"], lines));
  assert.match(read(".dev.vars"), /^DATABASE_URL="prisma:.*"\nJWT_SECRET="[0-9a-f]{64}"\n$/);
  await walkInShort(dir);
});

for (const version of ["5", "7"])
  test(`the same with version ${version}`, { timeout: 400000 * patience }, async () => {
    const { dir, run, read, write, edit } = directory(), is7 = version === "7";
    const [install, env, tables, key] = walk.sh, init = linesWith("prisma init", install);
    run(is7 ? `${others.sh[0]}${init}` : install.replaceAll("@6", "@5"));
    write("wrangler.toml", walk.toml[0]);
    cpSync(join(example, "src"), join(dir, "src"), { recursive: true });
    run(env);
    edit("prisma/schema.prisma", /generator client \{[^}]*\}\n/, generators[0]);
    write("prisma/schema.prisma", `${read("prisma/schema.prisma")}\n${models}`);
    execFileSync("psql", [/"(.*)"/.exec(read(".env"))[1], "-Xq"], { input: migration });
    const generate = linesWith("generate", tables);
    assert.match(run(is7 ? generate.replace("--no-engine", "") : generate), /Generated Prisma Client/);
    run(key);
    write(".dev.vars", `${read(".dev.vars")}JWT_SECRET="only for this test"\n`);
    if (is7) edit("src/index.ts", "datasourceUrl: url", "accelerateUrl: url");
    await walkInShort(dir);
  });
