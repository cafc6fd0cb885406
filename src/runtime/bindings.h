/* SPDX-License-Identifier: Apache-2.0 */
/* What C does for the library because OpenSSL, ICU and the compressors do it better: text codecs,
 * cryptography, compression. Every function is synchronous and touches no request; the library
 * checks the arguments' types, these functions check what memory safety needs. */
#ifndef WEIR_BINDINGS_H
#define WEIR_BINDINGS_H

#include "engine.h"

/* Puts all of them on `native`. */
void bindings_define(JSContextRef ctx, JSObjectRef native);

/* The parts of it: text on native itself, the others on native.crypto and native.codec too. */
void bindings_text_define(JSContextRef ctx, JSObjectRef native);
void bindings_crypto_define(JSContextRef ctx, JSObjectRef native);
void bindings_codec_define(JSContextRef ctx, JSObjectRef native);

/* A table of functions, ended by a NULL name. */
struct binding {
    const char *name;
    JSObjectCallAsFunctionCallback function;
};
void bindings_table(JSContextRef ctx, JSObjectRef object, const struct binding *table);

/* A string's UTF-16 units, valid until text_units_done. False: the conversion threw. */
struct text_units {
    JSStringRef string;
    const JSChar *units;
    size_t count;
};
bool text_units_of(JSContextRef ctx, JSValueRef value, struct text_units *ret_text,
                   JSValueRef *exception);
void text_units_done(struct text_units *text);

/* The string's UTF-8 (lone surrogates become U+FFFD), malloc'ed, not NUL-terminated; NULL when the
 * conversion threw. */
char *text_utf8(JSContextRef ctx, JSValueRef value, size_t *ret_bytes, JSValueRef *exception);

#endif
