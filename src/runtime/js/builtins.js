// SPDX-License-Identifier: Apache-2.0
// Modules that are not in the bundle: cloudflare:* and node:*.

import { nodeModule } from "./node/index.js";
import { connect } from "./sockets.js";
import { workersModule } from "./workers-module.js";

const cache = new Map();

function cloudflare(name) {
  switch (name) {
    case "cloudflare:workers":
      return workersModule();
    case "cloudflare:sockets":
      return { connect };
    default:
      return undefined;
  }
}

// The object whose properties are the module's exports; undefined: there is no such module.
export function builtinModule(specifier) {
  if (cache.has(specifier)) return cache.get(specifier);
  const module = specifier.startsWith("cloudflare:") ? cloudflare(specifier) : nodeModule(specifier);
  if (module !== undefined) cache.set(specifier, module);
  return module;
}
