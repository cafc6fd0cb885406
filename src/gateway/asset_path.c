/* SPDX-License-Identifier: Apache-2.0 */
#include "asset_path.h"

#include <ctype.h>

struct out {
    char *at, *end; /* end: the last byte, kept for the terminator */
};

static bool put(struct out *out, char byte)
{
    if (out->at >= out->end)
        return false;
    *out->at++ = byte;
    return true;
}

static bool put_encoded(struct out *out, unsigned char byte)
{
    static const char hex[] = "0123456789ABCDEF";
    return put(out, '%') && put(out, hex[byte >> 4]) && put(out, hex[byte & 15]);
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* How many dots the segment consists of, "%2e" being one; 0: it is no dot segment. */
static int dots(const char *segment, size_t len)
{
    int count = 0;
    for (size_t i = 0; i < len; count++) {
        if (segment[i] == '.')
            i++;
        else if (len - i >= 3 && strncasecmp(segment + i, "%2e", 3) == 0)
            i += 3;
        else
            return 0;
    }
    return count <= 2 ? count : 0;
}

bool asset_path_normalise(struct slice raw, char ret_pathname[ASSET_PATH_BYTES_MAX])
{
    struct out out = {ret_pathname, ret_pathname + ASSET_PATH_BYTES_MAX - 1};
    const char *at = raw.ptr, *end = raw.ptr + raw.len;
    if (raw.len == 0 || (*at != '/' && *at != '\\'))
        return false;
    for (bool last = false; !last;) {
        const char *segment = ++at; /* after the slash */
        while (at < end && *at != '/' && *at != '\\' && *at != '?' && *at != '#')
            at++;
        last = at == end || *at == '?' || *at == '#';
        int climb = dots(segment, (size_t)(at - segment));
        if (climb == 2) /* drop the segment before */
            while (out.at > ret_pathname && *--out.at != '/')
                ;
        if (climb > 0 && !last)
            continue;
        if (!put(&out, '/'))
            return false;
        for (; segment < at && climb == 0; segment++) {
            unsigned char c = (unsigned char)*segment;
            bool encode = c <= 0x20 || c >= 0x7f || strchr("\"<>^`{}", c);
            if (!(encode ? put_encoded(&out, c) : put(&out, (char)c)))
                return false;
        }
    }
    *out.at = 0;
    return true;
}

static bool is_utf8(const unsigned char *at, const unsigned char *end)
{
    while (at < end) {
        unsigned char lead = *at++;
        if (lead < 0x80)
            continue;
        int more = lead >= 0xc2 && lead <= 0xdf ? 1 : (lead & 0xf0) == 0xe0 ? 2 : 3;
        if (lead < 0xc2 || lead > 0xf4 || end - at < more)
            return false;
        unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
        unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        if (*at < low || *at > high)
            return false;
        for (int i = 1; i < more; i++)
            if ((at[i] & 0xc0) != 0x80)
                return false;
        at += more;
    }
    return true;
}

/* Decodes segment[0..len) to `to`; a segment that does not decode stays as it is. */
static size_t decode_segment(const char *segment, size_t len, char *to)
{
    char *at = to;
    for (size_t i = 0; i < len; i++) {
        if (segment[i] != '%') {
            *at++ = segment[i];
            continue;
        }
        int high = len - i > 2 ? hex_value(segment[i + 1]) : -1;
        int low = len - i > 2 ? hex_value(segment[i + 2]) : -1;
        if (high < 0 || low < 0)
            goto as_it_is;
        *at++ = (char)(high * 16 + low);
        i += 2;
    }
    if (is_utf8((const unsigned char *)to, (const unsigned char *)at))
        return (size_t)(at - to);
as_it_is:
    memcpy(to, segment, len);
    return len;
}

bool asset_path_decode(const char *pathname, char ret_path[ASSET_PATH_BYTES_MAX])
{
    char *to = ret_path;
    for (const char *at = pathname; *at;) {
        size_t len = strcspn(++at, "/");
        *to++ = '/';
        to += decode_segment(at, len, to); /* never longer than it was */
        at += len;
    }
    *to = 0;
    if (strlen(ret_path) != (size_t)(to - ret_path))
        return false;
    char *kept = ret_path;
    for (const char *from = ret_path; *from; from++)
        if (*from != '/' || kept == ret_path || kept[-1] != '/')
            *kept++ = *from;
    *kept = 0;
    for (const char *slash = ret_path; slash; slash = strchr(slash + 1, '/')) {
        size_t len = strcspn(slash + 1, "/");
        if ((len == 1 && slash[1] == '.') || (len == 2 && slash[1] == '.' && slash[2] == '.'))
            return false;
    }
    return true;
}

bool asset_path_encode(const char *path, char ret_pathname[ASSET_PATH_BYTES_MAX])
{
    struct out out = {ret_pathname, ret_pathname + ASSET_PATH_BYTES_MAX - 1};
    for (; *path; path++) {
        unsigned char c = (unsigned char)*path;
        bool plain = (c < 0x80 && isalnum(c)) || strchr("/-_.!~*'()", c);
        if (!(plain ? put(&out, (char)c) : put_encoded(&out, c)))
            return false;
    }
    *out.at = 0;
    return true;
}
