// SPDX-License-Identifier: Apache-2.0
// node:events: npm's `events` (which readable-stream uses too), with what newer versions of Node have.

import EventEmitter from "events";

import { AsyncResource } from "./async-hooks.js";
import { codeError, invalidArgType, requireFunction } from "./errors.js";
import { inspect } from "./inspect.js";

export const errorMonitor = Symbol("events.errorMonitor");
export const captureRejectionSymbol = Symbol.for("nodejs.rejection");
const maxListenersOf = new WeakMap(); // of EventTargets

const { emit } = EventEmitter.prototype;
function emitAny(type, ...args) {
  if (type === "error") {
    if (this._events?.[errorMonitor] !== undefined) emit.call(this, errorMonitor, ...args);
    if (this._events?.error === undefined && !(args[0] instanceof Error)) {
      const shown = inspect(args[0]);
      throw codeError(Error, "ERR_UNHANDLED_ERROR", `Unhandled error. (${shown})`, { context: args[0] });
    }
  }
  return emit.call(this, type, ...args);
}
// Most events have one listener and few arguments: without lists of either.
redefine("emit", function (type, first, second, third) {
  const listener = type === "error" ? undefined : this._events?.[type], { length } = arguments;
  if (typeof listener !== "function" || length > 4) return emitAny.apply(this, arguments);
  if (length <= 1) listener.call(this);
  else if (length === 2) listener.call(this, first);
  else if (length === 3) listener.call(this, first, second);
  else listener.call(this, first, second, third);
  return true;
});
Object.defineProperty(EventEmitter.prototype.emit, "length", { value: 1, configurable: true });
for (const name of ["on", "addListener", "once", "prependListener", "prependOnceListener"]) {
  const method = EventEmitter.prototype[name];
  redefine(name, function (type, listener) {
    requireFunction(listener, "listener");
    return method.call(this, type, listener);
  });
}

function redefine(name, value) {
  Object.defineProperty(value, "name", { value: name, configurable: true });
  Object.defineProperty(EventEmitter.prototype, name, { value, writable: true, configurable: true });
}

function abortError(signal) {
  const error = codeError(Error, "ABORT_ERR", "The operation was aborted", { cause: signal.reason });
  error.name = "AbortError";
  return error;
}

function listen(emitter, event, listener, options) {
  if (typeof emitter.on === "function") {
    if (options?.once) emitter.once(event, listener);
    else emitter.on(event, listener);
  } else if (typeof emitter.addEventListener === "function") {
    emitter.addEventListener(event, listener, options);
  } else {
    throw invalidArgType("emitter", "EventEmitter", emitter);
  }
}

function unlisten(emitter, event, listener) {
  if (typeof emitter.removeListener === "function") emitter.removeListener(event, listener);
  else emitter.removeEventListener(event, listener);
}

export async function once(emitter, event, options = undefined) {
  const signal = options?.signal;
  if (signal?.aborted) throw abortError(signal);
  return new Promise((resolve, reject) => {
    const isEmitter = typeof emitter.on === "function";
    const done = () => {
      unlisten(emitter, event, onEvent);
      if (isEmitter && event !== "error") emitter.removeListener("error", onError);
      signal?.removeEventListener("abort", onAbort);
    };
    const onEvent = (...args) => (done(), resolve(args));
    const onError = (error) => (done(), reject(error));
    const onAbort = () => (done(), reject(abortError(signal)));
    listen(emitter, event, onEvent, { once: true });
    if (isEmitter && event !== "error") emitter.once("error", onError);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

export function on(emitter, event, options = undefined) {
  const signal = options?.signal;
  if (signal?.aborted) throw abortError(signal);
  const ready = [];
  const waiting = [];
  let error = null;
  let finished = false;
  const onEvent = (...args) => {
    if (waiting.length > 0) waiting.shift().resolve({ value: args, done: false });
    else ready.push(args);
  };
  const onError = (reason) => {
    if (waiting.length > 0) waiting.shift().reject(reason);
    else error = { reason };
    void iterator.return();
  };
  const onAbort = () => onError(abortError(signal));
  const closers = [].concat(options?.close ?? []);
  const onClose = () => void iterator.return();
  const iterator = {
    async next() {
      if (ready.length > 0) return { value: ready.shift(), done: false };
      if (error) {
        const { reason } = error;
        error = null;
        throw reason;
      }
      if (finished) return { value: undefined, done: true };
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    async return() {
      if (!finished) {
        finished = true;
        if (typeof emitter.on === "function") emitter.removeListener("error", onError);
        unlisten(emitter, event, onEvent);
        for (const name of closers) unlisten(emitter, name, onClose);
        signal?.removeEventListener("abort", onAbort);
        for (const { resolve } of waiting.splice(0)) resolve({ value: undefined, done: true });
      }
      return { value: undefined, done: true };
    },
    async throw(reason) {
      onError(reason);
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
  listen(emitter, event, onEvent);
  if (event !== "error" && typeof emitter.on === "function") emitter.on("error", onError);
  for (const name of closers) listen(emitter, name, onClose);
  signal?.addEventListener("abort", onAbort, { once: true });
  return iterator;
}

export function getEventListeners(emitter, event) {
  return typeof emitter.listeners === "function" ? emitter.listeners(event) : [];
}

export function getMaxListeners(emitter) {
  return typeof emitter.getMaxListeners === "function"
    ? emitter.getMaxListeners()
    : (maxListenersOf.get(emitter) ?? EventEmitter.defaultMaxListeners);
}

export function setMaxListeners(count = EventEmitter.defaultMaxListeners, ...targets) {
  if (targets.length === 0) EventEmitter.defaultMaxListeners = count;
  for (const target of targets) {
    if (typeof target.setMaxListeners === "function") target.setMaxListeners(count);
    else maxListenersOf.set(target, count);
  }
}

export function listenerCount(emitter, event) {
  return typeof emitter.listenerCount === "function" ? emitter.listenerCount(event) : 0;
}

export function addAbortListener(signal, listener) {
  if (signal.aborted) queueMicrotask(() => listener());
  else signal.addEventListener("abort", listener, { once: true });
  return { [Symbol.dispose ?? Symbol.for("Symbol.dispose")]: () => signal.removeEventListener("abort", listener) };
}

export class EventEmitterAsyncResource extends EventEmitter {
  constructor(options = {}) {
    super(options);
    const name = typeof options === "string" ? options : options.name;
    this.asyncResource = new AsyncResource(name ?? new.target.name);
  }
  emit(event, ...args) {
    return this.asyncResource.runInAsyncScope(super.emit, this, event, ...args);
  }
  emitDestroy() {
    this.asyncResource.emitDestroy();
  }
}

export const { defaultMaxListeners, init } = EventEmitter;
export const usingDomains = false;
export const captureRejections = false;
Object.assign(EventEmitter, {
  EventEmitter,
  EventEmitterAsyncResource,
  addAbortListener,
  captureRejectionSymbol,
  captureRejections,
  errorMonitor,
  getEventListeners,
  getMaxListeners,
  listenerCount,
  on,
  once,
  setMaxListeners,
  usingDomains,
});

export { EventEmitter };
export default EventEmitter;
