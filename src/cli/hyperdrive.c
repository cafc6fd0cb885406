/* SPDX-License-Identifier: Apache-2.0 */
#include "hyperdrive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "database_url.h"
#include "hash.h"
#include "private_postgres.h"

enum { ID_BYTES_MAX = 63 }; /* that are part of a host's name */

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* A name that only the worker's own connect() knows. An id that makes none, in capitals or with
 * blanks say, is told by its hash. */
static char *host_of(const char *id)
{
    static const char of_names[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    size_t len = strlen(id);
    if (len > 0 && len <= ID_BYTES_MAX && strspn(id, of_names) == len)
        return xasprintf("%s.hyperdrive.local", id);
    return xasprintf("id-%016" PRIx64 ".hyperdrive.local", hash_bytes(0, slice_of(id)));
}

static json_t *binding_of(const char *id, const char *database, const char *user)
{
    AUTO_TEXT host = host_of(id);
    return json_pack("{s:s, s:s, s:s}", "host", host, "database", database, "user", user);
}

static void add_database(struct project *project, const json_t *drive, const char *database,
                         const char *user)
{
    json_t *binding = binding_of(text_of(drive, "id"), database, user);
    (void)json_object_set(binding, "binding", json_object_get(drive, "binding"));
    (void)json_array_append_new(project->databases, binding);
}

json_t *hyperdrive_binding(const json_t *database, const char *id)
{
    const char *user = text_of(database, "user");
    return user ? binding_of(id, text_of(database, "name"), user) : NULL;
}

/* ---- weir dev ---- */

/* As wrangler has it. */
static const char *url_of_environment(const char *binding)
{
    static const char *const prefixes[] = {"CLOUDFLARE", "WRANGLER"};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        AUTO_TEXT name =
            xasprintf("%s_HYPERDRIVE_LOCAL_CONNECTION_STRING_%s", prefixes[i], binding);
        if (getenv(name))
            return getenv(name);
    }
    return NULL;
}

static bool is_taken(const json_t *databases, const char *name)
{
    size_t index;
    json_t *database;
    json_array_foreach(databases, index, database)
    {
        if (strcmp(text_of(database, "name"), name) == 0)
            return true;
    }
    return false;
}

/* Adds the database of a URL; it is borrowed, NULL with what is wrong in err. Relative files are
 * beside the project's configuration; the pool tells the notes. */
static json_t *add_url(const struct project *project, json_t *pool, const char *url, const char *id,
                       struct error *err)
{
    json_t *database = json_object(), *databases = json_object_get(pool, "databases");
    int r =
        database_url_apply(url, project->dir, false, database, json_object_get(pool, "notes"), err);
    if (r == 0 && !text_of(database, "user"))
        r = error_set(err, -EINVAL, "it names no user");
    if (r < 0) {
        json_decref(database);
        return NULL;
    }
    const char *user = text_of(database, "user"), *name = text_of(database, "database");
    AUTO_TEXT own = xstrdup(name ? name : user);
    if (!name) /* as libpq has it */
        (void)json_object_set_new(database, "database", json_string(own));
    for (int i = 2; is_taken(databases, own); i++) {
        free(own);
        own = xasprintf("%s_%d", name ? name : user, i);
    }
    (void)json_object_set_new(database, "name", json_string(own));
    (void)json_object_set_new(database, "id", json_string(id));
    (void)json_array_append_new(databases, database);
    return database;
}

static int add_dev(struct project *project, const json_t *drive, json_t *pool, struct error *err)
{
    const char *binding = text_of(drive, "binding"), *url = url_of_environment(binding);
    AUTO_TEXT private = NULL;
    url = url ? url : text_of(drive, "url");
    if (!url && !(private = private_postgres_url(project->dir, err)))
        return -1;
    struct error problem = {""};
    json_t *database =
        add_url(project, pool, private ? private : url, text_of(drive, "id"), &problem);
    if (!database)
        return error_set(err, -EINVAL,
                         "[[hyperdrive]] \"%s\": the connection string can not be used: %s; it is "
                         "like postgres://user:password@host:5432/database",
                         binding, problem.text);
    if (private)
        (void)json_object_set_new(database, "private", json_true());
    add_database(project, drive, text_of(database, "name"), text_of(database, "user"));
    return 0;
}

int hyperdrive_dev_private(const struct project *project, const char *id, json_t **pool,
                           struct error *err)
{
    AUTO_TEXT url = private_postgres_url(project->dir, err);
    struct error problem = {""};
    if (!url)
        return -EIO;
    if (!*pool)
        *pool = json_pack("{s:[], s:[], s:[]}", "listeners", "databases", "notes");
    json_t *database = add_url(project, *pool, url, id, &problem);
    if (!database)
        return error_set(err, -EINVAL, "the private Postgres cannot be used: %s", problem.text);
    (void)json_object_set_new(database, "private", json_true());
    return 0;
}

int hyperdrive_dev(struct project *project, json_t **ret_pool, struct error *err)
{
    json_t *pool = json_pack("{s:[], s:[], s:[]}", "listeners", "databases", "notes"), *drive;
    size_t index;
    int r = 0;
    *ret_pool = NULL;
    json_array_foreach(project->hyperdrive, index, drive)
    {
        if (r == 0)
            r = add_dev(project, drive, pool, err);
    }
    if (r == 0 && json_array_size(json_object_get(pool, "databases")) > 0)
        *ret_pool = json_incref(pool);
    json_decref(pool);
    return r;
}

/* ---- weir serve ---- */

const json_t *hyperdrive_find(const json_t *pool, const char *id)
{
    static const char *const keys[] = {"id", "name"};
    size_t index;
    json_t *database;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        json_array_foreach(json_object_get(pool, "databases"), index, database)
        {
            const char *known = text_of(database, keys[i]);
            if (known && strcmp(known, id) == 0)
                return database;
        }
    return NULL;
}

void hyperdrive_serve(struct project *project, const json_t *pool, int line,
                      struct config_report *report)
{
    size_t index;
    json_t *drive;
    json_array_foreach(project->hyperdrive, index, drive)
    {
        const char *binding = text_of(drive, "binding"), *id = text_of(drive, "id");
        const json_t *database = hyperdrive_find(pool, id);
        const char *name = text_of(database, "name"), *user = text_of(database, "user");
        if (!name)
            config_error(report, line, "hyperdrive",
                         "[[worker]] \"%s\": its [[hyperdrive]] \"%s\" asks for the database "
                         "id = \"%s\"; add [[pool.databases]] with that id, a name and a url",
                         project->name, binding, id);
        else if (!user)
            config_error(
                report, line, "hyperdrive",
                "[[worker]] \"%s\": the database \"%s\" of its [[hyperdrive]] \"%s\" needs "
                "user = \"…\" in [[pool.databases]], or in its url",
                project->name, name, binding);
        else
            add_database(project, drive, name, user);
    }
}
