/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"

static struct {
    const char *process;
    enum log_level threshold;
    bool json, color;
} settings = {"main", LOG_INFO, false, false};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const level_colors[] = {"\033[2m", "\033[36m", "\033[33m", "\033[31m"};

void log_init(const char *process, enum log_level threshold, bool json)
{
    settings.process = process;
    settings.threshold = threshold;
    settings.json = json;
    settings.color = !json && isatty(STDERR_FILENO) && !getenv("NO_COLOR");
}

void log_line(enum log_level level, const char *format, ...)
{
    if (level < settings.threshold)
        return;
    va_list args;
    va_start(args, format);
    AUTO_TEXT text = NULL;
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    if (!text)
        return;
    AUTO_BUFFER line = {0};
    if (settings.json) {
        buffer_printf(&line, "{\"time_ms\":%llu,\"level\":\"%s\",\"process\":\"%s\",\"text\":",
                      (unsigned long long)(clock_wall_us() / 1000), level_names[level],
                      settings.process);
        buffer_append_json(&line, slice_of(text));
        buffer_append_text(&line, "}\n");
    } else {
        buffer_printf(&line, "%sweir[%s] %s: %s%s\n", settings.color ? level_colors[level] : "",
                      settings.process, level_names[level], text, settings.color ? "\033[0m" : "");
    }
    /* One write a line, so that lines of several processes do not mix; a full pipe loses the line
     * rather than block a server. */
    (void)!write(STDERR_FILENO, line.data + line.start, buffer_len(&line));
}
