/* SPDX-License-Identifier: Apache-2.0 */
/* `weir pool import`: a configuration of PgBouncer's as one of ours. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "pgbouncer_ini.h"
#include "pool_import.h"

static void put_text(FILE *out, const char *text)
{
    (void)fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            (void)fputc('\\', out);
        if ((unsigned char)*text < 0x20)
            (void)fprintf(out, "\\u%04x", (unsigned char)*text);
        else
            (void)fputc(*text, out);
    }
    (void)fputc('"', out);
}

static void put_value(FILE *out, const json_t *value)
{
    size_t index;
    json_t *one;
    if (json_is_string(value))
        put_text(out, json_string_value(value));
    else if (json_is_integer(value))
        (void)fprintf(out, "%lld", (long long)json_integer_value(value));
    else if (json_is_boolean(value))
        (void)fputs(json_is_true(value) ? "true" : "false", out);
    else if (json_is_array(value)) {
        (void)fputc('[', out);
        json_array_foreach(value, index, one)
        {
            (void)fputs(index ? ", " : "", out);
            put_value(out, one);
        }
        (void)fputc(']', out);
    }
}

static void put_keys(FILE *out, json_t *table, const char *const skipped[])
{
    const char *key;
    json_t *value;
    json_object_foreach(table, key, value)
    {
        bool skip = json_is_object(value);
        for (size_t i = 0; skipped[i]; i++)
            skip = skip || strcmp(skipped[i], key) == 0;
        if (skip)
            continue;
        (void)fprintf(out, "%s = ", key);
        put_value(out, value);
        (void)fputc('\n', out);
    }
}

/* Of the one unix socket that PgBouncer has. */
static void put_rights(FILE *out, const json_t *listener)
{
    static const char *const rights[][2] = {{"mode", "unix_socket_mode"},
                                            {"group", "unix_socket_group"}};
    for (size_t i = 0; i < ARRAY_LEN(rights); i++) {
        const char *text = json_string_value(json_object_get(listener, rights[i][0]));
        if (!text)
            continue;
        (void)fprintf(out, "%s = ", rights[i][1]);
        put_text(out, text);
        (void)fputc('\n', out);
    }
}

static void put_listeners(FILE *out, const json_t *listeners)
{
    size_t index;
    json_t *one;
    (void)fputs("listen = [", out);
    json_array_foreach(listeners, index, one)
    {
        const char *path = json_string_value(json_object_get(one, "path"));
        const char *address = json_string_value(json_object_get(one, "address"));
        AUTO_TEXT text =
            path ? xstrdup(path)
                 : xasprintf(strchr(address, ':') ? "[%s]:%lld" : "%s:%lld", address,
                             (long long)json_integer_value(json_object_get(one, "port")));
        (void)fputs(index ? ", " : "", out);
        put_text(out, text);
    }
    (void)fputs("]\n", out);
    json_array_foreach(listeners, index, one) put_rights(out, one);
}

static void put_table(FILE *out, const char *name, json_t *table)
{
    static const char *const nothing[] = {NULL};
    if (json_object_size(table) == 0)
        return;
    (void)fprintf(out, "\n[%s]\n", name);
    put_keys(out, table, nothing);
}

static void put_database(FILE *out, json_t *database)
{
    static const char *const skipped[] = {"hosts", NULL};
    const json_t *hosts = json_object_get(database, "hosts");
    AUTO_TEXT list = xstrdup("");
    size_t index;
    json_t *host;
    json_array_foreach(hosts, index, host)
    {
        char *longer = xasprintf("%s%s%s", list, index ? "," : "",
                                 json_string_value(json_object_get(host, "host")));
        free(list);
        list = longer;
    }
    (void)fputs("\n[[databases]]\n", out);
    put_keys(out, database, skipped);
    (void)fputs("host = ", out);
    put_text(out, list);
    (void)fprintf(out, "\nport = %lld\n",
                  (long long)json_integer_value(json_object_get(json_array_get(hosts, 0), "port")));
    put_table(out, "databases.settings", json_object_get(database, "settings"));
    put_table(out, "databases.tls", json_object_get(database, "tls"));
}

static void put_plan(FILE *out, json_t *plan, const char *from)
{
    static const char *const skipped[] = {"listeners", "users", "databases", "notes", NULL};
    size_t index;
    json_t *one;
    (void)fprintf(out, "# From %s, by `weir pool import`. Durations are milliseconds.\n", from);
    json_array_foreach(json_object_get(plan, "notes"), index, one)(void)
        fprintf(out, "# %s\n", json_string_value(one));
    put_listeners(out, json_object_get(plan, "listeners"));
    put_keys(out, plan, skipped);
    put_table(out, "tls", json_object_get(plan, "tls"));
    json_array_foreach(json_object_get(plan, "users"), index, one)
    {
        static const char *const nothing[] = {NULL};
        (void)fputs("\n[[users]]\n", out);
        put_keys(out, one, nothing);
    }
    json_array_foreach(json_object_get(plan, "databases"), index, one) put_database(out, one);
}

/* Passwords of databases may be in it: it is its owner's alone, and never written over another. */
static int write_file(const char *path, json_t *plan, const char *from)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!out) {
        (void)fprintf(stderr, "weir: cannot write %s: %s%s\n", path, strerror(errno),
                      errno == EEXIST ? "; choose another name with --output" : "");
        return EXIT_FAILED;
    }
    put_plan(out, plan, from);
    if (fclose(out) != 0) {
        (void)fprintf(stderr, "weir: cannot write %s: %s\n", path, strerror(errno));
        return EXIT_FAILED;
    }
    (void)fprintf(stderr, "%s is written; try it with: weir pool --config %s\n", path, path);
    return EXIT_OK;
}

int pool_import(int argc, char **argv)
{
    static const char *output;
    const struct cli_option options[] = {
        {"--output", "FILE", "Where to (default: standard output)", &output, NULL, NULL}};
    const struct cli_command command = {
        "weir pool import FILE [--output FILE]",
        "Rewrites a configuration of PgBouncer's as one of weir's. What it has no counterpart for "
        "is "
        "told, and\nstands in comments. User lists and certificates stay where they are.",
        options, ARRAY_LEN(options), 1};
    const char *arguments[1];
    int code;
    if (!cli_parse(&command, argc, argv, arguments, &code))
        return code;
    if (!arguments[0]) {
        (void)fprintf(stderr, "weir: pool import needs the file, such as "
                              "/etc/pgbouncer/pgbouncer.ini\n");
        return EXIT_USAGE;
    }
    struct config_report report = {.file = arguments[0]};
    json_t *plan = pgbouncer_ini_import(arguments[0], &report);
    size_t index;
    json_t *note;
    config_report_sort(&report);
    (void)json_object_set_new(plan, "notes", config_report_take_notes(&report));
    config_report_print(&report, cli_color(STDERR_FILENO));
    json_array_foreach(json_object_get(plan, "notes"), index, note)(void)
        fprintf(stderr, "%s\n", json_string_value(note));
    code = report.errors_count > 0 ? EXIT_FAILED : EXIT_OK;
    if (code == EXIT_OK && output)
        code = write_file(output, plan, arguments[0]);
    else if (code == EXIT_OK)
        put_plan(stdout, plan, arguments[0]);
    config_report_done(&report);
    json_decref(plan);
    return code;
}
