/* SPDX-License-Identifier: Apache-2.0 */
#include "own.h"

#include <errno.h>
#include <stdlib.h>

#include "login.h"
#include "secret.h"

struct own {
    struct client client; /* first: they are one allocation */
    struct own *next;     /* of those that have not begun */
    char *database, *user;
    const char *search_path; /* a constant, or NULL */
    struct buffer in, replies;
    struct params *params;
    size_t replies_max;
    own_done_fn *done; /* NULL: was called */
    void *context;
    bool asked;
    char *problem;
};

static struct own *to_begin;
static uint32_t own_clients;

static struct own *own_of(struct stream *stream)
{
    return CONTAINER_OF(CONTAINER_OF(stream, struct client, stream), struct own, client);
}

static ssize_t carrier_read(struct stream *stream, void *dst, size_t cap)
{
    struct own *own = own_of(stream);
    struct slice rest = buffer_slice(&own->in);
    size_t len = rest.len < cap ? rest.len : cap;
    if (len == rest.len)
        stream->readable = false;
    if (len == 0 || !own->asked)
        return -EAGAIN;
    memcpy(dst, rest.ptr, len);
    buffer_consume(&own->in, len);
    return (ssize_t)len;
}

static void finish(struct own *own, const char *problem)
{
    own_done_fn *done = TAKE(own->done);
    if (done)
        done(own->context, buffer_slice(&own->replies), problem);
    own->client.broken = true; /* closed in the next turn: whoever called is in the middle of it */
    if (!own->client.closed)
        pool_again(&own->client);
}

/* It is in: what it wants to know goes out. */
static void ask(struct own *own)
{
    struct client *client = &own->client;
    own->asked = true;
    if (own->params) {
        params_release(&client->params);
        client->params = params_hold(own->params);
    }
    own->replies.start = own->replies.end = 0;
    client->stream.readable = true;
    pool_again(client);
}

static void take_replies(struct own *own)
{
    struct slice all = buffer_slice(&own->replies), body;
    char type;
    if (all.len > own->replies_max) {
        finish(own, "the answer is too long");
        return;
    }
    while (own_next(&all, &type, &body))
        if (type == 'Z' && !own->asked) {
            ask(own);
            return;
        } else if (type == 'Z') {
            finish(own, NULL);
            return;
        } else if (type == 'E' && !own->asked && !own->problem) {
            struct slice text = own_error_text(body);
            own->problem = xstrndup(text.ptr, text.len);
        }
}

static ssize_t carrier_write(struct stream *stream, const struct iovec *parts, int count)
{
    struct own *own = own_of(stream);
    ssize_t all = 0;
    for (int i = 0; i < count; i++) {
        buffer_append(&own->replies, parts[i].iov_base, parts[i].iov_len);
        all += (ssize_t)parts[i].iov_len;
    }
    if (own->done)
        take_replies(own);
    return all;
}

static void carrier_close(struct stream *stream)
{
    struct own *own = own_of(stream);
    struct own **place = &to_begin;
    while (*place && *place != own)
        place = &(*place)->next;
    if (*place)
        *place = own->next;
    own->client.closed = true;
    own_clients--;
    finish(own, own->problem ? own->problem : "the connection for it was lost");
    params_release(&own->params);
    buffer_done(&own->in);
    text_free(&own->problem);
    text_free(&own->database);
    text_free(&own->user);
    secret_wipe(own->replies.data, own->replies.cap); /* passwords, perhaps */
    buffer_done(&own->replies);
}

static const struct stream_carrier carrier = {carrier_read, carrier_write, carrier_close};

void own_ask(const char *database, const char *user, const char *search_path, struct params *params,
             struct buffer *batch, size_t replies_max, own_done_fn *done, void *context)
{
    struct own *own = (struct own *)client_over(&carrier, sizeof(*own));
    own_clients++;
    own->in = *batch;
    *batch = (struct buffer){0};
    own->params = params ? params_hold(params) : NULL;
    own->replies_max = replies_max;
    own->done = done;
    own->context = context;
    own->database = xstrdup(database);
    own->user = xstrdup(user);
    own->search_path = search_path;
    own->next = to_begin;
    to_begin = own;
    loop_stay_awake(pool_process.loop);
}

void own_begin_all(void)
{
    for (struct own *own; (own = to_begin);) {
        to_begin = own->next;
        login_enter(&own->client, own->database, own->user, own->search_path);
    }
}

bool own_is(const struct client *client)
{
    return client->stream.carrier == &carrier;
}

uint32_t own_count(void)
{
    return own_clients;
}

bool own_next(struct slice *replies, char *ret_type, struct slice *ret_body)
{
    if (replies->len < WIRE_HEADER_BYTES)
        return false;
    uint32_t length = wire_get_u32(replies->ptr + 1);
    if (length < 4 || replies->len < (size_t)length + 1)
        return false;
    *ret_type = replies->ptr[0];
    *ret_body = (struct slice){replies->ptr + WIRE_HEADER_BYTES, length - 4};
    replies->ptr += length + 1;
    replies->len -= length + 1;
    return true;
}

struct slice own_column(struct slice row, unsigned wanted)
{
    struct slice value = {NULL, 0};
    if (row.len < 2 || wanted >= wire_get_u16(row.ptr))
        return value;
    row.ptr += 2;
    row.len -= 2;
    for (unsigned i = 0; i <= wanted; i++)
        if (!wire_take_value(&row, &value))
            break;
    return value;
}

struct slice own_error_text(struct slice body)
{
    struct slice text = wire_error_field(body, 'M');
    return text.ptr ? text : SLICE("the server says nothing more");
}

void own_compose(struct buffer *batch, const char *sql, const char *parameter)
{
    size_t begun = wire_begin(batch, 'P');
    wire_text(batch, "");
    wire_text(batch, sql);
    wire_u16(batch, 0);
    wire_end(batch, begun);
    begun = wire_begin(batch, 'B');
    wire_text(batch, "");
    wire_text(batch, "");
    wire_u16(batch, 0);
    wire_u16(batch, 1);
    wire_u32(batch, (uint32_t)strlen(parameter));
    buffer_append_text(batch, parameter);
    wire_u16(batch, 0);
    wire_end(batch, begun);
    begun = wire_begin(batch, 'E');
    wire_text(batch, "");
    wire_u32(batch, 1);
    wire_end(batch, begun);
    wire_plain(batch, 'S');
}
