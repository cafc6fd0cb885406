/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's code is the same after it has moved, and runs, here and in a child. */
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <JavaScriptCore/JavaScript.h>
#include <cmocka.h>

#include "common.h"
#include "huge_text.h"

struct sum {
    uint64_t hash;
    size_t bytes;
};

static int add(struct dl_phdr_info *library, size_t size, void *data)
{
    struct sum *sum = data;
    (void)size;
    if (!strstr(library->dlpi_name, "javascriptcore"))
        return 0;
    for (int i = 0; i < library->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &library->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || (part->p_flags & PF_W))
            continue;
        const uint64_t *words = (const void *)(library->dlpi_addr + part->p_vaddr);
        for (size_t at = 0; at < part->p_memsz / sizeof(*words); at++)
            sum->hash = (sum->hash ^ words[at]) * 0x100000001b3;
        sum->bytes += part->p_memsz;
    }
    return 0;
}

static struct sum sum_of_engine(void)
{
    struct sum sum = {0};
    (void)dl_iterate_phdr(add, &sum);
    return sum;
}

static bool runs(void)
{
    JSGlobalContextRef ctx = JSGlobalContextCreate(NULL);
    JSStringRef script = JSStringCreateWithUTF8CString(
        "let n = 0; for (const c of 'a,b,c'.split(/,/)) n += c.charCodeAt(0); n");
    JSValueRef value = JSEvaluateScript(ctx, script, NULL, NULL, 1, NULL);
    bool right = value && JSValueToNumber(ctx, value, NULL) == 97 + 98 + 99;
    JSStringRelease(script);
    JSGlobalContextRelease(ctx);
    return right;
}

static long huge_kb(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    char line[256];
    long kb = -1;
    while (file && fgets(line, sizeof(line), file))
        (void)sscanf(line, "AnonHugePages: %ld kB", &kb);
    if (file)
        (void)fclose(file);
    return kb;
}

static void test_moves(void **state)
{
    (void)state;
    struct sum before = sum_of_engine();
    assert_true(before.bytes > 4 * 1024 * 1024);
    huge_text_map("javascriptcore");
    print_message("huge pages: %ld kB\n", huge_kb()); /* none where the kernel gives none */
    struct sum after = sum_of_engine();
    assert_int_equal(after.bytes, before.bytes);
    assert_true(after.hash == before.hash);
    pid_t pid = fork();
    if (pid == 0)
        _exit(runs() ? 0 : 1);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(runs());
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_moves)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
