/* SPDX-License-Identifier: Apache-2.0 */
#include "denials.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "hash.h"

enum {
    PLACES = 1024, /* a power of two */
    PROBES = 8,
    FREE_FAILURES = 5, /* a person's typing errors */
    WAITING_MAX = 20,
    FIRST_DELAY_MS = 1000, /* doubles with each */
    DOUBLINGS_MAX = 20,
};

static const uint64_t FORGET_US = 60 * 1000 * 1000;

struct place {
    uint64_t address; /* 0: free */
    uint64_t last_us;
    /* When the last ones hear, in a circle: the next to be overwritten is the first to hear. It
     * counts whether they are still there or not: who hangs up knows as much. */
    uint64_t until_us[WAITING_MAX];
    uint32_t failures, next;
    enum denied what;
};

static struct place places[PLACES];

/* 0: not one that is counted. */
static uint64_t address_of(const struct sockaddr_storage *from)
{
    const struct sockaddr_in *inet = (const void *)from;
    const struct sockaddr_in6 *inet6 = (const void *)from;
    uint64_t address = 0;
    uint32_t mapped;
    if (from->ss_family == AF_INET)
        return (uint64_t)inet->sin_addr.s_addr << 32 | 1;
    if (from->ss_family != AF_INET6)
        return 0;
    if (IN6_IS_ADDR_V4MAPPED(&inet6->sin6_addr)) {
        memcpy(&mapped, inet6->sin6_addr.s6_addr + 12, sizeof(mapped));
        return (uint64_t)mapped << 32 | 1;
    }
    memcpy(&address, inet6->sin6_addr.s6_addr, sizeof(address));
    return address ? address : 1; /* ::1 among them */
}

static uint64_t hash_of(uint64_t address)
{
    static uint64_t key;
    if (!key && getrandom(&key, sizeof(key), 0) != sizeof(key))
        abort();
    return hash_bytes(key, (struct slice){(const char *)&address, sizeof(address)});
}

/* Its place; NULL: it has none. */
static struct place *find(enum denied what, uint64_t address)
{
    uint64_t hash = hash_of(address);
    for (uint64_t i = 0; address && i < PROBES; i++) {
        struct place *place = &places[(hash + i) % PLACES];
        if (place->address == address && place->what == what)
            return place;
    }
    return NULL;
}

/* The one that failed last waits longest. */
static bool anybody_waits(const struct place *place, uint64_t now_us)
{
    return place->until_us[(place->next + WAITING_MAX - 1) % WAITING_MAX] > now_us;
}

/* A new place, if need be of the address that was heard of longest ago; NULL: somebody waits in
 * each. */
static struct place *take(enum denied what, uint64_t address, uint64_t now_us)
{
    uint64_t hash = hash_of(address);
    struct place *oldest = NULL;
    for (uint64_t i = 0; i < PROBES; i++) {
        struct place *place = &places[(hash + i) % PLACES];
        if (!anybody_waits(place, now_us) && (!oldest || place->last_us < oldest->last_us))
            oldest = place;
    }
    if (oldest)
        *oldest = (struct place){.address = address, .what = what};
    return oldest;
}

bool denials_may_try(enum denied what, const struct sockaddr_storage *from, uint64_t now_us)
{
    const struct place *place = find(what, address_of(from));
    return !place || place->until_us[place->next] <= now_us;
}

uint64_t denials_add(enum denied what, const struct sockaddr_storage *from, uint64_t now_us,
                     int64_t limit_ms)
{
    uint64_t address = address_of(from);
    struct place *place = find(what, address);
    if (limit_ms <= 0 || !address || (!place && !(place = take(what, address, now_us))))
        return 0;
    if (now_us - place->last_us > FORGET_US && !anybody_waits(place, now_us))
        place->failures = 0;
    place->last_us = now_us;
    place->failures++;
    if (place->failures <= FREE_FAILURES)
        return 0;
    uint32_t doublings = place->failures - FREE_FAILURES - 1;
    int64_t delay_ms = (int64_t)FIRST_DELAY_MS
                       << (doublings < DOUBLINGS_MAX ? doublings : DOUBLINGS_MAX);
    uint64_t delay_us = (uint64_t)(delay_ms < limit_ms ? delay_ms : limit_ms) * 1000;
    place->until_us[place->next] = now_us + delay_us;
    place->next = (place->next + 1) % WAITING_MAX;
    return delay_us;
}
