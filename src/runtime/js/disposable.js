// SPDX-License-Identifier: Apache-2.0
// Explicit resource management, which this engine lacks: what compiled `using` declarations call.
// https://tc39.es/proposal-explicit-resource-management/

import {
  Error,
  ObjectDefineProperty,
  ReferenceError,
  Symbol,
  SymbolToStringTag,
  TypeError,
  promiseReject,
  promiseResolve,
} from "./primordials.js";
import { isObject } from "./webidl.js";

for (const name of ["dispose", "asyncDispose"])
  if (Symbol[name] === undefined) ObjectDefineProperty(Symbol, name, { value: Symbol(`Symbol.${name}`) });
const { dispose, asyncDispose } = Symbol;

export class SuppressedError extends Error {
  constructor(error, suppressed, message = undefined) {
    super(message);
    hide(this, "error", error);
    hide(this, "suppressed", suppressed);
  }
}
hide(SuppressedError.prototype, "name", "SuppressedError");
hide(SuppressedError.prototype, "message", "");

function hide(object, name, value) {
  ObjectDefineProperty(object, name, { value, writable: true, enumerable: false, configurable: true });
}

// What to call at the end for a resource: a function without arguments, or undefined.
function disposerOf(value, isAsync) {
  if (value === null || value === undefined) return undefined;
  if (!isObject(value)) throw new TypeError("The resource is not an object");
  let method = isAsync ? value[asyncDispose] : undefined;
  if (method === undefined || method === null) method = value[dispose];
  if (typeof method !== "function") throw new TypeError("The resource cannot be disposed of");
  return () => method.call(value);
}

function requireFunction(callback) {
  if (typeof callback !== "function") throw new TypeError("The argument is not a function");
}

class Failure {
  failed = false;
  error = undefined;
  add(error) {
    this.error = this.failed ? new SuppressedError(error, this.error) : error;
    this.failed = true;
  }
}

export class DisposableStack {
  #disposers = [];
  #disposed = false;

  get disposed() {
    return this.#disposed;
  }

  #push(disposer) {
    if (this.#disposed) throw new ReferenceError("The stack has been disposed of");
    this.#disposers.push(disposer);
  }

  use(value) {
    if (this.#disposed) throw new ReferenceError("The stack has been disposed of");
    const disposer = disposerOf(value, false);
    if (disposer !== undefined) this.#push(disposer);
    return value;
  }

  adopt(value, onDispose) {
    if (this.#disposed) throw new ReferenceError("The stack has been disposed of");
    requireFunction(onDispose);
    this.#push(() => onDispose(value));
    return value;
  }

  defer(onDispose) {
    if (this.#disposed) throw new ReferenceError("The stack has been disposed of");
    requireFunction(onDispose);
    this.#push(() => onDispose());
  }

  move() {
    if (this.#disposed) throw new ReferenceError("The stack has been disposed of");
    const moved = new DisposableStack();
    moved.#disposers = this.#disposers;
    this.#disposers = [];
    this.#disposed = true;
    return moved;
  }

  dispose() {
    if (this.#disposed) return;
    this.#disposed = true;
    const disposers = this.#disposers, failure = new Failure();
    this.#disposers = [];
    for (let i = disposers.length - 1; i >= 0; i--) {
      try {
        disposers[i]();
      } catch (error) {
        failure.add(error);
      }
    }
    if (failure.failed) throw failure.error;
  }
}
hide(DisposableStack.prototype, dispose, DisposableStack.prototype.dispose);
ObjectDefineProperty(DisposableStack.prototype, SymbolToStringTag, { value: "DisposableStack", configurable: true });

export class AsyncDisposableStack {
  #disposers = [];
  #disposed = false;

  get disposed() {
    return this.#disposed;
  }

  #push(disposer) {
    if (this.#disposed) throw new ReferenceError("The stack has been disposed of");
    this.#disposers.push(disposer);
  }

  use(value) {
    if (this.#disposed) throw new ReferenceError("The stack has been disposed of");
    this.#push(disposerOf(value, true));
    return value;
  }

  adopt(value, onDispose) {
    if (this.#disposed) throw new ReferenceError("The stack has been disposed of");
    requireFunction(onDispose);
    this.#push(() => onDispose(value));
    return value;
  }

  defer(onDispose) {
    if (this.#disposed) throw new ReferenceError("The stack has been disposed of");
    requireFunction(onDispose);
    this.#push(() => onDispose());
  }

  move() {
    if (this.#disposed) throw new ReferenceError("The stack has been disposed of");
    const moved = new AsyncDisposableStack();
    moved.#disposers = this.#disposers;
    this.#disposers = [];
    this.#disposed = true;
    return moved;
  }

  disposeAsync() {
    if (typeof this !== "object" || this === null || !(#disposed in this))
      return promiseReject(new TypeError("Illegal invocation"));
    if (this.#disposed) return promiseResolve(undefined);
    this.#disposed = true;
    const disposers = this.#disposers;
    this.#disposers = [];
    return disposeAll(disposers);
  }
}
hide(AsyncDisposableStack.prototype, asyncDispose, AsyncDisposableStack.prototype.disposeAsync);
ObjectDefineProperty(AsyncDisposableStack.prototype, SymbolToStringTag, {
  value: "AsyncDisposableStack",
  configurable: true,
});

async function disposeAll(disposers) {
  const failure = new Failure();
  for (let i = disposers.length - 1; i >= 0; i--) {
    try {
      await disposers[i]?.();
    } catch (error) {
      failure.add(error);
    }
  }
  if (failure.failed) throw failure.error;
}
