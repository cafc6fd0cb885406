/* SPDX-License-Identifier: Apache-2.0 */
/* Prepared statements in transaction mode. A statement is a query text with parameter types, shared
 * by all clients of a pool that prepared the same; a client has names for some (struct names), and
 * a server connection has some prepared under names of ours (struct prepared). Tables are of one
 * (database, user), so that nobody learns from timing what another tenant prepared. */
#ifndef WEIR_POOL_STATEMENTS_H
#define WEIR_POOL_STATEMENTS_H

#include <stdint.h>

#include "buffer.h"
#include "hash_table.h"
#include "list.h"
#include "slice.h"

struct statements; /* a table */

/* What else than its bytes tells what a text is to a session. */
struct meaning {
    uint64_t number;  /* the same for sessions to which it means the same (params_meaning) */
    unsigned reading; /* traits.h */
};

/* Of keeping its results (approve.h). */
enum approval { APPROVAL_UNKNOWN, APPROVAL_PENDING, APPROVAL_NO, APPROVAL_YES };

struct statement {
    struct hash_entry entry; /* of its table */
    struct statements *table;
    struct link idle; /* while nobody refers to it */
    struct meaning meaning;
    uint32_t references;
    uint32_t id;         /* unique in its table */
    uint32_t doubts;     /* counts errors that may be of what was prepared, and not of the text */
    uint64_t doubted_us; /* when the first one of those that were lately was */
    uint32_t doubts_lately;
    uint32_t traits;
    enum approval approval;
    uint64_t approval_generation; /* of the pool, when it was asked */
    uint32_t body_bytes;
    char body[]; /* of a Parse message after its name: text, NUL, count and types of parameters */
};

enum { SERVER_NAME_BYTES = 20, IDLE_STATEMENTS_MAX = 1000 };
enum { IDLE_BYTES_MAX = 8 * 1024 * 1024 }; /* of a table */

struct statements *statements_new(void);
/* Of texts and of clients' names for them, of all tables. */
uint64_t statements_bytes(void);
/* Those that nobody uses are not kept for who may. */
void statements_forget_idle(struct statements *table);
/* Nobody may refer to its statements any more. */
void statements_free(struct statements **table);
/* body as above, checked by the caller. Returns a reference. */
struct statement *statements_intern(struct statements *table, struct slice body,
                                    struct meaning meaning);
struct statement *statement_hold(struct statement *statement);
void statement_release(struct statement **statement);
struct slice statement_text(const struct statement *statement);
/* A Parse of it under that name. */
void statement_append_parse(const struct statement *statement, const char *name,
                            struct buffer *out);
/* Its name on servers. */
void statement_server_name(const struct statement *statement, char ret_name[SERVER_NAME_BYTES]);
/* What ParameterDescription, then RowDescription or NoData say that it takes and returns, as one
 * number: types and formats, not names. so_far is 0, then what the one before gave; 0: it can not
 * be said. */
uint64_t statement_described(uint64_t so_far, char type, struct slice body);
/* Would a client's own name be taken for one of ours? */
bool statement_name_is_ours(struct slice name);

/* A client's names. Zeroed is empty; names_done lets go of all. */
struct names {
    struct name *list;
    uint32_t count, cap; /* of places; a power of two */
    uint64_t bytes;
};
void names_done(struct names *names);
struct statement *names_get(const struct names *names, struct slice name); /* borrowed, or NULL */
/* Takes the reference over; the name is new. */
void names_put(struct names *names, struct slice name, struct statement *statement);
/* The same statement in another meaning, for a name that is there. */
void names_replace(struct names *names, struct slice name, struct statement *statement);
/* What the client was told that the statement takes and returns (statement_described); 0:
 * nothing. Borrowed; NULL: there is no such name. */
uint64_t *names_told(const struct names *names, struct slice name);
bool names_remove(struct names *names, struct slice name);
/* The i-th, i < cap; NULL: that place is free. */
struct statement *names_at(const struct names *names, uint32_t i);
/* Its name, and what names_told says of it; the place is not free. */
void names_name_at(const struct names *names, uint32_t i, struct slice *ret_name,
                   uint64_t *ret_told);
/* The name of the statement with that name on servers; ptr NULL: there is none. */
struct slice names_of_server_name(const struct names *names, struct slice server_name);

/* What a server connection has prepared, the least recently used last. */
struct prepared {
    struct prepared_entry **places; /* by id */
    struct list recent;
    uint64_t bytes; /* of texts */
    uint32_t cap;
};
void prepared_init(struct prepared *prepared);
void prepared_done(struct prepared *prepared);
/* Is it there? Then it is the most recently used now. */
bool prepared_use(struct prepared *prepared, const struct statement *statement);
/* Is it there, of no older generation, and not in doubt since? */
bool prepared_since(const struct prepared *prepared, const struct statement *statement,
                    uint64_t generation);
/* What it takes and returns on this server; 0: not known. Borrowed; NULL: it is not there. */
uint64_t *prepared_result(const struct prepared *prepared, const struct statement *statement);
void prepared_add(struct prepared *prepared, struct statement *statement, uint64_t generation,
                  bool doubted);
void prepared_remove(struct prepared *prepared, const struct statement *statement);
void prepared_clear(struct prepared *prepared);
uint32_t prepared_count(const struct prepared *prepared);
/* One that none of the names means (borrowed); NULL: there is none. */
struct statement *prepared_other(const struct prepared *prepared, const struct names *names);
/* The least recently used one (borrowed), NULL if there is none. */
struct statement *prepared_oldest(const struct prepared *prepared);

#endif
