/* SPDX-License-Identifier: Apache-2.0 */
/* Errors and warnings about configuration files, kept until all are known: people read them in the
 * order of the lines, programs as JSON. */
#ifndef WEIR_REPORT_H
#define WEIR_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "buffer.h"

struct config_message {
    char *file;
    int line, column; /* 0: of the whole file; column 0: of the whole line */
    bool is_error, is_note;
    char *key;  /* as in the file, without its table; NULL: none in particular */
    char *text; /* what is wrong, and the remedy */
};

struct config_report {
    const char *file; /* of the messages to come; borrowed */
    struct config_message *messages;
    size_t count, cap;
    int errors_count, warnings_count;
};

/* key: may be NULL. */
void config_error(struct config_report *report, int line, const char *key, const char *format, ...)
    PRINTF_LIKE(4, 5);
void config_warn(struct config_report *report, int line, const char *key, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* A warning that is not only told now: config_report_take_notes. */
void config_note(struct config_report *report, int line, const char *key, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* Of a text "line:column: what" about the report's file, as parsers give it, or any other. */
void config_error_at(struct config_report *report, const char *text);
void config_report_done(struct config_report *report);

/* Files in the order in which they came up, each in the order of its lines. */
void config_report_sort(struct config_report *report);
/* "file:line: text" lines of errors or warnings. */
void config_report_append(const struct config_report *report, bool errors, struct buffer *out);
/* Its notes, which are in it no more, as an array of such lines; new reference. */
json_t *config_report_take_notes(struct config_report *report);
/* Everything to stderr. */
void config_report_print(const struct config_report *report, bool color);
/* What a check of the file at path came to: messages and failure to stderr, or that it is fine to
 * stdout; as JSON all of it to stdout. failure: in one line; NULL: there is none. */
void config_report_conclude(const struct config_report *report, const char *path,
                            const char *failure, bool json, bool color);
/* Array of {file, line, severity, key, message}; new reference. */
json_t *config_report_json(const struct config_report *report);

#endif
