/* SPDX-License-Identifier: Apache-2.0 */
#include "checks.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common.h"

static bool is_ip(const char *text)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

const char *check_address(const char *text)
{
    return is_ip(text) || strcmp(text, "localhost") == 0
               ? NULL
               : "expected an IP address such as \"127.0.0.1\", \"0.0.0.0\" or \"::\"";
}

static bool has_blank(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || *text == 0x7f)
            return true;
    return false;
}

const char *check_route(const char *text)
{
    size_t host_len = strcspn(text, "/");
    const char *path = text + host_len, *star;
    if (!*text)
        return "it is empty; expected \"host/path*\", such as \"example.com/*\"";
    if (strstr(text, "://"))
        return "leave the scheme away, as in \"example.com/*\"";
    if (has_blank(text))
        return "there are blanks in it; each route is a string of its own";
    if (host_len == 0)
        return "it has no host; expected \"host/path*\", or \"*/path*\" for every host";
    star = memchr(text + 1, '*', host_len - 1);
    if (star)
        return "* may stand only at the begin of the host and at the end of the path";
    if (memchr(text, ':', host_len))
        return "leave the port away: a worker is reached through every listener";
    star = strchr(path, '*');
    if (star && star[1])
        return "* may stand only at the begin of the host and at the end of the path";
    if (strpbrk(path, "?#"))
        return "a route ends before the query; use * at the end of the path";
    return NULL;
}

char *check_route_canonical(const char *text)
{
    const char *scheme = strstr(text, "://");
    text = scheme ? scheme + 3 : text;
    size_t host_len = strcspn(text, "/");
    char *route = xasprintf("%s%s", text, text[host_len] ? "" : "/*");
    for (size_t i = 0; i < host_len; i++)
        route[i] = (char)tolower((unsigned char)route[i]);
    return route;
}

static bool is_number(const char *text, long min, long max)
{
    char *end;
    long number = strtol(text, &end, 10);
    return isdigit((unsigned char)*text) && !*end && number >= min && number <= max;
}

static bool is_network(const char *text, const char *slash)
{
    unsigned char bytes[16];
    AUTO_TEXT address = xstrndup(text, (size_t)(slash - text));
    if (inet_pton(AF_INET, address, bytes) == 1)
        return is_number(slash + 1, 0, 32);
    return inet_pton(AF_INET6, address, bytes) == 1 && is_number(slash + 1, 0, 128);
}

static bool is_host(const char *text)
{
    size_t len = strlen(text), digits = strspn(text, "0123456789.");
    if (len == 0 || len > 253 || digits == len) /* numbers and dots: a mistyped address */
        return false;
    for (const char *at = text; *at; at++) {
        bool edge = at == text || at[-1] == '.' || !at[1] || at[1] == '.';
        if (*at == '.' ? at == text || at[-1] == '.'
                       : !isalnum((unsigned char)*at) && (edge || (*at != '-' && *at != '_')))
            return false;
    }
    return true;
}

/* "[::1]:80" or "[::1]" */
static bool is_bracketed(const char *text)
{
    unsigned char bytes[16];
    const char *end = strchr(text, ']');
    if (!end || (end[1] && (end[1] != ':' || !is_number(end + 2, 1, 65535))))
        return false;
    AUTO_TEXT address = xstrndup(text + 1, (size_t)(end - text - 1));
    return inet_pton(AF_INET6, address, bytes) == 1;
}

static bool is_egress(const char *text)
{
    const char *slash = strchr(text, '/'), *colon = strchr(text, ':');
    if (slash)
        return is_network(text, slash);
    if (text[0] == '[')
        return is_bracketed(text);
    if (is_ip(text))
        return true;
    AUTO_TEXT host = colon ? xstrndup(text, (size_t)(colon - text)) : xstrdup(text);
    return (is_ip(host) || is_host(host)) && (!colon || is_number(colon + 1, 1, 65535));
}

const char *check_egress(const char *text)
{
    return is_egress(text) ? NULL
                           : "expected an address, a network such as \"10.0.0.0/8\", or "
                             "\"host:port\"";
}

const char *check_worker_name(const char *text)
{
    bool fine = *text && *text != '-' && strlen(text) <= 255;
    for (; fine && *text; text++)
        fine = islower((unsigned char)*text) || isdigit((unsigned char)*text) || *text == '-' ||
               *text == '_';
    return fine ? NULL : "expected lower-case letters, digits, - and _";
}

const char *check_date(const char *text)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day, used = 0;
    bool fine = strlen(text) == 10 && strspn(text, "0123456789-") == 10 &&
                sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) == 3 && used == 10 &&
                month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
    return fine ? NULL : "expected a date such as \"2025-01-31\"";
}

const char *check_asset_glob(const char *text)
{
    return text[0] == '/' || (text[0] == '!' && text[1] == '/')
               ? NULL
               : "expected a glob that begins with / or !/, such as \"/api/*\"";
}

const char *check_socket_dir(const char *text)
{
    return text[0] == '@' ? "abstract sockets are not possible; give a directory" : NULL;
}

const char *check_file_mode(const char *text)
{
    size_t len = strlen(text);
    bool octal = len > 0 && len <= 4 && strspn(text, "01234567") == len;
    return octal && strtol(text, NULL, 8) <= 0777 ? NULL
                                                  : "expected rights in octal, such as \"0770\"";
}

const char *check_group(const char *text, unsigned *ret_id)
{
    const struct group *group = getgrnam(text);
    if (!group && !is_number(text, 0, 0x7fffffff))
        return "there is no such group on this machine";
    *ret_id = group ? group->gr_gid : (unsigned)atol(text);
    return NULL;
}

bool check_is_verifier(const char *secret)
{
    return strncmp(secret, "SCRAM-SHA-256$", 14) == 0;
}

bool check_others_read(const char *path)
{
    struct stat stat_;
    return stat(path, &stat_) == 0 && (stat_.st_mode & S_IROTH) != 0;
}
