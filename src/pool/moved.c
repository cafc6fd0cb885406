/* SPDX-License-Identifier: Apache-2.0 */
#include "moved.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "log.h"
#include "pool.h"
#include "resolve.h"

struct name {
    struct name *next;
    char *host;
    struct resolve *resolve; /* under way; NULL: none is */
    uint64_t asked_us;       /* or when the first connection to it was seen */
    bool used;
};

static struct name *names;

static const char *host_of(const struct server *server)
{
    return server->pool->database->hosts[server->host].host;
}

/* Each that was made by a name. It may be closed. */
typedef void visit_fn(struct server *server, void *context);

static void visit_all(visit_fn *visit, void *context)
{
    for (struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        struct list *lists[] = {&pool->idle, &pool->lent, &pool->cleaning, &pool->listening};
        for (size_t i = 0; i < ARRAY_LEN(lists); i++)
            for (struct link *link = list_first(lists[i]), *next; link; link = next) {
                struct server *server = CONTAINER_OF(link, struct server, link);
                next = list_next(lists[i], link);
                if (server->by_name)
                    visit(server, context);
            }
    }
}

/* ---- what a name means now ---- */

static bool is_at(const struct server *server, const struct sockaddr *address)
{
    const struct sockaddr *own = (const struct sockaddr *)&server->address;
    if (own->sa_family != address->sa_family)
        return false;
    if (own->sa_family == AF_INET)
        return memcmp(&((const struct sockaddr_in *)own)->sin_addr,
                      &((const struct sockaddr_in *)address)->sin_addr,
                      sizeof(struct in_addr)) == 0;
    return memcmp(&((const struct sockaddr_in6 *)own)->sin6_addr,
                  &((const struct sockaddr_in6 *)address)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

struct answer {
    const char *host;
    const struct addrinfo *list;
    uint32_t moved; /* connections that lead elsewhere */
};

static void compare(struct server *server, void *context)
{
    struct answer *answer = context;
    const struct addrinfo *at = answer->list;
    if (server->tainted || strcmp(host_of(server), answer->host) != 0)
        return;
    while (at && !is_at(server, at->ai_addr))
        at = at->ai_next;
    if (at)
        return;
    answer->moved++;
    if (server->state == SERVER_IDLE)
        server_close(server, "its host has another address now");
    else
        server->tainted = true;
}

static void on_resolved(void *owner, struct addrinfo *list, const char *failure)
{
    struct name *name = owner;
    struct answer answer = {name->host, list, 0};
    (void)failure;
    name->resolve = NULL;
    if (!list)
        return;
    visit_all(compare, &answer);
    freeaddrinfo(list);
    if (answer.moved > 0)
        log_info("host %s: it has another address now; %u connections to where it was are replaced",
                 name->host, answer.moved);
}

/* ---- time ---- */

static void note(struct server *server, void *context)
{
    struct name **place = &names;
    (void)context;
    while (*place && strcmp((*place)->host, host_of(server)) != 0)
        place = &(*place)->next;
    if (!*place) {
        *place = xcalloc(1, sizeof(**place));
        (*place)->host = xstrdup(host_of(server));
        (*place)->asked_us = pool_now();
    }
    (*place)->used = true;
}

static void forget(struct name **place)
{
    struct name *name = *place;
    *place = name->next;
    resolve_abandon(&name->resolve);
    free(name->host);
    free(name);
}

void moved_tick(void)
{
    int64_t ttl_ms = pool_process.config->dns_max_ttl_ms;
    for (struct name *name = names; name; name = name->next)
        name->used = false;
    visit_all(note, NULL);
    for (struct name **place = &names; *place;) {
        struct name *name = *place;
        if (!name->used) {
            forget(place);
            continue;
        }
        if (!name->resolve && pool_passed(name->asked_us, ttl_ms)) {
            name->asked_us = pool_now();
            name->resolve = resolve_start(name->host, 0, on_resolved, name);
        }
        place = &name->next;
    }
}
