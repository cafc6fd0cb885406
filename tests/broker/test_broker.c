/* SPDX-License-Identifier: Apache-2.0 */
/* The broker as a process of its own, between a real server and the instance's end of a channel.
 * argv[1]: server.mjs. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "broker_main.h"
#include "buffer.h"
#include "channel.h"
#include "clock.h"
#include "control.h"
#include "http_frames.h"
#include "ipc.h"

enum { WAIT_MS = 15000, DEPLOYMENT = 7, OTHER_DEPLOYMENT = 8 };

static struct {
    const char *script;
    char directory[64];
    pid_t server, broker;
    int control, plain, other, secure;
    uint32_t next_instance;
} world = {.control = -1, .next_instance = 1};

/* The instance's end. */
struct peer {
    uint32_t instance_id;
    struct channel channel;
    uint64_t next_id;
    uint32_t next_slot;
};

struct answer {
    uint64_t id;
    uint32_t slot;
    int status; /* 0: none yet */
    uint32_t error, redirects, frames;
    int64_t body_bytes;
    bool fin;
    struct buffer headers, body, url, text;
    uint64_t credit; /* for the request's body */
};

/* ---- the world ---- */

static void run(const char *const argv[])
{
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        (void)freopen("/dev/null", "w", stderr);
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void start_server(void)
{
    int out[2];
    char line[256] = "";
    AUTO_TEXT key = xasprintf("%s/key.pem", world.directory);
    AUTO_TEXT cert = xasprintf("%s/cert.pem", world.directory);
    run((const char *const[]){"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                              "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
                              "-days", "2", "-subj", "/CN=localhost", "-addext",
                              "subjectAltName=DNS:localhost,IP:127.0.0.1", NULL});
    assert_int_equal(chmod(world.directory, 0755), 0); /* the broker reads it as nobody */
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    world.server = fork();
    if (world.server == 0) {
        (void)dup2(out[1], 1);
        execlp("node", "node", world.script, key, cert, NULL);
        _exit(127);
    }
    (void)close(out[1]);
    for (size_t at = 0; at + 1 < sizeof(line) && !strchr(line, '\n');) {
        ssize_t got = read(out[0], line + at, sizeof(line) - 1 - at);
        assert_true(got > 0);
        at += (size_t)got;
    }
    json_t *ports = json_loads(line, 0, NULL);
    assert_int_equal(json_unpack(ports, "{s:i,s:i,s:i}", "plain", &world.plain, "other",
                                 &world.other, "secure", &world.secure),
                     0);
    json_decref(ports);
    (void)close(out[0]);
}

static void start_broker(void)
{
    int pair[2];
    assert_int_equal(ipc_pair(pair), 0);
    (void)fflush(NULL);
    world.broker = fork();
    if (world.broker == 0) {
        if (pair[1] != 3)
            (void)dup2(pair[1], 3);
        else
            (void)fcntl(3, F_SETFD, 0);
        for (int fd = 4; fd < 64; fd++)
            (void)close(fd);
        _exit(broker_main(1, (char *[]){"__broker", NULL}));
    }
    (void)close(pair[1]);
    world.control = pair[0];
}

/* allow: JSON array of DEPLOYMENT's egress_allow. The other deployment may reach the plain server
 * alone. */
static void send_plan(const char *allow)
{
    AUTO_TEXT text = xasprintf(
        "{\"tls_ca_file\":\"%s/cert.pem\",\"listeners\":[{\"address\":\"127.0.0.1\",\"port\":1}],"
        "\"workers\":[{\"deployment_id\":%d,\"egress_allow\":%s},"
        "{\"deployment_id\":%d,\"egress_allow\":[\"127.0.0.1:%d\"]}]}",
        world.directory, DEPLOYMENT, allow, OTHER_DEPLOYMENT, world.plain);
    int fd = memfd_create("plan", MFD_CLOEXEC);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(ipc_send(world.control, CONTROL_PLAN, NULL, 0, &fd, 1), 0);
    (void)close(fd);
}

static void allow_all(void)
{
    send_plan("[\"127.0.0.0/8\"]");
}

static int start_world(void **state)
{
    (void)state;
    (void)snprintf(world.directory, sizeof(world.directory), "/tmp/weir-broker-XXXXXX");
    assert_non_null(mkdtemp(world.directory));
    start_server();
    start_broker();
    allow_all();
    return 0;
}

static int end_world(void **state)
{
    int status;
    (void)state;
    (void)close(world.control); /* then it ends by itself */
    assert_int_equal(waitpid(world.broker, &status, 0), world.broker);
    assert_int_equal(status, 0);
    (void)kill(world.server, SIGKILL);
    (void)waitpid(world.server, &status, 0);
    AUTO_TEXT key = xasprintf("%s/key.pem", world.directory);
    AUTO_TEXT cert = xasprintf("%s/cert.pem", world.directory);
    (void)unlink(key);
    (void)unlink(cert);
    (void)rmdir(world.directory);
    return 0;
}

/* ---- the instance ---- */

static void attach(struct peer *peer, uint32_t deployment)
{
    int fds[CHANNEL_FDS];
    *peer = (struct peer){.instance_id = world.next_instance++, .next_id = EXCHANGE_ID_BASE + 1};
    struct control_instance order = {peer->instance_id, deployment};
    assert_int_equal(channel_create(BROKER_RING_BYTES, fds), 0);
    assert_int_equal(
        ipc_send(world.control, CONTROL_ATTACH, &order, sizeof(order), fds, CHANNEL_FDS), 0);
    assert_int_equal(channel_open(&peer->channel, CHANNEL_INSTANCE, fds), 0);
}

static void detach(struct peer *peer)
{
    struct control_gone gone = {peer->instance_id, DEPLOYMENT, 0, 0};
    assert_int_equal(ipc_send(world.control, CONTROL_DETACH, &gone, sizeof(gone), NULL, 0), 0);
    channel_close(&peer->channel);
}

static void send_frame(struct peer *peer, uint32_t type, uint32_t slot, const void *head,
                       size_t head_bytes, struct slice rest)
{
    char *room = NULL;
    for (int i = 0; !room && i < WAIT_MS; i++) {
        room = ring_reserve(&peer->channel.out, (uint32_t)(head_bytes + rest.len), NULL);
        if (!room)
            (void)usleep(1000);
    }
    assert_non_null(room);
    memcpy(room, head, head_bytes);
    if (rest.len > 0)
        memcpy(room + head_bytes, rest.ptr, rest.len);
    ring_commit(&peer->channel.out, type, slot, 0, (uint32_t)(head_bytes + rest.len));
    channel_flush(&peer->channel);
}

struct call {
    const char *method, *url, *headers;
    const char *body; /* NULL: none */
    uint32_t flags;   /* without FIN and HAS_BODY */
    bool streamed;    /* the body comes by FRAME_BODY, its length unknown */
    uint32_t timeout_ms;
};

static void open_call(struct peer *peer, struct call call, struct answer *ret_answer)
{
    struct slice body = slice_of(call.body ? call.body : "");
    struct frame_request request = {
        .id = peer->next_id++,
        .body_bytes = call.streamed ? BODY_BYTES_UNKNOWN : (int64_t)body.len,
        .flags = call.flags | (call.body || call.streamed ? FRAME_HAS_BODY : 0) |
                 (call.streamed ? 0 : FRAME_FIN),
        .method_bytes = (uint32_t)strlen(call.method),
        .url_bytes = (uint32_t)strlen(call.url),
        .headers_bytes = (uint32_t)strlen(call.headers ? call.headers : ""),
        .inline_bytes = (uint32_t)body.len,
        .timeout_ms = call.timeout_ms,
    };
    *ret_answer = (struct answer){.id = request.id, .slot = peer->next_slot++ % SLOTS_MAX};
    AUTO_TEXT rest = xasprintf("%s%s%s%s", call.method, call.url, call.headers ? call.headers : "",
                               call.body ? call.body : "");
    send_frame(peer, FRAME_REQUEST, ret_answer->slot, &request, sizeof(request), slice_of(rest));
}

static void send_body(struct peer *peer, const struct answer *answer, struct slice bytes, bool fin)
{
    struct frame_body body = {answer->id, fin ? FRAME_FIN : 0, (uint32_t)bytes.len};
    send_frame(peer, FRAME_BODY, answer->slot, &body, sizeof(body), bytes);
}

static void send_credit(struct peer *peer, const struct answer *answer, uint32_t bytes)
{
    struct frame_credit credit = {.id = answer->id, .bytes = bytes};
    send_frame(peer, FRAME_CREDIT, answer->slot, &credit, sizeof(credit), (struct slice){0});
}

static void take_response(struct answer *answer, const char *payload, uint32_t bytes)
{
    struct frame_response response;
    memcpy(&response, payload, sizeof(response));
    assert_int_equal(sizeof(response) + response.headers_bytes + response.url_bytes +
                         response.inline_bytes,
                     bytes);
    assert_int_equal(answer->status, 0);
    const char *at = payload + sizeof(response);
    answer->status = (int)response.status;
    answer->redirects = response.redirects;
    answer->body_bytes = response.body_bytes;
    answer->fin = response.flags & FRAME_FIN;
    buffer_append_text(&answer->headers, "\n");
    buffer_append(&answer->headers, at, response.headers_bytes);
    buffer_append(&answer->headers, "", 1);
    at += response.headers_bytes;
    buffer_append(&answer->url, at, response.url_bytes);
    buffer_append(&answer->url, "", 1);
    buffer_append(&answer->body, at + response.url_bytes, response.inline_bytes);
}

/* Applies a frame to the answer that it belongs to. */
static void take_frame(struct answer *const answers[], int count, const struct ring_frame *frame,
                       const char *payload)
{
    uint64_t id;
    memcpy(&id, payload, sizeof(id));
    struct answer *answer = NULL;
    for (int i = 0; i < count; i++)
        if (answers[i]->id == id)
            answer = answers[i];
    if (!answer)
        return;
    assert_int_equal(frame->slot, answer->slot);
    assert_false(answer->fin || answer->error);
    answer->frames++;
    if (frame->type == FRAME_RESPONSE) {
        take_response(answer, payload, frame->bytes);
    } else if (frame->type == FRAME_BODY) {
        struct frame_body body;
        memcpy(&body, payload, sizeof(body));
        assert_int_equal(sizeof(body) + body.bytes, frame->bytes);
        buffer_append(&answer->body, payload + sizeof(body), body.bytes);
        answer->fin = body.flags & FRAME_FIN;
    } else if (frame->type == FRAME_CREDIT) {
        struct frame_credit credit;
        memcpy(&credit, payload, sizeof(credit));
        answer->credit += credit.bytes;
    } else {
        struct frame_error error;
        assert_int_equal(frame->type, FRAME_ERROR);
        memcpy(&error, payload, sizeof(error));
        assert_int_equal(sizeof(error) + error.text_bytes + error.detail_bytes, frame->bytes);
        answer->error = error.kind;
        buffer_append(&answer->text, payload + sizeof(error), error.text_bytes);
        buffer_append(&answer->text, "", 1);
    }
}

/* One frame, or none within wait_ms: false. */
static bool read_frame(struct peer *peer, struct answer *const answers[], int count, int wait_ms)
{
    struct ring_frame frame;
    const void *payload;
    uint64_t end_ms = clock_monotonic_ms() + (uint64_t)wait_ms;
    for (;;) {
        int r = ring_peek(&peer->channel.in, &frame, &payload);
        assert_true(r >= 0);
        if (r > 0) {
            take_frame(answers, count, &frame, payload);
            ring_release(&peer->channel.in, &frame);
            channel_consumed(&peer->channel);
            return true;
        }
        uint64_t now_ms = clock_monotonic_ms();
        if (now_ms >= end_ms)
            return false;
        struct pollfd bell = {peer->channel.bell_in, POLLIN, 0};
        if (channel_sleep(&peer->channel))
            (void)poll(&bell, 1, (int)(end_ms - now_ms));
        channel_awake(&peer->channel);
    }
}

/* Reads to the end of the answer, giving credit for what comes. */
static void finish(struct peer *peer, struct answer *answer)
{
    while (!answer->fin && !answer->error) {
        size_t before = buffer_len(&answer->body);
        bool got = read_frame(peer, &answer, 1, WAIT_MS);
        if (!got)
            print_error("no answer in time\n");
        assert_true(got);
        uint32_t came = (uint32_t)(buffer_len(&answer->body) - before);
        if (came > 0 && !answer->fin)
            send_credit(peer, answer, came);
    }
    buffer_append(&answer->body, "", 1);
}

static void answer_done(struct answer *answer)
{
    buffer_done(&answer->headers);
    buffer_done(&answer->body);
    buffer_done(&answer->url);
    buffer_done(&answer->text);
}
#define AUTO_ANSWER __attribute__((cleanup(answer_done))) struct answer

static const char *body_of(const struct answer *answer)
{
    return answer->body.data + answer->body.start;
}

static void fetch(struct peer *peer, struct call call, struct answer *ret_answer)
{
    open_call(peer, call, ret_answer);
    finish(peer, ret_answer);
}

static char *url_of(int port, const char *path)
{
    return xasprintf("http://127.0.0.1:%d%s", port, path);
}

/* ---- tests ---- */

static void test_simple(void **state)
{
    struct peer peer;
    AUTO_ANSWER answer;
    (void)state;
    attach(&peer, DEPLOYMENT);
    AUTO_TEXT url = url_of(world.plain, "/hello");
    fetch(&peer, (struct call){.method = "GET", .url = url}, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(body_of(&answer), "hello");
    assert_int_equal(answer.body_bytes, 5);
    assert_non_null(strstr(answer.headers.data, "\nx-mixed-case: Yes\n"));
    assert_non_null(strstr(answer.headers.data, "\nset-cookie: a=1\nset-cookie: b=2\n"));
    assert_null(strstr(answer.headers.data, "\nconnection:"));
    assert_null(strstr(answer.headers.data, "\nkeep-alive:"));
    assert_int_equal(answer.frames, 1); /* head and body in one */
    detach(&peer);
}

static void test_request_headers(void **state)
{
    struct peer peer;
    AUTO_ANSWER answer;
    (void)state;
    attach(&peer, DEPLOYMENT);
    AUTO_TEXT url = url_of(world.plain, "/headers?q=%20a/../b");
    fetch(&peer,
          (struct call){.method = "GET",
                        .url = url,
                        .headers = "x-one: 1\nx-empty: \nhost: evil.example\nconnection: x-one\n"
                                   "transfer-encoding: chunked\ncontent-length: 5\nx-one: 2\n"},
          &answer);
    json_t *seen = json_loads(body_of(&answer), 0, NULL);
    json_t *headers = json_object_get(seen, "headers");
    AUTO_TEXT host = xasprintf("127.0.0.1:%d", world.plain);
    assert_string_equal(json_string_value(json_object_get(headers, "host")), host);
    assert_string_equal(json_string_value(json_object_get(headers, "x-one")), "1, 2");
    assert_string_equal(json_string_value(json_object_get(headers, "x-empty")), "");
    assert_string_equal(json_string_value(json_object_get(headers, "accept-encoding")), "br, gzip");
    assert_string_equal(json_string_value(json_object_get(seen, "url")), "/headers?q=%20a/../b");
    static const char *const absent[] = {"accept",       "user-agent",        "content-length",
                                         "content-type", "transfer-encoding", "expect",
                                         "connection"};
    for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
        if (json_object_get(headers, absent[i]))
            print_error("%s\n", absent[i]);
        assert_null(json_object_get(headers, absent[i]));
    }
    json_decref(seen);
    detach(&peer);
}

static void test_methods_and_bodies(void **state)
{
    struct peer peer;
    (void)state;
    attach(&peer, DEPLOYMENT);
    AUTO_TEXT url = url_of(world.plain, "/echo");
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE", "PROPFIND"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        AUTO_ANSWER answer;
        AUTO_TEXT wanted = xasprintf("\nx-method: %s\n", methods[i]);
        fetch(&peer, (struct call){.method = methods[i], .url = url, .body = "the body"}, &answer);
        assert_string_equal(body_of(&answer), "the body");
        assert_non_null(strstr(answer.headers.data, wanted));
    }
    AUTO_ANSWER empty;
    AUTO_TEXT headers_url = url_of(world.plain, "/headers");
    fetch(&peer, (struct call){.method = "POST", .url = headers_url}, &empty);
    assert_non_null(strstr(body_of(&empty), "\"content-length\":\"0\""));
    assert_null(strstr(body_of(&empty), "content-type\":"));
    AUTO_ANSWER head;
    AUTO_TEXT length_url = url_of(world.plain, "/length");
    fetch(&peer, (struct call){.method = "HEAD", .url = length_url}, &head);
    assert_int_equal(head.status, 200);
    assert_int_equal(head.body_bytes, 0);
    assert_non_null(strstr(head.headers.data, "\ncontent-length: 12345\n"));
    AUTO_ANSWER nothing;
    AUTO_TEXT empty_url = url_of(world.plain, "/empty");
    fetch(&peer, (struct call){.method = "GET", .url = empty_url}, &nothing);
    assert_int_equal(nothing.status, 204);
    detach(&peer);
}

static void test_streamed_upload(void **state)
{
    struct peer peer;
    AUTO_ANSWER answer;
    enum { BYTES = 2 * 1024 * 1024 };
    static char chunk[BODY_CHUNK_BYTES_MAX];
    (void)state;
    memset(chunk, 'u', sizeof(chunk));
    attach(&peer, DEPLOYMENT);
    AUTO_TEXT url = url_of(world.plain, "/echo");
    open_call(&peer, (struct call){.method = "POST", .url = url, .streamed = true}, &answer);
    struct answer *list = &answer;
    int64_t window = FLOW_WINDOW_BYTES, sent = 0;
    uint64_t credited = 0;
    size_t credit_given = 0;
    while (!answer.fin) {
        while (sent < BYTES && window >= (int64_t)sizeof(chunk)) {
            sent += (int64_t)sizeof(chunk);
            window -= (int64_t)sizeof(chunk);
            send_body(&peer, &answer, (struct slice){chunk, sizeof(chunk)}, sent == BYTES);
        }
        assert_true(read_frame(&peer, &list, 1, WAIT_MS));
        window += (int64_t)(answer.credit - credited);
        credited = answer.credit;
        if (buffer_len(&answer.body) > credit_given && !answer.fin) {
            send_credit(&peer, &answer, (uint32_t)(buffer_len(&answer.body) - credit_given));
            credit_given = buffer_len(&answer.body);
        }
    }
    assert_int_equal(buffer_len(&answer.body), BYTES);
    assert_non_null(strstr(answer.headers.data, "\nx-encoding: chunked\n"));
    detach(&peer);
}

/* Without credit no more than the window comes; with it, all does. */
static void test_response_credit(void **state)
{
    struct peer peer;
    AUTO_ANSWER answer;
    enum { BYTES = 3 * 1024 * 1024 };
    (void)state;
    attach(&peer, DEPLOYMENT);
    AUTO_TEXT url = url_of(world.plain, "/big?bytes=3145728");
    open_call(&peer, (struct call){.method = "GET", .url = url}, &answer);
    struct answer *list = &answer;
    while (read_frame(&peer, &list, 1, 300))
        ;
    size_t came = buffer_len(&answer.body);
    assert_true(came <= FLOW_WINDOW_BYTES && came > FLOW_WINDOW_BYTES - 2 * BODY_CHUNK_BYTES_MAX);
    assert_false(answer.fin);
    send_credit(&peer, &answer, (uint32_t)came);
    finish(&peer, &answer);
    assert_int_equal(buffer_len(&answer.body) - 1, BYTES);
    detach(&peer);
}

/* A server that reads nothing: the instance gets no credit beyond what was taken. */
static void test_upload_credit(void **state)
{
    struct peer peer;
    AUTO_ANSWER answer;
    static char chunk[BODY_CHUNK_BYTES_MAX];
    (void)state;
    attach(&peer, DEPLOYMENT);
    AUTO_TEXT url = url_of(world.plain, "/stall");
    open_call(&peer, (struct call){.method = "POST", .url = url, .streamed = true}, &answer);
    struct answer *list = &answer;
    int64_t window = FLOW_WINDOW_BYTES;
    uint64_t credited = 0, sent = 0;
    for (bool more = true; more;) {
        for (; window >= (int64_t)sizeof(chunk); window -= (int64_t)sizeof(chunk)) {
            send_body(&peer, &answer, (struct slice){chunk, sizeof(chunk)}, false);
            sent += sizeof(chunk);
        }
        more = read_frame(&peer, &list, 1, 300) && sent < 64 * 1024 * 1024;
        window += (int64_t)(answer.credit - credited);
        credited = answer.credit;
    }
    assert_true(sent < 32 * 1024 * 1024); /* the sockets' buffers, and the window */
    struct frame_abort frame = {.id = answer.id};
    send_frame(&peer, FRAME_ABORT, answer.slot, &frame, sizeof(frame), (struct slice){0});
    detach(&peer);
}

static void test_decoding(void **state)
{
    struct peer peer;
    (void)state;
    attach(&peer, DEPLOYMENT);
    static const char *const paths[] = {"/gzip?bytes=5000", "/br?bytes=5000",
                                        "/gzip?bytes=40000000", "/br?bytes=40000000"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        AUTO_ANSWER answer;
        AUTO_TEXT url = url_of(world.plain, paths[i]);
        fetch(&peer, (struct call){.method = "GET", .url = url}, &answer);
        assert_int_equal(answer.status, 200);
        assert_int_equal(answer.error, 0);
        assert_int_equal(buffer_len(&answer.body) - 1, atoi(strchr(paths[i], '=') + 1));
        assert_memory_equal(body_of(&answer), "packed packed ", 14);
        assert_null(strstr(answer.headers.data, "\ncontent-encoding:"));
        assert_null(strstr(answer.headers.data, "\ncontent-length:"));
        assert_int_equal(answer.body_bytes, BODY_BYTES_UNKNOWN);
    }
    static const char *const broken[] = {"/gzip?bytes=90000&cut", "/br?bytes=90000&cut",
                                         "/false-gzip"};
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        AUTO_ANSWER answer;
        AUTO_TEXT url = url_of(world.plain, broken[i]);
        fetch(&peer, (struct call){.method = "GET", .url = url}, &answer);
        assert_int_equal(answer.error, ERROR_KIND_PROTOCOL);
    }
    /* With no more than the window of credit, no more than that is decoded. */
    AUTO_ANSWER bomb;
    struct answer *list = &bomb;
    AUTO_TEXT url = url_of(world.plain, "/gzip?bytes=100000000");
    open_call(&peer, (struct call){.method = "GET", .url = url}, &bomb);
    while (read_frame(&peer, &list, 1, 1500))
        ;
    assert_int_equal(buffer_len(&bomb.body), FLOW_WINDOW_BYTES);
    detach(&peer);
}

static void test_redirects(void **state)
{
    struct peer peer;
    (void)state;
    attach(&peer, DEPLOYMENT);
    static const struct {
        const char *method, *path, *body;
        uint32_t flags;
        int status;
        const char *method_then;
        uint32_t redirects, error;
    } cases[] = {
        {"GET", "/redirect?to=/headers", NULL, FRAME_FOLLOW, 200, "GET", 1, 0},
        {"GET", "/redirect?to=/headers", NULL, 0, 302, NULL, 0, 0},
        {"GET", "/redirect?to=/headers", NULL, FRAME_REDIRECT_ERROR, 0, NULL, 0,
         ERROR_KIND_REDIRECT},
        {"POST", "/redirect?status=301&to=/headers", "b", FRAME_FOLLOW, 200, "GET", 1, 0},
        {"POST", "/redirect?status=302&to=/headers", "b", FRAME_FOLLOW, 200, "GET", 1, 0},
        {"POST", "/redirect?status=303&to=/headers", "b", FRAME_FOLLOW, 200, "GET", 1, 0},
        {"PUT", "/redirect?status=303&to=/headers", "b", FRAME_FOLLOW, 200, "GET", 1, 0},
        {"PUT", "/redirect?status=301&to=/headers", "b", FRAME_FOLLOW, 200, "PUT", 1, 0},
        {"POST", "/redirect?status=307&to=/echo", "body", FRAME_FOLLOW, 200, NULL, 1, 0},
        {"POST", "/redirect?status=308&to=/echo", "body", FRAME_FOLLOW, 200, NULL, 1, 0},
        {"HEAD", "/redirect?status=303&to=/headers", NULL, FRAME_FOLLOW, 200, NULL, 1, 0},
        {"GET", "/redirect?status=304&to=/headers", NULL, FRAME_FOLLOW, 304, NULL, 0, 0},
        {"GET", "/loop", NULL, FRAME_FOLLOW, 0, NULL, 0, ERROR_KIND_REDIRECT},
        {"GET", "/redirect?to=ftp://example.com/", NULL, FRAME_FOLLOW, 0, NULL, 0,
         ERROR_KIND_REDIRECT},
        {"GET", "/redirect?to=http://10.0.0.1/", NULL, FRAME_FOLLOW, 0, NULL, 0,
         ERROR_KIND_FORBIDDEN},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_ANSWER answer;
        AUTO_TEXT url = url_of(world.plain, cases[i].path);
        fetch(&peer,
              (struct call){.method = cases[i].method,
                            .url = url,
                            .body = cases[i].body,
                            .headers = "content-type: text/x\nauthorization: secret\n",
                            .flags = cases[i].flags},
              &answer);
        if (answer.status != cases[i].status || answer.error != cases[i].error)
            print_error("%s %s: %d %s\n", cases[i].method, cases[i].path, answer.status,
                        answer.text.data ? answer.text.data : "");
        assert_int_equal(answer.error, cases[i].error);
        assert_int_equal(answer.status, cases[i].status);
        assert_int_equal(answer.redirects, cases[i].redirects);
        if (cases[i].method_then) {
            AUTO_TEXT method = xasprintf("\"method\":\"%s\"", cases[i].method_then);
            AUTO_TEXT final = url_of(world.plain, "/headers");
            assert_non_null(strstr(body_of(&answer), method));
            assert_non_null(strstr(body_of(&answer), "\"authorization\":\"secret\""));
            assert_string_equal(answer.url.data, final);
            bool rewritten = strcmp(cases[i].method, cases[i].method_then) != 0;
            assert_int_equal(strstr(body_of(&answer), "\"content-type\"") == NULL, rewritten);
        } else if (cases[i].body && answer.status == 200) {
            assert_string_equal(body_of(&answer), cases[i].body);
        }
    }
    detach(&peer);
}

static void test_redirect_to_another_origin(void **state)
{
    struct peer peer;
    AUTO_ANSWER answer;
    (void)state;
    attach(&peer, DEPLOYMENT);
    AUTO_TEXT path = xasprintf("/redirect?to=http://127.0.0.1:%d/headers%%23part", world.other);
    AUTO_TEXT url = url_of(world.plain, path);
    AUTO_TEXT final = url_of(world.other, "/headers");
    fetch(&peer,
          (struct call){.method = "GET",
                        .url = url,
                        .headers = "authorization: secret\ncookie: a=1\nx-other: stays\n",
                        .flags = FRAME_FOLLOW},
          &answer);
    assert_int_equal(answer.status, 200);
    assert_null(strstr(body_of(&answer), "secret"));
    assert_null(strstr(body_of(&answer), "a=1"));
    assert_non_null(strstr(body_of(&answer), "\"x-other\":\"stays\""));
    assert_string_equal(answer.url.data, final);
    detach(&peer);
}

static void test_errors(void **state)
{
    struct peer peer;
    (void)state;
    attach(&peer, DEPLOYMENT);
    const struct {
        char *url;
        uint32_t error;
        int status;
        uint32_t timeout_ms;
    } cases[] = {
        {url_of(world.plain, "/drop"), ERROR_KIND_CONNECT, 0, 0},
        {url_of(world.plain, "/half"), ERROR_KIND_CONNECT, 200, 0},
        {url_of(9, "/"), ERROR_KIND_CONNECT, 0, 0},   /* nobody listens there */
        {url_of(1, "/"), ERROR_KIND_FORBIDDEN, 0, 0}, /* the program's own listener */
        {url_of(world.plain, "/silent"), ERROR_KIND_TIMEOUT, 0, 200},
        {xstrdup("http://name.invalid/"), ERROR_KIND_DNS, 0, 0},
        {xstrdup("ftp://127.0.0.1/"), ERROR_KIND_URL, 0, 0},
        {xstrdup("file:///etc/passwd"), ERROR_KIND_URL, 0, 0},
        {xstrdup("http://"), ERROR_KIND_URL, 0, 0},
        {xasprintf("http://127.0.0.1:%d/hello", world.secure), ERROR_KIND_CONNECT, 0, 0},
        {xasprintf("https://127.0.0.1:%d/hello", world.plain), ERROR_KIND_CONNECT, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_ANSWER answer;
        fetch(
            &peer,
            (struct call){.method = "GET", .url = cases[i].url, .timeout_ms = cases[i].timeout_ms},
            &answer);
        if (answer.error != cases[i].error)
            print_error("%s: %u %d %s\n", cases[i].url, answer.error, answer.status,
                        answer.text.data ? answer.text.data : "");
        assert_int_equal(answer.error, cases[i].error);
        assert_int_equal(answer.status, cases[i].status);
        free(cases[i].url);
    }
    detach(&peer);
}

static void test_egress(void **state)
{
    struct peer peer, other;
    (void)state;
    attach(&peer, DEPLOYMENT);
    attach(&other, OTHER_DEPLOYMENT);
    send_plan("[]");
    AUTO_TEXT plain = url_of(world.plain, "/hello");
    AUTO_TEXT elsewhere = url_of(world.other, "/hello");
    AUTO_TEXT by_name = xasprintf("http://localhost:%d/hello", world.plain);
    AUTO_TEXT by_number = xasprintf("http://2130706433:%d/hello", world.plain);
    AUTO_TEXT mapped = xasprintf("http://[::ffff:127.0.0.1]:%d/hello", world.plain);
    const char *const urls[] = {
        plain, by_name, by_number, mapped, "http://169.254.169.254/", "http://[::1]/", "http://0/"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        AUTO_ANSWER answer;
        fetch(&peer, (struct call){.method = "GET", .url = urls[i]}, &answer);
        if (answer.error != ERROR_KIND_FORBIDDEN)
            print_error("%s\n", urls[i]);
        assert_int_equal(answer.error, ERROR_KIND_FORBIDDEN);
    }
    const struct {
        struct peer *peer;
        const char *allow, *url;
        bool allowed;
    } cases[] = {
        {&other, "[]", plain, true},
        {&other, "[]", elsewhere, false},
        {&peer, "[\"localhost\"]", by_name, true},
        {&peer, "[\"localhost\"]", plain, false},
        {&peer, "[\"127.0.0.1\"]", mapped, true},
        {&peer, "[\"127.0.0.1\"]", plain, true},
        {&peer, "[]", plain, false}, /* taken back: the open connection does not count */
        {&other, "[]", plain, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_ANSWER answer;
        send_plan(cases[i].allow);
        fetch(cases[i].peer, (struct call){.method = "GET", .url = cases[i].url}, &answer);
        if ((answer.status == 200) != cases[i].allowed)
            print_error("%s %s\n", cases[i].allow, cases[i].url);
        assert_int_equal(answer.status == 200, cases[i].allowed);
    }
    /* A system worker has no way out at all, and no name is asked for. */
    const char *const outside[] = {plain, "http://9.9.9.9/", "http://name.invalid/"};
    send_plan("false");
    for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
        AUTO_ANSWER answer;
        fetch(&peer, (struct call){.method = "GET", .url = outside[i]}, &answer);
        assert_int_equal(answer.error, ERROR_KIND_FORBIDDEN);
        assert_string_equal(answer.text.data, "This worker may connect to nothing.");
    }
    allow_all();
    detach(&peer);
    detach(&other);
}

static int connections_of_server(struct peer *peer)
{
    AUTO_ANSWER answer;
    AUTO_TEXT url = url_of(world.plain, "/connections");
    fetch(peer, (struct call){.method = "GET", .url = url}, &answer);
    return atoi(body_of(&answer));
}

static void test_connection_reuse(void **state)
{
    struct peer peer, second, other;
    (void)state;
    attach(&peer, DEPLOYMENT);
    attach(&second, DEPLOYMENT);
    attach(&other, OTHER_DEPLOYMENT);
    int first = connections_of_server(&peer);
    assert_int_equal(connections_of_server(&peer), first);
    assert_int_equal(connections_of_server(&second), first); /* the same deployment */
    int others = connections_of_server(&other);
    assert_true(others == first || others == first + 1); /* it may have one from before */
    assert_int_equal(connections_of_server(&peer), others);
    /* a connection that the server closed is not a failure */
    AUTO_ANSWER answer;
    AUTO_TEXT url = url_of(world.plain, "/close");
    fetch(&peer, (struct call){.method = "GET", .url = url}, &answer);
    assert_int_equal(answer.status, 200);
    assert_int_equal(connections_of_server(&peer), others + 1);
    detach(&peer);
    detach(&second);
    detach(&other);
}

static void test_tls_and_http2(void **state)
{
    struct peer peer;
    (void)state;
    attach(&peer, DEPLOYMENT);
    AUTO_ANSWER answer;
    AUTO_TEXT url = xasprintf("https://127.0.0.1:%d/headers", world.secure);
    fetch(&peer, (struct call){.method = "GET", .url = url}, &answer);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(body_of(&answer), "\"version\":\"2.0\""));
    AUTO_ANSWER echo;
    AUTO_TEXT echo_url = xasprintf("https://127.0.0.1:%d/echo", world.secure);
    fetch(&peer, (struct call){.method = "POST", .url = echo_url, .body = "over h2"}, &echo);
    assert_string_equal(body_of(&echo), "over h2");
    AUTO_ANSWER big;
    AUTO_TEXT big_url = xasprintf("https://127.0.0.1:%d/big?bytes=1000000", world.secure);
    fetch(&peer, (struct call){.method = "GET", .url = big_url}, &big);
    assert_int_equal(buffer_len(&big.body) - 1, 1000000);
    AUTO_ANSWER wrong_name;
    send_plan("[\"127.0.0.0/8\"]");
    AUTO_TEXT wrong = xasprintf("https://127.0.0.2:%d/hello", world.secure);
    fetch(&peer, (struct call){.method = "GET", .url = wrong}, &wrong_name);
    assert_int_equal(wrong_name.error, ERROR_KIND_CONNECT);
    detach(&peer);
}

/* Many at once, of which some are given up; their slots serve again. */
static void test_concurrency_and_abort(void **state)
{
    struct peer peer;
    enum { COUNT = 100 };
    static struct answer answers[COUNT];
    struct answer *list[COUNT];
    (void)state;
    attach(&peer, DEPLOYMENT);
    AUTO_TEXT quick = url_of(world.plain, "/hello");
    AUTO_TEXT never = url_of(world.plain, "/silent");
    for (int i = 0; i < COUNT; i++) {
        list[i] = &answers[i];
        open_call(&peer, (struct call){.method = "GET", .url = i % 5 == 0 ? never : quick},
                  &answers[i]);
    }
    for (int left = COUNT - COUNT / 5; left > 0;) {
        assert_true(read_frame(&peer, list, COUNT, WAIT_MS));
        left = 0;
        for (int i = 0; i < COUNT; i++)
            left += i % 5 != 0 && !answers[i].fin;
    }
    for (int i = 0; i < COUNT; i += 5) {
        struct frame_abort frame = {.id = answers[i].id};
        send_frame(&peer, FRAME_ABORT, answers[i].slot, &frame, sizeof(frame), (struct slice){0});
    }
    peer.next_slot = 0;
    for (int i = 0; i < 10; i++) {
        AUTO_ANSWER answer;
        fetch(&peer, (struct call){.method = "GET", .url = quick}, &answer);
        assert_int_equal(answer.status, 200);
    }
    for (int i = 0; i < COUNT; i++)
        answer_done(&answers[i]);
    /* given up while the name is being resolved */
    for (int i = 0; i < 20; i++) {
        struct answer answer;
        open_call(&peer, (struct call){.method = "GET", .url = "http://name.invalid/"}, &answer);
        struct frame_abort frame = {.id = answer.id};
        send_frame(&peer, FRAME_ABORT, answer.slot, &frame, sizeof(frame), (struct slice){0});
    }
    AUTO_ANSWER last;
    fetch(&peer, (struct call){.method = "GET", .url = quick}, &last);
    assert_int_equal(last.status, 200);
    detach(&peer);
}

/* A first answer that takes its time holds up no other to the same server. */
static void test_slow_first(void **state)
{
    struct peer peer;
    struct answer slow;
    AUTO_ANSWER quick;
    (void)state;
    attach(&peer, DEPLOYMENT);
    send_plan("[\"127.0.0.0/9\"]"); /* another policy: no connection is open */
    AUTO_TEXT silent = url_of(world.plain, "/silent");
    AUTO_TEXT url = url_of(world.plain, "/hello");
    uint64_t start_ms = clock_monotonic_ms();
    open_call(&peer, (struct call){.method = "GET", .url = silent, .timeout_ms = 3000}, &slow);
    fetch(&peer, (struct call){.method = "GET", .url = url}, &quick);
    assert_int_equal(quick.status, 200);
    assert_true(clock_monotonic_ms() - start_ms < 2000);
    allow_all();
    detach(&peer);
}

/* One more than a deployment may have open. */
static void test_too_many(void **state)
{
    enum { MAX = 1000 };
    struct peer peer, second;
    AUTO_ANSWER last;
    (void)state;
    attach(&peer, DEPLOYMENT);
    attach(&second, DEPLOYMENT);
    AUTO_TEXT silent = url_of(world.plain, "/silent");
    for (int i = 0; i < MAX; i++) {
        struct answer answer;
        open_call(i % 2 ? &peer : &second, (struct call){.method = "GET", .url = silent}, &answer);
    }
    (void)usleep(500 * 1000);
    fetch(&peer, (struct call){.method = "GET", .url = silent}, &last);
    assert_int_equal(last.error, ERROR_KIND_CONNECT);
    assert_non_null(strstr(last.text.data, "Too many"));
    detach(&second);
    detach(&peer);
    AUTO_ANSWER after;
    AUTO_TEXT url = url_of(world.plain, "/hello");
    attach(&peer, DEPLOYMENT);
    fetch(&peer, (struct call){.method = "GET", .url = url}, &after);
    assert_int_equal(after.status, 200);
    detach(&peer);
}

/* A ring that nobody reads delays its instance and no other. */
static void test_full_ring(void **state)
{
    struct peer lazy, busy;
    enum { COUNT = 20 };
    static struct answer answers[COUNT];
    struct answer *list[COUNT];
    (void)state;
    attach(&lazy, DEPLOYMENT);
    attach(&busy, DEPLOYMENT);
    AUTO_TEXT url = url_of(world.plain, "/big?bytes=200000");
    for (int i = 0; i < COUNT; i++) {
        list[i] = &answers[i];
        open_call(&lazy, (struct call){.method = "GET", .url = url}, &answers[i]);
    }
    (void)usleep(500 * 1000);
    AUTO_ANSWER answer;
    fetch(&busy, (struct call){.method = "GET", .url = url}, &answer);
    assert_int_equal(buffer_len(&answer.body) - 1, 200000);
    for (int left = COUNT; left > 0;) {
        assert_true(read_frame(&lazy, list, COUNT, WAIT_MS));
        left = 0;
        for (int i = 0; i < COUNT; i++)
            left += !answers[i].fin;
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(buffer_len(&answers[i].body), 200000);
        answer_done(&answers[i]);
    }
    detach(&lazy);
    detach(&busy);
}

/* Sockets of an instance that reads nothing: what its ring has no room for waits in the broker, and
 * must not follow when TLS is asked for. */
static void test_clear_bytes_before_tls(void **state)
{
    struct peer peer;
    enum { COUNT = 6 };
    static struct answer answers[COUNT];
    struct answer *list[COUNT];
    int held = 0;
    (void)state;
    attach(&peer, DEPLOYMENT);
    AUTO_TEXT target = xasprintf("127.0.0.1:%d", world.plain);
    for (int i = 0; i < COUNT; i++) {
        list[i] = &answers[i];
        open_call(&peer,
                  (struct call){
                      .method = "CONNECT", .url = target, .flags = FRAME_SOCKET, .streamed = true},
                  &answers[i]);
        send_body(&peer, &answers[i], SLICE("GET /big?bytes=3145728 HTTP/1.0\r\n\r\n"), false);
    }
    (void)usleep(500 * 1000);
    for (int i = 0; i < COUNT; i++) {
        struct frame_start_tls order = {.id = answers[i].id, .host_bytes = 9};
        send_frame(&peer, FRAME_START_TLS, answers[i].slot, &order, sizeof(order),
                   SLICE("localhost"));
    }
    (void)usleep(100 * 1000);
    for (int left = COUNT; left > 0;) {
        assert_true(read_frame(&peer, list, COUNT, WAIT_MS));
        left = 0;
        for (int i = 0; i < COUNT; i++)
            left += !answers[i].error;
    }
    for (int i = 0; i < COUNT; i++) {
        bool all = buffer_len(&answers[i].body) == FLOW_WINDOW_BYTES;
        assert_int_equal(answers[i].error, ERROR_KIND_CONNECT);
        assert_string_equal(answers[i].text.data,
                            all ? "TLS: the server's certificate or handshake was refused."
                                : "The server sent bytes in the clear before TLS began.");
        held += !all;
        answer_done(&answers[i]);
    }
    assert_true(held > 0);
    detach(&peer);
}

/* ---- hostile instances ---- */

static void expect_kill(const struct peer *peer)
{
    static struct ipc_message message;
    struct control_kill order;
    struct pollfd control = {world.control, POLLIN, 0};
    assert_int_equal(poll(&control, 1, WAIT_MS), 1);
    assert_int_equal(ipc_recv(world.control, &message), 1);
    assert_int_equal(message.type, CONTROL_KILL);
    memcpy(&order, message.payload, sizeof(order));
    assert_int_equal(order.instance_id, peer->instance_id);
    assert_int_equal(order.reason, KILL_PROTOCOL);
}

static void test_hostile_frames(void **state)
{
    struct frame_request fine = {.id = EXCHANGE_ID_BASE + 50,
                                 .flags = FRAME_FIN,
                                 .method_bytes = 3,
                                 .url_bytes = 19,
                                 .headers_bytes = 0};
    const char *rest = "GEThttp://example.org/";
    struct frame_request longer = fine, low_id = fine, no_method = fine, with_inline = fine;
    struct frame_request broken_header = fine, huge = fine, negative = fine;
    longer.url_bytes++;
    low_id.id = 5;
    no_method.method_bytes = 0, no_method.url_bytes = 22;
    with_inline.inline_bytes = 1, with_inline.url_bytes = 18;
    broken_header.headers_bytes = 4, broken_header.url_bytes = 15;
    huge.url_bytes = UINT32_MAX, huge.headers_bytes = 20;
    negative.flags |= FRAME_HAS_BODY, negative.body_bytes = -2;
    const struct {
        uint32_t type, slot;
        const void *head;
        size_t bytes;
        const char *rest;
    } cases[] = {
        {FRAME_REQUEST, SLOTS_MAX, &fine, sizeof(fine), rest},
        {FRAME_REQUEST, 0, &longer, sizeof(fine), rest},
        {FRAME_REQUEST, 0, &low_id, sizeof(fine), rest},
        {FRAME_REQUEST, 0, &no_method, sizeof(fine), rest},
        {FRAME_REQUEST, 0, &with_inline, sizeof(fine), rest},
        {FRAME_REQUEST, 0, &broken_header, sizeof(fine), rest},
        {FRAME_REQUEST, 0, &huge, sizeof(fine), rest},
        {FRAME_REQUEST, 0, &negative, sizeof(fine), rest},
        {FRAME_REQUEST, 0, &fine, 10, ""},
        {FRAME_REQUEST, 0, &fine, sizeof(fine), "G Thttp://example.org/"},
        {FRAME_BODY, 0, &fine, 3, ""},
        {FRAME_CREDIT, 0, &fine, 40, ""},
        {FRAME_ABORT, 0, &fine, 8, ""},
        {FRAME_RESPONSE, 0, &fine, 40, ""},
        {99, 0, "", 0, ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct peer peer;
        attach(&peer, DEPLOYMENT);
        send_frame(&peer, cases[i].type, cases[i].slot, cases[i].head, cases[i].bytes,
                   slice_of(cases[i].rest));
        expect_kill(&peer);
        detach(&peer);
    }
}

static void test_hostile_sequences(void **state)
{
    static char chunk[BODY_CHUNK_BYTES_MAX];
    (void)state;
    AUTO_TEXT silent = url_of(world.plain, "/silent");
    AUTO_TEXT stall = url_of(world.plain, "/stall");
    AUTO_TEXT big = url_of(world.plain, "/big?bytes=1000000");
    for (int kind = 0; kind < 7; kind++) {
        struct peer peer;
        AUTO_ANSWER answer;
        AUTO_ANSWER second = {0};
        attach(&peer, DEPLOYMENT);
        bool upload = kind <= 2;
        open_call(&peer,
                  (struct call){.method = upload ? "POST" : "GET",
                                .url = upload      ? stall
                                       : kind == 4 ? big
                                                   : silent,
                                .streamed = upload},
                  &answer);
        switch (kind) {
        case 0: /* more than its window */
            for (int i = 0; i < 4000; i++) {
                if (ring_room(&peer.channel.out) < 2 * sizeof(chunk))
                    break;
                send_body(&peer, &answer, (struct slice){chunk, sizeof(chunk)}, false);
            }
            break;
        case 1: /* after its end */
            send_body(&peer, &answer, (struct slice){chunk, 5}, true);
            send_body(&peer, &answer, (struct slice){chunk, 5}, false);
            break;
        case 2: /* a chunk that is too long */
        {
            struct frame_body body = {answer.id, 0, BODY_CHUNK_BYTES_MAX + 1};
            static char longer[BODY_CHUNK_BYTES_MAX + 1];
            send_frame(&peer, FRAME_BODY, answer.slot, &body, sizeof(body),
                       (struct slice){longer, sizeof(longer)});
            break;
        }
        case 3: /* a body where none was announced */
            send_body(&peer, &answer, (struct slice){chunk, 5}, false);
            break;
        case 4: /* credit for what never came */
            send_credit(&peer, &answer, FLOW_WINDOW_BYTES + 1);
            break;
        case 5: /* a slot twice */
            peer.next_slot = 0;
            open_call(&peer, (struct call){.method = "GET", .url = silent}, &second);
            break;
        case 6: /* an id twice */
            peer.next_id--;
            open_call(&peer, (struct call){.method = "GET", .url = silent}, &second);
            break;
        }
        expect_kill(&peer);
        detach(&peer);
    }
    /* Nobody else noticed. */
    struct peer peer;
    AUTO_ANSWER answer;
    attach(&peer, DEPLOYMENT);
    AUTO_TEXT url = url_of(world.plain, "/hello");
    fetch(&peer, (struct call){.method = "GET", .url = url}, &answer);
    assert_string_equal(body_of(&answer), "hello");
    detach(&peer);
}

static void test_broken_ring(void **state)
{
    struct peer peer;
    (void)state;
    attach(&peer, DEPLOYMENT);
    uint32_t *head = (uint32_t *)(void *)peer.channel.out.shared;
    *head = 0x12345678;
    uint64_t one = 1;
    assert_int_equal(write(peer.channel.bell_out, &one, sizeof(one)), sizeof(one));
    expect_kill(&peer);
    detach(&peer);
}

/* The reader's index, while answers wait for room. */
static void test_broken_full_ring(void **state)
{
    struct peer peer;
    enum { COUNT = 20 };
    struct answer answers[COUNT];
    (void)state;
    attach(&peer, DEPLOYMENT);
    AUTO_TEXT url = url_of(world.plain, "/big?bytes=200000");
    for (int i = 0; i < COUNT; i++)
        open_call(&peer, (struct call){.method = "GET", .url = url}, &answers[i]);
    (void)usleep(500 * 1000);
    uint32_t *tail = (uint32_t *)((char *)peer.channel.in.shared + 64);
    *tail = 0x40000000;
    uint64_t one = 1;
    assert_int_equal(write(peer.channel.bell_out, &one, sizeof(one)), sizeof(one));
    expect_kill(&peer);
    detach(&peer);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simple),
        cmocka_unit_test(test_request_headers),
        cmocka_unit_test(test_methods_and_bodies),
        cmocka_unit_test(test_streamed_upload),
        cmocka_unit_test(test_response_credit),
        cmocka_unit_test(test_upload_credit),
        cmocka_unit_test(test_decoding),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_redirect_to_another_origin),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_egress),
        cmocka_unit_test(test_connection_reuse),
        cmocka_unit_test(test_tls_and_http2),
        cmocka_unit_test(test_concurrency_and_abort),
        cmocka_unit_test(test_slow_first),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_full_ring),
        cmocka_unit_test(test_clear_bytes_before_tls),
        cmocka_unit_test(test_hostile_frames),
        cmocka_unit_test(test_hostile_sequences),
        cmocka_unit_test(test_broken_ring),
        cmocka_unit_test(test_broken_full_ring),
    };
    world.script = argc > 1 ? argv[1] : "server.mjs";
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    return cmocka_run_group_tests(tests, start_world, end_world);
}
