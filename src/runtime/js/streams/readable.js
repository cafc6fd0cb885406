// SPDX-License-Identifier: Apache-2.0
// The internals of readable streams: states, readers, the default and the byte controller.
// https://streams.spec.whatwg.org/#rs
//
// A read request is an object with chunk(value), close() and error(reason); a read-into request's
// close takes a view. No promise is made for a chunk unless the worker's own read() asks for one.

import {
  ArrayBuffer,
  ArrayBufferByteLength,
  ArrayBufferSlice,
  ArrayBufferTransfer,
  ArrayBufferIsView,
  DataView,
  MathMin,
  RangeError,
  TypeError,
  TypedArrayName,
  TypedArraySet,
  Uint8Array,
  noop,
  promiseReject,
  promiseResolve,
  promiseThen,
} from "../primordials.js";
import {
  defineInterface,
  illegalConstructor,
  requireArguments,
  toIntegerEnforced,
  viewBuffer,
  viewByteLength,
  viewByteOffset,
} from "../webidl.js";
import { LazyPromise, Queue, isDetached, upon } from "./common.js";

const internal = Symbol("internal");

export const READABLE = 0, CLOSED = 1, ERRORED = 2;

export class ReadableImpl {
  state = READABLE;
  reader = undefined;
  storedError = undefined;
  disturbed = false;
  controller = undefined;
  expectedBytes = undefined; // of a FixedLengthStream
  source = undefined; // a NativeSource whose bytes come from outside the engine
  self = undefined; // the public object
}

// ---- readers ----

export class DefaultReader {
  stream;
  closed;
  requests = new Queue();
  byob = false;

  constructor(stream) {
    attachReader(this, stream);
  }
}

export class ByobReader {
  stream;
  closed;
  requests = new Queue();
  byob = true;

  constructor(stream) {
    if (!(stream.controller instanceof ByteController)) {
      if (stream.reader !== undefined) throw new TypeError("The stream is locked to a reader");
      throw new TypeError("A BYOB reader needs a byte stream");
    }
    attachReader(this, stream);
  }
}

function attachReader(reader, stream) {
  if (stream.reader !== undefined) throw new TypeError("The ReadableStream is locked to a reader");
  reader.stream = stream;
  stream.reader = reader;
  if (stream.state === READABLE) reader.closed = new LazyPromise();
  else if (stream.state === CLOSED) reader.closed = LazyPromise.fulfilled();
  else reader.closed = LazyPromise.rejected(stream.storedError);
}

export function readerRelease(reader) {
  const { stream } = reader;
  const error = new TypeError("The reader has been released");
  if (stream.state === READABLE) reader.closed.reject(error);
  else reader.closed = LazyPromise.rejected(error);
  stream.controller.releaseSteps();
  stream.reader = undefined;
  reader.stream = undefined;
  errorRequests(reader, new TypeError("The reader has been released"));
}

function errorRequests(reader, error) {
  if (reader.requests.length === 0) return;
  const requests = reader.requests.takeAll();
  for (let i = 0; i < requests.length; i++) requests[i].error(error);
}

export function readerRead(reader, request) {
  const { stream } = reader;
  stream.disturbed = true;
  if (stream.state === READABLE) stream.controller.pullSteps(request);
  else if (stream.state === CLOSED) request.close();
  else request.error(stream.storedError);
}

export function byobReaderRead(reader, view, min, request) {
  const { stream } = reader;
  stream.disturbed = true;
  if (stream.state === ERRORED) request.error(stream.storedError);
  else stream.controller.pullInto(view, min, request);
}

// ---- stream ----

export function readableCancel(stream, reason) {
  stream.disturbed = true;
  if (stream.state === CLOSED) return promiseResolve(undefined);
  if (stream.state === ERRORED) return promiseReject(stream.storedError);
  readableClose(stream);
  const { reader } = stream;
  if (reader !== undefined && reader.byob) {
    const requests = reader.requests.takeAll();
    for (let i = 0; i < requests.length; i++) requests[i].close(undefined);
  }
  return promiseThen(stream.controller.cancelSteps(reason), noop);
}

export function readableClose(stream) {
  stream.state = CLOSED;
  const { reader } = stream;
  if (reader === undefined) return;
  reader.closed.resolve();
  if (!reader.byob && reader.requests.length > 0) {
    const requests = reader.requests.takeAll();
    for (let i = 0; i < requests.length; i++) requests[i].close();
  }
}

export function readableError(stream, error) {
  stream.state = ERRORED;
  stream.storedError = error;
  const { reader } = stream;
  if (reader === undefined) return;
  reader.closed.reject(error);
  errorRequests(reader, error);
}

function hasWaitingReader(stream) {
  const { reader } = stream;
  return reader !== undefined && reader.requests.length > 0;
}

// ---- both controllers ----

// Calls pull when the stream wants more. An algorithm of the platform's own may return undefined:
// it is done, and no promise is needed to know it.
function callPullIfNeeded(controller) {
  if (!controller.shouldPull()) return;
  if (controller.pulling) {
    controller.pullAgain = true;
    return;
  }
  const { pull } = controller;
  if (pull === undefined) return;
  controller.pulling = true;
  const promise = pull();
  if (promise === undefined) {
    controller.pulling = false;
    while (controller.pullAgain) {
      controller.pullAgain = false;
      callPullIfNeeded(controller);
    }
    return;
  }
  upon(
    promise,
    () => {
      controller.pulling = false;
      if (controller.pullAgain) {
        controller.pullAgain = false;
        callPullIfNeeded(controller);
      }
    },
    (error) => controller.error(error),
  );
}

// Without a start and a pull method nobody can tell when "started" becomes true.
export function controllerStart(controller, startResult, needsTurn) {
  if (!needsTurn) {
    controller.started = true;
    callPullIfNeeded(controller);
    return;
  }
  upon(
    promiseResolve(startResult),
    () => {
      controller.started = true;
      callPullIfNeeded(controller);
    },
    (error) => controller.error(error),
  );
}

// ---- default controller ----

export class DefaultController {
  queue = new Queue();
  sizes = undefined;
  total = 0;
  started = false;
  closeRequested = false;
  pulling = false;
  pullAgain = false;
  self = undefined;

  // pull and cancel: functions that return promises, or undefined.
  constructor(stream, pull, cancel, highWaterMark, size) {
    this.stream = stream;
    this.pull = pull;
    this.cancel = cancel;
    this.highWaterMark = highWaterMark;
    this.size = size;
    if (size !== undefined) this.sizes = new Queue();
    stream.controller = this;
  }

  clearAlgorithms() {
    this.pull = this.cancel = this.size = undefined;
  }

  canCloseOrEnqueue() {
    return !this.closeRequested && this.stream.state === READABLE;
  }

  shouldPull() {
    const { stream } = this;
    if (!this.started || this.closeRequested || stream.state !== READABLE) return false;
    return hasWaitingReader(stream) || this.highWaterMark - this.total > 0;
  }

  desiredSize() {
    const { state } = this.stream;
    return state === ERRORED ? null : state === CLOSED ? 0 : this.highWaterMark - this.total;
  }

  hasBackpressure() {
    return !this.shouldPull();
  }

  close() {
    if (!this.canCloseOrEnqueue()) return;
    this.closeRequested = true;
    if (this.queue.length === 0) {
      this.clearAlgorithms();
      readableClose(this.stream);
    }
  }

  // Throws what the size function threw.
  enqueue(chunk) {
    if (!this.canCloseOrEnqueue()) return;
    const { stream } = this;
    if (hasWaitingReader(stream)) {
      stream.reader.requests.shift().chunk(chunk);
    } else {
      let bytes = 1;
      const { size } = this;
      if (size !== undefined) {
        try {
          bytes = +size(chunk);
          if (!(bytes >= 0) || bytes === 1 / 0)
            throw new RangeError("The size of a chunk must be a finite number that is not negative");
        } catch (error) {
          this.error(error);
          throw error;
        }
        // The size function may have ended the stream; the queue takes the chunk all the same.
      }
      this.queue.push(chunk);
      if (this.sizes !== undefined) this.sizes.push(bytes);
      this.total += bytes;
    }
    callPullIfNeeded(this);
  }

  error(error) {
    if (this.stream.state !== READABLE) return;
    this.resetQueue();
    this.clearAlgorithms();
    readableError(this.stream, error);
  }

  resetQueue() {
    this.queue.clear();
    if (this.sizes !== undefined) this.sizes.clear();
    this.total = 0;
  }

  // What is in the queue goes out at once: the caller knows that it is not empty.
  takeChunk() {
    const chunk = this.queue.shift();
    this.total -= this.sizes === undefined ? 1 : this.sizes.shift();
    if (this.total < 0) this.total = 0; // rounding
    if (this.closeRequested && this.queue.length === 0) {
      this.clearAlgorithms();
      readableClose(this.stream);
    } else {
      callPullIfNeeded(this);
    }
    return chunk;
  }

  pullSteps(request) {
    if (this.queue.length > 0) {
      request.chunk(this.takeChunk());
    } else {
      this.stream.reader.requests.push(request);
      callPullIfNeeded(this);
    }
  }

  cancelSteps(reason) {
    this.resetQueue();
    const { cancel } = this;
    this.clearAlgorithms();
    const promise = cancel === undefined ? undefined : cancel(reason);
    return promise === undefined ? promiseResolve(undefined) : promise;
  }

  releaseSteps() {}
}

export class ReadableStreamDefaultController {
  #impl;

  constructor(token, impl) {
    if (token !== internal) throw illegalConstructor();
    this.#impl = impl;
  }

  get desiredSize() {
    return this.#impl.desiredSize();
  }

  close() {
    if (!this.#impl.canCloseOrEnqueue())
      throw new TypeError("The stream is not in a state that permits close");
    this.#impl.close();
  }

  enqueue(chunk = undefined) {
    if (!this.#impl.canCloseOrEnqueue())
      throw new TypeError("The stream is not in a state that permits enqueue");
    this.#impl.enqueue(chunk);
  }

  error(error = undefined) {
    this.#impl.error(error);
  }
}
defineInterface(ReadableStreamDefaultController, "ReadableStreamDefaultController");

export function newDefaultControllerObject(impl) {
  return (impl.self = new ReadableStreamDefaultController(internal, impl));
}

// ---- byte controller ----

const viewKinds = {
  __proto__: null,
  BigInt64Array, BigUint64Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
  Uint8Array, Uint8ClampedArray, Uint16Array, Uint32Array,
};
if (typeof Float16Array === "function") viewKinds.Float16Array = Float16Array;

class PullInto {
  filled = 0;

  constructor(buffer, byteOffset, byteLength, minimumFill, elementSize, view, kind) {
    this.buffer = buffer;
    this.bufferByteLength = ArrayBufferByteLength.call(buffer);
    this.byteOffset = byteOffset;
    this.byteLength = byteLength;
    this.minimumFill = minimumFill;
    this.elementSize = elementSize;
    this.view = view; // constructor
    this.kind = kind; // "default" | "byob" | "none"
  }

  // The filled part as a view of the kind that was given.
  takeView() {
    const { filled, elementSize } = this;
    return new this.view(ArrayBufferTransfer.call(this.buffer), this.byteOffset, filled / elementSize);
  }
}

class ByteEntry {
  constructor(buffer, byteOffset, byteLength) {
    this.buffer = buffer;
    this.byteOffset = byteOffset;
    this.byteLength = byteLength;
  }
}

export class ByteController {
  queue = new Queue(); // of ByteEntry
  total = 0;
  started = false;
  closeRequested = false;
  pulling = false;
  pullAgain = false;
  byobRequest = null; // the public object
  pendingPullIntos = new Queue();
  self = undefined;

  constructor(stream, pull, cancel, highWaterMark, autoAllocateChunkSize) {
    this.stream = stream;
    this.pull = pull;
    this.cancel = cancel;
    this.highWaterMark = highWaterMark;
    this.autoAllocateChunkSize = autoAllocateChunkSize;
    stream.controller = this;
  }

  clearAlgorithms() {
    this.pull = this.cancel = undefined;
  }

  shouldPull() {
    const { stream } = this;
    if (stream.state !== READABLE || this.closeRequested || !this.started) return false;
    return hasWaitingReader(stream) || this.highWaterMark - this.total > 0;
  }

  desiredSize() {
    const { state } = this.stream;
    return state === ERRORED ? null : state === CLOSED ? 0 : this.highWaterMark - this.total;
  }

  canCloseOrEnqueue() {
    return !this.closeRequested && this.stream.state === READABLE;
  }

  close() {
    if (this.closeRequested || this.stream.state !== READABLE) return;
    if (this.total > 0) {
      this.closeRequested = true;
      return;
    }
    if (this.pendingPullIntos.length > 0) {
      const first = this.pendingPullIntos.peek();
      if (first.filled % first.elementSize !== 0) {
        const error = new TypeError("The stream closes in the middle of an element");
        this.error(error);
        throw error;
      }
    }
    this.clearAlgorithms();
    readableClose(this.stream);
  }

  error(error) {
    if (this.stream.state !== READABLE) return;
    this.clearPendingPullIntos();
    this.resetQueue();
    this.clearAlgorithms();
    readableError(this.stream, error);
  }

  resetQueue() {
    this.queue.clear();
    this.total = 0;
  }

  clearPendingPullIntos() {
    this.invalidateByobRequest();
    this.pendingPullIntos.clear();
  }

  invalidateByobRequest() {
    if (this.byobRequest === null) return;
    invalidateRequest(this.byobRequest);
    this.byobRequest = null;
  }

  getByobRequest() {
    if (this.byobRequest === null && this.pendingPullIntos.length > 0) {
      const first = this.pendingPullIntos.peek();
      const view = new Uint8Array(
        first.buffer, first.byteOffset + first.filled, first.byteLength - first.filled,
      );
      this.byobRequest = new ReadableStreamBYOBRequest(internal, this, view);
    }
    return this.byobRequest;
  }

  // A view of the worker's: its buffer is transferred.
  enqueue(chunk) {
    if (this.closeRequested || this.stream.state !== READABLE) return;
    const buffer = viewBuffer(chunk), byteOffset = viewByteOffset(chunk), bytes = viewByteLength(chunk);
    if (isDetached(buffer)) throw new TypeError("The chunk's buffer is detached");
    this.enqueueBuffer(ArrayBufferTransfer.call(buffer), byteOffset, bytes);
  }

  // Bytes that nobody else has: no copy, no transfer.
  enqueueOwned(bytes) {
    if (this.closeRequested || this.stream.state !== READABLE) return;
    const { stream } = this;
    const { reader } = stream;
    if (reader !== undefined && !reader.byob && reader.requests.length > 0 &&
        this.pendingPullIntos.length === 0 && this.total === 0) {
      reader.requests.shift().chunk(bytes);
      callPullIfNeeded(this);
      return;
    }
    this.enqueueBuffer(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  enqueueBuffer(buffer, byteOffset, byteLength) {
    const { stream } = this;
    if (this.pendingPullIntos.length > 0) {
      const first = this.pendingPullIntos.peek();
      if (isDetached(first.buffer)) throw new TypeError("The BYOB request's buffer is detached");
      this.invalidateByobRequest();
      first.buffer = ArrayBufferTransfer.call(first.buffer);
      if (first.kind === "none") this.enqueueDetachedPullInto(first);
    }
    const { reader } = stream;
    if (reader !== undefined && !reader.byob) {
      this.processReadRequestsUsingQueue();
      if (reader.requests.length === 0) {
        this.push(buffer, byteOffset, byteLength);
      } else {
        if (this.pendingPullIntos.length > 0) this.shiftPendingPullInto();
        reader.requests.shift().chunk(new Uint8Array(buffer, byteOffset, byteLength));
      }
    } else if (reader !== undefined) {
      this.push(buffer, byteOffset, byteLength);
      const filled = this.processPullIntosUsingQueue();
      for (let i = 0; i < filled.length; i++) this.commitPullInto(filled[i]);
    } else {
      this.push(buffer, byteOffset, byteLength);
    }
    callPullIfNeeded(this);
  }

  push(buffer, byteOffset, byteLength) {
    this.queue.push(new ByteEntry(buffer, byteOffset, byteLength));
    this.total += byteLength;
  }

  enqueueDetachedPullInto(pullInto) {
    if (pullInto.filled > 0) this.enqueueClone(pullInto.buffer, pullInto.byteOffset, pullInto.filled);
    this.shiftPendingPullInto();
  }

  enqueueClone(buffer, byteOffset, byteLength) {
    let clone;
    try {
      clone = ArrayBufferSlice.call(buffer, byteOffset, byteOffset + byteLength);
    } catch (error) {
      this.error(error);
      throw error;
    }
    this.push(clone, 0, byteLength);
  }

  shiftPendingPullInto() {
    this.invalidateByobRequest();
    return this.pendingPullIntos.shift();
  }

  processReadRequestsUsingQueue() {
    const { reader } = this.stream;
    while (reader.requests.length > 0) {
      if (this.total === 0) return;
      this.fillReadRequest(reader.requests.shift());
    }
  }

  fillReadRequest(request) {
    const entry = this.queue.shift();
    this.total -= entry.byteLength;
    this.handleQueueDrain();
    request.chunk(new Uint8Array(entry.buffer, entry.byteOffset, entry.byteLength));
  }

  handleQueueDrain() {
    if (this.total === 0 && this.closeRequested) {
      this.clearAlgorithms();
      readableClose(this.stream);
    } else {
      callPullIfNeeded(this);
    }
  }

  pullSteps(request) {
    if (this.total > 0) {
      this.fillReadRequest(request);
      return;
    }
    const { stream, autoAllocateChunkSize } = this;
    if (autoAllocateChunkSize !== undefined) {
      let buffer;
      try {
        buffer = new ArrayBuffer(autoAllocateChunkSize);
      } catch (error) {
        request.error(error);
        return;
      }
      this.pendingPullIntos.push(
        new PullInto(buffer, 0, autoAllocateChunkSize, 1, 1, Uint8Array, "default"),
      );
    }
    stream.reader.requests.push(request);
    callPullIfNeeded(this);
  }

  pullInto(view, min, request) {
    const { stream } = this;
    const kind = TypedArrayName.call(view);
    const constructor = kind === undefined ? DataView : viewKinds[kind];
    const elementSize = kind === undefined ? 1 : constructor.BYTES_PER_ELEMENT;
    const minimumFill = min * elementSize;
    const byteOffset = viewByteOffset(view), byteLength = viewByteLength(view);
    let buffer;
    try {
      buffer = ArrayBufferTransfer.call(viewBuffer(view));
    } catch (error) {
      request.error(error);
      return;
    }
    const pullInto = new PullInto(
      buffer, byteOffset, byteLength, minimumFill, elementSize, constructor, "byob",
    );
    if (this.pendingPullIntos.length > 0) {
      this.pendingPullIntos.push(pullInto);
      stream.reader.requests.push(request);
      return;
    }
    if (stream.state === CLOSED) {
      request.close(new constructor(pullInto.buffer, pullInto.byteOffset, 0));
      return;
    }
    if (this.total > 0) {
      if (this.fillPullInto(pullInto)) {
        const filled = pullInto.takeView();
        this.handleQueueDrain();
        request.chunk(filled);
        return;
      }
      if (this.closeRequested) {
        const error = new TypeError("The stream closes in the middle of an element");
        this.error(error);
        request.error(error);
        return;
      }
    }
    this.pendingPullIntos.push(pullInto);
    stream.reader.requests.push(request);
    callPullIfNeeded(this);
  }

  // Copies from the queue; true when the descriptor has what it asked for.
  fillPullInto(pullInto) {
    const maxCopy = MathMin(this.total, pullInto.byteLength - pullInto.filled);
    const maxFilled = pullInto.filled + maxCopy;
    const maxAligned = maxFilled - (maxFilled % pullInto.elementSize);
    let left = maxCopy, ready = false;
    if (maxAligned >= pullInto.minimumFill) {
      left = maxAligned - pullInto.filled;
      ready = true;
    }
    const { queue } = this;
    while (left > 0) {
      const entry = queue.peek();
      const bytes = MathMin(left, entry.byteLength);
      TypedArraySet.call(
        new Uint8Array(pullInto.buffer, pullInto.byteOffset + pullInto.filled, bytes),
        new Uint8Array(entry.buffer, entry.byteOffset, bytes),
      );
      if (entry.byteLength === bytes) {
        queue.shift();
      } else {
        entry.byteOffset += bytes;
        entry.byteLength -= bytes;
      }
      this.total -= bytes;
      pullInto.filled += bytes;
      left -= bytes;
    }
    return ready;
  }

  processPullIntosUsingQueue() {
    const filled = [];
    while (this.pendingPullIntos.length > 0) {
      if (this.total === 0) break;
      const pullInto = this.pendingPullIntos.peek();
      if (this.fillPullInto(pullInto)) {
        this.shiftPendingPullInto();
        filled[filled.length] = pullInto;
      } else break;
    }
    return filled;
  }

  commitPullInto(pullInto) {
    const { stream } = this;
    const done = stream.state === CLOSED;
    const view = pullInto.takeView();
    const request = stream.reader.requests.shift();
    if (!done) request.chunk(view);
    else if (pullInto.kind === "default") request.close();
    else request.close(view);
  }

  respond(bytesWritten) {
    const first = this.pendingPullIntos.peek();
    if (this.stream.state === CLOSED) {
      if (bytesWritten !== 0) throw new TypeError("The stream is closed: bytesWritten must be 0");
    } else {
      if (bytesWritten === 0) throw new TypeError("bytesWritten must not be 0 while the stream is open");
      if (first.filled + bytesWritten > first.byteLength)
        throw new RangeError("bytesWritten is larger than the view");
    }
    first.buffer = ArrayBufferTransfer.call(first.buffer);
    this.respondInternal(bytesWritten);
  }

  respondWithNewView(view) {
    const first = this.pendingPullIntos.peek();
    const bytes = viewByteLength(view), byteOffset = viewByteOffset(view), buffer = viewBuffer(view);
    if (this.stream.state === CLOSED) {
      if (bytes !== 0) throw new TypeError("The stream is closed: the view must be empty");
    } else if (bytes === 0) {
      throw new TypeError("The view must not be empty while the stream is open");
    }
    if (first.byteOffset + first.filled !== byteOffset)
      throw new RangeError("The view starts elsewhere than the BYOB request's");
    if (first.bufferByteLength !== ArrayBufferByteLength.call(buffer))
      throw new RangeError("The view's buffer has another length than the BYOB request's");
    if (first.filled + bytes > first.byteLength)
      throw new RangeError("The view is larger than the BYOB request's");
    first.buffer = ArrayBufferTransfer.call(buffer);
    this.respondInternal(bytes);
  }

  respondInternal(bytesWritten) {
    const first = this.pendingPullIntos.peek();
    this.invalidateByobRequest();
    if (this.stream.state === CLOSED) this.respondInClosedState(first);
    else this.respondInReadableState(bytesWritten, first);
    callPullIfNeeded(this);
  }

  respondInClosedState(first) {
    if (first.kind === "none") this.shiftPendingPullInto();
    const { reader } = this.stream;
    if (reader === undefined || !reader.byob) return;
    const filled = [];
    while (filled.length < reader.requests.length) filled[filled.length] = this.shiftPendingPullInto();
    for (let i = 0; i < filled.length; i++) this.commitPullInto(filled[i]);
  }

  respondInReadableState(bytesWritten, pullInto) {
    pullInto.filled += bytesWritten;
    if (pullInto.kind === "none") {
      this.enqueueDetachedPullInto(pullInto);
      const filled = this.processPullIntosUsingQueue();
      for (let i = 0; i < filled.length; i++) this.commitPullInto(filled[i]);
      return;
    }
    if (pullInto.filled < pullInto.minimumFill) return;
    this.shiftPendingPullInto();
    const remainder = pullInto.filled % pullInto.elementSize;
    if (remainder > 0) {
      const end = pullInto.byteOffset + pullInto.filled;
      this.enqueueClone(pullInto.buffer, end - remainder, remainder);
    }
    pullInto.filled -= remainder;
    const filled = this.processPullIntosUsingQueue();
    this.commitPullInto(pullInto);
    for (let i = 0; i < filled.length; i++) this.commitPullInto(filled[i]);
  }

  cancelSteps(reason) {
    this.clearPendingPullIntos();
    this.resetQueue();
    const { cancel } = this;
    this.clearAlgorithms();
    const promise = cancel === undefined ? undefined : cancel(reason);
    return promise === undefined ? promiseResolve(undefined) : promise;
  }

  releaseSteps() {
    if (this.pendingPullIntos.length === 0) return;
    const first = this.pendingPullIntos.peek();
    first.kind = "none";
    this.pendingPullIntos.clear();
    this.pendingPullIntos.push(first);
  }
}

export class ReadableByteStreamController {
  #impl;

  constructor(token, impl) {
    if (token !== internal) throw illegalConstructor();
    this.#impl = impl;
  }

  get byobRequest() {
    return this.#impl.getByobRequest();
  }

  get desiredSize() {
    return this.#impl.desiredSize();
  }

  close() {
    if (!this.#impl.canCloseOrEnqueue())
      throw new TypeError("The stream is not in a state that permits close");
    this.#impl.close();
  }

  enqueue(chunk) {
    this.#impl; // brand check
    requireArguments(arguments.length, 1, "'enqueue' on 'ReadableByteStreamController'");
    if (!ArrayBufferIsView(chunk)) throw new TypeError("The chunk is not an ArrayBufferView");
    if (viewByteLength(chunk) === 0) throw new TypeError("The chunk is empty");
    if (ArrayBufferByteLength.call(viewBuffer(chunk)) === 0)
      throw new TypeError("The chunk's buffer is empty");
    if (!this.#impl.canCloseOrEnqueue())
      throw new TypeError("The stream is not in a state that permits enqueue");
    this.#impl.enqueue(chunk);
  }

  error(error = undefined) {
    this.#impl.error(error);
  }
}
defineInterface(ReadableByteStreamController, "ReadableByteStreamController");

export function newByteControllerObject(impl) {
  return (impl.self = new ReadableByteStreamController(internal, impl));
}

let invalidateRequest;

export class ReadableStreamBYOBRequest {
  #controller;
  #view;

  constructor(token, controller, view) {
    if (token !== internal) throw illegalConstructor();
    this.#controller = controller;
    this.#view = view;
  }

  get view() {
    return this.#view;
  }

  respond(bytesWritten) {
    this.#controller; // brand check
    requireArguments(arguments.length, 1, "'respond' on 'ReadableStreamBYOBRequest'");
    const bytes = toIntegerEnforced(bytesWritten, 0, 9007199254740991, "bytesWritten");
    if (this.#controller === undefined) throw new TypeError("The BYOB request has been answered");
    if (isDetached(viewBuffer(this.#view))) throw new TypeError("The BYOB request's buffer is detached");
    this.#controller.respond(bytes);
  }

  respondWithNewView(view) {
    this.#controller; // brand check
    requireArguments(arguments.length, 1, "'respondWithNewView' on 'ReadableStreamBYOBRequest'");
    if (!ArrayBufferIsView(view)) throw new TypeError("The argument is not an ArrayBufferView");
    if (this.#controller === undefined) throw new TypeError("The BYOB request has been answered");
    if (isDetached(viewBuffer(view))) throw new TypeError("The view's buffer is detached");
    this.#controller.respondWithNewView(view);
  }

  static {
    invalidateRequest = (request) => {
      request.#controller = undefined;
      request.#view = null;
    };
  }
}
defineInterface(ReadableStreamBYOBRequest, "ReadableStreamBYOBRequest");
