// SPDX-License-Identifier: Apache-2.0
// Readable.fromWeb, Readable.toWeb and the same for Writable and Duplex.

export function install({ Duplex, Readable, Writable, finished }) {
  function readFrom(reader, stream) {
    return async function read() {
      try {
        const { done, value } = await reader.read();
        stream().push(done ? null : value);
      } catch (error) {
        stream().destroy(error);
      }
    };
  }

  function writeTo(writer) {
    return {
      write(chunk, encoding, callback) {
        writer.ready.then(() => writer.write(chunk)).then(() => callback(), callback);
      },
      final(callback) {
        writer.close().then(() => callback(), callback);
      },
    };
  }

  Readable.fromWeb = (web, options = {}) => {
    const reader = web.getReader();
    const readable = new Readable({
      ...options,
      read: readFrom(reader, () => readable),
      destroy(error, callback) {
        reader.cancel(error ?? undefined).then(() => callback(error), () => callback(error));
      },
    });
    return readable;
  };

  Readable.toWeb = (readable, options = {}) =>
    new ReadableStream(
      {
        start(controller) {
          readable.pause();
          readable.on("data", (chunk) => {
            const view = ArrayBuffer.isView(chunk) && !readable.readableObjectMode;
            controller.enqueue(view ? new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength) : chunk);
            if (controller.desiredSize <= 0) readable.pause();
          });
          readable.pause();
          finished(readable, { writable: false }, (error) => (error ? controller.error(error) : closeQuietly(controller)));
        },
        pull() {
          readable.resume();
        },
        cancel(reason) {
          readable.destroy(reason);
        },
      },
      options.strategy ?? new CountQueuingStrategy({ highWaterMark: 1 }),
    );

  Writable.fromWeb = (web, options = {}) => {
    const writer = web.getWriter();
    return new Writable({
      ...options,
      ...writeTo(writer),
      destroy(error, callback) {
        (error ? writer.abort(error) : writer.close()).then(() => callback(error), () => callback(error));
      },
    });
  };

  Writable.toWeb = (writable) =>
    new WritableStream({
      start(controller) {
        finished(writable, { readable: false }, (error) => error && controller.error(error));
      },
      write(chunk) {
        return new Promise((resolve, reject) => writable.write(chunk, (error) => (error ? reject(error) : resolve())));
      },
      close() {
        return new Promise((resolve) => writable.end(resolve));
      },
      abort(reason) {
        writable.destroy(reason);
      },
    });

  Duplex.fromWeb = ({ readable, writable }, options = {}) => {
    const reader = readable.getReader();
    const writer = writable.getWriter();
    const duplex = new Duplex({
      ...options,
      ...writeTo(writer),
      read: readFrom(reader, () => duplex),
      destroy(error, callback) {
        Promise.allSettled([reader.cancel(error), error ? writer.abort(error) : undefined]).then(() => callback(error));
      },
    });
    return duplex;
  };
  Duplex.toWeb = (duplex) => ({ readable: Readable.toWeb(duplex), writable: Writable.toWeb(duplex) });
}

// It may be closed or cancelled already.
function closeQuietly(controller) {
  try {
    controller.close();
  } catch {
    // nothing is lost
  }
}
