// SPDX-License-Identifier: Apache-2.0
// Version 5 has no client without native engines; what it does is compared with version 6's.
const { withAccelerate } = require("@prisma/extension-accelerate");
const edge = require("./generated/edge/edge");

exports.Prisma = { edge: edge.Prisma };
exports.edge = (url, options) => new edge.PrismaClient({ datasourceUrl: url, ...options }).$extends(withAccelerate());
exports.node = (url, options) => new (require("./generated/edge").PrismaClient)({ datasourceUrl: url, ...options }).$extends(withAccelerate());

// What NODE_EXTRA_CA_CERTS does for a process that begins.
exports.trust = (ca) => {
  const { Agent, setGlobalDispatcher } = require("undici");
  setGlobalDispatcher(new Agent({ connect: { ca } }));
};
