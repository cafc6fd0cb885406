/* SPDX-License-Identifier: Apache-2.0 */
/* Tells when a file of a project changes (inotify). Directories are watched, not files: editors
 * replace files, and a file that is not there yet can be waited for. */
#ifndef WEIR_WATCH_H
#define WEIR_WATCH_H

#include <jansson.h>
#include <stdbool.h>

/* A descriptor that is readable after changes; negative errno. One a process. */
int watch_init(void);
/* paths: array of files, and of directories in which everything counts. keep: the ones before count
 * as well (a build that failed does not know all of its sources). */
void watch_renew(const json_t *paths, bool keep);
/* Reads the descriptor empty. Did anything change that counts? */
bool watch_changed(void);

#endif
