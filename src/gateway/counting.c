/* SPDX-License-Identifier: Apache-2.0 */
#include "counting.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common.h"

static struct counters_region *own;
static const struct counters_region *all;
static uint32_t all_count;

static void use_private_region(void)
{
    own = mmap(NULL, sizeof(*own), PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert(own != MAP_FAILED);
    all = own;
    all_count = 1;
}

int counting_adopt(int fd, uint32_t number, uint32_t gateways)
{
    AUTO_FD memory = fd;
    struct stat stat;
    assert(!own); /* whoever counted already would count elsewhere from now on */
    if (fstat(memory, &stat) < 0)
        return -errno;
    if (number >= gateways || stat.st_size != (off_t)(gateways * sizeof(*own)))
        return -EPROTO;
    void *written = mmap(NULL, sizeof(*own), PROT_READ | PROT_WRITE, MAP_SHARED, memory,
                         (off_t)(number * sizeof(*own)));
    if (written == MAP_FAILED)
        return -errno;
    void *read = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_SHARED, memory, 0);
    if (read == MAP_FAILED) {
        int r = -errno;
        (void)munmap(written, sizeof(*own));
        return r;
    }
    own = written;
    all = read;
    all_count = gateways;
    own->gateway.connections = 0;
    return 0;
}

uint32_t counting_gateways(void)
{
    if (!own)
        use_private_region();
    return all_count;
}

struct gateway_counters *counting_gateway(void)
{
    if (!own)
        use_private_region();
    return &own->gateway;
}

struct worker_counters *counting_take_worker(uint32_t worker_number)
{
    if (!own)
        use_private_region();
    assert(worker_number < COUNTED_WORKERS_MAX);
    struct worker_counters *counters = &own->workers[worker_number];
    counters->in_flight = counters->instances = counters->queued = counters->transactions = 0;
    return counters;
}

static uint64_t word_at(const void *counters, size_t offset)
{
    return __atomic_load_n((const uint64_t *)((const char *)counters + offset), __ATOMIC_RELAXED);
}

uint64_t counting_gateway_sum(size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < all_count; i++)
        sum += word_at(&all[i].gateway, offset);
    return sum;
}

uint64_t counting_worker_sum(uint32_t worker_number, size_t offset)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < all_count; i++)
        sum += word_at(&all[i].workers[worker_number], offset);
    return sum;
}
