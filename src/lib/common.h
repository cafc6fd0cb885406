/* SPDX-License-Identifier: Apache-2.0 */
/* What every module needs: ownership macros and allocation that never returns NULL.
 * Small allocations die on OOM; a size that came from outside goes through a cap first. */
#ifndef WEIR_COMMON_H
#define WEIR_COMMON_H

#include <stddef.h>

#define ARRAY_LEN(array)                (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define WARN_UNUSED                     __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first)        __attribute__((format(printf, text, first)))

/* TAKE(variable): its value, leaving NULL behind: ownership moves to the reader. */
#define TAKE(variable)                                                                             \
    ({                                                                                             \
        __typeof__(variable) taken_ = (variable);                                                  \
        (variable) = NULL;                                                                         \
        taken_;                                                                                    \
    })

/* AUTO(type) name = NULL: freed on every return by type_free(&name). */
#define AUTO(type) __attribute__((cleanup(type##_free))) struct type *

/* Zeroed memory; the process ends when there is none. Freed with free(). */
void *xcalloc(size_t count, size_t size) __attribute__((returns_nonnull, malloc));
void *xrealloc(void *old, size_t bytes) __attribute__((returns_nonnull));
char *xstrdup(const char *text) __attribute__((returns_nonnull, malloc));
char *xstrndup(const char *text, size_t len) __attribute__((returns_nonnull, malloc));
char *xasprintf(const char *format, ...) PRINTF_LIKE(1, 2) __attribute__((returns_nonnull));

/* Closes *fd if it is open and sets it to -1. Usable as a cleanup handler (AUTO_FD). */
void fd_close(int *fd);
#define AUTO_FD __attribute__((cleanup(fd_close))) int

/* Frees *text and nulls it. Usable as a cleanup handler (AUTO_TEXT). */
void text_free(char **text);
#define AUTO_TEXT __attribute__((cleanup(text_free))) char *

#endif
