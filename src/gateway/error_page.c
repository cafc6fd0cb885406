/* SPDX-License-Identifier: Apache-2.0 */
#include "error_page.h"

#include <stdint.h>

#include "field_list.h"

extern const char embedded_error_page[], embedded_error_page_end[];

/* The numbers are Cloudflare's: 11xx of its error pages, 10021 of a worker that its validation
 * refuses. Where it has none there is none here. */
static const struct failure_kind kinds[] = {
    [FAILURE_EXCEPTION] = {500, 1101, "The worker threw an exception"},
    [FAILURE_CRASH] = {500, 1101, "The worker's process ended"},
    [FAILURE_LIMITS] = {503, 1102, "The worker exceeded its resource limits"},
    [FAILURE_TIMEOUT] = {504, 0, "The worker did not answer in time"},
    [FAILURE_BUSY] = {503, 1105, "The worker is busy"},
    [FAILURE_UNAVAILABLE] = {503, 1105, "The worker is not available"},
    [FAILURE_BUILD] = {500, 0, "The project does not build"},
    [FAILURE_START] = {500, 10021, "The worker does not start"},
};

const struct failure_kind *failure_kind(enum failure failure)
{
    return &kinds[failure];
}

/* ---- what the client likes best ---- */

enum format { FORMAT_HTML, FORMAT_JSON, FORMAT_TEXT, FORMATS };

/* How closely a media range means the format: 0 not at all. Who takes anything gets text. */
static int closeness(struct slice range, enum format format)
{
    switch (format) {
    case FORMAT_HTML:
        return slice_equal_nocase(range, SLICE("text/html")) ? 3 : 0;
    case FORMAT_JSON: {
        struct slice suffix = SLICE("+json");
        size_t stem = range.len > suffix.len ? range.len - suffix.len : 0;
        if (slice_equal_nocase(range, SLICE("application/json")) ||
            (stem && slice_equal_nocase((struct slice){range.ptr + stem, suffix.len}, suffix)))
            return 3;
        return slice_equal_nocase(range, SLICE("application/*")) ? 2 : 0;
    }
    case FORMAT_TEXT:
        return slice_equal_nocase(range, SLICE("text/plain")) ? 3
               : slice_equal_nocase(range, SLICE("text/*"))   ? 2
               : slice_equal(range, SLICE("*/*"))             ? 1
                                                              : 0;
    case FORMATS:
        break;
    }
    return 0;
}

/* The heaviest (RFC 9110 section 12.5.1: the closest range gives a format's weight); of several
 * the first in the order above. Text when the client takes nothing that we have. */
static enum format choose_format(struct slice accept)
{
    struct {
        int closeness, weight;
    } best[FORMATS] = {0};
    struct slice element;
    while (field_next_element(&accept, &element)) {
        int weight;
        struct slice range = field_weighted(element, &weight);
        for (enum format format = 0; format < FORMATS; format++) {
            int close = closeness(range, format);
            if (close == 0 || close < best[format].closeness ||
                (close == best[format].closeness && weight < best[format].weight))
                continue;
            best[format].closeness = close;
            best[format].weight = weight;
        }
    }
    enum format chosen = FORMAT_TEXT;
    for (enum format format = FORMATS; format-- > 0;)
        if (best[format].weight > 0 && best[format].weight >= best[chosen].weight)
            chosen = format;
    return chosen;
}

/* ---- what there is to tell ---- */

struct facts {
    const struct failure_kind *kind;
    unsigned long long id;
    bool dev;
    struct slice message; /* one line */
    struct buffer detail;
};

static struct slice take_line(struct slice *text)
{
    const char *end = text->len ? memchr(text->ptr, '\n', text->len) : NULL;
    struct slice line = {text->ptr, end ? (size_t)(end - text->ptr) : text->len};
    text->ptr += line.len + (end ? 1 : 0);
    text->len -= line.len + (end ? 1 : 0);
    return line;
}

static struct slice trim_lines(struct slice text)
{
    while (text.len > 0 && text.ptr[0] == '\n')
        text.ptr++, text.len--;
    while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == ' '))
        text.len--;
    return text;
}

/* The message's first line, and the rest as detail. The bundler's begins with a line that only
 * announces, and a mark. */
static void split_message(struct facts *facts, struct slice message, struct slice detail)
{
    const struct slice mark = SLICE("✘ [ERROR] ");
    facts->message = take_line(&message);
    if (slice_starts_with(message, mark))
        facts->message = take_line(&message);
    if (slice_starts_with(facts->message, mark)) {
        facts->message.ptr += mark.len;
        facts->message.len -= mark.len;
    }
    message = trim_lines(message);
    buffer_append_slice(&facts->detail, message);
    buffer_append_text(&facts->detail, message.len > 0 && detail.len > 0 ? "\n" : "");
    buffer_append_slice(&facts->detail, trim_lines(detail));
}

/* ---- the formats ---- */

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

static void append_fact(struct buffer *out, const struct facts *facts, struct slice name)
{
    bool shown = facts->dev && facts->message.len > 0;
    struct slice title = slice_of(facts->kind->title);
    if (slice_equal(name, SLICE("label")))
        buffer_printf(out, facts->kind->code ? "Error %d" : "Error", facts->kind->code);
    else if (slice_equal(name, SLICE("status")))
        buffer_printf(out, "%d", facts->kind->status);
    else if (slice_equal(name, SLICE("id")))
        buffer_printf(out, "%016llx", facts->id);
    else if (slice_equal(name, SLICE("class")))
        buffer_append_text(out, shown ? "message" : "");
    else if (slice_equal(name, SLICE("title")))
        append_escaped(out, title);
    else if (slice_equal(name, SLICE("note")) && shown)
        buffer_printf(out, " · %s", facts->kind->title);
    else if (slice_equal(name, SLICE("heading")))
        append_escaped(out, shown ? facts->message : title);
    else if (slice_equal(name, SLICE("detail")) && facts->dev)
        append_escaped(out, buffer_slice(&facts->detail));
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
    buffer_append_text(body, "{\"error\":{\"code\":");
    if (facts->kind->code)
        buffer_printf(body, "%d", facts->kind->code);
    else
        buffer_append_text(body, "null");
    buffer_append_text(body, ",\"title\":");
    buffer_append_json(body, slice_of(facts->kind->title));
    if (facts->dev) {
        buffer_append_text(body, ",\"message\":");
        buffer_append_json(body, facts->message);
        buffer_append_text(body, ",\"stack\":");
        buffer_append_json(body, buffer_slice(&facts->detail));
    }
    buffer_printf(body, ",\"request_id\":\"%016llx\"}}\n", facts->id);
}

static void build_text(const struct facts *facts, struct buffer *body)
{
    if (facts->kind->code)
        buffer_printf(body, "error code: %d\n", facts->kind->code);
    buffer_printf(body, "%s\n", facts->kind->title);
    if (facts->dev && facts->message.len > 0) {
        buffer_append_slice(body, facts->message);
        buffer_append_text(body, "\n");
    }
    if (facts->dev && buffer_len(&facts->detail) > 0) {
        buffer_append_slice(body, buffer_slice(&facts->detail));
        buffer_append_text(body, "\n");
    }
    buffer_printf(body, "request: %016llx\n", facts->id);
}

void error_page_headers(enum failure failure, const char *type, struct buffer *ret_headers)
{
    buffer_printf(ret_headers, "content-type: %s\ncache-control: no-store\n", type);
    if (kinds[failure].status == 503)
        buffer_append_text(ret_headers, "retry-after: 1\n");
}

void error_page_build(enum failure failure, uint64_t request_id, struct slice accept, bool dev,
                      struct slice message, struct slice detail, struct buffer *ret_headers,
                      struct buffer *ret_body)
{
    static const char *const types[] = {
        "text/html; charset=utf-8", "application/json; charset=utf-8", "text/plain; charset=utf-8"};
    static void (*const builders[])(const struct facts *,
                                    struct buffer *) = {build_html, build_json, build_text};
    struct facts facts = {.kind = &kinds[failure], .id = request_id, .dev = dev};
    enum format format = choose_format(accept);
    split_message(&facts, message, detail);
    builders[format](&facts, ret_body);
    buffer_done(&facts.detail);
    error_page_headers(failure, types[format], ret_headers);
}
