// SPDX-License-Identifier: Apache-2.0
// https://fetch.spec.whatwg.org/#body-mixin
//
// A Body is nothing, text, bytes, or a stream. Text and bytes become a stream only when somebody asks
// for `body`, so that text(), json() and the answer to the client never see one otherwise.

import {
  ArrayBufferSlice,
  JSONParse,
  StringIndexOf,
  StringSlice,
  StringToLowerCase,
  TypedArrayBuffer,
  TypedArrayByteLength,
  TypedArrayByteOffset,
  TypeError,
  Uint8Array,
  promiseReject,
  promiseResolve,
  promiseThen,
} from "./primordials.js";
import { native } from "./native.js";
import { copyBytes, isBufferSource, toUSVString, isObject } from "./webidl.js";
import { collectBytes, isDisturbed, isLocked, knownLength, streamFromBytes, teeForClone } from "./streams.js";
import { isReadableStream } from "./streams/readable-stream.js";
import { Blob, blobBytes, isBlob } from "./blob.js";
import { FormData, formDataToMultipart, isFormData, parseFormData } from "./formdata.js";
import { URLSearchParams, isURLSearchParams } from "./url.js";

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
    if (this.kind !== BODY_STREAM) return new Body(this.kind, this.content);
    const branches = teeForClone(this.content);
    this.content = branches[0];
    return new Body(BODY_STREAM, branches[1]);
  }
}

export const noBody = () => new Body(BODY_NONE, undefined);

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
  }
  return [new Body(BODY_TEXT, toUSVString(init)), "text/plain;charset=UTF-8"];
}

// ---- reading: body is the owner's Body ----

function takeBytes(body) {
  if (body.isUnusable())
    return promiseReject(
      new TypeError(
        body.kind === BODY_STREAM && isLocked(body.content) && !isDisturbed(body.content)
          ? "This ReadableStream is currently locked to a reader."
          : "Body has already been used. It can only be used once. Use tee() first if you need to read it twice.",
      ),
    );
  switch (body.kind) {
    case BODY_NONE:
      return promiseResolve(new Uint8Array(0));
    case BODY_TEXT:
      body.used = true;
      return promiseResolve(native.utf8Encode(body.content));
    case BODY_BYTES: {
      body.used = true;
      return promiseResolve(body.content);
    }
    default:
      return collectBytes(body.content);
  }
}

const decode = (bytes) => native.utf8Decode(bytes, false, false);

export function bodyText(body) {
  if (body.kind === BODY_TEXT && !body.used) {
    body.used = true;
    const { content } = body;
    // A leading byte order mark and lone surrogates would not survive the bytes in between.
    return promiseResolve(content.isWellFormed() && content.charCodeAt(0) !== 0xfeff ? content : decode(native.utf8Encode(content)));
  }
  return promiseThen(takeBytes(body), decode);
}

export function bodyJson(body) {
  if (body.kind === BODY_NONE && !body.used) return promiseThen(promiseResolve(""), JSONParse1);
  return promiseThen(bodyText(body), JSONParse1);
}
const JSONParse1 = (text) => JSONParse(text);

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
  const kind = type === null ? "" : essence(type);
  if (kind !== "multipart/form-data" && kind !== "application/x-www-form-urlencoded")
    return promiseReject(
      new TypeError(
        `Unrecognized Content-Type header value. FormData can only parse the following MIME types: multipart/form-data, application/x-www-form-urlencoded.`,
      ),
    );
  return promiseThen(takeBytes(body), (bytes) => {
    if (kind === "multipart/form-data") return parseFormData(bytes, type);
    const form = new FormData();
    new URLSearchParams(decode(bytes)).forEach((value, name) => form.append(name, value));
    return form;
  });
}
