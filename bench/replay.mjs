// SPDX-License-Identifier: Apache-2.0
// replay.mjs PORT OF_PORT : a server on PORT that asks the one on OF_PORT once for each kind of request of Prisma's edge client, and
// has the same answer ready from then on: what is left is the client's own time.
import http from "node:http";

const [port, ofPort] = process.argv.slice(2), ready = new Map();

async function ask({ method, url, headers }, body) {
  const asked = await fetch(`http://localhost:${ofPort}${url}`, { method, headers: { ...headers, host: `localhost:${ofPort}` }, body: body || undefined });
  // A transaction's requests go where its start says.
  return { status: asked.status, type: asked.headers.get("content-type") ?? "", text: (await asked.text()).replaceAll(`:${ofPort}/`, `:${port}/`) };
}

http.createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) body += chunk;
  const kind = `${request.url.replace(/itx\/[^/]+/, "itx")} ${/"action":"\w+"/.exec(body)}`;
  if (!ready.has(kind)) ready.set(kind, await ask(request, body));
  const { status, type, text } = ready.get(kind);
  response.writeHead(status, { "content-type": type }).end(text);
}).listen(Number(port));
