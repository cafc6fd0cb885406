/* SPDX-License-Identifier: Apache-2.0 */
/* Doubly linked list whose links are embedded in its elements. A zeroed link is in no list. */
#ifndef WEIR_POOL_LIST_H
#define WEIR_POOL_LIST_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "common.h"

struct link {
    struct link *next, *prev;
};

struct list {
    struct link head; /* circular; list_init */
    uint32_t count;
};

static inline void list_init(struct list *list)
{
    list->head.next = list->head.prev = &list->head;
    list->count = 0;
}

static inline void list_insert_(struct list *list, struct link *link, struct link *after)
{
    assert(!link->next);
    link->prev = after;
    link->next = after->next;
    after->next->prev = link;
    after->next = link;
    list->count++;
}

static inline void list_push_front(struct list *list, struct link *link)
{
    list_insert_(list, link, &list->head);
}

static inline void list_push_back(struct list *list, struct link *link)
{
    list_insert_(list, link, list->head.prev);
}

static inline void list_remove(struct list *list, struct link *link)
{
    assert(link->next && list->count > 0);
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = link->prev = NULL;
    list->count--;
}

/* NULL when it is empty. */
static inline struct link *list_first(const struct list *list)
{
    return list->head.next == &list->head ? NULL : list->head.next;
}

static inline struct link *list_last(const struct list *list)
{
    return list->head.prev == &list->head ? NULL : list->head.prev;
}

/* The element after link, NULL at the end. */
static inline struct link *list_next(const struct list *list, const struct link *link)
{
    return link->next == &list->head ? NULL : link->next;
}

#endif
