/* SPDX-License-Identifier: Apache-2.0 */
#include "listen.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "hash.h"
#include "hash_table.h"
#include "log.h"
#include "metrics.h"
#include "own.h"
#include "pool.h"
#include "traits.h"

enum {
    LATE_BYTES_MAX = 8 * 1024 * 1024,
    MARK_US_MAX = 2000000, /* the old connection does not hear it: it is of another server */
    HEIR_US_MAX = 3000000, /* between two answers: else it is given up */
    RETRY_US = 1000000,    /* after one that has come to nothing */
};

struct subscription {
    struct link link;          /* of its channel */
    struct subscription *next; /* of its client */
    struct client *client;
    struct channel *channel;
    bool told; /* the client, that it holds */
};

struct channel {
    struct channel *next, **place; /* of its pool; what leads to it there */
    struct hash_entry entry;
    struct pool *pool;
    struct list subscriptions;
    bool active;    /* the connection listens */
    bool inherited; /* … and its heir does */
    bool held;      /* … or one has: who subscribes was told that it holds */
    char name[64];
};

static struct hash_table channels; /* of all pools */
static uint64_t kept_bytes;        /* of these, and of subscriptions */

uint64_t listen_bytes(void)
{
    return kept_bytes;
}

/* ---- answers ---- */

/* The client's LISTEN or UNLISTEN ends with what `out` says. In an extended query it is gone
 * through once more (listen_command), and nothing is said before that. */
static void finish(struct client *client, struct buffer *out)
{
    if (!client->listens_in_batch) {
        wire_ready(out, 'I');
        client_send_buffer(client, out);
    }
    client->awaits_listen = NULL;
    client->listens_in_batch = false;
    client->active_us = pool_now();
    pool_again(client);
}

/* … with one message. */
static void finish_with(struct client *client, char type, struct slice body)
{
    AUTO_BUFFER out = {0};
    size_t begun = wire_begin(&out, type);
    buffer_append_slice(&out, body);
    wire_end(&out, begun);
    finish(client, &out);
}

static void answer(struct client *client, const char *tag)
{
    finish_with(client, 'C', (struct slice){tag, strlen(tag) + 1});
}

static void refuse(struct client *client, const struct wire_error *error)
{
    AUTO_BUFFER out = {0};
    wire_error(&out, "ERROR", error);
    metrics_refused(error->sqlstate, false);
    client->listen_refused = client->listens_in_batch;
    finish(client, &out);
}

/* ---- channels ---- */

static uint64_t hash_of(const struct pool *pool, const char *name)
{
    return hash_bytes(hash_table_key(&channels) ^ (uintptr_t)pool, slice_of(name));
}

static struct channel *find_channel(const struct pool *pool, const char *name)
{
    struct hash_entry *entry = hash_table_first(&channels, hash_of(pool, name));
    for (; entry; entry = entry->next) {
        struct channel *channel = CONTAINER_OF(entry, struct channel, entry);
        if (channel->pool == pool && strcmp(channel->name, name) == 0)
            return channel;
    }
    return NULL;
}

static struct channel *add_channel(struct pool *pool, const char *name)
{
    struct channel *channel = xcalloc(1, sizeof(*channel));
    (void)snprintf(channel->name, sizeof(channel->name), "%s", name);
    list_init(&channel->subscriptions);
    channel->pool = pool;
    channel->place = &pool->channels;
    channel->next = pool->channels;
    if (channel->next)
        channel->next->place = &channel->next;
    hash_table_add(&channels, &channel->entry, hash_of(pool, name));
    kept_bytes += sizeof(*channel);
    return pool->channels = channel;
}

static void unlink_channel(struct channel *channel)
{
    hash_table_remove(&channels, &channel->entry);
    *channel->place = channel->next;
    if (channel->next)
        channel->next->place = channel->place;
    kept_bytes -= sizeof(*channel);
}

static bool is_up(const struct server *server)
{
    return server && !server->closed && server->state == SERVER_LISTENING;
}

static void tell_one(struct server *server, const char *verb, const char *name)
{
    AUTO_BUFFER sql = {0};
    if (!is_up(server))
        return; /* it learns all channels when it is up */
    buffer_printf(&sql, "%s \"", verb);
    for (const char *p = name; *p; p++)
        buffer_append(&sql, *p == '"' ? "\"\"" : p, *p == '"' ? 2 : 1);
    buffer_append(&sql, "\"", 2);
    (void)server_query(server, sql.data + sql.start, *verb == 'L' ? name : NULL);
}

/* Whoever asks for a channel while an heir is there is answered when that has taken over: what the
 * old connection heard of it behind the mark would be nobody's. */
static void tell_listen(struct pool *pool, const char *name)
{
    tell_one(is_up(pool->heir) ? pool->heir : pool->listener, "LISTEN", name);
}

static void drop_channel(struct pool *pool, struct channel *channel)
{
    unlink_channel(channel);
    tell_one(pool->listener, "UNLISTEN", channel->name);
    tell_one(pool->heir, "UNLISTEN", channel->name);
    free(channel);
}

static void drop_subscription(struct client *client, struct subscription **place)
{
    struct subscription *subscription = *place;
    struct channel *channel = subscription->channel;
    *place = subscription->next;
    list_remove(&channel->subscriptions, &subscription->link);
    free(subscription);
    client->channels_count--;
    kept_bytes -= sizeof(*subscription);
    if (client->pool->listener)
        client->pool->listener->used_us = pool_now();
    if (channel->subscriptions.count == 0)
        drop_channel(client->pool, channel);
}

static struct subscription **find_subscription(struct client *client, const char *name)
{
    struct subscription **place = &client->subscriptions;
    while (*place && strcmp((*place)->channel->name, name) != 0)
        place = &(*place)->next;
    return place;
}

static void subscribe(struct client *client, const char *name)
{
    struct pool *pool = client->pool;
    struct channel *channel = find_channel(pool, name);
    if (!channel) {
        channel = add_channel(pool, name);
        tell_listen(pool, name);
    }
    struct subscription *made = xcalloc(1, sizeof(*made));
    made->client = client;
    made->channel = channel;
    made->next = client->subscriptions;
    client->subscriptions = made;
    client->channels_count++;
    kept_bytes += sizeof(*made);
    list_push_back(&channel->subscriptions, &made->link);
}

void listen_forget(struct client *client)
{
    while (client->subscriptions)
        drop_subscription(client, &client->subscriptions);
}

bool listen_has(struct client *client, struct slice text)
{
    char name[64];
    return traits_listen(text, name) == 'L' && *find_subscription(client, name);
}

void listen_append_channels(const struct client *client, struct buffer *sql)
{
    const char *before = "";
    buffer_append_text(sql, "SELECT * FROM (SELECT pg_catalog.pg_listening_channels() UNION "
                            "SELECT pg_catalog.unnest(ARRAY[");
    for (const struct subscription *s = client->subscriptions; s; s = s->next) {
        buffer_append_text(sql, before);
        params_append_literal(sql, s->channel->name);
        before = ",";
    }
    buffer_append_text(sql, "]::pg_catalog.text[])) AS channels (pg_listening_channels)");
}

struct buffer *listen_ends(const struct client *client, struct slice text)
{
    char name[64], verb;
    struct buffer *names = NULL;
    while (client->subscriptions && (verb = traits_unlistened(&text, name))) {
        const char *meant = verb == '*' ? "" : name; /* which is no channel's */
        names = names ? names : xcalloc(1, sizeof(*names));
        buffer_append(names, meant, strlen(meant) + 1);
    }
    return names;
}

void listen_note(struct client *client, struct buffer *ends, bool all)
{
    if (!client->unlistens)
        client->unlistens = xcalloc(1, sizeof(*client->unlistens));
    while (buffer_len(ends) > 0) {
        const char *name = ends->data + ends->start;
        size_t bytes = strlen(name) + 1;
        buffer_append(client->unlistens, name, bytes);
        buffer_consume(ends, bytes);
        if (!all)
            return;
    }
}

void listen_settle(struct client *client, bool committed)
{
    struct buffer *names = TAKE(client->unlistens);
    for (const char *name; names && committed && buffer_len(names) > 0;) {
        name = names->data + names->start;
        struct subscription **place = find_subscription(client, name);
        if (!*name)
            listen_forget(client);
        else if (*place)
            drop_subscription(client, place);
        buffer_consume(names, strlen(name) + 1);
    }
    if (names)
        buffer_done(names);
    free(names);
}

void listen_move(struct client *client, struct pool *to)
{
    struct pool *from = client->pool;
    struct subscription *all = NULL, *one;
    while ((one = client->subscriptions)) { /* as a list of names, for a moment */
        struct subscription *kept = xcalloc(1, sizeof(*kept) + sizeof(struct channel));
        kept->channel = (struct channel *)(kept + 1);
        memcpy(kept->channel->name, one->channel->name, sizeof(one->channel->name));
        kept->next = all;
        all = kept;
        drop_subscription(client, &client->subscriptions);
    }
    client->pool = to;
    while ((one = all)) {
        all = one->next;
        subscribe(client, one->channel->name); /* the tick makes the connection */
        client->subscriptions->told = true;
        free(one);
    }
    client->pool = from;
}

/* place: the pool's listener or heir. Too early after a failure the tick does it. */
static void start(struct pool *pool, struct server **place)
{
    if (*place || pool_is_paused(pool) || pool_now() < pool->listen_us ||
        pool_now() < pool->retry_us)
        return;
    *place = server_new(pool);
    (*place)->listens = true;
    server_login_start(*place);
}

/* 'L', 'U' or '*', which holds now unless the client waits; 0: it is none of them. */
static char take(struct client *client, struct slice text)
{
    char name[64];
    char verb = traits_listen(text, name);
    if (verb == '*') {
        listen_forget(client);
    } else if (verb == 'U') {
        struct subscription **place = find_subscription(client, name);
        if (*place)
            drop_subscription(client, place);
    } else if (verb == 'L') {
        if (!*find_subscription(client, name))
            subscribe(client, name);
        start(client->pool, &client->pool->listener); /* first: it may fail at once */
        struct subscription *subscription = *find_subscription(client, name);
        if (subscription->channel->active) {
            subscription->told = true;
        } else {
            client->awaits_listen = subscription->channel;
            client->since_us = pool_now();
        }
    }
    return verb;
}

static const char *tag_of(char verb)
{
    return verb == 'L' ? "LISTEN" : "UNLISTEN";
}

bool listen_query(struct client *client, struct slice text)
{
    char verb = take(client, text);
    if (verb && !client->awaits_listen && !client->closed)
        answer(client, tag_of(verb));
    return verb != 0;
}

const char *listen_command(struct client *client, struct slice text)
{
    client->listens_in_batch = true;
    char verb = take(client, text);
    client->listens_in_batch = client->awaits_listen;
    return verb && !client->awaits_listen ? tag_of(verb) : NULL;
}

/* ---- the listening connection ---- */

/* A channel of the pool's own, which nobody else knows. */
static const char *mark_channel(void)
{
    static char name[32];
    uint64_t number;
    if (!*name && getrandom(&number, sizeof(number), 0) != sizeof(number))
        abort();
    if (!*name)
        (void)snprintf(name, sizeof(name), "weir_%016" PRIx64, number);
    return name;
}

void listen_begin(struct server *server)
{
    server_become(server, SERVER_LISTENING);
    server->used_us = pool_now();
    server->pool->listen_failures = 0;
    tell_one(server, "LISTEN", mark_channel());
    for (struct channel *c = server->pool->channels; c; c = c->next)
        tell_one(server, "LISTEN", c->name);
    pool_serve_later(server->pool);
}

static void activate(struct channel *channel)
{
    const struct list *all = &channel->subscriptions;
    channel->active = channel->held = true;
    for (struct link *link = list_first(all); link; link = list_next(all, link)) {
        struct subscription *subscription = CONTAINER_OF(link, struct subscription, link);
        struct client *client = subscription->client;
        if (client->awaits_listen != channel)
            continue;
        subscription->told = subscription->told || !client->listens_in_batch;
        answer(client, "LISTEN");
    }
}

static void send_mark(struct pool *pool)
{
    AUTO_TEXT sql = xasprintf("NOTIFY \"%s\", '%" PRIu64 "'", mark_channel(), pool->heir->id);
    pool->marked_us = pool_now();
    (void)server_query(pool->heir, sql, mark_channel());
}

void listen_done(struct server *server, const struct expected *entry)
{
    struct pool *pool = server->pool;
    struct channel *channel = entry->name ? find_channel(pool, entry->name) : NULL;
    if (server == pool->heir)
        server->used_us = pool_now();
    if (channel && server == pool->heir)
        channel->inherited = true;
    else if (channel && server == pool->listener && !channel->active)
        activate(channel);
    if (server == pool->heir && server->expect.count == 0 && !pool->marked_us)
        send_mark(pool);
}

/* Pools of other users of the database send theirs, too. */
static bool is_mark_of(const struct server *server, struct slice payload)
{
    char id[24];
    (void)snprintf(id, sizeof(id), "%" PRIu64, server->id);
    return slice_equal(payload, slice_of(id));
}

static void forget_heir(struct pool *pool)
{
    pool->heir = NULL;
    pool->marked_us = 0;
    for (struct channel *channel = pool->channels; channel; channel = channel->next)
        channel->inherited = false;
}

/* The heir takes over. marked: all that comes before its mark was delivered. */
static void succeed(struct pool *pool, bool marked)
{
    struct server *old = pool->listener, *heir = pool->heir;
    AUTO_BUFFER heard = pool->heard;
    struct slice rest = buffer_slice(&heard), body;
    char type;
    pool->heard = (struct buffer){0};
    pool->listener = heir;
    pool->deaf = marked;
    for (struct channel *channel = pool->channels; channel; channel = channel->next) {
        channel->active = false;
        if (channel->inherited)
            activate(channel);
    }
    forget_heir(pool);
    while (own_next(&rest, &type, &body))
        listen_notify(heir, body);
    server_close(old, "another connection listens in its place");
}

void listen_failed(struct server *server, const char *name, struct slice error)
{
    struct channel *channel = find_channel(server->pool, name);
    const struct link *link;
    bool last = !channel;
    if (server != server->pool->listener || (channel && channel->held)) {
        server->pool->listen_us = pool_now() + RETRY_US;
        server_close(server, "it can not listen"); /* it is a standby, say */
        return;
    }
    while (!last && (link = list_first(&channel->subscriptions))) {
        struct client *client = CONTAINER_OF(link, struct subscription, link)->client;
        bool awaits = client->awaits_listen == channel;
        last = channel->subscriptions.count == 1; /* the channel goes with it */
        drop_subscription(client, find_subscription(client, name));
        if (!awaits)
            continue;
        client->listen_refused = client->listens_in_batch;
        finish_with(client, 'E', error);
    }
}

void listen_flush(struct client *client)
{
    struct buffer *late = client->late;
    if (!late || (client->server && client->server->skip > 0))
        return;
    client->late = NULL;
    client_send_buffer(client, late);
    buffer_done(late);
    free(late);
}

/* One that does not read is not waited for. */
static bool is_behind(struct client *client)
{
    static const struct wire_error too_slow = {
        "53400", "more notifications wait for this session than the pool keeps",
        "They are more than 8 MiB.", "Read what comes, or LISTEN to less.", NULL};
    if (!client->late && !client->out)
        client->late_bytes = 0;
    if (client->late_bytes > LATE_BYTES_MAX && !client->terminated)
        client_end_soon(client, &too_slow);
    return client->terminated;
}

static void deliver(struct client *client, const struct buffer *message)
{
    if (is_behind(client))
        return;
    if (!client->late)
        client->late = xcalloc(1, sizeof(*client->late));
    buffer_append_slice(client->late, buffer_slice(message));
    client->late_bytes += (uint32_t)buffer_len(message);
    listen_flush(client);
}

void listen_notify(struct server *server, struct slice body)
{
    struct pool *pool = server->pool;
    struct slice rest = body, name, payload;
    uint32_t pid;
    AUTO_BUFFER message = {0};
    if (!wire_take_u32(&rest, &pid) || !wire_take_text(&rest, &name) ||
        !wire_take_text(&rest, &payload) || (server != pool->listener && server != pool->heir))
        return;
    size_t begun = wire_begin(&message, 'A');
    buffer_append_slice(&message, body);
    wire_end(&message, begun);
    if (server == pool->heir) {
        buffer_append_slice(&pool->heard, buffer_slice(&message));
        if (buffer_len(&pool->heard) > LATE_BYTES_MAX)
            succeed(pool, false);
        return;
    }
    if (slice_equal(name, slice_of(mark_channel()))) {
        if (pool->heir && is_mark_of(pool->heir, payload))
            succeed(pool, true);
        else if (is_mark_of(server, payload))
            pool->deaf = false;
        return;
    }
    struct channel *channel = pool->deaf ? NULL : find_channel(pool, name.ptr);
    const struct list *all = channel ? &channel->subscriptions : NULL;
    for (struct link *link = all ? list_first(all) : NULL; link; link = list_next(all, link))
        deliver(CONTAINER_OF(link, struct subscription, link)->client, &message);
}

void listen_lost(struct server *server)
{
    struct pool *pool = server->pool;
    if (server == pool->heir) {
        forget_heir(pool);
        pool->listen_us = pool_now() + RETRY_US;
        buffer_done(&pool->heard);
        pool->heard = (struct buffer){0};
        for (struct channel *channel = pool->channels; channel; channel = channel->next)
            if (!channel->active)
                tell_listen(pool, channel->name); /* what only the heir was told */
        return;
    }
    if (server != pool->listener)
        return;
    if (is_up(pool->heir)) {
        succeed(pool, false);
        return;
    }
    pool->listener = TAKE(pool->heir);
    pool->deaf = false;
    for (struct channel *channel = pool->channels; channel; channel = channel->next)
        channel->active = false;
    if (pool->channels && !pool_is_paused(pool))
        log_warn(
            "database %s: the connection that listens was lost; notifications may be, too, until "
            "it is back",
            pool->database_name);
}

void listen_give_up(struct client *client, const struct wire_error *error)
{
    struct subscription **place = find_subscription(client, client->awaits_listen->name);
    if (!(*place)->told) /* else it listens since an earlier LISTEN */
        drop_subscription(client, place);
    refuse(client, error);
}

/* Those who wait for it for longer than the limit (0: all). It goes with the last of them. */
static void refuse_channel(struct channel *channel, const struct wire_error *error,
                           int64_t limit_ms)
{
    struct link *link = channel->active ? NULL : list_first(&channel->subscriptions), *next;
    for (; link; link = next) {
        struct client *client = CONTAINER_OF(link, struct subscription, link)->client;
        next = list_next(&channel->subscriptions, link);
        if (client->awaits_listen == channel &&
            (limit_ms == 0 || pool_passed(client->since_us, limit_ms)))
            listen_give_up(client, error);
    }
}

static void refuse_waiting(struct pool *pool, const struct wire_error *error, int64_t limit_ms)
{
    for (struct channel *channel = pool->channels, *next; channel; channel = next) {
        next = channel->next;
        refuse_channel(channel, error, limit_ms);
    }
}

void listen_unreachable(struct pool *pool, const char *why)
{
    pool->listen_us = pool_now() + pool_retry_delay_us(++pool->listen_failures, false);
    const struct wire_error error = {"08006", "cannot listen", why,
                                     "LISTEN again when the database can be reached.", NULL};
    if (!pool->listener)
        refuse_waiting(pool, &error, 0);
}

/* Why the one that listens is not needed; NULL: it is. */
static const char *is_unwanted(const struct pool *pool)
{
    int64_t idle_ms = pool->config->server_idle_ms;
    if (pool->channels)
        return NULL;
    if (pool->retired)
        return "the configuration has changed";
    return server_wear(pool->listener) || pool_passed(pool->listener->used_us, idle_ms)
               ? "nobody listens any more"
               : NULL;
}

static void tick_heir(struct pool *pool)
{
    struct server *heir = pool->heir;
    if (is_up(heir) && server_is_lost(heir))
        server_close(heir, "the database acknowledges nothing any more");
    else if (is_up(heir) && heir->expect.count > 0 && pool_now() - heir->used_us > HEIR_US_MAX)
        server_close(heir, "it does not answer");
    else if (pool->marked_us && pool_now() - pool->marked_us > MARK_US_MAX &&
             heir->expect.count == 0)
        succeed(pool, false);
    else if (!heir && !pool->retired && server_wear(pool->listener))
        start(pool, &pool->heir);
}

void listen_tick(struct pool *pool)
{
    static const struct wire_error late = {
        "57P03", "the pool has no connection that listens yet", NULL,
        "An administrator has paused the database, or it does not answer.", NULL};
    const char *unwanted = is_up(pool->listener) ? is_unwanted(pool) : NULL;
    if (is_up(pool->listener) && server_is_lost(pool->listener))
        server_close(pool->listener, "the database acknowledges nothing any more");
    else if (unwanted)
        server_close(pool->listener, unwanted);
    if (is_up(pool->listener))
        tick_heir(pool);
    if (pool->limits.query_wait_ms > 0)
        refuse_waiting(pool, &late, pool->limits.query_wait_ms);
    if (pool->channels)
        start(pool, &pool->listener);
}
