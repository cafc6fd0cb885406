/* SPDX-License-Identifier: Apache-2.0 */
#include "library.h"

#include <errno.h>

extern const char embedded_runtime_js[], embedded_runtime_js_end[];
extern const char embedded_transform_js[], embedded_transform_js_end[];

struct slice library_runtime_source(void)
{
    return (struct slice){embedded_runtime_js,
                          (size_t)(embedded_runtime_js_end - embedded_runtime_js)};
}

struct slice library_transform_source(void)
{
    return (struct slice){embedded_transform_js,
                          (size_t)(embedded_transform_js_end - embedded_transform_js)};
}

int library_start(struct library *library, struct engine *engine, JSObjectRef native,
                  struct error *err)
{
    JSContextRef ctx = engine->ctx;
    /* The script's value is the library's namespace: nothing of it stays on the global object. */
    if (!engine_evaluate(engine, library_runtime_source(), "weir:runtime", 1, err))
        return -EINVAL;
    JSValueRef space = engine_get(ctx, engine->global, "weirRuntime");
    JSObjectRef start =
        JSValueIsObject(ctx, space) ? engine_get_function(ctx, (JSObjectRef)space, "start") : NULL;
    if (!start)
        return error_set(err, -EINVAL, "weir:runtime: no function start");
    JSValueRef exception = NULL, argument = native;
    JSValueRef hooks = JSObjectCallAsFunction(ctx, start, NULL, 1, &argument, &exception);
    if (!hooks || !JSValueIsObject(ctx, hooks)) {
        AUTO_TEXT text = exception ? engine_exception_text(ctx, exception) : xstrdup("no hooks");
        return error_set(err, -EINVAL, "weir:runtime: %s", text);
    }
#define X(field, name)                                                                             \
    library->field = engine_get_function(ctx, (JSObjectRef)hooks, name);                           \
    if (!library->field)                                                                           \
        return error_set(err, -EINVAL, "weir:runtime: no hook %s", name);
    LIBRARY_HOOKS(X)
#undef X
    JSStringRef name = JSStringCreateWithUTF8CString("weirRuntime");
    (void)JSObjectDeleteProperty(ctx, engine->global, name, NULL);
    JSStringRelease(name);
    return 0;
}
