/* SPDX-License-Identifier: Apache-2.0 */
/* Reading files of configuration and of secrets. Only ordinary files are read: a FIFO, say, would
 * be waited for, and with it whoever waits for the configuration. */
#ifndef WEIR_TEXT_FILE_H
#define WEIR_TEXT_FILE_H

#include <stdio.h>

#include "buffer.h"

/* A stream, for reading; NULL with errno. */
FILE *text_file_open(const char *path) WARN_UNUSED;
/* Appends the whole file. 0 or negative errno; -EFBIG: it is more than bytes_max. */
int text_file_read(const char *path, size_t bytes_max, struct buffer *ret_text) WARN_UNUSED;
/* What an errno of theirs means, in words; its sign does not matter. */
const char *text_file_problem(int error);

#endif
