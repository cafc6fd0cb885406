// SPDX-License-Identifier: Apache-2.0
// auth = "hba": the first rule that fits a client says how it has to prove who it is.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";

import { Wire, database, errorOf, makeCertificate, patience, scramVerifier, startPool, startPostgres, startup } from "./lib.mjs";
import { weirPath } from "../e2e/lib.mjs";

let postgres, dir;
before(async () => {
  postgres = await startPostgres();
  for (const name of ["ana", "bob", "eve"]) postgres.sql(`create role ${name} login`);
  dir = mkdtempSync(join(postgres.dir, "hba-"));
  chmodSync(dir, 0o755);
});

const users = `[[users]]\nname = "postgres"\n[[users]]\nname = "ana"\n[[users]]\nname = "bob"\npassword = "${scramVerifier("bob's")}"\n[[users]]\nname = "eve"\n`;
const open = (rules, { ident, more = "" } = {}) => {
  writeFileSync(join(dir, "hba.conf"), rules);
  if (ident) writeFileSync(join(dir, "ident.conf"), ident);
  return startPool(`auth = "hba"\nhba_file = "${join(dir, "hba.conf")}"\n${ident ? `ident_file = "${join(dir, "ident.conf")}"\n` : ""}${more}${users}${database(postgres, 'user = "postgres"\ndatabase = "postgres"')}`);
};
// "in", the code of the kind of proof that is asked for, or the error.
async function knock(at, user, name = "postgres") {
  const wire = typeof at === "object" ? at : await Wire.open(at);
  wire.send(startup({ user, database: name }));
  const [first] = await wire.wait((messages) => messages.length > 0);
  wire.close();
  if (first?.type === "E") return errorOf([first]);
  return first.body.readInt32BE(0) === 0 ? "in" : first.body.readInt32BE(0);
}

test("types, databases, users and addresses: the first that fits", async () => {
  writeFileSync(join(dir, "people"), "eve # and others\n");
  const pool = await open(`# comment
local   all        ana                        trust
host    sameuser   all      127.0.0.1/32      trust      # a database of one's own
host    "all"      all      127.0.0.1/32      trust
host    shop,depot @people , bob  127.0.0.0 255.0.0.0  reject
hostssl all        all      0.0.0.0/0         trust
host    all        ana      127.0.0.1/32      password
host    all        bob      127.0.0.0/8       scram-sha-256
host    all        eve      10.0.0.0/8        trust
host    all        eve      ::1/128           trust
`);
  assert.equal(await knock(join(pool.dir, `.s.PGSQL.${pool.port}`), "ana"), "in");
  assert.equal((await knock(join(pool.dir, `.s.PGSQL.${pool.port}`), "bob")).C, "28000");
  assert.equal(await knock(pool.port, "ana", "ana"), "in", "sameuser");
  assert.equal(await knock(pool.port, "eve", "all"), "in", "a quoted all is a name");
  for (const [user, name] of [["eve", "shop"], ["bob", "depot"]]) {
    const error = await knock(pool.port, user, name);
    assert.equal(error.C, "28000");
    assert.match(error.M, /login rejected: a rule of the hba file is against it for host "127\.0\.0\.1"/);
    assert.match(error.H, /the pool's log has its line/);
  }
  assert.match(pool.weir.output, /rejected by line 5 of the hba file/);
  assert.equal(await knock(pool.port, "ana"), 3, "a clear password");
  assert.equal(await knock(pool.port, "bob"), 10, "SASL");
  const error = await knock(pool.port, "eve");
  assert.match(error.M, /there is no rule in the hba file for host "127\.0\.0\.1", user "eve", database "postgres", without TLS/);
  assert.match(error.H, /Add one to hba_file/);
  await pool.stop();
});

test("peer, with and without a map", async () => {
  const me = userInfo().username;
  const pool = await open(`local all ana,bob peer map=people\nlocal all all peer\n`, { ident: `# map\npeople ${me} ana\nothers ${me} all\n` });
  const socket = join(pool.dir, `.s.PGSQL.${pool.port}`);
  assert.equal(await knock(socket, "ana"), "in");
  const refused = await knock(socket, "bob");
  assert.match(refused.M, /peer authentication failed for user "bob"/);
  assert.match(refused.H, /ident_file maps to it/);
  assert.equal((await knock(socket, "eve")).C, "28000");
  assert.equal(await knock(socket, me), "in");
  await pool.stop();
});

test("certificates, with a map; and what has no TLS", async () => {
  const ca = makeCertificate(dir, "ca", "/CN=authority");
  const server = makeCertificate(dir, "server", "/CN=localhost", { ca });
  const client = makeCertificate(dir, "client", "/CN=the robot", { ca });
  const tls = `[tls]\nmode = "verify-ca"\ncertificate_file = "${server.certificate}"\nkey_file = "${server.key}"\nca_file = "${ca.certificate}"\n`;
  const pool = await startPool(`auth = "hba"\nhba_file = "${join(dir, "hba.conf")}"\nident_file = "${join(dir, "ident.conf")}"\n${users}${tls}${database(postgres, 'user = "postgres"\ndatabase = "postgres"')}`).catch((error) => error);
  assert.ok(!(pool instanceof Error), pool.message);
  writeFileSync(join(dir, "hba.conf"), "hostssl all ana,bob all cert map=robots\nhostssl all all all cert\n");
  writeFileSync(join(dir, "ident.conf"), 'robots "the robot" ana\n');
  const said = pool.weir.output.length;
  pool.weir.process.kill("SIGHUP");
  await pool.weir.waitFor("pool ready on", said);
  const secure = async (user) => {
    const wire = await Wire.openTls(pool.port, { ALPNProtocols: ["postgresql"], key: readFileSync(client.key), cert: readFileSync(client.certificate) });
    return knock(wire, user);
  };
  assert.equal(await secure("ana"), "in");
  const refused = await secure("bob");
  assert.match(refused.M, /certificate authentication failed for user "bob"/);
  assert.match(refused.H, /ca_file .* common name .* ident_file/);
  assert.equal((await secure("eve")).C, "28000");
  await pool.stop();
});

test("mistakes of the file are told with their lines", async () => {
  const rules = `local all all md5
host all all 127.0.0.1 trust
host all all example.com trust
nonsense all all trust
host all +group all trust
host all all all pam
host all all all peer
host all all 10.0.0.0/33 md5
host all "open all trust
local all all peer map=none
host all
host all all all md5 krb=1
`;
  writeFileSync(join(dir, "wrong.conf"), rules);
  const file = join(dir, "wrong.toml");
  writeFileSync(file, `auth = "hba"\nhba_file = "wrong.conf"\n[[databases]]\nname = "x"\nhost = "127.0.0.1"\n`);
  const done = spawnSync(weirPath, ["pool", "--config", file], { encoding: "utf8", timeout: 20000 * patience });
  assert.equal(done.status, 1);
  const lines = done.stderr;
  for (const [line, what] of [[2, /needs its bits/], [3, /example\.com/], [4, /begins with local, host/], [5, /\+group/], [6, /"pam": expected/], [7, /peer is for local/], [8, /10\.0\.0\.0\/33/], [9, /quote/], [10, /map=none/], [11, /expected databases/], [12, /krb=1/]])
    assert.match(lines, new RegExp(`wrong\\.conf:${line}: .*${what.source}`));
  assert.doesNotMatch(lines, /wrong\.conf:1:/);
  const say = (text) => {
    writeFileSync(file, `${text}\n[[databases]]\nname = "x"\nhost = "127.0.0.1"\n`);
    return spawnSync(weirPath, ["pool", "--config", file], { encoding: "utf8", timeout: 20000 * patience }).stderr;
  };
  assert.match(say('auth = "hba"'), /needs hba_file/);
  assert.match(say('auth = "any"\nhba_file = "wrong.conf"'), /count with auth = "hba" alone/);
  assert.match(say('auth = "hba"\nhba_file = "nowhere.conf"'), /cannot read .*nowhere\.conf/);
});
