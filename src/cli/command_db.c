/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "common.h"
#include "private_postgres.h"
#include "project.h"

static bool as_json;

/* psql learns the password by its environment: its arguments are for all to see. */
static int open_psql(const char *dir, struct error *err)
{
    AUTO_TEXT program = private_postgres_program("psql", err);
    int hold = private_postgres_hold(dir), status = 0;
    AUTO_TEXT url = program ? private_postgres_tcp_url(dir, err) : NULL;
    pid_t pid = url ? fork() : -1;
    if (pid == 0) {
        static const char prefix[] = "postgresql://";
        char *user = url + strlen(prefix), *password = strchr(user, ':') + 1,
             *host = strchr(password, '@') + 1, *port = strchr(host, ':') + 1,
             *database = strchr(port, '/') + 1;
        password[-1] = host[-1] = port[-1] = database[-1] = 0;
        database[strcspn(database, "?")] = 0;
        (void)setenv("PGUSER", user, 1);
        (void)setenv("PGPASSWORD", password, 1);
        (void)setenv("PGHOST", host, 1);
        (void)setenv("PGPORT", port, 1);
        (void)setenv("PGDATABASE", database, 1);
        (void)execl(program, "psql", NULL);
        _exit(127);
    }
    (void)signal(SIGINT, SIG_IGN); /* Ctrl-C is for psql */
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    private_postgres_release(dir, hold);
    if (pid < 0)
        return cli_failed(err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

static int print_url(const char *dir, struct error *err)
{
    AUTO_TEXT url = private_postgres_tcp_url(dir, err);
    if (!url)
        return cli_failed(err);
    (void)(as_json ? printf("{\"url\":\"%s\"}\n", url) : printf("%s\n", url));
    return EXIT_OK;
}

static int print_status(const char *dir)
{
    bool exists = private_postgres_exists(dir), runs = exists && private_postgres_runs(dir);
    if (as_json)
        (void)printf("{\"exists\":%s,\"running\":%s}\n", exists ? "true" : "false",
                     runs ? "true" : "false");
    else
        (void)printf("%s\n", runs     ? "running"
                             : exists ? "stopped"
                                      : "not made yet; weir db makes it");
    return runs ? EXIT_OK : EXIT_FAILED;
}

int command_db(int argc, char **argv)
{
    const char *arguments[1];
    const char *where = ".";
    const struct cli_option options[] = {
        {"--project", "DIR", "The project (default: here, or a directory above)", &where, NULL,
         NULL},
        {"--json", NULL, "Print url and status as JSON", NULL, &as_json, NULL}};
    const struct cli_command command = {
        "weir db [psql | url | start | stop | status | reset] [options]",
        "The project's private Postgres, in .weir/postgres. psql (the default) opens a prompt on "
        "it; "
        "url starts\nit and prints where other tools reach it, on loopback; start and stop run it "
        "beyond weir dev, which\nstops it in the end; status tells whether it runs (exit code 0) "
        "or "
        "not (1); reset deletes all its data.",
        options, ARRAY_LEN(options), 1};
    struct error err = {""};
    int code;
    if (!cli_parse(&command, argc, argv, arguments, &code))
        return code;
    const char *what = arguments[0] ? arguments[0] : "psql";
    AUTO_TEXT config = project_find(where, true, &err);
    if (!config)
        return cli_failed(&err);
    AUTO_TEXT dir = project_dir_of(config);
    if (strcmp(what, "psql") == 0)
        return open_psql(dir, &err);
    if (strcmp(what, "url") == 0)
        return print_url(dir, &err);
    if (strcmp(what, "status") == 0)
        return print_status(dir);
    if (strcmp(what, "start") == 0) {
        AUTO_TEXT url = private_postgres_tcp_url(dir, &err);
        return url ? EXIT_OK : cli_failed(&err);
    }
    if (strcmp(what, "stop") == 0)
        return private_postgres_stop(dir, &err) < 0 ? cli_failed(&err) : EXIT_OK;
    if (strcmp(what, "reset") == 0)
        return private_postgres_remove(dir, &err) < 0 ? cli_failed(&err) : EXIT_OK;
    (void)fprintf(stderr, "weir: db %s: expected psql, url, start, stop, status or reset\n", what);
    return EXIT_USAGE;
}
