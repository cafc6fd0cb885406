// SPDX-License-Identifier: Apache-2.0
//// index.js
import { WorkerEntrypoint } from "cloudflare:workers";
let made = 0;
export default class extends WorkerEntrypoint {
  number = ++made;
  fetch(request) {
    this.ctx.waitUntil(Promise.resolve());
    return new Response(`${this.number} ${this.env.NAME} ${request.method}`);
  }
  scheduled(controller) {
    console.log(`${controller.cron} ${this.env.NAME}`);
  }
}
//// manifest
{"env": {"vars": {"NAME": "value"}, "assets": null}}
//// driver
equal(await gateway.boot(bundle), "", "boot");
test("an object a request", async () => {
  equal((await gateway.request("http://host/")).body, "1 value GET");
  equal((await gateway.request("http://host/", { method: "PUT" })).body, "2 value PUT");
  equal(hooks.handlers(), 3);
  const event = gateway.event("c");
  await event.finished();
  equal(gateway.logs.map((line) => line.text), ["c value"]);
});
