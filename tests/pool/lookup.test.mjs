// SPDX-License-Identifier: Apache-2.0
// auth_query: users that the pool's configuration does not list.
import assert from "node:assert/strict";
import { before, test } from "node:test";

import pg from "pg";

import { Wire, database, errorOf, eventually, patience, startPool, startPostgres, startup } from "./lib.mjs";

let postgres;
before(async () => {
  postgres = await startPostgres();
  postgres.sql(`
    create role asker superuser login password 'asker secret';
    create role expired login password 'expired secret' valid until '2020-01-01';
    create role nologin password 'nologin secret';
    create role later login password 'later secret' valid until '2100-01-01';
    create sequence asked;
    create function lookup(name text) returns table (u name, p text) security definer language sql as
      $$ select rolname, rolpassword from pg_catalog.pg_authid where rolname = name and pg_catalog.nextval('public.asked') > 0 $$;
    create schema evil;
    create table evil.pg_shadow (usename name, passwd text);
    insert into evil.pg_shadow select 'victim', rolpassword from pg_authid where rolname = 'scram_user';
    create role victim login password 'victim secret';
    grant usage on schema evil to public; grant select on evil.pg_shadow to public`);
});

const open = (extra = "", auth = "scram-sha-256") =>
  startPool(`auth = "${auth}"\nauth_user = "asker"\n${extra}\n[[users]]\nname = "asker"\npassword = "asker secret"\n${database(postgres)}`);

async function login(pool, user, password, more = {}) {
  const client = new pg.Client({ host: "127.0.0.1", port: pool.port, user, password, database: "postgres", ...more });
  client.on("error", () => {});
  await client.connect();
  const { rows } = await client.query("select current_user::text as u, session_user::text as s");
  await client.end();
  return rows[0].u === rows[0].s ? rows[0].u : rows[0];
}
const refused = (pool, user, password, more) => assert.rejects(login(pool, user, password, more), { code: "28P01", message: `password authentication failed for user "${user}"` });

test("users are looked up, and log in to the database as themselves", async () => {
  const pool = await open();
  assert.equal(await login(pool, "scram_user", "scram secret"), "scram_user");
  assert.equal(await login(pool, "later", "later secret"), "later");
  await refused(pool, "scram_user", "guessed");
  await refused(pool, "nobody", "guessed");
  // CVE-2025-2291: an expired password does not count, nor does that of a role that may not log in.
  await refused(pool, "expired", "expired secret");
  await refused(pool, "nologin", "nologin secret");
  assert.ok(!/secret|SCRAM-SHA/.test(pool.weir.output), pool.weir.output);
});

test("a changed password counts at once after a failure", async () => {
  const pool = await open();
  postgres.sql("create role changes login password 'first secret'");
  assert.equal(await login(pool, "changes", "first secret"), "changes");
  postgres.sql("alter role changes password 'second secret'");
  await refused(pool, "changes", "second secret");
  assert.equal(await eventually(() => login(pool, "changes", "second secret")), "changes");
  await refused(pool, "changes", "first secret");
});

test("md5 and clear passwords", async () => {
  const md5 = await open("", "md5");
  // Whom the database does not know is asked as whom it knows.
  const asked = async (user) => {
    const wire = await Wire.open(md5.port);
    wire.send(startup({ user, database: "postgres" }));
    const [{ body }] = await wire.wait((messages) => messages.length > 0);
    wire.close();
    return body.readUInt32BE(0);
  };
  assert.deepEqual([await asked("nobody"), await asked("scram_user"), await asked("nobody")], [10, 10, 10]);
  assert.equal(await login(md5, "md5_user", "md5 secret"), "md5_user");
  assert.deepEqual([await asked("nobody"), await asked("md5_user"), await asked("nobody")], [5, 5, 5]);
  assert.equal(await login(md5, "scram_user", "scram secret"), "scram_user");
  await refused(md5, "md5_user", "guessed");
  const clear = await open("", "password");
  assert.equal(await login(clear, "scram_user", "scram secret"), "scram_user");
  await refused(clear, "scram_user", "guessed");
});

// CVE-2025-12819: what a client says at its start has no say in the question.
test("a client's search_path does not reach auth_query", async () => {
  const pool = await open(`auth_query = "select usename, passwd from pg_shadow where usename = $1"`);
  const options = { options: "-c search_path=evil" };
  await refused(pool, "victim", "scram secret", options);
  assert.equal(await login(pool, "victim", "victim secret", options), "victim");
  postgres.sql("alter role asker set search_path = evil, pg_catalog");
  try {
    const again = await open(`auth_query = "select usename, passwd from pg_shadow where usename = $1"`);
    await refused(again, "victim", "scram secret");
  } finally {
    postgres.sql("alter role asker reset search_path");
  }
});

test("many logins of one user ask once", { timeout: 60000 * patience }, async () => {
  const pool = await open(`auth_query = "select u, p from public.lookup($1)"\npool_size = 5`);
  const asked = () => Number(postgres.sql("select case when is_called then last_value else 0 end from asked"));
  const before = asked();
  const names = await Promise.all(Array.from({ length: 40 }, () => login(pool, "scram_user", "scram secret")));
  assert.deepEqual(new Set(names), new Set(["scram_user"]));
  assert.equal(asked() - before, 1);
});

test("limits of clients do not concern the pool's own questions", { timeout: 60000 * patience }, async () => {
  const names = Array.from({ length: 12 }, (_, i) => `one_of_many_${i}`);
  postgres.sql(names.map((name) => `create role ${name} login`).join(";"));
  const pool = await open("clients_max = 12\ndatabase_clients_max = 12\nuser_clients_max = 2", "trust");
  const told = await Promise.all(names.map(async (user) => {
    const wire = await Wire.open(pool.port);
    wire.send(startup({ user, database: "postgres" }));
    return errorOf(await wire.wait((messages) => messages.some(({ type }) => "EZ".includes(type))))?.M;
  }));
  assert.deepEqual(told, names.map(() => undefined));
  await pool.stop();
});

test("a question that can not be asked is told, and nobody waits for ever", { timeout: 60000 * patience }, async () => {
  const broken = await open(`auth_query = "select u, p from public.nowhere where u = $1"`);
  const message = { code: "08006", message: "the user can not be looked up now; see the pool's log", hint: /auth_query/ };
  await assert.rejects(login(broken, "scram_user", "scram secret"), message);
  await broken.weir.waitFor('auth_query for user scram_user, database postgres: relation "public.nowhere" does not exist');
  const elsewhere = await open(`auth_database = "no_such_database"`);
  await assert.rejects(login(elsewhere, "scram_user", "scram secret"), message);
  await elsewhere.weir.waitFor('database "no_such_database" does not exist');
  // Who is listed is not looked up.
  assert.equal(await login(broken, "asker", "asker secret"), "asker");
});

test("with trust it is enough that auth_query knows the user, also one without a password", async () => {
  postgres.sql("create role unsecured login");
  const pool = await startPool(`auth = "trust"\nauth_user = "asker"\n[[users]]\nname = "asker"\npassword = "asker secret"\n${database(postgres)}`);
  const ask = async (user) => {
    const wire = await Wire.open(pool.port);
    wire.send(startup({ user, database: "postgres" }));
    return wire.until("Z").then((replies) => errorOf(replies)?.M);
  };
  assert.equal(await ask("unsecured"), undefined);
  assert.equal(await ask("asker"), undefined);
  assert.match(await ask("nobody_at_all"), /"trust" authentication failed for user "nobody_at_all": no such user is listed/);
  // Who is in at once, since the connections are another user's, who has logged in before.
  const shared = await startPool(`auth = "trust"\nauth_user = "asker"\n[[users]]\nname = "asker"\npassword = "asker secret"\n${database(postgres, 'user = "postgres"')}`);
  for (const user of ["unsecured", "scram_user", "md5_user"]) {
    const wire = await Wire.open(shared.port);
    wire.send(startup({ user, database: "postgres" }));
    await wire.until("Z");
    assert.deepEqual(await wire.rows("select current_user"), [["postgres"]]);
  }
});
