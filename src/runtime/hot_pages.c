/* SPDX-License-Identifier: Apache-2.0 */
#include "hot_pages.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common.h"

enum {
    PAGE_BYTES = 4096,
    AREAS_MAX = 512,
    AREA_PAGES_MAX = 2 * 1024 * 1024, /* a sanitizer's shadow memory is larger */
    RUNS_MAX = 4096,
    PAGES_MAX = 16384, /* that a child is given: 64 MiB */
    CHUNK_PAGES = 512,
};

/* Pages next to each other, by number. */
struct run {
    uintptr_t first;
    uint32_t count;
};

struct runs {
    uint32_t count;
    struct run list[RUNS_MAX];
};

static struct {
    int maps_fd, pagemap_fd, answered_fd;
    bool known;
    uint32_t areas_count;
    struct run areas[AREAS_MAX]; /* private and writable */
    struct runs *report;         /* shared with the child that is watched; NULL: none is */
    struct runs hot;
} hot_pages = {.maps_fd = -1, .pagemap_fd = -1, .answered_fd = -1};

static void add_page(struct runs *runs, uintptr_t page)
{
    struct run *last = runs->count > 0 ? &runs->list[runs->count - 1] : NULL;
    if (last && last->first + last->count == page)
        last->count++;
    else if (runs->count < RUNS_MAX)
        runs->list[runs->count++] = (struct run){page, 1};
}

/* ---- the template ---- */

void hot_pages_open(int proc_fd, int ret_fds[2])
{
    /* Who has changed its user owns its own page map only while it may be dumped. */
    int dumpable = prctl(PR_GET_DUMPABLE);
    (void)prctl(PR_SET_DUMPABLE, 1);
    hot_pages.maps_fd = openat(proc_fd, "self/maps", O_RDONLY | O_CLOEXEC);
    hot_pages.pagemap_fd = openat(proc_fd, "self/pagemap", O_RDONLY | O_CLOEXEC);
    (void)prctl(PR_SET_DUMPABLE, dumpable == 1);
    ret_fds[0] = hot_pages.maps_fd;
    ret_fds[1] = hot_pages.pagemap_fd;
}

void hot_pages_give_up(void)
{
    fd_close(&hot_pages.answered_fd);
    if (hot_pages.report)
        (void)munmap(hot_pages.report, sizeof(*hot_pages.report));
    hot_pages.report = NULL;
}

static void take_area(const char *line)
{
    unsigned long begin, end;
    char access[8];
    if (hot_pages.areas_count < AREAS_MAX &&
        sscanf(line, "%lx-%lx %7s", &begin, &end, access) == 3 && access[1] == 'w' &&
        access[3] == 'p' && (end - begin) / PAGE_BYTES <= AREA_PAGES_MAX)
        hot_pages.areas[hot_pages.areas_count++] =
            (struct run){begin / PAGE_BYTES, (uint32_t)((end - begin) / PAGE_BYTES)};
}

static bool read_areas(void)
{
    char text[8192];
    size_t have = 0;
    ssize_t got;
    hot_pages.areas_count = 0;
    if (lseek(hot_pages.maps_fd, 0, SEEK_SET) < 0)
        return false;
    while ((got = read(hot_pages.maps_fd, text + have, sizeof(text) - 1 - have)) > 0) {
        have += (size_t)got;
        text[have] = 0;
        char *line = text, *end;
        for (; (end = strchr(line, '\n')); line = end + 1) {
            *end = 0;
            take_area(line);
        }
        have = (size_t)(text + have - line);
        memmove(text, line, have);
    }
    return hot_pages.areas_count > 0;
}

bool hot_pages_begin(bool alone)
{
    if (hot_pages.known || hot_pages.report || !alone || hot_pages.maps_fd < 0 ||
        hot_pages.pagemap_fd < 0 || !read_areas())
        return false;
    void *report = mmap(NULL, sizeof(*hot_pages.report), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    hot_pages.answered_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    hot_pages.report = report == MAP_FAILED ? NULL : report;
    if (hot_pages.report && hot_pages.answered_fd >= 0)
        return true;
    hot_pages_give_up();
    return false;
}

int hot_pages_fd(void)
{
    return hot_pages.answered_fd;
}

static bool is_in_area(uintptr_t page)
{
    for (uint32_t i = 0; i < hot_pages.areas_count; i++)
        if (page - hot_pages.areas[i].first < hot_pages.areas[i].count)
            return true;
    return false;
}

/* Of pages that the child has: those that it does not share with us. */
static void take_run(struct run run)
{
    static uint64_t entries[CHUNK_PAGES];
    const uint64_t present = 1ull << 63, exclusive = 1ull << 56;
    for (uint32_t done = 0; done < run.count;) {
        uint32_t some = run.count - done < CHUNK_PAGES ? run.count - done : CHUNK_PAGES;
        off_t at = (off_t)((run.first + done) * sizeof(entries[0]));
        ssize_t bytes = (ssize_t)(some * sizeof(entries[0]));
        if (lseek(hot_pages.pagemap_fd, at, SEEK_SET) < 0 ||
            read(hot_pages.pagemap_fd, entries, (size_t)bytes) != bytes)
            return;
        for (uint32_t i = 0; i < some; i++)
            if ((!(entries[i] & present) || (entries[i] & exclusive)) &&
                is_in_area(run.first + done + i))
                add_page(&hot_pages.hot, run.first + done + i);
        done += some;
    }
}

void hot_pages_learn(void)
{
    uint32_t pages = 0;
    uint32_t count = hot_pages.report->count < RUNS_MAX ? hot_pages.report->count : RUNS_MAX;
    for (uint32_t i = 0; i < count; i++) {
        struct run run = hot_pages.report->list[i]; /* once: the child may change it meanwhile */
        pages += run.count < PAGES_MAX ? run.count : PAGES_MAX;
        if (pages <= PAGES_MAX)
            take_run(run);
    }
    hot_pages_give_up();
    hot_pages.known = true;
}

void hot_pages_forget(void)
{
    hot_pages_give_up();
    hot_pages.hot.count = 0;
    hot_pages.known = false;
}

/* ---- the child ---- */

void hot_pages_take(bool watched)
{
    fd_close(&hot_pages.maps_fd);
    fd_close(&hot_pages.pagemap_fd);
    if (!watched)
        hot_pages_give_up();
    for (uint32_t i = 0; i < hot_pages.hot.count; i++) {
        const struct run *run = &hot_pages.hot.list[i];
        (void)madvise((void *)(run->first * PAGE_BYTES), (size_t)run->count * PAGE_BYTES,
                      MADV_POPULATE_WRITE); /* before Linux 5.14 it does nothing */
    }
}

void hot_pages_report(void)
{
    unsigned char there[CHUNK_PAGES];
    struct runs *report = hot_pages.report;
    if (!report)
        return;
    for (uint32_t i = 0; i < hot_pages.areas_count; i++) {
        struct run area = hot_pages.areas[i];
        for (uint32_t done = 0; done < area.count; done += CHUNK_PAGES) {
            uint32_t some = area.count - done < CHUNK_PAGES ? area.count - done : CHUNK_PAGES;
            uintptr_t first = area.first + done;
            if (mincore((void *)(first * PAGE_BYTES), (size_t)some * PAGE_BYTES, there) < 0)
                continue; /* not mapped any more, in part */
            for (uint32_t j = 0; j < some; j++)
                if (there[j] & 1)
                    add_page(report, first + j);
        }
    }
    (void)eventfd_write(hot_pages.answered_fd, 1);
    hot_pages_give_up();
}
