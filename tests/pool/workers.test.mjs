// SPDX-License-Identifier: Apache-2.0
// Unmodified drivers in a worker, through a Hyperdrive binding: the worker's channel to the pool.
import assert from "node:assert/strict";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";

import pg from "pg";

import { descendants, dev, project, raw, wrangler } from "../e2e/lib.mjs";
import { Weir, Wire, assertConfined, bind, copies, copyData, eventually, execute, flush, freePort, parse, patience, query, sanitized, sleep, startPostgres, startup, table } from "./lib.mjs";

let postgres, url;
before(async () => {
  postgres = await startPostgres();
  url = `postgres://scram_user:scram%20secret@127.0.0.1:${postgres.port}/postgres?sslmode=disable`;
  postgres.sql("create table posts (id serial primary key, title text not null); grant all on posts, posts_id_seq to scram_user");
});

const connections = () =>
  Number(postgres.sql("select count(*) from pg_stat_activity where usename = 'scram_user' and backend_type = 'client backend'"));

const binding = (local = url, id = "test-db") =>
  `compatibility_flags = ["nodejs_compat"]\n[[hyperdrive]]\nbinding = "DB"\nid = "${id}"\n${local ? `localConnectionString = "${local}"\n` : ""}`;

async function withWorker(source, body, extra = binding()) {
  const made = project({ "wrangler.toml": wrangler(extra), "src/index.js": source });
  try {
    const server = await dev(made.dir);
    try {
      await body({ ...server, dir: made.dir });
    } finally {
      await server.stop();
    }
  } finally {
    made.remove();
  }
}

const drivers = `
  import { connect } from "cloudflare:sockets";
  import { Client, Pool } from "pg";
  import postgres from "postgres";
  import { drizzle } from "drizzle-orm/node-postgres";
  import { drizzle as drizzleJs } from "drizzle-orm/postgres-js";
  import { pgTable, serial, text } from "drizzle-orm/pg-core";
  import { eq } from "drizzle-orm";
  import { Kysely, PostgresDialect } from "kysely";
  const many = (count, env) => Promise.all(Array.from({ length: count }, async () => {
    const client = new Client({ connectionString: env.DB.connectionString });
    client.on("error", () => {});
    await client.connect();
    return client;
  }));
  const posts = pgTable("posts", { id: serial("id").primaryKey(), title: text("title").notNull() });
  export default {
    async fetch(request, env, ctx) {
      const { pathname, searchParams } = new URL(request.url);
      switch (pathname) {
        case "/binding": return Response.json({ ...env.DB, tag: String(env.DB) });
        case "/pg": {
          const client = new Client({ connectionString: env.DB.connectionString });
          await client.connect();
          const { rows } = await client.query("select $1::int + 1 as n, $2::text as t, current_user as u", [41, "é"]);
          ctx.waitUntil(client.end());
          return Response.json(rows[0]);
        }
        case "/pg-parts": {
          const { host, port, user, password, database } = env.DB;
          const pool = new Pool({ host, port, user, password, database, max: 3 });
          const all = await Promise.all(Array.from({ length: 9 }, (_, i) => pool.query({ name: "n", text: "select $1::int as i", values: [i] })));
          ctx.waitUntil(pool.end());
          return Response.json(all.map(({ rows }) => rows[0].i));
        }
        case "/pool-of-two": {
          const pool = new Pool({ connectionString: env.DB.connectionString, max: 2 });
          const all = await Promise.all([pool.query("select 1 as i, pg_sleep(0.05)"), pool.query("select 2 as i")]);
          ctx.waitUntil(pool.end());
          return Response.json(all.map(({ rows }) => rows[0].i));
        }
        case "/fill": { // much waits for connections that are all in use
          const clients = await many(120, env);
          const sleeping = clients.slice(0, 30).map((client) => client.query("select pg_sleep(${0.4 * patience})"));
          const long = "select length('" + "x".repeat(240000) + "') as n";
          const asked = await Promise.allSettled(clients.slice(30).map((client) => client.query(long)));
          await Promise.all(sleeping);
          return Response.json(asked.map(({ reason, value }) => reason?.message ?? value.rows[0].n));
        }
        case "/flood": { // much comes that the worker is too busy to read
          const asked = (await many(120, env)).map((client) => client.query("select repeat('y', 250000) as t"));
          await new Promise((done) => setTimeout(done, 1));
          for (const end = Date.now() + 1000; Date.now() < end;);
          return Response.json((await Promise.all(asked)).filter(({ rows }) => rows[0].t.length === 250000).length);
        }
        case "/postgres": {
          const sql = postgres(env.DB.connectionString, { prepare: searchParams.get("prepare") !== "false", max: 2 });
          const rows = await sql\`select \${41}::int + 1 as n, \${["a", "b"]}::text[] as list\`;
          const inside = await sql.begin(async (tx) => [...(await tx\`select 1 as a\`), ...(await tx\`select 2 as a\`)]);
          ctx.waitUntil(sql.end());
          return Response.json({ rows, inside });
        }
        case "/drizzle": {
          const client = new Client({ connectionString: env.DB.connectionString });
          await client.connect();
          const db = drizzle(client);
          const [made] = await db.insert(posts).values({ title: "drizzle" }).returning();
          const found = await db.select().from(posts).where(eq(posts.id, made.id));
          const sql = postgres(env.DB.connectionString);
          const again = await drizzleJs(sql).select().from(posts).where(eq(posts.id, made.id));
          ctx.waitUntil(Promise.all([client.end(), sql.end()]));
          return Response.json({ found, again });
        }
        case "/kysely": {
          const db = new Kysely({ dialect: new PostgresDialect({ pool: new Pool({ connectionString: env.DB.connectionString }) }) });
          const made = await db.transaction().execute((tx) => tx.insertInto("posts").values({ title: "kysely" }).returning("title").executeTakeFirst());
          ctx.waitUntil(db.destroy());
          return Response.json(made);
        }
        case "/error": {
          const sql = postgres(env.DB.connectionString);
          try { await sql\`select * from nowhere\`; return new Response("no error", { status: 500 }); }
          catch (error) { return Response.json({ code: error.code, message: error.message, after: [...(await sql\`select 1 as one\`)] }); }
          finally { ctx.waitUntil(sql.end()); }
        }
        case "/large": {
          const sql = postgres(env.DB.connectionString);
          let rows = 0, bytes = 0;
          await sql\`select i, repeat('x', 1000) as t from generate_series(1, 20000) i\`.cursor(500, (part) => { for (const row of part) { rows++; bytes += row.t.length; } });
          const [{ t }] = await sql\`select repeat('y', 3000000) as t\`;
          const [{ n }] = await sql\`select length(\${"z".repeat(2000000)}::text) as n\`;
          ctx.waitUntil(sql.end());
          return Response.json({ rows, bytes, one: t.length, n });
        }
        case "/hold": { // a transaction that this instance will not end
          const client = new Client({ connectionString: env.DB.connectionString });
          await client.connect();
          await client.query("begin");
          await client.query("lock table posts in access exclusive mode");
          for (const kept = []; searchParams.has("fill"); ) kept.push(new Uint8Array(1e6).fill(1));
          if (searchParams.get("spin")) for (;;);
          if (searchParams.get("leave")) return new Response("left");
          await new Promise((done) => setTimeout(done, 60000));
          return new Response("?");
        }
        case "/amid": { // sends what it is given after a lock, byte by byte as it is, and spins when a message of that type begins
          const [startup, lock, bytes] = (await request.json()).map((text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
          const socket = connect({ hostname: env.DB.host, port: 5432 });
          const writer = socket.writable.getWriter(), reader = socket.readable.getReader();
          let seen = new Uint8Array(0);
          const until = async (type) => {
            for (;;) {
              while (seen.length > 0) {
                if (String.fromCharCode(seen[0]) === type && (type !== "Z" || seen.length >= 6)) {
                  seen = seen.slice(type === "Z" ? 6 : 0);
                  return;
                }
                if (seen.length < 5) break;
                const size = new DataView(seen.buffer, seen.byteOffset).getUint32(1) + 1;
                if (seen.length < size) break;
                seen = seen.slice(size);
              }
              const { value, done } = await reader.read();
              if (done) throw new Error("the connection ended");
              const all = new Uint8Array(seen.length + value.length);
              all.set(seen);
              all.set(value, seen.length);
              seen = all;
            }
          };
          await writer.write(startup);
          await until("Z");
          await writer.write(lock);
          await until("Z");
          await writer.write(bytes);
          if (searchParams.get("until")) await until(searchParams.get("until"));
          else await new Promise((done) => setTimeout(done, 200));
          console.log("spins amid " + searchParams.get("name"));
          for (;;);
        }
        case "/global": { // a client that the request before this one made
          globalThis.kept ??= new Client({ connectionString: env.DB.connectionString });
          kept.on("error", () => {});
          if (searchParams.has("connect")) await kept.connect();
          try { return Response.json((await kept.query("select 1 as one")).rows); }
          catch (error) { return new Response(error.message); }
        }
        case "/tls": {
          const secure = connect({ hostname: env.DB.host, port: 5432 }, { secureTransport: "starttls" }).startTls();
          const told = await Promise.allSettled([secure.opened, secure.closed]);
          return Response.json(told.map(({ reason }) => reason?.message));
        }
        case "/other": {
          const client = new Client({ ...env.DB, connectionString: undefined, database: searchParams.get("database") ?? env.DB.database, user: searchParams.get("user") ?? env.DB.user });
          try { await client.connect(); return new Response("connected"); }
          catch (error) { return Response.json({ code: error.code, message: error.message, hint: error.hint }); }
        }
      }
      return new Response(null, { status: 404 });
    },
  };`;

test("pg, postgres.js, Drizzle and Kysely run unmodified", { timeout: 120000 * patience }, () =>
  withWorker(drivers, async ({ fetch }) => {
    const get = async (path) => (await fetch(path)).json();
    const made = await get("/binding");
    assert.deepEqual(made, {
      host: "test-db.hyperdrive.local", port: 5432, user: "scram_user", password: "by-channel", database: "postgres", tag: "[object Hyperdrive]",
      connectionString: "postgresql://scram_user:by-channel@test-db.hyperdrive.local:5432/postgres?sslmode=disable",
    });
    assert.deepEqual(await get("/pg"), { n: 42, t: "é", u: "scram_user" });
    assert.deepEqual(await get("/pg-parts"), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    const both = { rows: [{ n: 42, list: ["a", "b"] }], inside: [{ a: 1 }, { a: 2 }] };
    assert.deepEqual(await get("/postgres"), both);
    assert.deepEqual(await get("/postgres?prepare=false"), both);
    const { found, again } = await get("/drizzle");
    assert.equal(found[0].title, "drizzle");
    assert.deepEqual(found, again);
    assert.deepEqual(await get("/kysely"), { title: "kysely" });
    assert.deepEqual(await get("/error"), { code: "42P01", message: 'relation "nowhere" does not exist', after: [{ one: 1 }] });
    assert.deepEqual(await get("/large"), { rows: 20000, bytes: 20000000, one: 3000000, n: 2000000 });
    // A hundred requests, each with connections of its own, share what a pool holds.
    const answers = await Promise.all(Array.from({ length: 100 }, () => get("/pg")));
    assert.ok(answers.every(({ n }) => n === 42));
    assert.ok(connections() <= 20, `${connections()} connections`);
  }));

test("an instance has hundreds of connections, and what waits for it and of it is limited in all", { timeout: 120000 * patience }, () =>
  withWorker(drivers, async ({ fetch }) => {
    const all = await Promise.all(Array.from({ length: 60 }, async () => (await fetch("/pool-of-two")).text()));
    assert.deepEqual([...new Set(all)], ["[1,2]"]);
    const filled = await (await fetch("/fill")).json();
    assert.ok(filled.includes(240000));
    assert.deepEqual(new Set(filled), new Set([240000, "Too many bytes wait for the worker's databases."]));
    assert.equal(await (await fetch("/flood")).json(), 120);
  }));

test("a transaction that its instance leaves behind is rolled back", { timeout: 120000 * patience }, () =>
  withWorker(drivers, async ({ fetch, weir }) => {
    const locked = () => Number(postgres.sql("select count(*) from pg_locks where mode = 'AccessExclusiveLock' and relation = 'posts'::regclass"));
    const free = () => eventually(() => assert.equal(locked(), 0));
    // The request ends and the transaction does not.
    assert.equal(await (await fetch("/hold?leave=1")).text(), "left");
    await free();
    // Its client goes away.
    const abort = new AbortController();
    const hanging = fetch("/hold", { signal: abort.signal }).catch(() => {});
    await eventually(() => assert.equal(locked(), 1));
    abort.abort();
    await hanging;
    await free();
    // Its instance is killed.
    const spinning = fetch("/hold?spin=1").catch(() => {});
    await eventually(() => assert.equal(locked(), 1));
    for (const { pid, name } of descendants(weir.process.pid)) if (name === "weir-instance") process.kill(pid, "SIGKILL");
    await spinning;
    await free();
    assert.equal((await (await fetch("/pg")).json()).n, 42);
  }));

// With the address sanitizer there is no memory limit (template.c).
for (const [limit, how] of Object.entries({ CPU: "spin", memory: "fill" }))
  test(`a transaction whose instance ends at its ${limit} limit is rolled back, and its connection is not kept`, { timeout: 120000 * patience, skip: how === "fill" && process.env.ASAN_OPTIONS !== undefined }, () =>
    withWorker(drivers, async ({ fetch }) => {
      assert.equal((await (await fetch("/pg")).json()).n, 42);
      const before = connections();
      assert.match(await (await fetch(`/hold?${how}=1`)).text(), /110[12]/);
      await eventually(() => assert.equal(postgres.sql("select count(*) from pg_locks where relation = 'posts'::regclass"), "0"));
      await eventually(() => assert.ok(connections() <= before));
      assert.equal((await (await fetch("/pg")).json()).n, 42);
    }, `${binding()}[limits]\ncpu_ms = 2000\n`));

test("an instance that is killed amid a COPY, a row, a batch or a message leaves neither lock nor connection", { timeout: 120000 * patience }, () =>
  withWorker(drivers, async ({ fetch, weir }) => {
    const state = () => postgres.sql("select count(*) filter (where state <> 'idle') || ' busy' from pg_stat_activity where usename = 'scram_user' and backend_type = 'client backend'");
    const rows = () => postgres.sql("select count(*) from posts");
    assert.equal((await (await fetch("/pg")).json()).n, 42);
    const [before, rowsBefore] = [connections(), rows()];
    const lock = query("begin; lock table posts in access exclusive mode");
    const batch = Buffer.concat([parse("", "insert into posts (title) values ('batch')"), bind(), execute()]);
    const half = query("insert into posts (title) values ('half')").subarray(0, 20);
    for (const [name, until, bytes] of [
      ["COPY in", "G", query("copy posts (title) from stdin")],
      ["COPY data", "", Buffer.concat([query("copy posts (title) from stdin"), copyData("one\n"), copyData("two\n")])],
      ["COPY out", "d", query("copy (select repeat('x', 1000) from generate_series(1, 100000000)) to stdout")],
      ["DataRow", "D", query("select repeat('x', 100000000)")],
      ["Parse", "", parse("", "select 1")],
      ["batch", "C", Buffer.concat([batch, flush()])],
      ["message", "", half],
    ]) {
      const spinning = fetch(`/amid?name=${encodeURIComponent(name)}&until=${until}`, {
        method: "POST",
        body: JSON.stringify([startup({ user: "scram_user", database: "postgres" }), lock, bytes].map((part) => part.toString("base64"))),
      }).catch(() => {});
      await weir.waitFor(`spins amid ${name}`);
      assert.notEqual(state(), "0 busy", name);
      for (const { pid, name: process_ } of descendants(weir.process.pid)) if (process_ === "weir-instance") process.kill(pid, "SIGKILL");
      await spinning;
      await eventually(() => assert.equal(state(), "0 busy", name));
      assert.equal(postgres.sql("select count(*) from pg_locks where relation = 'posts'::regclass"), "0", name);
      assert.ok(connections() <= before, `${name}: ${connections()} connections, before ${before}`);
      assert.equal((await (await fetch("/pg")).json()).n, 42, name);
    }
    assert.equal(rows(), rowsBefore);
  }));

test("an instance that is killed with a session that is in no transaction leaves nothing of it", { timeout: 120000 * patience }, () =>
  withWorker(drivers, async ({ fetch, weir }) => {
    const locked = () => postgres.sql("select count(*) from pg_locks where locktype = 'advisory'");
    assert.equal((await (await fetch("/pg")).json()).n, 42);
    const before = connections();
    for (const [name, first, locks] of [
      ["a session", "select 1", "0"],
      ["a pinned session", "create temp table kept (a int); select pg_advisory_lock(4711)", "1"],
    ]) {
      const spinning = fetch(`/amid?name=${encodeURIComponent(name)}&until=Z`, {
        method: "POST",
        body: JSON.stringify([startup({ user: "scram_user", database: "postgres" }), query(first), query("select 2")].map((part) => part.toString("base64"))),
      }).catch(() => {});
      await weir.waitFor(`spins amid ${name}`);
      assert.equal(locked(), locks, name);
      for (const { pid, name: process_ } of descendants(weir.process.pid)) if (process_ === "weir-instance") process.kill(pid, "SIGKILL");
      await spinning;
      await eventually(() => assert.equal(locked(), "0", name));
      assert.ok(connections() <= before, `${name}: ${connections()} connections, before ${before}`);
      assert.equal((await (await fetch("/pg")).json()).n, 42, name);
    }
    assert.equal(postgres.sql("select count(*) from pg_class where relname = 'kept'"), "0");
  }));

test("a connection serves the request that made it, and needs no TLS", { timeout: 60000 * patience }, () =>
  withWorker(drivers, async ({ fetch, weir }) => {
    assert.deepEqual(await (await fetch("/global?connect")).json(), [{ one: 1 }]);
    assert.match(await (await fetch("/global")).text(), /^Cannot perform I\/O on behalf of a different request: /);
    const told = "The connection to the database is a channel to this server's own pool: it needs no TLS.";
    assert.deepEqual(await (await fetch("/tls")).json(), [told, told]);
    assert.doesNotMatch(weir.output, /Uncaught/);
  }));

test("a worker reaches its own database as its own user, and nothing else of the pool", { timeout: 60000 * patience }, () =>
  withWorker(drivers, async ({ fetch }) => {
    const refused = {
      code: "28000",
      message: 'test-db.hyperdrive.local is the database "postgres" for the user "scram_user", and no other',
      hint: "Connect with the binding's connectionString.",
    };
    assert.deepEqual(await (await fetch("/other?database=template1")).json(), refused);
    assert.deepEqual(await (await fetch("/other?user=postgres")).json(), refused);
    assert.deepEqual(await (await fetch("/other?database=pgbouncer")).json(), refused);
    assert.equal(await (await fetch("/other")).text(), "connected");
  }));

test("weir serve: the binding names a database of [pool], whose password the worker never has", { timeout: 120000 * patience }, async () => {
  const made = project({
    "w/wrangler.toml": wrangler(binding(null)),
    "w/src/index.js": `import postgres from "postgres";
      export default { async fetch(request, env) {
        const sql = postgres(env.DB.connectionString, { max: 1 });
        const [row] = await sql\`select current_user as u, current_setting('application_name') as app\`;
        await sql.end();
        return Response.json({ ...row, seen: JSON.stringify(env) });
      } };`,
  });
  const port = await freePort();
  const write = (database) => {
    made.write("weir.toml", `[[listener]]\nport = ${port}\n[[worker]]\nproject = "w"\ndefault = true\n[pool]\nlisten = []\n${database}`);
    chmodSync(join(made.dir, "weir.toml"), 0o600);
  };
  const right = `[[pool.databases]]\nname = "main"\nid = "test-db"\ndatabase = "postgres"\nurl = "${url}"\n`;
  const config = join(made.dir, "weir.toml");
  try {
    const check = async (database) => {
      write(database);
      const weir = await Weir.start(["check-config", "--config", config]);
      return { code: (await weir.exited).code, output: weir.output };
    };
    const missing = await check(right.replace("test-db", "another"));
    assert.equal(missing.code, 1);
    assert.match(missing.output, /weir\.toml:3: .*its \[\[hyperdrive\]\] "DB" asks for the database id = "test-db"; add \[\[pool\.databases\]\]/);
    const nobody = await check(`[[pool.databases]]\nname = "test-db"\nhost = "127.0.0.1"\n`);
    assert.match(nobody.output, /the database "test-db" of its \[\[hyperdrive\]\] "DB" needs user/);
    assert.equal((await check(right)).code, 0);
    const weir = await Weir.start(["serve", "--config", config]);
    try {
      await weir.waitFor("serving: 1 worker");
      const get = async () => (await fetch(`http://127.0.0.1:${port}/`)).json();
      const answer = await eventually(get);
      assert.equal(answer.u, "scram_user");
      assert.ok(!answer.seen.includes("scram secret"), answer.seen);
      assert.match(answer.seen, /"database":"main"/);
      // The pool dies: its instances go with it, and others come.
      process.kill(descendants(weir.process.pid).find(({ name }) => name === "weir-pool").pid, "SIGKILL");
      await sleep(300);
      await eventually(async () => assert.equal((await get()).u, "scram_user"));
      // Everything but the listener goes away and comes back with a reload.
      write(right.replace("postgres://", "postgresql://"));
      weir.process.kill("SIGHUP");
      await sleep(500);
      await eventually(async () => assert.equal((await get()).u, "scram_user"));
    } finally {
      await weir.stop();
    }
  } finally {
    made.remove();
  }
});

test("weir serve: drivers reach [pool] by TCP and by a unix socket, with its users, and its console", { timeout: 120000 * patience }, async () => {
  const made = project({ "w/wrangler.toml": wrangler(), "w/src/index.js": "export default { fetch: () => new Response() }" });
  const [http, port] = [await freePort(), await freePort()];
  const user = (name, password) => `[[pool.users]]\nname = "${name}"\npassword = "${password}"\n`;
  const write = (more = "") =>
    made.write("weir.toml", `[[listener]]\nport = ${http}\n[[worker]]\nproject = "w"\ndefault = true\n` +
      `[pool]\nlisten = ["127.0.0.1:${port}", "${made.dir}/.s.PGSQL.${port}"]\nadmin_users = ["admin"]\nstats_users = ["watcher"]\n` +
      `${user("app", "of app")}${user("admin", "of admin")}${user("watcher", "of watcher")}${more}[[pool.databases]]\nname = "main"\nurl = "${url}"\n`);
  write();
  chmodSync(join(made.dir, "weir.toml"), 0o600);
  const ask = async (sql, options) => {
    const client = new pg.Client({ host: "127.0.0.1", port, user: "app", password: "of app", database: "main", ...options });
    client.on("error", () => {});
    try {
      await client.connect();
      return (await client.query(sql)).rows;
    } catch (error) {
      return error.code;
    } finally {
      await client.end().catch(() => {});
    }
  };
  const weir = await Weir.start(["serve", "--config", join(made.dir, "weir.toml")]);
  try {
    await weir.waitFor("serving: 1 worker");
    for (const host of ["127.0.0.1", made.dir]) {
      assert.deepEqual(await ask("select current_user::text as u", { host }), [{ u: "scram_user" }]);
      assert.equal(await ask("select 1", { host, password: "wrong" }), "28P01");
      assert.equal(await ask("select 1", { host, user: "scram_user", password: "scram secret" }), "28P01");
      assert.equal(await ask("select 1", { host, database: "postgres" }), "3D000");
      const console = { host, database: "pgbouncer" };
      assert.ok((await ask("show databases", { ...console, user: "admin", password: "of admin" })).some(({ name }) => name === "main"));
      assert.ok((await ask("show pools", { ...console, user: "watcher", password: "of watcher" })).length > 0);
      assert.equal(await ask("pause", { ...console, user: "watcher", password: "of watcher" }), "42501");
      assert.equal(await ask("show pools", console), "28000");
    }
    assert.equal(postgres.sql("select count(*) > 0 from pg_stat_activity where usename = 'scram_user'"), "t");
    assertConfined(descendants(weir.process.pid).find(({ name }) => name === "weir-pool").pid);
    // The console's RELOAD is of the whole file.
    write(user("newcomer", "of the newcomer"));
    assert.deepEqual(await ask("reload", { database: "pgbouncer", user: "admin", password: "of admin" }), []);
    assert.deepEqual(await ask("select 1 as one", { user: "newcomer", password: "of the newcomer" }), [{ one: 1 }]);
  } finally {
    await weir.stop();
    made.remove();
  }
});

// By root alone: others' memory is not for everybody.
test("weir serve: a password is in no process but the pool's, in no argument, environment, log, error, SHOW or metric", { timeout: 120000 * patience, skip: process.getuid() !== 0 ? "not root" : sanitized }, async () => {
  const secrets = { url: "inTheUrl5e1f93", file: "inTheFile77ac20", variable: "inTheVariable90be", wrong: "thatIsWrong42d1" };
  postgres.sql(Object.entries(secrets).map(([name, secret]) => `create role of_${name} login password '${secret}'`).join(";") + "; alter role of_wrong password 'another'");
  const hba = join(postgres.dir, "data/pg_hba.conf");
  writeFileSync(hba, `host all ${Object.keys(secrets).map((name) => `of_${name}`)} 127.0.0.1/32 scram-sha-256\n${readFileSync(hba, "utf8")}`);
  postgres.sql("select pg_reload_conf()");
  const made = project({
    "w/wrangler.toml": wrangler(binding(null)),
    "w/src/index.js": `import postgres from "postgres";
      export default { async fetch(request, env) {
        const sql = postgres(env.DB.connectionString, { max: 1 });
        const [{ u }] = await sql\`select current_user as u\`;
        await sql.end();
        return new Response(u);
      } };`,
    secret: `${secrets.file}\n`,
  });
  chmodSync(join(made.dir, "secret"), 0o600);
  const [port, admin, poolPort, metrics] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const of = (name, how) => `[[pool.databases]]\nname = "${name}"\ndatabase = "postgres"\n${how}\n[pool.databases.tls]\nmode = "disable"\n`;
  const at = (name) => `host = "127.0.0.1"\nport = ${postgres.port}\nuser = "of_${name}"\n`;
  made.write("weir.toml", `[[listener]]\nport = ${port}\n[admin]\nport = ${admin}\n[[worker]]\nproject = "w"\ndefault = true\n` +
    `[pool]\nlisten = ["127.0.0.1:${poolPort}"]\nauth = "any"\nmetrics_listen = "127.0.0.1:${metrics}"\nlog_connections = true\nlog_disconnections = true\nlog_errors = true\n` +
    of("test-db", `url = "postgres://of_url:${secrets.url}@127.0.0.1:${postgres.port}/postgres"`) + of("file", `${at("file")}password_file = "${made.dir}/secret"`) +
    of("variable", `${at("variable")}password_env = "SECRET_OF_A_TEST"`) + of("wrong", `${at("wrong")}password = "${secrets.wrong}"`));
  chmodSync(join(made.dir, "weir.toml"), 0o600);
  const weir = await Weir.start(["serve", "--config", join(made.dir, "weir.toml")], { env: { SECRET_OF_A_TEST: secrets.variable } });
  try {
    await weir.waitFor("serving: 1 worker");
    const said = [await eventually(async () => (await fetch(`http://127.0.0.1:${port}/`)).text())];
    assert.deepEqual(said, ["of_url"]);
    for (const name of ["file", "variable"]) assert.deepEqual(await (await Wire.login(poolPort, { user: "ana", database: name })).rows("select current_user"), [[`of_${name}`]]);
    const refused = await Wire.login(poolPort, { user: "ana", database: "wrong" });
    assert.match(refused.text, /28P01/);
    const console = await Wire.login(poolPort, { user: "pgbouncer", database: "pgbouncer" });
    for (const { command } of (await table(console, "show help")).filter(({ command }) => /^show /i.test(command))) await console.query(command);
    assert.match(console.text, /of_url/);
    said.push(refused.text, console.text);
    for (const address of [`${metrics}/metrics`, `${admin}/metrics`]) said.push(await (await fetch(`http://127.0.0.1:${address}`)).text());
    const holds = (text) => Object.values(secrets).filter((secret) => text.includes(secret));
    const processes = [{ pid: weir.process.pid, name: "weir" }, ...descendants(weir.process.pid)];
    for (const name of ["weir-pool", "weir-instance", "weir-gateway", "weir-template"]) assert.ok(processes.some((each) => each.name === name), `${name}: ${JSON.stringify(processes)}`);
    for (const { pid, name } of processes) {
      for (const file of ["cmdline", "environ"]) assert.deepEqual(holds(readFileSync(`/proc/${pid}/${file}`, "latin1")), [], `${file} of ${name}`);
      const counts = copies(pid, Object.values(secrets));
      if (name === "weir-pool") assert.ok(counts.every((count) => count > 0), `${name}: ${counts}`);
      else assert.deepEqual(counts, [0, 0, 0, 0], name);
    }
    assert.deepEqual(holds([...said, weir.output].join("\n")), []);
  } finally {
    await weir.stop();
    made.remove();
  }
});

test("weir serve: the single request of one worker does not wait for two hundred of another", { timeout: 120000 * patience }, async () => {
  postgres.sql("create table turns (id serial, who text); grant all on turns, turns_id_seq to scram_user");
  const made = project(Object.fromEntries(["crowd", "single"].flatMap((name) => [
    [`${name}/wrangler.toml`, wrangler(binding(null)).replace('name = "t"', `name = "${name}"`)],
    [`${name}/src/index.js`, `import postgres from "postgres";
      export default { async fetch(request, env) {
        const sql = postgres(env.DB.connectionString, { max: 1, fetch_types: false });
        const [{ id }] = await sql\`insert into turns (who) values (\${"${name}"}) returning id\`;
        await sql.end();
        return new Response(id);
      } };`],
  ])));
  const [port, poolPort] = [await freePort(), await freePort()];
  made.write("weir.toml", `[[listener]]\nport = ${port}\n[[worker]]\nproject = "crowd"\ndefault = true\n[[worker]]\nproject = "single"\nroutes = ["single.test/*"]\n` +
    `[pool]\nlisten = ["127.0.0.1:${poolPort}"]\nauth = "any"\npool_size = 1\n[[pool.databases]]\nname = "test-db"\ndatabase = "postgres"\nurl = "${url}"\n`);
  chmodSync(join(made.dir, "weir.toml"), 0o600);
  const weir = await Weir.start(["serve", "--config", join(made.dir, "weir.toml")]);
  try {
    await weir.waitFor("serving: 2 workers");
    const ask = (host) => raw(port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`, { ms: 100000 * patience });
    const id = (answer) => Number(/^HTTP.1.1 200[^]*\r\n\r\n(\d+)/.exec(answer)?.[1] ?? assert.fail(answer));
    for (const host of ["crowd.test", "single.test"]) id(await eventually(() => ask(host)));
    const [console, gate] = [await Wire.login(poolPort, { user: "pgbouncer", database: "pgbouncer" }), await Wire.login(postgres.port)];
    const waiting = async (count) => assert.equal((await table(console, "show pools")).reduce((sum, { cl_waiting }) => sum + Number(cl_waiting), 0), count);
    // The table is held until all are known to wait: whose turn is whose can be counted, however long each takes.
    await gate.rows("begin; lock table turns");
    const crowd = Array.from({ length: 200 }, () => ask("crowd.test"));
    await eventually(() => waiting(199), 60000 * patience);
    const single = ask("single.test");
    await eventually(() => waiting(200), 60000 * patience);
    const [[before]] = await gate.rows("select last_value from turns_id_seq");
    await gate.rows("commit");
    const turns = id(await single) - before;
    assert.ok(turns <= 4, `${turns} turns`);
    assert.equal(new Set((await Promise.all(crowd)).map(id)).size, 200);
    for (const wire of [console, gate]) wire.close();
  } finally {
    await weir.stop();
    made.remove();
  }
});

test("what is wrong with [[hyperdrive]] is told with file and line", { timeout: 60000 * patience }, async () => {
  for (const [toml, message] of [
    [`[hyperdrive]\nbinding = "DB"`, /wrangler\.toml:4.*write \[\[hyperdrive\]\], with two brackets/],
    [`[[hyperdrive]]\nid = "x"`, /wrangler\.toml:4.*\[\[hyperdrive\]\] needs binding = /],
    [`[[hyperdrive]]\nbinding = "DB"`, /wrangler\.toml:4.*"DB" needs id = /],
    [`[[hyperdrive]]\nbinding = "DB"\nid = "x"\nlocalConnectionString = "mysql://x"`, /"DB": the connection string can not be used: it does not begin with postgres:/],
    [`[[hyperdrive]]\nbinding = "DB"\nid = "x"\nlocalConnectionString = "postgres://u@h/d?sslmode=maybe"`, /sslmode=maybe: expected one of disable/],
  ]) {
    const made = project({ "wrangler.toml": wrangler(toml), "src/index.js": "export default {}" });
    try {
      const weir = await Weir.start(["dev", made.dir, "--port", "0"]);
      await weir.exited;
      assert.match(weir.output, message);
    } finally {
      made.remove();
    }
  }
});

test("pg and postgres.js over TLS that begins later, to Postgres itself: no pool in between", { timeout: 60000 * patience }, async () => {
  const made = project({
    "wrangler.toml": wrangler(`compatibility_flags = ["nodejs_compat"]`),
    "src/index.js": `import { Client } from "pg";
      import postgres from "postgres";
      export default { async fetch(request, env, ctx) {
        if (new URL(request.url).pathname === "/js") {
          const sql = postgres({ host: "localhost", port: ${postgres.port}, username: "tls_user", password: "tls secret", database: "postgres", ssl: true, max: 1 });
          const rows = await sql\`select ssl, version from pg_stat_ssl where pid = pg_backend_pid()\`;
          ctx.waitUntil(sql.end());
          return Response.json(rows);
        }
        const client = new Client({ host: "localhost", port: ${postgres.port}, user: "tls_user", password: "tls secret", database: "postgres", ssl: true });
        await client.connect();
        const { rows } = await client.query("select ssl, version from pg_stat_ssl where pid = pg_backend_pid()");
        await client.end();
        return Response.json(rows);
      } };`,
  });
  chmodSync(postgres.dir, 0o755); // as root the broker is nobody
  const port = await freePort();
  const weir = await Weir.start(["dev", made.dir, "--port", String(port)], { env: { SSL_CERT_FILE: join(postgres.dir, "server.crt") } });
  try {
    await weir.waitFor("ready on");
    for (const path of ["", "js"]) assert.deepEqual(await (await fetch(`http://127.0.0.1:${port}/${path}`)).json(), [{ ssl: true, version: "TLSv1.3" }]);
  } finally {
    await weir.stop();
    made.remove();
  }
});

test("[pool.databases.cache]: what workers ask is answered from the cache, whatever their driver; a restart of the pool's process is not noticed", { timeout: 120000 * patience }, async () => {
  postgres.sql("create table cached (id int primary key, text text); insert into cached values (1, 'old'); grant all on cached to scram_user");
  const made = project({
    "w/wrangler.toml": wrangler(binding(null)),
    "w/src/index.js": `import postgres from "postgres";
      import { Client } from "pg";
      export default { async fetch(request, env) {
        const { pathname } = new URL(request.url);
        if (pathname === "/pg") {
          const client = new Client(env.DB.connectionString);
          await client.connect();
          const { rows } = await client.query("select text from cached where id = $1", [1]);
          await client.end();
          return new Response(rows[0].text);
        }
        const sql = postgres(env.DB.connectionString, { max: 1, prepare: pathname === "/js" });
        const [row] = await sql\`select text from cached where id = \${1}\`;
        await sql.end();
        return new Response(row.text);
      } };`,
  });
  const port = await freePort();
  made.write("weir.toml", `[[listener]]\nport = ${port}\n[[worker]]\nproject = "w"\ndefault = true\n[pool]\nlisten = []\n[[pool.databases]]\nname = "test-db"\ndatabase = "postgres"\nurl = "${url}"\n[pool.databases.cache]\nmax_age = "10m"\n`);
  chmodSync(join(made.dir, "weir.toml"), 0o600);
  const weir = await Weir.start(["serve", "--config", join(made.dir, "weir.toml")]);
  try {
    await weir.waitFor("serving: 1 worker");
    const get = async (path) => (await fetch(`http://127.0.0.1:${port}${path}`)).text();
    const set = (text) => postgres.sql(`update cached set text = '${text}'`);
    for (const path of ["/pg", "/js", "/js-unnamed"]) {
      set("old");
      for (let i = 0; i < 6; i++) assert.equal(await eventually(() => get(path)), "old", path), await sleep(20);
      set("new");
      assert.equal(await get(path), "old", path);
    }
    // Instances that run stay with the old process of the pool; those that come have the new one, with a cache of its own.
    weir.process.kill("SIGUSR2");
    await weir.waitFor("the pool is started anew");
    for (let i = 0; i < 5; i++) assert.equal(await get("/pg"), "old");
    for (const { pid, name } of descendants(weir.process.pid)) if (name === "weir-instance") process.kill(pid, "SIGKILL");
    await eventually(async () => assert.equal(await get("/pg"), "new"));
  } finally {
    await weir.stop();
    made.remove();
  }
});
