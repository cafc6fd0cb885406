// SPDX-License-Identifier: Apache-2.0
// Relations that are joined: Postgres makes JSON of their rows, where a Decimal is a number, which every parser of JSON rounds, and a list
// of BigInt one text, which Prisma's runtime takes for no list. In a plan's statements these become texts and lists of texts, which it reads well.

const EFFORT_MAX = 500000; // of one plan: a client's own (7) may have anything

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

// The objects in a result: {columns: a column's name => its cast, or undefined, relations: names}. They are added to a list.
function addObjects({ fields }, objects) {
  const columns = new Map(), relations = new Set();
  objects.push({ columns, relations });
  for (const node of Object.values(fields)) {
    if (node.type === "field") columns.set(node.dbName, castOf(node.fieldType));
    else if (node.type === "object") addObjects(node, objects);
    if (node.type === "object" && node.serializedName !== COUNTS) relations.add(node.serializedName);
  }
}

// By the name of a column or a relation: those that have it.
function byNames(objects) {
  const all = new Map();
  for (const object of objects)
    for (const name of new Set([...object.columns.keys(), ...object.relations])) {
      if (!all.has(name)) all.set(name, []);
      all.get(name).push(object);
    }
  return all;
}

// What the compiler writes: 'key', "t1"."column" of columns, 'key', "Alias"."__prisma_data__" of relations, '_count' after them. The names are
// Postgres's, of 63 characters.
const COUNTS = "_count", RELATION = "__prisma_data__";
const PAIR = /'((?:[^']|''){1,126})', ("(?:[^"]|""){1,126}"\."((?:[^"]|""){1,126})")(?:::text)?/g;
const CALL = new RegExp(`JSONB_BUILD_OBJECT\\((?:${PAIR.source}(?:, )?)+`, "g");
const nameOf = (key) => key.replaceAll("''", "'");

// Is it that one's text? Beside relations there may be columns that nobody asked for, by which they are found.
function fits({ columns, relations }, keys, related, spend) {
  if (related.size !== relations.size || keys.size < columns.size || (related.size === 0 && keys.size > columns.size)) return false;
  if (!spend(columns.size + relations.size)) return false;
  return [...relations].every((name) => related.has(name)) && [...columns.keys()].every((name) => keys.has(name));
}

// What could be of several objects that do not agree stays as it is. sql: a part of the whole statement; spend(effort): is there that much left?
function withTexts(sql, whole, objects, spend) {
  const isNamedAgain = (column) => !spend(whole.length >> 6) || whole.indexOf(column) !== whole.lastIndexOf(column);
  return sql.replace(CALL, (call) => {
    const keys = new Set(), related = new Set();
    for (const [, key, , column] of call.matchAll(PAIR)) (column === RELATION ? related : keys).add(nameOf(key));
    const [first] = related.size > 0 ? related : keys, near = objects.get(first) ?? []; // who fits has that one
    if (!spend(near.length)) return call;
    const those = near.filter((object) => fits(object, keys, related, spend));
    if (!spend(0)) return call; // there may be others
    return call.replace(PAIR, (pair, key, reference, column) => {
      if (column === RELATION || !spend(those.length)) return pair;
      const name = nameOf(key), asked = those.filter(({ columns }) => columns.has(name));
      const cast = castOfAll(new Set(asked.map(({ columns }) => columns.get(name))));
      if (cast === NONE || (asked.length < those.length && isNamedAgain(reference))) return pair;
      return pair.replace(/(?:::text)?$/, cast);
    });
  });
}

function rewrite(part, objects, spend) {
  if (typeof part !== "object" || part === null) return;
  if (Array.isArray(part.fragments)) {
    const chunks = part.fragments.filter(({ type }) => type === "stringChunk"), whole = chunks.map(({ chunk }) => chunk).join("");
    if (makesJson(whole)) for (const one of chunks) one.chunk = withTexts(one.chunk, whole, objects, spend);
  } else for (const item of Object.values(part)) rewrite(item, objects, spend);
}

// Does a statement, or a text with statements, have rows of relations that come as JSON?
export const makesJson = (sql) => sql.includes("JSONB_BUILD_OBJECT");

function keepDigitsOf(plan, spend) {
  if (typeof plan !== "object" || plan === null) return;
  const { structure, expr } = plan.type === "dataMap" ? plan.args : {};
  if (structure?.type === "object") {
    const all = [];
    addObjects(structure, all);
    const objects = all.slice(1); // its rows are no JSON
    if (objects.some(({ columns }) => [...columns.values()].some((cast) => cast))) rewrite(expr, byNames(objects), spend);
  } else for (const item of Object.values(plan)) keepDigitsOf(item, spend);
}

// In place. plan: of the compiler, for one query or several.
export function keepDigits(plan) {
  let left = EFFORT_MAX;
  keepDigitsOf(plan, (effort) => (left -= effort) >= 0);
  return plan;
}
