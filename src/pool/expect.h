/* SPDX-License-Identifier: Apache-2.0 */
/* What a server connection still has to answer, in order: one entry a message that gets a reply of
 * its own, whether the client sent it, or we did, or we answer it ourselves. It is what keeps
 * replies in order when the pool adds messages and takes some away. */
#ifndef WEIR_POOL_EXPECT_H
#define WEIR_POOL_EXPECT_H

#include <stdbool.h>
#include <stdint.h>

struct buffer;
struct params;
struct statement;

enum expect_kind {
    EXPECT_QUERY,     /* simple query or function call, until ReadyForQuery */
    EXPECT_SYNC,      /* ReadyForQuery */
    EXPECT_PARSE,     /* ParseComplete for the client */
    EXPECT_BIND,      /* BindComplete */
    EXPECT_DESCRIBE,  /* RowDescription or NoData, after ParameterDescription for statements */
    EXPECT_EXECUTE,   /* up to CommandComplete, EmptyQueryResponse or PortalSuspended */
    EXPECT_CLOSE,     /* CloseComplete for the client */
    EXPECT_OWN_QUERY, /* ours: not for the client … */
    EXPECT_OWN_PARSE,
    EXPECT_OWN_CLOSE,
    EXPECT_OWN_SYNC, /* ends what the pool does before the client's QUERY, which comes next */
    EXPECT_OWN_DESCRIBE,
    EXPECT_COPY_END,   /* CopyDone or CopyFail of the client: no reply, but an end to COPY */
    EXPECT_PARSE_DONE, /* … and these we answer, no message was sent */
    EXPECT_CLOSE_DONE,
    EXPECT_COMMAND_DONE, /* LISTEN, say, which the pool did itself; `called` is its tag */
};

struct expected {
    enum expect_kind kind;
    bool clears;   /* of a QUERY or EXECUTE: it may take all prepared statements away, or … */
    bool defaults; /* … a parameter may go back to what the connection began with */
    bool undoes;   /* of OWN_QUERY that restores: and resets what another session has set */
    bool unnamed;  /* of PARSE and CLOSE kinds: the unnamed statement */
    bool simple;   /* of COMMAND_DONE: asked by a simple query */
    bool flushed;  /* the client has sent Flush after it */
    struct params *restores; /* of OWN_QUERY: what its client's session has set; a reference */
    struct statement
        *statement;  /* of PARSE, BIND, CLOSE and DESCRIBE kinds: a reference, or NULL */
    uint32_t serial; /* of unnamed ones: which change of the client's it is */
    char *name;      /* the client's for it, when it has one; owned */
    char *called;    /* what an error is to call it; owned */
    char *resets;    /* of a QUERY or EXECUTE: the parameter that it resets, or "all"; owned */
    char *sets;  /* of a QUERY or EXECUTE: the parameter that it sets for its session, or resets: */
    char *value; /* … to this, NULL: resets, perhaps "all"; both owned */
    struct buffer *unlistens; /* of a QUERY, EXECUTE or BIND: channels that it ends (listen.h);
                                 owned */
    char *refusal;            /* should it fail, as it does perhaps on purpose, this ErrorResponse
                                 goes out instead; owned */
};

struct expect {
    struct expected *list; /* a ring */
    uint32_t head, count, cap;
    uint32_t ends;             /* entries that end a batch: QUERY, SYNC, OWN_QUERY, OWN_SYNC */
    uint32_t flushes;          /* entries that are answered without an end, by expect_flush */
    uint32_t clears, defaults; /* entries that say so */
    /* PARSE and CLOSE kinds, of names and of the unnamed statement: what those mean afterwards is
     * not known yet. */
    uint32_t uncertain, uncertain_unnamed;
    uint32_t asked; /* entries that the server will answer: all before COPY_END */
};

/* Zeroed is empty. */
void expect_done(struct expect *expect);
void expect_push(struct expect *expect, struct expected entry);
/* All that is there is answered as soon as the server can. False: so it was already. */
bool expect_flush(struct expect *expect);
/* NULL when empty. Borrowed until the next change. */
struct expected *expect_head(const struct expect *expect);
/* The i-th from the head, i < count. */
struct expected *expect_at(const struct expect *expect, uint32_t i);
/* Removes the head; what it owns goes to the caller with it (expected_done). */
struct expected expect_pop(struct expect *expect);
void expected_done(struct expected *entry);
/* Removes the SYNC entries before the first COPY_END, and says how many: a server in COPY ignores
 * them. */
uint32_t expect_drop_syncs(struct expect *expect);

#endif
