// SPDX-License-Identifier: Apache-2.0
import { Hono } from "hono";

const app = new Hono();
const log = async (c, next) => {
  c.header("x-before", c.req.path);
  await next();
  c.header("x-after", String(c.res.status));
};

app.use("/mid/*", log);
app.get("/mid/page", (c) => c.text("page"));
app.get("/", (c) => c.text("root"));
app.get("/user/:id", (c) => c.json(c.req.param()));
app.get("/user/:id/post/:post{[0-9]+}", (c) => c.json(c.req.param()));
app.get("/maybe/:name?", (c) => c.text(c.req.param("name") ?? "none"));
app.get("/wild/*/end", (c) => c.text(c.req.path));
app.get("/files/:path{.+\\.png}", (c) => c.text(c.req.param("path")));
app.on(["PUT", "DELETE", "PURGE"], ["/on/a", "/on/b"], (c) => c.text(`${c.req.method} ${c.req.path}`));
app.all("/all", (c) => c.text(c.req.method));
app.post("/only-post", (c) => c.text("posted"));
app.get("/chain", async (c, next) => (c.set("n", 1), next()), (c) => c.text(`n=${c.get("n")}`));
app.route("/sub", new Hono().get("/", (c) => c.text("sub root")).get("/:x", (c) => c.text(`sub ${c.req.param("x")}`)));
app.route("/", new Hono().basePath("/v1").get("/thing", (c) => c.text("v1 thing")));
app.mount("/mounted", (request) => new Response(`mounted ${new URL(request.url).pathname}`));
app.get("/match/*", (c) => c.json({ route: c.req.routePath, url: c.req.url }));
app.get("*", (c) => (c.req.path.startsWith("/fallback") ? c.text("fallback") : c.notFound()));

export default app;

export const requests = [
  "/",
  "/user/7",
  "/user/%C3%BC%20x",
  "/user/7/post/12",
  { path: "/user/7/post/abc", status: 404 },
  "/maybe",
  "/maybe/you",
  "/wild/x/end",
  { path: "/wild/x/y/end", status: 404 },
  "/files/a/b/c.png",
  { path: "/files/a.gif", status: 404 },
  { method: "PUT", path: "/on/a" },
  { method: "DELETE", path: "/on/b" },
  { path: "/on/a", status: 404 },
  { method: "PATCH", path: "/all" },
  { method: "OPTIONS", path: "/all" },
  { path: "/only-post", status: 404 },
  { method: "POST", path: "/only-post" },
  { method: "HEAD", path: "/user/7" },
  "/chain",
  "/sub",
  "/sub/thing",
  "/v1/thing",
  "/mounted/deep/path?x=1",
  "/mid/page",
  { path: "/mid/missing", status: 404 },
  "/match/a//b/./c?q=%20+&q=2",
  "/match/a%2Fb%25%zz",
  "/fallback/x",
  { path: "/user/7/", status: 404 },
];
