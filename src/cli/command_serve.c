/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "control.h"
#include "loader.h"
#include "log.h"
#include "prisma_keys.h"
#include "secret_environment.h"
#include "state_dir.h"
#include "supervisor.h"

enum { RELOAD_MS_MAX = 120000 };

static const char *config_path = "weir.toml";
static bool keys_are_known = true;

/* Mistakes go with the error, to the log and to who asked for the reload. */
static int load(void *context, struct buffer *ret_plan, struct error *err)
{
    struct config_report report = {.file = config_path};
    AUTO_BUFFER text = {0};
    (void)context;
    const struct serve_options options = {.build = true, .color = cli_color(STDOUT_FILENO)};
    int r = loader_serve(config_path, &options, ret_plan, &report, err);
    config_report_append(&report, false, &text);
    (void)fprintf(stderr, "%.*s", (int)buffer_len(&text), text.data ? text.data + text.start : "");
    if (report.errors_count > 0) {
        buffer_reset(&text, 0);
        config_report_append(&report, true, &text);
        AUTO_TEXT what = xstrdup(err->text);
        r = error_set(err, r, "%s:\n%.*s", what, (int)buffer_len(&text) - 1,
                      text.data + text.start);
    }
    config_report_done(&report);
    return r;
}

static void loaded(void *context, struct slice plan, bool first)
{
    json_t *json = json_loadb(plan.ptr, plan.len, 0, NULL), *listener;
    size_t index;
    (void)context;
    secret_environment_hide(json_object_get(json_object_get(json, "pool"), "secret_variables"));
    if (!supervisor_is_loading())
        state_dir_tidy(json_string_value(json_object_get(json, "data_dir")), json);
    size_t workers = 0;
    json_t *worker;
    json_array_foreach(json_object_get(json, "workers"), index, worker)
        workers += !json_object_get(worker, "prisma"); /* those are ours */
    AUTO_BUFFER text = {0};
    buffer_printf(&text, "%s: %zu worker%s on ", first ? "serving" : "reloaded", workers,
                  workers == 1 ? "" : "s");
    json_array_foreach(json_object_get(json, "listeners"), index, listener)
    {
        const char *address = json_string_value(json_object_get(listener, "address"));
        bool v6 = strchr(address, ':');
        bool tls = json_object_get(listener, "tls"), prisma = json_object_get(listener, "service");
        buffer_printf(&text, "%s%s%s://%s%s%s:%lld", index ? ", " : "", prisma ? "Prisma " : "",
                      tls ? "https" : "http", v6 ? "[" : "", address,
                      v6 ? "]" : "",
                      (long long)json_integer_value(json_object_get(listener, "port")));
    }
    buffer_append(&text, "", 1);
    log_info("%s", text.data + text.start);
    cli_say_pool(json_object_get(json_object_get(json, "pool"), "listeners"));
    control_answer((uint32_t)json_integer_value(json_object_get(json, "load")), CONTROL_LOADED,
                   text.data + text.start);
    json_decref(json);
}

static void refused(void *context, uint32_t load, const char *text)
{
    (void)context;
    control_answer(load, keys_are_known ? CONTROL_REFUSED : CONTROL_KEPT, text);
}

static json_t *keys(void *context, const json_t *plan)
{
    (void)context;
    json_t *listed = prisma_keys_listed(json_string_value(json_object_get(plan, "data_dir")));
    keys_are_known = listed != NULL;
    return listed;
}

static bool wanted(void *context)
{
    (void)context;
    return control_take();
}

int command_serve(int argc, char **argv)
{
    const struct cli_option options[] = {
        {"--config", "FILE", "The configuration (default: weir.toml)", &config_path, NULL}};
    const struct cli_command command = {
        "weir serve [--config FILE]",
        "Serves the workers of a configuration. SIGHUP or weir reload reads it again without dropping\n"
        "a connection; SIGINT or SIGTERM finishes what is under way, then stops.",
        options, ARRAY_LEN(options), 0};
    int code;
    struct error err = {""};
    if (!cli_parse(&command, argc, argv, NULL, &code))
        return code;
    log_init("serve", LOG_INFO, false);
    AUTO_TEXT data_dir = loader_data_dir(config_path, &err);
    if (!data_dir)
        return cli_failed(&err);
    int requests = control_open(data_dir, &err);
    if (requests < 0) {
        (void)fprintf(stderr, "weir: %s\n", err.text);
        control_close();
        return EXIT_FAILED;
    }
    struct supervisor_options supervisor_options = {.load = load,
                                                    .watch_fd = requests,
                                                    .changed = wanted,
                                                    .loaded = loaded,
                                                    .keys = keys,
                                                    .refused = refused,
                                                    .drain_timeout_ms = 30000};
    code = supervisor_run(&supervisor_options);
    control_close();
    return code;
}

int command_reload(int argc, char **argv)
{
    const struct cli_option options[] = {
        {"--config", "FILE", "The configuration (default: weir.toml)", &config_path, NULL}};
    const struct cli_command command = {
        "weir reload [--config FILE]",
        "Makes the weir serve of this configuration read it again, and tells how that went: 0 when the new\n"
        "one is in force, 1 and the reason when the one before stays.",
        options, ARRAY_LEN(options),
        0};
    int code;
    struct error err = {""};
    if (!cli_parse(&command, argc, argv, NULL, &code))
        return code;
    AUTO_TEXT data_dir = loader_data_dir(config_path, &err);
    AUTO_TEXT text = NULL;
    if (!data_dir)
        return cli_failed(&err);
    if (control_reload(data_dir, RELOAD_MS_MAX, &text, &err) < 0) {
        (void)fprintf(stderr, "weir: %s was not reloaded: %s\n", config_path, err.text);
        return EXIT_FAILED;
    }
    (void)printf("%s\n", text);
    return EXIT_OK;
}
