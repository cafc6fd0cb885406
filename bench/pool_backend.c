/* SPDX-License-Identifier: Apache-2.0 */
/* A database that answers at once, so that what is measured is the pooler: one row for every query,
 * whatever it asks, a tag for what pgbench changes, and a transaction from BEGIN to END. It serves
 * until it is ended. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BUFFER_BYTES = 64 * 1024, EVENTS = 64, NAME_BYTES_MAX = 64, PREPARED_MAX = 64 };

enum kind { SELECT, BEGIN, END, UPDATE, INSERT, KINDS };

static const struct {
    const char *word, *tag;
} kinds[KINDS] = {{"SELECT", "SELECT 1"},
                  {"BEGIN", "BEGIN"},
                  {"END", "COMMIT"},
                  {"UPDATE", "UPDATE 1"},
                  {"INSERT", "INSERT 0 1"}};

struct prepared {
    char name[NAME_BYTES_MAX];
    enum kind kind;
};

struct connection {
    int fd;
    bool started, in_transaction;
    enum kind portal; /* of the last Bind */
    size_t in_len, out_len, prepared_count;
    struct prepared prepared[PREPARED_MAX];
    char in[BUFFER_BYTES], out[BUFFER_BYTES];
};

/* Waits for a peer that pipelines more than it takes. False: it is gone. */
static bool flush(struct connection *c)
{
    for (size_t done = 0; done < c->out_len;) {
        ssize_t sent = send(c->fd, c->out + done, c->out_len - done, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            (void)poll(&(struct pollfd){.fd = c->fd, .events = POLLOUT}, 1, 1000);
        else if (sent < 0)
            return false;
        else
            done += (size_t)sent;
    }
    c->out_len = 0;
    return true;
}

static void put(struct connection *c, const char *bytes, size_t len)
{
    if (c->out_len + len > sizeof(c->out) && !flush(c))
        c->out_len = 0; /* the next read finds it gone */
    memcpy(c->out + c->out_len, bytes, len);
    c->out_len += len;
}
#define PUT(c, text) put((c), (text), sizeof(text) - 1)

static uint32_t get_u32(const char *p)
{
    uint32_t value;
    memcpy(&value, p, 4);
    return ntohl(value);
}

static void put_columns(struct connection *c)
{
    PUT(c, "T\0\0\0\041\0\1?column?\0\0\0\0\0\0\0\0\0\0\027\0\4\xff\xff\xff\xff\0\0");
}

static void run(struct connection *c, enum kind kind)
{
    size_t len = strlen(kinds[kind].tag) + 1;
    const char head[] = {'C', 0, 0, 0, (char)(len + 4)};
    if (kind == SELECT)
        PUT(c, "D\0\0\0\013\0\1\0\0\0\0011");
    put(c, head, sizeof(head));
    put(c, kinds[kind].tag, len);
    if (kind == BEGIN || kind == END)
        c->in_transaction = kind == BEGIN;
}

static void put_ready(struct connection *c)
{
    if (c->in_transaction)
        PUT(c, "Z\0\0\0\5T");
    else
        PUT(c, "Z\0\0\0\5I");
}

static enum kind kind_of(const char *text)
{
    for (enum kind kind = 0; kind < KINDS; kind++)
        if (strncasecmp(text, kinds[kind].word, strlen(kinds[kind].word)) == 0)
            return kind;
    return SELECT;
}

/* With a place for the name, when it is new. */
static struct prepared *prepared_named(struct connection *c, const char *name)
{
    for (size_t i = 0; i < c->prepared_count; i++)
        if (strcmp(c->prepared[i].name, name) == 0)
            return &c->prepared[i];
    if (c->prepared_count == PREPARED_MAX || strlen(name) >= NAME_BYTES_MAX) {
        (void)fprintf(stderr, "pool_backend: more, or longer, statements than expected\n");
        exit(1);
    }
    struct prepared *prepared = &c->prepared[c->prepared_count++];
    (void)strcpy(prepared->name, name);
    return prepared;
}

static void answer(struct connection *c, char type, const char *body)
{
    enum kind kind;
    switch (type) {
    case 'Q':
        kind = kind_of(body);
        if (kind == SELECT)
            put_columns(c);
        run(c, kind);
        put_ready(c);
        break;
    case 'P':
        prepared_named(c, body)->kind = kind_of(body + strlen(body) + 1);
        PUT(c, "1\0\0\0\4");
        break;
    case 'B':
        c->portal = prepared_named(c, body + strlen(body) + 1)->kind;
        PUT(c, "2\0\0\0\4");
        break;
    case 'C':
        PUT(c, "3\0\0\0\4");
        break;
    case 'D':
        kind = body[0] == 'S' ? prepared_named(c, body + 1)->kind : c->portal;
        if (body[0] == 'S')
            PUT(c, "t\0\0\0\6\0\0");
        if (kind == SELECT)
            put_columns(c);
        else
            PUT(c, "n\0\0\0\4");
        break;
    case 'E':
        run(c, c->portal);
        break;
    case 'S':
        put_ready(c);
        break;
    default:
        break;
    }
}

static void start(struct connection *c, uint32_t code)
{
    if (code == 80877103) { /* TLS: no */
        PUT(c, "N");
        return;
    }
    c->started = true;
    PUT(c, "R\0\0\0\10\0\0\0\0");
    PUT(c, "S\0\0\0\030server_version\00015.0\0");
    PUT(c, "S\0\0\0\031client_encoding\0UTF8\0");
    PUT(c, "S\0\0\0\043standard_conforming_strings\0on\0");
    PUT(c, "K\0\0\0\014\0\0\0\1\0\0\0\1");
    PUT(c, "Z\0\0\0\5I");
}

/* False: the peer says goodbye. */
static bool take(struct connection *c)
{
    size_t at = 0;
    for (;;) {
        size_t head = c->started ? 1 : 0;
        if (c->in_len - at < head + 4)
            break;
        size_t size = get_u32(c->in + at + head) + head;
        if (c->in_len - at < size)
            break;
        if (!c->started)
            start(c, get_u32(c->in + at + 4));
        else if (c->in[at] == 'X')
            return false;
        else
            answer(c, c->in[at], c->in + at + 5);
        at += size;
    }
    memmove(c->in, c->in + at, c->in_len - at);
    c->in_len -= at;
    return true;
}

static bool serve(struct connection *c)
{
    ssize_t got = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    c->in_len += (size_t)got;
    c->out_len = 0;
    bool stays = take(c);
    return flush(c) && stays;
}

static void accept_one(int epoll, int listener)
{
    int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct connection *c = calloc(1, sizeof(*c));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (!c)
        abort();
    c->fd = fd;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* A listener's events carry no connection. */
static int listen_at(int epoll, const struct sockaddr *address, socklen_t size, int *ret_listener)
{
    int on = 1, fd = socket(address->sa_family, SOCK_STREAM, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = ret_listener};
    *ret_listener = fd;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void)umask(0); /* the pool is another user */
    if (bind(fd, address, size) == 0 && listen(fd, 1024) == 0 &&
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0)
        return 0;
    perror("pool_backend");
    return -1;
}

/* pool_backend PORT PATH: on loopback, and on a unix socket. */
int main(int argc, char **argv)
{
    int epoll = epoll_create1(0), listeners[2];
    struct sockaddr_in inet = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0)),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct epoll_event events[EVENTS];
    (void)snprintf(local.sun_path, sizeof(local.sun_path), "%s", argc > 2 ? argv[2] : "");
    if (listen_at(epoll, (struct sockaddr *)&inet, sizeof(inet), &listeners[0]) < 0 ||
        (argc > 2 && listen_at(epoll, (struct sockaddr *)&local, sizeof(local), &listeners[1]) < 0))
        return 1;
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].data.ptr == &listeners[0] || events[i].data.ptr == &listeners[1]) {
                accept_one(epoll, *(int *)events[i].data.ptr);
            } else if (!serve(c)) {
                (void)close(c->fd);
                free(c);
            }
        }
    }
}
