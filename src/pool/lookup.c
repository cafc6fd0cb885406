/* SPDX-License-Identifier: Apache-2.0 */
#include "lookup.h"

#include <errno.h>
#include <stdlib.h>

#include "log.h"
#include "login.h"
#include "secret.h"

enum {
    BUCKETS = 1024,
    ENTRIES_MAX = 20000,        /* beyond it all that is old is forgotten */
    KEPT_US = 10 * 1000 * 1000, /* a password that was changed counts no longer than this */
    REPLY_BYTES_MAX = 64 * 1024,
};

/* As the newest PgBouncer asks: of those that may log in, and whose password has not expired. */
static const char default_query[] =
    "SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END "
    "FROM pg_catalog.pg_authid WHERE rolname = $1 AND rolcanlogin";

struct entry {
    struct entry *next;
    char *database, *user;
    char *secret;  /* NULL: there is none */
    char *problem; /* why it could not be found out; NULL: it could */
    uint64_t known_us;
    bool pending, done; /* a question is under way; it has an answer that nobody was told */
};

/* One question. */
struct question {
    struct client client; /* first: they are one allocation */
    struct entry *entry;  /* NULL: over */
    struct buffer in, reply;
    char *secret, *problem;
    bool asked;
};

static struct entry *buckets[BUCKETS];
static uint32_t entries_count;
static bool any_done;

static struct entry **place_of(const char *database, const char *user)
{
    uint32_t hash = 2166136261u;
    for (const char *c = database; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    for (const char *c = user; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    struct entry **place = &buckets[hash % BUCKETS];
    while (*place &&
           (strcmp((*place)->user, user) != 0 || strcmp((*place)->database, database) != 0))
        place = &(*place)->next;
    return place;
}

static void wipe(char **secret)
{
    if (*secret)
        secret_wipe(*secret, strlen(*secret));
    text_free(secret);
}

static void forget(struct entry **place)
{
    struct entry *entry = *place;
    *place = entry->next;
    wipe(&entry->secret);
    free(entry->problem);
    free(entry->database);
    free(entry->user);
    free(entry);
    entries_count--;
}

static void forget_old(void)
{
    uint64_t now = pool_now();
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry **place = &buckets[i]; *place;) {
            if (!(*place)->pending && !(*place)->done && now - (*place)->known_us > KEPT_US)
                forget(place);
            else
                place = &(*place)->next;
        }
}

/* ---- a question ---- */

static struct question *question_of(struct stream *stream)
{
    return CONTAINER_OF(CONTAINER_OF(stream, struct client, stream), struct question, client);
}

static ssize_t carrier_read(struct stream *stream, void *dst, size_t cap)
{
    struct question *question = question_of(stream);
    struct slice rest = buffer_slice(&question->in);
    size_t len = rest.len < cap ? rest.len : cap;
    stream->readable = false;
    if (len == 0)
        return -EAGAIN;
    memcpy(dst, rest.ptr, len);
    buffer_consume(&question->in, len);
    return (ssize_t)len;
}

/* The answer is there, or there will be none. */
static void finish(struct question *question)
{
    struct entry *entry = TAKE(question->entry);
    if (!entry)
        return;
    wipe(&entry->secret);
    text_free(&entry->problem);
    entry->secret = TAKE(question->secret);
    entry->problem = TAKE(question->problem);
    entry->known_us = pool_now();
    entry->pending = false;
    entry->done = any_done = true;
}

static const char *query_text(const struct entry *entry)
{
    const struct database_config *database = config_database(pool_process.config, entry->database);
    return database && database->auth_query ? database->auth_query : default_query;
}

static void ask(struct question *question)
{
    struct buffer *in = &question->in;
    const char *user = question->entry->user;
    size_t begun = wire_begin(in, 'P');
    wire_text(in, "");
    wire_text(in, query_text(question->entry));
    wire_u16(in, 0);
    wire_end(in, begun);
    begun = wire_begin(in, 'B');
    wire_text(in, "");
    wire_text(in, "");
    wire_u16(in, 0);
    wire_u16(in, 1);
    wire_u32(in, (uint32_t)strlen(user));
    buffer_append_text(in, user);
    wire_u16(in, 0);
    wire_end(in, begun);
    begun = wire_begin(in, 'E');
    wire_text(in, "");
    wire_u32(in, 1);
    wire_end(in, begun);
    wire_plain(in, 'S');
    question->asked = true;
    question->client.stream.readable = true;
}

/* The last column of the row: "name, secret", or the secret alone. */
static void take_row(struct question *question, struct slice body)
{
    uint16_t count = 0;
    if (question->secret || body.len < 2)
        return;
    count = (uint16_t)((unsigned char)body.ptr[0] << 8 | (unsigned char)body.ptr[1]);
    body.ptr += 2;
    body.len -= 2;
    for (uint16_t i = 0; i < count; i++) {
        uint32_t len;
        if (!wire_take_u32(&body, &len))
            return;
        bool null = len == UINT32_MAX;
        if (!null && len > body.len)
            return;
        if (!null && i == (count > 1 ? 1 : 0))
            question->secret = xstrndup(body.ptr, len);
        body.ptr += null ? 0 : len;
        body.len -= null ? 0 : len;
    }
}

/* Its message, whatever else it has or lacks (CVE-2026-6666). */
static void take_error(struct question *question, struct slice body)
{
    struct slice text;
    while (body.len > 1) {
        char field = body.ptr[0];
        body.ptr++;
        body.len--;
        if (!wire_take_text(&body, &text))
            return;
        if (field == 'M' && !question->problem)
            question->problem = xstrndup(text.ptr, text.len);
    }
}

static void take_replies(struct question *question)
{
    while (question->entry && buffer_len(&question->reply) >= WIRE_HEADER_BYTES) {
        struct slice all = buffer_slice(&question->reply);
        uint32_t length = wire_get_u32(all.ptr + 1);
        if (length < 4 || length > REPLY_BYTES_MAX) {
            question->problem = xstrdup("the answer to auth_query is too long");
            finish(question);
            return;
        }
        if (all.len < (size_t)length + 1)
            return;
        struct slice body = {all.ptr + WIRE_HEADER_BYTES, length - 4};
        if (all.ptr[0] == 'D')
            take_row(question, body);
        else if (all.ptr[0] == 'E')
            take_error(question, body);
        else if (all.ptr[0] == 'Z' && question->asked)
            finish(question);
        else if (all.ptr[0] == 'Z')
            ask(question);
        buffer_consume(&question->reply, (size_t)length + 1);
    }
}

static ssize_t carrier_write(struct stream *stream, const struct iovec *parts, int count)
{
    struct question *question = question_of(stream);
    ssize_t all = 0;
    for (int i = 0; i < count; i++) {
        buffer_append(&question->reply, parts[i].iov_base, parts[i].iov_len);
        all += (ssize_t)parts[i].iov_len;
    }
    take_replies(question);
    return all;
}

static void carrier_close(struct stream *stream)
{
    struct question *question = question_of(stream);
    if (question->entry && !question->problem)
        question->problem = xstrdup("the connection for auth_query was lost");
    finish(question);
    wipe(&question->secret);
    text_free(&question->problem);
    buffer_done(&question->in);
    secret_wipe(question->reply.data, question->reply.cap);
    buffer_done(&question->reply);
}

static const struct stream_carrier carrier = {carrier_read, carrier_write, carrier_close};

static void begin(struct entry *entry, const struct database_config *database)
{
    struct question *question = (struct question *)client_over(&carrier, sizeof(*question));
    const char *where = pool_process.config->auth_database;
    question->entry = entry;
    entry->pending = true;
    login_enter(&question->client, where ? where : entry->database, database->auth_user);
}

/* ---- for logins ---- */

enum lookup_result lookup_user(const char *database, const char *user, const char **ret_secret)
{
    const struct database_config *config = config_database(pool_process.config, database);
    struct entry **place = place_of(database, user);
    if (!config || !config->auth_user || strcmp(user, config->auth_user) == 0)
        return LOOKUP_DISABLED;
    struct entry *entry = *place;
    if (entry && (entry->pending || entry->done))
        return LOOKUP_PENDING;
    if (entry && !entry->problem && pool_now() - entry->known_us < KEPT_US) {
        *ret_secret = entry->secret;
        return entry->secret ? LOOKUP_FOUND : LOOKUP_UNKNOWN;
    }
    if (!entry) {
        if (entries_count >= ENTRIES_MAX)
            forget_old();
        entry = xcalloc(1, sizeof(*entry));
        entry->database = xstrdup(database);
        entry->user = xstrdup(user);
        place = place_of(database, user);
        entry->next = *place;
        *place = entry;
        entries_count++;
    }
    begin(entry, config);
    return LOOKUP_PENDING;
}

void lookup_forget(const char *database, const char *user)
{
    struct entry **place = place_of(database, user);
    if (*place && !(*place)->pending && !(*place)->done)
        forget(place);
}

/* Questions that have their answer leave their connection. */
static void close_finished(void)
{
    struct link *link = list_first(&pool_process.clients), *next;
    for (; link; link = next) {
        struct client *client = CONTAINER_OF(link, struct client, link);
        next = list_next(&pool_process.clients, link);
        if (client->stream.carrier == &carrier && !question_of(&client->stream)->entry)
            client_close(client, NULL);
    }
}

void lookup_settle(void)
{
    if (!any_done)
        return;
    any_done = false;
    close_finished();
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *entry = buckets[i]; entry; entry = entry->next) {
            if (!entry->done)
                continue;
            entry->done = false;
            if (entry->problem)
                log_warn("auth_query for user %s, database %s: %s", entry->user, entry->database,
                         entry->problem);
            entry->pending = true; /* not to be forgotten by those who are told */
            login_looked_up(entry->database, entry->user, entry->secret, entry->problem);
            entry->pending = false;
        }
}
