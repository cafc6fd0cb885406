/* SPDX-License-Identifier: Apache-2.0 */
/* The engine keeps strings of characters up to U+00FF as one byte each, but its C interface only
 * takes and gives UTF-8 and UTF-16: a conversion each way, which for a large body cost ten times
 * what sending it does. This looks inside instead, at what the library exports without declaring it
 * and at the layout of two of its classes. Whether they are as we think is tried at start, in a
 * process of its own; if not, everything goes by the public interface and is merely slower. */
#ifndef WEIR_NARROW_STRING_H
#define WEIR_NARROW_STRING_H

#include <JavaScriptCore/JavaScript.h>
#include <stdbool.h>

#include "slice.h"

/* Tries it. Before the process has a second thread; needs fork. */
void narrow_string_probe(void);

/* The characters of a string kept one byte each, borrowed until its release. False: it is kept in
 * UTF-16, or nobody knows. */
bool narrow_string_bytes(JSStringRef string, struct slice *ret_bytes);
/* A string of one character a byte; NULL: not possible here. Released by the caller. */
JSStringRef narrow_string_new(struct slice bytes);

#endif
