/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve.h"

#include <stdio.h>
#include <stdlib.h>

#include "common.h"
#include "offload.h"

struct resolve {
    struct offload offload;
    char *host;
    char port[8];
    struct addrinfo *list;
    int code;
    resolve_fn *on_done;
    void *owner; /* NULL: abandoned */
};

static void look_up(struct offload *offload)
{
    struct resolve *resolve = CONTAINER_OF(offload, struct resolve, offload);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    resolve->code = getaddrinfo(resolve->host, resolve->port, &hints, &resolve->list);
}

static void finish(struct offload *offload)
{
    struct resolve *resolve = CONTAINER_OF(offload, struct resolve, offload);
    if (offload->failed)
        resolve->code = EAI_AGAIN;
    if (resolve->owner)
        resolve->on_done(resolve->owner, TAKE(resolve->list),
                         resolve->code ? gai_strerror(resolve->code) : NULL);
    if (resolve->list)
        freeaddrinfo(resolve->list);
    free(resolve->host);
    free(resolve);
}

struct resolve *resolve_start(const char *host, uint16_t port, resolve_fn *fn, void *owner)
{
    struct resolve *resolve = xcalloc(1, sizeof(*resolve));
    resolve->offload = (struct offload){.work = look_up, .done = finish};
    resolve->host = xstrdup(host);
    resolve->on_done = fn;
    resolve->owner = owner;
    (void)snprintf(resolve->port, sizeof(resolve->port), "%u", port);
    offload_start(&resolve->offload);
    return resolve;
}

void resolve_abandon(struct resolve **resolve)
{
    struct resolve *r = TAKE(*resolve);
    if (r)
        r->owner = NULL;
}
