/* SPDX-License-Identifier: Apache-2.0 */
#include "assets.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "asset_decision.h"
#include "asset_path.h"
#include "clock.h"
#include "field_list.h"
#include "mime.h"
#include "pattern.h"

enum {
    DECISIONS = 512, /* kept: one a slot, chosen by the pathname's hash */
    REVALIDATE_MS = 1000,
    GLOBS_MAX = 100,
};

struct assets {
    struct asset_decider decider;
    struct asset_decision *decisions[DECISIONS];
    uint32_t revalidate_ms;
    bool worker_first, navigation_prefers_assets, has_redirects;
    char *worker_globs[GLOBS_MAX], *asset_globs[GLOBS_MAX]; /* "/x" and "!/x" of run_worker_first */
    size_t worker_globs_count, asset_globs_count;
};

/* The request's fields that matter here. */
struct wants {
    bool reads, head, navigates, authorized;
    struct slice accept_encoding, none_match, modified_since, range, if_range, host;
};

/* ---- set-up ---- */

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

static enum html_handling parse_html(const char *name)
{
    return strcmp(name, "force-trailing-slash") == 0  ? HTML_FORCE_SLASH
           : strcmp(name, "drop-trailing-slash") == 0 ? HTML_DROP_SLASH
           : strcmp(name, "none") == 0                ? HTML_NONE
                                                      : HTML_AUTO;
}

static enum not_found_handling parse_not_found(const char *name)
{
    return strcmp(name, "404-page") == 0                  ? NOT_FOUND_404_PAGE
           : strcmp(name, "single-page-application") == 0 ? NOT_FOUND_SPA
                                                          : NOT_FOUND_NONE;
}

static void take_globs(struct assets *assets, const json_t *first)
{
    size_t index;
    json_t *item;
    json_array_foreach(first, index, item)
    {
        const char *glob = json_string_value(item);
        if (glob && glob[0] == '!' && assets->asset_globs_count < GLOBS_MAX)
            assets->asset_globs[assets->asset_globs_count++] = xstrdup(glob + 1);
        else if (glob && glob[0] != '!' && assets->worker_globs_count < GLOBS_MAX)
            assets->worker_globs[assets->worker_globs_count++] = xstrdup(glob);
    }
}

struct assets *assets_open(int dir_fd, const json_t *config)
{
    struct assets *assets = xcalloc(1, sizeof(*assets));
    const json_t *first = json_object_get(config, "run_worker_first");
    const json_t *revalidate = json_object_get(config, "revalidate_ms");
    assets->decider.html = parse_html(text(config, "html_handling"));
    assets->decider.not_found = parse_not_found(text(config, "not_found_handling"));
    assets->decider.rules =
        asset_rules_new(text(config, "headers_text"), text(config, "redirects_text"),
                        assets->decider.html != HTML_NONE);
    assets->revalidate_ms = revalidate ? (uint32_t)json_integer_value(revalidate) : REVALIDATE_MS;
    assets->decider.files = asset_files_new(dir_fd, assets->revalidate_ms);
    assets->has_redirects = *text(config, "redirects_text") != 0;
    assets->worker_first = json_is_true(first);
    assets->navigation_prefers_assets =
        !json_is_false(json_object_get(config, "navigation_prefers_assets"));
    take_globs(assets, first);
    return assets;
}

void assets_free(struct assets **place)
{
    struct assets *assets = TAKE(*place);
    if (!assets)
        return;
    for (size_t i = 0; i < DECISIONS; i++)
        asset_decision_free(&assets->decisions[i]);
    asset_rules_free(&assets->decider.rules);
    asset_files_free(&assets->decider.files);
    for (size_t i = 0; i < assets->worker_globs_count; i++)
        free(assets->worker_globs[i]);
    for (size_t i = 0; i < assets->asset_globs_count; i++)
        free(assets->asset_globs[i]);
    free(assets);
}

void assets_answer_keep(struct assets_answer *answer)
{
    struct buffer kept = {0};
    buffer_append_slice(&kept, answer->head);
    buffer_append_slice(&kept, answer->headers);
    buffer_append_slice(&kept, answer->body);
    const char *at = kept.data;
    answer->head.ptr = at;
    answer->headers.ptr = at + answer->head.len;
    answer->body.ptr = at + answer->head.len + answer->headers.len;
    buffer_done(&answer->own);
    answer->own = kept;
}

void assets_answer_done(struct assets_answer *answer)
{
    buffer_done(&answer->own);
    fd_close(&answer->fd);
}

/* ---- the request ---- */

static void read_wants(const struct http1_request *request, struct wants *wants)
{
    *wants = (struct wants){
        .host = request->authority,
        .head = slice_equal(request->method, SLICE("HEAD")),
    };
    wants->reads = wants->head || slice_equal(request->method, SLICE("GET"));
    const struct {
        struct slice name;
        struct slice *value;
    } fields[] = {
        {SLICE("accept-encoding"), &wants->accept_encoding},
        {SLICE("if-none-match"), &wants->none_match},
        {SLICE("if-modified-since"), &wants->modified_since},
        {SLICE("range"), &wants->range},
        {SLICE("if-range"), &wants->if_range},
    };
    for (int i = 0; i < request->headers_count; i++) {
        const struct http1_header *header = &request->headers[i];
        switch (header->name.len) { /* most fields are none of ours: one comparison each */
        case 5:
        case 8:
        case 13:
        case 15:
        case 17:
            for (size_t f = 0; f < ARRAY_LEN(fields); f++)
                if (slice_equal(header->name, fields[f].name))
                    *fields[f].value = header->value;
            wants->authorized |= slice_equal(header->name, SLICE("authorization"));
            break;
        case 14:
            if (slice_equal(header->name, SLICE("sec-fetch-mode")))
                wants->navigates = slice_equal(header->value, SLICE("navigate"));
            break;
        }
    }
    const char *port = wants->host.len > 0 && wants->host.ptr[0] != '['
                           ? memchr(wants->host.ptr, ':', wants->host.len)
                           : NULL;
    if (port)
        wants->host.len = (size_t)(port - wants->host.ptr);
}

/* ---- validators and ranges ---- */

/* Weak comparison (RFC 9110 section 13.1.2). Our tags hold no comma. */
static bool none_match_has(struct slice field, const char *etag)
{
    struct slice element;
    while (field_next_element(&field, &element)) {
        if (element.len > 2 && memcmp(element.ptr, "W/", 2) == 0)
            element.ptr += 2, element.len -= 2;
        if (slice_equal(element, SLICE("*")) || slice_equal(element, slice_of(etag)))
            return true;
    }
    return false;
}

static bool parse_date(struct slice field, time_t *ret_time)
{
    char copy[64];
    struct tm date = {0};
    if (field.len == 0 || field.len >= sizeof(copy))
        return false;
    memcpy(copy, field.ptr, field.len);
    copy[field.len] = 0;
    const char *end = strptime(copy, "%a, %d %b %Y %H:%M:%S GMT", &date);
    if (!end || *end)
        return false;
    *ret_time = timegm(&date);
    return true;
}

static void format_date(time_t time, char ret_date[40])
{
    struct tm date;
    (void)gmtime_r(&time, &date);
    (void)strftime(ret_date, 40, "%a, %d %b %Y %H:%M:%S GMT", &date);
}

static bool is_fresh(const struct wants *wants, const struct asset_variant *variant)
{
    time_t since;
    if (wants->none_match.ptr)
        return none_match_has(wants->none_match, variant->etag);
    return parse_date(wants->modified_since, &since) && variant->modified.tv_sec <= since;
}

static bool if_range_holds(const struct wants *wants, const struct asset_variant *variant)
{
    char date[40];
    format_date(variant->modified.tv_sec, date);
    return !wants->if_range.ptr || slice_equal(wants->if_range, slice_of(variant->etag)) ||
           slice_equal(wants->if_range, slice_of(date));
}

/* Digits of a byte position; -1 without any. What is too large is as good as the largest. */
static int64_t parse_position(struct slice digits)
{
    int64_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return -2;
        value = value > INT64_MAX / 16 ? value : value * 10 + (digits.ptr[i] - '0');
    }
    return digits.len > 0 ? value : -1;
}

/* 206 for a single range, 416 for one beyond the end; 0 for all else, which is served whole. */
static int parse_range(struct slice field, int64_t bytes, int64_t *ret_first, int64_t *ret_count)
{
    if (field.len < 6 || strncasecmp(field.ptr, "bytes=", 6) != 0)
        return 0;
    struct slice range = field_trim((struct slice){field.ptr + 6, field.len - 6});
    const char *dash = range.len ? memchr(range.ptr, '-', range.len) : NULL;
    if (!dash)
        return 0;
    size_t at = (size_t)(dash - range.ptr);
    int64_t first = parse_position((struct slice){range.ptr, at});
    int64_t last = parse_position((struct slice){dash + 1, range.len - at - 1});
    if (first == -2 || last == -2 || (first == -1 && last == -1))
        return 0;
    if (first == -1) { /* the last n bytes */
        if (last == 0 || bytes == 0)
            return 416;
        *ret_count = last < bytes ? last : bytes;
        *ret_first = bytes - *ret_count;
        return 206;
    }
    if (last >= 0 && last < first)
        return 0;
    if (first >= bytes)
        return 416;
    *ret_first = first;
    *ret_count = (last >= 0 && last < bytes ? last + 1 : bytes) - first;
    return 206;
}

/* ---- content codings ---- */

/* The weight that an Accept-Encoding gives a coding, in thousandths. */
static int weight_of(struct slice accepted, struct slice coding)
{
    struct slice element;
    int any = 0, weight;
    while (field_next_element(&accepted, &element)) {
        struct slice name = field_weighted(element, &weight);
        if (slice_equal_nocase(name, coding))
            return weight;
        if (slice_equal(name, SLICE("*")))
            any = weight;
    }
    return any;
}

static enum asset_coding choose_coding(const struct asset_file *file, const struct wants *wants)
{
    bool br = file->variants[ASSET_BR].present, gzip = file->variants[ASSET_GZIP].present;
    if ((!br && !gzip) || wants->accept_encoding.len == 0 || wants->range.ptr)
        return ASSET_IDENTITY; /* ranges are of the file that people know */
    int br_weight = br ? weight_of(wants->accept_encoding, SLICE("br")) : 0;
    int gzip_weight = gzip ? weight_of(wants->accept_encoding, SLICE("gzip")) : 0;
    if (br_weight > 0 && br_weight >= gzip_weight)
        return ASSET_BR;
    return gzip_weight > 0 ? ASSET_GZIP : ASSET_IDENTITY;
}

/* ---- answers ---- */

/* The header block of a file, as _headers changes it. */
static void append_fields(const struct assets *assets, const struct asset_decision *decision,
                          enum asset_coding coding, const struct wants *wants, struct buffer *out)
{
    static const char *const codings[ASSET_CODINGS] = {NULL, "br", "gzip"};
    const struct asset_file *file = decision->file;
    const struct asset_variant *variant = &file->variants[coding];
    const char *type = mime_of(slice_of(file->path));
    char date[40];
    format_date(variant->modified.tv_sec, date);
    if (type)
        buffer_printf(out, "content-type: %s\n", type);
    buffer_printf(out, "etag: %s\nlast-modified: %s\n", variant->etag, date);
    if (!wants->authorized && !wants->range.ptr) /* what is for one client is not for caches */
        buffer_append_text(out, "cache-control: public, max-age=0, must-revalidate\n");
    if (codings[coding])
        buffer_printf(out, "content-encoding: %s\n", codings[coding]);
    if (file->variants[ASSET_BR].present || file->variants[ASSET_GZIP].present)
        buffer_append_text(out, "vary: accept-encoding\n");
    if (decision->status == 200)
        buffer_append_text(out, "accept-ranges: bytes\n");
    asset_rules_headers(assets->decider.rules, wants->host, decision->pathname, out);
}

/* "name: value\n" lines as they are sent. */
static void append_as_head(struct buffer *out, struct slice block)
{
    while (block.len > 0) {
        const char *end = memchr(block.ptr, '\n', block.len);
        size_t len = end ? (size_t)(end - block.ptr) : block.len;
        buffer_append(out, block.ptr, len);
        buffer_append_text(out, "\r\n");
        len += end ? 1 : 0;
        block.ptr += len;
        block.len -= len;
    }
}

static void make_head(const struct assets *assets, struct asset_decision *decision,
                      enum asset_coding coding, const struct wants *wants)
{
    AUTO_BUFFER fields = {0};
    struct buffer whole = {0};
    append_fields(assets, decision, coding, wants, &fields);
    buffer_append_text(&whole, decision->status == 404 ? "HTTP/1.1 404 Not Found\r\n"
                                                       : "HTTP/1.1 200 OK\r\n");
    append_as_head(&whole, buffer_slice(&fields));
    buffer_printf(&whole, "content-length: %lld\r\n",
                  (long long)decision->file->variants[coding].bytes);
    free(decision->made[coding].text);
    decision->made[coding].head_len = buffer_len(&whole);
    decision->made[coding].headers_len = buffer_len(&fields);
    buffer_append_slice(&whole, buffer_slice(&fields));
    decision->made[coding].version = decision->file->version;
    decision->made[coding].text = whole.data;
}

static void answer_fields_only(struct assets_answer *answer, int status)
{
    answer->status = status;
    answer->body_bytes = 0;
    answer->body = (struct slice){0};
    fd_close(&answer->fd);
}

/* The rest of a file's answer when the request asks for more than the plain file. */
static void answer_conditionally(const struct asset_variant *variant, const struct wants *wants,
                                 struct assets_answer *answer)
{
    int64_t first = 0, count = 0;
    if (is_fresh(wants, variant)) {
        answer_fields_only(answer, 304);
        return;
    }
    if (!wants->range.ptr || wants->head || !if_range_holds(wants, variant))
        return;
    int status = parse_range(wants->range, variant->bytes, &first, &count);
    if (status == 416) {
        buffer_printf(&answer->own, "content-range: bytes */%lld\n", (long long)variant->bytes);
        answer_fields_only(answer, 416);
    } else if (status == 206) {
        buffer_printf(&answer->own, "content-range: bytes %lld-%lld/%lld\n", (long long)first,
                      (long long)(first + count - 1), (long long)variant->bytes);
        answer->status = 206;
        answer->offset = first;
        answer->body_bytes = count;
        if (answer->fd < 0)
            answer->body = (struct slice){answer->body.ptr + first, (size_t)count};
    }
}

/* False: the file changed or vanished under our hands. */
static bool answer_file(const struct assets *assets, struct asset_decision *decision,
                        const struct wants *wants, struct assets_answer *answer)
{
    enum asset_coding coding = choose_coding(decision->file, wants);
    const struct asset_variant *variant = &decision->file->variants[coding];
    if (!asset_file_content(decision->file, coding, &answer->body, &answer->fd))
        return false;
    answer->status = decision->status;
    answer->body_bytes = variant->bytes;
    answer->offset = 0;
    bool plain = !wants->none_match.ptr && !wants->modified_since.ptr && !wants->range.ptr;
    if (plain && !wants->authorized && !asset_rules_by_host(assets->decider.rules)) {
        if (!decision->made[coding].text ||
            decision->made[coding].version != decision->file->version)
            make_head(assets, decision, coding, wants);
        answer->head = (struct slice){decision->made[coding].text, decision->made[coding].head_len};
        answer->headers =
            (struct slice){answer->head.ptr + answer->head.len, decision->made[coding].headers_len};
        return true;
    }
    append_fields(assets, decision, coding, wants, &answer->own);
    if (!plain && decision->status == 200)
        answer_conditionally(variant, wants, answer);
    answer->headers = buffer_slice(&answer->own);
    return true;
}

static void answer_without_body(const struct assets *assets, const struct wants *wants,
                                const char *pathname, int status, struct assets_answer *answer)
{
    answer->status = status;
    asset_rules_headers(assets->decider.rules, wants->host, pathname, &answer->own);
    answer->headers = buffer_slice(&answer->own);
}

static void answer_redirect(const struct assets *assets, const struct asset_decision *decision,
                            const struct wants *wants, struct slice query,
                            struct assets_answer *answer)
{
    buffer_printf(&answer->own, "location: %s", decision->location);
    if (decision->query)
        buffer_append_text(&answer->own, decision->query);
    else
        buffer_append_slice(&answer->own, query);
    buffer_append_text(&answer->own, decision->fragment ? decision->fragment : "");
    buffer_append_text(&answer->own, "\n");
    answer_without_body(assets, wants, decision->pathname, decision->status, answer);
}

/* ---- the decision ---- */

static uint64_t hash_of(const char *pathname)
{
    uint64_t hash = 0xcbf29ce484222325ull;
    for (; *pathname; pathname++)
        hash = (hash ^ (unsigned char)*pathname) * 0x100000001b3ull;
    return hash;
}

static struct asset_decision *decide(struct assets *assets, const char *pathname, uint64_t now_ms)
{
    uint64_t hash = hash_of(pathname);
    struct asset_decision **slot = &assets->decisions[(hash >> 20) % DECISIONS], *old = *slot;
    bool same = old && old->hash == hash && strcmp(old->pathname, pathname) == 0;
    if (same && now_ms - old->checked_ms < assets->revalidate_ms)
        return old;
    struct asset_decision *made = asset_decide(&assets->decider, pathname, now_ms);
    made->hash = hash;
    if (same && old->file && made->file == old->file && made->status == old->status)
        for (int coding = 0; coding < ASSET_CODINGS; coding++) { /* keep the heads */
            made->made[coding] = old->made[coding];
            old->made[coding].text = NULL;
        }
    asset_decision_free(slot);
    return *slot = made;
}

static void forget(struct assets *assets, struct asset_decision *decision)
{
    struct asset_decision **slot = &assets->decisions[(decision->hash >> 20) % DECISIONS];
    if (decision->file)
        decision->file->checked_ms = 0;
    asset_decision_free(slot);
}

enum turn { TURN_WORKER, TURN_ASSETS, TURN_ASSETS_OR_WORKER };

static bool matches_any(char *const *globs, size_t count, const char *pathname)
{
    for (size_t i = 0; i < count; i++)
        if (pattern_glob_matches(globs[i], pathname))
            return true;
    return false;
}

static enum turn whose_turn(const struct assets *assets, const char *pathname, bool has_code)
{
    if (!has_code || matches_any(assets->asset_globs, assets->asset_globs_count, pathname))
        return TURN_ASSETS;
    if (assets->worker_first ||
        matches_any(assets->worker_globs, assets->worker_globs_count, pathname))
        return TURN_WORKER;
    return TURN_ASSETS_OR_WORKER;
}

/* Is it certain, without asking the system, that there is no such asset? So it is for most paths of
 * an API, and each of them may be asked for but once: they must not crowd the kept decisions. */
static bool surely_nothing(struct assets *assets, const char *pathname, uint64_t now_ms)
{
    char path[ASSET_PATH_BYTES_MAX];
    return !assets->has_redirects && (!asset_path_decode(pathname, path) ||
                                      !asset_files_may_have(assets->decider.files, path, now_ms));
}

static bool route(struct assets *assets, const struct http1_request *request, enum turn turn,
                  const char *pathname, const struct wants *wants, struct assets_answer *answer)
{
    uint64_t now_ms = clock_monotonic_ms();
    /* A browser that navigates gets the application's page rather than what the worker says. */
    bool substitutes =
        turn == TURN_ASSETS || (wants->navigates && assets->navigation_prefers_assets);
    if (!substitutes && surely_nothing(assets, pathname, now_ms))
        return false;
    size_t path_len = slice_until(request->path, '?').len;
    struct slice query = {request->path.ptr + path_len, request->path.len - path_len};
    for (int attempt = 0; attempt < 3; attempt++) {
        struct asset_decision *decision = decide(assets, pathname, now_ms);
        bool nothing = decision->outcome == ASSET_NOTHING ||
                       (decision->by_not_found && !substitutes && !decision->rewritten);
        if (nothing && turn == TURN_ASSETS_OR_WORKER && !decision->rewritten)
            return false;
        if (nothing)
            break;
        if (!wants->reads && !decision->by_rule) {
            buffer_append_text(&answer->own, "allow: GET, HEAD\n");
            answer_without_body(assets, wants, pathname, 405, answer);
            return true;
        }
        if (decision->outcome == ASSET_REDIRECT) {
            answer_redirect(assets, decision, wants, query, answer);
            return true;
        }
        if (answer_file(assets, decision, wants, answer))
            return true;
        forget(assets, decision);
    }
    answer_without_body(assets, wants, pathname, 404, answer);
    return true;
}

static bool route_as(struct assets *assets, const struct http1_request *request, bool has_code,
                     struct assets_answer *answer)
{
    char pathname[ASSET_PATH_BYTES_MAX];
    struct wants wants;
    *answer = (struct assets_answer){.fd = -1};
    if (!asset_path_normalise(request->path, pathname)) { /* too long for a file, or "*" */
        if (has_code)
            return false;
        answer->status = 404;
        return true;
    }
    enum turn turn = whose_turn(assets, pathname, has_code);
    if (turn == TURN_WORKER)
        return false;
    read_wants(request, &wants);
    return route(assets, request, turn, pathname, &wants, answer);
}

bool assets_route(struct assets *assets, const struct http1_request *request, bool has_code,
                  struct assets_answer *answer)
{
    return route_as(assets, request, has_code, answer);
}

void assets_fetch(struct assets *assets, const struct http1_request *request,
                  struct assets_answer *answer)
{
    bool answered = route_as(assets, request, false, answer);
    (void)answered; /* always, without code */
}
