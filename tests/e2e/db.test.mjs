// SPDX-License-Identifier: Apache-2.0
// The private Postgres of a project: weir dev starts and stops it, weir db looks after it; and examples/blog on it.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import pg from "pg";

import { dev, patience, project, root, weirPath, wrangler } from "./lib.mjs";

const db = (dir, args, options = {}) =>
  spawnSync(weirPath, ["db", ...args, "--project", dir], { encoding: "utf8", timeout: 60000 * patience, ...options });

// Every process below /proc whose command line has the text: [{uid, name, args}].
const processesWith = (text) =>
  readdirSync("/proc").filter((entry) => /^\d+$/.test(entry)).flatMap((pid) => {
    try {
      const args = readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ");
      if (!args.includes(text)) return [];
      const status = readFileSync(`/proc/${pid}/status`, "latin1");
      return [{ uid: Number(/^Uid:\s+(\d+)/m.exec(status)[1]), name: /^Name:\s+(.*)/.exec(status)[1], args }];
    } catch {
      return []; // ended meanwhile
    }
  });

const counter = {
  "wrangler.toml": wrangler(`compatibility_flags = ["nodejs_compat"]\n[[hyperdrive]]\nbinding = "DB"\nid = "own"\n`),
  "src/index.js": `import postgres from "postgres";
    export default { async fetch(request, env, ctx) {
      const sql = postgres(env.DB.connectionString, { onnotice() {} });
      await sql\`create table if not exists hits (at timestamptz default now())\`;
      await sql\`insert into hits default values\`;
      const [{ count }] = await sql\`select count(*)::int from hits\`;
      ctx.waitUntil(sql.end());
      return Response.json(count);
    } };`,
};

test("weir dev makes a Postgres, keeps its data, and stops it in the end", { timeout: 240000 * patience }, async () => {
  const made = project(counter);
  const { dir } = made;
  try {
    assert.equal(db(dir, ["status"]).status, 1);
    assert.match(db(dir, ["status"]).stdout, /not made yet/);
    const first = await dev(dir);
    assert.equal(await (await first.fetch("/")).json(), 1);
    assert.equal(await (await first.fetch("/")).json(), 2);
    assert.match(first.weir.output, /making a private Postgres in .*\.weir\/postgres/);
    assert.match(first.weir.output, /^ {2}DB {7}postgres .*\/weir$/m);
    assert.deepEqual(JSON.parse(db(dir, ["status", "--json"]).stdout), { exists: true, running: true });

    // It runs as nobody important, and its password is in no command line and no log.
    const url = db(dir, ["url"]).stdout.trim();
    const { password, port } = new URL(url);
    assert.match(password, /^[0-9a-f]{32}$/);
    const servers = processesWith(`-p ${port} `);
    assert.ok(servers.length > 0);
    assert.ok(servers.every(({ uid }) => uid !== 0), JSON.stringify(servers));
    assert.deepEqual(processesWith(password), []);
    assert.ok(!first.weir.output.includes(password));

    // Ordinary tools reach it, who have the password.
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    assert.equal((await client.query("select count(*)::int as n from hits")).rows[0].n, 2);
    await client.end();
    const stranger = new pg.Client({ connectionString: url.replace(password, "guessed") });
    await assert.rejects(stranger.connect(), /password authentication failed/);
    assert.equal(db(dir, [], { input: "select count(*) as hits from hits;\n" }).stdout.replaceAll(/\s+/g, " ").trim(), "hits ------ 2 (1 row)");

    // Who uses it does not have it taken away.
    for (const word of ["reset", "stop"]) {
      const refused = db(dir, [word]);
      assert.deepEqual([refused.status, refused.stderr], [1, "weir: the private Postgres is in use by a weir dev, or a prompt of weir db, of this project; end that first\n"]);
    }
    assert.equal(await (await first.fetch("/")).json(), 3);

    // It is started again when it has died, here at another port: its own is taken meanwhile.
    const settings = JSON.parse(readFileSync(join(dir, ".weir/postgres/settings.json"), "utf8"));
    const postmaster = Number(readFileSync(join(dir, ".weir/postgres/data/postmaster.pid"), "utf8").split("\n")[0]);
    process.kill(postmaster, "SIGKILL");
    const taker = net.createServer();
    for (let listens = false; !listens; await new Promise((later) => setTimeout(later, 1)))
      listens = await new Promise((tried) => taker.once("error", () => tried(false)).listen(settings.port, "127.0.0.1", () => tried(true)));
    await first.weir.waitFor("the private Postgres has ended; it is started again");
    await first.weir.waitFor("reloaded");
    taker.close();
    assert.equal(await (await first.fetch("/")).json(), 4);

    // Another weir dev shares it: it goes with the last.
    const second = await dev(dir);
    await first.stop();
    assert.equal(await (await second.fetch("/")).json(), 5);
    await second.stop();
    assert.equal(db(dir, ["status"]).stdout, "stopped\n");
    assert.deepEqual(processesWith(`-p ${port} `), []);

    const third = await dev(dir);
    assert.equal(await (await third.fetch("/")).json(), 6);
    assert.ok(!third.weir.output.includes("making a private"));
    await third.stop();

    // By hand.
    assert.equal(db(dir, ["start"]).status, 0);
    assert.equal(db(dir, ["status"]).status, 0);
    assert.equal(db(dir, ["stop"]).status, 0);
    assert.equal(db(dir, ["stop"]).status, 0);
    assert.equal(db(dir, ["status"]).status, 1);
    assert.equal(db(dir, ["reset"]).status, 0);
    assert.match(db(dir, ["status"]).stdout, /not made yet/);
    const fourth = await dev(dir);
    assert.equal(await (await fourth.fetch("/")).json(), 1);
    await fourth.stop();
    assert.equal(db(dir, ["nonsense"]).status, 2);
    const nowhere = spawnSync(weirPath, ["db", "url", "--project", tmpdir()], { encoding: "utf8" });
    assert.equal(nowhere.status, 1);
    assert.match(nowhere.stderr, /has no wrangler\.toml/);
  } finally {
    db(dir, ["reset"]);
    made.remove();
  }
});

test("a weir dev that is killed leaves no Postgres, and takes it from no other", { timeout: 120000 * patience }, async () => {
  const made = project(counter), { dir } = made;
  const guards = () => processesWith(dir).filter(({ name }) => name === "weir-db-guard");
  const until = async (holds) => { while (!holds()) await new Promise((later) => setTimeout(later, 20)); };
  try {
    const first = await dev(dir);
    const second = await dev(dir);
    const { port } = new URL(db(dir, ["url"]).stdout.trim());
    const { uid } = processesWith(`-p ${port} `)[0];
    await until(() => guards().filter((guard) => guard.uid === uid).length === 2);
    await first.stop("SIGKILL");
    await until(() => guards().length === 1);
    assert.equal(await (await second.fetch("/")).json(), 1);
    await second.stop("SIGKILL");
    await until(() => guards().length === 0);
    assert.deepEqual(processesWith(`-p ${port} `), []);
    assert.equal(db(dir, ["status"]).stdout, "stopped\n");

    // One that ends by itself is not waited for.
    const third = await dev(dir);
    assert.equal(await (await third.fetch("/")).json(), 2);
    await third.stop();
    assert.equal(db(dir, ["stop"]).stderr, "");
    await until(() => guards().length === 0);
  } finally {
    db(dir, ["reset"]);
    made.remove();
  }
});

test("a Postgres that is just ending is waited for, and one that can not start says so at once", { timeout: 120000 * patience }, async () => {
  const made = project(counter);
  const { dir } = made;
  const at = (file) => join(dir, ".weir/postgres", file);
  try {
    assert.equal(db(dir, ["start"]).status, 0);
    const lock = readFileSync(at("data/postmaster.pid"), "utf8");
    // A session that does not notice that its postmaster was killed.
    const client = new pg.Client({ connectionString: db(dir, ["url"]).stdout.trim() });
    client.on("error", () => {});
    await client.connect();
    const busy = client.query("do $$ declare u timestamptz := clock_timestamp() + '2 s'; begin while clock_timestamp() < u loop end loop; end $$").catch(() => {});
    await new Promise((later) => setTimeout(later, 200));
    process.kill(Number(lock.split("\n")[0]), "SIGKILL");
    assert.equal(db(dir, ["start"]).stderr, "");
    assert.notEqual(readFileSync(at("data/postmaster.pid"), "utf8").split("\n")[0], lock.split("\n")[0]);
    await busy;
    // What one that was killed has left is no reason to try for long.
    assert.equal(db(dir, ["stop"]).status, 0);
    writeFileSync(at("data/postmaster.pid"), lock);
    const settings = readFileSync(at("data/postgresql.conf"), "utf8");
    writeFileSync(at("data/postgresql.conf"), `${settings}\nno_such_setting = 1\n`);
    const begun = Date.now();
    const failed = db(dir, ["start"]);
    assert.equal(failed.status, 1);
    assert.match(failed.stderr, /the private Postgres does not start: /);
    assert.match(readFileSync(at("log"), "utf8"), /unrecognized configuration parameter "no_such_setting"/);
    assert.ok(Date.now() - begun < 5000 * patience, `${Date.now() - begun} ms`);
    writeFileSync(at("data/postgresql.conf"), settings);
    assert.equal(db(dir, ["start"]).stderr, ""); // with the file that was left there
  } finally {
    db(dir, ["reset"]);
    made.remove();
  }
});

test("a project may have any name: quotes, commas and what a shell would take for more", { timeout: 120000 * patience }, async () => {
  const made = project({}), dir = join(made.dir, `it's "a", $b`);
  mkdirSync(dir);
  chmodSync(made.dir, 0o755); // or root keeps it elsewhere
  writeFileSync(join(dir, "wrangler.toml"), counter["wrangler.toml"]);
  try {
    assert.match(db(dir, ["start"]).stderr, /^weir: making a private Postgres in [^\n]*\n$/);
    const url = new URL(db(dir, ["url"]).stdout.trim());
    const client = new pg.Client({ host: join(dir, ".weir/postgres/run"), port: Number(url.port), user: url.username, password: url.password, database: "weir" });
    await client.connect();
    assert.equal((await client.query("select 1 as one")).rows[0].one, 1);
    await client.end();
    assert.equal(db(dir, ["stop"]).stderr, "");
    assert.equal(db(dir, ["status"]).stdout, "stopped\n");
  } finally {
    db(dir, ["reset"]);
    made.remove();
  }
});

// Who is not root has no more rights than the project's owner, and nothing to lose.
test("root writes nothing through what the project's owner has put there", { timeout: 240000 * patience, skip: process.getuid() !== 0 && "not root" }, () => {
  const made = project(counter), treasure = mkdtempSync(join(tmpdir(), "weir-treasure-"));
  const uid = Number(execFileSync("id", ["-u", "nobody"], { encoding: "utf8" }));
  try {
    mkdirSync(join(treasure, "data"));
    writeFileSync(join(treasure, "log"), "");
    mkdirSync(join(made.dir, ".weir"));
    symlinkSync(treasure, join(made.dir, ".weir/postgres"));
    for (const path of ["", ".weir"]) chownSync(join(made.dir, path), uid, uid);
    const states = () => ["", "data", "log"].map((name) => statSync(join(treasure, name))).map(({ uid: owner, mode }) => [owner, mode]);
    const before = states();
    const { stdout, stderr, status } = db(made.dir, ["url"]);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^postgresql:/);
    assert.equal(db(made.dir, ["reset"]).status, 0);
    assert.deepEqual(states(), before);
    assert.deepEqual(readdirSync(treasure).sort(), ["data", "log"]);
  } finally {
    made.remove();
    rmSync(treasure, { recursive: true });
  }
});

test("examples/blog creates and lists posts", { timeout: 120000 * patience }, async () => {
  const parent = mkdtempSync(join(tmpdir(), "weir-test-"));
  const dir = join(parent, "blog");
  execFileSync("chmod", ["755", parent]);
  cpSync(join(root, "examples/blog"), dir, { recursive: true, filter: (path) => !/node_modules|\.weir/.test(path) });
  symlinkSync(join(root, "examples/blog/node_modules"), join(dir, "node_modules"));
  try {
    const blog = await dev(dir);
    const json = async (path, init) => {
      const response = await blog.fetch(path, init);
      return [response.status, response.status === 204 ? null : await response.json()];
    };
    const post = (body) => json("/api/posts", { method: "POST", body: JSON.stringify(body) });
    try {
      assert.deepEqual(await json("/api/posts"), [200, []]);
      const [status, first] = await post({ title: "First", body: "It's a <post>" });
      assert.equal(status, 201);
      assert.equal((await post({ title: "x'); drop table posts; --" }))[0], 201);
      assert.deepEqual(await post({ title: " " }), [400, { error: "A post needs a title." }]);
      assert.deepEqual((await json("/api/posts"))[1].map(({ title }) => title), ["x'); drop table posts; --", "First"]);
      assert.deepEqual(await json(`/api/posts/${first.id}`), [200, first]);
      assert.equal((await json("/api/posts/999"))[0], 404);
      assert.equal((await json("/api/posts/none"))[0], 404);
      const form = await blog.fetch("/posts", { method: "POST", body: new URLSearchParams({ title: "By form" }) });
      assert.equal(form.status, 303);
      const page = await (await blog.fetch("/")).text();
      assert.match(page, /^<!doctype html><html/);
      assert.match(page, /By form/);
      assert.match(page, /It&#39;s a &lt;post&gt;/);
      assert.equal((await json(`/api/posts/${first.id}`, { method: "DELETE" }))[0], 204);
      assert.equal((await json(`/api/posts/${first.id}`, { method: "DELETE" }))[0], 404);
    } finally {
      await blog.stop();
    }
  } finally {
    db(dir, ["reset"]);
    rmSync(parent, { recursive: true, force: true });
  }
});
