// SPDX-License-Identifier: Apache-2.0
// Requests in flight together, in the real program: each finds its own AsyncLocalStorage store after
// everything that can wait, and in every callback. Also node: modules and globals in a worker.
import assert from "node:assert/strict";
import { test } from "node:test";

import { withWorker, worker } from "../e2e/lib.mjs";

const source = `
import { AsyncLocalStorage } from "node:async_hooks";
import { createHash } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";

const als = new AsyncLocalStorage();
const wrong = [];
let inFlight = 0, most = 0;

function check(where, id) {
  if (als.getStore() !== id) wrong.push(\`\${where}: \${als.getStore()} instead of \${id}\`);
}

async function handle(request, id) {
  const wait = Number(request.headers.get("x-wait"));
  most = Math.max(most, ++inFlight);
  check("entry", id);
  await new Promise((resolve) => setTimeout(resolve, wait));
  check("timer", id);
  const body = await request.text();
  check("body", id);
  await sleep(wait);
  check("sleep", id);
  await crypto.subtle.digest("SHA-1", new Uint8Array(3));
  check("subtle", id);
  queueMicrotask(() => check("microtask", id));
  const target = new EventTarget();
  target.addEventListener("x", () => check("listener", id));
  setTimeout(() => target.dispatchEvent(new Event("x")), 5);
  const emitter = new EventEmitter();
  setTimeout(() => emitter.emit("y", 1), wait);
  await once(emitter, "y");
  check("once", id);
  const joined = await text(Readable.from(["a", "b"]));
  check("node stream", id);
  const web = new ReadableStream({
    async pull(controller) {
      await sleep(1);
      check("pull", id);
      controller.enqueue("x");
      controller.close();
    },
  });
  for await (const chunk of web) check("web stream", id);
  const { readable, writable } = new TransformStream({
    transform(chunk, controller) {
      check("transform", id);
      controller.enqueue(chunk);
    },
  });
  const writer = writable.getWriter();
  writer.write("z");
  writer.close();
  for await (const chunk of readable) check("transformed", id);
  await scheduler.wait(wait);
  const signal = AbortSignal.timeout(3);
  await new Promise((resolve) =>
    signal.addEventListener("abort", () => {
      check("abort", id);
      resolve();
    }),
  );
  check("after abort", id);
  inFlight--;
  const answer = () => ({
    id,
    body,
    joined,
    wrong,
    most,
    hash: createHash("md5").update("x").digest("hex"),
    greeting: process.env.GREETING,
    buffer: Buffer.from("hi").toString("base64"),
    inspected: inspect({ a: new Map([[1, { b: 2 }]]) }),
  });
  return new Response(
    new ReadableStream({
      async pull(controller) {
        await sleep(wait);
        check("response", id);
        controller.enqueue(new TextEncoder().encode(JSON.stringify(answer())));
        controller.close();
      },
    }),
  );
}

export default {
  fetch(request) {
    const id = new URL(request.url).pathname;
    return als.run(id, handle, request, id);
  },
};
`;

test("interleaved requests keep their stores", async () => {
  const settings = 'compatibility_flags = ["nodejs_compat"]\n[vars]\nGREETING = "hello"\n';
  await withWorker(worker(source, settings), async ({ fetch }) => {
    const ids = Array.from({ length: 40 }, (_, i) => i);
    const answers = await Promise.all(
      ids.map(async (i) => {
        const headers = { "x-wait": String((i * 7) % 13) };
        const response = await fetch(`/r${i}`, { method: "POST", body: `b${i}`, headers });
        return response.json();
      }),
    );
    answers.forEach(({ wrong, most, ...answer }, i) => {
      assert.deepEqual(wrong, []);
      assert.deepEqual(answer, {
        id: `/r${i}`,
        body: `b${i}`,
        joined: "ab",
        hash: "9dd4e461268c8034f5c8564e155c67a6",
        greeting: "hello",
        buffer: "aGk=",
        inspected: "{ a: Map(1) { 1 => { b: 2 } } }",
      });
    });
    assert.ok(Math.max(...answers.map(({ most }) => most)) > 4, "the requests did not overlap");
  });
});
