// SPDX-License-Identifier: Apache-2.0
// What the worker has under way with the outside: fetches and sockets. Frames name an exchange by its
// target and id; what each frame means is for the exchange's own kind to say (fetch.js, sockets.js).

import { Error, Map, MapDelete, MapForEach, MapGet, MapSet, TypeError } from "./primordials.js";
import { native } from "./native.js";
import { ioOwner, resumeRequest } from "./context.js";

// As in src/runtime/instance.h.
export const TARGET_BROKER = 0, TARGET_GATEWAY = 1, TARGET_POOL = 2;

const exchanges = [new Map(), new Map(), new Map()];
let nextId = 1;

// Kinds have onResponse(status, headerBlock, url, redirects, inline, fin), onBody(bytes|null, fin),
// onError(error), onCredit(bytes); onDropped() if the worker can still ask for it then.
export class Exchange {
  ended = false;
  owner = ioOwner();
  id = nextId++;

  constructor(target) {
    this.target = target;
  }

  // Its first frame went out.
  begin() {
    MapSet.call(exchanges[this.target], this.id, this);
    if (this.owner !== undefined) this.owner.hold();
  }

  // Its request is over, and so is it.
  onDropped() {}

  // Nothing more comes of it.
  end() {
    if (this.ended) return;
    this.ended = true;
    if (this.owner !== undefined) this.owner.release();
    MapDelete.call(exchanges[this.target], this.id);
  }
}

// The request that asked for them is over: nobody waits for the answers any more.
export function dropExchangesOf(owner) {
  for (let target = 0; target < exchanges.length; target++)
    MapForEach.call(exchanges[target], (exchange) => {
      if (exchange.owner !== owner) return;
      native.fetchAbort(target, exchange.id);
      exchange.end();
      exchange.onDropped();
    });
}

// ---- hooks ----

function enter(target, id) {
  const exchange = MapGet.call(exchanges[target], id);
  if (exchange !== undefined) resumeRequest(exchange.owner);
  return exchange;
}

export function onFetchResponse(target, id, status, block, url, redirects, inline, fin) {
  enter(target, id)?.onResponse(status, block, url, redirects, inline, fin);
}

export function onFetchBody(target, id, bytes, fin) {
  enter(target, id)?.onBody(bytes, fin);
}

export function onFetchError(target, id, kind, message) {
  enter(target, id)?.onError(networkError(kind, message));
}

export function onFetchCredit(target, id, bytes) {
  enter(target, id)?.onCredit(bytes);
}

function networkError(kind, message) {
  switch (kind) {
    case 2001: // cannot connect, or the connection broke
    case 2002: // no such host
    case 2003: // too late
    case 2006: // what came was no HTTP
      return new Error(message === "" ? "Network connection lost." : message);
    default: // the URL, a redirect, the egress policy
      return new TypeError(message);
  }
}
