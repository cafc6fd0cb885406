// SPDX-License-Identifier: Apache-2.0
import { Hono } from "hono";
import { deleteCookie, getCookie, getSignedCookie, setCookie, setSignedCookie } from "hono/cookie";

const app = new Hono(), secret = "a secret of this case";

app.get("/get", (c) => c.json({ all: getCookie(c), one: getCookie(c, "one") ?? null }));
app.get("/set", (c) => {
  setCookie(c, "plain", "value");
  setCookie(c, "full", "a b;c=ü", {
    path: "/x",
    domain: "example.test",
    secure: true,
    httpOnly: true,
    maxAge: 60,
    expires: new Date(Date.UTC(2020, 0, 2)),
    sameSite: "Strict",
    partitioned: true,
    priority: "High",
  });
  setCookie(c, "host", "h", { prefix: "host", secure: true });
  return c.text("set");
});
app.get("/delete", (c) => c.text(`was ${deleteCookie(c, "one", { path: "/", secure: true })}`));
app.get("/sign", async (c) => {
  await setSignedCookie(c, "signed", "worth it", secret, { path: "/" });
  return c.text("signed");
});
app.get("/verify", async (c) => c.json({ one: (await getSignedCookie(c, secret, "signed")) ?? null, all: await getSignedCookie(c, secret) }));
app.get("/invalid", (c) => {
  setCookie(c, "bad", "x", { maxAge: 99999999999 });
  return c.text("not reached");
});
app.onError((error, c) => c.text(error.message, 500));

export default app;

export const requests = [
  "/get",
  { path: "/get", headers: { cookie: 'one=1; two=%C3%BC; three="quoted"; bad name=1; empty=' } },
  { path: "/get", headers: { cookie: ["one=1", "two=2"] } },
  "/set",
  { path: "/delete", headers: { cookie: "one=gone" } },
  "/sign",
  { path: "/verify", headers: { cookie: "signed=worth%20it.ZmFsc2UgZmFsc2UgZmFsc2UgZmFsc2UgZmFsc2UgMTI%3D" } },
  { path: "/verify", headers: { cookie: "signed=worth%20it.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8%3D" } },
  { path: "/invalid", status: 500 },
];
