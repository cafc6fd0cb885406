// SPDX-License-Identifier: Apache-2.0
// node:stream/consumers.

import { Buffer } from "./buffer.js";

async function collect(stream) {
  const parts = [];
  for await (const chunk of stream) {
    parts.push(typeof chunk === "string" ? Buffer.from(chunk) : new Uint8Array(chunk.buffer ?? chunk, chunk.byteOffset ?? 0, chunk.byteLength));
  }
  return Buffer.concat(parts);
}

export const buffer = collect;
export const arrayBuffer = async (stream) => {
  const { buffer: bytes, byteOffset, byteLength } = await collect(stream);
  return bytes.slice(byteOffset, byteOffset + byteLength);
};
export const blob = async (stream) => new Blob([await collect(stream)]);
export const text = async (stream) => new TextDecoder().decode(await collect(stream));
export const json = async (stream) => JSON.parse(await text(stream));

export default { arrayBuffer, blob, buffer, json, text };
