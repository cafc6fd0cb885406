/* SPDX-License-Identifier: Apache-2.0 */
#include "rehearsal.h"

#include <errno.h>

#include "instance.h"

extern const char embedded_rehearsal_js[], embedded_rehearsal_js_end[];

int rehearse(const struct engine *engine, struct error *err)
{
    struct slice script = {embedded_rehearsal_js,
                           (size_t)(embedded_rehearsal_js_end - embedded_rehearsal_js)};
    struct engine stage = {.group = engine->group};
    int r = -EINVAL;
    stage.ctx = JSGlobalContextCreateInGroup(stage.group, NULL);
    if (!stage.ctx)
        return error_set(err, -ENOMEM, "no context for the rehearsal");
    stage.global = JSContextGetGlobalObject(stage.ctx);
    engine_set(stage.ctx, stage.global, "native", natives_new(stage.ctx));
    if (engine_evaluate(&stage, library_runtime_source(), "weir:runtime", 1, err) &&
        engine_evaluate(&stage, script, "weir:rehearsal", 1, err)) {
        JSValueRef value = engine_get(stage.ctx, stage.global, "rehearsed");
        AUTO_TEXT said = engine_text(stage.ctx, value, NULL);
        r = said && !*said ? 0 : error_set(err, -EINVAL, "the rehearsal: %s", said ? said : "");
    }
    JSGlobalContextRelease(stage.ctx);
    return r;
}
