// SPDX-License-Identifier: Apache-2.0
// node:stream: Node's own streams as npm's readable-stream publishes them, and the bridges to web
// streams.

import "./buffer.js"; // patched before readable-stream uses it
import "./events.js";
import "./process.js"; // and its scheduler is set
import npm from "readable-stream";

import * as bridges from "./stream-web-bridges.js";

export const {
  Duplex,
  PassThrough,
  Readable,
  Stream,
  Transform,
  Writable,
  addAbortSignal,
  compose,
  destroy,
  finished,
  isDisturbed,
  isErrored,
  isReadable,
  pipeline,
} = npm;
export const { promises } = Stream;

bridges.install({ Duplex, Readable, Writable, finished });

const defaults = { bytes: 64 * 1024, objects: 16 };
export const getDefaultHighWaterMark = (objectMode) => (objectMode ? defaults.objects : defaults.bytes);
export function setDefaultHighWaterMark(objectMode, value) {
  defaults[objectMode ? "objects" : "bytes"] = value;
}
export const isWritable = (stream) => (typeof stream?.writable === "boolean" ? stream.writable : null);
export const isDestroyed = (stream) => (typeof stream?.destroyed === "boolean" ? stream.destroyed : null);

for (const [name, value] of Object.entries({ getDefaultHighWaterMark, isDestroyed, isWritable, setDefaultHighWaterMark })) {
  Stream[name] ??= value;
}
export const _isArrayBufferView = ArrayBuffer.isView;
export const { _isUint8Array, _uint8ArrayToBuffer } = npm;

export default Stream;
