/* SPDX-License-Identifier: Apache-2.0 */
/* A request for a worker's code. Its frame holds it as bytes until it is over, so that it can be
 * sent again, logged and looked into. */
#ifndef WEIR_REQUEST_H
#define WEIR_REQUEST_H

#include "gateway.h"

/* Memory for a request; fill deployment, frame, conn…, then dispatch_request takes it over. */
struct request *request_new(struct deployment *deployment);
/* A scheduled event. cron: at most CRON_BYTES_MAX. event_id: the supervisor's, 0 for none of its.
 */
struct request *request_new_event(struct deployment *deployment, struct slice cron,
                                  uint64_t time_ms, uint32_t event_id);
/* Back to the free list. Nothing refers to it any more. */
void request_free(struct request *request);

/* Borrowed from the frame; empty for events. */
struct slice request_method(const struct request *request);
struct slice request_path(const struct request *request);
struct slice request_text(const struct request *request, struct span span);
/* A field of the request as the worker gets it; empty when missing. */
struct slice request_header(const struct request *request, struct slice name);
/* The whole head in the parser's form, borrowed. False for events. */
bool request_parse(const struct request *request, struct http1_request *ret_parsed);

/* The same for the payload of any FRAME_REQUEST, also a hostile one. False: malformed. *ret_head
 * is then undefined. */
bool request_parse_frame(struct slice payload, struct frame_request *ret_head,
                         struct http1_request *ret_parsed);

#endif
