/* SPDX-License-Identifier: Apache-2.0 */
#include "asset_rules.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { RULES_MAX = 2100, CAPTURES_MAX = 16, LINE_BYTES_MAX = 2000 };

struct redirect {
    char *from, *to;
    int status;
};

struct header_rule {
    char *pattern;
    struct buffer set;    /* "name: value\n" */
    struct buffer detach; /* "name\n" */
};

struct asset_rules {
    struct redirect redirects[RULES_MAX];
    size_t redirects_count;
    struct header_rule *headers;
    size_t headers_count;
};

/* What * (named "splat") and :name stood for. */
struct captures {
    struct slice names[CAPTURES_MAX], values[CAPTURES_MAX];
    int count;
};

/* ---- matching ---- */

static bool match(const char *pattern, const char *text, struct captures *captures)
{
    while (*pattern) {
        if (*pattern == '*') {
            for (size_t len = strlen(text) + 1; len-- > 0;) {
                struct captures trial = *captures;
                if (trial.count < CAPTURES_MAX) {
                    trial.names[trial.count] = SLICE("splat");
                    trial.values[trial.count++] = (struct slice){text, len};
                }
                if (match(pattern + 1, text + len, &trial)) {
                    *captures = trial;
                    return true;
                }
            }
            return false;
        }
        if (*pattern == ':' && isalpha((unsigned char)pattern[1])) {
            size_t name = 1, value = 0;
            while (isalnum((unsigned char)pattern[name]) || pattern[name] == '_')
                name++;
            while (text[value] && text[value] != '/')
                value++;
            if (value == 0)
                return false;
            if (captures->count < CAPTURES_MAX) {
                captures->names[captures->count] = (struct slice){pattern + 1, name - 1};
                captures->values[captures->count++] = (struct slice){text, value};
            }
            pattern += name;
            text += value;
            continue;
        }
        if (*pattern != *text)
            return false;
        pattern++, text++;
    }
    return !*text;
}

bool asset_glob_matches(const char *glob, const char *path)
{
    for (; *glob; glob++, path++) {
        if (*glob == '*') {
            for (const char *rest = path + strlen(path); rest >= path; rest--)
                if (asset_glob_matches(glob + 1, rest))
                    return true;
            return false;
        }
        if (*glob != *path)
            return false;
    }
    return !*path;
}

/* A pattern is a path, or "https://host/path". */
static bool match_url(const char *pattern, struct slice host, const char *path,
                      struct captures *captures)
{
    captures->count = 0;
    const char *scheme = strstr(pattern, "://");
    if (!scheme)
        return match(pattern, path, captures);
    const char *wanted = scheme + 3, *slash = strchr(wanted, '/');
    AUTO_TEXT host_pattern = xstrndup(wanted, slash ? (size_t)(slash - wanted) : strlen(wanted));
    AUTO_TEXT host_text = xstrndup(host.ptr ? host.ptr : "", host.len);
    struct captures of_host = {.count = 0};
    if (!match(host_pattern, host_text, &of_host))
        return false;
    return match(slash ? slash : "/", path, captures); /* captures of the path alone */
}

/* Fills :name and :splat in. */
static void expand(struct slice template, const struct captures *captures, struct buffer *out)
{
    for (size_t i = 0; i < template.len; i++) {
        bool done = false;
        for (int c = 0; template.ptr[i] == ':' && c < captures->count && !done; c++) {
            struct slice name = captures->names[c];
            if (template.len - i - 1 < name.len ||
                memcmp(template.ptr + i + 1, name.ptr, name.len) != 0)
                continue;
            buffer_append_slice(out, captures->values[c]);
            i += name.len;
            done = true;
        }
        if (!done)
            buffer_append(out, template.ptr + i, 1);
    }
}

/* ---- parsing ---- */

static void add_redirect(struct asset_rules *rules, char *line)
{
    char *rest = line, *words[4];
    int count = 0;
    for (char *word; count < 4 && (word = strsep(&rest, " \t"));)
        if (*word)
            words[count++] = word;
    if (count < 2 || count > 3 || rules->redirects_count == RULES_MAX)
        return;
    int status = count == 3 ? atoi(words[2]) : 302;
    bool known = status == 200 || status == 301 || status == 302 || status == 303 ||
                 status == 307 || status == 308;
    bool remote = strncmp(words[1], "http://", 7) == 0 || strncmp(words[1], "https://", 8) == 0;
    if (!known || words[0][0] != '/' || (words[1][0] != '/' && !remote) ||
        (status == 200 && remote))
        return;
    rules->redirects[rules->redirects_count++] =
        (struct redirect){xstrdup(words[0]), xstrdup(words[1]), status};
}

static void add_header_line(struct asset_rules *rules, char *line, bool indented)
{
    if (!indented) {
        rules->headers =
            xrealloc(rules->headers, (rules->headers_count + 1) * sizeof(rules->headers[0]));
        rules->headers[rules->headers_count++] = (struct header_rule){.pattern = xstrdup(line)};
        return;
    }
    if (rules->headers_count == 0)
        return;
    struct header_rule *rule = &rules->headers[rules->headers_count - 1];
    if (line[0] == '!') {
        line += 1 + strspn(line + 1, " \t");
        for (char *c = line; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        buffer_printf(&rule->detach, "%s\n", line);
        return;
    }
    char *colon = strchr(line, ':');
    if (!colon || colon == line)
        return;
    *colon = 0;
    for (char *c = line; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    colon += 1 + strspn(colon + 1, " \t");
    buffer_printf(&rule->set, "%s: %s\n", line, colon);
}

/* Calls for each line without comments and blanks at its ends. */
static void each_line(struct asset_rules *rules, const char *text, bool redirects)
{
    while (*text) {
        size_t len = strcspn(text, "\r\n");
        if (len > 0 && len < LINE_BYTES_MAX) {
            char line[LINE_BYTES_MAX];
            memcpy(line, text, len);
            line[len] = 0;
            size_t indent = strspn(line, " \t"), end = len;
            while (end > indent && (line[end - 1] == ' ' || line[end - 1] == '\t'))
                line[--end] = 0;
            if (line[indent] && line[indent] != '#') {
                if (redirects)
                    add_redirect(rules, line + indent);
                else
                    add_header_line(rules, line + indent, indent > 0);
            }
        }
        text += len;
        text += strspn(text, "\r\n");
    }
}

struct asset_rules *asset_rules_new(const char *headers_text, const char *redirects_text)
{
    struct asset_rules *rules = xcalloc(1, sizeof(*rules));
    each_line(rules, headers_text, false);
    each_line(rules, redirects_text, true);
    return rules;
}

void asset_rules_free(struct asset_rules **place)
{
    struct asset_rules *rules = TAKE(*place);
    if (!rules)
        return;
    for (size_t i = 0; i < rules->redirects_count; i++) {
        free(rules->redirects[i].from);
        free(rules->redirects[i].to);
    }
    for (size_t i = 0; i < rules->headers_count; i++) {
        free(rules->headers[i].pattern);
        buffer_done(&rules->headers[i].set);
        buffer_done(&rules->headers[i].detach);
    }
    free(rules->headers);
    free(rules);
}

/* ---- use ---- */

int asset_rules_redirect(const struct asset_rules *rules, struct slice host, const char *path,
                         char *ret_target, size_t cap)
{
    for (size_t i = 0; i < rules->redirects_count; i++) {
        struct captures captures;
        if (!match_url(rules->redirects[i].from, host, path, &captures))
            continue;
        AUTO_BUFFER target = {0};
        expand(slice_of(rules->redirects[i].to), &captures, &target);
        (void)snprintf(ret_target, cap, "%.*s", (int)buffer_len(&target),
                       target.data ? target.data + target.start : "");
        if (strpbrk(ret_target, "\r\n"))
            return 0;
        return rules->redirects[i].status;
    }
    return 0;
}

static struct slice next_line(struct slice *block)
{
    const char *end = memchr(block->ptr, '\n', block->len);
    size_t len = end ? (size_t)(end - block->ptr) : block->len;
    struct slice line = {block->ptr, len};
    block->ptr += len + (end ? 1 : 0);
    block->len -= len + (end ? 1 : 0);
    return line;
}

static bool line_is(struct slice line, struct slice name)
{
    return line.len > name.len && line.ptr[name.len] == ':' &&
           memcmp(line.ptr, name.ptr, name.len) == 0;
}

static void remove_field(struct buffer *headers, struct slice name)
{
    AUTO_BUFFER kept = {0};
    for (struct slice rest = buffer_slice(headers); rest.len > 0;) {
        struct slice line = next_line(&rest);
        if (!line_is(line, name)) {
            buffer_append_slice(&kept, line);
            buffer_append(&kept, "\n", 1);
        }
    }
    buffer_reset(headers, SIZE_MAX);
    buffer_append_slice(headers, buffer_slice(&kept));
}

/* A field that rules set again is joined with what they set before; what we set is replaced. */
static void set_field(struct buffer *headers, struct buffer *by_rules, struct slice line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    struct slice name = {line.ptr, (size_t)(colon - line.ptr)};
    for (struct slice rest = buffer_slice(by_rules); rest.len > 0;) {
        struct slice old = next_line(&rest);
        if (!line_is(old, name))
            continue;
        AUTO_TEXT joined = xasprintf("%.*s, %.*s", (int)old.len, old.ptr,
                                     (int)(line.len - name.len - 2), colon + 2);
        remove_field(by_rules, name);
        buffer_printf(by_rules, "%s\n", joined);
        return;
    }
    remove_field(headers, name);
    buffer_append_slice(by_rules, line);
    buffer_append(by_rules, "\n", 1);
}

void asset_rules_headers(const struct asset_rules *rules, struct slice host, const char *path,
                         struct buffer *headers)
{
    AUTO_BUFFER by_rules = {0};
    for (size_t i = 0; i < rules->headers_count; i++) {
        struct captures captures;
        if (!match_url(rules->headers[i].pattern, host, path, &captures))
            continue;
        for (struct slice rest = buffer_slice(&rules->headers[i].detach); rest.len > 0;) {
            struct slice name = next_line(&rest);
            remove_field(headers, name);
            remove_field(&by_rules, name);
        }
        for (struct slice rest = buffer_slice(&rules->headers[i].set); rest.len > 0;) {
            AUTO_BUFFER line = {0};
            expand(next_line(&rest), &captures, &line);
            set_field(headers, &by_rules, buffer_slice(&line));
        }
    }
    buffer_append_slice(headers, buffer_slice(&by_rules));
}
