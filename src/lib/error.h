/* SPDX-License-Identifier: Apache-2.0 */
/* Errors for a person (configuration, CLI, deploy): text built where the facts are known,
 * printed once by the caller. Every text names the file, line, key, value and remedy it can. */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include "common.h"

enum { ERROR_TEXT_BYTES_MAX = 8192 };

struct error {
    char text[ERROR_TEXT_BYTES_MAX]; /* empty: no error yet */
};

/* Sets the text (cut to fit; later calls overwrite it) and returns code, so that a caller can
 * write `return error_set(err, -EINVAL, "…")`. err may be NULL. */
int error_set(struct error *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "prefix: " before the text that is there. */
void error_prefix(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
