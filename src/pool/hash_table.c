/* SPDX-License-Identifier: Apache-2.0 */
#include "hash_table.h"

#include <stdlib.h>
#include <sys/random.h>

#include "common.h"

enum { BUCKETS_FIRST = 64 }; /* a power of two, as each that follows */

void hash_table_begin(struct hash_table *table)
{
    if (getrandom(&table->key, sizeof(table->key), 0) != sizeof(table->key))
        abort();
    table->buckets_count = BUCKETS_FIRST;
    table->buckets = xcalloc(table->buckets_count, sizeof(struct hash_entry *));
}

static struct hash_entry **bucket_of(const struct hash_table *table, uint64_t hash)
{
    return &table->buckets[hash & (table->buckets_count - 1)];
}

static void insert(struct hash_table *table, struct hash_entry *entry)
{
    struct hash_entry **bucket = bucket_of(table, entry->hash);
    entry->next = *bucket;
    *bucket = entry;
}

static void grow(struct hash_table *table)
{
    struct hash_entry **old = table->buckets;
    size_t old_count = table->buckets_count;
    table->buckets_count *= 2;
    table->buckets = xcalloc(table->buckets_count, sizeof(struct hash_entry *));
    for (size_t i = 0; i < old_count; i++)
        for (struct hash_entry *entry = old[i], *next; entry; entry = next) {
            next = entry->next;
            insert(table, entry);
        }
    free(old);
}

void hash_table_add(struct hash_table *table, struct hash_entry *entry, uint64_t hash)
{
    if (table->count++ == table->buckets_count)
        grow(table);
    entry->hash = hash;
    insert(table, entry);
}

void hash_table_remove(struct hash_table *table, struct hash_entry *entry)
{
    struct hash_entry **place = bucket_of(table, entry->hash);
    while (*place != entry)
        place = &(*place)->next;
    *place = entry->next;
    table->count--;
}
