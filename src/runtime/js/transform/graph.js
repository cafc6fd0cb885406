// SPDX-License-Identifier: Apache-2.0
// The modules of a bundle and how they hang together: specifiers → modules, names → bindings,
// import cycles.

import { SourceError } from "./errors.js";
import { findModule, isBare, plainName } from "./paths.js";

const attributeTypes = { json: "json", text: "text", bytes: "data" };

// Sets `target` of each import: a record of the bundle, or a built-in's name.
export function resolveImports(record, records, resolveBuiltin) {
  const fail = (offset, message) => {
    throw new SourceError(record.name, record.starts, offset, message);
  };
  for (const entry of record.analysis.imports) {
    const { specifier, start, attributes } = entry;
    const builtin = resolveBuiltin(specifier);
    // A bare name may be a module of the bundle as well as an old spelling of a node: module.
    const name =
      builtin && specifier.includes(":")
        ? null
        : findModule(specifier, record.name, (candidate) => records.has(candidate));
    const local = name === null ? undefined : records.get(name);
    if (local) entry.target = local;
    else if (builtin?.target) entry.builtin = builtin.target;
    else if (builtin) fail(start, builtin.error);
    else fail(start, missing(specifier, records));
    checkType(entry, attributes, fail);
  }
  if (record.analysis.requires) checkRequires(record, resolveBuiltin, fail);
}

// What CommonJS packages ask esbuild's stand-in for. A module that does not exist is for them to find out: many try.
function checkRequires({ text }, resolveBuiltin, fail) {
  for (const match of text.matchAll(/\b__require\d*\("([^"\\]+)"\)/g)) {
    const builtin = resolveBuiltin(match[1]);
    if (builtin?.flagMissing) fail(match.index, builtin.error);
  }
}

function checkType({ target, builtin, specifier, start }, attributes, fail) {
  if (!attributes) return;
  const expected = attributeTypes[attributes.type];
  if (expected === undefined) {
    fail(start, `import attribute type "${attributes.type}" is unknown; json, text and bytes exist`);
  }
  const actual = builtin ? "built-in" : target.type;
  if (actual !== expected) {
    fail(start, `"${specifier}" is imported with type "${attributes.type}" but is ${actual}`);
  }
}

function missing(specifier, records) {
  if (isBare(specifier)) {
    return `no module "${specifier}" in the bundle; install the package and let the bundler include it`;
  }
  const near = nearest(plainName(specifier), [...records.keys()]);
  return `no module "${specifier}" in the bundle` + (near ? `; did you mean "./${near}"?` : "");
}

// The candidate that differs least from name, if it is near at all.
function nearest(name, candidates) {
  let best = null;
  let bestDistance = Math.max(2, name.length / 3);
  for (const candidate of candidates.slice(0, 200)) {
    const distance = editDistance(name, candidate, bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a, b, limit) {
  if (Math.abs(a.length - b.length) > limit) return Infinity;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] !== b[j - 1] ? 1 : 0));
    }
    row = next;
  }
  return row[b.length];
}

// --- names ---

// ResolveExport of ECMA-262 16.2.1.6.3, as far as it can be known here: {record, local},
// {namespace: record or built-in}, "unknown" (a built-in's or a CommonJS module's: the linker
// checks), "ambiguous" or null.
export function resolveExport(record, name, seen = new Set()) {
  if (record.type !== "esm") {
    if (record.type === "cjs") return "unknown";
    return name === "default" ? { record, local: "default" } : null;
  }
  const key = `${record.name}\0${name}`;
  if (seen.has(key)) return null;
  seen.add(key);
  const { exports, imports, starFrom } = record.analysis;
  const own = exports.get(name);
  if (own) {
    if (own.import === undefined) return { record, local: own.local };
    const { target } = imports[own.import];
    if (own.from === null) return { namespace: target ?? imports[own.import].builtin };
    return target ? resolveExport(target, own.from, seen) : "unknown";
  }
  if (name === "default") return null;
  let found = null;
  let unknown = false;
  for (const index of starFrom) {
    const { target } = imports[index];
    if (!target) {
      unknown = true;
      continue;
    }
    if (target.type === "cjs") continue;
    const resolution = resolveExport(target, name, seen);
    if (resolution === "ambiguous") return resolution;
    if (resolution === "unknown") unknown = true;
    else if (resolution !== null) {
      if (found && !sameBinding(found, resolution)) return "ambiguous";
      found = resolution;
    }
  }
  return unknown ? "unknown" : found;
}

const sameBinding = (a, b) =>
  a.record === b.record && a.local === b.local && a.namespace === b.namespace;

// Every name that is imported or re-exported must exist. Also keeps what imports resolve to.
export function checkNames(record) {
  for (const entry of record.analysis.imports) {
    entry.resolutions = new Map();
    for (const [name, offset] of entry.names) {
      const resolution = entry.target ? resolveExport(entry.target, name) : "unknown";
      entry.resolutions.set(name, resolution);
      if (resolution !== null && resolution !== "ambiguous") continue;
      throw new SourceError(
        record.name,
        record.starts,
        offset,
        resolution === null
          ? noExport(entry, name)
          : `"${entry.specifier}" exports "${name}" from two modules by "export *"; import it from one of them`,
      );
    }
  }
}

function noExport({ specifier, target }, name) {
  const text = `"${specifier}" has no export named "${name}"`;
  if (target.type !== "esm") {
    return `${text}; a ${target.type} module has only a default export`;
  }
  const names = [...target.analysis.exports.keys()];
  const near = nearest(name, names);
  if (near) return `${text}; did you mean "${near}"?`;
  return names.length > 0 && names.length <= 12 ? `${text}; it exports ${names.join(", ")}` : text;
}

// --- cycles (Tarjan's strongly connected components, without recursion) ---

// Sets `component` of every esm record, and `cyclic` of those in a cycle of static imports.
export function findCycles(records) {
  let counter = 0;
  let components = 0;
  const stack = [];
  for (const root of records) {
    if (root.type !== "esm" || root.index !== undefined) continue;
    const work = [enter(root)];
    while (work.length > 0) {
      const frame = work[work.length - 1];
      const { record, edges } = frame;
      if (frame.next < edges.length) {
        const target = edges[frame.next++];
        if (target === record) record.cyclic = true;
        if (target.index === undefined) work.push(enter(target));
        else if (target.component === undefined) record.low = Math.min(record.low, target.index);
        continue;
      }
      work.pop();
      if (work.length > 0) {
        const parent = work[work.length - 1].record;
        parent.low = Math.min(parent.low, record.low);
      }
      if (record.low !== record.index) continue;
      const members = stack.splice(stack.lastIndexOf(record));
      for (const member of members) {
        member.component = components;
        if (members.length > 1) member.cyclic = true;
      }
      components++;
    }
  }

  function enter(record) {
    record.index = record.low = counter++;
    stack.push(record);
    const edges = record.analysis.imports
      .map((entry) => entry.target)
      .filter((target) => target?.type === "esm");
    return { record, edges, next: 0 };
  }
}
