// SPDX-License-Identifier: Apache-2.0
// What plans are made of, as far as Prisma's interpreter knows it. It says so of the rest when it comes to it, and something may
// have been written before.

// Looks type up, of such a part, in a Map or Set.
function known(kinds, type, what) {
  if (!kinds.has(type)) throw new Error(`Unexpected ${what} type: ${type}`);
}

const RULES = new Set(["rowCountEq", "rowCountNeq", "affectedRowCountEq", "never"]),
  ERRORS = new Set(["RELATION_VIOLATION", "MISSING_RECORD", "MISSING_RELATED_RECORD", "INCOMPLETE_CONNECT_INPUT", "INCOMPLETE_CONNECT_OUTPUT", "RECORDS_NOT_CONNECTED"]),
  INITIALIZERS = new Set(["value", "lastInsertId"]),
  OPERATIONS = new Set(["set", "add", "subtract", "multiply", "divide"]),
  QUERIES = new Set(["rawSql", "templateSql"]),
  FRAGMENTS = new Set(["stringChunk", "parameter", "parameterTuple", "parameterTupleList"]),
  FIELDS = new Set(["unsupported", "string", "int", "bigint", "float", "boolean", "decimal", "datetime", "object", "json", "bytes", "enum"]),
  ENCODINGS = new Set(["base64", "hex", "array"]);

function statement({ type, fragments }) {
  known(QUERIES, type, "query");
  if (type === "templateSql") for (const fragment of fragments) known(FRAGMENTS, fragment.type, "fragment");
}

const RESULTS = new Map(Object.entries({
  affectedRows() {},
  object({ fields }) {
    for (const field of Object.values(fields)) result(field);
  },
  field({ fieldType }) {
    known(FIELDS, fieldType.type, "result");
    if (fieldType.type === "bytes") known(ENCODINGS, fieldType.encoding, "bytes encoding");
  },
}));

function result(structure) {
  known(RESULTS, structure.type, "data mapping node");
  RESULTS.get(structure.type)(structure);
}

const none = () => {}, each = (nodes) => nodes.forEach(checkParts);
const of = (...names) => (args) => each(names.map((name) => args[name]));
const fieldsOf = (kinds, what) => ({ expr, fields }) => {
  checkParts(expr);
  for (const { type } of Object.values(fields)) known(kinds, type, what);
};

const NODES = new Map(Object.entries({
  value: none, get: none, getFirstNonEmpty: none, unit: none,
  seq: each, sum: each, concat: each,
  reverse: checkParts, unique: checkParts, required: checkParts, transaction: checkParts,
  query: statement, execute: statement,
  mapField: of("records"), diff: of("from", "to"), process: of("expr"),
  initializeRecord: fieldsOf(INITIALIZERS, "field initializer"), mapRecord: fieldsOf(OPERATIONS, "field operation"),
  let({ bindings, expr }) {
    for (const binding of bindings) checkParts(binding.expr);
    checkParts(expr);
  },
  join({ parent, children }) {
    checkParts(parent);
    for (const { child } of children) checkParts(child);
  },
  dataMap({ expr, structure }) {
    checkParts(expr);
    result(structure);
  },
  validate({ expr, rules, errorIdentifier }) {
    checkParts(expr);
    for (const { type } of rules) known(RULES, type, "rule");
    if (!ERRORS.has(errorIdentifier)) throw new Error(`Unknown error identifier: ${errorIdentifier}`);
  },
  if(args) {
    known(RULES, args.rule.type, "rule");
    of("value", "then", "else")(args);
  },
}));

// Of a plan, or a node of one. Throws what planError() (errors.js) knows.
export function checkParts({ type, args }) {
  known(NODES, type, "node");
  NODES.get(type)(args);
}
