// SPDX-License-Identifier: Apache-2.0
// What C gives the library (src/runtime/natives.c, bindings_*.c), and the few functions that lower
// files need from higher ones without importing them.

export let native;

export function setNative(functions) {
  native = functions;
}

// main.js fills these in before any worker code runs.
export const platform = {
  // An exception that nobody caught (an event listener's, a reportError argument).
  reportException(error) {
    throw error;
  },
  setTimeout() {
    throw new TypeError("timers are not installed");
  },
  clearTimeout() {},
  // Milliseconds since the time origin, as performance.now() shows them to the worker.
  now() {
    return native.now();
  },
  // Throws in the global scope, where the worker may not draw randomness.
  requireRequest(what) {},
};
