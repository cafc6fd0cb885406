// SPDX-License-Identifier: Apache-2.0
// What all streams share: promises made only when somebody looks at them, queues, strategies.
// https://streams.spec.whatwg.org/
//
// Each public class holds one internal object (`#impl`), and the algorithms work on those: plain
// fields are the fastest in this engine, and worker code can not see them. The public controller of
// a stream that the platform makes itself is never created.

import {
  ArrayBufferDetached,
  NumberIsNaN,
  RangeError,
  TypeError,
  markHandled,
  promiseReject,
  promiseResolve,
  promiseThen,
  promiseWithResolvers,
} from "../primordials.js";
import {
  defineInterface,
  requireArguments,
  toDictionary,
  toUnrestrictedDouble,
} from "../webidl.js";

// A promise that exists only if asked for. Its rejection is always marked as handled, as the
// standard wants of every promise that we keep this way (closed, ready).
export class LazyPromise {
  settled = 0; // 1: fulfilled with undefined, 2: rejected
  reason = undefined;
  deferred = undefined;

  static fulfilled() {
    const lazy = new LazyPromise();
    lazy.settled = 1;
    return lazy;
  }

  static rejected(reason) {
    const lazy = new LazyPromise();
    lazy.settled = 2;
    lazy.reason = reason;
    return lazy;
  }

  get promise() {
    if (this.deferred === undefined) {
      const deferred = (this.deferred = promiseWithResolvers());
      if (this.settled === 1) deferred.resolve(undefined);
      else if (this.settled === 2) {
        deferred.reject(this.reason);
        markHandled(deferred.promise);
      }
    }
    return this.deferred.promise;
  }

  resolve() {
    if (this.settled !== 0) return;
    this.settled = 1;
    if (this.deferred !== undefined) this.deferred.resolve(undefined);
  }

  reject(reason) {
    if (this.settled !== 0) return;
    this.settled = 2;
    this.reason = reason;
    if (this.deferred !== undefined) {
      this.deferred.reject(reason);
      markHandled(this.deferred.promise);
    }
  }
}

// First in, first out, without moving the rest at each step.
export class Queue {
  items = [];
  head = 0;

  get length() {
    return this.items.length - this.head;
  }

  push(item) {
    this.items[this.items.length] = item;
  }

  peek() {
    return this.items[this.head];
  }

  shift() {
    const { items } = this;
    const item = items[this.head];
    items[this.head++] = undefined;
    if (this.head === items.length) {
      items.length = this.head = 0;
    } else if (this.head >= 64 && this.head * 2 >= items.length) {
      const left = items.length - this.head;
      for (let i = 0; i < left; i++) items[i] = items[this.head + i];
      items.length = left;
      this.head = 0;
    }
    return item;
  }

  clear() {
    this.items = [];
    this.head = 0;
  }

  // All of them; the queue is empty after.
  takeAll() {
    const { items, head } = this;
    const all = [];
    for (let i = head; i < items.length; i++) all[i - head] = items[i];
    this.clear();
    return all;
  }
}

// The result of a worker's callback as a promise; what it throws is a rejection.
export function promiseCall(callback, receiver, argument, second) {
  try {
    return promiseResolve(callback.call(receiver, argument, second));
  } catch (error) {
    return promiseReject(error);
  }
}

// Reactions whose own promise nobody needs.
export function upon(promise, onFulfilled, onRejected) {
  promiseThen(promise, onFulfilled, onRejected);
}

export function iterResult(value, done) {
  return { value, done };
}

export function isDetached(buffer) {
  return ArrayBufferDetached.call(buffer);
}

// ---- strategies ----

const returnOne = (chunk) => 1;

// { highWaterMark, size } of a strategy argument; size is undefined where every chunk counts 1.
export function convertStrategy(strategy, what) {
  const dictionary = toDictionary(strategy, what);
  let highWaterMark, size;
  if (dictionary !== undefined) {
    highWaterMark = dictionary.highWaterMark;
    if (highWaterMark !== undefined) highWaterMark = toUnrestrictedDouble(highWaterMark, "highWaterMark");
    size = dictionary.size;
    if (size !== undefined && typeof size !== "function")
      throw new TypeError("The strategy's size is not a function");
    if (size === countSize) size = undefined;
  }
  return { highWaterMark, size };
}

export function extractHighWaterMark({ highWaterMark }, fallback) {
  if (highWaterMark === undefined) return fallback;
  if (NumberIsNaN(highWaterMark) || highWaterMark < 0)
    throw new RangeError("highWaterMark must be a number that is not negative");
  return highWaterMark;
}

// The functions are one object for all instances, as the standard has them.
const byteLengthSize = { size: (chunk) => chunk.byteLength }.size;
const countSize = { size: returnOne }.size;
for (const [size, length] of [[byteLengthSize, 1], [countSize, 0]]) {
  Object.defineProperty(size, "name", { value: "size", configurable: true });
  Object.defineProperty(size, "length", { value: length, configurable: true });
}

function strategyInit(init, what) {
  requireArguments(arguments.length, 1, what);
  const dictionary = toDictionary(init, `${what}: the init`);
  if (dictionary === undefined || dictionary.highWaterMark === undefined)
    throw new TypeError(`${what}: highWaterMark is required`);
  return toUnrestrictedDouble(dictionary.highWaterMark, "highWaterMark");
}

export class ByteLengthQueuingStrategy {
  #highWaterMark;

  constructor(init) {
    this.#highWaterMark = strategyInit(init, "ByteLengthQueuingStrategy constructor");
  }

  get highWaterMark() {
    return this.#highWaterMark;
  }

  get size() {
    this.#highWaterMark; // brand check
    return byteLengthSize;
  }
}
defineInterface(ByteLengthQueuingStrategy, "ByteLengthQueuingStrategy");

export class CountQueuingStrategy {
  #highWaterMark;

  constructor(init) {
    this.#highWaterMark = strategyInit(init, "CountQueuingStrategy constructor");
  }

  get highWaterMark() {
    return this.#highWaterMark;
  }

  get size() {
    this.#highWaterMark; // brand check
    return countSize;
  }
}
defineInterface(CountQueuingStrategy, "CountQueuingStrategy");
