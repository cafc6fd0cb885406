// SPDX-License-Identifier: Apache-2.0
// Which modules exist without being in the bundle, and under which compatibility flags.

import { nodeModuleNames } from "../node/names.js";

export const platformModules = ["cloudflare:workers", "cloudflare:sockets"];

// From this date on nodejs_compat needs no flag.
const NODE_BY_DEFAULT = "2026-08-04";

export function builtinResolver({ compatibility_date: date = "", compatibility_flags: flags = [] }) {
  const has = (flag) => flags.includes(flag);
  const node =
    has("nodejs_compat") ||
    has("nodejs_compat_v2") ||
    (date >= NODE_BY_DEFAULT && !has("no_nodejs_compat") && !has("no_nodejs_compat_v2"));
  const known = new Set(nodeModuleNames);

  // {target} | {error, flagMissing} | null: not the name of a built-in module
  return function resolveBuiltin(specifier) {
    if (specifier.startsWith("cloudflare:") || specifier.startsWith("workerd:")) {
      return platformModules.includes(specifier)
        ? { target: specifier }
        : { error: `"${specifier}" does not exist here; there are ${list(platformModules)}` };
    }
    const prefixed = specifier.startsWith("node:");
    const target = prefixed ? specifier : `node:${specifier}`;
    if (!known.has(target)) {
      return prefixed
        ? { error: `"${specifier}" is not available; available are ${list(nodeModuleNames)}` }
        : null;
    }
    if (node || (target === "node:async_hooks" && has("nodejs_als"))) {
      return { target };
    }
    return {
      flagMissing: true,
      error: `"${specifier}" needs the compatibility flag "nodejs_compat"; add compatibility_flags = ["nodejs_compat"] to the configuration`,
    };
  };
}

const list = (names) => names.join(", ");
