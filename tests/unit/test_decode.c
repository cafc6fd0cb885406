/* SPDX-License-Identifier: Apache-2.0 */
#include <brotli/encode.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#include <cmocka.h>

#include "decode.h"

enum { PLAIN_BYTES = 1 << 20 };

static char plain[PLAIN_BYTES];
static struct buffer packed_gzip, packed_br;

static int pack(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (char)(i * i >> 7);
    z_stream gzip = {.next_in = (Bytef *)plain, .avail_in = sizeof(plain)};
    assert_int_equal(deflateInit2(&gzip, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
                     Z_OK);
    gzip.next_out = (Bytef *)buffer_reserve(&packed_gzip, 2 * PLAIN_BYTES);
    gzip.avail_out = 2 * PLAIN_BYTES;
    assert_int_equal(deflate(&gzip, Z_FINISH), Z_STREAM_END);
    packed_gzip.end = gzip.total_out;
    (void)deflateEnd(&gzip);
    size_t len = 2 * PLAIN_BYTES;
    char *room = buffer_reserve(&packed_br, len);
    assert_int_equal(BrotliEncoderCompress(4, 22, BROTLI_MODE_GENERIC, sizeof(plain),
                                           (const uint8_t *)plain, &len, (uint8_t *)room),
                     BROTLI_TRUE);
    packed_br.end = len;
    return 0;
}

static int unpack(void **state)
{
    (void)state;
    buffer_done(&packed_gzip);
    buffer_done(&packed_br);
    return 0;
}

/* Feeds in pieces of piece bytes, with room for room bytes of output at a time. */
static int decode(enum decode_coding coding, struct slice input, size_t piece, size_t room,
                  struct buffer *out, bool *ret_complete)
{
    struct decoder *decoder = decoder_new(coding);
    int r = 0;
    while (r == 0 && input.len > 0) {
        struct slice part = {input.ptr, input.len < piece ? input.len : piece};
        input.ptr += part.len;
        input.len -= part.len;
        do {
            size_t before = buffer_len(out);
            r = decoder_push(decoder, &part, room, out);
            assert_true(buffer_len(out) - before <= room);
        } while (r == 0 && (part.len > 0 || decoder_has_more(decoder)));
    }
    *ret_complete = decoder_is_complete(decoder);
    decoder_free(&decoder);
    return r;
}

static void test_round_trip(void **state)
{
    static const size_t pieces[] = {1, 7, 1000, 16384, 1 << 24}, rooms[] = {100, 16384, 1 << 20};
    (void)state;
    for (int coding = DECODE_GZIP; coding <= DECODE_BR; coding++) {
        struct slice packed = buffer_slice(coding == DECODE_GZIP ? &packed_gzip : &packed_br);
        for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
            for (size_t r = 0; r < ARRAY_LEN(rooms); r++) {
                AUTO_BUFFER out = {0};
                bool complete;
                assert_int_equal(decode((enum decode_coding)coding, packed, pieces[p], rooms[r],
                                        &out, &complete),
                                 0);
                assert_true(complete);
                assert_int_equal(buffer_len(&out), sizeof(plain));
                assert_memory_equal(out.data + out.start, plain, sizeof(plain));
            }
        }
    }
}

static void test_cut_and_broken(void **state)
{
    (void)state;
    for (int coding = DECODE_GZIP; coding <= DECODE_BR; coding++) {
        struct slice packed = buffer_slice(coding == DECODE_GZIP ? &packed_gzip : &packed_br);
        AUTO_BUFFER out = {0};
        bool complete;
        packed.len /= 2;
        assert_int_equal(decode((enum decode_coding)coding, packed, 1000, 16384, &out, &complete),
                         0);
        assert_false(complete);
        AUTO_TEXT copy = xcalloc(1, packed.len);
        memcpy(copy, packed.ptr, packed.len);
        memset(copy + packed.len / 2, 0xff, packed.len / 4);
        memset(copy, 0xff, 4);
        int r = decode((enum decode_coding)coding, (struct slice){copy, packed.len}, 1000, 16384,
                       &out, &complete);
        assert_int_equal(r, -EBADMSG);
    }
    AUTO_BUFFER nothing = {0};
    bool complete;
    assert_int_equal(decode(DECODE_GZIP, (struct slice){0}, 1, 1, &nothing, &complete), 0);
    assert_true(complete);
}

static void test_several_members(void **state)
{
    (void)state;
    AUTO_BUFFER twice = {0};
    AUTO_BUFFER out = {0};
    bool complete;
    buffer_append_slice(&twice, buffer_slice(&packed_gzip));
    buffer_append_slice(&twice, buffer_slice(&packed_gzip));
    buffer_append(&twice, "\0\0\0", 3);
    assert_int_equal(decode(DECODE_GZIP, buffer_slice(&twice), 5000, 16384, &out, &complete), 0);
    assert_true(complete);
    assert_int_equal(buffer_len(&out), 2 * sizeof(plain));
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(decode_coding_of(SLICE("GZip")), DECODE_GZIP);
    assert_int_equal(decode_coding_of(SLICE("x-gzip")), DECODE_GZIP);
    assert_int_equal(decode_coding_of(SLICE("br")), DECODE_BR);
    assert_int_equal(decode_coding_of(SLICE("zstd")), DECODE_NONE);
    assert_int_equal(decode_coding_of(SLICE("gzip, br")), DECODE_NONE);
    assert_int_equal(decode_coding_of(SLICE("")), DECODE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_cut_and_broken),
        cmocka_unit_test(test_several_members),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, pack, unpack);
}
