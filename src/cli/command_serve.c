/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "loader.h"
#include "log.h"
#include "state_dir.h"
#include "supervisor.h"

static const char *config_path = "weir.toml";

static int load(void *context, struct buffer *ret_plan, struct error *err)
{
    struct config_report report = {.file = config_path};
    (void)context;
    const struct serve_options options = {.build = true, .color = cli_color(STDOUT_FILENO)};
    int r = loader_serve(config_path, &options, ret_plan, &report, err);
    config_report_print(&report, cli_color(STDERR_FILENO));
    config_report_done(&report);
    return r;
}

static void loaded(void *context, struct slice plan, bool first)
{
    json_t *json = json_loadb(plan.ptr, plan.len, 0, NULL), *listener;
    size_t index;
    (void)context;
    if (!supervisor_is_loading())
        state_dir_tidy(json_string_value(json_object_get(json, "data_dir")), json);
    size_t workers = json_array_size(json_object_get(json, "workers"));
    AUTO_BUFFER where = {0};
    json_array_foreach(json_object_get(json, "listeners"), index, listener)
        buffer_printf(&where, "%shttp://%s:%lld", index ? ", " : "",
                      json_string_value(json_object_get(listener, "address")),
                      (long long)json_integer_value(json_object_get(listener, "port")));
    log_info("%s: %zu worker%s on %.*s", first ? "serving" : "reloaded", workers,
             workers == 1 ? "" : "s", (int)buffer_len(&where), where.data + where.start);
    json_decref(json);
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
    if (!data_dir) {
        (void)fprintf(stderr, "weir: %s\n", err.text);
        return EXIT_FAILED;
    }
    AUTO_TEXT pid_path = xasprintf("%s/weir.pid", data_dir);
    struct supervisor_options supervisor_options = {.load = load,
                                                    .watch_fd = -1,
                                                    .loaded = loaded,
                                                    .pid_path = pid_path,
                                                    .drain_timeout_ms = 30000};
    return supervisor_run(&supervisor_options);
}

int command_reload(int argc, char **argv)
{
    const struct cli_option options[] = {
        {"--config", "FILE", "The configuration (default: weir.toml)", &config_path, NULL}};
    const struct cli_command command = {
        "weir reload [--config FILE]",
        "Makes the weir serve of this configuration read it again.", options, ARRAY_LEN(options),
        0};
    int code, pid = 0;
    struct error err = {""};
    if (!cli_parse(&command, argc, argv, NULL, &code))
        return code;
    AUTO_TEXT data_dir = loader_data_dir(config_path, &err);
    if (!data_dir) {
        (void)fprintf(stderr, "weir: %s\n", err.text);
        return EXIT_FAILED;
    }
    AUTO_TEXT pid_path = xasprintf("%s/weir.pid", data_dir);
    FILE *file = fopen(pid_path, "re");
    bool found = file && fscanf(file, "%d", &pid) == 1 && pid > 1;
    if (file)
        (void)fclose(file);
    if (!found || kill(pid, SIGHUP) < 0) {
        (void)fprintf(stderr, "weir: no weir serve runs with %s (%s: %s)\n", config_path, pid_path,
                      found ? strerror(errno) : "no process id there");
        return EXIT_FAILED;
    }
    (void)printf("weir %d reads %s again\n", pid, config_path);
    return EXIT_OK;
}
