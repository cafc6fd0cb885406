/* SPDX-License-Identifier: Apache-2.0 */
#include "field_list.h"

/* What is before the separator, which is taken, too. */
static struct slice take_until(struct slice *rest, char separator)
{
    const char *end = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    struct slice part = {rest->ptr, len};
    rest->ptr += end ? len + 1 : len;
    rest->len -= end ? len + 1 : len;
    return field_trim(part);
}

bool field_next_element(struct slice *list, struct slice *ret_element)
{
    while (list->len > 0) {
        *ret_element = take_until(list, ',');
        if (ret_element->len > 0)
            return true;
    }
    return false;
}

/* "0.5", "1", "1.000". */
static int parse_weight(struct slice text)
{
    if (text.len == 0 || (text.ptr[0] != '0' && text.ptr[0] != '1') ||
        (text.len > 1 && text.ptr[1] != '.'))
        return 0;
    int weight = (text.ptr[0] - '0') * WEIGHT_MAX, scale = WEIGHT_MAX / 10;
    for (size_t i = 2; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++, scale /= 10)
        weight += (text.ptr[i] - '0') * scale;
    return weight < WEIGHT_MAX ? weight : WEIGHT_MAX;
}

struct slice field_weighted(struct slice element, int *ret_weight)
{
    struct slice name = take_until(&element, ';');
    *ret_weight = WEIGHT_MAX;
    while (element.len > 0) {
        struct slice parameter = take_until(&element, ';');
        if (parameter.len >= 2 && (parameter.ptr[0] | 32) == 'q' && parameter.ptr[1] == '=')
            *ret_weight = parse_weight((struct slice){parameter.ptr + 2, parameter.len - 2});
    }
    return name;
}
