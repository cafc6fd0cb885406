/* SPDX-License-Identifier: Apache-2.0 */
#include "site_rules.h"

#include <ctype.h>
#include <stdlib.h>

#include "pattern.h"

enum {
    LINE_BYTES_MAX = 2000,
    HEADER_RULES_MAX = 100,
    STATIC_REDIRECTS_MAX = 2000,
    DYNAMIC_REDIRECTS_MAX = 100,
};

struct lines {
    const char *rest;
    int number;
    char text[LINE_BYTES_MAX + 1];
};

/* The next line that says something, without blanks at its ends. */
static bool next_line(struct lines *lines, struct config_report *report)
{
    while (*lines->rest) {
        const char *start = lines->rest, *end = start + strcspn(start, "\n");
        lines->rest = *end ? end + 1 : end;
        lines->number++;
        while (start < end && isspace((unsigned char)*start))
            start++;
        while (end > start && isspace((unsigned char)end[-1]))
            end--;
        if (start == end || *start == '#')
            continue;
        if (end - start > LINE_BYTES_MAX) {
            config_warn(report, lines->number, NULL,
                        "the line is longer than %d bytes and is ignored", LINE_BYTES_MAX);
            continue;
        }
        memcpy(lines->text, start, (size_t)(end - start));
        lines->text[end - start] = 0;
        return true;
    }
    return false;
}

/* NULL, or why the pattern of a rule is not understood. */
static const char *check_pattern(const char *pattern, bool may_have_host)
{
    if (strstr(pattern, "://")) {
        if (!may_have_host)
            return "a rule's own path cannot be an absolute URL";
        if (strncmp(pattern, "https://", 8) != 0)
            return "an absolute URL must begin with https://";
        const char *port = strchr(pattern + 8, ':');
        if (port && port < pattern + 8 + strcspn(pattern + 8, "/") &&
            isdigit((unsigned char)port[1]))
            return "ports are not supported";
    }
    return pattern_has_twice(pattern) ? "* may stand there once, and each :placeholder once" : NULL;
}

/* ---- _redirects ---- */

struct redirects {
    json_t *seen;
    int fixed, dynamic;
};

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static const char *check_status(const char *text, const char *to)
{
    static const char *const known[] = {"200", "301", "302", "303", "307", "308"};
    bool fine = false;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        fine |= strcmp(text, known[i]) == 0;
    if (!fine)
        return "the status must be 200, 301, 302, 303, 307 or 308";
    return strcmp(text, "200") == 0 && strstr(to, "://")
               ? "a rewrite (200) can only lead to a path of the same site"
               : NULL;
}

static const char *check_redirect(struct redirects *redirects, char *line)
{
    char *rest = line, *words[5] = {NULL};
    int count = 0;
    for (char *word; count < 4 && (word = strsep(&rest, " \t\v\f"));) {
        if (count >= 2 && *word == '#')
            break; /* a comment */
        if (*word)
            words[count++] = word;
    }
    if (count < 2 || count > 3)
        return "expected two or three words: from, to and perhaps a status";
    const char *wrong = check_pattern(words[0], false);
    if (wrong)
        return wrong;
    bool fixed = redirects->dynamic == 0 && !pattern_is_dynamic(words[0]);
    if (fixed && ++redirects->fixed > STATIC_REDIRECTS_MAX)
        return "there are more than 2000 static rules";
    if (!fixed && ++redirects->dynamic > DYNAMIC_REDIRECTS_MAX)
        return "there are more than 100 dynamic rules";
    wrong = count == 3 ? check_status(words[2], words[1]) : NULL;
    if (wrong)
        return wrong;
    if (words[1][0] != '/' && strncmp(words[1], "https://", 8) != 0)
        return "the target must begin with / or https://";
    if (words[1][0] == '/' &&
        (ends_with(words[1], "/index") || ends_with(words[1], "/index.html")) &&
        ends_with(words[0], "/*"))
        return "the rule would lead in a circle";
    if (json_object_get(redirects->seen, words[0]))
        return "there is a rule for this path already";
    (void)json_object_set_new(redirects->seen, words[0], json_true());
    return NULL;
}

void site_rules_check_redirects(const char *text, struct config_report *report)
{
    struct lines lines = {.rest = text};
    struct redirects redirects = {.seen = json_object()};
    while (next_line(&lines, report)) {
        const char *wrong = check_redirect(&redirects, lines.text);
        if (wrong)
            config_warn(report, lines.number, NULL, "%s; the line is ignored", wrong);
    }
    json_decref(redirects.seen);
}

/* ---- _headers ---- */

static bool is_path_line(const char *line)
{
    const char *scheme = strstr(line, "://");
    return *line == '/' ||
           (scheme && scheme > line && strcspn(line, " \t") > (size_t)(scheme - line));
}

/* Fields that frame the message are the server's to write. */
static bool is_framing(const char *name, size_t len)
{
    static const char *const framing[] = {"connection", "content-length", "transfer-encoding",
                                          "keep-alive", "trailer",        "upgrade"};
    for (size_t i = 0; i < ARRAY_LEN(framing); i++)
        if (strlen(framing[i]) == len && strncasecmp(name, framing[i], len) == 0)
            return true;
    return false;
}

static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("!#$%&'*+-.^_`|~", text[i]))
            return false;
    return len > 0;
}

static const char *check_header(const char *line)
{
    const char *colon = strchr(line, ':');
    if (!colon)
        return strncmp(line, "! ", 2) == 0
                   ? NULL
                   : "expected \"name: value\", or \"! name\" to remove a header";
    size_t len = (size_t)(colon - line);
    while (len > 0 && isspace((unsigned char)line[len - 1]))
        len--;
    if (!is_token(line, len))
        return "this is no name of a header";
    if (!colon[1 + strspn(colon + 1, " \t")])
        return "the header has no value";
    return is_framing(line, len) ? "the server sets this header itself" : NULL;
}

void site_rules_check_headers(const char *text, struct config_report *report)
{
    struct lines lines = {.rest = text};
    int rules = 0, rule_line = 0, headers = 0;
    while (next_line(&lines, report)) {
        const char *wrong = NULL;
        if (is_path_line(lines.text)) {
            if (rule_line > 0 && headers == 0)
                config_warn(report, rule_line, NULL, "there are no headers for this path");
            rule_line = lines.number;
            headers = 0;
            wrong = check_pattern(lines.text, true);
            if (++rules > HEADER_RULES_MAX) {
                config_warn(report, lines.number, NULL,
                            "there are more than %d rules; the rest of the file is ignored",
                            HEADER_RULES_MAX);
                return;
            }
        } else {
            wrong =
                rule_line == 0 ? "a path must stand before the headers" : check_header(lines.text);
            headers++;
        }
        if (wrong)
            config_warn(report, lines.number, NULL, "%s; the line is ignored", wrong);
    }
    if (rule_line > 0 && headers == 0)
        config_warn(report, rule_line, NULL, "there are no headers for this path");
}
