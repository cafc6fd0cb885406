/* SPDX-License-Identifier: Apache-2.0 */
#include "broker_main.h"

int broker_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    return 1;
}
