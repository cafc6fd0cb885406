/* SPDX-License-Identifier: Apache-2.0 */
/* What the files behind dispatch.h share. */
#ifndef WEIR_DISPATCH_STATE_H
#define WEIR_DISPATCH_STATE_H

#include "dispatch.h"
#include "error_page.h"

/* ---- dispatch.c ---- */
/* Sends what waits, as far as instances have room, and asks for more of them. */
void dispatch_pump(struct deployment *deployment);
void dispatch_queue(struct request *request);
/* Takes the request out of its slot; it may be queued again or freed. */
void dispatch_leave_slot(struct request *request);
/* Takes back a request that its instance has not begun. True: it is out of its slot. */
bool dispatch_revoke(struct request *request);
/* Answers whoever waits for it, if anybody does. request->conn is NULL afterwards. */
void dispatch_fail(struct request *request, enum failure failure, const char *message,
                   struct slice detail);
/* The same for all that wait for an instance. */
void dispatch_fail_queue(struct deployment *deployment, enum failure failure, const char *message);
/* Answers those whose time in the queue is over. */
void dispatch_shed_late(struct deployment *deployment, uint64_t now_ms);
/* What waits in the queue of one deployment waits for the other now (NULL: is refused). */
void dispatch_move_queue(struct deployment *from, struct deployment *to);
/* Asks for instances until `wanted` are on their way, as far as the limit allows. */
void dispatch_ask_for_instances(struct deployment *deployment, uint32_t wanted);
/* error: NULL when it went well. */
void dispatch_end_event(struct request *request, const char *error);

/* ---- from_instance.c ---- */
/* Reads a batch of frames. False: there is nothing more now. */
bool instance_drain(struct instance *instance);

/* ---- instance.c ---- */
void instance_kill(struct instance *instance, enum kill_reason reason, const char *why);
/* Looks how far it has read its ring. False: it broke the ring, and is ended. */
bool instance_looked_at(struct instance *instance) WARN_UNUSED;
void instance_mark_dirty(struct instance *instance);
/* The version of its worker that the plan names now; NULL: the plan has dropped the worker. */
struct deployment *deployment_successor(const struct deployment *deployment);
/* Not retiring, and those that are on their way. */
uint32_t instances_alive(const struct deployment *deployment);
/* How many more may start now: the first turn of an instance is computing, and more of them than
 * there are processors for would only make each other late. 0: dispatch_pump is called when one has
 * started. */
uint32_t instances_startable(struct deployment *deployment);

#endif
