// SPDX-License-Identifier: Apache-2.0
// A version that weir does not answer. The Accelerate extension is for later ones.
const { PrismaClient } = require("./generated/edge/edge");

exports.edge = (url, options) => new PrismaClient({ datasources: { db: { url } }, ...options });
