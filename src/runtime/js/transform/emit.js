// SPDX-License-Identifier: Apache-2.0
// A parsed module → the script of README.md.

import { addFrames, frameEntry } from "./frames.js";
import { Edits } from "./rewrite.js";

const byCodeUnit = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const isIdentifier = /^[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*$/u;
const propertyKey = (name) => (isIdentifier.test(name) ? name : JSON.stringify(name));
const member = (name) => (isIdentifier.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`);

// Names that the module's text does not contain (a longer name that ends like one counts as well). An
// identifier written with escapes could still meet one of them: that module would only confuse itself.
function internalNames(text) {
  let prefix = "__";
  while (new RegExp(`${prefix}(?:[wcaftd]|i\\d+)(?![\\w$])`).test(text)) {
    prefix += "_";
  }
  const names = { i: (index) => `${prefix}i${index}` };
  for (const letter of "wcaftd") {
    names[letter] = prefix + letter;
  }
  return names;
}

// {form, text, shifts, exports, reexports}
export function emitModule(record, withFrames) {
  const { analysis, text, starts } = record;
  const names = internalNames(text);
  const edits = new Edits(text);
  const form = (analysis.async ? "async" : "") || "function";

  hashbang(edits);
  const own = []; // exported names of own bindings
  const reexports = [];
  for (const name of [...analysis.exports.keys()].sort(byCodeUnit)) {
    const entry = analysis.exports.get(name);
    if (entry.import === undefined) own.push(name);
    else reexports.push({ name, import: entry.import, from: entry.from });
  }
  const getters = own.map((name) => `()=>${analysis.exports.get(name).local ?? names.d}`);
  const { live, prologue: imports } = importPrologue(record, names);
  replaceUses(edits, analysis, live, names);
  const { prologue: defaults } = topLevel(edits, record, names);
  metaEdits(edits, analysis, names);

  let topFrame = "";
  if (withFrames) {
    addFrames(edits, analysis.sites, () => (topFrame = frameEntry(names)), names);
  }
  const { w } = names;
  const prologue =
    (analysis.requires ? `const require=${w}.r;` : "") +
    (withFrames ? `const ${names.c}=${w}.c,${names.a}=${w}.a;` : "") +
    defaults +
    (getters.length > 0 ? `${w}.x([${getters.join()}]);` : "") +
    imports +
    (record.cyclic ? "yield;" : "") +
    topFrame;
  const head =
    `(${analysis.async ? "async " : ""}function${record.cyclic ? "*" : ""}(${w}){"use strict";` +
    prologue;
  const generator = analysis.async ? "async-generator" : "generator";
  return {
    form: record.cyclic ? generator : form,
    exports: own,
    reexports,
    ...edits.apply(head, "\n})", starts),
  };
}

// A CommonJS module: wrapped, with import() and frames.
export function emitCommonJs(record, withFrames) {
  const { analysis, text, starts } = record;
  const names = internalNames(text);
  const edits = new Edits(text);
  hashbang(edits);
  metaEdits(edits, analysis, names);
  if (withFrames) {
    addFrames(edits, analysis.sites, () => {}, names);
  }
  const strict = analysis.program.body.some((node) => node.directive === "use strict");
  const head =
    `(function(exports,require,module,__filename,__dirname,${names.w}){` +
    (strict ? '"use strict";' : "") +
    (withFrames ? `const ${names.c}=${names.w}.c,${names.a}=${names.w}.a;` : "");
  return { form: "commonjs", ...edits.apply(head, "\n})", starts) };
}

function hashbang(edits) {
  if (edits.text.startsWith("#!")) edits.replace(0, 2, "//");
}

// Imported names: those that cannot change once the dependency was evaluated become constants, the
// others (in `live`: local name → expression) are read from the namespace at each use.
function importPrologue(record, names) {
  const { imports, bindings } = record.analysis;
  const live = new Map();
  const constants = imports.map(() => []);
  const namespaces = imports.map(() => []);
  const needed = new Set();
  for (const [local, { import: index, name }] of bindings) {
    if (name === null) {
      namespaces[index].push(local);
    } else if (isConstant(record, imports[index], name)) {
      constants[index].push(name === local ? name : `${propertyKey(name)}:${local}`);
    } else {
      needed.add(index);
      live.set(local, names.i(index) + member(name));
    }
  }
  const declarations = [];
  for (let index = 0; index < imports.length; index++) {
    const namespace = `${names.w}.i(${index})`;
    if (needed.has(index)) declarations.push(`${names.i(index)}=${namespace}`);
    for (const local of namespaces[index]) declarations.push(`${local}=${namespace}`);
    if (constants[index].length > 0) declarations.push(`{${constants[index].join()}}=${namespace}`);
  }
  return { live, prologue: declarations.length > 0 ? `const ${declarations.join()};` : "" };
}

function isConstant(record, { target, resolutions }, name) {
  if (!target) return true;
  if (target.type !== "esm") return target.type !== "cjs" || !record.cyclic;
  if (record.cyclic) return false;
  const resolution = resolutions.get(name);
  if (resolution === "unknown" || resolution.namespace !== undefined) return true;
  const { record: source, local } = resolution;
  return source.type !== "esm" || local === null || !source.analysis.assigned.has(local);
}

function replaceUses(edits, { importUses, topArguments }, live, names) {
  for (const { node, kind, hazard } of importUses) {
    const expression = live.get(node.name);
    if (expression === undefined) continue;
    if (kind.endsWith("shorthand")) {
      edits.replace(node.end, node.end, `:${expression}`);
    } else if (kind === "call") {
      // Called without `this`. On a line of its own "(" would continue the statement before.
      edits.replace(node.start, node.end, `${hazard ? ";" : ""}(0,${expression})`);
    } else {
      edits.replace(node.start, node.end, expression);
    }
  }
  // `arguments` of no function: a global variable, not the wrapper's arguments.
  for (const { node, kind } of topArguments) {
    const expression = `globalThis.arguments`;
    if (kind.endsWith("shorthand")) edits.replace(node.end, node.end, `:${expression}`);
    else edits.replace(node.start, node.end, expression);
  }
}

function metaEdits(edits, { metas, importExpressions, comments }, { w }) {
  for (const node of metas) edits.replace(node.start, node.end, `${w}.m`);
  for (const node of importExpressions) {
    edits.replace(node.start, node.start + "import".length, `${w}.d`);
  }
  for (const offset of comments) edits.open(offset, " ");
}

// Takes the import and export syntax away.
function topLevel(edits, { analysis, text }, names) {
  let prologue = "";
  for (const node of analysis.program.body) {
    switch (node.type) {
      case "ImportDeclaration":
      case "ExportAllDeclaration":
        edits.blank(node.start, node.end, ";");
        break;
      case "ExportNamedDeclaration":
        if (node.declaration) edits.blank(node.start, node.declaration.start, "");
        else edits.blank(node.start, node.end, ";");
        break;
      case "ExportDefaultDeclaration": {
        const { declaration } = node;
        const { type, id } = declaration;
        if (id && (type === "FunctionDeclaration" || type === "ClassDeclaration")) {
          edits.blank(node.start, declaration.start, "");
        } else if (type === "FunctionDeclaration") {
          edits.blank(node.start, declaration.start, "");
          edits.open(nameOffset(declaration, text), ` ${names.d}`);
          prologue += `${names.w}.n(${names.d});`;
        } else {
          defaultExpression(edits, node, names);
        }
        break;
      }
    }
  }
  return { prologue };
}

// After `function` or `function *` of an anonymous declaration: before its parameters' parenthesis,
// past the comments that may stand between.
function nameOffset({ start, generator, async }, text) {
  const skip = /\s+|\/\/[^\n\r\u2028\u2029]*|\/\*[^]*?\*\//y;
  let at = start;
  const blanks = () => {
    skip.lastIndex = at;
    while (skip.test(text)) at = skip.lastIndex;
  };
  if (async) {
    at += "async".length;
    blanks();
  }
  at += "function".length;
  if (generator) {
    blanks();
    at += 1;
  }
  return at;
}

// `export default EXPRESSION` → `const __d=EXPRESSION;`, the name "default" for anonymous functions.
function defaultExpression(edits, node, names) {
  const { declaration } = node;
  let inner = declaration;
  while (inner.type === "ParenthesizedExpression") inner = inner.expression;
  const anonymous =
    inner.type === "ArrowFunctionExpression" ||
    ((inner.type === "FunctionExpression" || inner.type.startsWith("Class")) && !inner.id);
  const head = `const ${names.d}=${anonymous ? "{default:" : ""}`;
  const room = declaration.start - node.start;
  const blanks = edits.text.slice(node.start, declaration.start).replace(/[^\n\r\u2028\u2029]/g, " ");
  if (/[\n\r\u2028\u2029]/.test(blanks) || head.length > room) {
    edits.open(node.start, head);
    edits.blank(node.start, declaration.start, "");
  } else {
    edits.replace(node.start, declaration.start, head + blanks.slice(head.length));
  }
  edits.close(declaration.end, anonymous ? "}.default;" : ";");
}
