/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_HASH_H
#define WEIR_HASH_H

#include <stdint.h>
#include <string.h>

#include "slice.h"

/* Keyed, so that no tenant can choose texts that collide; the key may be the hash of what stands
 * before. Eight bytes a step. */
static inline uint64_t hash_bytes(uint64_t key, struct slice bytes)
{
    const uint64_t multiplier = 0x9e3779b97f4a7c15u;
    uint64_t hash = key ^ bytes.len * multiplier, word;
    for (; bytes.len >= 8; bytes.ptr += 8, bytes.len -= 8) {
        memcpy(&word, bytes.ptr, 8);
        hash = (hash ^ word) * multiplier;
        hash ^= hash >> 29;
    }
    word = 0;
    if (bytes.len > 0)
        memcpy(&word, bytes.ptr, bytes.len);
    hash = (hash ^ word) * multiplier;
    return hash ^ hash >> 32;
}

#endif
