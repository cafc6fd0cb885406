/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_SUPERVISOR_MAIN_H
#define WEIR_SUPERVISOR_MAIN_H

/* Entry of `weir __supervisor`; fd 3 is the control socket to the supervisor. Returns the exit code. */
int supervisor_main(int argc, char **argv);

#endif
