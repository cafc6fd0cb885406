/* SPDX-License-Identifier: Apache-2.0 */
/* The JavaScript engine: one virtual machine and one context a process, single-threaded, and the
 * few helpers that our C uses to talk to it. Values are not retained unless said so: the engine
 * finds those on the C stack. */
#ifndef WEIR_ENGINE_H
#define WEIR_ENGINE_H

#include <JavaScriptCore/JavaScript.h>
#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "jsc_private.h"
#include "slice.h"

/* The engine reads its options from the environment when it starts, and they decide whether it ever
 * makes a second thread (then nothing could fork it). Executes this program again with the right
 * environment, and nothing else in it, unless it is there already. Call first in main. */
void engine_environment(char **argv);
/* NULL-terminated, for a parent that starts such a process. */
extern char *const engine_environ[];

struct engine {
    JSContextGroupRef group;
    JSGlobalContextRef ctx;
    JSObjectRef global;
};

/* Starts the engine (about 3 ms). 0 or negative errno. */
int engine_start(struct engine *engine, struct error *err) WARN_UNUSED;

/* The limit that holds for this process now: by it an abort is told from lack of memory. */
void engine_tell_memory_limit(size_t bytes_max);
/* Is it the text of what the engine throws when memory has run out? */
bool engine_is_out_of_memory(const char *exception_text);
/* After a turn was terminated. In a microtask nobody took the exception out of the engine, and the
 * next call would abort. */
void engine_drop_termination(struct engine *engine);
/* Collects garbage and gives free memory back to the system: before a fork, and when idle. */
void engine_compact(struct engine *engine);
/* The same, where so many pages were touched since the last time that the memory limit may be near:
 * the engine itself knows no limit, and is dead when it reaches one. Between turns, or where the
 * watchdog asks; cpu_us is the thread's CPU time. */
void engine_keep_room(struct engine *engine, uint64_t cpu_us);

/* Evaluates a script; NULL on an exception, told in err (name: message, stack). */
JSValueRef engine_evaluate(struct engine *engine, struct slice source, const char *name, int line,
                           struct error *err);
/* An exception as text: "TypeError: message\n  stack". malloc'ed. */
char *engine_exception_text(JSContextRef ctx, JSValueRef exception);

/* object.name = a function; for what C offers to JavaScript. */
void engine_define_function(JSContextRef ctx, JSObjectRef object, const char *name,
                            JSObjectCallAsFunctionCallback function);
void engine_set(JSContextRef ctx, JSObjectRef object, const char *name, JSValueRef value);
/* undefined when missing. */
JSValueRef engine_get(JSContextRef ctx, JSObjectRef object, const char *name);
/* NULL when it is no function. Protected from collection. */
JSObjectRef engine_get_function(JSContextRef ctx, JSObjectRef object, const char *name);

/* Strings from bytes. latin1: one character a byte (as header fields are); utf8: lossy, U+FFFD. */
JSValueRef engine_string_latin1(JSContextRef ctx, struct slice bytes);
JSValueRef engine_string_utf8(JSContextRef ctx, struct slice bytes);
JSValueRef engine_string(JSContextRef ctx, const char *text);

/* The value as text. UTF-8 with NUL, malloc'ed; NULL when conversion throws. */
char *engine_text(JSContextRef ctx, JSValueRef value, JSValueRef *exception);
/* Appends the string's latin-1 (characters above U+00FF become '?') or UTF-8 bytes. */
struct buffer;
void engine_append_latin1(JSContextRef ctx, JSValueRef string, struct buffer *buffer);
void engine_append_utf8(JSContextRef ctx, JSValueRef string, struct buffer *buffer);

/* Bytes of an ArrayBuffer or a view on one, borrowed until JavaScript runs. False: neither. They
 * are a copy where the memory is WebAssembly's: the engine gives no pointer to that which would
 * survive its growth. */
bool engine_bytes(JSContextRef ctx, JSValueRef value, struct slice *ret_bytes);
/* The same to write to: false, too, for WebAssembly's memory. */
bool engine_bytes_in_place(JSContextRef ctx, JSValueRef value, struct slice *ret_bytes);
/* The library's function that makes such a copy. */
void engine_copy_with(JSContextRef ctx, JSObjectRef copy);
/* Copies that nobody uses any more. */
void engine_forget_copies(JSContextRef ctx);
/* A new Uint8Array with a copy of the bytes. */
JSValueRef engine_uint8_array(JSContextRef ctx, const void *bytes, size_t len);
/* A new Uint8Array that owns `bytes` (malloc'ed). */
JSValueRef engine_uint8_array_take(JSContextRef ctx, void *bytes, size_t len);
/* One on the bytes themselves, which outlive the engine. */
JSValueRef engine_uint8_array_on(JSContextRef ctx, struct slice bytes);

/* Sets *exception to a new error of the named class ("TypeError", "RangeError" …) and returns
 * undefined, for `return engine_throw(…)` in a callback. */
JSValueRef engine_throw(JSContextRef ctx, JSValueRef *exception, const char *class_name,
                        const char *format, ...) PRINTF_LIKE(4, 5);

/* Number of an argument, or fallback when it is missing. */
double engine_number(JSContextRef ctx, size_t argc, const JSValueRef argv[], size_t index,
                     double fallback);

/* A callback: ENGINE_FUNCTION(name) { … }. It holds the engine's lock all the time: each call of
 * the engine's interface takes it, and only the outermost pays for it. */
#define ENGINE_CALLBACK(name)                                                                      \
    static JSValueRef name(JSContextRef ctx, JSObjectRef function, JSObjectRef this_object,        \
                           size_t argc, const JSValueRef argv[], JSValueRef *exception)
#define ENGINE_FUNCTION(name)                                                                      \
    ENGINE_CALLBACK(name##_holding);                                                               \
    ENGINE_CALLBACK(name)                                                                          \
    {                                                                                              \
        jsc_private.lock(ctx);                                                                     \
        JSValueRef value = name##_holding(ctx, function, this_object, argc, argv, exception);      \
        jsc_private.unlock(ctx);                                                                   \
        return value;                                                                              \
    }                                                                                              \
    ENGINE_CALLBACK(name##_holding)

#endif
