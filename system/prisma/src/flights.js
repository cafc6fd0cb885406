// SPDX-License-Identifier: Apache-2.0
// What is being fetched, by a name: who asks for it meanwhile waits for it, instead of fetching it as well. One that does not end in time is
// waited for no more, and somebody else may begin it anew.
export class Flights {
  #all = new Map(); // name => {fetched, untilMs}
  #ms;

  constructor(ms) {
    this.#ms = ms;
  }

  has(name) {
    return this.#find(name) !== undefined;
  }

  #find(name) {
    const flight = this.#all.get(name);
    if (flight === undefined || Date.now() < flight.untilMs) return flight;
    this.#forget(name, flight);
    return undefined;
  }

  #forget(name, flight) {
    if (this.#all.get(name) === flight) this.#all.delete(name);
  }

  // Resolves to what is fetched; fails with late(), when its time is over. undefined: it is not being fetched.
  join(name, late) {
    const flight = this.#find(name);
    if (flight === undefined) return undefined;
    let timer;
    const over = new Promise((_, fail) => {
      timer = setTimeout(() => {
        this.#forget(name, flight);
        fail(late());
      }, flight.untilMs - Date.now());
    });
    return Promise.race([flight.fetched, over]).finally(() => clearTimeout(timer));
  }

  begin(name, fetchIt) {
    const fetched = fetchIt().finally(() => this.#forget(name, flight));
    const flight = { fetched, untilMs: Date.now() + this.#ms };
    this.#all.set(name, flight);
    return fetched;
  }
}
