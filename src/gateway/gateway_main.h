/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_GATEWAY_MAIN_H
#define WEIR_GATEWAY_MAIN_H

/* Entry of `weir __gateway`; fd 3 is the control socket to the supervisor. Returns the exit code.
 */
int gateway_main(int argc, char **argv);

#endif
