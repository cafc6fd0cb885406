// SPDX-License-Identifier: Apache-2.0
// https://fetch.spec.whatwg.org/#fetch-method, as Workers have it: outbound requests go as messages to
// the broker, those of env.ASSETS to the gateway (target).

import {
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
import { Exchange, TARGET_BROKER, TARGET_GATEWAY } from "./exchanges.js";
import { headersFromBlock, headersToBlock } from "./headers.js";
import { Request, isRequest, requestParts } from "./request.js";
import { responseInner } from "./response.js";
import { NativeSource, streamFromSource } from "./streams.js";
import { pumpTo } from "./streams/readable-stream.js";
import { addAbortAlgorithm, isAborted, removeAbortAlgorithm } from "./abort.js";
import { current, requireRequest } from "./context.js";
import { BodySink } from "./sink.js";

// As in src/messages/http_frames.h.
const METHOD_MAX = 31;
const FIN = 1, HAS_BODY = 2, FOLLOW = 4, REDIRECT_ERROR = 8, SERVICE = 512;

// Hosts that another worker of this server answers: requests to them never leave it.
let services = [];

export function declareServices(hosts) {
  services = hosts;
}

function isService(url) {
  const start = StringIndexOf.call(url, "://") + 3;
  for (let i = 0; i < services.length; i++) {
    const host = services[i], next = url[start + host.length];
    if (StringStartsWith.call(url, host, start) && (next === undefined || next === "/" || next === "?" || next === "#")) return true;
  }
  return false;
}

class Fetch extends Exchange {
  source = undefined; // of the response's body
  sink = undefined; // of the request's body
  answered = false;
  deferred = promiseWithResolvers();
  onAbort = undefined;

  constructor(target, url, signal, isHead) {
    super(target);
    this.url = url;
    this.signal = signal;
    this.isHead = isHead;
  }

  end() {
    super.end();
    if (this.onAbort === undefined) return;
    removeAbortAlgorithm(this.signal, this.onAbort);
    this.onAbort = undefined;
  }

  abort(reason) {
    native.fetchAbort(this.target, this.id);
    this.onError(reason);
  }

  onResponse(status, block, url, redirects, inline, fin) {
    let body;
    if (fin) {
      const hasNone = this.isHead || status === 204 || status === 205 || status === 304;
      body = hasNone ? noBody : new Body(BODY_BYTES, inline === null ? new Uint8Array(0) : inline);
      this.end();
    } else {
      const source = new NativeSource(
        (bytes) => native.fetchCredit(this.target, this.id, bytes),
        () => {
          native.fetchAbort(this.target, this.id);
          this.end();
        },
      );
      if (inline !== null) source.push(inline);
      this.source = source;
      body = new Body(BODY_STREAM, streamFromSource(source));
    }
    this.answered = true;
    const final = url === "" ? this.url : url;
    this.deferred.resolve(responseInner(status, headersFromBlock(block, true), body, final, redirects > 0));
  }

  onBody(bytes, fin) {
    if (this.source === undefined) return;
    if (fin) this.end();
    if (bytes !== null) this.source.push(bytes);
    if (fin) this.source.close();
  }

  onError(reason) {
    this.end();
    if (this.sink !== undefined) this.sink.abandon(reason);
    if (!this.answered) this.deferred.reject(reason);
    else if (this.source !== undefined) this.source.fail(reason);
  }

  onCredit(bytes) {
    if (this.sink !== undefined) this.sink.credit(bytes);
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

// What a Request may have, and a server must not be sent.
function checkHead(method, block) {
  if (method.length > METHOD_MAX) throw new TypeError(`The method is too long: ${method.length} characters, of ${METHOD_MAX} at most.`);
  if (/[\0-\x08\x0b-\x1f\x7f]/.test(block)) throw new TypeError("A header's value has a control character.");
}

function start(target, request) {
  const { method, url, headers, body, redirect, signal } = requestParts(request);
  if (!StringStartsWith.call(url, "https://") && !StringStartsWith.call(url, "http://"))
    throw new TypeError(`Fetch API cannot load: ${url}`);
  if (signal !== undefined && isAborted(signal)) throw signal.reason;
  if (body.isUnusable()) throw new TypeError("Cannot construct a Request with a Request object that has already been used.");
  const block = headersToBlock(headers);
  checkHead(method, block);
  const owner = current();
  if (owner !== undefined) owner.countSubrequest();
  let flags = redirect === "follow" ? FOLLOW : redirect === "error" ? REDIRECT_ERROR : 0;
  if (target === TARGET_BROKER && services.length > 0 && isService(url)) {
    target = TARGET_GATEWAY;
    flags = SERVICE;
  }
  const exchange = new Fetch(target, url, signal, method === "HEAD");
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
  if (!native.fetchStart(target, exchange.id, method, sent, block, content, flags, length))
    throw new TypeError("Too many requests are open at once, or the request's head is too long.");
  exchange.begin();
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
