/* SPDX-License-Identifier: Apache-2.0 */
#include "statements.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "traits.h"
#include "wire.h"

struct statements {
    struct hash_table all;
    uint32_t next_id;
    struct list idle; /* the one that was let go of last is first */
    size_t idle_bytes;
};

struct name {
    char *text; /* NULL: free */
    uint32_t len;
    struct statement *statement;
    uint64_t told;
};

struct prepared_entry {
    struct link recent;
    struct prepared_entry *next;
    struct statement *statement;
    uint64_t generation, result;
    uint32_t doubts; /* its statement's when it was prepared */
};

static const char NAME_PREFIX[] = "weir_";

static uint64_t kept_bytes;

uint64_t statements_bytes(void)
{
    return kept_bytes;
}

struct statements *statements_new(void)
{
    struct statements *table = xcalloc(1, sizeof(*table));
    list_init(&table->idle);
    return table;
}

static void forget(struct statement *statement)
{
    hash_table_remove(&statement->table->all, &statement->entry);
    kept_bytes -= sizeof(*statement) + statement->body_bytes;
    free(statement);
}

static void leave_idle(struct statement *statement)
{
    list_remove(&statement->table->idle, &statement->idle);
    statement->table->idle_bytes -= statement->body_bytes;
}

void statements_forget_idle(struct statements *table)
{
    for (struct link *link; (link = list_first(&table->idle));) {
        struct statement *statement = CONTAINER_OF(link, struct statement, idle);
        leave_idle(statement);
        forget(statement);
    }
}

void statements_free(struct statements **table)
{
    struct statements *t = TAKE(*table);
    if (!t)
        return;
    statements_forget_idle(t);
    assert(t->all.count == 0);
    free(t->all.buckets);
    free(t);
}

static struct statement *add(struct statements *table, uint64_t hash, struct slice body,
                             struct meaning meaning)
{
    struct statement *made = xcalloc(1, sizeof(*made) + body.len);
    *made = (struct statement){.table = table,
                               .meaning = meaning,
                               .references = 1,
                               .id = ++table->next_id,
                               .body_bytes = (uint32_t)body.len};
    memcpy(made->body, body.ptr, body.len);
    made->traits = traits_of(statement_text(made), meaning.reading);
    hash_table_add(&table->all, &made->entry, hash);
    kept_bytes += sizeof(*made) + body.len;
    return made;
}

struct statement *statements_intern(struct statements *table, struct slice body,
                                    struct meaning meaning)
{
    uint64_t hash = hash_bytes(hash_table_key(&table->all), body) ^ meaning.number;
    struct hash_entry *entry = hash_table_first(&table->all, hash);
    for (; entry; entry = entry->next) {
        struct statement *s = CONTAINER_OF(entry, struct statement, entry);
        if (entry->hash == hash && s->meaning.number == meaning.number &&
            slice_equal((struct slice){s->body, s->body_bytes}, body))
            return statement_hold(s);
    }
    return add(table, hash, body, meaning);
}

struct statement *statement_hold(struct statement *statement)
{
    if (statement->references++ == 0)
        leave_idle(statement);
    return statement;
}

void statement_release(struct statement **statement)
{
    struct statement *s = TAKE(*statement);
    if (!s || --s->references > 0)
        return;
    struct statements *table = s->table;
    list_push_front(&table->idle, &s->idle);
    table->idle_bytes += s->body_bytes;
    while (table->idle.count > IDLE_STATEMENTS_MAX || table->idle_bytes > IDLE_BYTES_MAX) {
        struct statement *oldest = CONTAINER_OF(list_last(&table->idle), struct statement, idle);
        leave_idle(oldest);
        forget(oldest);
    }
}

struct slice statement_text(const struct statement *statement)
{
    return slice_of(statement->body);
}

void statement_append_parse(const struct statement *statement, const char *name, struct buffer *out)
{
    size_t begun = wire_begin(out, 'P');
    wire_text(out, name);
    buffer_append(out, statement->body, statement->body_bytes);
    wire_end(out, begun);
}

void statement_server_name(const struct statement *statement, char ret_name[SERVER_NAME_BYTES])
{
    (void)snprintf(ret_name, SERVER_NAME_BYTES, "%s%" PRIx32, NAME_PREFIX, statement->id);
}

uint64_t statement_described(uint64_t so_far, char type, struct slice body)
{
    struct slice name;
    if (type == 't')
        return hash_bytes(1, body);
    if (so_far == 0 || type == 'n')
        return so_far != 0 ? hash_bytes(so_far, SLICE("n")) : 0;
    if (body.len < 2)
        return 0;
    body.ptr += 2;
    body.len -= 2;
    while (wire_take_text(&body, &name) && body.len >= 18) {
        so_far = hash_bytes(so_far, (struct slice){body.ptr + 6, 4});
        so_far = hash_bytes(so_far, (struct slice){body.ptr + 16, 2});
        body.ptr += 18;
        body.len -= 18;
    }
    return so_far;
}

bool statement_name_is_ours(struct slice name)
{
    return slice_starts_with(name, SLICE(NAME_PREFIX));
}

/* ---- a client's names ---- */

static uint32_t name_hash(struct slice name)
{
    return (uint32_t)hash_bytes(0x5bd1e995, name);
}

/* The place of name, or the free one where it would go. cap > 0. */
static struct name *name_place(const struct names *names, struct slice name)
{
    uint32_t i = name_hash(name) & (names->cap - 1);
    while (names->list[i].text &&
           !slice_equal((struct slice){names->list[i].text, names->list[i].len}, name))
        i = (i + 1) & (names->cap - 1);
    return &names->list[i];
}

static void names_resize(struct names *names)
{
    struct names old = *names;
    names->cap = old.cap ? old.cap * 2 : 4;
    names->list = xcalloc(names->cap, sizeof(*names->list));
    for (uint32_t i = 0; i < old.cap; i++)
        if (old.list[i].text)
            *name_place(names, (struct slice){old.list[i].text, old.list[i].len}) = old.list[i];
    free(old.list);
}

static uint64_t name_cost(const struct name *name)
{
    return name->len + name->statement->body_bytes;
}

void names_done(struct names *names)
{
    for (uint32_t i = 0; i < names->cap; i++)
        if (names->list[i].text) {
            kept_bytes -= sizeof(struct name) + names->list[i].len;
            free(names->list[i].text);
            statement_release(&names->list[i].statement);
        }
    free(names->list);
    *names = (struct names){0};
}

struct statement *names_get(const struct names *names, struct slice name)
{
    return names->cap ? name_place(names, name)->statement : NULL;
}

uint64_t *names_told(const struct names *names, struct slice name)
{
    struct name *place = names->cap ? name_place(names, name) : NULL;
    return place && place->text ? &place->told : NULL;
}

void names_put(struct names *names, struct slice name, struct statement *statement)
{
    if ((names->count + 1) * 4 > names->cap * 3)
        names_resize(names);
    struct name *place = name_place(names, name);
    assert(!place->text);
    *place = (struct name){xstrndup(name.ptr, name.len), (uint32_t)name.len, statement, 0};
    names->count++;
    names->bytes += name_cost(place);
    kept_bytes += sizeof(*place) + name.len;
}

void names_replace(struct names *names, struct slice name, struct statement *statement)
{
    struct name *place = name_place(names, name);
    assert(place->text);
    names->bytes -= name_cost(place);
    statement_release(&place->statement);
    place->statement = statement;
    names->bytes += name_cost(place);
}

/* What stands behind a freed place moves up, so that searches need no marks. */
static void names_close_gap(struct names *names, uint32_t gap)
{
    uint32_t mask = names->cap - 1;
    for (uint32_t i = (gap + 1) & mask; names->list[i].text; i = (i + 1) & mask) {
        uint32_t home = name_hash((struct slice){names->list[i].text, names->list[i].len}) & mask;
        if (((i - home) & mask) < ((i - gap) & mask))
            continue;
        names->list[gap] = names->list[i];
        names->list[i] = (struct name){0};
        gap = i;
    }
}

bool names_remove(struct names *names, struct slice name)
{
    struct name *place = names->cap ? name_place(names, name) : NULL;
    if (!place || !place->text)
        return false;
    names->bytes -= name_cost(place);
    names->count--;
    kept_bytes -= sizeof(*place) + place->len;
    free(place->text);
    statement_release(&place->statement);
    *place = (struct name){0};
    names_close_gap(names, (uint32_t)(place - names->list));
    return true;
}

struct statement *names_at(const struct names *names, uint32_t i)
{
    return names->list[i].statement;
}

void names_name_at(const struct names *names, uint32_t i, struct slice *ret_name,
                   uint64_t *ret_told)
{
    *ret_name = (struct slice){names->list[i].text, names->list[i].len};
    *ret_told = names->list[i].told;
}

struct slice names_of_server_name(const struct names *names, struct slice server_name)
{
    char ours[SERVER_NAME_BYTES];
    for (uint32_t i = 0; i < names->cap; i++) {
        if (!names->list[i].text)
            continue;
        statement_server_name(names->list[i].statement, ours);
        if (slice_equal(slice_of(ours), server_name))
            return (struct slice){names->list[i].text, names->list[i].len};
    }
    return (struct slice){NULL, 0};
}

/* ---- what a server has prepared ---- */

void prepared_init(struct prepared *prepared)
{
    *prepared = (struct prepared){.cap = 64};
    prepared->places = xcalloc(prepared->cap, sizeof(*prepared->places));
    list_init(&prepared->recent);
}

void prepared_done(struct prepared *prepared)
{
    if (!prepared->places)
        return;
    prepared_clear(prepared);
    free(TAKE(prepared->places));
}

static struct prepared_entry **prepared_place(const struct prepared *prepared, uint32_t id)
{
    struct prepared_entry **place = &prepared->places[id & (prepared->cap - 1)];
    while (*place && (*place)->statement->id != id)
        place = &(*place)->next;
    return place;
}

bool prepared_use(struct prepared *prepared, const struct statement *statement)
{
    struct prepared_entry *entry = *prepared_place(prepared, statement->id);
    if (!entry)
        return false;
    if (list_first(&prepared->recent) != &entry->recent) {
        list_remove(&prepared->recent, &entry->recent);
        list_push_front(&prepared->recent, &entry->recent);
    }
    return true;
}

bool prepared_since(const struct prepared *prepared, const struct statement *statement,
                    uint64_t generation)
{
    const struct prepared_entry *entry = *prepared_place(prepared, statement->id);
    return entry && entry->generation >= generation && entry->doubts == statement->doubts;
}

uint64_t *prepared_result(const struct prepared *prepared, const struct statement *statement)
{
    struct prepared_entry *entry = *prepared_place(prepared, statement->id);
    return entry ? &entry->result : NULL;
}

void prepared_add(struct prepared *prepared, struct statement *statement, uint64_t generation,
                  bool doubted)
{
    struct prepared_entry **place = prepared_place(prepared, statement->id);
    assert(!*place);
    *place = xcalloc(1, sizeof(**place));
    (*place)->statement = statement_hold(statement);
    (*place)->generation = generation;
    (*place)->doubts = statement->doubts - doubted;
    prepared->bytes += statement->body_bytes;
    list_push_front(&prepared->recent, &(*place)->recent);
}

static void prepared_drop(struct prepared *prepared, struct prepared_entry **place)
{
    struct prepared_entry *entry = *place;
    *place = entry->next;
    list_remove(&prepared->recent, &entry->recent);
    prepared->bytes -= entry->statement->body_bytes;
    statement_release(&entry->statement);
    free(entry);
}

void prepared_remove(struct prepared *prepared, const struct statement *statement)
{
    struct prepared_entry **place = prepared_place(prepared, statement->id);
    if (*place)
        prepared_drop(prepared, place);
}

void prepared_clear(struct prepared *prepared)
{
    for (uint32_t i = 0; i < prepared->cap; i++)
        while (prepared->places[i])
            prepared_drop(prepared, &prepared->places[i]);
}

uint32_t prepared_count(const struct prepared *prepared)
{
    return prepared->recent.count;
}

struct statement *prepared_oldest(const struct prepared *prepared)
{
    struct link *last = list_last(&prepared->recent);
    return last ? CONTAINER_OF(last, struct prepared_entry, recent)->statement : NULL;
}

static bool names_mean(const struct names *names, const struct statement *statement)
{
    for (uint32_t i = 0; i < names->cap; i++)
        if (names->list[i].statement == statement)
            return true;
    return false;
}

struct statement *prepared_other(const struct prepared *prepared, const struct names *names)
{
    for (struct link *link = list_first(&prepared->recent); link;
         link = list_next(&prepared->recent, link)) {
        struct statement *statement = CONTAINER_OF(link, struct prepared_entry, recent)->statement;
        if (!names_mean(names, statement))
            return statement;
    }
    return NULL;
}
