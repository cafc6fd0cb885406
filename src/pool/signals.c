/* SPDX-License-Identifier: Apache-2.0 */
#include "signals.h"

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

static bool find_call(struct slice text, struct call *ret)
{
    for (; text.len > 0; text.ptr++, text.len--) {
        struct slice rest = text;
        ret->terminates = take(&rest, "pg_terminate_backend");
        if ((!ret->terminates && !take(&rest, "pg_cancel_backend")) || !take(&rest, "("))
            continue;
        ret->is_parameter = take(&rest, "$");
        if (!ret->is_parameter && !take(&rest, "'"))
            skip_space(&rest);
        return take_number(&rest, &ret->number);
    }
    return false;
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
    uint16_t formats, count;
    uint32_t len = 0;
    if (values.len < 2)
        return false;
    formats = wire_get_u16(values.ptr);
    if (values.len < 4 + (size_t)formats * 2 || i == 0)
        return false;
    const char *format = values.ptr + 2;
    values.ptr += 2 + (size_t)formats * 2;
    values.len -= 2 + (size_t)formats * 2;
    count = wire_get_u16(values.ptr);
    values.ptr += 2;
    values.len -= 2;
    if (i > count)
        return false;
    for (uint64_t at = 1; at <= i; at++) {
        if (!wire_take_u32(&values, &len) || len == UINT32_MAX || len > values.len)
            return false;
        if (at < i)
            values.ptr += len, values.len -= len;
    }
    bool binary = formats == 1   ? wire_get_u16(format) == 1
                  : formats >= i ? wire_get_u16(format + (i - 1) * 2) == 1
                                 : false;
    if (!binary)
        return take_number(&(struct slice){values.ptr, len}, ret);
    *ret = 0;
    for (uint32_t at = 0; at < len && len <= 8; at++)
        *ret = *ret << 8 | (unsigned char)values.ptr[at];
    return true;
}

void signals_in_bind(struct client *client, const struct statement *statement, struct slice values)
{
    struct call call;
    if (!find_call(statement_text(statement), &call) ||
        (call.is_parameter && !value_of(values, call.number, &call.number)))
        return;
    perform(client, &call);
}
