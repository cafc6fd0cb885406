// SPDX-License-Identifier: Apache-2.0
// What becomes of exceptions that nobody caught.

import { native } from "./native.js";
import { readableStack } from "./positions.js";

export const KIND_EXCEPTION = 1101;

export function messageOf(error) {
  try {
    if (error instanceof Error || (typeof error === "object" && error !== null && "message" in error))
      return `${error.name ?? "Error"}: ${error.message}`;
    return `${error}`;
  } catch {
    return "Error: the exception cannot be shown";
  }
}

export function stackOf(error) {
  try {
    return readableStack(error);
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
