// SPDX-License-Identifier: Apache-2.0
// Parts of the endpoint's worker that run anywhere.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Flights } from "../../system/prisma/src/flights.js";
import { sleep } from "../pool/lib.mjs";

const late = () => new Error("late");

test("what is being fetched is fetched once; what does not end is waited for no longer than it may be, and begun anew", async () => {
  const flights = new Flights(200);
  const fetched = flights.begin("a", () => sleep(50).then(() => "one"));
  assert.deepEqual([flights.has("a"), flights.has("b"), flights.join("b", late)], [true, false, undefined]);
  assert.deepEqual(await Promise.all([fetched, flights.join("a", late), flights.join("a", late)]), ["one", "one", "one"]);
  assert.equal(flights.has("a"), false);
  const failing = flights.begin("a", () => sleep(10).then(() => Promise.reject(new Error("no"))));
  await Promise.all([assert.rejects(failing, /no/), assert.rejects(flights.join("a", late), /no/)]);
  let end;
  const endless = flights.begin("a", () => new Promise((done) => (end = done)));
  await assert.rejects(flights.join("a", late), /late/);
  assert.equal(flights.has("a"), false);
  const anew = flights.begin("a", () => sleep(100).then(() => "two"));
  end("at last");
  assert.deepEqual([await endless, flights.has("a")], ["at last", true], "it takes nobody else's name");
  assert.deepEqual(await Promise.all([anew, flights.join("a", late)]), ["two", "two"]);
});
