/* SPDX-License-Identifier: Apache-2.0 */
/* A table of chained buckets, about as many as there are entries, which are embedded in its
 * elements. A zeroed table is an empty one. */
#ifndef WEIR_POOL_HASH_TABLE_H
#define WEIR_POOL_HASH_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct hash_entry {
    struct hash_entry *next; /* of its bucket */
    uint64_t hash;
};

struct hash_table {
    struct hash_entry **buckets;
    size_t buckets_count, count;
    uint64_t key;
};

/* Makes the first buckets, and draws the key. */
void hash_table_begin(struct hash_table *table);

/* For hash_bytes(): its own, so that nobody can choose what collides. */
static inline uint64_t hash_table_key(struct hash_table *table)
{
    if (!table->buckets)
        hash_table_begin(table);
    return table->key;
}

/* The first of those that have such a hash, or another one (hash_entry.next leads on); NULL: there
 * is none. The hash is made with the table's key. */
static inline struct hash_entry *hash_table_first(const struct hash_table *table, uint64_t hash)
{
    return table->buckets[hash & (table->buckets_count - 1)];
}

void hash_table_add(struct hash_table *table, struct hash_entry *entry, uint64_t hash);
void hash_table_remove(struct hash_table *table, struct hash_entry *entry);

#endif
