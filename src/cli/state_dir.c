/* SPDX-License-Identifier: Apache-2.0 */
#include "state_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PRIVATE_PREFIX "dev-"

/* 1: made, 0: it was there. */
static int make_one(const char *path)
{
    if (mkdir(path, 0700) == 0)
        return 1;
    return errno == EEXIST ? 0 : -errno;
}

int state_dir_make(const char *path, struct error *err)
{
    AUTO_TEXT copy = xstrdup(path);
    int r = 0;
    for (char *at = copy + 1; r >= 0 && *at; at++) {
        if (*at != '/')
            continue;
        *at = 0;
        r = make_one(copy);
        *at = '/';
    }
    if (r >= 0)
        r = make_one(copy);
    if (r < 0)
        return error_set(err, r, "cannot make %s: %s; choose another data_dir", path, strerror(-r));
    if (r == 1) {
        AUTO_TEXT ignore = xasprintf("%s/.gitignore", path);
        AUTO_FD fd = open(ignore, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd >= 0)
            (void)!write(fd, "*\n", 2); /* only a convenience */
    }
    return 0;
}

/* Never through a symlink, whatever others do meanwhile. */
static void remove_in(int parent, const char *name)
{
    if (unlinkat(parent, name, 0) == 0 || errno != EISDIR)
        return;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove_in(fd, entry->d_name);
    if (dir)
        (void)closedir(dir);
    else if (fd >= 0)
        (void)close(fd);
    (void)unlinkat(parent, name, AT_REMOVEDIR);
}

void state_dir_remove(const char *path)
{
    remove_in(AT_FDCWD, path);
}

/* The lock tells the living from the dead; it is held as long as the descriptor is open. */
static int lock_dir(const char *path)
{
    AUTO_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    int result = fd;
    fd = -1;
    return result;
}

static void remove_dead(const char *parent)
{
    DIR *dir = opendir(parent);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (strncmp(entry->d_name, PRIVATE_PREFIX, strlen(PRIVATE_PREFIX)) != 0)
            continue;
        AUTO_TEXT path = xasprintf("%s/%s", parent, entry->d_name);
        AUTO_FD lock = lock_dir(path);
        if (lock >= 0)
            state_dir_remove(path);
    }
    if (dir)
        (void)closedir(dir);
}

char *state_dir_temporary(struct error *err)
{
    const char *parent = getenv("TMPDIR");
    AUTO_TEXT path = xasprintf("%s/weir-XXXXXX", parent && *parent ? parent : "/tmp");
    if (mkdtemp(path))
        return TAKE(path);
    (void)error_set(err, -errno, "cannot make a directory %s: %s", path, strerror(errno));
    return NULL;
}

char *state_dir_private(const char *project_dir, struct error *err)
{
    AUTO_TEXT parent = xasprintf("%s/.weir", project_dir);
    AUTO_TEXT path = xasprintf("%s/" PRIVATE_PREFIX "%d", parent, getpid());
    if (state_dir_make(parent, NULL) == 0) {
        remove_dead(parent);
        if (make_one(path) >= 0 && lock_dir(path) >= 0) /* held until the process ends */
            return TAKE(path);
    }
    return state_dir_temporary(err);
}

static json_t *bundles_of(const json_t *plan)
{
    json_t *bundles = json_object(), *worker;
    size_t index;
    json_array_foreach(json_object_get(plan, "workers"), index, worker)
    {
        const char *path = json_string_value(json_object_get(worker, "bundle"));
        const char *slash = path ? strrchr(path, '/') : NULL;
        if (slash)
            (void)json_object_set_new(bundles, slash + 1, json_true());
    }
    return bundles;
}

void state_dir_tidy(const char *path, const json_t *plan)
{
    static json_t *before;
    json_t *now = bundles_of(plan);
    AUTO_TEXT bundles = xasprintf("%s/bundles", path);
    DIR *dir = opendir(bundles);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        AUTO_TEXT file = xasprintf("%s/%s", bundles, entry->d_name);
        if (strstr(entry->d_name, ".bundle") && !json_object_get(now, entry->d_name) &&
            !json_object_get(before, entry->d_name))
            (void)unlink(file); /* what stays is removed the next time */
    }
    if (dir)
        (void)closedir(dir);
    json_decref(before);
    before = now;
}
