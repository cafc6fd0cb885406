// SPDX-License-Identifier: Apache-2.0
//// index.js
addEventListener("fetch", (event) => {
  const { pathname } = new URL(event.request.url);
  if (pathname === "/silent") return;
  if (pathname === "/pass") event.passThroughOnException();
  if (pathname === "/late") {
    event.waitUntil(scheduler.wait(1).then(() => { try { event.respondWith(new Response("x")); } catch (error) { console.log(error.message); } }));
    return;
  }
  if (pathname === "/twice") {
    event.respondWith(new Response("first"));
    try { event.respondWith(new Response("second")); } catch (error) { console.log(error.name); }
    return;
  }
  event.respondWith(handle(event, pathname));
});
addEventListener("scheduled", (event) => {
  event.waitUntil(scheduler.wait(1).then(() => console.log(`${event.cron} ${event.scheduledTime}`)));
});

async function handle(event, pathname) {
  if (pathname === "/pass") throw new Error("passed");
  event.waitUntil(scheduler.wait(1));
  return new Response(`${NAME} ${typeof ASSETS.fetch} ${event.type} ${event instanceof FetchEvent} ${this === globalThis}`);
}
//// manifest
{"syntax": "service-worker", "env": {"vars": {"NAME": "value"}, "assets": "ASSETS"}, "compatibility_flags": []}
//// driver
equal(await gateway.boot(bundle), "", "boot");
const get = (path) => gateway.request(`http://host${path}`);
const logs = (record) => gateway.logs.filter((line) => line.id === record.id).map((line) => line.text);
test("a fetch event is answered", async () => {
  equal(hooks.handlers(), 3);
  const answer = await get("/");
  equal(answer.body, "value function fetch true true");
  await answer.finished();
});
test("respondWith once, and in time", async () => {
  const twice = await get("/twice");
  equal([twice.body, logs(twice)], ["first", ["InvalidStateError"]]);
  const late = await get("/late");
  match(late.error.message, /respondWith/);
  await late.finished();
  match(logs(late)[0], /^Too late to call FetchEvent\.respondWith/);
  match((await get("/silent")).error.message, /respondWith/);
  equal((await get("/pass")).error.flags, 32);
});
test("a scheduled event", async () => {
  const event = gateway.event("0 0 * * *", 5);
  await event.finished();
  equal([event.status, logs(event)], [200, ["0 0 * * * 5"]]);
});
