/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "egress.h"

/* text: IPv4 or IPv6. Static storage. */
static const struct sockaddr *address_of(const char *text, uint16_t port)
{
    static struct sockaddr_storage storage;
    struct sockaddr_in *in = (void *)&storage;
    struct sockaddr_in6 *in6 = (void *)&storage;
    storage = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
    }
    return (const struct sockaddr *)&storage;
}

static void test_public_addresses(void **state)
{
    static const char *const public[] = {
        "1.1.1.1",         "8.8.8.8",          "9.255.255.255",   "11.0.0.0",
        "100.63.255.255",  "100.128.0.0",      "126.255.255.255", "128.0.0.0",
        "169.253.255.255", "169.255.0.0",      "172.15.255.255",  "172.32.0.0",
        "192.0.1.0",       "192.167.255.255",  "192.169.0.0",     "198.17.255.255",
        "198.20.0.0",      "223.255.255.255",  "2606:4700::1",    "2a00:1450::1",
        "::ffff:1.1.1.1",  "64:ff9b::1.1.1.1", "2002:101:101::",  "2001:200::1",
    };
    static const char *const reserved[] = {
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.1",
        "169.254.169.254",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2002:c0a8:1::",
        "2001::1",
        "2001:10::1",
        "2001:db8::1",
        "3fff::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "100::1",
        "4000::1",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(public); i++) {
        if (!egress_is_public(address_of(public[i], 80)))
            print_error("%s\n", public[i]);
        assert_true(egress_is_public(address_of(public[i], 80)));
    }
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++) {
        if (egress_is_public(address_of(reserved[i], 80)))
            print_error("%s\n", reserved[i]);
        assert_false(egress_is_public(address_of(reserved[i], 80)));
    }
    struct sockaddr unix_socket = {.sa_family = AF_UNIX};
    assert_false(egress_is_public(&unix_socket));
}

static void test_allow_list(void **state)
{
    static const struct {
        const char *entry, *host, *address;
        uint16_t port;
        bool allowed;
    } cases[] = {
        {"10.0.0.0/8", "x", "10.1.2.3", 80, true},
        {"10.0.0.0/8", "x", "11.1.2.3", 80, true}, /* public anyway */
        {"10.0.0.0/8", "x", "192.168.0.1", 80, false},
        {"10.0.0.0/9", "x", "10.127.0.1", 80, true},
        {"10.0.0.0/9", "x", "10.128.0.1", 80, false},
        {"10.0.0.0/8", "x", "::ffff:10.1.2.3", 80, true},
        {"10.0.0.5", "x", "10.0.0.5", 1, true},
        {"10.0.0.5", "x", "10.0.0.4", 1, false},
        {"127.0.0.1:5432", "x", "127.0.0.1", 5432, true},
        {"127.0.0.1:5432", "x", "127.0.0.1", 5433, false},
        {"[::1]:80", "x", "::1", 80, true},
        {"[::1]:80", "x", "::1", 81, false},
        {"[::1]", "x", "::1", 81, true},
        {"::1", "x", "::1", 81, true},
        {"fd00::/8", "x", "fd12::1", 80, true},
        {"fd00::/8", "x", "fc12::1", 80, false},
        {"db.internal:5432", "DB.internal", "10.0.0.9", 5432, true},
        {"db.internal:5432", "db.internal", "10.0.0.9", 80, false},
        {"db.internal:5432", "other.internal", "10.0.0.9", 5432, false},
        {"db.internal", "db.internal", "10.0.0.9", 80, true},
        {"0.0.0.0/0", "x", "127.0.0.1", 80, true},
        {"0.0.0.0/0", "x", "::1", 80, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(egress) egress = egress_new();
        assert_int_equal(egress_allow(egress, cases[i].entry), 0);
        enum egress_verdict verdict = egress_check(egress, slice_of(cases[i].host),
                                                   address_of(cases[i].address, cases[i].port));
        if ((verdict == EGRESS_OK) != cases[i].allowed)
            print_error("%s: %s:%u\n", cases[i].entry, cases[i].address, cases[i].port);
        assert_int_equal(verdict == EGRESS_OK, cases[i].allowed);
    }
}

static void test_bad_entries(void **state)
{
    static const char *const bad[] = {
        "",          "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8x", "::/129", "host/8",
        "host:",     "host:0",      "host:65536",  "host:x",    "[::1",        "[::1]x", "[::1]:",
        "[host]:80", "a b",         "http://x",    "host:80/8", "1.2.3.4:+5",
    };
    (void)state;
    AUTO(egress) egress = egress_new();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (egress_allow(egress, bad[i]) != -EINVAL)
            print_error("\"%s\"\n", bad[i]);
        assert_int_equal(egress_allow(egress, bad[i]), -EINVAL);
    }
    assert_int_equal(egress_check(egress, SLICE("x"), address_of("10.0.0.1", 80)), EGRESS_RESERVED);
}

static void test_own_listeners(void **state)
{
    (void)state;
    AUTO(egress) egress = egress_new();
    assert_int_equal(egress_refuse_own(egress, "9.9.9.9", 8787), 0);
    assert_int_equal(egress_refuse_own(egress, "127.0.0.1", 9464), 0);
    assert_int_equal(egress_refuse_own(egress, "name", 80), -EINVAL);
    assert_int_equal(egress_check(egress, SLICE("x"), address_of("9.9.9.9", 8787)), EGRESS_OWN);
    assert_int_equal(egress_check(egress, SLICE("x"), address_of("9.9.9.9", 80)), EGRESS_OK);
    /* A network does not open them; an entry that names the port does. */
    assert_int_equal(egress_allow(egress, "127.0.0.0/8"), 0);
    assert_int_equal(egress_check(egress, SLICE("x"), address_of("127.0.0.1", 80)), EGRESS_OK);
    assert_int_equal(egress_check(egress, SLICE("x"), address_of("127.0.0.1", 9464)), EGRESS_OWN);
    assert_int_equal(egress_check(egress, SLICE("x"), address_of("::ffff:127.0.0.1", 9464)),
                     EGRESS_OWN);
    assert_int_equal(egress_allow(egress, "127.0.0.1:9464"), 0);
    assert_int_equal(egress_check(egress, SLICE("x"), address_of("127.0.0.1", 9464)), EGRESS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_addresses),
        cmocka_unit_test(test_allow_list),
        cmocka_unit_test(test_bad_entries),
        cmocka_unit_test(test_own_listeners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
