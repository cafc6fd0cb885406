// SPDX-License-Identifier: Apache-2.0
// What a person is told at deploy. C shows String(error): the text alone, without the class.

import { locate } from "./positions.js";

export class DeployError extends SyntaxError {
  toString() {
    return this.message;
  }
}

// "file:line:column: text", both counted from 1.
export class SourceError extends DeployError {
  constructor(module, starts, offset, text) {
    const { line, column } = locate(starts, offset);
    super(`${module}:${line}:${column + 1}: ${text}`);
    Object.assign(this, { module, line, column: column + 1, text });
  }

  // The same error told at another place: {source, line, column} or null.
  at(place) {
    return place === null ? this : new DeployError(`${place.source}:${place.line}:${place.column}: ${this.text}`);
  }
}
