// SPDX-License-Identifier: Apache-2.0
//// driver
const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
test("self, its name and what it is an instance of", () => {
  equal([self === globalThis, String(self), self instanceof ServiceWorkerGlobalScope, ({}) instanceof WorkerGlobalScope], [true, "[object ServiceWorkerGlobalScope]", true, false]);
  equal([navigator.userAgent, typeof origin, typeof Cloudflare.compatibilityFlags], ["Cloudflare-Workers", "string", "object"]);
});
test("nothing of the platform's inside is there", () => {
  for (const name of ["weirRuntime", "XMLHttpRequest", "document", "localStorage", "Worker", "importScripts"]) equal(typeof globalThis[name], "undefined", name);
});
test("interfaces are no enumerable properties", () => {
  const keys = Object.keys(globalThis);
  for (const name of ["Request", "Response", "Headers", "URL"]) ok(!keys.includes(name), name);
});
test("error events", async () => {
  const seen = [];
  const listener = (event) => { seen.push(event.error.message); event.preventDefault(); };
  addEventListener("error", listener);
  const before = gateway.logs.length;
  reportError(new Error("told"));
  setTimeout(() => { throw new Error("thrown"); }, 1);
  await rest(5);
  removeEventListener("error", listener);
  equal([seen, gateway.logs.length], [["told", "thrown"], before]);
  reportError(new Error("logged"));
  match(gateway.logs.at(-1).text, /^Uncaught Error: logged/);
});
test("unhandled rejections", async () => {
  const seen = [];
  const listener = (event) => { seen.push(event.reason.message, event.promise instanceof Promise); event.preventDefault(); };
  addEventListener("unhandledrejection", listener);
  setTimeout(() => { Promise.reject(new Error("lost")); Promise.reject(new Error("found")).catch(() => {}); }, 0);
  await rest(5);
  removeEventListener("unhandledrejection", listener);
  equal(seen, ["lost", true]);
  setTimeout(() => { Promise.reject(new Error("said")); }, 0);
  await rest(5);
  match(gateway.logs.at(-1).text, /^Uncaught \(in promise\) Error: said/);
});
test("resources are disposed of in reverse order, errors suppressed", async () => {
  const order = [];
  const stack = new DisposableStack();
  stack.use({ [Symbol.dispose]() { order.push("used"); throw new Error("a"); } });
  stack.adopt(1, (value) => { order.push(value); throw new Error("b"); });
  stack.defer(() => order.push("deferred"));
  try {
    stack.dispose();
  } catch (error) {
    equal([error instanceof SuppressedError, error.error.message, error.suppressed.message], [true, "a", "b"]);
  }
  equal([order, stack.disposed], [["deferred", 1, "used"], true]);
  throws(() => stack.defer(() => {}), /^ReferenceError/);
  const later = new AsyncDisposableStack();
  later.use({ async [Symbol.asyncDispose]() { await null; order.push("async"); } });
  await later.disposeAsync();
  equal(order.at(-1), "async");
});
test("WebAssembly settles", async () => {
  native.setEvalEnabled(true);
  equal(WebAssembly.validate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])), true);
  await rejects(WebAssembly.instantiate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])), /^CompileError/);
});
test("the engine has no shared memory, packages that look for it load", () => {
  equal(typeof Object.getOwnPropertyDescriptor(SharedArrayBuffer.prototype, "byteLength").get, "function");
  throws(() => new SharedArrayBuffer(1), /^TypeError/);
});
test("each process draws random numbers of its own", () => {
  const draw = (seed) => { hooks.afterFork(seed); return [Math.random(), Math.random()].join(); };
  ok(draw(1) !== draw(1));
  for (let i = 0; i < 1000; i++) { const value = Math.random(); ok(value >= 0 && value < 1); }
});
