/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "config.h"
#include "control.h"
#include "loader.h"
#include "prisma_endpoint.h"
#include "prisma_keys.h"

enum { RELOAD_MS = 60000 };

/* Where weir finds keys: of a project (weir dev), or of a weir.toml (weir serve). */
struct place {
    char *state_dir;
    bool serves;
};

static bool as_json;

/* ---- which databases there are ---- */

static bool is_named(const json_t *list, const char *key, const char *name)
{
    size_t index;
    json_t *entry;
    json_array_foreach(list, index, entry)
    {
        const char *text = json_string_value(json_object_get(entry, key));
        if (text && strcmp(text, name) == 0)
            return true;
    }
    return false;
}

static int check_project_database(const char *dir, const char *name, struct error *err)
{
    struct project project;
    struct config_report report = {.file = dir};
    int r = project_read(dir, NULL, &project, &report, err);
    config_report_done(&report);
    if (r < 0)
        return r;
    if (strcmp(name, PRISMA_PRIVATE) != 0 && !is_named(project.hyperdrive, "id", name))
        r = error_set(err, -ENOENT,
                      "the project has no database \"%s\": it is \"" PRISMA_PRIVATE
                      "\", its private Postgres, "
                      "or the id of a [[hyperdrive]]",
                      name);
    project_done(&project);
    return r;
}

static int check_served_database(const char *config, const char *name, struct error *err)
{
    struct value root;
    struct error why = {""};
    if (config_read(config, &root, &why) < 0)
        return error_set(err, -EINVAL, "%s: %s", config, why.text);
    const struct value *list = value_get(value_get(&root, "pool"), "databases");
    bool found = false;
    for (size_t i = 0; list && list->type == VALUE_ARRAY && i < list->count; i++) {
        const char *own = value_text(value_get(&list->entries[i].value, "name")),
                   *id = value_text(value_get(&list->entries[i].value, "id"));
        found |= (own && strcmp(own, name) == 0) || (id && strcmp(id, name) == 0);
    }
    value_done(&root);
    return found ? 0
                 : error_set(err, -ENOENT, "%s has no database \"%s\" in [[pool.databases]]",
                             config, name);
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

/* A weir serve that runs takes the change up at once; weir dev watches the file. */
static int tell(const struct place *place)
{
    AUTO_TEXT text = NULL;
    struct error err = {""};
    int r = place->serves ? control_reload(place->state_dir, RELOAD_MS, &text, &err) : 0;
    if (r == 0 || r == -ENOENT || r == -ECONNREFUSED)
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
    return tell(place);
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

static int list(const struct place *place)
{
    struct error err = {""};
    json_t *file = prisma_keys_read(place->state_dir, &err), *key;
    const char *id;
    if (!file)
        return cli_failed(&err);
    json_t *keys = json_object_get(file, "keys");
    if (as_json) {
        (void)json_dumpf(keys, stdout, JSON_INDENT(2));
        (void)printf("\n");
    }
    json_object_foreach(keys, id, key)
    {
        if (as_json)
            continue;
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
    if (!as_json && json_object_size(keys) == 0)
        (void)fprintf(stderr, "There are no keys; weir prisma key create makes one.\n");
    json_decref(file);
    return EXIT_OK;
}

static int revoke(const struct place *place, const char *id)
{
    struct error err = {""};
    if (prisma_keys_revoke(place->state_dir, id, &err) < 0)
        return cli_failed(&err);
    return tell(place);
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
         "For create: the database it is for (weir dev: \"private\", the default)", &database, NULL,
         NULL},
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
        {"--json", NULL, "Print as JSON", NULL, &as_json, NULL}};
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
    if (!state_dir)
        return cli_failed(&err);
    const struct place place = {state_dir, config != NULL};
    if (revokes)
        return revoke(&place, arguments[2]);
    if (!creates)
        return list(&place);
    const struct prisma_key key = {
        database ? database : PRISMA_PRIVATE, read_only, seconds ? time(NULL) + seconds : 0,
        requests ? count_of(requests) : 0, transactions ? count_of(transactions) : 0};
    if ((config ? check_served_database(config, key.database, &err)
                : check_project_database(dir, key.database, &err)) < 0)
        return cli_failed(&err);
    return create(&place, &key);
}
