// SPDX-License-Identifier: Apache-2.0
// Stands in for the gateway and the broker inside `weir __shell`: boots a bundle through the hooks that
// C calls, and takes what the library hands to C. What it gives to the library has C's form.

globalThis.gateway = (() => {
  const requests = new Map(); // id → what the library did with it
  const fetches = new Map(); // target:id → what the worker asked for
  const logs = [];
  const decoder = { decode: (bytes) => native.utf8Decode(bytes, false, false) };
  let nextId = 1, onFetch;

  const copy = (body) => (typeof body === "string" ? native.utf8Encode(body) : new Uint8Array(body).slice());
  const join = (chunks) => {
    const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let at = 0;
    for (const chunk of chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return whole;
  };

  function take(record, body, fin) {
    if (body !== null && body !== undefined) {
      const bytes = copy(body);
      record.chunks.push(bytes);
      record.credit -= bytes.length;
    }
    if (fin) {
      record.fin = true;
      record.body = decoder.decode(join(record.chunks));
    }
    record.changed();
    return record.credit;
  }

  native.respond = (slot, id, status, headers, body, flags, declared) => {
    const record = requests.get(id);
    if (record === undefined || record.status !== undefined) return -1;
    Object.assign(record, { status, headers, flags, declared });
    if (flags & 16) record.done = true;
    return take(record, body, flags & 1);
  };
  native.respondBody = (slot, id, body, fin) => take(requests.get(id), body, fin);
  native.respondError = (slot, id, kind, message, detail, flags) => {
    const record = requests.get(id);
    record.error = { kind, message, detail, flags };
    record.changed();
  };
  native.done = (slot, id) => {
    const record = requests.get(id);
    record.done = true;
    record.changed();
  };
  native.requestCredit = (slot, id, bytes) => {
    requests.get(id).consumed += bytes;
  };
  native.log = (id, level, text, where) => {
    logs.push({ id, level, text, where });
  };
  native.fetchStart = (target, id, method, url, headers, body, flags, declared) => {
    const record = new Exchange(target, id);
    Object.assign(record, { method, url, headers, flags, declared });
    fetches.set(`${target}:${id}`, record);
    take(record, body, flags & 1);
    // As from the broker: in a turn of its own.
    if (onFetch !== undefined) setTimeout(() => onFetch(record), 0);
    return true;
  };
  native.fetchBody = (target, id, body, fin) => take(fetches.get(`${target}:${id}`), body, fin);
  native.fetchAbort = (target, id) => {
    const record = fetches.get(`${target}:${id}`);
    record.aborted = true;
    record.changed();
  };
  native.fetchCredit = (target, id, bytes) => {
    fetches.get(`${target}:${id}`).consumed += bytes;
  };

  class Record {
    chunks = [];
    credit = 256 * 1024;
    consumed = 0;
    done = false;
    fin = false;
    waiting = [];

    changed() {
      this.waiting = this.waiting.filter(({ condition, resolve }) => {
        if (!condition(this)) return true;
        resolve(this);
        return false;
      });
    }

    // Resolves when condition(record) holds.
    until(condition, what) {
      return new Promise((resolve, reject) => {
        if (condition(this)) return resolve(this);
        this.waiting.push({ condition, resolve });
        const timer = setTimeout(() => reject(new Error(`waited in vain for ${what ?? condition} of ${JSON.stringify(this)}`)), 4000);
        this.waiting.at(-1).resolve = (value) => {
          clearTimeout(timer);
          resolve(value);
        };
      });
    }

    text() {
      return decoder.decode(join(this.chunks));
    }
  }

  class InRequest extends Record {
    constructor(slot, id) {
      super();
      this.slot = slot;
      this.id = id;
    }

    // More of the request's body.
    send(chunk, fin = false) {
      hooks.requestBody(this.slot, this.id, chunk === null ? null : copy(chunk), fin);
    }

    abort() {
      hooks.requestAbort(this.slot, this.id);
    }

    grant(bytes) {
      this.credit += bytes;
      hooks.responseCredit(this.slot, this.id, bytes);
    }

    answered() {
      return this.until((r) => r.fin || r.error !== undefined, "an answer");
    }

    finished() {
      return this.until((r) => r.done, "done");
    }
  }

  class Exchange extends Record {
    constructor(target, id) {
      super();
      this.target = target;
      this.id = id;
    }

    respond(status, headers = "", body = null, { fin = true, url = "", redirects = 0, declared = -1 } = {}) {
      hooks.fetchResponse(this.target, this.id, status, headers, url, redirects, body === null ? null : copy(body), fin, declared);
    }

    send(chunk, fin = false) {
      hooks.fetchBody(this.target, this.id, chunk === null ? null : copy(chunk), fin);
    }

    fail(kind, message) {
      hooks.fetchError(this.target, this.id, kind, message);
    }

    grant(bytes) {
      this.credit += bytes;
      hooks.fetchCredit(this.target, this.id, bytes);
    }
  }

  return {
    logs,
    fetches,
    // Each call is made in a turn of its own, as C makes them.
    onFetch(callback) {
      onFetch = callback;
    },

    // → the error's text, or "" when the worker is ready
    async boot(base64, changes = {}) {
      const file = Uint8Array.fromBase64(base64);
      const length = new DataView(file.buffer).getUint32(8, true);
      const manifest = JSON.parse(decoder.decode(file.subarray(16, 16 + length)));
      Object.assign(manifest, changes);
      hooks.boot(JSON.stringify(manifest), file.subarray((16 + length + 7) & ~7));
      await new Promise((resolve) => gateway.turn(resolve));
      const state = hooks.bootState();
      hooks.afterFork(12345);
      return state === "ready" ? "" : `${state}: ${hooks.bootError()}`;
    },

    // A macrotask without the library's timers, which know phases and requests.
    turn(callback) {
      let left = 200;
      const step = () => (left-- > 0 ? Promise.resolve().then(step) : callback());
      step();
    },

    idle() {
      hooks.idle();
    },

    event(cron = "* * * * *", time = 1000) {
      const id = nextId++, record = new InRequest(id % 1024, id);
      requests.set(id, record);
      hooks.event(record.slot, id, 1, cron, time);
      return record;
    },

    // body: undefined none, a string or bytes at once, null: comes by send()
    open(url, { method = "GET", headers = {}, body, declared = -1, flags = 0, credit } = {}) {
      const id = nextId++, record = new InRequest(id % 1024, id);
      if (credit !== undefined) record.credit = credit;
      requests.set(id, record);
      let block = "";
      for (const [name, value] of Object.entries(headers)) block += `${name}: ${value}\n`;
      const bytes = typeof body === "string" ? native.utf8Encode(body) : body;
      if (body === undefined) hooks.request(record.slot, id, method, url, block, -2, null, true, flags);
      else if (body === null) hooks.request(record.slot, id, method, url, block, declared, null, false, flags);
      else hooks.request(record.slot, id, method, url, block, bytes.length, bytes.length ? bytes : null, true, flags);
      return record;
    },

    request(url, options) {
      return this.open(url, options).answered();
    },
  };
})();

globalThis.suite = (() => {
  const tests = [];
  let current = "", failures = 0;
  const show = (value) => JSON.stringify(value, (key, v) => (v === undefined ? "undefined" : typeof v === "bigint" ? `${v}n` : v));
  const fail = (text) => {
    failures++;
    print(`not ok ${current}: ${text}`);
  };
  const api = {
    test: (name, run) => tests.push({ name, run }),
    // To the case's module in node, as JSON; once.
    give: (value) => print(`given ${JSON.stringify(value)}`),
    equal(actual, expected, what = "") {
      if (show(actual) !== show(expected)) fail(`${what} is ${show(actual)}, not ${show(expected)}`);
    },
    ok(value, what) {
      if (!value) fail(what ?? "not true");
    },
    match(text, pattern, what = "") {
      if (!pattern.test(text)) fail(`${what} ${show(text)} does not match ${pattern}`);
    },
    throws(run, pattern) {
      try {
        run();
      } catch (error) {
        api.match(`${error.name}: ${error.message}`, pattern);
        return;
      }
      fail(`did not throw ${pattern}`);
    },
    async rejects(promise, pattern) {
      try {
        await promise;
      } catch (error) {
        api.match(`${error.name}: ${error.message}`, pattern);
        return;
      }
      fail(`was not rejected: ${pattern}`);
    },
    async run() {
      for (const { name, run } of tests) {
        current = name;
        const before = failures;
        try {
          await run();
        } catch (error) {
          fail(`${error?.name}: ${error?.message}\n${error?.stack}`);
        }
        if (failures === before) print(`ok ${name}`);
      }
      print(`${tests.length} tests, ${failures} failures`);
    },
  };
  return api;
})();
