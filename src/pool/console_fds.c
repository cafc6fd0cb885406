/* SPDX-License-Identifier: Apache-2.0 */
/* SHOW FDS, as PgBouncer has it: who has which descriptor. There it goes along with the descriptors
 * themselves, and with what a successor needs of passwords and cancel keys; here SIGUSR2 does that
 * (handover.h), so that these columns are NULL and nobody learns anything by it. As there, sockets
 * with TLS are left out, and those to which they lead. */
#include "console_tables.h"
#include "credentials.h"
#include "pool.h"

static void parameter(struct buffer *out, const struct params *params, const char *name)
{
    struct slice value = params ? params_get(params, name) : (struct slice){NULL, 0};
    AUTO_TEXT text = value.ptr ? xstrndup(value.ptr, value.len) : NULL;
    table_text(out, text);
}

static void row(struct buffer *out, const char *task, const char *user, const char *database,
                const struct stream *stream, const struct stream *linked,
                const struct params *params)
{
    char address[STREAM_END_BYTES];
    uint16_t port;
    bool listens = !user && !database;
    size_t begun = table_row(out, 15);
    table_number(out, (uint64_t)stream->source.fd);
    table_text(out, task);
    table_text(out, user);
    table_text(out, database);
    table_text(out, stream_end(stream, !listens, address, &port));
    table_number(out, port);
    table_text(out, NULL); /* cancel */
    table_number(out, linked && !linked->carrier ? (uint64_t)linked->source.fd : 0);
    parameter(out, params, "client_encoding");
    parameter(out, params, "standard_conforming_strings");
    parameter(out, params, "DateStyle");
    parameter(out, params, "TimeZone");
    for (int i = 0; i < 3; i++) /* password, SCRAM keys */
        table_text(out, NULL);
    wire_end(out, begun);
}

static void listener_rows(struct buffer *out)
{
    int fd;
    for (int i = 0; (fd = pool_listener(i)) >= 0; i++) {
        const struct stream stream = {.source = {.fd = fd}};
        row(out, "pooler", NULL, NULL, &stream, NULL, NULL);
    }
}

static bool is_shown(const struct stream *stream, const struct stream *linked)
{
    return !stream->carrier && stream_is_open(stream) && !stream->tls && !(linked && linked->tls);
}

static void client_rows(struct buffer *out)
{
    const struct list *all = &pool_process.clients;
    for (const struct link *link = list_first(all); link; link = list_next(all, link)) {
        const struct client *client = CONTAINER_OF(link, struct client, link);
        const struct stream *linked = client->server ? &client->server->stream : NULL;
        if (client->pool && client->tally && is_shown(&client->stream, linked))
            row(out, "client", client->tally->user, client->pool->database_name, &client->stream,
                linked, client->params);
    }
}

static void server_rows(struct buffer *out, const struct list *servers)
{
    for (const struct link *link = list_first(servers); link; link = list_next(servers, link)) {
        const struct server *server = CONTAINER_OF(link, struct server, link);
        const struct stream *linked = server->client ? &server->client->stream : NULL;
        if (is_shown(&server->stream, linked))
            row(out, "server", server->pool->credentials->user, server->pool->database_name,
                &server->stream, linked, server->params);
    }
}

void show_fds(struct buffer *out)
{
    table_columns(out,
                  "#fd task user database addr #port +cancel #link client_encoding std_strings "
                  "datestyle timezone password &scram_client_key &scram_server_key");
    listener_rows(out);
    client_rows(out);
    for (const struct pool *pool = pool_process.pools; pool; pool = pool->next) {
        const struct list *lists[] = {&pool->lent, &pool->idle, &pool->cleaning, &pool->connecting,
                                      &pool->listening};
        for (size_t i = 0; i < ARRAY_LEN(lists); i++)
            server_rows(out, lists[i]);
    }
}
