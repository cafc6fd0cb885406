/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <assert.h>

#include "clock.h"
#include "http1.h"

enum { FRAME_KEPT_BYTES = 16 * 1024 }; /* of a free request's buffer */

static struct request *free_requests;

struct request *request_new(struct deployment *deployment)
{
    struct request *request = free_requests;
    if (request)
        free_requests = request->next;
    else
        request = xcalloc(1, sizeof(*request));
    struct buffer frame = request->frame; /* its memory is kept */
    memset(request, 0, sizeof(*request));
    request->frame = frame;
    request->deployment = deployment;
    request->id = gateway.next_id++;
    request->start_us = clock_monotonic_us();
    request->body_credit = request->answer_credit = FLOW_WINDOW_BYTES;
    return request;
}

struct request *request_new_event(struct deployment *deployment, struct slice cron,
                                  uint64_t time_ms, uint32_t event_id)
{
    struct request *request = request_new(deployment);
    assert(cron.len <= CRON_BYTES_MAX);
    struct frame_event event = {request->id, time_ms, EVENT_SCHEDULED, (uint32_t)cron.len};
    request->is_event = request->body_whole = request->body_ended = true;
    request->event_id = event_id;
    request->frame.start = request->frame.end = 0;
    buffer_append(&request->frame, &event, sizeof(event));
    buffer_append_slice(&request->frame, cron);
    return request;
}

void request_free(struct request *request)
{
    assert(!request->conn && !request->instance);
    buffer_reset(&request->frame, FRAME_KEPT_BYTES);
    request->next = free_requests;
    free_requests = request;
}

static struct frame_request head_of(const struct request *request)
{
    struct frame_request head = {0};
    if (!request->is_event && buffer_len(&request->frame) >= sizeof(head))
        memcpy(&head, request->frame.data, sizeof(head));
    return head;
}

struct slice request_method(const struct request *request)
{
    struct frame_request head = head_of(request);
    if (head.method_bytes == 0)
        return SLICE("");
    return (struct slice){request->frame.data + sizeof(head), head.method_bytes};
}

struct slice request_text(const struct request *request, struct span span)
{
    if (span.bytes == 0)
        return SLICE("");
    return (struct slice){request->frame.data + span.at, span.bytes};
}

struct slice request_path(const struct request *request)
{
    return request_text(request, request->path);
}

/* Takes the next "name: value" off a header block. False: no more, or no field. */
static bool next_field(struct slice *block, struct http1_header *ret_field)
{
    const char *end = block->len ? memchr(block->ptr, '\n', block->len) : NULL;
    const char *colon = end ? memchr(block->ptr, ':', (size_t)(end - block->ptr)) : NULL;
    if (!colon)
        return false;
    ret_field->name = (struct slice){block->ptr, (size_t)(colon - block->ptr)};
    ret_field->value = (struct slice){colon + 1, (size_t)(end - colon - 1)};
    if (ret_field->value.len > 0 && ret_field->value.ptr[0] == ' ') {
        ret_field->value.ptr++;
        ret_field->value.len--;
    }
    block->len -= (size_t)(end + 1 - block->ptr);
    block->ptr = end + 1;
    return true;
}

struct slice request_header(const struct request *request, struct slice name)
{
    struct frame_request head = head_of(request);
    struct slice block = {request->frame.data + sizeof(head) + head.method_bytes + head.url_bytes,
                          head.headers_bytes};
    struct http1_header field;
    while (head.headers_bytes > 0 && next_field(&block, &field))
        if (slice_equal(field.name, name))
            return field.value;
    return (struct slice){0};
}

/* As a library writes it: one that is written otherwise would not be told from what gateways alone
 * may say. */
static bool is_plain_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] >= 'A' && name.ptr[i] <= 'Z')
            return false;
    return http1_is_token(name);
}

bool request_parse_frame(struct slice payload, struct frame_request *head,
                         struct http1_request *parsed)
{
    if (payload.len < sizeof(*head))
        return false;
    memcpy(head, payload.ptr, sizeof(*head));
    if ((uint64_t)head->method_bytes + head->url_bytes + head->headers_bytes + head->inline_bytes +
            sizeof(*head) !=
        payload.len)
        return false;
    memset(parsed, 0, offsetof(struct http1_request, headers));
    const char *at = payload.ptr + sizeof(*head);
    struct slice url = {at + head->method_bytes, head->url_bytes};
    parsed->minor = 1;
    parsed->keep_alive = true;
    parsed->method = (struct slice){at, head->method_bytes};
    const char *host = url.len ? memmem(url.ptr, url.len, "://", 3) : NULL;
    if (!host)
        return false;
    host += 3;
    size_t rest = url.len - (size_t)(host - url.ptr);
    const char *path = rest ? memchr(host, '/', rest) : NULL;
    parsed->authority = (struct slice){host, path ? (size_t)(path - host) : rest};
    parsed->path = path ? (struct slice){path, rest - (size_t)(path - host)} : SLICE("/");
    parsed->target = parsed->path;
    struct slice block = {url.ptr + url.len, head->headers_bytes};
    while (parsed->headers_count < HTTP1_HEADERS_MAX &&
           next_field(&block, &parsed->headers[parsed->headers_count])) {
        if (!is_plain_name(parsed->headers[parsed->headers_count].name))
            return false;
        parsed->headers_count++;
    }
    return true;
}

bool request_parse(const struct request *request, struct http1_request *ret_parsed)
{
    struct frame_request head;
    return !request->is_event &&
           request_parse_frame(buffer_slice(&request->frame), &head, ret_parsed);
}
