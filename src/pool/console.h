/* SPDX-License-Identifier: Apache-2.0 */
/* The console: a database that is not one, by the name that PgBouncer's has, and with its commands.
 * Simple queries alone. */
#ifndef WEIR_POOL_CONSOLE_H
#define WEIR_POOL_CONSOLE_H

#include <stdbool.h>

#include "slice.h"

#define CONSOLE_DATABASE "pgbouncer"

struct client;

bool console_admits(const char *user);
bool console_may_command(const char *user);
/* The login of the client is through: from now on it is the console's. */
void console_open(struct client *client, const char *user, struct slice application_name,
                  bool may_command);
void console_run(struct client *client);
/* PAUSE and RESUME of everything, as a signal asks. */
void console_pause_all(bool pause);
/* What was said on the console of another process (handover.h). */
void console_obey(const char *name, const char *word);
/* Are there transactions yet in what is paused? */
bool console_is_busy(void);
/* … or connections that are to be closed? */
bool console_is_closing(void);
void console_tick(struct client *client);
/* It is closed, or was never one of the console's. */
void console_close(struct client *client);

#endif
