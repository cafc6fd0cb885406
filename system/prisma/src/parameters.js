// SPDX-License-Identifier: Apache-2.0
// What of a query is a value and what is its shape: by the graph that Prisma's generator makes of a schema. Queries of one
// shape have one plan.
import { ParamGraph } from "@prisma/param-graph";
import { buildAndSerializeParamGraph } from "@prisma/param-graph-builder";

const valuesOf = ({ values }) => Object.fromEntries(values.map(({ name, dbName }) => [name, dbName ?? name]));

// Connection URLs, which schemas of version 7 may not have. They mean nothing here.
const URLS = /^[ \t]*(url|directUrl|shadowDatabaseUrl)[ \t]*=.*$/gm;

// schema: its text. It takes a while: a tenth of a second and more.
export function paramGraphOf(schema) {
  const datamodel = schema.replace(URLS, "");
  const parser = require("@prisma/prisma-schema-wasm"); // instantiated when it is first needed
  const document = JSON.parse(parser.get_dmmf(JSON.stringify({ prismaSchema: [["schema.prisma", datamodel]] })));
  const enums = new Map(document.datamodel.enums.map((entry) => [entry.name, valuesOf(entry)]));
  return ParamGraph.deserialize(buildAndSerializeParamGraph(document), (name) => enums.get(name));
}
