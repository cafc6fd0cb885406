/* SPDX-License-Identifier: Apache-2.0 */
#include "derive.h"

#include <stdlib.h>

#include "list.h"
#include "offload.h"

enum { CLIENTS_WAITING_MAX = 100 };

struct derive {
    struct offload offload;
    struct link link; /* of those that wait */
    enum derive_for whom;
    char *password;
    struct scram_keys keys;
    derive_fn *on_done;
    void *owner; /* NULL: abandoned */
};

static struct derive *running;

static struct list *waiting(enum derive_for whom)
{
    static struct list lists[DERIVE_CLIENT + 1];
    if (!lists[whom].head.next)
        list_init(&lists[whom]);
    return &lists[whom];
}

static void work(struct offload *offload)
{
    struct derive *derive = CONTAINER_OF(offload, struct derive, offload);
    struct scram_keys *keys = &derive->keys;
    scram_derive(derive->password, keys->salt, keys->salt_len, keys->iterations, keys);
}

static void free_derive(struct derive *derive)
{
    secret_text_release(&derive->password);
    secret_wipe(&derive->keys, sizeof(derive->keys));
    free(derive);
}

static void start_next(void)
{
    static enum derive_for last = DERIVE_CLIENT;
    struct link *link = list_first(waiting(last == DERIVE_SERVER ? DERIVE_CLIENT : DERIVE_SERVER));
    if (!link)
        link = list_first(waiting(last));
    if (running || !link)
        return;
    running = CONTAINER_OF(link, struct derive, link);
    last = running->whom;
    list_remove(waiting(running->whom), link);
    offload_start(&running->offload);
}

static void done(struct offload *offload)
{
    struct derive *derive = CONTAINER_OF(offload, struct derive, offload);
    running = NULL;
    start_next();
    if (derive->owner)
        derive->on_done(derive->owner, derive->password, offload->failed ? NULL : &derive->keys);
    free_derive(derive);
}

struct derive *derive_start(enum derive_for whom, const char *password,
                            const struct scram_keys *like, derive_fn *on_done, void *owner)
{
    if (whom == DERIVE_CLIENT && waiting(whom)->count >= CLIENTS_WAITING_MAX)
        return NULL;
    struct derive *derive = xcalloc(1, sizeof(*derive));
    derive->offload = (struct offload){.work = work, .done = done};
    derive->whom = whom;
    derive->password = secret_text_new(password);
    derive->keys = *like;
    derive->on_done = on_done;
    derive->owner = owner;
    list_push_back(waiting(whom), &derive->link);
    start_next();
    return derive;
}

void derive_abandon(struct derive **derive)
{
    struct derive *d = TAKE(*derive);
    if (!d)
        return;
    d->owner = NULL;
    if (d == running)
        return;
    list_remove(waiting(d->whom), &d->link);
    free_derive(d);
}
