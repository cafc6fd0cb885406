// SPDX-License-Identifier: Apache-2.0
// Relations that are joined: Postgres makes JSON of their rows, where a Decimal is a number, which every parser of JSON rounds, and a list
// of BigInt one text, which Prisma's runtime takes for no list. In a plan's statements these become texts and lists of texts, which it reads well.

const EFFORT_MAX = 100000; // a client's own plan (7) may have anything

// Of a field, in the place of what the compiler has written there. NONE: it needs none, and would be read as a text, too.
const NUMBER = "::numeric::text", NONE = "";
function castOf({ type, arity }) {
  if (arity === "list") return type === "decimal" ? "::numeric[]::text[]" : type === "bigint" ? "::text[]" : undefined;
  return type === "decimal" ? NUMBER : type === "object" || type === "json" || type === "unsupported" ? undefined : NONE;
}

// Of a field that may be any of these.
function castOfAll(casts) {
  if (casts.size === 2 && casts.has(NUMBER) && casts.has(NONE)) return "::text";
  const [cast] = casts;
  return casts.size === 1 && cast !== undefined ? cast : NONE;
}

// The objects in a result: {columns: a column's name => its cast, or undefined, relations: names}.
function objectsOf({ fields }) {
  const columns = new Map(), relations = new Set(), objects = [{ columns, relations }];
  for (const node of Object.values(fields)) {
    if (node.type === "field") columns.set(node.dbName, castOf(node.fieldType));
    else if (node.type === "object") objects.push(...objectsOf(node));
    if (node.type === "object" && node.serializedName !== COUNTS) relations.add(node.serializedName);
  }
  return objects;
}

// What the compiler writes: 'key', "t1"."column" of columns, 'key', "Alias"."__prisma_data__" of relations, '_count' after them. The names are
// Postgres's, of 63 characters.
const COUNTS = "_count", RELATION = "__prisma_data__";
const PAIR = /'((?:[^']|''){1,126})', ("(?:[^"]|""){1,126}"\."((?:[^"]|""){1,126})")(?:::text)?/g;
const CALL = new RegExp(`JSONB_BUILD_OBJECT\\((?:${PAIR.source}(?:, )?)+`, "g");
const nameOf = (key) => key.replaceAll("''", "'");

// Is it that one's text? Beside relations there may be columns that nobody asked for, by which they are found.
function fits({ columns, relations }, keys, related) {
  if (related.size !== relations.size || keys.size < columns.size || (related.size === 0 && keys.size > columns.size)) return false;
  return [...relations].every((name) => related.has(name)) && [...columns.keys()].every((name) => keys.has(name));
}

// What could be of several objects that do not agree stays as it is. sql: a part of the whole statement.
function withTexts(sql, whole, objects) {
  let left = EFFORT_MAX;
  const spend = (effort) => (left -= effort) >= 0;
  const isNamedAgain = (column) => !spend(whole.length >> 6) || whole.indexOf(column) !== whole.lastIndexOf(column);
  return sql.replace(CALL, (call) => {
    if (!spend(objects.length)) return call;
    const keys = new Set(), related = new Set();
    for (const [, key, , column] of call.matchAll(PAIR)) (column === RELATION ? related : keys).add(nameOf(key));
    const those = objects.filter((object) => fits(object, keys, related));
    return call.replace(PAIR, (pair, key, reference, column) => {
      if (column === RELATION || !spend(those.length)) return pair;
      const name = nameOf(key), asked = those.filter(({ columns }) => columns.has(name));
      const cast = castOfAll(new Set(asked.map(({ columns }) => columns.get(name))));
      if (cast === NONE || (asked.length < those.length && isNamedAgain(reference))) return pair;
      return pair.replace(/(?:::text)?$/, cast);
    });
  });
}

function rewrite(part, objects) {
  if (typeof part !== "object" || part === null) return;
  if (Array.isArray(part.fragments)) {
    const chunks = part.fragments.filter(({ type }) => type === "stringChunk"), whole = chunks.map(({ chunk }) => chunk).join("");
    if (makesJson(whole)) for (const one of chunks) one.chunk = withTexts(one.chunk, whole, objects);
  } else for (const item of Object.values(part)) rewrite(item, objects);
}

// Does a statement, or a text with statements, have rows of relations that come as JSON?
export const makesJson = (sql) => sql.includes("JSONB_BUILD_OBJECT");

// In place. plan: of the compiler, for one query or several.
export function keepDigits(plan) {
  if (typeof plan !== "object" || plan === null) return plan;
  const { structure, expr } = plan.type === "dataMap" ? plan.args : {};
  if (structure?.type === "object") {
    const objects = objectsOf(structure).slice(1); // its rows are no JSON
    if (objects.some(({ columns }) => [...columns.values()].some((cast) => cast))) rewrite(expr, objects);
  } else for (const item of Object.values(plan)) keepDigits(item);
  return plan;
}
