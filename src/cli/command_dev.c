/* SPDX-License-Identifier: Apache-2.0 */
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cli.h"
#include "loader.h"
#include "log.h"
#include "prisma_keys.h"
#include "private_postgres.h"
#include "project.h"
#include "state_dir.h"
#include "supervisor.h"
#include "watch.h"

enum { RELOAD_DELAY_MS = 60 };

static struct {
    struct dev_options options;
    char *project_dir;
    int events; /* an epoll of what asks for a reload: changes of files, the private Postgres's end
                 */
    int postgres; /* a pidfd of that; -1: none is used */
    int hold;     /* of that */
} dev = {.events = -1, .postgres = -1};

static void watch_fd(int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    (void)epoll_ctl(dev.events, EPOLL_CTL_ADD, fd, &event);
}

static void unwatch_postgres(void)
{
    if (dev.postgres >= 0) /* a loader has it, too: closing alone would not do */
        (void)epoll_ctl(dev.events, EPOLL_CTL_DEL, dev.postgres, NULL);
    fd_close(&dev.postgres);
}

/* The plan's, if it uses it. */
static void watch_postgres(const json_t *plan)
{
    size_t index;
    json_t *database;
    unwatch_postgres();
    json_array_foreach(json_object_get(json_object_get(plan, "pool"), "databases"), index, database)
    {
        if (dev.postgres < 0 && json_is_true(json_object_get(database, "private")) &&
            (dev.postgres = private_postgres_process(dev.project_dir)) >= 0)
            watch_fd(dev.postgres);
    }
    if (dev.postgres >= 0)
        private_postgres_guard(dev.project_dir, dev.hold);
}

/* A load starts it again, and reads where it is then. */
static bool postgres_has_ended(void)
{
    struct pollfd end = {.fd = dev.postgres, .events = POLLIN};
    if (dev.postgres < 0 || poll(&end, 1, 0) != 1)
        return false;
    unwatch_postgres();
    (void)fprintf(stderr, "weir: the private Postgres has ended; it is started again\n");
    return true;
}

static bool changed(void *context)
{
    (void)context;
    bool ended = postgres_has_ended();
    return watch_changed() || ended;
}

static int load(void *context, struct buffer *ret_plan, struct error *err)
{
    (void)context;
    return loader_dev(&dev.options, ret_plan, err);
}

/* The first address of this machine in the network of that family; false: it has none. */
static bool network_address(int family, char ret_text[INET6_ADDRSTRLEN])
{
    struct ifaddrs *all, *at;
    bool found = false;
    if (getifaddrs(&all) < 0)
        return false;
    for (at = all; at && !found; at = at->ifa_next) {
        if (!at->ifa_addr || at->ifa_addr->sa_family != family || (at->ifa_flags & IFF_LOOPBACK))
            continue;
        const struct sockaddr_in6 *v6 = (const void *)at->ifa_addr;
        if (family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
            continue; /* useless without its interface */
        socklen_t len = family == AF_INET6 ? sizeof(*v6) : sizeof(struct sockaddr_in);
        found = getnameinfo(at->ifa_addr, len, ret_text, INET6_ADDRSTRLEN, NULL, 0,
                            NI_NUMERICHOST) == 0;
    }
    freeifaddrs(all);
    return found;
}

/* An address that a browser can open: "all addresses" is none. */
static void print_address(const json_t *listener, const char *bold, const char *off)
{
    const char *address = json_string_value(json_object_get(listener, "address"));
    int port = (int)json_integer_value(json_object_get(listener, "bound_port"));
    bool v6 = strchr(address, ':');
    bool all = strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
    const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";
    char network[INET6_ADDRSTRLEN];
    (void)printf("  ready on %shttp://%s%s%s:%d%s\n", bold, open,
                 !all ? address
                 : v6 ? "::1"
                      : "127.0.0.1",
                 close, port, off);
    if (all && network_address(v6 ? AF_INET6 : AF_INET, network))
        (void)printf("  network  http://%s%s%s:%d\n", open, network, close, port);
}

/* Only when they are others than before: they would come again with every build. */
static void print_warnings(const char *warnings)
{
    static char *before;
    bool color = cli_color(STDERR_FILENO);
    if (!before || strcmp(before, warnings) != 0)
        (void)fprintf(stderr, "%s%s%s", color ? "\033[33m" : "", warnings, color ? "\033[0m" : "");
    free(before);
    before = xstrdup(warnings);
}

/* "postgres 127.0.0.1:5432/app", of the binding's database. */
static void print_database(const json_t *plan, const json_t *binding)
{
    size_t index;
    json_t *database;
    json_array_foreach(json_object_get(json_object_get(plan, "pool"), "databases"), index, database)
    {
        if (!json_equal(json_object_get(database, "name"), json_object_get(binding, "database")))
            continue;
        const json_t *host = json_array_get(json_object_get(database, "hosts"), 0);
        (void)printf("  %-8s postgres %s:%lld/%s\n",
                     json_string_value(json_object_get(binding, "binding")),
                     json_string_value(json_object_get(host, "host")),
                     (long long)json_integer_value(json_object_get(host, "port")),
                     json_string_value(json_object_get(database, "database")));
    }
}

/* Where Prisma's clients elsewhere on this machine reach the endpoint. */
static void print_prisma(const json_t *plan)
{
    const json_t *listener = json_array_get(json_object_get(plan, "listeners"), 1);
    if (listener)
        (void)printf("  prisma   prisma://localhost:%lld and prisma+postgres://localhost:%lld, with ?api_key=…\n",
                     (long long)json_integer_value(json_object_get(listener, "bound_port")),
                     (long long)json_integer_value(json_object_get(listener, "bound_port")));
}

static void print_banner(const json_t *plan, const json_t *worker)
{
    const char *bold = dev.options.color ? "\033[1m" : "",
               *dim = dev.options.color ? "\033[2m" : "", *off = dev.options.color ? "\033[0m" : "";
    const json_t *assets = json_object_get(worker, "assets");
    (void)printf("%sweir %s%s  %s%s%s\n\n", bold, WEIR_VERSION, off, dim,
                 json_string_value(json_object_get(worker, "config")), off);
    (void)printf("  worker   %s\n", json_string_value(json_object_get(worker, "name")));
    if (json_is_object(assets))
        (void)printf("  assets   %s\n", json_string_value(json_object_get(assets, "directory")));
    size_t index;
    json_t *binding;
    json_array_foreach(json_object_get(worker, "databases"), index, binding)
        print_database(plan, binding);
    print_address(json_array_get(json_object_get(plan, "listeners"), 0), bold, off);
    print_prisma(plan);
    (void)printf("\n%sCtrl-C stops it; a change of a source file reloads it.%s\n", dim, off);
}

static void loaded(void *context, struct slice plan, bool first)
{
    json_t *json = json_loadb(plan.ptr, plan.len, 0, NULL);
    const json_t *worker = json_array_get(json_object_get(json, "workers"), 0);
    (void)context;
    if (!supervisor_is_loading())
        state_dir_tidy(dev.options.data_dir, json);
    watch_postgres(json);
    watch_renew(json_object_get(worker, "watch"), json_object_get(worker, "failed") != NULL);
    print_warnings(json_string_value(json_object_get(worker, "warnings")));
    if (first)
        print_banner(json, worker);
    else if (!json_object_get(worker, "failed"))
        (void)printf("%sreloaded%s\n", dev.options.color ? "\033[2m" : "",
                     dev.options.color ? "\033[0m" : "");
    (void)fflush(stdout);
    json_decref(json);
}

static json_t *keys(void *context, const json_t *plan)
{
    (void)context, (void)plan;
    AUTO_TEXT state_dir = xasprintf("%s/.weir", dev.project_dir);
    return prisma_keys_listed(state_dir);
}

static bool check_options(const char *port, const char *prisma_port, const struct cli_values *vars)
{
    dev.options.port = cli_port(port);
    dev.options.prisma_port = prisma_port ? cli_port(prisma_port) : -1;
    if (prisma_port && dev.options.prisma_port < 0) {
        (void)fprintf(stderr, "weir: --prisma-port %s: expected a number from 0 to 65535\n", prisma_port);
        return false;
    }
    if (dev.options.port < 0)
        (void)fprintf(stderr, "weir: --port %s: expected a number from 0 to 65535\n", port);
    for (int i = 0; i < vars->count; i++) {
        const char *colon = strchr(vars->items[i], ':');
        if (colon && colon > vars->items[i])
            continue;
        (void)fprintf(stderr, "weir: --var %s: expected NAME:VALUE\n", vars->items[i]);
        return false;
    }
    return dev.options.port >= 0;
}

int command_dev(int argc, char **argv)
{
    const char *port = "8787", *prisma_port = NULL, *dir;
    static struct cli_values vars;
    dev.options = (struct dev_options){.address = "127.0.0.1", .color = cli_color(STDOUT_FILENO)};
    const struct cli_option options[] = {
        {"--ip", "ADDRESS", "Address to listen on (default: 127.0.0.1)", &dev.options.address,
         NULL},
        {"--port", "PORT", "Port to listen on (default: 8787; 0: any that is free)", &port, NULL},
        {"--prisma-port", "PORT", "Answer Prisma's clients outside of weir there, too", &prisma_port, NULL},
        {"--env", "NAME", "Use [env.NAME] of the configuration", &dev.options.env, NULL},
        {"--var", "NAME:VALUE", "Set a variable; may be given several times", .ret_values = &vars},
    };
    const struct cli_command command = {
        "weir dev [DIR] [options]",
        "Serves the project in DIR (default: here, or a directory above) from its wrangler.toml,\n"
        "wrangler.json or wrangler.jsonc, and again when a source file changes.",
        options, ARRAY_LEN(options), 1};
    int code;
    if (!cli_parse(&command, argc, argv, &dir, &code))
        return code;
    if (!check_options(port, prisma_port, &vars))
        return EXIT_USAGE;
    dev.options.vars = vars.items;
    log_init("dev", LOG_INFO, false);
    struct error err = {""};
    AUTO_TEXT config = project_find(dir ? dir : ".", true, &err);
    AUTO_TEXT project_dir = config ? project_dir_of(config) : NULL;
    AUTO_TEXT data_dir = config ? state_dir_private(project_dir, &err) : NULL;
    if (!data_dir)
        return cli_failed(&err);
    dev.options.dir = config;
    dev.project_dir = project_dir;
    dev.events = epoll_create1(EPOLL_CLOEXEC);
    watch_fd(watch_init());
    dev.options.data_dir = data_dir;
    struct supervisor_options supervisor_options = {.load = load,
                                                    .watch_fd = dev.events,
                                                    .changed = changed,
                                                    .reload_delay_ms = RELOAD_DELAY_MS,
                                                    .loaded = loaded,
                                                    .keys = keys,
                                                    .drain_timeout_ms = 2000,
                                                    .hangup_stops = true};
    dev.hold = private_postgres_hold(project_dir); /* a load may start it */
    code = supervisor_run(&supervisor_options);
    private_postgres_release(project_dir, dev.hold);
    state_dir_remove(data_dir);
    return code;
}
