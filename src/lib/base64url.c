/* SPDX-License-Identifier: Apache-2.0 */
#include "base64url.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_append(struct buffer *out, const void *bytes, size_t len)
{
    const unsigned char *in = bytes;
    char *room = buffer_reserve(out, len / 3 * 4 + 4), *to = room;
    uint32_t bits = 0;
    int count = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | in[i];
        for (count += 8; count >= 6; count -= 6)
            *to++ = digits[bits >> (count - 6) & 63];
    }
    if (count > 0)
        *to++ = digits[bits << (6 - count) & 63];
    out->end += (size_t)(to - room);
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

ssize_t base64url_decode(struct slice text, unsigned char *room)
{
    uint32_t bits = 0;
    int count = 0;
    ssize_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.ptr[i]);
        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            room[len++] = (unsigned char)(bits >> count);
        }
    }
    /* A digit too many, or bits beyond the last byte. */
    return count >= 6 || (bits & ((1u << count) - 1)) ? -1 : len;
}
