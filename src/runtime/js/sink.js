// SPDX-License-Identifier: Apache-2.0
// A body on its way out: the sink of pumpTo() that hands chunks to C and waits when the credit is used
// up. C keeps what exceeds the credit, so a chunk is never cut here.

import { promiseWithResolvers } from "./primordials.js";

export class BodySink {
  waiting = undefined;
  ended = false;
  cancel = undefined; // of pumpTo: ends the source
  mayWait = true;
  left = 1;

  // write(bytes|null, fin) → credit left. onError(reason): the source failed.
  constructor(write, onError, onEnd = undefined) {
    this.write = write;
    this.onError = onError;
    this.onEnd = onEnd;
  }

  chunk(bytes) {
    if (this.ended || bytes.byteLength === 0) return undefined;
    this.left = this.write(bytes, false);
    if (this.left > 0) return undefined;
    this.waiting = promiseWithResolvers();
    return this.waiting.promise;
  }

  close() {
    if (this.ended) return;
    this.ended = true;
    this.write(null, true);
    if (this.onEnd !== undefined) this.onEnd();
  }

  error(reason) {
    if (this.ended) return;
    this.ended = true;
    this.onError(reason);
  }

  credit(bytes) {
    this.left += bytes;
    if (this.waiting === undefined || this.left <= 0) return;
    const { waiting } = this;
    this.waiting = undefined;
    waiting.resolve();
  }

  // The receiver wants no more.
  abandon(reason) {
    if (this.ended) return;
    this.ended = true;
    if (this.cancel !== undefined) this.cancel(reason);
    if (this.waiting !== undefined) this.waiting.resolve();
  }
}
