// SPDX-License-Identifier: Apache-2.0
// From version 7 on it is the same client: with a driver adapter, or with accelerateUrl.
const { PrismaPg } = require("@prisma/adapter-pg");
const { withAccelerate } = require("@prisma/extension-accelerate");
const { Prisma, PrismaClient } = require("./generated/client");

exports.Prisma = { direct: Prisma, edge: Prisma };
exports.direct = (url, options) => new PrismaClient({ adapter: new PrismaPg({ connectionString: url }), ...options });
exports.typedQuery = require("./generated/client/runtime/client").makeTypedQueryFactory;
exports.edgeClient = PrismaClient;
exports.edge = (url, options) => new PrismaClient({ accelerateUrl: url, ...options }).$extends(withAccelerate());
exports.node = exports.edge;
