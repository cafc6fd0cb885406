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

/* $1: names of functions, operators and relations. Stable functions that depend on nothing but
 * their arguments and on parameters that are part of a result's key count as immutable. */
static const char question_sql[] =
    "WITH RECURSIVE w AS (SELECT $1::pg_catalog.json AS w), "
    "harmless(name) AS (SELECT pg_catalog.unnest('{json_agg,jsonb_agg,json_object_agg,"
    "jsonb_object_agg,json_build_object,jsonb_build_object,json_build_array,jsonb_build_array,"
    "to_json,to_jsonb,row_to_json,array_to_json,concat,concat_ws,format,array_to_string,string_agg,"
    "array_agg,to_char,date_trunc,date_part,extract}'::pg_catalog.text[])), "
    "moving(oid) AS (SELECT p.oid FROM pg_catalog.pg_proc p WHERE p.provolatile <> 'i' AND NOT "
    "(p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND p.provolatile = 's' AND p.proname "
    "IN (SELECT name FROM harmless))), "
    "rels(oid) AS (SELECT c.oid FROM pg_catalog.pg_class c, w WHERE c.relname IN (SELECT "
    "pg_catalog.json_array_elements_text(w->'relations')) AND c.relkind NOT IN ('i', 'I', 't') "
    "UNION "
    "SELECT d.refobjid FROM rels JOIN pg_catalog.pg_rewrite r ON r.ev_class = rels.oid JOIN "
    "pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND "
    "d.objid "
    "= r.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass), "
    "rules(text) AS (SELECT r.ev_action::pg_catalog.text FROM rels JOIN pg_catalog.pg_rewrite r ON "
    "r.ev_class = rels.oid) "
    "SELECT NOT EXISTS (SELECT FROM w, pg_catalog.json_array_elements_text(w->'functions') f(name) "
    "WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.proname = f.name) OR EXISTS "
    "(SELECT "
    "FROM pg_catalog.pg_proc p WHERE p.proname = f.name AND p.oid IN (SELECT oid FROM moving))) "
    "AND NOT EXISTS (SELECT FROM w, pg_catalog.json_array_elements_text(w->'operators') o(name) "
    "JOIN "
    "pg_catalog.pg_operator p ON p.oprname = o.name JOIN pg_catalog.pg_proc f ON f.oid = p.oprcode "
    "WHERE f.provolatile = 'v') "
    "AND NOT EXISTS (SELECT FROM w, pg_catalog.json_array_elements_text(w->'relations') r(name) "
    "WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relname = r.name AND c.relkind IN "
    "('r', 'p', 'm', 'v', 'f'))) "
    "AND NOT EXISTS (SELECT FROM rels JOIN pg_catalog.pg_class c ON c.oid = rels.oid WHERE "
    "c.relkind NOT IN ('r', 'p', 'm', 'v', 'f') OR c.relrowsecurity OR c.relnamespace IN (SELECT "
    "n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname IN ('pg_catalog', "
    "'information_schema'))) "
    "AND NOT EXISTS (SELECT FROM rules WHERE text ~ 'SQLVALUEFUNCTION|NEXTVALUEEXPR') "
    "AND NOT EXISTS (SELECT FROM rules, pg_catalog.regexp_matches(text, "
    "':(?:funcid|aggfnoid|winfnoid|opfuncid) ([0-9]+)', 'g') m WHERE "
    "m[1]::pg_catalog.oid IN (SELECT oid FROM moving))";

bool approve_moves(struct slice text)
{
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};
    while (text.len > 0 && strchr(" \t\r\n\f\v", text.ptr[0]))
        text.ptr++, text.len--;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (text.len >= strlen(words[i]) && strncasecmp(text.ptr, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

/* ---- the text ---- */

struct names_found {
    json_t *functions, *operators, *relations, *common; /* common: of WITH */
};

static bool is_allowed(const char *node)
{
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
        if (strcmp(nodes[i], node) == 0)
            return true;
    return false;
}

/* The last of a list of strings: the name without its schema. */
static void add_last(json_t *names, const json_t *list)
{
    const json_t *last = json_array_get(list, json_array_size(list) - 1);
    const json_t *name = json_object_get(json_object_get(last, "String"), "sval");
    if (json_is_string(name))
        (void)json_array_append_new(names, json_string(json_string_value(name)));
}

static bool note(const char *node, const json_t *value, const struct names_found *found)
{
    const char *constant =
        json_string_value(json_object_get(json_object_get(value, "sval"), "sval"));
    if (strcmp(node, "FuncCall") == 0)
        add_last(found->functions, json_object_get(value, "funcname"));
    else if (strcmp(node, "A_Expr") == 0)
        add_last(found->operators, json_object_get(value, "name"));
    else if (strcmp(node, "SubLink") == 0)
        add_last(found->operators, json_object_get(value, "operName"));
    else if (strcmp(node, "RangeVar") == 0)
        (void)json_array_append_new(found->relations, json_deep_copy(value));
    else if (strcmp(node, "CommonTableExpr") == 0)
        (void)json_object_set_new(
            found->common, json_string_value(json_object_get(value, "ctename")), json_true());
    else if (strcmp(node, "A_Const") == 0 && constant)
        return !approve_moves(slice_of(constant));
    return is_allowed(node);
}

/* Node types begin with a capital letter, their fields do not. */
static bool look(json_t *value, const struct names_found *found)
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

/* Names of tables: what WITH has named is none. */
static json_t *relation_names(const struct names_found *found)
{
    json_t *names = json_array(), *relation;
    size_t i;
    json_array_foreach(found->relations, i, relation)
    {
        const char *name = json_string_value(json_object_get(relation, "relname"));
        if (json_object_get(relation, "schemaname") || !json_object_get(found->common, name))
            (void)json_array_append_new(names, json_string(name));
    }
    return names;
}

/* What the catalog is to be asked, malloc'ed; NULL: it is not needed, the result is not to be kept.
 */
static char *names_in(const char *text)
{
    struct names_found found = {json_array(), json_array(), json_array(), json_object()};
    PgQueryParseResult parsed = pg_query_parse(text);
    json_t *root = parsed.error ? NULL : json_loads(parsed.parse_tree, 0, NULL);
    json_t *statements = json_object_get(root, "stmts");
    json_t *only = json_array_size(statements) == 1
                       ? json_object_get(json_array_get(statements, 0), "stmt")
                       : NULL;
    char *names = NULL;
    if (json_object_get(only, "SelectStmt") && look(only, &found)) {
        json_t *question = json_pack("{s:O, s:O, s:o}", "functions", found.functions, "operators",
                                     found.operators, "relations", relation_names(&found));
        names = json_dumps(question, JSON_COMPACT);
        json_decref(question);
    }
    json_decref(root);
    json_decref(found.functions);
    json_decref(found.operators);
    json_decref(found.relations);
    json_decref(found.common);
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
