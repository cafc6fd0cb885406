// SPDX-License-Identifier: Apache-2.0
// The fast path: bytes that come from outside the engine (the body of a request, of a fetched
// response), or that are in memory, reach text(), arrayBuffer() or the response without passing
// through the queue of a JavaScript stream.
//
// A NativeSource takes the bytes. Either nobody reads it yet (chunks wait in `chunks`), or a stream
// was made of it (they still wait there, until that stream's pull), or a sink took it over: then
// each chunk goes straight to the sink. The chunks are views that nobody else holds.

import { TypeError, Uint8Array, promiseWithResolvers } from "../primordials.js";
import { native } from "../native.js";
import { Queue } from "./common.js";
import { ByteController, READABLE, controllerStart, readableClose, readableError } from "./readable.js";

const OPEN = 0, CLOSED = 1, FAILED = 2;

export class NativeSource {
  chunks = new Queue();
  bytesWaiting = 0;
  state = OPEN;
  reason = undefined;
  stream = undefined; // ReadableImpl
  wanted = false; // the stream's pull found nothing
  sink = undefined;
  expected = 0; // bytes that will come in all, if that is known
  onWanted = undefined; // a reader asks, and there is nothing

  // onConsumed(bytes): the worker took that many (flow control). onCancel(reason): it wants no more.
  constructor(onConsumed = undefined, onCancel = undefined) {
    this.onConsumed = onConsumed;
    this.onCancel = onCancel;
  }

  // From outside: one chunk, the end, an error. After the end or an error nothing comes.
  push(bytes) {
    if (this.state !== OPEN || bytes.byteLength === 0) return;
    if (this.sink !== undefined) {
      this.consumed(bytes.byteLength);
      this.sink.chunk(bytes);
      return;
    }
    if (this.wanted) {
      this.wanted = false;
      this.consumed(bytes.byteLength);
      this.stream.controller.enqueueOwned(bytes);
      return;
    }
    this.chunks.push(bytes);
    this.bytesWaiting += bytes.byteLength;
  }

  close() {
    if (this.state !== OPEN) return;
    this.state = CLOSED;
    if (this.sink !== undefined) this.sink.close();
    else if (this.stream !== undefined && this.chunks.length === 0) this.closeStream();
  }

  fail(reason) {
    if (this.state !== OPEN) return;
    this.state = FAILED;
    this.reason = reason;
    this.chunks.clear();
    if (this.sink !== undefined) this.sink.error(reason);
    else if (this.stream !== undefined) this.stream.controller.error(reason);
  }

  // Bytes have come that nobody has read.
  hasUnread() {
    return this.chunks.length > 0 || (this.stream !== undefined && this.stream.controller.total > 0);
  }

  consumed(bytes) {
    if (this.onConsumed !== undefined) this.onConsumed(bytes);
  }

  cancel(reason) {
    this.chunks.clear();
    if (this.state !== OPEN) return;
    this.state = FAILED;
    this.reason = reason;
    if (this.onCancel !== undefined) this.onCancel(reason);
  }

  closeStream() {
    const { controller } = this.stream;
    controller.close();
    // A BYOB read that waits gets its empty view back, as respond(0) would do it.
    if (controller.pendingPullIntos.length > 0) controller.respond(0);
  }

  // ---- of a stream ----

  attach(stream) {
    this.stream = stream;
    stream.source = this;
    const controller = new ByteController(
      stream, () => this.pull(), (reason) => this.cancelFromStream(reason), 0, undefined,
    );
    controllerStart(controller, undefined, false);
    if (this.state === FAILED) controller.error(this.reason);
    else if (this.state === CLOSED && this.chunks.length === 0) controller.close();
  }

  pull() {
    if (this.chunks.length > 0) {
      const bytes = this.chunks.shift();
      this.bytesWaiting -= bytes.byteLength;
      this.consumed(bytes.byteLength);
      this.stream.controller.enqueueOwned(bytes);
      if (this.state === CLOSED && this.chunks.length === 0) this.closeStream();
    } else {
      this.wanted = true;
      if (this.onWanted !== undefined) this.onWanted();
    }
  }

  cancelFromStream(reason) {
    this.cancel(reason);
  }

  // ---- of a sink ----

  // Hands everything to sink: chunk(bytes), close(), error(reason). What waits goes at once.
  pipe(sink) {
    this.sink = sink;
    const { chunks } = this;
    while (chunks.length > 0) {
      const bytes = chunks.shift();
      this.consumed(bytes.byteLength);
      sink.chunk(bytes);
    }
    this.bytesWaiting = 0;
    if (this.state === CLOSED) sink.close();
    else if (this.state === FAILED) sink.error(this.reason);
  }

  // All the bytes, as one promise of a Uint8Array that nobody else holds.
  collect() {
    const collector = new Collector(this.expected);
    this.pipe(collector);
    return collector.deferred.promise;
  }
}

// Joins chunks; also the read request of a stream that is read to its end.
export class Collector {
  chunks = [];
  bytes = 0;
  all = undefined; // where the bytes go when it is known how many will come: once in memory, not twice
  deferred = promiseWithResolvers();

  constructor(expected) {
    this.expected = expected;
  }

  chunk(bytes) {
    const end = this.bytes + bytes.byteLength;
    if (this.bytes === 0 && end < this.expected) this.all = roomFor(this.expected);
    if (this.all !== undefined && end <= this.expected) this.all.set(bytes, this.bytes);
    else this.chunks[this.chunks.length] = bytes;
    this.bytes = end;
  }

  close() {
    const { chunks, all, bytes } = this;
    this.chunks = this.all = undefined;
    if (all === undefined) this.deferred.resolve(joinChunks(chunks, bytes));
    else if (bytes === this.expected) this.deferred.resolve(all);
    else this.deferred.resolve(joinChunks([all.subarray(0, bytes - sizeOf(chunks)), ...chunks], bytes));
  }

  error(reason) {
    this.chunks = this.all = undefined;
    this.deferred.reject(reason);
  }
}

function roomFor(bytes) {
  native.makeRoom(bytes);
  return new Uint8Array(bytes);
}

function sizeOf(chunks) {
  let bytes = 0;
  for (let i = 0; i < chunks.length; i++) bytes += chunks[i].byteLength;
  return bytes;
}

export function joinChunks(chunks, bytes) {
  if (chunks.length === 1) return chunks[0];
  const all = roomFor(bytes);
  let offset = 0;
  for (let i = 0; i < chunks.length; i++) {
    all.set(chunks[i], offset);
    offset += chunks[i].byteLength;
  }
  return all;
}
