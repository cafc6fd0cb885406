// SPDX-License-Identifier: Apache-2.0
// https://fetch.spec.whatwg.org/#response-class

import { JSONStringify, RangeError, TypeError } from "./primordials.js";
import {
  BODY_NONE,
  BODY_TEXT,
  Body,
  bodyArrayBuffer,
  bodyBlob,
  bodyBytes,
  bodyFormData,
  bodyJson,
  bodyText,
  extractBody,
  noBody,
} from "./body.js";
import {
  Headers,
  headersAppendRaw,
  headersCopy,
  headersGet,
  headersSetIfMissing,
  headersSetImmutable,
} from "./headers.js";
import { defineInterface, isObject, toByteString } from "./webidl.js";
import { URL } from "./url.js";

const internal = Symbol("internal");
const redirectStatuses = [301, 302, 303, 307, 308];

export let isResponse, responseHeaders, responseStatus, responseBody, responseInner, responseWebSocket;

export class Response {
  #status = 200;
  #statusText = "";
  #headers;
  #body;
  #type = "default";
  #url = "";
  #redirected = false;
  #cf = undefined;
  #webSocket = null;
  #encodeBody = "automatic";

  constructor(body = null, init = undefined) {
    if (body === internal) return; // filled in by its maker
    let type = null;
    if (body === null || body === undefined) {
      this.#body = noBody();
    } else if (typeof body === "string") {
      this.#body = new Body(BODY_TEXT, body);
      type = "text/plain;charset=UTF-8";
    } else {
      const extracted = extractBody(body);
      this.#body = extracted[0];
      type = extracted[1];
    }
    if (init === undefined || init === null) this.#headers = new Headers();
    else this.#initialize(init);
    if (this.#body.kind !== BODY_NONE) {
      const status = this.#status;
      if (status === 101 || status === 204 || status === 205 || status === 304)
        throw new TypeError("Response with null body status (101, 204, 205, or 304) cannot have a body.");
      if (type !== null) headersSetIfMissing(this.#headers, "content-type", type);
    }
  }

  #initialize(init) {
    if (!isObject(init)) throw new TypeError("Response constructor: init is not an object");
    const { status, statusText, headers, cf, webSocket, encodeBody } = init;
    if (status !== undefined) {
      const code = +status;
      // 101 alone among the informational ones: WebSocket answers are made with it.
      if (!(code >= 200 && code <= 599) && code !== 101)
        throw new RangeError("Responses may only be constructed with status codes in the range 200 to 599, inclusive.");
      this.#status = code | 0;
    }
    if (statusText !== undefined) {
      const text = toByteString(statusText, "statusText");
      for (let i = 0; i < text.length; i++) {
        const code = text.charCodeAt(i);
        if (code < 32 && code !== 9) throw new TypeError("Invalid statusText");
      }
      this.#statusText = text;
    }
    this.#headers = headers === undefined ? new Headers() : new Headers(headers);
    if (isObject(cf)) this.#cf = cf;
    if (webSocket !== undefined && webSocket !== null) this.#webSocket = webSocket;
    if (encodeBody === "manual") this.#encodeBody = "manual";
  }

  static error() {
    const response = new Response(internal);
    response.#status = 0;
    response.#type = "error";
    response.#headers = headersSetImmutable(new Headers());
    response.#body = noBody();
    return response;
  }

  static redirect(url, status = 302) {
    const target = new URL(url);
    if (!redirectStatuses.includes(+status))
      throw new RangeError(`${status} is not a redirect status code.`);
    const response = new Response(null, { status });
    headersAppendRaw(response.#headers, "location", target.href);
    headersSetImmutable(response.#headers);
    return response;
  }

  static json(data, init = undefined) {
    const text = JSONStringify(data);
    if (text === undefined) throw new TypeError("Value is not JSON serializable");
    const response = new Response(internal);
    response.#body = new Body(BODY_TEXT, text);
    if (init === undefined || init === null) response.#headers = new Headers();
    else response.#initialize(init);
    headersSetIfMissing(response.#headers, "content-type", "application/json");
    const status = response.#status;
    if (status === 101 || status === 204 || status === 205 || status === 304)
      throw new TypeError("Response with null body status (101, 204, 205, or 304) cannot have a body.");
    return response;
  }

  get status() {
    return this.#status;
  }

  get statusText() {
    return this.#statusText;
  }

  get ok() {
    return this.#status >= 200 && this.#status <= 299;
  }

  get headers() {
    return this.#headers;
  }

  get type() {
    return this.#type;
  }

  get url() {
    return this.#url;
  }

  get redirected() {
    return this.#redirected;
  }

  get cf() {
    return this.#cf;
  }

  get webSocket() {
    return this.#webSocket;
  }

  get body() {
    return this.#body.stream();
  }

  get bodyUsed() {
    return this.#body.isUsed();
  }

  clone() {
    if (this.#body.isUnusable()) throw new TypeError("Cannot clone a response whose body has already been used.");
    const copy = new Response(internal);
    copy.#status = this.#status;
    copy.#statusText = this.#statusText;
    copy.#headers = headersCopy(this.#headers);
    copy.#body = this.#body.clone();
    copy.#type = this.#type;
    copy.#url = this.#url;
    copy.#redirected = this.#redirected;
    copy.#cf = this.#cf;
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
    isResponse = (value) => isObject(value) && #status in value;
    responseHeaders = (response) => response.#headers;
    responseStatus = (response) => response.#status;
    responseBody = (response) => response.#body;
    responseWebSocket = (response) => response.#webSocket;
    // Of an answer that came from outside.
    responseInner = (status, headers, body, url, redirected) => {
      const response = new Response(internal);
      response.#status = status;
      response.#statusText = statusTexts[status] ?? "";
      response.#headers = headersSetImmutable(headers);
      response.#body = body;
      response.#url = url;
      response.#redirected = redirected;
      response.#type = "default";
      return response;
    };
  }
}
defineInterface(Response, "Response");
Object.defineProperty(Response, "length", { value: 0, configurable: true });

const statusTexts = {
  200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content", 301: "Moved Permanently",
  302: "Found", 303: "See Other", 304: "Not Modified", 307: "Temporary Redirect", 308: "Permanent Redirect",
  400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
  409: "Conflict", 410: "Gone", 413: "Payload Too Large", 415: "Unsupported Media Type", 418: "I'm a teapot",
  422: "Unprocessable Entity", 429: "Too Many Requests", 500: "Internal Server Error", 501: "Not Implemented",
  502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
};
