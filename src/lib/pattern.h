/* SPDX-License-Identifier: Apache-2.0 */
/* The patterns of projects: globs of routes and module rules, and those of _headers and _redirects
 * with stars and :placeholders. What the configuration is checked for is what is served. */
#ifndef WEIR_PATTERN_H
#define WEIR_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

/* A star stands for any bytes, none and slashes included. Time is at most the product of the
 * lengths. */
bool pattern_glob_matches(const char *glob, const char *path);

/* Length of the placeholder that text begins with, its colon included (":name"); 0: none. */
size_t pattern_placeholder_len(const char *text);
/* Has it a star or a placeholder? */
bool pattern_is_dynamic(const char *pattern);
/* Has it two stars, or a placeholder twice? A name can stand for one thing only. */
bool pattern_has_twice(const char *pattern);

#endif
