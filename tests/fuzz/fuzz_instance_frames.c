/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile instance: the input is what it writes into its ring and its indices, as operations,
 * while real connections have requests with it. The gateway may end the instance, and must stay
 * whole. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "conn.h"
#include "dispatch.h"
#include "gateway.h"
#include "log.h"
#include "loop.h"
#include "prisma.h"
#include "request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct gateway gateway;

void gateway_tell(enum control_type type, const void *payload, uint32_t bytes)
{
    (void)type, (void)payload, (void)bytes;
}

void gateway_tell_fd(enum control_type type, const void *payload, uint32_t bytes, int fd)
{
    (void)type, (void)payload, (void)bytes, (void)fd;
}

enum { CLIENTS = 4 };

static int listener = -1;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static socklen_t address_len;
static struct gateway_counters totals;
static struct worker_counters counts;
static struct worker worker = {.name = (char *)"fuzz", .count = &counts};
static uint32_t next_instance_id = 1;

static void on_turn_end(void *owner)
{
    (void)owner;
    conn_flush_all();
    dispatch_flush();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    log_init("fuzz", LOG_ERROR + 1, false);
    (void)signal(SIGPIPE, SIG_IGN);
    gateway.loop = loop_new();
    gateway.count = &totals;
    gateway.cpus = 2;
    gateway.routes = routes_new();
    gateway.http = (struct http_settings){.head = {65536, 8192, 64},
                                          .header_timeout_ms = 15000,
                                          .body_timeout_ms = 15000,
                                          .keepalive_timeout_ms = 15000,
                                          .write_timeout_ms = 15000,
                                          .connections_max = 100};
    json_t *plan = json_pack("{s:{s:s, s:{s:{s:s}}}}", "prisma", "secret",
                             "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "keys", "k", "database",
                             "database");
    prisma_take_plan(plan);
    json_decref(plan);
    loop_before_sleep(gateway.loop, on_turn_end, NULL);
    conn_tick();
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                              (size_t)snprintf(address.sun_path + 1, 64, "weir-fuzz-%d", getpid()));
    if (bind(listener, (struct sockaddr *)&address, address_len) < 0 || listen(listener, 64) < 0)
        abort();
    return 0;
}

static struct deployment *new_deployment(void)
{
    struct deployment *d = xcalloc(1, sizeof(*d));
    *d = (struct deployment){.id = 1,
                             .worker = &worker,
                             .current = true,
                             .has_code = true,
                             .prisma = (char *)"database",
                             .request_body_bytes_max = 1 << 20,
                             .cpu_ms = 1000,
                             .wall_ms = 10000,
                             .log_bytes_max = 4096,
                             .instances_max = 1,
                             .idle_timeout_ms = 1000,
                             .concurrency = 64,
                             .queue_length_max = 64,
                             .queue_timeout_ms = 1000};
    gateway.deployments = d;
    routes_set_default(gateway.routes, d);
    return d;
}

static int connect_client(int number)
{
    static const char *const requests[CLIENTS] = {
        "GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /c HTTP/1.0\r\nHost: a\r\n\r\n",
        "POST /d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhello",
    };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, address_len) < 0)
        abort();
    (void)!write(fd, requests[number], strlen(requests[number]));
    return fd;
}

/* The instance's end of the channel, which writes what it likes. */
static struct channel instance_end;

static uint64_t id_of_slot(const struct deployment *deployment, uint32_t slot)
{
    if (!deployment->instances || slot >= SLOTS_MAX || !deployment->instances->slots[slot])
        return 7;
    return deployment->instances->slots[slot]->id;
}

/* type, slot, length, then payload; the first eight bytes of which become an id that exists, if the
 * input asks for one: else the fuzzer would have to guess it. */
static void write_frame(const struct deployment *deployment, const uint8_t **data, size_t *size)
{
    if (*size < 4)
        return;
    uint8_t type = (*data)[0], slot = (*data)[1], flags = (*data)[2];
    size_t len = (*data)[3];
    *data += 4;
    *size -= 4;
    if (len > *size)
        len = *size;
    size_t extra = flags & 2 ? (size_t)(flags >> 2) * 512 : 0;
    char *room = ring_reserve(&instance_end.out, (uint32_t)(len + extra), NULL);
    if (!room)
        return;
    memcpy(room, *data, len);
    memset(room + len, 'x', extra);
    uint64_t id = id_of_slot(deployment, slot);
    if (flags & 1 && len >= sizeof(id))
        memcpy(room, &id, sizeof(id));
    ring_commit(&instance_end.out, type, slot, 0, (uint32_t)(len + extra));
    *data += len;
    *size -= len;
}

/* A call of another worker (here: of itself) with an api key that is good, which no fuzzer would
 * guess: signed with 32 zero bytes; or a seed. flags, length, then what comes inline. */
static void write_call(const uint8_t **data, size_t *size, bool is_seed)
{
    static const char call_text[] =
        "POSThttps://h/xauthorization: Bearer "
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJqdGkiOiJrIn0.xj30mpZapVoLtPJTrPPA497FcZyXHx6pOd-"
        "ovgUpPFo\n";
    static const char seed_text[] = "POSThttp://seed.weir/";
    static uint64_t next_id;
    const char *head_text = is_seed ? seed_text : call_text;
    size_t head_len = strlen(head_text), url_len = is_seed ? head_len - 4 : 11;
    if (*size < 3)
        return;
    size_t len = (*data)[2] < *size - 3 ? (*data)[2] : *size - 3;
    struct frame_request head = {.id = EXCHANGE_ID_BASE + next_id++,
                                 .body_bytes = (int8_t)(*data)[1],
                                 .flags =
                                     FRAME_SERVICE | ((*data)[0] & (FRAME_FIN | FRAME_HAS_BODY)),
                                 .method_bytes = 4,
                                 .url_bytes = (uint32_t)url_len,
                                 .headers_bytes = (uint32_t)(head_len - 4 - url_len),
                                 .inline_bytes = (uint32_t)len};
    char *room = ring_reserve(&instance_end.out,
                              (uint32_t)(sizeof(head) + head_len + len), NULL);
    if (!room)
        return;
    memcpy(room, &head, sizeof(head));
    memcpy(room + sizeof(head), head_text, head_len);
    memcpy(room + sizeof(head) + head_len, *data + 3, len);
    ring_commit(&instance_end.out, FRAME_REQUEST, (*data)[0] >> 2, 0,
                (uint32_t)(sizeof(head) + head_len + len));
    *data += 3 + len;
    *size -= 3 + len;
}

static void turn(void)
{
    loop_turn(gateway.loop, 0);
    (void)conn_accept(listener, &(struct listener_kind){0});
    loop_turn(gateway.loop, 0);
}

static void run(struct deployment *deployment, const uint8_t *data, size_t size, int clients[])
{
    char sink[65536];
    while (size > 0 && deployment->instances) {
        uint8_t operation = *data++;
        size--;
        switch (operation & 7) {
        case 0:
            channel_flush(&instance_end);
            turn();
            break;
        case 1:
            if (operation & 0x80)
                write_call(&data, &size, operation & 0x40);
            else
                (void)!read(clients[operation >> 3 & 3], sink, sizeof(sink));
            break;
        case 2: { /* takes a frame */
            struct ring_frame frame;
            const void *payload;
            if (ring_peek(&instance_end.in, &frame, &payload) > 0) {
                (void)ring_claim(&instance_end.in, &frame);
                ring_release(&instance_end.in, &frame);
            }
            break;
        }
        case 3:
            if (size > 0) {
                instance_end.in.index += (uint32_t)(int8_t)*data++ * 16u;
                size--;
                *(volatile uint32_t *)((char *)instance_end.in.shared + 64) = instance_end.in.index;
            }
            break;
        case 4:
            dispatch_tick();
            conn_tick();
            break;
        case 5:
            (void)shutdown(clients[operation >> 3 & 3], operation & 0x80 ? SHUT_RDWR : SHUT_WR);
            break;
        case 6:
            (void)!write(clients[operation >> 3 & 3], "5\r\nhello\r\n0\r\n\r\n", 15);
            break;
        case 7:
            write_frame(deployment, &data, &size);
            break;
        }
    }
    channel_flush(&instance_end);
    turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[CHANNEL_FDS], server_fds[CHANNEL_FDS], clients[CLIENTS];
    struct deployment *deployment = new_deployment();
    if (channel_create(GATEWAY_RING_BYTES, fds) < 0)
        abort();
    for (int i = 0; i < CHANNEL_FDS; i++)
        server_fds[i] = dup(fds[i]);
    if (channel_open(&instance_end, CHANNEL_INSTANCE, fds) < 0)
        abort();
    struct control_instance order = {next_instance_id++, 1};
    dispatch_add_instance(&order, server_fds);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = connect_client(i);
    turn();
    run(deployment, data, size, clients);
    for (int i = 0; i < CLIENTS; i++)
        (void)close(clients[i]);
    struct control_gone gone = {order.instance_id, 1, 9, 0};
    deployment->instances_max = 0; /* nothing is asked for again */
    deployment->queue_timeout_ms = 0;
    dispatch_instance_gone(&gone, SLICE(""));
    for (int i = 0; i < 100 && (gateway.connections > 0 || deployment->queue_first); i++) {
        turn();
        dispatch_tick();
        conn_drain_all(true);
    }
    if (deployment->instances || deployment->queue_first)
        abort();
    channel_close(&instance_end);
    gateway.deployments = NULL;
    free(deployment);
    return 0;
}
