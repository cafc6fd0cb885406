// SPDX-License-Identifier: Apache-2.0
// node:timers/promises.

import { codeError } from "./errors.js";

const start = globalThis.setTimeout;
const startInterval = globalThis.setInterval;
const stop = globalThis.clearTimeout;

function abortError(signal) {
  const error = codeError(Error, "ABORT_ERR", "The operation was aborted", { cause: signal.reason });
  error.name = "AbortError";
  return error;
}

function after(delay, value, { signal } = {}) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(abortError(signal));
      return;
    }
    const onAbort = () => {
      stop(timer);
      reject(abortError(signal));
    };
    const timer = start(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve(value);
    }, delay);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

export const setTimeout = (delay, value, options) => after(delay, value, options);
export const setImmediate = (value, options) => after(0, value, options);

export async function* setInterval(delay, value, { signal } = {}) {
  if (signal?.aborted) throw abortError(signal);
  let due = 0;
  let wake = null;
  const timer = startInterval(() => {
    due++;
    wake?.();
  }, delay);
  const onAbort = () => wake?.();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    for (;;) {
      if (due === 0 && !signal?.aborted) await new Promise((resolve) => (wake = resolve));
      wake = null;
      if (signal?.aborted) throw abortError(signal);
      due--;
      yield value;
    }
  } finally {
    stop(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

export const scheduler = {
  wait: (delay, options) => after(delay, undefined, options),
  yield: () => after(0),
};

export default { scheduler, setImmediate, setInterval, setTimeout };
