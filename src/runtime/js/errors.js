// SPDX-License-Identifier: Apache-2.0
// What becomes of exceptions that nobody caught.

import { native } from "./native.js";
import { inspect } from "./node/inspect.js";
import { readableStack } from "./positions.js";

export const KIND_EXCEPTION = 1101;

export function messageOf(error) {
  try {
    if (error instanceof Error || (typeof error === "object" && error !== null && "message" in error))
      return `${error.name ?? "Error"}: ${error.message}`;
    return typeof error === "object" && error !== null ? inspect(error) : `${error}`;
  } catch {
    return "Error: the exception cannot be shown";
  }
}

// With the stacks of what caused it.
export function stackOf(error) {
  try {
    const stack = readableStack(error);
    if (error?.cause === undefined) return stack;
    return `${stack}\n  [cause]: ${inspect(error.cause).replaceAll("\n", "\n  ")}`;
  } catch {
    return "";
  }
}

export function logText(owner, text) {
  native.log(owner === undefined ? 0 : owner.id, 4, text, "");
}

// To the log, when there is no answer to put it into.
export function logException(owner, error, prefix) {
  const stack = stackOf(error);
  logText(owner, `${prefix}${messageOf(error)}${stack === "" ? "" : `\n${stack}`}`);
}
