/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"

enum { WATCHES_MAX = 4096 };

static struct {
    int fd;
    struct {
        int number; /* the kernel's */
        char *name; /* the file that counts in the directory; NULL: all */
    } items[WATCHES_MAX];
    int count;
} watch;

int watch_init(void)
{
    watch.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    return watch.fd < 0 ? -errno : watch.fd;
}

static bool is_watched(int number, const char *name)
{
    for (int i = 0; i < watch.count; i++)
        if (watch.items[i].number == number &&
            (!watch.items[i].name || (name && strcmp(watch.items[i].name, name) == 0)))
            return true;
    return false;
}

static void add(const char *path)
{
    struct stat stat_of;
    bool is_dir = stat(path, &stat_of) == 0 && S_ISDIR(stat_of.st_mode);
    AUTO_TEXT dir = xstrdup(path);
    char *slash = strrchr(dir, '/');
    const char *name = is_dir || !slash ? NULL : slash + 1;
    if (name)
        *slash = 0;
    if (watch.count == WATCHES_MAX || strstr(dir, "/node_modules/"))
        return;
    int number = inotify_add_watch(watch.fd, dir,
                                   IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                       IN_MOVE_SELF | IN_MASK_ADD);
    if (number < 0 || is_watched(number, name))
        return;
    watch.items[watch.count].number = number;
    watch.items[watch.count++].name = name ? xstrdup(name) : NULL;
}

void watch_renew(const json_t *paths, bool keep)
{
    size_t index;
    json_t *path;
    for (int i = 0; !keep && i < watch.count; i++)
        free(watch.items[i].name);
    if (!keep)
        watch.count = 0; /* the kernel's stay: adding a directory again gives the same number */
    json_array_foreach(paths, index, path) add(json_string_value(path));
}

bool watch_changed(void)
{
    char events[16384] __attribute__((aligned(8)));
    bool any = false;
    ssize_t got;
    while ((got = read(watch.fd, events, sizeof(events))) > 0) {
        for (ssize_t at = 0; at < got;) {
            const struct inotify_event *event = (const void *)(events + at);
            any |= (event->mask & IN_Q_OVERFLOW) ||
                   is_watched(event->wd, event->len > 0 ? event->name : NULL);
            at += (ssize_t)(sizeof(*event) + event->len);
        }
    }
    return any;
}
