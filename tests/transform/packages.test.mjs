// SPDX-License-Identifier: Apache-2.0
// Real packages, as the modules they are published as and as one bundle, with and without frames:
// they must do what they do in node.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

import { evaluate, makeBundle, oracle, readBundle, transform } from "./harness.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

const packages = {
  zod: `
    import * as z from "zod";
    log(Object.keys(z));
    const User = z.object({ name: z.string().min(2), tags: z.array(z.enum(["a", "b"])).default(["a"]), n: z.coerce.number() });
    log(User.parse({ name: "xy", n: "4" }), User.safeParse({ name: "x" }).error.issues);
    log(await z.string().refine(async (s) => s.length > 1).safeParseAsync("x"));
    log(z.toJSONSchema(User), z.treeifyError(User.safeParse({}).error));`,
  hono: `
    import { Hono } from "hono";
    import { RegExpRouter } from "hono/router/reg-exp-router";
    import { TrieRouter } from "hono/router/trie-router";
    import { html, raw } from "hono/html";
    import { jsx } from "hono/jsx";
    log(Object.getOwnPropertyNames(new Hono()).sort(), Object.getOwnPropertyNames(Hono.prototype));
    for (const Router of [RegExpRouter, TrieRouter]) {
      const router = new Router();
      router.add("GET", "/a/:id{[0-9]+}", "id"); router.add("ALL", "/a/*", "star"); router.add("GET", "/", "root");
      log(router.match("GET", "/a/12"), router.match("POST", "/a/x"), router.match("GET", "/"));
    }
    log(String(await html\`<p>\${"<&>"}\${raw("<b>")}</p>\`), String(jsx("p", { class: "x" }, "text", jsx("br", {}))));`,
  kysely: `
    import * as k from "kysely";
    log(Object.keys(k));
    const db = new k.Kysely({ dialect: {
      createAdapter: () => new k.PostgresAdapter(), createDriver: () => new k.DummyDriver(),
      createIntrospector: (db) => new k.PostgresIntrospector(db), createQueryCompiler: () => new k.PostgresQueryCompiler() } });
    const query = db.selectFrom("person as p").innerJoin("pet", "pet.owner", "p.id").where("p.age", ">", 18)
      .select(["p.name", k.sql\`count(*)\`.as("n")]).groupBy("p.name").orderBy("n", "desc").limit(5).compile();
    log(query.sql, query.parameters, await db.selectFrom("person").selectAll().execute());
    log(await db.transaction().execute(async (trx) => trx.insertInto("person").values({ a: 1 }).compile().sql));`,
  jose: `
    import * as jose from "jose";
    log(Object.keys(jose), jose.base64url.encode("hi"), jose.decodeJwt("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."));
    try { jose.decodeProtectedHeader("nonsense") } catch (error) { log(error.code) }`,
};

const frames = `import { AsyncLocalStorage } from "node:async_hooks"; new AsyncLocalStorage();`;

async function bundleOf(entry, minify) {
  const options = { contents: entry, resolveDir: root, loader: "js" };
  const { outputFiles } = await build({
    stdin: options, bundle: true, minify, format: "esm", target: "es2024", write: false,
    conditions: ["workerd", "worker", "browser"], external: ["node:*"],
  });
  return { "index.js": outputFiles[0].text };
}

// The modules themselves, under their paths; imports between packages become relative.
async function modulesOf(entry) {
  const files = { "index.js": entry };
  const { metafile } = await build({
    stdin: { contents: entry, resolveDir: root, loader: "js", sourcefile: "index.js" }, absWorkingDir: root,
    bundle: true, format: "esm", write: false, outdir: "out", metafile: true, treeShaking: false,
    conditions: ["workerd", "worker", "browser"], external: ["node:*"],
  });
  for (const [path, { imports }] of Object.entries(metafile.inputs)) {
    let text = path === "index.js" ? entry : readFileSync(join(root, path), "utf8");
    for (const { path: target, original, external } of imports) {
      if (external || original.startsWith(".")) continue;
      const to = relative(dirname(path), target);
      text = text.replaceAll(JSON.stringify(original), JSON.stringify(to.startsWith(".") ? to : `./${to}`));
    }
    files[path.replace("node_modules/", "")] = text.replaceAll("./node_modules/", "./");
  }
  return files;
}

const cases = [];
for (const [name, entry] of Object.entries(packages)) {
  cases.push([`${name}, bundled`, await bundleOf(entry, false)]);
  cases.push([`${name}, minified, with frames`, await bundleOf(frames + entry, true)]);
  cases.push([`${name}, modules`, await modulesOf(entry)]);
  cases.push([`${name}, modules, with frames`, await modulesOf(frames + entry)]);
}
const answers = transform(cases.map(([, files]) => makeBundle(files)));

cases.forEach(([name, files], i) => {
  test(name, () => {
    const { bundle, error } = answers[i];
    assert.equal(error, undefined);
    if (name.includes("frames")) assert.equal(readBundle(bundle).manifest.async_context, true);
    const expected = oracle(files);
    assert.match(expected, /"done"/);
    assert.equal(evaluate(bundle), expected);
  });
});
