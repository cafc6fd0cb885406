// SPDX-License-Identifier: Apache-2.0
/** @jsxRuntime automatic */
/** @jsxImportSource hono/jsx */
import { Hono } from "hono";
import { html, raw } from "hono/html";
import { Suspense, renderToReadableStream } from "hono/jsx/streaming";
import { jsxRenderer } from "hono/jsx-renderer";

const List = ({ items }: { items: string[] }) => (
  <ul class="list">
    {items.map((item) => (
      <li key={item}>{item}</li>
    ))}
  </ul>
);
const Later = async () => {
  await new Promise((done) => setTimeout(done, 5));
  return <b>later</b>;
};

const app = new Hono();
app.get("/jsx", (c) => c.html(<List items={["a", "<b>", "ü & \"q\""]} />));
app.get("/html", (c) => c.html(html`<p title="${'"'}">${"<i>"} ${raw("<br>")} ${[1, 2]}</p>`));
app.get("/async", (c) => c.html(<Later />));
app.use("/layout/*", jsxRenderer(({ children, title }: { children?: any; title?: string }) => <html><title>{title}</title><body>{children}</body></html>));
app.get("/layout/page", (c) => c.render(<p>inside</p>, { title: "T" } as any));
app.get("/suspense", (c) => {
  c.header("content-type", "text/html; charset=UTF-8");
  return c.body(renderToReadableStream(<Suspense fallback={<i>wait</i>}><Later /></Suspense>));
});

export default app;
export const requests = ["/jsx", "/html", "/async", "/layout/page", "/suspense"];
