// SPDX-License-Identifier: Apache-2.0
// Stands for node:fs in what is bundled: Prisma's schema parser reads its WebAssembly from a file, and compiles it. Here it
// is a module of the worker, which the platform has compiled; the build puts asModule in the place of WebAssembly.Module.
import parser from "./schema.wasm";

export const readFileSync = () => parser;

export function asModule(module) {
  return module; // of `new`: an object is what it gives
}
