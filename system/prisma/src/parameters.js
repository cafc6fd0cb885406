// SPDX-License-Identifier: Apache-2.0
// What of a query is a value and what is its shape. Queries of one shape have one plan. For reads Prisma's generator makes a
// graph of a schema that tells; it says nothing of what is written, which is told here.
import { parameterizeBatch, parameterizeQuery } from "@prisma/client-engine-runtime";
import { ParamGraph } from "@prisma/param-graph";
import { buildAndSerializeParamGraph } from "@prisma/param-graph-builder";

const valuesOf = ({ values }) => Object.fromEntries(values.map(({ name, dbName }) => [name, dbName ?? name]));

// Connection URLs, which schemas of version 7 may not have. They mean nothing here.
const URLS = /^[ \t]*(url|directUrl|shadowDatabaseUrl)[ \t]*=.*$/gm;

// Whose plans do not depend on the values: an upsert's does, it asks whether what is looked for is what is created.
const WRITES = new Set(["createOne", "updateOne", "deleteOne", "updateMany", "deleteMany"]);

const INT_MAX = 2 ** 31;
// Whether a value is one of the type beyond doubt; everything else stays in the shape, and the compiler judges it.
const isPlain = {
  String: (value) => typeof value === "string",
  Boolean: (value) => typeof value === "boolean",
  Int: (value) => Number.isInteger(value) && value >= -INT_MAX && value < INT_MAX,
};

// Models' fields of those types: a map of model => map of field => type.
const fieldsOf = ({ datamodel }) =>
  new Map(
    datamodel.models.map(({ name, fields }) => [
      name,
      new Map(fields.filter(({ kind, isList, type }) => kind === "scalar" && !isList && type in isPlain).map((field) => [field.name, field.type])),
    ]),
  );

// What is said of the fields themselves; what belongs to relations, operators and such stays.
function replaceValues(object, fields, scope) {
  if (typeof object !== "object" || object === null || Array.isArray(object)) return object;
  const replaced = {};
  for (const [name, value] of Object.entries(object)) {
    const type = fields.get(name);
    if (type === undefined || !isPlain[type](value)) {
      replaced[name] = value;
      continue;
    }
    const placeholder = `%w${Object.keys(scope).length}`;
    scope[placeholder] = value;
    replaced[name] = { $type: "Param", value: { name: placeholder, type } };
  }
  return replaced;
}

// Prisma's parameters leave bytes in lists as they came, in base64.
function hasBytesInList(value, inList) {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return value.some((item) => hasBytesInList(item, true));
  return (inList && value.$type === "Bytes") || Object.values(value).some((item) => hasBytesInList(item, false));
}

export class Parameters {
  #graph;
  #fields;

  // schema: its text. It takes a while: a tenth of a second and more.
  constructor(schema) {
    const datamodel = schema.replace(URLS, "");
    const parser = require("@prisma/prisma-schema-wasm"); // instantiated when it is first needed
    const document = JSON.parse(parser.get_dmmf(JSON.stringify({ prismaSchema: [["schema.prisma", datamodel]] })));
    const enums = new Map(document.datamodel.enums.map((entry) => [entry.name, valuesOf(entry)]));
    this.#graph = ParamGraph.deserialize(buildAndSerializeParamGraph(document), (name) => enums.get(name));
    this.#fields = fieldsOf(document);
  }

  // {query: its shape, scope: the values}
  ofQuery(query) {
    if (hasBytesInList(query.query.arguments, false)) return { query, scope: {} };
    const { parameterizedQuery, placeholderValues } = parameterizeQuery(query, this.#graph);
    const fields = WRITES.has(query.action) ? this.#fields.get(query.modelName) : undefined;
    const given = parameterizedQuery.query.arguments;
    if (fields === undefined || typeof given !== "object" || given === null) return { query: parameterizedQuery, scope: placeholderValues };
    const scope = { ...placeholderValues }, replaced = { ...given };
    for (const part of ["where", "data"]) if (part in given) replaced[part] = replaceValues(given[part], fields, scope);
    return { query: { ...parameterizedQuery, query: { ...parameterizedQuery.query, arguments: replaced } }, scope };
  }

  // The same of several.
  ofBatch(batch) {
    if (batch.batch.some(({ query }) => hasBytesInList(query.arguments, false))) return { batch, scope: {} };
    const { parameterizedBatch, placeholderValues } = parameterizeBatch(batch, this.#graph);
    return { batch: parameterizedBatch, scope: placeholderValues };
  }
}
