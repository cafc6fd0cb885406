// SPDX-License-Identifier: Apache-2.0
// Lines and columns. Lines end as ECMA-262 and the engine count them: LF, CR, CRLF, U+2028, U+2029.

const lineBreak = /\r\n?|[\n\u2028\u2029]/g;

// Offsets at which lines start.
export function lineStarts(text) {
  const starts = [0];
  lineBreak.lastIndex = 0;
  while (lineBreak.exec(text) !== null) {
    starts.push(lineBreak.lastIndex);
  }
  return starts;
}

// { line: from 1, column: from 0 }
export function locate(starts, offset) {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle] <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - starts[low] };
}

// shifts: the manifest's table, `line, column, delta` triples (README.md). The column in the module
// as it was given, for a line and column of the transformed one.
export function originalColumn(shifts, line, column) {
  let low = 0;
  let high = shifts.length / 3;
  while (low < high) {
    const middle = (low + high) >> 1;
    const at = middle * 3;
    if (shifts[at] < line || (shifts[at] === line && shifts[at + 1] <= column)) low = middle + 1;
    else high = middle;
  }
  const at = (low - 1) * 3;
  if (low === 0 || shifts[at] !== line) {
    return column;
  }
  const original = column + shifts[at + 2];
  return original < 0 ? 0 : original;
}
