/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's state, shared by its files. One thread; nothing here is shared with other
 * processes. */
#ifndef WEIR_GATEWAY_H
#define WEIR_GATEWAY_H

#include <jansson.h>

#include "buffer.h"
#include "channel.h"
#include "control.h"
#include "http1.h"
#include "http_frames.h"
#include "ipc.h"
#include "loop.h"
#include "route.h"

enum { CONTROL_FD = 3, LISTENERS_MAX = 16, LATENCY_BUCKETS = 12 };

struct http_settings {
    struct http1_limits head;
    uint32_t header_timeout_ms, body_timeout_ms, keepalive_timeout_ms, write_timeout_ms;
    uint32_t connections_max, drain_timeout_ms;
};

struct assets; /* assets.h */

/* One version of a worker. Lives as long as the plan names it or an instance of it is left. */
struct deployment {
    struct deployment *next;
    uint32_t id;
    char *name;
    bool current, has_code, draining;
    char *failed; /* why it cannot run: from the loader, or its last start */
    uint64_t failed_ms;
    bool failed_by_loader;
    struct assets *assets;
    int64_t request_body_bytes_max;
    uint32_t cpu_ms, wall_ms, log_bytes_max;
    uint32_t instances_min, instances_max, idle_timeout_ms, concurrency;
    uint32_t queue_length_max, queue_timeout_ms;

    struct instance *instances;
    uint32_t instances_count, spawning;
    struct request *queue_first, *queue_last;
    uint32_t queue_length;
    uint64_t spawn_asked_us;
    struct {                  /* metrics */
        uint64_t requests[6]; /* by status class */
        uint64_t spawned, killed, shed, exceptions, cpu_us, log_dropped_bytes;
        uint64_t latency[LATENCY_BUCKETS], latency_us;
    } count;
};

struct instance {
    struct instance *next;
    struct deployment *deployment;
    uint32_t id;
    struct channel channel;
    struct loop_source bell;
    struct request *slots[SLOTS_MAX];
    uint32_t in_flight, next_slot;
    uint64_t idle_since_ms, progress_ms; /* the last time that it took or sent a frame */
    uint32_t tail_seen;                  /* what it had taken then */
    bool retiring, lagging, dirty, killed;
    struct instance *next_dirty;
};

enum request_state {
    REQUEST_QUEUED,    /* waits for an instance */
    REQUEST_SENT,      /* in an instance's ring */
    REQUEST_ANSWERING, /* its head came back */
    REQUEST_ANSWERED,  /* the client has it all; the instance still works (waitUntil) */
};

/* A request for a worker's code: from a connection, or a scheduled event (conn NULL). */
struct request {
    struct request *next; /* in the queue or the free list */
    struct conn *conn;    /* NULL: gone, finished, or an event */
    struct deployment *deployment;
    struct instance *instance;
    uint64_t id, start_us, deadline_ms; /* of the queue, then of the wall limit */
    uint32_t slot, ring_position, event_id;
    enum request_state state;
    bool is_event, body_whole, body_ended, retried, head_request, pass_through;
    struct buffer frame;  /* struct frame_request or frame_event, url, headers, inline body */
    int64_t body_credit;  /* of the request's body towards the instance */
    int64_t body_bytes;   /* received */
    uint32_t credit_owed; /* response bytes that the client has yet to take */
    uint32_t log_bytes, cpu_us;
    int status;
    uint64_t sent_bytes;
    char method[16];
    char *path; /* for the log */
};

struct gateway {
    struct loop *loop;
    int number;
    bool draining, dev, color;
    enum { ACCESS_LOG_OFF, ACCESS_LOG_TEXT, ACCESS_LOG_JSON } access_log;
    struct http_settings http;
    struct loop_source control;
    struct {
        struct loop_source source;
        int fd;
        bool admin;
    } listeners[LISTENERS_MAX];
    int listeners_count;
    struct deployment *deployments;
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
    uint32_t connections;
    struct {
        uint64_t accepted, refused, bytes_in, bytes_out, bad_requests;
    } count;
    struct buffer log; /* lines of this turn */
};

extern struct gateway gateway;

/* ---- plan.c ---- */
void plan_on_message(struct ipc_message *message);
struct deployment *deployment_by_id(uint32_t id);
void gateway_drain(void);

#endif
