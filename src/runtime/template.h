/* SPDX-License-Identifier: Apache-2.0 */
/* A template: one version of one worker, its module evaluated, waiting to be forked. It is pid 1 of
 * its own pid namespace: when it ends, the kernel ends every instance of it. */
#ifndef WEIR_TEMPLATE_H
#define WEIR_TEMPLATE_H

#include "control.h"
#include "sandbox.h"

struct template_start {
    struct control_template limits;
    int bundle_fd;
    int control; /* socket to the supervisor */
    int seed_fd; /* what instances of before learned; -1: nothing */
    int proc_fd; /* /proc, to see our own threads and size; closed before any user code runs */
    const struct sandbox_filter *template_filter, *instance_filter;
};

/* Runs in the child of the nursery; never returns. Takes the fds over. */
void template_run(struct template_start *start) __attribute__((noreturn));

/* Entries of /proc/self/task; 0 when it cannot be read. */
int template_threads(int task_fd);

#endif
