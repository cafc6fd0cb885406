/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "log.h"
#include "pgbouncer_ini.h"
#include "pool_config.h"
#include "pool_import.h"
#include "secret_environment.h"
#include "supervisor.h"

static const char *config_path = "pool.toml", *ini_path;
static bool as_json, only_check;

static json_t *read_toml(struct config_report *report, struct error *err)
{
    struct value root;
    if (config_read(config_path, &root, err) < 0) {
        config_error_at(report, err->text);
        return NULL;
    }
    json_t *pool = pool_config_plan(&root, "top level", config_path, report);
    value_done(&root);
    return pool;
}

static int read_plan(json_t **ret_plan, struct config_report *report, struct error *err)
{
    const char *path = report->file = ini_path ? ini_path : config_path;
    json_t *pool = ini_path ? pgbouncer_ini_plan(ini_path, report) : read_toml(report, err);
    config_report_sort(report);
    if (pool && report->errors_count == 0) {
        (void)json_object_set_new(pool, "standalone", json_true());
        *ret_plan = json_pack("{s:s, s:[], s:[], s:o}", "mode", "pool", "listeners", "workers",
                              "pool", pool);
        return 0;
    }
    json_decref(pool);
    return error_set(err, -1, "%s has %d mistake%s", path, report->errors_count,
                     report->errors_count == 1 ? "" : "s");
}

static int load(void *context, struct buffer *ret_plan, struct error *err)
{
    struct config_report report = {.file = config_path};
    json_t *plan = NULL;
    (void)context;
    int r = read_plan(&plan, &report, err);
    json_t *notes = config_report_take_notes(&report); /* the pool logs them */
    config_report_print(&report, cli_color(STDERR_FILENO));
    config_report_done(&report);
    if (r == 0 && ini_path)
        (void)json_object_set(json_object_get(plan, "pool"), "notes", notes);
    json_decref(notes);
    if (r < 0)
        return r;
    char *text = json_dumps(plan, JSON_COMPACT);
    buffer_append_text(ret_plan, text);
    free(text);
    json_decref(plan);
    return 0;
}

/* Reads everything that a start reads, and begins nothing. */
static int check(void)
{
    struct config_report report = {.file = config_path};
    struct error err = {""};
    json_t *plan = NULL;
    int r = read_plan(&plan, &report, &err);
    config_report_conclude(&report, report.file, r < 0 ? err.text : NULL, as_json,
                           cli_color(STDERR_FILENO));
    config_report_done(&report);
    json_decref(plan);
    return r < 0 ? EXIT_FAILED : EXIT_OK;
}

void cli_say_pool(const json_t *listeners)
{
    AUTO_BUFFER text = {0};
    size_t index;
    json_t *listener;
    if (json_array_size(listeners) == 0)
        return;
    json_array_foreach(listeners, index, listener)
    {
        const char *path = json_string_value(json_object_get(listener, "path"));
        const char *address = json_string_value(json_object_get(listener, "address"));
        if (path)
            buffer_printf(&text, "%s%s", index ? ", " : "", path);
        else
            buffer_printf(&text, strchr(address, ':') ? "%s[%s]:%lld" : "%s%s:%lld",
                          index ? ", " : "", address,
                          (long long)json_integer_value(json_object_get(listener, "bound_port")));
    }
    buffer_append(&text, "", 1);
    log_info("pool ready on %s", text.data + text.start);
}

static void loaded(void *context, struct slice plan, bool first)
{
    json_t *json = json_loadb(plan.ptr, plan.len, 0, NULL);
    const json_t *pool = json_object_get(json, "pool");
    const json_t *listeners = json_object_get(pool, "listeners");
    (void)context, (void)first;
    secret_environment_hide(json_object_get(pool, "secret_variables"));
    if (as_json) {
        char *text = json_dumps(listeners, JSON_COMPACT);
        (void)printf("{\"listeners\":%s}\n", text);
        (void)fflush(stdout);
        free(text);
    }
    cli_say_pool(listeners);
    json_decref(json);
}

int command_pool(int argc, char **argv)
{
    const struct cli_option options[] = {
        {"--config", "FILE", "The configuration (default: pool.toml)", &config_path, NULL, NULL},
        {"--pgbouncer-ini", "FILE", "Run a configuration of PgBouncer's instead", &ini_path, NULL,
         NULL},
        {"--check", NULL, "Tell every mistake of it, and start nothing", NULL, &only_check, NULL},
        {"--json", NULL, "Print where it listens, or what --check finds, as JSON", NULL, &as_json,
         NULL}};
    const struct cli_command command = {
        "weir pool [--config FILE | --pgbouncer-ini FILE] [--check]",
        "Lends few connections to Postgres to many clients. SIGHUP "
        "reads the configuration again; SIGUSR2\n"
        "starts the program anew and keeps the clients; SIGINT or "
        "SIGTERM lets transactions end, then\n"
        "stops. With --pgbouncer-ini SIGINT waits until no client has a "
        "connection, SIGTERM until all\n"
        "have left, and SIGQUIT stops at once, as they do to PgBouncer. "
        "`weir pool import FILE` rewrites\n"
        "a configuration of PgBouncer's.",
        options, ARRAY_LEN(options), 0};
    int code;
    if (argc > 1 && strcmp(argv[1], "import") == 0)
        return pool_import(argc - 1, argv + 1);
    if (!cli_parse(&command, argc, argv, NULL, &code))
        return code;
    if (only_check)
        return check();
    log_init("pool", LOG_INFO, false);
    const struct supervisor_options supervisor_options = {.load = load,
                                                          .watch_fd = -1,
                                                          .loaded = loaded,
                                                          .drain_timeout_ms = 30000,
                                                          .signals_of_pgbouncer = ini_path != NULL};
    return supervisor_run(&supervisor_options);
}
