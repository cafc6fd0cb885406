/* SPDX-License-Identifier: Apache-2.0 */
#include "egress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

enum { ENTRY_BYTES_MAX = 300 };

/* IPv4 in its mapped form, so that there is one kind. */
struct address {
    uint8_t bytes[16];
};

struct allowed {
    char *host; /* NULL: network */
    struct address network;
    int prefix;
    uint16_t port; /* 0: any */
};

struct own {
    struct address address;
    uint16_t port;
};

struct egress {
    struct allowed *allowed;
    size_t allowed_count;
    struct own *own;
    size_t own_count;
    bool closed;
};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

struct egress *egress_new(void)
{
    return xcalloc(1, sizeof(struct egress));
}

void egress_free(struct egress **place)
{
    struct egress *egress = TAKE(*place);
    if (!egress)
        return;
    for (size_t i = 0; i < egress->allowed_count; i++)
        free(egress->allowed[i].host);
    free(egress->allowed);
    free(egress->own);
    free(egress);
}

/* ---- which addresses are public ---- */

/* IANA's special-purpose registry: what is not global, or not for a client to name. */
static const struct {
    uint32_t network;
    int prefix;
} reserved4[] = {
    {0x00000000, 8},  /* this network */
    {0x0a000000, 8},  /* private */
    {0x64400000, 10}, /* carrier-grade NAT */
    {0x7f000000, 8},  /* loopback */
    {0xa9fe0000, 16}, /* link-local, and the clouds' metadata */
    {0xac100000, 12}, /* private */
    {0xc0000000, 24}, /* IETF protocols */
    {0xc0000200, 24}, /* documentation */
    {0xc0586300, 24}, /* 6to4 relays */
    {0xc0a80000, 16}, /* private */
    {0xc6120000, 15}, /* benchmarks */
    {0xc6336400, 24}, /* documentation */
    {0xcb007100, 24}, /* documentation */
    {0xe0000000, 4},  /* multicast */
    {0xf0000000, 4},  /* reserved, broadcast */
};

static bool is_public4(const uint8_t bytes[4])
{
    uint32_t address =
        (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    for (size_t i = 0; i < ARRAY_LEN(reserved4); i++)
        if (((address ^ reserved4[i].network) >> (32 - reserved4[i].prefix)) == 0)
            return false;
    return true;
}

static bool has_prefix(const struct address *address, const void *prefix, size_t bytes)
{
    return memcmp(address->bytes, prefix, bytes) == 0;
}

static bool is_public(const struct address *address)
{
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    static const uint8_t documentation[4] = {0x20, 0x01, 0x0d, 0xb8};
    const uint8_t *bytes = address->bytes;
    if (has_prefix(address, mapped, 12) || has_prefix(address, nat64, 12))
        return is_public4(bytes + 12);
    if (bytes[0] == 0x20 && bytes[1] == 0x02) /* 6to4 */
        return is_public4(bytes + 2);
    if (bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] < 0x02)
        return false; /* 2001::/23: Teredo and other protocols */
    if (has_prefix(address, documentation, 4) ||
        (bytes[0] == 0x3f && bytes[1] == 0xff && bytes[2] < 0x10))
        return false; /* 3fff::/20 is documentation too */
    /* All global unicast is there; loopback, unique local, link-local and multicast are not. */
    return (bytes[0] & 0xe0) == 0x20;
}

/* False: another family. */
static bool take_address(const struct sockaddr *from, struct address *ret_address,
                         uint16_t *ret_port)
{
    if (from->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)from;
        memcpy(ret_address->bytes, mapped, sizeof(mapped));
        memcpy(ret_address->bytes + 12, &in->sin_addr, 4);
        *ret_port = ntohs(in->sin_port);
        return true;
    }
    if (from->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)from;
        memcpy(ret_address->bytes, &in6->sin6_addr, 16);
        *ret_port = ntohs(in6->sin6_port);
        return true;
    }
    return false;
}

bool egress_is_public(const struct sockaddr *from)
{
    struct address address;
    uint16_t port;
    return take_address(from, &address, &port) && is_public(&address);
}

/* ---- the lists ---- */

/* Text of an address, IPv4 or IPv6; the bits that a prefix length counts from in *ret_offset. */
static bool parse_address(const char *text, struct address *ret_address, int *ret_offset)
{
    if (inet_pton(AF_INET6, text, ret_address->bytes) == 1) {
        *ret_offset = 0;
        return true;
    }
    memcpy(ret_address->bytes, mapped, sizeof(mapped));
    *ret_offset = 96;
    return inet_pton(AF_INET, text, ret_address->bytes + 12) == 1;
}

static bool parse_number(const char *text, long max, long *ret_number)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *ret_number = strtol(text, &end, 10);
    return !*end && errno == 0 && *ret_number <= max;
}

static bool is_host(const char *text)
{
    return *text && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789-._") == strlen(text);
}

/* Splits the port off: "[v6]:port", "host:port"; an IPv6 address without brackets has none. */
static bool split_port(char *text, char **ret_rest, uint16_t *ret_port)
{
    long port;
    char *colon = strrchr(text, ':'), *bracket = strrchr(text, ']');
    *ret_port = 0;
    *ret_rest = text;
    if (text[0] == '[') {
        if (!bracket || (bracket[1] && bracket[1] != ':'))
            return false;
        *ret_rest = text + 1;
        colon = bracket[1] ? bracket + 1 : NULL;
        *bracket = 0;
    } else if (colon && strchr(text, ':') != colon) {
        return true;
    }
    if (!colon)
        return true;
    *colon = 0;
    if (!parse_number(colon + 1, 65535, &port) || port == 0)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

int egress_allow(struct egress *egress, const char *entry)
{
    char copy[ENTRY_BYTES_MAX], *text;
    struct allowed allowed = {0};
    int offset = 0;
    long prefix;
    if (strlen(entry) >= sizeof(copy))
        return -EINVAL;
    (void)snprintf(copy, sizeof(copy), "%s", entry);
    char *slash = strchr(copy, '/');
    if (slash) {
        *slash = 0;
        if (!parse_address(copy, &allowed.network, &offset) ||
            !parse_number(slash + 1, 128 - offset, &prefix))
            return -EINVAL;
        allowed.prefix = (int)prefix + offset;
    } else if (!split_port(copy, &text, &allowed.port)) {
        return -EINVAL;
    } else if (parse_address(text, &allowed.network, &offset)) {
        allowed.prefix = 128;
    } else if (is_host(text) && copy[0] != '[') {
        allowed.host = xstrdup(text);
    } else {
        return -EINVAL;
    }
    egress->allowed =
        xrealloc(egress->allowed, (egress->allowed_count + 1) * sizeof(egress->allowed[0]));
    egress->allowed[egress->allowed_count++] = allowed;
    return 0;
}

int egress_refuse_own(struct egress *egress, const char *address, uint16_t port)
{
    struct own own = {.port = port};
    int offset;
    if (!parse_address(address, &own.address, &offset))
        return -EINVAL;
    egress->own = xrealloc(egress->own, (egress->own_count + 1) * sizeof(egress->own[0]));
    egress->own[egress->own_count++] = own;
    return 0;
}

void egress_close(struct egress *egress)
{
    egress->closed = true;
}

bool egress_is_closed(const struct egress *egress)
{
    return egress->closed;
}

/* ---- the verdict ---- */

static bool in_network(const struct address *address, const struct allowed *allowed)
{
    int whole = allowed->prefix / 8, rest = allowed->prefix % 8;
    if (memcmp(address->bytes, allowed->network.bytes, (size_t)whole) != 0)
        return false;
    return rest == 0 ||
           ((address->bytes[whole] ^ allowed->network.bytes[whole]) >> (8 - rest)) == 0;
}

static bool is_allowed(const struct egress *egress, struct slice host,
                       const struct address *address, uint16_t port, bool by_port)
{
    for (size_t i = 0; i < egress->allowed_count; i++) {
        const struct allowed *allowed = &egress->allowed[i];
        if ((allowed->port != 0 && allowed->port != port) || (by_port && allowed->port == 0))
            continue;
        if (allowed->host ? slice_equal_nocase(host, slice_of(allowed->host))
                          : in_network(address, allowed))
            return true;
    }
    return false;
}

static bool is_own(const struct egress *egress, const struct address *address, uint16_t port)
{
    for (size_t i = 0; i < egress->own_count; i++)
        if (egress->own[i].port == port &&
            memcmp(&egress->own[i].address, address, sizeof(*address)) == 0)
            return true;
    return false;
}

enum egress_verdict egress_check(const struct egress *egress, struct slice host,
                                 const struct sockaddr *from)
{
    struct address address;
    uint16_t port;
    if (egress->closed || !take_address(from, &address, &port))
        return EGRESS_RESERVED;
    if (is_own(egress, &address, port) && !is_allowed(egress, host, &address, port, true))
        return EGRESS_OWN;
    if (is_public(&address) || is_allowed(egress, host, &address, port, false))
        return EGRESS_OK;
    return EGRESS_RESERVED;
}
