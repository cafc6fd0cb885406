/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "config.h"
#include "control.h"
#include "hyperdrive.h"
#include "loader.h"
#include "prisma_endpoint.h"
#include "prisma_keys.h"

enum { RELOAD_MS = 60000 };

/* Where weir finds keys: of a project (weir dev), or of a weir.toml (weir serve). */
struct place {
    const char *state_dir;
    const char *dir, *config; /* one of them; the other is NULL */
    bool likely; /* the configuration has a mistake: this is most likely its state_dir */
};

static bool as_json;

/* ---- which databases there are ---- */

/* Those that a key may be for, each with a name, an id, or both. NULL with err. */
static json_t *project_databases(const char *dir, struct error *err)
{
    struct project project;
    struct config_report report = {.file = dir};
    int r = project_read(dir, NULL, &project, &report, err);
    config_report_done(&report);
    if (r < 0)
        return NULL;
    json_t *databases = json_pack("[{s:s}]", "name", PRISMA_PRIVATE), *drive;
    size_t index;
    json_array_foreach(project.hyperdrive, index, drive)(void)
        json_array_append_new(databases, json_pack("{s:O}", "id", json_object_get(drive, "id")));
    project_done(&project);
    return databases;
}

static json_t *served_databases(const char *config, struct error *err)
{
    struct value root;
    struct error why = {""};
    if (config_read(config, &root, &why) < 0) {
        (void)error_set(err, -EINVAL, "%s: %s", config, why.text);
        return NULL;
    }
    const struct value *list = value_get(value_get(&root, "pool"), "databases");
    json_t *databases = json_array();
    for (size_t i = 0; list && list->type == VALUE_ARRAY && i < list->count; i++) {
        const char *name = value_text(value_get(&list->entries[i].value, "name")),
                   *id = value_text(value_get(&list->entries[i].value, "id"));
        (void)json_array_append_new(databases, json_pack("{s:s*, s:s*}", "name", name, "id", id));
    }
    value_done(&root);
    return databases;
}

static json_t *databases_of(const struct place *place, struct error *err)
{
    return place->config ? served_databases(place->config, err)
                         : project_databases(place->dir, err);
}

/* By its id, or its name. NULL: there is none. */
static const json_t *find(json_t *databases, const char *name)
{
    json_t *pool = json_pack("{s:O}", "databases", databases);
    const json_t *found = hyperdrive_find(pool, name);
    json_decref(pool);
    return found;
}

/* databases: NULL where there is no telling. */
static bool is_same(json_t *databases, const char *a, const char *b)
{
    const json_t *one = databases ? find(databases, a) : NULL;
    return strcmp(a, b) == 0 || (one && one == find(databases, b));
}

/* What they are called, for an error. */
static char *names_of(const json_t *databases)
{
    json_t *names = json_array(), *database, *name;
    size_t index;
    const char *key;
    json_array_foreach(databases, index, database) json_object_foreach(database, key, name)(void)
        json_array_append(names, name);
    char *text = json_dumps(names, 0);
    json_decref(names);
    return text;
}

static int check_database(const struct place *place, const char *name, struct error *err)
{
    json_t *databases = databases_of(place, err);
    if (!databases)
        return -EINVAL;
    int r = 0;
    if (!find(databases, name)) {
        AUTO_TEXT known = names_of(databases);
        r = place->config
                ? error_set(err, -ENOENT,
                            "%s has no database \"%s\" in [[pool.databases]]: there are %s",
                            place->config, name, known)
                : error_set(err, -ENOENT,
                            "the project has no database \"%s\": it is \"" PRISMA_PRIVATE
                            "\", its private Postgres, or the id of a [[hyperdrive]]; there are %s",
                            name, known);
    }
    json_decref(databases);
    return r;
}

/* ---- the three verbs ---- */

/* A duration as in configurations, "30d", in seconds. -1: it is none. */
static int64_t seconds_of(const char *text)
{
    const struct value value = {
        .type = VALUE_STRING, .text = (char *)(uintptr_t)text, .len = strlen(text)};
    int64_t ms;
    bool is = config_parse_duration(&value, &ms) && ms >= 1000 && ms / 1000 < (int64_t)1 << 40;
    return is ? ms / 1000 : -1;
}

/* A weir serve that runs takes the change up at once; weir dev watches the file. What is revoked it
 * refuses whatever else the configuration has. */
static int tell(const struct place *place, bool revoked)
{
    AUTO_TEXT text = NULL;
    struct error err = {""};
    int r = place->config ? control_reload(place->state_dir, RELOAD_MS, &text, &err) : 0;
    bool none = r == -ENOENT || r == -ECONNREFUSED;
    if (none && place->likely)
        (void)fprintf(stderr,
                      "weir: the key is off the list in %s, with which no weir serve runs; one "
                      "that runs with another data_dir has its own\n",
                      place->state_dir);
    if (r == -ECANCELED && revoked)
        (void)fprintf(
            stderr, "weir: the key is revoked; else the configuration before stays in force: %s\n",
            err.text);
    if (r == 0 || none || (r == -ECANCELED && revoked))
        return EXIT_OK;
    (void)fprintf(stderr,
                  "weir: the change is made, but the running server did not take it up: %s\n",
                  err.text);
    return EXIT_FAILED;
}

static int create(const struct place *place, const struct prisma_key *key)
{
    struct error err = {""};
    char id[17];
    AUTO_TEXT token = prisma_keys_create(place->state_dir, key, id, &err);
    if (!token)
        return cli_failed(&err);
    if (as_json) {
        (void)printf("{\"id\":\"%s\",\"key\":\"%s\",\"url\":\"prisma://accelerate.prisma-data.net/"
                     "?api_key=%s\"}\n",
                     id, token, token);
    } else {
        (void)printf("prisma://accelerate.prisma-data.net/?api_key=%s\n", token);
        (void)fflush(stdout);
        (void)fprintf(
            stderr,
            "\nThis is key %s, for the database \"%s\"%s. It is shown this once: put the URL where "
            "the worker finds\n"
            "it (DATABASE_URL in .dev.vars), never into the repository. Workers under weir use it "
            "as it is;\n"
            "for clients elsewhere the host is this server's. weir prisma key revoke %s ends it.\n",
            id, key->database, key->read_only ? ", read only" : "", id);
    }
    return tell(place, false);
}

static void print_time(const char *label, int64_t seconds)
{
    char text[32];
    time_t when = (time_t)seconds;
    struct tm tm;
    (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M", localtime_r(&when, &tm));
    (void)printf("  %s %s", label, text);
}

static void print_limit(const json_t *key, const char *name, const char *what)
{
    json_int_t limit = json_integer_value(json_object_get(key, name));
    if (limit > 0)
        (void)printf("  %lld %s", (long long)limit, what);
}

/* 0: it is none. */
static int count_of(const char *text)
{
    char *end;
    long count = strtol(text, &end, 10);
    return end != text && !*end && count > 0 && count <= 1000000 ? (int)count : 0;
}

static void print_key(const char *id, const json_t *key)
{
    int64_t expires = json_integer_value(json_object_get(key, "expires"));
    (void)printf("%s  %-16s  %s", id, json_string_value(json_object_get(key, "database")),
                 json_is_true(json_object_get(key, "read_only")) ? "read only" : "all      ");
    print_time("made", json_integer_value(json_object_get(key, "created")));
    if (expires)
        print_time(expires <= time(NULL) ? "expired" : "expires", expires);
    print_limit(key, "requests_max", "requests a second");
    print_limit(key, "transactions_max", "transactions at once");
    (void)printf("\n");
}

/* Leaves those of one database, whether they have its name or its id. */
static void keep_keys_of(const struct place *place, json_t *keys, const char *database)
{
    struct error err = {""}; /* a mistake elsewhere in the configuration is not in the way */
    json_t *databases = databases_of(place, &err);
    const char *id;
    void *next;
    json_t *key;
    json_object_foreach_safe(keys, next, id, key)
    {
        const char *own = json_string_value(json_object_get(key, "database"));
        if (!own || !is_same(databases, own, database))
            (void)json_object_del(keys, id);
    }
    json_decref(databases);
}

/* database: NULL for all. One that is not there any more may have keys left. */
static int list(const struct place *place, const char *database)
{
    struct error err = {""};
    json_t *file = prisma_keys_read(place->state_dir, &err), *key;
    const char *id;
    if (!file)
        return cli_failed(&err);
    json_t *keys = json_object_get(file, "keys");
    if (database)
        keep_keys_of(place, keys, database);
    bool none = json_object_size(keys) == 0;
    int code =
        none && database && check_database(place, database, &err) < 0 ? cli_failed(&err) : EXIT_OK;
    if (code == EXIT_OK && as_json) {
        (void)json_dumpf(keys, stdout, JSON_INDENT(2));
        (void)printf("\n");
    } else if (code == EXIT_OK && none) {
        (void)fprintf(stderr, "There are no keys; weir prisma key create makes one.\n");
    } else if (code == EXIT_OK) {
        json_object_foreach(keys, id, key) print_key(id, key);
    }
    json_decref(file);
    return code;
}

static int revoke_key(const struct place *place, const char *id, const char *database)
{
    struct error err = {""};
    json_t *file = database ? prisma_keys_read(place->state_dir, &err) : NULL;
    if (database && !file)
        return cli_failed(&err);
    json_t *keys = json_object_get(file, "keys");
    if (database)
        keep_keys_of(place, keys, database);
    const char *own = json_string_value(json_object_get(json_object_get(keys, id), "database"));
    int r = prisma_keys_revoke(place->state_dir, id, own ? own : database, &err);
    json_decref(file);
    if (r < 0)
        return cli_failed(&err);
    return tell(place, true);
}

/* Of a configuration that has the mistake in err: the directory where there are keys, or NULL with
 * what to do in err. */
static char *likely_state_dir(const char *config, struct error *err)
{
    char *state_dir = loader_likely_data_dir(config);
    AUTO_TEXT keys = state_dir ? prisma_keys_path(state_dir) : NULL;
    if (!keys || access(keys, F_OK) == 0)
        return state_dir;
    error_prefix(
        err,
        "nothing was done: there are no keys in %s, and the configuration has to be mended "
        "before it can name another data_dir",
        state_dir);
    text_free(&state_dir);
    return NULL;
}

/* ---- the command ---- */

static int usage(const char *why)
{
    (void)fprintf(stderr, "weir: prisma: %s; see weir prisma --help\n", why);
    return EXIT_USAGE;
}

int command_prisma(int argc, char **argv)
{
    const char *arguments[3];
    const char *project = ".", *config = NULL, *database = NULL, *expires = NULL;
    const char *requests = NULL, *transactions = NULL;
    bool read_only = false;
    const struct cli_option options[] = {
        {"--database", "NAME",
         "The database that the key is for (weir dev: \"private\", the default); list, revoke: "
         "only its "
         "keys",
         &database, NULL, NULL},
        {"--read-only", NULL, "For create: the key may not change data", NULL, &read_only, NULL},
        {"--expires", "TIME", "For create: it ends after so long: 90d, 12h, 30m", &expires, NULL,
         NULL},
        {"--requests", "N", "For create: more requests in a second are refused (P5011)", &requests,
         NULL, NULL},
        {"--transactions", "N", "For create: interactive transactions that it may have open",
         &transactions, NULL, NULL},
        {"--project", "DIR", "The project (default: here, or a directory above)", &project, NULL,
         NULL},
        {"--config", "FILE", "Instead: the weir.toml of weir serve", &config, NULL, NULL},
        {"--json", NULL, "For create and list: print as JSON", NULL, &as_json, NULL}};
    const struct cli_command command = {
        "weir prisma key create | list | revoke ID [options]",
        "The api keys of prisma:// URLs, by which Prisma's edge client reaches a database through "
        "weir.\n"
        "create prints a URL with a new key; list tells which there are; revoke ends one, at once.",
        options, ARRAY_LEN(options), 3};
    struct error err = {""};
    int code;
    if (!cli_parse(&command, argc, argv, arguments, &code))
        return code;
    const char *verb = arguments[1] ? arguments[1] : "";
    bool creates = strcmp(verb, "create") == 0, revokes = strcmp(verb, "revoke") == 0;
    if (!arguments[0] || strcmp(arguments[0], "key") != 0 ||
        (!creates && !revokes && strcmp(verb, "list") != 0))
        return usage("expected key create, key list or key revoke ID");
    if (revokes != (arguments[2] != NULL))
        return usage(revokes ? "revoke needs the key's id" : "one argument too many");
    if (!creates && (read_only || expires || requests || transactions))
        return usage("--read-only, --expires, --requests and --transactions are for create");
    if (revokes && as_json)
        return usage("--json is for create and list");
    if (creates && config && !database)
        return usage("create needs --database NAME, one of [[pool.databases]]");
    int64_t seconds = expires ? seconds_of(expires) : 0;
    if (seconds < 0)
        return usage("--expires is a duration such as 90d, 12h or 30m, of a second or more");
    if ((requests && !count_of(requests)) || (transactions && !count_of(transactions)))
        return usage("--requests and --transactions are numbers, of 1 or more");
    AUTO_TEXT found = config ? NULL : project_find(project, true, &err);
    if (!config && !found)
        return cli_failed(&err);
    AUTO_TEXT dir = found ? project_dir_of(found) : NULL;
    AUTO_TEXT state_dir = config ? loader_data_dir(config, &err) : xasprintf("%s/.weir", dir);
    bool likely = !state_dir && !creates;
    if (likely)
        state_dir = likely_state_dir(config, &err);
    if (!state_dir)
        return cli_failed(&err);
    const struct place place = {state_dir, dir, config, likely};
    if (revokes)
        return revoke_key(&place, arguments[2], database);
    if (!creates)
        return list(&place, database);
    const struct prisma_key key = {
        database ? database : PRISMA_PRIVATE, read_only, seconds ? time(NULL) + seconds : 0,
        requests ? count_of(requests) : 0, transactions ? count_of(transactions) : 0};
    if (check_database(&place, key.database, &err) < 0)
        return cli_failed(&err);
    return create(&place, &key);
}
