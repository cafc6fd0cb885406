/* SPDX-License-Identifier: Apache-2.0 */
#include "expect.h"

#include <assert.h>
#include <stdlib.h>

#include "buffer.h"
#include "params.h"
#include "statements.h"

/* Counts an entry that comes (1) or goes (-1). */
static void count(struct expect *expect, const struct expected *entry, int by)
{
    enum expect_kind kind = entry->kind;
    bool end = kind == EXPECT_QUERY || kind == EXPECT_SYNC || kind == EXPECT_OWN_QUERY ||
               kind == EXPECT_OWN_SYNC;
    bool names = kind == EXPECT_PARSE || kind == EXPECT_OWN_PARSE || kind == EXPECT_PARSE_DONE ||
                 kind == EXPECT_CLOSE_DONE;
    expect->ends += (uint32_t)(end ? by : 0);
    if (names || entry->clears)
        *(entry->unnamed ? &expect->uncertain_unnamed : &expect->uncertain) += (uint32_t)by;
    expect->asked += (uint32_t)(kind < EXPECT_COPY_END ? by : 0);
    expect->clears += (uint32_t)(entry->clears ? by : 0);
    expect->defaults += (uint32_t)(entry->defaults ? by : 0);
    expect->flushes += (uint32_t)(entry->flushed ? by : 0);
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
    params_release(&entry->restores);
    text_free(&entry->name);
    text_free(&entry->called);
    text_free(&entry->refusal);
    text_free(&entry->resets);
    text_free(&entry->sets);
    text_free(&entry->value);
    if (entry->unlistens)
        buffer_done(entry->unlistens);
    free(TAKE(entry->unlistens));
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
    count(expect, &entry, 1);
}

bool expect_flush(struct expect *expect)
{
    struct expected *last = expect->count ? expect_at(expect, expect->count - 1) : NULL;
    if (!last || last->flushed)
        return false;
    last->flushed = true;
    expect->flushes++;
    return true;
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
    count(expect, &entry, -1);
    return entry;
}

uint32_t expect_drop_syncs(struct expect *expect)
{
    uint32_t left = expect->count;
    bool ended = false;
    for (uint32_t i = 0; i < left; i++) {
        struct expected entry = expect_pop(expect);
        ended = ended || entry.kind == EXPECT_COPY_END;
        if (ended || entry.kind != EXPECT_SYNC)
            expect_push(expect, entry);
    }
    return left - expect->count;
}
