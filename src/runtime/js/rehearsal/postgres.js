// SPDX-License-Identifier: Apache-2.0
// A database that lets everybody in, and has one row of one number for every statement (protocol 3.0).

const code = (character) => character.charCodeAt(0);

function message(type, ...parts) {
  const body = parts.flatMap((part) => (typeof part === "string" ? [...part].map(code) : part)), length = body.length + 4;
  return [code(type), length >> 24, (length >> 16) & 255, (length >> 8) & 255, length & 255, ...body];
}

const ready = message("Z", "I"),
  welcome = [
    ...message("R", [0, 0, 0, 0]),
    ...message("S", "server_version\x0015.0\0"),
    ...message("S", "client_encoding\0UTF8\0"),
    ...message("K", [0, 0, 0, 1, 0, 0, 0, 1]),
    ...ready,
  ],
  INTEGER = [0, 0, 0, 23, 0, 4, 255, 255, 255, 255],
  description = message("T", [0, 1], "one\0", [0, 0, 0, 0, 0, 0], INTEGER, [0, 0]),
  row = message("D", [0, 1, 0, 0, 0, 1], "1"),
  complete = message("C", "SELECT 1\0"),
  parameters = message("t", [0, 0]),
  answers = {
    Q: [...description, ...row, ...complete, ...ready],
    P: message("1"),
    B: message("2"),
    C: message("3"),
    E: [...row, ...complete],
    S: ready,
  };

export class Postgres {
  #pending = []; // bytes of a message that is not whole
  #hasBegun = false;

  // What comes next, to what it answers: bytes.
  answer(bytes) {
    const pending = this.#pending, told = [];
    for (const byte of bytes) pending.push(byte);
    for (;;) {
      const at = this.#hasBegun ? 1 : 0; // the first message has no type
      if (pending.length < at + 4) return told;
      const length = at + ((pending[at] << 24) | (pending[at + 1] << 16) | (pending[at + 2] << 8) | pending[at + 3]);
      if (pending.length < length) return told;
      const [type, , , , , what] = pending.splice(0, Math.max(length, at + 4));
      told.push(...(this.#hasBegun ? this.#answerTo(String.fromCharCode(type), what) : welcome));
      this.#hasBegun = true;
    }
  }

  #answerTo(type, what) {
    if (type !== "D") return answers[type] ?? [];
    return what === code("S") ? [...parameters, ...description] : description;
  }
}
