/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_POOL_CONSOLE_SET_H
#define WEIR_POOL_CONSOLE_SET_H

/* SET name = value, by PgBouncer's names and units. NULL, or what is wrong with it; malloc'ed. */
char *console_set(const char *name, const char *value);

#endif
