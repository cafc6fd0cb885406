import "dotenv/config"; // where there is a configuration, Prisma itself reads no .env
import { PrismaPg } from "@prisma/adapter-pg";
import { defineConfig } from "prisma/config";

// Prisma's schema engine as WebAssembly, over a driver adapter: where its native engine cannot be fetched. It does not know
// Postgres's types "char" and name (oids 18 and 19; 1002 and 1003 for lists of them), which are text.
const asText = new Map([[18, 25], [19, 25], [1002, 1009], [1003, 1009]]);
function patched(adapter: any) {
  const performIO = adapter.performIO.bind(adapter);
  adapter.performIO = async (query: unknown) => {
    const result = await performIO(query);
    for (const field of result.fields ?? []) field.dataTypeID = asText.get(field.dataTypeID) ?? field.dataTypeID;
    return result;
  };
  return adapter;
}

export default defineConfig({
  experimental: { adapter: true },
  engine: "js",
  schema: "prisma/schema.prisma",
  adapter: async () => {
    const factory: any = new PrismaPg({ connectionString: process.env.DATABASE_URL, allowExitOnIdle: true });
    for (const name of ["connect", "connectToShadowDb"]) {
      const open = factory[name].bind(factory);
      factory[name] = async () => patched(await open());
    }
    return factory;
  },
});
