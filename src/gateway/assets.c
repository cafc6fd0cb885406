/* SPDX-License-Identifier: Apache-2.0 */
#include "assets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "asset_rules.h"
#include "mime.h"

enum { PATH_BYTES_MAX = 4096 };

enum html_handling { HTML_AUTO, HTML_FORCE_SLASH, HTML_DROP_SLASH, HTML_NONE };
enum not_found { NOT_FOUND_NONE, NOT_FOUND_404_PAGE, NOT_FOUND_SPA };

struct assets {
    int dir_fd;
    enum html_handling html;
    enum not_found not_found;
    bool worker_first;
    char **worker_first_globs; /* "!" in front: not these */
    size_t worker_first_globs_count;
    struct asset_rules *rules;
};

struct file {
    int fd;
    struct stat stat;
    char path[PATH_BYTES_MAX]; /* begins with '/' */
};

/* ---- set-up ---- */

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

struct assets *assets_open(int dir_fd, const json_t *config)
{
    struct assets *assets = xcalloc(1, sizeof(*assets));
    const char *html = text(config, "html_handling"), *missing = text(config, "not_found_handling");
    const json_t *first = json_object_get(config, "run_worker_first");
    assets->dir_fd = dir_fd;
    assets->html = strcmp(html, "force-trailing-slash") == 0  ? HTML_FORCE_SLASH
                   : strcmp(html, "drop-trailing-slash") == 0 ? HTML_DROP_SLASH
                   : strcmp(html, "none") == 0                ? HTML_NONE
                                                              : HTML_AUTO;
    assets->not_found = strcmp(missing, "404-page") == 0                  ? NOT_FOUND_404_PAGE
                        : strcmp(missing, "single-page-application") == 0 ? NOT_FOUND_SPA
                                                                          : NOT_FOUND_NONE;
    assets->worker_first = json_is_true(first);
    size_t index;
    json_t *glob;
    json_array_foreach(first, index, glob)
    {
        if (!json_is_string(glob))
            continue;
        assets->worker_first_globs = xrealloc(
            assets->worker_first_globs, (assets->worker_first_globs_count + 1) * sizeof(char *));
        assets->worker_first_globs[assets->worker_first_globs_count++] =
            xstrdup(json_string_value(glob));
    }
    assets->rules = asset_rules_new(text(config, "headers_text"), text(config, "redirects_text"));
    return assets;
}

void assets_free(struct assets **place)
{
    struct assets *assets = TAKE(*place);
    if (!assets)
        return;
    fd_close(&assets->dir_fd);
    for (size_t i = 0; i < assets->worker_first_globs_count; i++)
        free(assets->worker_first_globs[i]);
    free(assets->worker_first_globs);
    asset_rules_free(&assets->rules);
    free(assets);
}

void assets_answer_done(struct assets_answer *answer)
{
    buffer_done(&answer->headers);
    fd_close(&answer->fd);
}

/* ---- finding the file ---- */

/* Opens a regular file below the directory. False: there is none, or none that is served. */
static bool open_file(const struct assets *assets, const char *path, struct file *ret_file)
{
    static const char *const hidden[] = {"/_headers", "/_redirects", "/.assetsignore",
                                         "/_worker.js"};
    for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
        if (strcmp(path, hidden[i]) == 0)
            return false;
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    const char *relative = path;
    while (*relative == '/')
        relative++;
    if (!*relative || path[strlen(path) - 1] == '/')
        return false;
    int fd = (int)syscall(SYS_openat2, assets->dir_fd, relative, &how, sizeof(how));
    if (fd < 0)
        return false;
    if (fstat(fd, &ret_file->stat) < 0 || !S_ISREG(ret_file->stat.st_mode)) {
        (void)close(fd);
        return false;
    }
    ret_file->fd = fd;
    (void)snprintf(ret_file->path, sizeof(ret_file->path), "%s", path);
    return true;
}

static bool open_format(const struct assets *assets, struct file *ret_file, const char *stem,
                        size_t stem_len, const char *suffix)
{
    char path[PATH_BYTES_MAX];
    int len = snprintf(path, sizeof(path), "%.*s%s", (int)stem_len, stem, suffix);
    return len > 0 && len < (int)sizeof(path) && open_file(assets, path, ret_file);
}

static bool exists(const struct assets *assets, const char *stem, size_t stem_len,
                   const char *suffix)
{
    struct file file;
    if (!open_format(assets, &file, stem, stem_len, suffix))
        return false;
    (void)close(file.fd);
    return true;
}

static bool ends_with(const char *path, size_t len, const char *suffix)
{
    size_t suffix_len = strlen(suffix);
    return len >= suffix_len && memcmp(path + len - suffix_len, suffix, suffix_len) == 0;
}

enum found { FOUND_NOTHING, FOUND_FILE, FOUND_REDIRECT };

static enum found redirect_to(char *ret_location, const char *stem, size_t stem_len,
                              const char *suffix)
{
    (void)snprintf(ret_location, PATH_BYTES_MAX, "%.*s%s", (int)stem_len, stem, suffix);
    return FOUND_REDIRECT;
}

/* A page has one canonical path, which depends on html_handling; the other spellings redirect to
 * it. */
static enum found find_page(const struct assets *assets, const char *stem, size_t stem_len,
                            bool with_slash, bool spelled_out, struct file *ret_file,
                            char *ret_location)
{
    bool as_file = stem_len > 0 && exists(assets, stem, stem_len, ".html");
    bool as_index = exists(assets, stem, stem_len, "/index.html");
    if (!as_file && !as_index)
        return FOUND_NOTHING;
    bool use_index = as_index && (!as_file || with_slash);
    bool want_slash = assets->html == HTML_FORCE_SLASH  ? true
                      : assets->html == HTML_DROP_SLASH ? stem_len == 0
                                                        : use_index;
    if (spelled_out || with_slash != want_slash)
        return redirect_to(ret_location, stem, stem_len, want_slash ? "/" : "");
    return open_format(assets, ret_file, stem, stem_len, use_index ? "/index.html" : ".html")
               ? FOUND_FILE
               : FOUND_NOTHING;
}

static enum found find(const struct assets *assets, const char *path, struct file *ret_file,
                       char *ret_location)
{
    size_t len = strlen(path);
    if (assets->html == HTML_NONE)
        return open_file(assets, path, ret_file) ? FOUND_FILE : FOUND_NOTHING;
    if (ends_with(path, len, "/index.html"))
        return find_page(assets, path, len - 11, true, true, ret_file, ret_location);
    if (ends_with(path, len, "/index") && exists(assets, path, len, ".html"))
        return find_page(assets, path, len - 6, true, true, ret_file, ret_location);
    if (ends_with(path, len, ".html") && exists(assets, path, len, ""))
        return find_page(assets, path, len - 5, false, true, ret_file, ret_location);
    if (path[len - 1] != '/' && open_file(assets, path, ret_file))
        return FOUND_FILE;
    bool slash = path[len - 1] == '/';
    return find_page(assets, path, len - slash, slash, false, ret_file, ret_location);
}

/* ---- the answer ---- */

static struct slice header_of(const struct http1_request *request, const char *name)
{
    struct slice wanted = slice_of(name);
    for (int i = 0; i < request->headers_count; i++)
        if (slice_equal(request->headers[i].name, wanted))
            return request->headers[i].value;
    return (struct slice){0};
}

static bool list_has(struct slice list, const char *word)
{
    size_t len = strlen(word);
    for (size_t i = 0; i + len <= list.len; i++) {
        bool starts = i == 0 || list.ptr[i - 1] == ' ' || list.ptr[i - 1] == ',';
        bool ends = i + len == list.len || strchr(" ,;", list.ptr[i + len]);
        if (starts && ends && strncasecmp(list.ptr + i, word, len) == 0) {
            const char *q = memmem(list.ptr + i, list.len - i, "q=0", 3);
            const char *comma = memchr(list.ptr + i, ',', list.len - i);
            return !q || (comma && q > comma) || (q[3] == '.' && q[4] != '0');
        }
    }
    return false;
}

static void make_etag(const struct stat *stat, const char *variant, char ret_etag[64])
{
    (void)snprintf(ret_etag, 64, "\"%llx-%llx-%llx%s\"", (unsigned long long)stat->st_ino,
                   (unsigned long long)stat->st_size,
                   (unsigned long long)stat->st_mtim.tv_sec * 1000000000ull +
                       (unsigned long long)stat->st_mtim.tv_nsec,
                   variant);
}

/* Weak comparison of If-None-Match (RFC 9110 section 13.1.2). */
static bool etag_matches(struct slice field, const char *etag)
{
    if (field.len == 1 && field.ptr[0] == '*')
        return true;
    return field.len > 0 && memmem(field.ptr, field.len, etag, strlen(etag)) != NULL;
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

/* A single range; anything else is served whole. 0: no range. 206, or 416. */
static int parse_range(struct slice field, int64_t size, int64_t *ret_first, int64_t *ret_count)
{
    if (field.len < 8 || strncasecmp(field.ptr, "bytes=", 6) != 0 ||
        memchr(field.ptr, ',', field.len))
        return 0;
    AUTO_TEXT copy = xstrndup(field.ptr + 6, field.len - 6);
    char *dash = strchr(copy, '-'), *end;
    if (!dash || strspn(copy, "0123456789") != (size_t)(dash - copy) ||
        strspn(dash + 1, "0123456789") != strlen(dash + 1) || strlen(copy) > 38)
        return 0;
    if (dash == copy) { /* the last n bytes */
        int64_t count = strtoll(dash + 1, &end, 10);
        if (!dash[1] || count == 0 || size == 0)
            return 416;
        *ret_count = count < size ? count : size;
        *ret_first = size - *ret_count;
        return 206;
    }
    int64_t first = strtoll(copy, &end, 10),
            last = dash[1] ? strtoll(dash + 1, &end, 10) : size - 1;
    if (last < first)
        return 0;
    if (first >= size)
        return 416;
    *ret_first = first;
    *ret_count = (last < size ? last : size - 1) - first + 1;
    return 206;
}

/* Puts the compressed neighbour in the file's place if there is one that is accepted. */
static const char *choose_encoding(const struct assets *assets, const struct http1_request *request,
                                   struct file *file, bool *ret_vary)
{
    static const struct {
        const char *coding, *suffix;
    } codings[] = {{"br", ".br"}, {"gzip", ".gz"}};
    struct slice accepted = header_of(request, "accept-encoding");
    const char *chosen = NULL;
    for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
        struct file packed;
        if (!open_format(assets, &packed, file->path, strlen(file->path), codings[i].suffix))
            continue;
        *ret_vary = true;
        if (chosen || !list_has(accepted, codings[i].coding)) {
            (void)close(packed.fd);
            continue;
        }
        (void)close(file->fd);
        file->fd = packed.fd;
        file->stat = packed.stat;
        chosen = codings[i].coding;
    }
    return chosen;
}

static void answer_file(const struct assets *assets, const struct http1_request *request,
                        struct file *file, int status, struct assets_answer *answer)
{
    struct buffer *headers = &answer->headers;
    char etag[64], date[64];
    struct tm modified;
    bool vary = false;
    const char *type = mime_of(slice_of(file->path));
    const char *coding = choose_encoding(assets, request, file, &vary);
    make_etag(&file->stat, coding ? coding : "", etag);
    (void)gmtime_r(&file->stat.st_mtim.tv_sec, &modified);
    (void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &modified);
    buffer_printf(headers, "content-type: %s\netag: %s\nlast-modified: %s\n", type, etag, date);
    buffer_append_text(headers, "cache-control: public, max-age=0, must-revalidate\n");
    if (coding)
        buffer_printf(headers, "content-encoding: %s\n", coding);
    if (vary)
        buffer_append_text(headers, "vary: accept-encoding\n");
    if (status == 200)
        buffer_append_text(headers, "accept-ranges: bytes\n");
    answer->status = status;
    answer->fd = file->fd;
    answer->offset = 0;
    answer->body_bytes = file->stat.st_size;

    struct slice none_match = header_of(request, "if-none-match"), range_field;
    time_t since;
    bool fresh = none_match.ptr ? etag_matches(none_match, etag)
                                : parse_date(header_of(request, "if-modified-since"), &since) &&
                                      file->stat.st_mtim.tv_sec <= since;
    if (status == 200 && fresh) {
        answer->status = 304;
        answer->body_bytes = 0;
        fd_close(&answer->fd);
        return;
    }
    struct slice if_range = header_of(request, "if-range");
    range_field = header_of(request, "range");
    if (status != 200 || !range_field.ptr || !slice_equal(request->method, SLICE("GET")) ||
        (if_range.ptr && !slice_equal(if_range, slice_of(etag)) &&
         !slice_equal(if_range, slice_of(date))))
        return;
    int64_t first = 0, count = 0;
    int ranged = parse_range(range_field, file->stat.st_size, &first, &count);
    if (ranged == 206) {
        answer->status = 206;
        answer->offset = first;
        answer->body_bytes = count;
        buffer_printf(headers, "content-range: bytes %lld-%lld/%lld\n", (long long)first,
                      (long long)(first + count - 1), (long long)file->stat.st_size);
    } else if (ranged == 416) {
        answer->status = 416;
        answer->body_bytes = 0;
        fd_close(&answer->fd);
        buffer_printf(headers, "content-range: bytes */%lld\n", (long long)file->stat.st_size);
    }
}

/* Where Location must carry bytes that a path may not show. */
static void append_location(struct buffer *headers, const char *path, struct slice query)
{
    static const char hex[] = "0123456789ABCDEF";
    buffer_append_text(headers, "location: ");
    if (path[0] == '/' && path[1] == '/')
        path++; /* "//host" would leave this site */
    for (const unsigned char *c = (const unsigned char *)path; *c; c++) {
        if (*c <= 0x20 || *c >= 0x7f || strchr("\"<>\\^`{|}%?#", *c))
            buffer_append(headers, (char[]){'%', hex[*c >> 4], hex[*c & 15]}, 3);
        else
            buffer_append(headers, c, 1);
    }
    buffer_append_slice(headers, query);
    buffer_append_text(headers, "\n");
}

/* Percent-decoding with . and .. removed; false for what no file can be meant by. */
static bool decode_path(struct slice raw, char *ret_path)
{
    size_t to = 0;
    for (size_t i = 0; i < raw.len && raw.ptr[i] != '?'; i++) {
        char c = raw.ptr[i];
        if (c == '%') {
            unsigned code;
            char digits[3] = {i + 2 < raw.len ? raw.ptr[i + 1] : 0,
                              i + 2 < raw.len ? raw.ptr[i + 2] : 0, 0};
            if (strspn(digits, "0123456789abcdefABCDEF") != 2 || sscanf(digits, "%x", &code) != 1 ||
                code == 0)
                return false;
            c = (char)code;
            i += 2;
        }
        if (to + 1 >= PATH_BYTES_MAX - 16)
            return false;
        ret_path[to++] = c;
    }
    ret_path[to] = 0;
    return ret_path[0] == '/' && !strstr(ret_path, "/../") && !ends_with(ret_path, to, "/..") &&
           !strstr(ret_path, "//");
}

static bool worker_goes_first(const struct assets *assets, const char *path)
{
    bool first = assets->worker_first;
    for (size_t i = 0; i < assets->worker_first_globs_count; i++) {
        const char *glob = assets->worker_first_globs[i];
        if (asset_glob_matches(glob[0] == '!' ? glob + 1 : glob, path)) {
            if (glob[0] == '!')
                return false;
            first = true;
        }
    }
    return first;
}

static bool answer_not_found(const struct assets *assets, const struct http1_request *request,
                             const char *path, struct assets_answer *answer)
{
    struct file file;
    if (assets->not_found == NOT_FOUND_SPA && open_file(assets, "/index.html", &file)) {
        answer_file(assets, request, &file, 200, answer);
        return true;
    }
    for (size_t len = strlen(path); assets->not_found == NOT_FOUND_404_PAGE && len > 0; len--) {
        if (path[len - 1] == '/' && open_format(assets, &file, path, len, "404.html")) {
            answer_file(assets, request, &file, 404, answer);
            return true;
        }
    }
    return false;
}

bool assets_route(struct assets *assets, const struct http1_request *request, bool has_code,
                  struct assets_answer *answer)
{
    char path[PATH_BYTES_MAX], location[PATH_BYTES_MAX];
    struct file file;
    bool reads =
        slice_equal(request->method, SLICE("GET")) || slice_equal(request->method, SLICE("HEAD"));
    *answer = (struct assets_answer){.fd = -1};
    bool decoded = decode_path(request->path, path);
    if (has_code && (!decoded || worker_goes_first(assets, path)))
        return false;
    const char *question = memchr(request->path.ptr, '?', request->path.len);
    struct slice query = {
        question, question ? (size_t)(request->path.ptr + request->path.len - question) : 0};
    if (decoded) {
        char target[PATH_BYTES_MAX];
        int status =
            asset_rules_redirect(assets->rules, request->authority, path, target, sizeof(target));
        if (status == 200) {
            (void)snprintf(path, sizeof(path), "%s", target);
        } else if (status) {
            answer->status = status;
            buffer_printf(&answer->headers, "location: %s", target);
            if (!strchr(target, '?'))
                buffer_append_slice(&answer->headers, query);
            buffer_append_text(&answer->headers, "\n");
            return true;
        }
        enum found found = find(assets, path, &file, location);
        if (found != FOUND_NOTHING && !reads) {
            if (found == FOUND_FILE)
                (void)close(file.fd);
            if (has_code)
                return false;
            answer->status = 405;
            buffer_append_text(&answer->headers, "allow: GET, HEAD\n");
            return true;
        }
        if (found == FOUND_REDIRECT) {
            answer->status = 307;
            append_location(&answer->headers, location, query);
            return true;
        }
        if (found == FOUND_FILE)
            answer_file(assets, request, &file, 200, answer);
        bool navigates = slice_equal(header_of(request, "sec-fetch-mode"), SLICE("navigate"));
        if (found == FOUND_NOTHING && has_code &&
            !(navigates && reads && assets->not_found == NOT_FOUND_SPA))
            return false; /* a browser that navigates gets the application's page, not the API */
        if (found == FOUND_NOTHING && !(reads && answer_not_found(assets, request, path, answer)))
            goto missing;
        asset_rules_headers(assets->rules, request->authority, path, &answer->headers);
        return true;
    }
missing:
    answer->status = decoded ? 404 : 400;
    buffer_append_text(&answer->headers, "content-type: text/plain; charset=utf-8\n");
    answer->body = decoded ? SLICE("Not found\n") : SLICE("Bad path\n");
    answer->body_bytes = (int64_t)answer->body.len;
    return true;
}
