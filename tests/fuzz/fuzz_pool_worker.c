/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile instance towards the pool: the input is what it writes into its ring, as operations.
 * Some make whole frames of a socket that there is, others anything. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz_pool.h"
#include "http_frames.h"
#include "worker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct channel instance_end;
static uint64_t next_id;

static struct pool *start(void)
{
    static const char plan[] =
        "{\"auth\":\"any\",\"log_errors\":false,\"pool_size\":1,"
        "\"databases\":[{\"name\":\"d\",\"user\":\"u\",\"hosts\":[]}],\"workers\":"
        "[{\"deployment_id\":1,\"databases\":[{\"host\":\"h\",\"database\":\"d\",\"user\":\"u\"}]}]"
        "}";
    if (!pool_process.loop) {
        begin_process();
        begin_plan(plan);
    }
    struct pool *pool = lend_pool(&pool_process.config->databases[0], "d", "u");
    pool->retry_us = UINT64_MAX; /* there is no server */
    if (!pool->welcome)
        pool->welcome = params_with(params_empty(), SLICE("TimeZone"), SLICE("UTC"));
    return pool;
}

static void turn(void)
{
    channel_flush(&instance_end);
    loop_turn(pool_process.loop, 0);
    worker_read_all();
    for (struct link *link; (link = list_first(&pool_process.again));) {
        struct client *client = CONTAINER_OF(link, struct client, again);
        list_remove(&pool_process.again, link);
        client_run(client);
    }
    worker_flush_all();
    client_free_closed();
}

static void write_frame(uint32_t type, uint32_t slot, const void *head, size_t head_bytes,
                        const uint8_t *rest, size_t rest_bytes)
{
    char *room = ring_reserve(&instance_end.out, (uint32_t)(head_bytes + rest_bytes), NULL);
    if (!room)
        return;
    memcpy(room, head, head_bytes);
    if (rest_bytes > 0)
        memcpy(room + head_bytes, rest, rest_bytes);
    ring_commit(&instance_end.out, type, slot, 0, (uint32_t)(head_bytes + rest_bytes));
}

static void open_socket(uint32_t slot, uint8_t flags)
{
    static const uint8_t target[] = "CONNECTh:5432";
    struct frame_request request = {.id = next_id++,
                                    .body_bytes = BODY_BYTES_UNKNOWN,
                                    .flags = FRAME_SOCKET | FRAME_HAS_BODY,
                                    .method_bytes = 7,
                                    .url_bytes = flags & 1 ? 4 : 6};
    write_frame(FRAME_REQUEST, slot, &request, sizeof(request), target,
                request.method_bytes + request.url_bytes);
}

static void drain(void)
{
    struct ring_frame frame;
    const void *payload;
    while (ring_peek(&instance_end.in, &frame, &payload) > 0)
        ring_release(&instance_end.in, &frame);
    channel_consumed(&instance_end);
}

static void abort_socket(uint64_t id)
{
    struct frame_abort order = {.id = id};
    write_frame(FRAME_ABORT, 0, &order, sizeof(order), NULL, 0);
}

/* A few dozen of these fill the ring of an instance that reads nothing. */
static void open_many(int count)
{
    for (int i = 0; i < count; i++) {
        open_socket(0, 0);
        abort_socket(next_id - 1);
    }
    turn();
}

/* Into what both sides keep in a ring: its indices, and the marks of who sleeps. */
static void scribble(uint8_t argument, uint8_t value)
{
    struct ring *ring = argument & 4 ? &instance_end.in : &instance_end.out;
    uint32_t *word = (uint32_t *)((char *)ring->shared + (argument & 3) * 64);
    *word = argument & 8 ? (uint32_t)value << 24 : *word + value * 16;
}

/* operation, argument, length; then bytes. */
static void run_one(const uint8_t **data, size_t *size)
{
    static const uint8_t startup[] = "\0\0\0\034\0\003\0\0user\0u\0database\0d\0";
    uint8_t operation = (*data)[0], argument = (*data)[1];
    size_t len = (*data)[2];
    *data += 3;
    *size -= 3;
    len = len < *size ? len : *size;
    uint64_t id = next_id - 1 - (argument >> 4);
    struct frame_body body = {.id = id, .flags = argument & FRAME_FIN, .bytes = (uint32_t)len};
    struct frame_credit credit = {.id = id, .bytes = (uint32_t)len * 1024};
    switch (operation & 15) {
    case 0:
        turn();
        break;
    case 1:
        drain();
        break;
    case 2:
        open_socket(argument & 15, operation >> 4);
        break;
    case 3:
        write_frame(FRAME_BODY, 0, &body, sizeof(body), *data, len);
        break;
    case 4:
        body.bytes = sizeof(startup) - 1;
        write_frame(FRAME_BODY, 0, &body, sizeof(body), startup, sizeof(startup) - 1);
        break;
    case 5:
        write_frame(FRAME_CREDIT, 0, &credit, sizeof(credit), NULL, 0);
        break;
    case 6:
        abort_socket(id);
        break;
    case 8:
        open_many(argument);
        break;
    case 9:
        scribble(argument, (uint8_t)len);
        break;
    default:
        write_frame(argument & 15, operation >> 4, *data, len, NULL, 0);
    }
    *data += len;
    *size -= len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint32_t instance_id = 1;
    int fds[CHANNEL_FDS], server_fds[CHANNEL_FDS];
    struct pool *pool = start();
    if (channel_create(POOL_RING_BYTES, fds) < 0)
        abort();
    for (int i = 0; i < CHANNEL_FDS; i++)
        server_fds[i] = dup(fds[i]);
    if (channel_open(&instance_end, CHANNEL_INSTANCE, fds) < 0)
        abort();
    next_id = EXCHANGE_ID_BASE + 1;
    worker_attach(&(struct control_instance){++instance_id, 1, -1}, server_fds);
    while (size >= 3)
        run_one(&data, &size);
    turn();
    worker_detach(instance_id);
    for (struct link *link; (link = list_first(&pool_process.again));)
        list_remove(&pool_process.again, link);
    client_free_closed();
    if (pool_process.clients.count > 0 || pool->clients > 0 || pool->waiting.count > 0)
        abort(); /* somebody stayed behind */
    channel_close(&instance_end);
    return 0;
}
