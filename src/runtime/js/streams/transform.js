// SPDX-License-Identifier: Apache-2.0
// https://streams.spec.whatwg.org/#ts, and the two byte-only streams of Workers:
// IdentityTransformStream and FixedLengthStream.

import { bind } from "../async-context.js";
import {
  Number,
  RangeError,
  TypeError,
  promiseReject,
  promiseResolve,
  promiseThen,
  promiseWithResolvers,
} from "../primordials.js";
import { addAbortAlgorithm } from "../abort.js";
import {
  copyBytes,
  defineInterface,
  illegalConstructor,
  isBufferSource,
  isObject,
  requireArguments,
  toCallback,
  toIntegerEnforced,
} from "../webidl.js";
import { LazyPromise, convertStrategy, extractHighWaterMark, promiseCall, upon } from "./common.js";
import { ByteController, CLOSED, ERRORED, READABLE, controllerStart } from "./readable.js";
import { createDefaultReadable, newReadableOf, readableImpl } from "./readable-stream.js";
import * as writable from "./writable.js";

const internal = Symbol("internal");

class TransformImpl {
  readable = undefined; // public objects
  writable = undefined;
  readableImpl = undefined;
  writableImpl = undefined;
  controller = undefined;
  backpressure = undefined;
  backpressureChange = undefined; // deferred
}

class TransformController {
  finish = undefined; // deferred, once an end of any kind has begun
  self = undefined;

  constructor(stream, transform, flush, cancel) {
    this.stream = stream;
    this.transform = transform;
    this.flush = flush;
    this.cancel = cancel;
    stream.controller = this;
  }

  clearAlgorithms() {
    this.transform = this.flush = this.cancel = undefined;
  }

  desiredSize() {
    return this.stream.readableImpl.controller.desiredSize();
  }

  enqueue(chunk) {
    const { stream } = this;
    const { controller } = stream.readableImpl;
    if (!controller.canCloseOrEnqueue())
      throw new TypeError("The readable side is not in a state that permits enqueue");
    try {
      controller.enqueue(chunk);
    } catch (error) {
      errorWritableAndUnblock(stream, error);
      throw stream.readableImpl.storedError;
    }
    const backpressure = controller.hasBackpressure();
    if (backpressure !== stream.backpressure) setBackpressure(stream, true);
  }

  error(error) {
    transformError(this.stream, error);
  }

  terminate() {
    const { stream } = this;
    stream.readableImpl.controller.close();
    errorWritableAndUnblock(stream, new TypeError("The transform stream has been terminated"));
  }
}

function transformError(stream, error) {
  stream.readableImpl.controller.error(error);
  errorWritableAndUnblock(stream, error);
}

function errorWritableAndUnblock(stream, error) {
  stream.controller.clearAlgorithms();
  writable.writableErrorIfNeeded(stream.writableImpl, error);
  if (stream.backpressure) setBackpressure(stream, false);
}

function setBackpressure(stream, backpressure) {
  if (stream.backpressureChange !== undefined) stream.backpressureChange.resolve();
  stream.backpressureChange = new LazyPromise();
  stream.backpressure = backpressure;
}

function performTransform(controller, chunk) {
  const { transform } = controller;
  if (transform === undefined) {
    // The identity transform.
    try {
      controller.enqueue(chunk);
    } catch (error) {
      transformError(controller.stream, error);
      return promiseReject(error);
    }
    return promiseResolve(undefined);
  }
  return promiseThen(transform(chunk), undefined, (error) => {
    transformError(controller.stream, error);
    throw error;
  });
}

function sinkWrite(stream, chunk) {
  const { controller } = stream;
  if (!stream.backpressure) return performTransform(controller, chunk);
  return promiseThen(stream.backpressureChange.promise, () => {
    if (stream.writableImpl.state === writable.ERRORING) throw stream.writableImpl.storedError;
    return performTransform(controller, chunk);
  });
}

function sinkAbort(stream, reason) {
  const { controller } = stream;
  if (controller.finish !== undefined) return controller.finish.promise;
  const { readableImpl: side } = stream;
  const finish = (controller.finish = promiseWithResolvers());
  const { cancel } = controller;
  const promise = cancel === undefined ? promiseResolve(undefined) : cancel(reason);
  controller.clearAlgorithms();
  upon(
    promise,
    () => {
      if (side.state === ERRORED) {
        finish.reject(side.storedError);
      } else {
        side.controller.error(reason);
        finish.resolve(undefined);
      }
    },
    (error) => {
      side.controller.error(error);
      finish.reject(error);
    },
  );
  return finish.promise;
}

function sinkClose(stream) {
  const { controller } = stream;
  if (controller.finish !== undefined) return controller.finish.promise;
  const { readableImpl: side } = stream;
  const finish = (controller.finish = promiseWithResolvers());
  const { flush } = controller;
  const promise = flush === undefined ? promiseResolve(undefined) : flush();
  controller.clearAlgorithms();
  upon(
    promise,
    () => {
      if (side.state === ERRORED) {
        finish.reject(side.storedError);
      } else {
        side.controller.close();
        finish.resolve(undefined);
      }
    },
    (error) => {
      side.controller.error(error);
      finish.reject(error);
    },
  );
  return finish.promise;
}

function sourceCancel(stream, reason) {
  const { controller } = stream;
  if (controller.finish !== undefined) return controller.finish.promise;
  const { writableImpl: side } = stream;
  const finish = (controller.finish = promiseWithResolvers());
  const { cancel } = controller;
  const promise = cancel === undefined ? promiseResolve(undefined) : cancel(reason);
  controller.clearAlgorithms();
  const unblock = () => {
    if (stream.backpressure) setBackpressure(stream, false);
  };
  upon(
    promise,
    () => {
      if (side.state === writable.ERRORED) {
        finish.reject(side.storedError);
      } else {
        writable.writableErrorIfNeeded(side, reason);
        unblock();
        finish.resolve(undefined);
      }
    },
    (error) => {
      writable.writableErrorIfNeeded(side, error);
      unblock();
      finish.reject(error);
    },
  );
  return finish.promise;
}

function sourcePull(stream) {
  setBackpressure(stream, false);
  return stream.backpressureChange.promise;
}

function initialize(stream, startPromise, writableStrategy, readableStrategy) {
  stream.writable = writable.createWritable({
    start: startPromise,
    write: (chunk) => sinkWrite(stream, chunk),
    close: () => sinkClose(stream),
    abort: (reason) => sinkAbort(stream, reason),
    highWaterMark: writableStrategy.highWaterMark,
    size: writableStrategy.size,
  });
  stream.writableImpl = writable.writableImpl(stream.writable);
  stream.readable = createDefaultReadable({
    start: startPromise,
    pull: () => sourcePull(stream),
    cancel: (reason) => sourceCancel(stream, reason),
    highWaterMark: readableStrategy.highWaterMark,
    size: readableStrategy.size,
  });
  stream.readableImpl = readableImpl(stream.readable);
  setBackpressure(stream, true);
}

export class TransformStreamDefaultController {
  #impl;

  constructor(token, impl) {
    if (token !== internal) throw illegalConstructor();
    this.#impl = impl;
  }

  get desiredSize() {
    return this.#impl.desiredSize();
  }

  enqueue(chunk = undefined) {
    this.#impl.enqueue(chunk);
  }

  error(error = undefined) {
    this.#impl.error(error);
  }

  terminate() {
    this.#impl.terminate();
  }
}
defineInterface(TransformStreamDefaultController, "TransformStreamDefaultController");

export class TransformStream {
  #impl;

  constructor(transformer = undefined, writableStrategy = undefined, readableStrategy = undefined) {
    if (transformer === internal) {
      this.#impl = writableStrategy;
      return;
    }
    if (transformer !== undefined && !isObject(transformer))
      throw new TypeError("TransformStream constructor: the transformer is not an object");
    const forWritable = convertStrategy(writableStrategy, "TransformStream constructor: the writable strategy");
    const forReadable = convertStrategy(readableStrategy, "TransformStream constructor: the readable strategy");
    const stream = (this.#impl = new TransformImpl());
    setUpFromTransformer(stream, transformer, forWritable, forReadable);
  }

  get readable() {
    return this.#impl.readable;
  }

  get writable() {
    return this.#impl.writable;
  }
}
defineInterface(TransformStream, "TransformStream");

function setUpFromTransformer(stream, transformer, forWritable, forReadable) {
  let cancel, flush, start, transform;
  let readableType, writableType;
  if (transformer !== undefined) {
    cancel = transformer.cancel;
    if (cancel !== undefined) toCallback(cancel, "The transformer's cancel");
    flush = transformer.flush;
    if (flush !== undefined) toCallback(flush, "The transformer's flush");
    readableType = transformer.readableType;
    start = transformer.start;
    if (start !== undefined) toCallback(start, "The transformer's start");
    transform = transformer.transform;
    if (transform !== undefined) toCallback(transform, "The transformer's transform");
    writableType = transformer.writableType;
  }
  if (readableType !== undefined) throw new RangeError("The transformer's readableType is reserved");
  if (writableType !== undefined) throw new RangeError("The transformer's writableType is reserved");
  const readableStrategy = { size: forReadable.size, highWaterMark: extractHighWaterMark(forReadable, 0) };
  const writableStrategy = { size: forWritable.size, highWaterMark: extractHighWaterMark(forWritable, 1) };
  const started = promiseWithResolvers();
  initialize(stream, started.promise, writableStrategy, readableStrategy);
  const controller = new TransformController(
    stream,
    transform && bind((chunk) => promiseCall(transform, transformer, chunk, controller.self)),
    flush && bind(() => promiseCall(flush, transformer, controller.self)),
    cancel && bind((reason) => promiseCall(cancel, transformer, reason)),
  );
  controller.self = new TransformStreamDefaultController(internal, controller);
  started.resolve(start === undefined ? undefined : start.call(transformer, controller.self));
}

// A transform of the platform's own: transform(chunk, controller) and flush(controller) may throw
// or return a promise. Returns { readable, writable }; controller.enqueue takes chunks.
export function createTransform({ transform, flush, cancel }) {
  const stream = new TransformImpl();
  initialize(stream, promiseResolve(undefined), { highWaterMark: 1 }, { highWaterMark: 0 });
  const controller = new TransformController(
    stream,
    (chunk) => promiseCall(transform, undefined, chunk, controller),
    flush && (() => promiseCall(flush, undefined, controller)),
    cancel && ((reason) => promiseCall(cancel, undefined, reason)),
  );
  return { readable: stream.readable, writable: stream.writable };
}

// ---- IdentityTransformStream, FixedLengthStream ----

// Bytes go in, the same bytes come out, also by BYOB readers; a write is done when its bytes have
// been taken. expected: how many bytes there must be, or undefined.
class IdentityPipe {
  pending = undefined; // { promise, resolve, reject } of the write that waits for a reader
  chunk = undefined;
  wanted = false;
  written = 0;

  constructor(expected) {
    this.expected = expected;
    const readable = newReadableOf((impl) => {
      this.side = impl;
      impl.expectedBytes = expected;
      const controller = new ByteController(
        impl, () => this.pull(), (reason) => this.cancel(reason), 0, undefined,
      );
      controllerStart(controller, undefined, false);
      return controller;
    });
    this.readable = readable;
    this.writable = writable.createWritable({
      write: (chunk) => this.write(chunk),
      close: () => this.close(),
      abort: (reason) => this.abort(reason),
    });
    // An abort waits for the write in flight, which waits for a reader that may never come.
    addAbortAlgorithm(writable.writableImpl(this.writable).controller.getSignal(), (reason) => this.abort(reason));
  }

  write(chunk) {
    let bytes;
    try {
      if (typeof chunk === "string" || !isBufferSource(chunk))
        throw new TypeError("This stream carries bytes: a chunk must be an ArrayBuffer or a view on one");
      bytes = copyBytes(chunk);
      this.written += bytes.byteLength;
      if (this.expected !== undefined && this.written > this.expected)
        throw new TypeError(`The FixedLengthStream was given more than its ${this.expected} bytes`);
    } catch (error) {
      this.side.controller.error(error);
      return promiseReject(error);
    }
    if (bytes.byteLength === 0) return promiseResolve(undefined);
    if (this.side.state !== READABLE)
      return this.side.state === CLOSED ? promiseResolve(undefined) : promiseReject(this.side.storedError);
    if (this.wanted) {
      this.wanted = false;
      this.side.controller.enqueueOwned(bytes);
      return promiseResolve(undefined);
    }
    this.chunk = bytes;
    this.pending = promiseWithResolvers();
    return this.pending.promise;
  }

  pull() {
    const { pending, chunk } = this;
    if (pending === undefined) {
      this.wanted = true;
      return;
    }
    this.pending = this.chunk = undefined;
    this.side.controller.enqueueOwned(chunk);
    pending.resolve(undefined);
  }

  close() {
    if (this.expected !== undefined && this.written < this.expected) {
      const error = new TypeError(
        `The FixedLengthStream was closed after ${this.written} of its ${this.expected} bytes`,
      );
      this.side.controller.error(error);
      return promiseReject(error);
    }
    const { controller } = this.side;
    if (controller.canCloseOrEnqueue()) {
      controller.close();
      if (controller.pendingPullIntos.length > 0) controller.respond(0);
    }
    return promiseResolve(undefined);
  }

  abort(reason) {
    if (this.pending !== undefined) {
      this.pending.reject(reason);
      this.pending = undefined;
    }
    this.side.controller.error(reason);
    return promiseResolve(undefined);
  }

  cancel(reason) {
    const { pending } = this;
    this.pending = this.chunk = undefined;
    if (pending !== undefined) pending.reject(reason);
    writable.writableErrorIfNeeded(writable.writableImpl(this.writable), reason);
    return promiseResolve(undefined);
  }
}

export class IdentityTransformStream extends TransformStream {
  constructor(queuingStrategy = undefined, expectedBytes = undefined) {
    super(internal, new IdentityPipe(queuingStrategy === internal ? expectedBytes : undefined));
  }
}
defineInterface(IdentityTransformStream, "IdentityTransformStream");

export class FixedLengthStream extends IdentityTransformStream {
  constructor(expectedLength, queuingStrategy = undefined) {
    requireArguments(arguments.length, 1, "FixedLengthStream constructor");
    super(internal, toIntegerEnforced(Number(expectedLength), 0, 9007199254740991, "expectedLength"));
  }
}
defineInterface(FixedLengthStream, "FixedLengthStream");
