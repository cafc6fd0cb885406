// SPDX-License-Identifier: Apache-2.0
// What a client asks to be told with an answer (x-capture-telemetry): the statements that it came to ("query"), and spans of
// OpenTelemetry ("tracing"), which the client's instrumentation puts below its own.
import { AsyncLocalStorage } from "node:async_hooks";

import { safeJsonStringify } from "@prisma/client-engine-runtime";

const KINDS = { 0: "internal", 2: "client" }; // SpanKind of @opentelemetry/api

// Where something runs: {telemetry, parent: id of the span around it}.
const here = new AsyncLocalStorage();

// 16 hexadecimal digits.
export const newId = () => crypto.randomUUID().replaceAll("-", "").slice(0, 16);
const timeOf = (ms) => [Math.floor(ms / 1000), Math.floor((ms % 1000) * 1000000)];

// What Prisma's runtime tells of its steps, for those requests that are traced.
export const tracing = {
  isEnabled: () => here.getStore() !== undefined,
  runInChildSpan(nameOrOptions, callback) {
    const place = here.getStore();
    if (place === undefined) return callback();
    const options = typeof nameOrOptions === "string" ? { name: nameOrOptions } : nameOrOptions;
    return place.telemetry.span(options, place.parent, callback);
  },
};

// The same of a step that is done at once.
export function traced(name, step) {
  const place = here.getStore();
  return place === undefined ? step() : place.telemetry.spanOf({ name }, place.parent, step);
}

export class Telemetry {
  #logs;
  #spans;
  #root; // id of the span of the whole
  #traceId;
  #caller = null; // the client's span
  #begun = Date.now();
  #clock = performance.now();

  constructor(headers) {
    const wanted = headers.get("x-capture-telemetry") ?? "";
    if (/\bquery\b/.test(wanted)) this.#logs = [];
    if (!/\btracing\b/.test(wanted)) return;
    this.#spans = [];
    this.#root = newId();
    [, this.#traceId, this.#caller] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-/.exec(headers.get("traceparent") ?? "") ?? [undefined, newId() + newId(), null];
  }

  #now() {
    return this.#begun + performance.now() - this.#clock;
  }

  // Told of each statement; undefined: nobody wants to know.
  get onQuery() {
    return this.#logs && ((event) => this.#log(event));
  }

  #log({ timestamp, duration, query, params }) {
    this.#logs.push({
      level: "query",
      target: "quaint::connector::metrics",
      timestamp: timeOf(timestamp),
      attributes: { query, params: safeJsonStringify(params), duration_ms: Math.round(duration) },
    });
  }

  run(callback) {
    return this.#spans === undefined ? callback() : here.run({ telemetry: this, parent: this.#root }, callback);
  }

  // Each name as version 6 and 7 have it, and as 5 does.
  #add(id, parent, { name, kind = 0, attributes = {} }, startMs) {
    const start = timeOf(startMs), end = timeOf(this.#now());
    this.#spans.push({
      id, parentId: parent, name: `prisma:engine:${name}`, kind: KINDS[kind] ?? "internal", startTime: start, endTime: end, attributes, links: [],
      trace_id: this.#traceId, span_id: id, parent_span_id: parent ?? this.#caller, start_time: start, end_time: end,
    });
  }

  async span(options, parent, callback) {
    const id = newId(), startMs = this.#now();
    try {
      return await here.run({ telemetry: this, parent: id }, callback);
    } finally {
      this.#add(id, parent, options, startMs);
    }
  }

  spanOf(options, parent, step) {
    const startMs = this.#now();
    try {
      return step();
    } finally {
      this.#add(newId(), parent, options, startMs);
    }
  }

  // With a span of the whole; undefined: there is nothing to tell.
  extensions() {
    if (this.#spans !== undefined) this.#add(this.#root, null, { name: "query" }, this.#begun);
    const spans = this.#spans && { traces: this.#spans, spans: this.#spans }; // 5 and 6; 7
    const extensions = { ...(this.#logs?.length > 0 && { logs: this.#logs }), ...spans };
    return Object.keys(extensions).length === 0 ? undefined : extensions;
  }
}
