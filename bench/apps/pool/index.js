// SPDX-License-Identifier: Apache-2.0
// One query over a fresh client, and how long connecting and asking took.
import pg from "pg";

export default {
  async fetch(request, env) {
    const begun = performance.now();
    const client = new pg.Client(env.DB.connectionString);
    await client.connect();
    const { rows } = await client.query("select 1 as one");
    const ms = performance.now() - begun;
    await client.end();
    return Response.json({ one: rows[0].one, ms });
  },
};
