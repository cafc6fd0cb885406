// SPDX-License-Identifier: Apache-2.0
// What differs between the global scope, which runs once in the template, and the time of requests in
// its forks: the clock stands still, code may be made of text and bytes, and every fork draws random
// numbers of its own.

import {
  Date,
  Math,
  MathFloor,
  ObjectDefineProperty,
  ObjectFreeze,
  ReflectConstruct,
  Proxy,
  Uint32Array,
  promiseReject,
  promiseResolve,
} from "./primordials.js";
import { native } from "./native.js";
import { inGlobalScope } from "./context.js";
import { resetTimeOrigin } from "./performance.js";

// ---- the clock ----

const NativeDate = Date;

// Stands for Date while the worker starts, and for as long as the worker keeps it.
function FrozenDate(...args) {
  if (new.target === undefined) return inGlobalScope() ? new NativeDate(0).toString() : NativeDate();
  return ReflectConstruct(NativeDate, args.length === 0 && inGlobalScope() ? [0] : args, new.target);
}

export function replaceClock() {
  const { now } = NativeDate;
  const frozenNow = { now: () => (inGlobalScope() ? 0 : now()) }.now;
  ObjectDefineProperty(NativeDate, "now", { value: frozenNow, writable: true, configurable: true });
  ObjectDefineProperty(FrozenDate, "name", { value: "Date", configurable: true });
  ObjectDefineProperty(FrozenDate, "length", { value: 7, configurable: true });
  ObjectDefineProperty(FrozenDate, "prototype", { value: NativeDate.prototype, writable: false });
  for (const name of ["now", "parse", "UTC"])
    ObjectDefineProperty(FrozenDate, name, { value: NativeDate[name], writable: true, configurable: true });
  replaceRandom();
}

function setDate(constructor) {
  ObjectDefineProperty(globalThis, "Date", { value: constructor, writable: true, configurable: true });
  ObjectDefineProperty(NativeDate.prototype, "constructor", { value: constructor, writable: true, configurable: true });
}

// ---- random numbers ----

// xorshift128 (Marsaglia), seeded in each process: forks would all go on with the engine's sequence.
const random = new Uint32Array(4);

function seedRandom(seed) {
  native.random(random);
  random[0] ^= seed >>> 0;
  random[1] ^= MathFloor(seed / 4294967296) >>> 0;
  if ((random[0] | random[1] | random[2] | random[3]) === 0) random[0] = 1;
}

function nextRandom() {
  let t = random[3];
  const s = random[0];
  random[3] = random[2];
  random[2] = random[1];
  random[1] = s;
  t ^= t << 11;
  t ^= t >>> 8;
  t ^= s ^ (s >>> 19);
  random[0] = t;
  return t >>> 0;
}

function replaceRandom() {
  const { random: replacement } = {
    random() {
      return ((nextRandom() >>> 5) * 67108864 + (nextRandom() >>> 6)) / 9007199254740992;
    },
  };
  ObjectDefineProperty(Math, "random", { value: replacement, writable: true, configurable: true });
}

// ---- code from text and bytes ----

let compiling = true;

// The engine settles the promises of asynchronous compilation in a run loop that we do not have.
export function wrapWebAssembly() {
  const { WebAssembly } = globalThis;
  const { Module, Instance, CompileError } = WebAssembly;
  const refuse = (what) => {
    if (!compiling) throw new CompileError(`${what}: Wasm code generation disallowed by embedder`);
  };
  const construct = (target, args, newTarget) => {
    refuse("WebAssembly.Module()");
    return ReflectConstruct(target, args, newTarget);
  };
  const define = (name, value, enumerable) =>
    ObjectDefineProperty(WebAssembly, name, { value, writable: true, enumerable, configurable: true });
  const wrapped = new Proxy(Module, { construct });
  ObjectDefineProperty(Module.prototype, "constructor", { value: wrapped, writable: true, configurable: true });
  define("Module", wrapped, false);
  const later = (run) => {
    try {
      return promiseResolve(run());
    } catch (error) {
      return promiseReject(error);
    }
  };
  const { compile, instantiate } = {
    compile(bytes) {
      return later(() => {
        refuse("WebAssembly.compile()");
        return new Module(bytes);
      });
    },
    instantiate(source, imports = undefined) {
      return later(() => {
        if (source instanceof Module) return new Instance(source, imports);
        refuse("WebAssembly.instantiate()");
        const module = new Module(source);
        return { module, instance: new Instance(module, imports) };
      });
    },
  };
  define("compile", compile, true);
  define("instantiate", instantiate, true);
  delete WebAssembly.compileStreaming;
  delete WebAssembly.instantiateStreaming;
}

// ---- phases ----

// The worker's manifest is known; its code runs next.
export function beginStartup(manifest) {
  const flags = {};
  for (const flag of manifest.compatibility_flags ?? []) flags[flag] = true;
  ObjectDefineProperty(globalThis, "Cloudflare", {
    value: ObjectFreeze({ compatibilityFlags: ObjectFreeze(flags) }),
    writable: true,
    enumerable: true,
    configurable: true,
  });
  // Only test builds have these natives: they stand for native code that broke out of the engine.
  if (manifest.test_hooks && native.testSyscall !== undefined)
    ObjectDefineProperty(globalThis, "weirTest", {
      value: { syscall: native.testSyscall, ring: native.testRing },
      configurable: true,
    });
  seedRandom(0);
  setDate(FrozenDate);
  compiling = true;
  native.setEvalEnabled(true);
}

// In the fork. seed: 53 bits of the system's randomness.
export function beginRequestTime(seed) {
  seedRandom(seed);
  resetTimeOrigin();
  if (globalThis.Date === FrozenDate) setDate(NativeDate);
  compiling = false;
  native.setEvalEnabled(false);
}
