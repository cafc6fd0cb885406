/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to instances: choose one, queue while there is none, read what they send back.
 * dispatch.c chooses, queues and writes; from_instance.c reads; instance.c is their life.
 * Instances are hostile: their frames are copied, checked, and an instance that breaks the protocol
 * is ended. */
#ifndef WEIR_DISPATCH_H
#define WEIR_DISPATCH_H

#include "gateway.h"

void dispatch_request(struct request *request);
/* How many bytes of the request's body may be passed on now; 0: conn_resume_body will be called. */
size_t dispatch_body_room(struct request *request);
/* More of the request's body (at most the room; ended: that was all). */
void dispatch_body(struct request *request, struct slice bytes, bool ended);
/* The client took `bytes` of the response: credit for the instance. */
void dispatch_credit(struct request *request, uint32_t bytes);
/* The client went away; request->conn is NULL already. The request may be freed by this. */
void dispatch_client_gone(struct request *request);

/* A frame to the instance. False: its ring is full. */
bool dispatch_send(struct instance *instance, enum frame_type type, uint32_t slot, uint64_t id,
                   const void *head, uint32_t head_bytes, struct slice rest) WARN_UNUSED;
/* How long a body part may be that is sent to the instance now. 0: none; we resume when the
 * instance has made room. Always leaves room for small frames. */
size_t dispatch_room(struct instance *instance);

/* From the supervisor. */
void dispatch_add_instance(const struct control_instance *order, int fds[CHANNEL_FDS]);
void dispatch_instance_gone(const struct control_gone *gone, struct slice text);
void dispatch_spawn_failed(const struct control_gone *gone, struct slice text);
/* Memory is short: the instance that has been idle for the longest time retires. */
void dispatch_give_back(void);

/* Once a turn, before sleeping: ring the bells. */
void dispatch_flush(void);
/* A few times a second: deadlines, stuck instances, scale up and down. */
void dispatch_tick(void);
/* After a new plan: instances of deployments that it does not name retire, and what waited for them
 * moves to the worker's new version. */
void dispatch_leave_old(void);
/* The server stops: answers all that nobody has answered yet. Returns how many. */
size_t dispatch_cut_off(void);
/* True while any request is queued or in flight. */
bool dispatch_busy(void);

#endif
