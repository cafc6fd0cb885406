// SPDX-License-Identifier: Apache-2.0
// https://compression.spec.whatwg.org/

import { TypeError, Uint8Array } from "./primordials.js";
import { native } from "./native.js";
import { bytesOf, defineInterface, requireArguments, toDOMString } from "./webidl.js";
import { createTransform } from "./streams/transform.js";

const formats = ["gzip", "deflate", "deflate-raw"];
const nothing = new Uint8Array(0);

function makeTransform(format, mode) {
  const name = toDOMString(format);
  if (!formats.includes(name)) throw new TypeError(`The compression format "${name}" is not one of: gzip, deflate, deflate-raw.`);
  const codec = native.codec.create(name, mode);
  const push = (controller, bytes, finish) => {
    let out = native.codec.push(codec, bytes, finish);
    if (out.byteLength > 0) controller.enqueue(out);
    while (native.codec.more(codec)) {
      out = native.codec.push(codec, nothing, finish);
      if (out.byteLength > 0) controller.enqueue(out);
    }
  };
  return createTransform({
    transform: (chunk, controller) => push(controller, bytesOf(chunk, "The chunk"), false),
    flush: (controller) => push(controller, nothing, true),
  });
}

export class CompressionStream {
  #transform;

  constructor(format) {
    requireArguments(arguments.length, 1, "CompressionStream constructor");
    this.#transform = makeTransform(format, "compress");
  }

  get readable() {
    return this.#transform.readable;
  }

  get writable() {
    return this.#transform.writable;
  }
}
defineInterface(CompressionStream, "CompressionStream");

export class DecompressionStream {
  #transform;

  constructor(format) {
    requireArguments(arguments.length, 1, "DecompressionStream constructor");
    this.#transform = makeTransform(format, "decompress");
  }

  get readable() {
    return this.#transform.readable;
  }

  get writable() {
    return this.#transform.writable;
  }
}
defineInterface(DecompressionStream, "DecompressionStream");
