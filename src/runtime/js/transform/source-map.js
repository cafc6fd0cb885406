// SPDX-License-Identifier: Apache-2.0
// The bundler's source map (https://tc39.es/ecma426/), read at deploy time into a table that is looked up in as it
// lies in the bundle file: a large project's map, decoded where an error happens, would take an instance's
// memory and its request's time. `names` and sections are not used by esbuild's maps of one file.

const digits = new Map([..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].map((c, i) => [c, i]));

const ROW = 5; // line from 1 and column from 0 of the bundle; source, line and column from 0 of the author's

// → {rows: Int32Array, in the order of the bundle's text; sources: names}
export function readMap(text) {
  const { mappings, sources, sourceRoot = "" } = JSON.parse(text);
  let rows = new Int32Array(ROW * 1024);
  let end = 0;
  let source = 0;
  let line = 0;
  let column = 0;
  mappings.split(";").forEach((group, index) => {
    let generated = 0;
    for (const part of group.split(",")) {
      if (part === "") continue;
      const values = decodeValues(part);
      generated += values[0];
      if (values.length < 4) continue;
      source += values[1];
      line += values[2];
      column += values[3];
      if (end + ROW > rows.length) rows = grown(rows);
      rows[end] = index + 1;
      rows[end + 1] = generated;
      rows[end + 2] = source;
      rows[end + 3] = line;
      rows[end + 4] = column;
      end += ROW;
    }
  });
  return { rows: rows.subarray(0, end), sources: sources.map((name) => sourceRoot + name) };
}

function grown(rows) {
  const larger = new Int32Array(rows.length * 2);
  larger.set(rows);
  return larger;
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

// line from 1, column from 0. → {source, line from 1, column from 1} or null
export function sourcePosition({ rows, sources }, line, column) {
  let low = 0;
  let high = rows.length / ROW;
  while (low < high) {
    const middle = (low + high) >> 1;
    const at = middle * ROW;
    if (rows[at] < line || (rows[at] === line && rows[at + 1] <= column)) low = middle + 1;
    else high = middle;
  }
  const at = (low - 1) * ROW;
  if (low === 0 || rows[at] !== line || sources[rows[at + 2]] === undefined) return null;
  // The map was written two directories down; what is above the project is told from its own top.
  const source = sources[rows[at + 2]].replace(/^(\.\.\/)+/, "");
  return { source, line: rows[at + 3] + 1, column: rows[at + 4] + 1 };
}
