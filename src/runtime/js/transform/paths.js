// SPDX-License-Identifier: Apache-2.0
// Module names and specifiers, for deploy and run time alike.

// Captured: at run time the worker may have patched them.
import { StringSplit, StringStartsWith, ArrayJoin, RegExpTest, StringReplace, ArraySlice } from "../primordials.js";

// A specifier resolved against the importer's name, or null if it climbs out of the bundle. Names
// have no leading "./" or "/".
export function resolvePath(specifier, importer) {
  const path = StringStartsWith.call(specifier, "file:///")
    ? StringReplace.call(specifier, "file:///", "/")
    : specifier;
  const relative = StringStartsWith.call(path, "./") || StringStartsWith.call(path, "../");
  const segments = relative ? ArraySlice.call(StringSplit.call(importer, "/"), 0, -1) : [];
  const parts = StringSplit.call(path, "/");
  for (let i = 0; i < parts.length; i++) {
    const segment = parts[i];
    if (segment === "..") {
      if (segments.length === 0) return null;
      segments.length--;
    } else if (segment !== "." && segment !== "") {
      segments[segments.length] = segment;
    }
  }
  return ArrayJoin.call(segments, "/");
}

const prefix = /^(?:\.?\/)+/;
const notBare = /^(?:\.{0,2}\/|[a-z][a-z0-9+.-]*:)/i;

export const plainName = (name) => StringReplace.call(name, prefix, "");
export const isBare = (specifier) => !RegExpTest.call(notBare, specifier);

// The module that a specifier means in a bundle (`has(name)` tells which exist): its name or null.
// A bare one is a module at the root, or beside the importer.
export function findModule(specifier, importer, has) {
  const path = resolvePath(specifier, importer);
  if (path !== null && has(path)) return path;
  if (!isBare(specifier)) return null;
  const beside = resolvePath(`./${specifier}`, importer);
  return beside !== null && has(beside) ? beside : null;
}
