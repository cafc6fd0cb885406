/* SPDX-License-Identifier: Apache-2.0 */
/* `weir __shell [--rehearse] FILE…`: the platform library with scripts, for tests: no worker, no
 * channels, no sandbox. Scripts run as at request time; `print(text)` writes a line; the process
 * ends when no timer is left, with 1 if a script threw. Scripts see what the library shares with C
 * as `native` and `hooks`, so that a test can boot a bundle and stand in for the gateway. */
#include "runtime_main.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "instance.h"
#include "rehearsal.h"

static bool read_file(const char *path, struct buffer *ret_text)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!file)
        return false;
    for (;;) {
        size_t got = fread(buffer_reserve(ret_text, 64 * 1024), 1, 64 * 1024, file);
        ret_text->end += got;
        if (got == 0)
            break;
    }
    if (file != stdin)
        (void)fclose(file);
    return true;
}

ENGINE_FUNCTION(print)
{
    AUTO_TEXT text = argc > 0 ? engine_text(ctx, argv[0], exception) : NULL;
    if (text) {
        (void)puts(text);
        (void)fflush(stdout);
    }
    return JSValueMakeUndefined(ctx);
}

static void expose_library(struct engine *engine)
{
    JSObjectRef hooks = JSObjectMake(engine->ctx, NULL, NULL);
#define X(field, name) engine_set(engine->ctx, hooks, name, instance.library.field);
    LIBRARY_HOOKS(X)
#undef X
    engine_set(engine->ctx, engine->global, "hooks", hooks);
    engine_set(engine->ctx, engine->global, "native", instance.native);
}

int shell_main(int argc, char **argv)
{
    struct error err = {""};
    engine_environment(argv);
    if (instance_init(&err) < 0) {
        (void)fprintf(stderr, "weir: %s\n", err.text);
        return 1;
    }
    struct engine *engine = &instance.engine;
    int first = argc > 1 && strcmp(argv[1], "--rehearse") == 0 ? 2 : 1;
    if (first == 2 && rehearse(engine, &err) < 0) {
        (void)fprintf(stderr, "weir: %s\n", err.text);
        return 1;
    }
    instance.subrequests_max = 1000;
    engine_define_function(engine->ctx, engine->global, "print", print);
    expose_library(engine);
    instance_limit_cpu(60000);
    JSValueRef seed = JSValueMakeNumber(engine->ctx, 1);
    (void)instance_call(instance.library.after_fork, 1, &seed);
    for (int i = first; i < argc; i++) {
        AUTO_BUFFER source = {0};
        if (!read_file(argv[i], &source)) {
            perror(argv[i]);
            return 1;
        }
        if (!engine_evaluate(engine, buffer_slice(&source), argv[i], 1, &err)) {
            (void)fprintf(stderr, "%s\n", err.text);
            return 1;
        }
    }
    int wait_ms;
    while ((wait_ms = instance_timers()) >= 0)
        (void)poll(NULL, 0, wait_ms);
    return 0;
}
