// SPDX-License-Identifier: Apache-2.0
// Queries a second that so many clients get of a driver, each asking one after the other.
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
