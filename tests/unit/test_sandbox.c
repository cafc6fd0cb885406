/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes that face strangers are refused, whoever they are: system calls made by
 * themselves, as an exploit would make them. What an instance is refused: tests/hostile. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sandbox.h"

enum { DONE = 42 }; /* how a child ends that has run no other program */

static char *nothing[] = {NULL};

enum { PARENT = -1000 }; /* stands for the one that a child may signal, whoever runs this */
#define TEXT(text) ((intptr_t)(text))

static const struct call {
    const char *name;
    long number;
    intptr_t arguments[4];
} refused[] = {
    {"execve", SYS_execve, {TEXT("/bin/true"), TEXT(nothing), TEXT(nothing)}},
    {"execveat", SYS_execveat, {AT_FDCWD, TEXT("/bin/true"), TEXT(nothing), TEXT(nothing)}},
    {"a new process", SYS_clone, {SIGCHLD}},
    {"ptrace", SYS_ptrace, {PTRACE_TRACEME}},
    {"process_vm_readv", SYS_process_vm_readv, {1}},
    {"pidfd_getfd", SYS_pidfd_getfd, {-1}},
    {"kill", SYS_kill, {PARENT, 0}},
    {"a signal to another process", SYS_tgkill, {PARENT, PARENT, 0}},
    {"open to write", SYS_openat, {AT_FDCWD, TEXT("/dev/null"), O_WRONLY}},
    {"open to read and write", SYS_openat, {AT_FDCWD, TEXT("/dev/null"), O_RDWR}},
    {"open a new file", SYS_openat, {AT_FDCWD, TEXT("/tmp"), O_RDONLY | O_CREAT, 0600}},
    {"open and truncate", SYS_openat, {AT_FDCWD, TEXT("/dev/null"), O_RDONLY | O_TRUNC}},
    {"unlinkat", SYS_unlinkat, {AT_FDCWD, TEXT("/nowhere/x")}},
    {"renameat2", SYS_renameat2, {AT_FDCWD, TEXT("/nowhere/x"), AT_FDCWD, TEXT("/nowhere/y")}},
    {"mkdirat", SYS_mkdirat, {AT_FDCWD, TEXT("/nowhere/x"), 0700}},
    {"fchmodat", SYS_fchmodat, {AT_FDCWD, TEXT("/nowhere/x"), 0777}},
    {"unshare", SYS_unshare, {CLONE_NEWUSER}},
    {"setns", SYS_setns, {-1}},
    {"mount", SYS_mount, {TEXT("none"), TEXT("/nowhere"), TEXT("tmpfs")}},
    {"chroot", SYS_chroot, {TEXT("/nowhere")}},
    {"setresuid", SYS_setresuid, {-1, -1, -1}},
    {"capset", SYS_capset, {0}},
    {"listen", SYS_listen, {-1}},
    {"io_uring_setup", SYS_io_uring_setup, {0}},
    {"io_uring_register", SYS_io_uring_register, {-1}},
    {"bpf", SYS_bpf, {-1}},
    {"perf_event_open", SYS_perf_event_open, {0}},
    {"userfaultfd", SYS_userfaultfd, {-1}},
    {"keyctl", SYS_keyctl, {-1}},
};

/* In a child: the number of calls that were not refused by the filter. */
static int count_allowed(enum sandbox_profile profile)
{
    int allowed = 0;
    pid_t self = getpid(), parent = getppid();
    sandbox_install(sandbox_compile(profile));
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        intptr_t a[4];
        for (size_t at = 0; at < ARRAY_LEN(a); at++)
            a[at] = refused[i].arguments[at] == PARENT ? parent : refused[i].arguments[at];
        long r = syscall(refused[i].number, a[0], a[1], a[2], a[3]);
        if (getpid() != self)
            _exit(0);
        if (r == -1 && errno == EPERM)
            continue;
        (void)fprintf(stderr, "profile %d: %s: %s\n", profile, refused[i].name,
                      r == -1 ? strerror(errno) : "done");
        allowed++;
    }
    return allowed;
}

static int in_child(int (*run)(enum sandbox_profile profile), enum sandbox_profile profile)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(DONE + run(profile));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_refused(void **state)
{
    (void)state;
    assert_int_equal(in_child(count_allowed, SANDBOX_POOL), DONE);
    assert_int_equal(in_child(count_allowed, SANDBOX_BROKER), DONE);
    assert_int_equal(in_child(count_allowed, SANDBOX_GATEWAY), DONE);
}

/* So that what is refused is not so because everything is: names are resolved by files. */
static int read_and_connect(enum sandbox_profile profile)
{
    sandbox_install(sandbox_compile(profile));
    AUTO_FD file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return (file < 0) + (fd < 0);
}

static void test_allowed(void **state)
{
    (void)state;
    assert_int_equal(in_child(read_and_connect, SANDBOX_POOL), DONE);
    assert_int_equal(in_child(read_and_connect, SANDBOX_BROKER), DONE);
    assert_int_not_equal(in_child(read_and_connect, SANDBOX_GATEWAY), DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
