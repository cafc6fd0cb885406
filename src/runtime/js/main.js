// SPDX-License-Identifier: Apache-2.0
// Entry of the platform library: C evaluates the bundle of this file once, in the nursery, and calls
// start(native). What it returns are the hooks that C calls (src/runtime/library.h).

import { setNative } from "./native.js";
import { installGlobals } from "./globals.js";
import { beginRequestTime, beginStartup } from "./startup.js";
import { onUnhandledRejection, setGlobalTarget } from "./global-events.js";
import {
  beginServing,
  boot,
  bootError,
  bootState,
  handlersMask,
  onEvent,
  onIdle,
  onRequest,
  onRequestAbort,
  onRequestBody,
  onResponseCredit,
  onTerminated,
} from "./worker.js";
import { onFetchBody, onFetchCredit, onFetchError, onFetchResponse } from "./exchanges.js";
import { onTimer } from "./timers.js";
import { copyBytes } from "./webidl.js";

function start(functions) {
  setNative(functions);
  setGlobalTarget(installGlobals());
  return {
    boot(manifest, blob, seed) {
      boot(manifest, blob, seed, beginStartup); // evaluates the worker; see bootState
    },
    bootState, // → "pending", "ready", "failed"
    bootError, // → text
    handlers: handlersMask, // → bit 0 fetch, bit 1 scheduled
    afterFork(seed) {
      beginRequestTime(seed);
      beginServing();
    },
    request: onRequest, // (slot, id, method, url, headerBlock, bodyBytes, inline, fin, flags, isUnusualUrl)
    requestBody: onRequestBody, // (slot, id, bytes|null, fin)
    requestAbort: onRequestAbort, // (slot, id)
    responseCredit: onResponseCredit, // (slot, id, bytes)
    event: onEvent, // (slot, id, kind, cron, time)
    timer: onTimer, // ()
    idle: onIdle, // (): nothing is left to do and requests are in flight
    fetchResponse: onFetchResponse, // (target, id, status, headerBlock, url, redirects, inline, fin, bodyBytes)
    fetchBody: onFetchBody, // (target, id, bytes|null, fin)
    fetchError: onFetchError, // (target, id, kind, message)
    fetchCredit: onFetchCredit, // (target, id, bytes)
    copyBytes: (value) => copyBytes(value, "It"), // (buffer or view) → the same bytes in memory of their own
    terminated: onTerminated, // (slot|-1, id, kind)
    unhandledRejection: onUnhandledRejection, // (promise, reason)
  };
}

// A property that C can delete again, which a script's own variable is not.
globalThis.weirRuntime = { start };
