/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "console_set.h"
#include "console_tables.h"
#include "control.h"
#include "ipc.h"
#include "pool.h"

enum { COMMAND_BYTES_MAX = 8192, WORDS_MAX = 4, RELOAD_US_MAX = 60000000 };

bool console_may_command(const char *user)
{
    const struct pool_config *config = pool_process.config;
    return config->auth == AUTH_ANY || config_lists(config->admin_users, user);
}

bool console_admits(const char *user)
{
    return console_may_command(user) || config_lists(pool_process.config->stats_users, user);
}

void console_open(struct client *client, bool may_command)
{
    static const struct {
        const char *name, *value;
    } reported[] = {{"server_version", "1.25.0/weir"},
                    {"client_encoding", "UTF8"},
                    {"server_encoding", "UTF8"},
                    {"DateStyle", "ISO"},
                    {"TimeZone", "GMT"},
                    {"standard_conforming_strings", "on"},
                    {"is_superuser", "on"}};
    AUTO_BUFFER out = {0};
    wire_auth(&out, AUTH_CODE_OK, (struct slice){NULL, 0});
    client->params = params_empty();
    for (size_t i = 0; i < ARRAY_LEN(reported); i++)
        client->params =
            params_with(client->params, slice_of(reported[i].name), slice_of(reported[i].value));
    client->startup_params = params_hold(client->params);
    client->may_command = may_command;
    client_welcome(client, &out);
    client_send_buffer(client, &out);
    console_run(client);
}

static void done(struct buffer *out, const char *tag)
{
    size_t begun = wire_begin(out, 'C');
    wire_text(out, tag);
    wire_end(out, begun);
}

static void complain(struct buffer *out, const char *sqlstate, const char *message)
{
    wire_error(out, "ERROR", &(struct wire_error){sqlstate, message, NULL, NULL});
}

/* ---- commands ---- */

/* The pools of the database, or all; false: there is no such database. */
static bool each_pool(const char *database, void (*act)(struct pool *pool))
{
    bool any = !database || !*database || config_database(pool_process.config, database);
    for (struct pool *pool = pool_process.pools; pool; pool = pool->next)
        if (!database || !*database || strcmp(pool->database_name, database) == 0)
            act(pool);
    return any;
}

static void pause_pool(struct pool *pool)
{
    pool->paused = true;
}

static void resume_pool(struct pool *pool)
{
    pool->paused = false;
    pool_serve_later(pool);
}

static void close_list(struct list *servers)
{
    for (struct link *link; (link = list_first(servers));)
        server_close(CONTAINER_OF(link, struct server, link),
                     "the connection was closed by an administrator");
}

static void taint_list(struct list *servers)
{
    for (struct link *link = list_first(servers); link; link = list_next(servers, link))
        CONTAINER_OF(link, struct server, link)->tainted = true;
}

static void reconnect_pool(struct pool *pool)
{
    close_list(&pool->idle);
    taint_list(&pool->lent);
    taint_list(&pool->cleaning);
}

static void kill_pool(struct pool *pool)
{
    pool->paused = true;
    for (struct link *link = list_first(&pool_process.clients), *next; link; link = next) {
        struct client *client = CONTAINER_OF(link, struct client, link);
        next = list_next(&pool_process.clients, link);
        if (client->pool == pool)
            client_close(client, &(struct wire_error){"57P01",
                                                      "terminating connection due to an "
                                                      "administrator's command",
                                                      NULL, NULL});
    }
    close_list(&pool->idle);
    close_list(&pool->cleaning);
}

static bool anything_lent(void)
{
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next)
        if (pool->paused && pool->lent.count + pool->cleaning.count > 0)
            return true;
    return false;
}

static const struct command {
    const char *name;
    void (*act)(struct pool *pool);
    bool waits; /* answers when the transactions that run have ended */
} commands[] = {
    {"PAUSE", pause_pool, true},
    {"RESUME", resume_pool, false},
    {"RECONNECT", reconnect_pool, false},
    {"KILL", kill_pool, false},
};

/* ---- reading ---- */

/* Splits at blanks, upper case in words[0] and [1]; without the semicolon. */
static int split(char *text, char *words[WORDS_MAX])
{
    int count = 0;
    for (char *word = strtok(text, " \t\r\n;"); word && count < WORDS_MAX;
         word = strtok(NULL, " \t\r\n;"))
        words[count++] = word;
    return count;
}

static void run_command(struct client *client, char *words[WORDS_MAX], int count,
                        struct buffer *out)
{
    const char *database = count > 1 ? words[1] : NULL;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcasecmp(words[0], commands[i].name) != 0)
            continue;
        if (!client->may_command)
            complain(out, "42501", "admin access needed");
        else if (!each_pool(database, commands[i].act))
            complain(out, "3D000", "no such database");
        else {
            if (!database && commands[i].waits)
                pool_process.paused = true;
            if (!database && commands[i].act == resume_pool)
                pool_process.paused = false;
            client->command_runs = commands[i].waits && anything_lent();
            client->command = commands[i].name;
            if (!client->command_runs)
                done(out, commands[i].name);
        }
        return;
    }
    if (strcasecmp(words[0], "RELOAD") == 0 && !client->may_command) {
        complain(out, "42501", "admin access needed");
        return;
    }
    if (strcasecmp(words[0], "RELOAD") == 0) {
        (void)ipc_send(CONTROL_FD, CONTROL_RELOAD, NULL, 0, NULL, 0);
        client->command_runs = true;
        client->command = "RELOAD";
        client->since_us = pool_now();
        return;
    }
    complain(out, "42601",
             "invalid command; there are SHOW, SET, PAUSE, RESUME, RECONNECT, KILL and RELOAD");
}

/* SET name = value, or name TO value, quoted or not. What drivers set of their session is let pass.
 */
static void set(struct client *client, const char *text, struct buffer *out)
{
    static const char *const harmless[] = {"extra_float_digits", "client_encoding", "datestyle",
                                           "application_name",   "timezone",        "session"};
    char name[64] = "", value[1024] = "";
    bool parsed =
        sscanf(text, " %*[sSeEtT] %63[A-Za-z_] = '%1023[^']'", name, value) == 2 ||
        sscanf(text, " %*[sSeEtT] %63[A-Za-z_] = %1023[^ ;]", name, value) == 2 ||
        sscanf(text, " %*[sSeEtT] %63[A-Za-z_] %*[tT]%*[oO] '%1023[^']'", name, value) == 2 ||
        sscanf(text, " %*[sSeEtT] %63[A-Za-z_] %*[tT]%*[oO] %1023[^ ;]", name, value) == 2;
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
        if (strcasecmp(name, harmless[i]) == 0) {
            done(out, "SET");
            return;
        }
    AUTO_TEXT problem = NULL;
    if (!client->may_command)
        complain(out, "42501", "admin access needed");
    else if (!parsed)
        complain(out, "42601", "SET takes name = value");
    else if ((problem = console_set(name, value)))
        complain(out, "22023", problem);
    else
        done(out, "SET");
}

static void on_query(struct client *client, const char *text, struct buffer *out)
{
    AUTO_TEXT copy = xstrdup(text);
    char *words[WORDS_MAX] = {NULL};
    int count = split(copy, words);
    if (count == 0) {
        wire_plain(out, 'I');
    } else if (strcasecmp(words[0], "SHOW") == 0) {
        if (count < 2 || !console_show(words[1], out))
            complain(out, "42601",
                     "there are SHOW POOLS, CLIENTS, SERVERS, DATABASES, STATS, CACHE, LISTS, "
                     "CONFIG, USERS and VERSION");
        else
            done(out, "SHOW");
    } else if (strcasecmp(words[0], "SET") == 0) {
        set(client, text, out);
    } else {
        run_command(client, words, count, out);
    }
    if (!client->command_runs)
        wire_ready(out, 'I');
}

/* A command that waited for transactions is through. */
void console_tick(struct client *client)
{
    AUTO_BUFFER out = {0};
    bool reloads = client->command_runs && strcmp(client->command, "RELOAD") == 0;
    bool late = reloads && (pool_process.refused_us > client->since_us ||
                            pool_now() - client->since_us > RELOAD_US_MAX);
    bool goes_on = reloads ? !late && pool_process.taken_us <= client->since_us : anything_lent();
    if (!client->command_runs || goes_on)
        return;
    client->command_runs = false;
    if (late)
        complain(&out, "F0000", "the configuration was not taken; weir's log says why");
    else
        done(&out, client->command);
    wire_ready(&out, 'I');
    client_send_buffer(client, &out);
    console_run(client);
}

static bool take_message(struct client *client)
{
    struct slice bytes = buffer_slice(client->in);
    AUTO_BUFFER out = {0};
    if (bytes.len < WIRE_HEADER_BYTES || client->command_runs)
        return false;
    uint32_t length = wire_get_u32(bytes.ptr + 1);
    char type = bytes.ptr[0];
    if (length < 4 || length > COMMAND_BYTES_MAX || type == 'X') {
        client_close(client, NULL);
        return false;
    }
    if (bytes.len < (size_t)length + 1)
        return false;
    AUTO_TEXT text = xstrndup(bytes.ptr + WIRE_HEADER_BYTES, length - 4);
    buffer_consume(client->in, (size_t)length + 1);
    if (type == 'Q') {
        on_query(client, text, &out);
    } else if (type == 'S') {
        wire_ready(&out, 'I');
        client->failed = false;
    } else if (!client->failed && type != 'H') {
        complain(&out, "0A000", "the console takes simple queries only");
        client->failed = true;
    }
    client_send_buffer(client, &out);
    return !client->closed;
}

void console_run(struct client *client)
{
    if (!client->in)
        client->in = xcalloc(1, sizeof(*client->in));
    while (take_message(client))
        ;
    while (!client->closed && client->stream.readable) {
        ssize_t got = stream_read(&client->stream, buffer_reserve(client->in, 4096), 4096);
        if (got == -EAGAIN)
            return;
        if (got <= 0) {
            client_close(client, NULL);
            return;
        }
        client->in->end += (size_t)got;
        while (take_message(client))
            ;
    }
}
