/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_RUNTIME_MAIN_H
#define WEIR_RUNTIME_MAIN_H

/* Entries of the processes that hold a JavaScript engine. Each returns the exit code. */
int nursery_main(int argc, char **argv);   /* `weir __nursery`: fd 3 is the control socket */
int transform_main(int argc, char **argv); /* `weir __transform`: framed bundles, stdin → stdout */
int shell_main(int argc,
               char **argv); /* `weir __shell FILE…`: the library with a script, for tests */

#endif
