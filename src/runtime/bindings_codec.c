/* SPDX-License-Identifier: Apache-2.0 */
/* Compression streams: zlib's three formats, brotli and zstd behind one pair of functions.
 * https://compression.spec.whatwg.org/
 *
 * A codec takes chunks and returns what comes out of each. A small input can decompress to a huge
 * output: one push returns at most OUTPUT_BYTES_MAX and the caller asks again with an empty chunk
 * (codec.more says whether to), so that backpressure and memory limits act in between. */
#include "bindings.h"

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "buffer.h"

enum { OUTPUT_BYTES_MAX = 4 * 1024 * 1024 };

enum codec_state { CODEC_OPEN, CODEC_ENDED, CODEC_BROKEN };

struct codec;
struct codec_type {
    const char *kind;
    bool compress;
    bool (*open)(struct codec *codec);
    void (*close)(struct codec *codec);
    /* Consumes from input and appends to output; true unless the data is malformed. Sets ended at
     * the end of the compressed stream. */
    bool (*run)(struct codec *codec, bool finish);
};

struct codec {
    const struct codec_type *type;
    enum codec_state state;
    union {
        z_stream zlib;
        BrotliEncoderState *brotli_out;
        BrotliDecoderState *brotli_in;
        ZSTD_CStream *zstd_out;
        ZSTD_DStream *zstd_in;
    };
    struct buffer input;  /* what was pushed and not consumed yet */
    struct buffer output; /* of this push */
    bool more;            /* output was cut */
};

static bool room_left(struct codec *codec)
{
    codec->more = buffer_len(&codec->output) >= OUTPUT_BYTES_MAX;
    return !codec->more;
}

static char *input_at(struct codec *codec)
{
    return codec->input.data ? codec->input.data + codec->input.start : "";
}

enum { STEP_BYTES = 32 * 1024 };

/* ---- zlib ---- */

static int window_bits(const char *kind)
{
    return strcmp(kind, "gzip") == 0 ? 15 + 16 : strcmp(kind, "deflate") == 0 ? 15 : -15;
}

static bool deflate_open(struct codec *codec)
{
    return deflateInit2(&codec->zlib, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
                        window_bits(codec->type->kind), 8, Z_DEFAULT_STRATEGY) == Z_OK;
}

static void deflate_close(struct codec *codec)
{
    (void)deflateEnd(&codec->zlib);
}

static bool inflate_open(struct codec *codec)
{
    return inflateInit2(&codec->zlib, window_bits(codec->type->kind)) == Z_OK;
}

static void inflate_close(struct codec *codec)
{
    (void)inflateEnd(&codec->zlib);
}

static bool zlib_run(struct codec *codec, int (*step)(z_stream *, int), int flush)
{
    z_stream *zlib = &codec->zlib;
    while (room_left(codec)) {
        size_t have = buffer_len(&codec->input);
        zlib->next_in = (unsigned char *)input_at(codec);
        zlib->avail_in = (unsigned)(have < UINT32_MAX ? have : UINT32_MAX);
        zlib->next_out = (unsigned char *)buffer_reserve(&codec->output, STEP_BYTES);
        zlib->avail_out = STEP_BYTES;
        unsigned before = zlib->avail_in;
        int r = step(zlib, flush);
        buffer_consume(&codec->input, before - zlib->avail_in);
        codec->output.end += STEP_BYTES - zlib->avail_out;
        if (r == Z_STREAM_END) {
            codec->state = CODEC_ENDED;
            return true;
        }
        if (r != Z_OK && r != Z_BUF_ERROR)
            return false;
        if (zlib->avail_out > 0) /* it could have said more and did not */
            return true;
    }
    return true;
}

static bool deflate_run(struct codec *codec, bool finish)
{
    return zlib_run(codec, deflate, finish ? Z_FINISH : Z_NO_FLUSH);
}

static bool inflate_run(struct codec *codec, bool finish)
{
    return zlib_run(codec, inflate, Z_NO_FLUSH);
}

/* ---- brotli ---- */

static bool brotli_out_open(struct codec *codec)
{
    codec->brotli_out = BrotliEncoderCreateInstance(NULL, NULL, NULL);
    /* The default quality, 11, is for files made once. */
    return codec->brotli_out &&
           BrotliEncoderSetParameter(codec->brotli_out, BROTLI_PARAM_QUALITY, 5);
}

static void brotli_out_close(struct codec *codec)
{
    BrotliEncoderDestroyInstance(codec->brotli_out);
}

static bool brotli_out_run(struct codec *codec, bool finish)
{
    while (room_left(codec)) {
        size_t have = buffer_len(&codec->input), left = have, room = STEP_BYTES;
        const uint8_t *next_in = (const uint8_t *)input_at(codec);
        uint8_t *next_out = (uint8_t *)buffer_reserve(&codec->output, STEP_BYTES);
        if (!BrotliEncoderCompressStream(
                codec->brotli_out, finish ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_PROCESS,
                &left, &next_in, &room, &next_out, NULL))
            return false;
        buffer_consume(&codec->input, have - left);
        codec->output.end += STEP_BYTES - room;
        if (finish && BrotliEncoderIsFinished(codec->brotli_out)) {
            codec->state = CODEC_ENDED;
            return true;
        }
        if (left == 0 && !BrotliEncoderHasMoreOutput(codec->brotli_out) && room > 0)
            return true;
    }
    return true;
}

static bool brotli_in_open(struct codec *codec)
{
    codec->brotli_in = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    return codec->brotli_in;
}

static void brotli_in_close(struct codec *codec)
{
    BrotliDecoderDestroyInstance(codec->brotli_in);
}

static bool brotli_in_run(struct codec *codec, bool finish)
{
    while (room_left(codec)) {
        size_t have = buffer_len(&codec->input), left = have, room = STEP_BYTES;
        const uint8_t *next_in = (const uint8_t *)input_at(codec);
        uint8_t *next_out = (uint8_t *)buffer_reserve(&codec->output, STEP_BYTES);
        BrotliDecoderResult r = BrotliDecoderDecompressStream(codec->brotli_in, &left, &next_in,
                                                              &room, &next_out, NULL);
        buffer_consume(&codec->input, have - left);
        codec->output.end += STEP_BYTES - room;
        if (r == BROTLI_DECODER_RESULT_SUCCESS)
            codec->state = CODEC_ENDED;
        if (r == BROTLI_DECODER_RESULT_ERROR)
            return false;
        if (r != BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT)
            return true;
    }
    return true;
}

/* ---- zstd ---- */

static bool zstd_out_open(struct codec *codec)
{
    codec->zstd_out = ZSTD_createCStream();
    return codec->zstd_out;
}

static void zstd_out_close(struct codec *codec)
{
    (void)ZSTD_freeCStream(codec->zstd_out);
}

static bool zstd_out_run(struct codec *codec, bool finish)
{
    while (room_left(codec)) {
        ZSTD_inBuffer in = {input_at(codec), buffer_len(&codec->input), 0};
        ZSTD_outBuffer out = {buffer_reserve(&codec->output, STEP_BYTES), STEP_BYTES, 0};
        size_t left =
            ZSTD_compressStream2(codec->zstd_out, &out, &in, finish ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return false;
        buffer_consume(&codec->input, in.pos);
        codec->output.end += out.pos;
        if (finish && left == 0) {
            codec->state = CODEC_ENDED;
            return true;
        }
        if (!finish && buffer_len(&codec->input) == 0)
            return true;
    }
    return true;
}

static bool zstd_in_open(struct codec *codec)
{
    codec->zstd_in = ZSTD_createDStream();
    return codec->zstd_in;
}

static void zstd_in_close(struct codec *codec)
{
    (void)ZSTD_freeDStream(codec->zstd_in);
}

static bool zstd_in_run(struct codec *codec, bool finish)
{
    while (room_left(codec)) {
        ZSTD_inBuffer in = {input_at(codec), buffer_len(&codec->input), 0};
        ZSTD_outBuffer out = {buffer_reserve(&codec->output, STEP_BYTES), STEP_BYTES, 0};
        size_t left = ZSTD_decompressStream(codec->zstd_in, &out, &in);
        if (ZSTD_isError(left))
            return false;
        buffer_consume(&codec->input, in.pos);
        codec->output.end += out.pos;
        if (left == 0)
            codec->state = CODEC_ENDED;
        if (left == 0 || (buffer_len(&codec->input) == 0 && out.pos < out.size))
            return true;
    }
    return true;
}

static const struct codec_type codec_types[] = {
    {"gzip", true, deflate_open, deflate_close, deflate_run},
    {"gzip", false, inflate_open, inflate_close, inflate_run},
    {"deflate", true, deflate_open, deflate_close, deflate_run},
    {"deflate", false, inflate_open, inflate_close, inflate_run},
    {"deflate-raw", true, deflate_open, deflate_close, deflate_run},
    {"deflate-raw", false, inflate_open, inflate_close, inflate_run},
    {"br", true, brotli_out_open, brotli_out_close, brotli_out_run},
    {"br", false, brotli_in_open, brotli_in_close, brotli_in_run},
    {"zstd", true, zstd_out_open, zstd_out_close, zstd_out_run},
    {"zstd", false, zstd_in_open, zstd_in_close, zstd_in_run},
};

static void codec_finalize(JSObjectRef object)
{
    struct codec *codec = JSObjectGetPrivate(object);
    if (!codec)
        return;
    codec->type->close(codec);
    buffer_done(&codec->input);
    buffer_done(&codec->output);
    free(codec);
}

static JSClassRef codec_class(void)
{
    static JSClassRef class;
    if (!class) {
        JSClassDefinition definition = kJSClassDefinitionEmpty;
        definition.className = "Codec";
        definition.finalize = codec_finalize;
        class = JSClassCreate(&definition);
    }
    return class;
}

/* create(kind, "compress"|"decompress") → codec, or null when there is none of that kind */
ENGINE_FUNCTION(codec_create)
{
    AUTO_TEXT kind = argc > 0 ? engine_text(ctx, argv[0], NULL) : NULL;
    AUTO_TEXT mode = argc > 1 ? engine_text(ctx, argv[1], NULL) : NULL;
    for (size_t i = 0; kind && mode && i < ARRAY_LEN(codec_types); i++) {
        const struct codec_type *type = &codec_types[i];
        if (strcmp(type->kind, kind) != 0 || type->compress != (strcmp(mode, "compress") == 0))
            continue;
        struct codec *codec = xcalloc(1, sizeof(*codec));
        codec->type = type;
        if (type->open(codec))
            return JSObjectMake(ctx, codec_class(), codec);
        free(codec);
        break;
    }
    return JSValueMakeNull(ctx);
}

/* push(codec, view, finish) → Uint8Array of output. TypeError: malformed, or bytes after the end,
 * or (with finish) an input that stops before its end. While more(codec): push an empty view with
 * the same `finish` again. */
ENGINE_FUNCTION(codec_push)
{
    struct slice bytes = {0};
    if (argc < 3 || !JSValueIsObjectOfClass(ctx, argv[0], codec_class()) ||
        !engine_bytes(ctx, argv[1], &bytes))
        return engine_throw(ctx, exception, "TypeError", "no codec or no buffer");
    struct codec *codec = JSObjectGetPrivate((JSObjectRef)argv[0]);
    bool finish = JSValueToBoolean(ctx, argv[2]);
    codec->output.start = codec->output.end = 0;
    if (bytes.len > 0)
        buffer_append(&codec->input, bytes.ptr, bytes.len);
    if (codec->state == CODEC_OPEN && !codec->type->run(codec, finish))
        codec->state = CODEC_BROKEN;
    bool left_over = codec->state == CODEC_ENDED && buffer_len(&codec->input) > 0;
    bool cut_short = finish && !codec->more && codec->state == CODEC_OPEN && !codec->type->compress;
    if (codec->state == CODEC_BROKEN || left_over || cut_short) {
        codec->state = CODEC_BROKEN;
        return engine_throw(ctx, exception, "TypeError", "%s",
                            left_over   ? "Unexpected data after the end of the compressed stream"
                            : cut_short ? "The compressed stream ends too early"
                                        : "The compressed data was not valid");
    }
    JSValueRef out = engine_uint8_array(ctx, codec->output.data, buffer_len(&codec->output));
    buffer_reset(&codec->output, 64 * 1024);
    return out;
}

/* more(codec) → whether the last push left output behind */
ENGINE_FUNCTION(codec_more)
{
    if (argc < 1 || !JSValueIsObjectOfClass(ctx, argv[0], codec_class()))
        return JSValueMakeBoolean(ctx, false);
    struct codec *codec = JSObjectGetPrivate((JSObjectRef)argv[0]);
    return JSValueMakeBoolean(ctx, codec->more && codec->state == CODEC_OPEN);
}

void bindings_codec_define(JSContextRef ctx, JSObjectRef native)
{
    static const struct binding table[] = {
        {"create", codec_create},
        {"push", codec_push},
        {"more", codec_more},
        {NULL, NULL},
    };
    JSObjectRef codec = JSObjectMake(ctx, NULL, NULL);
    bindings_table(ctx, codec, table);
    engine_set(ctx, native, "codec", codec);
}
