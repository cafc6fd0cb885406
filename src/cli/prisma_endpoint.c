/* SPDX-License-Identifier: Apache-2.0 */
#include "prisma_endpoint.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundler.h"
#include "http_frames.h"
#include "local_certificate.h"
#include "prisma_keys.h"

#define VENDOR_HOST "accelerate.prisma-data.net"

int prisma_endpoint_part(const char *state_dir, json_t **ret_part, struct error *err)
{
    json_t *file = prisma_keys_read(state_dir, err);
    bool had_keys = json_object_get(file, "secret");
    int r = file ? 0 : -EINVAL;
    *ret_part = had_keys ? json_incref(file) : NULL;
    json_decref(file);
    return r;
}

static void add_once(json_t *texts, const char *text)
{
    size_t index;
    json_t *other;
    json_array_foreach(texts, index, other)
    {
        if (strcmp(json_string_value(other), text) == 0)
            return;
    }
    (void)json_array_append_new(texts, json_string(text));
}

json_t *prisma_endpoint_databases(const json_t *part)
{
    json_t *names = json_array(), *key;
    const char *id;
    json_object_foreach(json_object_get(part, "keys"), id, key)
    {
        const char *name = json_string_value(json_object_get(key, "database"));
        if (name)
            add_once(names, name);
    }
    return names;
}

/* fetch() leaves the port out that is the default one: http's for whom Prisma's clients ask in the
 * clear (prisma+postgres://localhost), https's for all others. */
static void drop_default_port(char *host, bool may_be_plain)
{
    bool plain = may_be_plain &&
                 (strstr(host, "localhost") || strstr(host, "127.0.0.1") || strstr(host, "[::1]"));
    char *port = strrchr(host, ':');
    if (port && !strchr(port, ']') &&
        (!port[1] || strtol(port + 1, NULL, 10) == (plain ? 80 : 443)))
        *port = 0;
}

/* The authority of a prisma:// or prisma+postgres:// URL as fetch() has it, malloc'ed, and its api
 * key, borrowed; NULL: it is none. */
static char *host_of(const char *url, const char **ret_key, size_t *ret_key_len)
{
    static const char *const schemes[] = {"prisma://", "prisma+postgres://"};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        size_t len = strlen(schemes[i]);
        const char *key = strstr(url, "api_key=");
        if (strncmp(url, schemes[i], len) != 0 || !key)
            continue;
        char *host = xstrndup(url + len, strcspn(url + len, "/?#"));
        for (char *c = host; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        drop_default_port(host, i == 1);
        *ret_key = key + strlen("api_key=");
        *ret_key_len = strcspn(*ret_key, "&#");
        return host;
    }
    return NULL;
}

void prisma_endpoint_declare(struct project *project, const json_t *part)
{
    const char *name;
    json_t *value;
    json_object_foreach(project->vars, name, value)
    {
        const char *text = json_string_value(value), *key;
        size_t key_len;
        AUTO_TEXT host = text ? host_of(text, &key, &key_len) : NULL;
        if (!host || !prisma_keys_signed(part, key, key_len))
            continue; /* one that was revoked stays here, too: its queries are nobody else's */
        add_once(project->services, host);
        add_once(project->services, VENDOR_HOST);
    }
}

json_t *prisma_endpoint_dev_listener(const char *state_dir, const char *address, int port,
                                     struct error *err)
{
    AUTO_FD dir = prisma_keys_dir(state_dir, err);
    json_t *tls = dir < 0 ? NULL : local_certificate(dir, err);
    if (!tls)
        return NULL;
    (void)json_object_set_new(tls, "plain_too", json_true());
    return json_pack("{s:s, s:i, s:s, s:o}", "address", address, "port", port, "service", "prisma",
                     "tls", tls);
}

enum {
    /* Address space, which the engine's allocator does not give from one use to another: objects of
     * one hour's requests keep theirs from the large bodies of the next. Half of it is in memory at
     * worst. */
    ENDPOINT_MEMORY_BYTES = 1024 * 1024 * 1024,
    ENDPOINT_BODY_BYTES_MAX = 16 * 1024 * 1024,
};

json_int_t prisma_endpoint_longest_ms(const json_t *settings)
{
    json_int_t query = json_integer_value(json_object_get(settings, "QUERY_MS")),
               transaction = json_integer_value(json_object_get(settings, "TRANSACTION_MS"));
    return (query > transaction ? query : transaction) + 1000;
}

int prisma_endpoint_project(const char *name, json_t *binding, const json_t *settings,
                            struct project *ret_project, struct error *err)
{
    AUTO_TEXT main_path = bundler_find("system/prisma/index.js");
    struct config_report nothing = {.file = "system/prisma"};
    (void)json_object_set_new(binding, "binding", json_string("DATABASE"));
    (void)json_object_set_new(binding, "idle_transaction_timeout",
                              json_integer(prisma_endpoint_longest_ms(settings)));
    struct project project = {
        .name = xasprintf("prisma:%s", name),
        .main = main_path ? xstrdup(main_path) : NULL,
        .dir =
            main_path ? xstrndup(main_path, (size_t)(strrchr(main_path, '/') - main_path)) : NULL,
        .compatibility_date = xstrdup("2026-01-01"),
        .compatibility_flags = json_pack("[s]", "nodejs_compat"),
        .vars = json_copy((json_t *)(uintptr_t)settings),
        .routes = json_array(),
        .crons = json_array(),
        .databases = json_pack("[o]", binding),
        .services = json_pack("[s, s]", SEED_HOST, TRANSACTIONS_HOST),
        .limits = json_pack("{s:i, s:i, s:i}", "memory_bytes", ENDPOINT_MEMORY_BYTES,
                            "request_body_bytes", ENDPOINT_BODY_BYTES_MAX, "startup_cpu_ms", 10000),
        .rules = rules_new(NULL, &nothing),
        .no_bundle = true,
        .system = true,
    };
    *ret_project = project;
    (void)json_object_del(project.vars, "address"); /* the listener's, which is not the worker's */
    (void)json_object_del(project.vars, "port");
    (void)json_object_del(project.vars, "idle_timeout");
    if (!main_path)
        return error_set(err, -ENOENT,
                         "system/prisma/index.js is not beside this program: Prisma's clients "
                         "cannot be answered; build it anew");
    return 0;
}
