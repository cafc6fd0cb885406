/* SPDX-License-Identifier: Apache-2.0 */
/* The parser on bytes alone. The cases over sockets are in tests/gateway; here is what only a unit
 * test can do: each input in an allocation of its exact size, cut at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http1.h"

static const struct http1_limits limits = {
    .head_bytes_max = 4096, .target_bytes_max = 1024, .headers_count_max = 16};
static struct http1_request request;
static char *copy; /* what request points into */

/* Parses bytes[0..len) in memory that ends there. */
static int parse_len(const char *bytes, size_t len)
{
    free(copy);
    copy = malloc(len ? len : 1);
    memcpy(copy, bytes, len);
    return http1_parse(copy, len, &limits, &request);
}

static int parse(const char *bytes)
{
    return parse_len(bytes, strlen(bytes));
}

static bool is(struct slice got, const char *wanted)
{
    return slice_equal(got, slice_of(wanted));
}

static void a_head_becomes_its_parts(void **state)
{
    const char *head = "POST /a/b?c=d HTTP/1.1\r\nHost: Example.com:8080\r\nX-Two:\t two words \r\n"
                       "Content-Length: 12\r\nConnection: Keep-Alive, Upgrade\r\n\r\n";
    (void)state;
    assert_int_equal(parse(head), (int)strlen(head));
    assert_true(is(request.method, "POST"));
    assert_true(is(request.path, "/a/b?c=d"));
    assert_true(is(request.authority, "Example.com:8080"));
    assert_int_equal(request.headers_count, 4);
    assert_true(is(request.headers[1].name, "x-two"));
    assert_true(is(request.headers[1].value, "two words"));
    assert_int_equal(request.content_length, 12);
    assert_true(request.has_length && request.keep_alive && request.upgrade);
    assert_false(request.chunked || request.expect_continue);
}

static void what_follows_a_head_is_not_touched(void **state)
{
    const char *two = "GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHOST: b\r\n\r\n";
    (void)state;
    int first = parse(two);
    assert_int_equal(first, 28);
    assert_memory_equal(copy + first, two + first, strlen(two) - (size_t)first);
}

static void every_prefix_needs_more(void **state)
{
    const char *head = "\r\nGET http://[::1]:80/x HTTP/1.1\r\nHost: a\r\nX: y\r\nExpect: "
                       "100-continue\r\nTransfer-Encoding: chunked\r\n\r\n";
    (void)state;
    for (size_t len = 0; len < strlen(head); len++)
        assert_int_equal(parse_len(head, len), 0);
    assert_int_equal(parse(head), (int)strlen(head));
    assert_true(is(request.authority, "[::1]:80"));
    assert_true(request.chunked && request.expect_continue);
}

static void versions_and_persistence(void **state)
{
    (void)state;
    assert_true(parse("GET / HTTP/1.1\r\nHost: a\r\n\r\n") > 0 && request.keep_alive);
    assert_true(parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n") > 0);
    assert_false(request.keep_alive);
    assert_true(parse("GET / HTTP/1.0\r\n\r\n") > 0 && request.minor == 0);
    assert_false(request.keep_alive);
    assert_true(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") > 0);
    assert_true(request.keep_alive);
    assert_true(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n") > 0);
    assert_false(request.keep_alive);
    assert_true(parse("GET / HTTP/1.7\r\nHost: a\r\n\r\n") > 0 && request.minor == 1);
    assert_int_equal(parse("GET / HTTP/3.0\r\nHost: a\r\n\r\n"), -505);
}

static void a_body_has_one_length(void **state)
{
    static const char *const refused[] = {
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1,1\r\n",
        "Content-Length: 1a\r\n",
        "Content-Length: 9223372036854775808\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked,\r\n",
        "Transfer-Encoding: , chunked\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        char head[512];
        (void)snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n", refused[i]);
        int r = parse(head);
        assert_true(r == -400 || r == -501);
    }
    assert_true(parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 00010\r\n\r\n") > 0);
    assert_int_equal(request.content_length, 10);
}

static void limits_have_their_status(void **state)
{
    char *head = malloc(20000);
    (void)state;
    int len = sprintf(head, "GET /%01030d HTTP/1.1\r\nHost: a\r\n\r\n", 0);
    assert_int_equal(parse_len(head, (size_t)len), -414);
    assert_int_equal(parse_len(head, 1100), -414); /* before the line's end is there */
    len = sprintf(head, "GET / HTTP/1.1\r\nHost: a\r\nX: %05000d\r\n\r\n", 0);
    assert_int_equal(parse_len(head, (size_t)len), -431);
    assert_int_equal(parse_len(head, 4096), -431);
    assert_int_equal(parse_len(head, 4095), 0);
    len = sprintf(head, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 15; i++)
        len += sprintf(head + len, "X-%d: y\r\n", i);
    (void)sprintf(head + len, "\r\n");
    assert_true(parse(head) > 0);
    (void)sprintf(head + len, "Y: z\r\n\r\n");
    assert_int_equal(parse(head), -431);
    free(head);
}

/* Decodes input given in pieces of `step` bytes, data in pieces of at most data_max. Returns the
 * last result and the bytes consumed. */
static int decode(const char *input, size_t step, size_t data_max, char *ret_data,
                  size_t *ret_consumed)
{
    struct http1_chunks chunks = {0};
    size_t len = strlen(input), at = 0, have = 0, data_len = 0;
    int r = 0;
    while (r >= 0 && r != 2) {
        struct slice data;
        size_t used;
        char *piece = malloc(have - at ? have - at : 1);
        memcpy(piece, input + at, have - at);
        r = http1_chunks_read(&chunks, piece, have - at, data_max, &used, &data);
        assert_true(used <= have - at && data.len <= data_max);
        memcpy(ret_data + data_len, data.ptr ? data.ptr : "", data.len);
        data_len += data.len;
        free(piece);
        at += used;
        if (r == 0 && have == len)
            break;
        if (r == 0)
            have = have + step < len ? have + step : len;
    }
    ret_data[data_len] = 0;
    *ret_consumed = at;
    return r;
}

static void chunks_decode_the_same_however_they_come(void **state)
{
    const char *body = "5\r\nhello\r\n001;x=y;z=\"q\"\r\n \r\nA \t;e\r\n0123456789\r\n0\r\n"
                       "Trailer: dropped\r\nAnother: one\r\n\r\n";
    char input[512], data[256];
    size_t consumed;
    (void)state;
    (void)snprintf(input, sizeof(input), "%sGET / HTTP/1.1\r\n", body);
    for (size_t step = 1; step < strlen(input); step++) {
        for (size_t data_max = 1; data_max < 12; data_max++) {
            assert_int_equal(decode(input, step, data_max, data, &consumed), 2);
            assert_string_equal(data, "hello 0123456789");
            assert_int_equal(consumed, strlen(body));
        }
    }
}

static void broken_chunks_are_refused(void **state)
{
    static const char *const broken[] = {
        "g\r\n",
        ";x\r\n",
        " 1\r\na\r\n",
        "1\ra\r\n",
        "1\r\nab",
        "1\r\na\nX",
        "1\r\na\r\r",
        "1\t\r\na\r\n",
        "fffffffffffffffff",
        "0\r\nA b: c\r\n",
        "0\r\n:\r\n",
        "0\r\nx\r\n",
        "1,1\r\na\r\n\n",
        "1000000000000000\r\n",
    };
    char data[64];
    size_t consumed;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        char input[64];
        (void)snprintf(input, sizeof(input), "%s\r\n\r\n\r\n", broken[i]);
        assert_int_equal(decode(input, 1, 64, data, &consumed), -400);
        assert_int_equal(decode(input, 64, 64, data, &consumed), -400);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_becomes_its_parts),
        cmocka_unit_test(what_follows_a_head_is_not_touched),
        cmocka_unit_test(every_prefix_needs_more),
        cmocka_unit_test(versions_and_persistence),
        cmocka_unit_test(a_body_has_one_length),
        cmocka_unit_test(limits_have_their_status),
        cmocka_unit_test(chunks_decode_the_same_however_they_come),
        cmocka_unit_test(broken_chunks_are_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(copy);
    return failed;
}
