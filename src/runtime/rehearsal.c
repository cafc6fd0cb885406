/* SPDX-License-Identifier: Apache-2.0 */
#include "rehearsal.h"

#include <errno.h>

#include "instance.h"

extern const char embedded_rehearsal_js[], embedded_rehearsal_js_end[];

static int open_stage(const struct engine *engine, struct engine *stage, struct error *err)
{
    *stage = (struct engine){.group = engine->group};
    stage->ctx = JSGlobalContextCreateInGroup(stage->group, NULL);
    if (!stage->ctx)
        return error_set(err, -ENOMEM, "no context for the rehearsal");
    stage->global = JSContextGetGlobalObject(stage->ctx);
    engine_set(stage->ctx, stage->global, "native", natives_new(stage->ctx));
    return 0;
}

/* Closes the stage. */
static int play(struct engine *stage, struct error *err)
{
    struct slice script = {embedded_rehearsal_js,
                           (size_t)(embedded_rehearsal_js_end - embedded_rehearsal_js)};
    int r = -EINVAL;
    if (engine_evaluate(stage, library_runtime_source(), "weir:runtime", 1, err) &&
        engine_evaluate(stage, script, "weir:rehearsal", 1, err)) {
        JSValueRef value = engine_get(stage->ctx, stage->global, "rehearsed");
        AUTO_TEXT said = engine_text(stage->ctx, value, NULL);
        r = said && !*said ? 0 : error_set(err, -EINVAL, "the rehearsal: %s", said ? said : "");
    }
    JSGlobalContextRelease(stage->ctx);
    return r;
}

int rehearse(const struct engine *engine, struct error *err)
{
    struct engine stage;
    int r = open_stage(engine, &stage, err);
    return r < 0 ? r : play(&stage, err);
}

int rehearse_worker(const struct engine *engine, struct slice manifest, struct slice modules,
                    struct slice path, struct error *err)
{
    struct engine stage;
    int r = open_stage(engine, &stage, err);
    if (r < 0)
        return r;
    JSObjectRef bundle = JSObjectMake(stage.ctx, NULL, NULL);
    engine_set(stage.ctx, bundle, "manifest", engine_string_utf8(stage.ctx, manifest));
    engine_set(stage.ctx, bundle, "blob", engine_uint8_array(stage.ctx, modules.ptr, modules.len));
    engine_set(stage.ctx, bundle, "path", engine_string_utf8(stage.ctx, path));
    engine_set(stage.ctx, stage.global, "bundle", bundle);
    return play(&stage, err);
}
