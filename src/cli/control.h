/* SPDX-License-Identifier: Apache-2.0 */
/* How `weir reload` reaches the weir serve of a data_dir: a socket beside the bundles. Who connects
 * asks for a reload, and is told how it went. weir.pid holds the process id for everybody else; a
 * lock on it tells whether its process lives, and keeps a second weir serve away. */
#ifndef WEIR_CONTROL_H
#define WEIR_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/* Locks, writes weir.pid and listens. A descriptor that is readable when somebody wants a reload;
 * -EBUSY: another process serves with this data_dir. Blocks SIGHUP: who reads the id may send it.
 */
int control_open(const char *data_dir, struct error *err) WARN_UNUSED;
/* Removes both files. */
void control_close(void);
/* Takes what has come; true: a reload is wanted. */
bool control_take(void);
/* A load ended (its number as in supervisor.h): tells who waited for it how, and more in words. */
enum control_outcome {
    CONTROL_LOADED = '0',
    CONTROL_REFUSED = '1', /* the configuration before stays in force, without revoked api keys */
    CONTROL_KEPT = '2',    /* … and with them, as nobody knows which those are */
};
void control_answer(uint32_t load, enum control_outcome outcome, const char *text);

/* The other side: reloads and waits. 0, with the text of success in ret_text; -errno with why not:
 * -ECANCELED for CONTROL_REFUSED, -EINVAL for CONTROL_KEPT, -ENOENT or -ECONNREFUSED: none runs. */
int control_reload(const char *data_dir, int timeout_ms, char **ret_text,
                   struct error *err) WARN_UNUSED;

#endif
