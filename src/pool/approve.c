/* SPDX-License-Identifier: Apache-2.0 */
#include "approve.h"

#include <stdlib.h>
#include <strings.h>

#include <jansson.h>
#include <pg_query.h>

#include "log.h"
#include "own.h"
#include "traits.h"

enum { TEXT_BYTES_MAX = 16 * 1024, REPLY_BYTES_MAX = 4096 };

/* What a statement may consist of; whatever else Postgres knows is not kept. */
static const char *const nodes[] = {
    "SelectStmt",   "ResTarget",      "ColumnRef",     "String",         "Integer",
    "Float",        "Boolean",        "A_Star",        "A_Const",        "A_Expr",
    "BoolExpr",     "NullTest",       "BooleanTest",   "TypeCast",       "FuncCall",
    "SubLink",      "RangeVar",       "JoinExpr",      "RangeSubselect", "RangeFunction",
    "CaseExpr",     "CaseWhen",       "CoalesceExpr",  "MinMaxExpr",     "SortBy",
    "ParamRef",     "A_ArrayExpr",    "A_Indirection", "A_Indices",      "List",
    "RowExpr",      "WindowDef",      "GroupingSet",   "GroupingFunc",   "CollateClause",
    "NamedArgExpr", "CommonTableExpr"};

/* $1: names that the text has, by kind: functions, operators, relations and types that it names;
 * "common" are those of WITH, "fields" what stands after a dot, which may be a function of what
 * stands before it: of a row, or with "scalars" of anything; "read" are types that something is
 * turned into that no constant is. Stable functions that depend on nothing but their arguments and
 * on parameters that are part of a result's key count as immutable; a type that times are read
 * into, from a text that may say 'now', does not. */
static const char question_sql[] =
    "WITH RECURSIVE names(kind, name) AS (SELECT e.key, n.name FROM "
    "pg_catalog.json_each($1::pg_catalog.json) e, "
    "pg_catalog.json_array_elements_text(e.value) n(name)), "
    "harmless(name) AS (SELECT pg_catalog.unnest('{json_agg,jsonb_agg,json_object_agg,"
    "jsonb_object_agg,json_build_object,jsonb_build_object,json_build_array,jsonb_build_array,"
    "to_json,to_jsonb,row_to_json,array_to_json,concat,concat_ws,format,array_to_string,string_agg,"
    "array_agg,to_char,date_trunc,date_part,extract}'::pg_catalog.text[])), "
    /* An aggregate is as its parts are: what the catalog says of itself is always 'i'. */
    "moving(oid) AS (SELECT p.oid FROM pg_catalog.pg_proc p LEFT JOIN pg_catalog.pg_aggregate a ON "
    "a.aggfnoid = p.oid WHERE (p.provolatile <> 'i' OR EXISTS (SELECT FROM pg_catalog.pg_proc f "
    "WHERE f.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggmtransfn, a.aggminvtransfn, "
    "a.aggmfinalfn) AND f.provolatile <> 'i')) AND NOT "
    "(p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND p.provolatile <> 'v' AND "
    "p.proname IN (SELECT name FROM harmless))), "
    "rels(oid) AS (SELECT c.oid FROM pg_catalog.pg_class c JOIN names n ON n.name = c.relname "
    "WHERE n.kind = 'relations' AND c.relkind NOT IN ('i', 'I', 't') UNION "
    "SELECT d.refobjid FROM rels JOIN pg_catalog.pg_rewrite r ON r.ev_class = rels.oid JOIN "
    "pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND "
    "d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass), "
    "rules(text) AS (SELECT r.ev_action::pg_catalog.text FROM rels JOIN pg_catalog.pg_rewrite r ON "
    "r.ev_class = rels.oid), "
    /* … and what arrays and domains are made of. */
    "types(kind, oid) AS (SELECT n.kind, t.oid FROM pg_catalog.pg_type t JOIN names n ON n.name = "
    "t.typname WHERE n.kind IN ('types', 'read') UNION "
    "SELECT 'read', m[1]::pg_catalog.oid FROM rules, pg_catalog.regexp_matches(text, "
    "':resulttype ([0-9]+)', 'g') m WHERE text ~ 'COERCEVIAIO' UNION "
    "SELECT types.kind, part.oid FROM types JOIN pg_catalog.pg_type t ON t.oid = types.oid, "
    "LATERAL (VALUES (t.typelem), (t.typbasetype)) part(oid) WHERE part.oid <> 0) "
    "SELECT NOT EXISTS (SELECT FROM names n WHERE n.kind = 'functions' AND (n.name NOT IN (SELECT "
    "proname::pg_catalog.text FROM pg_catalog.pg_proc) OR n.name IN (SELECT "
    "p.proname::pg_catalog.text FROM pg_catalog.pg_proc p JOIN moving ON moving.oid = p.oid))) "
    "AND NOT EXISTS (SELECT FROM names n JOIN pg_catalog.pg_proc p ON p.proname = n.name JOIN "
    "pg_catalog.pg_type t ON t.oid = p.proargtypes[0] WHERE n.kind = 'fields' AND "
    "1 BETWEEN p.pronargs - p.pronargdefaults AND p.pronargs AND (t.typtype NOT IN "
    "('b', 'e', 'r', 'm') OR EXISTS (SELECT FROM names WHERE kind = 'scalars')) AND "
    "p.oid IN (SELECT oid FROM moving)) "
    "AND NOT EXISTS (SELECT FROM names n JOIN pg_catalog.pg_operator o ON o.oprname = n.name JOIN "
    "pg_catalog.pg_proc f ON f.oid = o.oprcode WHERE n.kind = 'operators' AND (f.provolatile = 'v' "
    "OR f.provolatile = 's' AND o.oprnamespace <> 'pg_catalog'::pg_catalog.regnamespace)) "
    "AND NOT EXISTS (SELECT FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_proc f ON f.oid = "
    "c.castfunc WHERE (c.castcontext = 'i' OR c.casttarget IN (SELECT oid FROM types)) AND "
    "(f.provolatile = 'v' OR f.provolatile = 's' AND f.pronamespace <> "
    "'pg_catalog'::pg_catalog.regnamespace)) "
    "AND NOT EXISTS (SELECT FROM types JOIN pg_catalog.pg_type t ON t.oid = types.oid WHERE "
    "types.kind = 'read' AND (t.typcategory = 'D' OR t.typtype IN ('c', 'r', 'm'))) "
    "AND NOT EXISTS (SELECT FROM names n WHERE n.kind = 'relations' AND n.name NOT IN (SELECT name "
    "FROM names WHERE kind = 'common') AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE "
    "c.relname = n.name AND c.relkind IN ('r', 'p', 'm', 'v', 'f'))) "
    "AND NOT EXISTS (SELECT FROM rels JOIN pg_catalog.pg_class c ON c.oid = rels.oid WHERE "
    "c.relkind NOT IN ('r', 'p', 'm', 'v', 'f') OR c.relrowsecurity OR c.relnamespace IN (SELECT "
    "n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname IN ('pg_catalog', "
    "'information_schema'))) "
    "AND NOT EXISTS (SELECT FROM rules WHERE text ~ "
    "'SQLVALUEFUNCTION|NEXTVALUEEXPR|TABLESAMPLECLAUSE') "
    "AND NOT EXISTS (SELECT FROM rules, pg_catalog.regexp_matches(text, "
    "':(?:funcid|aggfnoid|winfnoid|opfuncid) ([0-9]+)', 'g') m WHERE "
    "m[1]::pg_catalog.oid IN (SELECT oid FROM moving))";

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Within an array or a range, too; whatever is no letter ends a word. */
bool approve_moves(struct slice text)
{
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};
    for (size_t at = 0; at < text.len; at++) {
        if (!is_letter(text.ptr[at]) || (at > 0 && is_letter(text.ptr[at - 1])))
            continue;
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
            size_t end = at + strlen(words[i]);
            if (end <= text.len && (end == text.len || !is_letter(text.ptr[end])) &&
                strncasecmp(text.ptr + at, words[i], end - at) == 0)
                return true;
        }
    }
    return false;
}

/* ---- the text ---- */

static bool is_allowed(const char *node)
{
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
        if (strcmp(nodes[i], node) == 0)
            return true;
    return false;
}

/* found: names by kind, as question_sql takes them. */
static void add(json_t *found, const char *kind, const char *name)
{
    json_t *names = json_object_get(found, kind);
    if (!names)
        (void)json_object_set_new(found, kind, names = json_array());
    (void)json_array_append_new(names, json_string(name));
}

static const char *string_at(const json_t *list, size_t i)
{
    const json_t *string = json_object_get(json_array_get(list, i), "String");
    return json_string_value(json_object_get(string, "sval"));
}

/* The last of a list of strings: the name without its schema. */
static void add_last(json_t *found, const char *kind, const json_t *list)
{
    const char *name = string_at(list, json_array_size(list) - 1);
    if (name)
        add(found, kind, name);
}

static void add_fields(json_t *found, const json_t *list, size_t first, bool of_anything)
{
    for (size_t i = first; i < json_array_size(list); i++)
        if (string_at(list, i)) {
            add(found, "fields", string_at(list, i));
            if (of_anything)
                add(found, "scalars", "");
        }
}

/* Of constants and parameters alone, whose texts are looked at. */
static bool is_constant(const json_t *node)
{
    const json_t *cast = json_object_get(node, "TypeCast"), *element;
    const json_t *array = json_object_get(node, "A_ArrayExpr");
    size_t i;
    json_array_foreach(json_object_get(array, "elements"), i, element)
    {
        if (!is_constant(element))
            return false;
    }
    return cast ? is_constant(json_object_get(cast, "arg"))
                : array || json_object_get(node, "A_Const") || json_object_get(node, "ParamRef");
}

static void note_cast(const json_t *cast, json_t *found)
{
    const json_t *names = json_object_get(json_object_get(cast, "typeName"), "names");
    add_last(found, "types", names);
    if (!is_constant(json_object_get(cast, "arg")))
        add_last(found, "read", names);
}

/* One with one argument may be a cast. */
static void note_call(const json_t *call, json_t *found)
{
    const json_t *name = json_object_get(call, "funcname"), *args = json_object_get(call, "args");
    add_last(found, "functions", name);
    if (json_array_size(args) == 1 && !is_constant(json_array_get(args, 0)))
        add_last(found, "read", name);
}

static bool note(const char *node, const json_t *value, json_t *found)
{
    const char *constant =
        json_string_value(json_object_get(json_object_get(value, "sval"), "sval"));
    if (strcmp(node, "FuncCall") == 0)
        note_call(value, found);
    else if (strcmp(node, "TypeCast") == 0)
        note_cast(value, found);
    else if (strcmp(node, "ColumnRef") == 0)
        add_fields(found, json_object_get(value, "fields"), 1, false);
    else if (strcmp(node, "A_Indirection") == 0)
        add_fields(found, json_object_get(value, "indirection"), 0, true);
    else if (strcmp(node, "RangeFunction") == 0)
        add(found, "scalars", "");
    else if (strcmp(node, "A_Expr") == 0)
        add_last(found, "operators", json_object_get(value, "name"));
    else if (strcmp(node, "SubLink") == 0)
        add_last(found, "operators", json_object_get(value, "operName"));
    else if (strcmp(node, "RangeVar") == 0)
        add(found, "relations", json_string_value(json_object_get(value, "relname")));
    else if (strcmp(node, "CommonTableExpr") == 0)
        add(found, "common", json_string_value(json_object_get(value, "ctename")));
    else if (strcmp(node, "A_Const") == 0 && constant)
        return !approve_moves(slice_of(constant));
    return is_allowed(node);
}

/* Node types begin with a capital letter, their fields do not. */
static bool look(json_t *value, json_t *found)
{
    const char *key;
    json_t *inner;
    size_t i;
    json_array_foreach(value, i, inner) if (!look(inner, found)) return false;
    json_object_foreach(value, key, inner)
    {
        bool node = key[0] >= 'A' && key[0] <= 'Z';
        if ((node && !note(key, inner, found)) || strcmp(key, "intoClause") == 0 ||
            strcmp(key, "lockingClause") == 0 || !look(inner, found))
            return false;
    }
    return true;
}

/* What the catalog is to be asked, malloc'ed; NULL: it is not needed, the result is not to be kept.
 */
static char *names_in(const char *text)
{
    /* Operators that are meant without being named: by IN, USING, CASE and BETWEEN. */
    json_t *found = json_pack("{s:[s, s, s]}", "operators", "=", ">=", "<=");
    PgQueryParseResult parsed = pg_query_parse(text);
    json_t *root = parsed.error ? NULL : json_loads(parsed.parse_tree, 0, NULL);
    json_t *statements = json_object_get(root, "stmts");
    json_t *only = json_array_size(statements) == 1
                       ? json_object_get(json_array_get(statements, 0), "stmt")
                       : NULL;
    bool is_query = json_object_get(only, "SelectStmt") && look(only, found);
    char *names = is_query ? json_dumps(found, JSON_COMPACT) : NULL;
    json_decref(root);
    json_decref(found);
    pg_query_free_parse_result(parsed);
    return names;
}

/* ---- the catalog ---- */

struct question {
    struct pool *pool;
    struct statement *statement;
};

static void answered(void *context, struct slice replies, const char *problem)
{
    struct question *question = context;
    struct slice body;
    char type;
    bool yes = false;
    while (own_next(&replies, &type, &body)) {
        struct slice value = type == 'D' ? own_column(body, 0) : (struct slice){NULL, 0};
        struct slice text = type == 'E' ? own_error_text(body) : (struct slice){NULL, 0};
        yes = yes || slice_equal(value, SLICE("t"));
        if (text.ptr)
            log_warn("database %s: cannot find out what may be cached: %.*s",
                     question->pool->database_name, (int)text.len, text.ptr);
    }
    question->statement->approval = yes && !problem ? APPROVAL_YES : APPROVAL_NO;
    question->pool->questions--;
    statement_release(&question->statement);
    free(question);
}

static void ask(struct pool *pool, struct statement *statement)
{
    AUTO_BUFFER batch = {0};
    AUTO_TEXT names = names_in(statement_text(statement).ptr);
    statement->approval_generation = pool->generation;
    if (!names) {
        statement->approval = APPROVAL_NO;
        return;
    }
    struct question *question = xcalloc(1, sizeof(*question));
    *question = (struct question){pool, statement_hold(statement)};
    statement->approval = APPROVAL_PENDING;
    pool->questions++;
    own_compose(&batch, question_sql, names);
    own_ask(pool->database_name, pool->user, "pg_catalog", NULL, &batch, REPLY_BYTES_MAX, answered,
            question);
}

bool approve(struct pool *pool, struct statement *statement)
{
    bool known = statement->approval != APPROVAL_UNKNOWN &&
                 (statement->approval == APPROVAL_PENDING ||
                  statement->approval_generation == pool->generation);
    if (!(statement->traits & TRAIT_READ) || (statement->traits & TRAITS_SESSION) ||
        statement->body_bytes > TEXT_BYTES_MAX)
        return false;
    if (!known)
        ask(pool, statement);
    return statement->approval == APPROVAL_YES;
}
