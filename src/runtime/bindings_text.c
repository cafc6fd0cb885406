/* SPDX-License-Identifier: Apache-2.0 */
/* Text: UTF-8 both ways, latin-1, base64 of binary strings, the legacy decoders of the Encoding
 * Standard (by ICU, whose tables the engine has loaded anyway), and domain names (UTS 46).
 * https://encoding.spec.whatwg.org/  https://infra.spec.whatwg.org/#forgiving-base64
 *
 * Decoded text is written as UTF-16 into one scratch area that grows to the largest text seen; the
 * engine copies from there. ASCII takes a short cut, because the engine keeps it in one byte a
 * character. */
#include "bindings.h"

#include <stdlib.h>
#include <string.h>
#include <unicode/ucnv.h>
#include <unicode/ucnv_cb.h>
#include <unicode/uidna.h>

#include "buffer.h"

/* ---- helpers ---- */

void bindings_table(JSContextRef ctx, JSObjectRef object, const struct binding *table)
{
    for (; table->name; table++)
        engine_define_function(ctx, object, table->name, table->function);
}

void bindings_define(JSContextRef ctx, JSObjectRef native)
{
    bindings_text_define(ctx, native);
    bindings_crypto_define(ctx, native);
    bindings_codec_define(ctx, native);
}

bool text_units_of(JSContextRef ctx, JSValueRef value, struct text_units *ret_text,
                   JSValueRef *exception)
{
    JSStringRef string = JSValueToStringCopy(ctx, value, exception);
    if (!string)
        return false;
    ret_text->string = string;
    ret_text->units = JSStringGetCharactersPtr(string);
    ret_text->count = JSStringGetLength(string);
    return true;
}

void text_units_done(struct text_units *text)
{
    JSStringRelease(text->string);
}

static bool all_ascii(const char *bytes, size_t len)
{
    uint64_t any = 0, word;
    size_t i = 0;
    for (; i + 32 <= len; i += 32) {
        uint64_t four[4];
        memcpy(four, bytes + i, sizeof(four));
        any |= four[0] | four[1] | four[2] | four[3];
        if (any & 0x8080808080808080u)
            return false;
    }
    for (; i + 8 <= len; i += 8) {
        memcpy(&word, bytes + i, sizeof(word));
        any |= word;
    }
    for (; i < len; i++)
        any |= (unsigned char)bytes[i];
    return (any & 0x8080808080808080u) == 0;
}

static struct buffer scratch; /* single-threaded, and no function here calls JavaScript */

static JSChar *scratch_units(size_t count)
{
    scratch.start = scratch.end = 0;
    return (JSChar *)buffer_reserve(&scratch, (count + 1) * sizeof(JSChar));
}

static JSValueRef string_of_units(JSContextRef ctx, const JSChar *units, size_t count)
{
    JSStringRef string = JSStringCreateWithCharacters(units, count);
    JSValueRef value = JSValueMakeString(ctx, string);
    JSStringRelease(string);
    /* One long text must not pin its memory for good. */
    if (scratch.cap > 1024 * 1024)
        buffer_reset(&scratch, 64 * 1024);
    return value;
}

static bool view_argument(JSContextRef ctx, size_t argc, const JSValueRef argv[], size_t index,
                          struct slice *ret_bytes, JSValueRef *exception)
{
    *ret_bytes = (struct slice){"", 0};
    if (index >= argc || !engine_bytes(ctx, argv[index], ret_bytes)) {
        (void)engine_throw(ctx, exception, "TypeError", "argument %zu is no buffer", index + 1);
        return false;
    }
    if (!ret_bytes->ptr) /* detached, or empty */
        *ret_bytes = (struct slice){"", 0};
    return true;
}

static bool flag_argument(JSContextRef ctx, size_t argc, const JSValueRef argv[], size_t index)
{
    return index < argc && JSValueToBoolean(ctx, argv[index]);
}

/* ---- UTF-8 out ---- */

/* Writes one code point; out has room for 3 bytes a unit. Returns bytes written. */
static size_t utf8_put(char *out, uint32_t code)
{
    unsigned char *p = (unsigned char *)out;
    if (code < 0x80) {
        p[0] = (unsigned char)code;
        return 1;
    }
    if (code < 0x800) {
        p[0] = (unsigned char)(0xc0 | code >> 6);
        p[1] = (unsigned char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        p[0] = (unsigned char)(0xe0 | code >> 12);
        p[1] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
        p[2] = (unsigned char)(0x80 | (code & 0x3f));
        return 3;
    }
    p[0] = (unsigned char)(0xf0 | code >> 18);
    p[1] = (unsigned char)(0x80 | (code >> 12 & 0x3f));
    p[2] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
    p[3] = (unsigned char)(0x80 | (code & 0x3f));
    return 4;
}

/* The code point at units[*index], past which *index moves; a lone surrogate is U+FFFD. */
static uint32_t code_point_at(const JSChar *units, size_t count, size_t *index)
{
    uint32_t unit = units[(*index)++];
    if (unit < 0xd800 || unit > 0xdfff)
        return unit;
    if (unit < 0xdc00 && *index < count && (units[*index] & 0xfc00) == 0xdc00)
        return 0x10000 + ((unit - 0xd800) << 10) + (units[(*index)++] - 0xdc00u);
    return 0xfffd;
}

/* out has room for 3 * count bytes. */
static size_t utf8_encode_units(const JSChar *units, size_t count, char *out)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count;) {
        if (units[i] < 0x80)
            out[bytes++] = (char)units[i++];
        else
            bytes += utf8_put(out + bytes, code_point_at(units, count, &i));
    }
    return bytes;
}

char *text_utf8(JSContextRef ctx, JSValueRef value, size_t *ret_bytes, JSValueRef *exception)
{
    JSStringRef string = JSValueToStringCopy(ctx, value, exception);
    if (!string)
        return NULL;
    size_t count = JSStringGetLength(string), cap = JSStringGetMaximumUTF8CStringSize(string);
    char *out = malloc(cap);
    if (!out) {
        JSStringRelease(string);
        (void)engine_throw(ctx, exception, "RangeError", "Out of memory");
        return NULL;
    }
    /* The API's own conversion is the fast one, but it stops at a lone surrogate: trust it only
     * where it says one byte a character. */
    size_t bytes = JSStringGetUTF8CString(string, out, cap);
    if (bytes == count + 1 && all_ascii(out, count))
        bytes = count;
    else
        bytes = utf8_encode_units(JSStringGetCharactersPtr(string), count, out);
    JSStringRelease(string);
    *ret_bytes = bytes;
    return out;
}

/* utf8Encode(string) → Uint8Array */
ENGINE_FUNCTION(utf8_encode)
{
    if (argc < 1)
        return JSValueMakeUndefined(ctx);
    size_t bytes;
    char *out = text_utf8(ctx, argv[0], &bytes, exception);
    if (!out)
        return JSValueMakeUndefined(ctx);
    char *fit = realloc(out, bytes ? bytes : 1);
    return engine_uint8_array_take(ctx, fit ? fit : out, bytes);
}

/* utf8EncodeInto(string, Uint8Array) → units read * 2^32 + bytes written; -1: its memory is
 * WebAssembly's, which cannot be written to from here */
ENGINE_FUNCTION(utf8_encode_into)
{
    struct slice into;
    struct text_units text;
    if (argc >= 2 && JSValueGetTypedArrayType(ctx, argv[1], NULL) != kJSTypedArrayTypeNone &&
        !engine_bytes_in_place(ctx, argv[1], &into))
        return JSValueMakeNumber(ctx, -1);
    if (argc < 2 || !view_argument(ctx, argc, argv, 1, &into, exception) ||
        !text_units_of(ctx, argv[0], &text, exception))
        return JSValueMakeUndefined(ctx);
    char *out = (char *)into.ptr, room[4];
    size_t read = 0, written = 0;
    while (read < text.count) {
        size_t next = read;
        size_t bytes = utf8_put(room, code_point_at(text.units, text.count, &next));
        if (written + bytes > into.len)
            break;
        memcpy(out + written, room, bytes);
        written += bytes;
        read = next;
    }
    text_units_done(&text);
    return JSValueMakeNumber(ctx, (double)read * 4294967296.0 + (double)written);
}

/* utf8Length(string) → bytes that utf8Encode would make */
ENGINE_FUNCTION(utf8_length)
{
    struct text_units text;
    if (argc < 1 || !text_units_of(ctx, argv[0], &text, exception))
        return JSValueMakeUndefined(ctx);
    size_t bytes = 0;
    for (size_t i = 0; i < text.count;) {
        uint32_t code = code_point_at(text.units, text.count, &i);
        bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    }
    text_units_done(&text);
    return JSValueMakeNumber(ctx, (double)bytes);
}

/* latin1Encode(string) → Uint8Array, or null when a character is above U+00FF */
ENGINE_FUNCTION(latin1_encode)
{
    struct text_units text;
    if (argc < 1 || !text_units_of(ctx, argv[0], &text, exception))
        return JSValueMakeUndefined(ctx);
    unsigned char *out = malloc(text.count ? text.count : 1);
    JSChar any = 0;
    for (size_t i = 0; out && i < text.count; i++) {
        any |= text.units[i];
        out[i] = (unsigned char)text.units[i];
    }
    size_t count = text.count;
    text_units_done(&text);
    if (!out)
        return engine_throw(ctx, exception, "RangeError", "Out of memory");
    if (any > 0xff) {
        free(out);
        return JSValueMakeNull(ctx);
    }
    return engine_uint8_array_take(ctx, out, count);
}

/* latin1Decode(view) → string, one character a byte */
ENGINE_FUNCTION(latin1_decode)
{
    struct slice bytes;
    if (!view_argument(ctx, argc, argv, 0, &bytes, exception))
        return JSValueMakeUndefined(ctx);
    if (all_ascii(bytes.ptr, bytes.len))
        return engine_string_latin1(ctx, bytes);
    JSChar *units = scratch_units(bytes.len);
    for (size_t i = 0; i < bytes.len; i++)
        units[i] = (unsigned char)bytes.ptr[i];
    return string_of_units(ctx, units, bytes.len);
}

/* ---- base64 of binary strings (atob, btoa) ---- */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* base64Encode(string) → string, or null when a character is above U+00FF */
ENGINE_FUNCTION(base64_encode)
{
    struct text_units text;
    if (argc < 1 || !text_units_of(ctx, argv[0], &text, exception))
        return JSValueMakeUndefined(ctx);
    scratch.start = scratch.end = 0;
    char *out = buffer_reserve(&scratch, text.count / 3 * 4 + 5), *p = out;
    JSChar any = 0;
    for (size_t i = 0; i < text.count; i += 3) {
        size_t left = text.count - i;
        unsigned a = text.units[i], b = left > 1 ? text.units[i + 1] : 0,
                 c = left > 2 ? text.units[i + 2] : 0;
        any |= (JSChar)(a | b | c);
        unsigned three = (a & 0xff) << 16 | (b & 0xff) << 8 | (c & 0xff);
        *p++ = base64_digits[three >> 18];
        *p++ = base64_digits[three >> 12 & 63];
        *p++ = left > 1 ? base64_digits[three >> 6 & 63] : '=';
        *p++ = left > 2 ? base64_digits[three & 63] : '=';
    }
    *p = 0;
    text_units_done(&text);
    if (any > 0xff)
        return JSValueMakeNull(ctx);
    JSStringRef string = JSStringCreateWithUTF8CString(out);
    JSValueRef value = JSValueMakeString(ctx, string);
    JSStringRelease(string);
    return value;
}

static int base64_value(JSChar unit)
{
    if (unit >= 'A' && unit <= 'Z')
        return unit - 'A';
    if (unit >= 'a' && unit <= 'z')
        return unit - 'a' + 26;
    if (unit >= '0' && unit <= '9')
        return unit - '0' + 52;
    return unit == '+' ? 62 : unit == '/' ? 63 : -1;
}

/* Forgiving-base64 decode of units into out (one unit a byte). Bytes, or -1: not base64. */
static ssize_t base64_decode_units(const JSChar *units, size_t count, JSChar *out)
{
    size_t digits = 0, equals = 0, bytes = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < count; i++) {
        JSChar unit = units[i];
        if (unit == ' ' || unit == '\t' || unit == '\n' || unit == '\f' || unit == '\r')
            continue;
        if (unit == '=') {
            if (++equals > 2)
                return -1;
            continue;
        }
        int value = base64_value(unit);
        if (value < 0 || equals > 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        if (++digits % 4 == 0) {
            out[bytes++] = bits >> 16 & 0xff;
            out[bytes++] = bits >> 8 & 0xff;
            out[bytes++] = bits & 0xff;
        }
    }
    /* Padding is there in full or not at all; one digit alone says less than a byte. */
    if (digits % 4 == 1 || (equals > 0 && (digits + equals) % 4 != 0))
        return -1;
    if (digits % 4 == 2) {
        out[bytes++] = bits >> 4 & 0xff;
    } else if (digits % 4 == 3) {
        out[bytes++] = bits >> 10 & 0xff;
        out[bytes++] = bits >> 2 & 0xff;
    }
    return (ssize_t)bytes;
}

/* base64Decode(string) → string with one character a byte, or null */
ENGINE_FUNCTION(base64_decode)
{
    struct text_units text;
    if (argc < 1 || !text_units_of(ctx, argv[0], &text, exception))
        return JSValueMakeUndefined(ctx);
    JSChar *out = scratch_units(text.count / 4 * 3 + 3);
    ssize_t bytes = base64_decode_units(text.units, text.count, out);
    text_units_done(&text);
    return bytes < 0 ? JSValueMakeNull(ctx) : string_of_units(ctx, out, (size_t)bytes);
}

/* ---- decoders ---- */

enum decoder_kind { DECODER_UTF8, DECODER_UTF16LE, DECODER_UTF16BE, DECODER_USER, DECODER_ICU };

struct decoder {
    enum decoder_kind kind;
    bool fatal, ignore_bom;
    bool bom_seen;  /* the start of the text has been looked at */
    bool malformed; /* set by the ICU callback */
    UConverter *converter;
    unsigned char held[4]; /* an unfinished character of the last chunk */
    size_t held_bytes;
};

/* Encoding Standard names → ICU converters whose tables are theirs. */
static const struct {
    const char *name, *icu;
} converters[] = {
    {"ibm866", "ibm-866_P100-1995"},
    {"iso-8859-2", "ISO-8859-2"},
    {"iso-8859-3", "ISO-8859-3"},
    {"iso-8859-4", "ISO-8859-4"},
    {"iso-8859-5", "ISO-8859-5"},
    {"iso-8859-6", "ISO-8859-6"},
    {"iso-8859-7", "ibm-9005_X110-2007"},
    {"iso-8859-8", "ibm-5012_P100-1999"},
    {"iso-8859-8-i", "ibm-5012_P100-1999"},
    {"iso-8859-10", "iso-8859_10-1998"},
    {"iso-8859-13", "ISO-8859-13"},
    {"iso-8859-14", "iso-8859_14-1998"},
    {"iso-8859-15", "ISO-8859-15"},
    {"iso-8859-16", "iso-8859_16-2001"},
    {"koi8-r", "KOI8-R"},
    {"koi8-u", "KOI8-U"},
    {"macintosh", "macintosh"},
    {"windows-874", "windows-874-2000"},
    {"windows-1250", "windows-1250"},
    {"windows-1251", "windows-1251"},
    {"windows-1252", "windows-1252"},
    {"windows-1253", "windows-1253"},
    {"windows-1254", "windows-1254"},
    {"windows-1255", "windows-1255"},
    {"windows-1256", "windows-1256"},
    {"windows-1257", "windows-1257"},
    {"windows-1258", "windows-1258"},
    {"x-mac-cyrillic", "x-mac-cyrillic"},
    {"gbk", "gb18030"},
    {"gb18030", "gb18030"},
    {"big5", "Big5-HKSCS"},
    {"euc-jp", "EUC-JP"},
    {"iso-2022-jp", "ISO-2022-JP"},
    {"shift_jis", "ibm-943_P15A-2003"},
    {"euc-kr", "windows-949-2000"},
};

/* One U+FFFD for what can not be decoded; an ASCII byte at its end is not part of it, so that
 * a truncated character does not swallow markup (the standard's "prepend byte"). */
static void decoder_on_malformed(const void *context, UConverterToUnicodeArgs *args,
                                 const char *bytes, int32_t len, UConverterCallbackReason reason,
                                 UErrorCode *status)
{
    struct decoder *decoder = (struct decoder *)context;
    if (reason > UCNV_IRREGULAR)
        return; /* reset, close, clone */
    decoder->malformed = true;
    if (decoder->fatal)
        return; /* the error stays set and ends the conversion */
    *status = U_ZERO_ERROR;
    UChar text[2] = {0xfffd, 0};
    int32_t count = 1;
    if (len > 1 && (unsigned char)bytes[len - 1] < 0x80)
        text[count++] = (UChar)bytes[len - 1];
    ucnv_cbToUWriteUChars(args, text, count, 0, status);
}

static void decoder_finalize(JSObjectRef object)
{
    struct decoder *decoder = JSObjectGetPrivate(object);
    if (!decoder)
        return;
    if (decoder->converter)
        ucnv_close(decoder->converter);
    free(decoder);
}

static JSClassRef decoder_class(void)
{
    static JSClassRef class;
    if (!class) {
        JSClassDefinition definition = kJSClassDefinitionEmpty;
        definition.className = "Decoder";
        definition.finalize = decoder_finalize;
        class = JSClassCreate(&definition);
    }
    return class;
}

static bool decoder_open(struct decoder *decoder, const char *name)
{
    static const struct {
        const char *name;
        enum decoder_kind kind;
    } own[] = {
        {"utf-8", DECODER_UTF8},
        {"utf-16le", DECODER_UTF16LE},
        {"utf-16be", DECODER_UTF16BE},
        {"x-user-defined", DECODER_USER},
    };
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        if (strcmp(own[i].name, name) == 0) {
            decoder->kind = own[i].kind;
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(converters); i++) {
        if (strcmp(converters[i].name, name) != 0)
            continue;
        UErrorCode status = U_ZERO_ERROR;
        decoder->kind = DECODER_ICU;
        decoder->converter = ucnv_open(converters[i].icu, &status);
        if (U_FAILURE(status))
            return false;
        ucnv_setToUCallBack(decoder->converter, decoder_on_malformed, decoder, NULL, NULL, &status);
        return U_SUCCESS(status);
    }
    return false;
}

/* decoderNew(name, fatal, ignoreBOM) → decoder, or null when the name is unknown here */
ENGINE_FUNCTION(decoder_new)
{
    AUTO_TEXT name = argc > 0 ? engine_text(ctx, argv[0], exception) : NULL;
    if (!name)
        return JSValueMakeNull(ctx);
    struct decoder *decoder = xcalloc(1, sizeof(*decoder));
    decoder->fatal = flag_argument(ctx, argc, argv, 1);
    decoder->ignore_bom = flag_argument(ctx, argc, argv, 2);
    if (!decoder_open(decoder, name)) {
        free(decoder);
        return JSValueMakeNull(ctx);
    }
    return JSObjectMake(ctx, decoder_class(), decoder);
}

/* Result of the incremental decoders: units written, or malformed input in fatal mode. */
enum { DECODE_MALFORMED = -1 };

/* How many bytes follow this lead byte, and the range of the first of them; 0: no lead byte. */
static unsigned utf8_follow(unsigned lead, unsigned *ret_lower, unsigned *ret_upper)
{
    *ret_lower = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    *ret_upper = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    return lead < 0xc2 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf5 ? 3 : 0;
}

/* Decodes [p, end); out has room for a unit a byte. At the end of the input an unfinished
 * character is malformed when held is NULL, else kept there. */
static ssize_t utf8_decode_units(const unsigned char *p, const unsigned char *end, bool fatal,
                                 JSChar *out, struct decoder *hold)
{
    JSChar *start = out;
    while (p < end) {
        if (*p < 0x80) {
            *out++ = *p++;
            continue;
        }
        const unsigned char *first = p;
        unsigned lower, upper, lead = *p++, follow = utf8_follow(lead, &lower, &upper);
        uint32_t code = follow == 1 ? lead & 0x1f : follow == 2 ? lead & 0xf : lead & 7;
        bool valid = follow > 0;
        for (unsigned i = 0; valid && i < follow; i++, lower = 0x80, upper = 0xbf) {
            if (p == end && hold) {
                hold->held_bytes = (size_t)(end - first);
                memcpy(hold->held, first, hold->held_bytes);
                return out - start;
            }
            if (p == end || *p < lower || *p > upper)
                valid = false;
            else
                code = code << 6 | (*p++ & 0x3fu);
        }
        if (!valid) {
            if (fatal)
                return DECODE_MALFORMED;
            *out++ = 0xfffd;
        } else if (code < 0x10000) {
            *out++ = (JSChar)code;
        } else {
            *out++ = (JSChar)(0xd7c0 + (code >> 10));
            *out++ = (JSChar)(0xdc00 | (code & 0x3ff));
        }
    }
    return out - start;
}

static JSValueRef malformed(JSContextRef ctx, JSValueRef *exception)
{
    return engine_throw(ctx, exception, "TypeError", "The encoded data was not valid");
}

/* utf8Decode(view, fatal, ignoreBOM) → string; throws TypeError when fatal and malformed */
ENGINE_FUNCTION(utf8_decode)
{
    struct slice bytes;
    if (!view_argument(ctx, argc, argv, 0, &bytes, exception))
        return JSValueMakeUndefined(ctx);
    if (all_ascii(bytes.ptr, bytes.len))
        return engine_string_latin1(ctx, bytes);
    if (!flag_argument(ctx, argc, argv, 2) && slice_starts_with(bytes, SLICE("\xef\xbb\xbf"))) {
        bytes.ptr += 3;
        bytes.len -= 3;
    }
    JSChar *units = scratch_units(bytes.len);
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    ssize_t count =
        utf8_decode_units(p, p + bytes.len, flag_argument(ctx, argc, argv, 1), units, NULL);
    if (count < 0)
        return malformed(ctx, exception);
    return string_of_units(ctx, units, (size_t)count);
}

static ssize_t decode_utf8(struct decoder *decoder, struct slice bytes, bool flush, JSChar **ret)
{
    /* What was held goes in front, so that one loop sees whole characters. */
    size_t held = decoder->held_bytes, total = held + bytes.len;
    unsigned char *joined = NULL;
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    if (held > 0) {
        p = joined = xcalloc(1, total);
        memcpy(joined, decoder->held, held);
        memcpy(joined + held, bytes.ptr, bytes.len);
        decoder->held_bytes = 0;
    }
    *ret = scratch_units(total);
    ssize_t count = utf8_decode_units(p, p + total, decoder->fatal, *ret, flush ? NULL : decoder);
    free(joined);
    return count;
}

static ssize_t decode_utf16(struct decoder *decoder, struct slice bytes, bool flush, JSChar **ret)
{
    size_t total = decoder->held_bytes + bytes.len, count = 0, held = decoder->held_bytes;
    JSChar *out = *ret = scratch_units(total + 2);
    unsigned char pair[2];
    JSChar high = 0;
    size_t i = 0;
    /* held is 0..3 bytes: a high surrogate, an odd byte, or both. */
#define NEXT_BYTE() (i < held ? decoder->held[i] : (unsigned char)bytes.ptr[i - held])
    while (total - i >= 2) {
        pair[0] = NEXT_BYTE();
        i++;
        pair[1] = NEXT_BYTE();
        i++;
        JSChar unit = decoder->kind == DECODER_UTF16LE ? (JSChar)(pair[0] | pair[1] << 8)
                                                       : (JSChar)(pair[1] | pair[0] << 8);
        if ((unit & 0xfc00) == 0xdc00 && high) {
            out[count++] = high;
            out[count++] = unit;
            high = 0;
            continue;
        }
        if (high || (unit & 0xfc00) == 0xdc00) {
            if (decoder->fatal)
                return DECODE_MALFORMED;
            out[count++] = 0xfffd;
            if (!high)
                continue; /* the lone low surrogate was it */
            high = 0;
        }
        if ((unit & 0xfc00) == 0xd800)
            high = unit;
        else
            out[count++] = unit;
    }
    unsigned char odd = i < total ? NEXT_BYTE() : 0;
#undef NEXT_BYTE
    bool has_odd = i < total;
    decoder->held_bytes = 0;
    if (flush) {
        if (high || has_odd) {
            if (decoder->fatal)
                return DECODE_MALFORMED;
            out[count++] = 0xfffd; /* one for both: the standard's end-of-queue step */
        }
        return (ssize_t)count;
    }
    if (high) {
        bool little = decoder->kind == DECODER_UTF16LE;
        decoder->held[decoder->held_bytes++] = (unsigned char)(little ? high : high >> 8);
        decoder->held[decoder->held_bytes++] = (unsigned char)(little ? high >> 8 : high);
    }
    if (has_odd)
        decoder->held[decoder->held_bytes++] = odd;
    return (ssize_t)count;
}

static ssize_t decode_user_defined(struct slice bytes, JSChar **ret)
{
    JSChar *out = *ret = scratch_units(bytes.len);
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.ptr[i];
        out[i] = byte < 0x80 ? byte : (JSChar)(0xf780 + byte - 0x80);
    }
    return (ssize_t)bytes.len;
}

static ssize_t decode_icu(struct decoder *decoder, struct slice bytes, bool flush, JSChar **ret)
{
    /* A byte can become two units (Big5's combining pairs), and a callback adds at most two for
     * what it was given; 16 covers what the converter held. */
    size_t cap = bytes.len * 2 + 16;
    JSChar *out = *ret = scratch_units(cap);
    UChar *target = (UChar *)out;
    const char *source = bytes.ptr;
    UErrorCode status = U_ZERO_ERROR;
    decoder->malformed = false;
    ucnv_toUnicode(decoder->converter, &target, (UChar *)out + cap, &source, bytes.ptr + bytes.len,
                   NULL, flush, &status);
    if (U_FAILURE(status)) {
        ucnv_resetToUnicode(decoder->converter);
        return DECODE_MALFORMED;
    }
    return target - (UChar *)out;
}

static ssize_t decode(struct decoder *decoder, struct slice bytes, bool flush, JSChar **ret)
{
    switch (decoder->kind) {
    case DECODER_UTF8:
        return decode_utf8(decoder, bytes, flush, ret);
    case DECODER_UTF16LE:
    case DECODER_UTF16BE:
        return decode_utf16(decoder, bytes, flush, ret);
    case DECODER_USER:
        return decode_user_defined(bytes, ret);
    case DECODER_ICU:
        return decode_icu(decoder, bytes, flush, ret);
    }
    abort();
}

/* decoderPush(decoder, view, flush) → string. After a flush, and after malformed input in fatal
 * mode (TypeError), the decoder is as new. */
ENGINE_FUNCTION(decoder_push)
{
    struct slice bytes;
    if (argc < 3 || !JSValueIsObjectOfClass(ctx, argv[0], decoder_class()))
        return engine_throw(ctx, exception, "TypeError", "no decoder");
    if (!view_argument(ctx, argc, argv, 1, &bytes, exception))
        return JSValueMakeUndefined(ctx);
    struct decoder *decoder = JSObjectGetPrivate((JSObjectRef)argv[0]);
    bool flush = JSValueToBoolean(ctx, argv[2]);
    JSChar *units;
    ssize_t count = decode(decoder, bytes, flush, &units);
    if (count < 0) {
        decoder->held_bytes = 0;
        decoder->bom_seen = false;
        return malformed(ctx, exception);
    }
    bool unicode = decoder->kind <= DECODER_UTF16BE;
    if (unicode && !decoder->bom_seen && count > 0) {
        decoder->bom_seen = true;
        if (!decoder->ignore_bom && units[0] == 0xfeff) {
            units++;
            count--;
        }
    }
    if (flush)
        decoder->bom_seen = false;
    return string_of_units(ctx, units, (size_t)count);
}

/* ---- domain names ---- */

static UIDNA *uts46(void)
{
    static UIDNA *idna;
    if (!idna) {
        UErrorCode status = U_ZERO_ERROR;
        idna =
            uidna_openUTS46(UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ |
                                UIDNA_NONTRANSITIONAL_TO_ASCII | UIDNA_NONTRANSITIONAL_TO_UNICODE,
                            &status);
        if (U_FAILURE(status))
            idna = NULL;
    }
    return idna;
}

/* The URL Standard runs ToASCII with CheckHyphens and VerifyDnsLength off. */
static const uint32_t idna_errors_ignored =
    UIDNA_ERROR_EMPTY_LABEL | UIDNA_ERROR_LABEL_TOO_LONG | UIDNA_ERROR_DOMAIN_NAME_TOO_LONG |
    UIDNA_ERROR_LEADING_HYPHEN | UIDNA_ERROR_TRAILING_HYPHEN | UIDNA_ERROR_HYPHEN_3_4;

/* domainToASCII(string) → string, or null: not a domain */
ENGINE_FUNCTION(domain_to_ascii)
{
    struct text_units text;
    UIDNA *idna = uts46();
    if (!idna || argc < 1 || !text_units_of(ctx, argv[0], &text, exception))
        return JSValueMakeNull(ctx);
    JSValueRef value = JSValueMakeNull(ctx);
    UErrorCode status = U_ZERO_ERROR;
    UIDNAInfo info = UIDNA_INFO_INITIALIZER;
    int32_t cap = (int32_t)(text.count < 16384 ? text.count * 8 + 256 : 0);
    if (cap > 0) { /* no name is that long */
        UChar *out = (UChar *)scratch_units((size_t)cap);
        int32_t len = uidna_nameToASCII(idna, (const UChar *)text.units, (int32_t)text.count, out,
                                        cap, &info, &status);
        if (U_SUCCESS(status) && len <= cap && (info.errors & ~idna_errors_ignored) == 0)
            value = string_of_units(ctx, (JSChar *)out, (size_t)len);
    }
    text_units_done(&text);
    return value;
}

void bindings_text_define(JSContextRef ctx, JSObjectRef native)
{
    static const struct binding table[] = {
        {"utf8Encode", utf8_encode},        {"utf8EncodeInto", utf8_encode_into},
        {"utf8Length", utf8_length},        {"utf8Decode", utf8_decode},
        {"latin1Encode", latin1_encode},    {"latin1Decode", latin1_decode},
        {"base64Encode", base64_encode},    {"base64Decode", base64_decode},
        {"decoderNew", decoder_new},        {"decoderPush", decoder_push},
        {"domainToASCII", domain_to_ascii}, {NULL, NULL},
    };
    bindings_table(ctx, native, table);
}
