/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_BROKER_MAIN_H
#define WEIR_BROKER_MAIN_H

/* Entry of `weir __broker`; fd 3 is the control socket to the supervisor. Returns the exit code. */
int broker_main(int argc, char **argv);

#endif
