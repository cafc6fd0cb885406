/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_POOL_IMPORT_H
#define WEIR_POOL_IMPORT_H

/* `weir pool import`; argv[0] is "import". Returns the exit code. */
int pool_import(int argc, char **argv);

#endif
