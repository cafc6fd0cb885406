// SPDX-License-Identifier: Apache-2.0
// Large bodies of requests: as objects they take up to twenty times as much memory, for as long as the request is under way, and
// there is one for all. Each key has room for some; who has more waits for his own.
import { env } from "cloudflare:workers";

import { Refusal } from "./errors.js";
import { SlotsByName, Slots } from "./slots.js";

const BYTES_MAX = 8 * 1024 * 1024, // of one key, or a single one that is larger
  LARGE_BYTES = 1024 * 1024, // is made room for, and looked at
  VALUES_MAX = 1000000; // of one

const room = new SlotsByName(() => new Slots(BYTES_MAX));

// run(): with a body of so many bytes, once there is room for it. 0: of no account.
export async function withRoom(key, bytes, waitMs, run) {
  if (bytes === 0) return run();
  const giveBack = await room.take(key, waitMs, bytes);
  if (giveBack === undefined) throw new Refusal(429, "P5011", "Too many large requests of this api key are under way at once.");
  if (bytes > LARGE_BYTES) env.collectGarbage();
  try {
    return await run();
  } finally {
    giveBack();
  }
}

// Before it becomes objects. There is a comma between two values.
export function checkSize(text) {
  if (text.length < LARGE_BYTES) return;
  let values = 1;
  for (let at = text.indexOf(","); at !== -1; at = text.indexOf(",", at + 1)) if (++values > VALUES_MAX) throw new Refusal(413, "P6000", `The request has more than ${VALUES_MAX} values, which is the limit here: ask for less at once.`);
}
