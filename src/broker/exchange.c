/* SPDX-License-Identifier: Apache-2.0 */
/* One fetch of an instance: its request checked, its redirects followed, its answer told. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "broker.h"
#include "socket.h"

/* ---- the request ---- */

static bool is_method(struct slice method)
{
    for (size_t i = 0; i < method.len; i++) {
        char c = method.ptr[i];
        if (!(isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c))) ||
            (unsigned char)c >= 0x80)
            return false;
    }
    return method.len > 0 && method.len <= METHOD_BYTES_MAX &&
           !slice_equal_nocase(method, SLICE("CONNECT")) &&
           !slice_equal_nocase(method, SLICE("TRACE"));
}

/* Sets the exchange's URL, relative to the one that it has. 0, or the error's kind. */
static uint32_t set_url(struct exchange *exchange, const char *text)
{
    char *scheme = NULL, *host = NULL;
    if (!exchange->url)
        exchange->url = curl_url();
    CURLUcode r = curl_url_set(exchange->url, CURLUPART_URL, text, CURLU_URLENCODE);
    if (r == CURLUE_OK)
        r = curl_url_get(exchange->url, CURLUPART_SCHEME, &scheme, 0);
    if (r == CURLUE_OK && strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
        r = CURLUE_UNSUPPORTED_SCHEME;
    curl_free(scheme);
    if (r == CURLUE_OK)
        r = curl_url_get(exchange->url, CURLUPART_HOST, &host, 0);
    if (r != CURLUE_OK)
        return ERROR_KIND_URL;
    /* Credentials go in fields, where redirects know what to do with them. */
    (void)curl_url_set(exchange->url, CURLUPART_USER, NULL, 0);
    (void)curl_url_set(exchange->url, CURLUPART_PASSWORD, NULL, 0);
    (void)curl_url_set(exchange->url, CURLUPART_FRAGMENT, NULL, 0);
    free(exchange->host);
    size_t len = strlen(host);
    exchange->host = host[0] == '[' && len > 1 ? xstrndup(host + 1, len - 2) : xstrndup(host, len);
    curl_free(host);
    return 0;
}

/* "scheme://host:port" of the URL as it is now. The caller frees it. */
static char *origin_of(const struct exchange *exchange)
{
    char *scheme = NULL, *host = NULL, *port = NULL;
    (void)curl_url_get(exchange->url, CURLUPART_SCHEME, &scheme, 0);
    (void)curl_url_get(exchange->url, CURLUPART_HOST, &host, 0);
    (void)curl_url_get(exchange->url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    char *origin =
        xasprintf("%s://%s:%s", scheme ? scheme : "", host ? host : "", port ? port : "");
    for (char *c = origin; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    return origin;
}

static bool slot_is_free(const struct attachment *attachment, uint32_t slot)
{
    for (const struct exchange *e = attachment->exchanges; e; e = e->next)
        if (e->slot == slot)
            return false;
    return true;
}

int exchange_open(struct attachment *attachment, uint32_t slot, const struct frame_request *request,
                  const char *rest)
{
    struct slice method = {rest, request->method_bytes};
    struct slice url = {rest + method.len, request->url_bytes};
    struct slice headers = {url.ptr + url.len, request->headers_bytes};
    struct slice body = {headers.ptr + headers.len, request->inline_bytes};
    bool has_body = request->flags & FRAME_HAS_BODY, fin = request->flags & FRAME_FIN;
    bool is_socket = request->flags & FRAME_SOCKET;
    if (slot >= SLOTS_MAX || request->id < EXCHANGE_ID_BASE || request->id <= attachment->last_id ||
        !slot_is_free(attachment, slot) ||
        (is_socket ? !has_body || request->body_bytes >= 0 || headers.len > 0
                   : !is_method(method)) ||
        (!has_body && (!fin || body.len > 0)) || request->body_bytes < BODY_BYTES_UNKNOWN ||
        url.len == 0 || memchr(url.ptr, 0, url.len))
        return -EPROTO;
    struct exchange *exchange = xcalloc(1, sizeof(*exchange));
    exchange->attachment = attachment;
    exchange->deployment = attachment->deployment;
    exchange->deployment->exchanges++;
    exchange->next = attachment->exchanges;
    attachment->exchanges = exchange;
    attachment->last_id = exchange->id = request->id;
    exchange->slot = slot;
    exchange->flags = request->flags;
    exchange->credit = exchange->body_window = FLOW_WINDOW_BYTES;
    exchange->has_body = has_body;
    exchange->body_bytes = has_body ? request->body_bytes : 0;
    exchange->head_timeout_ms = request->timeout_ms && request->timeout_ms < HEAD_TIMEOUT_MS
                                    ? request->timeout_ms
                                    : HEAD_TIMEOUT_MS;
    exchange->answer.length = -1;
    exchange->progress_ms = loop_now_ms(broker.loop);
    if (!is_socket)
        memcpy(exchange->method, method.ptr, method.len);
    exchange->tls_wanted = is_socket && (request->flags & FRAME_TLS);
    if (request_headers_take(&exchange->headers, headers) < 0 ||
        exchange_body(exchange, body, fin) < 0)
        return -EPROTO; /* the attachment breaks, and this ends with it */
    attachment_mark(attachment);
    AUTO_TEXT url_text = xasprintf("%s%.*s", is_socket ? "http://" : "", (int)url.len, url.ptr);
    uint32_t kind = set_url(exchange, url_text);
    if (kind)
        exchange_end(exchange, kind, "Invalid URL, or its scheme is neither http nor https.");
    else if (exchange->deployment->exchanges > exchange->deployment->exchanges_max)
        exchange_end(exchange, ERROR_KIND_CONNECT, "Too many fetches are open at once.");
    else if (egress_is_closed(exchange->deployment->egress)) /* before a name is asked for */
        exchange_end(exchange, ERROR_KIND_FORBIDDEN, "This worker may connect to nothing.");
    else
        transfer_start(exchange);
    return 0;
}

struct exchange *exchange_find(struct attachment *attachment, uint64_t id)
{
    struct exchange *exchange = attachment->exchanges;
    while (exchange && exchange->id != id)
        exchange = exchange->next;
    return exchange;
}

/* Without the beginning of the body no other hop can be sent it. */
static void drop_sent_body(struct exchange *exchange)
{
    exchange->body_dropped |= exchange->body_sent > 0;
    buffer_consume(&exchange->body, exchange->body_sent);
    exchange->body_sent = 0;
}

int exchange_body(struct exchange *exchange, struct slice bytes, bool fin)
{
    if (!exchange->has_body)
        return fin && bytes.len == 0 ? 0 : -EPROTO;
    exchange->body_window -= (int64_t)bytes.len;
    exchange->body_received += (int64_t)bytes.len;
    bool short_or_long =
        exchange->body_bytes >= 0 && (exchange->body_received > exchange->body_bytes ||
                                      (fin && exchange->body_received < exchange->body_bytes));
    if (exchange->body_ended || exchange->body_window < 0 || short_or_long)
        return -EPROTO;
    exchange->body_ended = fin;
    if (exchange->phase == PHASE_ENDED) { /* an answer came early: nobody needs the rest */
        exchange->credit_owed += (uint32_t)bytes.len;
        return 0;
    }
    if (buffer_len(&exchange->body) + bytes.len > REPLAY_BYTES_MAX || exchange->body_dropped)
        drop_sent_body(exchange);
    buffer_append_slice(&exchange->body, bytes);
    if (exchange->in_multi)
        transfer_resume(exchange);
    if (exchange->socket)
        socket_run(exchange);
    return 0;
}

int exchange_start_tls(struct exchange *exchange, struct slice host)
{
    if (!(exchange->flags & FRAME_SOCKET) || (exchange->flags & FRAME_TLS) || host.len == 0 ||
        memchr(host.ptr, 0, host.len))
        return -EPROTO;
    free(exchange->host);
    exchange->host = xstrndup(host.ptr, host.len);
    exchange->flags |= FRAME_TLS;
    exchange->tls_wanted = true;
    exchange->clear_bytes = buffer_len(&exchange->body);
    socket_start_tls(exchange);
    return 0;
}

/* ---- the answer ---- */

bool exchange_take_body(struct exchange *exchange, struct slice bytes)
{
    size_t before = buffer_len(&exchange->pending);
    int r = 0;
    exchange->progress_ms = loop_now_ms(broker.loop);
    if (!exchange->decoder) {
        if ((int64_t)bytes.len > exchange->credit)
            return false;
        buffer_append_slice(&exchange->pending, bytes);
    } else {
        if (buffer_len(&exchange->encoded) > 0 || exchange->credit <= 0)
            return false;
        r = decoder_push(exchange->decoder, &bytes, (size_t)exchange->credit, &exchange->pending);
        buffer_append_slice(&exchange->encoded, bytes);
    }
    exchange->credit -= (int64_t)(buffer_len(&exchange->pending) - before);
    if (r < 0)
        exchange_end(exchange, ERROR_KIND_PROTOCOL, "The response's content encoding is broken.");
    else if (exchange->attachment)
        attachment_mark(exchange->attachment);
    return true;
}

/* Decodes on what waited for credit. */
static void decode_waiting(struct exchange *exchange)
{
    size_t before = buffer_len(&exchange->pending);
    struct slice waiting = buffer_slice(&exchange->encoded);
    if (!exchange->decoder || exchange->credit <= 0 ||
        (waiting.len == 0 && !decoder_has_more(exchange->decoder)))
        return;
    int r = decoder_push(exchange->decoder, &waiting, (size_t)exchange->credit, &exchange->pending);
    buffer_consume(&exchange->encoded, buffer_len(&exchange->encoded) - waiting.len);
    exchange->credit -= (int64_t)(buffer_len(&exchange->pending) - before);
    if (r < 0)
        exchange_end(exchange, ERROR_KIND_PROTOCOL, "The response's content encoding is broken.");
}

int exchange_credit(struct exchange *exchange, uint32_t bytes)
{
    if (exchange->credit + bytes + (int64_t)buffer_len(&exchange->pending) > FLOW_WINDOW_BYTES)
        return -EPROTO; /* more than it was sent */
    exchange->credit += bytes;
    decode_waiting(exchange);
    attachment_mark(exchange->attachment);
    if (exchange->in_multi)
        transfer_resume(exchange);
    if (exchange->socket)
        socket_run(exchange);
    return 0;
}

void exchange_end(struct exchange *exchange, uint32_t kind, const char *text)
{
    if (exchange->fin && exchange->error_kind)
        return; /* the first reason counts */
    exchange->fin = true;
    exchange->error_kind = kind;
    exchange->error_text = text;
    if (exchange->attachment)
        attachment_mark(exchange->attachment);
}

static bool is_everything_decoded(const struct exchange *exchange)
{
    return !exchange->decoder ||
           (buffer_len(&exchange->encoded) == 0 && !decoder_has_more(exchange->decoder));
}

static bool send_error(struct exchange *exchange)
{
    size_t text_len = exchange->error_text ? strlen(exchange->error_text) : 0;
    struct frame_error error = {
        .id = exchange->id, .kind = exchange->error_kind, .text_bytes = (uint32_t)text_len};
    uint32_t bytes = (uint32_t)(sizeof(error) + text_len);
    struct ring *ring = &exchange->attachment->channel.out;
    char *room = ring_reserve(ring, bytes, NULL);
    if (!room)
        return false;
    memcpy(room, &error, sizeof(error));
    memcpy(room + sizeof(error), exchange->error_text ? exchange->error_text : "", text_len);
    ring_commit(ring, FRAME_ERROR, exchange->slot, (uint32_t)exchange->id, bytes);
    return true;
}

static bool send_head(struct exchange *exchange, bool ended)
{
    char *url = NULL;
    if (exchange->redirects > 0)
        (void)curl_url_get(exchange->url, CURLUPART_URL, &url, 0);
    size_t url_len = url ? strlen(url) : 0, headers_len = buffer_len(&exchange->answer.block);
    size_t body_len = buffer_len(&exchange->pending);
    if (body_len > INLINE_BODY_BYTES_MAX)
        body_len = INLINE_BODY_BYTES_MAX;
    if (url_len + headers_len > HEAD_BYTES_MAX)
        url_len = 0; /* a URL longer than any that the instance can ask for */
    bool fin = ended && body_len == buffer_len(&exchange->pending);
    struct frame_response response = {
        .id = exchange->id,
        .body_bytes = exchange->decoder ? BODY_BYTES_UNKNOWN : exchange->answer.length,
        .flags = fin ? FRAME_FIN : 0,
        .status = (uint32_t)exchange->answer.status,
        .headers_bytes = (uint32_t)headers_len,
        .inline_bytes = (uint32_t)body_len,
        .url_bytes = (uint32_t)url_len,
        .redirects = (uint32_t)exchange->redirects,
    };
    size_t bytes = sizeof(response) + headers_len + url_len + body_len;
    struct ring *ring = &exchange->attachment->channel.out;
    char *room = ring_reserve(ring, (uint32_t)bytes, NULL);
    if (room) {
        const struct slice parts[] = {
            {(const char *)&response, sizeof(response)},
            buffer_slice(&exchange->answer.block),
            {url, url_len},
            {buffer_slice(&exchange->pending).ptr, body_len},
        };
        for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
            if (parts[i].len > 0)
                memcpy(room, parts[i].ptr, parts[i].len);
            room += parts[i].len;
        }
        ring_commit(ring, FRAME_RESPONSE, exchange->slot, (uint32_t)exchange->id, (uint32_t)bytes);
        buffer_consume(&exchange->pending, body_len);
        exchange->head_sent = true;
        exchange->fin_sent = fin;
    }
    curl_free(url);
    return room != NULL;
}

static bool send_body(struct exchange *exchange, bool ended)
{
    struct ring *ring = &exchange->attachment->channel.out;
    struct slice rest = buffer_slice(&exchange->pending);
    size_t len = rest.len < BODY_CHUNK_BYTES_MAX ? rest.len : BODY_CHUNK_BYTES_MAX;
    bool fin = ended && len == rest.len;
    struct frame_body body = {exchange->id, fin ? FRAME_FIN : 0, (uint32_t)len};
    char *room = ring_reserve(ring, (uint32_t)(sizeof(body) + len), NULL);
    if (!room)
        return false;
    memcpy(room, &body, sizeof(body));
    if (len > 0)
        memcpy(room + sizeof(body), rest.ptr, len);
    ring_commit(ring, FRAME_BODY, exchange->slot, (uint32_t)exchange->id,
                (uint32_t)(sizeof(body) + len));
    buffer_consume(&exchange->pending, len);
    exchange->fin_sent = fin;
    return true;
}

static bool send_credit(struct exchange *exchange)
{
    struct frame_credit credit = {.id = exchange->id, .bytes = exchange->credit_owed};
    struct ring *ring = &exchange->attachment->channel.out;
    char *room = ring_reserve(ring, sizeof(credit), NULL);
    if (!room)
        return false;
    memcpy(room, &credit, sizeof(credit));
    ring_commit(ring, FRAME_CREDIT, exchange->slot, (uint32_t)exchange->id, sizeof(credit));
    exchange->body_window += exchange->credit_owed;
    exchange->credit_owed = 0;
    return true;
}

bool exchange_flush(struct exchange *exchange)
{
    bool failed = exchange->fin && exchange->error_kind != 0;
    bool ended = exchange->fin && !failed && is_everything_decoded(exchange);
    if (exchange->credit_owed > 0 && !exchange->body_ended && !send_credit(exchange))
        return false;
    if (exchange->head_ready && !exchange->head_sent && !send_head(exchange, ended))
        return false;
    while (exchange->head_sent && !exchange->fin_sent &&
           (buffer_len(&exchange->pending) > 0 || ended))
        if (!send_body(exchange, ended))
            return false;
    if (failed && !send_error(exchange))
        return false;
    if (buffer_len(&exchange->pending) == 0)
        buffer_reset(&exchange->pending, 0);
    /* A socket can be written to when it is read to its end. */
    if (failed || (exchange->fin_sent && !(exchange->flags & FRAME_SOCKET)))
        exchange_abort(exchange); /* nothing more carries its id; an upload may still be going */
    return true;
}

/* ---- life ---- */

static void leave_attachment(struct exchange *exchange)
{
    struct exchange **place = &exchange->attachment->exchanges;
    while (*place != exchange)
        place = &(*place)->next;
    *place = exchange->next;
    exchange->attachment = NULL;
}

void exchange_abort(struct exchange *exchange)
{
    leave_attachment(exchange);
    if (!socket_linger(exchange) && transfer_stop(exchange))
        exchange_free(exchange);
}

static void reset_answer(struct exchange *exchange)
{
    response_headers_done(&exchange->answer);
    decoder_free(&exchange->decoder);
    buffer_done(&exchange->encoded);
    exchange->redirecting = exchange->recv_paused = exchange->send_paused = false;
    exchange->head_ready = exchange->refused = exchange->refused_own = false;
    exchange->body_sent = 0;
    exchange->body_position = 0;
    exchange->discarded = 0;
    exchange->phase = PHASE_SENDING;
}

void exchange_free(struct exchange *exchange)
{
    struct deployment *deployment = exchange->deployment;
    loop_timer_stop(broker.loop, &exchange->deadline);
    response_headers_done(&exchange->answer);
    decoder_free(&exchange->decoder);
    buffer_done(&exchange->headers.block);
    buffer_done(&exchange->body);
    buffer_done(&exchange->encoded);
    buffer_done(&exchange->pending);
    curl_slist_free_all(exchange->curl_headers);
    if (exchange->url)
        curl_url_cleanup(exchange->url);
    free(exchange->host);
    free(exchange);
    deployment->exchanges--;
    deployment_release(deployment);
}

/* ---- redirects (Fetch standard, HTTP-redirect fetch) ---- */

static void become_get(struct exchange *exchange)
{
    static const char *const of_the_body[] = {"content-encoding", "content-language",
                                              "content-location", "content-type"};
    (void)strcpy(exchange->method, "GET");
    for (size_t i = 0; i < ARRAY_LEN(of_the_body); i++)
        request_headers_remove(&exchange->headers, of_the_body[i]);
    exchange->has_body = false;
    exchange->body_ended = true;
    exchange->body_bytes = 0;
    buffer_done(&exchange->body);
    exchange->body_sent = 0;
}

bool exchange_redirect(struct exchange *exchange)
{
    int status = exchange->answer.status;
    bool post = strcmp(exchange->method, "POST") == 0;
    bool get = strcmp(exchange->method, "GET") == 0 || strcmp(exchange->method, "HEAD") == 0;
    if (++exchange->redirects > REDIRECTS_MAX) {
        exchange_end(exchange, ERROR_KIND_REDIRECT, "Too many redirects.");
        return false;
    }
    if (((status == 301 || status == 302) && post) || (status == 303 && !get)) {
        become_get(exchange);
    } else if (exchange->has_body && exchange->body_dropped) {
        exchange_end(exchange, ERROR_KIND_REDIRECT,
                     "A redirect asks for the request's body again, and it was too long to keep.");
        return false;
    }
    AUTO_TEXT before = origin_of(exchange);
    uint32_t kind = set_url(exchange, exchange->answer.location);
    if (kind) {
        exchange_end(exchange, ERROR_KIND_REDIRECT, "Redirected to a URL that cannot be fetched.");
        return false;
    }
    AUTO_TEXT after = origin_of(exchange);
    if (strcmp(before, after) != 0) { /* what was for that server alone */
        request_headers_remove(&exchange->headers, "authorization");
        request_headers_remove(&exchange->headers, "cookie");
        request_headers_remove(&exchange->headers, "proxy-authorization");
    }
    reset_answer(exchange);
    return true;
}

/* ---- time ---- */

/* Looks at most once a period how long ago something happened: a busy exchange restarts no timer.
 */
static void on_deadline(struct loop_timer *timer)
{
    struct exchange *exchange = CONTAINER_OF(timer, struct exchange, deadline);
    bool waits_for_instance = exchange->recv_paused || exchange->send_paused;
    uint32_t limit = exchange->phase == PHASE_HEAD ? exchange->head_timeout_ms : IDLE_TIMEOUT_MS;
    uint64_t now_ms = loop_now_ms(broker.loop);
    if (waits_for_instance || exchange->phase == PHASE_ENDED)
        exchange->progress_ms = now_ms;
    uint64_t quiet_ms = now_ms - exchange->progress_ms;
    if (quiet_ms < limit) {
        loop_timer_start(broker.loop, timer, limit - quiet_ms, on_deadline);
        return;
    }
    if (exchange->attachment)
        exchange_end(exchange, ERROR_KIND_TIMEOUT, "The server took too long to answer.");
}

void exchange_watch_time(struct exchange *exchange)
{
    uint32_t limit = exchange->phase == PHASE_BODY ? IDLE_TIMEOUT_MS : exchange->head_timeout_ms;
    exchange->progress_ms = loop_now_ms(broker.loop);
    loop_timer_start(broker.loop, &exchange->deadline, limit, on_deadline);
}
