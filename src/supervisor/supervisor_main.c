/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor_main.h"

int supervisor_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    return 1;
}
