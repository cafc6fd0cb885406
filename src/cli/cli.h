/* SPDX-License-Identifier: Apache-2.0 */
/* The commands, one file each. argv[0] is the command's name. Exit codes: 0 done, 1 failed, 2 misused. */
#ifndef WEIR_CLI_H
#define WEIR_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "error.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

int command_dev(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_reload(int argc, char **argv);
int command_check_config(int argc, char **argv);
int command_pool(int argc, char **argv);
int command_prisma(int argc, char **argv);
int command_db(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_help(int argc, char **argv);
int command_version(int argc, char **argv);

/* Of an option that may be given several times: each counts. */
enum { CLI_VALUES_MAX = 256 };
struct cli_values {
    const char *items[CLI_VALUES_MAX + 1]; /* NULL-terminated */
    int count;
};

/* Options of a command: "--name VALUE", "--name=VALUE" or "--flag". */
struct cli_option {
    const char *name;   /* with its dashes */
    const char *value;  /* name of the value for help; NULL: a flag */
    const char *text;
    const char **ret_value; /* of options with a value; the last one counts */
    bool *ret_flag;
    struct cli_values *ret_values;
};

struct cli_command {
    const char *usage; /* "weir dev [DIR] [options]" */
    const char *text;
    const struct cli_option *options;
    size_t options_count;
    int arguments_max; /* positional ones */
};

/* Fills options and positional arguments (ret_arguments[arguments_max], NULL where missing). Prints help
 * for --help, or what is wrong. EXIT_OK: go on; otherwise *ret_exit is set and false is returned. */
bool cli_parse(const struct cli_command *command, int argc, char **argv,
               const char **ret_arguments, int *ret_exit);
/* Prints the error; EXIT_FAILED. */
int cli_failed(const struct error *err);
/* A port number in text; -1: none. */
int cli_port(const char *text);
/* Logs where the pool listens, if it does: the plan's listeners. */
void cli_say_pool(const json_t *listeners);
/* Colours on this stream? A terminal, and no NO_COLOR. */
bool cli_color(int fd);

#endif
