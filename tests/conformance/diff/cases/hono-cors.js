// SPDX-License-Identifier: Apache-2.0
import { Hono } from "hono";
import { cors } from "hono/cors";

const app = new Hono();
app.use("/any/*", cors());
app.use("/some/*", cors({
  origin: ["http://one.test", "http://two.test"],
  allowHeaders: ["x-custom", "authorization"],
  allowMethods: ["POST", "GET"],
  exposeHeaders: ["content-length", "x-seen"],
  maxAge: 600,
  credentials: true,
}));
app.use("/dynamic/*", cors({ origin: (origin) => (origin.endsWith(".test") ? origin : "http://fallback.test") }));
app.all("/*", (c) => c.json({ method: c.req.method, origin: c.req.header("origin") ?? null }));

export default app;

const preflight = { "access-control-request-method": "PUT", "access-control-request-headers": "x-a, x-b" };
export const requests = ["any", "some", "dynamic"].flatMap((name) => [
  `/${name}/x`,
  { path: `/${name}/x`, headers: { origin: "http://one.test" } },
  { path: `/${name}/x`, headers: { origin: "http://elsewhere.example" } },
  { method: "OPTIONS", path: `/${name}/x`, status: 204, headers: { origin: "http://one.test", ...preflight } },
  { method: "OPTIONS", path: `/${name}/x`, status: 204 },
  { method: "POST", path: `/${name}/x`, headers: { origin: "http://two.test", "content-type": "application/json" }, body: "{}" },
]);
