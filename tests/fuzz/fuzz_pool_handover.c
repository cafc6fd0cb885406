/* SPDX-License-Identifier: Apache-2.0 */
/* What other processes of an online restart say, of whatever version: the input is messages, each
 * {type and what comes along, two bytes of length, bytes}. Who was taken over may be handed on at
 * once, and then what a process said itself comes back to it. */
#include "handover.c"
#include "pool_main.c"

#include "fuzz_pool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WITH_SOCKET = 1 << 4, SAYS_SOMETHING = 1 << 5, FROM_NEWER = 1 << 6 };

static const char plan[] = "{\"auth\":\"any\",\"log_errors\":false,\"databases\":[{\"name\":\"d\","
                           "\"hosts\":[]},{\"name\":\"e\",\"user\":\"u\",\"hosts\":[]}]}";
static int to_older, to_newer; /* the other ends */
static int peers[256], peers_count;

static int join(void take(int fd))
{
    int pair[2];
    if (ipc_pair(pair) < 0)
        abort();
    take(pair[1]);
    return pair[0];
}

/* As another process, or this one in an earlier life, has said it. */
static void pass(uint8_t what, const char *bytes, size_t len)
{
    int pair[2] = {-1, -1}, to = what & FROM_NEWER && to_newer >= 0 ? to_newer : to_older;
    if (what & WITH_SOCKET && (size_t)peers_count < ARRAY_LEN(peers)) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
            abort();
        peers[peers_count++] = pair[0];
        if (what & SAYS_SOMETHING)
            (void)!send(pair[0], "Q\0\0\0\010abc\0", 9, MSG_NOSIGNAL);
    }
    (void)ipc_send(to, what & 15, bytes, (uint32_t)len, &pair[1], pair[1] >= 0);
    if (pair[1] >= 0)
        (void)close(pair[1]);
    loop_turn(pool_process.loop, 0);
}

/* What was said to the newer process is heard again, from an older one. */
static void come_around(void)
{
    static struct ipc_message message;
    while (to_newer >= 0 && ipc_recv(to_newer, &message) > 0) {
        if (message.type <= MESSAGE_KEYS || message.type == MESSAGE_KEYS_AGAIN)
            (void)ipc_send(to_older, message.type, message.payload, message.bytes, message.fds,
                           message.fds_count);
        ipc_close_fds(&message);
    }
}

/* What is kept goes to servers as it is. */
static void check(const struct statement *statement)
{
    struct slice text;
    if (statement &&
        !wire_parse_text((struct slice){statement->body, statement->body_bytes}, &text))
        abort();
}

static void end_client(struct client *client)
{
    check(client->unnamed);
    for (uint32_t i = 0; i < client->names.cap; i++)
        check(names_at(&client->names, i));
    client_close(client, NULL);
}

static void end_all(void)
{
    while (peers_count > 0)
        (void)close(peers[--peers_count]);
    (void)close(to_older);
    if (to_newer >= 0)
        (void)close(to_newer);
    end(&older);
    end(&newer);
    older = newer = (struct neighbour){.source.fd = -1};
    gives = false;
    for (struct link *link; (link = list_first(&pool_process.clients));)
        end_client(CONTAINER_OF(link, struct client, link));
    for (struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        pool->retired = true;
        if (pool->credentials->keys.salt_len > SCRAM_SALT_BYTES_MAX)
            abort();
    }
    loop_turn(pool_process.loop, 0);
    lend_free_unwanted();
    for (struct record *record = record_first(); record; record = record->next)
        record->paused = record->disabled = false;
    record_forget();
    pool_process.paused = false;
    if (pool_process.clients.count > 0 || pool_process.pools)
        abort(); /* somebody stayed behind */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    if (!pool_process.loop) {
        begin_process();
        begin_plan(plan);
        pool_placement_init();
        loop_before_sleep(pool_process.loop, end_turn, NULL);
    }
    bool hands_on = data[0] & 1;
    to_older = join(handover_take);
    to_newer = hands_on ? join(handover_begin) : -1;
    for (data++, size--; size >= 3;) {
        size_t len = (size_t)data[1] << 8 | data[2], rest = size - 3;
        len = len < rest ? len : rest;
        len = len < IPC_PAYLOAD_BYTES_MAX ? len : IPC_PAYLOAD_BYTES_MAX;
        pass(data[0], (const char *)data + 3, len);
        data += 3 + len, size -= 3 + len;
    }
    come_around();
    handover_tick();
    loop_turn(pool_process.loop, 0);
    end_all();
    return 0;
}
