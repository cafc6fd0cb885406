// SPDX-License-Identifier: Apache-2.0
// The global object as a worker finds it.

import { DOMException } from "./dom-exception.js";
import {
  CloseEvent,
  CustomEvent,
  ErrorEvent,
  Event,
  EventTarget,
  MessageEvent,
  PromiseRejectionEvent,
  makeEventTarget,
} from "./events.js";
import { AbortController, AbortSignal } from "./abort.js";
import { URL, URLSearchParams } from "./url.js";
import { TextDecoder, TextDecoderStream, TextEncoder, TextEncoderStream, atob, btoa } from "./encoding.js";
import * as streams from "./streams.js";
import { CompressionStream, DecompressionStream } from "./compression-streams.js";
import { Blob, File } from "./blob.js";
import { FormData } from "./formdata.js";
import { structuredClone } from "./structured-clone.js";
import { performance } from "./performance.js";
import { Crypto, CryptoKey, SubtleCrypto, crypto } from "./crypto.js";
import { Headers } from "./headers.js";
import { Request } from "./request.js";
import { Response } from "./response.js";
import { fetch } from "./fetch.js";
import { defineInterface, illegalConstructor } from "./webidl.js";
import { clearInterval, clearTimeout, queueMicrotask, scheduler, setInterval, setTimeout } from "./timers.js";
import { console } from "./console.js";
import { ExtendableEvent, FetchEvent, ScheduledEvent } from "./service-worker.js";
import { AsyncDisposableStack, DisposableStack, SuppressedError } from "./disposable.js";
import { reportException } from "./global-events.js";
import { replaceClock, wrapWebAssembly } from "./startup.js";

const constructors = {
  AbortController, AbortSignal, Blob, CloseEvent, CompressionStream, Crypto, CryptoKey, CustomEvent,
  DOMException, DecompressionStream, ErrorEvent, Event, EventTarget, ExtendableEvent, FetchEvent, File, FormData,
  Headers, MessageEvent, PromiseRejectionEvent, Request, Response, ScheduledEvent, SubtleCrypto, TextDecoder,
  TextDecoderStream, TextEncoder, TextEncoderStream, URL, URLSearchParams,
  Navigator, ServiceWorkerGlobalScope, WorkerGlobalScope,
  ByteLengthQueuingStrategy: streams.ByteLengthQueuingStrategy,
  CountQueuingStrategy: streams.CountQueuingStrategy,
  ReadableStream: streams.ReadableStream,
  ReadableStreamDefaultReader: streams.ReadableStreamDefaultReader,
  ReadableStreamBYOBReader: streams.ReadableStreamBYOBReader,
  ReadableStreamDefaultController: streams.ReadableStreamDefaultController,
  ReadableByteStreamController: streams.ReadableByteStreamController,
  ReadableStreamBYOBRequest: streams.ReadableStreamBYOBRequest,
  WritableStream: streams.WritableStream,
  WritableStreamDefaultWriter: streams.WritableStreamDefaultWriter,
  WritableStreamDefaultController: streams.WritableStreamDefaultController,
  TransformStream: streams.TransformStream,
  TransformStreamDefaultController: streams.TransformStreamDefaultController,
  IdentityTransformStream: streams.IdentityTransformStream,
  FixedLengthStream: streams.FixedLengthStream,
};

const functions = {
  atob, btoa, clearInterval, clearTimeout, fetch, queueMicrotask, setInterval, setTimeout, structuredClone,
  reportError(error) {
    reportException(error);
  },
};

function define(name, value, enumerable) {
  if (value === undefined) return;
  Object.defineProperty(globalThis, name, { value, writable: true, enumerable, configurable: true });
}

class Navigator {
  get userAgent() {
    return "Cloudflare-Workers"; // what libraries test for
  }
  get hardwareConcurrency() {
    return 1;
  }
  get language() {
    return "en";
  }
  get languages() {
    return ["en"];
  }
  get platform() {
    return "Linux";
  }
}
defineInterface(Navigator, "Navigator");

// What `self` claims to be an instance of: the engine lets nobody change its prototype.
class WorkerGlobalScope extends EventTarget {
  constructor() {
    throw illegalConstructor();
  }

  static [Symbol.hasInstance](value) {
    return value === globalThis;
  }
}
defineInterface(WorkerGlobalScope, "WorkerGlobalScope");

class ServiceWorkerGlobalScope extends WorkerGlobalScope {}
defineInterface(ServiceWorkerGlobalScope, "ServiceWorkerGlobalScope");

export function installGlobals() {
  for (const name of Object.keys(constructors)) define(name, constructors[name], false);
  for (const name of Object.keys(functions)) define(name, functions[name], true);
  define("Navigator", Navigator, false);
  define("WorkerGlobalScope", WorkerGlobalScope, false);
  define("ServiceWorkerGlobalScope", ServiceWorkerGlobalScope, false);
  define("console", console, false);
  define("crypto", crypto, true);
  define("performance", performance, true);
  define("scheduler", scheduler, true);
  define("navigator", new Navigator(), true);
  define("self", globalThis, true);
  define("origin", "null", true);
  define("Cloudflare", { compatibilityFlags: {} }, true);
  for (const name of ["addEventListener", "removeEventListener", "dispatchEvent"])
    define(name, EventTarget.prototype[name], true);
  fillGaps();
  wrapWebAssembly();
  replaceClock();
  Intl.DateTimeFormat().format(0); // loads what the sandbox would refuse to open later
  Object.defineProperty(globalThis, Symbol.toStringTag, { value: "ServiceWorkerGlobalScope", configurable: true });
  return makeEventTarget(globalThis);
}

// What newer JavaScript has and this engine lacks.
function fillGaps() {
  if (Symbol.dispose === undefined)
    for (const name of ["dispose", "asyncDispose"])
      Object.defineProperty(Symbol, name, { value: Symbol(`Symbol.${name}`) });
  const disposables = { AsyncDisposableStack, DisposableStack, SuppressedError };
  for (const name of Object.keys(disposables))
    if (globalThis[name] === undefined) define(name, disposables[name], false);
  if (globalThis.SharedArrayBuffer === undefined) {
    // Several packages read getters of its prototype when they load; nobody can make one.
    class SharedArrayBuffer {
      constructor() {
        throw new TypeError("SharedArrayBuffer is not available");
      }
      get byteLength() {
        throw new TypeError("not a SharedArrayBuffer");
      }
      get growable() {
        throw new TypeError("not a SharedArrayBuffer");
      }
    }
    define("SharedArrayBuffer", SharedArrayBuffer, false);
  }
}
