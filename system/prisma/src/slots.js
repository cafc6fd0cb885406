// SPDX-License-Identifier: Apache-2.0
// So many at once; more wait for their turn, in the order in which they came, and so many of them at most.
import { setTimeout as sleep } from "node:timers/promises";

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

const AGAIN_MS = 20;

// Of all gateways' instances together, where there are several. tell(count): says how many this one has; resolves to how many there are in all.
// Who is about to take one counts it before he looks: of two that do so at once, both may find one too many, and ask again, but
// never are both right. Nobody is told when another instance gives one back, so who waits asks again, too.
export class SharedSlots extends Slots {
  #max;
  #tell;
  #taken = 0;
  #asked = Promise.resolve(); // one after the other

  constructor(max, waitingMax, tell) {
    super(max, waitingMax);
    this.#max = max;
    this.#tell = tell;
  }

  // What is said last is what counts: nobody else may speak for the key.
  get isIdle() {
    return false;
  }

  async take(waitMs) {
    const until = Date.now() + waitMs;
    if (!(await super.take(waitMs))) return false;
    while (!(await (this.#asked = this.#asked.then(() => this.#takeOne())))) {
      const leftMs = until - Date.now();
      if (leftMs <= 0) {
        super.release();
        return false;
      }
      await sleep(Math.min(leftMs, AGAIN_MS * (0.5 + Math.random())));
    }
    return true;
  }

  async #takeOne() {
    try {
      if ((await this.#tell(++this.#taken)) <= this.#max) return true;
    } catch (error) {
      console.warn(error);
    }
    this.#giveOne();
    return false;
  }

  #giveOne() {
    this.#taken--;
    this.#say();
  }

  // Until it is heard: what is not given back is nobody's.
  async #say() {
    try {
      await this.#tell(this.#taken);
    } catch {
      setTimeout(() => this.#say(), AGAIN_MS);
    }
  }

  release() {
    this.#giveOne();
    super.release();
  }
}
