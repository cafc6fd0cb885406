/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as frames, of callers that are no connections. (Of connections: conn_state.h.) */
#ifndef WEIR_FORWARD_H
#define WEIR_FORWARD_H

#include "prisma.h"

/* A request of an instance, for another worker; dispatch_request takes it over. head: of the
 * caller's frame; secure: its URL's scheme is https. claim: what its api key is good for. */
struct request *forward_from_call(struct deployment *deployment, uint32_t caller_id,
                                  const struct http1_request *parsed,
                                  const struct frame_request *head, bool secure,
                                  const struct prisma_claim *claim, struct slice inline_body);

#endif
