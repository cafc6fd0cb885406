/* SPDX-License-Identifier: Apache-2.0 */
/* A child process of the supervisor: this program executed again under a hidden name, with a
 * control socket as fd 3, nothing else open, its own session, and an environment of its own. */
#ifndef WEIR_PROCESS_H
#define WEIR_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "error.h"

struct process {
    pid_t pid;   /* 0: not running */
    int control; /* our end; -1 when not running */
    bool newest; /* starts what lies where we were started from, not what we are */
};

/* At the start of the program. */
void process_remember_program(void);
/* command: the hidden name and its arguments, NULL at the end. 0 or negative errno. */
int process_start(struct process *process, const char *const command[],
                  struct error *err) WARN_UNUSED;
/* After waitpid reported it, or to let go: closes the socket and forgets the pid. */
void process_forget(struct process *process);
/* "killed by signal 11 (Segmentation fault)" or "ended with 1"; static storage. */
const char *process_status_text(int status);

#endif
