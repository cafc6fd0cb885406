// SPDX-License-Identifier: Apache-2.0
// For what Node has and a worker has not: programs import it, and may never call it here.

// A function that throws, which can be called with `new`, too.
export function notImplemented(name, instead = "") {
  return function () {
    const error = new Error(`${name} is not implemented in a worker${instead && `; ${instead}`}`);
    error.code = "ERR_METHOD_NOT_IMPLEMENTED";
    throw error;
  };
}
