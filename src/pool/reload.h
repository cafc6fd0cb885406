/* SPDX-License-Identifier: Apache-2.0 */
/* A new plan takes the place of the old one under clients that stay. A pool whose connections would
 * be made in the same way goes on; others are retired: their connections are closed when they are
 * given back, and their clients go over to the pool of the new plan between two transactions. */
#ifndef WEIR_POOL_RELOAD_H
#define WEIR_POOL_RELOAD_H

#include <stdbool.h>

#include "wire.h"

struct client;

/* What clients of a database that the plan has no more are told. */
extern const struct wire_error reload_removed;

/* pool_process.config is the new plan. */
void reload_take_config(void);
/* The client is in no transaction: if its pool is retired, it goes over to the new one. False:
 * there is none, and it is closed. */
bool reload_follow(struct client *client);

#endif
