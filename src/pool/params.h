/* SPDX-License-Identifier: Apache-2.0 */
/* Session parameters as immutable, interned sets: sessions with the same values share one, and two
 * sets are equal when their pointers are. A client gets a server whose set is its own, or is made
 * so (params_append_sql). Names compare without case, as Postgres's do. */
#ifndef WEIR_POOL_PARAMS_H
#define WEIR_POOL_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"

struct params;

/* The set without anything; like all that return one, a reference for the caller. */
struct params *params_empty(void);
struct params *params_hold(struct params *params);
void params_release(struct params **params);

/* The set with name = value; takes the reference to `params` over. */
struct params *params_with(struct params *params, struct slice name, struct slice value)
    __attribute__((warn_unused_result));

/* The set with all that is in `others`; takes the reference over. */
struct params *params_with_all(struct params *params, const struct params *others)
    __attribute__((warn_unused_result));

/* The set without that name; takes the reference over. */
struct params *params_without(struct params *params, const char *name)
    __attribute__((warn_unused_result));

/* ptr NULL: not in it. */
struct slice params_get(const struct params *params, const char *name);
/* The same for sets under which a statement's text means the same: its bytes, literals and names
 * are read when it is prepared, and what is constant is computed when it is planned. */
uint64_t params_meaning(const struct params *params);
/* How its session reads texts (traits.h). */
unsigned params_reading(const struct params *params);
/* May a session that has set it have it set again elsewhere, from its name and value? */
bool params_may_move(const char *name);
/* How many names are in it and not in `base`. */
size_t params_beyond(const struct params *params, const struct params *base);
/* Are they the same, whatever they have for the names in `but`? */
bool params_same_but(const struct params *a, const struct params *b, const struct params *but);
/* Does it limit how long something may run, or wait? */
bool params_limit_time(const struct params *params);
/* The set without what `to` does not have, and without such limits as it has otherwise; takes the
 * reference over. */
struct params *params_without_others(struct params *params, const struct params *to)
    __attribute__((warn_unused_result));
/* Does its search_path begin with pg_temp, so that what the session creates is temporary? */
bool params_have_temporary(const struct params *params);
/* Has a server taken all of it? A session that begins with a set that none has taken yet waits for
 * what the first one says. */
bool params_are_accepted(const struct params *params);
void params_accept(struct params *params);
/* What all sets take. */
uint64_t params_bytes_of_all(void);
/* Is it more than a server has to tell, with all that sessions may set? */
bool params_are_too_many(const struct params *params);
size_t params_count(const struct params *params);
void params_at(const struct params *params, size_t i, struct slice *ret_name,
               struct slice *ret_value);

/* Are they the same, but for what changes no more than the form of values, and reported as such? */
bool params_are_alike(const struct params *a, const struct params *b);

/* What RESET leads to, as far as is known: it may be another by now. */
struct params_base {
    const struct params *params;
    const struct params *given; /* by the session, which are its own */
    bool keeps_reported;        /* it may have set some of traits_is_reported() to what they were */
};

/* Appends SQL that makes a session with the set `from` one with the set `to`. What is there as
 * `base` has it (NULL: not known), and not the session's own, is reset, so that it goes on to
 * follow the server's. */
void params_append_sql(const struct params *from, const struct params *to,
                       const struct params_base *base, struct buffer *sql);
/* A text as a literal that means the same whatever standard_conforming_strings says. */
void params_append_literal(struct buffer *sql, const char *text);

#endif
