// SPDX-License-Identifier: Apache-2.0
// One query over a fresh client, and how long connecting and asking took; on /plain, the same without a driver; on /direct, by a
// connection of its own to Postgres; on /many, how many queries a second 32 clients get.
import { connect } from "cloudflare:sockets";

import pg from "pg";

import { manyQueries } from "./many.js";

const text = new TextEncoder();

// The messages of a connection and a query, and the two times ReadyForQuery that they bring: the protocol and nothing else.
async function plainly({ host, port, user, database }) {
  const body = text.encode(`user\0${user}\0database\0${database}\0\0`), sql = text.encode("select 1 as one\0");
  const startup = new Uint8Array(8 + body.length), query = new Uint8Array(5 + sql.length);
  startup.set([0, 0, 0, startup.length, 0, 3, 0, 0]);
  startup.set(body, 8);
  query.set([0x51, 0, 0, 0, query.length - 1]);
  query.set(sql, 5);
  const socket = connect({ hostname: host, port }), writer = socket.writable.getWriter(), reader = socket.readable.getReader();
  let last;
  for (const message of [startup, query]) {
    writer.write(message);
    do last = (await reader.read()).value;
    while (last.at(-6) !== 0x5a);
  }
  socket.close();
  return last;
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/many") return Response.json({ rate: await manyQueries(pg, env.DB.connectionString) });
    const begun = performance.now();
    if (pathname === "/plain") {
      const reply = await plainly(env.DB);
      return Response.json({ one: Number(String.fromCharCode(reply.at(-21))), ms: performance.now() - begun });
    }
    const client = new pg.Client(pathname === "/direct" ? env.DIRECT : env.DB.connectionString);
    await client.connect();
    const { rows } = await client.query("select 1 as one");
    const ms = performance.now() - begun;
    await client.end();
    return Response.json({ one: rows[0].one, ms });
  },
};
