/* SPDX-License-Identifier: Apache-2.0 */
#include "postgres_url.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Text without its percent signs; NULL: one of them stands before no two digits, or for a NUL. */
static json_t *decode(const char *text, size_t len)
{
    AUTO_TEXT out = xcalloc(1, len + 1);
    size_t count = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '%') {
            out[count++] = text[i];
            continue;
        }
        int high = i + 2 < len ? hex_digit(text[i + 1]) : -1;
        int low = i + 2 < len ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0 || high + low == 0)
            return NULL;
        out[count++] = (char)(high << 4 | low);
        i += 2;
    }
    return json_stringn(out, count);
}

static bool put(json_t *parts, const char *key, const char *text, size_t len)
{
    json_t *value = decode(text, len);
    return value && json_object_set_new(parts, key, value) == 0;
}

/* "host", "host:port", "[v6]:port"; an empty host is the local one. */
static bool add_host(json_t *hosts, const char *text, size_t len)
{
    const char *close = len > 0 && text[0] == '[' ? memchr(text, ']', len) : NULL;
    const char *from = close ? close : text;
    const char *colon = memchr(from, ':', len - (size_t)(from - text));
    size_t host_len = colon ? (size_t)(colon - text) : len;
    long port = 5432;
    if (text[0] == '[' && len > 0 && !close)
        return false;
    if (colon) {
        char *end;
        AUTO_TEXT digits = xstrndup(colon + 1, len - host_len - 1);
        port = strtol(digits, &end, 10);
        if (end == digits || *end || port < 1 || port > 65535)
            return false;
    }
    json_t *host = close ? json_stringn(text + 1, host_len - 2) : decode(text, host_len);
    if (!host)
        return false;
    if (json_string_length(host) == 0) {
        json_decref(host);
        host = json_string("/var/run/postgresql");
    }
    return json_array_append_new(hosts, json_pack("{s:o, s:i}", "host", host, "port", (int)port)) ==
           0;
}

static bool add_hosts(json_t *parts, const char *text, size_t len)
{
    json_t *hosts = json_array();
    (void)json_object_set_new(parts, "hosts", hosts);
    for (;;) {
        const char *comma = memchr(text, ',', len);
        size_t one = comma ? (size_t)(comma - text) : len;
        if (!add_host(hosts, text, one))
            return false;
        if (!comma)
            return true;
        text += one + 1;
        len -= one + 1;
    }
}

static bool add_parameters(json_t *parts, const char *text)
{
    json_t *parameters = json_object();
    (void)json_object_set_new(parts, "parameters", parameters);
    while (*text) {
        size_t len = strcspn(text, "&"), name = strcspn(text, "=&");
        if (name >= len || name == 0)
            return false;
        AUTO_TEXT key = xstrndup(text, name);
        if (!put(parameters, key, text + name + 1, len - name - 1))
            return false;
        text += len + (text[len] == '&');
    }
    return true;
}

static bool take_user(json_t *parts, const char *text, size_t len)
{
    const char *colon = memchr(text, ':', len);
    size_t user = colon ? (size_t)(colon - text) : len;
    return put(parts, "user", text, user) &&
           (!colon || put(parts, "password", colon + 1, len - user - 1));
}

static const char *parse(json_t *parts, const char *rest)
{
    size_t authority = strcspn(rest, "/?");
    const char *at = memrchr(rest, '@', authority);
    if (at && !take_user(parts, rest, (size_t)(at - rest)))
        return "the user or password is not percent-encoded as it should be";
    const char *hosts = at ? at + 1 : rest;
    if (!add_hosts(parts, hosts, authority - (size_t)(hosts - rest)))
        return "a host or a port is malformed";
    rest += authority;
    if (*rest == '/') {
        size_t len = strcspn(rest + 1, "?");
        if (len > 0 && !put(parts, "database", rest + 1, len))
            return "the database's name is not percent-encoded as it should be";
        rest += 1 + len;
    }
    return *rest != '?' || add_parameters(parts, rest + 1) ? NULL : "a parameter has no value";
}

json_t *postgres_url_parse(const char *url, const char **ret_problem)
{
    const char *rest = strncmp(url, "postgres://", 11) == 0     ? url + 11
                       : strncmp(url, "postgresql://", 13) == 0 ? url + 13
                                                                : NULL;
    json_t *parts = json_object();
    *ret_problem = rest ? parse(parts, rest) : "it does not begin with postgres://";
    if (*ret_problem) {
        json_decref(parts);
        return NULL;
    }
    return parts;
}
