/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_POOL_MAIN_H
#define WEIR_POOL_MAIN_H

/* Entry of `weir __pool`; fd 3 is the control socket to the supervisor. Returns the exit code. */
int pool_main(int argc, char **argv);

#endif
