// SPDX-License-Identifier: Apache-2.0
// node:constants: those of node:os in one object.

import { constants as os } from "./os.js";

export default { ...os.errno, ...os.priority, ...os.signals };
