/* SPDX-License-Identifier: Apache-2.0 */
/* Variables of the environment that hold secrets. Each load reads them, in a process of its own;
 * between loads they are in a file without a name, and neither in our environment nor in our
 * memory. */
#ifndef WEIR_SECRET_ENVIRONMENT_H
#define WEIR_SECRET_ENVIRONMENT_H

#include <jansson.h>

/* The variable's value, malloc'ed; NULL: there is no such variable. */
char *secret_environment_read(const char *name);
/* Takes variables, an array of names, out of the environment; secret_environment_read still has
 * them. */
void secret_environment_hide(const json_t *names);

#endif
