// SPDX-License-Identifier: Apache-2.0
// https://dom.spec.whatwg.org/#aborting-ongoing-activities

import {
  ArrayPush,
  Set,
  SetAdd,
  SetDelete,
  SetForEach,
  Symbol,
  TypeError,
  WeakRef,
  WeakRefDeref,
} from "./primordials.js";
import { platform } from "./native.js";
import { DOMException } from "./dom-exception.js";
import {
  defineEventHandler,
  dispatchTrusted,
  Event,
  EventTarget,
  hasListeners,
  setListenerAdded,
  setSignalFunctions,
} from "./events.js";
import {
  defineInterface,
  illegalConstructor,
  isObject,
  requireArguments,
  toIntegerEnforced,
  toSequence,
} from "./webidl.js";

const internal = Symbol("internal");

export let isAbortSignal, isAborted, signalAbort, addAbortAlgorithm, removeAbortAlgorithm;
let signalKeepAlive;

export class AbortSignal extends EventTarget {
  #aborted = false;
  #reason = undefined;
  #algorithms = undefined; // Set of functions
  #sources = undefined; // of a dependent signal: the signals it follows
  // Dependents are held weakly, so that a long-lived signal does not collect every short-lived one
  // that AbortSignal.any() made of it; one that somebody listens to is held for as long as we live.
  #dependents = undefined; // array of WeakRef
  #awaited = undefined; // Set of dependents

  constructor(token) {
    if (token !== internal) throw illegalConstructor();
    super();
  }

  get aborted() {
    return this.#aborted;
  }

  get reason() {
    return this.#reason;
  }

  throwIfAborted() {
    if (this.#aborted) throw this.#reason;
  }

  static abort(reason = undefined) {
    const signal = new AbortSignal(internal);
    signal.#aborted = true;
    signal.#reason =
      reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
    return signal;
  }

  static timeout(milliseconds) {
    requireArguments(arguments.length, 1, "'timeout' on 'AbortSignal'");
    const delay = toIntegerEnforced(milliseconds, 0, 9007199254740991, "The timeout");
    const signal = new AbortSignal(internal);
    platform.setTimeout(
      () => signal.#abort(new DOMException("The operation was aborted due to timeout", "TimeoutError")),
      delay,
    );
    return signal;
  }

  static any(signals) {
    requireArguments(arguments.length, 1, "'any' on 'AbortSignal'");
    const list = toSequence(
      signals,
      (signal) => {
        if (!isAbortSignal(signal)) throw new TypeError("AbortSignal.any: not an AbortSignal");
        return signal;
      },
      "AbortSignal.any: the argument",
    );
    const dependent = new AbortSignal(internal);
    for (let i = 0; i < list.length; i++) {
      if (list[i].#aborted) {
        dependent.#aborted = true;
        dependent.#reason = list[i].#reason;
        return dependent;
      }
    }
    dependent.#sources = new Set();
    for (let i = 0; i < list.length; i++) {
      const sources = list[i].#sources;
      if (sources === undefined) dependent.#follow(list[i]);
      else SetForEach.call(sources, (source) => dependent.#follow(source));
    }
    return dependent;
  }

  #follow(source) {
    SetAdd.call(this.#sources, source);
    const dependents = (source.#dependents ??= []);
    // Dropping the dead ones now and then keeps the list in proportion to the living.
    if (dependents.length >= 16 && (dependents.length & (dependents.length - 1)) === 0) {
      let kept = 0;
      for (let i = 0; i < dependents.length; i++)
        if (WeakRefDeref.call(dependents[i]) !== undefined) dependents[kept++] = dependents[i];
      dependents.length = kept;
    }
    ArrayPush.call(dependents, new WeakRef(this));
  }

  #abort(reason) {
    if (this.#aborted) return;
    this.#mark(reason);
    // All dependents are marked before any of their events fires.
    const dependents = this.#dependents, marked = [];
    for (let i = 0; dependents !== undefined && i < dependents.length; i++) {
      const dependent = WeakRefDeref.call(dependents[i]);
      if (dependent !== undefined && !dependent.#aborted) {
        dependent.#mark(this.#reason);
        ArrayPush.call(marked, dependent);
      }
    }
    this.#dependents = this.#awaited = undefined;
    this.#run();
    for (let i = 0; i < marked.length; i++) marked[i].#run();
  }

  #mark(reason) {
    this.#aborted = true;
    this.#reason =
      reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
  }

  #run() {
    const algorithms = this.#algorithms;
    this.#algorithms = undefined;
    if (algorithms !== undefined) SetForEach.call(algorithms, (algorithm) => algorithm(this.#reason));
    if (hasListeners(this, "abort")) dispatchTrusted(this, new Event("abort"));
  }

  static {
    isAbortSignal = (value) => isObject(value) && #aborted in value;
    isAborted = (signal) => signal.#aborted;
    signalAbort = (signal, reason) => signal.#abort(reason);
    addAbortAlgorithm = (signal, algorithm) => {
      if (signal.#aborted) return;
      SetAdd.call((signal.#algorithms ??= new Set()), algorithm);
      signalKeepAlive(signal);
    };
    removeAbortAlgorithm = (signal, algorithm) => {
      if (signal.#algorithms !== undefined) SetDelete.call(signal.#algorithms, algorithm);
    };
    signalKeepAlive = (signal) => {
      if (signal.#sources === undefined) return;
      SetForEach.call(signal.#sources, (source) => {
        if (!source.#aborted) SetAdd.call((source.#awaited ??= new Set()), signal);
      });
    };
  }
}
defineInterface(AbortSignal, "AbortSignal");
defineEventHandler(AbortSignal.prototype, "abort");

setListenerAdded((target, type) => {
  if (type === "abort" && isAbortSignal(target)) signalKeepAlive(target);
});
setSignalFunctions((signal) => {
  if (!isAbortSignal(signal)) throw new TypeError("The listener's signal is not an AbortSignal");
  return isAborted(signal);
}, addAbortAlgorithm);

export function createAbortSignal() {
  return new AbortSignal(internal);
}

// A signal that aborts when one of the given ones does.
export const dependentSignal = AbortSignal.any;

export class AbortController {
  #signal = new AbortSignal(internal);

  get signal() {
    return this.#signal;
  }

  abort(reason = undefined) {
    signalAbort(this.#signal, reason);
  }
}
defineInterface(AbortController, "AbortController");
