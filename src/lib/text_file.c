/* SPDX-License-Identifier: Apache-2.0 */
#include "text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A descriptor, or negative errno; -ENOTSUP: it is no ordinary file. */
static int open_ordinary(const char *path)
{
    struct stat stat_;
    AUTO_FD fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat_) < 0)
        return -errno;
    if (!S_ISREG(stat_.st_mode))
        return S_ISDIR(stat_.st_mode) ? -EISDIR : -ENOTSUP;
    int result = fd;
    fd = -1;
    return result;
}

FILE *text_file_open(const char *path)
{
    int fd = open_ordinary(path);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (fd < 0)
        errno = -fd;
    else if (!file)
        (void)close(fd);
    return file;
}

int text_file_read(const char *path, size_t bytes_max, struct buffer *ret_text)
{
    AUTO_FD fd = open_ordinary(path);
    return fd < 0 ? fd : buffer_read_all(ret_text, fd, bytes_max);
}

const char *text_file_problem(int error)
{
    error = abs(error);
    return error == EFBIG     ? "it is too large"
           : error == ENOTSUP ? "it is no ordinary file"
                              : strerror(error);
}
