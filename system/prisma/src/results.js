// SPDX-License-Identifier: Apache-2.0
// Results that clients asked to keep (cacheStrategy): by the schema, the query and its arguments.

const TTL = /(?:^|[,\s])max-age=(\d{1,9})/,
  SWR = /(?:^|[,\s])stale-while-revalidate=(\d{1,9})/;
const TAGS_MAX = 1000; // of a result, by all who have had it; one that has more is made invalid by any tag

// ttl and swr in seconds, tags; undefined: nothing is to be kept.
export function strategyOf(headers) {
  const control = headers.get("cache-control") ?? "";
  const seconds = (directive) => Number(directive.exec(control)?.[1] ?? 0);
  const ttl = seconds(TTL), swr = seconds(SWR);
  if (ttl === 0 && swr === 0) return undefined;
  const tags = (headers.get("accelerate-cache-tags") ?? "").split(",").map((tag) => tag.trim()).filter((tag) => tag !== "");
  return { ttl, swr, tags: [...new Set(tags)] };
}

export class Results {
  #entries = new Map(); // in the order of their last use
  #byTag = new Map(); // tag => keys
  #ofAnyTag = new Set(); // keys
  #bytes = 0;
  #known = 0; // invalidations, of all that gateways have counted
  #age = 0;

  constructor(bytesMax) {
    this.bytesMax = bytesMax;
  }

  // Another one after each invalidation.
  get age() {
    return this.#age;
  }

  // Of invalidations that other gateways' instances were asked for only the number is known, and not the tags.
  catchUp(count) {
    if (count > this.#known) this.invalidate("all", count);
  }

  get bytes() {
    return this.#bytes;
  }

  // {text, storedMs, status: "ttl" | "swr"}, or undefined. It has the tags of all who have had it, to be made invalid by any of them.
  find(key, { ttl, swr, tags = [] }) {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const age = (Date.now() - entry.storedMs) / 1000;
    if (age >= ttl + swr) return undefined;
    if (!this.#add(key, entry, tags)) {
      this.#drop(key);
      return undefined;
    }
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    this.#makeRoom();
    return { ...entry, status: age < ttl ? "ttl" : "swr" };
  }

  // age: when the result was asked for. What was made invalid meanwhile is not kept.
  store(key, text, tags, age) {
    if (age !== this.#age) return;
    const before = [...(this.#entries.get(key)?.tags ?? [])], any = this.#ofAnyTag.has(key);
    this.#drop(key);
    const entry = { text, storedMs: Date.now(), tags: new Set(), bytes: 2 * (key.length + text.length) + 200 };
    this.#entries.set(key, entry);
    this.#bytes += entry.bytes;
    if (any) this.#ofAnyTag.add(key);
    if (!this.#add(key, entry, [...tags, ...before])) return this.#drop(key);
    this.#makeRoom();
  }

  // Is there room for them, besides those that it has? Then it has them.
  #add(key, entry, tags) {
    if (this.#ofAnyTag.has(key)) return true;
    const added = new Set(tags.filter((tag) => !entry.tags.has(tag))), bytes = [...added].reduce((sum, tag) => sum + 2 * tag.length + 100, 0);
    if (entry.tags.size + added.size > TAGS_MAX) {
      this.#untag(key, entry);
      this.#ofAnyTag.add(key);
      return true;
    }
    if (entry.bytes + bytes > this.bytesMax / 4) return false;
    entry.bytes += bytes;
    this.#bytes += bytes;
    for (const tag of added) {
      entry.tags.add(tag);
      if (!this.#byTag.has(tag)) this.#byTag.set(tag, new Set());
      this.#byTag.get(tag).add(key);
    }
    return true;
  }

  #makeRoom() {
    while (this.#bytes > this.bytesMax) this.#drop(this.#entries.keys().next().value);
  }

  #drop(key) {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#ofAnyTag.delete(key);
    this.#bytes -= entry.bytes;
    this.#untag(key, entry);
  }

  #untag(key, entry) {
    for (const tag of entry.tags) {
      const keys = this.#byTag.get(tag);
      keys?.delete(key);
      if (keys?.size === 0) this.#byTag.delete(tag);
    }
    entry.tags.clear();
  }

  // tags: a list, or "all". count: of all invalidations, with this one.
  invalidate(tags, count) {
    this.#known = Math.max(this.#known, count);
    this.#age++;
    const keys = tags === "all" ? [...this.#entries.keys()] : [...this.#ofAnyTag, ...tags.flatMap((tag) => [...(this.#byTag.get(tag) ?? [])])];
    for (const key of keys) this.#drop(key);
  }
}
