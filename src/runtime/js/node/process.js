// SPDX-License-Identifier: Apache-2.0
// node:process, as far as a worker has one: no process to look at, so constants, the environment of
// the worker's variables, clocks and nextTick.

import EventEmitter from "events";
import shim from "process/"; // what readable-stream schedules with

import { native } from "../native.js";
import { environment } from "./environment.js";
import { codeError, notImplemented, requireFunction } from "./errors.js";
import { nodeModule } from "./index.js";

const { queueMicrotask } = globalThis;

export function nextTick(callback, ...args) {
  requireFunction(callback, "callback");
  queueMicrotask(args.length === 0 ? callback : () => callback(...args));
}
shim.nextTick = nextTick;

// Names and values are strings, as in an environment.
export const env = new Proxy(environment.variables, {
  set(target, name, value) {
    if (typeof name === "symbol") throw new TypeError("Cannot convert a Symbol value to a string");
    target[name] = `${value}`;
    return true;
  },
  defineProperty(target, name, descriptor) {
    return Reflect.defineProperty(target, name, { ...descriptor, value: `${descriptor.value}` });
  },
});

export function hrtime(previous) {
  const ms = native.now();
  let seconds = Math.floor(ms / 1000);
  let nanoseconds = Math.round((ms % 1000) * 1e6);
  if (previous !== undefined) {
    seconds -= previous[0];
    nanoseconds -= previous[1];
    if (nanoseconds < 0) {
      seconds--;
      nanoseconds += 1e9;
    }
  }
  return [seconds, nanoseconds];
}
hrtime.bigint = () => BigInt(Math.round(native.now() * 1e6));

export function memoryUsage() {
  return { rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 };
}
memoryUsage.rss = () => 0;

export function emitWarning(warning, type = "Warning") {
  const name = typeof type === "object" ? (type.type ?? "Warning") : type;
  console.warn(warning instanceof Error ? `${warning.name}: ${warning.message}` : `${name}: ${warning}`);
}

export function getBuiltinModule(name) {
  const module = nodeModule(`${name}`);
  return module === undefined ? undefined : (module.default ?? module);
}

export function exit(code) {
  throw codeError(Error, "ERR_WORKER_EXIT", `process.exit(${code ?? ""}) was called; a worker cannot end its process`);
}

export const title = "workerd";
export const version = "v22.19.0";
export const versions = Object.freeze({ node: version.slice(1), v8: "0.0.0", uv: "0.0.0", modules: "127" });
export const platform = "linux";
export const arch = "x64";
export const pid = 1;
export const ppid = 0;
export const argv = ["workerd"];
export const argv0 = "workerd";
export const execArgv = [];
export const execPath = "";
export const exitCode = undefined;
export const release = Object.freeze({ name: "node", lts: true });
export const features = Object.freeze({ inspector: false, debug: false, uv: false, ipv6: true, tls: true });
export const config = Object.freeze({ target_defaults: {}, variables: {} });
export const allowedNodeEnvironmentFlags = new Set();
export const cwd = () => "/bundle";
export const umask = () => 0o22;
export const uptime = () => native.now() / 1000;
export const getuid = () => 0;
export const geteuid = () => 0;
export const getgid = () => 0;
export const getegid = () => 0;
export const abort = exit;

export const cpuUsage = () => ({ user: 0, system: 0 });
export const resourceUsage = () => ({});

function missing(name) {
  return () => {
    throw notImplemented(`process.${name}`);
  };
}
export const binding = missing("binding");
export const chdir = missing("chdir");
export const dlopen = missing("dlopen");
export const kill = missing("kill");
export const setgid = missing("setgid");
export const setuid = missing("setuid");

function stream(fd, write) {
  return Object.assign(new EventEmitter(), {
    fd,
    isTTY: false,
    columns: 80,
    writable: true,
    write(chunk, encoding, callback) {
      write(`${chunk}`.replace(/\n$/, ""));
      const done = typeof encoding === "function" ? encoding : callback;
      if (done) nextTick(done);
      return true;
    },
    end() {
      return this;
    },
  });
}

export const stdout = stream(1, (text) => console.log(text));
export const stderr = stream(2, (text) => console.error(text));
export const stdin = Object.assign(new EventEmitter(), { fd: 0, isTTY: false, readable: false });

const process = Object.assign(Object.create(Object.create(EventEmitter.prototype)), {
  abort,
  allowedNodeEnvironmentFlags,
  arch,
  argv,
  argv0,
  config,
  cwd,
  emitWarning,
  env,
  execArgv,
  execPath,
  exit,
  exitCode,
  features,
  getBuiltinModule,
  getegid,
  geteuid,
  getgid,
  getuid,
  hrtime,
  memoryUsage,
  nextTick,
  pid,
  platform,
  ppid,
  release,
  stderr,
  stdin,
  stdout,
  title,
  umask,
  uptime,
  version,
  versions,
});
Object.assign(process, { binding, chdir, cpuUsage, dlopen, kill, resourceUsage, setgid, setuid });
Object.defineProperty(process, Symbol.toStringTag, { value: "process" });
EventEmitter.call(process);

export default process;
