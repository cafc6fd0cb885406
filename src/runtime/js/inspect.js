// SPDX-License-Identifier: Apache-2.0
// Values as text for the console, in the manner of Node's util.inspect: two levels deep, short things
// on one line.

import { isResponse } from "./response.js";
import { isRequest } from "./request.js";
import { isHeaders } from "./headers.js";

const DEPTH_MAX = 2, ITEMS_MAX = 100, LINE_MAX = 72;

export function format(args) {
  let text = "", next = 0;
  if (typeof args[0] === "string" && args.length > 1) {
    next = 1;
    text = args[0].replace(/%[sdifjoOc%]/g, (directive) => {
      if (directive === "%%") return "%";
      if (next >= args.length) return directive;
      const value = args[next++];
      switch (directive) {
        case "%s":
          return typeof value === "string" ? value : typeof value === "object" ? inspect(value) : String(value);
        case "%d":
          return typeof value === "bigint" ? `${value}n` : typeof value === "symbol" ? "NaN" : `${Number(value)}`;
        case "%i":
          return `${parseInt(value, 10)}`;
        case "%f":
          return `${parseFloat(value)}`;
        case "%j":
          return JSON.stringify(value);
        case "%c":
          return "";
        default:
          return inspect(value);
      }
    });
  } else if (args.length > 0) {
    next = 1;
    text = top(args[0]);
  }
  for (; next < args.length; next++) text += ` ${top(args[next])}`;
  return text;
}

function top(value) {
  return typeof value === "string" ? value : inspect(value);
}

export function inspect(value) {
  return show(value, 0, []);
}

function quote(text) {
  const mark = !text.includes("'") ? "'" : !text.includes('"') ? '"' : !text.includes("`") ? "`" : "'";
  const escaped = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');
  return mark + (mark === "'" ? escaped.replaceAll("'", "\\'") : escaped) + mark;
}

function show(value, depth, seen) {
  switch (typeof value) {
    case "string":
      return quote(value);
    case "bigint":
      return `${value}n`;
    case "symbol":
      return value.toString();
    case "number":
      return Object.is(value, -0) ? "-0" : `${value}`;
    case "function":
      return showFunction(value, depth, seen);
    case "object":
      return value === null ? "null" : showObject(value, depth, seen);
    default:
      return `${value}`;
  }
}

function showFunction(value, depth, seen) {
  const source = Function.prototype.toString.call(value);
  const kind = source.startsWith("class") ? "class" : "Function";
  const name = value.name ? (kind === "class" ? ` ${value.name}` : `: ${value.name}`) : " (anonymous)";
  const keys = Object.keys(value);
  const head = `[${kind}${name}]`;
  return keys.length === 0 ? head : `${head} ${braces(properties(value, keys, depth, seen), "{", "}", depth)}`;
}

function className(value) {
  for (let object = value; object !== null; object = Object.getPrototypeOf(object)) {
    const descriptor = Object.getOwnPropertyDescriptor(object, "constructor");
    if (typeof descriptor?.value === "function" && descriptor.value.name !== "") return descriptor.value.name;
  }
  return null;
}

function showError(error, depth, seen) {
  let text;
  try {
    const head = Error.prototype.toString.call(error);
    const stack = typeof error.stack === "string" ? error.stack : "";
    text = stack.includes(head) ? stack : stack === "" ? head : `${head}\n${indentStack(stack)}`;
  } catch {
    text = "[Error]";
  }
  const keys = Object.keys(error).filter((key) => key !== "line" && key !== "column" && key !== "sourceURL");
  if (keys.length > 0) text += ` ${braces(properties(error, keys, depth, seen), "{", "}", depth)}`;
  if (Object.hasOwn(error, "cause")) text += `\n  [cause]: ${show(error.cause, depth + 1, seen)}`;
  return text;
}

// The engine writes "function@file:line:column"; people read "at function (file:line:column)".
export function indentStack(stack) {
  return stack
    .split("\n")
    .filter((line) => line !== "" && !line.includes("[native code]") && !line.includes("weir:"))
    .map((line) => {
      const at = line.lastIndexOf("@");
      const name = line.slice(0, Math.max(at, 0)), place = line.slice(at + 1);
      return name === "" ? `    at ${place}` : `    at ${name} (${place})`;
    })
    .join("\n");
}

function showObject(value, depth, seen) {
  if (seen.includes(value)) return "[Circular *1]";
  if (value instanceof Error) return showError(value, depth, seen);
  const name = className(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (value instanceof RegExp) return RegExp.prototype.toString.call(value);
  if (value instanceof Number || value instanceof Boolean || value instanceof String)
    return `[${name}: ${show(value.valueOf(), depth, seen)}]`;
  if (value instanceof Promise) return "Promise { <pending> }";
  if (value instanceof WeakMap || value instanceof WeakSet) return `${name} { <items unknown> }`;
  if (depth > DEPTH_MAX) return Array.isArray(value) ? "[Array]" : `[${name ?? "Object: null prototype"}]`;
  const inner = [...seen, value];
  if (Array.isArray(value)) return showArray(value, name === "Array" ? "" : `${name}(${value.length}) `, depth, inner);
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    return showArray(value, `${name}(${value.length}) `, depth, inner);
  if (value instanceof ArrayBuffer)
    return `ArrayBuffer { byteLength: ${value.byteLength} }`;
  if (value instanceof Map) {
    const items = [...value].slice(0, ITEMS_MAX).map(([k, v]) => `${show(k, depth + 1, inner)} => ${show(v, depth + 1, inner)}`);
    return braces(items, `Map(${value.size}) {`, "}", depth);
  }
  if (value instanceof Set) {
    const items = [...value].slice(0, ITEMS_MAX).map((v) => show(v, depth + 1, inner));
    return braces(items, `Set(${value.size}) {`, "}", depth);
  }
  const prefix = name === "Object" ? "{" : name === null ? "[Object: null prototype] {" : `${name} {`;
  if (isHeaders(value))
    return braces([...value].map(([k, v]) => `${quote(k)} => ${quote(v)}`), "Headers(" + [...value].length + ") {", "}", depth);
  if (isRequest(value) || isResponse(value)) {
    const keys = isRequest(value)
      ? ["method", "url", "headers", "redirect", "cf", "bodyUsed"]
      : ["status", "statusText", "headers", "ok", "url", "redirected", "bodyUsed"];
    return braces(keys.map((key) => `${key}: ${show(value[key], depth + 1, inner)}`), prefix, "}", depth);
  }
  return braces(properties(value, Reflect.ownKeys(value).filter((key) => isEnumerable(value, key)), depth, inner), prefix, "}", depth);
}

function isEnumerable(object, key) {
  return Object.getOwnPropertyDescriptor(object, key)?.enumerable === true;
}

function properties(object, keys, depth, seen) {
  return keys.slice(0, ITEMS_MAX).map((key) => {
    const label = typeof key === "symbol" ? `[${key.toString()}]` : /^[A-Za-z_$][\w$]*$/.test(key) ? key : quote(key);
    const descriptor = Object.getOwnPropertyDescriptor(object, key);
    if (descriptor !== undefined && descriptor.get !== undefined)
      return `${label}: ${descriptor.set === undefined ? "[Getter]" : "[Getter/Setter]"}`;
    return `${label}: ${show(object[key], depth + 1, seen)}`;
  });
}

function showArray(array, prefix, depth, seen) {
  const items = [];
  for (let i = 0; i < array.length && items.length < ITEMS_MAX; i++) {
    if (i in array) {
      items.push(show(array[i], depth + 1, seen));
      continue;
    }
    let empty = i;
    while (empty < array.length && !(empty in array)) empty++;
    items.push(`<${empty - i} empty item${empty - i > 1 ? "s" : ""}>`);
    i = empty - 1;
  }
  if (array.length > ITEMS_MAX) items.push(`... ${array.length - ITEMS_MAX} more items`);
  return braces(items, `${prefix}[`, "]", depth);
}

function braces(items, open, close, depth) {
  if (items.length === 0) return open + close;
  const line = `${open} ${items.join(", ")} ${close}`;
  if (line.length <= LINE_MAX && !line.includes("\n")) return line;
  const pad = "  ".repeat(depth + 1);
  return `${open}\n${pad}${items.join(`,\n${pad}`)}\n${"  ".repeat(depth)}${close}`;
}
