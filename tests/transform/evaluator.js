// SPDX-License-Identifier: Apache-2.0
// Runs a transformed bundle inside the engine with the real linker: the least host there can be.
// The harness gives scripts as `__scripts[name]`, and each line that the modules log is printed.
import { asyncContextEnabled, bind, enableAsyncContext } from "../../src/runtime/js/async-context.js";
import { setNative } from "../../src/runtime/js/native.js";
import { installNode, nodeModule } from "../../src/runtime/js/node/index.js";
import { createModuleGraph } from "../../src/runtime/js/transform/linker.js";

setNative(globalThis.native);

function show(value) {
  if (typeof value === "function") return `[function ${value.name}]`;
  if (typeof value === "symbol" || typeof value === "bigint") return String(value);
  if (value instanceof Error) return value.name;
  if (value === undefined) return "undefined";
  return JSON.stringify(value);
}

globalThis.__scripts = {};
globalThis.log = (...values) => print(values.map(show).join(" "));
// Microtasks only: a macrotask is a long enough row of them.
globalThis.later = (turns, callback) => {
  const bound = bind(callback);
  let left = turns * 5;
  const step = () => (left-- > 0 ? Promise.prototype.then.call(Promise.resolve(), step) : bound());
  step();
};

globalThis.__start = (manifest, data) => {
  if (manifest.async_context && !asyncContextEnabled()) enableAsyncContext();
  globalThis.__graph = createModuleGraph({
    modules: manifest.modules,
    evaluate: (module) => __scripts[module.name],
    data: (module) => data[module.name],
    builtin: nodeModule,
    meta: (module) => ({ url: `file:///${module.name}`, main: module.name === manifest.main }),
  });
  installNode(manifest, __graph.require);
};

globalThis.__main = (name) => {
  __graph.importMain(name).then(
    (namespace) => later(20, () => log("done", Object.keys(namespace))),
    (error) => later(20, () => log("failed", error)),
  );
};
globalThis.__error = (error) => log("failed", error);
