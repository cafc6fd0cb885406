/* SPDX-License-Identifier: Apache-2.0 */
#include "handover.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "cancel.h"
#include "console.h"
#include "credentials.h"
#include "forward.h"
#include "ipc.h"
#include "ipc_queue.h"
#include "log.h"
#include "own.h"
#include "reload.h"
#include "tls.h"
#include "worker.h"

enum { UNREAD_BYTES_MAX = 8 * 1024 }; /* that go along with a client */
/* Another when what `describe` says changes after it and whether there is TLS. (Before 2 that came
 * first: 0 or 1.) */
#ifndef CLIENT_FORMAT /* a test builds another */
#define CLIENT_FORMAT 2
#endif
enum {
    MESSAGE_CLIENT = 1,
    MESSAGE_KEYS,
    MESSAGE_CANCEL,
    MESSAGE_RECORD,
    MESSAGE_COMMAND,
    MESSAGE_PROGRESS,
    MESSAGE_JOIN,
    MESSAGE_KEYS_AGAIN, /* what MESSAGE_KEYS says, for who has not got, or kept, it */
};
enum { RECORD_PAUSED = 1, RECORD_DISABLED = 2 };

static const struct wire_error other_version = {
    "57P01", "the pool was restarted as another version, which can not take this session over",
    NULL, "Connect again.", NULL};
/* The process before this one, which gives clients, and the one after it, which takes them: of
 * several restarts in a row whoever is in the middle has both. */
static struct neighbour {
    struct loop_source source; /* its fd -1: there is none */
    struct ipc_queue unsent;   /* what is not to be lost */
    uint32_t sent, obeyed;     /* commands to it, and from it */
    bool answers;              /* says how far it is with them; an older version does not */
    bool may_join;             /* … nor understands MESSAGE_JOIN */
    struct holding {
        uint32_t clients, servers;
        uint32_t busy;    /* pools that have transactions yet in what is paused */
        uint32_t closing; /* … that are to be closed, or to have another connection that listens */
    } holds, told;        /* it and those behind it; the same of this one, as it was told last */
} older = {.source.fd = -1}, newer = {.source.fd = -1};
static bool gives;  /* this is an old process */
static bool joined; /* … and those beside it talk to each other: it only passes on what is left */
static uint32_t given, taken;

static void on_message(struct loop_source *source, uint32_t events);

/* ---- what a client is ---- */

static void put_u64(struct buffer *out, uint64_t value)
{
    wire_u32(out, (uint32_t)(value >> 32));
    wire_u32(out, (uint32_t)value);
}

static bool take_u64(struct slice *rest, uint64_t *ret)
{
    uint32_t high, low;
    if (!wire_take_u32(rest, &high) || !wire_take_u32(rest, &low))
        return false;
    *ret = (uint64_t)high << 32 | low;
    return true;
}

static void put_params(struct buffer *out, const struct params *params)
{
    struct slice name, value;
    wire_u32(out, (uint32_t)params_count(params));
    for (size_t i = 0; i < params_count(params); i++) {
        params_at(params, i, &name, &value);
        wire_text(out, name.ptr);
        wire_text(out, value.ptr);
    }
}

static bool take_params(struct slice *rest, struct params **ret)
{
    uint32_t count;
    struct slice name, value;
    *ret = params_empty();
    if (!wire_take_u32(rest, &count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!wire_take_text(rest, &name) || !wire_take_text(rest, &value))
            return false;
        *ret = params_with(*ret, name, value);
    }
    return true;
}

static void put_statement(struct buffer *out, const struct statement *statement)
{
    wire_u32(out, statement ? statement->body_bytes : 0);
    if (statement)
        buffer_append(out, statement->body, statement->body_bytes);
}

/* *ret NULL: there is none. */
static bool take_statement(struct slice *rest, const struct client *client, struct statement **ret)
{
    uint32_t bytes;
    struct slice body, text;
    *ret = NULL;
    if (!wire_take_u32(rest, &bytes) || bytes > rest->len)
        return false;
    body = (struct slice){rest->ptr, bytes};
    rest->ptr += bytes;
    rest->len -= bytes;
    if (bytes == 0)
        return true;
    if (!wire_parse_text(body, &text))
        return false;
    *ret = forward_intern(client, body);
    return true;
}

/* The secrets of TLS come first, into memory that is not moved after that. */
static void describe(const struct client *client, struct buffer *out)
{
    (void)buffer_reserve(out, IPC_PAYLOAD_BYTES_MAX);
    wire_u32(out, CLIENT_FORMAT);
    wire_u32(out, client->stream.tls != NULL);
    if (client->stream.tls)
        tls_describe(client->stream.tls, stream_unread(&client->stream), out);
    wire_text(out, client->pool->database_name);
    wire_text(out, client->tally->user);
    wire_u32(out, client->told_number);
    put_u64(out, client->cancel_key);
    wire_u32(out, (uint32_t)client->stream.fd_is_tcp | (uint32_t)client->keeps_reported << 1);
    put_params(out, client->given);
    put_params(out, client->startup_params);
    put_params(out, client->params);
    put_statement(out, client->unnamed);
    put_u64(out, client->unnamed_told);
    wire_u32(out, client->names.count);
    for (uint32_t i = 0; i < client->names.cap; i++) {
        struct slice name;
        uint64_t told;
        const struct statement *statement = names_at(&client->names, i);
        if (!statement)
            continue;
        names_name_at(&client->names, i, &name, &told);
        wire_text(out, name.ptr);
        put_u64(out, told);
        put_statement(out, statement);
    }
    if (!client->stream.tls)
        buffer_append_slice(out, stream_unread(&client->stream));
}

static bool take_names(struct slice *rest, struct client *client)
{
    uint32_t count;
    struct slice name;
    uint64_t told;
    struct statement *statement;
    if (!wire_take_u32(rest, &count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!wire_take_text(rest, &name) || names_get(&client->names, name) ||
            !take_u64(rest, &told) || !take_statement(rest, client, &statement) || !statement)
            return false;
        names_put(&client->names, name, statement);
        *names_told(&client->names, name) = told;
    }
    return true;
}

/* ---- the new process ---- */

static bool fill(struct client *client, bool tls, struct slice rest)
{
    struct slice database, user;
    uint32_t flags = 0;
    if (tls && !(client->stream.tls = tls_resume(client->stream.source.fd, &rest)))
        return false;
    client->stream.readable = tls && !tls_may_move(client->stream.tls); /* it brought something */
    if (!wire_take_text(&rest, &database) || !wire_take_text(&rest, &user) ||
        !wire_take_u32(&rest, &client->told_number) || !take_u64(&rest, &client->cancel_key) ||
        !wire_take_u32(&rest, &flags))
        return false;
    const struct database_config *config = config_database(pool_process.config, database.ptr);
    if (!config)
        return false; /* the new plan has it no more */
    client->stream.fd_is_tcp = flags & 1;
    client->keeps_reported = flags & 2;
    struct pool *pool = lend_pool(config, database.ptr, config->user ? config->user : user.ptr);
    client_join(client, pool, pool->record, user.ptr);
    bool sound = take_params(&rest, &client->given); /* each is one, sound or not */
    sound = take_params(&rest, &client->startup_params) && sound;
    sound = take_params(&rest, &client->params) && sound;
    client->tenant = tenant_join(&client->pool->tenants, 0,
                                 params_get(client->startup_params, "application_name"));
    if (!sound || !take_statement(&rest, client, &client->unnamed) ||
        !take_u64(&rest, &client->unnamed_told) || !take_names(&rest, client))
        return false;
    client->unparsed = rest.len > 0;
    if (rest.len > 0)
        client_keep(client, rest);
    return true;
}

static void take_client(struct ipc_message *message)
{
    if (message->fds_count != 1)
        return;
    struct slice rest = {message->payload, message->bytes};
    uint32_t format = 0, tls = 0;
    struct client *client = client_resume(message->fds[0]);
    message->fds[0] = -1;
    if (!client)
        return;
    pool_process.taken_over++;
    taken++;
    bool sound = wire_take_u32(&rest, &format) && wire_take_u32(&rest, &tls);
    if (sound && format == CLIENT_FORMAT && fill(client, tls, rest)) {
        stream_hasten(&client->stream, pool_process.loop);
        pool_again(client); /* it may have asked already */
        return;
    }
    bool mute = format < 2 ? format : tls && !client->stream.tls; /* it reads no plain text */
    const struct wire_error *why = format == CLIENT_FORMAT ? &reload_removed : &other_version;
    client_close(client, mute ? NULL : why);
}

static bool keys_are_sound(struct slice bytes)
{
    struct scram_keys keys;
    if (bytes.len < sizeof(keys) ||
        (uint8_t)bytes.ptr[offsetof(struct scram_keys, has_client_key)] > true)
        return false;
    memcpy(&keys, bytes.ptr, sizeof(keys));
    bool sound = keys.salt_len <= sizeof(keys.salt) && keys.iterations >= 0 &&
                 keys.iterations <= SCRAM_ITERATIONS_MAX;
    secret_wipe(&keys, sizeof(keys));
    return sound;
}

/* Of the plan it may have other keys, to verify clients. */
static bool knows_better(const struct credentials *known, const struct scram_keys *keys)
{
    return known->password || known->keys.has_client_key ||
           (known->keys.salt_len > 0 &&
            memcmp(known->keys.stored_key, keys->stored_key, sizeof(keys->stored_key)) != 0);
}

/* What clients proved of themselves, which logs in to databases; an older process sends no
 * password. */
static void take_keys(const struct ipc_message *message)
{
    struct slice rest = {message->payload, message->bytes}, database, user, password;
    struct scram_keys keys;
    if (!wire_take_text(&rest, &database) || !wire_take_text(&rest, &user) || !keys_are_sound(rest))
        return;
    memcpy(&keys, rest.ptr, sizeof(keys));
    rest.ptr += sizeof(keys);
    rest.len -= sizeof(keys);
    const struct database_config *config = config_database(pool_process.config, database.ptr);
    if (config) {
        struct credentials *known = lend_pool(config, database.ptr, user.ptr)->credentials;
        bool again = message->type == MESSAGE_KEYS_AGAIN;
        bool keeps = again && knows_better(known, &keys);
        if (!keeps)
            credentials_learn(known, &keys);
        if (!keeps && wire_take_text(&rest, &password))
            credentials_learn_password(known, password.ptr);
        known->told = known->told || again; /* nor is it news to those after this one */
    }
    secret_wipe(&keys, sizeof(keys));
}

/* What an administrator has paused or disabled; without a name: everything. */
static void take_record(const struct ipc_message *message)
{
    struct slice rest = {message->payload, message->bytes}, database;
    uint32_t flags;
    if (!wire_take_u32(&rest, &flags) || !wire_take_text(&rest, &database))
        return;
    if (database.len == 0) {
        pool_process.paused = flags & RECORD_PAUSED;
        return;
    }
    struct record *record = record_of(database.ptr);
    record->paused = flags & RECORD_PAUSED;
    record->disabled = flags & RECORD_DISABLED;
}

/* ---- both ---- */

static void end(struct neighbour *neighbour)
{
    loop_remove(pool_process.loop, &neighbour->source);
    fd_close(&neighbour->source.fd);
    ipc_queue_clear(&neighbour->unsent);
    neighbour->holds = (struct holding){0};
}

static void tell(struct neighbour *to, uint32_t type, const struct buffer *bytes)
{
    struct slice all = buffer_slice(bytes);
    (void)ipc_queue_send(&to->unsent, to->source.fd, type, all.ptr, (uint32_t)all.len, NULL, 0);
}

static struct neighbour *behind(const struct neighbour *neighbour)
{
    return neighbour == &older ? &newer : &older;
}

static struct holding here_and_behind(const struct neighbour *to)
{
    struct holding all = behind(to)->holds;
    all.clients += pool_process.clients.count - own_count();
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next)
        all.servers += pool->idle.count + pool->lent.count + pool->cleaning.count +
                       pool->listening.count + pool->connecting.count;
    all.busy += console_is_busy();
    all.closing += console_is_closing();
    return all;
}

static void tell_progress(struct neighbour *to)
{
    AUTO_BUFFER out = {0};
    if (to->source.fd < 0)
        return;
    to->told = here_and_behind(to);
    wire_u32(&out, to->obeyed);
    wire_u32(&out, to->told.busy);
    wire_u32(&out, to->told.closing);
    wire_u32(&out, to->told.clients);
    wire_u32(&out, to->told.servers);
    tell(to, MESSAGE_PROGRESS, &out);
}

/* An older version says less. */
static void take_progress(struct neighbour *from, const struct ipc_message *message)
{
    struct slice rest = {message->payload, message->bytes};
    struct holding holds = {0};
    uint32_t obeyed;
    if (!wire_take_u32(&rest, &obeyed) || !wire_take_u32(&rest, &holds.busy))
        return;
    from->answers = true;
    from->may_join = wire_take_u32(&rest, &holds.closing) && wire_take_u32(&rest, &holds.clients) &&
                     wire_take_u32(&rest, &holds.servers);
    if ((int32_t)(obeyed - from->sent) < 0) { /* it has not read the last one yet */
        holds.busy = from->holds.busy;
        holds.closing = from->holds.closing;
    }
    from->holds = holds;
}

static void pass_on(struct neighbour *to, const char *name, const char *word)
{
    AUTO_BUFFER out = {0};
    if (to->source.fd < 0)
        return;
    wire_u32(&out, ++to->sent);
    wire_text(&out, name);
    wire_text(&out, word);
    to->holds.busy = to->holds.closing = to->answers;
    tell(to, MESSAGE_COMMAND, &out);
}

static void take_command(struct neighbour *from, const struct ipc_message *message)
{
    struct slice rest = {message->payload, message->bytes}, name, word;
    if (!wire_take_u32(&rest, &from->obeyed) || !wire_take_text(&rest, &name) ||
        !wire_take_text(&rest, &word))
        return;
    console_obey(name.ptr, word.len > 0 ? word.ptr : NULL);
    pass_on(behind(from), name.ptr, word.ptr);
    tell_progress(from);
}

/* This process, in the middle, has nothing left: the one before it gets the one after it for its
 * neighbour. */
static void join_others(void)
{
    AUTO_BUFFER out = {0};
    wire_u32(&out, older.sent);
    wire_u32(&out, older.obeyed);
    wire_u32(&out, older.answers);
    struct slice all = buffer_slice(&out);
    if (ipc_send(newer.source.fd, MESSAGE_JOIN, all.ptr, (uint32_t)all.len, &older.source.fd, 1) <
        0)
        return;                                    /* not now */
    loop_remove(pool_process.loop, &older.source); /* what it says is for the other */
    joined = true;
}

/* It asks for nothing: the answer tells what is true by now. */
static void take_join(struct ipc_message *message)
{
    struct slice rest = {message->payload, message->bytes};
    uint32_t answers;
    if (message->fds_count != 1 || !wire_take_u32(&rest, &older.sent) ||
        !wire_take_u32(&rest, &older.obeyed) || !wire_take_u32(&rest, &answers))
        return;
    loop_remove(pool_process.loop, &older.source);
    fd_close(&older.source.fd);
    older.answers = answers;
    older.holds = (struct holding){0};
    if (loop_add(pool_process.loop, &older.source, message->fds[0], EPOLLIN, on_message) < 0) {
        older.source.fd = -1;
        return;
    }
    message->fds[0] = -1;
    pass_on(&older, "", "");
    tell_progress(&older); /* it knows what the one between them said last */
}

static void on_cancel(const struct ipc_message *message)
{
    uint32_t numbers[2];
    if (message->bytes != sizeof(numbers))
        return;
    memcpy(numbers, message->payload, sizeof(numbers));
    (void)cancel_for(numbers[0], numbers[1]);
}

static void on_message(struct loop_source *source, uint32_t events)
{
    static struct ipc_message message;
    struct neighbour *from = CONTAINER_OF(source, struct neighbour, source);
    int r;
    (void)events;
    while ((r = ipc_recv(source->fd, &message)) != -EAGAIN) {
        if (r <= 0) {
            if (from == &older && taken > 0)
                log_info("%u clients were taken over", taken);
            end(from);
            return;
        }
        if (message.type == MESSAGE_CLIENT)
            take_client(&message);
        else if (message.type == MESSAGE_KEYS || message.type == MESSAGE_KEYS_AGAIN)
            take_keys(&message);
        else if (message.type == MESSAGE_CANCEL)
            on_cancel(&message);
        else if (message.type == MESSAGE_RECORD)
            take_record(&message);
        else if (message.type == MESSAGE_COMMAND)
            take_command(from, &message);
        else if (message.type == MESSAGE_PROGRESS)
            take_progress(from, &message);
        else if (message.type == MESSAGE_JOIN && from == &older)
            take_join(&message);
        secret_wipe(message.payload, message.bytes);
        ipc_close_fds(&message);
    }
}

static void open_channel(struct neighbour *to, int fd)
{
    end(to);
    if (loop_add(pool_process.loop, &to->source, fd, EPOLLIN, on_message) < 0) {
        (void)close(fd);
        to->source.fd = -1;
    }
    tell_progress(to); /* so that it knows that it will be told */
}

void handover_take(int fd)
{
    open_channel(&older, fd);
}

bool handover_command(const char *name, const char *word)
{
    pass_on(&older, name, word ? word : "");
    pass_on(&newer, name, word ? word : "");
    return older.source.fd >= 0 || newer.source.fd >= 0;
}

bool handover_is_busy(void)
{
    return older.holds.busy + newer.holds.busy > 0;
}

bool handover_is_closing(void)
{
    return older.holds.closing + newer.holds.closing > 0;
}

void handover_others(uint32_t *ret_clients, uint32_t *ret_servers)
{
    *ret_clients = older.holds.clients + newer.holds.clients;
    *ret_servers = older.holds.servers + newer.holds.servers;
}

/* False: something waits still. */
static bool flush(struct neighbour *to)
{
    if (to->source.fd >= 0)
        ipc_queue_flush(&to->unsent, to->source.fd);
    return ipc_queue_is_empty(&to->unsent);
}

void handover_tick(void)
{
    struct neighbour *both[] = {&older, &newer};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        const struct holding now = here_and_behind(both[i]);
        if (flush(both[i]) && !joined && memcmp(&now, &both[i]->told, sizeof(now)) != 0)
            tell_progress(both[i]);
    }
}

bool handover_cancel(uint32_t number, uint32_t key)
{
    const uint32_t numbers[2] = {number, key};
    return older.source.fd >= 0 &&
           ipc_send(older.source.fd, MESSAGE_CANCEL, numbers, sizeof(numbers), NULL, 0) >= 0;
}

/* ---- the old process ---- */

/* False: not now. */
static bool give_keys(const struct pool *pool)
{
    AUTO_BUFFER out = {0};
    struct credentials *known = pool->credentials;
    bool again = pool->retired || known->told;
    if (!known->learned && (known->password || !known->keys.has_client_key))
        return true;
    (void)buffer_reserve(&out, IPC_PAYLOAD_BYTES_MAX); /* what is secret is not moved */
    wire_text(&out, pool->database_name);
    wire_text(&out, pool->user);
    buffer_append(&out, &known->keys, sizeof(known->keys));
    if (known->learned)
        wire_text(&out, known->password);
    struct slice all = buffer_slice(&out);
    bool sent = all.len > IPC_PAYLOAD_BYTES_MAX || /* a password that long is proved again */
                ipc_send(newer.source.fd, again ? MESSAGE_KEYS_AGAIN : MESSAGE_KEYS, all.ptr,
                         (uint32_t)all.len, NULL, 0) >= 0;
    known->told = known->told || sent;
    secret_wipe(out.data, out.cap);
    return sent;
}

static void give_record(const char *database, bool paused, bool disabled)
{
    AUTO_BUFFER out = {0};
    if (*database && !paused && !disabled)
        return;
    wire_u32(&out, (paused ? RECORD_PAUSED : 0) | (disabled ? RECORD_DISABLED : 0));
    wire_text(&out, database);
    struct slice all = buffer_slice(&out);
    (void)ipc_send(newer.source.fd, MESSAGE_RECORD, all.ptr, (uint32_t)all.len, NULL, 0);
}

void handover_begin(int fd)
{
    gives = true;
    open_channel(&newer, fd);
    on_message(&newer.source, EPOLLIN); /* what was said there already is newer than what follows */
    give_record("", pool_process.paused, false);
    for (const struct record *record = record_first(); record; record = record->next)
        give_record(record->database, record->paused, record->disabled);
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next)
        (void)give_keys(pool);
}

/* Nothing of it is here but what `describe` says? */
static bool is_movable(const struct client *client)
{
    return !client->too_large && client->pool && !client->server && !client->pinned &&
           (!client->stream.tls || tls_may_move(client->stream.tls)) && !client->stream.carrier &&
           !client->in && !client->out && !client->trouble && !client->failed &&
           !client->lost_block && !client->late && !client->subscriptions && !client->awaits_listen && client->skip == 0 &&
           !client->broken && !client->closing && !client->closed && !client->stream.hung_up;
}

/* Who waits for the end of a pause goes, too, and asks again there. It keeps its place until it has
 * gone: it may be that it does not. */
static bool may_go(const struct client *client)
{
    bool waits = client->state == CLIENT_WAITING && pool_is_paused(client->pool);
    return (client->state == CLIENT_READY || waits) && is_movable(client) &&
           stream_unread(&client->stream).len <= UNREAD_BYTES_MAX;
}

/* False: no more for now. */
static bool give(struct client *client)
{
    AUTO_BUFFER out = {0};
    if (!give_keys(client->pool)) /* it may have forgotten them: it had no client for them */
        return false;
    if (!stream_pause(&client->stream))
        return true;
    if (stream_unread(&client->stream).len > UNREAD_BYTES_MAX) { /* secrets would be moved */
        stream_resume(&client->stream);
        return true;
    }
    describe(client, &out);
    struct slice all = buffer_slice(&out);
    int fd = client->stream.source.fd, r = -E2BIG;
    client->too_large = all.len > IPC_PAYLOAD_BYTES_MAX; /* it has so many statements */
    if (!client->too_large)
        r = ipc_send(newer.source.fd, MESSAGE_CLIENT, all.ptr, (uint32_t)all.len, &fd, 1);
    secret_wipe(out.data, out.cap);
    if (r < 0) {
        stream_resume(&client->stream);
        return r == -E2BIG;
    }
    given++;
    tls_free(&client->stream.tls); /* without a word: it goes on elsewhere */
    client_close(client, NULL);    /* of the socket only our descriptor */
    return true;
}

void handover_give(void)
{
    struct link *link = list_first(&pool_process.clients), *next;
    bool more = newer.source.fd >= 0 && flush(&newer);
    for (; link && more; link = next) {
        struct client *client = CONTAINER_OF(link, struct client, link);
        next = list_next(&pool_process.clients, link);
        if (may_go(client))
            more = give(client);
    }
}

bool handover_has_begun(void)
{
    return gives;
}

/* What clients left amid is brought to its end, or cancelled; cancel_wait_timeout bounds it. */
static bool cleans(void)
{
    if (cancel_any())
        return true;
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next)
        if (pool->cleaning.count > 0)
            return true;
    return false;
}

bool handover_is_over(void)
{
    if (!gives || pool_process.clients.count > 0 || worker_any() || cleans())
        return false;
    if (older.source.fd >= 0 && !joined && newer.source.fd >= 0 && newer.may_join &&
        flush(&older) && flush(&newer))
        join_others();
    if (older.source.fd >= 0 && newer.source.fd >= 0) /* one that has crashed joins nobody */
        return false;
    log_info("%u clients were handed over, and the others have left", given);
    return true;
}
