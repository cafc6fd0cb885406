// SPDX-License-Identifier: Apache-2.0
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";

const app = new Hono();
app.get("/events", (c) => streamSSE(c, async (out) => {
  await out.writeSSE({ data: "plain" });
  await out.writeSSE({ event: "tick", id: "1", retry: 500, data: "two\nlines" });
  await out.writeSSE({ data: Promise.resolve("awaited ü") });
  await out.sleep(5);
  await out.writeSSE({ data: "" });
}));
app.get("/error", (c) => streamSSE(c, async () => {
  throw new Error("broken");
}, async (error, out) => {
  await out.writeSSE({ event: "sorry", data: error.message });
}));
app.get("/last", (c) => streamSSE(c, async (out) => out.writeSSE({ data: c.req.header("last-event-id") ?? "none" })));

export default app;
export const requests = ["/events", "/error", "/last", { path: "/last", headers: { "last-event-id": "42" } }];
