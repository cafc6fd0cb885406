/* SPDX-License-Identifier: Apache-2.0 */
#include "asset_rules.h"

#include <ctype.h>
#include <stdlib.h>

#include "asset_path.h"
#include "http1.h"
#include "pattern.h"

enum {
    STATIC_REDIRECTS_MAX = 2000,
    DYNAMIC_REDIRECTS_MAX = 100,
    HEADER_RULES_MAX = 100,
    LINE_BYTES_MAX = 2000,
    CAPTURES_MAX = 16,
    STEPS_MAX = 100000, /* of one match: a pattern must not cost the other sites their time */
};

struct redirect {
    char *from, *to;
    int status, line;
};

struct header_rule {
    char *pattern;        /* a path, or https://host/path */
    struct buffer set;    /* "name: value\n", each name once */
    struct buffer remove; /* "name\n" */
};

struct asset_rules {
    struct redirect *fixed; /* sorted by from */
    size_t fixed_count;
    struct redirect *dynamic; /* in the file's order */
    size_t dynamic_count;
    struct header_rule *headers;
    size_t headers_count, headers_current; /* which one header lines belong to, while parsing */
    bool by_host;
};

/* What * (named "splat") and :name stood for. */
struct captures {
    struct slice names[CAPTURES_MAX], values[CAPTURES_MAX];
    int count;
};

/* ---- matching ---- */

struct match {
    struct captures *captures;
    const char *host_end; /* in the pattern: before it a placeholder stops at dots too */
    int steps;
};

static bool match_from(struct match *match, const char *pattern, const char *text)
{
    for (; *pattern; pattern++, text++) {
        struct captures *captures = match->captures;
        size_t placeholder = pattern_placeholder_len(pattern),
               name = placeholder ? placeholder - 1 : 0;
        if (--match->steps < 0)
            return false;
        if (*pattern == '*' || name > 0) {
            const char *stops = name == 0 ? "" : pattern < match->host_end ? "/." : "/";
            size_t least = name > 0, longest = strcspn(text, stops);
            int index = captures->count++;
            if (index >= CAPTURES_MAX)
                return false;
            captures->names[index] = name ? (struct slice){pattern + 1, name} : SLICE("splat");
            for (size_t len = longest + 1; len-- > least && match->steps >= 0;) {
                captures->values[index] = (struct slice){text, len};
                captures->count = index + 1;
                if (match_from(match, pattern + 1 + name, text + len))
                    return true;
            }
            captures->count = index;
            return false;
        }
        if (*pattern != *text)
            return false;
    }
    return !*text;
}

static bool match(const char *pattern, const char *text, struct captures *captures)
{
    const char *host = strstr(pattern, "://");
    struct match state = {captures, host ? strchr(host + 3, '/') : NULL, STEPS_MAX};
    captures->count = 0;
    return match_from(&state, pattern, text);
}

/* Fills what was captured in for :name and :splat. */
static void expand(struct slice template, const struct captures *captures, struct buffer *out)
{
    for (size_t i = 0; i < template.len; i++) {
        size_t len = 0;
        if (template.ptr[i] == ':' && i + 1 < template.len &&
            isalpha((unsigned char)template.ptr[i + 1]))
            while (i + 1 + len < template.len &&
                   (isalnum((unsigned char)template.ptr[i + 1 + len]) ||
                    template.ptr[i + 1 + len] == '_'))
                len++;
        int c = 0;
        while (len > 0 && c < captures->count &&
               !slice_equal(captures->names[c], (struct slice){template.ptr + i + 1, len}))
            c++;
        if (len > 0 && c < captures->count) {
            buffer_append_slice(out, captures->values[c]);
            i += len;
        } else {
            buffer_append(out, template.ptr + i, 1);
        }
    }
}

/* ---- parsing ---- */

/* The pathname in the form that requests have, with query and fragment when keep_rest. NULL: no
 * path. */
static char *clean_path(const char *path, bool keep_rest)
{
    char pathname[ASSET_PATH_BYTES_MAX];
    if (!asset_path_normalise(slice_of(path), pathname))
        return NULL;
    return xasprintf("%s%s", pathname, keep_rest ? path + strcspn(path, "?#") : "");
}

static size_t https_len(const char *url)
{
    size_t len = strncmp(url, "https://", 8) == 0 ? 8 + strcspn(url + 8, "/?#") : 0;
    return len > 8 ? len : 0;
}

/* A URL of a rule: a path, or https://host with a path. NULL: neither. */
static char *clean_url(const char *url, bool keep_rest)
{
    size_t host_len = https_len(url);
    if (host_len == 0)
        return clean_path(url, keep_rest);
    const char *path = url + host_len;
    AUTO_TEXT rooted = xasprintf("%s%s", *path == '/' ? "" : "/", path);
    AUTO_TEXT clean = clean_path(rooted, keep_rest);
    return clean ? xasprintf("%.*s%s", (int)host_len, url, clean) : NULL;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t len = strlen(text), suffix_len = strlen(suffix);
    return len >= suffix_len && strcmp(text + len - suffix_len, suffix) == 0;
}

/* Would the canonical path of the target bring the request back to this rule? */
static bool goes_in_circles(const char *from, const char *to, bool html_handling)
{
    bool to_index = ends_with(to, "/index") || ends_with(to, "/index.html");
    return https_len(to) == 0 && to_index &&
           (ends_with(from, "/*") || (ends_with(from, "/") && html_handling));
}

static bool has_redirect_from(const struct asset_rules *rules, const char *from)
{
    for (size_t i = 0; i < rules->fixed_count; i++)
        if (strcmp(rules->fixed[i].from, from) == 0)
            return true;
    for (size_t i = 0; i < rules->dynamic_count; i++)
        if (strcmp(rules->dynamic[i].from, from) == 0)
            return true;
    return false;
}

static int parse_status(const char *text)
{
    static const int known[] = {200, 301, 302, 303, 307, 308};
    char *end;
    long status = strtol(text, &end, 10);
    for (size_t i = 0; !*end && i < ARRAY_LEN(known); i++)
        if (status == known[i])
            return known[i];
    return 0;
}

struct redirect_limits {
    int fixed, dynamic;
    bool html_handling;
};

static void add_redirect(struct asset_rules *rules, char *line, struct redirect_limits *limits)
{
    char *rest = line, *words[4];
    int count = 0;
    for (char *word; count < 4 && (word = strsep(&rest, " \t\v\f"));) {
        if (count >= 2 && *word == '#')
            break; /* a comment; before that, '#' is part of a URL */
        if (*word)
            words[count++] = word;
    }
    if (count < 2 || count > 3 || https_len(words[0]) > 0)
        return;
    AUTO_TEXT rooted = xasprintf("%s%s", words[0][0] == '/' ? "" : "/", words[0]);
    AUTO_TEXT from = clean_path(rooted, false);
    if (!from)
        return;
    /* Below the first dynamic rule order matters, so all count as dynamic there. */
    bool fixed = limits->dynamic == 0 && !pattern_is_dynamic(from);
    if (fixed ? ++limits->fixed > STATIC_REDIRECTS_MAX : ++limits->dynamic > DYNAMIC_REDIRECTS_MAX)
        return;
    AUTO_TEXT to = clean_url(words[1], true);
    int status = count == 3 ? parse_status(words[2]) : 302;
    if (!to || status == 0 || goes_in_circles(from, to, limits->html_handling) ||
        has_redirect_from(rules, from) || (status == 200 && https_len(to) > 0) ||
        pattern_has_twice(from))
        return;
    struct redirect **list = fixed ? &rules->fixed : &rules->dynamic;
    size_t *list_count = fixed ? &rules->fixed_count : &rules->dynamic_count;
    *list = xrealloc(*list, (*list_count + 1) * sizeof((*list)[0]));
    (*list)[(*list_count)++] =
        (struct redirect){.from = TAKE(from), .to = TAKE(to), .status = status};
}

/* "name: value" lines of a block. */
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

/* Adds the line; one of the same name that is there already becomes a list with it. */
static void join_field(struct buffer *fields, struct slice name, struct slice value)
{
    for (struct slice rest = buffer_slice(fields); rest.len > 0;) {
        struct slice old = next_line(&rest);
        if (!line_is(old, name))
            continue;
        AUTO_TEXT joined =
            xasprintf("%.*s, %.*s\n", (int)old.len, old.ptr, (int)value.len, value.ptr);
        remove_field(fields, name);
        buffer_append_text(fields, joined);
        return;
    }
    buffer_printf(fields, "%.*s: %.*s\n", (int)name.len, name.ptr, (int)value.len, value.ptr);
}

static void lower(char *text)
{
    for (; *text; text++)
        *text = (char)tolower((unsigned char)*text);
}

/* Fields that frame the message are the server's to write. */
static bool is_framing(struct slice name)
{
    static const char *const framing[] = {"connection", "content-length", "transfer-encoding",
                                          "keep-alive", "trailer",        "upgrade"};
    for (size_t i = 0; i < ARRAY_LEN(framing); i++)
        if (slice_equal(name, slice_of(framing[i])))
            return true;
    return false;
}

static void add_header_path(struct asset_rules *rules, const char *line)
{
    AUTO_TEXT pattern = clean_url(line, false);
    size_t host_len = https_len(line), place = 0;
    const char *port = host_len ? memchr(line + 8, ':', host_len - 8) : NULL;
    bool has_port = port && isdigit((unsigned char)port[1]);
    if (!pattern || has_port || pattern_has_twice(pattern)) {
        /* Its fields must not fall to the rule above: they go to one that never matches. */
        text_free(&pattern);
        pattern = xstrdup("");
    }
    while (place < rules->headers_count && strcmp(rules->headers[place].pattern, pattern) != 0)
        place++;
    rules->headers_current = place;
    if (place < rules->headers_count) { /* the later one counts, in the first one's place */
        buffer_done(&rules->headers[place].set);
        buffer_done(&rules->headers[place].remove);
        return;
    }
    rules->headers =
        xrealloc(rules->headers, (rules->headers_count + 1) * sizeof(rules->headers[0]));
    rules->headers[rules->headers_count++] = (struct header_rule){.pattern = TAKE(pattern)};
    rules->by_host |= host_len > 0;
}

static void add_header_line(struct asset_rules *rules, char *line)
{
    if (rules->headers_count == 0)
        return;
    struct header_rule *rule = &rules->headers[rules->headers_current];
    char *colon = strchr(line, ':');
    if (!colon) {
        if (strncmp(line, "! ", 2) == 0) {
            lower(line);
            buffer_printf(&rule->remove, "%s\n", line + 2 + strspn(line + 2, " \t"));
        }
        return;
    }
    size_t len = (size_t)(colon - line);
    while (len > 0 && isspace((unsigned char)line[len - 1]))
        len--;
    struct slice name = {line, len}, value = slice_of(colon + 1 + strspn(colon + 1, " \t"));
    *colon = 0;
    lower(line);
    if (http1_is_token(name) && http1_is_field_value(value) && value.len > 0 && !is_framing(name))
        join_field(&rule->set, name, value);
}

static bool is_path_line(const char *line)
{
    const char *scheme = strstr(line, "://");
    return *line == '/' ||
           (scheme && scheme > line && strcspn(line, " \t") > (size_t)(scheme - line));
}

/* The next line that says something, without blanks at its ends, in line. False: the text ended. */
static bool read_line(const char **text, char line[LINE_BYTES_MAX + 1])
{
    while (**text) {
        const char *start = *text, *end = start + strcspn(start, "\n");
        *text = *end ? end + 1 : end;
        while (start < end && isspace((unsigned char)*start))
            start++;
        while (end > start && isspace((unsigned char)end[-1]))
            end--;
        if (start == end || *start == '#' || end - start > LINE_BYTES_MAX)
            continue;
        memcpy(line, start, (size_t)(end - start));
        line[end - start] = 0;
        return true;
    }
    return false;
}

static int by_from(const void *a, const void *b)
{
    return strcmp(((const struct redirect *)a)->from, ((const struct redirect *)b)->from);
}

struct asset_rules *asset_rules_new(const char *headers_text, const char *redirects_text,
                                    bool html_handling)
{
    struct asset_rules *rules = xcalloc(1, sizeof(*rules));
    struct redirect_limits limits = {.html_handling = html_handling};
    char line[LINE_BYTES_MAX + 1];
    while (read_line(&redirects_text, line))
        add_redirect(rules, line, &limits);
    for (int paths = 0; read_line(&headers_text, line);) {
        if (!is_path_line(line))
            add_header_line(rules, line);
        else if (++paths <= HEADER_RULES_MAX)
            add_header_path(rules, line);
        else
            break;
    }
    if (rules->fixed_count > 0)
        qsort(rules->fixed, rules->fixed_count, sizeof(rules->fixed[0]), by_from);
    return rules;
}

static void free_redirects(struct redirect *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i].from);
        free(list[i].to);
    }
    free(list);
}

void asset_rules_free(struct asset_rules **place)
{
    struct asset_rules *rules = TAKE(*place);
    if (!rules)
        return;
    free_redirects(rules->fixed, rules->fixed_count);
    free_redirects(rules->dynamic, rules->dynamic_count);
    for (size_t i = 0; i < rules->headers_count; i++) {
        free(rules->headers[i].pattern);
        buffer_done(&rules->headers[i].set);
        buffer_done(&rules->headers[i].remove);
    }
    free(rules->headers);
    free(rules);
}

/* ---- use ---- */

/* Repeated slashes in a path could name another host. */
static void join_slashes(struct buffer *path)
{
    char *start = path->data + path->start, *kept = start, *end = path->data + path->end;
    for (const char *at = start; at < end; at++) {
        if (*at == '?' || *at == '#') {
            memmove(kept, at, (size_t)(end - at));
            kept += end - at;
            break;
        }
        if (*at != '/' || kept == start || kept[-1] != '/')
            *kept++ = *at;
    }
    path->end = (size_t)(kept - path->data);
}

int asset_rules_redirect(const struct asset_rules *rules, const char *pathname,
                         struct buffer *ret_target)
{
    struct captures captures = {.count = 0};
    const struct redirect wanted = {.from = (char *)pathname}, *found = NULL;
    if (rules->fixed_count > 0)
        found = bsearch(&wanted, rules->fixed, rules->fixed_count, sizeof(wanted), by_from);
    for (size_t i = 0; !found && i < rules->dynamic_count; i++)
        if (match(rules->dynamic[i].from, pathname, &captures))
            found = &rules->dynamic[i];
    if (!found)
        return 0;
    expand(slice_of(found->to), &captures, ret_target);
    if (https_len(found->to) == 0)
        join_slashes(ret_target);
    return found->status;
}

bool asset_rules_has_headers(const struct asset_rules *rules)
{
    return rules->headers_count > 0;
}

bool asset_rules_by_host(const struct asset_rules *rules)
{
    return rules->by_host;
}

static void apply_rule(const struct header_rule *rule, const struct captures *captures,
                       struct buffer *headers, struct buffer *by_rules)
{
    for (struct slice rest = buffer_slice(&rule->remove); rest.len > 0;) {
        struct slice name = next_line(&rest);
        remove_field(headers, name);
        remove_field(by_rules, name);
    }
    for (struct slice rest = buffer_slice(&rule->set); rest.len > 0;) {
        AUTO_BUFFER filled = {0};
        struct slice line = next_line(&rest);
        const char *colon = memchr(line.ptr, ':', line.len);
        struct slice name = {line.ptr, (size_t)(colon - line.ptr)};
        expand((struct slice){colon + 2, line.len - name.len - 2}, captures, &filled);
        remove_field(headers, name); /* ours */
        join_field(by_rules, name, buffer_slice(&filled));
    }
}

void asset_rules_headers(const struct asset_rules *rules, struct slice host, const char *pathname,
                         struct buffer *headers)
{
    AUTO_BUFFER by_rules = {0};
    AUTO_TEXT url = rules->by_host ? xasprintf("https://%.*s%s", (int)host.len,
                                               host.ptr ? host.ptr : "", pathname)
                                   : NULL;
    for (size_t i = 0; i < rules->headers_count; i++) {
        struct captures captures;
        const char *pattern = rules->headers[i].pattern;
        const char *text = *pattern == '/' ? pathname : url;
        if (*pattern && match(pattern, text, &captures))
            apply_rule(&rules->headers[i], &captures, headers, &by_rules);
    }
    buffer_append_slice(headers, buffer_slice(&by_rules));
}
