/* SPDX-License-Identifier: Apache-2.0 */
/* Facts that this file rests on (measured, JavaScriptCore 2.50.6): with the options below and the
 * allocator's scavenger suspended before the first virtual machine, the engine makes no second
 * thread, so a template can be forked at any time; throughput is that of the default options. With
 * the Gigacage off, RLIMIT_AS works: out of memory is a RangeError and not a crash. */
#include "engine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "buffer.h"
#include "control.h"
#include "jsc_private.h"
#include "narrow_string.h"

enum {
    ROOM_BYTES_MIN = 8 * 1024 * 1024, /* nearly all of the limit is in use: not at every turn */
    ROOM_BYTES_MAX = 256 * 1024 * 1024,
    ROOM_CHECK_US = 2000, /* of CPU time, in which a few MB are touched at most */
};

static struct {
    size_t limit_bytes;
    uint64_t checked_us; /* thread CPU time */
    long faults;         /* at the last collection of ours */
    size_t room_bytes;   /* that may be touched from then on */
} memory = {.limit_bytes = 32 * 1024 * 1024, .room_bytes = 16 * 1024 * 1024};

char *const engine_environ[] = {
    "GIGACAGE_ENABLED=0",
    "JSC_useConcurrentJIT=0",
    "JSC_useConcurrentGC=0",
    "JSC_numberOfGCMarkers=1",
    /* Twice a worker's usual limit. By what the machine has, the heap may grow fourfold between two
     * collections of 100 MB. */
    "JSC_forceRAMSize=268435456",
    "JSC_usePollingTraps=1", /* the other way of stopping a loop, by signals, hangs in warm code */
    /* The last compiler is for loops alone. A function that is merely called often, as all of a
     * server's are, would stop every request for the 5 to 30 ms that it takes, hundreds of times.
     */
    "JSC_ftlTierUpCounterIncrementForReturn=0",
    "JSC_useTailCalls=0", /* a frame that called last is missed in stacks, and by who reads them */
    "MALLOC_ARENA_MAX=1", /* the watchdog's thread needs no 128 MB of address space of its own */
    "TZ=UTC",
    "LANG=C.UTF-8",
    NULL,
};

void engine_environment(char **argv)
{
    const char *gigacage = getenv("GIGACAGE_ENABLED"), *jit = getenv("JSC_useConcurrentJIT");
    if (gigacage && jit && strcmp(gigacage, "0") == 0 && strcmp(jit, "0") == 0)
        return;
    AUTO_TEXT name = xasprintf("%s", argv[0]);
    /* main.c shifted the hidden process name to argv[0]. */
    char *again[64] = {"weir", name};
    int count = 2;
    for (int i = 1; argv[i] && count < (int)ARRAY_LEN(again) - 1; i++)
        again[count++] = argv[i];
    (void)execve("/proc/self/exe", again, engine_environ);
    perror("weir: cannot execute itself again");
    _exit(1);
}

static struct sigaction engine_on_segv, engine_on_bus;

/* As if nobody had caught it; returns to where it was raised, when a handler of it is on the way.
 */
static void end_by_signal(int signal_number)
{
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number); /* blocked until the handler returns */
    if (getpid() == 1)          /* the init of a namespace does not end by that */
        _exit(128 + signal_number);
}

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    if (info->si_code <= 0) { /* sent by a process: there is no instruction to fault again */
        end_by_signal(signal_number);
        return;
    }
    const struct sigaction *engine = signal_number == SIGSEGV ? &engine_on_segv : &engine_on_bus;
    if (engine->sa_flags & SA_SIGINFO)
        engine->sa_sigaction(signal_number, info, context);
    else
        (void)signal(signal_number, SIG_DFL);
}

/* Where memory runs out and no exception can be thrown any more, the engine aborts. That is no
 * crash of its own making if half of the memory is gone: whoever asks later is told one from the
 * other. */
static void on_abort(int signal_number)
{
    void *probe = mmap(NULL, memory.limit_bytes / 2, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (probe == MAP_FAILED)
        _exit(EXIT_OUT_OF_MEMORY);
    end_by_signal(signal_number);
}

/* The engine's handlers take a fault that is not theirs as one that will come again: they restore
 * the default action and return. A signal that was sent would be swallowed that way. */
static void end_by_sent_faults(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    (void)sigaction(SIGSEGV, &action, &engine_on_segv);
    (void)sigaction(SIGBUS, &action, &engine_on_bus);
    static const int aborts[] = {SIGABRT, SIGILL, SIGTRAP};
    for (size_t i = 0; i < ARRAY_LEN(aborts); i++) {
        struct sigaction abort_action = {.sa_handler = on_abort};
        (void)sigaction(aborts[i], &abort_action, NULL);
    }
}

/* The allocator says on stderr, at its first use, that the Gigacage is off; that is our choice and
 * nobody's news. */
static void start_allocator_quietly(void)
{
    AUTO_FD old = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    AUTO_FD null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (old >= 0 && null >= 0)
        (void)dup2(null, STDERR_FILENO);
    JSStringRelease(JSStringCreateWithUTF8CString(""));
    if (old >= 0)
        (void)dup2(old, STDERR_FILENO);
}

int engine_start(struct engine *engine, struct error *err)
{
    int r = jsc_private_load(err);
    if (r < 0)
        return r;
    start_allocator_quietly();
    narrow_string_probe();
    jsc_private.disable_gc_timer();
    if (jsc_private.scavenger_suspend)
        jsc_private.scavenger_suspend();
    engine->group = JSContextGroupCreate();
    engine->ctx = JSGlobalContextCreateInGroup(engine->group, NULL);
    if (!engine->ctx)
        return error_set(err, -ENOMEM, "cannot start the JavaScript engine");
    engine->global = JSContextGetGlobalObject(engine->ctx);
    end_by_sent_faults();
    return 0;
}

/* How much may be touched until garbage is collected, where so much is left. */
static size_t room_of(size_t left_bytes)
{
    size_t room = left_bytes / 2;
    return room < ROOM_BYTES_MIN ? ROOM_BYTES_MIN : room > ROOM_BYTES_MAX ? ROOM_BYTES_MAX : room;
}

void engine_tell_memory_limit(size_t bytes_max)
{
    memory.limit_bytes = bytes_max;
    memory.room_bytes = room_of(bytes_max);
}

bool engine_is_out_of_memory(const char *exception_text)
{
    static const char text[] = "RangeError: Out of memory";
    return strncmp(exception_text, text, sizeof(text) - 1) == 0;
}

void engine_drop_termination(struct engine *engine)
{
    (void)engine_get(engine->ctx, engine->global, "undefined"); /* runs no code; clears it */
}

void engine_compact(struct engine *engine)
{
    jsc_private.collect(engine->ctx);
    if (jsc_private.scavenger_run)
        jsc_private.scavenger_run();
}

/* Each page that is touched first, or again after it was given back, is one. */
static long faults_now(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_minflt : 0;
}

static size_t heap_bytes(JSContextRef ctx)
{
    static const char *const parts[] = {"heapSize", "extraMemorySize"};
    JSObjectRef statistics = jsc_private.memory_statistics(ctx);
    double bytes = 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        JSValueRef part = engine_get(ctx, statistics, parts[i]);
        bytes += JSValueIsNumber(ctx, part) ? JSValueToNumber(ctx, part, NULL) : 0;
    }
    return (size_t)bytes;
}

void engine_keep_room(struct engine *engine, uint64_t cpu_us)
{
    if (cpu_us - memory.checked_us < ROOM_CHECK_US)
        return;
    memory.checked_us = cpu_us;
    size_t touched = (size_t)(faults_now() - memory.faults) * (size_t)sysconf(_SC_PAGESIZE);
    if (touched < memory.room_bytes)
        return;
    engine_compact(engine);
    memory.faults = faults_now();
    size_t used = heap_bytes(engine->ctx),
           left = used < memory.limit_bytes ? memory.limit_bytes - used : 0;
    memory.room_bytes = room_of(left);
}

static JSStringRef string_of(const char *text)
{
    return JSStringCreateWithUTF8CString(text);
}

static bool is_ascii(struct slice bytes)
{
    unsigned char any = 0;
    for (size_t i = 0; i < bytes.len; i++)
        any |= (unsigned char)bytes.ptr[i];
    return any < 0x80;
}

/* NUL-terminated copies for the C API, which knows no lengths; grows to the largest seen. */
static struct buffer scratch;

JSValueRef engine_string_latin1(JSContextRef ctx, struct slice bytes)
{
    JSStringRef string = narrow_string_new(bytes);
    if (string) {
        /* made */
    } else if (is_ascii(bytes) && !memchr(bytes.ptr, 0, bytes.len)) {
        scratch.start = scratch.end = 0;
        char *room = buffer_reserve(&scratch, bytes.len + 1);
        memcpy(room, bytes.ptr, bytes.len);
        room[bytes.len] = 0;
        string = JSStringCreateWithUTF8CString(room);
    } else {
        JSChar *wide = xcalloc(bytes.len + 1, sizeof(*wide));
        for (size_t i = 0; i < bytes.len; i++)
            wide[i] = (unsigned char)bytes.ptr[i];
        string = JSStringCreateWithCharacters(wide, bytes.len);
        free(wide);
    }
    JSValueRef value = JSValueMakeString(ctx, string);
    JSStringRelease(string);
    return value;
}

/* Decodes UTF-8 into UTF-16 as the Encoding Standard does: maximal subparts become U+FFFD.
 * wide has room for bytes.len units. */
static size_t utf8_to_utf16(struct slice bytes, JSChar *wide)
{
    const unsigned char *p = (const unsigned char *)bytes.ptr, *end = p + bytes.len;
    size_t count = 0;
    while (p < end) {
        unsigned lead = *p++;
        if (lead < 0x80) {
            wide[count++] = (JSChar)lead;
            continue;
        }
        unsigned lower = 0x80, upper = 0xbf, need = 0, code = 0;
        if (lead >= 0xc2 && lead <= 0xdf) {
            need = 1, code = lead & 0x1f;
        } else if (lead >= 0xe0 && lead <= 0xef) {
            need = 2, code = lead & 0xf;
            lower = lead == 0xe0 ? 0xa0 : 0x80;
            upper = lead == 0xed ? 0x9f : 0xbf;
        } else if (lead >= 0xf0 && lead <= 0xf4) {
            need = 3, code = lead & 7;
            lower = lead == 0xf0 ? 0x90 : 0x80;
            upper = lead == 0xf4 ? 0x8f : 0xbf;
        }
        bool valid = need > 0;
        for (; valid && need > 0; need--, lower = 0x80, upper = 0xbf) {
            if (p == end || *p < lower || *p > upper)
                valid = false;
            else
                code = code << 6 | (*p++ & 0x3f);
        }
        if (!valid) {
            wide[count++] = 0xfffd;
        } else if (code < 0x10000) {
            wide[count++] = (JSChar)code;
        } else {
            wide[count++] = (JSChar)(0xd800 + ((code - 0x10000) >> 10));
            wide[count++] = (JSChar)(0xdc00 + ((code - 0x10000) & 0x3ff));
        }
    }
    return count;
}

JSValueRef engine_string_utf8(JSContextRef ctx, struct slice bytes)
{
    if (is_ascii(bytes))
        return engine_string_latin1(ctx, bytes);
    JSChar *wide = xcalloc(bytes.len + 1, sizeof(*wide));
    JSStringRef string = JSStringCreateWithCharacters(wide, utf8_to_utf16(bytes, wide));
    free(wide);
    JSValueRef value = JSValueMakeString(ctx, string);
    JSStringRelease(string);
    return value;
}

JSValueRef engine_string(JSContextRef ctx, const char *text)
{
    return engine_string_utf8(ctx, slice_of(text));
}

static char *text_of_string(JSStringRef string)
{
    size_t cap = JSStringGetMaximumUTF8CStringSize(string);
    char *text = xcalloc(1, cap);
    (void)JSStringGetUTF8CString(string, text, cap);
    return text;
}

char *engine_text(JSContextRef ctx, JSValueRef value, JSValueRef *exception)
{
    JSStringRef string = JSValueToStringCopy(ctx, value, exception);
    if (!string)
        return NULL;
    char *text = text_of_string(string);
    JSStringRelease(string);
    return text;
}

static void append_narrow_as_utf8(struct slice bytes, struct buffer *buffer)
{
    unsigned char *to = (unsigned char *)buffer_reserve(buffer, 2 * bytes.len), *start = to;
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        if (c >= 0x80) {
            *to++ = (unsigned char)(0xc0 | c >> 6);
            c = 0x80 | (c & 0x3f);
        }
        *to++ = c;
    }
    buffer->end += (size_t)(to - start);
}

void engine_append_utf8(JSContextRef ctx, JSValueRef value, struct buffer *buffer)
{
    JSStringRef string = JSValueToStringCopy(ctx, value, NULL);
    struct slice narrow;
    if (!string)
        return;
    if (narrow_string_bytes(string, &narrow)) {
        if (is_ascii(narrow))
            buffer_append_slice(buffer, narrow);
        else
            append_narrow_as_utf8(narrow, buffer);
        JSStringRelease(string);
        return;
    }
    size_t cap = JSStringGetMaximumUTF8CStringSize(string);
    size_t bytes = JSStringGetUTF8CString(string, buffer_reserve(buffer, cap), cap);
    buffer->end += bytes ? bytes - 1 : 0; /* the NUL is counted */
    JSStringRelease(string);
}

void engine_append_latin1(JSContextRef ctx, JSValueRef value, struct buffer *buffer)
{
    JSStringRef string = JSValueToStringCopy(ctx, value, NULL);
    struct slice narrow;
    if (!string)
        return;
    if (narrow_string_bytes(string, &narrow)) {
        buffer_append_slice(buffer, narrow);
        JSStringRelease(string);
        return;
    }
    size_t len = JSStringGetLength(string), cap = JSStringGetMaximumUTF8CStringSize(string);
    char *room = buffer_reserve(buffer, cap);
    size_t bytes = JSStringGetUTF8CString(string, room, cap);
    if (bytes != len + 1) { /* not ASCII: narrow the characters one by one */
        const JSChar *wide = JSStringGetCharactersPtr(string);
        for (size_t i = 0; i < len; i++)
            room[i] = wide[i] < 0x100 ? (char)wide[i] : '?';
    }
    buffer->end += len;
    JSStringRelease(string);
}

/* Buffers that the engine has refused to give: WebAssembly's. Asking again costs an exception with
 * its stack, for which it looks up symbols. Weak references: another buffer may come to be at the
 * address of one that was collected. */
static struct {
    struct OpaqueJSWeak *buffers[4];
    unsigned next;
} refused;

static void remember_refused(JSContextRef ctx, JSObjectRef buffer)
{
    struct OpaqueJSWeak **place = &refused.buffers[refused.next++ % ARRAY_LEN(refused.buffers)];
    JSContextGroupRef group = JSContextGetGroup(ctx);
    if (*place)
        jsc_private.weak_release(group, *place);
    *place = jsc_private.weak_create(group, buffer);
}

/* NULL: the engine does not give it. */
static char *pointer_of(JSContextRef ctx, JSObjectRef buffer)
{
    JSValueRef exception = NULL;
    for (size_t i = 0; i < ARRAY_LEN(refused.buffers); i++)
        if (refused.buffers[i] && jsc_private.weak_get(refused.buffers[i]) == buffer)
            return NULL;
    char *start = JSObjectGetArrayBufferBytesPtr(ctx, buffer, &exception);
    if (exception)
        remember_refused(ctx, buffer);
    return start;
}

/* ptr NULL: the engine does not give it. */
static bool find_bytes(JSContextRef ctx, JSValueRef value, struct slice *ret_bytes)
{
    JSTypedArrayType type = JSValueGetTypedArrayType(ctx, value, NULL);
    if (type == kJSTypedArrayTypeNone)
        return false;
    JSObjectRef object = (JSObjectRef)value;
    if (type == kJSTypedArrayTypeArrayBuffer) {
        ret_bytes->ptr = pointer_of(ctx, object);
        ret_bytes->len = JSObjectGetArrayBufferByteLength(ctx, object, NULL);
    } else {
        /* The pointer is the buffer's start on some versions and the view's on others: ask the
         * buffer. */
        JSObjectRef backing = JSObjectGetTypedArrayBuffer(ctx, object, NULL);
        char *start = backing ? pointer_of(ctx, backing) : NULL;
        ret_bytes->len = JSObjectGetTypedArrayByteLength(ctx, object, NULL);
        ret_bytes->ptr = start ? start + JSObjectGetTypedArrayByteOffset(ctx, object, NULL) : NULL;
    }
    if (!ret_bytes->ptr && ret_bytes->len == 0)
        ret_bytes->ptr = "";
    return true;
}

static struct {
    JSObjectRef copy;
    JSValueRef kept[16]; /* copies in use: more than any native takes */
    unsigned next;
} copies;

void engine_copy_with(JSContextRef ctx, JSObjectRef copy)
{
    copies.copy = copy;
    JSValueProtect(ctx, copy);
}

void engine_forget_copies(JSContextRef ctx)
{
    for (size_t i = 0; i < ARRAY_LEN(copies.kept); i++)
        if (copies.kept[i])
            JSValueUnprotect(ctx, TAKE(copies.kept[i]));
}

bool engine_bytes(JSContextRef ctx, JSValueRef value, struct slice *ret_bytes)
{
    if (!find_bytes(ctx, value, ret_bytes))
        return false;
    if (ret_bytes->ptr)
        return true;
    JSValueRef *place = &copies.kept[copies.next++ % ARRAY_LEN(copies.kept)];
    if (*place)
        JSValueUnprotect(ctx, *place);
    *place = copies.copy ? JSObjectCallAsFunction(ctx, copies.copy, NULL, 1, &value, NULL) : NULL;
    if (!*place || !find_bytes(ctx, *place, ret_bytes) || !ret_bytes->ptr) {
        *place = NULL;
        return false;
    }
    JSValueProtect(ctx, *place);
    return true;
}

bool engine_bytes_in_place(JSContextRef ctx, JSValueRef value, struct slice *ret_bytes)
{
    return find_bytes(ctx, value, ret_bytes) && ret_bytes->ptr;
}

static void free_bytes(void *bytes, void *context)
{
    (void)context;
    free(bytes);
}

JSValueRef engine_uint8_array_take(JSContextRef ctx, void *bytes, size_t len)
{
    return JSObjectMakeTypedArrayWithBytesNoCopy(ctx, kJSTypedArrayTypeUint8Array, bytes, len,
                                                 free_bytes, NULL, NULL);
}

JSValueRef engine_uint8_array_on(JSContextRef ctx, struct slice bytes)
{
    return JSObjectMakeTypedArrayWithBytesNoCopy(ctx, kJSTypedArrayTypeUint8Array,
                                                 (void *)(uintptr_t)bytes.ptr, bytes.len, NULL,
                                                 NULL, NULL);
}

JSValueRef engine_uint8_array(JSContextRef ctx, const void *bytes, size_t len)
{
    JSObjectRef array = JSObjectMakeTypedArray(ctx, kJSTypedArrayTypeUint8Array, len, NULL);
    if (array && len > 0)
        memcpy(JSObjectGetTypedArrayBytesPtr(ctx, array, NULL), bytes, len);
    return array ? array : JSValueMakeUndefined(ctx);
}

void engine_set(JSContextRef ctx, JSObjectRef object, const char *name, JSValueRef value)
{
    JSStringRef key = string_of(name);
    JSObjectSetProperty(ctx, object, key, value, kJSPropertyAttributeNone, NULL);
    JSStringRelease(key);
}

JSValueRef engine_get(JSContextRef ctx, JSObjectRef object, const char *name)
{
    JSStringRef key = string_of(name);
    JSValueRef value = JSObjectGetProperty(ctx, object, key, NULL);
    JSStringRelease(key);
    return value ? value : JSValueMakeUndefined(ctx);
}

JSObjectRef engine_get_function(JSContextRef ctx, JSObjectRef object, const char *name)
{
    JSValueRef value = engine_get(ctx, object, name);
    if (!JSValueIsObject(ctx, value) || !JSObjectIsFunction(ctx, (JSObjectRef)value))
        return NULL;
    JSValueProtect(ctx, value);
    return (JSObjectRef)value;
}

void engine_define_function(JSContextRef ctx, JSObjectRef object, const char *name,
                            JSObjectCallAsFunctionCallback function)
{
    JSStringRef key = string_of(name);
    JSObjectRef value = JSObjectMakeFunctionWithCallback(ctx, key, function);
    JSObjectSetProperty(ctx, object, key, value, kJSPropertyAttributeNone, NULL);
    JSStringRelease(key);
}

char *engine_exception_text(JSContextRef ctx, JSValueRef exception)
{
    AUTO_TEXT head = engine_text(ctx, exception, NULL);
    AUTO_TEXT stack = NULL;
    if (JSValueIsObject(ctx, exception)) {
        JSValueRef value = engine_get(ctx, (JSObjectRef)exception, "stack");
        if (JSValueIsString(ctx, value))
            stack = engine_text(ctx, value, NULL);
    }
    return xasprintf("%s%s%s", head ? head : "exception", stack && *stack ? "\n" : "",
                     stack ? stack : "");
}

JSValueRef engine_evaluate(struct engine *engine, struct slice source, const char *name, int line,
                           struct error *err)
{
    JSValueRef code = engine_string_utf8(engine->ctx, source);
    JSStringRef script = JSValueToStringCopy(engine->ctx, code, NULL), url = string_of(name);
    JSValueRef exception = NULL;
    JSValueRef value = JSEvaluateScript(engine->ctx, script, NULL, url, line, &exception);
    JSStringRelease(script);
    JSStringRelease(url);
    if (value)
        return value;
    AUTO_TEXT text = engine_exception_text(engine->ctx, exception);
    (void)error_set(err, -EINVAL, "%s: %s", name, text);
    return NULL;
}

JSValueRef engine_throw(JSContextRef ctx, JSValueRef *exception, const char *class_name,
                        const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    JSValueRef message = engine_string(ctx, text);
    JSObjectRef global = JSContextGetGlobalObject(ctx);
    JSValueRef class = engine_get(ctx, global, class_name);
    if (JSValueIsObject(ctx, class) && JSObjectIsConstructor(ctx, (JSObjectRef) class))
        *exception = JSObjectCallAsConstructor(ctx, (JSObjectRef) class, 1, &message, NULL);
    if (!*exception)
        *exception = JSObjectMakeError(ctx, 1, &message, NULL);
    return JSValueMakeUndefined(ctx);
}

double engine_number(JSContextRef ctx, size_t argc, const JSValueRef argv[], size_t index,
                     double fallback)
{
    return index < argc ? JSValueToNumber(ctx, argv[index], NULL) : fallback;
}
