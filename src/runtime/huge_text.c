/* SPDX-License-Identifier: Apache-2.0 */
#include "huge_text.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static const uintptr_t PAGE_BYTES = 4096, HUGE_BYTES = 2ul * 1024 * 1024;

/* Small pages of our own would be worse than the file's: each fork would copy their entries. */
static bool kernel_has_huge_pages(void)
{
    AUTO_FD fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
    char text[64] = "";
    return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && !strstr(text, "[never]");
}

static uintptr_t huge_up(uintptr_t address)
{
    return (address + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
}

static bool are_huge(void *pages, size_t bytes)
{
    /* Linux before 6.1 does not know it, and gives huge pages at the first touch or not at all. */
    return madvise(pages, bytes, MADV_COLLAPSE) == 0 || errno == EINVAL;
}

/* The library's code must not be needed between the two: nothing here is of it. */
static void move(uintptr_t begin, size_t bytes, int access)
{
    char *room =
        mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return;
    char *copy = (char *)huge_up((uintptr_t)room);
    (void)madvise(copy, bytes, MADV_HUGEPAGE);
    memcpy(copy, (void *)begin, bytes);
    if (are_huge(copy, bytes) && mprotect(copy, bytes, access) == 0)
        (void)mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)begin);
    (void)munmap(room, bytes + HUGE_BYTES); /* what is left of it */
}

/* What the library allows of these pages; 0: they are not all of its parts that are only read.
 * Where a huge page has code and constants, the constants may be executed. */
static int access_of(const struct dl_phdr_info *library, uintptr_t begin, uintptr_t end)
{
    int access = 0;
    uintptr_t covered = begin;
    for (int i = 0; i < library->dlpi_phnum; i++) { /* in the order of their addresses */
        const ElfW(Phdr) *part = &library->dlpi_phdr[i];
        uintptr_t first = (library->dlpi_addr + part->p_vaddr) & ~(PAGE_BYTES - 1);
        uintptr_t last = library->dlpi_addr + part->p_vaddr + part->p_memsz;
        if (part->p_type != PT_LOAD || first > covered || last <= covered || covered >= end)
            continue;
        if (part->p_flags & PF_W)
            return 0;
        access |= PROT_READ | (part->p_flags & PF_X ? PROT_EXEC : 0);
        covered = (last + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    }
    return covered >= end ? access : 0;
}

static int move_library(struct dl_phdr_info *library, size_t size, void *name)
{
    uintptr_t end = 0;
    (void)size;
    if (!strstr(library->dlpi_name, name))
        return 0;
    for (int i = 0; i < library->dlpi_phnum; i++)
        if (library->dlpi_phdr[i].p_type == PT_LOAD)
            end =
                library->dlpi_addr + library->dlpi_phdr[i].p_vaddr + library->dlpi_phdr[i].p_memsz;
    uintptr_t begin = huge_up(library->dlpi_addr);
    while (begin + HUGE_BYTES <= end) {
        int access = access_of(library, begin, begin + HUGE_BYTES);
        uintptr_t until = begin + HUGE_BYTES;
        while (until + HUGE_BYTES <= end && access_of(library, until, until + HUGE_BYTES) == access)
            until += HUGE_BYTES;
        if (access)
            move(begin, until - begin, access);
        begin = until;
    }
    return 0;
}

void huge_text_map(const char *name)
{
    if (kernel_has_huge_pages())
        (void)dl_iterate_phdr(move_library, (void *)(uintptr_t)name);
}
