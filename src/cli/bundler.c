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

#include "state_dir.h"

enum { ARGS_MAX = 256, ERRORS_BYTES_MAX = 64 * 1024 };

/* ---- small file helpers ---- */

static int read_whole(const char *path, struct buffer *ret_bytes)
{
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    for (;;) {
        ssize_t got = read(fd, buffer_reserve(ret_bytes, 65536), 65536);
        if (got <= 0)
            return got < 0 ? -errno : 0;
        ret_bytes->end += (size_t)got;
    }
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

char *bundler_find_esbuild(void)
{
    static const char *const places[] = {"esbuild", "../lib/weir/esbuild",
                                         "../node_modules/.bin/esbuild"};
    AUTO_TEXT dir = program_dir();
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        AUTO_TEXT path = xasprintf("%s/%s", dir, places[i]);
        if (access(path, X_OK) == 0)
            return realpath(path, NULL);
    }
    return NULL;
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

/* ---- esbuild ---- */

struct args {
    char *items[ARGS_MAX];
    int count;
};

static void add(struct args *args, char *owned)
{
    if (args->count < ARGS_MAX - 1)
        args->items[args->count++] = owned;
    else
        free(owned);
}

static void args_done(struct args *args)
{
    for (int i = 0; i < args->count; i++)
        free(args->items[i]);
}

static const struct {
    const char *extension, *type;
} default_rules[] = {
    {"txt", "text"}, {"html", "text"}, {"sql", "text"}, {"bin", "data"}, {"wasm", "wasm"},
};

static const char *type_of_rule(const char *name)
{
    static const struct {
        const char *name, *type;
    } types[] = {{"Text", "text"},
                 {"Data", "data"},
                 {"CompiledWasm", "wasm"},
                 {"ESModule", "esm"},
                 {"CommonJS", "cjs"}};
    for (size_t i = 0; name && i < ARRAY_LEN(types); i++)
        if (strcmp(name, types[i].name) == 0)
            return types[i].type;
    return NULL;
}

/* The module type of a file that is not JavaScript; NULL: none, it is JavaScript. */
static const char *type_of_file(const struct project *project, const char *name)
{
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; project->rules && project->rules->type == VALUE_ARRAY &&
                       i < project->rules->count;
         i++) {
        const struct value *rule = &project->rules->entries[i].value;
        const struct value *globs = value_get(rule, "globs");
        const char *type = type_of_rule(value_text(value_get(rule, "type")));
        for (size_t j = 0; type && globs && globs->type == VALUE_ARRAY && j < globs->count; j++) {
            const char *glob = value_text(&globs->entries[j].value);
            const char *end = glob ? strrchr(glob, '.') : NULL;
            if (dot && end && strcmp(dot, end) == 0)
                return type;
        }
    }
    for (size_t i = 0; dot && i < ARRAY_LEN(default_rules); i++)
        if (strcmp(dot + 1, default_rules[i].extension) == 0)
            return default_rules[i].type;
    return NULL;
}

static void add_rules(struct args *args, const struct project *project)
{
    for (size_t i = 0; i < ARRAY_LEN(default_rules); i++)
        add(args, xasprintf("--loader:.%s=copy", default_rules[i].extension));
    for (size_t i = 0; project->rules && project->rules->type == VALUE_ARRAY &&
                       i < project->rules->count;
         i++) {
        const struct value *globs = value_get(&project->rules->entries[i].value, "globs");
        const char *type =
            type_of_rule(value_text(value_get(&project->rules->entries[i].value, "type")));
        for (size_t j = 0; type && globs && globs->type == VALUE_ARRAY && j < globs->count; j++) {
            const char *glob = value_text(&globs->entries[j].value);
            const char *end = glob ? strrchr(glob, '.') : NULL;
            if (end && strcmp(type, "esm") != 0 && strcmp(type, "cjs") != 0)
                add(args, xasprintf("--loader:%s=copy", end));
        }
    }
}

static void add_names(struct args *args, const char *option, const struct value *table)
{
    for (size_t i = 0; table && table->type == VALUE_TABLE && i < table->count; i++) {
        const struct value *value = &table->entries[i].value;
        const char *text = value_text(value);
        AUTO_BUFFER shown = {0};
        if (text)
            buffer_append_text(&shown, text); /* wrangler's define holds source text */
        else
            value_append_json(value, &shown);
        add(args, xasprintf("--%s:%s=%.*s", option, table->entries[i].key,
                            (int)buffer_len(&shown), shown.data + shown.start));
    }
}

/* Bare names of Node's modules mean the same as with node: in front. */
static void add_node_names(struct args *args)
{
    static const char *const names[] = {
        "assert", "async_hooks", "buffer", "console", "constants", "crypto", "diagnostics_channel",
        "dns", "events", "fs", "http", "https", "module", "net", "os", "path", "perf_hooks",
        "process", "punycode", "querystring", "stream", "string_decoder", "timers", "tls", "tty",
        "url", "util", "vm", "worker_threads", "zlib",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        add(args, xasprintf("--alias:%s=node:%s", names[i], names[i]));
}

static char *find_project_esbuild(const struct project *project)
{
    AUTO_TEXT dir = xstrdup(project->dir);
    while (*dir) {
        AUTO_TEXT path = xasprintf("%s/node_modules/.bin/esbuild", dir);
        if (access(path, X_OK) == 0)
            return TAKE(path);
        *strrchr(dir, '/') = 0;
    }
    return NULL;
}

static int run(char *const argv[], const char *dir, struct buffer *ret_errors)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        if (chdir(dir) < 0)
            _exit(126);
        (void)dup2(pipe_fds[1], STDERR_FILENO);
        (void)dup2(pipe_fds[1], STDOUT_FILENO);
        (void)execv(argv[0], argv);
        _exit(127);
    }
    (void)close(pipe_fds[1]);
    for (;;) {
        char *room = buffer_reserve(ret_errors, 4096);
        ssize_t got = read(pipe_fds[0], room, 4096);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        if (buffer_len(ret_errors) < ERRORS_BYTES_MAX)
            ret_errors->end += (size_t)got;
    }
    (void)close(pipe_fds[0]);
    int status = 0;
    (void)waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EINVAL;
}

/* es2022: what every esbuild of the last years knows. The engine would take more, but what is left to
 * lower is rare (RegExp's v flag becomes a call). */
static void add_options(struct args *args, const struct bundler *bundler,
                        const struct project *project, const char *out_dir, bool service_worker)
{
    static const char *const fixed[] = {
        "--entry-names=index", "--asset-names=[name]-[hash]", "--bundle", "--target=es2022",
        "--conditions=workerd,worker,browser", "--external:cloudflare:*", "--external:node:*",
        "--sourcemap=external", "--sources-content=false", "--log-level=warning",
        "--charset=utf8", "--loader:.js=jsx", "--loader:.mjs=jsx", "--loader:.cjs=jsx",
    };
    add(args, xstrdup(project->main));
    add(args, xasprintf("--outdir=%s", out_dir));
    add(args, xasprintf("--metafile=%s/meta.json", out_dir));
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        add(args, xstrdup(fixed[i]));
    add(args, xstrdup(service_worker ? "--format=iife" : "--format=esm"));
    add(args, xasprintf("--color=%s", bundler->color ? "true" : "false"));
    add(args, xasprintf("--define:process.env.NODE_ENV=\"%s\"",
                        bundler->dev ? "development" : "production"));
    if (project->minify)
        add(args, xstrdup("--minify"));
    if (project->keep_names)
        add(args, xstrdup("--keep-names"));
    if (project->tsconfig)
        add(args, xasprintf("--tsconfig=%s", project->tsconfig));
    add_rules(args, project);
    add_names(args, "define", project->define);
    add_names(args, "alias", project->alias);
    add_node_names(args);
}

/* Did this esbuild not understand what it was asked for? Then it is too old. */
static bool is_too_old(const struct buffer *messages)
{
    AUTO_TEXT text = xstrndup(messages->data ? messages->data + messages->start : "",
                              buffer_len(messages));
    return strstr(text, "Invalid build flag") || strstr(text, "Invalid target") ||
           strstr(text, "Invalid loader value");
}

static int run_esbuild(const struct bundler *bundler, const struct project *project,
                       const char *out_dir, bool service_worker, struct error *err)
{
    AUTO_TEXT own = find_project_esbuild(project);
    if (!own && !bundler->esbuild)
        return error_set(err, -ENOENT,
                         "esbuild was not found; run npm install esbuild in the project");
    struct args args = {.count = 0};
    add(&args, xstrdup(own ? own : bundler->esbuild));
    add_options(&args, bundler, project, out_dir, service_worker);
    AUTO_BUFFER messages = {0};
    int r = run(args.items, project->dir, &messages);
    if (r < 0 && own && bundler->esbuild && is_too_old(&messages)) {
        free(args.items[0]);
        args.items[0] = xstrdup(bundler->esbuild);
        buffer_reset(&messages, 0);
        r = run(args.items, project->dir, &messages);
    }
    if (r < 0)
        r = error_set(err, r, "the project does not build:\n%.*s", (int)buffer_len(&messages),
                      messages.data ? messages.data + messages.start : "");
    else if (buffer_len(&messages) > 0)
        (void)fprintf(stderr, "%.*s", (int)buffer_len(&messages), messages.data + messages.start);
    args_done(&args);
    return r;
}

/* Does the entry export anything? What does not is in service-worker syntax. */
static bool has_exports(const char *out_dir, json_t **ret_inputs, const char *project_dir)
{
    AUTO_TEXT path = xasprintf("%s/meta.json", out_dir);
    json_t *meta = json_load_file(path, 0, NULL), *output, *inputs = json_array();
    const char *name;
    bool found = false;
    json_object_foreach(json_object_get(meta, "outputs"), name, output)
    {
        size_t len = strlen(name);
        if (len > 8 && strcmp(name + len - 8, "index.js") == 0 &&
            json_object_get(output, "entryPoint"))
            found = json_array_size(json_object_get(output, "exports")) > 0;
    }
    json_t *input;
    json_object_foreach(json_object_get(meta, "inputs"), name, input)
    {
        AUTO_TEXT full = xasprintf("%s/%s", project_dir, name);
        char *real = realpath(full, NULL);
        if (real)
            (void)json_array_append_new(inputs, json_string(real));
        free(real);
    }
    json_decref(meta);
    json_decref(*ret_inputs);
    *ret_inputs = inputs;
    return found;
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

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Everything esbuild wrote: index.js first, then the copied modules, sorted so that the same input
 * gives the same bundle. */
static int gather(const struct project *project, const char *out_dir, const char *entry_type,
                  struct parts *parts, struct error *err)
{
    AUTO_TEXT index = xasprintf("%s/index.js", out_dir);
    AUTO_TEXT map = xasprintf("%s/index.js.map", out_dir);
    int r = add_module(parts, index, "index.js", entry_type, map, err);
    DIR *dir = opendir(out_dir);
    char *names[1024];
    int count = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir)) && count < 1024;)
        if (type_of_file(project, entry->d_name))
            names[count++] = xstrdup(entry->d_name);
    if (dir)
        (void)closedir(dir);
    qsort(names, (size_t)count, sizeof(names[0]), by_name);
    for (int i = 0; i < count; i++) {
        AUTO_TEXT path = xasprintf("%s/%s", out_dir, names[i]);
        if (r == 0)
            r = add_module(parts, path, names[i], type_of_file(project, names[i]), NULL, err);
        free(names[i]);
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
            const char *type = type_of_file(project, name);
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
    json_t *subrequests = json_object_get(project->limits, "subrequests");
    json_t *manifest = json_pack(
        "{s:s, s:s, s:s, s:s, s:O, s:b, s:{s:O, s:s?}, s:O}", "name", project->name, "main",
        main_name, "syntax", service_worker ? "service-worker" : "modules", "compatibility_date",
        project->compatibility_date, "compatibility_flags", project->compatibility_flags, "dev",
        bundler->dev, "env", "vars", project->vars, "assets", binding, "modules", modules);
    if (subrequests)
        (void)json_object_set(manifest, "subrequests", subrequests);
    if (getenv("WEIR_TEST_HOOKS")) /* a test build's natives; no other build has them */
        (void)json_object_set_new(manifest, "test_hooks", json_true());
    return manifest;
}

static void assemble(const json_t *manifest, struct slice blobs, struct buffer *out)
{
    char *text = json_dumps(manifest, JSON_COMPACT | JSON_SORT_KEYS);
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
    if (!bundler->dev && access(bundle->path, R_OK) == 0)
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
        r = run_esbuild(bundler, project, out_dir, false, err);
        if (r == 0 && !has_exports(out_dir, &bundle->inputs, project->dir)) {
            service_worker = true;
            r = run_esbuild(bundler, project, out_dir, true, err);
        }
        if (r == 0)
            r = gather(project, out_dir, "esm", &parts, err);
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
