// SPDX-License-Identifier: Apache-2.0
// Prisma's query compiler: from a schema and a query to a plan. Its WebAssembly is instantiated while the worker
// starts, so that every instance begins with it.
import * as glue from "@prisma/query-compiler-wasm/postgresql/query_compiler_fast_bg.js";
import { env } from "cloudflare:workers";
import module from "./compiler.wasm";

import { CompileError, Panic } from "./errors.js";

const GROWTH_BYTES_MAX = 64 * 1024 * 1024; // for one query: the compiler gives no memory back

let panic, memory;

function instantiate() {
  const { exports } = new WebAssembly.Instance(module, { "./query_compiler_fast_bg.js": glue });
  memory = exports.memory;
  glue.__wbg_set_wasm(exports);
  exports.__wbindgen_start();
}

// Where the compiler leaves the message of a panic.
globalThis.PRISMA_WASM_PANIC_REGISTRY = { set_message: (message) => (panic = message) };
instantiate();

// After a panic, or a trap, nothing of the instance is to be relied on: `generation` tells compilers that are of an older one.
let generation = 0;

function beginAnew() {
  memory.grow(0); // detaches the views that the glue has of it, and would go on to use
  instantiate();
  generation++;
  env.collectGarbage();
}

function guarded(run) {
  panic = undefined;
  try {
    return run();
  } catch (error) {
    if (panic === undefined && !(error instanceof WebAssembly.RuntimeError)) throw new CompileError(error);
    const message = panic ?? `The query could not be compiled, and may be too large: ${error.message}`;
    beginAnew();
    throw new Panic(message);
  }
}

export class Compiler {
  #compiler;
  #generation;
  #isFreed = false;

  constructor(datamodel, connectionInfo) {
    this.make = () => new glue.QueryCompiler({ datamodel, provider: "postgres", connectionInfo });
    this.#renew();
  }

  #renew() {
    this.#compiler = guarded(this.make);
    this.#generation = generation;
  }

  #run(compile) {
    if (this.#generation !== generation) this.#renew();
    const before = memory.buffer.byteLength;
    try {
      return guarded(() => compile(this.#compiler));
    } finally {
      if (memory.buffer.byteLength - before > GROWTH_BYTES_MAX) beginAnew();
      if (this.#isFreed) this.free();
    }
  }

  // query: JSON text of one query; a plan.
  compile(query) {
    return this.#run((compiler) => compiler.compile(query));
  }

  // batch: JSON text of several; as convertCompactedRows() and the executor of plans want it.
  compileBatch(batch) {
    return this.#run((compiler) => compiler.compileBatch(batch));
  }

  // What is still under way with it makes it anew, for each of its queries.
  free() {
    this.#isFreed = true;
    if (this.#generation === generation) this.#compiler.free();
    this.#generation = undefined;
  }
}
