/* SPDX-License-Identifier: Apache-2.0 */
#include "base64.h"

#include <openssl/evp.h>

void base64_encode(const uint8_t *bytes, size_t len, struct buffer *out)
{
    char *dst = buffer_reserve(out, 4 * ((len + 2) / 3) + 1);
    out->end += (size_t)EVP_EncodeBlock((uint8_t *)dst, bytes, (int)len);
}

static int padding_of(struct slice text)
{
    int padding = 0;
    while (padding < 2 && text.ptr[text.len - 1 - (size_t)padding] == '=')
        padding++;
    return padding;
}

ssize_t base64_decode(struct slice text, uint8_t *bytes, size_t cap)
{
    if (text.len == 0)
        return 0;
    if (text.len % 4 != 0 || text.len / 4 * 3 > cap + 2)
        return -1;
    int padding = padding_of(text);
    AUTO_BUFFER decoded = {0}; /* the library writes whole groups of three */
    char *dst = buffer_reserve(&decoded, text.len);
    for (size_t i = 0; i + (size_t)padding < text.len; i++)
        if (!((text.ptr[i] >= 'A' && text.ptr[i] <= 'Z') ||
              (text.ptr[i] >= 'a' && text.ptr[i] <= 'z') ||
              (text.ptr[i] >= '0' && text.ptr[i] <= '9') || text.ptr[i] == '+' ||
              text.ptr[i] == '/'))
            return -1;
    int len = EVP_DecodeBlock((uint8_t *)dst, (const uint8_t *)text.ptr, (int)text.len) - padding;
    if (len < 0 || (size_t)len > cap)
        return -1;
    memcpy(bytes, dst, (size_t)len);
    return len;
}
