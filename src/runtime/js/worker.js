// SPDX-License-Identifier: Apache-2.0
// The worker's entry points: boot, and the life of each request and event.

import { Map, MapDelete, MapGet, MapSet, TypeError, promiseResolve, promiseThen } from "./primordials.js";
import { native, platform } from "./native.js";
import { BODY_NONE, BODY_STREAM, Body, noBody } from "./body.js";
import { headersToBlock } from "./headers.js";
import { requestFromOutside, requestOptionalSignal } from "./request.js";
import { isResponse, responseBody, responseHeaders, responseStatus } from "./response.js";
import { NativeSource, streamFromSource } from "./streams.js";
import { pumpTo } from "./streams/readable-stream.js";
import { signalAbort } from "./abort.js";
import { DOMException } from "./dom-exception.js";
import { Event, PromiseRejectionEvent, dispatchTrusted, hasListeners } from "./events.js";
import { cell } from "./async-context.js";
import { enterRequest, current, setPhase } from "./context.js";
import { clearTimersOf } from "./timers.js";
import { TARGET_ASSETS, abortExchangesOf, fetchFrom } from "./fetch.js";
import { BodySink } from "./sink.js";
import { KIND_EXCEPTION, logException, messageOf, stackOf } from "./errors.js";
import { openBundle } from "./modules.js";
import { setEnvironment } from "./workers-module.js";

const FIN = 1, DONE_TOO = 16, PASS_THROUGH = 32;

let env = {};
let handlers = {}; // of the default export: functions (…, env, ctx)
let globalTarget = undefined; // for service-worker syntax and global events
let subrequestsMax = 1000;
const contexts = new Map(); // by id

// One request or event, from its frame to "done".
class RequestContext {
  responded = false; // the head of the answer went out
  answered = false; // all of it did
  over = false;
  holds = 0; // timers and fetches under way
  waiting = 0; // waitUntil promises
  subrequests = 0;
  passThrough = false;
  request = undefined;
  source = undefined; // of the request's body
  sink = undefined; // of the response's body
  isEvent = false;

  constructor(slot, id) {
    this.slot = slot;
    this.id = id;
  }

  hold() {
    this.holds++;
  }

  release() {
    this.holds--;
  }

  countSubrequest() {
    if (++this.subrequests > subrequestsMax) throw new Error("Too many subrequests.");
  }

  waitUntil(promise) {
    this.waiting++;
    const settle = () => {
      this.waiting--;
      this.maybeDone();
    };
    promiseThen(promiseResolve(promise), settle, (error) => {
      logException(this, error, "Uncaught (in waitUntil) ");
      settle();
    });
  }

  maybeDone() {
    if (!this.answered || this.waiting > 0 || this.over) return;
    this.finish();
    native.done(this.slot, this.id);
  }

  finish() {
    this.over = true;
    MapDelete.call(contexts, this.id);
    if (this.holds > 0) {
      clearTimersOf(this);
      abortExchangesOf(this);
    }
    if (this.source !== undefined) this.source.fail(new TypeError("The request is over."));
  }

  fail(error) {
    if (this.responded) {
      logException(this, error, "Uncaught ");
    } else {
      this.responded = true;
      native.respondError(this.slot, this.id, KIND_EXCEPTION, messageOf(error), stackOf(error), this.passThrough ? PASS_THROUGH : 0);
    }
    this.answered = true;
    this.maybeDone();
  }

  answer(response) {
    if (this.responded || this.over) return;
    if (!isResponse(response)) {
      this.fail(new TypeError("Incorrect type for Promise: the Promise did not resolve to 'Response'."));
      return;
    }
    const body = responseBody(response);
    const block = headersToBlock(responseHeaders(response));
    const status = responseStatus(response);
    if (body.kind !== BODY_STREAM) {
      if (body.used) {
        this.fail(new TypeError("Response body object should not be disturbed or locked"));
        return;
      }
      this.responded = this.answered = true;
      body.used = true;
      if (this.waiting === 0) {
        native.respond(this.slot, this.id, status, block, body.kind === BODY_NONE ? null : body.content, FIN | DONE_TOO, -1);
        this.finish();
      } else {
        native.respond(this.slot, this.id, status, block, body.kind === BODY_NONE ? null : body.content, FIN, -1);
      }
      return;
    }
    if (body.isUnusable()) {
      this.fail(new TypeError("Response body object should not be disturbed or locked"));
      return;
    }
    this.responded = true;
    native.respond(this.slot, this.id, status, block, null, 0, body.length);
    this.sink = new BodySink(
      (bytes, fin) => native.respondBody(this.slot, this.id, bytes, fin),
      (error) => {
        logException(this, error, "Uncaught (in response body) ");
        native.respondError(this.slot, this.id, KIND_EXCEPTION, messageOf(error), "", 0);
        this.answered = true;
        this.maybeDone();
      },
      () => {
        this.answered = true;
        this.maybeDone();
      },
    );
    this.sink.cancel = pumpTo(body.content, this.sink);
  }
}

// ctx, the third argument of handlers.
class ExecutionContext {
  #owner;
  props = {};

  constructor(owner) {
    this.#owner = owner;
  }

  waitUntil(promise) {
    if (!(#owner in (this ?? {}))) throw new TypeError("Illegal invocation: function called with incorrect `this` reference.");
    this.#owner.waitUntil(promise);
  }

  passThroughOnException() {
    if (!(#owner in (this ?? {}))) throw new TypeError("Illegal invocation: function called with incorrect `this` reference.");
    this.#owner.passThrough = true;
  }
}

function begin(slot, id) {
  const owner = new RequestContext(slot, id);
  MapSet.call(contexts, id, owner);
  enterRequest(owner);
  return owner;
}

// The result of a handler: a response, or a promise of one.
function settle(owner, result) {
  if (isResponse(result)) owner.answer(result);
  else
    promiseThen(promiseResolve(result), (response) => owner.answer(response), (error) => owner.fail(error));
}

// ---- hooks: requests ----

export function onRequest(slot, id, method, url, block, bodyBytes, inline, fin) {
  const owner = begin(slot, id);
  let body;
  if (bodyBytes === -2) {
    body = noBody();
  } else if (fin) {
    body = new Body(2, inline === null ? new Uint8Array(0) : inline);
  } else {
    owner.source = new NativeSource((bytes) => native.requestCredit(slot, id, bytes));
    if (inline !== null) owner.source.push(inline);
    body = new Body(BODY_STREAM, streamFromSource(owner.source));
  }
  const request = requestFromOutside(method, url, block, body, requestCf);
  owner.request = request;
  try {
    settle(owner, handlers.fetch(request, owner));
  } catch (error) {
    owner.fail(error);
  }
}

const requestCf = { httpProtocol: "HTTP/1.1", clientAcceptEncoding: "", colo: "LOCAL" };

function enter(slot, id) {
  const owner = MapGet.call(contexts, id);
  if (owner !== undefined) enterRequest(owner);
  return owner;
}

export function onRequestBody(slot, id, bytes, fin) {
  const source = enter(slot, id)?.source;
  if (source === undefined) return;
  if (bytes !== null) source.push(bytes);
  if (fin) source.close();
}

export function onRequestAbort(slot, id) {
  const owner = enter(slot, id);
  if (owner === undefined) return;
  const reason = new DOMException("The client has disconnected", "AbortError");
  if (owner.source !== undefined) owner.source.fail(reason);
  const signal = owner.request === undefined ? undefined : requestOptionalSignal(owner.request);
  if (signal !== undefined) signalAbort(signal, reason);
  if (owner.sink !== undefined) owner.sink.abandon(reason);
  owner.responded = owner.answered = true;
  owner.maybeDone();
}

export function onResponseCredit(slot, id, bytes) {
  enter(slot, id)?.sink?.credit(bytes);
}

export function onTerminated(slot, id, kind) {
  const owner = slot < 0 ? current() : MapGet.call(contexts, id);
  if (owner === undefined) return;
  if (!owner.responded) {
    const message = kind === 1102 ? "Error: Worker exceeded CPU time limit." : "Error: Worker exceeded memory limit.";
    native.respondError(owner.slot, owner.id, kind, message, "", 0);
  } else if (!owner.answered) {
    native.respondError(owner.slot, owner.id, kind, "Error: Worker exceeded CPU time limit.", "", 0);
  }
  if (owner.over) return;
  owner.responded = owner.answered = true;
  owner.finish();
  native.done(owner.slot, owner.id);
}

// Nothing is left to run. A request that waits for nothing outside will never be answered.
export function onIdle() {
  contexts.forEach((owner) => {
    if (owner.responded || owner.isEvent || owner.holds > 0) return;
    if (owner.source !== undefined && owner.source.state === 0) return; // the client still sends
    enterRequest(owner);
    owner.fail(
      new Error(
        "The Workers runtime canceled this request because it detected that your Worker's code had hung and would never generate a response. Refer to: https://developers.cloudflare.com/workers/observability/errors/",
      ),
    );
  });
}

// ---- hooks: events ----

class ScheduledController {
  constructor(cron, time, owner) {
    this.cron = cron;
    this.scheduledTime = time;
    this.type = "scheduled";
    Object.defineProperty(this, "noRetry", { value: () => {}, enumerable: false });
  }
}

export function onEvent(slot, id, kind, cron, time) {
  const owner = begin(slot, id);
  owner.isEvent = true;
  const finished = () => {
    if (owner.responded) return;
    owner.responded = owner.answered = true;
    native.respond(slot, id, 200, "", null, FIN, -1);
    owner.maybeDone();
  };
  if (handlers.scheduled === undefined) {
    owner.fail(new Error("Handler does not export a scheduled() function."));
    return;
  }
  try {
    const result = handlers.scheduled(new ScheduledController(cron, time, owner), owner);
    promiseThen(promiseResolve(result), finished, (error) => owner.fail(error));
  } catch (error) {
    owner.fail(error);
  }
}

export function onUnhandledRejection(promise, reason) {
  const owner = current();
  if (globalTarget !== undefined && hasListeners(globalTarget, "unhandledrejection")) {
    const event = new PromiseRejectionEvent("unhandledrejection", { promise, reason, cancelable: true });
    if (!dispatchTrusted(globalTarget, event)) return;
  }
  logException(owner, reason, "Uncaught (in promise) ");
}

platform.reportException = (error) => {
  logException(current(), error, "Uncaught ");
};

// ---- boot ----

let state = "pending", failure = "";

class AssetsFetcher {
  fetch(input, init = undefined) {
    return fetchFrom(TARGET_ASSETS, input, init);
  }
}

function makeEnvironment({ vars = {}, assets = null } = {}) {
  const made = {};
  for (const name of Object.keys(vars)) made[name] = vars[name];
  if (assets) made[assets] = new AssetsFetcher();
  return made;
}

// Handlers are called with `this` = the object they are methods of.
function handlersOfObject(object) {
  const found = {};
  if (typeof object.fetch === "function")
    found.fetch = (request, owner) => object.fetch(request, env, new ExecutionContext(owner));
  if (typeof object.scheduled === "function")
    found.scheduled = (controller, owner) => object.scheduled(controller, env, new ExecutionContext(owner));
  return found;
}

function handlersOfClass(constructor) {
  const found = {};
  const call = (name) => (argument, owner) => {
    const instance = new constructor(new ExecutionContext(owner), env);
    if (typeof instance[name] !== "function") throw new TypeError(`Handler does not export a ${name}() function.`);
    return instance[name](argument);
  };
  found.fetch = call("fetch");
  if (typeof constructor.prototype.scheduled === "function") found.scheduled = call("scheduled");
  return found;
}

function takeExports(namespace) {
  const main = namespace.default;
  if (typeof main === "function") handlers = handlersOfClass(main);
  else if (typeof main === "object" && main !== null) handlers = handlersOfObject(main);
  if (handlers.fetch === undefined && handlers.scheduled === undefined && Object.keys(namespace).length === 0)
    throw new TypeError("The uploaded script has no registered event handlers.");
  handlers.fetch ??= () => {
    throw new Error("Handler does not export a fetch() function.");
  };
}

// Service-worker syntax: addEventListener("fetch", event => event.respondWith(…)).
class ExtendableEvent extends Event {
  #owner;
  constructor(type, owner) {
    super(type, { cancelable: true });
    this.#owner = owner;
  }
  waitUntil(promise) {
    this.#owner.waitUntil(promise);
  }
  passThroughOnException() {
    this.#owner.passThrough = true;
  }
}

class FetchEvent extends ExtendableEvent {
  response = undefined;
  constructor(request, owner) {
    super("fetch", owner);
    Object.defineProperty(this, "request", { value: request, enumerable: true });
    Object.defineProperty(this, "response", { value: undefined, writable: true, enumerable: false });
  }
  respondWith(response) {
    if (this.response !== undefined)
      throw new DOMException("FetchEvent.respondWith() has already been called.", "InvalidStateError");
    this.response = promiseResolve(response);
    this.stopImmediatePropagation();
  }
}

class ScheduledEvent extends ExtendableEvent {
  constructor(controller, owner) {
    super("scheduled", owner);
    this.cron = controller.cron;
    this.scheduledTime = controller.scheduledTime;
  }
}
export { ExtendableEvent, FetchEvent, ScheduledEvent };

function takeListeners() {
  if (hasListeners(globalTarget, "fetch"))
    handlers.fetch = (request, owner) => {
      const event = new FetchEvent(request, owner);
      dispatchTrusted(globalTarget, event);
      if (event.response === undefined)
        throw new Error("The fetch handler did not call respondWith(); there is no origin to fall back to.");
      return event.response;
    };
  if (hasListeners(globalTarget, "scheduled"))
    handlers.scheduled = (controller, owner) => {
      dispatchTrusted(globalTarget, new ScheduledEvent(controller, owner));
    };
  if (handlers.fetch === undefined && handlers.scheduled === undefined)
    throw new TypeError("The uploaded script has no registered event handlers.");
}

function failed(error) {
  state = "failed";
  const stack = stackOf(error);
  failure = `Uncaught ${messageOf(error)}${stack === "" ? "" : `\n${stack}`}`;
}

export function setGlobalTarget(target) {
  globalTarget = target;
}

let afterBoot = () => {};
export function setAfterBoot(callback) {
  afterBoot = callback;
}

export function boot(manifestText, blob) {
  setPhase("global");
  try {
    const { manifest, graph, evaluateScript } = openBundle(manifestText, blob);
    env = makeEnvironment(manifest.env);
    if (Number.isInteger(manifest.subrequests)) subrequestsMax = manifest.subrequests;
    setEnvironment(env);
    afterBoot(manifest);
    if (manifest.syntax === "service-worker") {
      for (const name of Object.keys(env)) globalThis[name] = env[name];
      evaluateScript();
      takeListeners();
      state = "ready";
      return;
    }
    promiseThen(
      graph.importMain(manifest.main),
      (namespace) => {
        try {
          takeExports(namespace);
          state = "ready";
        } catch (error) {
          failed(error);
        }
      },
      failed,
    );
  } catch (error) {
    failed(error);
  }
}

export const bootState = () => state;
export const bootError = () => failure;
export const handlersMask = () => (handlers.fetch ? 1 : 0) | (handlers.scheduled ? 2 : 0);

export function afterFork() {
  setPhase("request");
  enterRequest(undefined);
  cell.f = undefined;
}
