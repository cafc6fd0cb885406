/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CLI_MAIN_H
#define WEIR_CLI_MAIN_H

/* Entry of `weir __cli`; fd 3 is the control socket to the supervisor. Returns the exit code. */
int cli_main(int argc, char **argv);

#endif
