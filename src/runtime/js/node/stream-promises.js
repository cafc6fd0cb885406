// SPDX-License-Identifier: Apache-2.0
// node:stream/promises.

import { promises } from "./stream.js";

export const { finished, pipeline } = promises;
export default promises;
