/* SPDX-License-Identifier: Apache-2.0 */
/* Content codings of responses, taken off in small steps: the output of a step is bounded, however
 * well the input was compressed. */
#ifndef WEIR_DECODE_H
#define WEIR_DECODE_H

#include "buffer.h"

enum decode_coding { DECODE_NONE, DECODE_GZIP, DECODE_BR };

struct decoder;

/* The coding that a Content-Encoding field names, DECODE_NONE for those we leave on. */
enum decode_coding decode_coding_of(struct slice content_encoding);

/* Never NULL. coding is not DECODE_NONE. */
struct decoder *decoder_new(enum decode_coding coding);
void decoder_free(struct decoder **decoder);

/* Takes from the front of *input and appends at most room bytes to output. 0, or -EBADMSG when the
 * input is no such coding. Call again with more room while *input is not empty. */
int decoder_push(struct decoder *decoder, struct slice *input, size_t room,
                 struct buffer *output) WARN_UNUSED;
/* Is there output that waits for room, though all input was taken? */
bool decoder_has_more(const struct decoder *decoder);
/* May the input end here? */
bool decoder_is_complete(const struct decoder *decoder);

#endif
