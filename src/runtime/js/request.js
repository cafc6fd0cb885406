// SPDX-License-Identifier: Apache-2.0
// https://fetch.spec.whatwg.org/#request-class

import { StringToUpperCase, TypeError } from "./primordials.js";
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
} from "./body.js";
import { Headers, headersCopy, headersFromBlock, headersGet, headersSetIfMissing } from "./headers.js";
import { createAbortSignal, dependentSignal, isAbortSignal } from "./abort.js";
import { defineInterface, isObject, requireArguments, toByteString, toUSVString } from "./webidl.js";
import { URL } from "./url.js";

const internal = Symbol("internal");
const empty = noBody();
const methodsToNormalize = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH"];

export let isRequest, requestHeaders, requestBody, requestFromOutside, requestParts, requestOptionalSignal;

export class Request {
  #method = "GET";
  #url = "";
  #headers;
  #body = empty;
  #signal = undefined;
  #redirect = "follow";
  #cf = undefined;
  #cache = undefined;
  #integrity = "";
  #keepalive = false;
  #fetcher = null;

  constructor(input, init = undefined) {
    if (input === internal) return;
    requireArguments(arguments.length, 1, "Request constructor");
    let inputBody = empty, inputSignal;
    if (isRequest(input)) {
      this.#method = input.#method;
      this.#url = input.#url;
      this.#redirect = input.#redirect;
      this.#cf = input.#cf;
      this.#cache = input.#cache;
      this.#integrity = input.#integrity;
      this.#keepalive = input.#keepalive;
      this.#fetcher = input.#fetcher;
      inputBody = input.#body;
      inputSignal = input.#signal;
      this.#headers = headersCopy(input.#headers);
    } else {
      this.#url = parseUrl(input);
      this.#headers = new Headers();
    }
    if (init !== undefined && init !== null) {
      if (!isObject(init)) throw new TypeError("Request constructor: init is not an object");
      inputBody = this.#initialize(init, inputBody);
      if (init.signal !== undefined) inputSignal = init.signal;
    }
    if (inputSignal !== undefined && inputSignal !== null) {
      if (!isAbortSignal(inputSignal)) throw new TypeError("Request constructor: signal is not an AbortSignal");
      this.#signal = dependentSignal([inputSignal]);
    }
    if (inputBody.kind !== BODY_NONE) {
      if (inputBody.isUnusable()) throw new TypeError("Cannot reconstruct a Request with a used body.");
      this.#body = inputBody;
      if (isRequest(input) && input.#body === inputBody) input.#body = usedUp(inputBody);
    }
  }

  #initialize(init, inputBody) {
    const { method, headers, body, redirect, cf, cache, integrity, keepalive, fetcher } = init;
    if (method !== undefined) this.#method = normalizeMethod(method);
    if (redirect !== undefined) {
      const mode = `${redirect}`;
      if (mode !== "follow" && mode !== "manual" && mode !== "error")
        throw new TypeError(`Invalid redirect value, must be one of "follow" or "manual" ("error" won't be implemented since it does not make sense at the edge; use "manual" and check the response status code).`);
      this.#redirect = mode;
    }
    if (cf !== undefined && cf !== null) this.#cf = cf;
    if (cache !== undefined) {
      const mode = `${cache}`;
      if (mode !== "no-store" && mode !== "no-cache" && mode !== "reload" && mode !== "default")
        throw new TypeError(`Unsupported cache mode: ${mode}`);
      this.#cache = mode;
    }
    if (integrity !== undefined) this.#integrity = `${integrity}`;
    if (keepalive !== undefined) this.#keepalive = !!keepalive;
    if (fetcher !== undefined) this.#fetcher = fetcher;
    if (headers !== undefined) this.#headers = new Headers(headers);
    if (body !== undefined && body !== null) {
      if (this.#method === "GET" || this.#method === "HEAD")
        throw new TypeError(`Request with a GET or HEAD method cannot have a body.`);
      const extracted = extractBody(body);
      if (extracted[1] !== null) headersSetIfMissing(this.#headers, "content-type", extracted[1]);
      return extracted[0];
    }
    if (body === null) return empty;
    if (inputBody.kind !== BODY_NONE && (this.#method === "GET" || this.#method === "HEAD"))
      throw new TypeError(`Request with a GET or HEAD method cannot have a body.`);
    return inputBody;
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
    return this.#redirect;
  }

  get fetcher() {
    return this.#fetcher;
  }

  get signal() {
    return (this.#signal ??= createAbortSignal());
  }

  get cf() {
    return this.#cf;
  }

  get integrity() {
    return this.#integrity;
  }

  get cache() {
    return this.#cache;
  }

  get keepalive() {
    return this.#keepalive;
  }

  get body() {
    return this.#body.stream();
  }

  get bodyUsed() {
    return this.#body.isUsed();
  }

  clone() {
    if (this.#body.isUnusable()) throw new TypeError("Cannot clone a request whose body has already been used.");
    const copy = new Request(internal);
    copy.#method = this.#method;
    copy.#url = this.#url;
    copy.#headers = headersCopy(this.#headers);
    copy.#body = this.#body.kind === BODY_NONE ? empty : this.#body.clone();
    copy.#redirect = this.#redirect;
    copy.#cf = this.#cf;
    copy.#cache = this.#cache;
    copy.#integrity = this.#integrity;
    copy.#keepalive = this.#keepalive;
    copy.#fetcher = this.#fetcher;
    if (this.#signal !== undefined) copy.#signal = dependentSignal([this.#signal]);
    return copy;
  }

  async arrayBuffer() {
    return bodyArrayBuffer(this.#body);
  }

  async blob() {
    return bodyBlob(this.#body, headersGet(this.#headers, "content-type"));
  }

  async bytes() {
    return bodyBytes(this.#body);
  }

  async formData() {
    return bodyFormData(this.#body, headersGet(this.#headers, "content-type"));
  }

  async json() {
    return bodyJson(this.#body);
  }

  async text() {
    return bodyText(this.#body);
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
      redirect: request.#redirect,
      signal: request.#signal,
    });
    // The request a handler gets. Its headers may not be changed: it is what the client sent.
    requestFromOutside = (method, url, block, body, cf) => {
      const request = new Request(internal);
      request.#method = method;
      request.#url = url;
      request.#headers = headersFromBlock(block, true);
      request.#body = body;
      request.#redirect = "manual";
      request.#cf = cf;
      return request;
    };
  }
}
defineInterface(Request, "Request");

function usedUp(body) {
  const gone = noBody();
  gone.kind = body.kind === BODY_NONE ? BODY_NONE : 1;
  gone.content = "";
  gone.used = true;
  return gone;
}

function parseUrl(input) {
  const text = typeof input === "string" ? input : toUSVString(input);
  let url;
  try {
    url = new URL(text);
  } catch {
    throw new TypeError(`Invalid URL: ${text}`);
  }
  return url.href;
}

function normalizeMethod(value) {
  const method = toByteString(value, "method");
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(method)) throw new TypeError(`Invalid HTTP method string: ${method}`);
  const upper = StringToUpperCase.call(method);
  if (upper === "CONNECT" || upper === "TRACE" || upper === "TRACK")
    throw new TypeError(`Invalid HTTP method string: ${method}`);
  return methodsToNormalize.includes(upper) ? upper : method;
}
