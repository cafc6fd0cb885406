// SPDX-License-Identifier: Apache-2.0
// A map that forgets what was used longest ago: so many at most, and of keys of so many characters together.
export class LeastRecent {
  #map = new Map();
  #length = 0; // of the keys

  constructor(max, { lengthMax = Infinity, onForget } = {}) {
    this.max = max;
    this.lengthMax = lengthMax;
    this.onForget = onForget;
  }

  // The one that was used last comes last.
  entries() {
    return [...this.#map];
  }

  get(key) {
    const value = this.#map.get(key);
    if (value !== undefined) {
      this.#map.delete(key);
      this.#map.set(key, value);
    }
    return value;
  }

  set(key, value) {
    if (!this.#map.delete(key)) this.#length += key.length;
    this.#map.set(key, value);
    while (this.#map.size > this.max || this.#length > this.lengthMax) {
      const [oldest, forgotten] = this.#map.entries().next().value;
      this.#map.delete(oldest);
      this.#length -= oldest.length;
      this.onForget?.(forgotten);
    }
  }
}
