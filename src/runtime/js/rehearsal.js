// SPDX-License-Identifier: Apache-2.0
// A script of its own, not part of the library: it runs a worker through a copy of the library in a context that is
// thrown away (rehearsal.c). What the engine compiles for it, functions of the library that a request needs, is there for the
// library itself; the context's objects are not. `native` is C's; what would reach beyond the engine is replaced.
(function () {
  const { native } = globalThis;
  const CREDIT = 256 * 1024;
  const asked = [];
  let finished = 0, next = 1;
  Object.assign(native, {
    respond(slot, id, status, headers, body, flags) {
      if (flags & 16) finished++;
      return CREDIT;
    },
    respondBody: () => CREDIT,
    respondError() {},
    done() {
      finished++;
    },
    requestCredit() {},
    log() {},
    fetchStart(target, id, method, url) {
      asked.push({ target, id, isSocket: !url.startsWith("https:") });
      return true;
    },
    fetchBody: () => CREDIT,
    fetchAbort() {},
    fetchCredit() {},
    socketStartTls() {},
    setTimer() {},
    turnIsOf() {},
    setEvalEnabled() {},
    subrequestsMax: () => 100,
  });
  const hooks = weirRuntime.start(native);

  function worker(exports, require, module) {
    const { connect } = require("cloudflare:sockets");
    const routes = {
      "/text": () => new Response("text"),
      "/json": ({ headers }, url, env) => Response.json({ accept: headers.get("accept"), name: url.searchParams.get("name"), ...env }),
      "/echo": async (request) => new Response(await request.text(), { status: 201, headers: { "content-type": "text/plain", "set-cookie": "a=b" } }),
      "/data": async (request) => Response.json(await request.json()),
      "/pass": async (request) => new Response(request.body, request),
      "/bytes": () => new Response(new TextEncoder().encode("bytes")),
      "/stream": () =>
        new Response(
          new ReadableStream({
            start(controller) {
              controller.enqueue(new TextEncoder().encode("part"));
              controller.close();
            },
          }),
        ),
      "/fetch": async () => {
        const answer = await fetch("https://rehearsal.invalid/", { method: "POST", headers: { a: "b" }, body: "{}" });
        return Response.json(await answer.json());
      },
      "/proxy": (request) => fetch(new Request("https://rehearsal.invalid/", request)),
      "/socket": async () => {
        const socket = connect("rehearsal.invalid:5432");
        await socket.opened;
        const writer = socket.writable.getWriter();
        await writer.write(new TextEncoder().encode("question"));
        writer.releaseLock();
        const reader = socket.readable.getReader();
        const { value } = await reader.read();
        reader.releaseLock();
        await socket.close();
        return new Response(new TextDecoder().decode(value));
      },
      "/wait": (request, url, env, ctx) => {
        ctx.waitUntil(Promise.resolve());
        return new Response(null, { status: 204 });
      },
    };
    module.exports = {
      async fetch(request, env, ctx) {
        const url = new URL(request.url);
        return routes[url.pathname](request, url, env, ctx);
      },
    };
  }

  const code = native.utf8Encode(`(${worker})`);
  const module = { name: "rehearsal.js", type: "cjs", offset: 0, bytes: code.length };
  const text = (value) => native.utf8Encode(value);
  function request(method, path, body) {
    const id = next++, bytes = body === undefined ? null : text(body);
    const headers = "host: rehearsal.invalid\naccept: */*\ncontent-type: application/json\n";
    hooks.request(id, id, method, `https://rehearsal.invalid${path}`, headers, bytes === null ? -2 : bytes.length, bytes, true, 0, false);
  }
  function answer({ target, id, isSocket }) {
    if (!isSocket) return hooks.fetchResponse(target, id, 200, "content-type: application/json\n", "", 0, text("{}"), true, 2);
    hooks.fetchResponse(target, id, 200, "", "", 0, null, false, -1);
    hooks.fetchBody(target, id, text("answer"), true);
  }
  async function settle() {
    for (let i = 0; i < 60; i++) {
      await null;
      while (asked.length > 0) answer(asked.shift());
    }
  }
  const scenes = [
    ["GET", "/text"], ["GET", "/json?name=a%20b"], ["POST", "/echo", "body"], ["POST", "/data", "{}"], ["POST", "/pass", "body"], ["GET", "/bytes"],
    ["GET", "/stream"], ["GET", "/fetch"], ["POST", "/proxy", "body"], ["GET", "/socket"], ["GET", "/wait"],
  ];
  hooks.boot(JSON.stringify({ modules: [module], main: module.name, env: { vars: { A: "a" } } }), code);
  (async () => {
    await settle();
    hooks.afterFork(1);
    for (const scene of scenes) {
      request(...scene);
      await settle();
    }
    globalThis.rehearsed = finished === scenes.length ? "" : `${finished} of ${scenes.length} requests were answered (${hooks.bootState()} ${hooks.bootError()})`;
  })().catch((error) => (globalThis.rehearsed = `${error}`));
})();
