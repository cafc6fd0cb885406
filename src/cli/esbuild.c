/* SPDX-License-Identifier: Apache-2.0 */
#include "esbuild.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MESSAGES_BYTES_MAX = 64 * 1024, RULE_DEPTH_MAX = 32, RULE_FILES_MAX = 10000 };

struct args {
    char **items; /* NULL-terminated */
    size_t count;
};

static void add(struct args *args, char *owned)
{
    args->items = xrealloc(args->items, (args->count + 2) * sizeof(args->items[0]));
    args->items[args->count++] = owned;
    args->items[args->count] = NULL;
}

static void args_done(struct args *args)
{
    for (size_t i = 0; i < args->count; i++)
        free(args->items[i]);
    free(args->items);
}

/* ---- module rules ---- */

/* Files that only a rule's whole glob tells are named one by one: as external modules esbuild
 * leaves them alone, and the bundle gets them as they are. */
struct rule_walk {
    struct args *args;
    const struct project *project;
    int files_left;
};

static void add_rule_files(struct rule_walk *walk, const char *below, int depth)
{
    const struct project *project = walk->project;
    AUTO_TEXT path = xasprintf("%s/%s", project->dir, below);
    DIR *dir = depth < RULE_DEPTH_MAX ? opendir(path) : NULL;
    for (struct dirent *entry; dir && (entry = readdir(dir)) && walk->files_left > 0;) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "node_modules") == 0)
            continue;
        AUTO_TEXT file = xasprintf("%s%s", below, entry->d_name);
        if (entry->d_type == DT_DIR) {
            AUTO_TEXT deeper = xasprintf("%s/", file);
            add_rule_files(walk, deeper, depth + 1);
            continue;
        }
        AUTO_TEXT full = xasprintf("%s/%s", project->dir, file);
        struct rule_match match = rules_match(project->rules, file, project->module_root);
        if ((match.type || match.hidden_glob) && strcmp(full, project->main) != 0 &&
            !(match.type && (strcmp(match.type, "esm") == 0 || strcmp(match.type, "cjs") == 0))) {
            add(walk->args, xasprintf("--external:%s", full));
            walk->files_left--;
        }
    }
    if (dir)
        (void)closedir(dir);
}

static void add_rules(struct args *args, const struct project *project)
{
    const char *glob;
    char *extension;
    bool by_path = false;
    for (size_t i = 0; rules_next_glob(project->rules, &i, &glob, &extension);) {
        if (extension)
            add(args, xasprintf("--loader:.%s=copy", extension));
        by_path |= !extension;
        free(extension);
    }
    struct rule_walk walk = {args, project, RULE_FILES_MAX};
    if (by_path)
        add_rule_files(&walk, "", 0);
}

/* ---- names of Node's modules ---- */

static const char *const node_names[] = {
    "assert",
    "async_hooks",
    "buffer",
    "console",
    "constants",
    "crypto",
    "diagnostics_channel",
    "dns",
    "events",
    "fs",
    "http",
    "https",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "stream",
    "string_decoder",
    "timers",
    "tls",
    "tty",
    "url",
    "util",
    "vm",
    "worker_threads",
    "zlib",
};

/* With Node's modules on, their bare names mean them. Without, a package of that name is meant; and
 * what no package provides (failed: esbuild's messages) means Node's all the same, for the
 * transform to tell which flag is missing. */
static void add_node_names(struct args *args, const struct project *project, const char *failed)
{
    for (size_t i = 0; i < ARRAY_LEN(node_names); i++) {
        AUTO_TEXT unresolved = xasprintf("Could not resolve \"%s", node_names[i]);
        const char *found = failed ? strstr(failed, unresolved) : NULL;
        char next = found ? found[strlen(unresolved)] : 0;
        if (project_has_node(project) || next == '"' || next == '/')
            add(args, xasprintf("--alias:%s=node:%s", node_names[i], node_names[i]));
    }
}

/* ---- running it ---- */

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
        add(args, xasprintf("--%s:%s=%.*s", option, table->entries[i].key, (int)buffer_len(&shown),
                            shown.data + shown.start));
    }
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
        if (buffer_len(ret_errors) < MESSAGES_BYTES_MAX)
            ret_errors->end += (size_t)got;
    }
    (void)close(pipe_fds[0]);
    int status = 0;
    (void)waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EINVAL;
}

/* es2022: what every esbuild of the last years knows. The engine would take more, but what is left
 * to lower is rare (RegExp's v flag becomes a call). */
static void add_options(struct args *args, const struct bundler *bundler,
                        const struct project *project, const char *out_dir, bool service_worker)
{
    static const char *const fixed[] = {
        "--entry-names=index",
        "--asset-names=[name]-[hash]",
        "--bundle",
        "--target=es2022",
        "--conditions=workerd,worker,browser",
        "--external:cloudflare:*",
        "--external:node:*",
        "--sourcemap=external",
        "--sources-content=false",
        "--log-level=warning",
        "--charset=utf8",
        "--loader:.js=jsx",
        "--loader:.mjs=jsx",
        "--loader:.cjs=jsx",
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
}

static char *text_of(const struct buffer *buffer)
{
    return xstrndup(buffer->data ? buffer->data + buffer->start : "", buffer_len(buffer));
}

/* Did this esbuild not understand what it was asked for? Then it is too old. */
static bool is_too_old(const struct buffer *messages)
{
    AUTO_TEXT text = text_of(messages);
    return strstr(text, "Invalid build flag") || strstr(text, "Invalid target") ||
           strstr(text, "Invalid loader value");
}

static int run_once(const struct bundler *bundler, const char *esbuild,
                    const struct project *project, const char *out_dir, bool service_worker,
                    const char *failed, struct buffer *messages)
{
    struct args args = {.count = 0};
    add(&args, xstrdup(esbuild));
    add_options(&args, bundler, project, out_dir, service_worker);
    add_node_names(&args, project, failed);
    buffer_reset(messages, 0);
    int r = run(args.items, project->dir, messages);
    args_done(&args);
    return r;
}

static int run_until_known(const struct bundler *bundler, const struct project *project,
                           const char *out_dir, bool service_worker, struct error *err)
{
    AUTO_BUFFER messages = {0};
    AUTO_TEXT own = find_project_esbuild(project);
    const char *esbuild = own ? own : bundler->esbuild;
    if (!esbuild)
        return error_set(err, -ENOENT,
                         "esbuild was not found; run npm install esbuild in the project");
    int r = run_once(bundler, esbuild, project, out_dir, service_worker, NULL, &messages);
    if (r < 0 && own && bundler->esbuild && is_too_old(&messages)) {
        esbuild = bundler->esbuild;
        r = run_once(bundler, esbuild, project, out_dir, service_worker, NULL, &messages);
    }
    if (r < 0 && !project_has_node(project)) {
        AUTO_TEXT failed = text_of(&messages);
        if (strstr(failed, "Could not resolve"))
            r = run_once(bundler, esbuild, project, out_dir, service_worker, failed, &messages);
    }
    AUTO_TEXT text = text_of(&messages);
    if (r < 0)
        return error_set(err, r, "the project does not build:\n%s", text);
    (void)fputs(text, stderr);
    return 0;
}

/* ---- what came out ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* The module type of a file that the entry imports, by its path from the project. */
static int type_of_input(const struct project *project, const char *input, const char **ret_type,
                         struct error *err)
{
    struct rule_match match = rules_match(project->rules, input, project->module_root);
    *ret_type = match.type;
    if (match.type)
        return 0;
    if (match.hidden_glob)
        return error_set(err, -EINVAL,
                         "%s matches the module rule \"%s\", which another rule of the same type "
                         "hides; give that one fallthrough = true in [[rules]]",
                         input, match.hidden_glob);
    return error_set(err, -EINVAL,
                     "%s is no JavaScript and matches no module rule; add one to [[rules]]", input);
}

static int add_module(struct esbuild_output *output, const struct project *project,
                      const char *name, const char *path, const char *input, struct error *err)
{
    const char *type;
    size_t index;
    json_t *module;
    int r = type_of_input(project, input, &type, err);
    if (r < 0)
        return r;
    json_array_foreach(
        output->modules, index,
        module) if (strcmp(json_string_value(json_object_get(module, "name")), name) == 0) return 0;
    (void)json_array_append_new(
        output->modules, json_pack("{s:s, s:s, s:s}", "name", name, "path", path, "type", type));
    return 0;
}

static int take_copies(struct esbuild_output *output, const struct project *project,
                       const char *out_dir, const json_t *meta, struct error *err)
{
    const char *path;
    json_t *copy;
    json_object_foreach(json_object_get(meta, "outputs"), path, copy)
    {
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        void *input = json_object_iter(json_object_get(copy, "inputs"));
        if (strcmp(name, "index.js") == 0)
            output->has_exports = json_array_size(json_object_get(copy, "exports")) > 0;
        if (!input || ends_with(name, ".js") || ends_with(name, ".map") || ends_with(name, ".css"))
            continue;
        AUTO_TEXT file = xasprintf("%s/%s", out_dir, name);
        int r = add_module(output, project, name, file, json_object_iter_key(input), err);
        if (r < 0)
            return r;
        if (ends_with(json_object_iter_key(input), "?module")) { /* imported by that name */
            AUTO_TEXT asked = xasprintf("%s?module", name);
            r = add_module(output, project, asked, file, json_object_iter_key(input), err);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* In index.js an external file has the path from out_dir, which climbs out of the bundle. The same
 * number of bytes names it from the bundle's root, so that positions stay. */
static void rename_import(char *code, size_t len, const char *old, const char *name)
{
    size_t old_len = strlen(old), name_len = strlen(name);
    for (char *at = code; (at = memmem(at, (size_t)(code + len - at), old, old_len));) {
        bool quoted = at > code && strchr("\"'`", at[-1]) && at + old_len < code + len &&
                      at[old_len] == at[-1];
        if (quoted) {
            memset(at, '/', old_len - name_len);
            at[0] = '.';
        }
        at += old_len;
    }
}

/* Every external file that the metafile names becomes a module with its path from the project. */
static int take_files(struct esbuild_output *output, const struct project *project,
                      const char *out_dir, char *code, size_t len, const json_t *meta,
                      struct error *err)
{
    const char *path, *importer;
    size_t index;
    json_t *input, *import;
    json_object_foreach(json_object_get(meta, "inputs"), importer, input)
    {
        json_array_foreach(json_object_get(input, "imports"), index, import)
        {
            path = json_string_value(json_object_get(import, "path"));
            if (!json_is_true(json_object_get(import, "external")) || strncmp(path, "../", 3) != 0)
                continue;
            AUTO_TEXT joined = xasprintf("%s/%s", out_dir, path);
            AUTO_TEXT file = realpath(joined, NULL);
            size_t dir_len = strlen(project->dir);
            if (!file || strncmp(file, project->dir, dir_len) != 0 || file[dir_len] != '/' ||
                !ends_with(path, file + dir_len))
                continue;
            const char *name = file + dir_len + 1;
            int r = add_module(output, project, name, file, name, err);
            if (r < 0)
                return r;
            rename_import(code, len, path, name);
            (void)json_array_append_new(output->inputs, json_string(file));
        }
    }
    return 0;
}

static int take_files_of(struct esbuild_output *output, const struct project *project,
                         const char *out_dir, const json_t *meta, struct error *err)
{
    AUTO_TEXT index = xasprintf("%s/index.js", out_dir);
    struct stat stat_of;
    AUTO_FD fd = open(index, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat_of) < 0)
        return error_set(err, -errno, "cannot read %s: %s", index, strerror(errno));
    size_t len = (size_t)stat_of.st_size;
    char *code = len ? mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : NULL;
    if (code == MAP_FAILED)
        return error_set(err, -errno, "cannot map %s: %s", index, strerror(errno));
    int r = code ? take_files(output, project, out_dir, code, len, meta, err) : 0;
    if (code)
        (void)munmap(code, len);
    return r;
}

static void take_inputs(struct esbuild_output *output, const struct project *project,
                        const json_t *meta)
{
    const char *name;
    json_t *input;
    json_object_foreach(json_object_get(meta, "inputs"), name, input)
    {
        AUTO_TEXT full =
            xasprintf("%s/%.*s", project->dir,
                      (int)(strlen(name) - (ends_with(name, "?module") ? 7 : 0)), name);
        char *real = realpath(full, NULL);
        if (real)
            (void)json_array_append_new(output->inputs, json_string(real));
        free(real);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(json_string_value(json_object_get(*(json_t *const *)a, "name")),
                  json_string_value(json_object_get(*(json_t *const *)b, "name")));
}

/* So that the same input gives the same bundle. */
static void sort_modules(struct esbuild_output *output)
{
    size_t count = json_array_size(output->modules), index;
    json_t **items = xcalloc(count, sizeof(items[0])), *item;
    json_array_foreach(output->modules, index, item) items[index] = json_incref(item);
    qsort(items, count, sizeof(items[0]), by_name);
    (void)json_array_clear(output->modules);
    for (index = 0; index < count; index++)
        (void)json_array_append_new(output->modules, items[index]);
    free(items);
}

int esbuild_run(const struct bundler *bundler, const struct project *project, const char *out_dir,
                bool service_worker, struct esbuild_output *ret_output, struct error *err)
{
    *ret_output = (struct esbuild_output){.inputs = json_array(), .modules = json_array()};
    int r = run_until_known(bundler, project, out_dir, service_worker, err);
    if (r < 0)
        return r;
    AUTO_TEXT path = xasprintf("%s/meta.json", out_dir);
    json_t *meta = json_load_file(path, 0, NULL);
    take_inputs(ret_output, project, meta);
    r = take_copies(ret_output, project, out_dir, meta, err);
    if (r == 0)
        r = take_files_of(ret_output, project, out_dir, meta, err);
    sort_modules(ret_output);
    json_decref(meta);
    return r;
}

void esbuild_output_done(struct esbuild_output *output)
{
    json_decref(output->inputs);
    json_decref(output->modules);
    *output = (struct esbuild_output){.inputs = NULL};
}
