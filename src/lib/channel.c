/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Memory: ring to the instance, ring to the server. Each starts on a page, so that channel_trim
 * can give back the data pages and keep the indices. */
enum { PAGE_BYTES = 4096 };

static size_t half_bytes(size_t data_bytes)
{
    return PAGE_BYTES + data_bytes; /* the ring's header at the end of its first page */
}

static void *ring_memory(void *half)
{
    return (char *)half + PAGE_BYTES - RING_HEADER_BYTES;
}

int channel_create(uint32_t data_bytes, int fds[CHANNEL_FDS])
{
    assert(data_bytes >= PAGE_BYTES && (data_bytes & (data_bytes - 1)) == 0);
    AUTO_FD memory = memfd_create("weir-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0)
        return -errno;
    if (ftruncate(memory, (off_t)(2 * half_bytes(data_bytes))) < 0 ||
        fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return -errno;
    AUTO_FD server_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    AUTO_FD instance_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server_bell < 0 || instance_bell < 0)
        return -errno;
    int made[CHANNEL_FDS] = {memory, server_bell, instance_bell};
    memory = server_bell = instance_bell = -1;
    for (int i = 0; i < CHANNEL_FDS; i++)
        fds[i] = made[i];
    return 0;
}

int channel_open(struct channel *channel, enum channel_end end, const int fds[CHANNEL_FDS])
{
    AUTO_FD memory_fd = fds[0];
    *channel = (struct channel){.bell_in = fds[end == CHANNEL_SERVER ? 1 : 2],
                                .bell_out = fds[end == CHANNEL_SERVER ? 2 : 1]};
    struct stat stat;
    int r = 0;
    if (fstat(memory_fd, &stat) < 0) {
        r = -errno;
    } else {
        size_t data_bytes = (size_t)stat.st_size / 2 - PAGE_BYTES;
        if (stat.st_size < 4 * PAGE_BYTES || stat.st_size > 1 << 28 ||
            (data_bytes & (data_bytes - 1)) != 0) {
            r = -EPROTO;
        } else {
            channel->memory_bytes = (size_t)stat.st_size;
            channel->memory =
                mmap(NULL, channel->memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
            if (channel->memory == MAP_FAILED) {
                channel->memory = NULL;
                r = -errno;
            } else {
                void *second = (char *)channel->memory + half_bytes(data_bytes);
                struct ring *to_instance = end == CHANNEL_SERVER ? &channel->out : &channel->in;
                struct ring *to_server = end == CHANNEL_SERVER ? &channel->in : &channel->out;
                ring_init(to_instance, ring_memory(channel->memory), (uint32_t)data_bytes);
                ring_init(to_server, ring_memory(second), (uint32_t)data_bytes);
            }
        }
    }
    if (r < 0)
        channel_close(channel);
    return r;
}

void channel_close(struct channel *channel)
{
    if (channel->memory)
        (void)munmap(channel->memory, channel->memory_bytes);
    if (channel->bell_in > 0)
        fd_close(&channel->bell_in);
    if (channel->bell_out > 0)
        fd_close(&channel->bell_out);
    *channel = (struct channel){.bell_in = -1, .bell_out = -1};
}

static void ring_bell(struct channel *channel)
{
    uint64_t one = 1;
    /* EAGAIN: the counter is full, so the peer is due to wake anyway. */
    (void)!write(channel->bell_out, &one, sizeof(one));
}

void channel_flush(struct channel *channel)
{
    if (ring_reader_wants_bell(&channel->out))
        ring_bell(channel);
}

void channel_consumed(struct channel *channel)
{
    if (ring_writer_wants_bell(&channel->in))
        ring_bell(channel);
}

bool channel_sleep(struct channel *channel)
{
    return ring_reader_sleep(&channel->in);
}

void channel_rung(struct channel *channel)
{
    ring_reader_awake(&channel->in);
}

void channel_awake(struct channel *channel)
{
    uint64_t count;
    channel_rung(channel);
    (void)!read(channel->bell_in, &count, sizeof(count)); /* EAGAIN: not rung */
}

void channel_advise(struct channel *channel, int cpu)
{
    ring_set_hint(&channel->out, (uint32_t)(cpu + 1)); /* the memory is zero at first: none */
}

int channel_advice(const struct channel *channel)
{
    return (int)ring_hint(&channel->in) - 1;
}

void channel_trim(struct channel *channel)
{
    struct ring *rings[] = {&channel->in, &channel->out};
    if (ring_room(&channel->out) < ring_payload_bytes_max(&channel->out) ||
        !ring_reader_sleep(&channel->in))
        return;
    for (size_t i = 0; i < ARRAY_LEN(rings); i++)
        (void)madvise(rings[i]->data, rings[i]->size, MADV_REMOVE);
}
