/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's state, shared by its files. One thread; nothing here is shared with other
 * processes. */
#ifndef WEIR_GATEWAY_H
#define WEIR_GATEWAY_H

#include <jansson.h>
#include <openssl/types.h>

#include "buffer.h"
#include "channel.h"
#include "control.h"
#include "counters.h"
#include "http1.h"
#include "http_frames.h"
#include "ipc.h"
#include "loop.h"
#include "route.h"

enum {
    CONTROL_FD = 3,
    LISTENERS_MAX = 16,
    HEAD_BYTES_LIMIT = 160 * 1024, /* of what the configuration may allow: a head is one frame */
    URL_BYTES_LIMIT = 16 * 1024,   /* escaping may make it three times as long */
    CRON_BYTES_MAX = 256,
};

struct http_settings {
    struct http1_limits head;
    uint32_t header_timeout_ms, body_timeout_ms, keepalive_timeout_ms, write_timeout_ms;
    uint32_t connections_max;
};

/* What a listener's connections are for. */
struct listener_kind {
    bool admin, prisma;
    bool plain_too; /* the first byte tells whether a connection is TLS */
    bool refuses;   /* its TLS can not be had, and plain it must not be */
    SSL_CTX *tls;   /* client_tls.h; NULL: plain */
};

struct assets; /* assets.h */

/* A worker, over all its versions. Never freed. */
struct worker {
    struct worker *next;
    char *name;
    uint32_t number;
    struct worker_counters *count;
};

/* One version of a worker. Lives as long as the plan names it or an instance of it is left. */
struct deployment {
    struct deployment *next;
    uint32_t id;
    struct worker *worker;
    bool current, has_code;
    char *failed; /* why it cannot run: from the loader, or its last start */
    uint64_t failed_ms;
    bool failed_by_loader;
    struct assets *assets;
    int64_t request_body_bytes_max;
    char *prisma;       /* of a system worker: the database whose Prisma clients it answers */
    uint64_t seeded_ms; /* when the last seed of its instances came; 0: none did */
    uint32_t cpu_ms, wall_ms, log_bytes_max;
    uint32_t instances_min, instances_max, idle_timeout_ms, concurrency;
    uint32_t hold_ms; /* of a Prisma transaction, from the answer that tells of it */
    uint32_t queue_length_max, queue_timeout_ms;

    struct instance *instances;
    uint32_t spawning;
    struct request *queue_first, *queue_last;
    uint32_t queue_length;
    uint64_t spawn_asked_us;
};

struct instance {
    struct instance *next;
    struct deployment *deployment;
    uint32_t id;
    struct channel channel;
    struct loop_source bell;
    struct request *slots[SLOTS_MAX];
    struct service_call *calls; /* its requests to other workers */
    uint32_t calls_count;
    struct prisma_open *open; /* transactions that it said it has */
    uint32_t in_flight, next_slot;
    uint64_t arrived_ms;
    uint64_t begun_ms;                   /* the last Prisma transaction; 0: none was */
    uint64_t idle_since_ms, progress_ms; /* the last time that it took or sent a frame */
    uint32_t tail_seen;                  /* what it had taken then */
    uint32_t busy_ticks;                 /* in a row with frames waiting in its ring */
    bool retiring;                       /* gets no more requests */
    bool retire_sent, lagging, dirty, killed, trimmed;
    bool started;               /* it has been through its first frame */
    bool has_begun;             /* a Prisma transaction, in another one */
    bool starved;               /* its ring was full when we had more for it */
    const char *killed_because; /* a literal; of a killed one */
    struct instance *next_dirty;
    uint64_t log_since_ms; /* console lines outside of requests: so many bytes a second */
    uint32_t log_bytes;
};

enum request_state {
    REQUEST_QUEUED,    /* waits for an instance */
    REQUEST_SENT,      /* in an instance's ring */
    REQUEST_ANSWERING, /* its head came back */
    REQUEST_ANSWERED,  /* the client has it all; the instance still works (waitUntil) */
};

/* Bytes of a request's frame. */
struct span {
    uint32_t at, bytes;
};

enum { HOLDER_DIGITS = 10 };

/* A request for a worker's code: from a connection, or a scheduled event. */
struct request {
    struct request *next;      /* in the queue or the free list */
    struct conn *conn;         /* NULL: gone, finished, or an event of the supervisor */
    struct service_call *call; /* instead of a connection: another instance waits for the answer */
    struct deployment *deployment;
    struct worker_counters *key_count; /* of the Prisma key that it came with; NULL: none */
    struct instance *instance;
    uint64_t id, start_us, deadline_ms; /* of the queue, then of the wall limit */
    uint32_t slot, ring_position, event_id;
    enum request_state state;
    bool is_event, body_whole, body_ended, retried, head_request, http10;
    bool of_worker;      /* another worker's call */
    bool begins;         /* a Prisma transaction, perhaps */
    uint32_t holder_at;  /* in frame, of Prisma: HOLDER_DIGITS of the deployment that is asked */
    bool cpu_known;      /* the instance told cpu_us */
    struct buffer frame; /* struct frame_request or frame_event, url, headers, inline body */
    struct span host, path, client, user_agent, referer; /* in frame, for the log */
    int64_t body_credit;    /* of the request's body towards the instance */
    int64_t body_bytes;     /* received */
    int64_t answer_credit;  /* of the response's body, as the instance should count it */
    uint32_t credit_owed;   /* response bytes that the client has yet to take */
    uint32_t credit_unsent; /* credit that found the ring full */
    uint32_t log_bytes, cpu_us;
    int status;
    uint64_t sent_bytes;
};

struct gateway {
    struct loop *loop;
    int number, cpus;
    uint32_t connections_limit; /* that the descriptors allow */
    bool draining, dev, color;
    uint64_t drain_new_until_ms, drain_deadline_ms;
    bool drains_last; /* no other gateway is left */
    enum { ACCESS_LOG_OFF, ACCESS_LOG_TEXT, ACCESS_LOG_JSON } access_log;
    struct http_settings http;
    struct loop_source control;
    struct {
        struct loop_source source;
        int fd; /* -1: closed by a drain */
        struct listener_kind kind;
        bool resting; /* no descriptors were left */
    } listeners[LISTENERS_MAX];
    int listeners_count;
    struct deployment *deployments;
    struct worker *workers;
    struct routes *routes;
    struct { /* a plan that is arriving */
        json_t *json;
        int listener_fds[LISTENERS_MAX], listener_fds_count;
        struct {
            uint32_t deployment_id;
            int fd;
        } * asset_dirs;
        size_t asset_dirs_count;
    } arriving;
    uint64_t next_id;
    uint32_t connections, admin_connections; /* the first are all */
    struct gateway_counters *count;
};

extern struct gateway gateway;

/* ---- gateway_main.c ---- */
/* To the supervisor; kept for later when its queue is full. */
void gateway_tell(enum control_type type, const void *payload, uint32_t bytes);
/* The same with a descriptor, which stays the caller's. */
void gateway_tell_fd(enum control_type type, const void *payload, uint32_t bytes, int fd);

/* ---- plan.c ---- */
void plan_on_message(struct ipc_message *message);
struct deployment *deployment_by_id(uint32_t id);
/* While draining: is there anything left to wait for? */
bool gateway_is_drained(void);
/* Listeners that rested because no descriptors were left listen again. */
void gateway_wake_listeners(void);

#endif
