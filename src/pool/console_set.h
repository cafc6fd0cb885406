/* SPDX-License-Identifier: Apache-2.0 */
/* Settings on the console, by PgBouncer's names and units. */
#ifndef WEIR_POOL_CONSOLE_SET_H
#define WEIR_POOL_CONSOLE_SET_H

#include <stdbool.h>
#include <stddef.h>

/* SET name = value. NULL, or what is wrong with it; malloc'ed. */
char *console_set(const char *name, const char *value);
/* The name of the setting at a place; NULL behind the last. */
const char *console_setting(size_t place);
/* Its value; malloc'ed. NULL: the pool has nothing like it. */
char *console_get(size_t place);
/* May it be set for the sake of scripts that were written for PgBouncer, and nothing else? */
bool console_is_without_effect(const char *name);

#endif
