/* SPDX-License-Identifier: Apache-2.0 */
/* Field values that are lists: "gzip, br;q=0.5" (RFC 9110 sections 5.6.1 and 12.4.2). Knows bytes,
 * and no sockets or globals. */
#ifndef WEIR_FIELD_LIST_H
#define WEIR_FIELD_LIST_H

#include "slice.h"

enum { WEIGHT_MAX = 1000 }; /* weights are counted in thousandths */

/* Without blanks around it. */
static inline struct slice field_trim(struct slice text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text.ptr++, text.len--;
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}
/* Takes the next element that is not empty off a comma-separated list. False: there is none. */
bool field_next_element(struct slice *list, struct slice *ret_element);
/* The element without its parameters. *ret_weight: what its "q" says, WEIGHT_MAX without one, and
 * 0 when it is none. */
struct slice field_weighted(struct slice element, int *ret_weight);

#endif
