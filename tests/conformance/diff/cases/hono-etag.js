// SPDX-License-Identifier: Apache-2.0
import { Hono } from "hono";
import { etag } from "hono/etag";

const app = new Hono();
app.use("/strong/*", etag());
app.use("/weak/*", etag({ weak: true }));
app.use("/kept/*", etag({ retainedHeaders: ["x-keep"] }));
const page = (c) => c.text("the same every time", 200, { "x-keep": "1", "x-drop": "2", "cache-control": "max-age=1" });
app.get("/strong/page", page);
app.get("/weak/page", page);
app.get("/kept/page", page);
app.get("/strong/own", (c) => c.text("own", 200, { etag: '"mine"' }));
app.get("/strong/stream", () => new Response(new ReadableStream({
  start(controller) {
    for (const part of ["one", "two", "three"]) controller.enqueue(new TextEncoder().encode(part));
    controller.close();
  },
})));
app.get("/strong/empty", (c) => c.body(null));

export default app;

const tag = '"d28aa5eb94cc2f49a49cc0f8fe2cf5b1e6a2d5ae"';
export const requests = [
  "/strong/page",
  "/weak/page",
  "/strong/own",
  { path: "/strong/own", status: 304, headers: { "if-none-match": '"mine"' } },
  { path: "/strong/own", status: 304, headers: { "if-none-match": 'W/"mine", "other"' } },
  { path: "/strong/own", status: 304, headers: { "if-none-match": "*" } },
  { path: "/strong/page", headers: { "if-none-match": tag } },
  "/strong/stream",
  "/strong/empty",
  { method: "HEAD", path: "/strong/own" },
  "/kept/page",
];
