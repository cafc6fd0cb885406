// SPDX-License-Identifier: Apache-2.0
// So many at once; more wait for their turn, in the order in which they came, and so many of them at most.
const WAITING_MAX = 1000;

export class Slots {
  #max;
  #taken = 0;
  #waiting = [];
  #waitingMax;

  constructor(max, waitingMax = WAITING_MAX) {
    this.#max = max;
    this.#waitingMax = waitingMax;
  }

  get isIdle() {
    return this.#taken === 0 && this.#waiting.length === 0;
  }

  // Resolves to whether there was one within that time; then it is to be released.
  take(waitMs) {
    if (this.#taken < this.#max) {
      this.#taken++;
      return Promise.resolve(true);
    }
    if (this.#waiting.length >= this.#waitingMax) return Promise.resolve(false);
    return new Promise((done) => {
      const turn = () => {
        clearTimeout(timer);
        done(true);
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(turn), 1);
        done(false);
      }, waitMs);
      this.#waiting.push(turn);
    });
  }

  release() {
    const next = this.#waiting.shift();
    if (next === undefined) this.#taken--;
    else next(); // it has the place
  }
}
