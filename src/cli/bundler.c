/* SPDX-License-Identifier: Apache-2.0 */
#include "bundler.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "esbuild.h"
#include "state_dir.h"

/* ---- small file helpers ---- */

static int read_whole(const char *path, struct buffer *ret_bytes)
{
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : buffer_read_all(ret_bytes, fd, SIZE_MAX);
}

static int write_all(int fd, const void *bytes, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t r = write(fd, (const char *)bytes + sent, len - sent);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? -errno : -EIO;
        sent += (size_t)r;
    }
    return 0;
}

static int read_all(int fd, void *bytes, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t r = read(fd, (char *)bytes + got, len - got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? -errno : -EPIPE;
        got += (size_t)r;
    }
    return 0;
}

static char *program_dir(void)
{
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (len <= 0)
        return xstrdup(".");
    path[len] = 0;
    *strrchr(path, '/') = 0;
    return xstrdup(path);
}

/* Beside the program, or where it is installed. */
static char *find(const char *name, int mode)
{
    static const char *const places[] = {"", "../lib/weir/"};
    AUTO_TEXT dir = program_dir();
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        AUTO_TEXT path = xasprintf("%s/%s%s", dir, places[i], name);
        if (access(path, mode) == 0)
            return realpath(path, NULL);
    }
    return NULL;
}

char *bundler_find(const char *name)
{
    return find(name, R_OK);
}

char *bundler_find_esbuild(void)
{
    char *found = find("esbuild", X_OK);
    return found ? found : find("../node_modules/.bin/esbuild", X_OK);
}

/* ---- the transform process ---- */

int bundler_init(struct bundler *bundler, const char *data_dir, bool dev, bool color,
                 struct error *err)
{
    AUTO_TEXT bundles = xasprintf("%s/bundles", data_dir);
    int r = state_dir_make(data_dir, err);
    if (r < 0)
        return r;
    if (mkdir(bundles, 0700) < 0 && errno != EEXIST)
        return error_set(err, -errno, "cannot make %s: %s", bundles, strerror(errno));
    *bundler = (struct bundler){.data_dir = realpath(data_dir, NULL),
                                .esbuild = bundler_find_esbuild(),
                                .dev = dev,
                                .color = color,
                                .transform_in = -1,
                                .transform_out = -1};
    return 0;
}

void bundler_done(struct bundler *bundler)
{
    fd_close(&bundler->transform_in);
    fd_close(&bundler->transform_out);
    if (bundler->transform_pid > 0)
        (void)waitpid(bundler->transform_pid, NULL, 0);
    free(bundler->data_dir);
    free(bundler->esbuild);
    *bundler = (struct bundler){.transform_in = -1, .transform_out = -1};
}

static int start_transform(struct bundler *bundler, struct error *err)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        return error_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(in[0], STDIN_FILENO);
        (void)dup2(out[1], STDOUT_FILENO);
        (void)execl("/proc/self/exe", "weir", "__transform", NULL);
        _exit(127);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    bundler->transform_in = in[1];
    bundler->transform_out = out[0];
    bundler->transform_pid = pid;
    (void)signal(SIGPIPE, SIG_IGN);
    return 0;
}

static int transform(struct bundler *bundler, struct slice raw, struct buffer *ret_bytes,
                     struct error *err)
{
    if (bundler->transform_in < 0) {
        int r = start_transform(bundler, err);
        if (r < 0)
            return r;
    }
    uint32_t bytes = (uint32_t)raw.len, head[2];
    int r = write_all(bundler->transform_in, &bytes, sizeof(bytes));
    if (r == 0)
        r = write_all(bundler->transform_in, raw.ptr, raw.len);
    if (r == 0)
        r = read_all(bundler->transform_out, head, sizeof(head));
    if (r == 0) {
        r = read_all(bundler->transform_out, buffer_reserve(ret_bytes, head[1] + 1), head[1]);
        ret_bytes->end += r == 0 ? head[1] : 0;
    }
    if (r < 0)
        return error_set(err, r, "the module transform ended: %s", strerror(-r));
    if (head[0] != 0)
        return error_set(err, -EINVAL, "%.*s", (int)buffer_len(ret_bytes),
                         ret_bytes->data + ret_bytes->start);
    return 0;
}

/* ---- the bundle file ---- */

struct parts {
    json_t *modules;
    struct buffer blobs;
};

static void place(struct parts *parts, json_t *object, struct slice bytes)
{
    while (buffer_len(&parts->blobs) % 8)
        buffer_append(&parts->blobs, "", 1);
    (void)json_object_set_new(object, "offset", json_integer((json_int_t)buffer_len(&parts->blobs)));
    (void)json_object_set_new(object, "bytes", json_integer((json_int_t)bytes.len));
    buffer_append_slice(&parts->blobs, bytes);
}

static int add_module(struct parts *parts, const char *path, const char *name, const char *type,
                      const char *map_path, struct error *err)
{
    AUTO_BUFFER bytes = {0};
    AUTO_BUFFER map_bytes = {0};
    int r = read_whole(path, &bytes);
    if (r < 0)
        return error_set(err, r, "cannot read %s: %s", path, strerror(-r));
    json_t *module = json_object();
    (void)json_object_set_new(module, "name", json_string(name));
    (void)json_object_set_new(module, "type", json_string(type));
    place(parts, module, buffer_slice(&bytes));
    if (map_path && read_whole(map_path, &map_bytes) == 0) {
        json_t *map = json_object();
        place(parts, map, buffer_slice(&map_bytes));
        (void)json_object_set_new(module, "map", map);
    } else {
        (void)json_object_set_new(module, "map", json_null());
    }
    (void)json_array_append_new(parts->modules, module);
    return 0;
}

/* Everything esbuild wrote: index.js first. */
static int gather(const struct esbuild_output *output, const char *out_dir, struct parts *parts,
                  struct error *err)
{
    AUTO_TEXT index_path = xasprintf("%s/index.js", out_dir);
    AUTO_TEXT map = xasprintf("%s/index.js.map", out_dir);
    int r = add_module(parts, index_path, "index.js", "esm", map, err);
    size_t index;
    json_t *module;
    json_array_foreach(output->modules, index, module)
    {
        if (r == 0)
            r = add_module(parts, json_string_value(json_object_get(module, "path")),
                           json_string_value(json_object_get(module, "name")),
                           json_string_value(json_object_get(module, "type")), NULL, err);
    }
    return r;
}

/* Without bundling: the entry and every module beside and below it. */
static int gather_unbundled(const struct project *project, const char *dir, const char *prefix,
                            struct parts *parts, struct error *err)
{
    DIR *list = opendir(dir);
    int r = 0;
    for (struct dirent *entry; r == 0 && list && (entry = readdir(list));) {
        const char *name = entry->d_name, *dot = strrchr(name, '.');
        if (name[0] == '.' || strcmp(name, "node_modules") == 0)
            continue;
        AUTO_TEXT path = xasprintf("%s/%s", dir, name);
        AUTO_TEXT module = xasprintf("%s%s", prefix, name);
        if (entry->d_type == DT_DIR) {
            AUTO_TEXT inner = xasprintf("%s/", module);
            r = gather_unbundled(project, path, inner, parts, err);
        } else {
            struct rule_match match = rules_match(project->rules, module, "");
            const char *type = match.type;
            if (!type && dot && (strcmp(dot, ".js") == 0 || strcmp(dot, ".mjs") == 0))
                type = "esm";
            if (!type && dot && strcmp(dot, ".cjs") == 0)
                type = "cjs";
            if (type)
                r = add_module(parts, path, module, type, NULL, err);
        }
    }
    if (list)
        (void)closedir(list);
    return r;
}

static json_t *manifest_of(const struct bundler *bundler, const struct project *project,
                           const char *main_name, bool service_worker, json_t *modules)
{
    const char *binding = json_string_value(json_object_get(project->assets, "binding"));
    json_t *manifest = json_pack(
        "{s:s, s:s, s:s, s:s, s:O, s:b, s:{s:O, s:s?, s:O}, s:O}", "name", project->name, "main",
        main_name, "syntax", service_worker ? "service-worker" : "modules", "compatibility_date",
        project->compatibility_date, "compatibility_flags", project->compatibility_flags, "dev",
        bundler->dev, "env", "vars", project->vars, "assets", binding, "databases", project->databases,
        "modules", modules);
    if (project->system)
        (void)json_object_set_new(manifest, "system", json_true());
    if (json_array_size(project->services) > 0)
        (void)json_object_set(manifest, "services", project->services);
    if (getenv("WEIR_TEST_HOOKS")) /* a test build's natives; no other build has them */
        (void)json_object_set_new(manifest, "test_hooks", json_true());
    return manifest;
}

static void assemble(const json_t *manifest, struct slice blobs, struct buffer *out)
{
    char *text = json_dumps(manifest, JSON_COMPACT);
    uint32_t head[2] = {(uint32_t)strlen(text), 0};
    buffer_append(out, "WEIRB1\0\0", 8);
    buffer_append(out, head, sizeof(head));
    buffer_append(out, text, head[0]);
    while (buffer_len(out) % 8)
        buffer_append(out, "", 1);
    buffer_append_slice(out, blobs);
    free(text);
}

static void hash(struct slice bytes, char ret_hex[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    (void)EVP_Digest(bytes.ptr, bytes.len, digest, &len, EVP_sha256(), NULL);
    for (unsigned i = 0; i < 32; i++)
        (void)snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
}

/* Writes beside and renames, so that a reader never sees half a file. Vars are in it: mode 0600. */
static int store(const char *path, struct slice bytes, struct error *err)
{
    AUTO_TEXT temporary = xasprintf("%s.%d", path, getpid());
    AUTO_FD fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : write_all(fd, bytes.ptr, bytes.len);
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    return r < 0 ? error_set(err, r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

static int finish(struct bundler *bundler, const struct project *project, struct parts *parts,
                  const char *main_name, bool service_worker, struct bundle *bundle,
                  struct error *err)
{
    AUTO_BUFFER raw = {0};
    AUTO_BUFFER transformed = {0};
    json_t *manifest = manifest_of(bundler, project, main_name, service_worker, parts->modules);
    assemble(manifest, buffer_slice(&parts->blobs), &raw);
    json_decref(manifest);
    buffer_append_text(&raw, WEIR_VERSION); /* another transform makes another file */
    hash(buffer_slice(&raw), bundle->version);
    raw.end -= strlen(WEIR_VERSION);
    bundle->path = xasprintf("%s/bundles/%s.bundle", bundler->data_dir, bundle->version);
    if ((!bundler->dev || project->system) && access(bundle->path, R_OK) == 0)
        return 0;
    int r = transform(bundler, buffer_slice(&raw), &transformed, err);
    return r < 0 ? r : store(bundle->path, buffer_slice(&transformed), err);
}

int bundler_build(struct bundler *bundler, const struct project *project, struct bundle *bundle,
                  struct error *err)
{
    struct parts parts = {.modules = json_array()};
    bool service_worker = false;
    int r;
    *bundle = (struct bundle){.inputs = json_array()};
    if (project->no_bundle) {
        const char *base = strrchr(project->main, '/');
        AUTO_TEXT dir = xstrndup(project->main, (size_t)(base - project->main));
        (void)json_array_append_new(bundle->inputs, json_string(project->main));
        r = gather_unbundled(project, dir, "", &parts, err);
        if (r == 0)
            r = finish(bundler, project, &parts, base + 1, false, bundle, err);
    } else {
        AUTO_TEXT out_dir = xasprintf("%s/build-%d", bundler->data_dir, getpid());
        state_dir_remove(out_dir);
        struct esbuild_output output;
        r = esbuild_run(bundler, project, out_dir, false, &output, err);
        if (r == 0 && !output.has_exports) {
            service_worker = true; /* what exports nothing is in service-worker syntax */
            esbuild_output_done(&output);
            r = esbuild_run(bundler, project, out_dir, true, &output, err);
        }
        (void)json_array_extend(bundle->inputs, output.inputs);
        if (r == 0)
            r = gather(&output, out_dir, &parts, err);
        esbuild_output_done(&output);
        if (r == 0)
            r = finish(bundler, project, &parts, "index.js", service_worker, bundle, err);
        state_dir_remove(out_dir);
    }
    json_decref(parts.modules);
    buffer_done(&parts.blobs);
    return r;
}

void bundle_done(struct bundle *bundle)
{
    free(bundle->path);
    json_decref(bundle->inputs);
    *bundle = (struct bundle){.path = NULL};
}
