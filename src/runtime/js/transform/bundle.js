// SPDX-License-Identifier: Apache-2.0
// The bundle file: "WEIRB1\0\0", u32 LE manifest bytes, u32 LE 0, the manifest's JSON, padding to 8,
// then blobs that the manifest names by {offset, bytes} from the end of the padded manifest.

import { DeployError } from "./errors.js";

const MAGIC = [0x57, 0x45, 0x49, 0x52, 0x42, 0x31, 0, 0];
const HEADER_BYTES = 16;

const align = (bytes) => (bytes + 7) & ~7;

export function readBundle(bytes) {
  if (bytes.length < HEADER_BYTES || MAGIC.some((byte, i) => bytes[i] !== byte)) {
    throw new DeployError("not a bundle: wrong first bytes");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const manifestBytes = view.getUint32(8, true);
  const blobs = align(HEADER_BYTES + manifestBytes);
  if (blobs > bytes.length && HEADER_BYTES + manifestBytes !== bytes.length) {
    throw new DeployError("not a bundle: its manifest is longer than the file");
  }
  const text = utf8Decode(bytes.subarray(HEADER_BYTES, HEADER_BYTES + manifestBytes));
  return {
    manifest: JSON.parse(text),
    blob({ offset, bytes: length }) {
      if (!(offset >= 0 && length >= 0 && blobs + offset + length <= bytes.length)) {
        throw new DeployError("not a bundle: a module lies outside the file");
      }
      return bytes.subarray(blobs + offset, blobs + offset + length);
    },
  };
}

// Collects blobs; finish(manifest) gives the file.
export function bundleWriter() {
  const blobs = [];
  let end = 0;
  return {
    add(bytes) {
      const place = { offset: end, bytes: bytes.length };
      blobs.push([end, bytes]);
      end = align(end + bytes.length);
      return place;
    },
    finish(manifest) {
      const text = utf8Encode(JSON.stringify(manifest));
      const start = align(HEADER_BYTES + text.length);
      const file = new Uint8Array(start + end);
      file.set(MAGIC);
      new DataView(file.buffer).setUint32(8, text.length, true);
      file.set(text, HEADER_BYTES);
      for (const [offset, bytes] of blobs) {
        file.set(bytes, start + offset);
      }
      return file;
    },
  };
}

// The bare engine has no TextDecoder. Malformed sequences become U+FFFD; a leading BOM is dropped.
export function utf8Decode(bytes) {
  const parts = [];
  const units = new Uint16Array(4096);
  let count = 0;
  let i = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  const end = bytes.length;
  while (i < end) {
    if (count >= 4090) {
      flush();
    }
    const byte = bytes[i++];
    if (byte < 0x80) {
      units[count++] = byte;
      continue;
    }
    const more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
    let code = byte & (0x3f >> more);
    let got = 0;
    let low = 0x80;
    let high = 0xbf;
    if (byte === 0xe0) low = 0xa0;
    else if (byte === 0xed) high = 0x9f;
    else if (byte === 0xf0) low = 0x90;
    else if (byte === 0xf4) high = 0x8f;
    if (byte < 0xc2 || byte > 0xf4) {
      units[count++] = 0xfffd;
      continue;
    }
    while (got < more && i < end && bytes[i] >= low && bytes[i] <= high) {
      code = (code << 6) | (bytes[i++] & 0x3f);
      low = 0x80;
      high = 0xbf;
      got++;
    }
    if (got < more) {
      units[count++] = 0xfffd;
    } else if (code > 0xffff) {
      units[count++] = 0xd800 + ((code - 0x10000) >> 10);
      units[count++] = 0xdc00 + (code & 0x3ff);
    } else {
      units[count++] = code;
    }
  }
  flush();
  return parts.join("");

  function flush() {
    parts.push(String.fromCharCode.apply(null, units.subarray(0, count)));
    count = 0;
  }
}

export function utf8Encode(text) {
  const length = text.length;
  let bytes = new Uint8Array(length + 16);
  let end = 0;
  for (let i = 0; i < length; i++) {
    let code = text.charCodeAt(i);
    if (code < 0x80) {
      if (end === bytes.length) bytes = grow(bytes, length - i);
      bytes[end++] = code;
      continue;
    }
    if (end + 4 > bytes.length) bytes = grow(bytes, length - i);
    if (code < 0x800) {
      bytes[end++] = 0xc0 | (code >> 6);
    } else {
      if (code >= 0xd800 && code <= 0xdfff) {
        const next = code < 0xdc00 ? text.charCodeAt(i + 1) : 0;
        if (next >= 0xdc00 && next <= 0xdfff) {
          code = 0x10000 + ((code - 0xd800) << 10) + (next - 0xdc00);
          i++;
        } else {
          code = 0xfffd;
        }
      }
      if (code > 0xffff) {
        bytes[end++] = 0xf0 | (code >> 18);
        bytes[end++] = 0x80 | ((code >> 12) & 0x3f);
      } else {
        bytes[end++] = 0xe0 | (code >> 12);
      }
      bytes[end++] = 0x80 | ((code >> 6) & 0x3f);
    }
    bytes[end++] = 0x80 | (code & 0x3f);
  }
  return bytes.subarray(0, end);
}

function grow(bytes, remaining) {
  const larger = new Uint8Array(bytes.length + 3 * remaining + 16);
  larger.set(bytes);
  return larger;
}
