// SPDX-License-Identifier: Apache-2.0
// The schemas that clients have uploaded, each with its compiler and the plans it made; and what of them instances to come shall
// know from their beginning: the platform gives it to the templates that they are forked from (worker.js).
import { createHash } from "node:crypto";

import { Compiler } from "./compiler.js";
import { invalidRequest, otherProvider, schemaMissing } from "./errors.js";
import { keepDigits } from "./joins.js";
import { LeastRecent } from "./least-recent.js";
import { Parameters, hasNoValues } from "./parameters.js";
import { traced } from "./telemetry.js";

const SCHEMAS_MAX = 16,
  SCHEMA_BYTES_MAX = 2 * 1024 * 1024,
  PLANS_MAX = 1000,
  PLAN_KEY_LENGTH_MAX = 32768, // of a query whose plan is kept
  PLAN_KEYS_LENGTH_MAX = 4 * 1024 * 1024, // of all: the plans are some times as large
  PARAMETERS_BYTES_MAX = 20000, // of a schema: the graph of a large one takes longer than others can wait
  PARAMETERS_BYTES_MAX_AT_START = 100000, // … where nobody waits, of all that are made there: it has 10 s
  COMPILED_FIRST = 8; // so many plans a schema makes before its parameters are worth knowing

const PROVIDERS = ["postgresql", "postgres"];

const SEED_LENGTH_MAX = 256 * 1024,
  SHAPES_MAX = 64, // of a schema, in a seed
  SHAPE_LENGTH_MAX = 4096;

// Connection URLs, and comments, in which there may be some: nobody here needs them, and they may have passwords in them. What begins like a comment
// in a string that does not end counts as one, too.
const URLS = /^[ \t]*(?:url|directUrl|shadowDatabaseUrl)[ \t]*=.*$/gm;

function withoutComment(line) {
  const outside = /"|\/\//g, inside = /\\.|"|\/\//g;
  let marks = outside, slashes = -1; // in the string that has begun
  for (let mark; (mark = marks.exec(line)) !== null; ) {
    const next = marks.lastIndex;
    if (mark[0] === '"') {
      marks = marks === outside ? inside : outside;
      slashes = -1;
    } else if (mark[0] === "//") {
      if (marks === outside) return line.slice(0, mark.index);
      if (slashes === -1) slashes = mark.index;
    }
    marks.lastIndex = next;
  }
  return marks === inside && slashes !== -1 ? line.slice(0, slashes) : line;
}

// Which database a schema is for, or undefined.
function providerOf(text) {
  const begin = text.search(/^[ \t]*datasource\b/m);
  return begin === -1 ? undefined : /\bprovider[ \t]*=[ \t]*"([^"\n]*)"/.exec(text.slice(begin, text.indexOf("}", begin) + 1))?.[1];
}

const withoutUrls = (text) => text.split("\n").map(withoutComment).join("\n").replace(URLS, "");

// Has anything been learned since the last seed?
let learned = false, shapesLearned = 0, shapesSown = 0;

class Schema {
  #text;
  #compiler;
  #plans = new LeastRecent(PLANS_MAX, { lengthMax: PLAN_KEYS_LENGTH_MAX });
  #compiled = 0;
  #parameters; // null: there are none, and never will be
  #shapes = []; // of queries, without any value

  constructor(text, connectionInfo) {
    this.#text = text;
    this.#compiler = new Compiler(text, connectionInfo);
  }

  #parametersOf() {
    if (this.#parameters !== undefined || this.#compiled < COMPILED_FIRST || this.#text.length > PARAMETERS_BYTES_MAX) return this.#parameters ?? undefined;
    return this.#makeParameters();
  }

  #makeParameters() {
    try {
      this.#parameters = new Parameters(this.#text);
    } catch (error) {
      console.warn(`plans are made for each query: ${error.message}`);
      this.#parameters = null;
    }
    return this.#parameters ?? undefined;
  }

  #planOf(key, compile, mayKeep) {
    const isKept = mayKeep && key.length <= PLAN_KEY_LENGTH_MAX;
    let plan = isKept ? this.#plans.get(key) : undefined;
    if (plan !== undefined) return plan;
    plan = traced("compile", () => keepDigits(compile()));
    this.#compiled++;
    if (isKept) this.#plans.set(key, plan);
    return plan;
  }

  // {plan, scope}: what to run, and the values of its parameters.
  compile(query) {
    const { query: shape, scope, isWhole } = this.#parametersOf()?.ofQuery(query) ?? { query, scope: {}, isWhole: true };
    const text = JSON.stringify(shape), isKept = !query.action.startsWith("createMany");
    const compile = () => {
      const plan = this.#compiler.compile(text);
      if (!isWhole && isKept) this.#learnShape(text, shape);
      return plan;
    };
    return { plan: this.#planOf(text, compile, isKept), scope };
  }

  #learnShape(text, shape) {
    if (this.#shapes.length >= SHAPES_MAX || text.length > SHAPE_LENGTH_MAX || !hasNoValues(shape.query)) return;
    this.#shapes.push(text);
    shapesLearned++;
  }

  // What a template needs to know it, but for its hash.
  seed() {
    return { text: this.#text, shapes: this.#shapes };
  }

  // In a template: makes what would else be made at the first queries.
  prepare(shapes) {
    if (this.#makeParameters() === undefined) return;
    for (const shape of shapes) {
      this.#planOf(shape, () => this.#compiler.compile(shape), true);
      this.#shapes.push(shape);
    }
  }

  // {compiled, scope}
  compileBatch(queries) {
    const { batch, scope } = this.#parametersOf()?.ofBatch(queries) ?? { batch: queries, scope: {} };
    const text = JSON.stringify(batch);
    return { compiled: this.#planOf(text, () => this.#compiler.compileBatch(text), true), scope };
  }

  free() {
    this.#compiler.free();
  }
}

const schemas = new LeastRecent(SCHEMAS_MAX, { onForget: (schema) => schema.free() });

export function findSchema(hash) {
  const schema = schemas.get(hash);
  if (schema === undefined) throw schemaMissing();
  return schema;
}

// base64: the schema's text, as the client sends it; hash: SHA-256 of that, by which it will name it.
export function uploadSchema(hash, base64, connectionInfo) {
  if (base64.length > SCHEMA_BYTES_MAX)
    throw invalidRequest(`The schema is larger than ${SCHEMA_BYTES_MAX} bytes, which is the limit here.`);
  const is = createHash("sha256").update(base64).digest("hex");
  if (is !== hash) throw invalidRequest(`The schema's hash is ${is}, and it was sent as ${hash}: generate the client anew.`);
  if (schemas.get(hash) !== undefined) return;
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(base64));
  } catch {
    throw invalidRequest("The schema is not a text in base64.");
  }
  text = withoutUrls(text);
  const provider = providerOf(text);
  if (provider !== undefined && !PROVIDERS.includes(provider)) throw otherProvider(provider);
  try {
    schemas.set(hash, new Schema(text, connectionInfo));
  } catch (error) {
    throw invalidRequest(`The schema can not be read: ${error.message}`);
  }
  learned = true;
}

// ---- seeds ----

// Is there enough that is new for another seed: a schema, or as many shapes again?
export const hasLearned = () => learned || shapesLearned >= Math.max(1, 2 * shapesSown);

// JSON of a list: {hash, text, shapes} of each schema, the one that was used last comes last.
export function newSeed() {
  learned = false;
  shapesSown = shapesLearned;
  const sown = [];
  let length = 0;
  for (const [hash, schema] of schemas.entries().reverse()) {
    const entry = JSON.stringify({ hash, ...schema.seed() });
    if (length + entry.length > SEED_LENGTH_MAX) continue;
    length += entry.length;
    sown.unshift(entry);
  }
  return `[${sown.join(",")}]`;
}

// In a template: what instances of before knew.
export function grow(seed, connectionInfo) {
  const known = JSON.parse(seed);
  let left = PARAMETERS_BYTES_MAX_AT_START;
  for (const entry of known.toReversed()) entry.isPrepared = (left -= entry.text.length) >= 0;
  for (const { hash, text, shapes, isPrepared } of known) {
    try {
      const schema = new Schema(text, connectionInfo);
      if (isPrepared) schema.prepare(shapes);
      schemas.set(hash, schema);
    } catch (error) {
      console.warn(`a schema of before is not known any more: ${error.message}`);
    }
  }
}
