/* SPDX-License-Identifier: Apache-2.0 */
/* What a page costs that is written after a fork, in microseconds: most of a cold start is that, and virtual
 * machines differ by a factor of fifty. */
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

int main(void)
{
    char *memory = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    (void)madvise(memory, PAGES * PAGE_BYTES, MADV_NOHUGEPAGE);
    memset(memory, 1, PAGES * PAGE_BYTES);
    if (fork() > 0)
        return wait(NULL) < 0;
    double start_us = now_us();
    for (size_t i = 0; i < PAGES; i++)
        memory[i * PAGE_BYTES] = 2;
    (void)printf("%.2f\n", (now_us() - start_us) / PAGES);
    return 0;
}
