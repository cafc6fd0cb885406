// SPDX-License-Identifier: Apache-2.0
// What the parameters of a database's URL come to: none is passed over in silence.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";

import { Weir, makeCertificate, patience, startPool, startPostgres } from "./lib.mjs";

let postgres;
before(async () => {
  postgres = await startPostgres();
});

const toml = (url, more = "") => `auth = "any"\n[[databases]]\nname = "app"\nurl = "${url}"\n${more}`;
const at = (user, parameters) => `postgres://${user}@127.0.0.1:${postgres.port}/postgres?${parameters}`;

// The pool with that URL and one query by it: {output, answer}.
async function ask(url, columns = "current_user, ssl") {
  const pool = await startPool(toml(url));
  let answer;
  try {
    answer = execFileSync(`${postgres.bin}/psql`, [`host=127.0.0.1 port=${pool.port} user=x dbname=app`, "-XAtqc",
      `select ${columns} from pg_stat_ssl where pid = pg_backend_pid()`], { encoding: "utf8", stdio: "pipe", timeout: 20000 * patience }).trim();
  } catch (error) {
    answer = error.stderr;
  }
  await pool.stop();
  return { answer, output: pool.weir.output };
}

// What weir says of a URL that it refuses.
async function refused(url, more) {
  const file = join(mkdtempSync(join(postgres.dir, "url-")), "pool.toml");
  writeFileSync(file, `listen = ["${file}.sock"]\n${toml(url, more)}`);
  chmodSync(file, 0o600);
  const weir = await Weir.start(["pool", "--config", file]);
  await Promise.race([weir.exited, weir.waitFor("pool ready on").then(() => assert.fail(`${url} was taken\n${weir.output}`))]);
  assert.equal((await weir.exited).code, 1);
  return weir.output;
}

test("what is misspelt or can not be had is refused, and the remedy told", async () => {
  for (const [parameters, text] of [
    ["sslmod=verify-full", /pool\.toml:5: \[\[databases\]\] url: unknown parameter "sslmod"; did you mean "sslmode"\?/],
    ["something=1", /unknown parameter "something"; leave it out/],
    ["sslmode=verify", /sslmode=verify: expected one of disable, allow, prefer, require, verify-ca, verify-full/],
    ["channel_binding=always", /channel_binding=always: expected one of disable, prefer, require/],
    ["sslmode=disable&channel_binding=require", /channel_binding=require needs TLS; add sslmode=verify-full or require/],
    ["sslmode=require&sslrootcert=system", /sslrootcert=system needs sslmode=verify-full/],
    ["sslmode=verify-full&sslrootcert=/nowhere.pem", /sslrootcert=\/nowhere\.pem: cannot read it: No such file/],
    ["sslmode=verify-full&sslrootcert=pool.toml", /sslrootcert: there is no certificate in it/],
    ["sslcert=pool.toml", /sslcert and sslkey, the client's own, need each other/],
    ["gssencmode=require", /gssencmode=require: expected one of disable, prefer/],
    ["sslcrl=a.pem", /sslcrl is not possible: lists of revoked certificates are not read/],
    ["require_auth=scram-sha-256", /require_auth is not possible: channel_binding=require/],
    ["ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.2", /leave nothing/],
    ["port=1", /port=1: write it behind the host/],
  ])
    assert.match(await refused(at("postgres", parameters)), text, parameters);
  assert.match(await refused(at("postgres", "sslmode=require"), '[databases.tls]\nmode = "verify-full"\n'), /\[databases\.tls\] mode = "verify-full", and the url comes to "require"; leave one of them out/);
});

test("what is for clients is told, each with what to do instead", async () => {
  const parameters = ["connect_timeout=10", "application_name=app", "options=-c%20search_path%3Da", "keepalives_idle=1", "pgbouncer=true", "connection_limit=5",
    "pool_timeout=5", "statement_cache_size=100", "sslaccept=strict", "uselibpqcompat=true"];
  const { answer, output } = await ask(at("postgres", `${parameters.join("&")}&schema=public&sslmode=disable`));
  assert.equal(answer, "postgres|f");
  for (const name of parameters.map((text) => text.split("=")[0]))
    assert.equal(output.match(new RegExp(`pool\\.toml:5: \\[\\[databases\\]\\] url: ${name} is not used: `, "g"))?.length, 1, `${name}\n${output}`);
  assert.match(output, /connect_timeout is not used: server_connect_timeout of the pool/);
  assert.doesNotMatch(output, /schema is not used/);
});

test("sslrootcert is what the server is checked by, with sslmode=require as well", async () => {
  const other = makeCertificate(postgres.dir, "other", "localhost");
  const right = `sslrootcert=${postgres.dir}/server.crt`, wrong = `sslrootcert=${other.certificate}`;
  for (const mode of ["require", "verify-ca"]) {
    assert.equal((await ask(at("postgres", `sslmode=${mode}&${right}`))).answer, "postgres|t");
    assert.match((await ask(at("postgres", `sslmode=${mode}&${wrong}`))).answer, /TLS with the database's server at 127\.0\.0\.1 failed/);
  }
  assert.match((await ask(at("postgres", "sslrootcert=system"))).answer, /TLS with the database's server at 127\.0\.0\.1 failed/);
  const unchecked = await ask(at("postgres", wrong));
  assert.equal(unchecked.answer, "postgres|t");
  assert.match(unchecked.output, /sslrootcert is not used: nothing is checked by it without sslmode=verify-full/);
  assert.equal((await ask(at("postgres", "sslmode=require&ssl_max_protocol_version=TLSv1.2&gssencmode=disable"), "version")).answer, "TLSv1.2");
});

test("channel_binding=require: who does not prove it gets neither a login nor a password", async () => {
  const bound = "sslmode=require&channel_binding=require";
  assert.equal((await ask(at("tls_user:tls%20secret", bound))).answer, "tls_user|t");
  assert.match((await ask(at("password_user:clear%20secret", bound))).answer, /it asks for the password itself, and channel_binding is required/);
  assert.match((await ask(at("md5_user:md5%20secret", bound))).answer, /it asks for the password itself, and channel_binding is required/);
  assert.match((await ask(at("postgres", bound))).answer, /it wants no proof, and channel_binding is required/);
  // The same by the table; by a socket there is no TLS to bind to.
  const pool = await startPool(`auth = "any"\n[[databases]]\nname = "app"\nhost = "${postgres.dir}"\nport = ${postgres.port}\nuser = "postgres"\n[databases.tls]\nchannel_binding = "require"\n`);
  assert.throws(() => execFileSync(`${postgres.bin}/psql`, [`host=127.0.0.1 port=${pool.port} user=x dbname=app`, "-c", "select 1"], { stdio: "pipe" }), /it wants no proof/);
  await pool.stop();
});

test("host, port, user and dbname of the parameters come before those in front of them", async () => {
  assert.equal((await ask(`postgres:///nowhere?host=${postgres.dir}&port=${postgres.port}&user=postgres&dbname=postgres`)).answer, "postgres|f");
  assert.equal((await ask(`postgres://nobody@nowhere.invalid/postgres?host=127.0.0.2,127.0.0.1&port=1,${postgres.port}&user=postgres&sslmode=disable`)).answer, "postgres|f");
});
