// SPDX-License-Identifier: Apache-2.0
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";

const app = new Hono();

app.get("/text", (c) => c.text("text", 201, { "x-one": "1" }));
app.get("/json", (c) => c.json({ a: [1, null, "ü"], b: undefined }, { status: 202, headers: { "x-two": "2" } }));
app.get("/html", (c) => c.html("<p>ü</p>"));
app.get("/body", (c) => c.body("bytes", 200, { "content-type": "application/x-thing" }));
app.get("/empty", (c) => c.body(null, 204));
app.get("/raw", () => new Response("raw"));
app.get("/new", (c) => c.newResponse("new", { status: 203, headers: [["a", "1"], ["a", "2"]] }));
app.get("/redirect", (c) => c.redirect("/text", 308));
app.get("/redirect-unicode", (c) => c.redirect("/ü"));
app.get("/headers", (c) => {
  c.header("x-list", "a");
  c.header("x-list", "b", { append: true });
  c.header("x-gone", "1");
  c.header("x-gone", undefined);
  c.status(418);
  return c.body("teapot");
});
app.get("/res", async (c, next) => {
  await next();
  c.res = new Response(`${await c.res.text()} wrapped`, c.res);
  c.res.headers.set("x-wrapped", "yes");
}, (c) => c.text("inner", 200, { "x-inner": "1" }));
app.get("/query", (c) => c.json({ one: c.req.query("a"), all: c.req.query(), many: c.req.queries("a") }));
app.get("/request", (c) => c.json({ list: c.req.header("x-thing"), accept: c.req.header().accept, method: c.req.method, url: c.req.url }));
app.get("/env", (c) => c.json({ env: c.env, has: typeof c.executionCtx.waitUntil }));
app.get("/later", (c) => {
  c.executionCtx.waitUntil(Promise.resolve().then(() => console.log("after the answer")));
  return c.text("now");
});
app.get("/http-exception", () => {
  throw new HTTPException(403, { message: "forbidden here" });
});
app.get("/exception-response", () => {
  throw new HTTPException(401, { res: new Response("sign in", { status: 401, headers: { "www-authenticate": "Basic" } }) });
});
app.get("/error", () => {
  throw new RangeError("not this");
});
app.get("/render", async (c, next) => {
  c.setRenderer((content) => c.html(`<main>${content}</main>`));
  await next();
}, (c) => c.render("inside"));
app.onError((error, c) => {
  if (error instanceof HTTPException) return error.getResponse();
  console.error(error.message);
  return c.json({ error: error.name, message: error.message }, 500);
});
app.notFound((c) => c.text(`no ${c.req.path}`, 404));

export default app;

export const settings = { vars: { TEXT: "text", JSON: { a: [1, 2], b: null } } };

export const requests = [
  { path: "/text", status: 201 },
  { path: "/json", status: 202 },
  "/html",
  "/body",
  { path: "/empty", status: 204 },
  "/raw",
  { path: "/new", status: 203 },
  { path: "/redirect", status: 308 },
  { path: "/redirect-unicode", status: 302 },
  { path: "/headers", status: 418 },
  "/res",
  "/query?a=1&a=2&b=%C3%BC+x&c",
  { path: "/request?x=1", headers: { "X-Thing": ["a", "b"], Accept: "text/html" } },
  "/env",
  { path: "/later", waits: "after the answer" },
  { path: "/http-exception", status: 403 },
  { path: "/exception-response", status: 401 },
  { path: "/error", status: 500 },
  "/render",
  { path: "/nowhere", status: 404 },
];
