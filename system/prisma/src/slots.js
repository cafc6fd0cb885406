// SPDX-License-Identifier: Apache-2.0
// So much at once; more waits for its turn, in the order in which it came, and so many of them at most.
import { setTimeout as sleep } from "node:timers/promises";

const WAITING_MAX = 1000;

export class Slots {
  #max;
  #taken = 0;
  #waiting = []; // {weight, turn}
  #waitingMax;

  constructor(max, waitingMax = WAITING_MAX) {
    this.#max = max;
    this.#waitingMax = waitingMax;
  }

  get isIdle() {
    return this.#taken === 0 && this.#waiting.length === 0;
  }

  // Resolves to whether there was room within that time; then it is to be released. weight: more than fits takes all.
  take(waitMs, weight = 1) {
    if (this.#waiting.length >= this.#waitingMax) return Promise.resolve(false);
    return new Promise((done) => {
      const entry = { weight: Math.min(weight, this.#max), turn: () => done(true) };
      this.#waiting.push(entry);
      this.#next();
      if (!this.#waiting.includes(entry)) return;
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1);
        done(false);
        this.#next(); // it may have been the only one that is too large
      }, waitMs);
      entry.turn = () => {
        clearTimeout(timer);
        done(true);
      };
    });
  }

  #next() {
    while (this.#waiting.length > 0 && this.#taken + this.#waiting[0].weight <= this.#max) {
      const { weight, turn } = this.#waiting.shift();
      this.#taken += weight;
      turn();
    }
  }

  release(weight = 1) {
    this.#taken -= Math.min(weight, this.#max);
    this.#next();
  }
}

// The same for each of many names, which are forgotten when they have nothing.
export class SlotsByName {
  #all = new Map();
  #make;

  constructor(make) {
    this.#make = make;
  }

  // Resolves to what gives it back when it is called, or to undefined: there was no room in time.
  async take(name, waitMs, weight, ...rest) {
    let own = this.#all.get(name);
    if (own === undefined) this.#all.set(name, (own = this.#make(name, ...rest)));
    const taken = await own.take(waitMs, weight);
    const forget = () => own.isIdle && this.#all.get(name) === own && this.#all.delete(name);
    if (taken)
      return () => {
        own.release(weight);
        forget();
      };
    forget();
    return undefined;
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
