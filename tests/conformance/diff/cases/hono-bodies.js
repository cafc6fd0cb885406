// SPDX-License-Identifier: Apache-2.0
import { Hono } from "hono";
import { validator } from "hono/validator";

const app = new Hono();
const shown = async (value) => (value instanceof File ? { file: value.name, type: value.type, size: value.size, text: await value.text() } : value);
const each = async (form) => Object.fromEntries(await Promise.all(Object.entries(form).map(async ([key, value]) => [key, Array.isArray(value) ? await Promise.all(value.map(shown)) : await shown(value)])));

app.post("/json", async (c) => c.json(await c.req.json()));
app.post("/text", async (c) => c.text(await c.req.text()));
app.post("/bytes", async (c) => c.body(await c.req.arrayBuffer()));
app.post("/blob", async (c) => {
  const blob = await c.req.blob();
  return c.json({ type: blob.type, size: blob.size });
});
app.post("/form", async (c) => c.json(await each(await c.req.parseBody())));
app.post("/form-all", async (c) => c.json(await each(await c.req.parseBody({ all: true, dot: true }))));
app.post("/twice", async (c) => c.json([await c.req.text(), await c.req.json()]));
app.post("/valid", validator("json", (value, c) => (typeof value.n === "number" ? value : c.text("n is missing", 400))), (c) => c.json(c.req.valid("json")));
app.post("/valid-form", validator("form", (value) => value), (c) => c.json(c.req.valid("form")));
app.onError((error, c) => c.text(`${error.name} ${error.status ?? ""}`, error.status ?? 500));

export default app;

const json = { "content-type": "application/json" }, urlencoded = { "content-type": "application/x-www-form-urlencoded" };
const multipart = { "content-type": "multipart/form-data; boundary=xyz" };
const form = [
  '--xyz\r\ncontent-disposition: form-data; name="a"\r\n\r\none\r\n',
  '--xyz\r\ncontent-disposition: form-data; name="a"\r\n\r\ntwo ü\r\n',
  '--xyz\r\ncontent-disposition: form-data; name="f"; filename="f.txt"\r\ncontent-type: text/plain\r\n\r\nline 1\r\nline 2\r\n',
  "--xyz--\r\n",
].join("");
const post = (path, headers, body, status) => ({ method: "POST", path, headers, body, status });

export const requests = [
  post("/json", json, '{"a":[1,"ü"]}'),
  post("/json", json, "{broken", 500),
  post("/json", json, "", 500),
  post("/text", { "content-type": "text/plain" }, "täxt"),
  post("/text", {}, ["in ", "several ", "parts"]),
  post("/bytes", { "content-type": "application/octet-stream" }, new Uint8Array([0, 1, 254, 255])),
  post("/blob", { "content-type": "image/PNG; x=1" }, "12345"),
  post("/form", urlencoded, "a=1&b=%C3%BC+x&a=2&empty="),
  post("/form", multipart, form),
  post("/form-all", multipart, form),
  post("/form-all", urlencoded, "a=1&a=2&o.x=1&o.y=2&l[]=1"),
  post("/form", {}, "a=1"),
  post("/form", multipart, "--xyz\r\nbroken", 500),
  post("/twice", json, "[1]"),
  post("/valid", json, '{"n":1}'),
  post("/valid", json, '{"n":"1"}', 400),
  post("/valid", json, "{", 400),
  post("/valid-form", urlencoded, "x=1&x=2&y=3"),
];
