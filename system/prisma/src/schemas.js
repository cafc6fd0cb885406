// SPDX-License-Identifier: Apache-2.0
// The schemas that clients have uploaded, each with its compiler and the plans it made.
import { createHash } from "node:crypto";

import { Compiler } from "./compiler.js";
import { invalidRequest, schemaMissing } from "./errors.js";
import { Parameters } from "./parameters.js";

const SCHEMAS_MAX = 16,
  SCHEMA_BYTES_MAX = 2 * 1024 * 1024,
  PLANS_MAX = 1000,
  PARAMETERS_BYTES_MAX = 20000, // of a schema: the graph of a large one takes longer than others can wait
  COMPILED_FIRST = 8; // so many plans a schema makes before its parameters are worth knowing

// A map that forgets what was used longest ago.
export class LeastRecent {
  #map = new Map();

  constructor(max, onForget = undefined) {
    this.max = max;
    this.onForget = onForget;
  }

  get(key) {
    const value = this.#map.get(key);
    if (value !== undefined) {
      this.#map.delete(key);
      this.#map.set(key, value);
    }
    return value;
  }

  set(key, value) {
    this.#map.delete(key);
    this.#map.set(key, value);
    if (this.#map.size <= this.max) return;
    const [oldest, forgotten] = this.#map.entries().next().value;
    this.#map.delete(oldest);
    this.onForget?.(forgotten);
  }
}

class Schema {
  #text;
  #compiler;
  #plans = new LeastRecent(PLANS_MAX);
  #compiled = 0;
  #parameters; // null: there are none, and never will be

  constructor(text, connectionInfo) {
    this.#text = text;
    this.#compiler = new Compiler(text, connectionInfo);
  }

  #parametersOf() {
    if (this.#parameters !== undefined || this.#compiled < COMPILED_FIRST || this.#text.length > PARAMETERS_BYTES_MAX) return this.#parameters ?? undefined;
    try {
      this.#parameters = new Parameters(this.#text);
    } catch (error) {
      console.warn(`plans are made for each query: ${error.message}`);
      this.#parameters = null;
    }
    return this.#parameters ?? undefined;
  }

  #planOf(key, compile, isKept) {
    let plan = isKept ? this.#plans.get(key) : undefined;
    if (plan !== undefined) return plan;
    plan = compile();
    this.#compiled++;
    if (isKept) this.#plans.set(key, plan);
    return plan;
  }

  // {plan, scope}: what to run, and the values of its parameters.
  compile(query) {
    const { query: shape, scope } = this.#parametersOf()?.ofQuery(query) ?? { query, scope: {} };
    const text = JSON.stringify(shape);
    return { plan: this.#planOf(text, () => this.#compiler.compile(text), !query.action.startsWith("createMany")), scope };
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

const schemas = new LeastRecent(SCHEMAS_MAX, (schema) => schema.free());

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
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.fromBase64(base64));
  } catch {
    throw invalidRequest("The schema is not a text in base64.");
  }
  try {
    schemas.set(hash, new Schema(text, connectionInfo));
  } catch (error) {
    throw invalidRequest(`The schema can not be read: ${error.message}`);
  }
}
