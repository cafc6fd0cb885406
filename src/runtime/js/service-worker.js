// SPDX-License-Identifier: Apache-2.0
// Workers without modules: addEventListener("fetch", (event) => event.respondWith(…)).

import { Error, ObjectDefineProperty, promiseResolve } from "./primordials.js";
import { DOMException } from "./dom-exception.js";
import { Event, dispatchTrusted, hasListeners } from "./events.js";
import { defineInterface } from "./webidl.js";

let ownerOf, responseOf;

export class ExtendableEvent extends Event {
  #owner = undefined;

  constructor(type, init = undefined, owner = undefined) {
    super(type, init);
    this.#owner = owner;
  }

  waitUntil(promise) {
    this.#required().waitUntil(promise);
  }

  #required() {
    if (this.#owner === undefined)
      throw new DOMException("The event was not dispatched by the platform.", "InvalidStateError");
    return this.#owner;
  }

  static {
    ownerOf = (event) => event.#required();
  }
}
defineInterface(ExtendableEvent, "ExtendableEvent");

export class FetchEvent extends ExtendableEvent {
  #request;
  #response = undefined;
  #dispatching = true;

  constructor(type, init, owner) {
    super(type, init, owner);
    this.#request = init?.request;
  }

  get request() {
    return this.#request;
  }

  respondWith(response) {
    if (this.#response !== undefined)
      throw new DOMException("FetchEvent.respondWith() has already been called; it can only be called once.", "InvalidStateError");
    if (!this.#dispatching)
      throw new DOMException(
        "Too late to call FetchEvent.respondWith(). It must be called synchronously in the event handler.",
        "InvalidStateError",
      );
    this.#response = promiseResolve(response);
    this.stopImmediatePropagation();
  }

  passThroughOnException() {
    ownerOf(this).passThrough = true;
  }

  static {
    responseOf = (event) => {
      event.#dispatching = false;
      return event.#response;
    };
  }
}
defineInterface(FetchEvent, "FetchEvent");

export class ScheduledEvent extends ExtendableEvent {
  constructor(type, init, owner) {
    super(type, init, owner);
    for (const name of ["cron", "scheduledTime"])
      ObjectDefineProperty(this, name, { value: init?.[name], enumerable: true });
  }

  noRetry() {}
}
defineInterface(ScheduledEvent, "ScheduledEvent");

// The handlers of a script that has listened, in the form that worker.js calls.
export function handlersOfListeners(target) {
  const handlers = {};
  if (hasListeners(target, "fetch"))
    handlers.fetch = (request, owner) => {
      const event = new FetchEvent("fetch", { request, cancelable: true }, owner);
      dispatchTrusted(target, event);
      const response = responseOf(event);
      if (response === undefined)
        throw new Error("No event handler called respondWith(), and there is no origin to fall back to.");
      return response;
    };
  if (hasListeners(target, "scheduled"))
    handlers.scheduled = ({ cron, scheduledTime }, owner) => {
      dispatchTrusted(target, new ScheduledEvent("scheduled", { cron, scheduledTime }, owner));
    };
  return handlers;
}
