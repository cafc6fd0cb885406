// SPDX-License-Identifier: Apache-2.0
// What clients may not do to those who share an instance with them: to write with a key that may only read, to change what all
// objects inherit, to send plans that never end.
import { Refusal, invalidRequest } from "./errors.js";
import { LeastRecent } from "./least-recent.js";

// ---- statements: each look takes a time that grows with the text, and no more ----

// Where a comment ends whose /* is there: they nest.
function afterComment(sql, at) {
  const marks = /\/\*|\*\//g;
  marks.lastIndex = at;
  let depth = 0;
  for (let mark; (mark = marks.exec(sql)) !== null; ) {
    depth += mark[0] === "/*" ? 1 : -1;
    if (depth === 0) return marks.lastIndex;
  }
  return sql.length;
}

// The first word of a statement, in lower case: behind blanks, parentheses, comments, and statements that are none. "": there is nothing besides;
// undefined: it is no word.
function firstWord(sql) {
  const blank = /[\s(;]+|--[^\n\r]*|\/\*/y, word = /[a-z]*/iy;
  for (let found; (found = blank.exec(sql)) !== null; ) {
    if (found[0] === "/*") blank.lastIndex = afterComment(sql, found.index);
    word.lastIndex = blank.lastIndex;
  }
  const [found] = word.exec(sql);
  return found === "" && word.lastIndex < sql.length ? undefined : found.toLowerCase();
}

// What stands before a parenthesis and leaves nothing in a session: keywords, types, and Postgres's own functions that programs use.
const CALLED = new Set(
  `all and any array as asymmetric at between both by case cast check coalesce conflict cube default distinct do else end escape except exists extract filter
  first for from group grouping having ilike in intersect interval is join key lateral leading least like limit materialized not nothing nullif offset on only or
  order over overlaps overlay partition percent placing position range recursive returning rollup row rows select set sets similar some substring symmetric
  table tablesample then ties to trailing treat trim union unique update using values when where window with within zone
  bit bpchar char character dec decimal float numeric precision real time timestamp timestamptz timetz varbit varchar varying vector
  avg bit_and bit_or bool_and bool_or corr count every max min mode percentile_cont percentile_disc range_agg regr_slope stddev stddev_pop stddev_samp sum
  var_pop var_samp variance array_agg string_agg json_agg jsonb_agg json_object_agg jsonb_object_agg
  cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
  abs cbrt ceil ceiling degrees div exp factorial floor gcd greatest lcm ln log log10 mod pi power radians random round scale sign sqrt trunc width_bucket
  acos asin atan atan2 cos cot sin tan
  ascii bit_length btrim char_length character_length chr concat concat_ws convert_from convert_to decode encode format gen_random_bytes gen_random_uuid
  initcap left length lower lpad ltrim md5 normalize octet_length parse_ident quote_ident quote_literal quote_nullable regexp_count regexp_instr regexp_like
  regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr repeat replace reverse right rpad rtrim sha224 sha256
  sha384 sha512 similarity split_part starts_with strpos substr to_hex translate unaccent upper uuid_generate_v4 word_similarity
  age clock_timestamp current_date current_time current_timestamp date date_bin date_part date_trunc isfinite justify_days justify_hours justify_interval
  localtime localtimestamp make_date make_interval make_time make_timestamp make_timestamptz now statement_timestamp timeofday timezone to_char to_date
  to_number to_timestamp transaction_timestamp
  array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position array_positions array_prepend array_remove array_replace
  array_to_json array_to_string array_upper cardinality generate_series generate_subscripts string_to_array string_to_table trim_array unnest
  json_array_elements json_array_elements_text json_array_length json_build_array json_build_object json_each json_each_text json_extract_path
  json_extract_path_text json_object json_object_keys json_populate_record json_populate_recordset json_strip_nulls json_to_record json_to_recordset
  json_typeof jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text
  jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query
  jsonb_path_query_array jsonb_path_query_first jsonb_populate_record jsonb_populate_recordset jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls
  jsonb_to_record jsonb_to_recordset jsonb_typeof row_to_json to_json to_jsonb
  isempty lower_inc lower_inf upper_inc upper_inf int4range int8range numrange daterange tsrange tstzrange
  array_to_tsvector numnode phraseto_tsquery plainto_tsquery querytree setweight strip to_tsquery to_tsvector ts_headline ts_rank ts_rank_cd
  websearch_to_tsquery
  currval nextval setval pg_advisory_xact_lock pg_try_advisory_xact_lock pg_sleep
  current_catalog current_database current_schema current_schemas current_setting current_user format_type has_column_privilege has_schema_privilege
  has_table_privilege inet_server_addr inet_server_port obj_description col_description pg_backend_pid pg_column_size pg_database_size pg_get_constraintdef
  pg_get_expr pg_get_functiondef pg_get_indexdef pg_get_serial_sequence pg_get_viewdef pg_indexes_size pg_relation_size pg_size_pretty pg_table_is_visible
  pg_table_size pg_total_relation_size pg_typeof session_user to_regclass to_regtype version`.split(/\s+/),
);
const NAME_LENGTH_MAX = 63; // Postgres's

const isBlank = (code) => code === 32 || (code >= 9 && code <= 13);
const isOfWord = (code) => code > 127 || (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (code >= 48 && code <= 57) || code === 95 || code === 36;

function beforeBlanks(sql, at) {
  while (at > 0 && isBlank(sql.charCodeAt(at - 1))) at--;
  return at;
}

function afterBlanks(sql, at) {
  while (isBlank(sql.charCodeAt(at))) at++;
  return at;
}

const OF_POSTGRES = /(?<![\w$".])(?:pg_catalog|"pg_catalog")\s*\.\s*$/i;

// Does the name that ends here, with parentheses behind it, call what is not known to be harmless? A table's or alias's columns call nothing.
function callsUnknown(sql, end) {
  const isQuoted = sql[end - 1] === '"';
  let begin = end;
  if (isQuoted) begin = Math.max(0, sql.lastIndexOf('"', end - 2));
  else while (begin > 0 && isOfWord(sql.charCodeAt(begin - 1))) begin--;
  if (begin === end) return sql.endsWith("*/", end); // a comment may stand between
  const name = isQuoted ? sql.slice(begin + 1, end - 1) : sql.slice(begin, end).toLowerCase();
  const before = sql.slice(Math.max(0, begin - 3 * NAME_LENGTH_MAX), begin);
  // A comment may hide a point, and a name with quotes in it looks as if it were two.
  const behind = beforeBlanks(sql, begin);
  const isOther = sql.endsWith("*/", behind) || (isQuoted && sql[begin - 1] === '"') || (sql[behind - 1] === "." && !OF_POSTGRES.test(before));
  if (CALLED.has(name) && !isOther) return false;
  return !/\b(?:into|as|with|recursive)\s+(?:(?:[\w$]+|"[^"]*")\s*\.\s*)?$/i.test(before);
}

function mayCallUnknown(sql) {
  if (sql.includes("--")) return sql.includes("("); // a comment may stand anywhere
  for (let at = sql.indexOf("("); at !== -1; at = sql.indexOf("(", at + 1)) {
    if (callsUnknown(sql, beforeBlanks(sql, at))) return true;
  }
  return false;
}

// Functions that reach beyond their transaction, which is rolled back: other sessions, locks of the session, the server and its files, WAL.
// And those that run a text: what that does can not be seen.
const REACHING = new RegExp(
  `\\b(?:pg_(?:${[
    "(?:try_)?advisory_lock", "(?:terminate|cancel)_backend", "log_backend", "reload_conf", "rotate_logfile", "promote", "switch_wal", "create_restore_point",
    "(?:start_|stop_)?backup", "wal_replay_", "logical_", "replication_", "(?:create|copy|drop)_(?:physical_|logical_)?replication_slot", "sync_replication_slots",
    "stat_reset", "stat_statements_reset", "read_", "file_", "ls_", "stat_file", "prewarm", "autoprewarm", "buffercache_evict", "import_system_collations", "notify",
  ].join("|")})|lo_(?:import|export)\\b|(?:query|cursor|table|schema|database)_to_xml|ts_(?:stat|rewrite)\\b|xpath_table|crosstab|connectby|dblink)\\w*`,
  "gi",
);
const HIDDEN = /\bu&["']/i; // a name that is spelled in another way
// Those of one argument, which can be called as a field of that: (1).f, $1.f, t.f.
const AS_FIELD = /^(?:pg_\w+|lo_import|ts_stat|crosstab(?:\d+|_\w+)?|dblink(?:_(?:connect|connect_u|disconnect|exec|close|cancel_query|is_busy|error_message|get_\w+))?)$/i;

// Is one of them called? Where a comment is beside the name it may be.
function callsReaching(sql) {
  const hasLineComment = sql.includes("--");
  for (const { 0: name, index } of sql.matchAll(REACHING)) {
    const end = index + name.length, behind = afterBlanks(sql, sql[end] === '"' ? end + 1 : end);
    if (sql[behind] === "(" || sql.startsWith("/*", behind) || sql.startsWith("--", behind)) return true;
    const begin = sql[index - 1] === '"' ? index - 1 : index, before = beforeBlanks(sql, begin);
    const isBehindComment = sql.endsWith("*/", before) || (hasLineComment && /[\n\r]/.test(sql.slice(before, begin)));
    if ((sql[before - 1] === "." || isBehindComment) && AS_FIELD.test(name)) return true;
  }
  return false;
}

const READING = new Set(["select", "with", "values", "table", "show", "explain"]);
const HARMLESS = new Set([...READING, "insert", "update", "delete", "merge", "begin", "commit", "rollback", "savepoint", "release", ""]);
// Temporary tables, what has a rule that is set_config(), names that are spelled in another way.
const SETTING = /\bpg_temp\b|\bpg_settings\b|\bu&["']/i;
// Of a statement that reads: SELECT … INTO TEMP, EXPLAIN ANALYZE CREATE TEMP TABLE ….
const isMaking = (sql) => (/\binto\b/i.test(sql) && /\btemp/i.test(sql)) || /\banaly[sz]e\b/i.test(sql);

function mayLeaveState(sql) {
  const word = firstWord(sql);
  if (word === "set") return !/^\s*set\s+(?:transaction|local|constraints)\b/i.test(sql);
  return !HARMLESS.has(word) || (READING.has(word) && isMaking(sql)) || SETTING.test(sql) || mayCallUnknown(sql) || callsReaching(sql);
}

const TEXTS_MAX = 1000, // that were looked at
  TEXT_LENGTH_MAX = 4096; // … of that length at most
const looked = new LeastRecent(TEXTS_MAX);

// May it leave something in its session that other keys' statements would find there? Who calls a function that is not known here may. What
// the database's own views, triggers and operators do is not seen, nor a function of its that is called as a field.
export function leavesState(sql) {
  let may = looked.get(sql);
  if (may === undefined) {
    may = mayLeaveState(sql);
    if (sql.length <= TEXT_LENGTH_MAX) looked.set(sql, may);
  }
  return may;
}

// ---- statements of read-only keys ----

// A read-only transaction can be ended, and begun anew as another: nothing but reading gets there. (The protocol that is used
// takes one statement at a time.)
function checkReading({ sql }) {
  if (!READING.has(firstWord(sql))) throw new Refusal(403, "P6002", "The api key is read only: it may SELECT, SHOW and EXPLAIN.");
  if (HIDDEN.test(sql) || callsReaching(sql)) throw new Refusal(403, "P6002", "The api key is read only: it may call no function that does more than to read.");
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
const NAMES = new Set(["name", "names", "field", "parentField"]);
const OF_FIELDS = new Set(["cursor", "fields"]); // objects by fields' names
const LAZY = new Set(["param", "generatorCall"]); // what the interpreter evaluates, as often as it finds it

// Fields have the names that a user gave them: the interpreter takes a record's own alone (runtime.js).
const isForbiddenAs = (key, item) => (key === "name" || key === "names" ? FORBIDDEN.has(item) : item === "__proto__");
// A list of one name is that name to an object.
const isForbiddenName = (key, item) => (Array.isArray(item) ? item.some((one) => isForbiddenName(key, one)) : isForbiddenAs(key, item));

// A node of a plan that a client made which is older than the interpreter (7.0 to 7.3), as that has it.
function bringUpToDate(node) {
  if (node.type === "parameterTuple") Object.assign(node, { itemPrefix: "", itemSeparator: ",", itemSuffix: "", ...node });
  if (node.error_identifier !== undefined) node.errorIdentifier ??= node.error_identifier;
}

// An enum has the values that it names, and nothing that all objects inherit.
function keepOwn(enums = {}) {
  for (const one of [enums, ...Object.values(enums ?? {})]) {
    if (typeof one !== "object" || one === null) throw invalidRequest("An enum of the plan is no object.");
    Object.setPrototypeOf(one, null);
  }
}

// What is looked at. Results have the names that a user gave fields and an enum's values, and are written into objects of their own.
const PLAN = 0, DATA_MAP = 1, RESULT = 2, SCOPE = 3;

function partOf(whole, { type }, key) {
  if (whole === PLAN && key === "args" && type === "dataMap") return DATA_MAP;
  if (whole === PLAN && OF_FIELDS.has(key)) return RESULT;
  return whole === DATA_MAP ? (key === "structure" || key === "enums" ? RESULT : PLAN) : whole;
}

// Values, of a scope or in a plan, are anybody's texts.
const isForbidden = (key, item, part) => part !== SCOPE && (part !== RESULT && NAMES.has(key) ? isForbiddenName(key, item) : item === "__proto__");

function check(value, part) {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const item of value) check(item, part);
    return;
  }
  if (part === DATA_MAP) keepOwn(value.enums);
  for (const key of Object.keys(value)) {
    const item = value[key];
    if ((part === RESULT ? key === "__proto__" : FORBIDDEN.has(key)) || isForbidden(key, item, part)) throw invalidRequest(`The plan has a field that no plan has: ${key}.`);
    if (part === SCOPE && key === "prisma__type" && LAZY.has(item)) throw invalidRequest("A parameter's value is a parameter.");
    check(item, partOf(part, value, key));
  }
  if (part === PLAN) bringUpToDate(value);
}

// plan, params: of a client (7), which compiles for itself. What older ones name otherwise is set in the plan.
export function checkPlan(plan, params) {
  check(plan, PLAN);
  check(params, SCOPE);
}

// Its properties are nobody's to write; what inherits it may have its own, as if they were.
function keepInherited(prototype) {
  for (const [key, { value, enumerable }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (value === undefined) continue; // __proto__
    const set = function (own) {
      if (this === prototype) throw new TypeError(`${key} is what all objects inherit.`);
      Object.defineProperty(this, key, { value: own, writable: true, enumerable: true, configurable: true });
    };
    Object.defineProperty(prototype, key, { get: () => value, set, enumerable, configurable: false });
  }
}

function freezeMethods(prototype) {
  for (const [key, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype)))
    if (typeof value === "function" && key !== "constructor") Object.freeze(value);
}

// From now on nobody adds to what all objects inherit, nor changes what everybody calls.
export function harden() {
  for (const { prototype } of [Object, Array, Function, String, Number, Boolean, Promise, Map, Set, Date, RegExp, Error]) Object.preventExtensions(prototype);
  for (const { prototype } of [Object, Array, Function, String, Number, Boolean, Date, Object.getPrototypeOf(Uint8Array), Buffer]) freezeMethods(prototype); // of values
  keepInherited(Object.prototype);
  for (const shared of [Object, Array, Function, String, Number, Promise, Map, Set, Date, JSON, Math, Reflect]) Object.freeze(shared);
}
