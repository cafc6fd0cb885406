// SPDX-License-Identifier: Apache-2.0
// https://xhr.spec.whatwg.org/#interface-formdata and multipart/form-data (RFC 7578).

import { TypeError } from "./primordials.js";
import { native } from "./native.js";
import { File, blobBytes, isBlob } from "./blob.js";
import { joinChunks } from "./streams.js";
import { pairIterator } from "./url.js";
import { defineInterface, isObject, requireArguments, toUSVString } from "./webidl.js";

export let isFormData;

function makeEntry(name, value, filename) {
  if (!isBlob(value)) {
    if (filename !== undefined) throw new TypeError("FormData: a file name needs a Blob");
    return [toUSVString(name), toUSVString(value)];
  }
  if (value instanceof File && filename === undefined) return [toUSVString(name), value];
  const title = filename !== undefined ? toUSVString(filename) : value instanceof File ? value.name : "blob";
  return [toUSVString(name), new File([value], title, { type: value.type })];
}

export class FormData {
  #entries = [];

  constructor(form = undefined) {
    if (form !== undefined) throw new TypeError("FormData constructor: there are no forms here");
  }

  append(name, value, filename = undefined) {
    requireArguments(arguments.length, 2, "'append' on 'FormData'");
    this.#entries.push(makeEntry(name, value, filename));
  }

  delete(name) {
    requireArguments(arguments.length, 1, "'delete' on 'FormData'");
    const key = toUSVString(name);
    this.#entries = this.#entries.filter((entry) => entry[0] !== key);
  }

  get(name) {
    requireArguments(arguments.length, 1, "'get' on 'FormData'");
    const key = toUSVString(name);
    return this.#entries.find((entry) => entry[0] === key)?.[1] ?? null;
  }

  getAll(name) {
    requireArguments(arguments.length, 1, "'getAll' on 'FormData'");
    const key = toUSVString(name);
    return this.#entries.filter((entry) => entry[0] === key).map((entry) => entry[1]);
  }

  has(name) {
    requireArguments(arguments.length, 1, "'has' on 'FormData'");
    const key = toUSVString(name);
    return this.#entries.some((entry) => entry[0] === key);
  }

  set(name, value, filename = undefined) {
    requireArguments(arguments.length, 2, "'set' on 'FormData'");
    const made = makeEntry(name, value, filename);
    const index = this.#entries.findIndex((entry) => entry[0] === made[0]);
    if (index < 0) {
      this.#entries.push(made);
      return;
    }
    this.#entries[index] = made;
    this.#entries = this.#entries.filter((entry, i) => i <= index || entry[0] !== made[0]);
  }

  forEach(callback, thisArg = undefined) {
    if (typeof callback !== "function") throw new TypeError("FormData.forEach: the argument is not a function");
    for (let i = 0; i < this.#entries.length; i++) callback.call(thisArg, this.#entries[i][1], this.#entries[i][0], this);
  }

  entries() {
    return pairIterator(() => this.#entries, (entry) => [entry[0], entry[1]], "FormData Iterator");
  }

  keys() {
    return pairIterator(() => this.#entries, (entry) => entry[0], "FormData Iterator");
  }

  values() {
    return pairIterator(() => this.#entries, (entry) => entry[1], "FormData Iterator");
  }

  static {
    isFormData = (value) => isObject(value) && #entries in value;
  }
}
defineInterface(FormData, "FormData");
Object.defineProperty(FormData.prototype, Symbol.iterator, {
  value: FormData.prototype.entries, writable: true, enumerable: false, configurable: true,
});

// ---- multipart ----

const escapeName = (text) => text.replace(/\r\n?|\n/g, "%0D%0A").replaceAll('"', "%22");
const crlf = (text) => text.replace(/\r\n?|\n/g, "\r\n");

export function formDataToMultipart(form) {
  const boundary = `----formdata-weir-${native.randomUUID().replaceAll("-", "")}`;
  const chunks = [];
  let total = 0;
  const add = (bytes) => {
    chunks.push(bytes);
    total += bytes.byteLength;
  };
  form.forEach((value, name) => {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${escapeName(crlf(name))}"`;
    if (typeof value === "string") {
      add(native.utf8Encode(`${head}\r\n\r\n${crlf(value)}\r\n`));
      return;
    }
    add(native.utf8Encode(`${head}; filename="${escapeName(value.name)}"\r\nContent-Type: ${value.type || "application/octet-stream"}\r\n\r\n`));
    add(blobBytes(value));
    add(native.utf8Encode("\r\n"));
  });
  add(native.utf8Encode(`--${boundary}--\r\n`));
  return { bytes: joinChunks(chunks, total), type: `multipart/form-data; boundary=${boundary}` };
}

function parameter(header, name) {
  const match = new RegExp(`(?:^|[;\\s])${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^;\\s]*))`, "i").exec(header);
  return match === null ? undefined : match[1] !== undefined ? match[1] : match[2];
}

const unescapeName = (text) => text.replaceAll("%0D%0A", "\r\n").replaceAll("%22", '"').replaceAll('\\"', '"');

export function parseFormData(bytes, type) {
  const boundary = parameter(type, "boundary");
  if (boundary === undefined || boundary === "") throw new TypeError("No boundary in the multipart Content-Type.");
  const text = native.latin1Decode(bytes);
  const form = new FormData(), mark = `--${boundary}`;
  const malformed = () => new TypeError("The multipart body is malformed.");
  let at = text.indexOf(mark);
  if (at < 0) throw malformed();
  at += mark.length;
  for (;;) {
    if (text.startsWith("--", at)) return form;
    while (text[at] === " " || text[at] === "\t") at++;
    if (!text.startsWith("\r\n", at)) throw malformed();
    at += 2;
    const headEnd = text.indexOf("\r\n\r\n", at - 2);
    const next = text.indexOf(`\r\n${mark}`, headEnd < 0 ? at : headEnd + 2);
    if (headEnd < 0 || next < 0) throw malformed();
    const head = native.utf8Decode(bytes.subarray(at, Math.max(at, headEnd)), false, true);
    const content = bytes.subarray(Math.min(headEnd + 4, next), next);
    let disposition, contentType = "text/plain";
    for (const line of head.split("\r\n")) {
      const colon = line.indexOf(":");
      const name = line.slice(0, colon).trim().toLowerCase();
      if (name === "content-disposition") disposition = line.slice(colon + 1).trim();
      else if (name === "content-type") contentType = line.slice(colon + 1).trim();
    }
    const name = disposition === undefined ? undefined : parameter(disposition, "name");
    if (name === undefined) throw malformed();
    const filename = parameter(disposition, "filename");
    if (filename !== undefined) form.append(unescapeName(name), new File([content], unescapeName(filename), { type: contentType }));
    else form.append(unescapeName(name), native.utf8Decode(content, false, true));
    at = next + 2 + mark.length;
  }
}
