/* SPDX-License-Identifier: Apache-2.0 */
/* Where bundles are kept: data_dir of weir serve, a directory of its own for each weir dev. */
#ifndef WEIR_STATE_DIR_H
#define WEIR_STATE_DIR_H

#include <jansson.h>

#include "error.h"

/* Makes the directory and those above it, only for this user; a new one gets a .gitignore of "*".
 */
int state_dir_make(const char *path, struct error *err) WARN_UNUSED;

/* A directory for this process alone, absolute, malloc'ed: below project_dir/.weir, or in the
 * directory for temporary files when the project cannot be written to. What dead processes left
 * there is removed. NULL with err: neither is possible. */
char *state_dir_private(const char *project_dir, struct error *err);
/* A new directory for temporary files; NULL with err. */
char *state_dir_temporary(struct error *err);
/* Removes it with all that is in it. */
void state_dir_remove(const char *path);

/* Removes the bundles that neither this plan names nor the one of the call before: templates of the
 * version before may still start. Not while a loader runs: it may have chosen one. */
void state_dir_tidy(const char *path, const json_t *plan);

#endif
