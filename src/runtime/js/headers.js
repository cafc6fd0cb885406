// SPDX-License-Identifier: Apache-2.0
// https://fetch.spec.whatwg.org/#headers-class
//
// A flat list in the order of addition, names in lower case. The headers of a request stay a block of
// text ("name: value\n") until somebody changes them or looks at more than a few: most handlers do not.

import {
  ArraySlice,
  ArraySort,
  Map,
  MapGet,
  MapSet,
  MapSize,
  StringCharCodeAt,
  StringIndexOf,
  StringSlice,
  StringStartsWith,
  StringToLowerCase,
  SymbolIterator,
  SymbolToStringTag,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectGetPrototypeOf,
  ReflectOwnKeys,
  TypeError,
  Uint8Array,
  WeakMap,
  WeakMapGet,
  WeakMapSet,
} from "./primordials.js";
import { defineInterface, isObject, toByteString, toDOMString, toSequence } from "./webidl.js";

const { propertyIsEnumerable } = {};

// 1: token character in lower case or digit, 2: upper case letter.
const tokenClass = new Uint8Array(128);
for (const c of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") tokenClass[c.charCodeAt(0)] = 1;
for (let c = 65; c <= 90; c++) tokenClass[c] = 2;

// Names as programs write them → in lower case. Programs use few, and checking one takes longer than
// finding it here.
const knownNames = new Map();
const KNOWN_NAMES_MAX = 512;

function normalizeName(value) {
  if (typeof value === "string") {
    const known = MapGet.call(knownNames, value);
    if (known !== undefined) return known;
  }
  return checkName(typeof value === "string" ? value : toByteString(value, "The header name"));
}

function checkName(name) {
  let upper = false;
  const { length } = name;
  for (let i = 0; i < length; i++) {
    const code = StringCharCodeAt.call(name, i);
    const kind = code < 128 ? tokenClass[code] : 0;
    if (kind === 0) throw new TypeError("Invalid header name.");
    if (kind === 2) upper = true;
  }
  if (length === 0) throw new TypeError("Invalid header name.");
  const key = upper ? StringToLowerCase.call(name) : name;
  if (length <= 64 && MapSize.call(knownNames) < KNOWN_NAMES_MAX) MapSet.call(knownNames, name, key);
  return key;
}

function isBlank(code) {
  return code === 32 || code === 9 || code === 10 || code === 13;
}

function normalizeValue(value) {
  let text = typeof value === "string" ? value : toDOMString(value);
  let start = 0, end = text.length;
  while (start < end && isBlank(StringCharCodeAt.call(text, start))) start++;
  while (end > start && isBlank(StringCharCodeAt.call(text, end - 1))) end--;
  if (start > 0 || end < text.length) text = StringSlice.call(text, start, end);
  const { length } = text;
  for (let i = 0; i < length; i++) {
    const code = StringCharCodeAt.call(text, i);
    if (code < 32 ? code === 0 || code === 10 || code === 13 : code > 255) throw badValue(code);
  }
  return text;
}

function badValue(code) {
  return code > 255
    ? new TypeError("Cannot convert argument to a ByteString because a character is greater than 255.")
    : new TypeError("Invalid header value.");
}

const GUARD_NONE = 0, GUARD_IMMUTABLE = 1;
const LOOKS_MAX = 3; // into an unparsed block, before parsing it pays

export let headersFromBlock, headersToBlock, headersGet, headersSetIfMissing, headersCopy, headersSetImmutable,
  isHeaders, fillHeaders, headersAppendRaw, headersDelete, headersIsImmutable;
let sortedPairs, fillFromHeaders;
const empty = [];

export class Headers {
  #block = undefined; // text that is not parsed yet
  #list = empty; // name, value, name, value …; `empty` is never written to
  #state = GUARD_NONE; // bit 0: immutable; above: looks into the block
  #pairs = undefined; // sorted and combined, until the next change

  constructor(init = undefined) {
    if (init !== undefined) fill(this, init);
  }

  append(name, value) {
    this.#beginChange("append", arguments.length, 2);
    const key = normalizeName(name);
    const text = normalizeValue(value);
    this.#refuseIfImmutable();
    this.#push(key, text);
  }

  delete(name) {
    this.#beginChange("delete", arguments.length, 1);
    const key = normalizeName(name);
    this.#refuseIfImmutable();
    this.#removeFrom(key, 0);
  }

  get(name) {
    if (arguments.length === 0) missingArgument("get", 1, this.#list);
    const key = normalizeName(name);
    return this.#block === undefined ? this.#get(key) : this.#look(key);
  }

  has(name) {
    if (arguments.length === 0) missingArgument("has", 1, this.#list);
    const key = normalizeName(name);
    return this.#block === undefined ? this.#indexOf(key) >= 0 : this.#look(key) !== null;
  }

  set(name, value) {
    this.#beginChange("set", arguments.length, 2);
    const key = normalizeName(name);
    const text = normalizeValue(value);
    this.#refuseIfImmutable();
    const index = this.#indexOf(key);
    if (index < 0) {
      this.#push(key, text);
      return;
    }
    this.#list[index + 1] = text;
    this.#pairs = undefined;
    this.#removeFrom(key, index + 2);
  }

  getSetCookie() {
    return this.#all("set-cookie");
  }

  // Cloudflare's own, from before getSetCookie.
  getAll(name) {
    const key = normalizeName(name);
    if (key !== "set-cookie")
      throw new TypeError('getAll() can only be used with the header name "Set-Cookie".');
    return this.#all(key);
  }

  forEach(callback, thisArg = undefined) {
    this.#list; // brand check
    if (typeof callback !== "function")
      throw new TypeError("Failed to execute 'forEach' on 'Headers': parameter 1 is not of type 'function'.");
    for (let i = 0, pairs = this.#sorted(); i < pairs.length; pairs = this.#sorted()) {
      const pair = pairs[i++];
      callback.call(thisArg, pair[1], pair[0], this);
    }
  }

  entries() {
    this.#list;
    return makeIterator(this, 0);
  }

  keys() {
    this.#list;
    return makeIterator(this, 1);
  }

  values() {
    this.#list;
    return makeIterator(this, 2);
  }

  #beginChange(method, count, required) {
    if (this.#block !== undefined) this.#parse();
    if (count < required) missingArgument(method, required, count);
  }

  #refuseIfImmutable() {
    if (this.#state & GUARD_IMMUTABLE) throw new TypeError("Can't modify immutable headers.");
  }

  #push(key, text) {
    const list = this.#list;
    this.#pairs = undefined;
    if (list === empty) {
      this.#list = [key, text];
    } else {
      list[list.length] = key;
      list[list.length] = text;
    }
  }

  // One header of an unparsed block.
  #look(key) {
    if (this.#state >= LOOKS_MAX << 1) {
      this.#parse();
      return this.#get(key);
    }
    this.#state += 2;
    const block = this.#block, wanted = key + ": ";
    let at = 0;
    if (!StringStartsWith.call(block, wanted)) {
      at = StringIndexOf.call(block, "\n" + wanted) + 1;
      if (at === 0) return null;
    }
    const end = StringIndexOf.call(block, "\n", at);
    if (StringIndexOf.call(block, "\n" + wanted, end) >= 0) {
      this.#parse();
      return this.#get(key);
    }
    return StringSlice.call(block, at + wanted.length, end);
  }

  #parse() {
    const block = this.#block, list = [];
    this.#block = undefined;
    this.#state &= GUARD_IMMUTABLE;
    let at = 0;
    while (at < block.length) {
      const colon = StringIndexOf.call(block, ":", at);
      const end = StringIndexOf.call(block, "\n", at);
      if (colon < 0 || end < 0) break;
      list[list.length] = StringSlice.call(block, at, colon);
      list[list.length] = StringSlice.call(block, colon + 2, end);
      at = end + 1;
    }
    this.#list = list;
  }

  #indexOf(key) {
    const list = this.#list;
    for (let i = 0; i < list.length; i += 2) if (list[i] === key) return i;
    return -1;
  }

  #get(key) {
    const first = this.#indexOf(key);
    if (first < 0) return null;
    const list = this.#list;
    let value = list[first + 1];
    for (let i = first + 2; i < list.length; i += 2) if (list[i] === key) value += ", " + list[i + 1];
    return value;
  }

  #all(key) {
    if (this.#block !== undefined) this.#parse();
    const found = [], list = this.#list;
    for (let i = 0; i < list.length; i += 2) if (list[i] === key) found[found.length] = list[i + 1];
    return found;
  }

  #removeFrom(key, start) {
    const list = this.#list;
    let kept = start;
    for (let i = start; i < list.length; i += 2) {
      if (list[i] === key) continue;
      if (kept !== i) {
        list[kept] = list[i];
        list[kept + 1] = list[i + 1];
      }
      kept += 2;
    }
    if (kept === list.length) return;
    list.length = kept;
    this.#pairs = undefined;
  }

  // https://fetch.spec.whatwg.org/#concept-header-list-sort-and-combine
  #sorted() {
    if (this.#block !== undefined) this.#parse();
    return (this.#pairs ??= this.#sort());
  }

  #sort() {
    const names = [], list = this.#list;
    for (let i = 0; i < list.length; i += 2) names[names.length] = list[i];
    if (names.length > 1) ArraySort.call(names);
    const pairs = [];
    for (let i = 0; i < names.length; i++) {
      if (i > 0 && names[i] === names[i - 1]) continue;
      if (names[i] === "set-cookie") {
        const cookies = this.#all("set-cookie");
        for (let j = 0; j < cookies.length; j++) pairs[pairs.length] = ["set-cookie", cookies[j]];
      } else {
        pairs[pairs.length] = [names[i], this.#get(names[i])];
      }
    }
    return pairs;
  }

  static {
    isHeaders = (value) => isObject(value) && #list in value;
    headersFromBlock = (block, immutable) => {
      const headers = new Headers();
      headers.#block = block;
      if (immutable) headers.#state = GUARD_IMMUTABLE;
      return headers;
    };
    headersToBlock = (headers) => {
      if (headers.#block !== undefined) return headers.#block;
      const list = headers.#list;
      let block = "";
      for (let i = 0; i < list.length; i += 2) block += list[i] + ": " + list[i + 1] + "\n";
      return block;
    };
    headersGet = (headers, key) => (headers.#block === undefined ? headers.#get(key) : headers.#look(key));
    headersSetIfMissing = (headers, key, value) => {
      if (headers.#block !== undefined) headers.#parse();
      if (headers.#indexOf(key) < 0) headers.#push(key, value);
    };
    headersDelete = (headers, key) => {
      if (headers.#block !== undefined) headers.#parse();
      headers.#removeFrom(key, 0);
    };
    // A copy that may be changed.
    headersCopy = (source) => {
      const headers = new Headers();
      fillFromHeaders(headers, source);
      return headers;
    };
    headersSetImmutable = (headers) => {
      headers.#state |= GUARD_IMMUTABLE;
      return headers;
    };
    headersIsImmutable = (headers) => (headers.#state & GUARD_IMMUTABLE) !== 0;
    headersAppendRaw = (headers, key, value) => {
      if (headers.#block !== undefined) headers.#parse();
      headers.#push(key, value);
    };
    sortedPairs = (headers) => headers.#sorted();
    fillFromHeaders = (headers, source) => {
      if (source.#block !== undefined) headers.#block = source.#block;
      else if (source.#list.length > 0) headers.#list = ArraySlice.call(source.#list);
    };
  }
}
fillHeaders = fill;
const { entries } = Headers.prototype;

function missingArgument(method, required, given) {
  const count = typeof given === "number" ? given : 0;
  throw new TypeError(
    `Failed to execute '${method}' on 'Headers': parameter ${count + 1} is not of type 'string'.`,
  );
}

function fill(headers, init) {
  if (!isObject(init))
    throw new TypeError(
      "Failed to construct 'Headers': constructor parameter 1 is not of type 'Headers or Sequence or object'.",
    );
  if (isHeaders(init) && init[SymbolIterator] === entries) {
    fillFromHeaders(headers, init);
    return;
  }
  const iterator = init[SymbolIterator];
  if (iterator !== undefined && iterator !== null) {
    const pairs = toSequence(init, (pair) => toSequence(pair, (v) => v, "The header pair"), "The headers");
    for (let i = 0; i < pairs.length; i++) {
      if (pairs[i].length !== 2)
        throw new TypeError(
          "To initialize a Headers object from a sequence, each inner sequence must have exactly two elements.",
        );
      headersAppendRaw(headers, normalizeName(pairs[i][0]), normalizeValue(pairs[i][1]));
    }
    return;
  }
  const keys = ReflectOwnKeys(init);
  for (let i = 0; i < keys.length; i++) {
    if (!propertyIsEnumerable.call(init, keys[i])) continue;
    headersAppendRaw(headers, normalizeName(keys[i]), normalizeValue(init[keys[i]]));
  }
}

const iteratorPrototype = ObjectCreate(ObjectGetPrototypeOf(ObjectGetPrototypeOf([][SymbolIterator]())));
class IteratorState {
  index = 0;
  constructor(headers, kind) {
    this.headers = headers;
    this.kind = kind;
  }
}
const iteratorStates = new WeakMap();
ObjectDefineProperty(iteratorPrototype, "next", {
  value: function next() {
    const state = WeakMapGet.call(iteratorStates, this);
    if (state === undefined) throw new TypeError("Illegal invocation");
    const pairs = sortedPairs(state.headers);
    if (state.index >= pairs.length) return { value: undefined, done: true };
    const pair = pairs[state.index++];
    return { value: state.kind === 0 ? [pair[0], pair[1]] : pair[state.kind - 1], done: false };
  },
  writable: true,
  enumerable: true,
  configurable: true,
});
ObjectDefineProperty(iteratorPrototype, SymbolToStringTag, { value: "Headers Iterator", configurable: true });

function makeIterator(headers, kind) {
  const iterator = ObjectCreate(iteratorPrototype);
  WeakMapSet.call(iteratorStates, iterator, new IteratorState(headers, kind));
  return iterator;
}

defineInterface(Headers, "Headers");
ObjectDefineProperty(Headers.prototype, SymbolIterator, {
  value: Headers.prototype.entries,
  writable: true,
  enumerable: false,
  configurable: true,
});

