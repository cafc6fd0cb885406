// SPDX-License-Identifier: Apache-2.0
// Prisma's CLI fetches native engines; none of them is needed here.
export const cliEnvironment = {
  ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: "/bin/true", PRISMA_QUERY_ENGINE_LIBRARY: "/bin/true", CHECKPOINT_DISABLE: "1", DATABASE_URL: "postgres://nowhere",
};
