// SPDX-License-Identifier: Apache-2.0
// The public ReadableStream and its readers, and how the platform makes and reads streams itself.
// https://streams.spec.whatwg.org/#rs-class

import { bind } from "../async-context.js";
import {
  ArrayBufferByteLength,
  ArrayBufferIsView,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectGetPrototypeOf,
  RangeError,
  Symbol,
  SymbolAsyncIterator,
  SymbolIterator,
  SymbolToStringTag,
  TypeError,
  TypedArrayLength,
  TypedArrayName,
  Uint8Array,
  markHandled,
  promiseReject,
  promiseResolve,
  promiseThen,
  promiseWithResolvers,
} from "../primordials.js";
import { isAbortSignal } from "../abort.js";
import {
  defineInterface,
  isObject,
  requireArguments,
  toCallback,
  toDictionary,
  toDOMString,
  toIntegerEnforced,
  viewBuffer,
  viewByteLength,
} from "../webidl.js";
import { convertStrategy, extractHighWaterMark, isDetached, iterResult, promiseCall } from "./common.js";
import { Collector, NativeSource } from "./native.js";
import { pipeTo } from "./pipe.js";
import {
  ByobReader,
  ByteController,
  DefaultController,
  DefaultReader,
  READABLE,
  ReadableImpl,
  byobReaderRead,
  controllerStart,
  newByteControllerObject,
  newDefaultControllerObject,
  readableCancel,
  readerRead,
  readerRelease,
} from "./readable.js";
import { teeBytes, teeDefault } from "./tee.js";
import { isWritableStream, writableImpl } from "./writable.js";

const internal = Symbol("internal");

const illegal = () => promiseReject(new TypeError("Illegal invocation"));
const released = () => promiseReject(new TypeError("The reader has been released"));

// The read request behind the worker's read().
class PromiseRead {
  deferred = promiseWithResolvers();

  chunk(value) {
    this.deferred.resolve(iterResult(value, false));
  }

  close(value = undefined) {
    this.deferred.resolve(iterResult(value, true));
  }

  error(reason) {
    this.deferred.reject(reason);
  }
}

export class ReadableStreamDefaultReader {
  #impl;

  constructor(stream) {
    requireArguments(arguments.length, 1, "ReadableStreamDefaultReader constructor");
    this.#impl = new DefaultReader(readableImpl(stream));
  }

  get closed() {
    return #impl in this ? this.#impl.closed.promise : illegal();
  }

  cancel(reason = undefined) {
    if (!(#impl in this)) return illegal();
    const { stream } = this.#impl;
    return stream === undefined ? released() : readableCancel(stream, reason);
  }

  read() {
    if (!(#impl in this)) return illegal();
    const reader = this.#impl, { stream } = reader;
    if (stream === undefined) return released();
    const { controller } = stream;
    if (controller instanceof DefaultController && stream.state === READABLE && controller.queue.length > 0) {
      stream.disturbed = true;
      return promiseResolve(iterResult(controller.takeChunk(), false));
    }
    const request = new PromiseRead();
    readerRead(reader, request);
    return request.deferred.promise;
  }

  releaseLock() {
    if (this.#impl.stream !== undefined) readerRelease(this.#impl);
  }
}
defineInterface(ReadableStreamDefaultReader, "ReadableStreamDefaultReader");

export class ReadableStreamBYOBReader {
  #impl;

  constructor(stream) {
    requireArguments(arguments.length, 1, "ReadableStreamBYOBReader constructor");
    this.#impl = new ByobReader(readableImpl(stream));
  }

  get closed() {
    return #impl in this ? this.#impl.closed.promise : illegal();
  }

  cancel(reason = undefined) {
    if (!(#impl in this)) return illegal();
    const { stream } = this.#impl;
    return stream === undefined ? released() : readableCancel(stream, reason);
  }

  read(view, options = undefined) {
    if (!(#impl in this)) return illegal();
    return this.#read(view, options, 1);
  }

  // Of Workers: at least so many elements, or fewer at the end.
  readAtLeast(minElements, view) {
    if (!(#impl in this)) return illegal();
    return this.#read(view, { min: minElements }, 1);
  }

  #read(view, options) {
    try {
      if (!ArrayBufferIsView(view)) throw new TypeError("The view is not an ArrayBufferView");
      const { min = 1 } = toDictionary(options, "The options") ?? {};
      const minimum = toIntegerEnforced(min, 0, 9007199254740991, "min");
      if (viewByteLength(view) === 0) throw new TypeError("The view is empty");
      if (isDetached(viewBuffer(view))) throw new TypeError("The view's buffer is detached");
      if (ArrayBufferByteLength.call(viewBuffer(view)) === 0) throw new TypeError("The view's buffer is empty");
      if (minimum === 0) throw new TypeError("min must be at least 1");
      const isTyped = TypedArrayName.call(view) !== undefined;
      if (minimum > (isTyped ? TypedArrayLength.call(view) : viewByteLength(view)))
        throw new RangeError("min is larger than the view");
      const reader = this.#impl;
      if (reader.stream === undefined) return released();
      const request = new PromiseRead();
      byobReaderRead(reader, view, minimum, request);
      return request.deferred.promise;
    } catch (error) {
      return promiseReject(error);
    }
  }

  releaseLock() {
    if (this.#impl.stream !== undefined) readerRelease(this.#impl);
  }
}
defineInterface(ReadableStreamBYOBReader, "ReadableStreamBYOBReader");

// ---- the stream ----

export let isReadableStream, readableImpl;

export class ReadableStream {
  #impl;

  constructor(underlyingSource = undefined, strategy = undefined) {
    const impl = (this.#impl = new ReadableImpl());
    impl.self = this;
    if (underlyingSource === internal) return; // its maker sets it up
    if (underlyingSource !== undefined && !isObject(underlyingSource))
      throw new TypeError("ReadableStream constructor: the source is not an object");
    const converted = convertStrategy(strategy, "ReadableStream constructor: the strategy");
    setUpFromSource(impl, underlyingSource, converted);
  }

  static from(asyncIterable) {
    requireArguments(arguments.length, 1, "'from' on 'ReadableStream'");
    return readableFrom(asyncIterable);
  }

  get locked() {
    return this.#impl.reader !== undefined;
  }

  cancel(reason = undefined) {
    if (!(#impl in this)) return illegal();
    if (this.#impl.reader !== undefined)
      return promiseReject(new TypeError("Cannot cancel a stream that is locked to a reader"));
    return readableCancel(this.#impl, reason);
  }

  getReader(options = undefined) {
    this.#impl; // brand check
    const mode = toDictionary(options, "The options")?.mode;
    if (mode === undefined) return new ReadableStreamDefaultReader(this);
    if (toDOMString(mode) !== "byob") throw new TypeError(`"${mode}" is not a mode of a reader`);
    return new ReadableStreamBYOBReader(this);
  }

  pipeThrough(transform, options = undefined) {
    const impl = this.#impl;
    requireArguments(arguments.length, 1, "'pipeThrough' on 'ReadableStream'");
    if (!isObject(transform)) throw new TypeError("The transform is not an object");
    const { readable } = transform;
    if (!isReadableStream(readable)) throw new TypeError("The transform's readable is not a ReadableStream");
    const { writable } = transform;
    if (!isWritableStream(writable)) throw new TypeError("The transform's writable is not a WritableStream");
    const converted = convertPipeOptions(options);
    if (impl.reader !== undefined) throw new TypeError("The ReadableStream is locked to a reader");
    const destination = writableImpl(writable);
    if (destination.writer !== undefined) throw new TypeError("The WritableStream is locked to a writer");
    markHandled(pipeTo(impl, destination, converted));
    return readable;
  }

  pipeTo(destination, options = undefined) {
    if (!(#impl in this)) return illegal();
    try {
      requireArguments(arguments.length, 1, "'pipeTo' on 'ReadableStream'");
      const target = writableImpl(destination);
      const converted = convertPipeOptions(options);
      if (this.#impl.reader !== undefined) throw new TypeError("The ReadableStream is locked to a reader");
      if (target.writer !== undefined) throw new TypeError("The WritableStream is locked to a writer");
      return pipeTo(this.#impl, target, converted);
    } catch (error) {
      return promiseReject(error);
    }
  }

  tee() {
    return teeStream(this.#impl);
  }

  values(options = undefined) {
    const impl = this.#impl;
    const preventCancel = !!toDictionary(options, "The options")?.preventCancel;
    return newAsyncIterator(impl, preventCancel);
  }

  static {
    isReadableStream = (value) => isObject(value) && #impl in value;
    readableImpl = (stream) => {
      if (!isReadableStream(stream)) throw new TypeError("The argument is not a ReadableStream");
      return stream.#impl;
    };
  }
}
defineInterface(ReadableStream, "ReadableStream");
ObjectDefineProperty(ReadableStream.prototype, SymbolAsyncIterator, {
  value: ReadableStream.prototype.values,
  writable: true,
  enumerable: false,
  configurable: true,
});

function convertPipeOptions(options) {
  const dictionary = toDictionary(options, "The options");
  if (dictionary === undefined) return {};
  const { preventAbort, preventCancel, preventClose, signal } = dictionary;
  if (signal !== undefined && !isAbortSignal(signal))
    throw new TypeError("The options' signal is not an AbortSignal");
  return { preventAbort, preventCancel, preventClose, signal };
}

function setUpFromSource(stream, source, strategy) {
  let autoAllocateChunkSize, cancelMethod, pullMethod, start, type;
  if (source !== undefined) {
    // In the order in which Web IDL reads a dictionary's members.
    autoAllocateChunkSize = source.autoAllocateChunkSize;
    if (autoAllocateChunkSize !== undefined)
      autoAllocateChunkSize = toIntegerEnforced(
        autoAllocateChunkSize, 0, 9007199254740991, "autoAllocateChunkSize",
      );
    cancelMethod = source.cancel;
    if (cancelMethod !== undefined) toCallback(cancelMethod, "The source's cancel");
    pullMethod = source.pull;
    if (pullMethod !== undefined) toCallback(pullMethod, "The source's pull");
    start = source.start;
    if (start !== undefined) toCallback(start, "The source's start");
    type = source.type;
    if (type !== undefined && toDOMString(type) !== "bytes")
      throw new TypeError(`"${type}" is not a type of a ReadableStream`);
  }
  let controller;
  const cancel = cancelMethod && bind((reason) => promiseCall(cancelMethod, source, reason));
  const pull = pullMethod && bind(() => promiseCall(pullMethod, source, controller.self));
  if (type !== undefined) {
    if (strategy.size !== undefined || strategy.countSize)
      throw new RangeError("The strategy of a byte stream has no size function");
    const highWaterMark = extractHighWaterMark(strategy, 0);
    if (autoAllocateChunkSize === 0) throw new TypeError("autoAllocateChunkSize must not be 0");
    controller = new ByteController(stream, pull, cancel, highWaterMark, autoAllocateChunkSize);
    newByteControllerObject(controller);
  } else {
    const highWaterMark = extractHighWaterMark(strategy, 1);
    controller = new DefaultController(stream, pull, cancel, highWaterMark, strategy.size);
    newDefaultControllerObject(controller);
  }
  const startResult = start === undefined ? undefined : start.call(source, controller.self);
  controllerStart(controller, startResult, start !== undefined || pull !== undefined);
}

// ---- tee ----

function teeStream(stream) {
  if (stream.reader !== undefined) throw new TypeError("The ReadableStream is locked to a reader");
  const isBytes = stream.controller instanceof ByteController;
  const branches = isBytes
    ? teeBytes(stream, (pull, cancel) => {
        const branch = readableImpl(new ReadableStream(internal));
        controllerStart(new ByteController(branch, pull, cancel, 0, undefined), undefined, true);
        return branch;
      })
    : teeDefault(stream, (pull, cancel) => {
        const branch = readableImpl(new ReadableStream(internal));
        controllerStart(new DefaultController(branch, pull, cancel, 1, undefined), undefined, true);
        return branch;
      });
  for (let i = 0; i < 2; i++)
    if (isBytes) newByteControllerObject(branches[i].controller);
  return [branches[0].self, branches[1].self];
}

// ---- from ----

function readableFrom(iterable) {
  if (typeof iterable !== "string" && !isObject(iterable))
    throw new TypeError("ReadableStream.from: the argument is not iterable");
  let method = iterable[SymbolAsyncIterator], isAsync = true;
  if (method === undefined || method === null) {
    method = iterable[SymbolIterator];
    isAsync = false;
  }
  if (typeof method !== "function")
    throw new TypeError("ReadableStream.from: the argument is not iterable");
  const iterator = method.call(iterable);
  if (!isObject(iterator)) throw new TypeError("ReadableStream.from: the iterator is not an object");
  const { next } = iterator;
  const stream = new ReadableStream(internal), impl = readableImpl(stream);
  let controller;
  const onNext = (result) => {
    if (!isObject(result)) throw new TypeError("The iterator's result is not an object");
    if (result.done) {
      controller.close();
      return undefined;
    }
    const { value } = result;
    if (isAsync) {
      controller.enqueue(value);
      return undefined;
    }
    return promiseThen(promiseResolve(value), (chunk) => controller.enqueue(chunk));
  };
  const pull = () => {
    try {
      const result = next.call(iterator);
      return isAsync ? promiseThen(promiseResolve(result), onNext) : promiseResolve(onNext(result));
    } catch (error) {
      return promiseReject(error);
    }
  };
  const cancel = (reason) => {
    try {
      const returnMethod = iterator.return;
      if (returnMethod === undefined || returnMethod === null) return promiseResolve(undefined);
      const result = returnMethod.call(iterator, reason);
      const check = (value) => {
        if (!isObject(value)) throw new TypeError("The iterator's return() gave no object");
      };
      if (isAsync) return promiseThen(promiseResolve(result), check);
      check(result);
      return promiseResolve(undefined);
    } catch (error) {
      return promiseReject(error);
    }
  };
  controller = new DefaultController(impl, bind(pull), bind(cancel), 0, undefined);
  controllerStart(controller, undefined, true);
  return stream;
}

// ---- async iteration ----

let newAsyncIterator;

const AsyncIteratorPrototype = ObjectGetPrototypeOf(ObjectGetPrototypeOf(async function* () {}.prototype));

class StreamAsyncIterator {
  #reader;
  #preventCancel;
  #ongoing = undefined;
  #finished = false;

  next() {
    if (!(#reader in this)) return illegal();
    const step = () => this.#next();
    this.#ongoing = this.#ongoing === undefined ? step() : promiseThen(this.#ongoing, step, step);
    return this.#ongoing;
  }

  return(value = undefined) {
    if (!(#reader in this)) return illegal();
    const step = () => this.#return(value);
    const returned = this.#ongoing === undefined ? step() : promiseThen(this.#ongoing, step, step);
    this.#ongoing = returned;
    return promiseThen(returned, () => iterResult(value, true));
  }

  #next() {
    if (this.#finished) return promiseResolve(iterResult(undefined, true));
    const reader = this.#reader;
    if (reader.stream === undefined) return released();
    const deferred = promiseWithResolvers();
    readerRead(reader, {
      chunk: (value) => {
        this.#ongoing = undefined;
        deferred.resolve(iterResult(value, false));
      },
      close: () => {
        this.#ongoing = undefined;
        this.#finished = true;
        readerRelease(reader);
        deferred.resolve(iterResult(undefined, true));
      },
      error: (reason) => {
        this.#ongoing = undefined;
        this.#finished = true;
        readerRelease(reader);
        deferred.reject(reason);
      },
    });
    return deferred.promise;
  }

  #return(value) {
    if (this.#finished) return promiseResolve(iterResult(value, true));
    this.#finished = true;
    const reader = this.#reader;
    if (reader.stream === undefined) return promiseResolve(undefined);
    if (this.#preventCancel) {
      readerRelease(reader);
      return promiseResolve(undefined);
    }
    const result = readableCancel(reader.stream, value);
    readerRelease(reader);
    return result;
  }

  static {
    newAsyncIterator = (stream, preventCancel) => {
      const iterator = new StreamAsyncIterator();
      iterator.#reader = new DefaultReader(stream);
      iterator.#preventCancel = preventCancel;
      return iterator;
    };
  }
}
const iteratorPrototype = StreamAsyncIterator.prototype;
Object.setPrototypeOf(iteratorPrototype, AsyncIteratorPrototype);
delete iteratorPrototype.constructor;
for (const key of ["next", "return"])
  ObjectDefineProperty(iteratorPrototype, key, { enumerable: true });
ObjectDefineProperty(iteratorPrototype, SymbolToStringTag, {
  value: "ReadableStream AsyncIterator",
  configurable: true,
});

// ---- streams of the platform's own ----

// start: a promise. pull() and cancel(reason): promises, or undefined.
export function createDefaultReadable({ start, pull, cancel, highWaterMark = 1, size }) {
  const stream = new ReadableStream(internal);
  const controller = new DefaultController(readableImpl(stream), pull, cancel, highWaterMark, size);
  controllerStart(controller, start, start !== undefined || pull !== undefined);
  return stream;
}

// setUp(impl) gives it a controller.
export function newReadableOf(setUp) {
  const stream = new ReadableStream(internal);
  setUp(readableImpl(stream));
  return stream;
}

// A byte stream on a NativeSource.
export function streamFromSource(source) {
  const stream = new ReadableStream(internal);
  source.attach(readableImpl(stream));
  newByteControllerObject(readableImpl(stream).controller);
  return stream;
}

// A byte stream whose content is there already. The bytes must not change any more.
export function streamFromBytes(bytes) {
  const source = new NativeSource();
  source.push(bytes);
  source.close();
  return streamFromSource(source);
}

export function isDisturbed(stream) {
  return readableImpl(stream).disturbed;
}

export function isLocked(stream) {
  return readableImpl(stream).reader !== undefined;
}

export function isErrored(stream) {
  return readableImpl(stream).state === 2;
}

// How many bytes will come: of a FixedLengthStream, or of bytes that are all here. -1: unknown.
export function knownLength(stream) {
  const impl = readableImpl(stream);
  if (impl.expectedBytes !== undefined) return impl.expectedBytes;
  const { source } = impl;
  return source !== undefined && source.state === 1 && !impl.disturbed ? source.bytesWaiting : -1;
}

// Two streams with the same content, for clone().
export function teeForClone(stream) {
  return teeStream(readableImpl(stream));
}

export function cancelStream(stream, reason) {
  return readableCancel(readableImpl(stream), reason);
}

// The direct way to a native stream's bytes, if nothing of it has been read; locks the stream.
function takeSource(impl) {
  const { source } = impl;
  if (source === undefined || impl.disturbed || impl.state !== READABLE) return undefined;
  impl.disturbed = true;
  return source;
}

// Ends the stream that a sink read behind its back, so that its `closed` promises settle.
class FinishingSink {
  constructor(impl, reader, sink) {
    this.impl = impl;
    this.reader = reader;
    this.sink = sink;
  }

  chunk(bytes) {
    this.sink.chunk(bytes);
  }

  close() {
    this.impl.controller.close();
    this.sink.close();
  }

  error(reason) {
    this.impl.controller.error(reason);
    this.sink.error(reason);
  }
}

// A read loop that makes no promise a chunk. sink: chunk(bytes) → undefined, or a promise to wait
// for; close(); error(reason).
class Pump {
  running = false;
  answered = false;

  constructor(reader, sink) {
    this.reader = reader;
    this.sink = sink;
  }

  run() {
    this.running = true;
    do {
      this.answered = false;
      readerRead(this.reader, this);
    } while (this.answered && this.running);
    this.running = false;
  }

  chunk(value) {
    if (!ArrayBufferIsView(value) || TypedArrayName.call(value) !== "Uint8Array") {
      this.fail(new TypeError("The stream gave a chunk that is not a Uint8Array"));
      return;
    }
    const wait = this.sink.chunk(value);
    if (wait !== undefined) {
      this.running = false;
      promiseThen(wait, () => this.run(), (reason) => this.fail(reason));
    } else if (this.running) {
      this.answered = true;
    } else {
      this.run();
    }
  }

  fail(reason) {
    this.running = false;
    const { stream } = this.reader;
    if (stream !== undefined) markHandled(readableCancel(stream, reason));
    this.sink.error(reason);
  }

  close() {
    this.running = false;
    this.sink.close();
  }

  error(reason) {
    this.running = false;
    this.sink.error(reason);
  }
}

// Reads the whole stream into sink. The stream is locked from now on. Returns a function that ends
// it early: cancel(reason).
export function pumpTo(stream, sink) {
  const impl = readableImpl(stream);
  const reader = new DefaultReader(impl);
  const source = takeSource(impl);
  if (source !== undefined && sink.chunk.length >= 0 && !sink.mayWait) {
    source.pipe(new FinishingSink(impl, reader, sink));
    return (reason) => source.cancel(reason);
  }
  impl.disturbed = true;
  new Pump(reader, sink).run();
  return (reason) => markHandled(readableCancel(impl, reason));
}

// All bytes of the stream: a promise of a Uint8Array that nobody else holds.
export function collectBytes(stream) {
  const collector = new Collector(readableImpl(stream).source?.expected ?? 0);
  pumpTo(stream, collector);
  return collector.deferred.promise;
}
