// SPDX-License-Identifier: Apache-2.0
// Short texts in ASCII between strings and bytes, as drivers and WebAssembly modules exchange them by the thousand: a call
// into C takes half a microsecond whatever their length. What is longer, or not ASCII, goes to C.

import { MathImul, StringCharCodeAt, StringFromCharCode, Uint8Array } from "./primordials.js";
import { native } from "./native.js";

const DECODED_MAX = 24, ENCODED_MAX = 256, RECENT = 512;

// The last text of each hash: names of columns, tags and values come again and again, and a string that named a property
// once is found faster the next time.
const recent = [];
for (let i = 0; i < RECENT; i++) recent[i] = "";

// bytes[start..end) as a string, or undefined.
export function decodeShort(bytes, start, end) {
  const length = end - start;
  if (length > DECODED_MAX) return undefined;
  let hash = length, all = 0;
  for (let i = start; i < end; i++) {
    all |= bytes[i];
    hash = (MathImul(hash, 31) + bytes[i]) | 0;
  }
  if (all >= 0x80) return undefined;
  const place = (hash ^ (hash >>> 9)) & (RECENT - 1), known = recent[place];
  if (known.length === length) {
    let i = 0;
    while (i < length && StringCharCodeAt.call(known, i) === bytes[start + i]) i++;
    if (i === length) return known;
  }
  let text = "";
  for (let i = start; i < end; i++) text += StringFromCharCode(bytes[i]);
  return (recent[place] = text);
}

// May it be written by encodeShort? (As many bytes as it has characters.)
export function isShort(text) {
  const { length } = text;
  if (length > ENCODED_MAX) return false;
  let all = 0;
  for (let i = 0; i < length; i++) all |= StringCharCodeAt.call(text, i);
  return all < 0x80;
}

// To bytes[at…), where there is room.
export function encodeShort(text, bytes, at) {
  const { length } = text;
  for (let i = 0; i < length; i++) bytes[at + i] = StringCharCodeAt.call(text, i);
}

// Any text, in a new Uint8Array.
export function encodeUtf8(text) {
  if (!isShort(text)) return native.utf8Encode(text);
  const bytes = new Uint8Array(text.length);
  encodeShort(text, bytes, 0);
  return bytes;
}
