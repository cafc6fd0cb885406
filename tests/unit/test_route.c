/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "route.h"

/* Routes only carry the pointer. */
static struct deployment *worker(int number)
{
    static char places[16];
    return (struct deployment *)(void *)&places[number];
}

static void find(const struct routes *routes, const char *host, const char *path, int wanted)
{
    struct deployment *got = routes_find(routes, slice_of(host), slice_of(path));
    assert_ptr_equal(got, wanted ? worker(wanted) : NULL);
}

static void the_most_specific_pattern_wins(void **state)
{
    struct routes *routes = routes_new();
    (void)state;
    routes_add(routes, "*/*", worker(1));
    routes_add(routes, "*.example.com/*", worker(2));
    routes_add(routes, "example.com/*", worker(3));
    routes_add(routes, "example.com/api/*", worker(4));
    routes_add(routes, "example.com/api/exact", worker(5));
    routes_add(routes, "https://*suffix.org/*", worker(6));
    routes_add(routes, "a.example.com/*", worker(7));
    routes_add(routes, "bare.net", worker(8));
    find(routes, "example.com", "/", 3);
    find(routes, "Example.COM:8080", "/x?api=/api/", 3);
    find(routes, "example.com", "/api/", 4);
    find(routes, "example.com", "/api", 3);
    find(routes, "example.com", "/api/exact", 5);
    find(routes, "example.com", "/api/exact?q", 5);
    find(routes, "example.com", "/api/exact/more", 4);
    find(routes, "b.example.com", "/", 2);
    find(routes, "a.example.com", "/", 7);
    find(routes, "x.a.example.com", "/", 2);
    find(routes, "suffix.org", "/", 6);
    find(routes, "my.suffix.org", "/", 6);
    find(routes, "mysuffix.org", "/", 6);
    find(routes, "bare.net", "/anything", 8);
    find(routes, "notexample.com", "/", 1);
    find(routes, "[::1]:80", "/", 1);
    find(routes, "", "/", 1);
    routes_free(&routes);
}

static void without_a_match_the_default_answers(void **state)
{
    struct routes *routes = routes_new();
    (void)state;
    routes_add(routes, "example.com/only/*", worker(1));
    find(routes, "example.com", "/", 0);
    routes_set_default(routes, worker(2));
    find(routes, "example.com", "/", 2);
    find(routes, "example.com", "/only/", 1);
    find(routes, "com", "/only/", 2);
    routes_free(&routes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_specific_pattern_wins),
        cmocka_unit_test(without_a_match_the_default_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
