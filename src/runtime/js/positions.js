// SPDX-License-Identifier: Apache-2.0
// From a place in a transformed module to the author's source: the transform's column shifts, then the
// bundler's source map (https://tc39.es/ecma426/). Decoded on first need.

import { indentStack } from "./inspect.js";

let modules = new Map(); // name → {map: text or undefined, shifts: text or undefined}
let detailed = false;

// detailed: console lines tell their place (in development).
export function setPositions(described, dev) {
  modules = described;
  detailed = dev;
}

const digits = new Map([..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].map((c, i) => [c, i]));

function decodeMap(text) {
  const { mappings, sources, sourceRoot = "" } = JSON.parse(text);
  const lines = [];
  let source = 0, line = 0, column = 0;
  for (const group of mappings.split(";")) {
    const segments = [];
    let generated = 0;
    for (const part of group.split(",")) {
      if (part === "") continue;
      const values = [];
      for (let i = 0; i < part.length; ) {
        let value = 0, shift = 0, digit;
        do {
          digit = digits.get(part[i++]) ?? 0;
          value |= (digit & 31) << shift;
          shift += 5;
        } while (digit & 32);
        values.push(value & 1 ? -(value >> 1) : value >> 1);
      }
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

function originalColumn(shifts, line, column) {
  let delta = 0;
  for (let i = 0; i < shifts.length && shifts[i] <= line; i += 3)
    if (shifts[i] === line && shifts[i + 1] <= column) delta = shifts[i + 2];
  return Math.max(0, column + delta);
}

// line and column from 1, as the engine counts them. → "src/index.ts:3:7"
export function mapPosition(name, line, column) {
  const module = modules.get(name);
  if (module === undefined) return `${name}:${line}:${column}`;
  try {
    if (typeof module.shifts === "string") module.shifts = JSON.parse(module.shifts);
    if (typeof module.map === "string") module.map = decodeMap(module.map);
  } catch {
    module.map = module.shifts = undefined;
  }
  const at = module.shifts === undefined ? column - 1 : originalColumn(module.shifts, line, column - 1);
  const segments = module.map?.lines[line - 1];
  let found;
  for (let i = 0; segments !== undefined && i < segments.length && segments[i][0] <= at; i++) found = segments[i];
  if (found === undefined) return `${name}:${line}:${at + 1}`;
  // The map was written two directories down; what is above the project is told from its own top.
  return `${module.map.sources[found[1]].replace(/^(\.\.\/)+/, "")}:${found[2] + 1}:${found[3] + 1}`;
}

function mapLine(text) {
  const match = /^(.*@)?(.*):(\d+):(\d+)$/.exec(text);
  if (match === null) return text;
  return `${match[1] ?? ""}${mapPosition(match[2], Number(match[3]), Number(match[4]))}`;
}

// An error's stack for people: the author's positions, without our own frames.
export function readableStack(error) {
  const stack = typeof error?.stack === "string" ? error.stack : "";
  return indentStack(
    stack
      .split("\n")
      .map(mapLine)
      .join("\n"),
  );
}

// Where the code stands that called the console; "" unless in development.
export function callerPosition(depth) {
  if (!detailed) return "";
  const lines = (new Error().stack ?? "").split("\n");
  for (let i = depth; i < lines.length; i++) {
    const match = /^(?:.*@)?(.*):(\d+):(\d+)$/.exec(lines[i]);
    if (match !== null && modules.has(match[1])) return mapPosition(match[1], Number(match[2]), Number(match[3]));
  }
  return "";
}
