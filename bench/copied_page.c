/* SPDX-License-Identifier: Apache-2.0 */
/* What a page costs that is copied after a fork, in microseconds: one at a time when it is written,
 * and many at once (hot_pages.h). Much of a cold start is that, and virtual machines differ by a
 * factor of fifty. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, PAGES = 2000 };

static double now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double copy_us(char *memory, bool at_once)
{
    double start_us = now_us();
    if (at_once)
        (void)madvise(memory, PAGES * PAGE_BYTES, MADV_POPULATE_WRITE);
    else
        for (size_t i = 0; i < PAGES; i++)
            memory[i * PAGE_BYTES] = 2;
    return (now_us() - start_us) / PAGES;
}

int main(void)
{
    char *memory = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    (void)madvise(memory, PAGES * PAGE_BYTES, MADV_NOHUGEPAGE);
    memset(memory, 1, PAGES * PAGE_BYTES);
    for (int at_once = 0; at_once < 2; at_once++) {
        if (fork() == 0) {
            (void)printf("%.2f\n", copy_us(memory, at_once));
            return 0;
        }
        if (wait(NULL) < 0)
            return 1;
    }
    return 0;
}
