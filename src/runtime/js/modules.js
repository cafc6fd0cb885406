// SPDX-License-Identifier: Apache-2.0
// The worker's modules: from the bundle's manifest to evaluated namespaces (transform/README.md).

import { native } from "./native.js";
import { createModuleGraph } from "./transform/linker.js";
import { enableAsyncContext } from "./async-context.js";
import { builtinModule } from "./builtins.js";
import { installNode } from "./node/index.js";
import { setPositions } from "./positions.js";

// All WebAssembly is compiled before the first request, also what is imported in one: code is not made from bytes then, and every
// instance has it. What is not valid is told to who imports it.
function compileAll({ modules }, bytesOf) {
  const compiled = new Map();
  for (const module of modules) {
    if (module.type !== "wasm") continue;
    try {
      const made = new WebAssembly.Module(bytesOf(module));
      compiled.set(module, () => made);
    } catch (error) {
      compiled.set(module, () => {
        throw error;
      });
    }
  }
  return compiled;
}

export function openBundle(manifestText, blob) {
  const manifest = JSON.parse(manifestText);
  const bytesOf = (part) => blob.subarray(part.offset, part.offset + part.bytes);
  const textOf = (part) => native.utf8Decode(bytesOf(part), false, false);
  const numbersOf = (part) => new Int32Array(blob.buffer, blob.byteOffset + part.offset, part.bytes / 4);
  const described = new Map();
  for (const module of manifest.modules) {
    if (module.type !== "esm" && module.type !== "cjs" && manifest.syntax !== "service-worker") continue;
    described.set(module.name, {
      map: module.map ? { rows: numbersOf(module.map), sources: module.map.sources } : undefined,
      shifts: module.shifts ? numbersOf(module.shifts) : undefined,
    });
  }
  setPositions(described, manifest.dev === true);
  if (manifest.async_context) enableAsyncContext();
  const evaluate = (module) => native.evaluateBytes(bytesOf(module), module.name, 1);
  let compiled;
  const graph = createModuleGraph({
    modules: manifest.modules,
    evaluate,
    data(module) {
      switch (module.type) {
        case "text":
          return textOf(module);
        case "json":
          return JSON.parse(textOf(module));
        case "wasm":
          return compiled.get(module)();
        default:
          return bytesOf(module).slice().buffer;
      }
    },
    builtin: builtinModule,
    meta: (module) => ({ url: `file:///${module.name}`, main: module.name === manifest.main }),
  });
  installNode(manifest, graph.require);
  const compile = () => {
    compiled = compileAll(manifest, bytesOf);
  };
  return { manifest, graph, compile, evaluateScript: () => evaluate(manifest.modules.find((m) => m.name === manifest.main)) };
}
