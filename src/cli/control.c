/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "state_dir.h"
#include "supervisor.h"

enum { WAITERS_MAX = 64, ANSWER_BYTES_MAX = 64 * 1024 };

static struct {
    char *pid_path, *socket_path;
    int lock, listener;
    struct {
        int fd;
        uint32_t load; /* the one that tells it something */
    } waiters[WAITERS_MAX];
    int waiters_count;
} control = {.lock = -1, .listener = -1};

/* A socket's address is short, a directory's path may be long: it is named by descriptor. */
static struct sockaddr_un address_in(int dir)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/weir.sock", dir);
    return address;
}

/* Opens the file and locks it. The one before may remove it in between: then it is another file. */
static int open_locked(const char *path)
{
    for (;;) {
        struct stat opened, there;
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
            return fd;
        if (fstat(fd, &opened) == 0 && stat(path, &there) == 0 && opened.st_ino == there.st_ino)
            return fd;
        (void)close(fd);
    }
}

static int lock_pid(struct error *err)
{
    AUTO_FD fd = open_locked(control.pid_path);
    char text[32] = "";
    if (fd < 0)
        return error_set(err, -errno, "cannot write %s: %s", control.pid_path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        (void)!pread(fd, text, sizeof(text) - 1, 0);
        text[strcspn(text, "\n")] = 0;
        return error_set(err, -EBUSY,
                         "weir serve runs already with this data_dir (%s, process %s); stop it, or "
                         "give this one another data_dir",
                         control.pid_path, text);
    }
    int len = snprintf(text, sizeof(text), "%d\n", getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) < 0)
        return error_set(err, -errno, "cannot write %s: %s", control.pid_path, strerror(errno));
    int result = fd;
    fd = -1;
    return result;
}

int control_open(const char *data_dir, struct error *err)
{
    sigset_t hangup;
    (void)sigemptyset(&hangup);
    (void)sigaddset(&hangup, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &hangup, NULL);
    int r = state_dir_make(data_dir, err);
    if (r < 0)
        return r;
    control.pid_path = xasprintf("%s/weir.pid", data_dir);
    control.socket_path = xasprintf("%s/weir.sock", data_dir);
    control.lock = lock_pid(err);
    if (control.lock < 0)
        return control.lock;
    AUTO_FD dir = open(data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct sockaddr_un address = address_in(dir);
    (void)unlink(control.socket_path); /* a dead process's: ours is the lock */
    mode_t mask = umask(0077);
    control.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (dir < 0 || control.listener < 0 ||
        bind(control.listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(control.listener, WAITERS_MAX) < 0)
        r = error_set(err, -errno, "cannot make %s: %s", control.socket_path, strerror(errno));
    (void)umask(mask);
    return r < 0 ? r : control.listener;
}

void control_close(void)
{
    if (control.lock < 0)
        return;
    (void)unlink(control.socket_path);
    (void)unlink(control.pid_path);
    fd_close(&control.listener);
    fd_close(&control.lock);
}

bool control_take(void)
{
    bool any = false;
    for (int fd; (fd = accept4(control.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) {
        if (control.waiters_count == WAITERS_MAX) {
            (void)close(fd);
            continue;
        }
        control.waiters[control.waiters_count].fd = fd;
        control.waiters[control.waiters_count++].load = supervisor_loads() + 1;
        any = true;
    }
    return any;
}

void control_answer(uint32_t load, enum control_outcome outcome, const char *text)
{
    int kept = 0;
    AUTO_TEXT answer = xasprintf("%c%s", (char)outcome, text);
    for (int i = 0; i < control.waiters_count; i++) {
        if (control.waiters[i].load > load) {
            control.waiters[kept++] = control.waiters[i];
            continue;
        }
        /* Fits into the socket's buffer; who does not wait any more does not matter. */
        (void)!send(control.waiters[i].fd, answer, strlen(answer), MSG_NOSIGNAL);
        (void)close(control.waiters[i].fd);
    }
    control.waiters_count = kept;
}

/* ---- the other side ---- */

static int receive(int fd, int timeout_ms, struct buffer *ret_answer)
{
    uint64_t end_ms = clock_monotonic_ms() + (uint64_t)timeout_ms;
    while (buffer_len(ret_answer) < ANSWER_BYTES_MAX) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        uint64_t now_ms = clock_monotonic_ms();
        if (now_ms >= end_ms || poll(&readable, 1, (int)(end_ms - now_ms)) == 0)
            return -ETIMEDOUT;
        ssize_t got = read(fd, buffer_reserve(ret_answer, 4096), 4096);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : 0;
        ret_answer->end += (size_t)got;
    }
    return 0;
}

int control_reload(const char *data_dir, int timeout_ms, char **ret_text, struct error *err)
{
    AUTO_BUFFER answer = {0};
    AUTO_FD dir = open(data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = address_in(dir);
    if (dir < 0 || fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return error_set(err, -errno,
                         errno == ENOENT || errno == ECONNREFUSED || errno == EBADF
                             ? "no weir serve runs with it (%s/weir.sock: %s)"
                             : "cannot ask the weir serve of %s: %s",
                         data_dir, strerror(errno));
    int r = receive(fd, timeout_ms, &answer);
    if (r == -ETIMEDOUT)
        return error_set(
            err, r, "weir serve did not finish within %d s; it may still do, its log will tell",
            timeout_ms / 1000);
    if (r < 0 || buffer_len(&answer) == 0)
        return error_set(err, r < 0 ? r : -EPIPE,
                         "weir serve ended or does not answer; its log tells");
    const char *text = answer.data + answer.start + 1;
    int len = (int)buffer_len(&answer) - 1;
    char outcome = answer.data[answer.start];
    if (outcome != CONTROL_LOADED)
        return error_set(err, outcome == CONTROL_REFUSED ? -ECANCELED : -EINVAL, "%.*s", len, text);
    *ret_text = xstrndup(text, (size_t)len);
    return 0;
}
