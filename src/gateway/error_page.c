/* SPDX-License-Identifier: Apache-2.0 */
#include "error_page.h"

#include <stdint.h>

extern const char embedded_error_page[], embedded_error_page_end[];

static bool accepts(struct slice accept, const char *type)
{
    size_t len = strlen(type);
    for (size_t i = 0; i + len <= accept.len; i++)
        if (strncasecmp(accept.ptr + i, type, len) == 0)
            return true;
    return false;
}

static const char *title_of(int code)
{
    switch (code) {
    case 1101:
        return "The worker threw an exception";
    case 1102:
        return "The worker exceeded its resource limits";
    case 1105:
        return "The worker is busy";
    default:
        return "The worker could not answer";
    }
}

static void append_escaped(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '<':
            buffer_append_text(out, "&lt;");
            break;
        case '>':
            buffer_append_text(out, "&gt;");
            break;
        case '&':
            buffer_append_text(out, "&amp;");
            break;
        case '"':
            buffer_append_text(out, "&quot;");
            break;
        default:
            buffer_append(out, text.ptr + i, 1);
        }
    }
}

struct facts {
    int status, code;
    unsigned long long id;
    bool dev;
    struct slice message, detail;
};

static void append_fact(struct buffer *out, const struct facts *facts, struct slice name)
{
    struct slice title =
        facts->dev && facts->message.len ? facts->message : slice_of(title_of(facts->code));
    if (slice_equal(name, SLICE("code")))
        buffer_printf(out, "%d", facts->code);
    else if (slice_equal(name, SLICE("status")))
        buffer_printf(out, "%d", facts->status);
    else if (slice_equal(name, SLICE("id")))
        buffer_printf(out, "%016llx", facts->id);
    else if (slice_equal(name, SLICE("class")))
        buffer_append_text(out, facts->dev ? "message" : "");
    else if (slice_equal(name, SLICE("title")))
        append_escaped(out, title);
    else if (slice_equal(name, SLICE("detail")) && facts->dev)
        append_escaped(out, facts->detail);
}

static void build_html(const struct facts *facts, struct buffer *body)
{
    struct slice page = {embedded_error_page,
                         (size_t)(embedded_error_page_end - embedded_error_page)};
    while (page.len > 0) {
        const char *open = memmem(page.ptr, page.len, "{{", 2);
        const char *close =
            open ? memmem(open, page.len - (size_t)(open - page.ptr), "}}", 2) : NULL;
        size_t plain = close ? (size_t)(open - page.ptr) : page.len;
        buffer_append(body, page.ptr, plain);
        if (!close)
            return;
        append_fact(body, facts, (struct slice){open + 2, (size_t)(close - open - 2)});
        page.len -= (size_t)(close + 2 - page.ptr);
        page.ptr = close + 2;
    }
}

static void build_json(const struct facts *facts, struct buffer *body)
{
    buffer_printf(body, "{\"error\":{\"code\":%d,\"title\":", facts->code);
    buffer_append_json(body, slice_of(title_of(facts->code)));
    if (facts->dev) {
        buffer_append_text(body, ",\"message\":");
        buffer_append_json(body, facts->message);
        buffer_append_text(body, ",\"stack\":");
        buffer_append_json(body, facts->detail);
    }
    buffer_printf(body, ",\"request_id\":\"%016llx\"}}\n", facts->id);
}

static void build_text(const struct facts *facts, struct buffer *body)
{
    buffer_printf(body, "error code: %d\n", facts->code);
    if (!facts->dev) {
        buffer_printf(body, "%s\n", title_of(facts->code));
    } else {
        buffer_append_slice(body, facts->message);
        buffer_append_text(body, "\n");
        buffer_append_slice(body, facts->detail);
        buffer_append_text(body, facts->detail.len ? "\n" : "");
    }
    buffer_printf(body, "request: %016llx\n", facts->id);
}

void error_page_build(int status, int code, uint64_t request_id, struct slice accept, bool dev,
                      struct slice message, struct slice detail, struct buffer *ret_headers,
                      struct buffer *ret_body)
{
    struct facts facts = {status, code, request_id, dev, message, detail};
    const char *type = "text/plain";
    if (accepts(accept, "text/html")) {
        type = "text/html";
        build_html(&facts, ret_body);
    } else if (accepts(accept, "application/json")) {
        type = "application/json";
        build_json(&facts, ret_body);
    } else {
        build_text(&facts, ret_body);
    }
    buffer_printf(ret_headers, "content-type: %s; charset=utf-8\ncache-control: no-store\n", type);
    if (status == 503)
        buffer_append_text(ret_headers, "retry-after: 1\n");
}
