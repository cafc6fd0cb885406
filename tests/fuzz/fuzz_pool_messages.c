/* SPDX-License-Identifier: Apache-2.0 */
/* A client and a server, both hostile, on the two sides of the pool. The input is pieces of what
 * they send: a byte that says who (and whether the other side's writes stall), a length, bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_pool.h"
#include "own.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice client_input, server_input;
static bool stalled;

static ssize_t take(struct stream *stream, struct slice *input, void *dst, size_t cap)
{
    size_t len = input->len < cap ? input->len : cap;
    stream->readable = false;
    if (len == 0)
        return -EAGAIN;
    memcpy(dst, input->ptr, len);
    input->ptr += len;
    input->len -= len;
    stream->readable = input->len > 0;
    return (ssize_t)len;
}

static ssize_t read_client(struct stream *stream, void *dst, size_t cap)
{
    return take(stream, &client_input, dst, cap);
}

static ssize_t read_server(struct stream *stream, void *dst, size_t cap)
{
    return take(stream, &server_input, dst, cap);
}

static ssize_t write_any(struct stream *stream, const struct iovec *parts, int count)
{
    ssize_t total = 0;
    (void)stream;
    if (stalled)
        return -EAGAIN;
    for (int i = 0; i < count; i++)
        total += (ssize_t)parts[i].iov_len;
    return total;
}

static void close_any(struct stream *stream)
{
    (void)stream;
}

static const struct stream_carrier client_carrier = {read_client, write_any, close_any};
static const struct stream_carrier server_carrier = {read_server, write_any, close_any};

static struct pool *start(void)
{
    static const char plan[] =
        "{\"auth\":\"any\",\"log_errors\":false,\"pool_size\":1,\"prepared_statements_max\":2,"
        "\"client_statements_max\":4,\"databases\":[{\"name\":\"d\",\"hosts\":[],"
        "\"cache\":{\"max_age\":1,\"stale_while_revalidate\":1000}}]}";
    if (!pool_process.loop) {
        begin_process();
        begin_plan(plan);
    }
    struct pool *pool = lend_pool(&pool_process.config->databases[0], "d", "u");
    pool->retry_us = UINT64_MAX; /* there is no other server */
    if (!pool->welcome)
        pool->welcome = params_with(params_empty(), SLICE("TimeZone"), SLICE("UTC"));
    return pool;
}

static struct client *new_client(struct pool *pool)
{
    struct client *client = xcalloc(1, sizeof(*client));
    client->stream.carrier = &client_carrier;
    client->pool = pool;
    pool->clients++;
    client->params = params_hold(pool->welcome);
    client->startup_params = params_hold(pool->welcome);
    client->given = params_empty();
    client->state = CLIENT_READY;
    client->tenant = tenant_join(&pool->tenants, 0, SLICE("fuzz"));
    list_push_back(&pool_process.clients, &client->link);
    return client;
}

static struct server *new_server(struct pool *pool)
{
    struct server *server = server_new(pool);
    server->stream.carrier = &server_carrier;
    params_release(&server->params);
    server->params = params_hold(pool->welcome);
    server->base_params = params_hold(pool->welcome);
    server->reported = params_hold(pool->welcome);
    server_become(server, SERVER_IDLE);
    return server;
}

static void drain_lists(void)
{
    for (struct link *link; (link = list_first(&pool_process.again));)
        list_remove(&pool_process.again, link);
    for (struct link *link; (link = list_first(&pool_process.servers_again));)
        list_remove(&pool_process.servers_again, link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool *pool = start();
    struct client *client = new_client(pool);
    struct server *server = new_server(pool);
    while (size >= 3 && !client->closed && !server->closed) {
        uint8_t who = data[0];
        size_t len = (size_t)data[1] << 8 | data[2];
        data += 3, size -= 3;
        len = len < size ? len : size;
        stalled = who & 2;
        struct slice piece = {(const char *)data, len};
        data += len, size -= len;
        drain_lists();
        if (who & 1) {
            server_input = piece;
            server->stream.readable = true;
            server_run(server);
        } else {
            client_input = piece;
            client->stream.readable = true;
            client_run(client);
        }
        own_begin_all(); /* what the cache asks in its own name */
        pool_serve(pool);
    }
    stalled = false;
    drain_lists();
    for (struct link *link; (link = list_first(&pool_process.clients));)
        client_close(CONTAINER_OF(link, struct client, link), NULL);
    if (!server->closed)
        server_close(server, "the end");
    drain_lists();
    client_free_closed();
    server_free_closed();
    return 0;
}
