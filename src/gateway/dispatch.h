/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to instances: choose one, queue while there is none, read what they send back.
 * Instances are hostile: their frames are copied, checked, and an instance that breaks the protocol
 * is ended. */
#ifndef WEIR_DISPATCH_H
#define WEIR_DISPATCH_H

#include "gateway.h"

/* Memory for a request; fill deployment, frame, conn…, then dispatch_request takes it over. */
struct request *request_new(struct deployment *deployment);
/* A scheduled event. event_id: the supervisor's, 0 for none of its. */
struct request *request_new_event(struct deployment *deployment, struct slice cron,
                                  uint64_t time_ms, uint32_t event_id);
/* A field of the request as the worker gets it; empty when missing. */
struct slice request_header(const struct request *request, struct slice name);
void dispatch_request(struct request *request);
/* More of the request's body (ended: that was all). Allowed while body_credit > 0. */
void dispatch_body(struct request *request, struct slice bytes, bool ended);
/* The client took `bytes` of the response: credit for the instance. */
void dispatch_credit(struct request *request, uint32_t bytes);
/* The client went away, or has its answer. request->conn is NULL afterwards. */
void dispatch_client_gone(struct request *request);

/* A frame to the instance. False: its ring is full. */
bool dispatch_send(struct instance *instance, enum frame_type type, uint32_t slot, uint64_t id,
                   const void *head, uint32_t head_bytes, struct slice rest);

/* From the supervisor. */
void dispatch_add_instance(const struct control_instance *order, int fds[CHANNEL_FDS]);
void dispatch_instance_gone(const struct control_gone *gone, struct slice text);
void dispatch_spawn_failed(const struct control_gone *gone, struct slice text);

/* Once a turn, before sleeping: ring the bells. */
void dispatch_flush(void);
/* A few times a second: deadlines, stuck instances, scale down. */
void dispatch_tick(void);
/* Instances of deployments that no plan names any more retire. */
void dispatch_retire_old(void);
/* True while any request is queued or in flight. */
bool dispatch_busy(void);

#endif
