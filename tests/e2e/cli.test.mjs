// SPDX-License-Identifier: Apache-2.0
// The commands as people and scripts use them: what they print, what they leave behind, their exit codes.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Weir, descendants, dev, freePort, patience, project, root, weirPath, withWorker, worker, wrangler } from "./lib.mjs";

const says = (text) => `export default { fetch() { return new Response(${text}); } }`;

// Until the answer is as wanted: a plan is in force a little after the loader printed its messages.
async function answers(fetch, path, wanted) {
  for (let i = 0; ; i++) {
    const text = await (await fetch(path)).text();
    if (wanted.test(text)) return text;
    assert.ok(i < 200 * patience, `the answer stays: ${text}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

test("an imported file is still watched after a build that failed", () =>
  withWorker(
    { ...worker(`import { word } from "./lib/word.js"; ${says("word")}`), "src/lib/word.js": `export const word = "one";` },
    async ({ fetch, project, weir }) => {
      assert.equal(await (await fetch("/")).text(), "one");
      for (const word of ["two", "three"]) {
        let from = weir.output.length;
        project.write("src/lib/word.js", `export const word = ;`);
        await weir.waitFor("does not build", from);
        await answers(fetch, "/", /does not build/);
        from = weir.output.length;
        project.write("src/lib/word.js", `export const word = "${word}";`);
        await weir.waitFor("reloaded", from);
        assert.equal(await (await fetch("/")).text(), word);
      }
    },
  ));

test("a first build that fails watches what it needs: the file at fault, and one that is missing", () =>
  withWorker(
    { ...worker(`import { word } from "../lib/word.js"; import { other } from "./new/other.js"; ${says("word + other")}`), "lib/word.js": `export const word = ;`, "src/new/.keep": "" },
    async ({ fetch, project, weir }) => {
      let from = weir.output.length;
      project.write("lib/word.js", `export const word = "1";`);
      await weir.waitFor(/Could not resolve "\.\/new\/other\.js"/, from);
      from = weir.output.length;
      mkdirSync(join(project.dir, "src/new"), { recursive: true });
      writeFileSync(join(project.dir, "src/new/other.js"), `export const other = "2";`);
      await weir.waitFor("reloaded", from);
      assert.equal(await (await fetch("/")).text(), "12");
    },
  ));

test("a project's own esbuild that is too old gives way to ours", async () => {
  // What 0.14 prints; 0.17 to 0.25 take the same options as ours.
  const old = `#!/bin/sh\necho '✘ [ERROR] Invalid build flag: "--alias:assert=node:assert"' >&2\nexit 1\n`;
  const made = project({
    "app/wrangler.toml": wrangler(),
    "app/src/index.js": `class A { static x; static { A.x = "new"; } } ${says("A.x")}`,
    "app/node_modules/.bin/esbuild": old,
  });
  chmodSync(join(made.dir, "app/node_modules/.bin/esbuild"), 0o755);
  const server = await dev(join(made.dir, "app"));
  try {
    assert.equal(await (await server.fetch("/")).text(), "new");
    assert.doesNotMatch(server.weir.output, /Invalid/);
  } finally {
    await server.stop();
    made.remove();
  }
});

const bundlesBelow = (dir) => readdirSync(dir, { recursive: true }).filter((name) => name.endsWith(".bundle"));

test("weir dev keeps two bundles at most, out of git's sight, and none in the end", async () => {
  const made = project(worker(says("0")));
  const server = await dev(made.dir);
  try {
    for (let i = 1; i <= 4; i++) {
      const from = server.weir.output.length;
      made.write("src/index.js", says(i));
      await server.weir.waitFor("reloaded", from);
    }
    assert.equal(await (await server.fetch("/")).text(), "4");
    assert.equal(bundlesBelow(join(made.dir, ".weir")).length, 2);
    assert.equal(readFileSync(join(made.dir, ".weir/.gitignore"), "utf8"), "*\n");
  } finally {
    await server.stop();
  }
  assert.deepEqual(readdirSync(join(made.dir, ".weir")), [".gitignore"]);
  made.remove();
});

test("what a killed weir dev left is removed by the next one, what a living one has is not", async () => {
  const made = project(worker(says("1")));
  const [killed, living] = [await dev(made.dir), await dev(made.dir)];
  await killed.stop("SIGKILL");
  const next = await dev(made.dir);
  try {
    const dirs = readdirSync(join(made.dir, ".weir")).filter((name) => name.startsWith("dev-"));
    assert.deepEqual(dirs.sort(), [living, next].map((server) => `dev-${server.weir.process.pid}`).sort());
  } finally {
    await living.stop();
    await next.stop();
    made.remove();
  }
});

test("a project that cannot be written to is served from a private directory", async () => {
  const made = project({ ...worker(says("'read only'")), ".weir": "in the way" });
  const tmp = mkdtempSync(join(tmpdir(), "weir-tmp-"));
  const port = await freePort();
  const weir = await Weir.start(["dev", made.dir, "--port", String(port)], { env: { TMPDIR: tmp } });
  try {
    await weir.waitFor("ready on");
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "read only");
    assert.equal(bundlesBelow(tmp).length, 1);
    assert.doesNotMatch(weir.output, /weir\[|cannot/);
  } finally {
    await weir.stop();
    made.remove();
  }
  assert.deepEqual(readdirSync(tmp), []);
});

test("weir serve keeps the bundles of two configurations", async () => {
  const port = await freePort();
  const made = project({ ...worker(says("0")), "weir.toml": `[[listener]]\nport = ${port}\n[[worker]]\nproject = "."\ndefault = true\n` });
  const weir = await Weir.start(["serve", "--config", join(made.dir, "weir.toml")]);
  try {
    await weir.waitFor("serving: 1 worker");
    for (let i = 1; i <= 4; i++) {
      const from = weir.output.length;
      made.write("src/index.js", says(i));
      weir.process.kill("SIGHUP");
      await weir.waitFor("reloaded: 1 worker", from);
    }
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "4");
    assert.equal(bundlesBelow(join(made.dir, ".weir")).length, 2);
  } finally {
    await weir.stop();
    made.remove();
  }
});

// weir dev as on a terminal (util-linux' script makes one). The environment has no NO_COLOR.
async function onTerminal(dir) {
  const port = await freePort();
  const { NO_COLOR, ...env } = process.env;
  const terminal = spawn("script", ["-qefc", `exec ${weirPath} dev ${dir} --port ${port}`, "/dev/null"], { env, stdio: ["pipe", "pipe", "inherit"] });
  let output = "";
  await new Promise((done) => terminal.stdout.setEncoding("utf8").on("data", (chunk) => (output += chunk).includes("ready on") && done()));
  return { terminal, port, output: () => output, exited: new Promise((done) => terminal.on("exit", done)) };
}

test("messages have colours on the terminal and none on the page", async () => {
  const made = project(worker("export default { fetch() { return ; ) } }"));
  const { terminal, port, output, exited } = await onTerminal(made.dir);
  try {
    const text = await (await fetch(`http://127.0.0.1:${port}/`)).text();
    assert.match(text, /does not build[^]*Unexpected "\)"/);
    assert.doesNotMatch(text, /\x1b/);
    assert.match(output(), /\x1b\[[0-9;]+mERROR/);
  } finally {
    terminal.stdin.write("\x03");
    await exited;
    made.remove();
  }
});

// weir check-config on files: {status, text, json}.
function check(files, ...args) {
  const made = project(files);
  try {
    const run = (...more) => spawnSync(weirPath, ["check-config", ...args, ...more], { cwd: made.dir, encoding: "utf8" });
    const plain = run(), json = run("--json");
    assert.equal(plain.status, json.status);
    return { status: plain.status, text: plain.stderr.replaceAll(made.dir, "…"), out: plain.stdout, json: JSON.parse(json.stdout) };
  } finally {
    made.remove();
  }
}

test("check-config --json lists each message; a file that cannot be read is an error", () => {
  const { status, json, text } = check({ "weir.toml": `[http]\nheader_timeout = "soon"\n[[worker]]\nprojet = "."\nproject = "."\n`, ...worker(says("1")) });
  assert.equal(status, 1);
  assert.deepEqual([json.ok, json.errors, json.warnings], [false, 2, 1]);
  assert.deepEqual(
    json.messages.map(({ file, line, severity, key }) => [file, line, severity, key]),
    [["weir.toml", 2, "error", "header_timeout"], ["weir.toml", 3, "warning", "routes"], ["weir.toml", 4, "error", "projet"]],
  );
  assert.match(json.messages[0].message, /expected a duration/);
  assert.match(text, /weir\.toml has 2 mistakes\n$/);

  const missing = check({});
  assert.equal(missing.status, 1);
  assert.deepEqual([missing.json.ok, missing.json.errors, missing.json.messages[0].severity], [false, 1, "error"]);
  assert.match(missing.json.messages[0].message, /No such file/);
  const broken = check({ "weir.toml": "a = 1\nb = [\n" });
  assert.match(broken.text, /^weir\.toml:3:1: expected a value\n/);
  assert.equal(broken.json.messages[0].line, 3);
  const latin1 = check({ "weir.toml": Buffer.from('[http]\nname = "caf\xe9"\n', "latin1") });
  assert.match(latin1.text, /^weir\.toml:2:12: this is not valid UTF-8; save the file in that encoding\n/);
});

test("module rules: globs of paths, fallthrough, the default ones, ?module", async () => {
  const add = readFileSync(join(root, "examples/plain/src/add.wasm"));
  const code = `import page from "./page.html"; import words from "./words.txt"; import own from "./templates/own.js"; import { deep } from "./sub/deep.js";
import data from "./data.json"; import raw from "./raw.bin"; import wasm from "./add.wasm?module";
export default { async fetch() { const late = await import("./templates/late.js");
  return Response.json([page, words, own, deep, data.a, raw.byteLength, wasm instanceof WebAssembly.Module, late.default]); } }`;
  const files = {
    "src/index.js": code,
    "src/page.html": "<p>",
    "src/words.txt": "words",
    "src/templates/own.js": "{{ not JavaScript }}",
    "src/templates/late.js": "late }}",
    "src/sub/deep.js": `import own from "../templates/own.js"; export const deep = own.length;`,
    "src/data.json": `{"a":1}`,
    "src/raw.bin": "1234",
    "src/add.wasm": add,
  };
  const expected = ["<p>", "words", "{{ not JavaScript }}", 20, 1, 4, true, "late }}"];
  const rule = (extra) => wrangler(`[[rules]]\ntype = "Text"\nglobs = ["src/templates/*.js"]\n${extra}`);
  for (const minify of ["", "minify = true\n"])
    await withWorker({ ...files, "wrangler.toml": minify + rule("fallthrough = true\n") }, async ({ fetch, weir }) => {
      assert.deepEqual(await (await fetch("/")).json(), expected);
      assert.doesNotMatch(weir.output, /rules/);
    });
  // From elsewhere, too: this project's builds are in the directory for temporary files.
  await withWorker({ ...files, "wrangler.toml": rule("fallthrough = true\n"), ".weir": "in the way" }, async ({ fetch }) => assert.deepEqual(await (await fetch("/")).json(), expected));
  await withWorker({ ...files, "wrangler.toml": rule("") }, async ({ fetch, weir }) => {
    assert.match(weir.output, /wrangler\.toml:4: \[\[rules\]\] hides the default rule for Text modules; give it fallthrough = true/);
    assert.match(await (await fetch("/")).text(), /src\/page\.html matches the module rule "\*\*\/\*\.html", which another rule of the same type hides/);
  });
});

test("module rules that are wrong say so", () => {
  const { text } = check({
    "weir.toml": `[[worker]]\nproject = "."\ndefault = true\n`,
    ...worker(says("1"), `[[rules]]\ntype = "Txt"\nglobs = ["a"]\n[[rules]]\ntype = "Data"\nglob = "**/*.dat"\n[[rules]]\ntype = "Text"\nglobs = ["a"]\nfallthrough = "yes"\n`),
  });
  assert.match(text, /wrangler\.toml:5: \[\[rules\]\] type = "Txt": expected Text, Data, CompiledWasm, ESModule or CommonJS\n/);
  assert.match(text, /wrangler\.toml:7: \[\[rules\]\] needs globs = \["\*\*\/\*\.html"\], an array of strings; it has "glob"\n/);
  assert.match(text, /wrangler\.toml:13: \[\[rules\]\] fallthrough: expected true or false\n/);
});

const installed = (name, source) => ({ [`app/node_modules/${name}/package.json`]: `{"name":"${name}","main":"index.js"}`, [`app/node_modules/${name}/index.js`]: source });

test("bare names of Node's modules are the installed packages, if there are any and Node's are off", async () => {
  const made = project({
    "app/wrangler.toml": wrangler(),
    ...installed("events", `module.exports = "events of npm";`),
    ...installed("outer", `module.exports = require("util");`),
    "app/node_modules/outer/node_modules/util/index.js": `module.exports = "util below outer";`,
    "app/src/index.js": `import events from "events"; import util from "outer"; ${says("events + ', ' + util")}`,
  });
  const server = await dev(join(made.dir, "app"));
  try {
    assert.equal(await (await server.fetch("/")).text(), "events of npm, util below outer");
    let from = server.weir.output.length;
    made.write("app/src/index.js", `import events from "events"; import path from "path/posix"; ${says("typeof events")}`);
    await server.weir.waitFor(/"(node:)?path\/posix" needs the compatibility flag "nodejs_compat"/, from);
    from = server.weir.output.length;
    made.write("app/wrangler.toml", wrangler(`compatibility_flags = ["nodejs_compat"]\n`));
    await server.weir.waitFor("reloaded", from);
    assert.equal(await (await server.fetch("/")).text(), "function");
  } finally {
    await server.stop();
    made.remove();
  }
});

test("weir pool --check tells every mistake of a pool's configuration, and starts nothing", () => {
  const fine = `listen = ["127.0.0.1:6432"]\nauth = "any"\n[[databases]]\nname = "app"\nurl = "postgres://app@db.example.com/app?sslmode=verify-full&connect_timeout=5"\n`;
  const made = project({
    "pool.toml": fine,
    "bad.toml": `listen = ["nowhere"]\nauth = "any"\n[[databases]]\nname = "app"\nurl = "postgres://h/?sslmod=require"\n[databases.tls]\nprotocols = "tlsv1.2,tlsv9"\nciphers = "none such"\nca_file = "bad.toml"\n`,
    "b.ini": "[databases]\napp = host=h\n[pgbouncer]\nauth_type = any\nlogfile = x\n",
    "bad.ini": "[databases]\napp = host=h port=many\n[pgbouncer]\nauth_type = any\nclient_tls_sslmode = require\n",
  });
  try {
    const run = (...args) => spawnSync(weirPath, args, { cwd: made.dir, encoding: "utf8", timeout: 20000 * patience });
    const checked = run("pool", "--check"); // pool.toml
    assert.deepEqual([checked.status, checked.stdout], [0, "pool.toml is fine\n"], checked.stderr);
    assert.match(checked.stderr, /pool\.toml:5: \[\[databases\]\] url: connect_timeout is not used/);
    const bad = run("pool", "--config", "bad.toml", "--check");
    assert.deepEqual([bad.status, bad.stdout], [1, ""]);
    for (const text of [/bad\.toml:1: listen "nowhere": expected "address:port"/, /bad\.toml:5: \[\[databases\]\] url: unknown parameter "sslmod"/, /bad\.toml:7: \[databases\.tls\] protocols = "tlsv1\.2,tlsv9": expected/,
      /bad\.toml:8: \[databases\.tls\] ciphers = "none such": no cipher match/, /bad\.toml:9: \[databases\.tls\] ca_file = "bad\.toml": there is no certificate in it/, /\nbad\.toml has 5 mistakes\n$/])
      assert.match(bad.stderr, text);
    const json = JSON.parse(run("pool", "--config", "bad.toml", "--check", "--json").stdout);
    assert.deepEqual([json.ok, json.errors, json.messages[0].line, json.messages[0].key], [false, 5, 1, "listen"]);
    const ini = run("pool", "--pgbouncer-ini", "b.ini", "--check");
    assert.deepEqual([ini.status, ini.stdout], [0, "b.ini is fine\n"]);
    assert.match(ini.stderr, /^b\.ini:5: logfile is not carried over/);
    assert.match(JSON.parse(run("pool", "--pgbouncer-ini", "b.ini", "--check", "--json").stdout).messages[0].message, /logfile/);
    const badIni = run("pool", "--pgbouncer-ini", "bad.ini", "--check");
    assert.equal(badIni.status, 1);
    assert.match(badIni.stderr, /bad\.ini:2: port = "many": expected a number from 1 to 65535/);
    assert.match(badIni.stderr, /client_tls_sslmode = "require" needs client_tls_key_file/);
    assert.equal(run("pool", "--check", "--config", "none.toml").status, 1);
    made.write("k.toml", 'auth = "any"\n[[databases]]\nhost = "h"\n[[databases]]\nname = "app"\nhost = "h"\n');
    assert.match(run("pool", "--config", "k.toml", "--check").stderr, /k\.toml:2: \[\[databases\]\] needs name = .*\nk\.toml has 1 mistake\n$/);
    // A key that is passed over could be the one that a certificate is checked by.
    const url = "postgres://app@db.example.com/app?sslmode=verify-full";
    for (const [text, told] of [[`[[databases]]\nname = "app"\nurl = "${url}"\n[databases.tls]\nmoed = "verify-full"\n`, /k\.toml:6: \[pool\.databases\.tls\] unknown key "moed"; did you mean "mode"\?/],
      [`[[databases]]\nname = "app"\nurl = "${url}"\npasswort_env = "P"\n`, /k\.toml:5: .*"passwort_env"; did you mean "password_env"\?/],
      [`atuh = "any"\n[[databases]]\nname = "app"\nurl = "${url}"\n`, /k\.toml:2: top level unknown key "atuh"; did you mean "auth"\?/],
      [`[databases_]\n[[databases]]\nname = "app"\nurl = "${url}"\n`, /k\.toml:2: .*"databases_"; did you mean "databases"\?/],
      [`[[databases]]\nname = "app"\nurl = "${url}"\nquaint = 1\n`, /k\.toml:5: .* unknown key "quaint"\n/]]) {
      made.write("k.toml", `auth = "any"\n${text}`);
      const misspelt = run("pool", "--config", "k.toml", "--check");
      assert.equal(misspelt.status, 1);
      assert.match(misspelt.stderr, told);
      const own = text.includes("atuh") ? text : `[pool]\nauth = "any"\n${text}`.replace(/^(\[+)d/gm, "$1pool.d");
      made.write("weir.toml", own.replace("atuh", "[pool]\natuh"));
      assert.match(run("check-config", "--no-build").stderr, /weir\.toml:\d+: \[+pool.*unknown key/);
    }
    for (const [make, told] of [[() => made.write("pw", "\n"), "it is empty"], [() => spawnSync("mkfifo", ["pw"], { cwd: made.dir }), "cannot read it: it is no ordinary file"]]) {
      make();
      made.write("k.toml", `auth = "any"\n[[databases]]\nname = "app"\nhost = "h"\npassword_file = "pw"\n`);
      const refused = run("pool", "--config", "k.toml", "--check");
      assert.match(refused.stderr, new RegExp(`^k\\.toml:5: .*password_file = "\\S*pw": ${told}\n`));
      assert.equal(refused.status, 1);
      rmSync(join(made.dir, "pw"));
    }
    // weir check-config is for weir serve: it says so, and nothing else.
    for (const args of [["pool.toml"], ["--config", "pool.toml"]]) {
      const other = run("check-config", ...args);
      assert.equal(other.status, 1);
      assert.match(other.stderr, /^pool\.toml: this is a configuration of the pool by itself: .*`weir pool --config pool\.toml --check`\npool\.toml cannot be used\n$/);
    }
    assert.match(run("serve", "--config", "pool.toml").stderr, /this is a configuration of the pool by itself/);
  } finally {
    made.remove();
  }
});

test("files with passwords that everybody can read are named at start", () => {
  const verifier = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2E=$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  const made = project({
    "pool.toml": `users_file = "users.txt"\n[[users]]\nname = "b"\npassword_file = "b.txt"\n[[databases]]\nname = "app"\nhost = "h"\nuser = "u"\npassword_file = "app.txt"\n`,
    "users.txt": `"a" "clear"\n`, "b.txt": verifier, "app.txt": "secret",
    "b.ini": "[databases]\napp = host=h\n[pgbouncer]\nauth_file = users.txt\n",
  });
  try {
    const check = (...args) => spawnSync(weirPath, ["pool", ...args, "--check"], { cwd: made.dir, encoding: "utf8", timeout: 20000 * patience });
    const rights = (mode) => ["users.txt", "b.txt", "app.txt"].forEach((file) => chmodSync(join(made.dir, file), mode));
    rights(0o644);
    const open = check();
    assert.equal(open.status, 0, open.stderr);
    assert.deepEqual([...open.stderr.matchAll(/^pool\.toml:(\d+): (\w+) = "([\w.]+)": it has passwords, and everybody on this machine can read it; make it private \(chmod 600 (\S+)\)$/gm)].map(([, ...rest]) => rest),
      [["1", "users_file", "users.txt", join(made.dir, "users.txt")], ["9", "password_file", "app.txt", join(made.dir, "app.txt")]]); // a verifier is no password
    assert.match(check("--pgbouncer-ini", "b.ini").stderr, /^b\.ini:4: auth_file = "users\.txt": it has passwords, and everybody/);
    rights(0o640);
    assert.deepEqual([check().stderr, check("--pgbouncer-ini", "b.ini").stderr], ["", ""]);
    writeFileSync(join(made.dir, "users.txt"), `"a" "${verifier}"\n`);
    chmodSync(join(made.dir, "users.txt"), 0o644);
    assert.equal(check().stderr, "");
  } finally {
    made.remove();
  }
});

test("the benchmarks say how they are used, before they install or build anything", () => {
  for (const name of ["run", "pool", "prisma"]) {
    const run = (...args) => spawnSync(join(root, "bench", name), args, { encoding: "utf8", timeout: 60000 * patience });
    const help = run("--help");
    assert.deepEqual([help.status, help.stderr], [0, ""]);
    assert.match(help.stdout, new RegExp(`^Usage: bench/${name} `));
    const wrong = run("--nonsense");
    assert.deepEqual([wrong.status, wrong.stdout], [2, ""]);
    assert.match(wrong.stderr, new RegExp(`^bench/${name}: .*--nonsense.*\nUsage: bench/${name} `));
    assert.doesNotMatch(wrong.stderr, /^ +at /m);
  }
  const part = spawnSync(join(root, "bench/pool"), ["--only", "some"], { encoding: "utf8" });
  assert.deepEqual([part.status, part.stderr.split("\n")[0]], [2, "bench/pool: --only takes one of canned, real, tpcb, unix, canned-unix, canned-tpcb, canned-tpcb-unix, tpcb-unix, sides, memory, logins, worker"]);
});

test("check-config tells what the tables of keys cannot, each on its line", () => {
  const weir = `[[listener]]
address = "0.0.0.0"
port = 8080
[[listener]]
address = "127.0.0.1"
port = 8080
[[listener]]
address = "example.com"
port = 8081
[admin]
port = 8080
[scale]
min_instances = 9
[[worker]]
project = "a"
name = "The Worker"
routes = ["", "https://a.test/*", "a.test/ *", "a.*.test/", "a.test/*/b", "a.test/x?y=1", "a.test:80/", "/x", "fine.test/*"]
egress_allow = ["10.0.0.0/33", "10.0.0", "http://x", "db:0", "::1/129", "[::1", "fine:1", "[::1]:80", "10.1.2.3", "fd00::/8", "db.internal"]
scale = { max_instances = 2 }
[[worker]]
project = "b"
routes = ["FINE.test"]
`;
  const project = `name = "No Name"
main = "src/index.js"
compatibility_date = "2025-13-01"
routes = ["b.test/**", { pattern = "c.test/*", custom_domain = true }]
alias = ["x"]
[define]
A = 1
[triggers]
crons = ["* * * *",
  "61 * * * *", 5]
[assets]
directory = "public"
run_worker_first = "yes"
`;
  const { status, json, text } = check({
    "weir.toml": weir,
    "a/wrangler.toml": wrangler(),
    "a/src/index.js": says("1"),
    "b/wrangler.toml": project,
    "b/src/index.js": says("1"),
    "b/public/_headers": "x-early: 1\n/ok\n  x-a: 1\n/none\n/bad\n  no colon\n  content-length: 3\n",
    "b/public/_redirects": "# fine\n/a /b 301\n/a /c\n/d\n/e /f 404\nhttps://x.test/ /g\n/h h\n",
  });
  const expected = {
    "weir.toml": [
      [4, /another listener has 0\.0\.0\.0 port 8080 already/],
      [8, /\[\[listener\]\] address = "example\.com": expected an IP address/],
      [10, /\[admin\] address = "127\.0\.0\.1", port = 8080: another listener/],
      [13, /\[scale\] min_instances = 9 is more than max_instances = 8/],
      [16, /name = "The Worker": expected lower-case letters/],
      ...[/routes "": it is empty/, /"https:\/\/a\.test\/\*": leave the scheme away/, /"a\.test\/ \*": there are blanks/, /"a\.\*\.test\/": \* may stand only/, /"a\.test\/\*\/b": \* may stand only/, /"a\.test\/x\?y=1": a route ends before the query/, /"a\.test:80\/": leave the port away/, /"\/x": it has no host/].map((text) => [17, text]),
      ...["10\\.0\\.0\\.0/33", "10\\.0\\.0", "http://x", "db:0", "::1/129", "\\[::1"].map((entry) => [18, new RegExp(`egress_allow "${entry}": expected an address, a network`)]),
      [19, /scale: min_instances = 9 is more than max_instances = 2/],
    ],
    "b/wrangler.toml": [
      [1, /name = "No Name": expected lower-case letters/],
      [3, /compatibility_date = "2025-13-01": expected a date/],
      [4, /routes: "b\.test\/\*\*": \* may stand only/],
      [4, /routes: "c\.test\/\*": a custom domain is a host alone/],
      [5, /alias: expected a table of strings, not an array/],
      [7, /define\.A: expected a string, not an integer; write source text/],
      [9, /crons = "\* \* \* \*": a cron expression has five fields/],
      [10, /crons = "61 \* \* \* \*": "61" is no minute/],
      [10, /crons: expected a string/],
      [13, /run_worker_first: expected true, false or an array/],
    ],
    "b/public/_headers": [[1, /a path must stand before/], [4, /there are no headers for this path/], [6, /expected "name: value"/], [7, /the server sets this header itself/]],
    "b/public/_redirects": [[3, /there is a rule for this path already/], [4, /expected two or three words/], [5, /the status must be/], [6, /cannot be an absolute URL/], [7, /the target must begin with/]],
  };
  assert.equal(status, 1);
  for (const [file, wanted] of Object.entries(expected)) {
    const found = json.messages.filter((message) => message.file === file || message.file.endsWith(`/${file}`));
    assert.deepEqual(found.map(({ line }) => line), wanted.map(([line]) => line), `${file}: ${JSON.stringify(found, null, 1)}`);
    wanted.forEach(([, pattern], i) => assert.match(found[i].message, pattern));
  }
  assert.match(text, /weir\.toml has \d+ mistakes\n$/);
});

test("check-config: the same route twice; the projects are built unless --no-build", () => {
  const files = {
    "weir.toml": `[[worker]]\nproject = "a"\nroutes = ["fine.test/*"]\n[[worker]]\nproject = "b"\nroutes = [\n  "other.test",\n  "FINE.test",\n]\n`,
    ...Object.fromEntries(["a", "b"].flatMap((name) => [[`${name}/wrangler.toml`, wrangler().replace('"t"', `"${name}"`)], [`${name}/src/index.js`, says("1")]])),
  };
  assert.match(check(files).text, /weir\.toml:8: \[\[worker\]\] "b": the worker "a" has the route "FINE\.test", too/);
  files["weir.toml"] = files["weir.toml"].replace("FINE", "b");
  const fine = check(files);
  assert.deepEqual([fine.status, fine.json.messages, fine.out], [0, [], "weir.toml is fine\n"]);
  files["b/src/index.js"] = "export default {";
  assert.match(check(files).text, /weir\.toml:4: \[\[worker\]\] "b": the project does not build:\n/);
  files["b/src/index.js"] = `import x from "./missing.wat"; export default x;`;
  assert.equal(check(files).status, 1);
  assert.equal(check(files, "--no-build").status, 0);
  files["b/src/index.js"] = `import path from "node:path"; export default path;`; // found by the transform
  assert.match(check(files).text, /needs the compatibility flag "nodejs_compat"/);
});

const reload = (dir) => spawnSync(weirPath, ["reload", "--config", join(dir, "weir.toml")], { encoding: "utf8" });

async function withServe(files, body) {
  const port = await freePort();
  const made = project({ "weir.toml": `[[listener]]\nport = ${port}\n[[worker]]\nproject = "."\ndefault = true\n`, ...worker(says("0")), ...files });
  const start = () => Weir.start(["serve", "--config", join(made.dir, "weir.toml")]);
  const weir = await start();
  try {
    await weir.waitFor("serving: 1 worker");
    await body({ weir, made, start, port, answer: async () => (await fetch(`http://127.0.0.1:${port}/`)).text() });
  } finally {
    await weir.stop();
    made.remove();
  }
}

test("weir reload waits, and tells what happened", () =>
  withServe({}, async ({ made, port, answer, weir }) => {
    made.write("src/index.js", says("1"));
    const fine = reload(made.dir);
    assert.deepEqual([fine.status, fine.stderr, fine.stdout], [0, "", `reloaded: 1 worker on http://127.0.0.1:${port}\n`]);
    assert.equal(await answer(), "1"); // in force when it returns
    made.write("src/index.js", "export default {");
    const broken = reload(made.dir);
    assert.equal(broken.status, 1);
    assert.match(broken.stderr, /weir\.toml was not reloaded: .*weir\.toml has 1 mistake:\n.*weir\.toml:3: \[\[worker\]\] "t": the project does not build:\n✘ \[ERROR\]/);
    await weir.waitFor("does not build");
    assert.equal(await answer(), "1");
  }));

test("weir reload of many at once tells each the truth", () =>
  withServe({}, async ({ made, answer }) => {
    const results = [];
    const ask = () => {
      const child = spawn(weirPath, ["reload", "--config", join(made.dir, "weir.toml")]);
      return new Promise((done) => child.on("exit", done)).then((code) => results.push(code));
    };
    for (let i = 0; i < 6; i++) {
      made.write("src/index.js", i % 2 ? says(i) : "export default {"); // not while one of them reads it
      await Promise.all([ask(), ask(), ask()]);
    }
    assert.deepEqual(results, [1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0]);
    assert.equal(await answer(), "5");
  }));

test("weir reload signals nobody else, and there is one weir serve for a data_dir", () =>
  withServe({}, async ({ weir, made, start }) => {
    const second = await start();
    assert.deepEqual(await second.exited, { code: 1, signal: null });
    assert.match(second.output, new RegExp(`weir serve runs already with this data_dir \\(.*weir\\.pid, process ${weir.process.pid}\\)`));
    await weir.stop("SIGKILL");
    const other = spawn("sleep", ["60"]);
    made.write(".weir/weir.pid", `${other.pid}\n`);
    const result = reload(made.dir);
    assert.equal(result.status, 1);
    assert.match(result.stderr, /no weir serve runs with it/);
    assert.equal(other.exitCode ?? other.signalCode, null);
    other.kill();
    const next = await start();
    await next.waitFor("serving: 1 worker");
    assert.equal(readFileSync(join(made.dir, ".weir/weir.pid"), "utf8"), `${next.process.pid}\n`);
    assert.deepEqual(await next.stop("SIGTERM"), { code: 0, signal: null });
    assert.deepEqual(readdirSync(join(made.dir, ".weir")).sort(), [".gitignore", "bundles"]);
  }));

const tellEnv = `export default { fetch(request, env) { return Response.json(env); } }`;

test("weir dev: every --var, a free port, an address that can be opened", async () => {
  const made = project(worker(tellEnv));
  for (const [ip, pattern] of [["127.0.0.1", /ready on http:\/\/127\.0\.0\.1:(\d+)/], ["0.0.0.0", /ready on http:\/\/127\.0\.0\.1:(\d+)/], ["::1", /ready on http:\/\/\[::1\]:(\d+)/]]) {
    if (ip === "::1" && !networkInterfaces().lo?.some(({ address }) => address === ip)) continue;
    const weir = await Weir.start(["dev", made.dir, "--port", "0", "--ip", ip, "--var", "A:1", "--var=B:2:3"]);
    try {
      await weir.waitFor(pattern);
      const [, port] = pattern.exec(weir.output);
      assert.notEqual(port, "0");
      assert.deepEqual(await (await fetch(`http://${ip === "::1" ? "[::1]" : "127.0.0.1"}:${port}/`)).json(), { A: "1", B: "2:3" });
    } finally {
      await weir.stop();
    }
  }
  made.remove();
});

test(".dev.vars: several lines, comments, and one warning a change under its own name", () =>
  withWorker(
    {
      ...worker(tellEnv),
      ".dev.vars": `# first\nKEY="-----BEGIN-----\nline = 2 # kept\n-----END-----" # comment\nexport SINGLE='a\\nb'\nESC="x\\ny"\nHASH="a#b" # c\nBARE = x y # z\nno name\nQUOTE='it''s'\nLAST=end`,
    },
    async ({ fetch, project, weir }) => {
      assert.deepEqual(await (await fetch("/")).json(), { KEY: "-----BEGIN-----\nline = 2 # kept\n-----END-----", SINGLE: "a\\nb", ESC: "x\ny", HASH: "a#b", BARE: "x y", QUOTE: "it''s", LAST: "end" });
      const warnings = () => weir.output.split("\n").filter((line) => line.includes("expected NAME=value"));
      assert.deepEqual(warnings(), [`${project.dir}/.dev.vars:9: expected NAME=value; the line is ignored`]);
      const from = weir.output.length;
      project.write("src/index.js", tellEnv + "\n");
      await weir.waitFor("reloaded", from);
      assert.equal(warnings().length, 1);
    },
  ));

test(".env files by wrangler's precedence, and files of secrets that come and go", () =>
  withWorker(
    {
      ...worker(tellEnv, "[env.x]\n"),
      ".env": "A=env\nB=env\nC=env\nD=env\n",
      ".env.x": "B=x\nC=x\nD=x\n",
      ".env.local": "C=local\nD=local\n",
      ".env.x.local": "D=x.local\n",
    },
    async ({ fetch, project, weir }) => {
      const change = async (act) => {
        const from = weir.output.length;
        act();
        await weir.waitFor("reloaded", from);
        return (await fetch("/")).json();
      };
      assert.deepEqual(await (await fetch("/")).json(), { A: "env", B: "x", C: "local", D: "x.local" });
      assert.deepEqual(await change(() => project.write(".dev.vars", "E=dev\n")), { E: "dev" });
      assert.deepEqual(await change(() => project.write(".dev.vars.x", "E=dev.x\n")), { E: "dev.x" });
      assert.deepEqual(await change(() => renameSync(join(project.dir, ".dev.vars.x"), join(project.dir, "away"))), { E: "dev" });
      assert.deepEqual(await change(() => rmSync(join(project.dir, ".dev.vars"))), { A: "env", B: "x", C: "local", D: "x.local" });
    },
    "--env",
    "x",
  ));

test("unserved bindings are told of the chosen environment, near keys only are suggested", () => {
  const config = wrangler(`fo = 1\ncompatability_date = "x"\n[[kv_namespaces]]\nbinding = "KV"\nid = "1"\n[env.x]\nvars = { A = "1" }\n[[env.x.d1_databases]]\nbinding = "DB"\n`);
  const files = { "wrangler.toml": config, "src/index.js": says("1") };
  const serve = (env) => check({ ...files, "weir.toml": `[[worker]]\nproject = "."\ndefault = true\n${env}` }, "--no-build").text;
  assert.match(serve(""), /:6: "kv_namespaces" is not available/);
  assert.doesNotMatch(serve(""), /d1_databases/);
  assert.match(serve(`env = "x"\n`), /:11: "d1_databases" is not available/);
  assert.doesNotMatch(serve(`env = "x"\n`), /kv_namespaces/);
  assert.match(serve(""), /unknown key "fo" is ignored/);
  assert.match(serve(""), /unknown key "compatability_date"; did you mean "compatibility_date"\?/);
});

test("weir dev finds the project above; misuse exits with 2 and says what was wrong", async () => {
  const made = project(worker(says("'above'")));
  const server = await dev(join(made.dir, "src"));
  assert.equal(await (await server.fetch("/")).text(), "above");
  await server.stop();
  const run = (...args) => spawnSync(weirPath, args, { encoding: "utf8", cwd: made.dir });
  const missing = run("dev", "nowhere");
  assert.deepEqual([missing.status, missing.stderr.split("\n").length], [1, 2]);
  assert.match(missing.stderr, /nowhere has no wrangler\.toml, .*, there is no such directory;/);
  assert.match(run("dev", "--var", "NOVALUE").stderr, /^weir: --var NOVALUE: expected NAME:VALUE\n$/);
  assert.equal(run("dev", "--var", "NOVALUE").status, 2);
  const help = run("help", "nope");
  assert.deepEqual([help.status, help.stderr], [2, 'weir: there is no command "nope"; weir help lists them\n']);
  made.write("wrangler.toml", `main = "nowhere.js"\n`);
  const broken = run("dev");
  assert.equal(broken.status, 1);
  assert.doesNotMatch(broken.stderr, /\n\n/);
  made.remove();
});

test("weir dev ends with its terminal", async () => {
  const made = project(worker(says("1")));
  const { terminal, port, exited } = await onTerminal(made.dir);
  const [weir] = descendants(terminal.pid);
  process.kill(weir.pid, "SIGHUP");
  await exited;
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
  made.remove();
});
