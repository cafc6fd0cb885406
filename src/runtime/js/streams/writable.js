// SPDX-License-Identifier: Apache-2.0
// https://streams.spec.whatwg.org/#ws

import { bind } from "../async-context.js";
import {

  ObjectSetPrototypeOf,
  RangeError,
  TypeError,
  markHandled,
  promiseReject,
  promiseResolve,
  promiseWithResolvers,
} from "../primordials.js";
import { createAbortSignal, signalAbort } from "../abort.js";
import { defineInterface, illegalConstructor, isObject, toCallback } from "../webidl.js";
import { LazyPromise, Queue, convertStrategy, extractHighWaterMark, promiseCall, upon } from "./common.js";

const internal = Symbol("internal");
const closeSentinel = { close: true };

export const WRITABLE = 0, ERRORING = 1, ERRORED = 2, CLOSED = 3;

class WritableImpl {
  state = WRITABLE;
  storedError = undefined;
  writer = undefined;
  controller = undefined;
  inFlightWrite = undefined; // deferreds
  closeRequest = undefined;
  inFlightClose = undefined;
  pendingAbort = undefined; // { promise, resolve, reject, reason, wasAlreadyErroring }
  writeRequests = new Queue();
  backpressure = false;
  self = undefined; // the public object
}

class WritableController {
  queue = new Queue(); // of chunks, and of their sizes beside it where a size function is set
  sizes = undefined;
  total = 0;
  started = false;
  signal = undefined; // made when asked for
  self = undefined;

  constructor(stream, write, close, abort, highWaterMark, size) {
    this.stream = stream;
    this.write = write; // (chunk) → promise; undefined once the stream is done
    this.close = close;
    this.abort = abort;
    this.highWaterMark = highWaterMark;
    this.size = size;
    if (size !== undefined) this.sizes = new Queue();
    stream.controller = this;
  }

  clearAlgorithms() {
    this.write = this.close = this.abort = this.size = undefined;
  }

  get desiredSize() {
    return this.highWaterMark - this.total;
  }

  get backpressure() {
    return this.highWaterMark - this.total <= 0;
  }

  resetQueue() {
    this.queue.clear();
    if (this.sizes !== undefined) this.sizes.clear();
    this.total = 0;
  }

  getSignal() {
    return (this.signal ??= createAbortSignal());
  }
}

// ---- stream ----

export function isWritableLocked(stream) {
  return stream.writer !== undefined;
}

export function closeQueuedOrInFlight(stream) {
  return stream.closeRequest !== undefined || stream.inFlightClose !== undefined;
}

export function writableAbort(stream, reason) {
  if (stream.state === CLOSED || stream.state === ERRORED) return promiseResolve(undefined);
  const { controller } = stream;
  signalAbort(controller.getSignal(), reason);
  if (stream.state === CLOSED || stream.state === ERRORED) return promiseResolve(undefined);
  if (stream.pendingAbort !== undefined) return stream.pendingAbort.promise;
  const wasAlreadyErroring = stream.state === ERRORING;
  if (wasAlreadyErroring) reason = undefined;
  const { promise, resolve, reject } = promiseWithResolvers();
  stream.pendingAbort = { promise, resolve, reject, reason, wasAlreadyErroring };
  if (!wasAlreadyErroring) startErroring(stream, reason);
  return promise;
}

export function writableClose(stream) {
  if (stream.state === CLOSED || stream.state === ERRORED)
    return promiseReject(new TypeError("The stream is not in a state to be closed"));
  const request = (stream.closeRequest = promiseWithResolvers());
  const { writer } = stream;
  if (writer !== undefined && stream.backpressure && stream.state === WRITABLE) writer.ready.resolve();
  const { controller } = stream;
  controller.queue.push(closeSentinel);
  if (controller.sizes !== undefined) controller.sizes.push(0);
  advanceQueue(controller);
  return request.promise;
}

function dealWithRejection(stream, error) {
  if (stream.state === WRITABLE) startErroring(stream, error);
  else finishErroring(stream);
}

export function startErroring(stream, reason) {
  const { controller, writer } = stream;
  stream.state = ERRORING;
  stream.storedError = reason;
  if (writer !== undefined) writerEnsureReadyRejected(writer, reason);
  if (stream.inFlightWrite === undefined && stream.inFlightClose === undefined && controller.started)
    finishErroring(stream);
}

function finishErroring(stream) {
  stream.state = ERRORED;
  const { controller } = stream;
  controller.resetQueue(); // ErrorSteps
  const { storedError } = stream;
  const requests = stream.writeRequests.takeAll();
  for (let i = 0; i < requests.length; i++) requests[i].reject(storedError);
  const abortRequest = stream.pendingAbort;
  if (abortRequest === undefined) {
    rejectCloseAndClosed(stream);
    return;
  }
  stream.pendingAbort = undefined;
  if (abortRequest.wasAlreadyErroring) {
    abortRequest.reject(storedError);
    rejectCloseAndClosed(stream);
    return;
  }
  const promise = abortSteps(controller, abortRequest.reason);
  upon(
    promise,
    () => {
      abortRequest.resolve(undefined);
      rejectCloseAndClosed(stream);
    },
    (error) => {
      abortRequest.reject(error);
      rejectCloseAndClosed(stream);
    },
  );
}

function abortSteps(controller, reason) {
  const { abort } = controller;
  controller.clearAlgorithms();
  return abort === undefined ? promiseResolve(undefined) : abort(reason);
}

function rejectCloseAndClosed(stream) {
  if (stream.closeRequest !== undefined) {
    stream.closeRequest.reject(stream.storedError);
    stream.closeRequest = undefined;
  }
  if (stream.writer !== undefined) stream.writer.closed.reject(stream.storedError);
}

function updateBackpressure(stream, backpressure) {
  const { writer } = stream;
  if (writer !== undefined && backpressure !== stream.backpressure) {
    if (backpressure) writer.ready = new LazyPromise();
    else writer.ready.resolve();
  }
  stream.backpressure = backpressure;
}

// ---- controller ----

// start: (controller's public object) → any. write, close, abort: → promise, or undefined.
function setUpController(controller, startResult, startIsPlain) {
  const { stream } = controller;
  updateBackpressure(stream, controller.backpressure);
  const onStarted = () => {
    controller.started = true;
    advanceQueue(controller);
  };
  upon(startIsPlain ? promiseResolve(undefined) : promiseResolve(startResult), onStarted, (error) => {
    controller.started = true;
    dealWithRejection(stream, error);
  });
}

function controllerErrorIfNeeded(controller, error) {
  if (controller.stream.state === WRITABLE) controllerError(controller, error);
}

function controllerError(controller, error) {
  const { stream } = controller;
  controller.clearAlgorithms();
  startErroring(stream, error);
}

function chunkSize(controller, chunk) {
  const { size } = controller;
  if (size === undefined) return 1;
  try {
    return +size(chunk);
  } catch (error) {
    controllerErrorIfNeeded(controller, error);
    return 1;
  }
}

function controllerWrite(controller, chunk, bytes) {
  if (!(bytes >= 0) || bytes === Infinity) {
    controllerErrorIfNeeded(
      controller,
      new RangeError("The size of a chunk must be a finite number that is not negative"),
    );
    return;
  }
  controller.queue.push(chunk);
  if (controller.sizes !== undefined) controller.sizes.push(bytes);
  controller.total += bytes;
  const { stream } = controller;
  if (!closeQueuedOrInFlight(stream) && stream.state === WRITABLE)
    updateBackpressure(stream, controller.backpressure);
  advanceQueue(controller);
}

function advanceQueue(controller) {
  const { stream } = controller;
  if (!controller.started || stream.inFlightWrite !== undefined) return;
  if (stream.state === ERRORING) {
    finishErroring(stream);
    return;
  }
  if (controller.queue.length === 0) return;
  const chunk = controller.queue.peek();
  if (chunk === closeSentinel) processClose(controller);
  else processWrite(controller, chunk);
}

function dequeue(controller) {
  controller.queue.shift();
  controller.total -= controller.sizes === undefined ? 1 : controller.sizes.shift();
  if (controller.total < 0) controller.total = 0; // rounding
}

function processClose(controller) {
  const { stream } = controller;
  stream.inFlightClose = stream.closeRequest;
  stream.closeRequest = undefined;
  controller.queue.shift();
  if (controller.sizes !== undefined) controller.sizes.shift();
  const { close } = controller;
  const promise = close === undefined ? promiseResolve(undefined) : close();
  controller.clearAlgorithms();
  upon(
    promise,
    () => {
      stream.inFlightClose.resolve(undefined);
      stream.inFlightClose = undefined;
      if (stream.state === ERRORING) {
        stream.storedError = undefined;
        if (stream.pendingAbort !== undefined) {
          stream.pendingAbort.resolve(undefined);
          stream.pendingAbort = undefined;
        }
      }
      stream.state = CLOSED;
      if (stream.writer !== undefined) stream.writer.closed.resolve();
    },
    (error) => {
      stream.inFlightClose.reject(error);
      stream.inFlightClose = undefined;
      if (stream.pendingAbort !== undefined) {
        stream.pendingAbort.reject(error);
        stream.pendingAbort = undefined;
      }
      dealWithRejection(stream, error);
    },
  );
}

function processWrite(controller, chunk) {
  const { stream, write } = controller;
  stream.inFlightWrite = stream.writeRequests.shift();
  const promise = write === undefined ? promiseResolve(undefined) : write(chunk);
  upon(
    promise,
    () => {
      stream.inFlightWrite.resolve(undefined);
      stream.inFlightWrite = undefined;
      dequeue(controller);
      if (!closeQueuedOrInFlight(stream) && stream.state === WRITABLE)
        updateBackpressure(stream, controller.backpressure);
      advanceQueue(controller);
    },
    (error) => {
      if (stream.state === WRITABLE) controller.clearAlgorithms();
      stream.inFlightWrite.reject(error);
      stream.inFlightWrite = undefined;
      dealWithRejection(stream, error);
    },
  );
}

export class WritableStreamDefaultController {
  #impl;

  constructor(token, impl) {
    if (token !== internal) throw illegalConstructor();
    this.#impl = impl;
  }

  get signal() {
    return this.#impl.getSignal();
  }

  error(error = undefined) {
    const controller = this.#impl;
    if (controller.stream.state === WRITABLE) controllerError(controller, error);
  }
}
defineInterface(WritableStreamDefaultController, "WritableStreamDefaultController");

// ---- writer ----

export class WriterImpl {
  stream;
  ready;
  closed;

  constructor(stream) {
    if (stream.writer !== undefined) throw new TypeError("The WritableStream is locked to a writer");
    this.stream = stream;
    stream.writer = this;
    if (stream.state === WRITABLE) {
      this.ready =
        !closeQueuedOrInFlight(stream) && stream.backpressure
          ? new LazyPromise()
          : LazyPromise.fulfilled();
      this.closed = new LazyPromise();
    } else if (stream.state === ERRORING) {
      this.ready = LazyPromise.rejected(stream.storedError);
      this.closed = new LazyPromise();
    } else if (stream.state === CLOSED) {
      this.ready = LazyPromise.fulfilled();
      this.closed = LazyPromise.fulfilled();
    } else {
      this.ready = LazyPromise.rejected(stream.storedError);
      this.closed = LazyPromise.rejected(stream.storedError);
    }
  }
}

function writerEnsureReadyRejected(writer, error) {
  if (writer.ready.settled === 0) writer.ready.reject(error);
  else writer.ready = LazyPromise.rejected(error);
}

function writerEnsureClosedRejected(writer, error) {
  if (writer.closed.settled === 0) writer.closed.reject(error);
  else writer.closed = LazyPromise.rejected(error);
}

export function writerDesiredSize(writer) {
  const { stream } = writer;
  if (stream.state === ERRORED || stream.state === ERRORING) return null;
  if (stream.state === CLOSED) return 0;
  return stream.controller.desiredSize;
}

export function writerRelease(writer) {
  const error = new TypeError("The writer has been released");
  writerEnsureReadyRejected(writer, error);
  writerEnsureClosedRejected(writer, error);
  writer.stream.writer = undefined;
  writer.stream = undefined;
}

export function writerWrite(writer, chunk) {
  const { stream } = writer;
  const { controller } = stream;
  const bytes = chunkSize(controller, chunk);
  if (stream !== writer.stream) return promiseReject(new TypeError("The writer has been released"));
  if (stream.state === ERRORED) return promiseReject(stream.storedError);
  if (closeQueuedOrInFlight(stream) || stream.state === CLOSED)
    return promiseReject(new TypeError("The stream is closing or closed"));
  if (stream.state === ERRORING) return promiseReject(stream.storedError);
  const request = promiseWithResolvers();
  stream.writeRequests.push(request);
  controllerWrite(controller, chunk, bytes);
  return request.promise;
}

export function writerCloseWithErrorPropagation(writer) {
  const { stream } = writer;
  if (closeQueuedOrInFlight(stream) || stream.state === CLOSED) return promiseResolve(undefined);
  if (stream.state === ERRORED) return promiseReject(stream.storedError);
  return writableClose(stream);
}

const released = () => promiseReject(new TypeError("The writer has been released"));

export class WritableStreamDefaultWriter {
  #impl;

  constructor(stream) {
    this.#impl = new WriterImpl(writableImpl(stream));
  }

  get closed() {
    if (!(#impl in this)) return promiseReject(new TypeError("Illegal invocation"));
    return this.#impl.closed.promise;
  }

  get desiredSize() {
    if (this.#impl.stream === undefined) throw new TypeError("The writer has been released");
    return writerDesiredSize(this.#impl);
  }

  get ready() {
    if (!(#impl in this)) return promiseReject(new TypeError("Illegal invocation"));
    return this.#impl.ready.promise;
  }

  abort(reason = undefined) {
    if (!(#impl in this)) return promiseReject(new TypeError("Illegal invocation"));
    const { stream } = this.#impl;
    return stream === undefined ? released() : writableAbort(stream, reason);
  }

  close() {
    if (!(#impl in this)) return promiseReject(new TypeError("Illegal invocation"));
    const { stream } = this.#impl;
    if (stream === undefined) return released();
    if (closeQueuedOrInFlight(stream))
      return promiseReject(new TypeError("The stream is already being closed"));
    return writableClose(stream);
  }

  releaseLock() {
    if (this.#impl.stream !== undefined) writerRelease(this.#impl);
  }

  write(chunk = undefined) {
    if (!(#impl in this)) return promiseReject(new TypeError("Illegal invocation"));
    return this.#impl.stream === undefined ? released() : writerWrite(this.#impl, chunk);
  }
}
defineInterface(WritableStreamDefaultWriter, "WritableStreamDefaultWriter");

// ---- the public stream ----

export let writableImpl, isWritableStream;

export class WritableStream {
  #impl;

  constructor(underlyingSink = undefined, strategy = undefined) {
    const impl = (this.#impl = new WritableImpl());
    impl.self = this;
    if (underlyingSink === internal) return; // createWritable sets it up
    if (underlyingSink !== undefined && !isObject(underlyingSink))
      throw new TypeError("WritableStream constructor: the sink is not an object");
    const converted = convertStrategy(strategy, "WritableStream constructor: the strategy");
    setUpFromSink(impl, underlyingSink, converted);
  }

  get locked() {
    return this.#impl.writer !== undefined;
  }

  abort(reason = undefined) {
    if (!(#impl in this)) return promiseReject(new TypeError("Illegal invocation"));
    if (this.#impl.writer !== undefined)
      return promiseReject(new TypeError("Cannot abort a stream that is locked to a writer"));
    return writableAbort(this.#impl, reason);
  }

  close() {
    if (!(#impl in this)) return promiseReject(new TypeError("Illegal invocation"));
    if (this.#impl.writer !== undefined)
      return promiseReject(new TypeError("Cannot close a stream that is locked to a writer"));
    if (closeQueuedOrInFlight(this.#impl))
      return promiseReject(new TypeError("The stream is already being closed"));
    return writableClose(this.#impl);
  }

  getWriter() {
    this.#impl; // brand check
    return new WritableStreamDefaultWriter(this);
  }

  static {
    isWritableStream = (value) => isObject(value) && #impl in value;
    writableImpl = (stream) => {
      if (!isWritableStream(stream)) throw new TypeError("The argument is not a WritableStream");
      return stream.#impl;
    };
  }
}
defineInterface(WritableStream, "WritableStream");

function setUpFromSink(stream, sink, strategy) {
  let start, write, close, abort;
  if (sink !== undefined) {
    // In the order in which Web IDL reads a dictionary's members.
    const abortMethod = sink.abort;
    if (abortMethod !== undefined) toCallback(abortMethod, "The sink's abort");
    const closeMethod = sink.close;
    if (closeMethod !== undefined) toCallback(closeMethod, "The sink's close");
    start = sink.start;
    if (start !== undefined) toCallback(start, "The sink's start");
    const { type } = sink;
    if (type !== undefined) throw new RangeError("The sink's type is reserved");
    const writeMethod = sink.write;
    if (writeMethod !== undefined) toCallback(writeMethod, "The sink's write");
    if (abortMethod !== undefined) abort = bind((reason) => promiseCall(abortMethod, sink, reason));
    if (closeMethod !== undefined) close = bind(() => promiseCall(closeMethod, sink));
    if (writeMethod !== undefined) write = bind((chunk) => promiseCall(writeMethod, sink, chunk, controller.self));
  }
  const { size } = strategy;
  const highWaterMark = extractHighWaterMark(strategy, 1);
  const controller = new WritableController(stream, write, close, abort, highWaterMark, size);
  controller.self = new WritableStreamDefaultController(internal, controller);
  stream.backpressure = controller.backpressure;
  const startResult = start === undefined ? undefined : start.call(sink, controller.self);
  setUpController(controller, startResult, start === undefined);
}

// A stream of the platform's own: write(chunk), close() and abort(reason) return promises.
// Class: WritableStream or a subclass whose constructor passes its argument on.
export function createWritable({ start, write, close, abort, highWaterMark = 1, size, stream }) {
  const self = stream ?? new WritableStream(internal);
  const impl = writableImpl(self);
  const controller = new WritableController(impl, write, close, abort, highWaterMark, size);
  setUpController(controller, start, start === undefined);
  return self;
}

export { internal as writableInternal };

export function writableErrorIfNeeded(stream, error) {
  controllerErrorIfNeeded(stream.controller, error);
}
