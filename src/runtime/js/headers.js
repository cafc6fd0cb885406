// SPDX-License-Identifier: Apache-2.0
// https://fetch.spec.whatwg.org/#headers-class
//
// Two parallel arrays in the order of addition, names in lower case. The headers of a request stay a
// block of text ("name: value\n") until somebody looks: most handlers never do.

import {
  ArraySlice,
  ArraySort,
  StringCharCodeAt,
  StringIndexOf,
  StringSlice,
  StringToLowerCase,
  SymbolIterator,
  SymbolToStringTag,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectGetPrototypeOf,
  ReflectOwnKeys,
  ObjectGetOwnPropertyDescriptor,
  TypeError,
} from "./primordials.js";
import { defineInterface, isObject, requireArguments, toByteString, toSequence } from "./webidl.js";

const GUARD_NONE = 0, GUARD_IMMUTABLE = 1;

// 1: token character in lower case or digit, 2: upper case letter.
const tokenClass = new Uint8Array(128);
for (const c of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") tokenClass[c.charCodeAt(0)] = 1;
for (let c = 65; c <= 90; c++) tokenClass[c] = 2;

function normalizeName(value, what) {
  const name = typeof value === "string" ? value : toByteString(value, what);
  let upper = false;
  const length = name.length;
  for (let i = 0; i < length; i++) {
    const code = StringCharCodeAt.call(name, i);
    const kind = code < 128 ? tokenClass[code] : 0;
    if (kind === 0) throw new TypeError("Invalid header name.");
    if (kind === 2) upper = true;
  }
  if (length === 0) throw new TypeError("Invalid header name.");
  return upper ? StringToLowerCase.call(name) : name;
}

function isBlank(code) {
  return code === 32 || code === 9 || code === 10 || code === 13;
}

function normalizeValue(value) {
  let text = typeof value === "string" ? value : `${value}`;
  let start = 0, end = text.length;
  while (start < end && isBlank(StringCharCodeAt.call(text, start))) start++;
  while (end > start && isBlank(StringCharCodeAt.call(text, end - 1))) end--;
  if (start > 0 || end < text.length) text = StringSlice.call(text, start, end);
  for (let i = 0; i < text.length; i++) {
    const code = StringCharCodeAt.call(text, i);
    if (code < 32 ? code === 0 || code === 10 || code === 13 : code > 255)
      throw code > 255
        ? new TypeError("Cannot convert argument to a ByteString because a character is greater than 255.")
        : new TypeError("Invalid header value.");
  }
  return text;
}

export let headersFromBlock, headersToBlock, headersGet, headersSetIfMissing, headersCopy, headersSetImmutable,
  isHeaders, fillHeaders, headersAppendRaw, headersDelete;

export class Headers {
  #block = undefined; // not parsed yet
  #names = [];
  #values = [];
  #guard = GUARD_NONE;

  constructor(init = undefined) {
    if (init !== undefined) fill(this, init);
  }

  append(name, value) {
    this.#change("append", arguments.length, 2);
    const key = normalizeName(name, "name");
    const text = normalizeValue(value);
    this.#names[this.#names.length] = key;
    this.#values[this.#values.length] = text;
  }

  delete(name) {
    this.#change("delete", arguments.length, 1);
    this.#remove(normalizeName(name, "name"));
  }

  get(name) {
    if (this.#block !== undefined) this.#parse();
    requireArguments(arguments.length, 1, "'get' on 'Headers'");
    return this.#get(normalizeName(name, "name"));
  }

  has(name) {
    if (this.#block !== undefined) this.#parse();
    requireArguments(arguments.length, 1, "'has' on 'Headers'");
    return this.#indexOf(normalizeName(name, "name")) >= 0;
  }

  set(name, value) {
    this.#change("set", arguments.length, 2);
    const key = normalizeName(name, "name");
    const text = normalizeValue(value);
    const index = this.#indexOf(key);
    if (index < 0) {
      this.#names[this.#names.length] = key;
      this.#values[this.#values.length] = text;
      return;
    }
    this.#values[index] = text;
    this.#removeFrom(key, index + 1);
  }

  getSetCookie() {
    return this.#all("set-cookie");
  }

  // Cloudflare's own, from before getSetCookie.
  getAll(name) {
    const key = normalizeName(name, "name");
    if (key !== "set-cookie")
      throw new TypeError('getAll() can only be used with the header name "Set-Cookie".');
    return this.#all(key);
  }

  forEach(callback, thisArg = undefined) {
    requireArguments(arguments.length, 1, "'forEach' on 'Headers'");
    if (typeof callback !== "function") throw new TypeError("Headers.forEach: the argument is not a function");
    for (let i = 0, pairs = this.#sorted(); i < pairs.length; i++, pairs = this.#sorted())
      callback.call(thisArg, pairs[i][1], pairs[i][0], this);
  }

  entries() {
    this.#names;
    return makeIterator(this, 0);
  }

  keys() {
    this.#names;
    return makeIterator(this, 1);
  }

  values() {
    this.#names;
    return makeIterator(this, 2);
  }

  #change(method, count, required) {
    if (this.#block !== undefined) this.#parse();
    requireArguments(count, required, `'${method}' on 'Headers'`);
    if (this.#guard === GUARD_IMMUTABLE) throw new TypeError("Can't modify immutable headers.");
  }

  #parse() {
    const block = this.#block;
    this.#block = undefined;
    let at = 0;
    while (at < block.length) {
      const colon = StringIndexOf.call(block, ":", at);
      const end = StringIndexOf.call(block, "\n", at);
      if (colon < 0 || end < 0) break;
      this.#names[this.#names.length] = StringSlice.call(block, at, colon);
      this.#values[this.#values.length] = StringSlice.call(block, colon + 2, end);
      at = end + 1;
    }
  }

  #indexOf(key) {
    const names = this.#names;
    for (let i = 0; i < names.length; i++) if (names[i] === key) return i;
    return -1;
  }

  #get(key) {
    const first = this.#indexOf(key);
    if (first < 0) return null;
    let value = this.#values[first];
    const names = this.#names;
    for (let i = first + 1; i < names.length; i++) if (names[i] === key) value += `, ${this.#values[i]}`;
    return value;
  }

  #all(key) {
    if (this.#block !== undefined) this.#parse();
    const found = [];
    for (let i = 0; i < this.#names.length; i++)
      if (this.#names[i] === key) found[found.length] = this.#values[i];
    return found;
  }

  #remove(key) {
    this.#removeFrom(key, 0);
  }

  #removeFrom(key, start) {
    const names = this.#names, values = this.#values;
    let kept = start;
    for (let i = start; i < names.length; i++) {
      if (names[i] === key) continue;
      names[kept] = names[i];
      values[kept++] = values[i];
    }
    names.length = values.length = kept;
  }

  // https://fetch.spec.whatwg.org/#concept-header-list-sort-and-combine
  #sorted() {
    if (this.#block !== undefined) this.#parse();
    const names = ArraySlice.call(this.#names);
    ArraySort.call(names);
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
    isHeaders = (value) => isObject(value) && #names in value;
    headersFromBlock = (block, immutable) => {
      const headers = new Headers();
      headers.#block = block;
      if (immutable) headers.#guard = GUARD_IMMUTABLE;
      return headers;
    };
    headersToBlock = (headers) => {
      if (headers.#block !== undefined) return headers.#block;
      const names = headers.#names, values = headers.#values;
      let block = "";
      for (let i = 0; i < names.length; i++) block += names[i] + ": " + values[i] + "\n";
      return block;
    };
    headersGet = (headers, key) => {
      if (headers.#block !== undefined) headers.#parse();
      return headers.#get(key);
    };
    headersSetIfMissing = (headers, key, value) => {
      if (headers.#block !== undefined) headers.#parse();
      if (headers.#indexOf(key) < 0) {
        headers.#names[headers.#names.length] = key;
        headers.#values[headers.#values.length] = value;
      }
    };
    headersDelete = (headers, key) => {
      if (headers.#block !== undefined) headers.#parse();
      headers.#remove(key);
    };
    headersCopy = (source) => {
      const headers = new Headers();
      if (source.#block !== undefined) {
        headers.#block = source.#block;
      } else {
        headers.#names = ArraySlice.call(source.#names);
        headers.#values = ArraySlice.call(source.#values);
      }
      return headers;
    };
    headersSetImmutable = (headers) => {
      headers.#guard = GUARD_IMMUTABLE;
      return headers;
    };
    headersAppendRaw = (headers, key, value) => {
      if (headers.#block !== undefined) headers.#parse();
      headers.#names[headers.#names.length] = key;
      headers.#values[headers.#values.length] = value;
    };
    iterateHeaders = (headers) => headers.#sorted();
  }
}
let iterateHeaders;
fillHeaders = fill;

function fill(headers, init) {
  if (!isObject(init))
    throw new TypeError("Headers constructor: the argument is neither an object nor a sequence of pairs");
  if (isHeaders(init) && init[SymbolIterator] === Headers.prototype[SymbolIterator]) {
    const pairs = iterateHeaders(init);
    for (let i = 0; i < pairs.length; i++) headersAppendRaw(headers, pairs[i][0], pairs[i][1]);
    return;
  }
  const iterator = init[SymbolIterator];
  if (iterator !== undefined && iterator !== null) {
    const pairs = toSequence(init, (pair) => toSequence(pair, (v) => v, "The header pair"), "The headers");
    for (let i = 0; i < pairs.length; i++) {
      if (pairs[i].length !== 2) throw new TypeError("Headers constructor: a pair must have two items");
      headers.append(pairs[i][0], pairs[i][1]);
    }
    return;
  }
  const keys = ReflectOwnKeys(init);
  for (let i = 0; i < keys.length; i++) {
    const descriptor = ObjectGetOwnPropertyDescriptor(init, keys[i]);
    if (descriptor === undefined || !descriptor.enumerable) continue;
    headersAppendRaw(headers, normalizeName(keys[i], "name"), normalizeValue(init[keys[i]]));
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
    const state = iteratorStates.get(this);
    if (state === undefined) throw new TypeError("Illegal invocation");
    const pairs = iterateHeaders(state.headers);
    if (state.index >= pairs.length) return { value: undefined, done: true };
    const pair = pairs[state.index++];
    return { value: state.kind === 0 ? pair : pair[state.kind - 1], done: false };
  },
  writable: true,
  enumerable: true,
  configurable: true,
});
ObjectDefineProperty(iteratorPrototype, SymbolToStringTag, { value: "Headers Iterator", configurable: true });

function makeIterator(headers, kind) {
  const iterator = ObjectCreate(iteratorPrototype);
  iteratorStates.set(iterator, new IteratorState(headers, kind));
  return iterator;
}

defineInterface(Headers, "Headers");
ObjectDefineProperty(Headers.prototype, SymbolIterator, {
  value: Headers.prototype.entries,
  writable: true,
  enumerable: false,
  configurable: true,
});

