// SPDX-License-Identifier: Apache-2.0
// util.inspect and util.format: values as text, as Node lays them out.

import { readableStack } from "../positions.js";
import { interfaceOf } from "../webidl.js";
import * as types from "./types.js";

export const custom = Symbol.for("nodejs.util.inspect.custom");

const defaults = {
  showHidden: false,
  depth: 2,
  colors: false,
  customInspect: true,
  showProxy: false,
  maxArrayLength: 100,
  maxStringLength: 10000,
  breakLength: 128,
  compact: 3,
  sorted: false,
  getters: false,
  numericSeparator: false,
};

export function inspect(value, options = undefined, ...legacy) {
  const given = typeof options === "object" && options !== null ? options : undefined;
  const ctx = { ...inspect.defaultOptions, breakLength: 80, ...given, seen: [], circular: new Map(), indent: 0, level: 0 };
  if (typeof options === "boolean") ctx.showHidden = options;
  if (typeof legacy[0] === "number" || legacy[0] === null) ctx.depth = legacy[0];
  if (typeof legacy[1] === "boolean") ctx.colors = legacy[1];
  if (ctx.depth === null) ctx.depth = Infinity;
  if (ctx.maxArrayLength === null) ctx.maxArrayLength = Infinity;
  if (ctx.maxStringLength === null) ctx.maxStringLength = Infinity;
  ctx.stylize = ctx.colors ? colored : (text) => text;
  ctx.options = given ?? {};
  return show(ctx, value, 0, true);
}
inspect.custom = custom;
inspect.defaultOptions = { ...defaults };
inspect.colors = {
  __proto__: null,
  reset: [0, 0],
  bold: [1, 22],
  dim: [2, 22],
  italic: [3, 23],
  underline: [4, 24],
  blink: [5, 25],
  inverse: [7, 27],
  hidden: [8, 28],
  strikethrough: [9, 29],
  black: [30, 39],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
  white: [37, 39],
  gray: [90, 39],
  grey: [90, 39],
  bgBlack: [40, 49],
  bgRed: [41, 49],
  bgGreen: [42, 49],
  bgYellow: [43, 49],
  bgBlue: [44, 49],
  bgMagenta: [45, 49],
  bgCyan: [46, 49],
  bgWhite: [47, 49],
};
inspect.styles = {
  __proto__: null,
  special: "cyan",
  number: "yellow",
  bigint: "yellow",
  boolean: "yellow",
  undefined: "grey",
  null: "bold",
  string: "green",
  symbol: "green",
  date: "magenta",
  regexp: "red",
  module: "underline",
};

function colored(text, style) {
  const color = inspect.colors[inspect.styles[style]];
  return color ? `\u001b[${color[0]}m${text}\u001b[${color[1]}m` : text;
}

const escapes = { "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", "\\": "\\\\" };

export function quote(text) {
  const mark = !text.includes("'") ? "'" : !text.includes('"') ? '"' : !/`|\$\{/.test(text) ? "`" : "'";
  const body = text.replace(/[\u0000-\u001f\u007f-\u009f\\]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, (c) =>
    escapes[c] ?? (c.charCodeAt(0) > 0xff ? `\\u${c.charCodeAt(0).toString(16).toUpperCase()}` : `\\x${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`),
  );
  return mark + (mark === "'" ? body.replaceAll("'", "\\'") : body) + mark;
}

function showString(ctx, text, top) {
  let more = "";
  if (text.length > ctx.maxStringLength) {
    const rest = text.length - ctx.maxStringLength;
    text = text.slice(0, ctx.maxStringLength);
    more = `... ${rest} more character${rest > 1 ? "s" : ""}`;
  }
  if (!top && text.length > 16 && ctx.compact !== true && text.length > ctx.breakLength - ctx.indent - 4 && text.includes("\n")) {
    const lines = text.split(/(?<=\n)/);
    return lines.map((line) => ctx.stylize(quote(line), "string")).join(` +\n${" ".repeat(ctx.indent + 2)}`) + more;
  }
  return ctx.stylize(quote(text), "string") + more;
}

function showNumber(ctx, value) {
  let text = Object.is(value, -0) ? "-0" : `${value}`;
  if (ctx.numericSeparator && /^-?\d+(\.\d+)?$/.test(text)) {
    const [whole, fraction] = text.split(".");
    text = whole.replace(/\B(?=(\d{3})+$)/g, "_") + (fraction ? `.${fraction.replace(/(\d{3})(?=\d)/g, "$1_")}` : "");
  }
  return ctx.stylize(text, "number");
}

function show(ctx, value, depth, top = false) {
  switch (typeof value) {
    case "string":
      return showString(ctx, value, top);
    case "number":
      return showNumber(ctx, value);
    case "bigint":
      return ctx.stylize(`${value}n`, "bigint");
    case "boolean":
      return ctx.stylize(`${value}`, "boolean");
    case "undefined":
      return ctx.stylize("undefined", "undefined");
    case "symbol":
      return ctx.stylize(value.toString(), "symbol");
  }
  if (value === null) return ctx.stylize("null", "null");
  if (ctx.customInspect) {
    const method = value[custom];
    if (typeof method === "function" && method !== inspect && !(value.constructor?.prototype === value)) {
      const left = ctx.depth === Infinity ? Infinity : ctx.depth - depth;
      const shown = method.call(value, left, { ...defaults, ...ctx.options, depth: left, stylize: ctx.stylize }, inspect);
      if (shown !== value) {
        return typeof shown === "string" ? shown.replaceAll("\n", `\n${" ".repeat(ctx.indent)}`) : show(ctx, shown, depth);
      }
    }
  }
  if (ctx.seen.includes(value)) {
    if (!ctx.circular.has(value)) ctx.circular.set(value, ctx.circular.size + 1);
    return ctx.stylize(`[Circular *${ctx.circular.get(value)}]`, "special");
  }
  return showObject(ctx, value, depth);
}

function constructorName(value) {
  for (let object = value; object !== null; object = Object.getPrototypeOf(object)) {
    const descriptor = Object.getOwnPropertyDescriptor(object, "constructor");
    if (typeof descriptor?.value === "function" && descriptor.value.name !== "" && value instanceof descriptor.value) {
      return descriptor.value.name;
    }
  }
  return null;
}

function head(name, fallback, tag, size = "") {
  const title = name === null ? `[${fallback}${size}: null prototype] ` : `${name}${size} `;
  return tag ? `${title}[${tag}] ` : title;
}

function keysOf(ctx, value) {
  if (ctx.showHidden) return Reflect.ownKeys(value);
  const symbols = Object.getOwnPropertySymbols(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));
  return [...Object.keys(value), ...symbols];
}

const isIndex = (key) => typeof key === "string" && /^(?:0|[1-9]\d{0,9})$/.test(key);

function showObject(ctx, value, depth) {
  const name = constructorName(value);
  let tag = value[Symbol.toStringTag];
  const isOwn = Object.getOwnPropertyDescriptor(value, Symbol.toStringTag);
  if (typeof tag !== "string" || tag === name || (isOwn && (isOwn.enumerable || ctx.showHidden))) tag = "";
  let keys = keysOf(ctx, value);
  let open = "{";
  let close = "}";
  let prefix = "";
  let base = "";
  let entries = () => [];
  let isList = false;

  if (Array.isArray(value)) {
    keys = keys.filter((key) => !isIndex(key));
    prefix = name !== "Array" || tag ? head(name, "Array", tag, `(${value.length})`) : "";
    [open, close, isList] = ["[", "]", true];
    entries = () => showArray(ctx, value, depth);
  } else if (types.isTypedArray(value)) {
    keys = keys.filter((key) => !isIndex(key));
    prefix = head(name, value[Symbol.toStringTag] ?? "TypedArray", tag === value[Symbol.toStringTag] ? "" : tag, `(${value.length})`);
    [open, close, isList] = ["[", "]", true];
    entries = () => showArray(ctx, value, depth);
  } else if (types.isSet(value)) {
    prefix = head(name, "Set", tag, `(${value.size})`);
    entries = () => limited(ctx, [...Set.prototype.values.call(value)], (item) => show(ctx, item, depth + 1));
  } else if (types.isMap(value)) {
    prefix = head(name, "Map", tag, `(${value.size})`);
    entries = () =>
      limited(ctx, [...Map.prototype.entries.call(value)], ([key, item]) => `${show(ctx, key, depth + 1)} => ${show(ctx, item, depth + 1)}`);
  } else if (types.isMapIterator(value) || types.isSetIterator(value)) {
    prefix = `[${tag}] `;
  } else if (typeof value === "function") {
    base = showFunction(ctx, value, name, tag);
    if (keys.length === 0) return base;
  } else if (types.isArgumentsObject(value)) {
    prefix = "[Arguments] ";
  } else if (types.isRegExp(value)) {
    base = ctx.stylize(RegExp.prototype.toString.call(value), "regexp");
    if (name !== "RegExp") base = `${head(name, "RegExp", tag)}${base}`;
    if (keys.length === 0 || depth > ctx.depth) return base;
  } else if (types.isDate(value)) {
    base = Number.isNaN(Date.prototype.getTime.call(value)) ? "Invalid Date" : Date.prototype.toISOString.call(value);
    base = ctx.stylize(name !== "Date" ? `${head(name, "Date", tag)}${base}` : base, "date");
    if (keys.length === 0) return base;
  } else if (types.isNativeError(value) || value instanceof Error) {
    return showError(ctx, value, keys, depth, name);
  } else if (types.isArrayBuffer(value)) {
    prefix = head(name, "ArrayBuffer", tag);
    entries = () => {
      const bytes = new Uint8Array(value);
      const shown = [...bytes.subarray(0, Math.min(50, ctx.maxArrayLength))].map((byte) => byte.toString(16).padStart(2, "0"));
      const more = bytes.length - shown.length;
      const text = shown.join(" ") + (more > 0 ? ` ... ${more} more byte${more > 1 ? "s" : ""}` : "");
      return [`[${ctx.stylize("Uint8Contents", "special")}]: <${text}>`, `byteLength: ${showNumber(ctx, bytes.length)}`];
    };
  } else if (types.isDataView(value)) {
    prefix = head(name, "DataView", tag);
    entries = () => ["byteLength", "byteOffset", "buffer"].map((key) => `${key}: ${show(ctx, value[key], depth + 1)}`);
  } else if (types.isPromise(value)) {
    prefix = head(name, "Promise", tag);
    entries = () => [ctx.stylize("<pending>", "special")];
  } else if (types.isWeakMap(value) || types.isWeakSet(value)) {
    prefix = head(name, types.isWeakMap(value) ? "WeakMap" : "WeakSet", tag);
    entries = () => [ctx.stylize("<items unknown>", "special")];
  } else if (types.isModuleNamespaceObject(value)) {
    prefix = "[Module: null prototype] ";
  } else if (types.isBoxedPrimitive(value)) {
    const inner = value.valueOf();
    const kind = typeof inner === "bigint" ? "BigInt" : typeof inner === "symbol" ? "Symbol" : inner.constructor.name;
    if (kind === "String") keys = keys.filter((key) => !isIndex(key) && key !== "length");
    base = ctx.stylize(`[${kind}${name === kind ? "" : name === null ? " (null prototype)" : ` (${name})`}: ${show({ ...ctx, stylize: (text) => text }, inner, depth)}]`, "string");
    if (keys.length === 0) return base;
  } else if (interfaceOf(value) !== undefined) {
    prefix = head(name, "Object", tag);
    const platform = interfaceOf(value), size = platform.pairs ? [...value].length : 0;
    if (platform.pairs) prefix = head(name, "Object", tag, `(${size})`);
    if (keys.length === 0 && (platform.pairs ? size : platform.attributes.length) === 0) return `${prefix}{}`;
    entries = () => showInterface(ctx, value, platform, depth);
  } else {
    prefix = name === "Object" && !tag ? "" : head(name, "Object", tag);
    if (keys.length === 0) return `${prefix}{}`;
  }

  if (depth > ctx.depth) {
    const title = (prefix || (Array.isArray(value) ? "Array" : name ?? "Object")).trim().replace(/\(\d+\)/, "");
    return ctx.stylize(`[${title.replace(/^\[(.*)\]$/, "$1")}]`, "special");
  }
  ctx.seen.push(value);
  ctx.indent += 2;
  ctx.level = depth;
  const output = entries();
  for (const key of keys) output.push(showProperty(ctx, value, key, depth, isList));
  ctx.indent -= 2;
  ctx.seen.pop();
  if (ctx.sorted) {
    const order = ctx.sorted === true ? undefined : ctx.sorted;
    if (isList) output.push(...output.splice(output.length - keys.length).sort(order));
    else output.sort(order);
  }
  const reference = ctx.circular.has(value) ? `${ctx.stylize(`<ref *${ctx.circular.get(value)}>`, "special")} ` : "";
  const begin = `${reference}${base ? `${base} ${open}` : prefix + open}`;
  return layOut(ctx, output, begin, close, isList ? value : undefined, depth);
}

// An object of the platform: what it holds, or the values of its attributes. A body is not looked at:
// that would make a stream of it.
function showInterface(ctx, value, { pairs, attributes }, depth) {
  if (pairs) return limited(ctx, [...value], ([key, item]) => `${show(ctx, key, depth + 1)} => ${show(ctx, item, depth + 1)}`);
  return attributes.map((key) => {
    try {
      return `${key}: ${key === "body" ? ctx.stylize("[Getter]", "special") : show(ctx, value[key], depth + 1)}`;
    } catch {
      return `${key}: ${ctx.stylize("[Getter]", "special")}`;
    }
  });
}

function showFunction(ctx, value, name, tag) {
  const source = Function.prototype.toString.call(value);
  let text;
  if (/^class[\s{]/.test(source)) {
    text = `[class ${value.name || "(anonymous)"}`;
    const parent = Object.getPrototypeOf(value);
    if (typeof parent === "function" && parent !== Function.prototype) text += ` extends ${parent.name || "(anonymous)"}`;
    else if (parent === null) text += " extends null";
    text += "]";
  } else {
    const kind = Object.getPrototypeOf(value)?.[Symbol.toStringTag] ?? "Function";
    text = `[${kind}${value.name ? `: ${value.name}` : " (anonymous)"}]`;
    if (name === null) text = text.replace(kind, `${kind} (null prototype)`);
    if (tag && tag !== kind) text += ` [${tag}]`;
  }
  return ctx.stylize(text, "special");
}

function showError(ctx, error, keys, depth, name) {
  const title = `${error.name ?? "Error"}${error.message ? `: ${error.message}` : ""}`;
  let stack = typeof error.stack === "string" && error.stack !== "" ? error.stack : "";
  if (!stack.includes("    at ")) {
    const places = readableStack(error);
    stack = places === "" ? title : `${title}\n${places}`;
  }
  if (!stack.includes("\n")) stack = `[${stack}]`;
  if (name && !stack.includes(name)) stack = stack.replace(/^(\[?)(\w+)/, (_, bracket, first) => `${bracket}${name}${first === name ? "" : ` [${first}]`}`);
  stack = stack.replaceAll("\n", `\n${" ".repeat(ctx.indent)}`);
  const hidden = ["stack", "message", "line", "column", "sourceURL", "toString"];
  const shown = keys.filter((key) => !hidden.includes(key) && !(key === "name" && stack.includes(error.name)));
  for (const key of ["cause", "errors"]) {
    if (Object.hasOwn(error, key) && !shown.includes(key)) shown.push(key);
  }
  if (shown.length === 0) return stack;
  if (depth > ctx.depth) return stack;
  ctx.seen.push(error);
  ctx.indent += 2;
  const output = shown.map((key) => showProperty(ctx, error, key, depth, false));
  ctx.indent -= 2;
  ctx.seen.pop();
  return `${stack} {\n${" ".repeat(ctx.indent + 2)}${output.join(`,\n${" ".repeat(ctx.indent + 2)}`)}\n${" ".repeat(ctx.indent)}}`;
}

function limited(ctx, items, each) {
  const shown = items.slice(0, ctx.maxArrayLength).map(each);
  const more = items.length - shown.length;
  if (more > 0) shown.push(`... ${more} more item${more > 1 ? "s" : ""}`);
  return shown;
}

function showArray(ctx, value, depth) {
  const output = [];
  const { length } = value;
  let i = 0;
  while (i < length && output.length < ctx.maxArrayLength) {
    if (!Object.hasOwn(value, i)) {
      const start = i;
      while (i < length && !Object.hasOwn(value, i)) i++;
      const count = i - start;
      output.push(ctx.stylize(`<${count} empty item${count > 1 ? "s" : ""}>`, "undefined"));
      continue;
    }
    output.push(typeof value[i] === "number" ? showNumber(ctx, value[i]) : showProperty(ctx, value, i, depth, true));
    i++;
  }
  if (i < length) output.push(`... ${length - i} more item${length - i > 1 ? "s" : ""}`);
  return output;
}

function showProperty(ctx, object, key, depth, isList) {
  const descriptor = Object.getOwnPropertyDescriptor(object, key) ?? { value: object[key], enumerable: true };
  let text;
  if ("value" in descriptor) {
    text = show(ctx, descriptor.value, depth + 1);
  } else if (descriptor.get !== undefined) {
    const label = descriptor.set !== undefined ? "Getter/Setter" : "Getter";
    const wanted = ctx.getters === true || (ctx.getters === "get" && !descriptor.set) || (ctx.getters === "set" && descriptor.set);
    if (wanted) {
      try {
        text = `${ctx.stylize(`[${label}:`, "special")} ${show(ctx, descriptor.get.call(object), depth + 1)}${ctx.stylize("]", "special")}`;
      } catch (error) {
        text = `[${label}: <Inspection threw (${error.message})>]`;
      }
    } else {
      text = ctx.stylize(`[${label}]`, "special");
    }
  } else {
    text = ctx.stylize(descriptor.set !== undefined ? "[Setter]" : "undefined", "special");
  }
  if (isList && (typeof key === "number" || isIndex(key))) return text;
  let name;
  if (typeof key === "symbol") name = `[${ctx.stylize(key.toString(), "symbol")}]`;
  else if (!descriptor.enumerable) name = `[${key}]`;
  else if (key === "__proto__") name = "['__proto__']";
  else name = /^[a-zA-Z_][a-zA-Z_0-9]*$/.test(key) ? ctx.stylize(key, "name") : ctx.stylize(quote(key), "string");
  return `${name}: ${text}`;
}

const visible = (ctx, text) => (ctx.colors ? text.replace(/\u001b\[\d+m/g, "") : text).length;

// Long lists of short things in columns.
function columns(ctx, output, list) {
  const extra = ctx.maxArrayLength < (list?.length ?? 0) ? 1 : 0;
  const count = output.length - extra;
  const lengths = output.slice(0, count).map((text) => visible(ctx, text) + 2);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const widest = Math.max(...lengths);
  if (widest * 3 + ctx.indent >= ctx.breakLength || (total / widest <= 5 && widest > 8)) return output;
  const bias = Math.max(widest - 3 - Math.sqrt(widest - total / output.length), 1);
  const across = Math.min(
    Math.round(Math.sqrt(2.5 * bias * count) / bias),
    Math.floor((ctx.breakLength - ctx.indent) / widest),
    ctx.compact * 4,
    15,
  );
  if (across <= 1) return output;
  const widths = [];
  for (let i = 0; i < across; i++) {
    let width = 0;
    for (let j = i; j < count; j += across) width = Math.max(width, lengths[j]);
    widths.push(width);
  }
  const right = list !== undefined && Array.prototype.every.call(list, (item) => typeof item === "number" || typeof item === "bigint");
  const rows = [];
  for (let i = 0; i < count; i += across) {
    const end = Math.min(i + across, count);
    let row = "";
    let j = i;
    for (; j < end - 1; j++) {
      const text = `${output[j]}, `;
      const pad = " ".repeat(widths[j - i] - visible(ctx, text));
      row += right ? pad + text : text + pad;
    }
    row += right ? " ".repeat(widths[j - i] - 2 - visible(ctx, output[j])) + output[j] : output[j];
    rows.push(row);
  }
  return extra ? [...rows, output[count]] : rows;
}

function layOut(ctx, output, begin, close, list, depth) {
  if (output.length === 0) return `${begin}${close}`;
  if (ctx.compact !== true) {
    const entries = output.length;
    if (list !== undefined && entries > 6 && typeof ctx.compact === "number") output = columns(ctx, output, list);
    // The innermost `compact` levels share a line when they fit: ctx.level is the depth of the object
    // that was shown last.
    if (typeof ctx.compact === "number" && ctx.level - depth < ctx.compact && entries === output.length) {
      const total = output.reduce((sum, text) => sum + visible(ctx, text), output.length + visible(ctx, begin)) + ctx.indent + 10;
      if (total + output.length <= Math.max(ctx.breakLength, 0) && !output.some((text) => text.includes("\n"))) {
        return `${begin} ${output.join(", ")} ${close}`;
      }
    }
    const pad = `\n${" ".repeat(ctx.indent)}`;
    return `${begin}${pad}  ${output.join(`,${pad}  `)}${pad}${close}`;
  }
  const total = output.reduce((sum, text) => sum + visible(ctx, text) + 2, visible(ctx, begin));
  if (total <= ctx.breakLength && !output.some((text) => text.includes("\n"))) return `${begin} ${output.join(", ")} ${close}`;
  const pad = `\n${" ".repeat(ctx.indent)}`;
  return `${begin} ${output.join(`,${pad}  `)} ${close}`;
}

export function format(...args) {
  return formatWithOptions({}, ...args);
}

export function formatWithOptions(options, ...args) {
  let text = "";
  let next = 0;
  if (typeof args[0] === "string") {
    next = 1;
    if (args.length === 1) return args[0];
    text = args[0].replace(/%[%sdifjoOc]/g, (directive) => {
      if (directive === "%%") return "%";
      if (next >= args.length) return directive;
      const value = args[next++];
      switch (directive) {
        case "%s":
          if (typeof value === "number") return Object.is(value, -0) ? "-0" : `${value}`;
          if (typeof value === "bigint") return `${value}n`;
          if (typeof value !== "object" || value === null) return String(value);
          return hasOwnToString(value) ? String(value) : inspect(value, { ...options, depth: 0, colors: false, compact: 3 });
        case "%d":
          if (typeof value === "bigint") return `${value}n`;
          if (typeof value === "symbol" || typeof value === "object") return typeof value === "symbol" ? "NaN" : `${Number(value)}`;
          return Object.is(Number(value), -0) ? "-0" : `${Number(value)}`;
        case "%i":
          return typeof value === "bigint" ? `${value}n` : typeof value === "symbol" ? "NaN" : `${parseInt(value, 10)}`;
        case "%f":
          return typeof value === "symbol" ? "NaN" : `${parseFloat(value)}`;
        case "%j":
          try {
            return JSON.stringify(value) ?? "undefined";
          } catch (error) {
            if (/circular|cyclic/i.test(error.message)) return "[Circular]";
            throw error;
          }
        case "%o":
          return inspect(value, { ...options, showHidden: true, showProxy: true, depth: 4 });
        case "%O":
          return inspect(value, options);
        default:
          return "";
      }
    });
  }
  const rest = args.slice(next).map((value) => (typeof value === "string" ? value : inspect(value, { ...options, compact: 3, colors: options.colors ?? false })));
  if (next === 0) return rest.join(" ");
  return rest.length > 0 ? `${text} ${rest.join(" ")}` : text;
}

function hasOwnToString(value) {
  if (typeof value.toString !== "function") return false;
  if (Object.hasOwn(value, "toString")) return true;
  if (types.isNativeError(value) || types.isDate(value)) return true;
  const builtIn = [Object.prototype, Array.prototype, Function.prototype, RegExp.prototype, Map.prototype, Set.prototype, Promise.prototype];
  for (let object = Object.getPrototypeOf(value); object !== null; object = Object.getPrototypeOf(object)) {
    if (builtIn.includes(object)) return false;
    if (Object.hasOwn(object, "toString")) return true;
  }
  return false;
}
