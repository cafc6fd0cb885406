/* SPDX-License-Identifier: Apache-2.0 */
/* A connection from the inside, for conn.c (its life), serve.c (who answers), forward.c (its
 * request towards the worker) and answer.c (the answer towards the client).
 *
 * IDLE → HEAD (part of a head is there) → SERVING → IDLE, or
 *   → DISCARD (answered; the rest of the request's body is read and dropped) → IDLE, or
 *   → LINGER (answered, and it was the last; we read on so that the answer arrives) → closed. */
#ifndef WEIR_CONN_STATE_H
#define WEIR_CONN_STATE_H

#include <assert.h>

#include "conn.h"
#include "client_tls.h"

struct prisma_claim; /* prisma.h */

enum {
    BODY_CHUNKED = -1,
    OUTPUT_HIGH_BYTES = 256 * 1024, /* beyond it pipelined requests wait */
    OUTPUT_LOW_BYTES = 64 * 1024,   /* below it an instance gets credit */
    DISCARD_BYTES_MAX = 256 * 1024, /* a longer rest of a body costs the connection */
};

enum conn_state { CONN_IDLE, CONN_HEAD, CONN_SERVING, CONN_DISCARD, CONN_LINGER };

/* What a connection needs only while it is busy: from a free list, with warm buffers. */
struct conn_work {
    struct conn_work *next;
    struct buffer in, out;
    struct http1_chunks chunks;
    int64_t body_left;   /* of a body with a length; or BODY_CHUNKED */
    int64_t answer_left; /* of the answer's declared length; -1: chunked or until close */
    int64_t discarded_bytes;
    int file_fd; /* being sent after out; -1 */
    int64_t file_offset, file_left;
};

struct conn {
    struct loop_source source;
    struct conn *prev, *next; /* in its place of the timer wheel */
    struct conn *next_dirty;
    struct conn_work *work; /* NULL when there is nothing to do */
    struct request *request;
    SSL *tls; /* NULL: plain */
    uint64_t deadline_ms, filed_ms; /* filed: where in the wheel, never later than the deadline */
    uint8_t address[16];
    uint8_t address_len;
    uint8_t state; /* enum conn_state */
    bool prisma : 1, sniffs : 1; /* sniffs: whether it is TLS tells the first byte */
    bool admin : 1, dirty : 1, closing : 1, close_after : 1, http10 : 1, peer_closed : 1;
    bool wants_write : 1, probed : 1, used : 1; /* used: a request came */
    bool body_reading : 1;                      /* bytes of the request's body are still to come */
    bool expects_continue : 1; /* …and the client waits for our 100 before it sends them */
    bool head_sent : 1, no_body : 1, chunked_answer : 1, answer_done : 1;
};
static_assert(sizeof(struct conn) <= 144, "100,000 idle connections fit 16 MB");

/* ---- conn.c ---- */
struct conn_work *conn_take_work(struct conn *conn);
void conn_set_deadline(struct conn *conn, uint32_t delay_ms);
void conn_mark_dirty(struct conn *conn);
/* Frees it at the end of the turn. */
void conn_close(struct conn *conn);
/* The answer is written to its end. */
void conn_answer_ended(struct conn *conn);
/* Parts the connection from its request, if it has one. */
void conn_detach(struct conn *conn);

/* ---- serve.c ---- */
/* A request head was parsed; its bytes stay where they are until the next read. */
void serve_request(struct conn *conn, const struct http1_request *parsed);

/* ---- forward.c ---- */
/* Sets the connection up to read the body that the head announces. */
void forward_begin_body(struct conn *conn, const struct http1_request *parsed);
/* claim: of the Prisma endpoint, or NULL. */
void forward_request(struct conn *conn, struct deployment *deployment,
                     const struct http1_request *parsed, const struct prisma_claim *claim);
/* Passes on what is there of the body, as far as credit and ring allow. */
void forward_body(struct conn *conn);
/* True: nothing but the client's slowness holds the body up. */
bool forward_waits_for_client(const struct conn *conn);
/* Drops what is there of the body. */
void forward_discard(struct conn *conn);

/* ---- answer.c ---- */
/* Writes the head. body_bytes: -1 when unknown. whole: all of the body follows at once. */
void answer_begin(struct conn *conn, bool head_request, int status, struct slice headers,
                  int64_t body_bytes, bool whole);
/* The same for a head that was made before: status line and fields with their CRLF, without Date
 * and Connection. */
void answer_begin_ready(struct conn *conn, bool head_request, int status, struct slice head,
                        int64_t body_bytes);
/* False: the body is longer or shorter than declared; the connection must break. */
bool answer_body(struct conn *conn, struct slice body, bool ended) WARN_UNUSED;
/* An answer of our own, from head to end. */
void answer_whole(struct conn *conn, bool head_request, int status, struct slice headers,
                  struct slice body);
/* Answers what will not be served, and closes. Returns the bytes of the body. */
size_t answer_refuse(struct conn *conn, bool head_request, int status);
/* The same for the request that the worker has: it is taken from it. No head is out yet. */
void answer_instead(struct conn *conn, int status);

#endif
