// SPDX-License-Identifier: Apache-2.0
// The library with nothing behind it: what would reach beyond the engine is replaced, and what a worker asks of the world is
// answered here.
import { Postgres } from "./postgres.js";

const CREDIT = 256 * 1024, // of each stream, always
  DONE_TOO = 16, // a flag of respond()
  POOL = 2; // a target of fetchStart()

export class Stage {
  finished = 0; // requests
  #next = 1;
  #waiting = []; // functions that answer what was asked
  #databases = new Map(); // id of a connection => Postgres

  constructor(native, runtime) {
    this.native = native;
    Object.assign(native, {
      respond: (slot, id, status, headers, body, flags) => {
        if (flags & DONE_TOO) this.finished++;
        return CREDIT;
      },
      respondBody: () => CREDIT,
      respondError() {},
      done: () => this.finished++,
      requestCredit() {},
      log() {},
      fetchStart: (target, id, method) => {
        if (target === POOL) this.#databases.set(id, new Postgres());
        this.#waiting.push(() => (method === "CONNECT" ? this.#connected(target, id) : this.#fetched(target, id)));
        return true;
      },
      fetchBody: (target, id, bytes) => {
        if (bytes !== null && this.#databases.has(id)) this.#told(target, id, bytes);
        return CREDIT;
      },
      fetchAbort() {},
      fetchCredit() {},
      socketStartTls() {},
      setTimer() {},
      turnIsOf() {},
      setEvalEnabled() {},
      subrequestsMax: () => 100,
    });
    this.hooks = runtime.start(native);
  }

  bytes(text) {
    return this.native.utf8Encode(text);
  }

  #fetched(target, id) {
    this.hooks.fetchResponse(target, id, 200, "content-type: application/json\n", "", 0, this.bytes("{}"), true, 2);
  }

  #connected(target, id) {
    this.hooks.fetchResponse(target, id, 200, "", "", 0, null, false, -1);
    if (target !== POOL) this.hooks.fetchBody(target, id, this.bytes("answer"), true);
  }

  #told(target, id, data) {
    const answer = this.#databases.get(id).answer(typeof data === "string" ? this.bytes(data) : data);
    if (answer.length > 0) this.#waiting.push(() => this.hooks.fetchBody(target, id, new Uint8Array(answer), false));
  }

  request(method, path, body) {
    const id = this.#next++, bytes = body === undefined ? null : this.bytes(body);
    const headers = "host: rehearsal.invalid\naccept: */*\ncontent-type: application/json\n";
    this.hooks.request(id, id, method, `https://rehearsal.invalid${path}`, headers, bytes === null ? -2 : bytes.length, bytes, true, 0, false);
  }

  // Promises have so many turns, and what was asked is answered.
  async settle(turns) {
    for (let i = 0; i < turns; i++) {
      await null;
      while (this.#waiting.length > 0) this.#waiting.shift()();
    }
  }
}
