/* SPDX-License-Identifier: Apache-2.0 */
#include "pattern.h"

#include <ctype.h>
#include <string.h>

bool pattern_glob_matches(const char *glob, const char *path)
{
    const char *star = NULL, *retry = NULL; /* the last star may always take one more byte */
    while (*path) {
        if (*glob == '*') {
            star = glob++;
            retry = path;
        } else if (*glob == *path) {
            glob++, path++;
        } else if (star) {
            glob = star + 1;
            path = ++retry;
        } else {
            return false;
        }
    }
    while (*glob == '*')
        glob++;
    return !*glob;
}

size_t pattern_placeholder_len(const char *text)
{
    size_t len = 0;
    if (text[0] == ':' && isalpha((unsigned char)text[1]))
        for (len = 1; isalnum((unsigned char)text[len]) || text[len] == '_';)
            len++;
    return len;
}

bool pattern_is_dynamic(const char *pattern)
{
    for (; *pattern; pattern++)
        if (*pattern == '*' || pattern_placeholder_len(pattern) > 0)
            return true;
    return false;
}

bool pattern_has_twice(const char *pattern)
{
    const char *star = strchr(pattern, '*');
    if (star && strchr(star + 1, '*'))
        return true;
    for (const char *a = pattern; (a = strchr(a, ':')); a++)
        for (const char *b = a + 1; pattern_placeholder_len(a) > 0 && (b = strchr(b, ':')); b++)
            if (pattern_placeholder_len(a) == pattern_placeholder_len(b) &&
                memcmp(a, b, pattern_placeholder_len(a)) == 0)
                return true;
    return false;
}
