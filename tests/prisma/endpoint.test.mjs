// SPDX-License-Identifier: Apache-2.0
// The Prisma endpoint: keys and their rights, the cache, limits, transactions that nobody ends, and those who mean ill.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { stripVTControlCharacters } from "node:util";

import pg from "pg";

import { descendants, freePort, patience, project, root, weirPath } from "../e2e/lib.mjs";
import { sleep } from "../pool/lib.mjs";
import { cliEnvironment } from "./environment.mjs";
import { caching, clients, failure, startEndpoint, until } from "./lib.mjs";

const here = join(root, "tests/prisma"), seed = readFileSync(join(here, "seed.sql"), "utf8");
const v6 = clients("v6"), v7 = clients("v7");
let endpoint, admin;
before(async () => {
  endpoint = await startEndpoint();
  admin = new pg.Client({ connectionString: endpoint.url });
  await admin.connect();
  await admin.query(seed);
});
after(async () => {
  await admin.end();
  await endpoint.stop();
});

const cli = (...args) => spawnSync(weirPath, ["prisma", "key", ...args, "--project", endpoint.dir], { encoding: "utf8" });
const fails = (promise) => promise.then((value) => assert.fail(`it gave ${JSON.stringify(value)}`), failure);
const post = (path, body, key = endpoint.first.key, init = {}) =>
  fetch(`http://127.0.0.1:${endpoint.port}${path}`, { method: "POST", body, headers: { authorization: `Bearer ${key}` }, ...init });
const raw = (sql, more = {}) => JSON.stringify({ plan: { type: "query", args: { type: "rawSql", sql, args: [], argTypes: [] } }, ...more });
const hashOf = (text) => createHash("sha256").update(text).digest("hex"), base64 = (text) => Buffer.from(text).toString("base64");
const put = (hash, text) =>
  fetch(`http://127.0.0.1:${endpoint.port}/6.19.3/${hash}/schema`, { method: "PUT", body: text, headers: { authorization: `Bearer ${endpoint.first.key}` } });
const upload = (text) => put(hashOf(base64(text)), base64(text));
// A client, not extended ($on is not with the extension), whose log is events.
const logging = (version, ...levels) =>
  new (clients(version).edgeClient)({ [version.startsWith("v7") ? "accelerateUrl" : "datasourceUrl"]: endpoint.edgeUrl(undefined, version !== "v5"), log: levels.map((level) => ({ emit: "event", level })) });
// A read, with what the client says of keeping it.
const cached = (body, age, tags, path = "/query") => post(path, body, undefined, { headers: { authorization: `Bearer ${endpoint.first.key}`, "cache-control": age, ...(tags && { "accelerate-cache-tags": tags }) } });

test("keys: forged, altered, expired and revoked ones are refused, with Prisma's code and the remedy, in each protocol", async () => {
  const { key } = endpoint.first, [header, payload, signature] = key.split(".");
  const expiring = await endpoint.live("--expires", `${6 * patience}s`), revoked = await endpoint.live();
  const ask = async (used) => {
    const told = await fails(v6.edge(endpoint.edgeUrl({ key: used })).user.count());
    const also = await fails(v7.edge(endpoint.edgeUrl({ key: used })).user.count());
    assert.equal(told.code, "P6002");
    assert.equal(also.code, "P6002");
    return told.message;
  };
  assert.equal(await v6.edge(endpoint.edgeUrl(revoked)).user.count(), 4);
  const claims = JSON.parse(Buffer.from(payload, "base64url"));
  assert.deepEqual(Object.keys(claims), ["jti", "database", "access", "iat"]);
  const other = Buffer.from(JSON.stringify({ ...claims, database: "other" })).toString("base64url");
  const unsigned = Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url");
  for (const bad of ["x", "a.b.c", `${header}.${other}.${signature}`, `${header}.${payload}.${signature.slice(0, -2)}AA`, `${unsigned}.${payload}.`, `${header}.${payload}.${"A".repeat(43)}`, "é".repeat(10), "x".repeat(5000)])
    assert.match(await ask(encodeURIComponent(bad)), /not valid here|no api key/);
  assert.equal(cli("revoke", revoked.id).status, 0);
  await until(async () => (await post("/connection-info", undefined, revoked.key)).status === 401);
  assert.match(await ask(revoked.key), /not among.*revoked/);
  await until(async () => /expired/.test(await ask(expiring.key)));
});

test("a key is revoked while the project's configuration has a mistake", async () => {
  const revoked = await endpoint.live(), file = join(endpoint.dir, "wrangler.toml"), good = readFileSync(file, "utf8");
  writeFileSync(file, `${good}x =\n`);
  assert.equal(cli("revoke", revoked.id).status, 0);
  await until(async () => (await post("/connection-info", undefined, revoked.key)).status === 401);
  assert.equal((await post("/connection-info")).status, 200);
  writeFileSync(file, good);
  await endpoint.live();
});

test("weir prisma key: list, revoke, and what is misused", () => {
  const made = endpoint.key("--read-only", "--expires", "2d");
  const list = JSON.parse(cli("list", "--json").stdout);
  assert.equal(list[made.id].database, "app");
  assert.equal(list[made.id].read_only, true);
  assert.ok(!cli("list").stdout.includes(made.key.split(".")[2]));
  assert.match(cli("list").stdout, new RegExp(`${made.id} +app +read only .*expires`));
  assert.equal(cli("revoke", made.id).status, 0);
  const again = cli("revoke", made.id);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /no key .*key list/);
  assert.equal(cli("create", "--database", "nowhere").status, 1);
  for (const verb of ["create", "list"]) assert.match(cli(verb, "--database", "nowhere").stderr, /no database "nowhere".*"private".*\[\[hyperdrive\]\].*\["private", "app"\]/);
  assert.deepEqual([cli("list", "--database", "nowhere").status, cli("list", "--database", "private", "--json").stdout], [1, "{}\n"]);
  for (const args of [["create", "x"], ["revoke"], ["mint"], ["create", "--expires", "soon"],
    ["list", "--expires", "3d"], ["list", "--read-only"], ["revoke", made.id, "--requests", "5"], ["list", "--transactions", "5"], ["revoke", made.id, "--json"]]) {
    const { status, stdout, stderr } = cli(...args);
    assert.deepEqual([status, stdout, /^weir: prisma: .*--help$/m.test(stderr)], [2, "", true], args.join(" "));
  }
  assert.equal(execFileSync("stat", ["-c", "%a", join(endpoint.dir, ".weir/prisma/keys.json")], { encoding: "utf8" }).trim(), "600");
});

for (const [version, made] of [["6", v6], ["7", v7]])
  test(`a key that is read only changes nothing, whatever is tried (${version})`, async () => {
    await admin.query(seed);
    const p = made.edge(endpoint.edgeUrl(await endpoint.live("--read-only")));
    assert.equal(await p.user.count(), 4);
    assert.equal((await p.$queryRaw`select count(*)::int as n from users`)[0].n, 4);
    assert.equal((await p.$transaction((tx) => tx.user.findMany())).length, 4);
    for (const attempt of [
      () => p.user.create({ data: { email: "x@example.com" } }),
      () => p.user.deleteMany(),
      () => p.$executeRaw`delete from "Comment"`,
      () => p.$queryRaw`delete from "Comment" returning "postId"`,
      () => p.$transaction([p.tag.deleteMany(), p.user.count()]),
      () => p.$transaction((tx) => tx.comment.deleteMany()),
      () => p.$transaction(async (tx) => { await tx.$executeRaw`set transaction read write`; await tx.comment.deleteMany(); }),
      () => p.$transaction(async (tx) => { await tx.$executeRaw`commit`; await tx.comment.deleteMany(); }),
      () => p.$transaction(async (tx) => { await tx.$executeRaw`set default_transaction_read_only = off`; await tx.$executeRaw`rollback`; await tx.comment.deleteMany(); }),
      () => p.$executeRawUnsafe('commit; delete from "Comment"'),
      () => p.$queryRawUnsafe('select 1; commit; delete from "Comment"'),
      () => p.$transaction([p.$executeRaw`commit and chain`, p.$executeRaw`set transaction read write`, p.comment.deleteMany()]),
      () => p.$transaction(async (tx) => { await tx.$executeRaw`rollback and chain`; await tx.$executeRaw`set transaction read write`; await tx.comment.deleteMany(); }),
      () => p.$transaction((tx) => Promise.all([tx.$executeRaw`commit`, tx.$executeRaw`delete from "Comment"`])),
      () => p.$executeRaw`/* a /* nested */ comment */ -- and another
        commit`,
      () => p.$executeRaw`set session characteristics as transaction read write`.then(() => p.comment.deleteMany()),
    ]) {
      await fails(attempt());
      const { rows } = await admin.query('select (select count(*) from users)::int as users, (select count(*) from "Comment")::int as comments, (select count(*) from "Tag")::int as tags');
      assert.deepEqual(rows[0], { users: 4, comments: 3, tags: 3 }, attempt.toString());
    }
    await p.$disconnect();
  });

// What an interpreter that goes on asks for when the end of its transaction was asked for.
test("nothing runs behind a transaction's end, in none: no reader's statement, nobody's", { timeout: 90000 * patience }, async () => {
  await admin.query(seed);
  const reader = (await endpoint.live("--read-only")).key, query = (sql) => JSON.parse(raw(sql)).plan, seq = (...args) => ({ type: "seq", args });
  const deleting = (seconds) => seq(query(`select pg_sleep(${seconds})::text`), query('with d as (delete from "Comment" returning 1) select count(*)::int as n from d'));
  const adding = seq(query("select pg_sleep(1)::text"), query(`insert into "Tag" (name) values ('late') returning id`));
  const unharmed = async (what) => {
    const { rows } = await admin.query(`select (select count(*) from "Comment")::int as comments, (select count(*) from "Tag")::int as tags, (select count(*) from "Post" where title = 'late')::int as posts`);
    assert.deepEqual(rows, [{ comments: 3, tags: 3, posts: 0 }], what);
  };
  const start = async (timeout, key) => (await (await post("/transaction/start", `{"timeout":${timeout}}`, key)).json()).id;
  const failing = { type: "concat", args: [{ type: "required", args: { type: "value", args: null } }, deleting(1)] };
  assert.notEqual((await post("/query", JSON.stringify({ plan: failing }), reader)).status, 200);
  await sleep(1500);
  await unharmed("one request");
  for (const [key, plan] of [[reader, deleting(1)], [endpoint.first.key, adding]]) {
    const id = await start(5000, key), asked = post(`/transaction/${id}/query`, JSON.stringify({ plan }), key);
    await sleep(300);
    assert.equal((await post(`/transaction/${id}/rollback`, undefined, key)).status, 200);
    const answer = await asked;
    assert.deepEqual([answer.status, (await answer.json()).code], [409, "P2028"]);
    await unharmed("a rollback meanwhile");
  }
  const late = async (seconds) => {
    const id = await start(500, reader);
    await post(`/transaction/${id}/query`, JSON.stringify({ plan: deleting(seconds) }), reader);
  };
  await Promise.all([0.45, 0.48, 0.51, 0.54, 0.57].map(late));
  await unharmed("its time is over meanwhile");
  for (const made of [v6, v7]) {
    const p = made.edge(endpoint.edgeUrl());
    await admin.query("begin; select 1 from users where id = 1 for update");
    const nested = { where: { id: 1 }, data: { name: "late", posts: { create: { title: "late" } } } };
    const failed = fails(p.$transaction((tx) => Promise.all([tx.user.update(nested), sleep(300).then(() => Promise.reject(new Error("no")))])));
    await sleep(1000);
    await admin.query("commit");
    assert.match((await failed).message, /^no$/);
    await sleep(300);
    await unharmed("a program that fails meanwhile");
    assert.equal((await admin.query("select name from users where id = 1")).rows[0].name, "Ada");
    await p.$disconnect();
  }
});

test("a key that is read only leaves nothing to others: no setting, no lock, no large object", async () => {
  const reader = v6.edge(endpoint.edgeUrl(await endpoint.live("--read-only"))), p = v6.edge(endpoint.edgeUrl());
  await reader.$queryRaw`select set_config('search_path', 'depot', false)`;
  await reader.$transaction((tx) => tx.$queryRaw`select set_config('TimeZone', 'Asia/Tokyo', false)`);
  await reader.$queryRaw`select lo_from_bytea(0, 'abc')::text`.catch(() => {});
  await fails(reader.$queryRaw`select pg_advisory_lock(1)::text`);
  await fails(reader.$queryRawUnsafe(`select U&"pg_advisory\\005flock"(2)::text`));
  await fails(reader.$queryRaw`select query_to_xml('select pg_advisory_' || 'lock(3)', true, true, '')::text`);
  assert.equal((await admin.query("select count(*)::int as n from pg_locks where locktype = 'advisory'")).rows[0].n, 0);
  for (const call of ["pg_terminate_backend(pg_backend_pid())", "pg_cancel_backend(pg_backend_pid())", "pg_reload_conf()", "pg_switch_wal()", "pg_notify('a', 'b')", "pg_stat_reset()", "pg_logical_emit_message(false, 'a', 'b')", "pg_read_file('postgresql.conf')", "lo_export(1, '/dev/null')"])
    assert.equal((await fails(reader.$queryRawUnsafe(`select ${call}::text`))).code, "P6002", call);
  await fails(reader.$queryRaw`select nextval('users_id_seq')::text`);
  await fails(reader.$executeRaw`set statement_timeout = 7`);
  assert.deepEqual(await reader.$queryRaw`with one as (select 1 as x) select x from one`, [{ x: 1 }]);
  for (let i = 0; i < 5; i++) {
    const [row] = await p.$queryRaw`select current_setting('search_path') as path, current_setting('TimeZone') as zone`;
    assert.notEqual(row.path, "depot");
    assert.notEqual(row.zone, "Asia/Tokyo");
  }
  assert.equal((await admin.query("select count(*)::int as n from pg_largeobject_metadata")).rows[0].n, 0);
  await reader.$disconnect();
  await p.$disconnect();
});

test("a key that is read only calls no function that reaches beyond its transaction, however it is spelled; other names are names", { timeout: 60000 * patience }, async () => {
  const own = await endpoint.live("--read-only"), readers = [v6, v7].map((made) => made.edge(endpoint.edgeUrl(own)));
  await admin.query("create table crosstabs (dblink_url text, pg_notify text, crosstab text); insert into crosstabs values ('a', 'b', 'c')");
  for (const call of [
    "pg_advisory_lock(5)", "PG_Advisory_Lock (5)", '"pg_advisory_lock"\n(5)', "pg_catalog.pg_advisory_lock(5)", '"pg_catalog" . "pg_advisory_lock" (5)',
    "pg_advisory_lock/* /* ( */ */(5)", "pg_advisory_lock--(\n(5)", 'U&"pg_advisory\\005flock"(5)', `u&"pg!005fadvisory!005flock" uescape '!' (5)`,
    "(5::bigint).pg_advisory_lock", '(5::bigint)."pg_advisory_lock"', "( 5::bigint ) . /**/ pg_advisory_lock", "(5::bigint).--\npg_advisory_lock",
    "(array[5::bigint])[1].pg_advisory_lock", "f.pg_advisory_lock from unnest(array[5::bigint]) f", "f.pg_advisory_lock/**/from unnest(array[5::bigint]) f",
  ]) {
    await admin.query(`select ${call}`); // it is SQL
    for (const reader of readers) assert.equal((await fails(reader.$queryRawUnsafe(`select ${call}`))).code, "P6002", call);
  }
  for (const reader of readers) assert.equal((await fails(reader.$queryRawUnsafe("select $1.pg_advisory_lock", 5))).code, "P6002");
  await admin.query("select pg_advisory_unlock_all()");
  assert.equal((await admin.query("select 1 from pg_locks where locktype = 'advisory'")).rowCount, 0);
  for (const reader of readers) {
    for (const named of [
      "dblink_url from crosstabs", 't.dblink_url from crosstabs as t where t."dblink_url" = \'a\'', '"public"."crosstabs"."dblink_url" from "public"."crosstabs" where true /* all */',
      "pg_notify, crosstab from crosstabs order by pg_notify", "1 as dblink",
    ])
      assert.equal((await reader.$queryRawUnsafe(`select ${named}`)).length, 1, named);
    await reader.$disconnect();
  }
  // Who may do it leaves no lock to others.
  const one = v6.edge(endpoint.edgeUrl());
  await one.$queryRaw`select (5::bigint).pg_advisory_lock::text`;
  await until(async () => (await admin.query("select 1 from pg_locks where locktype = 'advisory'")).rowCount === 0, 5000);
  await one.$disconnect();
  await admin.query("drop table crosstabs");
});

test("what one key sets in a session is not there for others", async () => {
  const one = v6.edge(endpoint.edgeUrl()), two = v6.edge(endpoint.edgeUrl(await endpoint.live()));
  await one.$executeRaw`set search_path = depot`;
  await one.$queryRaw`select set_config('TimeZone', 'Asia/Tokyo', false)`;
  await one.$transaction((tx) => tx.$executeRaw`set statement_timeout = 1234`);
  await one.$executeRaw`create temp table users (wrong int)`;
  await one.$executeRaw`deallocate all`;
  await one.$queryRaw`select 1 as wrong into temp "Tag"`.catch(() => {});
  await one.$queryRawUnsafe(`select U&"\\0073et_config"('search_path', 'depot', false)`);
  await one.$queryRaw`select query_to_xml('select set_' || 'config(''TimeZone'', ''Asia/Tokyo'', false)', true, true, '')::text`;
  for (let i = 0; i < 5; i++) {
    const [row] = await two.$queryRaw`select current_setting('search_path') as path, current_setting('TimeZone') as zone, current_setting('statement_timeout') as ms, (select count(*)::int from users) as n, (select count(*)::int from "Tag" where name is not null) as tags`;
    assert.equal(row.tags, 3);
    assert.deepEqual([row.path.includes("depot"), row.zone === "Asia/Tokyo", row.ms === "1234ms", row.n], [false, false, false, 4]);
  }
  await one.$disconnect();
  await two.$disconnect();
});

test("what hides that it sets something is not there for others either", { timeout: 60000 * patience }, async () => {
  const one = v6.edge(endpoint.edgeUrl()), two = v6.edge(endpoint.edgeUrl(await endpoint.live()));
  await admin.query(`
    create function leaks() returns text language sql as $$ select set_config('search_path', 'depot', false) $$;
    create procedure leaks_called() language sql as $$ select set_config('search_path', 'depot', false) $$;
    create schema evil;
    create function evil.abs(int) returns text language sql as $$ select set_config('search_path', 'depot', false) $$;
    create function "a""abs"(int) returns text language sql as $$ select set_config('search_path', 'depot', false) $$;
    create view leaking as select set_config('TimeZone', 'Asia/Tokyo', false)`);
  const seen = () => Promise.all(Array.from({ length: 5 }, () => two.$queryRaw`select current_setting('search_path') as path, current_setting('TimeZone') as zone, pg_sleep(0.05)::text`));
  const clean = await seen();
  for (const statement of [
    "update pg_settings set setting = 'depot' where name = 'search_path'", "update pg_settings set setting = 'Asia/Tokyo' where name = 'TimeZone'", "select public.leaks()",
    'select "leaks" /* */ ()', "select leaks -- count\n ()", "do $$ begin perform set_config('search_path', 'depot', false); end $$", "call leaks_called()", "--\rset search_path = depot",
    "select * from leaking", "; set search_path = depot", "/* */ ; -- \n ; set time zone 'Asia/Tokyo'", "select evil./**/abs(1)", `select evil.${" ".repeat(300)}abs(1)`, 'select "a""abs"(1)',
  ]) {
    await one.$executeRawUnsafe(statement);
    assert.deepEqual(await seen(), clean, statement);
  }
  await admin.query('drop function leaks; drop procedure leaks_called; drop view leaking; drop function "a""abs"; drop schema evil cascade');
  await Promise.all([one.$disconnect(), two.$disconnect()]);
});

test("what a transaction's first statement is to decide, nothing of weir's decides before", { timeout: 60000 * patience }, async () => {
  const waits = "select 1 from pg_locks where not granted";
  for (const p of [v6.direct(endpoint.url), v6.edge(endpoint.edgeUrl()), v7.edge(endpoint.edgeUrl())]) {
    await admin.query(`${seed}; begin; insert into "Tag" (name) values ('locked')`);
    const read = p.$transaction(
      async (tx) => {
        await tx.$executeRaw`lock table "Tag" in share mode`;
        return tx.tag.count({ where: { name: "locked" } });
      },
      { isolationLevel: "RepeatableRead", timeout: 15000 },
    );
    await until(async () => (await admin.query(waits)).rowCount > 0);
    await admin.query("commit");
    assert.equal(await read, 1);
    const [{ level }] = await p.$transaction(async (tx) => {
      await tx.$executeRaw`/* the first */ set transaction isolation level serializable`;
      return tx.$queryRaw`select current_setting('transaction_isolation') as level`;
    });
    assert.equal(level, "serializable");
    await p.$disconnect();
  }
  await admin.query(seed);
});

test("a transaction that one key begins by itself, and tables it hides in a session, are not there for others", { timeout: 60000 * patience }, async () => {
  const one = v6.edge(endpoint.edgeUrl()), two = v7.edge(endpoint.edgeUrl(await endpoint.live()));
  for (const [index, statement] of ["begin", "start transaction", "/* */ begin isolation level serializable"].entries()) {
    await one.$executeRawUnsafe(statement);
    const { id } = await two.tag.create({ data: { name: `after ${index}` } });
    assert.equal((await admin.query('select count(*)::int as n from "Tag" where id = $1', [id])).rows[0].n, 1, statement);
  }
  for (const statement of ['select 1 as a into/**/temp hidden', "with x as (select 1) select 2 as a into -- a comment\n temporary hidden", "explain (analyze) create temp table hidden as select 3 as a", "; create temp table hidden as select 4 as a"]) {
    await one.$executeRawUnsafe(statement);
    const found = await Promise.all(Array.from({ length: 5 }, () => two.$queryRaw`select to_regclass('hidden')::text as name, pg_sleep(0.1)::text`));
    assert.deepEqual(found.map(([{ name }]) => name), Array(5).fill(null), statement);
  }
  await admin.query(seed);
  await Promise.all([one.$disconnect(), two.$disconnect()]);
});

test("plans of 7.0 to 7.3, and of 6 with engineType client, are run as what they name otherwise", async () => {
  const ask = async (plan, params) => (await post("/query", JSON.stringify({ plan, params }))).json();
  const parameter = (name) => ({ prisma__type: "param", prisma__value: { name, type: "Int" } });
  const fragments = [{ type: "stringChunk", chunk: 'select name from "Tag" where id in ' }, { type: "parameterTuple" }, { type: "stringChunk", chunk: " order by id" }];
  const found = { type: "query", args: { type: "templateSql", fragments, args: [parameter("ids")], argTypes: [{ arity: "scalar", scalarType: "int" }], placeholderFormat: { prefix: "$", hasNumbering: true }, chunkable: true } };
  await admin.query(seed);
  assert.deepEqual(await ask(found, { ids: [1, 3] }), { data: [{ name: "news" }, { name: "unused" }] });
  const validate = { type: "validate", args: { expr: found, rules: [{ type: "rowCountNeq", args: 0 }], error_identifier: "MISSING_RECORD", context: { operation: "a query" } } };
  assert.equal((await ask(validate, { ids: [99] })).code, "P2025");
});

test("plans that reach for what all objects inherit, or never end, are refused; others are answered meanwhile", { timeout: 60000 * patience }, async () => {
  const ask = async (body) => (await post("/query", JSON.stringify(body).replaceAll('"__PROTO__"', '"__proto__"'))).status;
  const value = { type: "value", args: 1 };
  const assign = { type: "set", value: [{ action: "executeRaw" }] };
  assert.equal(await ask({ plan: { type: "mapRecord", args: { expr: { type: "get", args: { name: "__PROTO__" } }, fields: { batch: assign } } } }), 400);
  assert.equal(await ask({ plan: { type: "mapField", args: { field: "__PROTO__", records: value } } }), 400);
  assert.equal(await ask({ plan: value, params: { "__PROTO__": { batch: [] } } }), 400);
  assert.equal(await ask({ plan: { type: "process", args: { expr: value, operations: { nested: { constructor: {} } } } } }), 400);
  const endless = { prisma__type: "param", prisma__value: { name: "a", type: "x" } };
  assert.equal(await ask({ plan: { type: "value", args: endless }, params: { a: endless } }), 400);
  assert.equal(await ask({ plan: { type: "value", args: endless }, params: { a: [[{ x: { prisma__type: "generatorCall", prisma__value: { name: "now", args: [] } } }]] } }), 400);
  // What is no text is not one by itself; what a value finds, nobody writes.
  const breaking = (expr) => ({ plan: { type: "mapRecord", args: { expr, fields: { toString: { type: "set", value: "x" } } } } });
  assert.equal(await ask(breaking({ type: "getFirstNonEmpty", args: { names: ["__PROTO__"] } })), 400);
  assert.equal(await ask(breaking({ type: "getFirstNonEmpty", args: { names: [["__PROTO__"]] } })), 400);
  assert.equal(await ask(breaking({ type: "get", args: { name: ["__PROTO__"] } })), 400);
  assert.equal(await ask(breaking({ type: "mapField", args: { field: [["__PROTO__"]], records: { type: "value", args: {} } } })), 400);
  const structure = { type: "object", fields: { x: { type: "field", dbName: "x", fieldType: { type: "enum", name: "E" } } } };
  const text = { type: "value", args: '{"x":"__proto' + '__"}' };
  for (const E of [{}, [], "", { x: 1 }])
    assert.ok((await ask(breaking({ type: "mapField", args: { field: "x", records: { type: "dataMap", args: { expr: text, structure, enums: { E } } } } }))) >= 400);
  const inDisguise = { type: "dataMap", args: { structure: {}, nested: { constructor: {} } }, nested: { constructor: {} } };
  assert.equal(await ask({ plan: { type: "process", args: { expr: value, operations: inDisguise } } }), 400);
  const none = { pagination: { skip: 1, take: null, cursor: null }, distinct: null, linkingFields: null, reverse: false, nested: {} };
  const operations = { ...none, pagination: null, nested: { toString: { ...none, pagination: null, nested: { call: none } } } };
  await ask({ plan: { type: "process", args: { expr: { type: "value", args: {} }, operations } } });
  const chain = (...names) => names.reduceRight((nested, name) => ({ ...none, pagination: null, nested: { [name]: nested } }), none);
  assert.equal(await ask({ plan: { type: "process", args: { expr: { type: "value", args: {} }, operations: chain("cursor", "constructor", "prototype", "toString") } } }), 200, "there is nothing of that name");
  assert.equal(await ask({ plan: { type: "process", args: { expr: { type: "mapField", args: { field: "constructor", records: { type: "value", args: {} } } }, operations: chain("cursor") } } }), 200, "nor of that");
  assert.equal(await ask({ plan: { type: "mapRecord", args: { expr: { type: "value", args: {} }, fields: { toString: assign, valueOf: assign } } } }), 200, "of its own it may have one");
  const p = v6.edge(endpoint.edgeUrl()), q = v7.edge(endpoint.edgeUrl());
  assert.deepEqual([await p.user.count(), await q.user.count()], [4, 4]);
  await p.$disconnect();
  await q.$disconnect();
});

test("with version 7, fields, relations and an enum's values may be called what every object has", async () => {
  const select = { type: "query", args: { type: "templateSql", fragments: [{ type: "stringChunk", chunk: `select 'x' as "constructor", 'prototype' as "prototype", '{"prototype":"constructor"}'::jsonb as "one"` }], args: [], argTypes: [], placeholderFormat: { prefix: "$", hasNumbering: true }, chunkable: false } };
  const field = (dbName, type) => ({ type: "field", dbName, fieldType: { arity: "scalar", ...type } }), ofEnum = { type: "enum", name: "Kind" };
  const fields = { constructor: field("constructor", { type: "string" }), prototype: field("prototype", ofEnum) };
  const structure = { type: "object", serializedName: null, skipNulls: false, fields: { ...fields, one: { type: "object", serializedName: "one", skipNulls: false, fields: { constructor: field("prototype", ofEnum) } } } };
  const ask = async (enums) => (await post("/query", JSON.stringify({ plan: { type: "dataMap", args: { expr: { type: "unique", args: select }, structure, enums } } }))).json();
  const told = { constructor: "x", prototype: "Prototype", one: { constructor: "constructor" } };
  assert.deepEqual(await ask({ Kind: { prototype: "Prototype", constructor: "constructor" } }), { data: told });
  assert.match(JSON.stringify(await ask({ Kind: { prototype: "Prototype" } })), /Value 'constructor' not found in enum 'Kind'/);
});

test("a value that looks like a parameter is a value", { timeout: 60000 * patience }, async () => {
  await admin.query(seed);
  const p = v6.edge(endpoint.edgeUrl());
  for (let i = 0; i < 12; i++) await p.user.findMany({ where: { id: i }, take: i + 1 }); // then values are told from shapes
  const hash = p._engineConfig?.inlineSchemaHash ?? p._engine.inlineSchemaHash;
  const parameter = (name, type = "X") => ({ prisma__type: "param", prisma__value: { name, type } });
  const find = ($type, field, value = parameter("%1")) => ({ modelName: "Everything", action: "findMany", query: { arguments: { where: { [field]: { $type, value } } }, selection: { id: true } } });
  const make = (value) => ({ modelName: "Everything", action: "createMany", query: { arguments: { data: Array(1001).fill({ id: 7, zoned: { $type: "DateTime", value } }) }, selection: { count: true } } });
  const status = async (body) => (await post(`/6.19.3/${hash}/graphql`, JSON.stringify(body))).status;
  for (const body of [find("DateTime", "zoned"), find("BigInt", "bigint"), find("Decimal", "decimal"), find("Bytes", "bytes"), find("DateTime", "zoned", [parameter("%1")]), make(parameter("%1"))]) {
    assert.equal(await status(body), 400);
    if (body.action !== "createMany") assert.equal(await status({ batch: [body, body] }), 400);
  }
  await p.$disconnect();
  // With version 7, made by steps of the plan, or of the database's rows.
  const ask = async (plan) => (await post("/query", JSON.stringify({ plan }))).json();
  const bind = (expr, body = { type: "value", args: parameter("x") }) => ({ type: "let", args: { bindings: [{ name: "x", expr }], expr: body } });
  const literal = (args) => ({ type: "value", args });
  const text = JSON.stringify(parameter("x")), operations = { pagination: null, distinct: null, linkingFields: null, reverse: false, nested: {} };
  const parsed = (expr) => ({ type: "process", args: { expr, operations } });
  const select = (sql) => ({ type: "query", args: { type: "templateSql", fragments: [{ type: "stringChunk", chunk: sql }], args: [], argTypes: [], placeholderFormat: { prefix: "$", hasNumbering: true }, chunkable: false } });
  const ofRows = { type: "mapField", args: { field: "a", records: { type: "unique", args: select(`select '${text}'::text as a`) } } };
  for (const expr of [parsed(literal(text)), { type: "mapField", args: { field: "a", records: literal({ a: parameter("x") }) } }, parsed(ofRows)])
    assert.deepEqual(await ask(bind(expr)), { data: parameter("x") });
  assert.deepEqual(await ask(bind(parsed(literal(`[${text},${text}]`)))), { data: [parameter("x"), parameter("x")] });
  const json = { type: "mapField", args: { field: "a", records: { type: "unique", args: select(`select '${text}'::jsonb as a`) } } };
  for (const expr of [json, parsed(json)]) assert.ok((await ask(bind(expr))).data);
});

test("bytes in lists are bytes; createMany of many rows is one statement to its client", { timeout: 120000 * patience }, async () => {
  await admin.query(seed);
  const p = v6.edge(endpoint.edgeUrl());
  await p.$executeRaw`update "Everything" set "bytesList" = ${[Buffer.from([1]), Buffer.from([255, 0])]}::bytea[] where id = 1`;
  assert.equal((await admin.query('select "bytesList"::text as t from "Everything" where id = 1')).rows[0].t, '{"\\\\x01","\\\\xff00"}');
  for (let i = 0; i < 12; i++) await p.user.findMany({ where: { id: i }, take: i + 1 }); // then shapes are kept
  const found = await p.everything.findMany({ where: { bytesList: { equals: [Buffer.from([1]), Buffer.from([255, 0])] } }, select: { id: true } });
  assert.deepEqual(found, [{ id: 1 }]);
  const rows = Array.from({ length: 3500 }, (_, i) => ({ name: `many ${i}` }));
  assert.deepEqual(await p.tag.createMany({ data: rows }), { count: 3500 });
  assert.equal((await fails(p.tag.createMany({ data: [...rows.map(({ name }) => ({ name: `new ${name}` })), { name: "many 7" }] }))).code, "P2002");
  assert.equal(await p.tag.count({ where: { name: { startsWith: "new many" } } }), 0, "all or none");
  assert.deepEqual(await p.tag.createMany({ data: [...rows, { name: "last" }], skipDuplicates: true }), { count: 1 });
  assert.equal((await p.tag.createManyAndReturn({ data: rows.slice(0, 1200).map(({ name }) => ({ name: `back ${name}` })) })).length, 1200);
  await admin.query(seed);
  await p.$disconnect();
});

test("createMany of one row that has a field `length`", async () => {
  await admin.query('create table "Film" (id serial primary key, length int)');
  const schema = 'datasource db {\n  provider = "postgresql"\n}\ngenerator client {\n  provider = "prisma-client-js"\n}\nmodel Film {\n  id Int @id @default(autoincrement())\n  length Int\n}\n';
  assert.equal((await upload(schema)).status, 200);
  const query = { modelName: "Film", action: "createMany", query: { arguments: { data: { length: 1500 } }, selection: { count: true } } };
  const told = await (await post(`/6.19.3/${hashOf(base64(schema))}/graphql`, JSON.stringify(query))).json();
  assert.deepEqual(told, { data: { createMany: { count: 1 } } });
  assert.deepEqual((await admin.query('select length from "Film"')).rows, [{ length: 1500 }]);
  await admin.query('drop table "Film"');
});

test("the cache: miss, ttl, stale while it is fetched anew, expiry; by tag and all; never within a transaction", { timeout: 60000 * patience }, async () => {
  await admin.query(seed);
  for (const made of [v6, v7]) {
    const p = made.edge(endpoint.edgeUrl()), strategy = { ttl: 60 };
    assert.deepEqual(await caching(p), caching.told);
    const { info } = await p.user.findUnique({ where: { id: 2 }, cacheStrategy: strategy }).withAccelerateInfo();
    assert.equal(info.cacheStatus, "miss", "other arguments");
    await p.$disconnect();
  }
  assert.equal((await post("/invalidate", '{"tags":5}')).status, 400);
});

for (const [version, made] of [["6", v6], ["7", v7]])
  test(`a hit says when its result was stored, and which query it is of (${version})`, async () => {
    const p = made.edge(endpoint.edgeUrl()), read = async (id) => (await p.user.findUnique({ where: { id }, select: { id: true, role: true }, cacheStrategy: { ttl: 600 } }).withAccelerateInfo()).info;
    const miss = await read(1);
    await until(() => Date.now() - miss.lastModified > 2500);
    const hit = await read(1), other = await read(2);
    assert.deepEqual([miss.cacheStatus, hit.cacheStatus, other.cacheStatus], ["miss", "ttl", "miss"]);
    assert.ok(hit.lastModified <= miss.lastModified, `${hit.lastModified} is after ${miss.lastModified}`);
    assert.match(hit.signature, /^[0-9a-f]{64}$/);
    assert.equal(hit.signature, miss.signature);
    assert.notEqual(other.signature, hit.signature);
    assert.equal((await p.user.count().withAccelerateInfo()).info.signature, "unspecified");
    await p.$disconnect();
  });

test("what is kept is of one schema of a client's: the same body under another one is another query", async () => {
  await admin.query(seed);
  const schemaOf = (column) => `datasource db {\n  provider = "postgresql"\n}\nmodel Named {\n  it String @id @map("${column}")\n  @@map("users")\n}\n`;
  const body = JSON.stringify({ modelName: "Named", action: "findMany", query: { arguments: { where: { it: { startsWith: "Ada", mode: "insensitive" } } }, selection: { it: true } } });
  const ask = async (column) => {
    const answer = await cached(body, "max-age=600", undefined, `/6.19.3/${hashOf(base64(schemaOf(column)))}/graphql`);
    return `${answer.headers.get("accelerate-cache-status")} ${(await answer.json()).data.findMany.map(({ it }) => it)}`;
  };
  for (const column of ["email", "name"]) assert.equal((await upload(schemaOf(column))).status, 200);
  for (const status of ["miss", "ttl"]) for (const [column, value] of [["email", "ada@example.com"], ["name", "Ada"]]) assert.equal(await ask(column), `${status} ${value}`);
});

test("who asks for what is being fetched waits for it, or gets what is stale", { timeout: 60000 * patience }, async () => {
  await admin.query("create sequence fetches");
  const body = raw("select nextval('fetches')::int as n, pg_sleep(0.3)::text", { operation: "findMany" });
  const crowd = async (age) => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => cached(body, age, "crowd")));
    return [...new Set(await Promise.all(answers.map(async (a) => `${a.headers.get("accelerate-cache-status")} ${JSON.stringify((await a.json()).data.rows[0][0])}`)))];
  };
  assert.deepEqual(await crowd("max-age=60"), ["miss 1"]);
  assert.deepEqual(await crowd("max-age=60"), ["ttl 1"]);
  await sleep(1100);
  assert.deepEqual(await crowd("max-age=1,stale-while-revalidate=60"), ["swr 1"]);
  await until(async () => (await crowd("max-age=60"))[0] === "ttl 2");
  const [failed, other] = await Promise.all([1, 2].map(() => cached(raw("select 1 / (nextval('fetches') - 3) as n from pg_sleep(0.5)", { operation: "findMany" }), "max-age=60")));
  assert.deepEqual([failed.status, other.status], [400, 400], "errors go to all");
  await admin.query("drop sequence fetches");
});

test("a key that is read only makes nothing invalid", async () => {
  const reader = await endpoint.live("--read-only"), body = raw("select 7 as kept", { operation: "findMany" });
  const status = async () => (await cached(body, "max-age=60", "kept")).headers.get("accelerate-cache-status");
  assert.equal(await status(), "miss");
  for (const [path, tags] of [["/invalidate", '"all"'], ["/invalidate", '["kept"]'], ["/invalidate?x", '"all"']]) {
    const answer = await post(path, `{"tags":${tags}}`, reader.key);
    assert.deepEqual([answer.status, (await answer.json()).code], [403, "P6002"]);
  }
  for (const [method, path] of [["POST", "/invalidate/"], ["PUT", "/invalidate"], ["POST", "/invalidate/all"]])
    assert.equal((await post(path, '{"tags":"all"}', reader.key, { method, headers: { authorization: `Bearer ${reader.key}` } })).status, 404);
  assert.ok((await post("/invalidate?x", '{"tags":"all"}', reader.key)).status >= 400);
  assert.equal(await status(), "ttl");
  assert.equal((await post("/invalidate", '{"tags":"all"}')).status, 200);
  assert.equal(await status(), "miss");
});

test("errors are not kept, and a mutation with a cache strategy is run each time", async () => {
  await admin.query(seed);
  const p = v6.edge(endpoint.edgeUrl());
  const body = (action, args) => JSON.stringify({ modelName: "Tag", action, query: { arguments: args, selection: { $composites: true, $scalars: true } } });
  await p.user.count(); // the schema is there
  const { hash } = JSON.parse(JSON.stringify({ hash: p._engineConfig?.inlineSchemaHash ?? p._engine.inlineSchemaHash }));
  const ask = async (text) => (await post(`/6.19.3/${hash}/graphql`, text, undefined, { headers: { authorization: `Bearer ${endpoint.first.key}`, "cache-control": "max-age=60" } })).headers.get("accelerate-cache-status");
  const create = body("createOne", { data: { name: "once" } });
  assert.equal(await ask(create), "none");
  assert.equal(await ask(create), "none");
  const wrong = JSON.stringify({ modelName: "Everything", action: "findMany", query: { arguments: { where: { uuid: "none" } }, selection: { $scalars: true } } });
  assert.equal(await ask(wrong), "miss");
  assert.equal(await ask(wrong), "miss");
  await p.$disconnect();
});

test("errors have the meta that programs look at", async () => {
  await admin.query(seed);
  const p = v6.edge(endpoint.edgeUrl());
  const metaOf = async (promise) => {
    try {
      await promise;
    } catch (error) {
      return [error.code, error.meta];
    }
    return assert.fail("it went well");
  };
  assert.deepEqual(await metaOf(p.user.create({ data: { email: "ada@example.com" } })), ["P2002", { modelName: "User", target: ["email"] }]);
  assert.deepEqual(await metaOf(p.stock.create({ data: { shop: "north", item: "nails", amount: 1 } })), ["P2002", { modelName: "Stock", target: ["shop", "item"] }]);
  assert.deepEqual(await metaOf(p.comment.create({ data: { postId: 1, number: 1, text: "x" } })), ["P2002", { modelName: "Comment", target: ["postId", "number"] }]);
  assert.deepEqual(await metaOf(p.stock.create({ data: { shop: "null", item: "c", amount: 5 } })), ["P2011", { modelName: "Stock", constraint: ["amount"] }]);
  // Names and expressions of all kinds.
  await admin.query(`create unique index odd on "Tag" ("name", lower(name), (replace(name, ')=(', ',''"')), id); alter table "Tag" add column "a"",b) ""=(" text unique`);
  await admin.query(`create function odd() returns trigger language plpgsql as $$ begin new."a"",b) ""=(" = 'same'; return new; end $$; create trigger odd before insert on "Tag" for each row execute function odd()`);
  await p.tag.create({ data: { name: "one" } });
  assert.deepEqual(await metaOf(p.tag.create({ data: { name: "two" } })), ["P2002", { modelName: "Tag", target: ['a",b) "=('] }]);
  await admin.query(`drop trigger odd on "Tag"; drop function odd; alter table "Tag" drop column "a"",b) ""=("; drop index "Tag_name_key"`);
  assert.deepEqual(await metaOf(p.tag.create({ data: { id: 1, name: "news" } })), ["P2002", { modelName: "Tag", target: ["id"] }]);
  await admin.query(`alter table "Tag" drop constraint "Tag_pkey" cascade`);
  assert.deepEqual(await metaOf(p.tag.create({ data: { id: 1, name: "news" } })), ["P2002", { modelName: "Tag", target: ["name", "lower(name)", `replace(name, ')=('::text, ',''"'::text)`, "id"] }]);
  await admin.query(`drop index odd; create unique index "Tag_name_key" on "Tag" (name); delete from "Tag" where name = 'one'; alter table "Tag" add primary key (id); alter table "_PostToTag" add foreign key ("B") references "Tag" on delete cascade`);
  const [code, meta] = await metaOf(p.post.create({ data: { title: "x", authorId: 99 } }));
  assert.deepEqual([code, meta], ["P2003", { modelName: "Post", field_name: "Post_authorId_fkey (index)", constraint: "Post_authorId_fkey" }]);
  assert.deepEqual(await metaOf(p.native.create({ data: { id: 9, varchar: "too long" } })), ["P2000", { modelName: "Native", column_name: "(not available)" }]);
  const [, { modelName, cause }] = await metaOf(p.user.update({ where: { id: 99 }, data: { name: "x" } }));
  assert.deepEqual([modelName, cause], ["User", "No record was found for an update."]);
  const v5 = clients("v5");
  v5.trust(readFileSync(endpoint.certificate));
  for (const [version, one] of [["v6", p], ["v5", v5.edge(endpoint.edgeUrl(undefined, false))]]) {
    const find = (id) => one.user.findUniqueOrThrow({ where: { id } });
    const [found, failed] = await Promise.allSettled([find(1), find(99)]);
    assert.equal(found.value.id, 1);
    const told = await metaOf(find(99));
    assert.deepEqual([told[0], told[1]?.cause], ["P2025", one === p ? "No record was found for a query." : undefined], version); // version 5's client drops it
    assert.deepEqual(await metaOf(Promise.reject(failed.reason)), told, version);
    if (one !== p) await one.$disconnect();
  }
  const [rawCode, raw] = await metaOf(p.$queryRaw`select nothing from nowhere`);
  assert.deepEqual([rawCode, raw.code], ["P2010", "42P01"]);
  await p.$disconnect();
});

test("digits of a relation's numbers, however it is loaded; relations that are joined are one statement", { timeout: 60000 * patience }, async () => {
  await admin.query(seed);
  for (const version of ["v5", "v6/joins", "v7/joins"]) {
    const made = clients(version), statements = [];
    made.trust?.(readFileSync(endpoint.certificate));
    const p = logging(version, "query");
    p.$on("query", ({ query }) => statements.push(query));
    for (const [relationLoadStrategy, count] of [["join", 1], ["query", 2]]) {
      const { things: [{ decimal, bigint, decimals, bigints }] } = await p.user.findUnique({ relationLoadStrategy, where: { id: 1 }, include: { things: { orderBy: { id: "asc" } } } });
      assert.deepEqual([decimal.toFixed(), bigint, decimals.map(String), bigints], ["12345678901234567890.0123456789", 9223372036854775807n, ["1.1", "-2.5"], [9007199254740993n, -1n]], `${version} ${relationLoadStrategy}`);
      await until(() => statements.length >= count);
      assert.deepEqual([statements.length, / LATERAL /.test(statements[0])], [count, count === 1], `${version} ${relationLoadStrategy}`);
      statements.length = 0;
    }
    await p.$disconnect();
  }
  // A plan as version 7 makes them: a column's name with quotes, and one that is a number in one object and JSON in another, where a column is besides.
  const field = (type, dbName, arity = "required") => ({ type: "field", dbName, fieldType: { type, arity } }), object = (serializedName, fields) => ({ type: "object", serializedName, skipNulls: false, fields });
  const chunk = `select JSONB_BUILD_OBJECT('it''s', "t1"."a ""b", 'x', "t1"."list", 'z', "t1"."z", 'y', "r"."__prisma_data__", '_count', JSONB_BUILD_OBJECT('y', COALESCE(1, 0))) as one from
    (select 12345678901234567890.5 as "a ""b", array[1e20, 0.10] as list, 1 as z) "t1", lateral (select JSONB_BUILD_OBJECT('x', "t2"."list") as "__prisma_data__" from (select '[12, 0.5]'::jsonb as list) "t2") "r"`;
  const structure = object(null, { one: object("one", { its: field("decimal", "it's"), x: field("decimal", "x", "list"), y: object("y", { x: field("object", "x") }), _count: object("_count", { y: field("int", "y") }) }) });
  const plan = { type: "dataMap", args: { structure, enums: {}, expr: { type: "query", args: { type: "templateSql", fragments: [{ type: "stringChunk", chunk }], args: [], argTypes: [], placeholderFormat: { prefix: "$", hasNumbering: true }, chunkable: false } } } };
  const { data } = await (await post("/query", JSON.stringify({ plan }))).json();
  const told = { its: { $type: "Decimal", value: "12345678901234567890.5" }, x: ["100000000000000000000", "0.10"].map((value) => ({ $type: "Decimal", value })), y: { x: { $type: "Json", value: "[12,0.5]" } }, _count: { y: 1 } };
  assert.deepEqual(data, [{ one: told }]);
});

test("a transaction's time: more than the limit is P6005; all of what was granted can be spent at rest; errors outside of queries have their meta", { timeout: 90000 * patience }, async () => {
  await admin.query(seed);
  const rest = async (made) => {
    const p = made.edge(endpoint.edgeUrl());
    assert.match((await fails(p.$transaction((tx) => tx.tag.count(), { timeout: 15001 }))).message, /^Invalid parameters: .*15001 ms.*15000 ms/);
    assert.equal((await fails(p.$transaction((tx) => tx.tag.count(), { timeout: 15001 }))).code, "P6005");
    const counts = p.$transaction(async (tx) => [await tx.tag.count(), await sleep(11500), await tx.tag.count()], { timeout: 15000, maxWait: 60000 });
    assert.deepEqual(await counts, [3, undefined, 3]);
    await p.$disconnect();
  };
  await Promise.all([rest(v6), rest(v7)]);
  const start = await (await post("/transaction/start", '{"timeout":100}')).json();
  await sleep(500);
  const seven = await (await post(`/transaction/${start.id}/commit`)).json(), six = await (await post(`/itx/x/${start.id}/commit`)).json();
  assert.match(six.meta.error, /^A commit cannot be executed on an expired transaction/);
  assert.deepEqual([seven.code, six.error_code, seven.meta.operation, six.meta.operation, six.meta.timeout], ["P2028", "P2028", "commit", "commit", 100]);
});

test("a transaction that others end is P2028, a connection that is lost P1017", { timeout: 60000 * patience }, async () => {
  for (const made of [v6, v7]) {
    const p = made.edge(endpoint.edgeUrl());
    assert.equal((await fails(p.$transaction((tx) => tx.$executeRaw`do $$ begin raise 'it was idle' using errcode = '25P03'; end $$`))).code, "P2028");
    for (const ask of [(tx) => tx.tag.count(), (tx) => tx.$queryRaw`select 1`, () => 1]) {
      const resting = p.$transaction(async (tx) => {
        await tx.$queryRaw`set local idle_in_transaction_session_timeout = '100ms'`;
        await sleep(500);
        return ask(tx);
      });
      assert.equal((await fails(resting)).code, "P1017", ask.toString());
    }
    assert.equal(typeof (await p.tag.count()), "number"); // a connection that is good
    await p.$disconnect();
  }
});

test("raw queries: money, lists of names, and lists of lists, which nobody can be told of", async () => {
  for (const made of [v6, v7]) {
    const p = made.edge(endpoint.edgeUrl());
    const [{ a, b, c, d, e }] = await p.$queryRaw`select '-1234.5'::money as a, 5::money as b, 1234567.89::money as c, array['-1', null, '1000']::money[] as d, array['one', 'two']::name[] as e`;
    assert.deepEqual([a, b, c].map(String), ["-1234.5", "5", "1234567.89"]);
    assert.deepEqual([d.map(String), e], [["-1", "null", "1000"], ["one", "two"]]);
    for (const list of ["array[[1,2],[3,4]]", "array[[1::int8]]", "array[[true]]", "array[['1'::jsonb]]"]) {
      const { code, message } = await fails(p.$queryRawUnsafe(`select ${list} as a`));
      assert.deepEqual([code, /list of lists/.test(message)], ["P2010", true], message);
    }
    await p.$disconnect();
  }
});

test("a commit that fails says why", { timeout: 60000 * patience }, async () => {
  await admin.query("create table defers (id int primary key, above int references defers deferrable initially deferred); create table counts (id int primary key, n int); insert into counts values (1, 1), (2, 1)");
  for (const made of [v6, v7]) {
    const p = made.edge(endpoint.edgeUrl());
    assert.equal((await fails(p.$transaction((tx) => tx.$executeRaw`insert into defers values (1, 99)`))).code, "P2003");
    assert.equal((await fails(p.$transaction([p.$executeRaw`insert into defers values (1, 99)`, p.tag.count()]))).code, "P2003");
    // Each reads what the other writes: one of them can not be. Both have written before either commits.
    const meeting = () => {
      let come = 0, met;
      const both = new Promise((done) => (met = done));
      return () => (++come === 2 && met(), both);
    };
    const read = meeting(), written = meeting();
    const skewed = (own, other) =>
      p.$transaction(
        async (tx) => {
          await tx.$queryRaw`select n from counts where id = ${other}`;
          await read();
          await tx.$executeRaw`update counts set n = n + 1 where id = ${own}`;
          await written();
        },
        { isolationLevel: "Serializable" },
      );
    const ends = await Promise.allSettled([skewed(1, 2), skewed(2, 1)]);
    assert.deepEqual(ends.map(({ status, reason }) => reason?.code ?? status).sort(), ["P2034", "fulfilled"].sort());
    await p.$disconnect();
  }
  await admin.query("drop table defers, counts");
});

test("createMany of many rows in a list, and one that the compiler may not take, harm no other", { timeout: 120000 * patience }, async () => {
  const p = v6.edge(endpoint.edgeUrl()), many = (n) => Array.from({ length: n }, (_, i) => ({ name: `many ${n} ${i} ${"x".repeat(50)}` }));
  const [{ count }, all] = await p.$transaction([p.tag.createMany({ data: many(9000) }), p.tag.count({ where: { name: { startsWith: "many" } } })]);
  assert.deepEqual([count, all], [9000, 9000]);
  const posts = Array.from({ length: 4000 }, (_, i) => ({ title: `many ${i}`, content: "x".repeat(50) }));
  await p.user.create({ data: { email: "many@example.com", posts: { createMany: { data: posts } } } }).catch((error) => assert.match(error.message, /could not be compiled/));
  // Of shapes that are new to it.
  for (const take of [1, 2]) assert.equal((await p.user.findMany({ take, skip: 1, orderBy: [{ age: "asc" }, { email: "desc" }], where: { OR: [{ id: { gte: take } }, { name: { startsWith: "no" } }] } })).length, take);
  await admin.query(seed);
  await admin.query("delete from \"Tag\" where name like 'many %'");
  await p.$disconnect();
});

test("limits: a response that is too large is P6009, a query that takes too long P6004", { timeout: 60000 * patience }, async () => {
  for (const made of [v6, v7]) {
    const p = made.edge(endpoint.edgeUrl());
    assert.equal((await fails(p.$queryRaw`select repeat('x', 6000000) as x`)).code, "P6009");
    assert.equal((await p.$queryRaw`select length(repeat('x', 6000000)) as n`)[0].n, 6000000);
    assert.equal((await fails(p.$queryRaw`select repeat('漢', 2000000) as x`)).code, "P6009");
    if (made === v6) assert.equal((await fails(p.$queryRaw`select pg_sleep(20)::text`)).code, "P6004");
    await p.$disconnect();
  }
});

test("what is refused as too large is not committed; what is told of a result makes it no larger", { timeout: 120000 * patience }, async () => {
  await admin.query(seed);
  for (const made of [v6, v7]) {
    const p = made.edge(endpoint.edgeUrl());
    assert.equal((await fails(p.$transaction([p.tag.create({ data: { name: "too large" } }), p.$queryRaw`select repeat('x', 6000000) as x`]))).code, "P6009");
    if (made === v6) assert.equal((await fails(p.tag.createManyAndReturn({ data: Array.from({ length: 20000 }, (_, i) => ({ name: `${i} ${"x".repeat(300)}` })) }))).code, "P6009");
    assert.equal(await p.tag.count(), 3);
    assert.deepEqual((await p.$transaction([p.tag.create({ data: { name: "not too large" } }), p.$queryRaw`select repeat('x', 5000000) as x`]))[1][0].x.length, 5000000);
    await p.$disconnect();
    await admin.query(seed);
  }
  for (const [version, length, title] of [["v6", 40000, "x".repeat(200)], ["v7", 12000, "x".repeat(400)]]) {
    const data = Array.from({ length }, (_, i) => ({ title, content: `${i}`, published: true, views: i, authorId: 1 })), p = logging(version, "query"), seen = [];
    p.$on("query", ({ query }) => seen.push(query));
    assert.deepEqual([version, await p.post.createMany({ data })], [version, { count: length }]);
    assert.equal(await p.post.count({ where: { title } }), length);
    await until(() => seen.some((text) => /^SELECT COUNT/.test(text)));
    await p.$disconnect();
    await admin.query(seed);
  }
});

// Of such that have it in them, so many run.
const running = async (text) => (await admin.query("select count(*)::int as n from pg_stat_activity where query like $1 and state = 'active' and pid <> pg_backend_pid()", [`%${text}%`])).rows[0].n;

test("what is over is ended: no key holds connections for longer than it may", { timeout: 120000 * patience }, async () => {
  await admin.query(seed);
  const key = await endpoint.live("--transactions", "2"), p = v6.edge(endpoint.edgeUrl(key)), other = v7.edge(endpoint.edgeUrl(await endpoint.live()));
  await p.user.count();
  const hold = (options) =>
    fails(p.$transaction(async (tx) => {
      await tx.$queryRaw`select set_config('statement_timeout', '0', true)`;
      await tx.post.update({ where: { id: 1 }, data: { views: 5 } });
      await tx.$queryRaw`select pg_sleep(600)::text`;
    }, options));
  const ends = await Promise.all(Array.from({ length: 6 }, () => hold({ timeout: 1000, maxWait: 14000 })));
  assert.deepEqual([...new Set(ends.map(({ code }) => code))], ["P2028"]);
  assert.match(ends[0].message, /expired transaction/);
  await until(async () => (await running("pg_sleep(600)")) === 0, 2000 * patience);
  await admin.query("set lock_timeout = '2s'; update \"Post\" set views = 6 where id = 1");
  assert.equal((await p.$transaction((tx) => tx.user.count())), 4);
  // What has begun to be committed is.
  await admin.query(`create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(1.5); return null; end $$;
    create constraint trigger slow after insert on "Tag" deferrable initially deferred for each row execute function slow()`);
  await p.$transaction((tx) => tx.tag.create({ data: { name: "slowly" } }), { timeout: 1000 });
  assert.equal(await p.tag.count({ where: { name: "slowly" } }), 1);
  await admin.query("drop function slow cascade");
  // What raises its own limit, or does not let itself be cancelled.
  const [list, caught] = await Promise.all([
    fails(p.$transaction([p.$queryRaw`select set_config('statement_timeout', '0', true)`, p.$queryRaw`select pg_sleep(601)::text`])),
    fails(p.$executeRaw`do $$ begin perform pg_sleep(602); exception when query_canceled then perform pg_sleep(602); end $$`),
  ]);
  assert.deepEqual([list.code, caught.code], ["P6004", "P6004"]);
  await until(async () => (await running("pg_sleep(60")) === 0, 5000 * patience);
  assert.equal(await other.user.count(), 4);
  await Promise.all([p.$disconnect(), other.$disconnect()]);
});

test("who has had no connection in time is told so, and what it asked does not happen", { timeout: 60000 * patience }, async () => {
  const holders = await Promise.all([1, 2].map(async () => v6.edge(endpoint.edgeUrl(await endpoint.live("--transactions", "10"))))), [p, reader] = [await endpoint.live(), await endpoint.live("--read-only")].map((key) => v6.edge(endpoint.edgeUrl(key)));
  const v5 = clients("v5");
  v5.trust(readFileSync(endpoint.certificate));
  const others = [v5.edge(endpoint.edgeUrl(undefined, false)), v7.edge(endpoint.edgeUrl())];
  let begun = 0, told;
  for (const one of [p, ...others]) await one.user.count();
  const hold = (holder) =>
    holder.$transaction(async (tx) => {
      await tx.$queryRaw`select 1`;
      begun++;
      for (let i = 0; i < 12 && told === undefined; i++) await sleep(1000).then(() => tx.$queryRaw`select 1`); // idle ones end by themselves
    }, { timeout: 15000, maxWait: 5000 });
  const held = Promise.all(holders.flatMap((holder) => Array.from({ length: 10 }, () => hold(holder))));
  await until(() => begun === 20);
  told = await Promise.all([fails(p.tag.create({ data: { name: "too late" } })), ...[p, reader, ...others].map((one) => fails(one.tag.count()))]);
  await held;
  for (const { failed, code } of told) assert.deepEqual([failed, code], ["PrismaClientKnownRequestError", "P2024"]);
  await sleep(1000);
  assert.equal(await p.tag.count({ where: { name: "too late" } }), 0);
  await Promise.all([p, reader, ...others, ...holders].map((one) => one.$disconnect()));
});

test("what has waited long and runs when its time is over is not told that nothing was asked", { timeout: 60000 * patience }, async () => {
  await admin.query(seed);
  const key = await endpoint.live("--transactions", "20"), p = v7.edge(endpoint.edgeUrl(await endpoint.live()));
  let begun = 0, over = false;
  await admin.query(`create function slowly() returns trigger language plpgsql as $$ begin perform pg_sleep(8); return new; end $$; create trigger slowly before insert on "Tag" for each row execute function slowly()`);
  const hold = async () => {
    const { id } = await (await post("/transaction/start", '{"timeout":15000,"maxWait":5000}', key.key)).json();
    begun++;
    for (let i = 0; !over; i++) await post(`/transaction/${id}/query`, raw("select 1 as x"), key.key).then(() => sleep(500));
    await post(`/transaction/${id}/rollback`, undefined, key.key);
  };
  const held = Promise.all(Array.from({ length: 20 }, hold));
  await until(() => begun === 20);
  const told = fails(p.$executeRaw`insert into "Tag" (name) values ('slowly')`);
  await sleep(7000);
  over = true;
  await held;
  assert.equal((await told).code, "P6004");
  await sleep(1000);
  assert.equal((await admin.query(`select count(*)::int as n from "Tag" where name = 'slowly'`)).rows[0].n, 0);
  await admin.query("drop function slowly cascade");
  await p.$disconnect();
});

test("several schemas at once; a schema that is not what it says; one that is none", { timeout: 60000 * patience }, async () => {
  await admin.query(seed);
  const joins = clients("v6/joins"), apps = [v6.edge(endpoint.edgeUrl()), v7.edge(endpoint.edgeUrl()), joins.edge(endpoint.edgeUrl())];
  // Another app's, on the same tables by other names: each is told of its own models alone.
  const schema = 'datasource db {\n  provider = "postgresql"\n}\nmodel Person {\n  id Int @id\n  address String @map("email")\n  @@map("users")\n}\nmodel User {\n  name String @id\n  @@map("Tag")\n}\n';
  assert.equal((await upload(schema)).status, 200);
  const ask = async (modelName) => (await post(`/6.19.3/${hashOf(base64(schema))}/graphql`, JSON.stringify({ modelName, action: "findMany", query: { arguments: { take: 1, orderBy: [{ [modelName === "User" ? "name" : "id"]: "asc" }] }, selection: { $scalars: true } } }))).json();
  const asked = [...apps.map((p) => () => p.user.findFirst({ orderBy: { id: "asc" }, select: { email: true, posts: { where: { id: 1 }, select: { title: true } } } })), () => ask("Person"), () => ask("User")];
  const told = { email: "ada@example.com", posts: [{ title: "Hello" }] };
  const wanted = [told, told, told, { data: { findMany: [{ id: 1, address: "ada@example.com" }] } }, { data: { findMany: [{ name: "news" }] } }];
  assert.deepEqual(await Promise.all(Array.from({ length: 50 }, (_, i) => asked[i % 5]())), Array.from({ length: 50 }, (_, i) => wanted[i % 5]));
  assert.match(JSON.stringify(await ask("Post")), /for model 'Post' does not match any query/);
  await Promise.all(apps.map((p) => p.$disconnect()));
  let answer = await put(hashOf("x"), base64("model"));
  assert.equal(answer.status, 400);
  assert.match(await answer.text(), /hash.*generate the client anew/);
  // A text that is none is one without models.
  for (const [status, code, then, text] of [
    [200, undefined, /does not match any query/, base64("\xff\xfe not prisma {{{{")], [200, undefined, /does not match any query/, ""],
    [400, "P6000", /SchemaMissing/, "%%%"], [400, "P6000", /SchemaMissing/, "y".repeat(3 << 20)],
  ]) {
    answer = await put(hashOf(text), text);
    assert.deepEqual([answer.status, codeOf(await answer.text())], [status, code], text.slice(0, 30));
    answer = await post(`/6.19.3/${hashOf(text)}/graphql`, '{"action":"findMany","modelName":"User","query":{"arguments":{},"selection":{"$scalars":true}}}');
    assert.match(codeOf(await answer.text()), then);
  }
});

test("a client whose schema is for another kind of database is told so, with the remedy", { timeout: 60000 * patience }, async () => {
  for (const [version, provider] of [["v5", "mysql"], ["v6", "sqlite"], ["v6", "cockroachdb"]]) {
    clients(version).trust?.(readFileSync(endpoint.certificate));
    const { dir, remove } = project({
      "schema.prisma": `// provider = "postgresql"\ngenerator client {\n  provider = "prisma-client-js"\n  output = "./client"\n}\ndatasource db {\n  provider="${provider}" // provider = "postgresql"\n  url = env("X")\n}\nmodel User {\n  id Int @id\n}\n`,
    });
    unlinkSync(join(dir, "node_modules"));
    symlinkSync(join(here, version, "node_modules"), join(dir, "node_modules"));
    execFileSync("npx", ["prisma", "generate", "--no-engine", "--schema", "schema.prisma"], { cwd: dir, env: cliEnvironment, stdio: "pipe" });
    const { PrismaClient } = createRequire(join(dir, "x.js"))("./client/edge.js");
    const p = new PrismaClient({ datasourceUrl: endpoint.edgeUrl(undefined, version !== "v5") });
    const { code, message } = await fails(p.user.count());
    assert.deepEqual([code, message], ["P1012", `The client's schema is for the provider "${provider}", and this server's databases are Postgres: write provider = "postgresql" in its datasource, and generate the client anew.`]);
    await p.$disconnect();
    remove();
  }
});

test("what is under way goes on when so many other schemas come that its own is forgotten", { timeout: 60000 * patience }, async () => {
  await admin.query(seed);
  const p = v6.edge(endpoint.edgeUrl());
  await p.tag.count();
  await admin.query('begin; lock table "Tag"');
  const made = p.tag.createMany({ data: Array.from({ length: 2500 }, (_, i) => ({ name: `part ${i}` })) }).then((value) => value); // it begins when it is waited for
  await until(async () => (await admin.query("select 1 from pg_locks where not granted")).rowCount === 1);
  for (let i = 0; i < 17; i++) assert.equal((await upload(`datasource db {\n  provider = "postgresql"\n}\nmodel Other${i} {\n  id Int @id\n}\n`)).status, 200);
  await admin.query("rollback");
  assert.deepEqual(await made, { count: 2500 });
  await admin.query(seed);
  await p.$disconnect();
});

test("on localhost, one variable makes Node trust the endpoint; a version 4 is told what to install", { timeout: 60000 * patience }, () => {
  const ask = (version) => {
    clients(version);
    const script = `const p = require("./clients.cjs").edge(process.argv[1]);
      const told = (promise) => promise.then((value) => console.log(value), (error) => console.log(error.constructor.name + ": " + error.message.trim().split("\\n").at(-1)));
      told(p.user.count()).then(() => told(p.$transaction((tx) => tx.user.count()))).then(() => process.exit());`;
    const { stdout, stderr } = spawnSync("node", ["-e", script, endpoint.edgeUrl(undefined, false)], { cwd: join(here, version), env: { ...process.env, NODE_EXTRA_CA_CERTS: endpoint.certificate }, encoding: "utf8" });
    return [stdout, stderr].join("");
  };
  assert.equal(ask("v5"), "4\n4\n");
  assert.equal(ask("v6"), "4\n4\n");
  const told = "PrismaClientInitializationError: This server answers @prisma/client 5 and 6 with a prisma:// URL, and 7, up to 7.10.0, with accelerateUrl; the client says it is 4.16.2. Install one of these.\n";
  assert.equal(ask("v4"), told + told);
});

test("what a newer client asks is answered; what of it is not known is named, with the versions that are served, and not asked again", async () => {
  let change, asked = 0;
  const between = http.createServer(async (request, response) => {
    const body = (await request.toArray()).join(""), { url, method, headers } = request;
    const to = change(url, body);
    asked++;
    const { authorization, "content-type": type } = headers;
    const answer = await fetch(`http://127.0.0.1:${endpoint.port}${to.url ?? url}`, { method, headers: { authorization, "content-type": type, "prisma-engine-hash": "7.99.1" }, ...(body && { body: to.body ?? body }) });
    response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text());
  });
  await new Promise((done) => between.listen(0, done));
  const url = endpoint.edgeUrl().replace(`:${endpoint.port}/`, `:${between.address().port}/`), p = v6.edge(url), q = v7.edge(url);
  const told = async (client, how, of, says) => {
    change = how;
    asked = 0;
    const { failed, code, message } = await fails(client.user.findMany());
    assert.deepEqual([failed, code, asked], ["PrismaClientKnownRequestError", "P5012", 1]);
    assert.equal(message, `${of} is not known here. This server answers @prisma/client 5 and 6 with a prisma:// URL, and 7, up to 7.10.0, with accelerateUrl; the client says it is ${says}. Install one of these, or a newer weir.`);
  };
  for (const client of [p, q]) {
    change = () => ({});
    assert.equal(await client.user.count(), 4);
  }
  const inBody = (one, other) => (url, body) => ({ body: body.replace(one, other) }), inPath = (one, other) => (url) => ({ url: url.replace(one, other) });
  await told(q, inBody('"type":"dataMap"', '"type":"teleport"'), "A part of the query's plan (Unexpected node type: teleport)", "7.99.1");
  await told(q, inPath("/query", "/transaction/x/y"), "POST /transaction/x/y", "7.99.1");
  await told(p, inBody('"findMany"', '"findSome"'), "The operation findSome", "6.19.3");
  await told(p, (url) => ({ url: url.replace(/\w+\/graphql/, "x/y") }), "POST /6.19.3/x/y", "6.19.3");
  // Of a node that is known, a newer client's parts may be others.
  const codeOf = async (version) => (await (await post("/query", '{"plan":{"type":"unique"}}', undefined, { headers: { authorization: `Bearer ${endpoint.first.key}`, "prisma-engine-hash": version } })).json()).code;
  const logged = () => stripVTControlCharacters(endpoint.weir.output).split("TypeError").length, before = logged();
  assert.deepEqual([await codeOf("7.11.0"), await codeOf("7.10.0"), await codeOf("7.9.9")], ["P5012", "P6000", "P6000"]);
  await until(async () => logged() >= before + 3);
  await p.$disconnect();
  await q.$disconnect();
  between.closeAllConnections();
  between.close();
});

test("a plan of which a part is not known writes nothing before it is found", async () => {
  await admin.query(seed);
  const created = JSON.parse(raw(`insert into "Tag" (name) values ('of a newer client') returning id`)).plan, expr = { type: "unique", args: created };
  const field = (fieldType) => ({ type: "dataMap", args: { expr, structure: { type: "object", serializedName: null, skipNulls: false, fields: { id: { type: "field", dbName: "id", fieldType } } }, enums: {} } });
  const unknown = {
    "Unexpected result type: vector": field({ type: "vector" }),
    "Unexpected bytes encoding type: base85": field({ type: "bytes", encoding: "base85" }),
    "Unexpected data mapping node type: graph": { type: "dataMap", args: { expr, structure: { type: "graph" } } },
    "Unexpected node type: teleport": { type: "seq", args: [created, { type: "teleport" }] },
    "Unexpected rule type: sometimes": { type: "validate", args: { expr, rules: [{ type: "sometimes" }], errorIdentifier: "MISSING_RECORD" } },
    "Unknown error identifier: LATE": { type: "validate", args: { expr, rules: [{ type: "never" }], errorIdentifier: "LATE" } },
    "Unexpected field operation type: power": { type: "mapRecord", args: { expr, fields: { id: { type: "power", value: 2 } } } },
    "Unexpected fragment type: aside": { type: "seq", args: [created, { type: "query", args: { type: "templateSql", fragments: [{ type: "aside" }], args: [], argTypes: [] } }] },
    "Unexpected query type: cypher": { type: "let", args: { bindings: [{ name: "a", expr: created }], expr: { type: "execute", args: { type: "cypher" } } } },
  };
  for (const [message, plan] of Object.entries(unknown)) {
    const { code, error } = await (await post("/query", JSON.stringify({ plan }))).json();
    assert.deepEqual([code, error.split(" is not known here.")[0]], ["P5012", `A part of the query's plan (${message})`]);
  }
  assert.deepEqual((await admin.query(`select 1 from "Tag" where name = 'of a newer client'`)).rowCount, 0);
});

for (const version of ["v5", "v6", "v7"])
  test(`what is refused, or not reached, its client tells with a code and what to do (${version})`, { timeout: 60000 * patience }, async () => {
    await admin.query(seed);
    const made = clients(version), all = [];
    made.trust?.(readFileSync(endpoint.certificate));
    const client = (key, port = endpoint.port) => (all.push(made.edge(endpoint.edgeUrl(key, !made.trust).replace(`:${endpoint.port}/`, `:${port}/`))), all.at(-1));
    const told = async (promise) => {
      const { code, message } = await fails(promise);
      return `${code} ${message}`;
    };
    const p = client(endpoint.first), reader = client(await endpoint.live("--read-only")), few = client(await endpoint.live("--requests", "1")), single = client(await endpoint.live("--transactions", "1"));
    assert.equal(await told(client({ key: "none" }).user.count()), "P6002 The api key is not valid here: make one with weir prisma key create.");
    for (const write of [reader.tag.create({ data: { name: "x" } }), reader.$executeRaw`delete from "Tag"`]) assert.equal(await told(write), "P6002 The api key is read only: it may SELECT, SHOW and EXPLAIN.");
    const answers = await Promise.allSettled(Array.from({ length: 30 }, (_, id) => few.user.findFirst({ where: { id }, select: { id: true } })));
    assert.match(String(answers.find(({ reason }) => reason?.code === "P5011")?.reason.message), /Too many requests of this api key in a second: its limit is told by weir prisma key list\./);
    assert.equal(await told(p.$queryRaw`select ${"x".repeat(17 << 20)} as x`), "P6000 The request is larger than this server takes.");
    let begun, release;
    const hasBegun = new Promise((done) => (begun = done)), isReleased = new Promise((done) => (release = done));
    const held = single.$transaction(async (tx) => [await tx.user.count(), begun(), await isReleased], { timeout: 15000 });
    await hasBegun;
    assert.match(await told(single.$transaction((tx) => tx.user.count(), { maxWait: 300 })), /^P2028 Transaction API error: Unable to start a transaction in the given time: 1 of this api key/);
    release();
    await held;
    assert.equal(await single.$transaction((tx) => tx.user.count(), { maxWait: 5000 }), 4);
    const nobody = await told(client(endpoint.first, await freePort()).user.count());
    assert.match(nobody, version === "v7" ? /fetch failed/ : /^P5010 Unable to connect to the Accelerate API/);
    for (const one of all) await one.$disconnect();
  });

test("interactive transactions: of another key, of a client that is killed, and too many of them", { timeout: 60000 * patience }, async () => {
  await admin.query(seed);
  const stranger = await endpoint.live();
  const { id } = await (await post("/transaction/start", '{"timeout":3000}')).json();
  const plan = JSON.stringify({ plan: { type: "query", args: { type: "rawSql", sql: "select 1 as x", args: [], argTypes: [] } } });
  assert.equal((await post(`/transaction/${id}/query`, plan)).status, 200);
  assert.equal((await post(`/transaction/${id}/query`, plan, stranger.key)).status, 409);
  assert.equal((await post(`/transaction/${id}/commit`, undefined, stranger.key)).status, 409);
  assert.equal((await post(`/transaction/${id}/commit`)).status, 200);
  assert.equal((await post(`/transaction/${id}/commit`)).status, 409);
  // A process that dies with a row locked: the lock is gone when the transaction's time is over.
  const script = `const { edge } = require("./clients.cjs"); const p = edge(process.argv[1]);
    p.$transaction(async (tx) => { await tx.post.update({ where: { id: 1 }, data: { views: 5 } }); console.log("locked"); await new Promise(() => setTimeout(() => {}, 60000)); }, { timeout: 2000 });`;
  const child = spawn("node", ["-e", script, endpoint.edgeUrl()], { cwd: join(here, "v6"), stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((done) => child.stdout.once("data", done));
  child.kill("SIGKILL");
  await assert.rejects(admin.query("set lock_timeout = '100ms'; update \"Post\" set views = 6 where id = 1"), /lock timeout/);
  await admin.query("set lock_timeout = 0");
  await admin.query('update "Post" set views = 7 where id = 1');
  const begin = () => post("/transaction/start", '{"timeout":1500,"maxWait":1000}').then(async (answer) => (answer.status === 200 ? "begun" : `${answer.status} ${codeOf(await answer.text())}`));
  const crowd = Array.from({ length: 2000 }, begin);
  await sleep(100);
  const began = Date.now();
  assert.equal((await post("/query", plan, stranger.key)).status, 200, "other keys are unharmed");
  assert.ok(Date.now() - began < 5000 * patience, `${Date.now() - began} ms`);
  assert.deepEqual([...new Set(await Promise.all(crowd))].sort(), ["409 P2028", "begun"], "each is told its code");
  assert.deepEqual([...new Set(await Promise.all(Array.from({ length: 130 }, begin)))].sort(), ["409 P2028", "begun"]);
  assert.equal((await post("/query", plan, stranger.key)).status, 200, "other keys are unharmed");
  await until(async () => (await post("/transaction/start", '{"timeout":100}')).status === 200);
});

test("a nested transaction: only by the key of the one around it, whose time goes on, and which may not write if that may not", async () => {
  const stranger = await endpoint.live(), reader = await endpoint.live("--read-only");
  const start = (options, key) => post("/transaction/start", JSON.stringify({ maxWait: 2000, timeout: 5000, ...options }), key);
  const ask = async (id, sql, key) => (await post(`/transaction/${id}/query`, JSON.stringify({ plan: { type: "query", args: { type: "rawSql", sql, args: [], argTypes: [] } } }), key)).json();
  const { id } = await (await start({ timeout: 700 })).json();
  assert.equal((await start({ newTxId: id }, stranger.key)).status, 409);
  assert.equal((await start({ newTxId: "none" })).status, 409);
  const { id: nested } = await (await start({ newTxId: id })).json();
  assert.equal((await post(`/transaction/${nested}/commit`)).status, 200);
  assert.equal((await ask(id, "select 1, pg_sleep(4)")).code, "P2028");
  const { id: reading } = await (await start({}, reader.key)).json();
  const { id: within } = await (await start({ newTxId: reading }, reader.key)).json();
  assert.match((await ask(reading, "with x as (insert into \"Tag\" (name) values ('r') returning id) select id from x", reader.key)).error, /read-only transaction/);
  for (const each of [within, reading]) assert.equal((await post(`/transaction/${each}/commit`, undefined, reader.key)).status, 200);
  assert.equal((await post(`/transaction/${reading}/commit`, undefined, reader.key)).status, 409);
});

test("a transaction is not committed where the end of one nested in it was lost, and its client is told so", { timeout: 60000 * patience }, async () => {
  await admin.query(seed);
  const start = async (newTxId) => (await (await post("/transaction/start", JSON.stringify({ maxWait: 2000, timeout: 10000, newTxId }))).json()).id;
  const add = async (id, name) => assert.equal((await post(`/transaction/${id}/query`, raw(`insert into "Tag" (name) values ('${name}') returning id`))).status, 200);
  const end = async (id, how) => (await (await post(`/transaction/${id}/${how}`)).json()).code ?? "done";
  // Three, one in the other, in each of which something is written.
  const three = async () => {
    const ids = [];
    for (let level = 1; level <= 3; level++) {
      ids.push(await start(ids.at(-1)));
      await add(ids.at(-1), `level ${level}`);
    }
    return ids;
  };
  const kept = async () => (await admin.query(`delete from "Tag" where name like 'level%' returning name`)).rows.map(({ name }) => name).sort();
  const ended = async (...ends) => {
    const ids = await three(), told = [];
    for (const [level, how] of ends) told.push(await end(ids[level - 1], how));
    return [told.join(" "), await kept()];
  };
  const all = ["level 1", "level 2", "level 3"];
  assert.deepEqual(await ended([3, "commit"], [2, "commit"], [1, "commit"]), ["done done done", all]);
  assert.deepEqual(await ended([1, "commit"], [1, "commit"]), ["P2028 P2028", []]);
  assert.deepEqual(await ended([2, "commit"], [1, "commit"]), ["P2028 P2028", []]);
  assert.deepEqual(await ended([3, "commit"], [1, "commit"]), ["done P2028", []]);
  assert.deepEqual(await ended([1, "rollback"]), ["done", []]);
  assert.deepEqual(await ended([2, "rollback"], [1, "commit"]), ["done done", ["level 1"]]);
  assert.deepEqual(await ended([3, "commit"], [3, "commit"], [2, "rollback"], [2, "commit"], [1, "commit"]), ["done P2028 done P2028 done", ["level 1"]]);
  assert.deepEqual(await ended([3, "commit"], [2, "commit"], [2, "rollback"], [1, "commit"]), ["done done done P2028", []]); // it was not told
  // The client's own, whose user goes on.
  const prisma = v7.edge(endpoint.edgeUrl()), { fetch } = globalThis;
  const create = (tx, level) => tx.tag.create({ data: { name: `level ${level}` } });
  const lost = [];
  let isLost = true;
  globalThis.fetch = (url, init) => {
    const end = /(commit|rollback)$/.exec(url);
    return end && isLost ? (lost.push(end[0]), Promise.reject(new TypeError("fetch failed"))) : fetch(url, init);
  };
  try {
    const { code } = await fails(prisma.$transaction(async (tx) => {
      await create(tx, 1);
      await fails(tx.$transaction((nested) => create(nested, 2)));
      isLost = false;
      return create(tx, 3);
    }));
    assert.deepEqual([lost, code, await kept()], [["commit", "rollback"], "P2028", []]);
  } finally {
    globalThis.fetch = fetch;
    await prisma.$disconnect();
  }
});

// In front of the endpoint, with its certificate: what may be there in weir's place. says: what it adds to the headers.
async function tlsFront(says) {
  const pair = { cert: readFileSync(endpoint.certificate), key: readFileSync(endpoint.certificate.replace(".pem", "-key.pem")) };
  const front = https.createServer(pair, (request, response) => {
    const { method, url: path, headers } = request;
    const behind = http.request({ host: "127.0.0.1", port: endpoint.port, method, path, headers: { ...headers, ...says } }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    request.pipe(behind);
  });
  await new Promise((done) => front.listen(0, done));
  return { edgeUrl: `prisma://localhost:${front.address().port}/?api_key=${endpoint.first.key}`, close: () => (front.close(), front.closeAllConnections()) };
}

test("with TLS in front of weir, a transaction goes on there", { timeout: 60000 * patience }, async () => {
  const v5 = clients("v5");
  v5.trust(readFileSync(endpoint.certificate));
  for (const [made, says] of [[v5, { "x-forwarded-proto": "https" }], [v6, { "x-forwarded-proto": "https" }], [v7, {}], [v5, {}]]) {
    const front = await tlsFront(says), p = made.edge(front.edgeUrl);
    assert.equal(await p.$transaction(async (tx) => (await tx.user.count()) + (await tx.tag.count())), 7);
    front.close();
    await p.$disconnect();
  }
});

test("where a transaction goes on is told in the clear to nobody but who came so, on this machine", async () => {
  const told = (version, host, headers = {}) =>
    new Promise((done, fail) => {
      const all = { host, authorization: `Bearer ${endpoint.first.key}`, ...headers };
      const request = http.request({ host: "127.0.0.1", port: endpoint.port, method: "POST", path: `/${version}/x/transaction/start`, headers: all }, (answer) => {
        let text = "";
        answer.on("data", (chunk) => (text += chunk)).on("end", () => done(new URL(JSON.parse(text)["data-proxy"].endpoint).origin));
      });
      request.on("error", fail).end('{"timeout":100}');
    });
  for (const [origin, ...how] of [
    ["http://localhost:7777", "6.19.3", "localhost:7777"],
    ["http://127.0.0.1:7777", "6.19.3", "127.0.0.1:7777"],
    ["http://[::1]:7777", "6.19.3", "[::1]:7777"],
    ["https://localhost:7777", "5.22.0", "localhost:7777"],
    ["https://localhost:7777", "6.19.3", "localhost:7777", { "x-forwarded-proto": "https" }],
    ["https://db.example.com", "6.19.3", "db.example.com"],
    ["https://db.example.com", "6.19.3", "db.example.com", { "x-forwarded-proto": "http" }],
    ["https://localhost.example.com", "6.19.3", "localhost.example.com"],
    ["https://10.0.0.1:8788", "6.19.3", "10.0.0.1:8788"],
  ])
    assert.equal(await told(...how), origin, how.join(" "));
});

for (const version of ["v5", "v6", "v7"])
  test(`@prisma/client of a Node program takes the URL as the edge client does (${version})`, { timeout: 60000 * patience }, async () => {
    await admin.query(seed);
    const made = clients(version);
    made.trust?.(readFileSync(endpoint.certificate));
    const p = made.node(endpoint.edgeUrl(undefined, version !== "v5"));
    assert.deepEqual(await p.user.findUnique({ where: { id: 1 }, select: { email: true, posts: { select: { title: true }, orderBy: { id: "asc" }, take: 1 } } }), { email: "ada@example.com", posts: [{ title: "Hello" }] });
    assert.equal((await fails(p.user.create({ data: { email: "ada@example.com" } }))).code, "P2002");
    assert.deepEqual(await p.$transaction([p.tag.create({ data: { name: "of Node" }, select: { name: true } }), p.tag.count()]), [{ name: "of Node" }, 4]);
    const cached = () => p.tag.findMany({ cacheStrategy: { ttl: 60 } }).withAccelerateInfo();
    assert.deepEqual([(await cached()).info.cacheStatus, (await cached()).info.cacheStatus], ["miss", "ttl"]);
    const views = p.$transaction(
      async (tx) => {
        const { views } = await tx.post.update({ where: { id: 1 }, data: { views: { increment: 1 } } });
        assert.equal((await p.post.findUnique({ where: { id: 1 } })).views, views - 1, "others see it later");
        return views;
      },
      { isolationLevel: "RepeatableRead" },
    );
    assert.equal(await views, (await p.post.findUnique({ where: { id: 1 } })).views);
    await assert.rejects(p.$transaction(async (tx) => { await tx.tag.deleteMany(); throw new Error("no"); }), /^Error: no$/);
    assert.equal(await p.tag.count(), 4);
    await admin.query(seed);
    await p.$disconnect();
  });

for (const version of ["v5", "v6", "v7"])
  test(`statements are told to who listens for them, and each level of the log to who asks for it (${version})`, async () => {
    const levels = ["query", "info", "warn", "error"], told = Object.fromEntries(levels.map((level) => [level, []])), { query: seen } = told;
    const made = clients(version);
    made.trust?.(readFileSync(endpoint.certificate));
    const p = logging(version, ...levels);
    for (const level of levels) p.$on(level, (event) => told[level].push(event));
    await p.user.findUnique({ where: { id: 2 } });
    await until(() => seen.length > 0);
    assert.match(seen[0].query, /^SELECT .*"users"/);
    assert.equal(String(JSON.parse(seen[0].params)[0]), "2");
    assert.ok(seen[0].duration >= 0 && seen[0].timestamp instanceof Date);
    await p.$transaction(async (tx) => { await tx.tag.count(); await tx.$queryRaw`select ${7}::int as n`; });
    await until(() => seen.some(({ query }) => query.includes('"Tag"')) && seen.some(({ query, params }) => /^select \$1::int as n$/.test(query) && params === "[7]"));
    assert.deepEqual(told.error, []);
    const { message } = await fails(p.user.create({ data: { email: "ada@example.com" } }));
    await until(() => told.error.length > 0);
    assert.deepEqual(told.error.map((event) => [event.message.trim().split("\n").at(-1), event.target]), [[message, "user.create"]]);
    // The clients of 5 and 6 tell of their requests, and that they have sent their schema where it was missing.
    const kinds = { info: /^Calling https?:\/\/localhost|^Schema \(re\)uploaded/, warn: /^Attempt 1\/3 failed for querying: This request must be retried$|^Retrying after/ };
    for (const [level, kind] of Object.entries(kinds)) for (const event of told[level]) assert.match(event.message, kind);
    assert.equal(told.info.length >= 5, version !== "v7", JSON.stringify(told.info));
    await p.$disconnect();
    // As text, of each level alone.
    const lines = [], methods = ["log", "warn", "error", "info"], own = methods.map((method) => console[method]);
    for (const method of methods) console[method] = (...parts) => lines.push(parts.join(" "));
    try {
      for (const level of levels) {
        const one = new made.edgeClient({ [version === "v7" ? "accelerateUrl" : "datasourceUrl"]: endpoint.edgeUrl(undefined, version !== "v5"), log: [level] });
        assert.equal(await one.user.count(), 4);
        await one.user.create({ data: { email: "ada@example.com" } }).catch(() => {});
        await one.$disconnect();
      }
    } finally {
      methods.forEach((method, i) => (console[method] = own[i]));
    }
    const text = stripVTControlCharacters(lines.join("\n"));
    assert.match(text, /^prisma:query SELECT COUNT.*"users"/m);
    assert.match(text, /^prisma:error/m);
    assert.match(text, /Unique constraint failed/);
  });

// `prisma generate --sql` needs Prisma's native engine; what it writes for a file of SQL is this.
for (const version of ["v5", "v6", "v7"])
  test(`TypedSQL (${version})`, async () => {
    await admin.query(seed);
    const made = clients(version), usersFrom = made.typedQuery("select id, name, created_at, score, role::text from users where age >= $1 and name = any($2) order by id");
    made.trust?.(readFileSync(endpoint.certificate));
    const p = made.edge(endpoint.edgeUrl(undefined, version !== "v5"));
    const ada = { id: 1, name: "Ada", created_at: new Date("2024-01-01T10:00:00.000Z"), score: 9.5, role: "admin" };
    assert.deepEqual(await p.$queryRawTyped(usersFrom(30, ["Ada", "Bob"])), [ada]);
    assert.deepEqual(await p.$transaction((tx) => tx.$queryRawTyped(usersFrom(0, ["Ada"]))), [ada]);
    assert.equal((await fails(p.$queryRawTyped(made.typedQuery("select nothing from nowhere")()))).code, "P2010");
    await p.$disconnect();
  });

test("more statements than have names at once", { timeout: 60000 * patience }, async () => {
  const p = v6.edge(endpoint.edgeUrl());
  for (let round = 0; round < 2; round++)
    for (let from = 0; from < 1100; from += 20) {
      const rows = await Promise.all(Array.from({ length: 20 }, (_, i) => p.$queryRawUnsafe(`select ${from + i} as n`)));
      assert.deepEqual(rows.map(([{ n }]) => n), Array.from({ length: 20 }, (_, i) => from + i));
    }
  await p.$disconnect();
});

// So many bytes that begin as a query does, by who goes on sending while he may: [status, code].
const sendLarge = (path, bytes, headers) =>
  new Promise((done, fail) => {
    const options = { host: "127.0.0.1", port: endpoint.port, method: "POST", path, headers: { authorization: `Bearer ${endpoint.first.key}`, ...headers } };
    const piece = Buffer.alloc(1 << 20, "x");
    let left = bytes, isAnswered = false;
    const request = http.request(options, (answer) => {
      let text = "";
      isAnswered = true;
      answer.setEncoding("utf8").on("data", (chunk) => (text += chunk)).on("end", () => done([answer.statusCode, codeOf(text)]));
    });
    request.on("error", (error) => isAnswered || fail(error));
    const send = () => {
      for (; left > 0 && !isAnswered; left -= piece.length) if (!request.write(piece)) return (left -= piece.length), request.once("drain", send);
      request.end();
    };
    send();
  });

// What is told of an error, in each protocol: its code, or the message of what has none.
function codeOf(text) {
  const { code, error_code, error, errors, EngineNotStarted } = JSON.parse(text), { reason } = EngineNotStarted ?? {};
  return code ?? error_code ?? errors?.[0].user_facing_error.error_code ?? errors?.[0].error ?? reason?.KnownEngineStartupError?.error_code ?? reason ?? error;
}

test("who means ill: no JSON, unknown operations, depth, size; each is told what it was, and the next one is served", { timeout: 90000 * patience }, async () => {
  const p = v6.edge(endpoint.edgeUrl());
  await p.user.count();
  const hash = p._engineConfig?.inlineSchemaHash ?? p._engine.inlineSchemaHash;
  const graphql = `/6.19.3/${hash}/graphql`;
  const nested = (depth) => find("User", `"where":${'{"AND":'.repeat(depth)}{}${"}".repeat(depth)}`);
  const find = (model, more = "") => `{"action":"findMany","modelName":"${model}","query":{"arguments":{${more}},"selection":{"$scalars":true}}}`;
  for (const [status, code, path, ...bodies] of [
    [400, "P6000", graphql, "{", "null", "[]", "5", '""', "{}", '{"action":5}', "", "\0", '{"batch":[1,null,{}]}', '{"batch":"x"}', nested(10000), nested(500), `{"batch":[${nested(500)}]}`],
    [400, "P6000", graphql, ...['5,"parameters":"[1]"', '"select 1","parameters":"{"'].map((query) => `{"action":"queryRaw","query":{"arguments":{"query":${query}},"selection":{}}}`)],
    [200, /^Operation 'findMany' for model '\w+' does not match any query/, graphql, find("Nobody"), find("__proto__", '"__proto__":{}')],
    [400, "P5012", graphql, '{"action":"dropDatabase","modelName":"User","query":{"arguments":{},"selection":{}}}'],
    [200, "P2009", graphql, find("User", '"where":{"nothing":1}'), find("User", '"take":"x"')],
    [200, "P2023", graphql, `{"batch":[${find("User")}],"transaction":{"isolationLevel":"Nonsense"}}`],
    [400, "P6000", "/query", "{", "{}", "[]", '{"plan":null}'],
    [400, "P5012", "/query", '{"plan":{}}', '{"plan":{"type":"nonsense"}}'],
    [500, "P6000", "/query", '{"plan":{"type":"seq","args":5}}'],
    [400, "P6000", "/transaction/start", "x", "null"],
    [400, "P2023", "/transaction/start", '{"isolationLevel":"x; drop table users"}'],
    [409, "P2028", "/transaction//query", '{"plan":{"type":"unit"}}'],
    [409, "P2028", "/transaction/nobody/query", '{"plan":{"type":"value","args":1}}'],
    [409, "P2028", "/transaction/nobody/commit", ""],
    [404, "SchemaMissing", "/itx/x/y/graphql", "{}", find("User")],
    [404, "SchemaMissing", "/6.19.3/%00/graphql", "{}", find("User")],
    [404, "SchemaMissing", `/6.19.3/${"0".repeat(64)}/graphql`, find("User")],
    [404, "P5012", "/itx", ""],
    [404, "P5012", "/6.19.3", ""],
    [400, "P5012", "/", ""],
    [400, "P5012", "/999999.0/x/graphql", "{}"],
  ])
    for (const body of bodies) {
      const answer = await post(path, body), text = await answer.text(), what = `${path} ${body.slice(0, 80)}: ${answer.status} ${text.slice(0, 300)}`;
      assert.equal(answer.status, status, what);
      if (typeof code === "string") assert.equal(codeOf(text), code, what);
      else assert.match(codeOf(text), code, what);
      assert.ok(!text.includes("postgres://") && !text.includes("by-channel"), what);
    }
  // Of another server, and none at all.
  const elsewhere = project({ "wrangler.toml": readFileSync(join(endpoint.dir, "wrangler.toml"), "utf8"), "src/index.js": "" });
  const foreign = spawnSync(weirPath, ["prisma", "key", "create", "--database", "app", "--project", elsewhere.dir, "--json"], { encoding: "utf8" });
  elsewhere.remove();
  for (const key of [JSON.parse(foreign.stdout).key, "x", ""])
    for (const [path, body] of [[graphql, find("User")], ["/query", raw("select 1")], ["/transaction/start", "{}"], ["/invalidate", '{"tags":"all"}'], ["/connection-info"]]) {
      const answer = await post(path, body, key);
      assert.deepEqual([answer.status, codeOf(await answer.text())], [401, "P6002"], `${path} ${key}`);
    }
  const large = 100 << 20;
  for (const path of [graphql, "/query"])
    for (const headers of [{ "content-length": large }, { "transfer-encoding": "chunked" }]) assert.deepEqual(await sendLarge(path, large, headers), [413, "P6000"], `${path} ${Object.keys(headers)}`);
  assert.equal(await p.user.count(), 4);
  await p.$disconnect();
});

test("a batch of many queries is compiled in parts, and others have their turn meanwhile", { timeout: 60000 * patience }, async () => {
  await admin.query(seed);
  const p = new v6.edgeClient({ datasourceUrl: endpoint.edgeUrl(), log: [{ emit: "event", level: "query" }] }), statements = [];
  p.$on("query", ({ query }) => statements.push(query));
  const found = await Promise.all(Array.from({ length: 1001 }, (_, i) => p.tag.findUnique({ where: { id: i % 4 } })));
  assert.deepEqual(found.map((tag) => tag?.name), Array.from({ length: 1001 }, (_, i) => [undefined, "news", "water", "unused"][i % 4]));
  assert.ok(statements.length > 1);
  // Each has a shape of its own, and the last is none: so nothing is run.
  const hash = p._engineConfig?.inlineSchemaHash ?? p._engine.inlineSchemaHash;
  const query = (modelName, take) => ({ modelName, action: "findMany", query: { arguments: { take }, selection: { $scalars: true, posts: { arguments: { skip: take }, selection: { $scalars: true } } } } });
  const batch = [...Array.from({ length: 800 }, (_, i) => query("User", i + 1)), query("nothing", 1)], answered = [];
  const asked = post(`/6.19.3/${hash}/graphql`, JSON.stringify({ batch, transaction: {} })).then((answer) => (answered.push("batch"), answer.json()));
  await sleep(100);
  assert.equal((await post("/query", raw("select 1"))).status, 200);
  answered.push("another");
  assert.match((await asked).errors[0].error, /nothing/);
  assert.deepEqual(answered, ["another", "batch"]);
  await p.$disconnect();
});

test("rows that there is no memory for are P6009, and end nobody's transaction", { timeout: 120000 * patience }, async () => {
  const p = v7.edge(endpoint.edgeUrl()), other = v6.edge(endpoint.edgeUrl(await endpoint.live()));
  let refused;
  const count = other.$transaction(
    async (transaction) => {
      await transaction.user.count();
      await refused;
      return transaction.user.count();
    },
    { timeout: 15000 },
  );
  refused = fails(p.$queryRaw`select n, n * 2 as m, 'some text ' || n as t from generate_series(1, 1500000) n`);
  const { code } = await refused;
  assert.ok(code === "P6009" || (patience > 1 && code === "P6004"), code); // with sanitizers there may be no time
  assert.equal(await count, 4);
  assert.equal((await fails(p.$queryRaw`select repeat('x', 1000) as x from generate_series(1, 60000) n`)).code, "P6009");
  assert.equal((await fails(p.$queryRaw`select repeat('x', 200000000) as x`)).code, "P6009"); // which is more than there is memory for to put it together
  // Nor for what one request gathers, by whatever protocol; and then it is there for others.
  const part = "select repeat('x', 1000) as x from generate_series(1, 8000) n", parts = Array(12).fill(part);
  for (let round = 0; round < 2; round++) {
    const gathered = await post("/query", JSON.stringify({ plan: { type: "concat", args: parts.map((sql) => JSON.parse(raw(sql)).plan) } }));
    assert.match((await gathered.json()).error, /rows of one request/);
    assert.match((await fails(other.$transaction(parts.map((sql) => other.$queryRawUnsafe(sql))))).message, /rows of one request/);
    await fails(other.$transaction(async (tx) => {
      for (const sql of parts.slice(0, 5)) assert.match((await fails(tx.$queryRawUnsafe(sql))).message, /^The response is larger/);
      throw new Error("all of them");
    }, { timeout: 15000 })).then(({ message }) => assert.equal(message, "all of them"));
  }
  assert.equal((await p.$queryRaw`select repeat('x', 1000) as x from generate_series(1, 3000) n`).length, 3000);
  await Promise.all([p.$disconnect(), other.$disconnect()]);
});

const instances = () => descendants(endpoint.weir.process.pid).filter(({ name }) => name === "weir-instance").map(({ pid }) => pid);
// The codes of what is asked so many times at once, sorted.
const codesOf = async (times, path, body) => {
  const answers = await Promise.all(Array.from({ length: times }, async () => { const answer = await post(path, body); return answer.status === 200 ? (await answer.text(), "ok") : (await answer.json()).code; }));
  return [...new Set(answers)].sort();
};

test("no text holds up those who ask meanwhile", { timeout: 120000 * patience }, async () => {
  const p = v6.edge(endpoint.edgeUrl()), reader = (await endpoint.live("--read-only")).key, other = v6.edge(endpoint.edgeUrl(await endpoint.live())), n = 1500000;
  await other.user.count();
  const schema = 'datasource db {\n  provider = "postgresql"\n  url = env("X")\n}\nmodel Tag {\n  id Int @id\n}\n// "\n//';
  // A plan whose texts could be of many objects.
  const field = { type: "field", dbName: "x", fieldType: { type: "decimal", arity: "required" } }, object = (fields) => ({ type: "object", serializedName: "o", skipNulls: false, fields });
  const structure = object(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`o${i}`, object({ x: field })])));
  const fragments = Array(15000).fill({ type: "stringChunk", chunk: `JSONB_BUILD_OBJECT('x', "t"."x") ` });
  const joins = JSON.stringify({ plan: { type: "dataMap", args: { structure, enums: {}, expr: { type: "query", args: { type: "templateSql", fragments, args: [], argTypes: [], placeholderFormat: { prefix: "$", hasNumbering: true }, chunkable: false } } } } });
  for (const [name, ask] of Object.entries({
    joins: () => post("/query", joins),
    word: () => post("/query", raw(`select '${"a".repeat(n)}' as x`), reader),
    into: () => post("/query", raw(`select 1 as x /* ${"into ".repeat(n / 5)} */`), reader),
    comments: () => post("/query", raw(`${"/* */ ".repeat(n / 6)} select 1 as x`), reader),
    lines: () => post("/query", raw(`${"--\n".repeat(n / 3)} select 1 as x`), reader),
    parentheses: () => post("/query", raw(`select ${"( ".repeat(n / 2)}`), reader),
    detail: () => p.$executeRaw`do $$ begin raise exception using errcode = '23505', detail = repeat('Key (', 300000); end $$`.catch(() => {}),
    schema: () => upload(`${schema} "${'\\"'.repeat(n / 4)}`),
    string: () => upload(`${schema}\n"${'\\"'.repeat(n / 4)}`),
    returns: () => upload(schema + "\r".repeat(n / 2)),
  })) {
    let isAnswered = false, longestMs = 0;
    const asked = ask().then(() => (isAnswered = true));
    while (!isAnswered) {
      const began = Date.now();
      await other.user.count();
      longestMs = Math.max(longestMs, Date.now() - began);
    }
    await asked;
    assert.ok(longestMs < 3000 * patience, `${name}: ${longestMs} ms`);
  }
  await Promise.all([p.$disconnect(), other.$disconnect()]);
});

// A plan that binds what it made of v0 to v1, of that to v2, and so on.
const named = (type) => (name) => ({ prisma__type: type, prisma__value: name });
const nestedLets = (depth, make) => Array.from({ length: depth }, (_, i) => i).reduceRight((expr, i) => ({ type: "let", args: { bindings: [{ name: `v${i + 1}`, expr: make(`v${i}`) }], expr } }), { type: "value", args: 1 });

test("lists of lists have an end, and a clear one", { timeout: 300000 * patience }, async () => {
  const parameter = (name) => named("param")({ name, type: "Int" });
  const product = (one, other) => ({ type: "value", args: named("generatorCall")({ name: "product", args: [one, other].map(parameter) }) });
  const ask = async (plan, length) => {
    const answer = await post("/query", JSON.stringify({ plan, params: { v0: Array.from({ length }, (_, i) => i) } }));
    return [answer.status, JSON.parse(await answer.text())];
  };
  const refused = [400, { code: "P6000", error: "The query puts together more than 1000000 values, which is the limit here: ask for less at once.", meta: {} }];
  const ofItself = (name) => product(name, name), ofTheFirst = () => product("v0", "v0");
  assert.deepEqual(await ask(nestedLets(2, ofItself), 10), [200, { data: 1 }]);
  assert.deepEqual(await ask(nestedLets(3, ofItself), 10), refused);
  assert.deepEqual(await ask(nestedLets(1, ofTheFirst), 900), [200, { data: 1 }]);
  assert.deepEqual(await ask(nestedLets(2, ofTheFirst), 900), refused);
  const twice = (name) => ({ type: "concat", args: [1, 2].map(() => ({ type: "get", args: { name } })) });
  assert.deepEqual(await ask(nestedLets(10, twice), 10), [200, { data: 1 }]);
  assert.deepEqual(await ask(nestedLets(40, twice), 10), refused);
  assert.deepEqual((await ask({ type: "concat", args: Array(3000).fill({ type: "value", args: 1 }) }, 1))[0], 200, "as many as there are, once");
  const impure = (node) => ({ type: "seq", args: [JSON.parse(raw("select 1 as n")).plan, JSON.parse(raw("select 2 as n")).plan, node] }); // it is interpreted in another way
  assert.deepEqual(await ask(impure(nestedLets(40, twice)), 10), refused);
  // A list of lists is written out whole, wherever it is once more.
  const get = (name) => ({ type: "get", args: { name } }), lastOf = (plan, name) => JSON.parse(JSON.stringify(plan).replace('{"type":"value","args":1}', JSON.stringify(get(name))));
  const pair = (name) => ({ type: "value", args: [parameter(name), parameter(name)] });
  const join = (parent, ...children) => ({ type: "join", args: { parent, canAssumeStrictEquality: false, children: children.map((child, i) => ({ child, on: [], parentField: `f${i}`, isRelationUnique: false })) } });
  const both = (name) => join({ type: "value", args: {} }, get(name), get(name));
  const mapped = (name) => ({ type: "let", args: { bindings: ["l", "r"].map((side) => ({ name: side, expr: { type: "mapField", args: { field: "x", records: get(name) } } })), expr: { type: "value", args: [parameter("l"), parameter("r")] } } });
  const set = (name) => ({ type: "initializeRecord", args: { expr: get(name), fields: Object.fromEntries(["x", "y"].map((field) => [field, { type: "value", value: parameter(name) }])) } });
  for (const [how, make] of Object.entries({ twice, pair, mapped, set })) {
    assert.equal((await ask(lastOf(nestedLets(5, make), "v5"), 2))[0], 200, how);
    assert.deepEqual(await ask(lastOf(nestedLets(30, make), "v30"), 2), refused, how);
  }
  const records = (length) => ({ type: "value", args: Array.from({ length }, () => ({})) }), bound = (bindings, expr) => ({ type: "let", args: { bindings: Object.entries(bindings).map(([name, expr]) => ({ name, expr })), expr } });
  const joined = (depth) => bound({ v0: records(1) }, lastOf(nestedLets(depth, both), `v${depth}`));
  assert.equal((await ask(joined(5), 1))[0], 200);
  assert.deepEqual(await ask(joined(30), 1), refused);
  const crossed = (length) => bound({ a: records(length), b: records(length) }, { type: "seq", args: [join(get("a"), get("b")), { type: "value", args: 1 }] });
  assert.deepEqual(await ask(crossed(300), 1), [200, { data: 1 }]);
  assert.deepEqual(await ask(crossed(10000), 1), refused);
  assert.deepEqual(await ask(impure(crossed(10000)), 1), refused);
  const late = (change) => bound({ a: records(1), b: { type: "value", args: [parameter("a"), parameter("a")] } }, { type: "seq", args: [change, get("b")] });
  const changes = { join: join(get("a"), records(9)), mapRecord: { type: "mapRecord", args: { expr: { type: "unique", args: get("a") }, fields: { x: { type: "set", value: parameter("v0") } } } } };
  for (const change of Object.values(changes)) assert.deepEqual(await ask(late(change), 9), [400, { code: "P6000", error: "The query changes a record that it has in several places.", meta: {} }]);
  // Nor is a statement made that has more parameters, in all of its parts.
  const statement = (tuples, chunkable = false) => ({
    type: "query",
    args: {
      type: "templateSql", chunkable, placeholderFormat: { prefix: "$", hasNumbering: true },
      fragments: [{ type: "stringChunk", chunk: "select 1 where 1 in " }, ...tuples.flatMap((_, i) => [{ type: "stringChunk", chunk: i ? " or 1 in " : "" }, { type: "parameterTuple", itemPrefix: "", itemSeparator: ",", itemSuffix: "" }])],
      args: tuples, argTypes: tuples.map(() => ({ arity: "scalar", scalarType: "int" })),
    },
  });
  assert.equal((await ask(statement(Array(3).fill(parameter("v0"))), 1000))[0], 200);
  assert.deepEqual(await ask(statement(Array(3000).fill(parameter("v0"))), 100000), refused);
  assert.equal((await ask(statement([parameter("v0"), [1]], true), 100000))[0], 200);
  assert.deepEqual(await ask(statement([parameter("v0"), Array(32765).fill(1)], true), 100000), refused);
  // What is made of a list is as long as it, each time.
  const expr = get("a"), operations = { pagination: null, distinct: null, linkingFields: null, reverse: false, nested: {} };
  const copies = { mapField: { field: "x", records: expr }, diff: { from: expr, to: { type: "value", args: [] }, fields: [] }, process: { expr, operations }, dataMap: { expr, structure: { type: "object", fields: {} }, enums: {} } };
  const again = (node, times) => bound({ a: records(1000) }, { type: "seq", args: [...Array(times).fill(node), { type: "value", args: 1 }] });
  for (const [type, args] of Object.entries(copies))
    for (const [times, answer] of [[900, [200, { data: 1 }]], [1001, refused]]) assert.deepEqual(await ask(again({ type, args }, times), 1), answer, type);
  // … nor looked at again and again.
  const many = { type: "concat", args: Array(150000).fill(get("v1")) }, begunMs = performance.now();
  assert.deepEqual((await ask(bound({ v1: { type: "value", args: 1 } }, { type: "seq", args: [many, { type: "value", args: 1 }] }), 1)), [200, { data: 1 }]);
  assert.ok(performance.now() - begunMs < 8000 * patience, String(performance.now() - begunMs));
  // What is small and comes to much: wide rows, keys, texts, ids. Nobody waits for it.
  const select = (sql, fragments = [], args = [], more = {}) => ({ type: "query", args: { type: "templateSql", fragments: [{ type: "stringChunk", chunk: sql }, ...fragments], args, argTypes: args.map(() => ({ arity: "scalar", scalarType: "int" })), placeholderFormat: { prefix: "$", hasNumbering: true }, chunkable: false, ...more } });
  const rows = select("select 1 as a from generate_series(1,200000)"), text = select("select repeat('1', 2000000) as a"), zeros = select("select decode(repeat('00', 2000000), 'hex') as a");
  const nothing = { type: "value", args: [] }, unto = (expr) => ({ type: "seq", args: [expr, { type: "value", args: 1 }] }), named8000 = Array(8000).fill("a");
  const fields = (length, field) => Object.fromEntries(Array.from({ length }, (_, i) => [`f${i}`, field])), column = (type, arity = "required", more) => ({ type: "field", dbName: "a", fieldType: { type, arity, ...more } });
  const map = (expr, length, field) => unto({ type: "dataMap", args: { enums: {}, structure: { type: "object", serializedName: null, skipNulls: false, fields: fields(length, field) }, expr } });
  const objects = { type: "object", serializedName: "a", skipNulls: false, fields: {} };
  const diff = (from, to) => unto({ type: "diff", args: { from, to, fields: named8000 } });
  const on = (parent, child) => unto({ type: "join", args: { parent, canAssumeStrictEquality: true, children: [{ child, on: named8000.map((name) => [name, name]), parentField: "b", isRelationUnique: false }] } });
  const processed = (more) => unto({ type: "process", args: { expr: rows, operations: { ...operations, ...more } } });
  const tuple = (around, more) => select("select 1 where 1 in ", [{ type: "parameterTuple", itemPrefix: "", itemSeparator: ",", itemSuffix: "", ...around }], [Array(32766).fill(1)], more);
  const long = " ".repeat(10000), nano = (length) => named("generatorCall")({ name: "nanoid", args: [length] });
  const last = { type: "initializeRecord", args: { expr: { type: "value", args: 1, lastInsertId: Array(5000).fill("x".repeat(100)) }, fields: fields(20000, { type: "lastInsertId" }) } };
  const tooMany = "P6000", tooLarge = "P6009", other = v6.edge(endpoint.edgeUrl(await endpoint.live()));
  for (const pid of instances()) process.kill(pid, "SIGKILL"); // the next one has nothing of what was before
  await until(() => other.user.count().then(() => true, () => false));
  const before = instances();
  for (const [name, [plan, code]] of Object.entries({
    wide: [map(rows, 1000, column("int")), tooLarge],
    "wide, of no width": [map({ type: "value", args: { a: Array(10000).fill({}) } }, 8000, objects), tooLarge],
    "long texts": [map(text, 1000, column("string")), tooLarge],
    "long numbers": [map(text, 8000, column("float")), tooMany],
    "long bytes": [map(zeros, 8000, column("boolean")), tooMany],
    "a list of the same": [map({ type: "value", args: { a: Array(10000).fill(1) } }, 8000, column("int", "list")), tooLarge],
    "objects of others": [map({ type: "value", args: { a: Array(10000).fill(1) } }, 8000, column("unsupported")), tooLarge],
    "JSON of rows": [map({ type: "value", args: { a: JSON.stringify({ x: "x".repeat(1000000) }) } }, 8000, objects), tooMany],
    from: [diff(rows, nothing), tooMany],
    to: [diff(nothing, rows), tooMany],
    "long keys": [diff(text, nothing), tooMany],
    parents: [on(rows, nothing), tooMany],
    children: [on(nothing, rows), tooMany],
    distinct: [processed({ distinct: named8000 }), tooMany],
    linking: [processed({ pagination: { skip: 1, take: 1, cursor: null }, linkingFields: named8000 }), tooMany],
    cursor: [processed({ pagination: { skip: null, take: 1, cursor: fields(8000, 1) } }), tooMany],
    reverse: [bound({ a: rows }, { type: "seq", args: [...Array(5000).fill({ type: "reverse", args: get("a") }), { type: "value", args: 1 }] }), tooMany],
    "a statement's items": [tuple({ itemPrefix: long }), tooMany],
    "… and what is between them": [tuple({ itemSeparator: long }), tooMany],
    "… and each parameter": [tuple({}, { placeholderFormat: { prefix: [long], hasNumbering: true } }), tooMany],
    ids: [{ type: "value", args: Array(5000).fill(nano(65536)) }, tooMany],
    "ids that take long": [{ type: "value", args: Array(70000).fill(named("generatorCall")({ name: "cuid", args: [2] })) }, tooMany],
    lastInsertId: [last, tooMany],
  })) {
    let isAnswered = false, longestMs = 0;
    const asked = post("/query", JSON.stringify({ plan })).then(async (answer) => [codeOf(await answer.text()), (isAnswered = true)]);
    while (!isAnswered) {
      const begunMs = Date.now();
      await other.user.count().catch(({ code }) => assert.fail(`${name}: ${code}`));
      longestMs = Math.max(longestMs, Date.now() - begunMs);
    }
    assert.deepEqual([name, ...(await asked)], [name, code, true]);
    assert.ok(longestMs < 3000 * patience, `${name}: ${longestMs} ms`);
  }
  assert.deepEqual(before.filter((pid) => !instances().includes(pid)), []);
  // … and what a response may have is not refused.
  const narrow = { type: "dataMap", args: { enums: {}, structure: { type: "object", serializedName: null, skipNulls: false, fields: fields(10, column("int")) }, expr: select("select 1 as a from generate_series(1,70000)") } };
  assert.equal((await ask(narrow, 0))[1].data.length, 70000);
  assert.equal((await ask({ type: "value", args: Array(100).fill(nano(255)) }, 0))[1].data[99].length, 255);
  const made = (await ask({ type: "value", args: Array(20000).fill(named("generatorCall")({ name: "cuid", args: [2] })) }, 0))[1].data;
  assert.ok(new Set(made).size === 20000 && made.every((id) => /^[a-z][0-9a-z]{23}$/.test(id)));
  await other.$disconnect();
});

test("a value of a raw query that looks like a parameter's is JSON, where it is no text", async () => {
  const p = v6.edge(endpoint.edgeUrl());
  await p.user.count();
  for (const type of ["bigint", "decimal", "bytes", "date"]) {
    const looking = { prisma__type: type, prisma__value: named("generatorCall")({ name: "nanoid", args: [9] }) };
    assert.deepEqual(await p.$queryRaw`select ${looking}::jsonb as x`, [{ x: looking }], type);
  }
  await p.$disconnect();
});

test("large requests of one key wait for each other, and what has too many values is refused; the instance lives on", { timeout: 120000 * patience }, async () => {
  assert.equal((await post("/connection-info")).status, 200);
  const before = instances(), text = (bytes) => `{"plan":{"type":"value","args":1},"params":{"a":"${"x".repeat(bytes)}"}}`;
  const many = (item, count) => `{"plan":{"type":"value","args":1},"params":{"a":[${item.repeat(count)}1]}}`;
  assert.equal((await post("/query", many("[],", 400000))).status, 200);
  for (const body of [many("[],", 4000000), many("1,", 1000001)]) {
    const answer = await post("/query", body);
    assert.deepEqual([answer.status, (await answer.json()).code], [413, "P6000"]);
  }
  const codes = await codesOf(50, "/query", text(15000000));
  assert.ok(codes.every((code) => ["ok", "P5011", "P6000"].includes(code)) && codes.includes("ok"), codes.join()); // no room for one of them is that one's affair
  assert.deepEqual(before.filter((pid) => !instances().includes(pid)), []); // there may be a spare one besides
  await until(async () => (await post("/query", text(5000000))).status === 200); // what was refused has left the room to others
  const chunked = new Blob([text(3000000)]).stream();
  assert.equal((await post("/query", chunked, undefined, { duplex: "half", headers: { authorization: `Bearer ${endpoint.first.key}` } })).status, 200);
});

test("many large results at once end neither the instance nor anybody's transaction", { timeout: 120000 * patience }, async () => {
  for (const pid of instances()) process.kill(pid, "SIGKILL"); // what the tests before have left in it is not looked at here
  await until(async () => (await post("/connection-info")).status === 200);
  const other = v6.edge(endpoint.edgeUrl(await endpoint.live())), before = instances();
  let over = false, begin;
  const hasBegun = new Promise((resolve) => (begin = resolve));
  const transaction = other.$transaction(
    async (tx) => {
      begin();
      while (!over) await tx.user.count().then(() => sleep(200));
      return tx.user.count();
    },
    { maxWait: 10000, timeout: 14000 },
  ).catch((error) => assert.equal(error.code, "P2028")); // its time may be over, on a slow machine
  await Promise.race([hasBegun, transaction]);
  const raw = JSON.stringify({ plan: { type: "query", args: { type: "rawSql", sql: "select n, 'some text ' || n as t from generate_series(1, 100000) n", args: [], argTypes: [] } } });
  const codes = await codesOf(24, "/query", raw);
  over = true;
  assert.ok(codes.every((code) => ["ok", "P6004", "P2024"].includes(code)) && codes.includes("ok"), codes.join());
  await transaction;
  assert.deepEqual(before.filter((pid) => !instances().includes(pid)), []); // there may be a spare one besides
  await other.$disconnect();
});

test("who means ill leaves nothing: connections, memory and places of transactions are as they were", { timeout: 120000 * patience }, async () => {
  const own = await endpoint.live(), other = await endpoint.live();
  const start = async (options, { key } = own) => (await post("/transaction/start", JSON.stringify(options), key)).json();
  const nested = (depth) => `{"plan":${'{"type":"unique","args":'.repeat(depth)}{"type":"value","args":1}${"}".repeat(depth)}}`;
  const bodies = [raw("select 1 / 0"), raw("commit"), raw("begin"), raw("set search_path = depot"), raw("select pg_advisory_lock(9)"), raw("create temporary table left_open (x int)"), raw("select repeat('x', 1000) as x from generate_series(1, 60000)"),
    "x", "null", '{"plan":{"type":"nonsense"}}', nested(5000), `{"plan":{"type":"value","args":1},"params":{"a":"${"x".repeat(3000000)}"}}`];
  // In transactions that are ended or left, and in none; and by who goes away meanwhile.
  const round = () =>
    Promise.all([...bodies, undefined].flatMap((body, i) => ["/query", "/6.19.3/x/graphql", "/transaction/"].map(async (path) => {
      const { id } = path === "/transaction/" ? await start({ timeout: 500, maxWait: 10000 }) : {};
      const where = id === undefined ? path : `${path}${id}/query`;
      const asked = body === undefined ? post(where, raw("select pg_sleep(1)::text"), own.key, { signal: AbortSignal.timeout(100), headers: { authorization: `Bearer ${own.key}` } }) : post(where, body, own.key);
      await asked.then((answer) => answer.text()).catch(() => {});
      if (id !== undefined && i % 2) await post(`/transaction/${id}/${i % 4 === 1 ? "commit" : "rollback"}`, undefined, own.key);
    })));
  const kilobytes = () => instances().reduce((sum, pid) => sum + Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))[1]), 0);
  const quiet = () => until(async () => (await admin.query("select count(*)::int as n from pg_stat_activity where state <> 'idle' and backend_type = 'client backend' and pid <> pg_backend_pid()")).rows[0].n === 0);
  for (let i = 0; i < 3; i++) await round();
  await quiet();
  const before = kilobytes(), those = instances();
  for (let i = 0; i < 8; i++) await round();
  await quiet();
  assert.deepEqual(instances(), those);
  if (process.env.ASAN_OPTIONS === undefined) assert.ok(kilobytes() < before + 49152, `${before} kB, and then ${kilobytes()}`);
  // All places that keys have, and all connections to the database.
  const places = await Promise.all([own, other].flatMap((key) => Array.from({ length: 10 }, async () => ({ ...(await start({ timeout: 10000, maxWait: 9000 }, key)), key }))));
  assert.deepEqual(places.filter(({ id }) => id === undefined), []);
  await Promise.all(places.map(async ({ id, key }) => assert.equal((await post(`/transaction/${id}/query`, raw("select 1 as x"), key.key)).status, 200)));
  assert.equal((await start({ timeout: 10000, maxWait: 100 })).code, "P2028");
  await Promise.all(places.map(({ id, key }) => post(`/transaction/${id}/rollback`, undefined, key.key)));
});

test("what is nested too deeply is told so, with a code, in each protocol; what can not be run has one, too", async () => {
  const nested = (depth) => `${'{"type":"unique","args":'.repeat(depth)}{"type":"value","args":1}${"}".repeat(depth)}`;
  assert.deepEqual(await (await post("/query", `{"plan":${nested(100)}}`)).json(), { data: 1 });
  for (const path of ["/query", "/6.19.3/x/graphql"]) {
    for (const text of [`{"plan":${nested(100000)}}`, `{"plan":${"[".repeat(1000000)}${"]".repeat(1000000)}}`, `{"plan":{"type":"value"},"params":${'{"a":'.repeat(100000)}1${"}".repeat(100000)}}`]) {
      const answer = await post(path, text), told = JSON.parse(await answer.text());
      if (path !== "/query" && answer.status === 404) continue; // it was read, and there is no such schema
      assert.deepEqual([answer.status, told.code ?? told.error_code, told.error ?? told.message], [400, "P6000", "The request is nested more deeply than this server takes."]);
    }
  }
  const answer = await post("/query", '{"plan":{"type":"nonsense"}}');
  assert.deepEqual([answer.status, (await answer.json()).code], [400, "P5012"]);
});

// The clients of 5 and 6 ask again where they are told no code: what ended one instance would end the next ones.
test("a request whose instance ends is not made again by its client", { timeout: 60000 * patience }, async () => {
  const v5 = clients("v5");
  v5.trust(readFileSync(endpoint.certificate));
  await admin.query("create sequence attempts");
  for (const p of [v5.edge(endpoint.edgeUrl(undefined, false)), v6.edge(endpoint.edgeUrl()), v7.edge(endpoint.edgeUrl())]) {
    await admin.query("alter sequence attempts restart");
    const failed = fails(p.$queryRaw`select nextval('attempts')::text, pg_sleep(5)::text`);
    await until(async () => (await admin.query("select is_called from attempts")).rows[0].is_called);
    for (const { pid, name } of descendants(endpoint.weir.process.pid)) if (name === "weir-instance") process.kill(pid, "SIGKILL");
    const { code, message } = await failed;
    assert.equal(code, "P6000");
    assert.match(message, /process has ended/);
    assert.deepEqual((await admin.query("select last_value::int as n from attempts")).rows, [{ n: 1 }]);
    await p.$disconnect();
  }
  await admin.query("drop sequence attempts");
});

test("weir starts anew under a client that goes on: its schema is asked for again", async () => {
  const p = v6.edge(endpoint.edgeUrl());
  assert.equal(await p.user.count(), 4);
  for (const { pid, name } of descendants(endpoint.weir.process.pid)) if (name === "weir-instance") process.kill(pid, "SIGKILL");
  await until(async () => (await p.user.count().catch(() => 0)) === 4);
  await p.$disconnect();
});

test("weir starts anew, or is killed, or its instance is, amid a transaction: its client is told, and no lock is left", { timeout: 120000 * patience }, async () => {
  await admin.query(seed);
  const v5 = clients("v5");
  v5.trust(readFileSync(endpoint.certificate));
  for (const [made, signal] of [[v5, "SIGTERM"], [v6, "SIGKILL"], [v7, "SIGTERM"], [v7, "SIGKILL"], [v5], [v6], [v7]]) {
    const p = made.edge(endpoint.edgeUrl(undefined, made !== v5));
    const { code } = await fails(
      p.$transaction(
        async (tx) => {
          await tx.post.update({ where: { id: 1 }, data: { views: 77 } });
          if (signal) await endpoint.restart(signal);
          else for (const pid of instances()) process.kill(pid, "SIGKILL");
          await tx.post.findMany();
        },
        { timeout: 14000 },
      ),
    );
    assert.ok(code === "P2028" || (!signal && code === "P6000"), code); // what it asks may reach the instance before that is missed
    await admin.query("set lock_timeout = '2s'");
    assert.equal((await admin.query('update "Post" set views = views where id = 1 returning views')).rows[0].views, 100, signal);
    assert.equal((await admin.query("select count(*)::int as n from pg_stat_activity where state like 'idle in%'")).rows[0].n, 0);
    assert.equal(await p.user.count(), 4);
    await p.$disconnect();
  }
});

for (const version of ["v5", "v6", "v7"])
  test(`a key that is revoked amid its transaction (${version})`, { timeout: 60000 * patience }, async () => {
    await admin.query(seed);
    const made = clients(version), own = await endpoint.live();
    made.trust?.(readFileSync(endpoint.certificate));
    const p = made.edge(endpoint.edgeUrl(own, version !== "v5")), begun = Date.now();
    let isRolledBack;
    const { code } = await fails(
      p.$transaction(
        async (tx) => {
          await tx.post.update({ where: { id: 1 }, data: { views: 78 } });
          assert.equal(cli("revoke", own.id).status, 0);
          await admin.query("set lock_timeout = 0");
          assert.equal((await admin.query('update "Post" set views = views where id = 1 returning views')).rows[0].views, 100); // its lock is free
          isRolledBack = Date.now() - begun < 14000;
          await tx.post.findMany();
        },
        { timeout: 15000 },
      ),
    );
    assert.deepEqual([code, isRolledBack], ["P6002", true], "before its time is over");
    await p.$disconnect();
  });
