// SPDX-License-Identifier: Apache-2.0
// node:timers: handles instead of numbers, setImmediate.

import * as promises from "./timers-promises.js";
import { requireFunction } from "./errors.js";

const start = globalThis.setTimeout;
const startInterval = globalThis.setInterval;
const stop = globalThis.clearTimeout;

class Timeout {
  #id;
  #begin;
  constructor(begin) {
    this.#begin = begin;
    this.#id = begin();
  }
  ref() {
    return this;
  }
  unref() {
    return this;
  }
  hasRef() {
    return true;
  }
  refresh() {
    stop(this.#id);
    this.#id = this.#begin();
    return this;
  }
  close() {
    stop(this.#id);
    return this;
  }
  [Symbol.toPrimitive]() {
    return this.#id;
  }
  [Symbol.dispose ?? Symbol.for("Symbol.dispose")]() {
    this.close();
  }
}

class Immediate extends Timeout {}

export function setTimeout(callback, delay, ...args) {
  requireFunction(callback, "callback");
  return new Timeout(() => start(callback, delay, ...args));
}

export function setInterval(callback, delay, ...args) {
  requireFunction(callback, "callback");
  return new Timeout(() => startInterval(callback, delay, ...args));
}

export function setImmediate(callback, ...args) {
  requireFunction(callback, "callback");
  return new Immediate(() => start(callback, 0, ...args));
}

export function clearTimeout(timer) {
  if (timer instanceof Timeout) timer.close();
  else if (timer !== undefined && timer !== null) stop(timer);
}
export const clearInterval = clearTimeout;
export const clearImmediate = clearTimeout;

export { promises };
export default {
  clearImmediate,
  clearInterval,
  clearTimeout,
  promises,
  setImmediate,
  setInterval,
  setTimeout,
};
