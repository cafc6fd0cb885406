/* SPDX-License-Identifier: Apache-2.0 */
/* The admin listener: health of this gateway, metrics of all (loopback by default). */
#ifndef WEIR_ADMIN_H
#define WEIR_ADMIN_H

#include "buffer.h"

/* GET /healthz, /readyz, /metrics (Prometheus text format 0.0.4). Returns the status. */
int admin_answer(struct slice method, struct slice path, struct buffer *ret_headers,
                 struct buffer *ret_body);

#endif
