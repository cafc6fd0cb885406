// SPDX-License-Identifier: Apache-2.0
// A request to a worker's own code: its frameworks and drivers do most of what they will do for any other.

const HANDLER_FETCH = 1;
const TURNS_MAX = 3000, // of promises, until the request is given up: it may wait for a timer, or for ever
  TURNS_AFTER = 60; // for what goes on behind the answer

export async function playWorker(stage, { manifest, blob, path }) {
  stage.hooks.boot(manifest, blob);
  await stage.settle(TURNS_AFTER);
  if (stage.hooks.bootState() !== "ready") return stage.hooks.bootError();
  if ((stage.hooks.handlers() & HANDLER_FETCH) === 0) return "there is no fetch handler";
  stage.hooks.afterFork(1);
  stage.request("GET", path);
  for (let turns = 0; turns < TURNS_MAX && stage.finished === 0; turns++) await stage.settle(1);
  await stage.settle(TURNS_AFTER);
  return "";
}
