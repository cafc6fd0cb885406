/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "loader.h"
#include "log.h"
#include "project.h"
#include "state_dir.h"
#include "supervisor.h"
#include "watch.h"

enum { RELOAD_DELAY_MS = 60 };

static struct {
    struct dev_options options;
} dev;

static bool changed(void *context)
{
    (void)context;
    return watch_changed();
}

static int load(void *context, struct buffer *ret_plan, struct error *err)
{
    (void)context;
    return loader_dev(&dev.options, ret_plan, err);
}

static void loaded(void *context, struct slice plan, bool first)
{
    json_t *json = json_loadb(plan.ptr, plan.len, 0, NULL);
    const json_t *worker = json_array_get(json_object_get(json, "workers"), 0);
    const char *bold = dev.options.color ? "\033[1m" : "", *dim = dev.options.color ? "\033[2m" : "",
               *off = dev.options.color ? "\033[0m" : "";
    (void)context;
    if (!supervisor_is_loading())
        state_dir_tidy(dev.options.data_dir, json);
    watch_renew(json_object_get(worker, "watch"), json_object_get(worker, "failed") != NULL);
    if (!first) {
        if (!json_object_get(worker, "failed"))
            (void)printf("%sreloaded%s\n", dim, off);
    } else {
        const json_t *assets = json_object_get(worker, "assets");
        (void)printf("%sweir %s%s  %s%s%s\n\n", bold, WEIR_VERSION, off, dim,
                     json_string_value(json_object_get(worker, "config")), off);
        (void)printf("  worker   %s\n", json_string_value(json_object_get(worker, "name")));
        if (json_is_object(assets))
            (void)printf("  assets   %s\n",
                         json_string_value(json_object_get(assets, "directory")));
        (void)printf("  ready on %shttp://%s:%d%s\n\n%sCtrl-C stops it; a change of a source file "
                     "reloads it.%s\n",
                     bold, dev.options.address, dev.options.port, off, dim, off);
    }
    (void)fflush(stdout);
    json_decref(json);
}

int command_dev(int argc, char **argv)
{
    const char *port = "8787", *dir, *var = NULL;
    static const char *vars[2];
    dev.options = (struct dev_options){.address = "127.0.0.1", .color = cli_color(STDOUT_FILENO)};
    const struct cli_option options[] = {
        {"--ip", "ADDRESS", "Address to listen on (default: 127.0.0.1)", &dev.options.address, NULL},
        {"--port", "PORT", "Port to listen on (default: 8787)", &port, NULL},
        {"--env", "NAME", "Use [env.NAME] of the configuration", &dev.options.env, NULL},
        {"--var", "NAME:VALUE", "Set a variable", &var, NULL},
    };
    const struct cli_command command = {
        "weir dev [DIR] [options]",
        "Serves the project in DIR (default: here) from its wrangler.toml, wrangler.json or\n"
        "wrangler.jsonc, and again when a source file changes.",
        options, ARRAY_LEN(options), 1};
    int code;
    if (!cli_parse(&command, argc, argv, &dir, &code))
        return code;
    dev.options.port = cli_port(port);
    vars[0] = var;
    dev.options.vars = vars;
    if (dev.options.port < 0 || (var && !strchr(var, ':'))) {
        (void)fprintf(stderr, dev.options.port < 0
                                  ? "weir: --port %s: expected a number from 0 to 65535\n"
                                  : "weir: --var %s: expected NAME:VALUE\n",
                      dev.options.port < 0 ? port : "…");
        return EXIT_USAGE;
    }
    log_init("dev", LOG_INFO, false);
    struct error err = {""};
    AUTO_TEXT config = project_find(dir ? dir : ".", &err);
    AUTO_TEXT project_dir = config ? xstrndup(config, (size_t)(strrchr(config, '/') - config)) : NULL;
    AUTO_TEXT data_dir = config ? state_dir_private(project_dir, &err) : NULL;
    if (!data_dir) {
        (void)fprintf(stderr, "weir: %s\n", err.text);
        return EXIT_FAILED;
    }
    dev.options.dir = config;
    dev.options.data_dir = data_dir;
    struct supervisor_options supervisor_options = {.load = load,
                                                    .watch_fd = watch_init(),
                                                    .changed = changed,
                                                    .reload_delay_ms = RELOAD_DELAY_MS,
                                                    .loaded = loaded,
                                                    .drain_timeout_ms = 2000};
    code = supervisor_run(&supervisor_options);
    state_dir_remove(data_dir);
    return code;
}
