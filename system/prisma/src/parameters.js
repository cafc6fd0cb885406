// SPDX-License-Identifier: Apache-2.0
// What of a query is a value and what is its shape: Prisma's generator makes a graph of a schema that tells. Queries of one shape
// have one plan.
import { parameterizeBatch, parameterizeQuery } from "@prisma/client-engine-runtime";
import { ParamGraph } from "@prisma/param-graph";
import { buildAndSerializeParamGraph } from "@prisma/param-graph-builder";

import { invalidRequest } from "./errors.js";

// Does anything of the query say the name of a value that the database has another name for?
function says(part, names) {
  if (typeof part === "string") return names.has(part);
  if (typeof part !== "object" || part === null) return false;
  return Object.values(part).some((one) => says(one, names));
}

// … in a list that is pushed, which reaches the database as it is?
function pushes(part, names) {
  if (typeof part !== "object" || part === null) return false;
  return (Array.isArray(part.push) && says(part.push, names)) || Object.values(part).some((one) => pushes(one, names));
}

const valuesOf = ({ values }) => Object.fromEntries(values.map(({ name, dbName }) => [name, dbName ?? name]));

// The parser's document has createOne where that of the generator has create, by which the graph's builder looks for it.
function nameOperations({ mappings }) {
  for (const mapping of mappings.modelOperations) for (const name of ["create", "update", "upsert", "delete"]) mapping[name] ??= mapping[`${name}One`];
}

// Prisma's parameters leave bytes in lists as they came, in base64.
function hasBytesInList(value, inList) {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return value.some((item) => hasBytesInList(item, true));
  return (inList && value.$type === "Bytes") || Object.values(value).some((item) => hasBytesInList(item, false));
}

// What is no value of anybody's: directions and modes, names of fields (the compiler knows no others), numbers that count.
const WORDS = new Set(["asc", "desc", "first", "last", "default", "insensitive"]);
const NAMING = new Set(["by", "distinct", "relationLoadStrategy", "take", "skip"]);

function isBare(part) {
  if (typeof part === "string") return WORDS.has(part);
  if (typeof part !== "object" || part === null) return part === null || typeof part === "boolean";
  return part.$type === "Param" || Object.values(part).every(isBare);
}

// Is a query's shape, which the compiler has taken, without any value of anybody's? What is not known to be of its form counts as one.
export function hasNoValues({ arguments: given = {}, selection = {} }) {
  return (
    Object.entries(given).every(([name, part]) => NAMING.has(name) || isBare(part)) &&
    Object.values(selection).every((selected) => typeof selected === "boolean" || hasNoValues(selected))
  );
}

// What is given to the interpreter as a value is one.
function checked(values) {
  for (const value of Object.values(values))
    if ((Array.isArray(value) ? value : [value]).some((one) => typeof one === "object")) throw invalidRequest("A value of the query is neither a text nor a number.");
  return values;
}

export class Parameters {
  #graph;
  #renamed; // names of enums' values that the database has other names for

  // schema: its text, without connection URLs, which schemas of version 7 may not have. It takes a while: a tenth of a second
  // and more.
  constructor(schema) {
    const parser = require("@prisma/prisma-schema-wasm"); // instantiated when it is first needed
    const document = JSON.parse(parser.get_dmmf(JSON.stringify({ prismaSchema: [["schema.prisma", schema]] })));
    nameOperations(document);
    const enums = new Map(document.datamodel.enums.map((entry) => [entry.name, valuesOf(entry)]));
    this.#renamed = new Set(document.datamodel.enums.flatMap(({ values }) => values.filter(({ name, dbName }) => (dbName ?? name) !== name).map(({ name }) => name)));
    this.#graph = ParamGraph.deserialize(buildAndSerializeParamGraph(document), (name) => enums.get(name));
  }

  // {query: its shape, scope: the values, isWhole: whether it stays as it is, with its values}
  ofQuery(query) {
    if (hasBytesInList(query.query, false) || (this.#renamed.size > 0 && pushes(query.query.arguments, this.#renamed))) return { query, scope: {}, isWhole: true };
    const { parameterizedQuery, placeholderValues } = parameterizeQuery(query, this.#graph);
    return { query: parameterizedQuery, scope: checked(placeholderValues), isWhole: false };
  }

  // The same of several. Those that become one query find their rows by the values, which parameters have as the database does.
  ofBatch(batch) {
    if (batch.batch.some(({ query }) => hasBytesInList(query, false) || says(query.arguments, this.#renamed))) return { batch, scope: {} };
    const { parameterizedBatch, placeholderValues } = parameterizeBatch(batch, this.#graph);
    return { batch: parameterizedBatch, scope: checked(placeholderValues) };
  }
}
