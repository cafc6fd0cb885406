// SPDX-License-Identifier: Apache-2.0
// From a place in a transformed module to the author's source: the transform's column shifts, then the
// bundler's source map, both tables in the bundle.

import { originalColumn } from "./transform/positions.js";
import { sourcePosition } from "./transform/source-map.js";

let modules = new Map(); // name → {map: {rows, sources} or undefined, shifts: numbers or undefined}
let detailed = false;

// detailed: console lines tell their place (in development).
export function setPositions(described, dev) {
  modules = described;
  detailed = dev;
}

// line and column from 1, as the engine counts them. → "src/index.ts:3:7"
export function mapPosition(name, line, column) {
  const module = modules.get(name);
  if (module === undefined) return `${name}:${line}:${column}`;
  const at = module.shifts === undefined ? column - 1 : originalColumn(module.shifts, line, column - 1);
  const found = module.map === undefined ? null : sourcePosition(module.map, line, at);
  return found === null ? `${name}:${line}:${at + 1}` : `${found.source}:${found.line}:${found.column}`;
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
      .filter((line, i, lines) => line !== lines[i - 1]) // an async function is two frames to the engine
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

// The engine writes "function@file:line:column"; people read "at function (file:line:column)".
function indentStack(stack) {
  return stack
    .split("\n")
    .filter((line) => line !== "" && !line.endsWith("@") && !line.includes("[native code]") && !line.includes("weir:"))
    .map((line) => {
      const at = line.lastIndexOf("@");
      const name = line.slice(0, Math.max(at, 0)), place = line.slice(at + 1);
      return name === "" ? `    at ${place}` : `    at ${name} (${place})`;
    })
    .join("\n");
}
