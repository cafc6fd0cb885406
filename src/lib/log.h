/* SPDX-License-Identifier: Apache-2.0 */
/* weir's own log (not the access log, not a worker's console): one line an event on stderr,
 * "weir[process]: level: text", in colour on a terminal or as JSON. Library code never calls it. */
#ifndef WEIR_LOG_H
#define WEIR_LOG_H

#include <stdbool.h>
#include "common.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* process: "gateway 0"…; kept by pointer. Lines below threshold are dropped. */
void log_init(const char *process, enum log_level threshold, bool json);
void log_line(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

#endif
