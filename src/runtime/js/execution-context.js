// SPDX-License-Identifier: Apache-2.0
// ctx, the third argument of handlers.

import { ObjectDefineProperty, SymbolToStringTag, TypeError } from "./primordials.js";
import { isObject } from "./webidl.js";

let isExecutionContext;

export class ExecutionContext {
  #owner;
  #props = undefined;

  constructor(owner) {
    this.#owner = owner;
  }

  waitUntil(promise) {
    requireContext(this);
    if (arguments.length === 0)
      throw new TypeError("Failed to execute 'waitUntil' on 'ExecutionContext': parameter 1 is not of type 'Promise'.");
    this.#owner.waitUntil(promise);
  }

  passThroughOnException() {
    requireContext(this);
    this.#owner.passThrough = true;
  }

  get props() {
    return (this.#props ??= {});
  }

  static {
    isExecutionContext = (value) => isObject(value) && #owner in value;
  }
}
ObjectDefineProperty(ExecutionContext.prototype, SymbolToStringTag, { value: "ExecutionContext", configurable: true });

// They work on the object alone: `const { waitUntil } = ctx` is a mistake that people make.
function requireContext(value) {
  if (!isExecutionContext(value))
    throw new TypeError(
      "Illegal invocation: function called with incorrect `this` reference. See https://developers.cloudflare.com/workers/observability/errors/#illegal-invocation-errors for details.",
    );
}
