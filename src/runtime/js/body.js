// SPDX-License-Identifier: Apache-2.0
// https://fetch.spec.whatwg.org/#body-mixin
//
// A Body is nothing, text, bytes, or a stream. Text and bytes become a stream only when somebody asks
// for `body`, so that text(), json() and the answer to the client never see one otherwise.

import {
  ArrayBufferSlice,
  JSONParse,
  StringCharCodeAt,
  StringIndexOf,
  StringIsWellFormed,
  StringSlice,
  StringToLowerCase,
  SymbolAsyncIterator,
  TypedArrayBuffer,
  TypedArrayByteLength,
  TypedArrayByteOffset,
  TypedArraySlice,
  TypeError,
  Uint8Array,
  promiseReject,
  promiseResolve,
  promiseThen,
} from "./primordials.js";
import { native } from "./native.js";
import { copyBytes, isBufferSource, isObject, toDOMString } from "./webidl.js";
import {
  ReadableStream,
  collectBytes,
  isDisturbed,
  isLocked,
  isReadableStream,
  knownLength,
  streamFromBytes,
  teeForClone,
} from "./streams.js";
import { Blob, blobBytes, isBlob } from "./blob.js";
import { FormData, formDataToMultipart, isFormData, parseFormData } from "./formdata.js";
import { URLSearchParams, isURLSearchParams } from "./url.js";

const { from } = ReadableStream;

export const BODY_NONE = 0, BODY_TEXT = 1, BODY_BYTES = 2, BODY_STREAM = 3;

export class Body {
  used = false;
  constructor(kind, content) {
    this.kind = kind;
    this.content = content; // string, Uint8Array, or ReadableStream
  }

  get length() {
    switch (this.kind) {
      case BODY_NONE:
        return 0;
      case BODY_TEXT:
        return native.utf8Length(this.content);
      case BODY_BYTES:
        return TypedArrayByteLength.call(this.content);
      default:
        return knownLength(this.content);
    }
  }

  isUsed() {
    return this.kind === BODY_STREAM ? isDisturbed(this.content) : this.used;
  }

  // Nobody may read it any more.
  isUnusable() {
    return this.kind === BODY_STREAM ? isDisturbed(this.content) || isLocked(this.content) : this.used;
  }

  stream() {
    if (this.kind === BODY_NONE) return null;
    if (this.kind !== BODY_STREAM) {
      const bytes = this.kind === BODY_TEXT ? native.utf8Encode(this.content) : this.content;
      const { used } = this;
      this.kind = BODY_STREAM;
      this.content = streamFromBytes(bytes);
      if (used) collectBytes(this.content); // `body` of a body that was read is a disturbed stream
    }
    return this.content;
  }

  clone() {
    if (this.kind === BODY_NONE) return this;
    if (this.kind === BODY_TEXT) return new Body(BODY_TEXT, this.content);
    // Each may hand out its bytes as its own.
    if (this.kind === BODY_BYTES) return new Body(BODY_BYTES, TypedArraySlice.call(this.content));
    const branches = teeForClone(this.content);
    this.content = branches[0];
    return new Body(BODY_STREAM, branches[1]);
  }
}

// One for all: nothing about it ever changes.
export const noBody = new Body(BODY_NONE, undefined);

// In the place of a body that moved to another request.
export function usedBody() {
  const body = new Body(BODY_TEXT, "");
  body.used = true;
  return body;
}

// https://fetch.spec.whatwg.org/#concept-bodyinit-extract
// → [Body, content type or null]
export function extractBody(init) {
  if (typeof init === "string") return [new Body(BODY_TEXT, init), "text/plain;charset=UTF-8"];
  if (isObject(init)) {
    if (isReadableStream(init)) {
      if (isDisturbed(init) || isLocked(init))
        throw new TypeError(
          isLocked(init)
            ? "This ReadableStream is currently locked to a reader."
            : "This ReadableStream is disturbed (has already been read from), and cannot be used as a body.",
        );
      return [new Body(BODY_STREAM, init), null];
    }
    if (isBufferSource(init)) return [new Body(BODY_BYTES, copyBytes(init)), null];
    if (isBlob(init)) return [new Body(BODY_BYTES, blobBytes(init)), init.type === "" ? null : init.type];
    if (isFormData(init)) {
      const { bytes, type } = formDataToMultipart(init);
      return [new Body(BODY_BYTES, bytes), type];
    }
    if (isURLSearchParams(init))
      return [new Body(BODY_TEXT, init.toString()), "application/x-www-form-urlencoded;charset=UTF-8"];
    if (typeof init[SymbolAsyncIterator] === "function") return [new Body(BODY_STREAM, from.call(ReadableStream, init)), null];
  }
  return [new Body(BODY_TEXT, toDOMString(init)), "text/plain;charset=UTF-8"];
}

// ---- reading: body is the owner's Body ----

export function rejectIllegalInvocation() {
  return promiseReject(
    new TypeError(
      "Illegal invocation: function called with incorrect `this` reference. See https://developers.cloudflare.com/workers/observability/errors/#illegal-invocation-errors for details.",
    ),
  );
}

function unusable(body) {
  return promiseReject(
    new TypeError(
      body.kind === BODY_STREAM && isLocked(body.content) && !isDisturbed(body.content)
        ? "This ReadableStream is currently locked to a reader."
        : "Body has already been used. It can only be used once. Use tee() first if you need to read it twice.",
    ),
  );
}

// A promise of all bytes; the caller owns them.
function takeBytes(body) {
  if (body.isUnusable()) return unusable(body);
  if (body.kind === BODY_STREAM) return collectBytes(body.content);
  return promiseResolve(takeBytesNow(body));
}

// Of a body that is no stream and may be read.
function takeBytesNow(body) {
  switch (body.kind) {
    case BODY_TEXT:
      body.used = true;
      return native.utf8Encode(body.content);
    case BODY_BYTES:
      body.used = true;
      return body.content;
    default:
      return new Uint8Array(0);
  }
}

function takeTextNow(body) {
  if (body.kind === BODY_NONE) return "";
  body.used = true;
  const { content } = body;
  if (body.kind === BODY_BYTES) return decode(content);
  // A leading byte order mark and lone surrogates do not survive the bytes in between.
  return StringIsWellFormed.call(content) && StringCharCodeAt.call(content, 0) !== 0xfeff
    ? content
    : decode(native.utf8Encode(content));
}

function decode(bytes) {
  native.makeRoom(bytes.byteLength);
  return native.utf8Decode(bytes, false, false);
}
const parse = (text) => JSONParse(text);

export function bodyText(body) {
  if (body.isUnusable()) return unusable(body);
  if (body.kind === BODY_STREAM) return promiseThen(collectBytes(body.content), decode);
  return promiseResolve(takeTextNow(body));
}

export function bodyJson(body) {
  if (body.kind === BODY_STREAM || body.used) return promiseThen(bodyText(body), parse);
  try {
    return promiseResolve(JSONParse(takeTextNow(body)));
  } catch (error) {
    return promiseReject(error);
  }
}

function exactBuffer(bytes) {
  const buffer = TypedArrayBuffer.call(bytes), offset = TypedArrayByteOffset.call(bytes);
  const length = TypedArrayByteLength.call(bytes);
  return offset === 0 && length === buffer.byteLength
    ? buffer
    : ArrayBufferSlice.call(buffer, offset, offset + length);
}

export function bodyArrayBuffer(body) {
  return promiseThen(takeBytes(body), exactBuffer);
}

export function bodyBytes(body) {
  return takeBytes(body);
}

export function bodyBlob(body, type) {
  return promiseThen(takeBytes(body), (bytes) => new Blob([bytes], { type: blobType(type) }));
}

function blobType(type) {
  return type === null ? "" : StringToLowerCase.call(type).replace(/;\s+/g, ";");
}

export function essence(type) {
  const semicolon = StringIndexOf.call(type, ";");
  return StringToLowerCase.call(semicolon < 0 ? type : StringSlice.call(type, 0, semicolon)).trim();
}

export function bodyFormData(body, type) {
  if (type === null)
    return promiseReject(new TypeError("Parsing a Body as FormData requires a Content-Type header."));
  const kind = essence(type);
  if (kind !== "multipart/form-data" && kind !== "application/x-www-form-urlencoded")
    return promiseReject(
      new TypeError(
        `Unrecognized Content-Type header value. FormData can only parse the following MIME types: multipart/form-data, application/x-www-form-urlencoded`,
      ),
    );
  return promiseThen(takeBytes(body), (bytes) => {
    if (kind === "multipart/form-data") return parseFormData(bytes, type);
    const form = new FormData();
    new URLSearchParams(decode(bytes)).forEach((value, name) => form.append(name, value));
    return form;
  });
}
