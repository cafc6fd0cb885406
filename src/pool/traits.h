/* SPDX-License-Identifier: Apache-2.0 */
/* What a statement's text would leave behind in its session, found without a parser: by the first
 * words of each statement and a few names anywhere. It errs towards finding something; a text is
 * looked at once (statements.h keeps the answer). */
#ifndef WEIR_POOL_TRAITS_H
#define WEIR_POOL_TRAITS_H

#include "slice.h"

struct buffer;

enum trait {
    TRAIT_SET = 1 << 0,        /* SET, RESET, set_config() of what the server does not report */
    TRAIT_PREPARE = 1 << 1,    /* SQL-level PREPARE */
    TRAIT_DEALLOCATE = 1 << 2, /* of one name */
    TRAIT_LISTEN = 1 << 3,
    TRAIT_CURSOR = 1 << 4,    /* DECLARE … WITH HOLD */
    TRAIT_TEMPORARY = 1 << 5, /* CREATE TEMP …, SELECT … INTO TEMP, pg_temp */
    TRAIT_LOCK = 1 << 6,      /* pg_advisory_lock() and its kin, not those of a transaction */
    TRAIT_LOAD = 1 << 7,
    TRAIT_DISCARD = 1 << 9,   /* DISCARD, DEALLOCATE ALL */
    TRAIT_SIGNAL = 1 << 10,   /* pg_terminate_backend(), pg_cancel_backend() */
    TRAIT_PREPARED = 1 << 11, /* pg_prepared_statements */
    TRAIT_RESET = 1 << 12,    /* RESET, SET … TO DEFAULT, of whatever */
    TRAIT_READ = 1 << 8,      /* one SELECT that writes nothing, as far as a look can tell */
    TRAIT_UNLISTEN = 1 << 13,
    TRAIT_SEQUENCE = 1 << 14, /* currval(), lastval() of what was drawn by another statement */
    TRAIT_LASTING = 1 << 15,  /* dblink_connect() and its kin: nothing resets what they do */
    TRAIT_UNSEEN =
        1 << 16,          /* longer than what is looked at, in a strange encoding, or a DO block */
    TRAIT_WEAR = 1 << 17, /* setseed(), temporary slots: the same, and nobody misses it */
    TRAIT_EXECUTE = 1 << 20,  /* of a statement by its name */
    TRAIT_CHANNELS = 1 << 19, /* pg_listening_channels() */
    TRAIT_REPORTED = 1 << 21, /* set_config() of what the server reports, if it changes */
    TRAIT_NAMED = 1 << 18,    /* a named statement of the protocol, where the pool has no names */
};

/* All that would outlive a transaction. */
enum {
    TRAITS_SESSION = TRAIT_SET | TRAIT_PREPARE | TRAIT_LISTEN | TRAIT_CURSOR | TRAIT_TEMPORARY |
                     TRAIT_LOCK | TRAIT_LOAD | TRAIT_LASTING | TRAIT_NAMED,
    TRAITS_WORN = TRAIT_LOAD | TRAIT_LASTING | TRAIT_WEAR, /* … and DISCARD ALL */
    TRAITS_LEFT = TRAITS_SESSION | TRAIT_UNSEEN | TRAIT_WEAR | TRAIT_EXECUTE, /* … perhaps */
};

/* What the pool may do itself. */
enum { TRAITS_COMMAND = TRAIT_LISTEN | TRAIT_UNLISTEN | TRAIT_DEALLOCATE };

/* How a session reads its texts, otherwise than we do: then a text in which that matters counts as
 * one that was not seen. */
enum {
    READING_WIDE = 1 << 0,    /* a byte of ASCII may be the second one of a character */
    READING_ESCAPES = 1 << 1, /* a backslash escapes in every string */
};

enum { TRAITS_TEXT_BYTES_MAX = 64 * 1024 }; /* so much of a text is looked at */
unsigned traits_of(struct slice text, unsigned reading);
/* "SQL-level PREPARE", for messages; the lowest of them. */
const char *traits_name(unsigned traits);

/* The text for a log: on one line, without comments, with ? for every string and number, so that
 * nobody's data are in it; cut after bytes_max. Malloc'ed. */
char *traits_outline(struct slice text, size_t bytes_max);

/* Does a search_path begin with pg_temp, so that what is created is temporary? */
bool traits_path_is_temporary(struct slice path);

/* The text without blanks and comments before its first word. */
struct slice traits_begin(struct slice text);

/* The name in "DEALLOCATE [PREPARE] name", unquoted into ret_name[0..64); false: another form. */
bool traits_deallocated(struct slice text, char ret_name[64]);

/* The name in the next EXECUTE among the statements of *rest, which is cut to what follows it;
 * false: there is none. */
bool traits_executed_next(struct slice *rest, char ret_name[64]);

/* The name in "EXECUTE name …", and where it stands; false: another statement, or several. */
bool traits_executed(struct slice text, char ret_name[64], struct slice *ret_place);

/* For a statement that is nothing but "SET [SESSION] name { TO | = } value" with one value: 'S',
 * the name and the value, as set_config() takes it. For "RESET name" or SET … TO DEFAULT: 'R' and
 * the name, "all" for all of them. Otherwise, or where it is not certain what the session reads: 0.
 */
enum { PARAMETER_BYTES = 128 };
char traits_parameter(struct slice text, char ret_name[PARAMETER_BYTES], struct buffer *ret_value);

/* For a statement that is LISTEN channel, UNLISTEN channel or UNLISTEN * alone: 'L', 'U' or '*',
 * and the channel, folded as Postgres does; 0 otherwise. */
char traits_listen(struct slice text, char ret_channel[64]);
/* Is it SELECT pg_listening_channels(), or SELECT * FROM pg_listening_channels(), and nothing else?
 */
bool traits_channels(struct slice text);
/* Does it begin with what ends a transaction block, and begins no other one? alone: and has nothing
 * behind that. */
bool traits_end_block(struct slice text, bool alone);
/* The next UNLISTEN among the statements of *rest, which is cut to what follows it: 'U' and the
 * channel, or '*'; 0: there is none. */
char traits_unlistened(struct slice *rest, char ret_channel[64]);

/* Does every server report it, so that it is carried along and harmless? */
bool traits_is_reported(struct slice name);

#endif
