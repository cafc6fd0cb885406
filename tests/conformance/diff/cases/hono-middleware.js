// SPDX-License-Identifier: Apache-2.0
import { Hono } from "hono";
import { basicAuth } from "hono/basic-auth";
import { bearerAuth } from "hono/bearer-auth";
import { bodyLimit } from "hono/body-limit";
import { compress } from "hono/compress";
import { csrf } from "hono/csrf";
import { logger } from "hono/logger";
import { methodOverride } from "hono/method-override";
import { poweredBy } from "hono/powered-by";
import { prettyJSON } from "hono/pretty-json";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import { timeout } from "hono/timeout";
import { appendTrailingSlash, trimTrailingSlash } from "hono/trailing-slash";

const app = new Hono({ strict: true });
app.use("/basic/*", basicAuth({ username: "user", password: "pässword" }));
app.use("/bearer/*", bearerAuth({ token: "token-1" }));
app.use("/limit/*", bodyLimit({ maxSize: 10, onError: (c) => c.text("too big", 413) }));
app.use("/compress/*", compress());
app.use("/csrf/*", csrf());
app.use("/log/*", logger((...parts) => console.log(...parts.map((part) => part.replace(/\d+m?s$/, "T")))));
app.use("/powered/*", poweredBy());
app.use("/pretty/*", prettyJSON());
app.use("/id/*", requestId());
app.use("/secure/*", secureHeaders());
app.use("/slow/*", timeout(20));
app.use("/append/*", appendTrailingSlash());
app.use("/trim/*", trimTrailingSlash());
app.use("/override", methodOverride({ app }));
app.delete("/override", (c) => c.text("deleted"));
app.get("/slow/x", async (c) => {
  await new Promise((done) => setTimeout(done, 2000));
  return c.text("never");
});
app.get("/id/x", (c) => c.text(c.get("requestId").length > 5 ? "an id" : "none"));
app.get("/append/page/", (c) => c.text("page/"));
app.get("/trim/page", (c) => c.text("page"));
app.get("/compress/x", (c) => c.text("0123456789".repeat(1000)));
app.post("/limit/x", async (c) => c.text(await c.req.text()));
app.all("/:group/x", (c) => c.json({ ok: [true] }));

export default app;

export const requests = [
  { path: "/basic/x", status: 401 },
  { path: "/basic/x", headers: { authorization: "Basic dXNlcjpww6Rzc3dvcmQ=" } },
  { path: "/basic/x", status: 401, headers: { authorization: "Basic dXNlcjpx" } },
  { path: "/bearer/x", status: 401 },
  { path: "/bearer/x", headers: { authorization: "Bearer token-1" } },
  { path: "/bearer/x", status: 401, headers: { authorization: "Bearer token-2" } },
  { method: "POST", path: "/limit/x", body: "short" },
  { method: "POST", path: "/limit/x", body: "much too long", status: 413 },
  { method: "POST", path: "/limit/x", body: ["much ", "too ", "long"], status: 413 },
  "/compress/x",
  { method: "POST", path: "/csrf/x", headers: { "content-type": "text/plain", origin: "http://elsewhere.test" }, status: 403 },
  { method: "POST", path: "/csrf/x", headers: { "content-type": "text/plain", origin: "http://hono-middleware.test" } },
  "/log/x",
  "/powered/x",
  "/pretty/x?pretty",
  { path: "/id/x", headers: { "x-request-id": "given-by-us" } },
  "/secure/x",
  { path: "/slow/x", status: 504 },
  { path: "/append/page", status: 301 },
  "/append/page/",
  { path: "/trim/page/", status: 301 },
  { method: "POST", path: "/override", headers: { "content-type": "application/x-www-form-urlencoded" }, body: "_method=DELETE" },
];
