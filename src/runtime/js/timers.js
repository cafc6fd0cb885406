// SPDX-License-Identifier: Apache-2.0
// https://html.spec.whatwg.org/#timers
// A binary heap by due time, then by order of creation. C is told of the earliest alone.

import {
  Map,
  MapDelete,
  MapGet,
  MapSet,
  MathMax,
  MathTrunc,
  Number,
  ReflectApply,
  TypeError,
  promiseReject,
  promiseWithResolvers,
  queueMicrotask as queueNative,
} from "./primordials.js";
import { native, platform } from "./native.js";
import { bind } from "./async-context.js";
import { ioOwner, requireRequest, resumeRequest } from "./context.js";
import { addAbortAlgorithm, isAborted, removeAbortAlgorithm } from "./abort.js";

const heap = [];
const byId = new Map();
let nextId = 1, nextOrder = 1;

class Timer {
  place = 0; // in the heap
  released = false;
  constructor(callback, args, due, interval, owner) {
    this.callback = callback;
    this.args = args;
    this.due = due;
    this.interval = interval; // -1: once
    this.order = nextOrder++;
    this.id = nextId++;
    this.owner = owner;
  }
}

function before(a, b) {
  return a.due < b.due || (a.due === b.due && a.order < b.order);
}

function put(place, timer) {
  heap[place] = timer;
  timer.place = place;
}

function up(place) {
  const timer = heap[place];
  while (place > 0) {
    const parent = (place - 1) >> 1;
    if (!before(timer, heap[parent])) break;
    put(place, heap[parent]);
    place = parent;
  }
  put(place, timer);
}

function down(place) {
  const timer = heap[place];
  for (;;) {
    let child = place * 2 + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
    if (!before(heap[child], timer)) break;
    put(place, heap[child]);
    place = child;
  }
  put(place, timer);
}

function insert(timer) {
  heap[heap.length] = timer;
  up(heap.length - 1);
}

function add(timer) {
  insert(timer);
  MapSet.call(byId, timer.id, timer);
  if (timer.owner !== undefined) timer.owner.hold();
  if (heap[0] === timer) arm();
}

function remove(timer) {
  const last = heap[heap.length - 1];
  heap.length--;
  if (last !== timer) {
    const { place } = timer;
    put(place, last);
    up(place);
    down(last.place);
  }
}

function drop(timer) {
  MapDelete.call(byId, timer.id);
  if (timer.owner !== undefined && !timer.released) timer.owner.release();
  timer.released = true;
}

function arm() {
  native.setTimer(heap.length === 0 ? -1 : MathMax(0, heap[0].due - native.now()));
}

function schedule(callback, delay, args, repeat) {
  requireRequest("setting a timeout");
  const ms = MathMax(0, Number(delay) || 0);
  const wait = ms > 2147483647 ? 2147483647 : MathTrunc(ms);
  const timer = new Timer(bind(callback), args, native.now() + wait, repeat ? MathMax(1, wait) : -1, ioOwner());
  add(timer);
  return timer;
}

// Of the platform itself: belongs to no request.
export function startTimer(callback, ms) {
  const timer = new Timer(callback, [], native.now() + ms, -1, undefined);
  add(timer);
  return timer;
}

export function stopTimer(timer) {
  if (timer.released) return;
  remove(timer);
  drop(timer);
  if (heap.length === 0) native.setTimer(-1); // else C wakes us once for nothing
}

function checkCallback(callback, name) {
  if (typeof callback !== "function")
    throw new TypeError(`Failed to execute '${name}' on 'ServiceWorkerGlobalScope': parameter 1 is not of type 'function'.`);
}

export function setTimeout(callback, delay = 0, ...args) {
  checkCallback(callback, "setTimeout");
  return schedule(callback, delay, args, false).id;
}

export function setInterval(callback, delay = 0, ...args) {
  checkCallback(callback, "setInterval");
  return schedule(callback, delay, args, true).id;
}

export function clearTimeout(id = undefined) {
  const timer = MapGet.call(byId, Number(id));
  if (timer !== undefined) stopTimer(timer);
}

export function clearInterval(id = undefined) {
  clearTimeout(id);
}

export function queueMicrotask(callback) {
  checkCallback(callback, "queueMicrotask");
  const bound = bind(callback);
  queueNative(() => {
    try {
      bound();
    } catch (error) {
      platform.reportException(error);
    }
  });
}

export const scheduler = {
  wait(delay, options = undefined) {
    const signal = options?.signal;
    if (signal !== undefined && isAborted(signal)) return promiseReject(signal.reason);
    const { promise, resolve, reject } = promiseWithResolvers();
    const onAbort = (reason) => {
      clearTimeout(timer.id);
      reject(reason);
    };
    const timer = schedule(
      () => {
        if (signal !== undefined) removeAbortAlgorithm(signal, onAbort);
        resolve(undefined);
      },
      delay, [], false,
    );
    if (signal !== undefined) addAbortAlgorithm(signal, onAbort);
    return promise;
  },
};

// Hook: C's timer rang. One timer a call, so that the microtasks of each run before the next.
export function onTimer() {
  const timer = heap[0];
  if (timer === undefined || timer.due > native.now()) {
    arm();
    return;
  }
  remove(timer);
  if (timer.interval >= 0) {
    timer.due = MathMax(timer.due + timer.interval, native.now());
    timer.order = nextOrder++;
    insert(timer);
  } else {
    drop(timer);
  }
  // Before the callback, which C may stop for good.
  arm();
  resumeRequest(timer.owner);
  try {
    ReflectApply(timer.callback, undefined, timer.args);
  } catch (error) {
    platform.reportException(error);
  }
}

// Timers of a request that is over.
export function clearTimersOf(owner) {
  const theirs = [];
  for (let i = 0; i < heap.length; i++) if (heap[i].owner === owner) theirs[theirs.length] = heap[i];
  for (let i = 0; i < theirs.length; i++) stopTimer(theirs[i]);
}

platform.setTimeout = setTimeout;
platform.clearTimeout = clearTimeout;
