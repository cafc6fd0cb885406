/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl on our loop. Its callbacks only note things in the exchange (and mark its attachment);
 * handles are taken out of a multi between its calls, never inside. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"
#include "log.h"
#include "socket.h"

enum { DISCARDED_BYTES_MAX = 64 * 1024 }; /* of a redirect's body, to keep its connection */

struct pool_socket {
    struct loop_source source;
    struct pool *pool;
};

#define SET(easy, option, value)                                                                   \
    do {                                                                                           \
        CURLcode code_ = curl_easy_setopt((easy), (option), (value));                              \
        if (code_ != CURLE_OK)                                                                     \
            log_error("libcurl refuses option %d: %s", (int)(option), curl_easy_strerror(code_));  \
    } while (0)

/* ---- pools ---- */

static void pool_settle(struct pool *pool);

static void read_results(struct pool *pool);

static void on_socket(struct loop_source *source, uint32_t events)
{
    struct pool *pool = CONTAINER_OF(source, struct pool_socket, source)->pool;
    int running, what = (events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                        (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                        (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    pool->busy = true;
    (void)curl_multi_socket_action(pool->multi, source->fd, what, &running);
    read_results(pool);
}

static void on_timer(struct loop_timer *timer)
{
    struct pool *pool = CONTAINER_OF(timer, struct pool, timer);
    int running;
    pool->busy = true;
    (void)curl_multi_socket_action(pool->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    read_results(pool);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *known)
{
    struct pool *pool = owner;
    struct pool_socket *socket = known;
    uint32_t events = what == CURL_POLL_IN    ? EPOLLIN
                      : what == CURL_POLL_OUT ? EPOLLOUT
                                              : EPOLLIN | EPOLLOUT;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (socket) {
            loop_remove(broker.loop, &socket->source);
            free(socket);
            (void)curl_multi_assign(pool->multi, fd, NULL);
        }
        return 0;
    }
    if (socket) {
        loop_change(broker.loop, &socket->source, events);
        return 0;
    }
    socket = xcalloc(1, sizeof(*socket));
    socket->pool = pool;
    int r = loop_add(broker.loop, &socket->source, fd, events, on_socket);
    if (r < 0) {
        log_error("cannot watch a connection: %s", strerror(-r));
        free(socket);
        return -1;
    }
    (void)curl_multi_assign(pool->multi, fd, socket);
    return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *owner)
{
    struct pool *pool = owner;
    (void)multi;
    if (timeout_ms < 0)
        loop_timer_stop(broker.loop, &pool->timer);
    else
        loop_timer_start(broker.loop, &pool->timer, (uint64_t)timeout_ms, on_timer);
    return 0;
}

static struct pool *pool_new(void)
{
    struct pool *pool = xcalloc(1, sizeof(*pool));
    pool->multi = curl_multi_init();
    pool->share = curl_share_init();
    (void)curl_share_setopt(pool->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    (void)curl_multi_setopt(pool->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    (void)curl_multi_setopt(pool->multi, CURLMOPT_SOCKETDATA, pool);
    (void)curl_multi_setopt(pool->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    (void)curl_multi_setopt(pool->multi, CURLMOPT_TIMERDATA, pool);
    (void)curl_multi_setopt(pool->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    (void)curl_multi_setopt(pool->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                            (long)POOL_CONNECTIONS_MAX);
    (void)curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)POOL_IDLE_CONNECTIONS_MAX);
    return pool;
}

static void pool_free(struct pool *pool)
{
    loop_timer_stop(broker.loop, &pool->idle);
    (void)curl_multi_cleanup(pool->multi); /* may still set the timer and sockets */
    loop_timer_stop(broker.loop, &pool->timer);
    (void)curl_share_cleanup(pool->share);
    free(pool);
}

void pool_retire(struct deployment *deployment)
{
    struct pool *pool = TAKE(deployment->pool);
    if (!pool)
        return;
    pool->retired = true;
    pool->deployment = NULL;
    pool_settle(pool);
}

static void on_idle(struct loop_timer *timer)
{
    struct pool *pool = CONTAINER_OF(timer, struct pool, idle);
    if (pool->transfers == 0 && pool->deployment)
        pool_retire(pool->deployment);
}

/* After a transfer left it. */
static void pool_settle(struct pool *pool)
{
    if (pool->busy || pool->transfers > 0)
        return;
    if (pool->retired)
        pool_free(pool);
    else
        loop_timer_start(broker.loop, &pool->idle, POOL_IDLE_MS, on_idle);
}

/* ---- the callbacks of a transfer ---- */

/* The egress policy, where no name can lie any more: at the socket's address. */
static curl_socket_t open_socket(void *owner, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct exchange *exchange = owner;
    exchange->resolving = false;
    if (!exchange->attachment || purpose != CURLSOCKTYPE_IPCXN)
        return CURL_SOCKET_BAD;
    enum egress_verdict verdict =
        egress_check(exchange->deployment->egress, slice_of(exchange->host), &address->addr);
    if (verdict != EGRESS_OK) {
        exchange->refused = true;
        exchange->refused_own = verdict == EGRESS_OWN;
        return CURL_SOCKET_BAD;
    }
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* libcurl would wait for its resolver's thread if the transfer ended now. */
static int on_resolve(void *state, void *reserved, void *owner)
{
    struct exchange *exchange = owner;
    (void)state, (void)reserved;
    exchange->resolving = true;
    return 0;
}

static size_t read_body(char *buffer, size_t size, size_t count, void *owner)
{
    struct exchange *exchange = owner;
    struct slice rest = buffer_slice(&exchange->body);
    size_t cap = size * count, len = rest.len - exchange->body_sent;
    exchange->progress_ms = loop_now_ms(broker.loop);
    if (!exchange->attachment)
        return CURL_READFUNC_ABORT;
    if (len == 0 && !exchange->body_ended) {
        exchange->send_paused = true;
        return CURL_READFUNC_PAUSE;
    }
    if (len > cap)
        len = cap;
    if (len > 0)
        memcpy(buffer, rest.ptr + exchange->body_sent, len);
    exchange->body_sent += len;
    exchange->body_position += (int64_t)len;
    if (exchange->body_position > exchange->body_credited) {
        exchange->credit_owed += (uint32_t)(exchange->body_position - exchange->body_credited);
        exchange->body_credited = exchange->body_position;
        attachment_mark(exchange->attachment);
    }
    if (len == 0 || (exchange->body_ended && exchange->body_sent == rest.len))
        exchange->phase = exchange->phase == PHASE_SENDING ? PHASE_HEAD : exchange->phase;
    return len;
}

/* libcurl sends it again, when a connection that it reused turns out to be dead. */
static int seek_body(void *owner, curl_off_t offset, int origin)
{
    struct exchange *exchange = owner;
    if (origin != SEEK_SET || exchange->body_dropped ||
        (size_t)offset > buffer_len(&exchange->body))
        return CURL_SEEKFUNC_CANTSEEK;
    exchange->body_sent = (size_t)offset;
    exchange->body_position = offset;
    return CURL_SEEKFUNC_OK;
}

static bool is_redirect(const struct exchange *exchange)
{
    int status = exchange->answer.status;
    return exchange->answer.location &&
           (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

/* False: no more of this answer is wanted. */
static bool take_head(struct exchange *exchange)
{
    struct response_headers *answer = &exchange->answer;
    bool bodyless =
        strcmp(exchange->method, "HEAD") == 0 || answer->status == 204 || answer->status == 304;
    if (is_redirect(exchange) && (exchange->flags & FRAME_REDIRECT_ERROR)) {
        exchange_end(exchange, ERROR_KIND_REDIRECT, "The response is a redirect.");
        return false;
    }
    if (is_redirect(exchange) && (exchange->flags & FRAME_FOLLOW)) {
        exchange->redirecting = true;
        return true;
    }
    exchange->phase = PHASE_BODY;
    exchange->head_ready = true;
    if (bodyless) {
        answer->length = 0;
    } else if (answer->coding && decode_coding_of(slice_of(answer->coding)) != DECODE_NONE) {
        /* The worker gets the body decoded, and the fields that describe it so: what it passes on
         * is then true. */
        exchange->decoder = decoder_new(decode_coding_of(slice_of(answer->coding)));
        response_headers_remove(answer, "content-encoding");
        response_headers_remove(answer, "content-length");
        answer->length = BODY_BYTES_UNKNOWN;
    }
    exchange_watch_time(exchange);
    attachment_mark(exchange->attachment);
    return true;
}

static size_t take_header(char *line, size_t size, size_t count, void *owner)
{
    struct exchange *exchange = owner;
    size_t len = size * count;
    if (!exchange->attachment)
        return 0;
    exchange->resolving = false;
    if (exchange->head_ready || exchange->redirecting)
        return len; /* trailers */
    int r = response_headers_line(&exchange->answer, (struct slice){line, len});
    if (r < 0) {
        exchange_end(exchange, ERROR_KIND_PROTOCOL, "The response's header is too long.");
        return 0;
    }
    return r == 0 || take_head(exchange) ? len : 0;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *owner)
{
    struct exchange *exchange = owner;
    size_t len = size * count;
    if (!exchange->attachment || exchange->fin)
        return 0;
    if (exchange->redirecting) {
        exchange->discarded += (uint32_t)len;
        return exchange->discarded > DISCARDED_BYTES_MAX ? 0 : len;
    }
    if (!exchange_take_body(exchange, (struct slice){bytes, len})) {
        exchange->recv_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    return len;
}

/* ---- a transfer's life ---- */

static void add_header(void *owner, const char *line)
{
    struct exchange *exchange = owner;
    struct curl_slist *longer = curl_slist_append(exchange->curl_headers, line);
    if (longer)
        exchange->curl_headers = longer;
}

static void set_headers(struct exchange *exchange)
{
    curl_slist_free_all(TAKE(exchange->curl_headers));
    request_headers_each(&exchange->headers, add_header, exchange);
    /* "Name:" stops libcurl from sending its own. */
    if (!request_headers_get(&exchange->headers, "accept").ptr)
        add_header(exchange, "Accept:");
    if (!request_headers_get(&exchange->headers, "content-type").ptr)
        add_header(exchange, "Content-Type:");
    if (!request_headers_get(&exchange->headers, "accept-encoding").ptr)
        add_header(exchange, "Accept-Encoding: br, gzip");
    add_header(exchange, "Expect:");
    SET(exchange->easy, CURLOPT_HTTPHEADER, exchange->curl_headers);
}

static void set_method(struct exchange *exchange)
{
    CURL *easy = exchange->easy;
    if (exchange->has_body) {
        SET(easy, CURLOPT_UPLOAD, 1L);
        SET(easy, CURLOPT_READFUNCTION, read_body);
        SET(easy, CURLOPT_READDATA, exchange);
        SET(easy, CURLOPT_SEEKFUNCTION, seek_body);
        SET(easy, CURLOPT_SEEKDATA, exchange);
        SET(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)exchange->body_bytes);
        SET(easy, CURLOPT_CUSTOMREQUEST, exchange->method);
    } else if (strcmp(exchange->method, "HEAD") == 0) {
        SET(easy, CURLOPT_NOBODY, 1L);
    } else if (strcmp(exchange->method, "POST") == 0 || strcmp(exchange->method, "PUT") == 0) {
        SET(easy, CURLOPT_POST, 1L); /* so that it says Content-Length: 0 */
        SET(easy, CURLOPT_POSTFIELDSIZE, 0L);
        SET(easy, CURLOPT_POSTFIELDS, "");
        SET(easy, CURLOPT_CUSTOMREQUEST, exchange->method);
    } else {
        SET(easy, CURLOPT_HTTPGET, 1L);
        SET(easy, CURLOPT_CUSTOMREQUEST, exchange->method);
    }
}

static void set_options(struct exchange *exchange)
{
    CURL *easy = exchange->easy;
    char *url = NULL;
    (void)curl_url_get(exchange->url, CURLUPART_URL, &url, 0);
    SET(easy, CURLOPT_PRIVATE, exchange);
    SET(easy, CURLOPT_URL, url);
    SET(easy, CURLOPT_PATH_AS_IS, 1L);
    SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    /* Over TLS a request waits for the handshake that tells whether one connection serves for all;
     * over plain HTTP it would wait for the first answer. */
    SET(easy, CURLOPT_PIPEWAIT, strncmp(url, "https:", 6) == 0 ? 1L : 0L);
    SET(easy, CURLOPT_NOSIGNAL, 1L);
    SET(easy, CURLOPT_PROXY, ""); /* whatever the environment says */
    SET(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    SET(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    SET(easy, CURLOPT_QUICK_EXIT, 1L); /* a time-out does not wait for the resolver's thread */
    SET(easy, CURLOPT_SHARE, exchange->pool->share);
    SET(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(easy, CURLOPT_OPENSOCKETDATA, exchange);
    SET(easy, CURLOPT_RESOLVER_START_FUNCTION, on_resolve);
    SET(easy, CURLOPT_RESOLVER_START_DATA, exchange);
    SET(easy, CURLOPT_HEADERFUNCTION, take_header);
    SET(easy, CURLOPT_HEADERDATA, exchange);
    SET(easy, CURLOPT_WRITEFUNCTION, take_body);
    SET(easy, CURLOPT_WRITEDATA, exchange);
    if (broker.ca_file)
        SET(easy, CURLOPT_CAINFO, broker.ca_file);
    if (exchange->flags & FRAME_SOCKET) {
        SET(easy, CURLOPT_CONNECT_ONLY, 1L);
        SET(easy, CURLOPT_FRESH_CONNECT, 1L);
    } else {
        set_headers(exchange);
        set_method(exchange);
    }
    curl_free(url);
}

void transfer_start(struct exchange *exchange)
{
    struct deployment *deployment = exchange->deployment;
    if (!deployment->pool) {
        deployment->pool = pool_new();
        deployment->pool->deployment = deployment;
    }
    exchange->pool = deployment->pool;
    loop_timer_stop(broker.loop, &exchange->pool->idle);
    if (exchange->easy)
        curl_easy_reset(exchange->easy);
    else
        exchange->easy = curl_easy_init();
    set_options(exchange);
    exchange->phase = exchange->has_body ? PHASE_SENDING : PHASE_HEAD;
    exchange_watch_time(exchange);
    exchange->in_multi = true;
    exchange->pool->transfers++;
    if (curl_multi_add_handle(exchange->pool->multi, exchange->easy) != CURLM_OK) {
        exchange->in_multi = false;
        exchange->pool->transfers--;
        exchange_end(exchange, ERROR_KIND_CONNECT, "Network connection lost.");
    }
}

static void leave_multi(struct exchange *exchange)
{
    if (!exchange->in_multi)
        return;
    exchange->in_multi = false;
    (void)curl_multi_remove_handle(exchange->pool->multi, exchange->easy);
    exchange->pool->transfers--;
}

bool transfer_stop(struct exchange *exchange)
{
    struct pool *pool = exchange->pool;
    if (exchange->in_multi && exchange->resolving)
        return false; /* its result comes, finds that nobody waits, and frees it */
    leave_multi(exchange);
    if (exchange->easy)
        curl_easy_cleanup(TAKE(exchange->easy));
    if (pool)
        pool_settle(pool);
    return true;
}

void transfer_resume(struct exchange *exchange)
{
    bool send = exchange->send_paused &&
                (exchange->body_ended || buffer_len(&exchange->body) > exchange->body_sent);
    bool recv =
        exchange->recv_paused && exchange->credit > 0 && buffer_len(&exchange->encoded) == 0;
    if (!send && !recv)
        return;
    struct pool *pool = exchange->pool;
    exchange->send_paused &= !send;
    exchange->recv_paused &= !recv;
    exchange->progress_ms = loop_now_ms(broker.loop);
    int still =
        (exchange->send_paused ? CURLPAUSE_SEND : 0) | (exchange->recv_paused ? CURLPAUSE_RECV : 0);
    /* Delivers what libcurl holds at once; the rest with its next time-out. */
    (void)curl_easy_pause(exchange->easy, still);
    (void)pool;
}

/* ---- results ---- */

static void end_failed(struct exchange *exchange, CURLcode result)
{
    uint32_t kind = ERROR_KIND_CONNECT;
    const char *text = "Network connection lost.";
    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
        kind = ERROR_KIND_DNS;
        text = "The host name cannot be resolved.";
        break;
    case CURLE_COULDNT_CONNECT:
        text = "The server refused the connection, or cannot be reached.";
        break;
    case CURLE_OPERATION_TIMEDOUT:
        kind = ERROR_KIND_TIMEOUT;
        text = "The connection took too long.";
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
        text = "TLS: the server's certificate or handshake was refused.";
        break;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        kind = ERROR_KIND_URL;
        text = "The URL cannot be fetched.";
        break;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_OUT_OF_MEMORY: /* a header line beyond libcurl's limit */
        kind = ERROR_KIND_PROTOCOL;
        text = "The server's answer is not valid HTTP.";
        break;
    case CURLE_SEND_FAIL_REWIND:
        text = "The connection broke, and the request's body was too long to keep for a retry.";
        break;
    default:
        break;
    }
    if (exchange->refused && result != CURLE_OPERATION_TIMEDOUT) {
        kind = ERROR_KIND_FORBIDDEN;
        text = exchange->refused_own
                   ? "The address is this server's own: not allowed (see egress_allow)."
                   : "The address is private or reserved: not allowed (see egress_allow).";
    }
    exchange_end(exchange, kind, text);
}

static void end_whole(struct exchange *exchange)
{
    bool cut = exchange->decoder && buffer_len(&exchange->encoded) == 0 &&
               !decoder_has_more(exchange->decoder) && !decoder_is_complete(exchange->decoder);
    if (!exchange->head_ready)
        exchange_end(exchange, ERROR_KIND_PROTOCOL, "The server's answer is not valid HTTP.");
    else if (cut)
        exchange_end(exchange, ERROR_KIND_PROTOCOL, "The response's content encoding is cut off.");
    else
        exchange_end(exchange, 0, NULL);
}

/* A copy of the descriptor of a connection that libcurl only made; it closes its own. */
static int connected_fd(const struct exchange *exchange)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    (void)curl_easy_getinfo(exchange->easy, CURLINFO_ACTIVESOCKET, &fd);
    return fd == CURL_SOCKET_BAD ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void on_connected(struct exchange *exchange, int fd)
{
    exchange->pool = NULL; /* who reads results settles it */
    loop_timer_stop(broker.loop, &exchange->deadline);
    if (fd < 0)
        exchange_end(exchange, ERROR_KIND_CONNECT, "Network connection lost.");
    else
        socket_take(exchange, fd);
}

static void on_result(struct exchange *exchange, CURLcode result)
{
    bool is_socket = (exchange->flags & FRAME_SOCKET) && result == CURLE_OK;
    int fd = is_socket && exchange->attachment ? connected_fd(exchange) : -1;
    leave_multi(exchange);
    exchange->resolving = false;
    if (exchange->attachment && exchange->redirecting && !exchange->fin &&
        exchange_redirect(exchange)) {
        transfer_start(exchange);
        return;
    }
    curl_easy_cleanup(TAKE(exchange->easy));
    exchange->phase = PHASE_ENDED;
    if (!exchange->attachment)
        exchange_free(exchange);
    else if (exchange->fin)
        attachment_mark(exchange->attachment);
    else if (result != CURLE_OK)
        end_failed(exchange, result);
    else if (is_socket)
        on_connected(exchange, fd);
    else
        end_whole(exchange);
}

static void read_results(struct pool *pool)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(pool->multi, &left))) {
        struct exchange *exchange = NULL;
        CURLcode result = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&exchange);
        on_result(exchange, result);
    }
    pool->busy = false;
    pool_settle(pool);
}
