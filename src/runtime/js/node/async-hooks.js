// SPDX-License-Identifier: Apache-2.0
// node:async_hooks over the frames of ../async-context.js. A frame is a Map that is never changed:
// run() makes a new one. enterWith() would change the frame of a running function, which transformed
// code relies on not to happen; Workers have never had it.

import { cell, runInFrame } from "../async-context.js";
import { Map, MapForEach, MapGet, MapHas, MapSet, TypeError } from "../primordials.js";

function requireFunction(value, name) {
  if (typeof value !== "function") {
    const error = new TypeError(`The "${name}" argument must be of type function. Received ${typeof value}`);
    error.code = "ERR_INVALID_ARG_TYPE";
    throw error;
  }
}

function extend(frame, storage, store) {
  const next = new Map();
  if (frame !== undefined) {
    MapForEach.call(frame, (value, key) => MapSet.call(next, key, value));
  }
  return MapSet.call(next, storage, store);
}

// callback, always run in the frame of now.
function keepFrame(callback) {
  const frame = cell.f;
  return function (...args) {
    return runInFrame(frame, callback, this, args);
  };
}

export class AsyncLocalStorage {
  #defaultValue;
  #name;

  constructor({ defaultValue, name = "" } = {}) {
    this.#defaultValue = defaultValue;
    this.#name = `${name}`;
  }

  get name() {
    return this.#name;
  }

  static bind(callback) {
    requireFunction(callback, "fn");
    return keepFrame(callback);
  }

  static snapshot() {
    const frame = cell.f;
    return function (callback, ...args) {
      return runInFrame(frame, callback, this, args);
    };
  }

  run(store, callback, ...args) {
    return runInFrame(extend(cell.f, this, store), callback, undefined, args);
  }

  exit(callback, ...args) {
    return runInFrame(extend(cell.f, this, undefined), callback, undefined, args);
  }

  getStore() {
    const frame = cell.f;
    return frame !== undefined && MapHas.call(frame, this) ? MapGet.call(frame, this) : this.#defaultValue;
  }

  enterWith() {
    throw unsupported("asyncLocalStorage.enterWith()");
  }

  disable() {
    throw unsupported("asyncLocalStorage.disable()");
  }
}

function unsupported(what) {
  const error = new Error(`${what} is not implemented on Workers; use run()`);
  error.code = "ERR_METHOD_NOT_IMPLEMENTED";
  return error;
}

export class AsyncResource {
  #frame = cell.f;
  #type;

  constructor(type, options = undefined) {
    if (typeof type !== "string") {
      const error = new TypeError(`The "type" argument must be of type string. Received ${typeof type}`);
      error.code = "ERR_INVALID_ARG_TYPE";
      throw error;
    }
    this.#type = type;
  }

  get type() {
    return this.#type;
  }

  static bind(callback, type, thisArg) {
    requireFunction(callback, "fn");
    return new AsyncResource(type ?? (callback.name || "bound-anonymous-fn")).bind(callback, thisArg);
  }

  bind(callback, thisArg) {
    requireFunction(callback, "fn");
    const frame = this.#frame;
    const bound = function (...args) {
      return runInFrame(frame, callback, thisArg === undefined ? this : thisArg, args);
    };
    Object.defineProperty(bound, "length", { value: callback.length, configurable: true });
    return bound;
  }

  runInAsyncScope(callback, thisArg, ...args) {
    return runInFrame(this.#frame, callback, thisArg, args);
  }

  emitDestroy() {
    return this;
  }

  asyncId() {
    return 0;
  }

  triggerAsyncId() {
    return 0;
  }
}

// Hooks are for debuggers of the process; here they can be made and never fire.
export function createHook() {
  const hook = {
    enable: () => hook,
    disable: () => hook,
  };
  return hook;
}

export const executionAsyncId = () => 0;
export const triggerAsyncId = () => 0;
export const executionAsyncResource = () => ({});
export const asyncWrapProviders = Object.freeze({ __proto__: null });

export default {
  AsyncLocalStorage,
  AsyncResource,
  asyncWrapProviders,
  createHook,
  executionAsyncId,
  executionAsyncResource,
  triggerAsyncId,
};
