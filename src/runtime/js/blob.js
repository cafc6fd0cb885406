// SPDX-License-Identifier: Apache-2.0
// https://w3c.github.io/FileAPI/ : the bytes of a Blob are always in memory.

import { TypeError, Uint8Array } from "./primordials.js";
import { native } from "./native.js";
import { copyBytes, defineInterface, isBufferSource, isObject, requireArguments, toLongLong, toLongLongClamped, toSequence, toUSVString } from "./webidl.js";
import { joinChunks, streamFromBytes } from "./streams.js";

export let isBlob, blobBytes;
const internal = Symbol("internal");

function normalizeType(value) {
  const type = `${value}`;
  return /^[\x20-\x7e]*$/.test(type) ? type.toLowerCase() : "";
}

export class Blob {
  #bytes;
  #type = "";

  constructor(parts = undefined, options = undefined) {
    if (parts === internal) {
      this.#bytes = options.bytes;
      this.#type = options.type;
      return;
    }
    const chunks = [];
    let total = 0;
    if (parts !== undefined) {
      if (!isObject(parts)) throw new TypeError("Blob constructor: the parts are not a sequence");
      toSequence(parts, (part) => {
        const bytes = isBlob(part) ? part.#bytes : isBufferSource(part) ? copyBytes(part) : native.utf8Encode(toUSVString(part));
        chunks.push(bytes);
        total += bytes.byteLength;
      }, "Blob constructor: the parts");
    }
    if (options !== undefined && options !== null && !isObject(options)) throw new TypeError("Blob constructor: options is not an object");
    this.#bytes = chunks.length === 0 ? new Uint8Array(0) : joinChunks(chunks, total);
    if (options?.type !== undefined) this.#type = normalizeType(options.type);
  }

  get size() {
    return this.#bytes.byteLength;
  }

  get type() {
    return this.#type;
  }

  slice(start = undefined, end = undefined, contentType = undefined) {
    const { byteLength } = this.#bytes;
    const clamp = (value, fallback) => {
      if (value === undefined) return fallback;
      const at = toLongLongClamped(value);
      return at < 0 ? Math.max(byteLength + at, 0) : Math.min(at, byteLength);
    };
    const from = clamp(start, 0), to = clamp(end, byteLength);
    return new Blob(internal, {
      bytes: this.#bytes.subarray(from, Math.max(from, to)),
      type: contentType === undefined ? "" : normalizeType(contentType),
    });
  }

  async text() {
    return native.utf8Decode(this.#bytes, false, false);
  }

  async arrayBuffer() {
    return this.#bytes.slice().buffer;
  }

  async bytes() {
    return this.#bytes.slice();
  }

  stream() {
    return streamFromBytes(this.#bytes.slice());
  }

  static {
    isBlob = (value) => isObject(value) && #bytes in value;
    blobBytes = (blob) => blob.#bytes;
  }
}
defineInterface(Blob, "Blob");

export class File extends Blob {
  #name;
  #lastModified;

  constructor(parts, name, options = undefined) {
    requireArguments(arguments.length, 2, "File constructor");
    super(parts, options);
    this.#name = toUSVString(name);
    this.#lastModified = options?.lastModified === undefined ? Date.now() : toLongLong(options.lastModified);
  }

  get name() {
    return this.#name;
  }

  get lastModified() {
    return this.#lastModified;
  }
}
defineInterface(File, "File");
