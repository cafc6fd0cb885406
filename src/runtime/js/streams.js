// SPDX-License-Identifier: Apache-2.0
// https://streams.spec.whatwg.org/ — what the other files may use of src/runtime/js/streams.

export { ByteLengthQueuingStrategy, CountQueuingStrategy } from "./streams/common.js";
export { NativeSource, joinChunks } from "./streams/native.js";
export {
  ReadableByteStreamController,
  ReadableStreamBYOBRequest,
  ReadableStreamDefaultController,
} from "./streams/readable.js";
export {
  ReadableStream,
  ReadableStreamBYOBReader,
  ReadableStreamDefaultReader,
  cancelStream,
  collectBytes,
  createDefaultReadable,
  isDisturbed,
  isErrored,
  isLocked,
  isReadableStream,
  knownLength,
  pumpTo,
  streamFromBytes,
  streamFromSource,
  teeForClone,
} from "./streams/readable-stream.js";
export {
  FixedLengthStream,
  IdentityTransformStream,
  TransformStream,
  TransformStreamDefaultController,
  createTransform,
} from "./streams/transform.js";
export {
  WritableStream,
  WritableStreamDefaultController,
  WritableStreamDefaultWriter,
  createWritable,
  isWritableStream,
} from "./streams/writable.js";
