/* SPDX-License-Identifier: Apache-2.0 */
#include "template.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "hot_pages.h"
#include "instance.h"
#include "ipc.h"

enum {
    INSTANCES_MAX = 4096,
    /* Address space that is taken after the limit is set, whether it will be used or not: an arena
     * of 64 MB that the engine reserves at the first need, the watchdog's stack, the rings. */
    RESERVED_LATER_BYTES = 80 * 1024 * 1024,
    THREADS_WAIT_MS = 2, /* between two looks whether the engine's helpers have left */
#ifdef __SANITIZE_ADDRESS__
    REHEARSAL_SLOWER = 10, /* and as much more memory */
#else
    REHEARSAL_SLOWER = 1,
#endif
    REHEARSAL_CPU_MS = 200 * REHEARSAL_SLOWER,
    REHEARSAL_WALL_S = 2 * REHEARSAL_SLOWER,
    REHEARSAL_BYTES_MAX = 32 * 1024 * 1024 * REHEARSAL_SLOWER, /* of memory that it touches */
};

static struct {
    struct template_start start;
    int task_fd, smaps_fd;
    struct slice bundle;
    struct control_rehearse rehearsal; /* that is still to be done; path_bytes 0: none */
    struct {
        uint32_t instance_id; /* 0: free */
        pid_t pid;
    } children[INSTANCES_MAX];
    uint32_t children_count;
    pid_t watched; /* whose pages are looked at (hot_pages.h); 0: nobody's */
} template;

int template_threads(int task_fd)
{
    char entries[4096];
    int count = 0;
    if (lseek(task_fd, 0, SEEK_SET) < 0)
        return 0;
    for (;;) {
        long bytes = syscall(SYS_getdents64, task_fd, entries, sizeof(entries));
        if (bytes <= 0)
            return bytes < 0 ? 0 : count;
        for (long at = 0; at < bytes;) {
            const struct dirent64 *entry = (const void *)(entries + at);
            count += entry->d_name[0] != '.';
            at += entry->d_reclen;
        }
    }
}

/* Address space now, from /proc/self/statm. */
static uint64_t address_space_bytes(int proc_fd)
{
    AUTO_FD fd = openat(proc_fd, "self/statm", O_RDONLY | O_CLOEXEC);
    char text[128] = "";
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
        return 0;
    return strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Memory that goes away with this process, from /proc/self/smaps_rollup. */
static uint32_t private_kb(void)
{
    char text[2048] = "";
    if (lseek(template.smaps_fd, 0, SEEK_SET) < 0 ||
        read(template.smaps_fd, text, sizeof(text) - 1) <= 0)
        return 0;
    const char *line = strstr(text, "\nPrivate_Dirty:");
    return line ? (uint32_t)strtoul(line + strlen("\nPrivate_Dirty:"), NULL, 10) : 0;
}

/* The memory limit holds for the module's global scope too, and every instance inherits it. The
 * engine has reserved its own address space already, so the limit is what may come on top. */
static void limit_memory(uint64_t now_bytes, uint32_t bytes_max)
{
#ifndef __SANITIZE_ADDRESS__ /* its shadow memory is 20 TB of address space */
    if (now_bytes == 0 || bytes_max == 0)
        return;
    uint64_t bytes = now_bytes + RESERVED_LATER_BYTES + bytes_max;
    struct rlimit limit = {bytes, bytes};
    (void)setrlimit(RLIMIT_AS, &limit);
#endif
    if (bytes_max > 0)
        engine_tell_memory_limit(bytes_max);
    struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
}

static void tell(uint32_t type, uint32_t instance_id, int status, const char *text)
{
    char message[sizeof(struct control_gone) + 4096];
    struct control_gone gone = {instance_id, template.start.limits.deployment_id, status,
                                (uint32_t)strnlen(text, 4096)};
    memcpy(message, &gone, sizeof(gone));
    memcpy(message + sizeof(gone), text, gone.text_bytes);
    (void)ipc_send(template.start.control, type, message, (uint32_t)sizeof(gone) + gone.text_bytes,
                   NULL, 0); /* gone itself: so are we */
}

static void on_startup_limit(int signal_number)
{
    (void)signal_number;
    tell(CONTROL_TEMPLATE_FAILED, 0, 0, "Script startup exceeded CPU time limit.");
    _exit(0);
}

/* The engine's own watchdog would need a thread, and then nobody could fork: a CPU timer, whose
 * signal ends the process. 0: no limit any more. */
static void limit_cpu(uint32_t cpu_ms_max, void (*on_limit)(int))
{
    struct itimerval limit = {.it_value = {cpu_ms_max / 1000, cpu_ms_max % 1000 * 1000}};
    (void)signal(SIGPROF, on_limit);
    (void)setitimer(ITIMER_PROF, &limit, NULL);
}

static void limit_startup(uint32_t cpu_ms_max)
{
    limit_cpu(cpu_ms_max, on_startup_limit);
}

/* Mapped for as long as the template lives. Whatever is not there or too long is nothing. */
static struct slice map_seed(void)
{
    struct stat stat;
    int fd = template.start.seed_fd;
    void *seed = MAP_FAILED;
    if (fd >= 0 && fstat(fd, &stat) == 0 && stat.st_size > 0 && stat.st_size <= SEED_BYTES_MAX)
        seed = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    fd_close(&template.start.seed_fd);
    return seed == MAP_FAILED ? (struct slice){0} : (struct slice){seed, (size_t)stat.st_size};
}

static void load_worker(void)
{
    struct error err = {""};
    struct stat stat;
    if (fstat(template.start.bundle_fd, &stat) < 0 || stat.st_size < 16) {
        tell(CONTROL_TEMPLATE_FAILED, 0, 0, "the bundle cannot be read");
        _exit(1);
    }
    /* Private, so that the pages are shared with the page cache and with every instance. */
    void *bundle = mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE,
                        template.start.bundle_fd, 0);
    if (bundle == MAP_FAILED) {
        tell(CONTROL_TEMPLATE_FAILED, 0, 0, "the bundle cannot be mapped");
        _exit(1);
    }
    fd_close(&template.start.bundle_fd);
    template.bundle = (struct slice){bundle, (size_t)stat.st_size};
    limit_startup(template.start.limits.startup_cpu_ms_max);
    if (instance_boot(template.bundle, map_seed(), &err) < 0) {
        tell(CONTROL_TEMPLATE_FAILED, 0, 0, err.text);
        _exit(0);
    }
    limit_startup(0);
    engine_compact(&instance.engine);
}

static void stop_watching(void)
{
    hot_pages_give_up();
    template.watched = 0;
}

static void become_instance(const struct ipc_message *message, int cpu, bool watched)
    __attribute__((noreturn));
static void become_instance(const struct ipc_message *message, int cpu, bool watched)
{
    hot_pages_take(watched);
    double seed = 0;
    uint64_t random = 0;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    (void)prctl(PR_SET_NAME, "weir-instance", 0, 0, 0);
    fd_close(&template.start.control);
    fd_close(&template.task_fd);
    fd_close(&template.smaps_fd);
    (void)signal(SIGCHLD, SIG_DFL);
    instance_keep_to_cpu(cpu);
    sandbox_install(template.start.instance_filter);
    instance_limit_cpu(template.start.limits.cpu_ms_max);
    if (getrandom(&random, sizeof(random), 0) == sizeof(random))
        seed = (double)(random >> 11);
    JSValueRef argument = JSValueMakeNumber(instance.engine.ctx, seed);
    (void)instance_call(instance.library.after_fork, 1, &argument);
    bool has_pool = message->fds_count == 3 * CHANNEL_FDS;
    _exit(instance_serve(message->fds, message->fds + CHANNEL_FDS,
                         has_pool ? message->fds + 2 * CHANNEL_FDS : NULL));
}

static void stay_alone(void)
{
    while (template_threads(template.task_fd) > 1) /* a fork would copy their locks, held */
        (void)poll(NULL, 0, THREADS_WAIT_MS);
}

static void fork_instance(struct ipc_message *message)
{
    struct control_instance order;
    if (message->bytes != sizeof(order) ||
        (message->fds_count != 2 * CHANNEL_FDS && message->fds_count != 3 * CHANNEL_FDS))
        return;
    memcpy(&order, message->payload, sizeof(order));
    size_t place = 0;
    while (place < INSTANCES_MAX && template.children[place].instance_id)
        place++;
    if (place == INSTANCES_MAX) {
        tell(CONTROL_EXIT, order.instance_id, 0, "too many instances");
        return;
    }
    stay_alone();
    bool watched = hot_pages_begin(template.children_count == 0);
    pid_t pid = fork();
    if (pid == 0)
        become_instance(message, order.cpu, watched);
    if (pid < 0) {
        if (watched)
            stop_watching();
        tell(CONTROL_EXIT, order.instance_id, 0, "cannot fork");
        return;
    }
    template.children[place].instance_id = order.instance_id;
    template.children[place].pid = pid;
    template.children_count++;
    if (watched)
        template.watched = pid;
    else if (template.watched)
        stop_watching(); /* two share pages with us: which one does not can not be seen */
}

/* CPU time, and time: what does neither end nor use any is ended, too. 0: no limit any more. */
static void limit_rehearsal(uint32_t cpu_ms_max, uint32_t wall_s_max, void (*on_limit)(int))
{
    struct itimerval wall = {.it_value = {.tv_sec = wall_s_max}};
    limit_cpu(cpu_ms_max, on_limit);
    (void)signal(SIGALRM, on_limit);
    (void)setitimer(ITIMER_REAL, &wall, NULL);
}

/* Tries the rehearsal in a child first: what a worker does there may have no end, end the process,
 * or take memory that every instance would have to have. */
static bool rehearsal_ends(struct slice path)
{
    stay_alone();
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        limit_rehearsal(REHEARSAL_CPU_MS, REHEARSAL_WALL_S, SIG_DFL);
        _exit(instance_rehearse(template.bundle, path) ? 0 : 1);
    }
    int status = -1;
    struct rusage used;
    return pid > 0 && wait4(pid, &status, 0, &used) == pid && status == 0 &&
           (size_t)used.ru_minflt * (size_t)sysconf(_SC_PAGESIZE) <= REHEARSAL_BYTES_MAX;
}

/* Nothing has changed for it since the child was through but time and chance. */
static void on_rehearsal_limit(int signal_number)
{
    (void)signal_number;
    _exit(0); /* the supervisor makes another template; the default action ends no first process */
}

static bool rehearse_for(struct slice path)
{
    if (!rehearsal_ends(path))
        return false;
    limit_rehearsal(2 * REHEARSAL_CPU_MS, 2 * REHEARSAL_WALL_S, on_rehearsal_limit);
    bool done = instance_rehearse(template.bundle, path);
    limit_rehearsal(0, 0, on_rehearsal_limit);
    engine_forget_copies(instance.engine.ctx);
    engine_compact(&instance.engine);
    hot_pages_forget();
    return done;
}

/* Once no instance is there and nothing is asked of us: nobody waits for what an instance does, and
 * the next one can be watched (hot_pages.h), which will write other pages than those before. */
static void rehearse_if_alone(void)
{
    struct pollfd asked = {template.start.control, POLLIN, 0};
    struct control_rehearse order = template.rehearsal;
    if (order.path_bytes == 0 || template.children_count > 0 || poll(&asked, 1, 0) != 0)
        return;
    memset(&template.rehearsal, 0, sizeof(template.rehearsal)); /* and no instance has the path */
    struct control_rehearsed told = {
        .done = rehearse_for((struct slice){order.path, order.path_bytes})};
    told.private_kb = private_kb();
    (void)ipc_send(template.start.control, CONTROL_REHEARSED, &told, sizeof(told), NULL, 0);
}

static void plan_rehearsal(const struct ipc_message *message)
{
    struct control_rehearse order;
    if (message->bytes != sizeof(order))
        return;
    memcpy(&order, message->payload, sizeof(order));
    if (order.path_bytes > 0 && order.path_bytes <= sizeof(order.path))
        template.rehearsal = order;
}

static void kill_instance(const struct ipc_message *message)
{
    struct control_kill order;
    if (message->bytes != sizeof(order))
        return;
    memcpy(&order, message->payload, sizeof(order));
    for (size_t i = 0; i < INSTANCES_MAX; i++)
        if (template.children[i].instance_id == order.instance_id && order.instance_id)
            (void)kill(template.children[i].pid, SIGKILL); /* ESRCH: it is being reaped */
}

static void reap(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == template.watched)
            stop_watching();
        for (size_t i = 0; i < INSTANCES_MAX; i++) {
            if (template.children[i].pid != pid || !template.children[i].instance_id)
                continue;
            tell(CONTROL_EXIT, template.children[i].instance_id, status, "");
            template.children[i].instance_id = 0;
            template.children_count--;
        }
    }
}

static void on_child(int signal_number)
{
    (void)signal_number; /* only to interrupt ppoll */
}

static void serve_supervisor(void) __attribute__((noreturn));
static void serve_supervisor(void)
{
    sigset_t child, none;
    (void)sigemptyset(&none);
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &child, NULL);
    struct sigaction action = {.sa_handler = on_child};
    (void)sigaction(SIGCHLD, &action, NULL);
    static struct ipc_message message;
    for (;;) {
        struct pollfd ready[] = {{template.start.control, POLLIN, 0}, {hot_pages_fd(), POLLIN, 0}};
        (void)ppoll(ready, ARRAY_LEN(ready), NULL, &none);
        if (ready[1].revents) {
            hot_pages_learn();
            template.watched = 0;
        }
        reap();
        int r;
        while ((r = ipc_recv(template.start.control, &message)) > 0) {
            if (message.type == CONTROL_FORK)
                fork_instance(&message);
            else if (message.type == CONTROL_END)
                kill_instance(&message);
            else if (message.type == CONTROL_REHEARSE)
                plan_rehearsal(&message);
            ipc_close_fds(&message);
        }
        if (r != -EAGAIN)
            _exit(0); /* the supervisor let go of us */
        rehearse_if_alone();
    }
}

void template_run(struct template_start *start)
{
    struct error err = {""};
    uint64_t started_us = clock_monotonic_us();
    template.start = *start;
    (void)prctl(PR_SET_NAME, "weir-template", 0, 0, 0);
    template.task_fd = openat(start->proc_fd, "self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    template.smaps_fd = openat(start->proc_fd, "self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    uint64_t space_bytes = address_space_bytes(start->proc_fd);
    int page_fds[2];
    hot_pages_open(start->proc_fd, page_fds);
    const int keep[] = {0,
                        1,
                        2,
                        start->bundle_fd,
                        start->control,
                        template.smaps_fd,
                        page_fds[0],
                        page_fds[1],
                        template.task_fd,
                        start->seed_fd};
    sandbox_close_fds(0, keep, ARRAY_LEN(keep));
    if (sandbox_drop_capabilities(&err) < 0) {
        tell(CONTROL_TEMPLATE_FAILED, 0, 0, err.text);
        _exit(1);
    }
    sandbox_install(start->template_filter);
    limit_memory(space_bytes, start->limits.memory_bytes_max);
    instance.subrequests_max = start->limits.subrequests_max;
    load_worker();
    struct control_template_ready ready = {
        .deployment_id = start->limits.deployment_id,
        .threads = (uint32_t)template_threads(template.task_fd),
        .startup_us = (uint32_t)(clock_monotonic_us() - started_us),
        .handlers = instance_handlers(),
        .private_kb = private_kb(),
    };
    if (ipc_send(template.start.control, CONTROL_TEMPLATE_READY, &ready, sizeof(ready), NULL, 0) <
        0)
        _exit(1);
    serve_supervisor();
}
