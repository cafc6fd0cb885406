// SPDX-License-Identifier: Apache-2.0
// https://fetch.spec.whatwg.org/#response-class

import { JSONStringify, MathTrunc, ObjectDefineProperty, ObjectFreeze, RangeError, Symbol, TypeError } from "./primordials.js";
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
  rejectIllegalInvocation,
} from "./body.js";
import {
  Headers,
  headersAppendRaw,
  headersCopy,
  headersGet,
  headersIsImmutable,
  headersSetIfMissing,
  headersSetImmutable,
} from "./headers.js";
import { statusText as standardText } from "./status-text.js";
import { defineInterface, isObject, toByteString } from "./webidl.js";
import { URL } from "./url.js";

const internal = Symbol("internal");

// What few responses have; theirs is a copy.
const ordinary = ObjectFreeze({
  statusText: "",
  type: "default",
  url: "",
  redirected: false,
  cf: undefined,
  webSocket: null,
  encodeBody: "automatic",
});

export let isResponse, responseHeaders, responseStatus, responseBody, responseInner, responseWebSocket;

function isNullBodyStatus(status) {
  return status === 204 || status === 304 || status === 205 || status === 101;
}

function bodyNotAllowed() {
  return new TypeError("Response with null body status (101, 204, 205, or 304) cannot have a body.");
}

export class Response {
  #status = 200;
  #headers;
  #body;
  #rare = ordinary;

  constructor(body = null, init = undefined) {
    if (body === internal) return; // filled in by its maker
    let type = null;
    if (typeof body === "string") {
      this.#body = new Body(BODY_TEXT, body);
      type = "text/plain;charset=UTF-8";
    } else if (body === null || body === undefined) {
      this.#body = noBody;
    } else {
      const extracted = extractBody(body);
      this.#body = extracted[0];
      type = extracted[1];
    }
    if (init === undefined || init === null) this.#headers = new Headers();
    else this.#initialize(init);
    if (this.#body.kind !== BODY_NONE) {
      if (isNullBodyStatus(this.#status)) {
        if (body !== "") throw bodyNotAllowed();
        this.#body = noBody;
      } else if (type !== null) {
        headersSetIfMissing(this.#headers, "content-type", type);
      }
    }
  }

  #initialize(init) {
    if (!isObject(init))
      throw new TypeError(
        "Failed to construct 'Response': constructor parameter 2 is not of type 'InitializerDict or Response'.",
      );
    if (#status in init) {
      this.#status = init.#status;
      this.#headers = headersCopy(init.#headers);
      const { statusText, cf, webSocket, encodeBody } = init.#rare;
      this.#rare = { ...ordinary, statusText, cf, webSocket, encodeBody };
      return;
    }
    const { status, statusText, headers, cf, webSocket, encodeBody } = init;
    const socket = webSocket === undefined ? null : webSocket;
    if (status !== undefined) {
      const code = MathTrunc(+status);
      // 101 belongs to WebSocket answers alone.
      if (!(code >= 200 && code <= 599) && !(code === 101 && socket !== null))
        throw new RangeError("Responses may only be constructed with status codes in the range 200 to 599, inclusive.");
      this.#status = code;
    }
    this.#headers = headers === undefined ? new Headers() : new Headers(headers);
    if (statusText === undefined && cf === undefined && socket === null && encodeBody === undefined) return;
    this.#rare = {
      ...ordinary,
      statusText: statusText === undefined ? "" : checkStatusText(statusText),
      cf: isObject(cf) ? cf : undefined,
      webSocket: socket,
      encodeBody: encodeBody === undefined ? "automatic" : checkEncodeBody(encodeBody),
    };
  }

  static error() {
    const response = new Response(internal);
    response.#status = 0;
    response.#headers = headersSetImmutable(new Headers());
    response.#body = noBody;
    response.#rare = { ...ordinary, type: "error" };
    return response;
  }

  static redirect(url, status = 302) {
    let target;
    try {
      target = new URL(url);
    } catch {
      throw new TypeError(`Unable to parse URL: ${url}`);
    }
    const code = +status;
    if (code !== 301 && code !== 302 && code !== 303 && code !== 307 && code !== 308)
      throw new RangeError(
        `${status} is not a redirect status code. It must be one of: 301, 302, 303, 307, or 308.`,
      );
    const response = new Response(internal);
    response.#status = code;
    response.#headers = new Headers();
    response.#body = noBody;
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
    if (isNullBodyStatus(response.#status)) throw bodyNotAllowed();
    return response;
  }

  clone() {
    if (this.#rare.webSocket !== null) throw new TypeError("Cannot clone a response to a WebSocket handshake.");
    if (this.#body.isUnusable()) throw new TypeError("Cannot clone a response whose body has already been used.");
    const copy = new Response(internal);
    copy.#status = this.#status;
    copy.#headers = headersCopy(this.#headers);
    if (headersIsImmutable(this.#headers)) headersSetImmutable(copy.#headers);
    copy.#body = this.#body.clone();
    copy.#rare = this.#rare;
    return copy;
  }

  get status() {
    return this.#status;
  }

  get statusText() {
    return this.#rare.statusText;
  }

  get headers() {
    return this.#headers;
  }

  get ok() {
    return this.#status >= 200 && this.#status <= 299;
  }

  get redirected() {
    return this.#rare.redirected;
  }

  get url() {
    return this.#rare.url;
  }

  get webSocket() {
    return this.#rare.webSocket;
  }

  get cf() {
    return this.#rare.cf;
  }

  get type() {
    return this.#rare.type;
  }

  get body() {
    return this.#body.stream();
  }

  get bodyUsed() {
    return this.#body.isUsed();
  }

  arrayBuffer() {
    return isResponse(this) ? bodyArrayBuffer(this.#body) : rejectIllegalInvocation();
  }

  bytes() {
    return isResponse(this) ? bodyBytes(this.#body) : rejectIllegalInvocation();
  }

  text() {
    return isResponse(this) ? bodyText(this.#body) : rejectIllegalInvocation();
  }

  json() {
    return isResponse(this) ? bodyJson(this.#body) : rejectIllegalInvocation();
  }

  formData() {
    return isResponse(this)
      ? bodyFormData(this.#body, headersGet(this.#headers, "content-type"))
      : rejectIllegalInvocation();
  }

  blob() {
    return isResponse(this)
      ? bodyBlob(this.#body, headersGet(this.#headers, "content-type"))
      : rejectIllegalInvocation();
  }

  static {
    isResponse = (value) => isObject(value) && #status in value;
    responseHeaders = (response) => response.#headers;
    responseStatus = (response) => response.#status;
    responseBody = (response) => response.#body;
    responseWebSocket = (response) => response.#rare.webSocket;
    // An answer that came from outside.
    responseInner = (status, headers, body, url, redirected) => {
      const response = new Response(internal);
      response.#status = status;
      response.#headers = headersSetImmutable(headers);
      response.#body = body;
      response.#rare = { ...ordinary, statusText: standardText(status), url, redirected };
      return response;
    };
  }
}
defineInterface(Response, "Response");
ObjectDefineProperty(Response, "length", { value: 0, configurable: true });
ObjectDefineProperty(Response.json, "length", { value: 1, configurable: true });
ObjectDefineProperty(Response.redirect, "length", { value: 1, configurable: true });

function checkStatusText(value) {
  const text = toByteString(value, "statusText");
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if ((code < 32 && code !== 9) || code === 127) throw new TypeError("Invalid statusText");
  }
  return text;
}

function checkEncodeBody(value) {
  const mode = `${value}`;
  if (mode !== "automatic" && mode !== "manual") throw new TypeError(`encodeBody: unexpected value: ${mode}`);
  return mode;
}
