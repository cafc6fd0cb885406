/* SPDX-License-Identifier: Apache-2.0 */
#include "common.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void out_of_memory(size_t bytes)
{
    (void)fprintf(stderr, "weir: out of memory (%zu bytes)\n", bytes);
    abort();
}

void *xcalloc(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (!memory)
        out_of_memory(count * size);
    return memory;
}

void *xrealloc(void *old, size_t bytes)
{
    void *memory = realloc(old, bytes ? bytes : 1);
    if (!memory)
        out_of_memory(bytes);
    return memory;
}

char *xstrndup(const char *text, size_t len)
{
    char *copy = xcalloc(1, len + 1);
    memcpy(copy, text, len);
    return copy;
}

char *xstrdup(const char *text)
{
    return xstrndup(text, strlen(text));
}

char *xasprintf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        out_of_memory(strlen(format));
    va_end(args);
    return text;
}

void fd_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* nothing to do about a failed close: the fd is gone either way */
    *fd = -1;
}

void text_free(char **text)
{
    free(TAKE(*text));
}
