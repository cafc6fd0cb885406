// SPDX-License-Identifier: Apache-2.0
// https://streams.spec.whatwg.org/#abstract-opdef-readablestreamtee

import {
  Uint8Array,
  promiseResolve,
  promiseWithResolvers,
  queueMicrotask,
} from "../primordials.js";
import { viewBuffer, viewByteLength, viewByteOffset } from "../webidl.js";
import { upon } from "./common.js";
import {
  ByobReader,
  DefaultReader,
  byobReaderRead,
  readableCancel,
  readerRead,
  readerRelease,
} from "./readable.js";

// What both kinds share: two branches, one reader, cancelled only when both are.
class Tee {
  reading = false;
  canceled1 = false;
  canceled2 = false;
  reason1 = undefined;
  reason2 = undefined;
  cancelled = promiseWithResolvers();
  branch1 = undefined; // controllers
  branch2 = undefined;

  constructor(stream) {
    this.stream = stream;
    this.reader = new DefaultReader(stream);
  }

  cancel1(reason) {
    this.canceled1 = true;
    this.reason1 = reason;
    if (this.canceled2) this.cancelBoth();
    return this.cancelled.promise;
  }

  cancel2(reason) {
    this.canceled2 = true;
    this.reason2 = reason;
    if (this.canceled1) this.cancelBoth();
    return this.cancelled.promise;
  }

  cancelBoth() {
    this.cancelled.resolve(readableCancel(this.stream, [this.reason1, this.reason2]));
  }

  watchErrors() {
    const { reader } = this;
    upon(reader.closed.promise, undefined, (error) => {
      if (this.reader !== reader) return;
      this.branch1.error(error);
      this.branch2.error(error);
      if (!this.canceled1 || !this.canceled2) this.cancelled.resolve(undefined);
    });
  }
}

class DefaultTee extends Tee {
  readAgain = false;

  pull() {
    if (this.reading) {
      this.readAgain = true;
      return promiseResolve(undefined);
    }
    this.reading = true;
    readerRead(this.reader, this);
    return promiseResolve(undefined);
  }

  chunk(chunk) {
    queueMicrotask(() => {
      this.readAgain = false;
      if (!this.canceled1) this.branch1.enqueue(chunk);
      if (!this.canceled2) this.branch2.enqueue(chunk);
      this.reading = false;
      if (this.readAgain) this.pull();
    });
  }

  close() {
    this.reading = false;
    if (!this.canceled1) this.branch1.close();
    if (!this.canceled2) this.branch2.close();
    if (!this.canceled1 || !this.canceled2) this.cancelled.resolve(undefined);
  }

  error() {
    this.reading = false;
  }
}

// create(pull, cancel) makes a branch and returns its internal stream.
export function teeDefault(stream, create) {
  const tee = new DefaultTee(stream);
  const pull = () => tee.pull();
  const first = create(pull, (reason) => tee.cancel1(reason));
  const second = create(pull, (reason) => tee.cancel2(reason));
  tee.branch1 = first.controller;
  tee.branch2 = second.controller;
  tee.watchErrors();
  return [first, second];
}

class ByteTee extends Tee {
  readAgain1 = false;
  readAgain2 = false;

  pull1() {
    if (this.reading) {
      this.readAgain1 = true;
      return promiseResolve(undefined);
    }
    this.reading = true;
    const request = this.branch1.getByobRequest();
    if (request === null) this.pullWithDefaultReader();
    else this.pullWithByobReader(request.view, false);
    return promiseResolve(undefined);
  }

  pull2() {
    if (this.reading) {
      this.readAgain2 = true;
      return promiseResolve(undefined);
    }
    this.reading = true;
    const request = this.branch2.getByobRequest();
    if (request === null) this.pullWithDefaultReader();
    else this.pullWithByobReader(request.view, true);
    return promiseResolve(undefined);
  }

  continue_() {
    this.reading = false;
    if (this.readAgain1) this.pull1();
    else if (this.readAgain2) this.pull2();
  }

  fail(error) {
    this.branch1.error(error);
    this.branch2.error(error);
    this.cancelled.resolve(readableCancel(this.stream, error));
  }

  pullWithDefaultReader() {
    if (this.reader.byob) {
      readerRelease(this.reader);
      this.reader = new DefaultReader(this.stream);
      this.watchErrors();
    }
    readerRead(this.reader, new ByteTeeRead(this));
  }

  pullWithByobReader(view, forBranch2) {
    if (!this.reader.byob) {
      readerRelease(this.reader);
      this.reader = new ByobReader(this.stream);
      this.watchErrors();
    }
    byobReaderRead(this.reader, view, 1, new ByteTeeReadInto(this, forBranch2));
  }
}

function cloneAsUint8Array(view) {
  const bytes = new Uint8Array(viewBuffer(view), viewByteOffset(view), viewByteLength(view));
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy;
}

class ByteTeeRead {
  constructor(tee) {
    this.tee = tee;
  }

  chunk(chunk) {
    queueMicrotask(() => {
      const { tee } = this;
      tee.readAgain1 = tee.readAgain2 = false;
      let second = chunk;
      if (!tee.canceled1 && !tee.canceled2) {
        try {
          second = cloneAsUint8Array(chunk);
        } catch (error) {
          tee.fail(error);
          return;
        }
      }
      if (!tee.canceled1) tee.branch1.enqueue(chunk);
      if (!tee.canceled2) tee.branch2.enqueue(second);
      tee.continue_();
    });
  }

  close() {
    const { tee } = this;
    tee.reading = false;
    if (!tee.canceled1) tee.branch1.close();
    if (!tee.canceled2) tee.branch2.close();
    if (tee.branch1.pendingPullIntos.length > 0) tee.branch1.respond(0);
    if (tee.branch2.pendingPullIntos.length > 0) tee.branch2.respond(0);
    if (!tee.canceled1 || !tee.canceled2) tee.cancelled.resolve(undefined);
  }

  error() {
    this.tee.reading = false;
  }
}

class ByteTeeReadInto {
  constructor(tee, forBranch2) {
    this.tee = tee;
    this.forBranch2 = forBranch2;
  }

  chunk(chunk) {
    queueMicrotask(() => {
      const { tee, forBranch2 } = this;
      tee.readAgain1 = tee.readAgain2 = false;
      const byobCanceled = forBranch2 ? tee.canceled2 : tee.canceled1;
      const otherCanceled = forBranch2 ? tee.canceled1 : tee.canceled2;
      const byobBranch = forBranch2 ? tee.branch2 : tee.branch1;
      const otherBranch = forBranch2 ? tee.branch1 : tee.branch2;
      if (!otherCanceled) {
        let clone;
        try {
          clone = cloneAsUint8Array(chunk);
        } catch (error) {
          tee.fail(error);
          return;
        }
        if (!byobCanceled) byobBranch.respondWithNewView(chunk);
        otherBranch.enqueue(clone);
      } else if (!byobCanceled) {
        byobBranch.respondWithNewView(chunk);
      }
      tee.continue_();
    });
  }

  close(chunk) {
    const { tee, forBranch2 } = this;
    tee.reading = false;
    const byobCanceled = forBranch2 ? tee.canceled2 : tee.canceled1;
    const otherCanceled = forBranch2 ? tee.canceled1 : tee.canceled2;
    const byobBranch = forBranch2 ? tee.branch2 : tee.branch1;
    const otherBranch = forBranch2 ? tee.branch1 : tee.branch2;
    if (!byobCanceled) byobBranch.close();
    if (!otherCanceled) otherBranch.close();
    if (chunk !== undefined) {
      if (!byobCanceled) byobBranch.respondWithNewView(chunk);
      if (!otherCanceled && otherBranch.pendingPullIntos.length > 0) otherBranch.respond(0);
    }
    if (!byobCanceled || !otherCanceled) tee.cancelled.resolve(undefined);
  }

  error() {
    this.tee.reading = false;
  }
}

export function teeBytes(stream, create) {
  const tee = new ByteTee(stream);
  const first = create(() => tee.pull1(), (reason) => tee.cancel1(reason));
  const second = create(() => tee.pull2(), (reason) => tee.cancel2(reason));
  tee.branch1 = first.controller;
  tee.branch2 = second.controller;
  tee.watchErrors();
  return [first, second];
}
