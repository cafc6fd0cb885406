// SPDX-License-Identifier: Apache-2.0
// Asynchronous context: the frame that AsyncLocalStorage reads, carried from where work was asked
// for to where it runs. `cell.f` is the current frame: undefined, or an immutable Map from storage to
// value. Transformed async functions put it back after each await (transform/frames.js); everything
// else that calls a callback later wraps it by bind(). A worker that never names node:async_hooks
// pays nothing: bind() then returns its argument.

import { Promise, PromiseThen, ReflectApply, ObjectDefineProperty } from "./primordials.js";

export const cell = { f: undefined };

let enabled = false;

export function asyncContextEnabled() {
  return enabled;
}

export function getFrame() {
  return cell.f;
}

export function setFrame(frame) {
  cell.f = frame;
}

// callback, run in the frame that is current now. Anything but a function comes back as it is.
export function bind(callback) {
  if (!enabled || typeof callback !== "function") {
    return callback;
  }
  const frame = cell.f;
  return function () {
    const before = cell.f;
    cell.f = frame;
    try {
      return ReflectApply(callback, this, arguments);
    } finally {
      cell.f = before;
    }
  };
}

export function runInFrame(frame, callback, receiver, args) {
  const before = cell.f;
  cell.f = frame;
  try {
    return ReflectApply(callback, receiver, args);
  } finally {
    cell.f = before;
  }
}

// For `await` and `return` in transformed code. The engine calls a foreign thenable's `then` in a
// microtask of its own, where the frame would be anybody's.
export function bindThenable(value) {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) {
    return value;
  }
  if (value instanceof Promise && value.then === patchedThen) {
    return value;
  }
  const { then } = value;
  if (typeof then !== "function") {
    return value;
  }
  const frame = cell.f;
  return {
    then(resolve, reject) {
      return runInFrame(frame, then, value, [resolve, reject]);
    },
  };
}

function patchedThen(onFulfilled, onRejected) {
  return PromiseThen.call(this, bind(onFulfilled), bind(onRejected));
}

// Call before the worker's first module is evaluated.
export function enableAsyncContext() {
  if (enabled) {
    return;
  }
  enabled = true;
  // catch() and finally() call then().
  define(Promise.prototype, "then", patchedThen);
  // An async generator resumes inside its consumer's call: give the consumer's frame back.
  const generators = Object.getPrototypeOf(async function* () {}).prototype;
  for (const name of ["next", "return", "throw"]) {
    const native = generators[name];
    define(generators, name, function (value) {
      const before = cell.f;
      try {
        return native.call(this, value);
      } finally {
        cell.f = before;
      }
    });
  }
}

function define(object, name, value) {
  ObjectDefineProperty(value, "name", { value: name, configurable: true });
  ObjectDefineProperty(object, name, { value, writable: true, enumerable: false, configurable: true });
}
