// SPDX-License-Identifier: Apache-2.0
// transformBundle(bytes) → bytes: a bundle as the loader wrote it, with every module ready for
// linker.js. Throws a DeployError whose message is "file:line:column: text, and what to do".

import { Parser } from "acorn";

import { analyse } from "./analyse.js";
import { builtinResolver } from "./builtins.js";
import { bundleWriter, readBundle, utf8Decode, utf8Encode } from "./bundle.js";
import { emitCommonJs, emitModule } from "./emit.js";
import { DeployError, SourceError } from "./errors.js";
import { checkNames, findCycles, resolveImports } from "./graph.js";
import { plainName } from "./paths.js";
import { lineStarts, locate } from "./positions.js";
import { readMap, sourcePosition } from "./source-map.js";

export function transformBundle(bytes) {
  const bundle = readBundle(bytes);
  const { manifest } = bundle;
  const sources = manifest.modules.map((module) => bundle.blob(module));
  const { modules, asyncContext } = tellSource(bundle, () => transformModules(manifest, sources));
  const writer = bundleWriter();
  manifest.modules.forEach((module, i) => {
    const { text, shifts, ...fields } = modules[i];
    Object.assign(module, fields, writer.add(text === undefined ? sources[i] : utf8Encode(text)));
    if (shifts) module.shifts = writer.add(bytesOf(Int32Array.from(shifts)));
    if (module.map) module.map = positionTable(utf8Decode(bundle.blob(module.map)), writer);
  });
  if (asyncContext) manifest.async_context = true;
  return writer.finish(manifest);
}

const bytesOf = (numbers) => new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);

function positionTable(text, writer) {
  try {
    const { rows, sources } = readMap(text);
    return { ...writer.add(bytesOf(rows)), sources };
  } catch {
    return null; // not a map that can be read: positions are the bundle's
  }
}

// Errors name the author's file where the bundler left a map.
function tellSource({ manifest, blob }, run) {
  try {
    return run();
  } catch (error) {
    const { map } = manifest.modules.find(({ name }) => plainName(name) === error.module) ?? {};
    if (!(error instanceof SourceError) || !map) throw error;
    throw error.at(sourceOf(utf8Decode(blob(map)), error));
  }
}

function sourceOf(text, { line, column }) {
  try {
    return sourcePosition(readMap(text), line, column - 1);
  } catch {
    return null; // not a map that can be read: the bundle's position is still true
  }
}

// manifest: as in a bundle; sources: bytes of each module. → {asyncContext, modules: per module what
// goes into the manifest, with its new `text` and `shifts` if it is code}.
export function transformModules(manifest, sources) {
  const records = new Map();
  const list = manifest.modules.map((module, i) => {
    const name = plainName(module.name);
    if (records.has(name)) throw new DeployError(`two modules are named "${module.name}"`);
    const record = { name, type: module.type, source: sources[i], cyclic: false };
    records.set(name, record);
    return record;
  });
  if (!records.has(plainName(manifest.main ?? ""))) {
    throw new DeployError(`the main module "${manifest.main}" is not in the bundle`);
  }
  const main = records.get(plainName(manifest.main));
  const isScript = (record) => manifest.syntax === "service-worker" && record === main;
  const code = list.filter(({ type }) => type === "esm" || type === "cjs" || type === "script");
  for (const record of code) {
    record.text = utf8Decode(record.source);
    record.starts = lineStarts(record.text);
  }
  const resolveBuiltin = builtinResolver(manifest);
  // Named in any way, as in process.getBuiltinModule(): the frames cost little, their lack is a bug.
  const asyncContext =
    resolveBuiltin("node:async_hooks").target !== undefined &&
    code.some(({ text }) => text.includes("async_hooks"));
  for (const record of code) {
    parse(record, isScript(record) ? "script" : record.type, asyncContext);
  }
  const esm = code.filter((record) => record.type === "esm" && !isScript(record));
  for (const record of esm) resolveImports(record, records, resolveBuiltin);
  for (const record of esm) checkNames(record);
  findCycles(esm);

  const modules = list.map((record) => {
    if (!record.analysis || isScript(record) || record.type === "script") return {};
    const emitted =
      record.type === "cjs" ? emitCommonJs(record, asyncContext) : emitModule(record, asyncContext);
    checkSyntax(record, emitted.text);
    if (record.type === "cjs") return emitted;
    return {
      ...emitted,
      async: record.analysis.async,
      imports: record.analysis.imports.map((entry) => describeImport(record, entry)),
      starFrom: record.analysis.starFrom,
    };
  });
  return { modules, asyncContext };
}

function describeImport({ starts }, { specifier, target, builtin, names, namespace, attributes, start }) {
  const { line, column } = locate(starts, start);
  return {
    specifier,
    target: target ? target.name : builtin,
    names: [...names.keys()],
    namespace,
    ...(attributes && { attributes }),
    line,
    column: column + 1,
  };
}

const TOO_DEEP = "the code is nested too deeply";

function parse(record, kind, frames) {
  const { text, name, starts } = record;
  const fail = (offset, message) => {
    throw new SourceError(name, starts, offset, message);
  };
  let program;
  try {
    program = Parser.parse(text, {
      ecmaVersion: "latest",
      sourceType: kind === "esm" ? "module" : kind === "cjs" ? "commonjs" : "script",
      preserveParens: true,
      allowHashBang: true,
    });
  } catch (error) {
    if (error instanceof SyntaxError && error.pos !== undefined) {
      const message = error.message.replace(/ \(\d+:\d+\)$/, "");
      fail(error.pos, /stack space/.test(message) ? TOO_DEEP : message);
    }
    if (error instanceof RangeError) fail(0, TOO_DEEP);
    throw error;
  }
  try {
    record.analysis = analyse(program, text, { module: kind === "esm", frames, fail });
  } catch (error) {
    if (error instanceof RangeError) fail(0, TOO_DEEP);
    throw error;
  }
}

// What the parser takes and the engine does not must fail here too. The function constructor parses
// and runs nothing.
function checkSyntax({ name }, text) {
  try {
    new Function(`return ${text}`);
  } catch (error) {
    throw new DeployError(`${name}: the engine refuses this module: ${error.message}`);
  }
}
