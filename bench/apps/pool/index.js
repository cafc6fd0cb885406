// SPDX-License-Identifier: Apache-2.0
// One query over a fresh client, and how long connecting and asking took; on /many, how many queries a second 32 clients get.
import pg from "pg";

export async function manyQueries(driver, settings, clients = 32, each = 150) {
  const all = Array.from({ length: clients }, () => new driver.Client(settings));
  await Promise.all(all.map((client) => client.connect()));
  const begun = performance.now();
  await Promise.all(all.map(async (client) => {
    for (let i = 0; i < each; i++) await client.query("select 1 as one");
  }));
  const rate = (clients * each * 1000) / (performance.now() - begun);
  await Promise.all(all.map((client) => client.end()));
  return rate;
}

export default {
  async fetch(request, env) {
    if (new URL(request.url).pathname === "/many") return Response.json({ rate: await manyQueries(pg, env.DB.connectionString) });
    const begun = performance.now();
    const client = new pg.Client(env.DB.connectionString);
    await client.connect();
    const { rows } = await client.query("select 1 as one");
    const ms = performance.now() - begun;
    await client.end();
    return Response.json({ one: rows[0].one, ms });
  },
};
