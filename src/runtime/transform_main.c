/* SPDX-License-Identifier: Apache-2.0 */
/* `weir __transform`: bundles in, bundles with transformed modules out, until stdin ends. The
 * source is a stranger's, and is only parsed, in a process that can do nothing but read and write.
 */
#include "runtime_main.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buffer.h"
#include "engine.h"
#include "library.h"
#include "sandbox.h"

enum { BUNDLE_BYTES_MAX = 512 * 1024 * 1024 };

static bool read_full(void *dst, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t r = read(STDIN_FILENO, (char *)dst + got, len - got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return false;
        got += (size_t)r;
    }
    return true;
}

static bool write_full(const void *src, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t r = write(STDOUT_FILENO, (const char *)src + sent, len - sent);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return false;
        sent += (size_t)r;
    }
    return true;
}

static bool answer(uint32_t status, struct slice bytes)
{
    uint32_t head[2] = {status, (uint32_t)bytes.len};
    return write_full(head, sizeof(head)) && write_full(bytes.ptr, bytes.len);
}

static bool transform_one(struct engine *engine, JSObjectRef transform, uint32_t bytes)
{
    JSContextRef ctx = engine->ctx;
    char *bundle = bytes && bytes <= BUNDLE_BYTES_MAX ? malloc(bytes) : NULL;
    if (!bundle || !read_full(bundle, bytes)) {
        free(bundle);
        return false;
    }
    JSValueRef argument = engine_uint8_array_take(ctx, bundle, bytes), exception = NULL;
    JSValueRef result = JSObjectCallAsFunction(ctx, transform, NULL, 1, &argument, &exception);
    struct slice transformed;
    if (result && engine_bytes(ctx, result, &transformed))
        return answer(0, transformed);
    AUTO_TEXT text = exception ? engine_text(ctx, exception, NULL) : NULL;
    return answer(1, slice_of(text ? text : "the transform gave no bundle"));
}

int transform_main(int argc, char **argv)
{
    (void)argc;
    struct engine engine;
    struct error err = {""};
    engine_environment(argv);
    if (sandbox_drop_user(&err) < 0 || engine_start(&engine, &err) < 0 ||
        !engine_evaluate(&engine, library_transform_source(), "weir:transform", 1, &err)) {
        (void)fprintf(stderr, "weir: transform: %s\n", err.text);
        return 1;
    }
    JSValueRef space = engine_get(engine.ctx, engine.global, "weirTransform");
    JSObjectRef transform =
        JSValueIsObject(engine.ctx, space)
            ? engine_get_function(engine.ctx, (JSObjectRef)space, "transformBundle")
            : NULL;
    if (!transform) {
        (void)fprintf(stderr, "weir: transform: no function transformBundle\n");
        return 1;
    }
    sandbox_close_fds(3, NULL, 0);
    sandbox_install(sandbox_compile(SANDBOX_TRANSFORM));
    uint32_t bytes;
    while (read_full(&bytes, sizeof(bytes)))
        if (!transform_one(&engine, transform, bytes))
            return 1;
    return 0;
}
