/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buffer.h"
#include "http_frames.h"
#include "ipc.h"
#include "log.h"

enum {
    CONTROL_FD = 3,
    CONNECT_TIMEOUT_MS = 30000,
    REDIRECTS_MAX = 20,
    EXCHANGES_MAX = 256, /* of one instance at once */
    FRAMES_PER_TURN = 64,
};

struct exchange {
    struct attachment *attachment;
    uint64_t id;
    uint32_t slot;
    CURL *curl;
    struct curl_slist *headers;
    char *host;
    struct buffer upload, head; /* body on its way out; header block on its way in */
    bool upload_ended, upload_paused, download_paused, responded, refused;
    int64_t credit; /* response bytes that the instance still takes */
    bool follow, redirect_error;
    long status;
    char error[CURL_ERROR_SIZE];
};

struct attachment {
    struct attachment *next;
    uint32_t instance_id;
    struct policy *policy;
    struct channel channel;
    struct loop_source bell;
    struct exchange *exchanges[SLOTS_MAX];
    uint32_t count;
    bool broken;
};

struct socket_watch {
    struct loop_source source;
};

static struct loop *loop;
static CURLM *multi;
static struct loop_timer multi_timer;
static struct attachment *attachments;
static char payload[BROKER_RING_BYTES / 4];

static void check_finished(void);

/* ---- frames to the instance ---- */

static bool send_frame(struct exchange *exchange, enum frame_type type, const void *head,
                       uint32_t head_bytes, struct slice rest)
{
    struct ring *ring = &exchange->attachment->channel.out;
    char *room = ring_reserve(ring, head_bytes + (uint32_t)rest.len, NULL);
    if (!room)
        return false;
    memcpy(room, head, head_bytes);
    if (rest.len > 0)
        memcpy(room + head_bytes, rest.ptr, rest.len);
    ring_commit(ring, type, exchange->slot, (uint32_t)exchange->id,
                head_bytes + (uint32_t)rest.len);
    return true;
}

static void send_error(struct exchange *exchange, enum error_kind kind, const char *text)
{
    struct frame_error error = {
        .id = exchange->id, .kind = kind, .text_bytes = (uint32_t)strlen(text)};
    if (!send_frame(exchange, FRAME_ERROR, &error, sizeof(error), slice_of(text)))
        exchange->attachment->broken = true;
}

static void exchange_free(struct exchange *exchange)
{
    struct attachment *attachment = exchange->attachment;
    if (exchange->curl) {
        (void)curl_multi_remove_handle(multi, exchange->curl);
        curl_easy_cleanup(exchange->curl);
    }
    curl_slist_free_all(exchange->headers);
    buffer_done(&exchange->upload);
    buffer_done(&exchange->head);
    free(exchange->host);
    attachment->exchanges[exchange->slot] = NULL;
    attachment->count--;
    free(exchange);
}

/* ---- callbacks of libcurl ---- */

static bool is_redirect(const struct exchange *exchange)
{
    long status = exchange->status;
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    size_t len = size * count, all = len;
    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n'))
        len--;
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0) { /* a new answer: after 100, after a redirect */
        const char *space = memchr(line, ' ', len);
        exchange->status = space ? strtol(space, NULL, 10) : 0;
        exchange->head.start = exchange->head.end = 0;
        return all;
    }
    const char *colon = memchr(line, ':', len);
    if (!colon || buffer_len(&exchange->head) > HEAD_BYTES_MAX)
        return colon ? 0 : all;
    for (const char *c = line; c < colon; c++)
        buffer_append(&exchange->head, (char[]){(char)(*c >= 'A' && *c <= 'Z' ? *c | 32 : *c)}, 1);
    const char *value = colon + 1;
    while (value < line + len && (*value == ' ' || *value == '\t'))
        value++;
    buffer_append_text(&exchange->head, ": ");
    buffer_append(&exchange->head, value, (size_t)(line + len - value));
    buffer_append_text(&exchange->head, "\n");
    return all;
}

/* The head goes out when the body begins, or when the transfer ends without one. */
static bool respond(struct exchange *exchange, bool ended)
{
    char *url = NULL;
    long redirects = 0;
    if (exchange->responded)
        return true;
    (void)curl_easy_getinfo(exchange->curl, CURLINFO_EFFECTIVE_URL, &url);
    (void)curl_easy_getinfo(exchange->curl, CURLINFO_REDIRECT_COUNT, &redirects);
    struct frame_response response = {
        .id = exchange->id,
        .body_bytes = ended ? 0 : BODY_BYTES_UNKNOWN,
        .flags = ended ? FRAME_FIN : 0,
        .status = (uint32_t)exchange->status,
        .headers_bytes = (uint32_t)buffer_len(&exchange->head),
        .url_bytes = url && redirects > 0 ? (uint32_t)strlen(url) : 0,
        .redirects = (uint32_t)redirects,
    };
    buffer_append(&exchange->head, url, response.url_bytes);
    if (!send_frame(exchange, FRAME_RESPONSE, &response, sizeof(response),
                    buffer_slice(&exchange->head)))
        return false;
    exchange->responded = true;
    return true;
}

static size_t on_download(char *bytes, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    size_t len = size * count;
    if (exchange->follow && is_redirect(exchange) &&
        memmem(exchange->head.data + exchange->head.start, buffer_len(&exchange->head),
               "location: ", 10))
        return len; /* libcurl goes on to the next place */
    if (!respond(exchange, false) || exchange->credit < (int64_t)len ||
        ring_room(&exchange->attachment->channel.out) < len + 1024) {
        exchange->download_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    for (size_t at = 0; at < len;) {
        size_t part = len - at < BODY_CHUNK_BYTES_MAX ? len - at : BODY_CHUNK_BYTES_MAX;
        struct frame_body body = {exchange->id, 0, (uint32_t)part};
        if (!send_frame(exchange, FRAME_BODY, &body, sizeof(body),
                        (struct slice){bytes + at, part}))
            return 0;
        at += part;
    }
    exchange->credit -= (int64_t)len;
    return len;
}

static size_t on_upload(char *room, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    size_t len = buffer_len(&exchange->upload), cap = size * count;
    if (len == 0) {
        if (exchange->upload_ended)
            return 0;
        exchange->upload_paused = true;
        return CURL_READFUNC_PAUSE;
    }
    if (len > cap)
        len = cap;
    memcpy(room, exchange->upload.data + exchange->upload.start, len);
    buffer_consume(&exchange->upload, len);
    struct frame_credit credit = {exchange->id, (uint32_t)len, 0};
    (void)send_frame(exchange, FRAME_CREDIT, &credit, sizeof(credit), (struct slice){0});
    return len;
}

/* The address is known now: the last moment to refuse it. */
static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct exchange *exchange = context;
    (void)purpose;
    if (!egress_allows(exchange->attachment->policy->egress, exchange->host, &address->addr)) {
        exchange->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                  address->protocol);
}

static void on_socket_ready(struct loop_source *source, uint32_t events)
{
    int running, action = (events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                          (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                          (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    (void)curl_multi_socket_action(multi, source->fd, action, &running);
    check_finished();
}

static int on_socket(CURL *curl, curl_socket_t fd, int what, void *context, void *watch_pointer)
{
    struct socket_watch *watch = watch_pointer;
    (void)curl, (void)context;
    if (what == CURL_POLL_REMOVE) {
        if (watch) {
            loop_remove(loop, &watch->source);
            free(watch);
        }
        return 0;
    }
    uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (watch) {
        loop_change(loop, &watch->source, events);
        return 0;
    }
    watch = xcalloc(1, sizeof(*watch));
    if (loop_add(loop, &watch->source, fd, events, on_socket_ready) < 0) {
        free(watch);
        return 0;
    }
    (void)curl_multi_assign(multi, fd, watch);
    return 0;
}

static void on_multi_timer(struct loop_timer *timer)
{
    int running;
    (void)timer;
    (void)curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
    check_finished();
}

static int on_timeout(CURLM *handle, long ms, void *context)
{
    (void)handle, (void)context;
    if (ms < 0)
        loop_timer_stop(loop, &multi_timer);
    else
        loop_timer_start(loop, &multi_timer, (uint64_t)ms, on_multi_timer);
    return 0;
}

/* ---- the end of a transfer ---- */

static void report(struct exchange *exchange, CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        if (exchange->redirect_error && is_redirect(exchange)) {
            send_error(exchange, ERROR_KIND_REDIRECT, "Unexpected redirect.");
        } else if (!exchange->responded) {
            (void)respond(exchange, true);
        } else {
            struct frame_body end = {exchange->id, FRAME_FIN, 0};
            (void)send_frame(exchange, FRAME_BODY, &end, sizeof(end), (struct slice){0});
        }
        return;
    case CURLE_COULDNT_RESOLVE_HOST:
        send_error(exchange, ERROR_KIND_DNS,
                   "internal error; the host name could not be resolved.");
        return;
    case CURLE_OPERATION_TIMEDOUT:
        send_error(exchange, ERROR_KIND_TIMEOUT, "Network connection timed out.");
        return;
    case CURLE_TOO_MANY_REDIRECTS:
        send_error(exchange, ERROR_KIND_REDIRECT, "Too many redirects.");
        return;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        send_error(exchange, ERROR_KIND_URL, "Fetch API cannot load this URL.");
        return;
    default:
        if (exchange->refused)
            send_error(exchange, ERROR_KIND_FORBIDDEN,
                       "fetch() to this address is not allowed: it is private or local. Add it to "
                       "egress_allow to permit it.");
        else
            send_error(exchange, ERROR_KIND_CONNECT, "Network connection lost.");
    }
}

static void check_finished(void)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(multi, &left))) {
        struct exchange *exchange = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&exchange);
        report(exchange, code);
        exchange_free(exchange);
    }
}

/* ---- frames from the instance ---- */

static bool add_header(struct exchange *exchange, const char *name, size_t name_len,
                       const char *value, size_t value_len)
{
    static const char *const ours[] = {"host",       "content-length",  "transfer-encoding",
                                       "connection", "accept-encoding", "expect",
                                       "upgrade"};
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (strlen(ours[i]) == name_len && strncasecmp(ours[i], name, name_len) == 0)
            return true;
    for (size_t i = 0; i < value_len; i++)
        if (value[i] == '\r' || value[i] == 0)
            return false;
    /* libcurl leaves a header without a value out, unless it ends with a semicolon. */
    AUTO_TEXT line = value_len ? xasprintf("%.*s: %.*s", (int)name_len, name, (int)value_len, value)
                               : xasprintf("%.*s;", (int)name_len, name);
    exchange->headers = curl_slist_append(exchange->headers, line);
    return true;
}

static bool take_headers(struct exchange *exchange, const char *at, size_t len)
{
    for (const char *end = at + len; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *colon = stop ? memchr(at, ':', (size_t)(stop - at)) : NULL;
        if (!colon || colon == at)
            return false;
        const char *value = colon + 1 + (colon + 1 < stop && colon[1] == ' ');
        if (!add_header(exchange, at, (size_t)(colon - at), value, (size_t)(stop - value)))
            return false;
        at = stop + 1;
    }
    return true;
}

static void set_options(struct exchange *exchange, const char *url, const char *method,
                        const struct frame_request *request)
{
    CURL *curl = exchange->curl;
    bool has_body = request->flags & FRAME_HAS_BODY;
#define SET(option, value) (void)curl_easy_setopt(curl, option, value)
    SET(CURLOPT_URL, url);
    SET(CURLOPT_PRIVATE, exchange);
    SET(CURLOPT_ERRORBUFFER, exchange->error);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(CURLOPT_ACCEPT_ENCODING, "br, gzip");
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    SET(CURLOPT_FOLLOWLOCATION, exchange->follow ? 1L : 0L);
    SET(CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
    SET(CURLOPT_OPENSOCKETDATA, exchange);
    /* One tenant's connections are not another's, and a connection was checked for one policy. */
    SET(CURLOPT_FORBID_REUSE, 1L);
    SET(CURLOPT_FRESH_CONNECT, 1L);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, exchange);
    SET(CURLOPT_WRITEFUNCTION, on_download);
    SET(CURLOPT_WRITEDATA, exchange);
    SET(CURLOPT_HTTPHEADER, exchange->headers);
    SET(CURLOPT_USERAGENT, NULL);
    if (strcmp(method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (has_body) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_READFUNCTION, on_upload);
        SET(CURLOPT_READDATA, exchange);
        if (request->body_bytes >= 0)
            SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_bytes);
        SET(CURLOPT_CUSTOMREQUEST, method);
    } else if (strcmp(method, "GET") != 0) {
        SET(CURLOPT_CUSTOMREQUEST, method);
    }
#undef SET
}

static int on_request(struct attachment *attachment, const struct ring_frame *frame)
{
    struct frame_request request;
    if (frame->bytes < sizeof(request) || frame->slot >= SLOTS_MAX ||
        attachment->exchanges[frame->slot])
        return -EPROTO;
    memcpy(&request, payload, sizeof(request));
    if ((uint64_t)request.method_bytes + request.url_bytes + request.headers_bytes +
                request.inline_bytes + sizeof(request) !=
            frame->bytes ||
        request.id < EXCHANGE_ID_BASE || request.inline_bytes > INLINE_BODY_BYTES_MAX)
        return -EPROTO;
    const char *at = payload + sizeof(request);
    AUTO_TEXT method = xstrndup(at, request.method_bytes);
    AUTO_TEXT url = xstrndup(at + request.method_bytes, request.url_bytes);
    at += request.method_bytes + request.url_bytes;
    struct exchange *exchange = xcalloc(1, sizeof(*exchange));
    *exchange = (struct exchange){.attachment = attachment,
                                  .id = request.id,
                                  .slot = frame->slot,
                                  .credit = FLOW_WINDOW_BYTES,
                                  .follow = request.flags & FRAME_FOLLOW,
                                  .redirect_error = request.flags & FRAME_REDIRECT_ERROR,
                                  .upload_ended = request.flags & FRAME_FIN};
    attachment->exchanges[frame->slot] = exchange;
    attachment->count++;
    const char *host = strstr(url, "://");
    exchange->host = host ? xstrndup(host + 3, strcspn(host + 3, ":/?#")) : xstrdup("");
    if (!take_headers(exchange, at, request.headers_bytes) || attachment->count > EXCHANGES_MAX) {
        send_error(exchange, ERROR_KIND_PROTOCOL,
                   attachment->count > EXCHANGES_MAX ? "Too many requests are open at once."
                                                     : "A header of the request is malformed.");
        exchange_free(exchange);
        return 0;
    }
    buffer_append(&exchange->upload, at + request.headers_bytes, request.inline_bytes);
    exchange->curl = curl_easy_init();
    set_options(exchange, url, method, &request);
    if (curl_multi_add_handle(multi, exchange->curl) != CURLM_OK) {
        send_error(exchange, ERROR_KIND_PROTOCOL, "The request cannot be started.");
        exchange_free(exchange);
    }
    return 0;
}

static struct exchange *find(struct attachment *attachment, const struct ring_frame *frame,
                             uint64_t id)
{
    struct exchange *exchange = frame->slot < SLOTS_MAX ? attachment->exchanges[frame->slot] : NULL;
    return exchange && exchange->id == id ? exchange : NULL;
}

static int on_body(struct attachment *attachment, const struct ring_frame *frame)
{
    struct frame_body body;
    if (frame->bytes < sizeof(body))
        return -EPROTO;
    memcpy(&body, payload, sizeof(body));
    if (body.bytes != frame->bytes - sizeof(body))
        return -EPROTO;
    struct exchange *exchange = find(attachment, frame, body.id);
    if (!exchange)
        return 0;
    if (exchange->upload_ended ||
        buffer_len(&exchange->upload) + body.bytes > FLOW_WINDOW_BYTES + BODY_CHUNK_BYTES_MAX)
        return -EPROTO;
    buffer_append(&exchange->upload, payload + sizeof(body), body.bytes);
    exchange->upload_ended = body.flags & FRAME_FIN;
    if (exchange->upload_paused) {
        exchange->upload_paused = false;
        (void)curl_easy_pause(exchange->curl,
                              exchange->download_paused ? CURLPAUSE_RECV : CURLPAUSE_CONT);
    }
    return 0;
}

static void resume_download(struct exchange *exchange)
{
    if (!exchange->download_paused)
        return;
    exchange->download_paused = false;
    (void)curl_easy_pause(exchange->curl,
                          exchange->upload_paused ? CURLPAUSE_SEND : CURLPAUSE_CONT);
}

static int on_credit(struct attachment *attachment, const struct ring_frame *frame)
{
    struct frame_credit credit;
    if (frame->bytes != sizeof(credit))
        return -EPROTO;
    memcpy(&credit, payload, sizeof(credit));
    struct exchange *exchange = find(attachment, frame, credit.id);
    if (!exchange)
        return 0;
    if (exchange->credit + credit.bytes > FLOW_WINDOW_BYTES)
        return -EPROTO;
    exchange->credit += credit.bytes;
    if (exchange->credit > FLOW_WINDOW_BYTES / 4)
        resume_download(exchange);
    return 0;
}

static int on_frame(struct attachment *attachment, const struct ring_frame *frame)
{
    uint64_t id = 0;
    switch ((enum frame_type)frame->type) {
    case FRAME_REQUEST:
        return on_request(attachment, frame);
    case FRAME_BODY:
        return on_body(attachment, frame);
    case FRAME_CREDIT:
        return on_credit(attachment, frame);
    case FRAME_ABORT: {
        if (frame->bytes != sizeof(struct frame_abort))
            return -EPROTO;
        memcpy(&id, payload, sizeof(id));
        struct exchange *exchange = find(attachment, frame, id);
        if (exchange)
            exchange_free(exchange);
        return 0;
    }
    default:
        return -EPROTO;
    }
}

static void break_off(struct attachment *attachment)
{
    struct control_kill order = {attachment->instance_id, KILL_PROTOCOL};
    attachment->broken = true;
    log_warn("instance %u broke the protocol", attachment->instance_id);
    (void)ipc_send(CONTROL_FD, CONTROL_KILL, &order, sizeof(order), NULL, 0);
}

static void drain(struct attachment *attachment)
{
    struct ring_frame frame;
    int r = 0, count = 0;
    while (!attachment->broken && count++ < FRAMES_PER_TURN &&
           (r = ring_read(&attachment->channel.in, &frame, payload, sizeof(payload))) > 0) {
        r = on_frame(attachment, &frame);
        if (r < 0)
            break;
    }
    if (r < 0)
        break_off(attachment);
    channel_consumed(&attachment->channel);
}

static void on_bell(struct loop_source *source, uint32_t events)
{
    struct attachment *attachment = CONTAINER_OF(source, struct attachment, bell);
    (void)events;
    channel_awake(&attachment->channel);
    drain(attachment);
}

void fetch_flush(void)
{
    for (struct attachment *a = attachments; a; a = a->next) {
        if (a->broken)
            continue;
        channel_flush(&a->channel);
        for (int i = 0; a->count > 0 && i < SLOTS_MAX; i++)
            if (a->exchanges[i] && a->exchanges[i]->download_paused &&
                a->exchanges[i]->credit > FLOW_WINDOW_BYTES / 4)
                resume_download(a->exchanges[i]); /* the ring was full */
        if (!channel_sleep(&a->channel)) {
            drain(a);
            loop_stay_awake(loop);
        }
    }
    check_finished();
}

void fetch_attach(const struct control_instance *order, struct policy *policy, int fds[CHANNEL_FDS])
{
    struct attachment *attachment = xcalloc(1, sizeof(*attachment));
    int taken[CHANNEL_FDS];
    for (int i = 0; i < CHANNEL_FDS; i++)
        taken[i] = fds[i], fds[i] = -1;
    attachment->instance_id = order->instance_id;
    attachment->policy = policy;
    if (channel_open(&attachment->channel, CHANNEL_SERVER, taken) < 0 ||
        loop_add(loop, &attachment->bell, attachment->channel.bell_in, EPOLLIN, on_bell) < 0) {
        channel_close(&attachment->channel);
        free(attachment);
        return;
    }
    attachment->next = attachments;
    attachments = attachment;
}

void fetch_detach(uint32_t instance_id)
{
    for (struct attachment **place = &attachments; *place; place = &(*place)->next) {
        struct attachment *attachment = *place;
        if (attachment->instance_id != instance_id)
            continue;
        *place = attachment->next;
        for (int i = 0; i < SLOTS_MAX; i++)
            if (attachment->exchanges[i])
                exchange_free(attachment->exchanges[i]);
        loop_remove(loop, &attachment->bell);
        channel_close(&attachment->channel);
        free(attachment);
        return;
    }
}

int fetch_init(struct loop *with)
{
    loop = with;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return -ENOMEM;
    multi = curl_multi_init();
    if (!multi)
        return -ENOMEM;
    (void)curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    return 0;
}
