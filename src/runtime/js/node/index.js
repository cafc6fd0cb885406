// SPDX-License-Identifier: Apache-2.0
// The node: modules of nodejs_compat. Each is evaluated when a worker first asks for it: the bundler
// turns require() of a module into a call of its wrapper function, which the engine has only
// pre-parsed until then. names.js has the same list for the transform.

import { builtinResolver } from "../transform/builtins.js";
import { environment } from "./environment.js";

const modules = {
  __proto__: null,
  "node:assert": () => require("./assert.js"),
  "node:assert/strict": () => require("./assert-strict.js"),
  "node:async_hooks": () => require("./async-hooks.js"),
  "node:buffer": () => require("./buffer.js"),
  "node:console": () => require("./console.js"),
  "node:constants": () => require("./constants.js"),
  "node:crypto": () => require("./crypto.js"),
  "node:diagnostics_channel": () => require("./diagnostics-channel.js"),
  "node:dns": () => require("./dns.js"),
  "node:events": () => require("./events.js"),
  "node:fs": () => require("./fs.js"),
  "node:module": () => require("./module.js"),
  "node:net": () => require("./net.js"),
  "node:os": () => require("./os.js"),
  "node:path": () => require("./path.js"),
  "node:path/posix": () => withDefault(require("./path.js").posix),
  "node:path/win32": () => withDefault(require("./path.js").win32),
  "node:process": () => require("./process.js"),
  "node:punycode": () => require("./punycode.js"),
  "node:querystring": () => require("./querystring.js"),
  "node:stream": () => require("./stream.js"),
  "node:stream/consumers": () => require("./stream-consumers.js"),
  "node:stream/promises": () => require("./stream-promises.js"),
  "node:stream/web": () => require("./stream-web.js"),
  "node:string_decoder": () => require("./string-decoder.js"),
  "node:sys": () => require("./util.js"),
  "node:timers": () => require("./timers.js"),
  "node:timers/promises": () => require("./timers-promises.js"),
  "node:tls": () => require("./tls.js"),
  "node:url": () => require("./url.js"),
  "node:util": () => require("./util.js"),
  "node:util/types": () => require("./types.js"),
};

const withDefault = (exports) => ({ ...exports, default: exports });

// The object whose properties are the module's exports (`default` included), or undefined.
export function nodeModule(specifier) {
  const name = specifier.startsWith("node:") ? specifier : `node:${specifier}`;
  return modules[name]?.();
}

// What nodejs_compat adds to the global object, evaluated at first use. require(specifier, referrer):
// the module graph's.
export function installNode(manifest, require) {
  if (builtinResolver(manifest)("node:process").target === undefined) return;
  environment.require = require;
  if (!manifest.compatibility_flags?.includes("nodejs_compat_do_not_populate_process_env")) {
    for (const [name, value] of Object.entries(manifest.env?.vars ?? {})) {
      environment.variables[name] = typeof value === "string" ? value : JSON.stringify(value);
    }
  }
  lazyGlobal("process", () => nodeModule("node:process").default);
  lazyGlobal("Buffer", () => nodeModule("node:buffer").Buffer);
  lazyGlobal("setImmediate", () => nodeModule("node:timers").setImmediate);
  lazyGlobal("clearImmediate", () => nodeModule("node:timers").clearImmediate);
  Object.defineProperty(globalThis, "global", { value: globalThis, writable: true, configurable: true });
}

function lazyGlobal(name, value) {
  const settle = (final) =>
    Object.defineProperty(globalThis, name, { value: final, writable: true, enumerable: false, configurable: true });
  Object.defineProperty(globalThis, name, {
    get() {
      const final = value();
      settle(final);
      return final;
    },
    set: settle,
    enumerable: false,
    configurable: true,
  });
}
