/* SPDX-License-Identifier: Apache-2.0 */
/* One binary, several processes: a hidden first argument names the one to be. */
#include <string.h>

#include "broker_main.h"
#include "cli_main.h"
#include "gateway_main.h"
#include "pool_main.h"
#include "runtime_main.h"

static const struct {
    const char *name;
    int (*main)(int argc, char **argv);
} processes[] = {
    {"__gateway", gateway_main},
    {"__broker", broker_main},
    {"__pool", pool_main},
    {"__nursery", nursery_main},
    {"__transform", transform_main},
    {"__shell", shell_main},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(processes) / sizeof(processes[0]); i++)
        if (strcmp(argv[1], processes[i].name) == 0)
            return processes[i].main(argc - 1, argv + 1);
    return cli_main(argc, argv);
}
