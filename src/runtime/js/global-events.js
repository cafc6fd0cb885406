// SPDX-License-Identifier: Apache-2.0
// Events that the global object gets: errors that nobody caught.
// https://html.spec.whatwg.org/#report-an-exception

import { platform } from "./native.js";
import { ErrorEvent, PromiseRejectionEvent, dispatchTrusted, hasListeners } from "./events.js";
import { current } from "./context.js";
import { logException, messageOf } from "./errors.js";

let target = undefined;
let reporting = false;

export function setGlobalTarget(object) {
  target = object;
}

export function globalTarget() {
  return target;
}

function listensTo(type) {
  return target !== undefined && hasListeners(target, type);
}

export function reportException(error) {
  // A listener that throws is reported too, but not to itself.
  if (!reporting && listensTo("error")) {
    reporting = true;
    try {
      const event = new ErrorEvent("error", { error, message: `Uncaught ${messageOf(error)}`, cancelable: true });
      if (!dispatchTrusted(target, event)) return;
    } finally {
      reporting = false;
    }
  }
  logException(current(), error, "Uncaught ");
}
platform.reportException = reportException;

// Hook: a promise was rejected, and at the end of the turn nobody had taken notice.
export function onUnhandledRejection(promise, reason) {
  if (listensTo("unhandledrejection")) {
    const event = new PromiseRejectionEvent("unhandledrejection", { promise, reason, cancelable: true });
    if (!dispatchTrusted(target, event)) return;
  }
  logException(current(), reason, "Uncaught (in promise) ");
}
