// SPDX-License-Identifier: Apache-2.0
const { readFileSync } = require("node:fs");
const Module = require("node:module");
const { PrismaPg } = require("@prisma/adapter-pg");
const { withAccelerate } = require("@prisma/extension-accelerate");
const { Pool } = require("pg");
const edge = require("./generated/edge/edge");

// Without native engines version 5's client has its engine as WebAssembly, by a loader that makes a module of the file: as
// Workers have one, and Node has not.
function directClient() {
  const file = require.resolve("./generated/direct/wasm.js"), loader = "(await import('#wasm-engine-loader')).default";
  const text = readFileSync(file, "utf8"), made = new Module(file, module);
  if (!text.includes(loader)) throw new Error(`${file} loads its engine in another way`);
  made.filename = file;
  made._compile(text.replace(loader, "{ default: new WebAssembly.Module(require('fs').readFileSync(`${__dirname}/query_engine_bg.wasm`)) }"), file);
  return made.exports;
}
const direct = directClient();

exports.Prisma = { direct: direct.Prisma, edge: edge.Prisma };
exports.direct = (url, options) => {
  const pool = new Pool({ connectionString: url, allowExitOnIdle: true }).on("error", () => {}); // the adapter does not end it
  return new direct.PrismaClient({ adapter: new PrismaPg(pool), ...options });
};
exports.typedQuery = require("./generated/edge/runtime/edge").makeTypedQueryFactory;
exports.edgeClient = edge.PrismaClient;
exports.edge = (url, options) => new edge.PrismaClient({ datasourceUrl: url, ...options }).$extends(withAccelerate());
exports.node = (url, options) => new (require("./generated/edge").PrismaClient)({ datasourceUrl: url, ...options }).$extends(withAccelerate());

// What NODE_EXTRA_CA_CERTS does for a process that begins.
exports.trust = (ca) => {
  const { Agent, setGlobalDispatcher } = require("undici");
  setGlobalDispatcher(new Agent({ connect: { ca } }));
};
