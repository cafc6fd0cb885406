/* SPDX-License-Identifier: Apache-2.0 */
/* Can this machine run weir? Each check says what it found and what to do when it is not enough. */
#include <dlfcn.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bundler.h"
#include "cli.h"

struct finding {
    bool ok;
    char text[256];
};

static void found(struct finding *finding, bool ok, const char *text)
{
    finding->ok = ok;
    (void)snprintf(finding->text, sizeof(finding->text), "%s", text);
}

/* In a child, since namespaces cannot be left again. */
static void check_namespaces(struct finding *finding)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                      CLONE_NEWPID) < 0
                  ? errno
                  : 0);
    int status = 0;
    (void)waitpid(pid, &status, 0);
    found(finding, WIFEXITED(status) && WEXITSTATUS(status) == 0,
          WIFEXITED(status) ? strerror(WEXITSTATUS(status)) : "the test was ended");
}

static void check_seccomp(struct finding *finding)
{
    uint32_t action = SECCOMP_RET_ERRNO;
    long r = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
    found(finding, r == 0, r == 0 ? "filters are available" : strerror(errno));
}

static void check_memfd(struct finding *finding)
{
    int memory = memfd_create("weir-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING), bell = eventfd(0, 0);
    found(finding, memory >= 0 && bell >= 0, strerror(memory < 0 || bell < 0 ? errno : 0));
    (void)close(memory);
    (void)close(bell);
}

static void check_engine(struct finding *finding)
{
    static const char *const names[] = {
        "JSContextGroupSetExecutionTimeLimit", "JSDisableGCTimer",
        "JSGlobalContextSetUnhandledRejectionCallback", "JSGlobalContextSetEvalEnabled",
        "JSGetMemoryUsageStatistics"};
    found(finding, true, "libjavascriptcoregtk-4.1 has what weir needs");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!dlsym(RTLD_DEFAULT, names[i])) {
            finding->ok = false;
            (void)snprintf(finding->text, sizeof(finding->text), "%s is missing", names[i]);
        }
}

static void check_single_thread(struct finding *finding)
{
    bool ok = dlsym(RTLD_DEFAULT, "pas_scavenger_suspend") != NULL;
    found(finding, ok,
          ok ? "the engine runs without helper threads"
             : "the allocator's helper thread cannot be suspended: starts wait for it to leave");
}

static void check_esbuild(struct finding *finding)
{
    AUTO_TEXT path = bundler_find_esbuild();
    found(finding, path != NULL, path ? path : "not found beside weir");
}

static void check_descriptors(struct finding *finding)
{
    struct rlimit limit = {0, 0};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    finding->ok = limit.rlim_max >= 65536;
    (void)snprintf(finding->text, sizeof(finding->text), "up to %llu open files a process",
                   (unsigned long long)limit.rlim_max);
}

static const struct {
    const char *name;
    void (*check)(struct finding *finding);
    bool needed;
    const char *remedy;
} checks[] = {
    {"namespaces", check_namespaces, true,
     "allow user namespaces: sysctl user.max_user_namespaces=10000 (and "
     "kernel.unprivileged_userns_clone=1 where it exists); in a container: --security-opt "
     "seccomp=unconfined --security-opt apparmor=unconfined"},
    {"seccomp", check_seccomp, true, "run a kernel with CONFIG_SECCOMP_FILTER"},
    {"shared memory", check_memfd, true, "run a kernel of version 5.10 or newer"},
    {"engine", check_engine, true,
     "install Debian 12's libjavascriptcoregtk-4.1-0, version 2.50 or newer"},
    {"fast starts", check_single_thread, false,
     "install Debian 12's libjavascriptcoregtk-4.1-0, version 2.50"},
    {"esbuild", check_esbuild, false,
     "projects with an esbuild of their own work; else run npm ci in weir's source tree"},
    {"open files", check_descriptors, false,
     "for many connections raise the hard limit: LimitNOFILE= of the service, or ulimit -Hn"},
};

int command_doctor(int argc, char **argv)
{
    bool json = false, all_fine = true;
    const struct cli_option options[] = {
        {"--json", NULL, "Print the findings as JSON", NULL, &json}};
    const struct cli_command command = {
        "weir doctor [--json]",
        "Tells whether this machine can run the sandbox and the engine, and what to do when not.",
        options, ARRAY_LEN(options), 0};
    int code;
    AUTO_BUFFER out = {0};
    if (!cli_parse(&command, argc, argv, NULL, &code))
        return code;
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        struct finding finding;
        checks[i].check(&finding);
        all_fine &= finding.ok || !checks[i].needed;
        if (json) {
            buffer_append_text(&out, i ? ",{\"check\":" : "{\"check\":");
            buffer_append_json(&out, slice_of(checks[i].name));
            buffer_printf(&out, ",\"ok\":%s,\"needed\":%s,\"found\":", finding.ok ? "true" : "false",
                          checks[i].needed ? "true" : "false");
            buffer_append_json(&out, slice_of(finding.text));
            buffer_append_text(&out, ",\"remedy\":");
            buffer_append_json(&out, slice_of(finding.ok ? "" : checks[i].remedy));
            buffer_append_text(&out, "}");
        } else {
            buffer_printf(&out, "%s %-14s %s\n",
                          finding.ok         ? "ok     "
                          : checks[i].needed ? "missing"
                                             : "note   ",
                          checks[i].name, finding.text);
            if (!finding.ok)
                buffer_printf(&out, "                       %s\n", checks[i].remedy);
        }
    }
    if (json)
        (void)printf("{\"ok\":%s,\"checks\":[%.*s]}\n", all_fine ? "true" : "false",
                     (int)buffer_len(&out), out.data + out.start);
    else
        (void)printf("%.*s", (int)buffer_len(&out), out.data + out.start);
    return all_fine ? EXIT_OK : EXIT_FAILED;
}
