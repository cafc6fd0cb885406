/* SPDX-License-Identifier: Apache-2.0 */
#include "decode.h"

#include <assert.h>
#include <brotli/decode.h>
#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

enum { STEP_BYTES = 16 * 1024 };

struct decoder {
    enum decode_coding coding;
    bool ended, started, more;
    z_stream gzip;
    BrotliDecoderState *br;
};

enum decode_coding decode_coding_of(struct slice field)
{
    if (slice_equal_nocase(field, SLICE("gzip")) || slice_equal_nocase(field, SLICE("x-gzip")))
        return DECODE_GZIP;
    return slice_equal_nocase(field, SLICE("br")) ? DECODE_BR : DECODE_NONE;
}

struct decoder *decoder_new(enum decode_coding coding)
{
    struct decoder *decoder = xcalloc(1, sizeof(*decoder));
    decoder->coding = coding;
    if (coding == DECODE_GZIP) {
        int r = inflateInit2(&decoder->gzip, 16 + MAX_WBITS);
        assert(r == Z_OK);
    } else {
        decoder->br = BrotliDecoderCreateInstance(NULL, NULL, NULL);
        assert(decoder->br);
    }
    return decoder;
}

void decoder_free(struct decoder **place)
{
    struct decoder *decoder = TAKE(*place);
    if (!decoder)
        return;
    if (decoder->coding == DECODE_GZIP)
        (void)inflateEnd(&decoder->gzip);
    else
        BrotliDecoderDestroyInstance(decoder->br);
    free(decoder);
}

static int step_gzip(struct decoder *decoder, struct slice *input, char *out, size_t *room)
{
    z_stream *gzip = &decoder->gzip;
    if (decoder->ended) { /* another member may follow; what is no member is padding */
        if (input->ptr[0] != 0x1f) {
            *input = (struct slice){0};
            return 0;
        }
        (void)inflateReset(gzip);
        decoder->ended = false;
    }
    gzip->next_in = (Bytef *)input->ptr;
    gzip->avail_in = (uInt)input->len;
    gzip->next_out = (Bytef *)out;
    gzip->avail_out = (uInt)*room;
    int r = inflate(gzip, Z_NO_FLUSH);
    input->ptr += input->len - gzip->avail_in;
    input->len = gzip->avail_in;
    decoder->more = gzip->avail_out == 0 && r == Z_OK;
    *room = gzip->avail_out;
    decoder->ended = r == Z_STREAM_END;
    return r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR ? 0 : -EBADMSG;
}

static int step_br(struct decoder *decoder, struct slice *input, char *out, size_t *room)
{
    const uint8_t *next_in = (const uint8_t *)input->ptr;
    uint8_t *next_out = (uint8_t *)out;
    size_t in_left = input->len;
    if (decoder->ended) {
        *input = (struct slice){0};
        return 0;
    }
    BrotliDecoderResult r =
        BrotliDecoderDecompressStream(decoder->br, &in_left, &next_in, room, &next_out, NULL);
    input->ptr += input->len - in_left;
    input->len = in_left;
    decoder->more = r == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
    decoder->ended = r == BROTLI_DECODER_RESULT_SUCCESS;
    return r == BROTLI_DECODER_RESULT_ERROR ? -EBADMSG : 0;
}

int decoder_push(struct decoder *decoder, struct slice *input, size_t room, struct buffer *output)
{
    decoder->started |= input->len > 0;
    while ((input->len > 0 || decoder->more) && room > 0) {
        size_t step = room < STEP_BYTES ? room : STEP_BYTES, left = step;
        char *out = buffer_reserve(output, step);
        int r = decoder->coding == DECODE_GZIP ? step_gzip(decoder, input, out, &left)
                                               : step_br(decoder, input, out, &left);
        output->end += step - left;
        room -= step - left;
        if (r < 0)
            return r;
    }
    return 0;
}

bool decoder_has_more(const struct decoder *decoder)
{
    return decoder->more;
}

bool decoder_is_complete(const struct decoder *decoder)
{
    return (decoder->ended || !decoder->started) && !decoder->more;
}
