/* SPDX-License-Identifier: Apache-2.0 */
/* Which files of an asset directory are never served: the patterns of .assetsignore (gitignore's
 * syntax), and what no site means to publish. */
#ifndef WEIR_ASSET_IGNORE_H
#define WEIR_ASSET_IGNORE_H

#include "common.h"
#include "slice.h"

struct asset_ignore;

/* text: of .assetsignore; may be empty. */
struct asset_ignore *asset_ignore_new(struct slice text);
void asset_ignore_free(struct asset_ignore **ignore);
/* path: of a file, begins with '/'. */
bool asset_ignore_matches(const struct asset_ignore *ignore, const char *path);

#endif
