/* SPDX-License-Identifier: Apache-2.0 */
/* From a client to its server: what the client's messages ask for is written down (expect.h), names
 * of prepared statements are ours, and everything else goes on as it came. */
#include "forward.h"

#include "cache.h"
#include "forward_message.h"
#include "traits.h"

enum {
    NAMES_BYTES_MAX = 64 * 1024, /* within which a message's names must end */
    QUERY_LOOK_BYTES = 16 * 1024 /* of a query that is longer than a read */
};

const struct wire_error forward_no_memory = {
    "53200", "clients make the pool keep as much as they may",
    "clients_bytes_max is reached, by all clients together.",
    "Send smaller messages, prepare fewer statements, LISTEN to less, or raise clients_bytes_max.",
    NULL};

static const struct wire_error protocol_violation = {
    "08P01", "the message does not follow the protocol", NULL,
    "The driver, or what is between it and the pool, is at fault; a newer version may help.", NULL};

static void end_batch(struct server *server)
{
    server->batch_open = server->batch_ran = false;
}

static bool on_sync(const struct message *message)
{
    struct server *server = message->server;
    if (server->copy_in) { /* which ignores it, unless it has failed already */
        server->early_syncs++;
        message_pass(message);
        return true;
    }
    (void)message_leave_command(message, EXPECT_PARSE);
    server->tainted = server->tainted || (server->failed && server->early_syncs > 0);
    server->failed = false;
    end_batch(server);
    message->client->unnamed_in_batch = false;
    message_expect(message, EXPECT_SYNC);
    message_pass(message);
    return true;
}

static bool on_copy(const struct message *message)
{
    struct server *server = message->server;
    /* Outside of COPY they mean nothing to a server: what a failed COPY had still on its way. */
    if (!server->copy_in && server->expect.count == 0)
        return true;
    if (message->start[0] != 'd') {
        server->copy_in = false;
        message_expect(message, EXPECT_COPY_END);
    }
    message_pass(message);
    return true;
}

/* How much of a message must be there before it is handled. */
static size_t needed(char type, size_t size)
{
    switch (type) {
    case 'P':
        return size <= MESSAGE_KEPT_BYTES_MAX ? size : WIRE_HEADER_BYTES + 1;
    case 'Q':
        return size <= READ_BYTES ? size : QUERY_LOOK_BYTES;
    case 'B':
        return size < NAMES_BYTES_MAX ? size : NAMES_BYTES_MAX;
    case 'D':
    case 'C':
        return size;
    case 'E':
        return size > WIRE_HEADER_BYTES ? WIRE_HEADER_BYTES + 1 : size;
    default:
        return WIRE_HEADER_BYTES;
    }
}

/* Less of it is there than it takes, and no more is kept. */
static void refuse_begun(const struct message *message)
{
    char type = message->start[0];
    if (type == 'P')
        forward_refuse_parse(message, &forward_no_memory);
    else
        message_refuse(message, type == 'Q' ? EXPECT_QUERY : EXPECT_BIND, &forward_no_memory);
    if (type == 'Q')
        end_batch(message->server);
}

/* Its transaction is gone, and it goes on with it: it is in one that has failed, until it ends it.
 * True: it is told of that, in place of what the message asks. */
static bool fail_block(const struct message *message)
{
    struct client *client = message->client;
    char type = message->start[0];
    bool is_query = type == 'Q' || type == 'F', tells = client->trouble != NULL;
    client->lost_block = false;
    wire_query(batch_compose(message->batch), tells ? "BEGIN" : "BEGIN; SELECT 1/0");
    expect_push(&message->server->expect, (struct expected){.kind = EXPECT_OWN_QUERY});
    statement_release(&message->server->unnamed);
    message->server->status = 'E'; /* as it will be: nothing is done as if there were none */
    if (!tells)
        return false;
    if (type == 'P' && message->have > WIRE_HEADER_BYTES && message_body(message).ptr[0] == 0)
        client_set_unnamed(client, NULL); /* as a Parse that fails leaves it */
    message_refuse_as(message, is_query ? EXPECT_QUERY : EXPECT_PARSE, TAKE(client->trouble));
    if (is_query)
        end_batch(message->server);
    return true;
}

static bool on_message(const struct message *message)
{
    /* After an error the server ignores everything up to Sync. */
    if (message->server->failed && message->start[0] != 'S')
        return true;
    if (message->start[0] && strchr("PBDCE", message->start[0]))
        message->server->batch_open = true;
    bool asks = message->start[0] && strchr("QFPBDCE", message->start[0]);
    if (message->client->lost_block && asks && fail_block(message))
        return true;
    if (message->begun) {
        refuse_begun(message);
        return true;
    }
    switch (message->start[0]) {
    case 'Q':
        forward_query(message);
        end_batch(message->server);
        return true;
    case 'P':
        return forward_parse(message);
    case 'B':
        return forward_bind(message);
    case 'D':
        return forward_describe(message);
    case 'C':
        return forward_close(message);
    case 'E':
        return forward_execute(message);
    case 'F':
        message->server->dirty = true; /* of which function, only Postgres knows */
        message_expect(message, EXPECT_QUERY);
        message_pass(message);
        end_batch(message->server);
        return true;
    case 'S':
        return on_sync(message);
    case 'H':
        (void)expect_flush(&message->server->expect);
        message_pass(message);
        return true;
    case 'd':
    case 'c':
    case 'f':
        return on_copy(message);
    default:
        return false;
    }
}

/* Is the statement that a Bind or Describe uses the unnamed one? */
static bool uses_unnamed(struct slice message)
{
    struct slice rest = {message.ptr + WIRE_HEADER_BYTES, message.len - WIRE_HEADER_BYTES}, portal;
    if (message.ptr[0] == 'D')
        return rest.len > 1 && rest.ptr[1] == 0;
    return wire_take_text(&rest, &portal) && rest.len > 0 && rest.ptr[0] == 0;
}

/* What a name means depends on how earlier batches end that are still on their way, and on what
 * takes all statements away: the message is taken when that is known. Only first uses of names meet
 * this; a batch that brings its own unnamed statement does not. */
static bool must_wait(const struct client *client, struct slice message)
{
    const struct expect *expect = &client->server->expect;
    bool begins = message.ptr[0] && strchr("QFPBDCES", message.ptr[0]);
    if (expect->ends > 0 && client->pool->mode == POOL_STATEMENT && begins)
        return true; /* it may be in a block */
    if (expect->ends > 0 && expect->defaults > 0 && begins && message.ptr[0] != 'S' &&
        client->startup_params != client->server->base_params)
        return true; /* what its session began with is to be set first */
    if (expect->clears > 0 && begins && message.ptr[0] != 'S' && forward_renames(client))
        return true; /* what it prepares is to outlast that */
    if (!forward_renames(client) || message.len <= WIRE_HEADER_BYTES)
        return false;
    char first = message.ptr[WIRE_HEADER_BYTES];
    const struct statement *command = client->server->command;
    if (message.ptr[0] == 'E' && first == 0 && command && expect->asked > 0 &&
        (command->traits & (TRAITS_COMMAND | TRAIT_SIGNAL)))
        return true; /* what the pool does then can not be undone: nothing before it has failed */
    if (expect->ends == 0)
        return false;
    switch (message.ptr[0]) {
    case 'P':
        return first != 0;
    case 'C':
        return first == 'S' && message.len > WIRE_HEADER_BYTES + 1 &&
               message.ptr[WIRE_HEADER_BYTES + 1] != 0;
    case 'B':
    case 'D':
        if (uses_unnamed(message))
            return !client->unnamed_in_batch && expect->uncertain_unnamed + expect->uncertain > 0;
        return expect->uncertain > 0;
    case 'E':
        return client->server->command != NULL;
    case 'Q':
        return traits_of(
                   (struct slice){message.ptr + WIRE_HEADER_BYTES, message.len - WIRE_HEADER_BYTES},
                   0) &
               (TRAIT_DEALLOCATE | TRAIT_LISTEN | TRAIT_UNLISTEN | TRAIT_EXECUTE | TRAIT_SET |
                TRAIT_RESET);
    default:
        return false;
    }
}

/* One message, or what is there of it, from the front of *rest. 1: handled; 0: more must come;
 * -1: the client is to be ended with *ret_error. */
static int take_message(struct client *client, struct batch *batch, struct slice *rest,
                        const struct wire_error **ret_error)
{
    if (rest->len < WIRE_HEADER_BYTES)
        return 0;
    uint32_t length = wire_get_u32(rest->ptr + 1);
    size_t size = (size_t)length + 1;
    char type = rest->ptr[0];
    *ret_error = &protocol_violation;
    if (length < 4 || length > WIRE_LENGTH_MAX)
        return -1;
    if ((type == 'D' || type == 'C') && size > NAMES_BYTES_MAX)
        return -1;
    if ((type == 'S' || type == 'H') && length != 4)
        return -1;
    if (type == 'X') {
        client->goodbye = true;
        *ret_error = NULL;
        return -1;
    }
    bool begun = rest->len < needed(type, size);
    bool may_refuse = begun && type && strchr("PQB", type) && rest->len > WIRE_HEADER_BYTES;
    if (begun && !(may_refuse && pool_is_full()))
        return 0;
    if (must_wait(client, (struct slice){rest->ptr, rest->len < size ? rest->len : size})) {
        if (client->server->expect.ends == 0 && expect_flush(&client->server->expect))
            wire_plain(batch_compose(batch), 'H'); /* no Sync comes before it */
        client->unparsed = true;
        return 0;
    }
    struct message message = {.client = client,
                              .server = client->server,
                              .batch = batch,
                              .start = rest->ptr,
                              .have = rest->len < size ? rest->len : size,
                              .size = size,
                              .begun = begun};
    client->drop_skipped = true; /* unless the message is passed on */
    if (type == 'B' && !begun && forward_verify(&message)) {
        client->unparsed = true;
        return 0;
    }
    if (!on_message(&message))
        return -1;
    if (type == 'E' && client->awaits_listen) {
        client->unparsed = true;
        return 0;
    }
    client->skip = (uint32_t)(size - message.have);
    rest->ptr += message.have;
    rest->len -= message.have;
    return 1;
}

static void take_skipped(struct client *client, struct batch *batch, struct slice *rest)
{
    struct slice skipped = client_take_skipped(client, rest);
    if (!client->drop_skipped)
        batch_pass(batch, skipped.ptr, skipped.len);
}

/* undoes: what others have set, and nothing else. */
static void send_params(struct client *client, struct batch *batch, struct params *from,
                        struct params *to, bool undoes)
{
    struct buffer *out = batch_compose(batch);
    size_t begun = wire_begin(out, 'Q');
    struct server *server = client->server;
    const struct params_base base = {server->base_params, client->given, client->keeps_reported};
    params_append_sql(from, to, server_begins_with_query(server) ? NULL : &base, out);
    buffer_append(out, "", 1);
    wire_end(out, begun);
    expect_push(
        &client->server->expect,
        (struct expected){.kind = EXPECT_OWN_QUERY, .restores = params_hold(to), .undoes = undoes});
}

/* May the server be sent a query now, amid what its client has begun? Not so that it would commit
 * what a batch has done; a RESET or DISCARD ALL that began it is as good as committed. */
static bool takes_query(const struct server *server)
{
    bool keeps_all = server->status == 'T' ||
                     (server->status == 'I' && !(server->batch_ran && server->batch_ran_more));
    return keeps_all && server->expect.count == 0 && !server->failed;
}

/* Before a client's first message, and behind a RESET, which has gone to what the connection began
 * with: the server's session becomes what this client's was, or began with. True: its messages wait
 * for what the server says to that, because nobody has taken it yet, or because the statement would
 * do something else without it. */
static bool restore_params(struct client *client, struct batch *batch)
{
    static const char encoding_name[] = "client_encoding";
    struct server *server = client->server;
    server->dirty = server->dirty ||
                    (params_have_temporary(client->params) && client->pool->state != STATE_ALLOW);
    if (server->params == client->params || !takes_query(server))
        return false;
    bool waits =
        !params_are_accepted(client->params) || !params_are_alike(server->params, client->params);
    struct params *from = TAKE(server->params);
    struct params *shared = params_without_others(params_hold(from), client->params);
    if (shared != from) /* first, and alone: they are not for what follows */
        send_params(client, batch, from, shared, true);
    params_release(&from);
    from = shared;
    struct slice encoding = params_get(client->params, encoding_name);
    if (encoding.ptr && !slice_equal(params_get(from, encoding_name), encoding)) {
        /* On its own: a text is read in the encoding of before. */
        struct params *between = params_with(params_hold(from), slice_of(encoding_name), encoding);
        send_params(client, batch, from, between, false);
        params_release(&from);
        from = between;
    }
    if (from != client->params)
        send_params(client, batch, from, client->params, false);
    params_release(&from);
    statement_release(&server->unnamed); /* a simple query ends it */
    server->params = params_hold(client->params);
    return waits;
}

/* Alone on its way, whole and small, the batch is kept: should a plan prove out of date before
 * anything was answered, the pool can ask again (reply.c). */
static void keep_batch(struct client *client, struct slice bytes)
{
    struct server *server = client->server;
    const struct expect *expect = &server->expect;
    bool ended = expect->count > 0 && expect_at(expect, expect->count - 1)->kind == EXPECT_SYNC;
    if (server->reuses && ended && client->skip == 0 && !client->pinned &&
        bytes.len <= AGAIN_BYTES_MAX)
        buffer_append_slice(&server->asked_again, bytes);
}

struct slice forward_messages(struct client *client, struct slice bytes,
                              const struct wire_error **ret_error, bool *ret_end)
{
    static struct buffer composed;
    struct batch batch = {.composed = &composed};
    struct iovec parts[2];
    struct server *server = client->server;
    struct slice all = bytes;
    bool alone = server_is_free(server);
    int r = 1;
    *ret_error = NULL;
    *ret_end = false;
    if (client->pool->replication) {
        const struct iovec part = {(void *)(uintptr_t)bytes.ptr, bytes.len};
        (void)server_send(server, &part, 1);
        return (struct slice){NULL, 0};
    }
    buffer_reset(&composed, READ_BYTES * 4);
    buffer_reset(&server->asked_again, AGAIN_BYTES_MAX);
    server->reuses = server->describes = false;
    cache_unwatch(server);
    bool waits = bytes.len > 0 && bytes.ptr[0] != 'X' && restore_params(client, &batch);
    if (alone && client->pool->cache && !waits && !client->lost_block)
        cache_watch(client, bytes);
    if (waits) {
        client->unparsed = true;
        server->asked = false; /* nothing of it is on its way yet */
        r = 0;
    }
    while (bytes.len > 0 && r > 0 && !client->awaits_listen)
        if (client->skip > 0)
            take_skipped(client, &batch, &bytes);
        else
            r = take_message(client, &batch, &bytes, ret_error);
    client->unparsed = client->unparsed || (client->awaits_listen && bytes.len > 0);
    if (alone && r > 0 && bytes.len == 0)
        keep_batch(client, all);
    if (server->expect.count >= EXPECT_MAX && server->batch_open && client->skip == 0) {
        (void)expect_flush(&server->expect);
        wire_plain(batch_compose(&batch), 'H'); /* or nothing might come that makes room */
    }
    int count = batch_parts(&batch, parts);
    *ret_end = r < 0;
    if (count > 0)
        (void)server_send(server, parts, count);
    return bytes;
}
