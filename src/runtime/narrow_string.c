/* SPDX-License-Identifier: Apache-2.0 */
#include "narrow_string.h"

#include <dlfcn.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

/* WTF::StringImpl */
struct string_impl {
    uint32_t references;
    uint32_t length;
    const void *characters;
    uint32_t hash_and_flags;
};
enum { FLAG_NARROW = 1 << 2 };

/* OpaqueJSString */
struct opaque_string {
    uint32_t references;
    const struct string_impl *impl; /* NULL: the empty or the null string */
};

/* Results that C++ returns by way of a hidden pointer. A WTF::String is one pointer to its impl,
 * which tryCreate(WTF::String&&) takes over. */
typedef void *create_impl_fn(struct string_impl **ret_impl, const void *bytes, size_t len);
typedef void *create_string_fn(JSStringRef *ret_string, struct string_impl **impl);

static struct {
    bool works;
    create_impl_fn *create_impl;
    create_string_fn *create_string;
} narrow;

bool narrow_string_bytes(JSStringRef string, struct slice *ret_bytes)
{
    if (!narrow.works)
        return false;
    const struct string_impl *impl = ((const struct opaque_string *)(const void *)string)->impl;
    if (!impl || !(impl->hash_and_flags & FLAG_NARROW))
        return false;
    *ret_bytes = (struct slice){impl->characters, impl->length};
    return true;
}

JSStringRef narrow_string_new(struct slice bytes)
{
    struct string_impl *impl = NULL;
    JSStringRef string = NULL;
    if (!narrow.works || bytes.len == 0 || bytes.len > INT32_MAX)
        return NULL;
    (void)narrow.create_impl(&impl, bytes.ptr, bytes.len);
    (void)narrow.create_string(&string, &impl);
    return string;
}

static bool is_narrow(JSStringRef string, const char *text, size_t len)
{
    struct slice bytes;
    return JSStringGetLength(string) == len && narrow_string_bytes(string, &bytes) &&
           bytes.len == len && memcmp(bytes.ptr, text, len) == 0;
}

/* Every way in and out, against the public interface. */
static bool try_all(void)
{
    static const char text[] = "narrow", latin1[] = "caf\xe9\0\xff";
    static const JSChar wide[] = {'w', 0x263a};
    struct slice bytes;
    JSStringRef ascii = JSStringCreateWithUTF8CString(text);
    JSStringRef utf16 = JSStringCreateWithCharacters(wide, ARRAY_LEN(wide));
    if (!is_narrow(ascii, text, strlen(text)) || narrow_string_bytes(utf16, &bytes))
        return false;
    for (int i = 0; i < 100; i++) {
        JSStringRef made = narrow_string_new((struct slice){latin1, sizeof(latin1) - 1});
        if (!made || !is_narrow(made, latin1, sizeof(latin1) - 1))
            return false;
        const JSChar *units = JSStringGetCharactersPtr(made);
        for (size_t at = 0; at < sizeof(latin1) - 1; at++)
            if (units[at] != (unsigned char)latin1[at])
                return false;
        JSStringRelease(made);
    }
    JSStringRelease(ascii);
    JSStringRelease(utf16);
    return true;
}

void narrow_string_probe(void)
{
    *(void **)&narrow.create_impl =
        dlsym(RTLD_DEFAULT, "_ZN3WTF10StringImpl6createESt4spanIKhLm18446744073709551615EE");
    *(void **)&narrow.create_string =
        dlsym(RTLD_DEFAULT, "_ZN14OpaqueJSString9tryCreateEON3WTF6StringE");
    if (!narrow.create_impl || !narrow.create_string)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit no_core = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &no_core);
        narrow.works = true;
        _exit(try_all() ? 0 : 1);
    }
    int status = 1;
    narrow.works = pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}
