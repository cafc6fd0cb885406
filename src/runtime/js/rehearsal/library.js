// SPDX-License-Identifier: Apache-2.0
// A worker that does what workers do, for what the library compiles on the way.

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

const scenes = [
  ["GET", "/text"], ["GET", "/json?name=a%20b"], ["POST", "/echo", "body"], ["POST", "/data", "{}"], ["POST", "/pass", "body"], ["GET", "/bytes"],
  ["GET", "/stream"], ["GET", "/fetch"], ["POST", "/proxy", "body"], ["GET", "/socket"], ["GET", "/wait"],
];

const TURNS = 60; // of promises: each scene is over by then

// Resolves to what went wrong, or "".
export async function playLibrary(stage) {
  const { hooks } = stage, code = stage.bytes(`(${worker})`);
  const module = { name: "rehearsal.js", type: "cjs", offset: 0, bytes: code.length };
  hooks.boot(JSON.stringify({ modules: [module], main: module.name, env: { vars: { A: "a" } } }), code);
  await stage.settle(TURNS);
  hooks.afterFork(1);
  for (const scene of scenes) {
    stage.request(...scene);
    await stage.settle(TURNS);
  }
  return stage.finished === scenes.length ? "" : `${stage.finished} of ${scenes.length} requests were answered (${hooks.bootState()} ${hooks.bootError()})`;
}
