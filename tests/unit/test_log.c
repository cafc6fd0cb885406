/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines: what strangers can put into them, and what not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"

/* What log writes of the text, borrowed until the next call. */
static const char *logged(bool several, const char *text)
{
    static char got[1024];
    int ends[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    (void)dup2(ends[1], STDERR_FILENO);
    log_write(LOG_WARN, several, "%s", text);
    (void)dup2(saved, STDERR_FILENO);
    ssize_t len = read(ends[0], got, sizeof(got) - 1);
    (void)close(saved);
    (void)close(ends[0]);
    (void)close(ends[1]);
    assert_true(len > 0);
    got[len] = '\0';
    return got;
}

static void test_line(void **state)
{
    (void)state;
    log_init("unit", LOG_INFO, false);
    assert_string_equal(logged(false, "user a\nweir[pool] warn: forged"),
                        "weir[unit] warn: user a\\nweir[pool] warn: forged\n");
    assert_string_equal(logged(false, "\033[2K\r\t\b\x7f"),
                        "weir[unit] warn: \\x1b[2K\\x0d\\x09\\x08\\x7f\n");
    assert_string_equal(logged(false, "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x98 \\ \""),
                        "weir[unit] warn: \xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x98 \\ \"\n");
    /* C1, what is not UTF-8, and a sequence that ends too early. */
    assert_string_equal(logged(false, "\xc2\x9b 31m \xff \xe2\x82"),
                        "weir[unit] warn: \\xc2\\x9b 31m \\xff \\xe2\\x82\n");
}

static void test_lines(void **state)
{
    (void)state;
    log_init("unit", LOG_INFO, false);
    assert_string_equal(logged(true, "Error: no\n    at a.js:1\n\tb\033[31m"),
                        "weir[unit] warn: Error: no\n    at a.js:1\n\tb\\x1b[31m\n");
    assert_string_equal(logged(true, "Error\nweir[pool] warn: forged"),
                        "weir[unit] warn: Error\n  weir[pool] warn: forged\n");
}

static void test_json(void **state)
{
    (void)state;
    log_init("unit", LOG_INFO, true);
    assert_non_null(
        strstr(logged(false, "a\"\n\033\x7f"), "\"text\":\"a\\\"\\u000a\\u001b\\u007f\"}\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
