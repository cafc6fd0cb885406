/* SPDX-License-Identifier: Apache-2.0 */
/* The asset module over a real directory. Expectations follow the documented behaviour of the
 * platform's static assets. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "asset_ignore.h"
#include "asset_path.h"
#include "asset_rules.h"
#include "assets.h"
#include "mime.h"
#include "pattern.h"

/* ---- the directory and the request ---- */

struct site {
    char directory[64];
    struct assets *assets;
    bool has_code;
};

static void write_file(const struct site *site, const char *path, const char *content)
{
    AUTO_TEXT whole = xasprintf("%s%s", site->directory, path);
    for (char *slash = strchr(whole + strlen(site->directory) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        (void)mkdir(whole, 0755);
        *slash = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, strlen(content), file), strlen(content));
    assert_int_equal(fclose(file), 0);
}

/* files: paths separated by blanks; each holds its own path. config: JSON. */
static void site_make(struct site *site, const char *files)
{
    (void)snprintf(site->directory, sizeof(site->directory), "/tmp/weir-assets-XXXXXX");
    assert_non_null(mkdtemp(site->directory));
    AUTO_TEXT copy = xstrdup(files);
    char *rest = copy;
    for (char *path; (path = strsep(&rest, " "));)
        if (*path)
            write_file(site, path, path);
}

static void site_open(struct site *site, const char *config)
{
    json_error_t error;
    json_t *json = json_loads(config, 0, &error);
    assert_non_null(json);
    int fd = open(site->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    site->assets = assets_open(fd, json);
    json_decref(json);
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *at)
{
    (void)stat, (void)type, (void)at;
    return remove(path);
}

static void site_remove(struct site *site)
{
    assets_free(&site->assets);
    assert_int_equal(nftw(site->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* What came back, with its body read. */
struct got {
    int status;
    char headers[4096], head[4096], body[4096];
    int64_t body_bytes;
    bool worker, from_file;
};

/* headers: "name: value\n" lines. */
static struct got ask(struct site *site, const char *method, const char *path, const char *headers)
{
    struct got got = {0};
    struct http1_request *request = xcalloc(1, sizeof(*request));
    struct assets_answer answer;
    request->method = slice_of(method);
    request->path = request->target = slice_of(path);
    request->authority = SLICE("example.com:8787");
    for (const char *line = headers; *line;) {
        const char *colon = strchr(line, ':'), *end = strchr(line, '\n');
        request->headers[request->headers_count++] = (struct http1_header){
            {line, (size_t)(colon - line)}, {colon + 2, (size_t)(end - colon - 2)}};
        line = end + 1;
    }
    got.worker = !assets_route(site->assets, request, site->has_code, &answer);
    free(request);
    if (got.worker)
        return got;
    got.status = answer.status;
    got.body_bytes = answer.body_bytes;
    got.from_file = answer.fd >= 0;
    (void)snprintf(got.headers, sizeof(got.headers), "\n%.*s", (int)answer.headers.len,
                   answer.headers.ptr ? answer.headers.ptr : "");
    (void)snprintf(got.head, sizeof(got.head), "%.*s", (int)answer.head.len,
                   answer.head.ptr ? answer.head.ptr : "");
    if (answer.fd >= 0) {
        ssize_t len = pread(answer.fd, got.body, sizeof(got.body) - 1, answer.offset);
        assert_true(len >= 0);
        if (len > answer.body_bytes)
            len = (ssize_t)answer.body_bytes;
        got.body[len] = 0;
    } else {
        assert_int_equal((int64_t)answer.body.len, answer.body_bytes);
        (void)snprintf(got.body, sizeof(got.body), "%.*s", (int)answer.body.len,
                       answer.body.ptr ? answer.body.ptr : "");
    }
    assets_answer_done(&answer);
    return got;
}

static struct got get(struct site *site, const char *path)
{
    return ask(site, "GET", path, "");
}

/* The value of a field, or "". Static storage. */
static const char *field(const struct got *got, const char *name)
{
    static char value[1024];
    AUTO_TEXT wanted = xasprintf("\n%s: ", name);
    const char *at = strstr(got->headers, wanted);
    value[0] = 0;
    if (at) {
        at += strlen(wanted);
        (void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\n"), at);
    }
    return value;
}

/* ---- which file ---- */

/* expected: "=/file" serves it; ">/path" redirects there with 307; "-" is not found. */
struct page_case {
    const char *files, *path, *expected;
};

static void check_pages(const char *config, const struct page_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct site site = {0};
        site_make(&site, cases[i].files);
        site_open(&site, config);
        struct got got = get(&site, cases[i].path);
        AUTO_TEXT seen = got.status == 200   ? xasprintf("=%s", got.body)
                         : got.status == 307 ? xasprintf(">%s", field(&got, "location"))
                         : got.status == 404 ? xstrdup("-")
                                             : xasprintf("%d", got.status);
        if (strcmp(seen, cases[i].expected) != 0)
            print_error("%s: %s with %s\n", config, cases[i].path, cases[i].files);
        assert_string_equal(seen, cases[i].expected);
        site_remove(&site);
    }
}

static void test_auto_trailing_slash(void **state)
{
    static const struct page_case cases[] = {
        {"/index.html", "/", "=/index.html"},
        {"/index.html", "/index", ">/"},
        {"/index.html", "/index.html", ">/"},
        {"/index.html", "/index.html?a=1&b=/", ">/?a=1&b=/"},
        {"/a.html", "/a", "=/a.html"},
        {"/a.html", "/a.html", ">/a"},
        {"/a.html", "/a/", ">/a"},
        {"/a.html", "/a/index", ">/a"},
        {"/a.html", "/a/index.html", ">/a"},
        {"/d/index.html", "/d", ">/d/"},
        {"/d/index.html", "/d/", "=/d/index.html"},
        {"/d/index.html", "/d.html", ">/d/"},
        {"/d/index.html", "/d/index", ">/d/"},
        {"/d/index.html", "/d/index.html", ">/d/"},
        {"/b.html /b/index.html", "/b", "=/b.html"},
        {"/b.html /b/index.html", "/b/", "=/b/index.html"},
        {"/b.html /b/index.html", "/b.html", ">/b"},
        {"/b.html /b/index.html", "/b/index", ">/b/"},
        {"/b.html /b/index.html", "/b/index.html", ">/b/"},
        {"/f /f.html", "/f", "=/f"},
        {"/f /f.html", "/f.html", "=/f.html"},
        {"/f /f.html", "/f/", "-"},
        {"/f /f.html", "/f/index", "-"},
        {"/x.css", "/x.css", "=/x.css"},
        {"/x.css", "/x.css/", "-"},
        {"/x.css", "/X.css", "-"},
        {"/x.css", "/", "-"},
        {"/d/x.txt", "/d", "-"},
        {"/d/x.txt", "/d/", "-"},
        /* the way to a file is its one canonical spelling */
        {"/[a].html", "/[a]", ">/%5Ba%5D"},
        {"/[a].html", "/%5Ba%5D", "=/[a].html"},
        {"/[a].html", "/%5ba%5d", ">/%5Ba%5D"},
        {"/[a].html", "/%5Ba%5D.html", ">/%5Ba%5D"},
        {"/\xc3\xb2.html", "/%C3%B2", "=/\xc3\xb2.html"},
        {"/\xc3\xb2.html", "/\xc3\xb2", "=/\xc3\xb2.html"},
        {"/%5Ba.html /[a.html", "/%5Ba", "=/[a.html"},
        {"/%5Ba.html /[a.html", "/%255Ba", "=/%5Ba.html"},
        {"/q?x.html", "/q?x", "-"},
        {"/q?x.html", "/q%3Fx", "=/q?x.html"},
        {"/bin%2F /bin/index.html", "/bin%2F", ">/bin/"},
        {"/bin%2F /bin/index.html", "/bin%252F", "=/bin%2F"},
        {"/d/x.txt", "//d///x.txt", ">/d/x.txt"},
        {"/x.txt", "/d/../x.txt", "=/x.txt"},
        {"/x.txt", "/d/%2e%2E/x.txt", "=/x.txt"},
        {"/x.txt", "/%66oo/..\\x.txt", "=/x.txt"},
        {"/%zz.txt", "/%zz.txt", ">/%25zz.txt"},
    };
    (void)state;
    check_pages("{\"html_handling\":\"auto-trailing-slash\"}", cases, ARRAY_LEN(cases));
    check_pages("{}", cases, ARRAY_LEN(cases));
}

static void test_force_trailing_slash(void **state)
{
    static const struct page_case cases[] = {
        {"/index.html", "/", "=/index.html"},
        {"/index.html", "/index", ">/"},
        {"/index.html", "/index.html", ">/"},
        {"/a.html", "/a", ">/a/"},
        {"/a.html", "/a/", "=/a.html"},
        {"/a.html", "/a.html", ">/a/"},
        {"/a.html", "/a/index", ">/a/"},
        {"/a.html", "/a/index.html", ">/a/"},
        {"/d/index.html", "/d", ">/d/"},
        {"/d/index.html", "/d/", "=/d/index.html"},
        {"/d/index.html", "/d.html", ">/d/"},
        {"/d/index.html", "/d/index.html", ">/d/"},
        {"/b.html /b/index.html", "/b", ">/b/"},
        {"/b.html /b/index.html", "/b/", "=/b/index.html"},
        {"/b.html /b/index.html", "/b.html", "=/b.html"},
        {"/f /f.html", "/f", "=/f"},
        {"/x.css", "/x.css", "=/x.css"},
    };
    (void)state;
    check_pages("{\"html_handling\":\"force-trailing-slash\"}", cases, ARRAY_LEN(cases));
}

static void test_drop_trailing_slash(void **state)
{
    static const struct page_case cases[] = {
        {"/index.html", "/", "=/index.html"},
        {"/index.html", "/index", ">/"},
        {"/index.html", "/index.html", ">/"},
        {"/a.html", "/a", "=/a.html"},
        {"/a.html", "/a/", ">/a"},
        {"/a.html", "/a.html", ">/a"},
        {"/a.html", "/a/index", ">/a"},
        {"/a.html", "/a/index.html", ">/a"},
        {"/d/index.html", "/d", "=/d/index.html"},
        {"/d/index.html", "/d/", ">/d"},
        {"/d/index.html", "/d.html", ">/d"},
        {"/d/index.html", "/d/index", ">/d"},
        {"/d/index.html", "/d/index.html", ">/d"},
        {"/b.html /b/index.html", "/b", "=/b.html"},
        {"/b.html /b/index.html", "/b/", ">/b"},
        {"/b.html /b/index.html", "/b/index", ">/b"},
        {"/b.html /b/index.html", "/b/index.html", "=/b/index.html"},
        {"/f /f.html", "/f/", "-"},
        {"/f /f.html", "/f.html", "=/f.html"},
    };
    (void)state;
    check_pages("{\"html_handling\":\"drop-trailing-slash\"}", cases, ARRAY_LEN(cases));
}

static void test_html_handling_none(void **state)
{
    static const struct page_case cases[] = {
        {"/index.html", "/", "-"},     {"/index.html", "/index.html", "=/index.html"},
        {"/a.html", "/a", "-"},        {"/a.html", "/a.html", "=/a.html"},
        {"/d/index.html", "/d/", "-"}, {"/@x.js", "/@x.js", ">/%40x.js"},
    };
    (void)state;
    check_pages("{\"html_handling\":\"none\"}", cases, ARRAY_LEN(cases));
}

static void test_not_found_handling(void **state)
{
    struct site site = {0};
    (void)state;
    site_make(&site, "/index.html /404.html /a/404.html /a/x.html");
    site_open(&site, "{\"not_found_handling\":\"404-page\"}");
    struct got got = get(&site, "/nothing/here");
    assert_int_equal(got.status, 404);
    assert_string_equal(got.body, "/404.html");
    assert_string_equal(field(&got, "content-type"), "text/html; charset=utf-8");
    got = get(&site, "/a/b/c");
    assert_string_equal(got.body, "/a/404.html");
    got = ask(&site, "POST", "/nothing", "");
    assert_int_equal(got.status, 405);
    assets_free(&site.assets);

    site_open(&site, "{\"not_found_handling\":\"single-page-application\"}");
    got = get(&site, "/some/route");
    assert_int_equal(got.status, 200);
    assert_string_equal(got.body, "/index.html");
    got = get(&site, "/a/x");
    assert_string_equal(got.body, "/a/x.html");
    assets_free(&site.assets);

    site_open(&site, "{\"not_found_handling\":\"none\"}");
    got = get(&site, "/some/route");
    assert_int_equal(got.status, 404);
    assert_int_equal(got.body_bytes, 0);
    site_remove(&site);
}

/* ---- whose turn ---- */

static void test_worker_or_assets(void **state)
{
    struct site site = {.has_code = true};
    (void)state;
    site_make(&site, "/index.html /x.css /api/real.txt");
    site_open(&site, "{}");
    assert_false(get(&site, "/").worker);
    assert_false(get(&site, "/x.css").worker);
    assert_false(get(&site, "/index.html").worker); /* redirected */
    assert_true(get(&site, "/api/users").worker);
    assert_true(get(&site, "/y.css").worker);
    assert_true(ask(&site, "POST", "/api/users", "").worker);
    assert_int_equal(ask(&site, "POST", "/x.css", "").status, 405);
    assert_string_equal(ask(&site, "PUT", "/x.css", "").headers, "\nallow: GET, HEAD\n");
    assets_free(&site.assets);

    site_open(&site, "{\"run_worker_first\":true}");
    assert_true(get(&site, "/x.css").worker);
    struct http1_request request = {.method = SLICE("GET"), .path = SLICE("/x.css")};
    struct assets_answer answer;
    assets_fetch(site.assets, &request, &answer);
    assert_int_equal(answer.status, 200);
    assets_answer_keep(&answer);
    assert_memory_equal(answer.body.ptr, "/x.css", 6);
    assets_answer_done(&answer);
    assets_free(&site.assets);

    site_open(&site, "{\"run_worker_first\":[\"/api/*\",\"!/api/real*\"]}");
    assert_true(get(&site, "/api/users").worker);
    assert_false(get(&site, "/api/real.txt").worker);
    assert_int_equal(get(&site, "/api/really").status, 404); /* the assets' turn alone */
    assert_false(get(&site, "/x.css").worker);
    assert_true(get(&site, "/other").worker);
    site_remove(&site);
}

static void test_navigation_prefers_assets(void **state)
{
    struct site site = {.has_code = true};
    (void)state;
    site_make(&site, "/index.html");
    site_open(&site, "{\"not_found_handling\":\"single-page-application\"}");
    assert_true(get(&site, "/route").worker);
    struct got got = ask(&site, "GET", "/route", "sec-fetch-mode: navigate\n");
    assert_false(got.worker);
    assert_string_equal(got.body, "/index.html");
    assert_true(ask(&site, "GET", "/route", "sec-fetch-mode: cors\n").worker);
    assets_free(&site.assets);
    site_open(&site, "{\"not_found_handling\":\"single-page-application\","
                     "\"navigation_prefers_assets\":false}");
    assert_true(ask(&site, "GET", "/route", "sec-fetch-mode: navigate\n").worker);
    site_remove(&site);
}

/* ---- never outside ---- */

static void test_stays_inside(void **state)
{
    struct site site = {0};
    static const char *const refused[] = {
        "/_headers",
        "/_redirects",
        "/.assetsignore",
        "/x/..%2f_headers",
        "/x%2f..%2f_headers",
        "/%2e/_headers",
        "/out/passwd",
        "/link",
        "/..%2f..%2fetc/passwd",
        "/../../etc/passwd",
        "/secret/a.txt",
        "/draft.txt",
        "/.env",
        "/.env.local",
        "/.dev.vars",
        "/sub/.dev.vars",
        "/.git/config",
        "/_worker.js",
        "/x%00.txt",
        "/drafts/a/b.txt",
        "/pipe",
    };
    (void)state;
    site_make(&site, "/index.html /_headers /_redirects /x/y.txt /secret/a.txt /draft.txt "
                     "/keep-draft.txt /.env /.env.local /.dev.vars /sub/.dev.vars /.git/config "
                     "/_worker.js /drafts/a/b.txt /.well-known/security.txt /notes/secret.md "
                     "/sub/_headers");
    write_file(&site, "/.assetsignore",
               "secret/\n# none\n*draft.txt\n!keep-draft.txt\n/drafts/**/*.txt\n");
    AUTO_TEXT out = xasprintf("%s/out", site.directory);
    AUTO_TEXT link_name = xasprintf("%s/link", site.directory);
    AUTO_TEXT inside = xasprintf("%s/inside.txt", site.directory);
    AUTO_TEXT pipe_name = xasprintf("%s/pipe", site.directory);
    assert_int_equal(symlink("/etc", out), 0);
    assert_int_equal(symlink("/etc/passwd", link_name), 0);
    assert_int_equal(symlink("x/y.txt", inside), 0);
    assert_int_equal(mkfifo(pipe_name, 0644), 0);
    site_open(&site, "{}");
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct got got = get(&site, refused[i]);
        if (got.status != 404)
            print_error("%s\n", refused[i]);
        assert_int_equal(got.status, 404);
    }
    assert_string_equal(get(&site, "/inside.txt").body, "/x/y.txt");
    assert_string_equal(get(&site, "/.well-known/security.txt").body, "/.well-known/security.txt");
    assert_string_equal(get(&site, "/keep-draft.txt").body, "/keep-draft.txt");
    assert_string_equal(get(&site, "/notes/secret.md").body, "/notes/secret.md");
    assert_string_equal(get(&site, "/sub/_headers").body, "/sub/_headers");
    site_remove(&site);
}

static void test_long_paths(void **state)
{
    struct site site = {0};
    static char path[9000] = "/";
    (void)state;
    site_make(&site, "/index.html");
    site_open(&site, "{\"not_found_handling\":\"404-page\"}");
    for (size_t len = 4080; len < 4100; len++) {
        memset(path + 1, 'a', len);
        path[len + 1] = 0;
        assert_int_equal(get(&site, path).status, 404);
        memset(path + 1, '[', len);
        assert_int_equal(get(&site, path).status, 404);
    }
    memset(path + 1, '/', sizeof(path) - 2);
    (void)get(&site, path);
    assert_int_equal(get(&site, "*").status, 404);
    site_remove(&site);
}

/* ---- how it is served ---- */

static void test_headers_of_a_file(void **state)
{
    struct site site = {0};
    (void)state;
    site_make(&site, "/a.css /b.unknown /c.PNG /Makefile");
    site_open(&site, "{}");
    struct got got = get(&site, "/a.css");
    assert_string_equal(field(&got, "content-type"), "text/css; charset=utf-8");
    assert_string_equal(field(&got, "cache-control"), "public, max-age=0, must-revalidate");
    assert_true(strlen(field(&got, "etag")) > 2 && field(&got, "etag")[0] == '"');
    assert_true(strstr(field(&got, "last-modified"), " GMT") != NULL);
    assert_string_equal(field(&got, "vary"), "");
    assert_non_null(strstr(got.head, "HTTP/1.1 200 OK\r\ncontent-type: text/css"));
    assert_non_null(strstr(got.head, "\r\ncontent-length: 6\r\n"));
    assert_null(strstr(got.head, "\r\n\r\n"));
    got = get(&site, "/b.unknown");
    assert_string_equal(field(&got, "content-type"), "");
    got = get(&site, "/Makefile");
    assert_string_equal(field(&got, "content-type"), "");
    got = get(&site, "/c.PNG");
    assert_string_equal(field(&got, "content-type"), "image/png");
    got = ask(&site, "GET", "/a.css", "authorization: Bearer x\n");
    assert_int_equal(got.status, 200);
    assert_string_equal(field(&got, "cache-control"), "");
    got = ask(&site, "HEAD", "/a.css", "");
    assert_int_equal(got.status, 200);
    assert_int_equal(got.body_bytes, 6);
    site_remove(&site);
}

static void test_validators(void **state)
{
    struct site site = {0};
    (void)state;
    site_make(&site, "/a.css /b.css");
    site_open(&site, "{\"revalidate_ms\":0}");
    struct got got = get(&site, "/a.css");
    AUTO_TEXT etag = xstrdup(field(&got, "etag"));
    AUTO_TEXT modified = xstrdup(field(&got, "last-modified"));
    const struct {
        const char *format, *value;
        int status;
    } cases[] = {
        {"if-none-match: %s\n", etag, 304},
        {"if-none-match: W/%s\n", etag, 304},
        {"if-none-match: \"x\", %s\n", etag, 304},
        {"if-none-match: *%.0s\n", etag, 304},
        {"if-none-match: \"x\"%.0s\n", etag, 200},
        {"if-none-match: x%s\n", etag, 200},
        {"if-modified-since: %s\n", modified, 304},
        {"if-modified-since: Thu, 01 Jan 1970 00:00:00 GMT%.0s\n", etag, 200},
        {"if-modified-since: Fri, 01 Jan 2100 00:00:00 GMT%.0s\n", etag, 304},
        {"if-modified-since: yesterday%.0s\n", etag, 200},
        {"if-none-match: \"x\"\nif-modified-since: %s\n", modified, 200},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char headers[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(headers, sizeof(headers), cases[i].format, cases[i].value);
#pragma GCC diagnostic pop
        got = ask(&site, "GET", "/a.css", headers);
        if (got.status != cases[i].status)
            print_error("%s", headers);
        assert_int_equal(got.status, cases[i].status);
        assert_string_equal(field(&got, "etag"), etag);
        assert_int_equal(got.body_bytes, cases[i].status == 304 ? 0 : 6);
    }
    /* another file, another validator; the same content put again, the same one */
    got = get(&site, "/b.css");
    assert_string_not_equal(field(&got, "etag"), etag);
    write_file(&site, "/a.css", "changed");
    got = get(&site, "/a.css");
    assert_string_equal(got.body, "changed");
    assert_string_not_equal(field(&got, "etag"), etag);
    assert_non_null(strstr(got.head, "content-length: 7\r\n"));
    write_file(&site, "/a.css", "/a.css");
    got = get(&site, "/a.css");
    assert_string_equal(field(&got, "etag"), etag);
    site_remove(&site);
}

static void test_ranges(void **state)
{
    struct site site = {0};
    static const struct {
        const char *range;
        int status;
        const char *body, *content_range;
    } cases[] = {
        {"bytes=0-0", 206, "0", "bytes 0-0/10"},
        {"bytes=2-4", 206, "234", "bytes 2-4/10"},
        {"bytes=7-", 206, "789", "bytes 7-9/10"},
        {"bytes=7-100", 206, "789", "bytes 7-9/10"},
        {"bytes=-3", 206, "789", "bytes 7-9/10"},
        {"bytes=-30", 206, "0123456789", "bytes 0-9/10"},
        {"BYTES=1-1", 206, "1", "bytes 1-1/10"},
        {"bytes=10-", 416, "", "bytes */10"},
        {"bytes=-0", 416, "", "bytes */10"},
        {"bytes=99999999999999999999999-", 416, "", "bytes */10"},
        {"bytes=0-99999999999999999999999", 206, "0123456789", "bytes 0-9/10"},
        {"bytes=4-2", 200, "0123456789", ""},
        {"bytes=0-1,3-4", 200, "0123456789", ""},
        {"bytes=a-b", 200, "0123456789", ""},
        {"bytes=-", 200, "0123456789", ""},
        {"bytes=", 200, "0123456789", ""},
        {"lines=1-2", 200, "0123456789", ""},
    };
    (void)state;
    site_make(&site, "/index.html");
    write_file(&site, "/n.txt", "0123456789");
    write_file(&site, "/empty.txt", "");
    site_open(&site, "{}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_TEXT header = xasprintf("range: %s\n", cases[i].range);
        struct got got = ask(&site, "GET", "/n.txt", header);
        if (got.status != cases[i].status)
            print_error("%s", header);
        assert_int_equal(got.status, cases[i].status);
        assert_string_equal(got.body, cases[i].body);
        assert_string_equal(field(&got, "content-range"), cases[i].content_range);
    }
    struct got got = get(&site, "/n.txt");
    AUTO_TEXT good = xasprintf("range: bytes=1-2\nif-range: %s\n", field(&got, "etag"));
    assert_int_equal(ask(&site, "GET", "/n.txt", good).status, 206);
    assert_int_equal(ask(&site, "GET", "/n.txt", "range: bytes=1-2\nif-range: \"old\"\n").status,
                     200);
    AUTO_TEXT dated = xasprintf("range: bytes=1-2\nif-range: %s\n", field(&got, "last-modified"));
    assert_int_equal(ask(&site, "GET", "/n.txt", dated).status, 206);
    assert_int_equal(ask(&site, "HEAD", "/n.txt", "range: bytes=1-2\n").status, 200);
    assert_int_equal(ask(&site, "GET", "/empty.txt", "range: bytes=0-\n").status, 416);
    assert_int_equal(get(&site, "/empty.txt").body_bytes, 0);
    site_remove(&site);
}

static void test_precompressed(void **state)
{
    struct site site = {0};
    static const struct {
        const char *path, *accept, *encoding, *body;
    } cases[] = {
        {"/a.js", "gzip, deflate, br, zstd", "br", "/a.js.br"},
        {"/a.js", "gzip", "gzip", "/a.js.gz"},
        {"/a.js", "GZIP;q=0.5", "gzip", "/a.js.gz"},
        {"/a.js", "br;q=0.1, gzip;q=0.9", "gzip", "/a.js.gz"},
        {"/a.js", "br;q=0, gzip", "gzip", "/a.js.gz"},
        {"/a.js", "br;q=0.0", "", "/a.js"},
        {"/a.js", "*", "br", "/a.js.br"},
        {"/a.js", "*;q=0", "", "/a.js"},
        {"/a.js", "br;q=0, *", "gzip", "/a.js.gz"},
        {"/a.js", "abr, xgzip", "", "/a.js"},
        {"/a.js", "identity", "", "/a.js"},
        {"/b.js", "br, gzip", "gzip", "/b.js.gz"},
        {"/c.js", "br, gzip", "", "/c.js"},
    };
    (void)state;
    site_make(&site, "/a.js /a.js.br /a.js.gz /b.js /b.js.gz /c.js");
    site_open(&site, "{}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_TEXT header = xasprintf("accept-encoding: %s\n", cases[i].accept);
        struct got got = ask(&site, "GET", cases[i].path, header);
        if (strcmp(got.body, cases[i].body) != 0)
            print_error("%s %s", cases[i].path, header);
        assert_string_equal(got.body, cases[i].body);
        assert_string_equal(field(&got, "content-encoding"), cases[i].encoding);
        assert_string_equal(field(&got, "content-type"), "text/javascript; charset=utf-8");
        assert_string_equal(field(&got, "vary"),
                            strcmp(cases[i].path, "/c.js") == 0 ? "" : "accept-encoding");
    }
    struct got plain = get(&site, "/a.js");
    AUTO_TEXT plain_etag = xstrdup(field(&plain, "etag"));
    struct got packed = ask(&site, "GET", "/a.js", "accept-encoding: br\n");
    assert_string_not_equal(field(&packed, "etag"), plain_etag);
    struct got range = ask(&site, "GET", "/a.js", "accept-encoding: br\nrange: bytes=0-1\n");
    assert_int_equal(range.status, 206);
    assert_string_equal(range.body, "/a");
    assert_string_equal(field(&range, "content-encoding"), "");
    site_remove(&site);
}

static void test_large_file(void **state)
{
    struct site site = {0};
    static char content[300 * 1024];
    (void)state;
    memset(content, 'x', sizeof(content) - 1);
    site_make(&site, "/index.html");
    write_file(&site, "/large.bin", content);
    site_open(&site, "{}");
    struct got got = get(&site, "/large.bin");
    assert_true(got.from_file);
    assert_int_equal(got.body_bytes, sizeof(content) - 1);
    /* It is replaced before anyone looked again: what is sent is one file or the other, whole. */
    write_file(&site, "/large.bin", "now small");
    got = get(&site, "/large.bin");
    assert_int_equal(got.status, 200);
    assert_string_equal(got.body, "now small");
    assert_int_equal(got.body_bytes, 9);
    AUTO_TEXT path = xasprintf("%s/large.bin", site.directory);
    write_file(&site, "/large.bin", content);
    got = get(&site, "/large.bin");
    assert_int_equal(unlink(path), 0);
    site_remove(&site);
}

static void test_notices_changes(void **state)
{
    struct site site = {.has_code = true};
    (void)state;
    site_make(&site, "/index.html /p.html");
    site_open(&site, "{\"revalidate_ms\":0}");
    assert_true(get(&site, "/new").worker);
    write_file(&site, "/new.html", "here");
    assert_string_equal(get(&site, "/new").body, "here");
    AUTO_TEXT path = xasprintf("%s/new.html", site.directory);
    assert_int_equal(unlink(path), 0);
    assert_true(get(&site, "/new").worker);
    assert_string_equal(get(&site, "/p").body, "/p.html");
    write_file(&site, "/p", "the exact one");
    assert_string_equal(get(&site, "/p").body, "the exact one");
    site_remove(&site);
}

static void test_many_paths(void **state)
{
    struct site site = {0};
    (void)state;
    site_make(&site, "/index.html /d/a.txt");
    site_open(&site, "{\"not_found_handling\":\"single-page-application\"}");
    for (int i = 0; i < 3000; i++) {
        AUTO_TEXT path = xasprintf("/d/%d", i);
        assert_string_equal(get(&site, path).body, "/index.html");
    }
    assert_string_equal(get(&site, "/d/a.txt").body, "/d/a.txt");
    site_remove(&site);
}

/* ---- _headers and _redirects ---- */

static void site_open_rules(struct site *site, const char *html, const char *headers,
                            const char *redirects)
{
    json_t *config = json_pack("{s:s,s:s,s:s}", "html_handling", html, "headers_text", headers,
                               "redirects_text", redirects);
    AUTO_TEXT json = json_dumps(config, 0);
    json_decref(config);
    site_open(site, json);
}

static void test_headers_rules(void **state)
{
    struct site site = {0};
    (void)state;
    site_make(&site, "/index.html /a.txt /d/e.txt /v/1/x.js");
    site_open_rules(&site, "auto-trailing-slash",
                    "# comment\n"
                    "/*\r\n"
                    "  X-All: yes\r\n"
                    "Cache-Control: no-store\n"
                    "\n"
                    "/a.txt\n"
                    "  X-All: twice\n"
                    "  x-two: 1\n"
                    "  X-Two: 2\n"
                    "  ! ETag\n"
                    "  Content-Length: 9999\n"
                    "  Bad Name: x\n"
                    "  Empty:\n"
                    "/d/*\n"
                    "  ! X-All\n"
                    "  X-Rest: got :splat and :nothing\n"
                    "/v/:version/:file\n"
                    "  X-Version: :version_:version of :file\n"
                    "https://example.com/index*\n"
                    "  X-Host: ours\n"
                    "https://:sub.example.org/*\n"
                    "  X-Host: other\n"
                    "https://:name.com/*\n"
                    "  X-Name: :name\n"
                    "http://example.com/*\n"
                    "  X-Wrong: scheme\n",
                    "");
    struct got got = get(&site, "/");
    assert_string_equal(field(&got, "x-all"), "yes");
    assert_string_equal(field(&got, "cache-control"), "no-store");
    assert_string_equal(field(&got, "x-host"), "");
    assert_string_equal(field(&got, "x-name"), "example");
    assert_string_equal(field(&got, "x-wrong"), "");
    got = get(&site, "/index.html"); /* redirects carry them too */
    assert_int_equal(got.status, 307);
    assert_string_equal(field(&got, "x-host"), "ours");
    got = get(&site, "/a.txt");
    assert_string_equal(field(&got, "x-all"), "yes, twice");
    assert_string_equal(field(&got, "x-two"), "1, 2");
    assert_string_equal(field(&got, "etag"), "");
    assert_string_equal(field(&got, "content-length"), "");
    assert_string_equal(field(&got, "empty"), "");
    got = get(&site, "/d/e.txt");
    assert_string_equal(field(&got, "x-all"), "");
    assert_string_equal(field(&got, "x-rest"), "got e.txt and :nothing");
    got = get(&site, "/v/1/x.js");
    assert_string_equal(field(&got, "x-version"), ":version_1 of x.js");
    got = get(&site, "/missing");
    assert_int_equal(got.status, 404);
    assert_string_equal(field(&got, "x-all"), "yes");
    site_remove(&site);
}

static void test_redirect_rules(void **state)
{
    struct site site = {0};
    (void)state;
    site_make(&site, "/index.html /real.txt /users/id.html /old.txt");
    site_open_rules(&site, "auto-trailing-slash", "",
                    "# comment\n"
                    "/home /\n"
                    "/old.txt /real.txt 301 # moved\n"
                    "/away https://example.org/x?y=1#z 308\n"
                    "/frag /real.txt#part 303\n"
                    "/bad-status / 404\n"
                    "/bad-target ftp://x\n"
                    "/a /b /c /d\n"
                    "https://example.com/abs /x\n"
                    "/home /second 301\n"
                    "/proxied https://example.org/ 200\n"
                    "relative /real.txt 307\n"
                    "/users/:id /users/id 200\n"
                    "/gone/:id /nowhere 200\n"
                    "/blog/*  https://blog.example.org/:splat 301\n"
                    "/news/:year/:title.html /:title-:year 302\n"
                    "/open/* /:splat\n"
                    "/* /index.html 200\n"
                    "/two/*/*  /x\n");
    static const struct {
        const char *path;
        int status;
        const char *location;
    } cases[] = {
        {"/home", 302, "/"},
        {"/home?q=1", 302, "/?q=1"},
        {"/home/", 404, ""},
        {"/old.txt", 301, "/real.txt"},
        {"/away?mine=2", 308, "https://example.org/x?y=1#z"},
        {"/frag?q", 303, "/real.txt?q#part"},
        {"/relative", 307, "/real.txt"},
        {"/blog/2024/x?q=1", 301, "https://blog.example.org/2024/x?q=1"},
        {"/blog/", 301, "https://blog.example.org/"},
        {"/news/2024/some.title.html", 302, "/some.title-2024"},
        {"/news/2024/a/b.html", 404, ""},
        {"/open//evil.example", 302, "/evil.example"},
        {"/bad-status", 404, ""},
        {"/bad-target", 404, ""},
        {"/abs", 404, ""},
        {"/proxied", 404, ""},
        {"/two/a/b", 404, ""},
        {"/gone/1", 404, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct got got = get(&site, cases[i].path);
        if (got.status != cases[i].status)
            print_error("%s\n", cases[i].path);
        assert_int_equal(got.status, cases[i].status);
        assert_string_equal(field(&got, "location"), cases[i].location);
    }
    struct got got = get(&site, "/users/17");
    assert_int_equal(got.status, 200);
    assert_string_equal(got.body, "/users/id.html");
    assert_int_equal(ask(&site, "POST", "/home", "").status, 302);
    site.has_code = true;
    assert_int_equal(get(&site, "/gone/1").status, 404); /* rewritten: not the worker's turn */
    assert_true(get(&site, "/elsewhere").worker);
    site_remove(&site);
}

static void test_redirect_limits(void **state)
{
    (void)state;
    AUTO_BUFFER text = {0};
    AUTO_BUFFER target = {0};
    for (int i = 0; i < 2100; i++)
        buffer_printf(&text, "/s%d /t%d\n", i, i);
    for (int i = 0; i < 150; i++)
        buffer_printf(&text, "/d%d/* /u%d\n", i, i);
    buffer_append(&text, "", 1);
    struct asset_rules *rules = asset_rules_new("", buffer_slice(&text).ptr, true);
    assert_int_equal(asset_rules_redirect(rules, "/s1999", &target), 302);
    assert_int_equal(asset_rules_redirect(rules, "/s2000", &target), 0);
    assert_int_equal(asset_rules_redirect(rules, "/d99/x", &target), 302);
    assert_int_equal(asset_rules_redirect(rules, "/d100/x", &target), 0);
    asset_rules_free(&rules);
    /* A pattern that could try for ever gives up. */
    char path[4000];
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = 0;
    rules = asset_rules_new("", "/:a:b:c:d:e:f:g:h! /x\n", true);
    assert_int_equal(asset_rules_redirect(rules, path, &target), 0);
    asset_rules_free(&rules);
}

static void test_globs(void **state)
{
    (void)state;
    assert_true(pattern_glob_matches("/api/*", "/api/"));
    assert_true(pattern_glob_matches("/api/*", "/api/a/b"));
    assert_false(pattern_glob_matches("/api/*", "/api"));
    assert_true(pattern_glob_matches("/*/x", "/a/b/x"));
    assert_true(pattern_glob_matches("*", ""));
    assert_false(pattern_glob_matches("/a", "/ab"));
    assert_true(pattern_glob_matches("/a*b*c", "/aXbYbZc"));
    assert_false(pattern_glob_matches("/a*b*c", "/aXbYbZ"));
}

static void test_mime_table_is_sorted(void **state)
{
    (void)state;
    static const char *const names[] = {"a.3gp",   "a.zst",      "a.html",
                                        "a.woff2", "x/y.tar.gz", "a.JS"};
    static const char *const types[] = {
        "video/3gpp", "application/zstd", "text/html; charset=utf-8",
        "font/woff2", "application/gzip", "text/javascript; charset=utf-8"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_string_equal(mime_of(slice_of(names[i])), types[i]);
    assert_null(mime_of(SLICE("a.")));
    assert_null(mime_of(SLICE("x.y/z")));
    assert_null(mime_of(SLICE("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_auto_trailing_slash),
        cmocka_unit_test(test_force_trailing_slash),
        cmocka_unit_test(test_drop_trailing_slash),
        cmocka_unit_test(test_html_handling_none),
        cmocka_unit_test(test_not_found_handling),
        cmocka_unit_test(test_worker_or_assets),
        cmocka_unit_test(test_navigation_prefers_assets),
        cmocka_unit_test(test_stays_inside),
        cmocka_unit_test(test_long_paths),
        cmocka_unit_test(test_headers_of_a_file),
        cmocka_unit_test(test_validators),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_precompressed),
        cmocka_unit_test(test_large_file),
        cmocka_unit_test(test_notices_changes),
        cmocka_unit_test(test_many_paths),
        cmocka_unit_test(test_headers_rules),
        cmocka_unit_test(test_redirect_rules),
        cmocka_unit_test(test_redirect_limits),
        cmocka_unit_test(test_globs),
        cmocka_unit_test(test_mime_table_is_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
