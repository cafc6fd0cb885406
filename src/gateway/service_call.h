/* SPDX-License-Identifier: Apache-2.0 */
/* A request that comes from an instance instead of a connection: its fetch() of a host that another
 * worker of this gateway answers. Both instances are hostile. Functions of int return 0, or -EPROTO
 * when the calling instance broke the protocol. */
#ifndef WEIR_SERVICE_CALL_H
#define WEIR_SERVICE_CALL_H

#include "error_page.h"
#include "gateway.h"

struct service_call;

/* ---- from the calling instance ---- */
int service_call_start(struct instance *caller, const struct ring_frame *frame,
                       struct slice payload);
int service_call_body(struct instance *caller, uint64_t id, struct slice bytes, bool ended);
int service_call_credit(struct instance *caller, uint64_t id, uint32_t bytes);
void service_call_abort(struct instance *caller, uint64_t id);
/* Its ring has room again. */
void service_call_resume(struct instance *caller);
/* It is gone. */
void service_call_drop_all(struct instance *caller);

/* ---- from dispatch: as the functions of conn.h ---- */
void service_call_respond(struct service_call *call, struct request *request, int status,
                          struct slice headers, int64_t body_bytes, struct slice body, bool ended);
void service_call_respond_body(struct service_call *call, struct slice body, bool ended);
void service_call_fail(struct service_call *call, struct request *request, enum failure failure,
                       struct slice message, struct slice detail);
void service_call_over(struct service_call *call, struct request *request);
void service_call_resume_body(struct service_call *call);

#endif
