// SPDX-License-Identifier: Apache-2.0
// A case of many small questions: each is a request of its own, and its answer is what the function gave.

function show(value, depth = 0) {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") return `function ${value.name}`;
  if (typeof value === "bigint") return `${value}n`;
  if (value === null || typeof value !== "object") return Object.is(value, -0) ? "-0" : String(value);
  if (depth > 6) return "…";
  const all = (list) => Array.from(list, (one) => show(one, depth + 1)).join(", ");
  if (Array.isArray(value)) return `[${all(value)}]`;
  if (value instanceof Error || value instanceof DOMException) return `${value.name}`;
  if (value instanceof ArrayBuffer) return `ArrayBuffer ${hex(new Uint8Array(value))}`;
  if (ArrayBuffer.isView(value)) return `${value.constructor.name} ${hex(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))}`;
  if (value instanceof Date) return `Date ${value.getTime()}`;
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  if (value instanceof Set || value instanceof Map || value instanceof Headers || value instanceof URLSearchParams) return `${tag} {${all(value)}}`;
  const pairs = Object.keys(value).map((key) => `${key}: ${show(value[key], depth + 1)}`);
  return `${tag} {${pairs.join(", ")}}`;
}

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

// Messages are the engine's or the platform's own words; names are what programs look at.
export async function outcome(run) {
  try {
    return show(await run());
  } catch (error) {
    return `throws ${error?.name ?? show(error)}`;
  }
}

// `reasons` has why the answer to a question differs.
export function checks(questions, reasons = {}) {
  return {
    requests: Object.keys(questions).map((name) => ({
      path: `/${encodeURIComponent(name)}`,
      ...(name in reasons && { differs: { body: reasons[name] } }),
    })),
    worker: {
      async fetch(request, env, ctx) {
        const name = decodeURIComponent(new URL(request.url).pathname.slice(1));
        return new Response(await outcome(() => questions[name](request, env, ctx)));
      },
    },
  };
}
