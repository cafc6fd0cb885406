/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's state, shared by its files. One thread of ours (libcurl's resolver has its own).
 *
 *   attachment: an instance's channel. Its frames are hostile (attachment.c).
 *   exchange:   one fetch of an instance, from its FRAME_REQUEST to the end of its answer.
 *               A worker's socket is one, too, which libcurl only connects (socket.c).
 *   transfer:   the exchange's side towards the network: an easy handle (transfer.c).
 *   pool:       a multi handle with the open connections of one deployment and nobody else's.
 *
 * Frames to an instance are made once a turn, from the exchanges' state (exchange_flush), so that a
 * small answer is one frame, and a full ring only means that the state waits. */
#ifndef WEIR_BROKER_H
#define WEIR_BROKER_H

#include <curl/curl.h>

#include "buffer.h"
#include "channel.h"
#include "control.h"
#include "decode.h"
#include "egress.h"
#include "headers.h"
#include "http_frames.h"
#include "loop.h"

enum {
    CONTROL_FD = 3,
    EXCHANGES_MAX = 1000,           /* of one deployment at once */
    REPLAY_BYTES_MAX = 256 * 1024,  /* of a request's body, kept for a redirect or a retry */
    CONNECT_TIMEOUT_MS = 15 * 1000, /* name, TCP and TLS */
    HEAD_TIMEOUT_MS = 120 * 1000,   /* from the request's end to the answer's head */
    IDLE_TIMEOUT_MS = 120 * 1000,   /* between two parts of a body */
    POOL_IDLE_MS = 60 * 1000,       /* then a pool without transfers closes its connections */
    REDIRECTS_MAX = 20,
    POOL_CONNECTIONS_MAX = 512, /* further transfers wait for one */
    POOL_IDLE_CONNECTIONS_MAX = 64,
};

struct pool {
    CURLM *multi;
    CURLSH *share; /* TLS sessions */
    struct loop_timer timer, idle;
    uint32_t transfers;
    bool busy;    /* libcurl is at work in it: not to be freed now */
    bool retired; /* its deployment has let go of it: freed after its last transfer */
    struct deployment *deployment;
};

struct deployment {
    struct deployment *next;
    uint32_t id;
    bool current;    /* the plan names it */
    bool superseded; /* by the plan in force: an instance may still be on its way */
    char *egress_text;
    struct egress *egress;
    struct pool *pool; /* NULL while idle */
    uint32_t exchanges, exchanges_max, attachments;
};

struct attachment {
    struct attachment *next;
    uint32_t instance_id;
    struct deployment *deployment;
    struct channel channel;
    struct loop_source bell;
    struct exchange *exchanges;
    uint64_t last_id;
    bool broken; /* broke the protocol: waits for the supervisor to end it */
    bool unread; /* there may be frames in its ring */
    bool marked; /* in the list of those to look at when the turn ends */
    struct attachment *next_marked;
};

enum exchange_phase {
    PHASE_SENDING, /* the request goes out */
    PHASE_HEAD,    /* the answer's head comes */
    PHASE_BODY,    /* its body comes */
    PHASE_ENDED,   /* the transfer is over; the instance may not have it all yet */
};

struct exchange {
    struct exchange *next;         /* of the attachment */
    struct attachment *attachment; /* NULL: the instance gave it up; only libcurl still has it */
    struct deployment *deployment;
    struct pool *pool;
    CURL *easy;
    bool in_multi;
    uint32_t discarded; /* bytes of a redirect's body */
    uint64_t id;
    uint32_t slot;
    enum exchange_phase phase;
    struct loop_timer deadline;
    uint64_t progress_ms;
    uint32_t head_timeout_ms;

    /* the request */
    uint32_t flags; /* FRAME_FOLLOW, FRAME_REDIRECT_ERROR */
    char method[METHOD_BYTES_MAX + 1];
    CURLU *url;
    char *host; /* of the URL, without brackets: for the egress policy */
    struct request_headers headers;
    struct curl_slist *curl_headers;
    bool has_body, body_ended, send_paused;
    int64_t body_bytes; /* declared, or BODY_BYTES_UNKNOWN */
    struct buffer body; /* all of it while that fits REPLAY_BYTES_MAX, else the unsent rest */
    size_t body_sent;   /* how much of what is in `body` libcurl took */
    bool body_dropped;  /* its beginning is not there any more */
    int64_t body_received, body_position, body_credited; /* the latter two: of what libcurl took */
    int64_t body_window;                                 /* what the instance may still send */
    uint32_t credit_owed;

    /* a socket (FRAME_SOCKET; socket.c) */
    struct socket *socket; /* NULL: not connected yet, or closed */
    bool tls_wanted;       /* … after so many bytes of body in the clear: */
    size_t clear_bytes;

    /* the answer */
    int redirects;
    struct response_headers answer;
    bool resolving, redirecting, recv_paused, refused, refused_own, head_ready, head_sent;
    struct decoder *decoder;
    struct buffer encoded; /* for the decoder, beyond the credit */
    struct buffer pending; /* for the instance, beyond its ring or this turn */
    int64_t credit;        /* what the instance still takes, less what is pending */
    bool fin;              /* nothing comes after pending */
    bool fin_sent;
    uint32_t error_kind; /* … but this; 0: none */
    const char *error_text;
};

struct broker {
    struct loop *loop;
    struct loop_source control;
    struct deployment *deployments;
    struct attachment *attachments;
    char *ca_file; /* NULL: the system's */
};

extern struct broker broker;

/* ---- attachment.c ---- */
/* Takes the fds over. */
void attachment_open(const struct control_instance *order, int fds[CHANNEL_FDS]);
void attachment_close(uint32_t instance_id);
/* Something changed in one of its exchanges: there may be frames to send. */
void attachment_mark(struct attachment *attachment);
/* Once a turn, before sleeping: reads what bells announced, sends what exchanges have to say. */
void attachment_flush_all(void *owner);
/* The supervisor is asked to end the instance, whose frames nobody reads any more. */
void attachment_break(struct attachment *attachment);

/* ---- exchange.c ---- */
/* A FRAME_REQUEST whose lengths add up. 0, or -EPROTO. */
int exchange_open(struct attachment *attachment, uint32_t slot, const struct frame_request *request,
                  const char *rest);
struct exchange *exchange_find(struct attachment *attachment, uint64_t id);
int exchange_body(struct exchange *exchange, struct slice bytes, bool fin);
int exchange_credit(struct exchange *exchange, uint32_t bytes);
/* Of a socket: TLS from here on, towards host. 0, or -EPROTO. */
int exchange_start_tls(struct exchange *exchange, struct slice host);
/* The instance does not want it any more: no frame will carry its id again. */
void exchange_abort(struct exchange *exchange);
/* Decodes and keeps body bytes for the instance; false: no room, come again after credit. */
bool exchange_take_body(struct exchange *exchange, struct slice bytes);
/* The answer ends here: with kind 0 after what is pending, else with an error. text is static. */
void exchange_end(struct exchange *exchange, uint32_t kind, const char *text);
/* False: the ring is full. Frees the exchange when all is said. */
bool exchange_flush(struct exchange *exchange);
void exchange_free(struct exchange *exchange);
/* Makes it a request to the Location of its answer. False: it ended with an error instead. */
bool exchange_redirect(struct exchange *exchange);
/* The transfer entered a phase: its time starts. */
void exchange_watch_time(struct exchange *exchange);

/* ---- transfer.c ---- */
void transfer_start(struct exchange *exchange);
/* Ends the transfer, or lets libcurl end it when it must not be disturbed; then the exchange is
 * freed by it. True: it is over now. */
bool transfer_stop(struct exchange *exchange);
/* There is body to send again, or room for the answer's. */
void transfer_resume(struct exchange *exchange);
/* Lets go of the deployment's connections: its policy changed, or it is gone. */
void pool_retire(struct deployment *deployment);

/* ---- plan.c ---- */
void plan_take(int fd);
struct deployment *deployment_find(uint32_t id);
void deployment_release(struct deployment *deployment);

#endif
