// SPDX-License-Identifier: Apache-2.0
// Prisma's edge client in a worker: /?what=…&rounds=…&each=… answers with the milliseconds that one took, for each round;
// /?what=first with what one call (`call`, or findUnique) gives, not before `at` (milliseconds since 1970).
import { PrismaClient } from "../../../../tests/prisma/v6/generated/edge/edge.js";
import { withAccelerate } from "../../../../tests/prisma/v6/node_modules/@prisma/extension-accelerate/dist/index.js";

import { cached, measure, operations } from "./operations.js";

export default {
  async fetch(request, env) {
    const { what, call = "findUnique", rounds, each, at } = Object.fromEntries(new URL(request.url).searchParams);
    const prisma = new PrismaClient({ datasourceUrl: env.DATABASE_URL }).$extends(withAccelerate());
    if (at > Date.now()) await scheduler.wait(at - Date.now());
    if (what === "first") return Response.json(await operations[call](prisma, 0));
    return Response.json(await measure(prisma, what === "cached" ? cached : operations[what], Number(rounds), Number(each)));
  },
};
