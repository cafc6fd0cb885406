/* SPDX-License-Identifier: Apache-2.0 */
#include "cli_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "config.h"
#include "json_wipe.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *text;
} commands[] = {
    {"dev", command_dev, "Serve a project while you work on it"},
    {"serve", command_serve, "Serve many workers, in production"},
    {"pool", command_pool, "Pool connections to Postgres, by itself"},
    {"db", command_db, "The project's private Postgres: a prompt, its URL, start and stop"},
    {"prisma", command_prisma, "Api keys of prisma:// URLs: make, list, revoke"},
    {"reload", command_reload, "Make a running weir serve read its configuration again"},
    {"check-config", command_check_config, "Tell every mistake in a configuration"},
    {"doctor", command_doctor, "Tell whether this machine can run weir"},
    {"help", command_help, "This text, or a command's"},
    {"version", command_version, "Print the version"},
};

int command_help(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "configuration") == 0) {
        config_print_reference();
        return EXIT_OK;
    }
    for (size_t i = 0; argc > 1 && i < ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i].name, argv[1]) == 0) {
            if (commands[i].run == command_help || commands[i].run == command_version) {
                (void)printf("Usage: weir %s\n\n%s\n", commands[i].name, commands[i].text);
                return EXIT_OK;
            }
            char *again[] = {argv[1], (char[]){"--help"}, NULL};
            return commands[i].run(2, again);
        }
    }
    if (argc > 1) {
        (void)fprintf(stderr, "weir: there is no command \"%s\"; weir help lists them\n", argv[1]);
        return EXIT_USAGE;
    }
    (void)printf("weir: a serverless server for your own machine\n\nUsage: weir COMMAND [options]\n\n");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        (void)printf("  %-14s %s\n", commands[i].name, commands[i].text);
    (void)printf("\nweir COMMAND --help tells a command's options; weir help configuration prints the "
                 "configuration reference.\n");
    return EXIT_OK;
}

int command_version(int argc, char **argv)
{
    (void)argc, (void)argv;
    (void)printf("weir %s\n", WEIR_VERSION);
    return EXIT_OK;
}

int cli_failed(const struct error *err)
{
    (void)fprintf(stderr, "weir: %s\n", err->text);
    return EXIT_FAILED;
}

bool cli_color(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    return isatty(fd) && (!no_color || !*no_color);
}

int cli_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);
    return *text && !*end && port >= 0 && port <= 65535 ? (int)port : -1;
}

static void print_help(const struct cli_command *command)
{
    (void)printf("Usage: %s\n\n%s\n", command->usage, command->text);
    if (command->options_count > 0)
        (void)printf("\nOptions:\n");
    for (size_t i = 0; i < command->options_count; i++) {
        char left[64];
        (void)snprintf(left, sizeof(left), "%s%s%s", command->options[i].name,
                       command->options[i].value ? " " : "",
                       command->options[i].value ? command->options[i].value : "");
        (void)printf("  %-20s %s\n", left, command->options[i].text);
    }
    (void)printf("  %-20s %s\n", "--help", "This text");
}

static const struct cli_option *find_option(const struct cli_command *command, const char *text)
{
    size_t len = strcspn(text, "=");
    for (size_t i = 0; i < command->options_count; i++)
        if (strlen(command->options[i].name) == len &&
            memcmp(command->options[i].name, text, len) == 0)
            return &command->options[i];
    return NULL;
}

static bool misused(const struct cli_command *command, int *ret_exit, const char *what,
                    const char *argument)
{
    (void)fprintf(stderr, "weir: %s: %s\nUsage: %s\n", argument, what, command->usage);
    *ret_exit = EXIT_USAGE;
    return false;
}

static bool take_value(const struct cli_option *option, const char *value)
{
    if (option->ret_value)
        *option->ret_value = value;
    else if (option->ret_values->count < CLI_VALUES_MAX)
        option->ret_values->items[option->ret_values->count++] = value;
    else
        return false;
    return true;
}

bool cli_parse(const struct cli_command *command, int argc, char **argv,
               const char **ret_arguments, int *ret_exit)
{
    int positional = 0;
    for (int i = 0; i < command->arguments_max; i++)
        ret_arguments[i] = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(command);
            *ret_exit = EXIT_OK;
            return false;
        }
        if (argv[i][0] != '-') {
            if (positional == command->arguments_max)
                return misused(command, ret_exit, "one argument too many", argv[i]);
            ret_arguments[positional++] = argv[i];
            continue;
        }
        const struct cli_option *option = find_option(command, argv[i]);
        const char *equals = strchr(argv[i], '=');
        if (!option)
            return misused(command, ret_exit, "unknown option", argv[i]);
        if (!option->value) {
            if (equals)
                return misused(command, ret_exit, "takes no value", argv[i]);
            *option->ret_flag = true;
        } else if (!equals && i + 1 == argc) {
            return misused(command, ret_exit, "needs a value", argv[i]);
        } else if (!take_value(option, equals ? equals + 1 : argv[++i])) {
            return misused(command, ret_exit, "too many of them", option->name);
        }
    }
    return true;
}

int cli_main(int argc, char **argv)
{
    json_wipe_freed();
    if (argc < 2)
        return command_help(argc, argv);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return command_version(argc, argv);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return command_help(1, argv);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, argv[1]) == 0)
            return commands[i].run(argc - 1, argv + 1);
    (void)fprintf(stderr, "weir: there is no command \"%s\"; weir help lists them\n", argv[1]);
    return EXIT_USAGE;
}
