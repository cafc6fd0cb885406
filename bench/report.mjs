// SPDX-License-Identifier: Apache-2.0
// What the benchmarks say, on the terminal and in docs/benchmarks.md.
import { execFileSync } from "node:child_process";
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

// Before the first section is written, which changes the tree.
let when;
const measured = () =>
  (when ??= `Measured on ${new Date().toISOString().slice(0, 10)}, weir ${execFileSync("git", ["-C", root, "describe", "--always", "--dirty"], { encoding: "utf8" }).trim()}.`);

// Between <!-- NAME --> and <!-- /NAME --> of the page; says when it was measured, and of which commit.
export function writeSection(name, text) {
  const old = readFileSync(page, "utf8");
  const pattern = new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- /${name} -->)`);
  if (!pattern.test(old)) throw new Error(`${page} has no place for ${name}`);
  writeFileSync(page, old.replace(pattern, (_, open, close) => `${open}${measured()}\n\n${text}\n${close}`));
}
