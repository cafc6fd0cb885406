// SPDX-License-Identifier: Apache-2.0
import { Hono } from "hono";
import { stream, streamText } from "hono/streaming";

const app = new Hono();
app.get("/stream", (c) => stream(c, async (out) => {
  await out.write(new Uint8Array([0, 255, 128]));
  await out.write("text ü");
  await out.writeln("a line");
}));
app.get("/text", (c) => streamText(c, async (out) => {
  for (let i = 0; i < 3; i++) {
    await out.writeln(`line ${i}`);
    await out.sleep(5);
  }
}));
app.get("/pipe", (c) => {
  c.header("content-type", "application/x-piped");
  return stream(c, async (out) => {
    await out.pipe(new Response("piped from a response").body);
  });
});
app.get("/error", (c) => stream(c, async (out) => {
  await out.write("before");
  throw new Error("in the middle");
}, async (error, out) => {
  await out.write(` and then: ${error.message}`);
}));
app.get("/empty", (c) => stream(c, async () => {}));
app.get("/close", (c) => stream(c, async (out) => {
  await out.write("x");
  await out.close();
  console.log(out.closed, out.aborted);
}));
app.get("/big", (c) => stream(c, async (out) => {
  for (let i = 0; i < 64; i++) await out.write("x".repeat(4096));
}));

export default app;
export const requests = ["/stream", "/text", "/pipe", "/error", "/empty", "/close", "/big", { method: "HEAD", path: "/text" }];
