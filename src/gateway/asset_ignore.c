/* SPDX-License-Identifier: Apache-2.0 */
#include "asset_ignore.h"

#include <stdlib.h>

enum { PATTERNS_MAX = 1000, STEPS_MAX = 20000 };

struct pattern {
    char *text;    /* without its marks; relative to the directory */
    bool negated;  /* "!": served after all */
    bool anchored; /* has a slash: matches from the directory, else any component */
    bool directory;
};

struct asset_ignore {
    struct pattern *patterns;
    size_t count;
};

/* What the platform's own tools keep back, and files of secrets and tools that end up beside a site
 * when its directory is the project's own. */
static const char always[] = "/.assetsignore\n/_headers\n/_redirects\n/_worker.js\n"
                             ".dev.vars*\n.env\n.env.*\n.git\n.npmrc\n.wrangler\n.weir\n";

/* ---- glob ---- */

/* A class "[a-z]" at *pattern, moved past it. Without "]" the bracket stands for itself. */
static bool match_class(const char **pattern, unsigned char c)
{
    const char *at = *pattern + 1;
    bool inverse = *at == '!' || *at == '^', found = false;
    const char *first = at += inverse;
    for (; *at && (*at != ']' || at == first); at++) {
        unsigned char low = (unsigned char)*at, high = low;
        if (at[1] == '-' && at[2] && at[2] != ']')
            high = (unsigned char)*(at += 2);
        found |= c >= low && c <= high;
    }
    if (!*at) {
        (*pattern)++;
        return c == '[';
    }
    *pattern = at + 1;
    return found != inverse && c != '/';
}

/* "*" stays in a component, "**" does not. steps bounds the time that a pattern can cost. */
static bool match(const char *pattern, const char *text, const char *end, int *steps)
{
    while (*pattern) {
        if (--*steps < 0)
            return false;
        if (pattern[0] == '*') {
            bool deep = pattern[1] == '*';
            pattern += deep ? 2 : 1;
            if (deep && *pattern == '/' && match(pattern + 1, text, end, steps))
                return true; /* no directory at all between */
            for (;; text++) {
                if (match(pattern, text, end, steps))
                    return true;
                if (text == end || *steps < 0 || (!deep && *text == '/'))
                    return false;
            }
        }
        if (text == end)
            return false;
        if (*pattern == '[') {
            if (!match_class(&pattern, (unsigned char)*text++))
                return false;
            continue;
        }
        if (*pattern == '\\' && pattern[1])
            pattern++;
        else if (*pattern == '?' && *text != '/') {
            pattern++, text++;
            continue;
        }
        if (*pattern++ != *text++)
            return false;
    }
    return text == end;
}

/* Does the pattern name path[0..len), a file or one of the directories above it? */
static bool names(const struct pattern *pattern, const char *path, const char *end, int *steps)
{
    if (pattern->anchored)
        return match(pattern->text, path, end, steps);
    const char *component = end;
    while (component > path && component[-1] != '/')
        component--;
    return match(pattern->text, component, end, steps);
}

/* ---- set-up ---- */

static void add(struct asset_ignore *ignore, const char *line, size_t len)
{
    struct pattern pattern = {0};
    while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r'))
        len--;
    if (len == 0 || line[0] == '#' || ignore->count == PATTERNS_MAX)
        return;
    if (line[0] == '!')
        pattern.negated = true, line++, len--;
    if (len > 0 && line[len - 1] == '/')
        pattern.directory = true, len--;
    pattern.anchored = memchr(line, '/', len) != NULL;
    if (len > 0 && line[0] == '/')
        line++, len--;
    if (len == 0)
        return;
    pattern.text = xstrndup(line, len);
    ignore->patterns =
        xrealloc(ignore->patterns, (ignore->count + 1) * sizeof(ignore->patterns[0]));
    ignore->patterns[ignore->count++] = pattern;
}

static void add_lines(struct asset_ignore *ignore, struct slice text)
{
    for (size_t at = 0; at < text.len;) {
        const char *end = memchr(text.ptr + at, '\n', text.len - at);
        size_t len = end ? (size_t)(end - text.ptr) - at : text.len - at;
        add(ignore, text.ptr + at, len);
        at += len + 1;
    }
}

struct asset_ignore *asset_ignore_new(struct slice text)
{
    struct asset_ignore *ignore = xcalloc(1, sizeof(*ignore));
    add_lines(ignore, text);
    add_lines(ignore, SLICE(always)); /* last, so that no "!" brings them back */
    return ignore;
}

void asset_ignore_free(struct asset_ignore **place)
{
    struct asset_ignore *ignore = TAKE(*place);
    if (!ignore)
        return;
    for (size_t i = 0; i < ignore->count; i++)
        free(ignore->patterns[i].text);
    free(ignore->patterns);
    free(ignore);
}

bool asset_ignore_matches(const struct asset_ignore *ignore, const char *path)
{
    int steps = STEPS_MAX;
    path++;
    /* From the top down: what lies in an ignored directory cannot be brought back. */
    for (const char *end = path; *end; end++) {
        end += strcspn(end, "/");
        bool ignored = false, is_directory = *end == '/';
        for (size_t i = 0; i < ignore->count; i++) {
            const struct pattern *pattern = &ignore->patterns[i];
            if ((is_directory || !pattern->directory) && names(pattern, path, end, &steps))
                ignored = !pattern->negated;
        }
        if (ignored || steps < 0)
            return true;
        if (!*end)
            break;
    }
    return false;
}
