/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

#include <stdlib.h>
#include <sys/random.h>

#include "approve.h"
#include "forward.h"
#include "hash.h"
#include "own.h"
#include "traits.h"

enum {
    BUCKETS = 4096,
    SHAPE_BYTES = 8,
    ENTRY_BYTES = 256,           /* what an entry costs besides its texts, roughly */
    PARAM_BYTES = 64,            /* … and a parameter of a session */
    BATCH_BYTES_MAX = 16 * 1024, /* of one whose end is waited for */
};

/* What a batch asks. Its shape: the types of its messages without Parse; 'd' is a Describe of the
 * statement, and "dH" asks for nothing else. */
struct request {
    struct statement *statement; /* a reference */
    struct params *params;       /* a reference, or NULL while it is only looked for */
    char shape[SHAPE_BYTES];
    bool parses;         /* it brings its statement along … */
    struct slice name;   /* … under this name */
    struct slice values; /* of Bind, after its names */
    uint64_t told;       /* what the client knows of its columns (statements.h) */
    size_t size;
};

struct entry {
    struct entry *next;
    struct link recent;
    struct pool *pool;
    struct request request; /* values: owned */
    uint64_t hash, made_us;
    uint64_t generation; /* of the pool, when it was made */
    uint64_t described;  /* what a 'd' was told (statement_described); 0: there is none */
    char *reply;         /* from after ParseComplete up to before ReadyForQuery */
    size_t reply_bytes;
    bool renewing, dropped;
};

struct watch {
    struct request request; /* values: owned */
    struct buffer reply;
    struct list waiting; /* clients that have asked the same meanwhile */
};

/* A statement or a set of parameters: however many entries refer to it, it takes memory once. */
struct shared {
    struct shared *next;
    const void *what;
    uint64_t bytes;
    uint32_t entries;
};

struct cache {
    struct cache_config config;
    uint64_t key, bytes;
    struct list recent; /* entries, the last used first */
    struct entry *buckets[BUCKETS];
    struct shared *shared[BUCKETS];
};

struct cache *cache_new(const struct cache_config *config)
{
    if (!config->enabled || config->max_age_ms <= 0)
        return NULL;
    struct cache *cache = xcalloc(1, sizeof(*cache));
    cache->config = *config;
    list_init(&cache->recent);
    if (getrandom(&cache->key, sizeof(cache->key), 0) != sizeof(cache->key))
        abort();
    return cache;
}

uint64_t cache_bytes(const struct cache *cache)
{
    return cache ? cache->bytes : 0;
}

uint32_t cache_results(const struct cache *cache)
{
    return cache ? cache->recent.count : 0;
}

/* ---- requests ---- */

static void request_done(struct request *request, bool owns_values)
{
    statement_release(&request->statement);
    params_release(&request->params);
    if (owns_values)
        free((void *)(uintptr_t)request->values.ptr);
    *request = (struct request){0};
}

/* One that outlives the bytes that it was read from. */
static struct request request_take(struct request *request, struct params *params)
{
    struct request taken = *request;
    taken.params = params_hold(params);
    taken.name = (struct slice){NULL, 0};
    char *values = xcalloc(1, request->values.len + 1);
    if (request->values.len > 0)
        memcpy(values, request->values.ptr, request->values.len);
    taken.values.ptr = values;
    *request = (struct request){0};
    return taken;
}

static bool append(struct request *request, char type)
{
    size_t len = strlen(request->shape);
    if (len + 1 >= SHAPE_BYTES || strchr(request->shape, type))
        return false;
    request->shape[len] = type;
    return true;
}

static bool read_query(struct client *client, struct slice body, struct request *request)
{
    AUTO_BUFFER statement = {0};
    if (body.len < 2 || memchr(body.ptr, 0, body.len) != body.ptr + body.len - 1)
        return false;
    buffer_append_slice(&statement, body);
    wire_u16(&statement, 0);
    request->statement = forward_intern(client, buffer_slice(&statement));
    return append(request, 'Q');
}

static bool read_parse(struct client *client, struct slice body, struct request *request)
{
    struct slice text;
    if (request->statement || request->shape[0] || !wire_take_text(&body, &request->name) ||
        !wire_parse_text(body, &text) || pool_is_full())
        return false;
    if (request->name.len > 0 &&
        (names_get(&client->names, request->name) || !forward_has_room(client, body)))
        return false;
    request->parses = true;
    request->statement = forward_intern(client, body);
    return true;
}

/* The statement that a Bind or a Describe names. */
static bool read_name(const struct client *client, struct slice name, struct request *request)
{
    if (request->statement)
        return slice_equal(request->name, name);
    struct statement *statement = name.len > 0 ? names_get(&client->names, name) : client->unnamed;
    if (!statement)
        return false;
    request->name = name;
    request->told = name.len > 0 ? *names_told(&client->names, name) : client->unnamed_told;
    request->statement = statement_hold(statement);
    return true;
}

/* A text such as 'now' means something else each time. */
static bool values_stay(struct slice values)
{
    struct slice formats, value;
    uint16_t count;
    if (!wire_take_formats(&values, &formats, &count))
        return false;
    for (uint16_t i = 0; i < count; i++)
        if (!wire_take_value(&values, &value) || approve_moves(value))
            return false;
    return true;
}

static bool read_bind(const struct client *client, struct slice body, struct request *request)
{
    struct slice portal, name;
    if (!wire_take_text(&body, &portal) || !wire_take_text(&body, &name) || portal.len > 0 ||
        !read_name(client, name, request) || !values_stay(body))
        return false;
    request->values = body;
    return append(request, 'B');
}

static bool read_describe(const struct client *client, struct slice body, struct request *request)
{
    bool bound = strchr(request->shape, 'B') != NULL;
    if (body.len < 2 || body.ptr[body.len - 1] != 0)
        return false;
    struct slice name = {body.ptr + 1, body.len - 2};
    if (body.ptr[0] == 'S')
        return read_name(client, name, request) && append(request, 'd');
    return bound && name.len == 0 && append(request, 'D');
}

static bool read_execute(struct slice body, struct request *request)
{
    return body.len == 5 && body.ptr[0] == 0 && wire_get_u32(body.ptr + 1) == 0 &&
           strchr(request->shape, 'B') && append(request, 'E');
}

/* The batch at the front of the bytes, if it is whole and asks for one result. */
static bool read_request(struct client *client, struct slice bytes, struct request *ret)
{
    struct slice rest = bytes, body;
    char type;
    bool sound = true, ended = false;
    *ret = (struct request){0};
    if (own_is(client) || client->pinned || client->skip > 0 || !forward_renames(client))
        return false;
    while (sound && !ended && own_next(&rest, &type, &body))
        switch (type) {
        case 'Q':
            sound = !ret->statement && read_query(client, body, ret);
            ended = true;
            break;
        case 'P':
            sound = read_parse(client, body, ret);
            break;
        case 'B':
            sound = read_bind(client, body, ret);
            break;
        case 'D':
            sound = read_describe(client, body, ret);
            break;
        case 'E':
            sound = read_execute(body, ret);
            break;
        case 'S':
            sound = strchr(ret->shape, 'E') != NULL && append(ret, 'S');
            ended = true;
            break;
        case 'H':
            sound = strcmp(ret->shape, "d") == 0 && append(ret, 'H');
            ended = true;
            break;
        default:
            sound = false;
        }
    ret->size = bytes.len - rest.len;
    if (sound && ended && (ret->statement->traits & TRAIT_READ))
        return true;
    request_done(ret, false);
    return false;
}

/* Is it what was asked before, by somebody with these parameters? */
static bool is_same(const struct request *before, const struct request *request,
                    const struct params *params)
{
    return before->statement == request->statement && before->params == params &&
           before->told == request->told && strcmp(before->shape, request->shape) == 0 &&
           slice_equal(before->values, request->values);
}

/* ---- entries ---- */

static uint64_t hash_of(const struct cache *cache, const struct request *request,
                        const struct params *params)
{
    uint64_t key = cache->key ^ request->statement->entry.hash ^ request->told;
    key = hash_bytes(key, (struct slice){(const char *)&params, sizeof(params)});
    return hash_bytes(hash_bytes(key, slice_of(request->shape)), request->values);
}

static struct entry **entry_place(struct cache *cache, const struct request *request,
                                  const struct params *params, uint64_t hash)
{
    struct entry **place = &cache->buckets[hash % BUCKETS];
    for (; *place; place = &(*place)->next) {
        const struct entry *e = *place;
        if (e->hash == hash && is_same(&e->request, request, params))
            break;
    }
    return place;
}

static uint64_t entry_cost(const struct entry *entry)
{
    return ENTRY_BYTES + entry->reply_bytes + entry->request.values.len;
}

static struct shared **shared_place(struct cache *cache, const void *what)
{
    struct slice address = {(const char *)&what, sizeof(what)};
    struct shared **place = &cache->shared[hash_bytes(cache->key, address) % BUCKETS];
    while (*place && (*place)->what != what)
        place = &(*place)->next;
    return place;
}

static void shared_add(struct cache *cache, const void *what, uint64_t bytes)
{
    struct shared **place = shared_place(cache, what);
    if (!*place) {
        *place = xcalloc(1, sizeof(**place));
        **place = (struct shared){.what = what, .bytes = bytes + sizeof(**place)};
        cache->bytes += (*place)->bytes;
    }
    (*place)->entries++;
}

static void shared_remove(struct cache *cache, const void *what)
{
    struct shared **place = shared_place(cache, what), *shared = *place;
    if (--shared->entries > 0)
        return;
    cache->bytes -= shared->bytes;
    *place = shared->next;
    free(shared);
}

static uint64_t params_bytes(const struct params *params)
{
    struct slice name, value;
    uint64_t bytes = 0;
    for (size_t i = 0; i < params_count(params); i++) {
        params_at(params, i, &name, &value);
        bytes += PARAM_BYTES + name.len + value.len;
    }
    return bytes;
}

static void entry_count(struct cache *cache, const struct entry *entry)
{
    const struct statement *statement = entry->request.statement;
    cache->bytes += entry_cost(entry);
    shared_add(cache, statement, sizeof(*statement) + statement->body_bytes);
    shared_add(cache, entry->request.params, params_bytes(entry->request.params));
}

static void entry_uncount(struct cache *cache, const struct entry *entry)
{
    cache->bytes -= entry_cost(entry);
    shared_remove(cache, entry->request.statement);
    shared_remove(cache, entry->request.params);
}

static void entry_free(struct entry *entry)
{
    request_done(&entry->request, true);
    free(entry->reply);
    free(entry);
}

/* Out of the cache; one that is being fetched anew is freed when that is over. */
static void entry_drop(struct cache *cache, struct entry *entry)
{
    struct entry **place = &cache->buckets[entry->hash % BUCKETS];
    while (*place != entry)
        place = &(*place)->next;
    *place = entry->next;
    list_remove(&cache->recent, &entry->recent);
    entry_uncount(cache, entry);
    entry->dropped = true;
    if (!entry->renewing)
        entry_free(entry);
}

void cache_free(struct cache **cache)
{
    struct cache *c = TAKE(*cache);
    if (!c)
        return;
    for (struct link *link; (link = list_first(&c->recent));)
        entry_drop(c, CONTAINER_OF(link, struct entry, recent));
    free(c);
}

static void make_room(struct cache *cache)
{
    struct link *last;
    while (cache->bytes > cache->config.bytes_max && (last = list_last(&cache->recent)))
        entry_drop(cache, CONTAINER_OF(last, struct entry, recent));
}

static bool describes(const struct request *request)
{
    return strchr(request->shape, 'd') != NULL;
}

/* What of a batch's replies is kept. */
struct result {
    struct slice reply;
    uint64_t described;
};

/* False: something else happened than a result. */
static bool find_result(const struct request *request, struct slice replies, struct result *ret)
{
    struct slice rest = replies, body = {NULL, 0};
    const char *begin = replies.ptr, *end = NULL;
    char type;
    bool only_describes = strcmp(request->shape, "dH") == 0;
    bool result = only_describes, in_description = false;
    *ret = (struct result){.described = 0};
    while (!end && own_next(&rest, &type, &body)) {
        if (type == '1' && request->parses && begin == replies.ptr)
            begin = rest.ptr;
        else if (type == 'C')
            result = slice_starts_with(body, SLICE("SELECT "));
        else if (type == 'Z')
            end = body.ptr - WIRE_HEADER_BYTES;
        else if (!strchr("2tTnD", type))
            return false;
        if (type == 't' || (in_description && type != 'Z'))
            ret->described = statement_described(ret->described, type, body);
        in_description = type == 't';
    }
    if (end && (body.len != 1 || body.ptr[0] != 'I'))
        return false;
    if (!end && only_describes)
        end = rest.ptr; /* its batch goes on */
    ret->reply = (struct slice){begin, end ? (size_t)(end - begin) : 0};
    return ret->reply.len > 0 && result && rest.len == 0 && !in_description &&
           describes(request) == (ret->described != 0);
}

static void set_result(struct entry *entry, const struct result *result)
{
    struct cache *cache = entry->pool->cache;
    struct slice reply = result->reply;
    cache->bytes += reply.len;
    cache->bytes -= entry->reply_bytes;
    entry->reply = xrealloc(entry->reply, reply.len);
    memcpy(entry->reply, reply.ptr, reply.len);
    entry->reply_bytes = reply.len;
    entry->described = result->described;
    entry->generation = entry->pool->generation;
    entry->made_us = pool_now();
}

/* ---- results that grow old ---- */

/* What compose has asked on its own account, a description that is not part of the result, is taken
 * off the front. Returns what it says; 0: there is none. */
static uint64_t take_description(struct slice *replies)
{
    struct slice rest = *replies, body;
    char type;
    uint64_t described = 0;
    while (own_next(&rest, &type, &body) && strchr("1tTn", type)) {
        if (type != '1')
            described = statement_described(described, type, body);
        *replies = rest;
    }
    return described;
}

/* Who reads rows by the columns that they had is not to be given others. */
static bool has_its_columns(const struct entry *entry, uint64_t described)
{
    return (entry->request.told == 0 || entry->request.told == described) &&
           (entry->described == 0 || entry->described == described);
}

static bool is_renewed(struct entry *entry, struct slice replies, struct result *ret)
{
    bool asked = entry->request.shape[0] == 'Q' || describes(&entry->request);
    uint64_t described = asked ? 0 : take_description(&replies);
    if (!find_result(&entry->request, replies, ret))
        return false;
    if (has_its_columns(entry, asked ? ret->described : described))
        return true;
    entry->pool->generation++; /* somebody has changed a table */
    return false;
}

static void renewed(void *context, struct slice replies, const char *problem)
{
    struct entry *entry = context;
    struct cache *cache = entry->pool->cache;
    struct result result;
    entry->pool->questions--;
    entry->renewing = false;
    if (entry->dropped) {
        entry_free(entry);
        return;
    }
    if (problem || !is_renewed(entry, replies, &result)) {
        entry_drop(cache, entry);
        return;
    }
    set_result(entry, &result);
    make_room(cache);
}

static void compose_bind(struct buffer *batch, struct slice values)
{
    size_t begun = wire_begin(batch, 'B');
    wire_text(batch, "");
    wire_text(batch, "");
    buffer_append_slice(batch, values);
    wire_end(batch, begun);
}

static void compose_execute(struct buffer *batch)
{
    size_t begun = wire_begin(batch, 'E');
    wire_text(batch, "");
    wire_u32(batch, 0);
    wire_end(batch, begun);
}

static void compose(struct buffer *batch, const struct request *request)
{
    const struct statement *statement = request->statement;
    if (request->shape[0] == 'Q') {
        wire_query(batch, statement_text(statement).ptr);
        return;
    }
    statement_append_parse(statement, "", batch);
    if (!describes(request))
        wire_target(batch, 'D', 'S', "");
    for (const char *c = request->shape; *c; c++) {
        if (*c == 'd')
            wire_target(batch, 'D', 'S', "");
        else if (*c == 'D')
            wire_target(batch, 'D', 'P', "");
        else if (*c == 'B')
            compose_bind(batch, request->values);
        else if (*c == 'E')
            compose_execute(batch);
        else
            wire_plain(batch, 'S'); /* also instead of a Flush */
    }
}

static void renew(struct entry *entry)
{
    struct pool *pool = entry->pool;
    AUTO_BUFFER batch = {0};
    entry->renewing = true;
    entry->request.parses = entry->request.shape[0] != 'Q'; /* as compose asks */
    pool->questions++;
    compose(&batch, &entry->request);
    own_ask(pool->database_name, pool->user, NULL, entry->request.params, &batch,
            pool->cache->config.result_bytes_max + READ_BYTES, renewed, entry);
}

/* ---- answers ---- */

/* What the messages that are answered here would have changed in the session. */
static void apply(struct client *client, struct request *request, const struct entry *entry)
{
    bool unnamed = request->name.len == 0;
    if (request->shape[0] == 'Q')
        client_set_unnamed(client, NULL);
    else if (request->parses && unnamed)
        client_set_unnamed(client, statement_hold(request->statement));
    else if (request->parses)
        names_put(&client->names, request->name, statement_hold(request->statement));
    if (describes(request))
        *(unnamed ? &client->unnamed_told : names_told(&client->names, request->name)) =
            entry->described;
}

static void answer(struct client *client, struct request *request, const struct entry *entry)
{
    static const char parsed[] = {'1', 0, 0, 0, 4}, ready[] = {'Z', 0, 0, 0, 5, 'I'};
    bool ends = !strchr(request->shape, 'H');
    const struct iovec parts[] = {
        {(void *)(uintptr_t)parsed, request->parses ? sizeof(parsed) : 0},
        {entry->reply, entry->reply_bytes},
        {(void *)(uintptr_t)ready, ends ? sizeof(ready) : 0},
    };
    apply(client, request, entry);
    client_send(client, parts, 3);
}

/* NULL: it is not known, or no longer. */
static struct entry *find(struct client *client, const struct request *request)
{
    struct cache *cache = client->pool->cache;
    uint64_t hash = hash_of(cache, request, client->params);
    struct entry *entry = *entry_place(cache, request, client->params, hash);
    if (!entry)
        return NULL;
    uint64_t age_us = pool_now() - entry->made_us;
    uint64_t fresh_us = (uint64_t)cache->config.max_age_ms * 1000;
    /* Who hears that a statement returns something else now asks what it is. */
    bool outdated = entry->described != 0 && entry->generation != entry->pool->generation;
    if (outdated || age_us > fresh_us + (uint64_t)cache->config.stale_ms * 1000) {
        entry_drop(cache, entry);
        return NULL;
    }
    if (age_us > fresh_us) {
        client->pool->counters->cache_stale++;
        if (!entry->renewing)
            renew(entry);
    }
    list_remove(&cache->recent, &entry->recent);
    list_push_front(&cache->recent, &entry->recent);
    return entry;
}

bool cache_awaits(struct slice bytes)
{
    struct slice rest = bytes, body;
    char type;
    while (own_next(&rest, &type, &body))
        if (!strchr("PBDE", type) || type == 0)
            return false;
    if (rest.len > 0 && (rest.ptr[0] == 0 || !strchr("PBDESHQ", rest.ptr[0])))
        return false;
    uint32_t length = rest.len < WIRE_HEADER_BYTES ? 4 : wire_get_u32(rest.ptr + 1);
    return length >= 4 && length < BATCH_BYTES_MAX && bytes.len < BATCH_BYTES_MAX;
}

/* ---- results that are on their way ---- */

/* Somebody has asked this a moment ago: the client waits for what comes of it, once. */
static void wait_for_other(struct client *client, const struct request *request)
{
    const struct list *lent = &client->pool->lent;
    if (client->has_awaited) {
        client->has_awaited = false;
        return;
    }
    for (struct link *link = list_first(lent); link; link = list_next(lent, link)) {
        const struct server *server = CONTAINER_OF(link, struct server, link);
        if (!server->watch || server->client->out ||
            !is_same(&server->watch->request, request, client->params))
            continue;
        client->awaited = server->watch;
        list_push_back(&client->awaited->waiting, &client->turn);
        return;
    }
}

void cache_stop_waiting(struct client *client)
{
    if (!client->awaited)
        return;
    list_remove(&client->awaited->waiting, &client->turn);
    client->awaited = NULL;
    client->active_us = pool_now();
    client->has_awaited = true;
}

/* They look whether it is there, and ask themselves if it is not. */
static void wake(struct watch *watch)
{
    for (struct link *link; (link = list_first(&watch->waiting));) {
        struct client *client = CONTAINER_OF(link, struct client, turn);
        cache_stop_waiting(client);
        pool_again(client);
    }
}

struct slice cache_answer(struct client *client, struct slice bytes)
{
    struct request request;
    while (bytes.len > 0 && !client->out && read_request(client, bytes, &request)) {
        struct entry *entry = find(client, &request);
        if (entry) {
            client->pool->counters->cache_hits++;
            bytes.ptr += request.size;
            bytes.len -= request.size;
            client->has_awaited = false;
            answer(client, &request, entry);
        } else {
            wait_for_other(client, &request);
        }
        request_done(&request, false);
        if (!entry)
            break;
    }
    return bytes;
}

/* ---- results that come ---- */

void cache_unwatch(struct server *server)
{
    struct watch *watch = TAKE(server->watch);
    if (!watch)
        return;
    wake(watch);
    request_done(&watch->request, true);
    buffer_done(&watch->reply);
    free(watch);
}

void cache_watch(struct client *client, struct slice bytes)
{
    struct server *server = client->server;
    struct request request;
    if (!read_request(client, bytes, &request))
        return;
    if (request.size == bytes.len && approve(client->pool, request.statement)) {
        client->pool->counters->cache_misses++;
        server->watch = xcalloc(1, sizeof(*server->watch));
        list_init(&server->watch->waiting);
        server->watch->request = request_take(&request, client->params);
        return;
    }
    request_done(&request, false);
}

void cache_note(struct server *server, const struct iovec *parts, int count)
{
    struct buffer *reply = &server->watch->reply;
    for (int i = 0; i < count; i++)
        buffer_append(reply, parts[i].iov_base, parts[i].iov_len);
    if (server->client->out)
        wake(server->watch); /* whoever reads slowly holds up nobody else */
    if (buffer_len(reply) > server->pool->cache->config.result_bytes_max + READ_BYTES)
        cache_unwatch(server);
}

void cache_keep(struct server *server)
{
    struct watch *watch = server->watch;
    struct cache *cache = server->pool->cache;
    struct result result;
    if (!find_result(&watch->request, buffer_slice(&watch->reply), &result) ||
        result.reply.len > cache->config.result_bytes_max) {
        cache_unwatch(server);
        return;
    }
    uint64_t hash = hash_of(cache, &watch->request, watch->request.params);
    struct entry **place = entry_place(cache, &watch->request, watch->request.params, hash);
    if (*place)
        entry_drop(cache, *place);
    struct entry *entry = xcalloc(1, sizeof(*entry));
    entry->pool = server->pool;
    entry->request = watch->request;
    watch->request = (struct request){0};
    entry->hash = hash;
    entry->next = cache->buckets[hash % BUCKETS];
    cache->buckets[hash % BUCKETS] = entry;
    list_push_front(&cache->recent, &entry->recent);
    entry_count(cache, entry);
    set_result(entry, &result);
    cache_unwatch(server);
    make_room(cache);
}
