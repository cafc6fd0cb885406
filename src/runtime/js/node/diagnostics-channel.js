// SPDX-License-Identifier: Apache-2.0
// node:diagnostics_channel.

import { requireFunction } from "./errors.js";

const channels = new Map();

export class Channel {
  #subscribers = [];
  #stores = new Map();

  constructor(name) {
    this.name = name;
  }

  get hasSubscribers() {
    return this.#subscribers.length > 0 || this.#stores.size > 0;
  }

  subscribe(subscriber) {
    requireFunction(subscriber, "subscription");
    this.#subscribers = [...this.#subscribers, subscriber];
  }

  unsubscribe(subscriber) {
    const at = this.#subscribers.indexOf(subscriber);
    if (at < 0) return false;
    this.#subscribers = this.#subscribers.toSpliced(at, 1);
    return true;
  }

  publish(message) {
    for (const subscriber of this.#subscribers) {
      try {
        subscriber(message, this.name);
      } catch (error) {
        globalThis.reportError(error);
      }
    }
  }

  bindStore(storage, transform = (message) => message) {
    this.#stores.set(storage, transform);
  }

  unbindStore(storage) {
    return this.#stores.delete(storage);
  }

  runStores(message, callback, thisArg, ...args) {
    let run = () => {
      this.publish(message);
      return Reflect.apply(callback, thisArg, args);
    };
    for (const [storage, transform] of this.#stores) {
      const inner = run;
      run = () => {
        let store;
        try {
          store = transform(message);
        } catch (error) {
          globalThis.reportError(error);
          return inner();
        }
        return storage.run(store, inner);
      };
    }
    return run();
  }
}

export function channel(name) {
  let found = channels.get(name);
  if (found === undefined) {
    found = new Channel(name);
    channels.set(name, found);
  }
  return found;
}

export const hasSubscribers = (name) => channels.get(name)?.hasSubscribers ?? false;
export const subscribe = (name, subscriber) => channel(name).subscribe(subscriber);
export const unsubscribe = (name, subscriber) => channel(name).unsubscribe(subscriber);

const events = ["start", "end", "asyncStart", "asyncEnd", "error"];

export class TracingChannel {
  constructor(name) {
    for (const event of events) {
      this[event] = typeof name === "string" ? channel(`tracing:${name}:${event}`) : name[event];
    }
  }

  get hasSubscribers() {
    return events.some((event) => this[event]?.hasSubscribers);
  }

  subscribe(handlers) {
    for (const event of events) if (handlers[event]) this[event].subscribe(handlers[event]);
  }

  unsubscribe(handlers) {
    return events.map((event) => !handlers[event] || this[event].unsubscribe(handlers[event])).every(Boolean);
  }

  #fail(context, error) {
    context.error = error;
    this.error.publish(context);
  }

  traceSync(callback, context = {}, thisArg = undefined, ...args) {
    return this.start.runStores(context, () => {
      try {
        return (context.result = Reflect.apply(callback, thisArg, args));
      } catch (error) {
        this.#fail(context, error);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }

  tracePromise(callback, context = {}, thisArg = undefined, ...args) {
    const settled = () => {
      this.asyncStart.publish(context);
      this.asyncEnd.publish(context);
    };
    return this.start.runStores(context, () => {
      try {
        const promise = Promise.resolve(Reflect.apply(callback, thisArg, args));
        return promise.then(
          (result) => {
            context.result = result;
            settled();
            return result;
          },
          (error) => {
            this.#fail(context, error);
            settled();
            throw error;
          },
        );
      } catch (error) {
        this.#fail(context, error);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }

  traceCallback(callback, position = -1, context = {}, thisArg = undefined, ...args) {
    const original = args.at(position);
    requireFunction(original, "callback");
    const channelOf = this;
    args.splice(position, 1, function (error, result) {
      if (error) channelOf.#fail(context, error);
      else context.result = result;
      channelOf.asyncStart.runStores(context, () => {
        try {
          return Reflect.apply(original, this, arguments);
        } finally {
          channelOf.asyncEnd.publish(context);
        }
      });
    });
    return this.start.runStores(context, () => {
      try {
        return Reflect.apply(callback, thisArg, args);
      } catch (error) {
        this.#fail(context, error);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }
}

export const tracingChannel = (name) => new TracingChannel(name);

export default { Channel, channel, hasSubscribers, subscribe, tracingChannel, unsubscribe };
