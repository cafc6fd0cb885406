/* SPDX-License-Identifier: Apache-2.0 */
/* What a watched child writes, and nothing else of its parent's, is there in the next one. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common.h"
#include "hot_pages.h"

enum { PAGE_BYTES = 4096, PAGES = 300, WRITTEN = 100, FRESH = 50 };

static char *pages; /* written by the template, but the last FRESH of them */

static void write_pages(int from, int count)
{
    for (int i = from; i < from + count; i++)
        pages[(size_t)i * PAGE_BYTES] = 1;
}

static long faults(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

static pid_t watched_child(int until_fd)
{
    assert_true(hot_pages_begin(true));
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    char byte;
    hot_pages_take(true);
    write_pages(0, WRITTEN);
    write_pages(PAGES - FRESH, FRESH);
    hot_pages_report();
    _exit(read(until_fd, &byte, 1) == 1 ? 0 : 1);
}

static void next_children_have_them(void **state)
{
    int page_fds[2], stop[2], status = -1;
    (void)state;
    AUTO_FD proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    hot_pages_open(proc_fd, page_fds);
    assert_true(page_fds[0] >= 0 && page_fds[1] >= 0);
    assert_false(hot_pages_begin(false)); /* there are others, whose pages are shared, too */
    pages = mmap(NULL, (size_t)PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    (void)madvise(pages, (size_t)PAGES * PAGE_BYTES, MADV_NOHUGEPAGE);
    write_pages(0, PAGES - FRESH);
    assert_int_equal(pipe(stop), 0);
    pid_t first = watched_child(stop[0]);
    struct pollfd answered = {hot_pages_fd(), POLLIN, 0};
    assert_int_equal(poll(&answered, 1, 10000), 1);
    hot_pages_learn();
    assert_int_equal(write(stop[1], "x", 1), 1);
    assert_int_equal(waitpid(first, &status, 0), first);
    assert_int_equal(status, 0);
    assert_false(hot_pages_begin(true)); /* all is known */
    pid_t second = fork();
    if (second == 0) {
        hot_pages_take(false);
        long before = faults();
        write_pages(0, WRITTEN);
        write_pages(PAGES - FRESH, FRESH);
        long hot = faults() - before; /* a few: the stack, and a sanitizer's own */
        write_pages(WRITTEN, PAGES - WRITTEN - FRESH);
        long others = faults() - before - hot;
        _exit(hot < (WRITTEN + FRESH) / 3 && others >= PAGES - WRITTEN - FRESH ? 0 : 1);
    }
    assert_int_equal(waitpid(second, &status, 0), second);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(next_children_have_them)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
