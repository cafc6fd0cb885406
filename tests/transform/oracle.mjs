// SPDX-License-Identifier: Apache-2.0
// The same modules in node's own loader: `node oracle.mjs main.js`.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

function show(value) {
  if (typeof value === "function") return `[function ${value.name}]`;
  if (typeof value === "symbol" || typeof value === "bigint") return String(value);
  if (value instanceof Error) return value.name;
  if (value === undefined) return "undefined";
  return JSON.stringify(value);
}

globalThis.log = (...values) => console.log(values.map(show).join(" "));
globalThis.later = (turns, callback) => {
  let left = turns;
  const step = () => (left-- > 0 ? setImmediate(step) : callback());
  step();
};
import(pathToFileURL(resolve(process.argv[2])).href).then(
  (namespace) => setTimeout(() => log("done", Object.keys(namespace)), 50),
  (error) => log("failed", error),
);
