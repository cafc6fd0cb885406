// SPDX-License-Identifier: Apache-2.0
import { Hono } from "hono";
import { decode, jwt, sign, verify } from "hono/jwt";

const app = new Hono(), secret = "a secret of this case";

app.get("/sign/:alg", async (c) => c.text(await sign({ sub: "ü", n: 1 }, secret, c.req.param("alg"))));
// Signatures of these algorithms are random or need keys: made and verified, not shown.
app.get("/pair/:alg", async (c) => {
  const algorithms = {
    ES256: { name: "ECDSA", namedCurve: "P-256" },
    ES384: { name: "ECDSA", namedCurve: "P-384" },
    RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) },
    PS256: { name: "RSA-PSS", hash: "SHA-256", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) },
    EdDSA: { name: "Ed25519" },
  };
  const alg = c.req.param("alg"), pair = await crypto.subtle.generateKey(algorithms[alg], true, ["sign", "verify"]);
  const privateKey = await crypto.subtle.exportKey("jwk", pair.privateKey), publicKey = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const token = await sign({ sub: alg }, privateKey, alg);
  return c.json({ header: decode(token).header, payload: await verify(token, publicKey, alg), fields: Object.keys(privateKey).sort() });
});
app.get("/verify", async (c) => {
  try {
    return c.json(await verify(c.req.query("token"), secret, c.req.query("alg") ?? "HS256"));
  } catch (error) {
    return c.text(`${error.name}: ${error.message}`, 400);
  }
});
app.use("/header/*", jwt({ secret, alg: "HS256" }));
app.get("/header/me", (c) => c.json(c.get("jwtPayload")));
app.use("/cookie/*", jwt({ secret, alg: "HS256", cookie: "token" }));
app.get("/cookie/me", (c) => c.json(c.get("jwtPayload")));

export default app;

const base64url = (value) => btoa(typeof value === "string" ? value : JSON.stringify(value)).replace(/=+$/, "").replace(/\+/g, "-").replace(/\//g, "_");
async function token(payload, header = { alg: "HS256", typ: "JWT" }) {
  const text = `${base64url(header)}.${base64url(payload)}`, encoder = new TextEncoder();
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", key, encoder.encode(text));
  return `${text}.${base64url(String.fromCharCode(...new Uint8Array(signature)))}`;
}
const good = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJtZSJ9.x";
const bearer = (value) => ({ authorization: `Bearer ${value}` });

export const requests = [
  "/sign/HS256",
  "/sign/HS384",
  "/sign/HS512",
  { path: "/sign/none", status: 500 },
  "/pair/ES256",
  "/pair/ES384",
  "/pair/RS256",
  "/pair/PS256",
  "/pair/EdDSA",
  { path: `/verify?token=${good}`, status: 400 },
  { path: "/verify?token=nonsense", status: 400 },
  { path: "/header/me", status: 401 },
  { path: "/header/me", status: 401, headers: bearer(good) },
  { path: "/header/me", status: 401, headers: { authorization: "Basic x" } },
  { path: "/cookie/me", status: 401 },
];
