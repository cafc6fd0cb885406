/* SPDX-License-Identifier: Apache-2.0 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "ipc.h"

enum { CONTROL_FD = 3 };

/* What a child may know of our environment: no secrets. Sanitizer options are for test builds. */
static void keep_environment(char *kept[], int cap)
{
    static const char *const names[] = {"NO_COLOR",     "LANG",         "SSL_CERT_FILE",
                                        "SSL_CERT_DIR", "ASAN_OPTIONS", "UBSAN_OPTIONS",
                                        "LSAN_OPTIONS"};
    int count = 0;
    for (size_t i = 0; i < ARRAY_LEN(names) && count < cap - 1; i++) {
        const char *value = getenv(names[i]);
        if (value)
            kept[count++] = xasprintf("%s=%s", names[i], value);
    }
    kept[count] = NULL;
}

/* The file that we were started from: another one may lie there by now. */
static char program[4096];

void process_remember_program(void)
{
    ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);
    program[len > 0 ? len : 0] = 0;
}

static void become(int control, const char *const command[], bool newest) __attribute__((noreturn));
static void become(int control, const char *const command[], bool newest)
{
    char *environment[16];
    (void)setsid(); /* Ctrl-C at the terminal is for the supervisor, which drains us */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    keep_environment(environment, ARRAY_LEN(environment));
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (control == CONTROL_FD)
        (void)fcntl(control, F_SETFD, 0);
    else
        (void)dup2(control, CONTROL_FD);
    (void)syscall(SYS_close_range, CONTROL_FD + 1, ~0u, 0);
    int null = open("/dev/null", O_RDONLY);
    if (null > 0) {
        (void)dup2(null, STDIN_FILENO);
        (void)close(null);
    }
    char *argv[8] = {"weir"};
    for (size_t i = 0; command[i] && i < ARRAY_LEN(argv) - 2; i++)
        argv[i + 1] = (char *)(uintptr_t)command[i];
    if (newest && *program)
        (void)execve(program, argv, environment);
    (void)execve("/proc/self/exe", argv, environment);
    perror("weir: cannot execute itself");
    _exit(127);
}

int process_start(struct process *process, const char *const command[], struct error *err)
{
    int pair[2];
    int r = ipc_pair(pair);
    if (r < 0)
        return error_set(err, r, "cannot make a control socket: %s", strerror(-r));
    pid_t pid = fork();
    if (pid < 0) {
        r = error_set(err, -errno, "cannot fork %s: %s", command[0], strerror(errno));
        (void)close(pair[0]);
        (void)close(pair[1]);
        return r;
    }
    if (pid == 0)
        become(pair[1], command, process->newest);
    (void)close(pair[1]);
    *process = (struct process){pid, pair[0]};
    return 0;
}

void process_forget(struct process *process)
{
    fd_close(&process->control);
    process->pid = 0;
}

const char *process_status_text(int status)
{
    static char text[96];
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_OUT_OF_MEMORY)
        (void)snprintf(text, sizeof(text), "ran out of memory; raise limits.memory");
    else if (WIFSIGNALED(status))
        (void)snprintf(text, sizeof(text), "killed by signal %d (%s)", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    else
        (void)snprintf(text, sizeof(text), "ended with %d", WEXITSTATUS(status));
    return text;
}
