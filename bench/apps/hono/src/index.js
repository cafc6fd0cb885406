// SPDX-License-Identifier: Apache-2.0
// The application that every server here runs.
import { Hono } from "hono";

const app = new Hono();
const large = "0123456789abcdef".repeat(6400); // 100 KiB
const bytes = new TextEncoder().encode("a line of a stream, sixty-four bytes long with its newline at end\n");

app.get("/text", (c) => c.text("Hello, World!"));
app.get("/json", (c) => c.json({ message: "Hello, World!", items: [1, 2, 3], nested: { ok: true } }));
app.get("/users/:id", (c) => c.json({ id: c.req.param("id"), q: c.req.query("q") ?? null }));
app.get("/large", (c) => c.text(large));
app.post("/echo", async (c) => c.json(await c.req.json()));
app.get("/stream", () => {
  let left = 16;
  return new Response(
    new ReadableStream({
      pull(controller) {
        controller.enqueue(bytes);
        if (--left === 0) controller.close();
      },
    }),
  );
});

export default app;
