/* SPDX-License-Identifier: Apache-2.0 */
/* base64url: the vectors of RFC 4648 section 10 without their padding, and what is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base64url.h"

static const struct {
    const char *bytes, *text;
} vectors[] = {
    {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
    {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xfe", "-__-"},
};

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        AUTO_BUFFER out = {0};
        unsigned char room[16] = {0};
        base64url_append(&out, vectors[i].bytes, strlen(vectors[i].bytes));
        assert_true(slice_equal(buffer_slice(&out), slice_of(vectors[i].text)));
        ssize_t len = base64url_decode(slice_of(vectors[i].text), room);
        assert_int_equal(len, strlen(vectors[i].bytes));
        assert_memory_equal(room, vectors[i].bytes, (size_t)len);
    }
}

static void test_refused(void **state)
{
    static const char *const wrong[] = {"Z",      "Zg==", "Zm9vZ", "Zh",      "Zm9",
                                        "Zm9v\n", "Zm+v", "Zm/v",  "\xff\xff"};
    unsigned char room[16];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(base64url_decode(slice_of(wrong[i]), room), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
