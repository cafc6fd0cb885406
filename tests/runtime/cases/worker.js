// SPDX-License-Identifier: Apache-2.0
//// index.js
import { waitUntil, env as importedEnv } from "cloudflare:workers";

const encode = (text) => new TextEncoder().encode(text);
let released;
export const gate = new Promise((resolve) => { released = resolve; });

const routes = {
  "/text": () => new Response("hello"),
  "/promise": async () => Response.json({ ok: true }),
  "/head": (request) => new Response(`${request.method} ${request.url} ${request.headers.get("x-a")} ${request.redirect} ${request.body}`),
  "/headers": (request) => Response.json([...request.headers]),
  "/guard": (request) => { request.headers.set("a", "b"); return new Response(); },
  "/copy": (request) => { const copy = new Request(request); copy.headers.set("a", "b"); return new Response(copy.headers.get("a")); },
  "/cookies": () => { const headers = new Headers(); headers.append("set-cookie", "a=1"); headers.append("set-cookie", "b=2"); return new Response(null, { status: 204, headers }); },
  "/env": (request, env) => new Response(`${env.NAME} ${env.OBJECT.a} ${env === importedEnv} ${typeof env.ASSETS.fetch}`),
  "/cf": (request) => Response.json([request.cf.httpProtocol, request.cf.tlsVersion, request.cf === request.cf]),
  "/throw": () => { throw new RangeError("thrown"); },
  "/reject": () => Promise.reject(new Error("rejected")),
  "/string": () => "text",
  "/nothing": () => undefined,
  "/thrown-string": () => { throw "text"; },
  "/error-response": () => Response.error(),
  "/pass": (request, env, ctx) => { ctx.passThroughOnException(); throw new Error("passed"); },
  "/hang": () => new Promise(() => {}),
  "/used": async () => { const response = new Response("x"); await response.text(); return response; },
  "/shared": () => shared,
  "/wait": (request, env, ctx) => { ctx.waitUntil(gate); return new Response("first"); },
  "/release": () => { released(); return new Response(); },
  "/wait-reject": (request, env, ctx) => { ctx.waitUntil(Promise.reject(new Error("in the background"))); return new Response("ok"); },
  "/wait-import": () => { waitUntil(scheduler.wait(5)); return new Response("ok"); },
  "/wait-timer": (request, env, ctx) => { ctx.waitUntil(scheduler.wait(5).then(() => console.log("after"))); return new Response("ok"); },
  "/forgotten": () => { setTimeout(() => console.log("must not run"), 5); return new Response("ok"); },
  "/detached": (request, env, ctx) => { const { waitUntil } = ctx; waitUntil(null); },
  "/echo": async (request) => new Response(await request.arrayBuffer()),
  "/pipe": (request) => new Response(request.body),
  "/first-chunk": async (request) => { const reader = request.body.getReader(); const { value } = await reader.read(); return new Response(value); },
  "/ignore": () => new Response("unread"),
  "/stream": () => new Response(new ReadableStream({ async start(controller) { for (let i = 0; i < 3; i++) { controller.enqueue(encode(`n${i}`)); await scheduler.wait(1); } controller.close(); } })),
  "/stream-sync": () => new Response(new ReadableStream({ start(controller) { controller.enqueue(encode("a")); controller.enqueue(encode("b")); controller.close(); } })),
  "/stream-fail": () => new Response(new ReadableStream({ start(controller) { controller.enqueue(encode("a")); }, pull(controller) { controller.error(new Error("broke")); } })),
  "/stream-endless": () => { let n = 0; return new Response(new ReadableStream({ pull(controller) { n++; console.log(`pull ${n}`); controller.enqueue(new Uint8Array(1000)); }, cancel(reason) { console.log(`cancelled ${reason?.name}`); } }, { highWaterMark: 0 })); },
  "/fixed": () => { const { readable, writable } = new FixedLengthStream(3); const writer = writable.getWriter(); writer.write(encode("abc")); writer.close(); return new Response(readable); },
  "/abort": (request) => new Promise((resolve) => { request.signal.addEventListener("abort", () => { console.log(`aborted ${request.signal.reason.name}`); resolve(new Response("late")); }); setTimeout(() => {}, 100000); }),
  "/log": () => { console.log("line", { a: 1 }); console.error(new Error("shown")); return new Response(); },
  "/unhandled": () => { Promise.reject(new Error("lost")); return new Response("ok"); },
  "/eval": () => { try { eval("1"); } catch (error) { return new Response(`${error.name}: ${error.message}`); } },
  "/function": () => { try { return new Response(new Function("return 1")()); } catch (error) { return new Response(error.name); } },
  "/wasm": async () => { try { await WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])); } catch (error) { return new Response(`${error.name}: ${error.message}`); } },
  "/global": () => Response.json(atStart),
  "/timer-error": (request, env, ctx) => { ctx.waitUntil(scheduler.wait(5)); setTimeout(() => { throw new TypeError("in a timer"); }, 1); return new Response("ok"); },
};
const shared = new Response(null, { status: 204 });

const attempt = (run) => { try { return run(); } catch (error) { return error.message; } };
const atStart = {
  date: Date.now(), newDate: +new Date(), other: new Date(5).getTime(), isDate: new Date() instanceof Date,
  performance: performance.now(), random: typeof attempt(() => Math.random()),
  timer: attempt(() => setTimeout(() => {}, 1)), uuid: attempt(() => crypto.randomUUID()),
  eval: attempt(() => (0, eval)("1 + 1")),
  wasm: attempt(() => new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])) instanceof WebAssembly.Module),
};
fetch("http://example.com/").catch((error) => { atStart.fetch = error.message; });

export default {
  prefix: "of this",
  fetch(request, env, ctx) {
    if (new URL(request.url).pathname === "/this") return new Response(this.prefix);
    return routes[new URL(request.url).pathname](request, env, ctx);
  },
  async scheduled(controller, env, ctx) {
    if (controller.cron === "fail") throw new Error("cron failed");
    ctx.waitUntil(scheduler.wait(1).then(() => console.log(`cron ${controller.cron} ${controller.scheduledTime} ${controller.type}`)));
  },
};
//// manifest
{"env": {"vars": {"NAME": "value", "OBJECT": {"a": 1}}, "assets": "ASSETS"}, "compatibility_flags": []}
//// driver
equal(await gateway.boot(bundle), "", "boot");
const get = (path, options) => gateway.request(`http://host${path}`, options);
const logs = (record) => gateway.logs.filter((line) => line.id === record.id).map((line) => line.text);
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));
const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const DONE = 16, FIN = 1, PASS = 32;

test("a response goes out in one call, with FIN and DONE", async () => {
  const answer = await get("/text");
  equal([answer.status, answer.headers, answer.body, answer.flags], [200, "content-type: text/plain;charset=UTF-8\n", "hello", FIN | DONE]);
  const later = await get("/promise");
  equal([later.body, later.headers, later.flags], ['{"ok":true}', "content-type: application/json\n", FIN | DONE]);
});
test("what the handler sees of a request", async () => {
  equal((await get("/head", { headers: { "x-a": "b" } })).body, "GET http://host/head b manual null");
  equal((await get("/headers", { headers: { b: "2", a: "1" } })).body, '[["a","1"],["b","2"]]');
  equal((await get("/this")).body, "of this");
  equal((await get("/env")).body, "value 1 true function");
  equal((await get("/cf")).body, '["HTTP/1.1",null,true]');
  equal((await get("/cf", { flags: 64 })).body, '["HTTP/1.1","TLSv1.3",true]');
  match((await get("/guard")).error.message, /immutable/);
  equal((await get("/copy")).body, "b");
});
test("headers that repeat stay apart", async () => {
  const answer = await get("/cookies");
  equal([answer.status, answer.headers], [204, "set-cookie: a=1\nset-cookie: b=2\n"]);
});
test("errors have their page", async () => {
  const message = async (path) => (await get(path)).error;
  equal((await message("/throw")).kind, 1101);
  match((await message("/throw")).message, /^RangeError: thrown$/);
  match((await message("/throw")).detail, /at .*index\.js:\d+:\d+/);
  match((await message("/reject")).message, /^Error: rejected$/);
  const notResponse = "TypeError: Incorrect type for Promise: the Promise did not resolve to 'Response'.";
  equal([(await message("/string")).message, (await message("/nothing")).message], [notResponse, notResponse]);
  equal((await message("/thrown-string")).message, "text");
  match((await message("/error-response")).message, /^TypeError/);
  match((await message("/used")).message, /^TypeError: Body has already been used/);
  match((await message("/detached")).message, /^TypeError: Illegal invocation/);
  equal([(await message("/throw")).flags, (await message("/pass")).flags], [0, PASS]);
  const failed = await get("/throw");
  equal((await failed.finished()).done, true);
});
test("a response without a body can be given twice", async () => {
  equal([(await get("/shared")).status, (await get("/shared")).status], [204, 204]);
});
test("a promise that nothing can settle", async () => {
  const open = gateway.open("http://host/hang");
  await turn();
  equal(open.error, undefined);
  gateway.idle();
  match(open.error.message, /The script will never generate a response/);
  equal(open.done, true);
});
test("idle does not touch requests that wait for something", async () => {
  const timer = gateway.open("http://host/abort"), body = gateway.open("http://host/echo", { method: "POST", body: null });
  await turn();
  gateway.idle();
  equal([timer.error, body.error], [undefined, undefined]);
  timer.abort();
  body.send("x", true);
  equal((await body.answered()).body, "x");
});
test("waitUntil holds a request open", async () => {
  const open = await get("/wait");
  equal([open.body, open.flags, open.done], ["first", FIN, false]);
  await get("/release");
  equal((await open.finished()).done, true);
  const rejected = await get("/wait-reject");
  await rejected.finished();
  match(logs(rejected)[0], /Error: in the background/);
  const imported = await get("/wait-import");
  equal(imported.done, false);
  await imported.finished();
  const timer = await get("/wait-timer");
  await timer.finished();
  equal(logs(timer), ["after"]);
});
test("what nobody waits for ends with the answer", async () => {
  const open = await get("/forgotten");
  await rest(15);
  equal(logs(open), []);
});
test("request bodies", async () => {
  equal((await get("/echo", { method: "POST", body: "abc" })).body, "abc");
  equal((await get("/echo", { method: "POST", body: "" })).body, "");
  const open = gateway.open("http://host/echo", { method: "POST", body: null });
  await turn();
  open.send("one ");
  await turn();
  open.send("two", true);
  equal((await open.answered()).body, "one two");
  equal(open.consumed, 7);
  const piped = gateway.open("http://host/pipe", { method: "POST", body: null });
  await turn();
  open.credit;
  piped.send("a");
  await turn();
  equal(piped.text(), "a");
  piped.send(null, true);
  equal((await piped.answered()).body, "a");
  await piped.finished();
  equal((await get("/ignore", { method: "POST", body: null })).body, "unread");
  const first = gateway.open("http://host/first-chunk", { method: "POST", body: null });
  await turn();
  first.send("head");
  equal((await first.answered()).body, "head");
});
test("a client that goes away while it sends", async () => {
  const open = gateway.open("http://host/echo", { method: "POST", body: null });
  await turn();
  open.send("x");
  open.abort();
  equal((await open.finished()).status, undefined);
});
test("response streams", async () => {
  const open = await get("/stream");
  equal([open.body, open.declared, open.flags], ["n0n1n2", -1, 0]);
  await open.finished();
  equal((await get("/stream-sync")).body, "ab");
  const fixed = await get("/fixed");
  equal([fixed.body, fixed.declared], ["abc", 3]);
  const failed = await get("/stream-fail");
  match(failed.error.message, /broke/);
  await failed.finished();
  match(logs(failed)[0], /Error: broke/);
});
test("a stream is read as fast as the client takes it", async () => {
  const open = gateway.open("http://host/stream-endless", { credit: 2500 });
  await rest(5);
  equal(logs(open), ["pull 1", "pull 2", "pull 3"]);
  open.grant(1000);
  await rest(5);
  equal(logs(open).length, 4);
  open.abort();
  await open.finished();
  await rest(2);
  equal(logs(open).at(-1), "cancelled AbortError");
});
test("HEAD runs the handler and reads no stream", async () => {
  const open = await get("/stream-endless", { method: "HEAD" });
  equal([open.status, open.body], [200, ""]);
  await open.finished();
});
test("the client's abort reaches request.signal", async () => {
  const open = gateway.open("http://host/abort");
  await turn();
  open.abort();
  await open.finished();
  equal(logs(open), ["aborted AbortError"]);
});
test("console and unhandled rejections name their request", async () => {
  const open = await get("/log");
  equal(logs(open)[0], "line { a: 1 }");
  match(logs(open)[1], /^Error: shown\n    at /);
  const failed = await get("/timer-error");
  await failed.finished();
  match(logs(failed)[0], /^Uncaught TypeError: in a timer/);
});
test("code is made of text at start only", async () => {
  equal((await get("/eval")).body, "EvalError: Code generation from strings disallowed for this context");
  equal((await get("/function")).body, "EvalError");
  equal((await get("/wasm")).body, "CompileError: WebAssembly.compile(): Wasm code generation disallowed by embedder");
});
test("the global scope", async () => {
  const seen = JSON.parse((await get("/global")).body);
  const refused = /^Disallowed operation called within global scope\. Asynchronous I\/O/;
  equal([seen.date, seen.newDate, seen.other, seen.isDate, seen.performance, seen.random], [0, 0, 5, true, 0, "number"]);
  equal([seen.eval, seen.wasm], [2, true]);
  match(seen.timer, refused);
  match(seen.uuid, refused);
  match(seen.fetch, refused);
});
test("scheduled events", async () => {
  const event = gateway.event("*/5 * * * *", 123000);
  await event.finished();
  equal([event.status, logs(event)], [200, ["cron */5 * * * * 123000 scheduled"]]);
  const failed = gateway.event("fail");
  await failed.finished();
  match(failed.error.message, /cron failed/);
});
test("a request that C stopped is over, the others go on", async () => {
  const stopped = gateway.open("http://host/abort"), other = gateway.open("http://host/wait-timer");
  hooks.terminated(stopped.slot, stopped.id, 1102);
  equal([stopped.error.kind, stopped.done], [1102, true]);
  hooks.terminated(stopped.slot, stopped.id, 1102);
  await other.finished();
  equal((await get("/text")).body, "hello");
});
