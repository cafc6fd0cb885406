/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* "\033[31m" and the like; 0: it is none. */
static size_t colour_len(struct slice text)
{
    size_t len = 2;
    if (!slice_starts_with(text, SLICE("\033[")))
        return 0;
    while (len < text.len && text.ptr[len] && strchr("0123456789;", text.ptr[len]))
        len++;
    return len < text.len && text.ptr[len] == 'm' ? len + 1 : 0;
}

static struct slice rest_of(struct slice text, size_t from)
{
    return (struct slice){text.ptr + from, text.len - from};
}

static bool looks_like_ours(struct slice line)
{
    for (size_t len; (len = colour_len(line)) > 0;)
        line = rest_of(line, len);
    return slice_starts_with(line, SLICE("weir["));
}

/* As it is, from the front of a text that does not begin with a control character; 0: nothing. */
static size_t harmless_len(struct slice text)
{
    unsigned char byte = (unsigned char)text.ptr[0];
    size_t len = utf8_sequence_len(text);
    bool control = byte < 0x20 || byte == 0x7f ||
                   (len == 2 && byte == 0xc2 && (unsigned char)text.ptr[1] < 0xa0);
    return control ? 0 : len;
}

static void append_escaped(struct buffer *line, struct slice text, bool several)
{
    for (size_t len; text.len > 0; text = rest_of(text, len)) {
        char first = text.ptr[0];
        len = several && settings.color ? colour_len(text) : 0;
        if (len == 0 && several && (first == '\n' || first == '\t'))
            len = 1;
        if (len == 0)
            len = harmless_len(text);
        buffer_append(line, text.ptr, len);
        if (several && first == '\n' && looks_like_ours(rest_of(text, len)))
            buffer_append_text(line, "  ");
        if (len > 0)
            continue;
        len = 1;
        if (first == '\n')
            buffer_append_text(line, "\\n");
        else
            buffer_printf(line, "\\x%02x", (unsigned char)first);
    }
}

void log_write(enum log_level level, bool several, const char *format, ...)
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
        buffer_printf(&line, "%sweir[%s] %s: ", settings.color ? level_colors[level] : "",
                      settings.process, level_names[level]);
        append_escaped(&line, slice_of(text), several);
        buffer_append_text(&line, settings.color ? "\033[0m\n" : "\n");
    }
    /* One write a line, so that lines of several processes do not mix; a full pipe loses the line
     * rather than block a server. */
    (void)!write(STDERR_FILENO, line.data + line.start, buffer_len(&line));
}
