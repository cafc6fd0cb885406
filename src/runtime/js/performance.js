// SPDX-License-Identifier: Apache-2.0
// https://w3c.github.io/hr-time/ : milliseconds since the process began to serve.

import { native, platform } from "./native.js";
import { EventTarget } from "./events.js";
import { defineInterface } from "./webidl.js";
import { inGlobalScope } from "./context.js";

let origin = 0, originWall = 0;

export function resetTimeOrigin() {
  origin = native.now();
  originWall = native.wallTime();
}

export class Performance extends EventTarget {
  get timeOrigin() {
    return inGlobalScope() ? 0 : originWall;
  }

  now() {
    return inGlobalScope() ? 0 : native.now() - origin;
  }

  mark() {}

  measure() {}

  clearMarks() {}

  clearMeasures() {}

  getEntries() {
    return [];
  }

  getEntriesByName() {
    return [];
  }

  getEntriesByType() {
    return [];
  }

  toJSON() {
    return { timeOrigin: this.timeOrigin };
  }
}
defineInterface(Performance, "Performance");

export const performance = new Performance();
platform.now = () => performance.now();
