// SPDX-License-Identifier: Apache-2.0
// What the benchmarks say, on the terminal and in docs/benchmarks.md.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { root } from "./lib.mjs";

const page = join(root, "docs/benchmarks.md");
const lines = [];

// Printed, and kept for said().
export function say(...more) {
  lines.push(...more);
  console.log(more.join("\n"));
}

export const said = () => lines.join("\n").trim();

// A ratio below the floor is what is wanted, or above it where `above`.
export function judged(ratio, { floor, aim, above = false, unit = "×" } = {}) {
  const meets = (limit) => (above ? ratio >= limit : ratio <= limit);
  const mark = floor === undefined ? "" : aim !== undefined && meets(aim) ? " (aim met)" : meets(floor) ? " (floor met)" : ` (**floor ${above ? "≥" : "≤"} ${floor}${unit} missed**)`;
  return `${ratio.toFixed(2)}${unit}${mark}`;
}

// only: the name of one of the parts, or "" for all, one after the other.
export async function runParts(parts, only) {
  for (const [name, part] of Object.entries(parts)) if (!only || only === name) await part();
}

// Between <!-- NAME --> and <!-- /NAME --> of the page.
export function writeSection(name, text) {
  const old = readFileSync(page, "utf8");
  const pattern = new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- /${name} -->)`);
  if (!pattern.test(old)) throw new Error(`${page} has no place for ${name}`);
  writeFileSync(page, old.replace(pattern, (_, begin, end) => `${begin}${text}\n${end}`));
}
