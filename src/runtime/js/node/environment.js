// SPDX-License-Identifier: Apache-2.0
// What the node: modules know of the worker: set from its manifest before its code runs.

export const environment = {
  variables: {}, // process.env
};
