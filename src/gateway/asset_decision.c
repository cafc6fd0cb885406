/* SPDX-License-Identifier: Apache-2.0 */
#include "asset_decision.h"

#include <stdio.h>
#include <stdlib.h>

#include "asset_path.h"

/* A page has one canonical path; the other spellings redirect to it. For each html_handling the
 * rules by the end of the path (the first suffix of `endings` that it has), then those for any
 * path. file and to replace that suffix. SERVE: if the file is there. REDIRECT: if the file is
 * there, `to` is no file itself, and asking for `to` would serve just this file. */
enum act { SERVE, SERVE_ROOT, REDIRECT };

struct page_rule {
    const char *ending;
    enum act act;
    const char *file, *to;
};

static const char *const endings[] = {"/index", "/index.html", "/", ".html"};

static const struct page_rule rules_auto[] = {
    {"/index", SERVE, "/index"},
    {"/index", REDIRECT, "/index.html", "/"},
    {"/index", REDIRECT, ".html", ""},
    {"/index.html", REDIRECT, "/index.html", "/"},
    {"/index.html", REDIRECT, ".html", ""},
    {"/", SERVE, "/index.html"},
    {"/", REDIRECT, ".html", ""},
    {".html", REDIRECT, ".html", ""},
    {".html", REDIRECT, "/index.html", "/"},
    {"", SERVE, ""},
    {"", SERVE, ".html"},
    {"", REDIRECT, "/index.html", "/"},
    {0},
};
static const struct page_rule rules_force_slash[] = {
    {"/index", SERVE, "/index"},
    {"/index", REDIRECT, "/index.html", "/"},
    {"/index", REDIRECT, ".html", "/"},
    {"/index.html", REDIRECT, "/index.html", "/"},
    {"/index.html", REDIRECT, ".html", "/"},
    {"/", SERVE, "/index.html"},
    {"/", SERVE, ".html"},
    {".html", REDIRECT, ".html", "/"},
    {".html", SERVE, ".html"},
    {".html", REDIRECT, "/index.html", "/"},
    {"", SERVE, ""},
    {"", REDIRECT, ".html", "/"},
    {"", REDIRECT, "/index.html", "/"},
    {0},
};
static const struct page_rule rules_drop_slash[] = {
    {"/index", SERVE, "/index"},
    {"/index", REDIRECT, ".html", ""},
    {"/index", REDIRECT, "/index.html", ""},
    {"/index.html", REDIRECT, "/index.html", ""},
    {"/index.html", SERVE, "/index.html"},
    {"/index.html", REDIRECT, ".html", ""},
    {"/", SERVE_ROOT, "/index.html"},
    {"/", REDIRECT, ".html", ""},
    {"/", REDIRECT, "/index.html", ""},
    {".html", REDIRECT, ".html", ""},
    {".html", REDIRECT, "/index.html", ""},
    {"", SERVE, ""},
    {"", SERVE, ".html"},
    {"", SERVE, "/index.html"},
    {0},
};
static const struct page_rule rules_none[] = {
    {"", SERVE, ""},
    {0},
};

static const struct page_rule *const page_rules[] = {
    [HTML_AUTO] = rules_auto,
    [HTML_FORCE_SLASH] = rules_force_slash,
    [HTML_DROP_SLASH] = rules_drop_slash,
    [HTML_NONE] = rules_none,
};

static bool ends_with(const char *path, const char *suffix)
{
    size_t len = strlen(path), suffix_len = strlen(suffix);
    return len >= suffix_len && memcmp(path + len - suffix_len, suffix, suffix_len) == 0;
}

static bool join(char ret[ASSET_PATH_BYTES_MAX], const char *stem, size_t stem_len,
                 const char *suffix)
{
    int len = snprintf(ret, ASSET_PATH_BYTES_MAX, "%.*s%s", (int)stem_len, stem, suffix);
    return len < ASSET_PATH_BYTES_MAX;
}

/* Sets ret_path to the file that answers, or to the path to redirect to. */
static enum asset_outcome find_page(const struct asset_decider *decider, const char *path,
                                    bool redirects, char ret_path[ASSET_PATH_BYTES_MAX])
{
    const char *ending = "";
    char file[ASSET_PATH_BYTES_MAX], to[ASSET_PATH_BYTES_MAX], other[ASSET_PATH_BYTES_MAX];
    for (size_t i = 0; i < ARRAY_LEN(endings) && !*ending; i++)
        if (ends_with(path, endings[i]))
            ending = endings[i];
    for (const struct page_rule *rule = page_rules[decider->html]; rule->ending; rule++) {
        if (*rule->ending && strcmp(rule->ending, ending) != 0)
            continue;
        size_t stem_len = strlen(path) - strlen(rule->ending);
        if ((rule->act == SERVE_ROOT && stem_len > 0) || (rule->act == REDIRECT && !redirects) ||
            !join(file, path, stem_len, rule->file) || !asset_files_exists(decider->files, file))
            continue;
        if (rule->act != REDIRECT) {
            memcpy(ret_path, file, sizeof(file));
            return ASSET_FILE;
        }
        if (!join(to, path, stem_len, stem_len == 0 && !*rule->to ? "/" : rule->to) ||
            asset_files_exists(decider->files, to))
            continue;
        if (find_page(decider, to, false, other) == ASSET_FILE && strcmp(other, file) == 0) {
            memcpy(ret_path, to, sizeof(to));
            return ASSET_REDIRECT;
        }
    }
    return ASSET_NOTHING;
}

/* The nearest 404 page, or the application's only page. */
static bool find_substitute(const struct asset_decider *decider, const char *path,
                            char ret_file[ASSET_PATH_BYTES_MAX])
{
    if (decider->not_found == NOT_FOUND_SPA)
        return join(ret_file, "", 0, "/index.html") && asset_files_exists(decider->files, ret_file);
    for (size_t len = strlen(path); decider->not_found == NOT_FOUND_404_PAGE && len > 0; len--)
        if (path[len - 1] == '/' && join(ret_file, path, len, "404.html") &&
            asset_files_exists(decider->files, ret_file))
            return true;
    return false;
}

static void take_location(struct asset_decision *decision, struct slice target)
{
    AUTO_TEXT text = xstrndup(target.ptr, target.len);
    char *fragment = strchr(text, '#');
    if (fragment) {
        decision->fragment = xstrdup(fragment);
        *fragment = 0;
    }
    char *query = strchr(text, '?');
    if (query) {
        decision->query = xstrdup(query);
        *query = 0;
    }
    decision->location = TAKE(text);
}

/* The file or redirect for a decoded path, seen from the pathname under which it was asked for. */
static void decide_page(const struct asset_decider *decider, const char *pathname, const char *path,
                        uint64_t now_ms, struct asset_decision *decision)
{
    char found[ASSET_PATH_BYTES_MAX], canonical[ASSET_PATH_BYTES_MAX];
    enum asset_outcome outcome = ASSET_NOTHING;
    if (asset_files_may_have(decider->files, path, now_ms))
        outcome = find_page(decider, path, true, found);
    if (outcome == ASSET_NOTHING && find_substitute(decider, path, found)) {
        outcome = ASSET_FILE;
        decision->by_not_found = true;
        decision->status = decider->not_found == NOT_FOUND_SPA ? 200 : 404;
    }
    if (outcome == ASSET_NOTHING ||
        !asset_path_encode(outcome == ASSET_REDIRECT ? found : path, canonical))
        return;
    if (strcmp(canonical, pathname) != 0) {
        decision->outcome = ASSET_REDIRECT;
        decision->status = 307;
        decision->location = xstrdup(canonical);
        return;
    }
    decision->file = asset_file_get(decider->files, found, now_ms);
    if (decision->file)
        decision->outcome = ASSET_FILE;
}

struct asset_decision *asset_decide(const struct asset_decider *decider, const char *pathname,
                                    uint64_t now_ms)
{
    size_t len = strlen(pathname);
    struct asset_decision *decision = xcalloc(1, sizeof(*decision) + len + 1);
    char rewritten[ASSET_PATH_BYTES_MAX], path[ASSET_PATH_BYTES_MAX];
    AUTO_BUFFER target = {0};
    memcpy(decision->pathname, pathname, len + 1);
    decision->checked_ms = now_ms;
    int status = asset_rules_redirect(decider->rules, pathname, &target);
    if (status != 0 && status != 200) {
        decision->outcome = ASSET_REDIRECT;
        decision->status = status;
        decision->by_rule = true;
        take_location(decision, buffer_slice(&target));
        return decision;
    }
    decision->status = 200;
    decision->rewritten = status == 200;
    if (decision->rewritten) {
        if (!asset_path_normalise(buffer_slice(&target), rewritten))
            return decision;
        pathname = rewritten;
    }
    if (asset_path_decode(pathname, path))
        decide_page(decider, pathname, path, now_ms, decision);
    return decision;
}

void asset_decision_free(struct asset_decision **place)
{
    struct asset_decision *decision = TAKE(*place);
    if (!decision)
        return;
    asset_file_unref(&decision->file);
    free(decision->location);
    free(decision->query);
    free(decision->fragment);
    for (int coding = 0; coding < ASSET_CODINGS; coding++)
        free(decision->made[coding].text);
    free(decision);
}
