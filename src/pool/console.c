/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "console_set.h"
#include "console_tables.h"
#include "control.h"
#include "handover.h"
#include "ipc.h"
#include "log.h"
#include "pool.h"

enum { COMMAND_BYTES_MAX = 8192, WORDS_MAX = 4, RELOAD_US_MAX = 60000000 };

/* A client of the console. */
struct console {
    const struct command *command; /* it runs, and is answered when it is through; NULL: none */
    char *database;                /* … of which; NULL: of all */
    uint64_t since_us;
    bool until_draining; /* it is through when the pool takes no clients any more */
};

/* A command: what it does to each pool of the database, or at all, and when it is through. */
struct command {
    const char *name;
    void (*on_pool)(struct pool *pool);
    void (*on_database)(struct record *record);
    void (*on_all)(void); /* without a database, instead of on_database */
    /* Is there something of this pool that it waits for? */
    bool (*waits)(const struct pool *pool);
    enum { DATABASE_OR_NONE, DATABASE, WORD, NO_WORD } takes;
    bool (*run)(struct client *client, const char *word, struct buffer *out); /* instead of those */
    /* What tells the supervisor that it was given without a database: whoever starts this process
     * anew, and gets signals, has to know. 0: nothing. */
    uint32_t control;
};

bool console_may_command(const char *user)
{
    const struct pool_config *config = pool_process.config;
    return config->auth == AUTH_ANY || config_lists(config->admin_users, user);
}

bool console_admits(const char *user)
{
    return console_may_command(user) || config_lists(pool_process.config->stats_users, user);
}

void console_open(struct client *client, const char *user, struct slice application_name,
                  bool may_command)
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
    if (application_name.ptr)
        client->params = params_with(client->params, SLICE("application_name"), application_name);
    client->startup_params = params_hold(client->params);
    client->may_command = may_command;
    client->console = xcalloc(1, sizeof(*client->console));
    client_is_known(client);
    client_join(client, NULL, record_of(CONSOLE_DATABASE), user);
    client->tally->counters.logins++;
    pool_process.consoles++;
    client_welcome(client, &out);
    client_send_buffer(client, &out);
    console_run(client);
}

void console_close(struct client *client)
{
    struct console *console = TAKE(client->console);
    if (!console)
        return;
    pool_process.consoles--;
    free(console->database);
    free(console);
}

/* hint: the remedy, or NULL. */
static void complain(struct buffer *out, const char *sqlstate, const char *message,
                     const char *hint)
{
    wire_error(out, "ERROR", &(struct wire_error){sqlstate, message, NULL, hint, NULL});
}

/* As PgBouncer answers all that it refuses; its clients look for that. */
static void refuse(struct buffer *out, const char *message, const char *hint)
{
    complain(out, "08P01", message, hint);
}

static void refuse_while_draining(struct buffer *out)
{
    refuse(out, "pooler is shutting down", "Say it again when the pool has started again.");
}

static void refuse_stranger(struct buffer *out)
{
    complain(out, "42501", "admin access needed",
             "admin_users in the pool's configuration names those who have it; stats_users SHOW.");
}

static void notice(struct buffer *out, const char *message)
{
    wire_error(out, "NOTICE", &(struct wire_error){"00000", message, NULL, NULL, NULL});
}

/* ---- what commands do ---- */

static const char closed_by_administrator[] = "the connection was closed by an administrator";

/* Those that are lent follow when they are given back, the one that listens when another does. */
static void let_servers_go(struct pool *pool)
{
    server_close_all(&pool->idle, closed_by_administrator);
    server_close_all(&pool->connecting, closed_by_administrator);
    server_taint_all(&pool->lent);
    server_taint_all(&pool->cleaning);
    server_taint_all(&pool->listening);
}

/* There is no heir to the one that listens, until RESUME. */
static void pause_pool(struct pool *pool)
{
    let_servers_go(pool);
    server_close_all(&pool->listening, closed_by_administrator);
}

static bool any_lent(const struct pool *pool)
{
    return pool->lent.count + pool->cleaning.count > 0;
}

static bool any_tainted(const struct pool *pool)
{
    const struct list *lists[] = {&pool->lent, &pool->cleaning, &pool->listening};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (const struct link *link = list_first(lists[i]); link; link = list_next(lists[i], link))
            if (CONTAINER_OF(link, struct server, link)->tainted)
                return true;
    return false;
}

static void pause_database(struct record *record)
{
    record->paused = true;
}

static void resume_database(struct record *record)
{
    record->paused = false;
}

static void disable_database(struct record *record)
{
    record->disabled = true;
}

static void enable_database(struct record *record)
{
    record->disabled = false;
}

static void pause_all(void)
{
    pool_process.paused = true;
}

static void resume_all(void)
{
    pool_process.paused = false;
    for (struct record *record = record_first(); record; record = record->next)
        resume_database(record);
}

static void kill_all(void)
{
    for (struct record *record = record_first(); record; record = record->next)
        pause_database(record);
}

void console_pause_all(bool pause)
{
    pool_process.paused = pause;
    for (struct pool *pool = pool_process.pools; pool; pool = pool->next)
        if (pause)
            pause_pool(pool);
        else
            pool_serve_later(pool);
}

static const struct wire_error by_administrator = {
    "57P01", "terminating connection due to an administrator's command", NULL, "Connect anew.",
    NULL};

static void kill_pool(struct pool *pool)
{
    for (struct link *link = list_first(&pool_process.clients), *next; link; link = next) {
        struct client *client = CONTAINER_OF(link, struct client, link);
        next = list_next(&pool_process.clients, link);
        if (client->pool == pool)
            client_close(client, &by_administrator);
    }
    pause_pool(pool);
    server_close_all(&pool->cleaning, closed_by_administrator);
}

/* teller: who has said so, and can not be meant. False: it is not here. */
static bool kill_one(unsigned long long id, const struct client *teller)
{
    for (struct link *link = list_first(&pool_process.clients); link;
         link = list_next(&pool_process.clients, link)) {
        struct client *client = CONTAINER_OF(link, struct client, link);
        if (client->id != id || client == teller)
            continue;
        client_close(client, &by_administrator);
        return true;
    }
    return false;
}

static bool kill_client(struct client *client, const char *word, struct buffer *out)
{
    char *end;
    unsigned long long id = strtoull(word, &end, 10);
    if (*end || id == 0) {
        refuse(out, "invalid client pointer supplied", "KILL_CLIENT takes an id of SHOW CLIENTS.");
        return false;
    }
    if (kill_one(id, client))
        return true;
    bool ours = id / IDS_OF_A_PROCESS == pool_process.last_id / IDS_OF_A_PROCESS;
    if (!ours && handover_command("KILL_CLIENT", word)) {
        notice(out, "if there is such a client, another process of the pool ends it");
        return true;
    }
    refuse(out, "client not found", "SHOW CLIENTS lists those that are connected.");
    return false;
}

static bool reload(struct client *client, const char *word, struct buffer *out)
{
    (void)word;
    if (pool_process.draining) { /* nothing would come of it */
        refuse_while_draining(out);
        return false;
    }
    (void)ipc_send(CONTROL_FD, CONTROL_RELOAD, NULL, 0, NULL, 0);
    client->console->since_us = pool_now();
    return true;
}

static bool suspend(struct client *client, const char *word, struct buffer *out)
{
    (void)client, (void)word;
    complain(out, "0A000", "SUSPEND is not needed",
             "SIGUSR2 starts the pool anew, and its clients go along.");
    return false;
}

static bool shut_down(struct client *client, const char *word, struct buffer *out)
{
    static const char *const modes[] = {"", "WAIT_FOR_SERVERS", "WAIT_FOR_CLIENTS"};
    struct control_stop order = {STOP_MODES};
    for (uint32_t i = 0; i < ARRAY_LEN(modes); i++)
        if (strcasecmp(word ? word : "", modes[i]) == 0)
            order.mode = i;
    if (order.mode == STOP_MODES)
        complain(out, "42601", "invalid mode of SHUTDOWN",
                 "There are SHUTDOWN, SHUTDOWN WAIT_FOR_SERVERS and WAIT_FOR_CLIENTS.");
    else if (!pool_process.config->standalone)
        complain(out, "0A000", "the pool is a part of `weir serve`, and ends with it",
                 "Stop `weir serve`.");
    else if (ipc_send(CONTROL_FD, CONTROL_STOP, &order, sizeof(order), NULL, 0) >= 0) {
        client->console->until_draining = order.mode != STOP_NOW;
        return true;
    }
    return false;
}

static const struct command commands[] = {
    {"PAUSE", pause_pool, pause_database, pause_all, any_lent, DATABASE_OR_NONE, NULL,
     CONTROL_PAUSE},
    {"RESUME", pool_serve_later, resume_database, resume_all, NULL, DATABASE_OR_NONE, NULL,
     CONTROL_RESUME},
    {"RECONNECT", let_servers_go, NULL, NULL, NULL, DATABASE_OR_NONE, NULL, 0},
    {"WAIT_CLOSE", NULL, NULL, NULL, any_tainted, DATABASE_OR_NONE, NULL, 0},
    {"KILL", kill_pool, pause_database, kill_all, NULL, DATABASE_OR_NONE, NULL, 0},
    {"KILL_CLIENT", NULL, NULL, NULL, NULL, WORD, kill_client, 0},
    {"DISABLE", NULL, disable_database, NULL, NULL, DATABASE, NULL, 0},
    {"ENABLE", NULL, enable_database, NULL, NULL, DATABASE, NULL, 0},
    {"RELOAD", NULL, NULL, NULL, NULL, NO_WORD, reload, 0},
    {"SHUTDOWN", NULL, NULL, NULL, NULL, DATABASE_OR_NONE, shut_down, 0},
    {"SUSPEND", NULL, NULL, NULL, NULL, NO_WORD, suspend, 0},
};

static const struct command *command_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcasecmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static bool is_of(const struct pool *pool, const char *database)
{
    return !database || strcmp(pool->database_name, database) == 0;
}

static void act(const struct command *command, const char *database)
{
    if (database && command->on_database)
        command->on_database(record_of(database));
    if (!database && command->on_all)
        command->on_all();
    for (struct pool *pool = pool_process.pools; pool; pool = pool->next)
        if (is_of(pool, database) && command->on_pool)
            command->on_pool(pool);
}

/* False: it is not. */
static bool is_allowed(const struct command *command, const char *database, struct buffer *out)
{
    if (database && !config_database(pool_process.config, database)) {
        AUTO_TEXT text = xasprintf("no such database: %s", database);
        refuse(out, text, "SHOW DATABASES lists those that there are.");
        return false;
    }
    if (!database && command->control == CONTROL_RESUME && pool_process.draining) {
        refuse_while_draining(out);
        return false;
    }
    return true;
}

/* False: it is refused. */
static bool obey(const struct command *command, const char *database, struct buffer *out)
{
    if (!is_allowed(command, database, out))
        return false;
    act(command, database);
    if (!database && command->control)
        (void)ipc_send(CONTROL_FD, command->control, NULL, 0, NULL, 0);
    handover_command(command->name, database);
    return true;
}

/* As it was checked where it was said. */
static void obey_set(const char *both)
{
    const char *blank = strchr(both, ' ');
    if (!blank)
        return;
    AUTO_TEXT name = xstrndup(both, (size_t)(blank - both));
    AUTO_TEXT problem = console_set(name, blank + 1);
    if (problem)
        log_warn("SET %s, said to another process of the pool: %s", name, problem);
}

void console_obey(const char *name, const char *word)
{
    const struct command *command = command_named(name);
    AUTO_BUFFER refusal = {0};
    if (!pool_process.config)
        return;
    if (word && strcmp(name, "SET") == 0)
        obey_set(word);
    else if (word && command && command->run == kill_client)
        (void)kill_one(strtoull(word, NULL, 10), NULL);
    else if (command && !command->run && is_allowed(command, word, &refusal))
        act(command, word);
}

bool console_is_busy(void)
{
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next)
        if (pool_is_paused(pool) && any_lent(pool))
            return true;
    return false;
}

bool console_is_closing(void)
{
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next)
        if (any_tainted(pool))
            return true;
    return false;
}

/* Is there something still that the client's command waits for? */
static bool goes_on(const struct console *console)
{
    if (console->until_draining)
        return !pool_process.draining;
    for (const struct pool *pool = pool_process.pools; pool && console->command->waits;
         pool = pool->next)
        if (is_of(pool, console->database) && console->command->waits(pool))
            return true;
    return (console->command->waits == any_lent && handover_is_busy()) ||
           (console->command->waits == any_tainted && handover_is_closing());
}

/* ---- reading ---- */

static const char blanks[] = " \t\r\n";
static const char after_command[] = " \t\r\n;";

/* Cuts off what stands between the quotes at the front, in which a doubled one stands for one;
 * NULL: they do not end. */
static char *take_quoted(char **text)
{
    char *word = *text, quote = *word, *to = word, *end = word + 1;
    while ((end = strchr(end, quote)) && end[1] == quote)
        end += 2;
    if (!end)
        return NULL;
    for (const char *from = word + 1; from < end; from += *from == quote ? 2 : 1)
        *to++ = *from;
    *to = 0;
    *text = end + 1;
    return word;
}

/* Cuts the next word off, whose double quotes, if it has any, are gone; NULL: there is none. */
static char *next_word(char **text)
{
    *text += strspn(*text, after_command);
    char *word = **text == '"' ? take_quoted(text) : NULL;
    if (word || !**text)
        return word;
    word = *text;
    *text += strcspn(word, after_command);
    if (**text)
        *(*text)++ = 0;
    return word;
}

/* Splits at blanks; without the semicolon. */
static int split(char *text, char *words[WORDS_MAX])
{
    int count = 0;
    while (count < WORDS_MAX && (words[count] = next_word(&text)) != NULL)
        count++;
    return count;
}

/* Is there nothing behind the first command's semicolon? */
static bool is_one(const char *text)
{
    char quote = 0; /* that it is within */
    text += strspn(text, after_command);
    for (; *text && (quote || *text != ';'); text++)
        if (quote ? *text == quote : *text == '\'' || *text == '"')
            quote = quote ? 0 : *text;
    return !text[strspn(text, after_command)];
}

static const char known_by_help[] = "SHOW HELP tells those that there are.";

static void run_command(struct client *client, char *words[WORDS_MAX], int count,
                        struct buffer *out)
{
    struct console *console = client->console;
    const struct command *command = command_named(words[0]);
    const char *word = count > 1 ? words[1] : NULL;
    if (!command) {
        complain(out, "42601", "invalid command", known_by_help);
        return;
    }
    if (!client->may_command) {
        refuse_stranger(out);
        return;
    }
    if (count > 2 || (word && command->takes == NO_WORD) ||
        (!word && (command->takes == DATABASE || command->takes == WORD))) {
        complain(out, "42601",
                 command->takes == DATABASE || command->takes == WORD
                     ? "one argument is needed: a database, or of KILL_CLIENT an id"
                     : "there are too many arguments",
                 "SHOW HELP tells what each takes.");
        return;
    }
    console->until_draining = false;
    if (!(command->run ? command->run(client, word, out) : obey(command, word, out)))
        return;
    console->command = command;
    console->database = word && !command->run ? xstrdup(word) : NULL;
    if (command->run == reload || goes_on(console))
        return;
    console->command = NULL;
    text_free(&console->database);
    wire_complete(out, command->name);
}

/* Cuts SET name = value, or name TO value, in two. False: it is not of that form, and of *ret_name
 * is there what there is. */
static bool parse_set(char *text, char **ret_name, char **ret_value)
{
    (void)next_word(&text); /* SET */
    *ret_name = text + strspn(text, blanks);
    char *end = *ret_name + strspn(*ret_name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"
                                              "abcdefghijklmnopqrstuvwxyz");
    text = end + strspn(end, blanks);
    bool is_to = text > end && strncasecmp(text, "to", 2) == 0 && strchr(" \t\r\n'", text[2]);
    bool assigns = is_to || *text == '=';
    text += is_to ? 2 : *text == '=';
    *end = 0;
    text += strspn(text, blanks);
    bool quoted = *text == '\'';
    *ret_value = quoted ? take_quoted(&text) : text;
    if (!quoted)
        text += strcspn(text, " \t\r\n;'");
    end = text;
    text += strspn(text, after_command);
    bool ends = !*text && (quoted || end > *ret_value);
    *end = 0;
    return assigns && **ret_name && *ret_value && ends;
}

/* What drivers set of their session is let pass. */
static void set(struct client *client, const char *text, struct buffer *out)
{
    static const char *const harmless[] = {"extra_float_digits", "client_encoding", "datestyle",
                                           "application_name",   "timezone",        "session"};
    char *name, *value;
    AUTO_TEXT copy = xstrdup(text);
    bool parsed = parse_set(copy, &name, &value);
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
        if (strcasecmp(name, harmless[i]) == 0) {
            wire_complete(out, "SET");
            return;
        }
    AUTO_TEXT problem = NULL;
    if (!client->may_command)
        refuse_stranger(out);
    else if (!parsed)
        complain(out, "42601", "SET takes name = value, or name = 'value'",
                 "SHOW CONFIG tells the names and values.");
    else if ((problem = console_set(name, value)))
        complain(out, "22023", problem, "SHOW CONFIG tells the names and values.");
    else {
        if (console_is_without_effect(name))
            notice(out, "it has no effect here");
        AUTO_TEXT both = xasprintf("%s %s", name, value);
        (void)handover_command("SET", both);
        wire_complete(out, "SET");
    }
}

/* subject: NULL where there is none. */
static void show(const char *subject, struct buffer *out)
{
    uint32_t clients, servers;
    if (!subject || !console_show(subject, out)) {
        complain(out, "42601", "there is no such SHOW", known_by_help);
        return;
    }
    handover_others(&clients, &servers);
    if (clients + servers > 0) {
        AUTO_TEXT text =
            xasprintf("other processes of the pool, of before or after a restart, have %u "
                      "clients and %u connections more",
                      clients, servers);
        notice(out, text);
    }
    wire_complete(out, "SHOW");
}

static void on_query(struct client *client, const char *text, struct buffer *out)
{
    AUTO_TEXT copy = xstrdup(text);
    char *words[WORDS_MAX] = {NULL};
    int count = split(copy, words);
    struct pool_counters *counters = &client->tally->counters;
    counters->queries += count > 0;
    counters->transactions += count > 0;
    if (count == 0) {
        wire_plain(out, 'I');
    } else if (!is_one(text)) {
        complain(out, "42601", "the console takes one command at a time",
                 "Send each as a query of its own.");
    } else if (strcasecmp(words[0], "SHOW") == 0) {
        show(words[1], out);
    } else if (strcasecmp(words[0], "SET") == 0) {
        set(client, text, out);
    } else {
        run_command(client, words, count, out);
    }
    if (!client->console->command)
        wire_ready(out, 'I');
}

/* A command that waited is through. */
void console_tick(struct client *client)
{
    struct console *console = client->console;
    const struct command *command = console->command;
    AUTO_BUFFER out = {0};
    if (!command)
        return;
    bool reloads = command->run == reload;
    bool late = reloads && (pool_process.refused_us > console->since_us ||
                            pool_now() - console->since_us > RELOAD_US_MAX);
    if (reloads ? !late && pool_process.taken_us <= console->since_us : goes_on(console))
        return;
    console->command = NULL;
    text_free(&console->database);
    if (late)
        complain(&out, "F0000", "RELOAD failed, see logs for additional details",
                 "weir pool --check tells all mistakes of a configuration.");
    else
        wire_complete(&out, command->name);
    wire_ready(&out, 'I');
    client_send_buffer(client, &out);
    console_run(client);
}

static bool take_message(struct client *client)
{
    struct slice bytes = buffer_slice(client->in);
    AUTO_BUFFER out = {0};
    if (bytes.len < WIRE_HEADER_BYTES || client->console->command || client->out)
        return false; /* who does not read what it asked for is not answered more */
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
        complain(&out, "0A000", "the console takes simple queries only",
                 "Use psql, or the driver's simple protocol, without parameters.");
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
    while (!client->closed && !client->out && client->stream.readable &&
           buffer_len(client->in) <= COMMAND_BYTES_MAX) {
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
