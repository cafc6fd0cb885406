/* SPDX-License-Identifier: Apache-2.0 */
/* What a pathname means to an asset directory: a file, a redirect, or nothing. Depends on the path
 * and the directory alone, so it is kept for revalidate_ms; what depends on the rest of the request
 * (assets.c) comes after. */
#ifndef WEIR_ASSET_DECISION_H
#define WEIR_ASSET_DECISION_H

#include "asset_files.h"
#include "asset_rules.h"

enum html_handling { HTML_AUTO, HTML_FORCE_SLASH, HTML_DROP_SLASH, HTML_NONE };
enum not_found_handling { NOT_FOUND_NONE, NOT_FOUND_404_PAGE, NOT_FOUND_SPA };

enum asset_outcome { ASSET_NOTHING, ASSET_FILE, ASSET_REDIRECT };

struct asset_decision {
    enum asset_outcome outcome;
    int status;        /* 200; 404 of a 404 page; a redirect's */
    bool by_not_found; /* there is no such asset: not_found_handling chose this */
    bool rewritten;    /* by _redirects with status 200: then nothing means 404 */
    bool by_rule;      /* a redirect of _redirects: whatever the method */
    struct asset_file *file;
    char *location, *query, *fragment; /* of a redirect; query NULL: the request's */

    uint64_t hash, checked_ms;
    struct { /* the answer's head and header block for this path, made once a version of the file */
        uint32_t version;
        char *text; /* head, then headers */
        size_t head_len, headers_len;
    } made[ASSET_CODINGS];
    char pathname[];
};

struct asset_decider {
    enum html_handling html;
    enum not_found_handling not_found;
    struct asset_rules *rules;
    struct asset_files *files;
};

/* Never NULL. Freed with asset_decision_free. */
struct asset_decision *asset_decide(const struct asset_decider *decider, const char *pathname,
                                    uint64_t now_ms);
void asset_decision_free(struct asset_decision **decision);

#endif
