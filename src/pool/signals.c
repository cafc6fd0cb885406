/* SPDX-License-Identifier: Apache-2.0 */
#include "signals.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "cancel.h"
#include "traits.h"

/* What stands in the parentheses: a number, or a parameter's. */
struct call {
    bool terminates, is_parameter;
    uint64_t number;
};

static void skip_space(struct slice *rest)
{
    while (rest->len > 0 && strchr(" \t\r\n", rest->ptr[0]))
        rest->ptr++, rest->len--;
}

static bool take(struct slice *rest, const char *word)
{
    size_t len = strlen(word);
    skip_space(rest);
    if (rest->len < len || strncasecmp(rest->ptr, word, len) != 0)
        return false;
    rest->ptr += len;
    rest->len -= len;
    return true;
}

static bool take_number(struct slice *rest, uint64_t *ret)
{
    const char *begin = rest->ptr;
    *ret = 0;
    for (; rest->len > 0 && rest->ptr[0] >= '0' && rest->ptr[0] <= '9' && *ret < UINT32_MAX;
         rest->ptr++, rest->len--)
        *ret = *ret * 10 + (uint64_t)(rest->ptr[0] - '0');
    return rest->ptr > begin;
}

/* Does nothing follow that could keep the call from being made? */
static bool is_unconditional(struct slice rest)
{
    static const char *const words[] = {"where", "from",   "limit",     "offset", "having", "group",
                                        "union", "except", "intersect", "fetch",  "and",    "or"};
    while (rest.len > 0) {
        size_t len = 0;
        while (len < rest.len && (isalnum((unsigned char)rest.ptr[len]) || rest.ptr[len] == '_'))
            len++;
        if (slice_is_one_of_nocase((struct slice){rest.ptr, len}, words, ARRAY_LEN(words)))
            return false;
        len += len == 0;
        rest.ptr += len, rest.len -= len;
    }
    return true;
}

/* In "SELECT pg_terminate_backend(number)" and the like. Nobody knows beforehand whether a call
 * that stands elsewhere is made. */
static bool find_call(struct slice text, struct call *ret)
{
    struct slice rest = traits_begin(text);
    if (!take(&rest, "select"))
        return false;
    (void)take(&rest, "pg_catalog.");
    ret->terminates = take(&rest, "pg_terminate_backend");
    if ((!ret->terminates && !take(&rest, "pg_cancel_backend")) || !take(&rest, "("))
        return false;
    ret->is_parameter = take(&rest, "$");
    if (!ret->is_parameter && !take(&rest, "'"))
        skip_space(&rest);
    return take_number(&rest, &ret->number) && is_unconditional(rest);
}

static void perform(struct client *client, const struct call *call)
{
    struct client *target = client_of_number(call->number);
    if (!target || target->pool != client->pool)
        return;
    if (!call->terminates) {
        cancel_of_client(target);
        return;
    }
    target->terminated = true; /* in its next turn: it may be the one that asks */
    pool_again(target);
}

void signals_in_query(struct client *client, struct slice text)
{
    struct call call;
    if (find_call(text, &call) && !call.is_parameter)
        perform(client, &call);
}

/* Parameter number i, from 1, as text or in binary. */
static bool value_of(struct slice values, uint64_t i, uint64_t *ret)
{
    struct slice formats, value;
    uint16_t count;
    if (!wire_take_formats(&values, &formats, &count) || i == 0 || i > count)
        return false;
    for (uint64_t at = 1; at <= i; at++)
        if (!wire_take_value(&values, &value))
            return false;
    if (!value.ptr)
        return false;
    size_t given = formats.len / 2, at = given == 1 ? 0 : i - 1; /* one holds for all */
    bool binary = at < given && wire_get_u16(formats.ptr + at * 2) == 1;
    if (!binary)
        return take_number(&value, ret);
    *ret = 0;
    for (size_t byte = 0; byte < value.len && value.len <= 8; byte++)
        *ret = *ret << 8 | (unsigned char)value.ptr[byte];
    return true;
}

void signals_in_bind(struct client *client, const struct statement *statement, struct slice values)
{
    struct call call;
    struct server *server = client->server;
    server->signals_number = 0;
    if (!find_call(statement_text(statement), &call) ||
        (call.is_parameter && !value_of(values, call.number, &call.number)))
        return;
    server->signals_number = call.number;
    server->terminates = call.terminates;
}

void signals_in_execute(struct client *client)
{
    struct server *server = client->server;
    if (server->signals_number > 0)
        perform(client,
                &(struct call){.terminates = server->terminates, .number = server->signals_number});
    server->signals_number = 0;
}
