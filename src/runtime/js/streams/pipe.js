// SPDX-License-Identifier: Apache-2.0
// https://streams.spec.whatwg.org/#readable-stream-pipe-to

import { TypeError, markHandled, noop, promiseResolve, promiseThen, promiseWithResolvers } from "../primordials.js";
import { addAbortAlgorithm, isAborted, removeAbortAlgorithm } from "../abort.js";
import { upon } from "./common.js";
import * as readable from "./readable.js";
import * as writable from "./writable.js";

// One pipe. Reads do not make promises; a write makes the one that the standard returns for it,
// of which the last is kept, for a shutdown must wait until what was read has been written.
class Pipe {
  shuttingDown = false;
  reading = false;
  currentWrite = undefined;
  deferred = promiseWithResolvers();
  onAbort = undefined;
  pumping = false;
  pumpAgain = () => {
    if (!this.reading) this.pump();
  };

  constructor(source, destination, preventClose, preventAbort, preventCancel, signal) {
    this.source = source;
    this.destination = destination;
    this.preventClose = preventClose;
    this.preventAbort = preventAbort;
    this.preventCancel = preventCancel;
    this.signal = signal;
    this.reader = new readable.DefaultReader(source);
    this.writer = new writable.WriterImpl(destination);
    source.disturbed = true;
  }

  start() {
    const { signal } = this;
    if (signal !== undefined) {
      this.onAbort = () => this.abort();
      if (isAborted(signal)) {
        this.abort();
        return;
      }
      addAbortAlgorithm(signal, this.onAbort);
    }
    // In the standard's order: errors forward, errors backward, closing forward, closing backward.
    const { source, destination, reader, writer } = this;
    const onSourceClosed = () => this.sourceClosed(), onSourceErrored = () => this.sourceErrored();
    if (source.state === readable.ERRORED) onSourceErrored();
    else if (source.state === readable.READABLE)
      upon(reader.closed.promise, onSourceClosed, onSourceErrored);
    if (destination.state === writable.ERRORED) this.destinationErrored();
    else upon(writer.closed.promise, undefined, () => this.destinationErrored());
    if (source.state === readable.CLOSED) onSourceClosed();
    if (writable.closeQueuedOrInFlight(destination) || destination.state === writable.CLOSED)
      this.destinationClosed();
    this.pump();
  }

  // Reads while the destination wants chunks; waits on `ready` when not.
  pump() {
    const { reader, writer, destination } = this;
    this.pumping = true;
    while (!this.shuttingDown && !this.reading) {
      if (destination.state !== writable.WRITABLE || writable.closeQueuedOrInFlight(destination)) break;
      if (destination.backpressure) {
        upon(writer.ready.promise, this.pumpAgain, noop);
        break;
      }
      this.reading = true;
      readable.readerRead(reader, this); // calls chunk now or later
    }
    this.pumping = false;
  }

  // The pipe is its own read request.
  chunk(chunk) {
    this.reading = false;
    this.currentWrite = writable.writerWrite(this.writer, chunk);
    markHandled(this.currentWrite);
    if (!this.pumping) upon(resolved, this.pumpAgain);
  }

  // Nothing more comes: `reading` stays, and what the reader's closed promise starts ends the pipe.
  close() {}

  error(reason) {}

  sourceErrored() {
    const { source, destination } = this;
    if (this.preventAbort) this.shutdown(undefined, true, source.storedError);
    else
      this.shutdown(() => writable.writableAbort(destination, source.storedError), true, source.storedError);
  }

  destinationErrored() {
    const { source, destination } = this;
    if (this.preventCancel) this.shutdown(undefined, true, destination.storedError);
    else
      this.shutdown(
        () => readable.readableCancel(source, destination.storedError), true, destination.storedError,
      );
  }

  sourceClosed() {
    if (this.preventClose) this.shutdown(undefined, false);
    else this.shutdown(() => writable.writerCloseWithErrorPropagation(this.writer), false);
  }

  destinationClosed() {
    const error = new TypeError("The destination of the pipe is closed");
    if (this.preventCancel) this.shutdown(undefined, true, error);
    else this.shutdown(() => readable.readableCancel(this.source, error), true, error);
  }

  abort() {
    const { source, destination, signal } = this;
    const error = signal.reason;
    const actions = [];
    if (!this.preventAbort)
      actions[0] = () =>
        destination.state === writable.WRITABLE
          ? writable.writableAbort(destination, error)
          : promiseResolve(undefined);
    if (!this.preventCancel)
      actions[actions.length] = () =>
        source.state === readable.READABLE
          ? readable.readableCancel(source, error)
          : promiseResolve(undefined);
    this.shutdown(() => waitForBoth(actions), true, error);
  }

  shutdown(action, hasError, error) {
    if (this.shuttingDown) return;
    this.shuttingDown = true;
    const { destination } = this;
    const act = () => {
      if (action === undefined) {
        this.finish(hasError, error);
        return;
      }
      upon(action(), () => this.finish(hasError, error), (newError) => this.finish(true, newError));
    };
    if (destination.state === writable.WRITABLE && !writable.closeQueuedOrInFlight(destination))
      this.waitForWrites(act);
    else act();
  }

  // Until what was read has been written.
  waitForWrites(then) {
    const write = this.currentWrite;
    const again = () => {
      if (write !== this.currentWrite) this.waitForWrites(then);
      else then();
    };
    if (write === undefined) upon(resolved, again);
    else upon(write, again, again);
  }

  finish(hasError, error) {
    writable.writerRelease(this.writer);
    readable.readerRelease(this.reader);
    if (this.onAbort !== undefined) removeAbortAlgorithm(this.signal, this.onAbort);
    if (hasError) this.deferred.reject(error);
    else this.deferred.resolve(undefined);
  }
}

const resolved = promiseResolve(undefined);

function waitForBoth(actions) {
  if (actions.length === 0) return promiseResolve(undefined);
  const first = actions[0]();
  if (actions.length === 1) return first;
  const second = actions[1]();
  markHandled(second);
  return promiseThen(first, () => second);
}

export function pipeTo(source, destination, options = {}) {
  const { preventClose, preventAbort, preventCancel, signal } = options;
  const pipe = new Pipe(source, destination, !!preventClose, !!preventAbort, !!preventCancel, signal);
  pipe.start();
  return pipe.deferred.promise;
}
