/* SPDX-License-Identifier: Apache-2.0 */
#include "expect.h"

#include <assert.h>
#include <stdlib.h>

#include "statements.h"

static bool is_asked(enum expect_kind kind)
{
    return kind < EXPECT_COPY_END;
}

void expect_done(struct expect *expect)
{
    while (expect->count > 0) {
        struct expected entry = expect_pop(expect);
        expected_done(&entry);
    }
    free(expect->list);
    *expect = (struct expect){0};
}

void expected_done(struct expected *entry)
{
    statement_release(&entry->statement);
    text_free(&entry->name);
    text_free(&entry->refusal);
}

static void grow(struct expect *expect)
{
    uint32_t cap = expect->cap ? expect->cap * 2 : 16;
    struct expected *list = xcalloc(cap, sizeof(*list));
    for (uint32_t i = 0; i < expect->count; i++)
        list[i] = *expect_at(expect, i);
    free(expect->list);
    expect->list = list;
    expect->head = 0;
    expect->cap = cap;
}

void expect_push(struct expect *expect, struct expected entry)
{
    if (expect->count == expect->cap)
        grow(expect);
    expect->list[(expect->head + expect->count++) & (expect->cap - 1)] = entry;
    expect->asked += is_asked(entry.kind);
}

struct expected *expect_at(const struct expect *expect, uint32_t i)
{
    assert(i < expect->count);
    return &expect->list[(expect->head + i) & (expect->cap - 1)];
}

struct expected *expect_head(const struct expect *expect)
{
    return expect->count ? expect_at(expect, 0) : NULL;
}

struct expected expect_pop(struct expect *expect)
{
    struct expected entry = *expect_at(expect, 0);
    expect->head = (expect->head + 1) & (expect->cap - 1);
    expect->count--;
    expect->asked -= is_asked(entry.kind);
    return entry;
}

void expect_drop_syncs(struct expect *expect)
{
    uint32_t count = expect->count;
    bool ended = false;
    for (uint32_t i = 0; i < count; i++) {
        struct expected entry = expect_pop(expect);
        ended = ended || entry.kind == EXPECT_COPY_END;
        if (ended || entry.kind != EXPECT_SYNC)
            expect_push(expect, entry);
    }
}
