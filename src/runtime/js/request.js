// SPDX-License-Identifier: Apache-2.0
// https://fetch.spec.whatwg.org/#request-class

import { ObjectDefineProperty, ObjectFreeze, StringToUpperCase, Symbol, TypeError } from "./primordials.js";
import {
  BODY_NONE,
  bodyArrayBuffer,
  bodyBlob,
  bodyBytes,
  bodyFormData,
  bodyJson,
  bodyText,
  extractBody,
  noBody,
  rejectIllegalInvocation,
  usedBody,
} from "./body.js";
import {
  Headers,
  headersCopy,
  headersFromBlock,
  headersGet,
  headersIsImmutable,
  headersSetIfMissing,
  headersSetImmutable,
} from "./headers.js";
import { createAbortSignal, dependentSignal, isAbortSignal } from "./abort.js";
import { defineInterface, isObject, toByteString, toUSVString } from "./webidl.js";
import { URL } from "./url.js";

const internal = Symbol("internal");
const { parse } = URL;

// What few requests have; theirs is a copy.
const ordinary = ObjectFreeze({
  redirect: "follow",
  cf: undefined,
  cache: undefined,
  integrity: "",
  keepalive: false,
  fetcher: null,
});
// Of requests that came from a client, until their `cf` is looked at.
const fromClient = ObjectFreeze({ ...ordinary, redirect: "manual" });
const fromClientOverTls = ObjectFreeze({ ...fromClient });

export let isRequest, requestHeaders, requestBody, requestFromOutside, requestParts, requestOptionalSignal;

export class Request {
  #method = "GET";
  #url;
  #headers;
  #body = noBody;
  #signal = undefined;
  #rare = ordinary;

  constructor(input, init = undefined) {
    if (input === internal) return;
    if (arguments.length === 0)
      throw new TypeError(
        "Failed to construct 'Request': constructor parameter 1 is not of type 'Request or string'.",
      );
    let inputBody = noBody, inputSignal;
    const copied = isRequest(input);
    if (copied) {
      this.#method = input.#method;
      this.#url = input.#url;
      this.#rare = input.#allRare();
      this.#headers = headersCopy(input.#headers);
      inputBody = input.#body;
      inputSignal = input.#signal;
    } else {
      this.#url = parseUrl(input);
    }
    if (init !== undefined && init !== null) {
      if (!isObject(init))
        throw new TypeError(
          "Failed to construct 'Request': constructor parameter 2 is not of type 'RequestInitializerDict or Request'.",
        );
      inputBody = this.#initialize(init, inputBody);
      const { signal } = init;
      if (signal !== undefined) inputSignal = signal;
    }
    this.#headers ??= new Headers();
    if (inputSignal !== undefined && inputSignal !== null) {
      if (!isAbortSignal(inputSignal))
        throw new TypeError(
          "Incorrect type for the 'signal' field on 'RequestInitializerDict': the provided value is not of type 'AbortSignal'.",
        );
      this.#signal = dependentSignal([inputSignal]);
    }
    if (inputBody.kind !== BODY_NONE) {
      if (inputBody.isUnusable()) throw new TypeError("Cannot reconstruct a Request with a used body.");
      this.#body = inputBody;
      if (copied && input.#body === inputBody) input.#body = usedBody();
    }
  }

  #initialize(init, inputBody) {
    const { method, headers, body, redirect, cf, cache, integrity, keepalive, fetcher } = init;
    if (method !== undefined) this.#method = normalizeMethod(method);
    if (redirect !== undefined || cf || cache !== undefined || integrity !== undefined || keepalive !== undefined || fetcher) {
      const rare = (this.#rare = { ...this.#rare });
      if (redirect !== undefined) rare.redirect = checkRedirect(redirect);
      if (cf) rare.cf = cf;
      if (cache !== undefined) rare.cache = checkCache(cache);
      if (integrity !== undefined) rare.integrity = `${integrity}`;
      if (keepalive !== undefined) rare.keepalive = !!keepalive;
      if (fetcher) rare.fetcher = fetcher;
    }
    if (headers !== undefined) this.#headers = new Headers(headers);
    if (body === null) return noBody;
    if (body === undefined) {
      if (inputBody.kind !== BODY_NONE) this.#refuseBody();
      return inputBody;
    }
    this.#refuseBody();
    const extracted = extractBody(body);
    this.#headers ??= new Headers();
    if (extracted[1] !== null) headersSetIfMissing(this.#headers, "content-type", extracted[1]);
    return extracted[0];
  }

  #refuseBody() {
    if (this.#method === "GET" || this.#method === "HEAD")
      throw new TypeError("Request with a GET or HEAD method cannot have a body.");
  }

  #allRare() {
    const rare = this.#rare;
    if (rare !== fromClient && rare !== fromClientOverTls) return rare;
    return (this.#rare = { ...rare, cf: makeCf(rare === fromClientOverTls, this.#headers) });
  }

  clone() {
    if (this.#body.isUnusable()) throw new TypeError("Cannot clone a request whose body has already been used.");
    const copy = new Request(internal);
    copy.#method = this.#method;
    copy.#url = this.#url;
    copy.#headers = headersCopy(this.#headers);
    if (headersIsImmutable(this.#headers)) headersSetImmutable(copy.#headers);
    copy.#body = this.#body.clone();
    copy.#rare = this.#allRare();
    copy.#signal = dependentSignal([this.signal]);
    return copy;
  }

  get method() {
    return this.#method;
  }

  get url() {
    return this.#url;
  }

  get headers() {
    return this.#headers;
  }

  get redirect() {
    return this.#rare.redirect;
  }

  get fetcher() {
    return this.#rare.fetcher;
  }

  get signal() {
    return (this.#signal ??= createAbortSignal());
  }

  get cf() {
    return this.#allRare().cf;
  }

  get integrity() {
    return this.#rare.integrity;
  }

  get keepalive() {
    return this.#rare.keepalive;
  }

  get cache() {
    return this.#rare.cache;
  }

  get body() {
    return this.#body.stream();
  }

  get bodyUsed() {
    return this.#body.isUsed();
  }

  arrayBuffer() {
    return isRequest(this) ? bodyArrayBuffer(this.#body) : rejectIllegalInvocation();
  }

  bytes() {
    return isRequest(this) ? bodyBytes(this.#body) : rejectIllegalInvocation();
  }

  text() {
    return isRequest(this) ? bodyText(this.#body) : rejectIllegalInvocation();
  }

  json() {
    return isRequest(this) ? bodyJson(this.#body) : rejectIllegalInvocation();
  }

  formData() {
    return isRequest(this)
      ? bodyFormData(this.#body, headersGet(this.#headers, "content-type"))
      : rejectIllegalInvocation();
  }

  blob() {
    return isRequest(this)
      ? bodyBlob(this.#body, headersGet(this.#headers, "content-type"))
      : rejectIllegalInvocation();
  }

  static {
    isRequest = (value) => isObject(value) && #method in value;
    requestHeaders = (request) => request.#headers;
    requestBody = (request) => request.#body;
    requestOptionalSignal = (request) => request.#signal;
    requestParts = (request) => ({
      method: request.#method,
      url: request.#url,
      headers: request.#headers,
      body: request.#body,
      redirect: request.#rare.redirect,
      signal: request.#signal,
    });
    // The request a handler gets. Its headers may not be changed: it is what the client sent.
    requestFromOutside = (method, url, block, body, overTls) => {
      const request = new Request(internal);
      request.#method = method;
      request.#url = url;
      request.#headers = headersFromBlock(block, true);
      request.#body = body;
      request.#rare = overTls ? fromClientOverTls : fromClient;
      return request;
    };
  }
}
defineInterface(Request, "Request");
ObjectDefineProperty(Request, "length", { value: 1, configurable: true });

// What a server of one's own can tell of the client's connection; of its place on earth it knows nothing.
function makeCf(overTls, headers) {
  const cf = {
    colo: "LOCAL",
    httpProtocol: "HTTP/1.1",
    requestPriority: "",
    edgeRequestKeepAliveStatus: 1,
    clientAcceptEncoding: headersGet(headers, "accept-encoding") ?? "",
    clientTcpRtt: 0,
  };
  if (overTls) {
    cf.tlsVersion = "TLSv1.3";
    cf.tlsCipher = "";
  }
  return cf;
}

function parseUrl(input) {
  const text = typeof input === "string" ? input : toUSVString(input);
  const url = parse.call(URL, text);
  if (url === null) throw new TypeError(`Invalid URL: ${text}`);
  return url.href;
}

function normalizeMethod(value) {
  if (value === "GET" || value === "POST") return value;
  const method = toByteString(value, "method");
  const upper = StringToUpperCase.call(method);
  switch (upper) {
    case "DELETE":
    case "GET":
    case "HEAD":
    case "OPTIONS":
    case "PATCH":
    case "POST":
    case "PUT":
      return upper;
    case "CONNECT":
    case "TRACE":
    case "TRACK":
      throw new TypeError(`Invalid HTTP method string: ${method}`);
  }
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(method))
    throw new TypeError(`Invalid HTTP method string: ${method}`);
  return method;
}

function checkRedirect(value) {
  const mode = `${value}`;
  if (mode !== "follow" && mode !== "manual" && mode !== "error")
    throw new TypeError(`Invalid redirect value, must be one of "follow", "manual" or "error": ${mode}`);
  return mode;
}

function checkCache(value) {
  const mode = `${value}`;
  if (mode !== "no-store" && mode !== "no-cache" && mode !== "reload" && mode !== "default")
    throw new TypeError(`Unsupported cache mode: ${mode}`);
  return mode;
}
