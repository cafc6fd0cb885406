// SPDX-License-Identifier: Apache-2.0
// The node: modules of the compatibility library. The transform refuses others at deploy;
// index.js must give each of these.

export const nodeModuleNames = [
  "node:assert",
  "node:assert/strict",
  "node:async_hooks",
  "node:buffer",
  "node:console",
  "node:constants",
  "node:crypto",
  "node:diagnostics_channel",
  "node:events",
  "node:module",
  "node:os",
  "node:path",
  "node:path/posix",
  "node:path/win32",
  "node:process",
  "node:punycode",
  "node:querystring",
  "node:stream",
  "node:stream/consumers",
  "node:stream/promises",
  "node:stream/web",
  "node:string_decoder",
  "node:sys",
  "node:timers",
  "node:timers/promises",
  "node:url",
  "node:util",
  "node:util/types",
];
