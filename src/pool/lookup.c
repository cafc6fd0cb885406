/* SPDX-License-Identifier: Apache-2.0 */
#include "lookup.h"

#include <errno.h>
#include <stdlib.h>

#include "log.h"
#include "login.h"
#include "own.h"
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
    bool exists;   /* there is such a user */
    char *secret;  /* NULL: it has none */
    char *problem; /* why it could not be found out; NULL: it could */
    uint64_t known_us;
    bool pending, done; /* a question is under way; it has an answer that nobody was told */
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

/* Those that nobody waits for, and that were known for so long. */
static void forget_after(uint64_t kept_us)
{
    uint64_t now = pool_now();
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry **place = &buckets[i]; *place;) {
            if (!(*place)->pending && !(*place)->done && now - (*place)->known_us >= kept_us)
                forget(place);
            else
                place = &(*place)->next;
        }
}

/* ---- a question ---- */

static void answered(void *context, struct slice replies, const char *problem)
{
    struct entry *entry = context;
    struct slice body;
    char type;
    wipe(&entry->secret);
    text_free(&entry->problem);
    entry->exists = false;
    while (own_next(&replies, &type, &body))
        if (type == 'D' && body.len >= 2) { /* "name, secret", or the secret alone */
            struct slice secret = own_column(body, wire_get_u16(body.ptr) > 1 ? 1 : 0);
            entry->exists = true;
            if (secret.ptr && !entry->secret)
                entry->secret = xstrndup(secret.ptr, secret.len);
        } else if (type == 'E' && !entry->problem) {
            struct slice text = own_error_text(body);
            entry->problem = xstrndup(text.ptr, text.len);
        }
    if (problem && !entry->problem)
        entry->problem = xstrdup(problem);
    entry->known_us = pool_now();
    entry->pending = false;
    entry->done = any_done = true;
}

static const char *query_text(const struct entry *entry)
{
    const struct database_config *database = config_database(pool_process.config, entry->database);
    const char *own = database ? database->auth_query : NULL,
               *all = pool_process.config->auth_query;
    return own ? own : all ? all : default_query;
}

/* NULL: nobody is looked up there. */
static const char *auth_user(const struct database_config *database)
{
    return database->auth_user ? database->auth_user : pool_process.config->auth_user;
}

static void begin(struct entry *entry, const struct database_config *database)
{
    AUTO_BUFFER batch = {0};
    const char *own = database->auth_database, *all = pool_process.config->auth_database;
    const char *where = own ? own : all ? all : entry->database;
    entry->pending = true;
    own_compose(&batch, query_text(entry), entry->user);
    /* Neither clients nor the role's own settings have a say in what its names mean. */
    own_ask(where, auth_user(database), "pg_catalog, \"$user\", public", NULL, &batch,
            REPLY_BYTES_MAX, answered, entry);
}

/* ---- for logins ---- */

bool lookup_is_auth_user(const char *database, const char *user)
{
    const struct database_config *config = config_database(pool_process.config, database);
    return config && auth_user(config) && strcmp(auth_user(config), user) == 0;
}

enum lookup_result lookup_user(const char *database, const char *user, const char **ret_secret)
{
    const struct database_config *config = config_database(pool_process.config, database);
    struct entry **place = place_of(database, user);
    if (!config || !auth_user(config) || strcmp(user, auth_user(config)) == 0)
        return LOOKUP_DISABLED;
    struct entry *entry = *place;
    if (entry && (entry->pending || entry->done))
        return LOOKUP_PENDING;
    if (entry && !entry->problem && pool_now() - entry->known_us < KEPT_US) {
        *ret_secret = entry->secret;
        return entry->secret ? LOOKUP_FOUND : entry->exists ? LOOKUP_NO_SECRET : LOOKUP_UNKNOWN;
    }
    if (!entry) {
        if (entries_count >= ENTRIES_MAX)
            forget_after(KEPT_US + 1);
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

void lookup_forget_all(void)
{
    forget_after(0);
}

void lookup_settle(void)
{
    if (!any_done)
        return;
    any_done = false;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *entry = buckets[i]; entry; entry = entry->next) {
            if (!entry->done)
                continue;
            entry->done = false;
            if (entry->problem)
                log_warn("auth_query for user %s, database %s: %s", entry->user, entry->database,
                         entry->problem);
            entry->pending = true; /* not to be forgotten by those who are told */
            login_looked_up(entry->database, entry->user, entry->exists, entry->secret,
                            entry->problem);
            entry->pending = false;
        }
}
