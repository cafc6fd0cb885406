// SPDX-License-Identifier: Apache-2.0
//// index.js
const kind = globalThis.startFailure;
if (kind === "throw") throw new TypeError("at start");
if (kind === "reject") await Promise.reject(new Error("later"));
if (kind === "never") await new Promise(() => {});
if (kind === "fetch") await fetch("http://example.com/");
export default kind === "none" ? undefined : { fetch: () => new Response("fine") };
//// driver
const boot = (kind) => {
  globalThis.startFailure = kind;
  return gateway.boot(bundle);
};
test("what is thrown at start is told with its place", async () => {
  match(await boot("throw"), /^failed: Uncaught TypeError: at start\n    at .*index\.js:2/);
  match(await boot("reject"), /^failed: Uncaught Error: later/);
  match(await boot("fetch"), /^failed: Uncaught Error: Disallowed operation called within global scope/);
});
test("an await that nothing ends stays pending", async () => {
  match(await boot("never"), /^pending/);
});
test("a worker without a handler answers with an error", async () => {
  equal(await boot("none"), "");
  match((await gateway.request("http://host/")).error.message, /Handler does not export a fetch\(\) function/);
});
test("one that starts serves", async () => {
  equal(await boot("ok"), "");
  equal((await gateway.request("http://host/")).body, "fine");
});
