/* SPDX-License-Identifier: Apache-2.0 */
/* weir's own log (not the access log, not a worker's console): one line an event on stderr,
 * "weir[process] level: text", in colour on a terminal or as JSON. Library code never calls it. */
#ifndef WEIR_LOG_H
#define WEIR_LOG_H

#include <stdbool.h>
#include "common.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* process: "gateway 0"…; kept by pointer. Lines below threshold are dropped. */
void log_init(const char *process, enum log_level threshold, bool json);
/* Strangers have a say in what is logged, by the name of a user, say: control characters and what
 * is not UTF-8 are escaped (\n, \x1b), so that a line is one line, and ours. several: a text of
 * several lines, a stack trace or what a build says: line breaks and tabs stay, on a terminal
 * colours, too; a line that looks like one of ours is set in. */
void log_write(enum log_level level, bool several, const char *format, ...) PRINTF_LIKE(3, 4);

#define log_debug(...)        log_write(LOG_DEBUG, false, __VA_ARGS__)
#define log_info(...)         log_write(LOG_INFO, false, __VA_ARGS__)
#define log_warn(...)         log_write(LOG_WARN, false, __VA_ARGS__)
#define log_error(...)        log_write(LOG_ERROR, false, __VA_ARGS__)
#define log_lines(level, ...) log_write(level, true, __VA_ARGS__)

#endif
