/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "loader.h"
#include "state_dir.h"

int command_check_config(int argc, char **argv)
{
    bool json = false, no_build = false;
    const char *config_path = "weir.toml";
    const struct cli_option options[] = {
        {"--config", "FILE", "The configuration (default: weir.toml)", &config_path, NULL},
        {"--json", NULL, "Print the result as JSON", NULL, &json},
        {"--no-build", NULL, "Do not bundle the projects", NULL, &no_build}};
    const struct cli_command command = {"weir check-config [FILE | --config FILE] [options]",
                                        "Tells every mistake of a configuration and of its "
                                        "projects, with file and line, and builds\n"
                                        "the projects: what is fine is what weir serve will load. "
                                        "A pool.toml is checked by\nweir pool --check.",
                                        options, ARRAY_LEN(options), 1};
    int code;
    const char *file;
    struct error err = {""};
    AUTO_BUFFER plan = {0};
    if (!cli_parse(&command, argc, argv, &file, &code))
        return code;
    config_path = file ? file : config_path;
    struct config_report report = {.file = config_path};
    /* The bundles are for nobody: those of a weir serve that runs are left alone. */
    AUTO_TEXT data_dir = no_build ? NULL : state_dir_temporary(&err);
    const struct serve_options serve = {.build = !no_build, .data_dir = data_dir};
    int r = no_build || data_dir ? loader_serve(config_path, &serve, &plan, &report, &err) : -1;
    if (data_dir)
        state_dir_remove(data_dir);
    if (r < 0 && report.errors_count == 0)
        config_error(&report, 0, NULL, "%s", err.text);
    config_report_conclude(&report, config_path, r < 0 ? err.text : NULL, json,
                           cli_color(STDERR_FILENO));
    config_report_done(&report);
    return r < 0 ? EXIT_FAILED : EXIT_OK;
}
