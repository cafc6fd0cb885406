/* SPDX-License-Identifier: Apache-2.0 */
/* May the result of a statement be kept? Of a SELECT that locks and writes nothing, when all
 * functions that it calls are immutable, also those of the views that it reads and of operators,
 * casts and aggregates, and no table of it is a system catalog or has row security. The text is
 * parsed by Postgres's own parser; the catalog says what its names mean. A name that could mean
 * several things counts as the worst of them. */
#ifndef WEIR_POOL_APPROVE_H
#define WEIR_POOL_APPROVE_H

#include "pool.h"

/* False also while the question is under way, which the first call asks. */
bool approve(struct pool *pool, struct statement *statement);
/* Would Postgres take the text, as a date or time or as what is made of such, for one that moves
 * ('now', '{today}')? */
bool approve_moves(struct slice text);

#endif
