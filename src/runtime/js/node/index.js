// SPDX-License-Identifier: Apache-2.0
// The node: modules of nodejs_compat. Each is evaluated when a worker first asks for it: the bundler
// turns require() of a module into a call of its wrapper function, which the engine has only
// pre-parsed until then. names.js has the same list for the transform.

const modules = {
  "node:async_hooks": () => require("./async-hooks.js"),
};

// The object whose properties are the module's exports (`default` included), or undefined.
export function nodeModule(specifier) {
  const name = specifier.startsWith("node:") ? specifier : `node:${specifier}`;
  return Object.hasOwn(modules, name) ? modules[name]() : undefined;
}

export const nodeModules = modules;
