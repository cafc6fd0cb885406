// SPDX-License-Identifier: Apache-2.0
// https://fetch.spec.whatwg.org/#fetch-method, as Workers have it: outbound requests go as messages to
// the broker, those of env.ASSETS to the gateway (target). `exchanges` holds what is under way.

import {
  Error,
  Map,
  MapDelete,
  MapForEach,
  MapGet,
  MapSet,
  ObjectDefineProperty,
  StringIndexOf,
  StringSlice,
  StringStartsWith,
  TypeError,
  Uint8Array,
  promiseReject,
  promiseWithResolvers,
} from "./primordials.js";
import { native } from "./native.js";
import { BODY_BYTES, BODY_NONE, BODY_STREAM, Body, noBody } from "./body.js";
import { headersFromBlock, headersToBlock } from "./headers.js";
import { Request, isRequest, requestParts } from "./request.js";
import { responseInner } from "./response.js";
import { NativeSource, streamFromSource } from "./streams.js";
import { pumpTo } from "./streams/readable-stream.js";
import { addAbortAlgorithm, isAborted, removeAbortAlgorithm } from "./abort.js";
import { current, resumeRequest, requireRequest } from "./context.js";
import { BodySink } from "./sink.js";

export const TARGET_BROKER = 0, TARGET_ASSETS = 1;
const FIN = 1, HAS_BODY = 2, FOLLOW = 4, REDIRECT_ERROR = 8;

const exchanges = [new Map(), new Map()];
let nextId = 1;

class Exchange {
  source = undefined; // of the response's body
  sink = undefined; // of the request's body
  answered = false;
  ended = false;

  constructor(target, id, url, signal, isHead) {
    this.target = target;
    this.id = id;
    this.url = url;
    this.signal = signal;
    this.isHead = isHead;
    this.owner = current();
    this.deferred = promiseWithResolvers();
    this.onAbort = undefined;
  }

  // Nothing more comes of it.
  end() {
    if (this.ended) return;
    this.ended = true;
    if (this.owner !== undefined) this.owner.release();
    MapDelete.call(exchanges[this.target], this.id);
    if (this.onAbort !== undefined) removeAbortAlgorithm(this.signal, this.onAbort);
  }

  abort(reason) {
    native.fetchAbort(this.target, this.id);
    this.fail(reason);
  }

  fail(reason) {
    this.end();
    if (this.sink !== undefined) this.sink.abandon(reason);
    if (!this.answered) this.deferred.reject(reason);
    else if (this.source !== undefined) this.source.fail(reason);
  }
}

export function fetch(input, init = undefined) {
  try {
    requireRequest("asynchronous I/O (ex: fetch() or connect())");
    if (arguments.length === 0)
      throw new TypeError(
        "Failed to execute 'fetch' on 'ServiceWorkerGlobalScope': parameter 1 is not of type 'Request or string'.",
      );
    return start(TARGET_BROKER, new Request(input, init));
  } catch (error) {
    return promiseReject(error);
  }
}
ObjectDefineProperty(fetch, "length", { value: 1, configurable: true });

// fetch() of a binding: always to one target, relative URLs not allowed either.
export function fetchFrom(target, input, init) {
  try {
    requireRequest("asynchronous I/O (ex: fetch() or connect())");
    return start(target, isRequest(input) && init === undefined ? input : new Request(input, init));
  } catch (error) {
    return promiseReject(error);
  }
}

function start(target, request) {
  const { method, url, headers, body, redirect, signal } = requestParts(request);
  if (!StringStartsWith.call(url, "https://") && !StringStartsWith.call(url, "http://"))
    throw new TypeError(`Fetch API cannot load: ${url}`);
  if (signal !== undefined && isAborted(signal)) throw signal.reason;
  if (body.isUnusable()) throw new TypeError("Cannot construct a Request with a Request object that has already been used.");
  const owner = current();
  if (owner !== undefined) owner.countSubrequest();
  const exchange = new Exchange(target, nextId++, url, signal, method === "HEAD");
  let flags = redirect === "follow" ? FOLLOW : redirect === "error" ? REDIRECT_ERROR : 0;
  let content = null, length = -1;
  if (body.kind === BODY_NONE) {
    flags |= FIN;
  } else {
    flags |= HAS_BODY;
    length = body.length;
    if (body.kind !== BODY_STREAM) {
      flags |= FIN;
      content = body.content;
      body.used = true;
    }
  }
  const hash = StringIndexOf.call(url, "#");
  const sent = hash < 0 ? url : StringSlice.call(url, 0, hash);
  if (!native.fetchStart(target, exchange.id, method, sent, headersToBlock(headers), content, flags, length))
    throw new TypeError("Too many requests are open at once, or the request's head is too long.");
  MapSet.call(exchanges[target], exchange.id, exchange);
  if (owner !== undefined) owner.hold();
  if (signal !== undefined) {
    exchange.onAbort = (reason) => exchange.abort(reason);
    addAbortAlgorithm(signal, exchange.onAbort);
  }
  if (body.kind === BODY_STREAM) {
    exchange.sink = new BodySink(
      (bytes, fin) => native.fetchBody(target, exchange.id, bytes, fin),
      (reason) => exchange.abort(reason),
    );
    exchange.sink.cancel = pumpTo(body.content, exchange.sink);
  }
  return exchange.deferred.promise;
}

// The request that asked for them is over: nobody waits for the answers any more.
export function dropExchangesOf(owner) {
  for (let target = 0; target < 2; target++)
    MapForEach.call(exchanges[target], (exchange) => {
      if (exchange.owner !== owner) return;
      native.fetchAbort(target, exchange.id);
      exchange.end();
    });
}

// ---- hooks ----

function enter(target, id) {
  const exchange = MapGet.call(exchanges[target], id);
  if (exchange !== undefined) resumeRequest(exchange.owner);
  return exchange;
}

export function onFetchResponse(target, id, status, block, url, redirects, inline, fin, bodyBytes) {
  const exchange = enter(target, id);
  if (exchange === undefined) return;
  let body;
  if (fin) {
    const hasNone = exchange.isHead || status === 204 || status === 205 || status === 304;
    body = hasNone ? noBody : new Body(BODY_BYTES, inline === null ? new Uint8Array(0) : inline);
    exchange.end();
  } else {
    const source = new NativeSource(
      (bytes) => native.fetchCredit(target, id, bytes),
      () => {
        native.fetchAbort(target, id);
        exchange.end();
      },
    );
    if (inline !== null) source.push(inline);
    exchange.source = source;
    body = new Body(BODY_STREAM, streamFromSource(source));
  }
  exchange.answered = true;
  const final = url === "" ? exchange.url : url;
  exchange.deferred.resolve(responseInner(status, headersFromBlock(block, true), body, final, redirects > 0));
}

export function onFetchBody(target, id, bytes, fin) {
  const exchange = enter(target, id);
  if (exchange === undefined || exchange.source === undefined) return;
  if (fin) exchange.end();
  if (bytes !== null) exchange.source.push(bytes);
  if (fin) exchange.source.close();
}

export function onFetchError(target, id, kind, message) {
  const exchange = enter(target, id);
  if (exchange === undefined) return;
  exchange.fail(fetchError(kind, message));
}

export function onFetchCredit(target, id, bytes) {
  const exchange = enter(target, id);
  if (exchange !== undefined && exchange.sink !== undefined) exchange.sink.credit(bytes);
}

function fetchError(kind, message) {
  switch (kind) {
    case 2001: // cannot connect, or the connection broke
    case 2002: // no such host
    case 2003: // too late
    case 2006: // what came was no HTTP
      return new Error(message === "" ? "Network connection lost." : message);
    default: // the URL, a redirect, the egress policy
      return new TypeError(message);
  }
}
