// SPDX-License-Identifier: Apache-2.0
// The worker: its start, and its handlers called for each request and event.

import {
  Error,
  ObjectDefineProperty,
  ObjectKeys,
  SymbolToStringTag,
  TypeError,
  promiseResolve,
  promiseThen,
} from "./primordials.js";
import { native } from "./native.js";
import { BODY_BYTES, BODY_STREAM, Body, noBody } from "./body.js";
import { requestFromOutside } from "./request.js";
import { isResponse } from "./response.js";
import { NativeSource, streamFromSource } from "./streams.js";
import { URL } from "./url.js";
import { current, enterRequest, setPhase, shareIO } from "./context.js";
import { TARGET_GATEWAY } from "./exchanges.js";
import { declareServices, fetchFrom } from "./fetch.js";
import { Hyperdrive } from "./hyperdrive.js";
import { failHung, findContext, openContext, setSubrequestsMax } from "./request-context.js";
import { ExecutionContext } from "./execution-context.js";
import { messageOf, stackOf } from "./errors.js";
import { openBundle } from "./modules.js";
import { globalTarget } from "./global-events.js";
import { handlersOfListeners } from "./service-worker.js";
import { setEnvironment } from "./workers-module.js";

const FIN = 1, TLS = 64;

let env = {};
// Of the worker's main module: functions (request or controller, owner).
let handlers = {};

// ---- hooks: requests ----

// The result of a handler: a response, or a promise of one.
function settle(owner, result) {
  if (isResponse(result)) owner.answer(result);
  else
    promiseThen(promiseResolve(result), (response) => owner.answer(response), (error) => owner.fail(error));
}

function bodyOfRequest(owner, slot, id, inline, fin, bytes) {
  if (fin) return new Body(BODY_BYTES, inline === null ? new Uint8Array(0) : inline);
  const source = (owner.source = new NativeSource((taken) => native.requestCredit(slot, id, taken)));
  source.expected = bytes < 0 ? 0 : bytes;
  if (inline !== null) source.push(inline);
  return new Body(BODY_STREAM, streamFromSource(source));
}

export function onRequest(slot, id, method, url, block, bodyBytes, inline, fin, flags, isUnusual) {
  const owner = openContext(slot, id, false);
  if (isUnusual) url = URL.parse(url)?.href ?? url;
  const body = bodyBytes === -2 ? noBody : bodyOfRequest(owner, slot, id, inline, fin, bodyBytes);
  const request = (owner.request = requestFromOutside(method, url, block, body, (flags & TLS) !== 0));
  try {
    settle(owner, handlers.fetch(request, owner));
  } catch (error) {
    owner.fail(error);
  }
}

function enter(slot, id) {
  const owner = findContext(slot, id);
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
  enter(slot, id)?.abort();
}

export function onResponseCredit(slot, id, bytes) {
  enter(slot, id)?.sink?.credit(bytes);
}

// C stopped the code that ran: kind 1102 (CPU time) or 1103 (memory).
export function onTerminated(slot, id, kind) {
  const owner = slot < 0 ? current() : findContext(slot, id);
  if (owner !== undefined) owner.terminate(kind);
}

// Nothing is left to run, and requests are in flight.
export function onIdle() {
  failHung();
}

// ---- hooks: events ----

class ScheduledController {
  constructor(cron, time) {
    this.cron = cron;
    this.scheduledTime = time;
    this.type = "scheduled";
  }

  noRetry() {}
}
ObjectDefineProperty(ScheduledController.prototype, SymbolToStringTag, {
  value: "ScheduledController",
  configurable: true,
});

export function onEvent(slot, id, kind, cron, time) {
  const owner = openContext(slot, id, true);
  const finished = () => {
    if (owner.responded || owner.over) return;
    owner.responded = owner.answered = true;
    native.respond(slot, id, 200, "", null, FIN, -1);
    owner.maybeDone();
  };
  if (handlers.scheduled === undefined) {
    owner.fail(new Error("Handler does not export a scheduled() function."));
    return;
  }
  try {
    const result = handlers.scheduled(new ScheduledController(cron, time), owner);
    promiseThen(promiseResolve(result), finished, (error) => owner.fail(error));
  } catch (error) {
    owner.fail(error);
  }
}

// ---- boot ----

let state = "pending", failure = "";

class Fetcher {
  #target;

  constructor(target) {
    this.#target = target;
  }

  fetch(input, init = undefined) {
    return fetchFrom(this.#target, input, init);
  }
}
ObjectDefineProperty(Fetcher.prototype, SymbolToStringTag, { value: "Fetcher", configurable: true });

function makeEnvironment({ vars = {}, assets = null, databases = [] } = {}) {
  const made = {};
  const names = ObjectKeys(vars);
  for (let i = 0; i < names.length; i++) made[names[i]] = vars[names[i]];
  if (assets) made[assets] = new Fetcher(TARGET_GATEWAY);
  for (let i = 0; i < databases.length; i++) made[databases[i].binding] = new Hyperdrive(databases[i]);
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

// export default class extends WorkerEntrypoint: one object a call.
function handlersOfClass(constructor) {
  const found = {};
  const call = (name) => (argument, owner) => {
    const instance = new constructor(new ExecutionContext(owner), env);
    if (typeof instance[name] !== "function") throw new TypeError(`Handler does not export a ${name}() function.`);
    return instance[name](argument);
  };
  found.fetch = call("fetch");
  if (typeof constructor.prototype?.scheduled === "function") found.scheduled = call("scheduled");
  return found;
}

function takeExports(namespace) {
  const main = namespace.default;
  if (typeof main === "function") handlers = handlersOfClass(main);
  else if (typeof main === "object" && main !== null) handlers = handlersOfObject(main);
  if (handlers.fetch === undefined && handlers.scheduled === undefined && ObjectKeys(namespace).length === 0)
    throw new TypeError("The uploaded script has no registered event handlers.");
  handlers.fetch ??= () => {
    throw new Error("Handler does not export a fetch() function.");
  };
}

function takeListeners() {
  handlers = handlersOfListeners(globalTarget());
  if (handlers.fetch === undefined && handlers.scheduled === undefined)
    throw new TypeError("The uploaded script has no registered event handlers.");
  handlers.fetch ??= () => {
    throw new Error("No event listener for fetch events.");
  };
}

function failed(error) {
  state = "failed";
  const stack = stackOf(error);
  failure = `Uncaught ${messageOf(error)}${stack === "" ? "" : `\n${stack}`}`;
}

// seed: a text that instances of a system worker left for those to come, or undefined. prepare(manifest): the global object,
// before the worker's code runs.
export function boot(manifestText, blob, seed, prepare) {
  setPhase("global");
  state = "pending";
  handlers = {};
  try {
    const { manifest, graph, compile, evaluateScript } = openBundle(manifestText, blob);
    env = makeEnvironment(manifest.env);
    declareServices(manifest.services ?? []);
    if (manifest.system) {
      shareIO();
      if (seed !== undefined) env.SEED = seed;
      // For who knows of much garbage that the engine sees as little: a WebAssembly memory, say.
      env.collectGarbage = () => native.makeRoom(Infinity);
    }
    setSubrequestsMax(native.subrequestsMax());
    setEnvironment(env);
    prepare(manifest);
    compile();
    if (manifest.syntax === "service-worker") {
      const names = ObjectKeys(env);
      for (let i = 0; i < names.length; i++) globalThis[names[i]] = env[names[i]];
      evaluateScript();
      takeListeners();
      state = "ready";
      return;
    }
    const start = (namespace) => {
      takeExports(namespace);
      state = "ready";
    };
    promiseThen(promiseThen(graph.importMain(manifest.main), start), undefined, failed);
  } catch (error) {
    failed(error);
  }
}

export const bootState = () => state;
export const bootError = () => failure;
export const handlersMask = () => (handlers.fetch ? 1 : 0) | (handlers.scheduled ? 2 : 0);

export function beginServing() {
  setPhase("request");
  enterRequest(undefined);
}
