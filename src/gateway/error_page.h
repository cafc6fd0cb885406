/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_ERROR_PAGE_H
#define WEIR_ERROR_PAGE_H

#include "buffer.h"

/* Our answer instead of the worker's, as the client likes it (accept: its Accept field): an HTML
 * page, JSON or text. code: the platform's number (1101 …). With dev, message and stack are shown;
 * otherwise the number and the request's id, which the log can be searched for. */
void error_page_build(int status, int code, uint64_t request_id, struct slice accept, bool dev,
                      struct slice message, struct slice detail, struct buffer *ret_headers,
                      struct buffer *ret_body);

#endif
