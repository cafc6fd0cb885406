/* SPDX-License-Identifier: Apache-2.0 */
/* Frames on the channels of an instance: gateway ↔ instance, broker ↔ instance, and pool ↔ instance
 * where the worker has databases.
 * Payload = the fixed struct, then the bytes its lengths announce, exactly. All integers native
 * endian (one machine). The receiver checks every length against the frame's bytes.
 *
 * Header block: "name: value\n" repeated, names in lower case from the gateway and from the
 * library, values without leading or trailing blanks, bytes as on the wire (latin-1).
 *
 * An exchange lives in a slot (its index, chosen by the side that opens it) and carries an id that
 * never repeats; a frame whose id is not the slot's is stale and dropped.
 *   gateway → instance exchanges (requests to the worker): slots of the gateway's choosing.
 *   instance → gateway/broker exchanges (assets, outbound fetch): slots of the instance's choosing,
 *   ids from EXCHANGE_ID_BASE on, so that both kinds share the gateway's channel.
 * The frame header's slot field carries the slot, aux the low 32 bits of the id.
 *
 * A socket (connect() of cloudflare:sockets) is an exchange, too: FRAME_REQUEST with FRAME_SOCKET,
 * method "CONNECT", the URL "host:port"; FRAME_RESPONSE when it is open, and again when TLS that
 * was asked for later is (then the header block says "secure-transport: on"); FRAME_BODY both ways,
 * each with its own FRAME_FIN. It lives until FRAME_ERROR or FRAME_ABORT. The broker connects to
 * anybody whom the egress policy allows, the pool to itself, for the hosts of the worker's database
 * bindings.
 *
 * Flow control: each side may have FLOW_WINDOW_BYTES of body in flight a direction; the receiver
 * gives credit back with FRAME_CREDIT as it consumes, or for FLOW_CREDIT_BYTES at once. */
#ifndef WEIR_HTTP_FRAMES_H
#define WEIR_HTTP_FRAMES_H

#include <assert.h>
#include <stdint.h>

enum {
    FLOW_WINDOW_BYTES = 256 * 1024,
    FLOW_CREDIT_BYTES = 64 * 1024, /* what a receiver owes it may collect up to this: a frame of its
                                      own for each few bytes would wake the sender for nothing */
    BODY_CHUNK_BYTES_MAX = 32 * 1024, /* of one FRAME_BODY */
    INLINE_BODY_BYTES_MAX = 32 * 1024,
    METHOD_BYTES_MAX = 31,
    HOST_BYTES_MAX = 253,        /* of a name that a server's certificate is to have */
    HEAD_BYTES_MAX = 200 * 1024, /* url + headers; a head longer than a frame comes in parts */
    GATEWAY_RING_BYTES = 1024 * 1024,
    BROKER_RING_BYTES = 1024 * 1024,
    POOL_RING_BYTES = 256 * 1024,
    SLOTS_MAX = 1024, /* requests in flight on one instance */
    BODY_BYTES_UNKNOWN = -1,
};

#define EXCHANGE_ID_BASE (1ull << 51)

/* What a system worker fetches, with PUT, to leave its seed (struct control_seed). Its plan has it
 * among the hosts of which requests go to the gateway. */
#define SEED_HOST "seed.weir"
/* With PUT /KEY/COUNT a Prisma endpoint says how many interactive transactions of a key it has
 * open, or is about to open, and is told how many all gateways' have. */
#define TRANSACTIONS_HOST "transactions.weir"

enum frame_type {
    /* opens an exchange: struct frame_request + method + url + headers + body (inline) */
    FRAME_REQUEST = 1,
    /* its answer: struct frame_response + headers + body (inline) */
    FRAME_RESPONSE,
    /* body bytes of a request or response; struct frame_body + bytes */
    FRAME_BODY,
    /* struct frame_credit: the receiver consumed bytes */
    FRAME_CREDIT,
    /* the opener gives up (client went away, AbortSignal, time-out): struct frame_abort */
    FRAME_ABORT,
    /* the answering side failed: struct frame_error + text (message) + detail (stack) */
    FRAME_ERROR,
    /* instance → gateway: struct frame_done: nothing of this request runs any more; the slot is
       free */
    FRAME_DONE,
    /* instance → gateway: struct frame_log + text: one console line */
    FRAME_LOG,
    /* gateway → instance: struct frame_event + text: scheduled event; answered by FRAME_RESPONSE
     * (status 200, or FRAME_ERROR) and FRAME_DONE */
    FRAME_EVENT,
    /* gateway → instance: finish what is in flight, then exit */
    FRAME_RETIRE,
    /* instance → broker: struct frame_start_tls + host: the socket, whose bytes so far went in the
     * clear, goes on with TLS, towards a server with a certificate for host */
    FRAME_START_TLS,
};

enum frame_flags {
    FRAME_FIN = 1 << 0,            /* the last body bytes of this direction are in this frame */
    FRAME_HAS_BODY = 1 << 1,       /* a request with a body (possibly empty) */
    FRAME_FOLLOW = 1 << 2,         /* outbound fetch: redirect "follow" */
    FRAME_REDIRECT_ERROR = 1 << 3, /* outbound fetch: redirect "error" */
    FRAME_DONE_TOO = 1 << 4, /* response with FIN and no waitUntil left: stands for FRAME_DONE */
    FRAME_PASS_THROUGH = 1 << 5, /* error after passThroughOnException: try assets */
    FRAME_TLS = 1 << 6,          /* the client came over TLS */
    FRAME_RETRYABLE = 1 << 7,    /* error before the handler ran */
    FRAME_SOCKET = 1 << 8,       /* not HTTP: a socket; with FRAME_TLS: TLS at once */
    FRAME_SERVICE = 1 << 9,      /* to the gateway: for another worker, not an asset */
};

struct frame_request {
    uint64_t id;
    int64_t body_bytes; /* declared; BODY_BYTES_UNKNOWN: chunked */
    uint32_t flags;
    uint32_t method_bytes;
    uint32_t url_bytes; /* absolute URL: scheme://host/path?query */
    uint32_t headers_bytes;
    uint32_t inline_bytes; /* body in this frame */
    uint32_t timeout_ms;   /* outbound: 0 = the broker's default; inbound: wall limit left */
};
static_assert(sizeof(struct frame_request) == 40, "layout");

struct frame_response {
    uint64_t id;
    int64_t body_bytes;
    uint32_t flags;
    uint32_t status;
    uint32_t headers_bytes;
    uint32_t inline_bytes;
    uint32_t url_bytes; /* broker: final URL after redirects, follows the headers; else 0 */
    union {
        uint32_t redirects; /* broker: how many */
        uint32_t cpu_us;    /* instance: CPU spent on the request so far */
    };
};
static_assert(sizeof(struct frame_response) == 40, "layout");

struct frame_body {
    uint64_t id;
    uint32_t flags; /* FRAME_FIN */
    uint32_t bytes;
};
static_assert(sizeof(struct frame_body) == 16, "layout");

struct frame_credit {
    uint64_t id;
    uint32_t bytes;
    uint32_t reserved;
};

struct frame_abort {
    uint64_t id;
    uint32_t reason;
    uint32_t reserved;
};

struct frame_start_tls {
    uint64_t id;
    uint32_t host_bytes;
    uint32_t reserved;
};
static_assert(sizeof(struct frame_start_tls) == 16, "layout");

enum error_kind {
    ERROR_KIND_EXCEPTION = 1101, /* uncaught, rejected, not a Response, never settles */
    ERROR_KIND_CPU = 1102,       /* CPU limit */
    ERROR_KIND_MEMORY = 1103, /* memory limit (told to the outside as 1102, as the platform does) */
    ERROR_KIND_SUBREQUESTS = 1104,
    /* outbound: */
    ERROR_KIND_CONNECT = 2001, /* refused, unreachable, reset, TLS failure */
    ERROR_KIND_DNS = 2002,
    ERROR_KIND_TIMEOUT = 2003,
    ERROR_KIND_FORBIDDEN = 2004, /* egress policy */
    ERROR_KIND_REDIRECT = 2005,
    ERROR_KIND_PROTOCOL = 2006,
    ERROR_KIND_URL = 2007,
};

struct frame_error {
    uint64_t id;
    uint32_t kind; /* enum error_kind */
    uint32_t flags;
    uint32_t text_bytes;   /* "TypeError: x is not a function" */
    uint32_t detail_bytes; /* stack, source positions mapped */
    uint32_t cpu_us;       /* instance: CPU spent on the request so far */
    uint32_t reserved;
};
static_assert(sizeof(struct frame_error) == 32, "layout");

struct frame_done {
    uint64_t id;
    uint32_t cpu_us; /* CPU spent on this request */
    uint32_t subrequests;
};

enum console_level { CONSOLE_DEBUG, CONSOLE_INFO, CONSOLE_LOG, CONSOLE_WARN, CONSOLE_ERROR };

struct frame_log {
    uint64_t id; /* of the request it belongs to; 0: none */
    uint32_t level;
    uint32_t text_bytes;  /* the line */
    uint32_t where_bytes; /* "src/index.ts:12:5" or empty */
    uint32_t reserved;
};

enum event_kind { EVENT_SCHEDULED = 1 };

struct frame_event {
    uint64_t id;
    uint64_t time_ms; /* scheduledTime, since 1970 */
    uint32_t kind;
    uint32_t text_bytes; /* cron expression */
};

#endif
