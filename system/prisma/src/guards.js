// SPDX-License-Identifier: Apache-2.0
// What clients may not do to those who share an instance with them: to write with a key that may only read, to change what all
// objects inherit, to send plans that never end.
import { Refusal, invalidRequest } from "./errors.js";

// ---- statements of read-only keys ----

const READING = new Set(["select", "with", "values", "table", "show", "explain"]);
const LOCKS = /\bpg_(try_)?advisory_lock/i; // of the session: no transaction's end releases them
// Names that are spelled in another way, and functions that run a text: what they do can not be seen.
const HIDDEN = /\bu&["']|\w*_to_xml|\bts_(stat|rewrite)\b|\bcrosstab|\bconnectby\b|\bdblink/i;

// The first word of a statement, in lower case: behind blanks, parentheses and comments, which nest.
function firstWord(sql) {
  let at = 0;
  for (;;) {
    const rest = sql.slice(at);
    const blank = /^(?:[\s(]+|--[^\n]*(?:\n|$))/.exec(rest);
    if (blank !== null) {
      at += blank[0].length;
    } else if (rest.startsWith("/*")) {
      let depth = 0;
      do {
        if (sql.startsWith("/*", at)) depth++, (at += 2);
        else if (sql.startsWith("*/", at)) depth--, (at += 2);
        else at++;
      } while (depth > 0 && at < sql.length);
    } else {
      return /^[a-z]*/i.exec(rest)[0].toLowerCase();
    }
  }
}

const HARMLESS = new Set([...READING, "insert", "update", "delete", "merge", "begin", "commit", "rollback", "savepoint", "release", ""]);
const SETTING = /\bset_config\b|\bpg_temp\b/i;
// Of a statement that reads: SELECT … INTO TEMP, with comments wherever there may be some; EXPLAIN ANALYZE CREATE TEMP TABLE ….
const MAKING = /\binto\b[^]*\btemp|\banaly[sz]e\b/i;

// May it leave something in its session that other keys' statements would find there?
export function leavesState(sql) {
  const word = firstWord(sql);
  if (word === "set") return !/^\s*set\s+(transaction|local|constraints)\b/i.test(sql);
  return !HARMLESS.has(word) || (READING.has(word) && MAKING.test(sql)) || SETTING.test(sql) || LOCKS.test(sql) || HIDDEN.test(sql);
}

// A read-only transaction can be ended, and begun anew as another: nothing but reading gets there. (The protocol that is used
// takes one statement at a time.)
function checkReading({ sql }) {
  if (READING.has(firstWord(sql)) && !LOCKS.test(sql) && !HIDDEN.test(sql)) return;
  throw new Refusal(403, "P6002", "The api key is read only: it may SELECT, SHOW and EXPLAIN.");
}

// The queryable for a key that may only read.
export function reading(queryable) {
  const checked = (name) => async (query) => {
    checkReading(query);
    return queryable[name](query);
  };
  return { provider: queryable.provider, adapterName: queryable.adapterName, queryRaw: checked("queryRaw"), executeRaw: checked("executeRaw") };
}

// ---- plans ----

const FORBIDDEN = new Set(["__proto__", "constructor", "prototype"]);
const NAMES = new Set(["name", "field", "parentField"]);
const LAZY = new Set(["param", "generatorCall"]); // what the interpreter evaluates, as often as it finds it

function check(value, isScope) {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const item of value) check(item, isScope);
    return;
  }
  for (const key of Object.keys(value)) {
    const item = value[key];
    if (FORBIDDEN.has(key) || item === "__proto__" || (NAMES.has(key) && FORBIDDEN.has(item))) throw invalidRequest(`The plan has a field that no plan has: ${key}.`);
    if (isScope && key === "prisma__type" && LAZY.has(item)) throw invalidRequest("A parameter's value is a parameter.");
    check(item, isScope);
  }
}

// plan, params: of a client (7), which compiles for itself.
export function checkPlan(plan, params) {
  check(plan, false);
  check(params, true);
}

// From now on nobody adds to what all objects inherit, nor changes what everybody calls.
export function harden() {
  for (const { prototype } of [Object, Array, Function, String, Number, Boolean, Promise, Map, Set, Date, RegExp, Error]) Object.preventExtensions(prototype);
  for (const shared of [Object, Array, Function, String, Number, Promise, Map, Set, Date, JSON, Math, Reflect]) Object.freeze(shared);
}
