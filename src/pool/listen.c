/* SPDX-License-Identifier: Apache-2.0 */
#include "listen.h"

#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "pool.h"
#include "traits.h"

enum { LATE_BYTES_MAX = 8 * 1024 * 1024 };

struct subscription {
    struct link link;          /* of its channel */
    struct subscription *next; /* of its client */
    struct client *client;
    struct channel *channel;
};

struct channel {
    struct channel *next; /* of its pool */
    struct list subscriptions;
    bool active; /* the connection listens */
    char name[64];
};

/* ---- answers ---- */

/* The client's LISTEN or UNLISTEN ends with what `out` says. In an extended query it is gone
 * through once more (listen_command), and nothing is said before that. */
static void finish(struct client *client, struct buffer *out)
{
    if (!client->listens_in_batch) {
        wire_ready(out, 'I');
        client_send_buffer(client, out);
    }
    client->awaits_listen = client->listens_in_batch = false;
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

static void refuse(struct client *client, const char *why)
{
    AUTO_BUFFER out = {0};
    wire_error(&out, "ERROR", &(struct wire_error){"08006", "cannot listen", why, NULL});
    client->listen_refused = client->listens_in_batch;
    finish(client, &out);
}

/* ---- channels ---- */

static struct channel *find_channel(struct pool *pool, const char *name)
{
    struct channel *channel = pool->channels;
    while (channel && strcmp(channel->name, name) != 0)
        channel = channel->next;
    return channel;
}

static struct channel *add_channel(struct pool *pool, const char *name)
{
    struct channel *channel = xcalloc(1, sizeof(*channel));
    (void)snprintf(channel->name, sizeof(channel->name), "%s", name);
    list_init(&channel->subscriptions);
    channel->next = pool->channels;
    return pool->channels = channel;
}

/* LISTEN or UNLISTEN on the listening connection, if there is one. */
static void tell(struct pool *pool, bool listen, const char *name)
{
    AUTO_BUFFER sql = {0};
    if (!pool->listener || pool->listener->state != SERVER_LISTENING)
        return; /* it learns all channels when it is up */
    buffer_printf(&sql, "%s \"", listen ? "LISTEN" : "UNLISTEN");
    for (const char *p = name; *p; p++)
        buffer_append(&sql, *p == '"' ? "\"\"" : p, *p == '"' ? 2 : 1);
    buffer_append(&sql, "\"", 2);
    (void)server_query(pool->listener, sql.data + sql.start, listen ? name : NULL);
}

static void drop_channel(struct pool *pool, struct channel *channel)
{
    struct channel **place = &pool->channels;
    while (*place != channel)
        place = &(*place)->next;
    *place = channel->next;
    tell(pool, false, channel->name);
    free(channel);
}

static void drop_subscription(struct client *client, struct subscription **place)
{
    struct subscription *subscription = *place;
    struct channel *channel = subscription->channel;
    *place = subscription->next;
    list_remove(&channel->subscriptions, &subscription->link);
    free(subscription);
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
        tell(pool, true, name);
    }
    struct subscription *made = xcalloc(1, sizeof(*made));
    made->client = client;
    made->channel = channel;
    made->next = client->subscriptions;
    client->subscriptions = made;
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

void listen_note(struct client *client, struct slice text)
{
    char name[64], verb;
    if (!client->subscriptions)
        return;
    if (!client->unlistens)
        client->unlistens = xcalloc(1, sizeof(*client->unlistens));
    while ((verb = traits_unlistened(&text, name))) {
        const char *meant = verb == '*' ? "" : name; /* which is no channel's */
        buffer_append(client->unlistens, meant, strlen(meant) + 1);
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
        free(one);
    }
    client->pool = from;
}

static void start(struct pool *pool)
{
    if (pool->listener)
        return;
    pool->listener = server_new(pool);
    pool->listener->listens = true;
    server_login_start(pool->listener);
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
        client->awaits_listen = !(*find_subscription(client, name))->channel->active;
        if (client->awaits_listen)
            start(client->pool);
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

void listen_begin(struct server *server)
{
    struct pool *pool = server->pool;
    server_become(server, SERVER_LISTENING);
    for (struct channel *channel = pool->channels; channel; channel = channel->next)
        tell(pool, true, channel->name);
    pool_serve_later(pool);
}

void listen_done(struct server *server, const struct expected *entry)
{
    struct channel *channel = entry->name ? find_channel(server->pool, entry->name) : NULL;
    if (!channel || channel->active)
        return;
    channel->active = true;
    const struct list *all = &channel->subscriptions;
    for (struct link *link = list_first(all); link; link = list_next(all, link)) {
        struct client *client = CONTAINER_OF(link, struct subscription, link)->client;
        if (client->awaits_listen)
            answer(client, "LISTEN");
    }
}

void listen_failed(struct server *server, const char *name, struct slice error)
{
    struct channel *channel = find_channel(server->pool, name);
    const struct link *link;
    bool last = !channel;
    while (!last && (link = list_first(&channel->subscriptions))) {
        struct client *client = CONTAINER_OF(link, struct subscription, link)->client;
        last = channel->subscriptions.count == 1; /* the channel goes with it */
        drop_subscription(client, find_subscription(client, name));
        client->listen_refused = client->listens_in_batch;
        if (client->awaits_listen)
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
    struct slice rest = body, name;
    uint32_t pid;
    AUTO_BUFFER message = {0};
    if (!wire_take_u32(&rest, &pid) || !wire_take_text(&rest, &name))
        return;
    struct channel *channel = find_channel(server->pool, name.ptr);
    if (!channel)
        return;
    size_t begun = wire_begin(&message, 'A');
    buffer_append_slice(&message, body);
    wire_end(&message, begun);
    const struct list *all = &channel->subscriptions;
    for (struct link *link = list_first(all); link; link = list_next(all, link))
        deliver(CONTAINER_OF(link, struct subscription, link)->client, &message);
}

void listen_lost(struct pool *pool)
{
    pool->listener = NULL;
    for (struct channel *channel = pool->channels, *next; channel; channel = next) {
        struct link *link = list_first(&channel->subscriptions), *after;
        next = channel->next;
        channel->active = false;
        for (; link; link = after) {
            struct client *client = CONTAINER_OF(link, struct subscription, link)->client;
            after = list_next(&channel->subscriptions, link);
            if (client->awaits_listen)
                refuse(client, pool->failure);
        }
    }
    if (pool->channels)
        log_warn(
            "database %s: the connection that listens was lost; notifications may be, too, until "
            "it is back",
            pool->database_name);
}

void listen_tick(struct pool *pool)
{
    if (pool->listener && pool->listener->state == SERVER_LISTENING &&
        server_is_lost(pool->listener))
        server_close(pool->listener, "the database acknowledges nothing any more");
    if (!pool->channels || pool->listener || pool_now() < pool->retry_us || pool->record->paused)
        return;
    start(pool);
}
