/* SPDX-License-Identifier: Apache-2.0 */
#include "egress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common.h"

/* An address as 128 bits; IPv4 as ::ffff:a.b.c.d. */
struct rule {
    uint8_t address[16];
    int prefix_bits; /* of the 128 */
    char *host;      /* instead of an address */
    int port;        /* 0: any */
};

struct egress {
    struct rule *rules;
    size_t count;
};

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* Not for workers: this machine, its networks, and what no unicast goes to. */
static const char *const refused[] = {
    "0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
    "::/128",        "::1/128",         "fe80::/10",      "fc00::/7",       "fec0::/10",
    "ff00::/8",      "2001:db8::/32",   "100::/64",
};

static bool parse_address(const char *text, uint8_t ret_address[16], bool *ret_v4)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        memcpy(ret_address, mapped, sizeof(mapped));
        memcpy(ret_address + 12, &v4, 4);
        *ret_v4 = true;
        return true;
    }
    *ret_v4 = false;
    if (inet_pton(AF_INET6, text, &v6) != 1)
        return false;
    memcpy(ret_address, &v6, 16);
    return true;
}

static bool parse_rule(const char *text, struct rule *ret_rule)
{
    bool v4;
    AUTO_TEXT copy = xstrdup(text);
    char *slash = strchr(copy, '/'), *colon = strrchr(copy, ':'), *end;
    *ret_rule = (struct rule){.prefix_bits = 128};
    if (slash) {
        *slash = 0;
        long bits = strtol(slash + 1, &end, 10);
        if (*end || !slash[1] || !parse_address(copy, ret_rule->address, &v4) || bits < 0 ||
            bits > (v4 ? 32 : 128))
            return false;
        ret_rule->prefix_bits = (int)bits + (v4 ? 96 : 0);
        return true;
    }
    if (parse_address(copy, ret_rule->address, &v4))
        return true;
    if (!colon)
        return false;
    long port = strtol(colon + 1, &end, 10);
    if (*end || !colon[1] || port < 1 || port > 65535)
        return false;
    *colon = 0;
    ret_rule->port = (int)port;
    char *host = copy;
    if (host[0] == '[' && colon > host + 1 && colon[-1] == ']') {
        colon[-1] = 0;
        host++;
    }
    if (!parse_address(host, ret_rule->address, &v4))
        ret_rule->host = xstrdup(host);
    return *host != 0;
}

struct egress *egress_new(const json_t *allow)
{
    struct egress *egress = xcalloc(1, sizeof(*egress));
    size_t index;
    json_t *text;
    json_array_foreach(allow, index, text)
    {
        struct rule rule;
        if (!json_is_string(text) || !parse_rule(json_string_value(text), &rule))
            continue;
        egress->rules = xrealloc(egress->rules, (egress->count + 1) * sizeof(rule));
        egress->rules[egress->count++] = rule;
    }
    return egress;
}

void egress_free(struct egress **place)
{
    struct egress *egress = TAKE(*place);
    if (!egress)
        return;
    for (size_t i = 0; i < egress->count; i++)
        free(egress->rules[i].host);
    free(egress->rules);
    free(egress);
}

static bool in_prefix(const uint8_t address[16], const uint8_t prefix[16], int bits)
{
    int whole = bits / 8, rest = bits % 8;
    if (memcmp(address, prefix, (size_t)whole) != 0)
        return false;
    return rest == 0 || (address[whole] ^ prefix[whole]) >> (8 - rest) == 0;
}

static bool is_refused(const uint8_t address[16])
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct rule rule;
        if (parse_rule(refused[i], &rule) && in_prefix(address, rule.address, rule.prefix_bits))
            return true;
    }
    return false;
}

/* IPv6 forms that carry an IPv4 address to which a translator would connect. */
static bool embedded_v4(const uint8_t address[16], uint8_t ret_v4[16])
{
    static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b}, compatible[12] = {0};
    const uint8_t *v4 = NULL;
    if (memcmp(address, nat64, 12) == 0 || memcmp(address, compatible, 12) == 0)
        v4 = address + 12;
    else if (address[0] == 0x20 && address[1] == 0x02) /* 6to4 */
        v4 = address + 2;
    if (!v4)
        return false;
    memcpy(ret_v4, mapped, sizeof(mapped));
    memmove(ret_v4 + 12, v4, 4);
    return true;
}

bool egress_allows(const struct egress *egress, const char *host, const struct sockaddr *sockaddr)
{
    uint8_t address[16], inner[16];
    int port;
    if (sockaddr->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)sockaddr;
        memcpy(address, mapped, sizeof(mapped));
        memcpy(address + 12, &v4->sin_addr, 4);
        port = ntohs(v4->sin_port);
    } else if (sockaddr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)sockaddr;
        memcpy(address, &v6->sin6_addr, 16);
        port = ntohs(v6->sin6_port);
    } else {
        return false;
    }
    for (size_t i = 0; i < egress->count; i++) {
        const struct rule *rule = &egress->rules[i];
        bool matches = rule->host ? host && strcasecmp(rule->host, host) == 0
                                  : in_prefix(address, rule->address, rule->prefix_bits);
        if (matches && (rule->port == 0 || rule->port == port))
            return true;
    }
    if (is_refused(address))
        return false;
    return !embedded_v4(address, inner) || !is_refused(inner);
}
