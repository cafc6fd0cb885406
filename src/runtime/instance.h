/* SPDX-License-Identifier: Apache-2.0 */
/* An instance: the engine with a worker in it, serving requests from its gateway's ring. One a
 * process, hence one global: the engine's callbacks carry no context. */
#ifndef WEIR_INSTANCE_H
#define WEIR_INSTANCE_H

#include <sched.h>

#include "flow.h"
#include "library.h"

struct slot {
    uint64_t id; /* 0: free */
    uint32_t cpu_us;
    uint32_t subrequests;
    struct outflow response;
    uint32_t credit_owed; /* of the request's body */
    bool responded;
    bool done_with_fin; /* the library is done; the last body frame says so */
};

/* An exchange that the worker opened: outbound fetch (broker), assets (gateway), a socket (broker
 * or pool). */
struct exchange {
    uint64_t id; /* the library's; 0: free */
    bool is_socket;
    struct outflow request;
    uint32_t credit_owed; /* of the response's body */
};

enum exchange_target { TARGET_BROKER, TARGET_GATEWAY, TARGET_POOL, TARGETS };

struct instance {
    struct engine engine;
    struct library library;
    JSObjectRef native; /* what the library holds of us */
    struct channel gateway, broker, pool;
    struct outbox outboxes[TARGETS];
    struct slot slots[SLOTS_MAX];
    struct exchange exchanges[TARGETS][SLOTS_MAX];
    uint32_t cpu_ms_max, in_flight;
    uint32_t subrequests_max; /* of one request; set before the worker boots */
    uint64_t timer_due_us;    /* 0: none */
    uint64_t body_bytes;      /* that came since garbage was last collected */
    bool retiring, serving;
    bool spent; /* out of memory, or stopped in the middle of something: ends with its requests */
    uint64_t warmup_us;    /* that its requests may still use beyond their limit: WARMUP_US_MAX */
    uint64_t batch_cpu_us; /* the CPU clock when the loop last began a round of turns */
    struct {               /* see instance_keep_to_cpu */
        cpu_set_t all;
        bool kept;
        int advice;                        /* the last that was followed */
        uint64_t window_start_us, long_us; /* time spent in long turns since then */
    } placement;
    struct { /* the hook that runs now */
        uint32_t slot;
        uint64_t id;
        uint64_t start_us;
        bool terminated;
    } turn;
};

extern struct instance instance;

/* Starts engine and library (no worker yet). */
int instance_init(struct error *err) WARN_UNUSED;
/* Evaluates a bundle (the file's bytes, which must stay mapped) at global scope. seed: what
 * instances of a system worker have learned, or nothing. The error is what the author of the worker
 * sees. */
int instance_boot(struct slice bundle, struct slice seed, struct error *err) WARN_UNUSED;
/* Compiles what a request for that path needs (rehearsal.h). Whether that has come to an end. */
bool instance_rehearse(struct slice bundle, struct slice path);
/* CPU time that one request may use, from now on. The engine then makes a thread that watches, so
 * not before the last fork. */
void instance_limit_cpu(uint32_t cpu_ms_max);
/* Stays on its gateway's CPU (-1: anywhere) as long as its turns are short: the two hand over
 * without waking a sleeping CPU. One that computes moves to wherever there is room. */
void instance_keep_to_cpu(int cpu);
/* What the booted worker can do: bit 0 fetch, bit 1 scheduled. */
uint32_t instance_handlers(void);
/* Takes over the channels and serves until retired or the gateway is gone. broker_fds and pool_fds
 * may be NULL: none. Returns the exit code. */
int instance_serve(const int gateway_fds[CHANNEL_FDS], const int broker_fds[CHANNEL_FDS],
                   const int pool_fds[CHANNEL_FDS]);

/* One call into the library; afterwards microtasks are done. An argument that is NULL could not be
 * made for lack of memory. False: it threw or was stopped, and its request was told. */
bool instance_call(JSObjectRef hook, size_t argc, const JSValueRef argv[]);
/* The rest of the turn is for this request: what it used so far is the former one's. */
void instance_turn_is_of(uint32_t slot, uint64_t id);
/* Calls the timer hook if it is due; returns milliseconds to the next, -1: none. */
int instance_timers(void);

/* CPU time of the slot's request up to now, the turn that runs included. */
uint32_t instance_slot_cpu_us(const struct slot *slot);
/* The slot is free again: its request is over on this side. */
void instance_free_slot(struct slot *slot);
/* After body bytes went: frees the slot if its last frame said that it is done. */
void instance_slot_sent(struct slot *slot);

/* natives.c: the object that the library gets, its functions working on `instance`. */
JSObjectRef natives_new(JSContextRef ctx);

#endif
