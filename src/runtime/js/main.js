// SPDX-License-Identifier: Apache-2.0
// Entry of the platform library: C evaluates the bundle of this file once, in the nursery, and calls
// start(native). What it returns are the hooks that C calls (src/runtime/library.h).

import { setNative } from "./native.js";
import { installGlobals } from "./globals.js";
import {
  afterFork,
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
  onUnhandledRejection,
  setAfterBoot,
  setGlobalTarget,
} from "./worker.js";
import { onFetchBody, onFetchCredit, onFetchError, onFetchResponse } from "./fetch.js";
import { onTimer } from "./timers.js";
import { afterBoot, refuseCodeGeneration, seedRandom } from "./globals.js";
import { resetTimeOrigin } from "./performance.js";

export function start(functions) {
  setNative(functions);
  setGlobalTarget(installGlobals());
  setAfterBoot(afterBoot);
  return {
    boot, // (manifest, blob): evaluates the worker; see bootState
    bootState, // → "pending", "ready", "failed"
    bootError, // → text
    handlers: handlersMask, // → bit 0 fetch, bit 1 scheduled
    afterFork(seed) {
      seedRandom(seed);
      resetTimeOrigin();
      refuseCodeGeneration();
      afterFork();
    },
    request: onRequest, // (slot, id, method, url, headerBlock, bodyBytes, inline, fin, flags)
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
    terminated: onTerminated, // (slot|-1, id, kind)
    unhandledRejection: onUnhandledRejection, // (promise, reason)
  };
}
