/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOBODY = 65534 };

/* Other credentials take away that we end with whoever has started us, however busy we are. */
static int death_signal(void)
{
    int number = 0;
    (void)prctl(PR_GET_PDEATHSIG, &number, 0, 0, 0);
    return number;
}

int sandbox_drop_user(struct error *err)
{
    int death = death_signal();
    if (geteuid() != 0)
        return 0;
    if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) < 0)
        return error_set(err, -errno, "cannot become nobody (uid %d): %s", NOBODY, strerror(errno));
    /* Changing the uid made us undumpable, and with it the owner of /proc/self/uid_map. */
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    (void)prctl(PR_SET_PDEATHSIG, death, 0, 0, 0);
    return 0;
}

static int write_proc(const char *path, const char *text)
{
    AUTO_FD fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t len = (ssize_t)strlen(text);
    return write(fd, text, (size_t)len) == len ? 0 : -errno;
}

int sandbox_unshare(bool pid_namespace, struct error *err)
{
    unsigned uid = geteuid(), gid = getegid();
    int death = death_signal();
    int flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
    if (unshare(flags | (pid_namespace ? CLONE_NEWPID : 0)) < 0)
        return error_set(
            err, -errno,
            "cannot enter new namespaces: %s; the machine must allow unprivileged user "
            "namespaces (sysctl user.max_user_namespaces > 0, and "
            "kernel.unprivileged_userns_clone=1 where it exists; in a container: "
            "--security-opt seccomp=unconfined). Try: weir doctor",
            strerror(errno));
    (void)prctl(PR_SET_PDEATHSIG, death, 0, 0, 0);
    AUTO_TEXT uid_map = xasprintf("%u %u 1", uid, uid);
    AUTO_TEXT gid_map = xasprintf("%u %u 1", gid, gid);
    int r = write_proc("/proc/self/setgroups", "deny");
    if (r == 0)
        r = write_proc("/proc/self/uid_map", uid_map);
    if (r == 0)
        r = write_proc("/proc/self/gid_map", gid_map);
    if (r < 0)
        return error_set(err, r, "cannot map the user into its namespace: %s", strerror(-r));
    return 0;
}

int sandbox_empty_root(struct error *err)
{
    const char *step = "make mounts private";
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        goto failed;
    step = "mount the empty root";
    if (mount("weir", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=1") < 0)
        goto failed;
    step = "enter the empty root";
    if (chdir("/tmp") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
        goto failed;
    step = "make the root read-only";
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        goto failed;
    return 0;
failed:
    return error_set(err, -errno, "cannot %s: %s", step, strerror(errno));
}

int sandbox_drop_capabilities(struct error *err)
{
    for (int cap = 0; cap <= 63; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL && errno != EPERM)
            return error_set(err, -errno, "cannot drop capability %d: %s", cap, strerror(errno));
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    if (syscall(SYS_capset, &header, none) < 0)
        return error_set(err, -errno, "cannot drop capabilities: %s", strerror(errno));
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* EINVAL on old kernels */
    return 0;
}

/* System calls by purpose; a profile is a set of groups. */
static const int calls_compute[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(lseek),
    SCMP_SYS(munmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(madvise),
    SCMP_SYS(mremap),
    SCMP_SYS(brk),
    SCMP_SYS(mincore),
    SCMP_SYS(futex),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(getrandom),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigsuspend), /* the engine stops a thread so to exchange code that it compiled */
    SCMP_SYS(sigaltstack),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
    SCMP_SYS(membarrier),
    SCMP_SYS(rseq),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(eventfd2),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getrlimit),
    SCMP_SYS(times),
    SCMP_SYS(time),
};
static const int calls_template[] = {
    SCMP_SYS(tgkill),          SCMP_SYS(wait4),     SCMP_SYS(kill),       SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),         SCMP_SYS(fcntl),     SCMP_SYS(prctl),      SCMP_SYS(seccomp),
    SCMP_SYS(prlimit64),       SCMP_SYS(setrlimit), SCMP_SYS(getdents64), SCMP_SYS(epoll_create1),
    SCMP_SYS(close_range),     SCMP_SYS(dup),       SCMP_SYS(eventfd2),   SCMP_SYS(signalfd4),
    SCMP_SYS(set_tid_address), SCMP_SYS(setitimer),
};
static const int calls_nursery[] = {
    SCMP_SYS(unshare), SCMP_SYS(setns),  SCMP_SYS(openat),  SCMP_SYS(newfstatat),
    SCMP_SYS(capset),  SCMP_SYS(capget), SCMP_SYS(getppid),
};
static const int calls_server[] = {
    SCMP_SYS(recvmsg),     SCMP_SYS(recvfrom),    SCMP_SYS(sendmsg),       SCMP_SYS(sendto),
    SCMP_SYS(sendfile),    SCMP_SYS(shutdown),    SCMP_SYS(getsockopt),    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(epoll_create1), SCMP_SYS(eventfd2),
    SCMP_SYS(fcntl),       SCMP_SYS(ioctl),       SCMP_SYS(newfstatat),    SCMP_SYS(statx),
    SCMP_SYS(pread64),     SCMP_SYS(getdents64),  SCMP_SYS(prctl),         SCMP_SYS(close_range),
    SCMP_SYS(getcpu),
};
static const int calls_gateway[] = {SCMP_SYS(accept4), SCMP_SYS(accept), SCMP_SYS(openat2),
                                    SCMP_SYS(memfd_create)};
static const int calls_pool[] = {SCMP_SYS(accept4), SCMP_SYS(mlock),
                                 SCMP_SYS(io_uring_enter)}; /* its ring is made before */
static const int calls_broker[] = {
    SCMP_SYS(socket),          SCMP_SYS(socketpair),    SCMP_SYS(connect),  SCMP_SYS(bind),
    SCMP_SYS(pipe2),           SCMP_SYS(sendmmsg),      SCMP_SYS(recvmmsg), SCMP_SYS(access),
    SCMP_SYS(faccessat),       SCMP_SYS(faccessat2),    SCMP_SYS(readlink), SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),          SCMP_SYS(select),        SCMP_SYS(pselect6), SCMP_SYS(getresuid),
    SCMP_SYS(getresgid),       SCMP_SYS(alarm),         SCMP_SYS(stat),     SCMP_SYS(lstat),
    SCMP_SYS(uname),           SCMP_SYS(statfs),        SCMP_SYS(fstatfs),  SCMP_SYS(prlimit64),
    SCMP_SYS(set_tid_address), SCMP_SYS(sched_getattr),
};

static void allow(scmp_filter_ctx ctx, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, calls[i], 0, NULL);
        assert(r == 0 || r == -EDOM); /* EDOM: not on this architecture */
    }
}
#define ALLOW(ctx, calls) allow((ctx), (calls), ARRAY_LEN(calls))

static void allow_if(scmp_filter_ctx ctx, int call, struct scmp_arg_cmp condition)
{
    int r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, call, 1, &condition);
    assert(r == 0);
}

/* Stands for the process's own id, which the filter learns when it is installed. */
#define OWN_PID 0x5e1f5e1fu

enum {
    THREAD_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD,
    NAMESPACE_FLAGS = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                      CLONE_NEWPID | CLONE_NEWCGROUP,
};

static void add_rules(scmp_filter_ctx ctx, enum sandbox_profile profile)
{
    ALLOW(ctx, calls_compute);
    /* glibc falls back from clone3, whose flags a filter cannot see, to clone, whose it can. */
    int r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    assert(r == 0);
    allow_if(ctx, SCMP_SYS(clone), SCMP_CMP(0, SCMP_CMP_MASKED_EQ, THREAD_FLAGS, THREAD_FLAGS));
    allow_if(ctx, SCMP_SYS(prctl), SCMP_CMP(0, SCMP_CMP_EQ, PR_SET_NAME));
    allow_if(ctx, SCMP_SYS(sched_setaffinity), SCMP_CMP(0, SCMP_CMP_EQ, 0)); /* one's own */
    /* The engine's watchdog interrupts the running thread by a signal: to ourselves, to no other.
     */
    if (profile != SANDBOX_NURSERY && profile != SANDBOX_TEMPLATE) /* filters add up over forks */
        allow_if(ctx, SCMP_SYS(tgkill), SCMP_CMP(0, SCMP_CMP_EQ, OWN_PID));
    /* fstat, as glibc spells it: a descriptor and no path. */
    allow_if(ctx, SCMP_SYS(newfstatat), SCMP_CMP(3, SCMP_CMP_EQ, AT_EMPTY_PATH));
    /* Anonymous or shared-memory mappings alone reach an instance: it holds no other file. */
    allow(ctx, (const int[]){SCMP_SYS(mmap)}, 1);
    if (profile == SANDBOX_NURSERY || profile == SANDBOX_TEMPLATE) {
        ALLOW(ctx, calls_template);
        allow_if(ctx, SCMP_SYS(clone),
                 SCMP_CMP(0, SCMP_CMP_MASKED_EQ, NAMESPACE_FLAGS | CLONE_VM, 0));
    }
    if (profile == SANDBOX_NURSERY)
        ALLOW(ctx, calls_nursery);
    bool connects = profile == SANDBOX_BROKER || profile == SANDBOX_POOL;
    if (profile == SANDBOX_GATEWAY || connects)
        ALLOW(ctx, calls_server);
    if (profile == SANDBOX_GATEWAY)
        ALLOW(ctx, calls_gateway);
    if (profile == SANDBOX_POOL)
        ALLOW(ctx, calls_pool);
    if (connects) {
        ALLOW(ctx, calls_broker);
        struct scmp_arg_cmp read_only =
            SCMP_CMP(2, SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY);
        allow_if(ctx, SCMP_SYS(openat), read_only);
    }
}

struct sandbox_filter {
    struct sock_fprog program;
};

const struct sandbox_filter *sandbox_compile(enum sandbox_profile profile)
{
    assert(profile < SANDBOX_PROFILES);
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    assert(ctx);
    (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* binary tree: fewer steps a call */
    add_rules(ctx, profile);
    AUTO_FD fd = memfd_create("weir-seccomp", MFD_CLOEXEC);
    int r = seccomp_export_bpf(ctx, fd);
    assert(r == 0);
    seccomp_release(ctx);
    off_t bytes = lseek(fd, 0, SEEK_END);
    assert(bytes > 0 && bytes % (off_t)sizeof(struct sock_filter) == 0);
    struct sandbox_filter *filter = xcalloc(1, sizeof(*filter));
    filter->program.len = (unsigned short)((size_t)bytes / sizeof(struct sock_filter));
    filter->program.filter = xcalloc(1, (size_t)bytes);
    ssize_t got = pread(fd, filter->program.filter, (size_t)bytes, 0);
    assert(got == bytes);
    return filter;
}

void sandbox_install(const struct sandbox_filter *filter)
{
    struct sock_filter code[4096];
    struct sock_fprog program = {filter->program.len, code};
    assert(program.len <= ARRAY_LEN(code));
    memcpy(code, filter->program.filter, program.len * sizeof(code[0]));
    for (size_t i = 0; i < program.len; i++)
        if (code[i].k == OWN_PID)
            code[i].k = (uint32_t)getpid();
    int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    assert(r == 0);
    r = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
    assert(r == 0);
}

static int compare_fds(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

void sandbox_close_fds(int from, const int *keep, int count)
{
    int sorted[64];
    assert(count <= (int)ARRAY_LEN(sorted));
    for (int i = 0; i < count; i++)
        sorted[i] = keep[i];
    qsort(sorted, (size_t)count, sizeof(int), compare_fds);
    for (int i = 0; i < count; i++) {
        if (sorted[i] < from)
            continue;
        if (sorted[i] > from)
            (void)syscall(SYS_close_range, from, sorted[i] - 1, 0);
        from = sorted[i] + 1;
    }
    (void)syscall(SYS_close_range, from, ~0u, 0);
}
