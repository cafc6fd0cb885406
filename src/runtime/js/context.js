// SPDX-License-Identifier: Apache-2.0
// The request that the code running now belongs to. Each call from C enters one, timers and answers of
// fetches enter the one that asked for them; microtasks follow what they were started by, since they
// drain before C calls again.

import { Error } from "./primordials.js";
import { cell } from "./async-context.js";
import { native, platform } from "./native.js";

let request = undefined;
let phase = "nursery"; // → "global" (the worker's modules run) → "request"

export function current() {
  return request;
}

export function enterRequest(next) {
  request = next;
  cell.f = undefined;
}

// The same in a turn that C began for nobody in particular: its CPU time is this request's from here on.
export function resumeRequest(next) {
  enterRequest(next);
  if (next !== undefined) native.turnIsOf(next.slot, next.id);
}

// A worker of the platform's own (system/) shares what it has under way with the outside between its
// requests: its connections to a database, above all. Others' sockets and timers end with their request.
let shared = false;

export function shareIO() {
  shared = true;
}

export function sharesIO() {
  return shared;
}

// Whose a new timer, fetch or socket is; undefined: the instance's.
export function ioOwner() {
  return shared ? undefined : request;
}

export function setPhase(next) {
  phase = next;
}

export function inGlobalScope() {
  return phase === "global";
}

export function requireRequest(what) {
  if (phase === "global")
    throw new Error(
      `Disallowed operation called within global scope. Asynchronous I/O (ex: fetch() or connect()), setting a timeout, and generating random values are not allowed within global scope. To fix this error, perform this operation within a handler. https://developers.cloudflare.com/workers/runtime-apis/handlers/`,
    );
}
platform.requireRequest = requireRequest;
