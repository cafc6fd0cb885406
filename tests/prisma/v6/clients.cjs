// SPDX-License-Identifier: Apache-2.0
const { PrismaPg } = require("@prisma/adapter-pg");
const { withAccelerate } = require("@prisma/extension-accelerate");
const direct = require("./generated/direct");
const edge = require("./generated/edge/edge");

exports.Prisma = { direct: direct.Prisma, edge: edge.Prisma };
exports.direct = (url, options) => new direct.PrismaClient({ adapter: new PrismaPg({ connectionString: url }), ...options });
exports.typedQuery = require("./generated/edge/runtime/edge").makeTypedQueryFactory;
exports.edgeClient = edge.PrismaClient;
exports.edge = (url, options) => new edge.PrismaClient({ datasourceUrl: url, ...options }).$extends(withAccelerate());
exports.node = (url, options) => new (require("./generated/edge").PrismaClient)({ datasourceUrl: url, ...options }).$extends(withAccelerate());
