// SPDX-License-Identifier: Apache-2.0
// Bundles made, transformed by `weir __transform`, and run by `weir __shell`.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
export const weir = process.env.WEIR ?? join(here, "../../build/weir");

const limit = { timeout: 120000, killSignal: "SIGKILL" };

const typeByExtension = { js: "esm", mjs: "esm", cjs: "cjs", json: "json", txt: "text", bin: "data", wasm: "wasm" };
const align = (n) => (n + 7) & ~7;

// files: {name: text or bytes}. options: manifest fields.
export function makeBundle(files, options = {}) {
  const blobs = [];
  let end = 0;
  const modules = Object.entries(files).map(([name, source]) => {
    const bytes = Buffer.from(source);
    const module = { name, type: typeByExtension[name.split(".").pop()], offset: end, bytes: bytes.length, map: null };
    blobs.push(bytes, Buffer.alloc(align(bytes.length) - bytes.length));
    end = align(end + bytes.length);
    return module;
  });
  const manifest = {
    name: "case",
    main: Object.keys(files)[0],
    syntax: "modules",
    compatibility_date: "2026-01-01",
    compatibility_flags: ["nodejs_compat"],
    modules,
    ...options,
  };
  const text = Buffer.from(JSON.stringify(manifest));
  const head = Buffer.alloc(16);
  head.write("WEIRB1\0\0", "latin1");
  head.writeUInt32LE(text.length, 8);
  return Buffer.concat([head, text, Buffer.alloc(align(16 + text.length) - 16 - text.length), ...blobs]);
}

export function readBundle(file) {
  const length = file.readUInt32LE(8);
  const manifest = JSON.parse(file.toString("utf8", 16, 16 + length));
  const blobs = align(16 + length);
  const blob = ({ offset, bytes }) => file.subarray(blobs + offset, blobs + offset + bytes);
  return { manifest, blob };
}

// → per bundle {bundle: bytes} or {error: text}
export function transform(bundles) {
  const input = Buffer.concat(
    bundles.flatMap((bundle) => {
      const head = Buffer.alloc(4);
      head.writeUInt32LE(bundle.length);
      return [head, bundle];
    }),
  );
  const { stdout, stderr, status } = spawnSync(weir, ["__transform"], { input, maxBuffer: 1 << 30, ...limit });
  if (status !== 0) throw new Error(`weir __transform: ${status} ${stderr}`);
  const answers = [];
  for (let at = 0; at < stdout.length; ) {
    const failed = stdout.readUInt32LE(at);
    const bytes = stdout.readUInt32LE(at + 4);
    const body = stdout.subarray(at + 8, at + 8 + bytes);
    answers.push(failed ? { error: body.toString() } : { bundle: body });
    at += 8 + bytes;
  }
  if (answers.length !== bundles.length) throw new Error(`${answers.length} answers`);
  return answers;
}

const evaluator = await build({
  entryPoints: [join(here, "evaluator.js")],
  bundle: true,
  format: "iife",
  target: "es2024",
  write: false,
});

// Runs a transformed bundle; its log.
export function evaluate(bundle, { run = "" } = {}) {
  const { manifest, blob } = readBundle(bundle);
  const folder = mkdtempSync(join(tmpdir(), "weir-transform-"));
  try {
    const files = [];
    const add = (name, text) => {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
      files.push(path);
    };
    add("~evaluator.js", evaluator.outputFiles[0].text);
    const data = {};
    const joined = [];
    for (const module of manifest.modules) {
      const bytes = blob(module);
      const script = `__scripts[${JSON.stringify(module.name)}]=${bytes}`;
      // A file each, for true positions, unless that is too much for a command line.
      if (module.form && manifest.modules.length > 10) joined.push(script);
      else if (module.form) add(module.name, script);
      else if (module.type === "json") data[module.name] = JSON.parse(bytes.toString());
      else data[module.name] = bytes.toString();
    }
    if (joined.length > 0) add("~modules.js", joined.join(";\n"));
    add("~start.js", `__start(${JSON.stringify(manifest)}, ${JSON.stringify(data)});`);
    add("~run.js", run || `__main(${JSON.stringify(manifest.main)});`);
    const { stdout, stderr, status, signal } = spawnSync(weir, ["__shell", ...files], limit);
    return stdout + (status === 0 ? "" : `exit ${status ?? signal}: ${stderr}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// The same files in node.
export function oracle(files) {
  const folder = mkdtempSync(join(tmpdir(), "weir-oracle-"));
  try {
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
    for (const [name, text] of Object.entries(files)) {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
    const main = join(folder, Object.keys(files)[0]);
    // Without V8's helper threads, with which node deadlocks now and then as it ends (nodejs/node#54918).
    const options = ["--no-warnings", "--single-threaded"];
    const { stdout, stderr, status, signal } = spawnSync(process.execPath, [...options, join(here, "oracle.mjs"), main], limit);
    return stdout + (status === 0 ? "" : `exit ${status ?? signal}: ${stderr}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// A case file: modules separated by lines `//// name`; the first is the main one. `//// expect` is
// the log, when node cannot tell.
export function parseCase(text) {
  const files = {};
  let expected = null;
  for (const part of text.split(/^\/\/\/\/ /m).slice(1)) {
    const end = part.indexOf("\n");
    const name = part.slice(0, end).trim();
    if (name === "expect") expected = part.slice(end + 1);
    else files[name] = part.slice(end + 1);
  }
  return { files, expected };
}
