// SPDX-License-Identifier: Apache-2.0
// Postgres's own regression tests once more, in transaction mode: what of a session is kept there, and what is not.
import { database } from "../lib.mjs";

export { run, settings } from "./regress.mjs";

export const bar = 209; // two of those that are known depend on who had the connection before

const remembers = "its backend has served others, and remembers:";
export const known = {
  constraints: "currval() of what another transaction drew is refused",
  sequence: "currval() of what another transaction drew is refused",
  triggers: `${remembers} plans and variables of a library`,
  guc: `${remembers} plpgsql is loaded`,
  temp: `${remembers} there is a schema for temporary tables`,
  gin: "brin's DO block sets enable_bitmapscan, which is not seen",
  spgist: "brin's DO block sets enable_bitmapscan, which is not seen",
  stats: "no new session is counted, since its backend is there already",
};

export const pool = (postgres) => `auth = "any"\npool_size = 50\nquery_wait_timeout = "5m"\n${database(postgres)}`;
