// SPDX-License-Identifier: Apache-2.0
// One request or event, from its frame to "done": who answers it, what it waits for, what it leaves
// behind. Found again by slot and id, as the frames name it.

import { Error, TypeError, promiseResolve, promiseThen } from "./primordials.js";
import { native } from "./native.js";
import { BODY_NONE, BODY_STREAM } from "./body.js";
import { headersToBlock } from "./headers.js";
import { isResponse, responseBody, responseHeaders, responseStatus } from "./response.js";
import { requestOptionalSignal } from "./request.js";
import { cancelStream } from "./streams.js";
import { pumpTo } from "./streams/readable-stream.js";
import { signalAbort } from "./abort.js";
import { DOMException } from "./dom-exception.js";
import { enterRequest, sharesIO } from "./context.js";
import { clearTimersOf, startTimer, stopTimer } from "./timers.js";
import { dropExchangesOf } from "./exchanges.js";
import { BodySink } from "./sink.js";
import { KIND_EXCEPTION, logException, logText, messageOf, stackOf } from "./errors.js";

const FIN = 1, DONE_TOO = 16, PASS_THROUGH = 32;
// How long waitUntil() may go on after the answer.
const GRACE_MS = 30000;

const HUNG =
  "The script will never generate a response: the Workers runtime canceled this request because it detected that your Worker's code had hung and would never generate a response.";
const DISTURBED = "Body has already been used. It can only be used once. Use tee() first if you need to read it twice.";

const HEADERS_MAX = 128 * 1024;

const open = []; // by slot

let subrequestsMax = 1000;
export function setSubrequestsMax(count) {
  subrequestsMax = count;
}

const STOPPED = {
  1101: "The platform failed in the middle of the request.",
  1102: "Worker exceeded CPU time limit.",
  1103: "Worker exceeded memory limit.",
};

export class RequestContext {
  responded = false; // the head of the answer went out
  answered = false; // all of it did
  over = false;
  holds = 0; // timers and fetches under way
  waiting = 0; // waitUntil promises
  subrequests = 0;
  passThrough = false;
  grace = undefined; // timer
  request = undefined;
  source = undefined; // of the request's body
  sink = undefined; // of the response's body

  constructor(slot, id, isEvent) {
    this.slot = slot;
    this.id = id;
    this.isEvent = isEvent;
  }

  hold() {
    this.holds++;
  }

  release() {
    this.holds--;
  }

  countSubrequest() {
    if (++this.subrequests > subrequestsMax) throw new Error("Too many subrequests.");
  }

  waitUntil(promise) {
    this.waiting++;
    const settle = () => {
      this.waiting--;
      this.maybeDone();
    };
    promiseThen(promiseResolve(promise), settle, (error) => {
      logException(this, error, "Uncaught (in promise) ");
      settle();
    });
  }

  maybeDone() {
    if (!this.answered || this.over) return;
    if (this.waiting > 0) {
      this.grace ??= startTimer(() => this.endGrace(), GRACE_MS);
      return;
    }
    this.finish();
    native.done(this.slot, this.id);
  }

  endGrace() {
    if (this.over) return;
    logText(
      this,
      "waitUntil() tasks did not complete within the allowed time after invocation end and have been cancelled. See: https://developers.cloudflare.com/workers/runtime-apis/handlers/fetch/#contextwaituntil",
    );
    this.waiting = 0;
    this.finish();
    native.done(this.slot, this.id);
  }

  // Nothing of it may go on. What the worker still awaits never settles: there is nobody to tell.
  finish() {
    this.over = true;
    if (open[this.slot] === this) open[this.slot] = undefined;
    if (this.grace !== undefined) stopTimer(this.grace);
    if (this.holds > 0) {
      clearTimersOf(this);
      dropExchangesOf(this);
    }
  }

  fail(error) {
    if (this.over) return;
    if (this.responded) {
      logException(this, error, "Uncaught ");
    } else {
      this.responded = true;
      const flags = this.passThrough ? PASS_THROUGH : 0;
      native.respondError(this.slot, this.id, KIND_EXCEPTION, messageOf(error), stackOf(error), flags);
    }
    this.answered = true;
    this.maybeDone();
  }

  // What the handler came to: a response, it is to be hoped.
  answer(response) {
    if (this.responded || this.over) return;
    if (!isResponse(response)) {
      this.fail(new TypeError("Incorrect type for Promise: the Promise did not resolve to 'Response'."));
      return;
    }
    const body = responseBody(response), status = responseStatus(response);
    if (status < 200) {
      this.fail(
        status === 0
          ? new TypeError("Response.error() cannot be sent to a client.")
          : new Error("WebSocket answers are not available on this server yet."),
      );
      return;
    }
    const block = headersToBlock(responseHeaders(response));
    if (block.length > HEADERS_MAX) {
      this.fail(new Error(`The response's headers are too large: ${block.length} characters, of ${HEADERS_MAX} at most.`));
      return;
    }
    if (body.kind === BODY_STREAM) {
      this.answerStream(status, block, body);
      return;
    }
    if (body.used) {
      this.fail(new TypeError(DISTURBED));
      return;
    }
    const content = body.kind === BODY_NONE ? null : body.content;
    this.responded = this.answered = true;
    if (content !== null) body.used = true;
    if (this.waiting === 0) {
      native.respond(this.slot, this.id, status, block, content, FIN | DONE_TOO, -1);
      this.finish();
    } else {
      native.respond(this.slot, this.id, status, block, content, FIN, -1);
      this.maybeDone();
    }
  }

  answerStream(status, block, body) {
    if (body.isUnusable()) {
      this.fail(new TypeError(DISTURBED));
      return;
    }
    this.responded = true;
    native.respond(this.slot, this.id, status, block, null, 0, body.length);
    if (this.request !== undefined && this.request.method === "HEAD") {
      cancelStream(body.content, undefined);
      native.respondBody(this.slot, this.id, null, true);
      this.answered = true;
      this.maybeDone();
      return;
    }
    const sink = (this.sink = new BodySink(
      (bytes, fin) => native.respondBody(this.slot, this.id, bytes, fin),
      (error) => {
        logException(this, error, "Uncaught ");
        native.respondError(this.slot, this.id, KIND_EXCEPTION, messageOf(error), "", 0);
        this.answered = true;
        this.maybeDone();
      },
      () => {
        this.answered = true;
        this.maybeDone();
      },
    ));
    sink.cancel = pumpTo(body.content, sink);
  }

  // The client went away.
  abort() {
    const reason = new DOMException("The client has disconnected", "AbortError");
    if (this.source !== undefined) this.source.fail(reason);
    const signal = this.request === undefined ? undefined : requestOptionalSignal(this.request);
    if (signal !== undefined) signalAbort(signal, reason);
    if (this.sink !== undefined) this.sink.abandon(reason);
    this.responded = this.answered = true;
    this.maybeDone();
  }

  // C stopped the code that ran. kind: a key of STOPPED.
  terminate(kind) {
    if (this.over) return;
    if (!this.answered) {
      native.respondError(this.slot, this.id, kind, `Error: ${STOPPED[kind]}`, "", 0);
    }
    this.responded = this.answered = true;
    this.finish();
    native.done(this.slot, this.id);
  }

  // Nobody outside will ever wake it.
  isHung() {
    return !sharesIO() && !this.responded && this.holds === 0 && (this.source === undefined || this.source.state !== 0);
  }
}

export function openContext(slot, id, isEvent) {
  const owner = new RequestContext(slot, id, isEvent);
  open[slot] = owner;
  enterRequest(owner);
  return owner;
}

export function findContext(slot, id) {
  const owner = open[slot];
  return owner !== undefined && owner.id === id ? owner : undefined;
}

export function failHung() {
  for (let slot = 0; slot < open.length; slot++) {
    const owner = open[slot];
    if (owner === undefined || !owner.isHung()) continue;
    enterRequest(owner);
    owner.fail(new Error(HUNG));
  }
}
