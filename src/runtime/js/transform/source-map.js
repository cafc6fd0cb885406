// SPDX-License-Identifier: Apache-2.0
// The bundler's source map (https://tc39.es/ecma426/), read for single positions, at deploy and at
// run time. `names` and sections are not used by esbuild's maps of one file.

const digits = new Map([..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].map((c, i) => [c, i]));

export function decodeMap(text) {
  const { mappings, sources, sourceRoot = "" } = JSON.parse(text);
  const lines = [];
  let source = 0;
  let line = 0;
  let column = 0;
  for (const group of mappings.split(";")) {
    const segments = [];
    let generated = 0;
    for (const part of group.split(",")) {
      if (part === "") continue;
      const values = decodeValues(part);
      generated += values[0];
      if (values.length < 4) continue;
      source += values[1];
      line += values[2];
      column += values[3];
      segments.push([generated, source, line, column]);
    }
    lines.push(segments);
  }
  return { lines, sources: sources.map((name) => sourceRoot + name) };
}

function decodeValues(part) {
  const values = [];
  for (let i = 0; i < part.length; ) {
    let value = 0;
    let shift = 0;
    let digit;
    do {
      digit = digits.get(part[i++]) ?? 0;
      value |= (digit & 31) << shift;
      shift += 5;
    } while (digit & 32);
    values.push(value & 1 ? -(value >> 1) : value >> 1);
  }
  return values;
}

// map: of decodeMap; line from 1, column from 0. → {source, line from 1, column from 1} or null
export function sourcePosition(map, line, column) {
  const segments = map.lines[line - 1];
  let found = null;
  for (let i = 0; segments !== undefined && i < segments.length && segments[i][0] <= column; i++) {
    found = segments[i];
  }
  if (found === null) return null;
  // The map was written two directories down; what is above the project is told from its own top.
  const source = map.sources[found[1]].replace(/^(\.\.\/)+/, "");
  return { source, line: found[2] + 1, column: found[3] + 1 };
}
