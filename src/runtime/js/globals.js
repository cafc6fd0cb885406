// SPDX-License-Identifier: Apache-2.0
// The global object as a worker finds it.

import { native, platform } from "./native.js";
import { DOMException } from "./dom-exception.js";
import {
  CloseEvent,
  CustomEvent,
  ErrorEvent,
  Event,
  EventTarget,
  MessageEvent,
  PromiseRejectionEvent,
  dispatchTrusted,
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
import { clearInterval, clearTimeout, queueMicrotask, scheduler, setInterval, setTimeout } from "./timers.js";
import { console } from "./console.js";
import { inGlobalScope } from "./context.js";
import { ExtendableEvent, FetchEvent, ScheduledEvent } from "./worker.js";

const constructors = {
  AbortController, AbortSignal, Blob, CloseEvent, CompressionStream, Crypto, CryptoKey, CustomEvent,
  DOMException, DecompressionStream, ErrorEvent, Event, EventTarget, ExtendableEvent, FetchEvent, File, FormData,
  Headers, MessageEvent, PromiseRejectionEvent, Request, Response, ScheduledEvent, SubtleCrypto, TextDecoder,
  TextDecoderStream, TextEncoder, TextEncoderStream, URL, URLSearchParams,
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
    const event = new ErrorEvent("error", { error, message: `${error?.message ?? error}`, cancelable: true });
    if (dispatchTrusted(globalThis, event)) platform.reportException(error);
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

export function installGlobals() {
  for (const name of Object.keys(constructors)) define(name, constructors[name], false);
  for (const name of Object.keys(functions)) define(name, functions[name], true);
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
  return makeEventTarget(globalThis);
}

// What newer JavaScript has and this engine lacks.
function fillGaps() {
  if (Symbol.dispose === undefined)
    for (const name of ["dispose", "asyncDispose"])
      Object.defineProperty(Symbol, name, { value: Symbol(`Symbol.${name}`) });
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

let compiling = true; // modules may be compiled from bytes: while the worker starts

// The engine settles the promises of asynchronous compilation in a run loop that we do not have.
function wrapWebAssembly() {
  const { Module, Instance, CompileError } = WebAssembly;
  const refuse = () => {
    if (!compiling) throw new CompileError("Wasm code generation disallowed by embedder");
  };
  Object.defineProperty(WebAssembly, "Module", { value: new Proxy(Module, {
    construct(target, args, newTarget) {
      refuse();
      return Reflect.construct(target, args, newTarget);
    },
  }), writable: true, configurable: true });
  const method = (name, value) =>
    Object.defineProperty(WebAssembly, name, { value, writable: true, enumerable: true, configurable: true });
  method("compile", async function compile(bytes) {
    refuse();
    return new Module(bytes);
  });
  method("instantiate", async function instantiate(source, imports) {
    if (source instanceof Module) return new Instance(source, imports);
    refuse();
    const module = new Module(source);
    return { module, instance: new Instance(module, imports) };
  });
  delete WebAssembly.compileStreaming;
  delete WebAssembly.instantiateStreaming;
}

let state0 = 1, state1 = 2;

// Every fork would draw the engine's sequence: ours is seeded in the fork. xorshift128+ on 32-bit halves.
export function seedRandom(seed) {
  state0 = (seed >>> 0) || 1;
  state1 = (Math.floor(seed / 4294967296) >>> 0) || 2;
  for (let i = 0; i < 16; i++) next();
}

function next() {
  let a = state0;
  const b = state1;
  state0 = b;
  a ^= a << 23;
  a ^= (a >>> 17) ^ b ^ (b >>> 26);
  state1 = a;
  return (a + b) >>> 0;
}

function replaceClock() {
  const { now } = Date;
  Math.random = function random() {
    platform.requireRequest("generating random values");
    return (next() * 2097152 + (next() >>> 11)) / 9007199254740992;
  };
  Date.now = function () {
    return inGlobalScope() ? 0 : now();
  };
  Object.defineProperty(Date.now, "name", { value: "now" });
}

// Called when the worker's manifest is known, before its code runs.
export function afterBoot(manifest) {
  const flags = {};
  for (const flag of manifest.compatibility_flags ?? []) flags[flag] = true;
  define("Cloudflare", { compatibilityFlags: Object.freeze(flags) }, true);
  // Only test builds have these natives: they stand for native code that broke out of the engine.
  if (manifest.test_hooks && native.testSyscall !== undefined)
    define("weirTest", { syscall: native.testSyscall, ring: native.testRing }, false);
}

export function refuseCodeGeneration() {
  compiling = false;
  native.setEvalEnabled(false);
}
