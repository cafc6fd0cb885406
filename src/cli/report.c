/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((format(printf, 4, 0))) static struct config_message *
add(struct config_report *report, int line, const char *key, const char *format, va_list args)
{
    struct config_message message = {
        .file = xstrdup(report->file), .line = line, .key = key ? xstrdup(key) : NULL};
    if (vasprintf(&message.text, format, args) < 0)
        message.text = xstrdup("out of memory");
    if (report->count == report->cap) {
        report->cap = report->cap ? report->cap * 2 : 16;
        report->messages = xrealloc(report->messages, report->cap * sizeof(message));
    }
    report->messages[report->count] = message;
    return &report->messages[report->count++];
}

void config_error(struct config_report *report, int line, const char *key, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(report, line, key, format, args)->is_error = true;
    va_end(args);
    report->errors_count++;
}

void config_warn(struct config_report *report, int line, const char *key, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)add(report, line, key, format, args);
    va_end(args);
    report->warnings_count++;
}

void config_note(struct config_report *report, int line, const char *key, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(report, line, key, format, args)->is_note = true;
    va_end(args);
    report->warnings_count++;
}

void config_error_at(struct config_report *report, const char *text)
{
    int line = 0, column = 0, used = 0;
    bool placed = sscanf(text, "%d:%d: %n", &line, &column, &used) == 2 && used > 0;
    config_error(report, placed ? line : 0, NULL, "%s", placed ? text + used : text);
    report->messages[report->count - 1].column = placed ? column : 0;
}

static void free_message(struct config_message *message)
{
    free(message->file);
    free(message->key);
    free(message->text);
}

void config_report_done(struct config_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        free_message(&report->messages[i]);
    free(report->messages);
    *report = (struct config_report){.file = report->file};
}

/* Insertion: stable, and there are few. */
void config_report_sort(struct config_report *report)
{
    for (size_t i = 1; i < report->count; i++) {
        struct config_message message = report->messages[i];
        size_t first = 0, place;
        while (strcmp(report->messages[first].file, message.file) != 0)
            first++;
        for (place = i; place > first; place--) {
            const struct config_message *before = &report->messages[place - 1];
            if (strcmp(before->file, message.file) == 0 && before->line <= message.line)
                break;
            report->messages[place] = *before;
        }
        report->messages[place] = message;
    }
}

static void append_message(const struct config_message *message, struct buffer *out)
{
    buffer_append_text(out, message->file);
    if (message->line > 0)
        buffer_printf(out, ":%d", message->line);
    if (message->column > 0)
        buffer_printf(out, ":%d", message->column);
    buffer_printf(out, ": %s\n", message->text);
}

json_t *config_report_take_notes(struct config_report *report)
{
    json_t *notes = json_array();
    size_t kept = 0;
    for (size_t i = 0; i < report->count; i++) {
        struct config_message message = report->messages[i];
        if (!message.is_note) {
            report->messages[kept++] = message;
            continue;
        }
        AUTO_BUFFER line = {0};
        append_message(&message, &line);
        (void)json_array_append_new(notes,
                                    json_stringn(line.data + line.start, buffer_len(&line) - 1));
        free_message(&message);
        report->warnings_count--;
    }
    report->count = kept;
    return notes;
}

void config_report_append(const struct config_report *report, bool errors, struct buffer *out)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->messages[i].is_error == errors)
            append_message(&report->messages[i], out);
}

void config_report_print(const struct config_report *report, bool color)
{
    for (size_t i = 0; i < report->count; i++) {
        const struct config_message *message = &report->messages[i];
        AUTO_BUFFER line = {0};
        append_message(message, &line);
        (void)fprintf(stderr, "%s%.*s%s",
                      !color              ? ""
                      : message->is_error ? "\033[31m"
                                          : "\033[33m",
                      (int)buffer_len(&line), line.data + line.start, color ? "\033[0m" : "");
    }
}

json_t *config_report_json(const struct config_report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->count; i++) {
        const struct config_message *message = &report->messages[i];
        json_t *item = json_pack("{s:s, s:o, s:s, s:s?, s:s}", "file", message->file, "line",
                                 message->line > 0 ? json_integer(message->line) : json_null(),
                                 "severity", message->is_error ? "error" : "warning", "key",
                                 message->key, "message", message->text);
        (void)json_array_append_new(list, item);
    }
    return list;
}

void config_report_conclude(const struct config_report *report, const char *path,
                            const char *failure, bool json, bool color)
{
    if (json) {
        json_t *result =
            json_pack("{s:b, s:i, s:i, s:o}", "ok", !failure, "errors", report->errors_count,
                      "warnings", report->warnings_count, "messages", config_report_json(report));
        char *text = json_dumps(result, JSON_COMPACT);
        (void)printf("%s\n", text);
        free(text);
        json_decref(result);
        return;
    }
    config_report_print(report, color);
    if (failure)
        (void)fprintf(stderr, "%s\n", failure);
    else
        (void)printf("%s is fine\n", path);
}
