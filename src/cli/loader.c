/* SPDX-License-Identifier: Apache-2.0 */
#include "loader.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bundler.h"
#include "checks.h"
#include "cli.h"
#include "hyperdrive.h"
#include "pool_config.h"
#include "prisma_endpoint.h"
#include "prisma_keys.h"
#include "project.h"
#include "text_file.h"
#include "tls_files.h"

enum { TREE_DIRS_MAX = 1024 };

/* Of seen, which is taken over. */
static json_t *digest_of(json_t *seen)
{
    char *text = json_dumps(seen, JSON_COMPACT | JSON_SORT_KEYS), hex[65];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    (void)EVP_Digest(text, strlen(text), digest, &len, EVP_sha256(), NULL);
    for (unsigned i = 0; i < 32; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    free(text);
    json_decref(seen);
    return json_string(hex);
}

/* What decides whether running instances can stay: the bundle, and what they are given with it. */
static void set_version(json_t *worker, const char *bundle_version)
{
    json_t *seen = json_pack("{s:s?, s:O?}", "bundle", bundle_version, "limits",
                             json_object_get(worker, "limits"));
    (void)json_object_set_new(worker, "version", digest_of(seen));
}

/* The worker's part of the plan. limits, scale: defaults already filled; taken over. */
static json_t *worker_of(const struct project *project, json_t *limits, json_t *scale)
{
    json_t *worker = json_pack("{s:s, s:O, s:o, s:o, s:O, s:[], s:O}", "name", project->name,
                               "routes", project->routes, "limits", limits, "scale", scale, "crons",
                               project->crons, "egress_allow", "databases", project->databases);
    (void)json_object_update(limits, project->limits);
    (void)json_object_set(worker, "assets", project->assets ? project->assets : json_null());
    (void)json_object_set_new(worker, "bundle", json_null());
    (void)json_object_set_new(worker, "default", json_false());
    return worker;
}

static json_t *defaults_of(const struct config_table *table, const struct value *value)
{
    json_t *object = json_object();
    config_fill(value, table, object);
    return object;
}

static int dump(json_t *plan, struct buffer *ret_plan)
{
    char *text = json_dumps(plan, JSON_COMPACT);
    buffer_append_text(ret_plan, text);
    free(text);
    return 0;
}

/* ---- the Prisma endpoint ---- */

/* A setting of the database, or else of the pool. */
static json_t *setting_of(const json_t *plan, const json_t *database, const char *name)
{
    json_t *own = json_object_get(database, name);
    return own ? own : json_object_get(json_object_get(plan, "pool"), name);
}

/* The system worker of one database, at the end of the plan's workers. */
static int add_prisma_worker(json_t *plan, struct bundler *bundler, const char *name,
                             const json_t *database, const json_t *settings, struct error *err)
{
    struct project project;
    struct bundle bundle = {.path = NULL};
    json_t *binding = hyperdrive_binding(database, name);
    if (!binding)
        return error_set(err, -EINVAL,
                         "the database \"%s\" has Prisma api keys, and needs user = \"…\" in "
                         "[[pool.databases]], or in its url",
                         name);
    json_t *vars = json_copy((json_t *)(uintptr_t)settings);
    (void)json_object_set(vars, "POOL_SIZE", setting_of(plan, database, "pool_size"));
    (void)json_object_set(vars, "POOL_WAIT_MS", setting_of(plan, database, "query_wait_timeout"));
    if (json_object_get(database, "schema")) /* ?schema= of its url, as Prisma's URLs have it */
        (void)json_object_set(vars, "SCHEMA", json_object_get(database, "schema"));
    /* Results of another database by the same name are not to be had from it. */
    (void)json_object_set_new(
        vars, "OF",
        digest_of(json_pack("{s:O?, s:O?}", "hosts", json_object_get(database, "hosts"), "database",
                            json_object_get(database, "database"))));
    int r = prisma_endpoint_project(name, binding, vars, &project, err);
    json_decref(vars);
    if (r == 0)
        r = bundler_build(bundler, &project, &bundle, err);
    if (r == 0) {
        json_t *scale = defaults_of(&config_scale, NULL);
        /* One instance has all of a database's transactions, schemas and results. */
        (void)json_object_update_new(
            scale, json_pack("{s:i, s:i, s:i, s:O, s:I}", "max_instances", 1, "concurrency", 1000,
                             "queue_length", 10000, "idle_timeout_ms",
                             json_object_get(settings, "idle_timeout"), "hold_ms",
                             prisma_endpoint_longest_ms(settings)));
        json_t *worker = worker_of(&project, defaults_of(&config_limits, NULL), scale);
        (void)json_object_set_new(worker, "egress_allow", json_false());
        (void)json_object_set_new(worker, "bundle", json_string(bundle.path));
        (void)json_object_set_new(worker, "prisma", json_string(name));
        set_version(worker, bundle.version);
        (void)json_array_append_new(json_object_get(plan, "workers"), worker);
    }
    bundle_done(&bundle);
    project_done(&project);
    return r;
}

/* A database has one endpoint, whether keys have its name or its id. weir serve has it by its name,
 * which stays when a reload gives it an id; under weir dev names are made up, and ids are given. */
static void unite_databases(json_t *part, const json_t *plan)
{
    const json_t *pool = json_object_get(plan, "pool");
    const char *mode = json_string_value(json_object_get(plan, "mode")), *id;
    const char *by = mode && strcmp(mode, "dev") == 0 ? "id" : "name";
    json_t *key;
    json_object_foreach(json_object_get(part, "keys"), id, key)
    {
        const char *given = json_string_value(json_object_get(key, "database"));
        json_t *own = json_object_get(given ? hyperdrive_find(pool, given) : NULL, by);
        if (own)
            (void)json_object_set(key, "database", own);
    }
}

/* part: taken over; settings: the system workers' variables. Databases that are not there any more have
 * nobody who answers for them. */
static int add_prisma(json_t *plan, struct bundler *bundler, json_t *part, const json_t *settings,
                      struct error *err)
{
    unite_databases(part, plan);
    json_t *names = prisma_endpoint_databases(part), *name;
    size_t index;
    int r = 0;
    json_array_foreach(names, index, name)
    {
        const char *text = json_string_value(name);
        const json_t *database = hyperdrive_find(json_object_get(plan, "pool"), text);
        if (r == 0 && database)
            r = add_prisma_worker(plan, bundler, text, database, settings, err);
    }
    (void)json_object_set(part, "key_requests_max", json_object_get(settings, "KEY_REQUESTS_MAX"));
    (void)json_object_set_new(plan, "prisma", part);
    json_decref(names);
    return r;
}

/* ---- weir dev ---- */

static void add_vars(struct project *project, const char *const *vars)
{
    for (size_t i = 0; vars && vars[i]; i++) {
        const char *colon = strchr(vars[i], ':');
        if (!colon)
            continue;
        AUTO_TEXT name = xstrndup(vars[i], (size_t)(colon - vars[i]));
        (void)json_object_set_new(project->vars, name, json_string(colon + 1));
    }
}

static json_t *dev_plan(const struct dev_options *options, const char *data_dir)
{
    return json_pack("{s:s, s:[{s:s, s:i}], s:n, s:i, s:s, s:b, s:s, s:o}", "mode", "dev",
                     "listeners", "address", options->address, "port", options->port, "admin",
                     "gateways", 1, "access_log", "text", "color", options->color, "data_dir",
                     data_dir, "http", defaults_of(&config_http, NULL));
}

/* Without the escape sequences of a terminal's colours; also one that was cut off. */
static void strip_colors(char *text)
{
    char *out = text;
    for (char *at = text; *at;) {
        if (*at != '\033') {
            *out++ = *at++;
            continue;
        }
        at += at[1] == '[' ? 2 : 1;
        at += strspn(at, "0123456789;");
        at += *at != 0;
    }
    *out = 0;
}

/* The directory and those below it. */
static void add_tree(json_t *watch, const char *path)
{
    DIR *dir = opendir(path);
    if (dir)
        (void)json_array_append_new(watch, json_string(path));
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        AUTO_TEXT child = xasprintf("%s/%s", path, entry->d_name);
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
            strcmp(entry->d_name, "node_modules") != 0 && json_array_size(watch) < TREE_DIRS_MAX)
            add_tree(watch, child);
    }
    if (dir)
        (void)closedir(dir);
}

/* A failed build does not tell its sources: watch what its messages name ("    file:line:column:"),
 * and whatever is beside the entry, since the remedy may be a file that is not there yet. */
static void add_failed(json_t *watch, const struct project *project, const char *messages)
{
    for (const char *line = messages; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *name = line + strspn(line, " "), *end = strpbrk(name, ":\n");
        if (!end || *end != ':' || end == name || !isdigit((unsigned char)end[1]))
            continue;
        AUTO_TEXT path = xasprintf("%s/%.*s", project->dir, (int)(end - name), name);
        char *real = realpath(path, NULL);
        if (real)
            (void)json_array_append_new(watch, json_string(real));
        free(real);
    }
    AUTO_TEXT dir = xstrdup(project->main);
    *strrchr(dir, '/') = 0;
    add_tree(watch, dir);
}

/* What a change of must lead to a new build. failure: the builder's messages, or NULL. */
static json_t *watched_paths(const struct project *project, json_t *inputs, const char *failure)
{
    json_t *watch = inputs ? json_incref(inputs) : json_array();
    if (failure)
        add_failed(watch, project, failure);
    (void)json_array_append_new(watch, json_string(project->config_path));
    (void)json_array_extend(watch, project->secrets_paths);
    if (project->main)
        (void)json_array_append_new(watch, json_string(project->main));
    const char *assets = json_string_value(json_object_get(project->assets, "directory"));
    if (assets)
        (void)json_array_append_new(watch, json_string(assets));
    return watch;
}

/* *ret_part: the plan's "prisma", NULL where there never was a key. A key for the private Postgres makes it a database of
 * the pool. */
static int take_prisma_keys(struct project *project, const char *state_dir, json_t **pool,
                            json_t **ret_part, struct error *err)
{
    AUTO_TEXT path = prisma_keys_path(state_dir);
    (void)json_array_append_new(project->secrets_paths, json_string(path));
    int r = prisma_endpoint_part(state_dir, ret_part, err);
    if (r < 0 || !*ret_part)
        return r;
    prisma_endpoint_declare(project, *ret_part);
    json_t *names = prisma_endpoint_databases(*ret_part), *name;
    size_t index;
    json_array_foreach(names, index, name)
    {
        if (r == 0 && strcmp(json_string_value(name), PRISMA_PRIVATE) == 0)
            r = hyperdrive_dev_private(project, PRISMA_PRIVATE, pool, err);
    }
    json_decref(names);
    return r;
}

int loader_dev(const struct dev_options *options, struct buffer *ret_plan, struct error *err)
{
    struct project project;
    struct bundler bundler;
    struct bundle bundle = {.path = NULL};
    struct config_report report = {.file = options->dir};
    int r = project_read(options->dir, options->env, &project, &report, err);
    if (r < 0)
        return r;
    bool color = cli_color(STDERR_FILENO);
    if (report.errors_count > 0)
        r = error_set(err, -EINVAL, "the configuration has %d mistake%s", report.errors_count,
                      report.errors_count > 1 ? "s" : "");
    config_report_sort(&report);
    if (r < 0) {
        config_report_print(&report, color);
        config_report_done(&report);
        project_done(&project);
        return r;
    }
    AUTO_BUFFER warnings = {0};
    config_report_append(&report, false, &warnings);
    config_report_done(&report);
    json_t *pool = NULL, *prisma = NULL;
    AUTO_TEXT state_dir = xasprintf("%s/.weir", project.dir);
    add_vars(&project, options->vars);
    r = hyperdrive_dev(&project, &pool, err);
    if (r == 0)
        r = take_prisma_keys(&project, state_dir, &pool, &prisma, err);
    if (r == 0)
        r = bundler_init(&bundler, options->data_dir, true, color, err);
    if (r < 0) {
        json_decref(pool);
        json_decref(prisma);
        project_done(&project);
        return r;
    }
    json_t *plan = dev_plan(options, bundler.data_dir);
    if (pool)
        (void)json_object_set_new(plan, "pool", pool);
    json_t *worker = worker_of(&project, defaults_of(&config_limits, NULL),
                               defaults_of(&config_scale, NULL));
    struct error failure = {""};
    if (project.main)
        r = bundler_build(&bundler, &project, &bundle, &failure);
    if (r < 0) {
        (void)fprintf(stderr, "%s%s\n", failure.text, color ? "\033[0m" : "");
        strip_colors(failure.text); /* what follows is for clients */
        (void)json_object_set_new(worker, "failed", json_string(failure.text));
    } else if (bundle.path) {
        (void)json_object_set_new(worker, "bundle", json_string(bundle.path));
    }
    set_version(worker, r < 0 ? failure.text : bundle.path ? bundle.version : "");
    (void)json_object_set_new(worker, "default", json_true());
    /* A developer's fetch() goes to the services on the same machine. */
    (void)json_object_set_new(worker, "egress_allow", json_pack("[s, s]", "127.0.0.0/8", "::1/128"));
    (void)json_object_set_new(worker, "config", json_string(project.config_path));
    (void)json_object_set_new(worker, "warnings",
                              json_stringn(warnings.data ? warnings.data + warnings.start : "",
                                           buffer_len(&warnings)));
    (void)json_object_set_new(worker, "watch", watched_paths(&project, bundle.inputs, r < 0 ? failure.text : NULL));
    (void)json_object_set_new(plan, "workers", json_pack("[o]", worker));
    json_t *settings = defaults_of(&config_prisma, NULL);
    r = prisma ? add_prisma(plan, &bundler, prisma, settings, err) : 0;
    json_decref(settings);
    if (r == 0 && options->prisma_port >= 0) {
        json_t *listener =
            prisma_endpoint_dev_listener(state_dir, options->address, options->prisma_port, err);
        r = listener ? json_array_append_new(json_object_get(plan, "listeners"), listener) : -EIO;
    }
    if (r == 0)
        r = dump(plan, ret_plan);
    json_decref(plan);
    bundle_done(&bundle);
    bundler_done(&bundler);
    project_done(&project);
    return r;
}

/* ---- weir serve ---- */

static char *dir_of(const char *path)
{
    char *real = realpath(path, NULL);
    if (!real)
        return xstrdup(".");
    *strrchr(real, '/') = 0;
    if (!*real)
        strcpy(real, "/");
    return real;
}

static char *below(const char *dir, const char *path)
{
    return path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", dir, path);
}

char *loader_data_dir(const char *path, struct error *err)
{
    struct value root;
    struct error why = {""};
    if (config_read(path, &root, &why) < 0) {
        (void)error_set(err, -EINVAL, "%s:%s%s", path, isdigit((unsigned char)why.text[0]) ? "" : " ",
                        why.text);
        return NULL;
    }
    const char *given = value_text(value_get(&root, "data_dir"));
    AUTO_TEXT dir = dir_of(path);
    char *result = below(dir, given ? given : ".weir");
    value_done(&root);
    return result;
}

/* The value of a line "data_dir = …", or NULL. Malloc'ed. */
static char *data_dir_of_line(struct slice line)
{
    struct value root;
    struct error err = {""};
    char *text = NULL;
    if (toml_parse(line, &root, &err) == 0) {
        const char *given = value_text(value_get(&root, "data_dir"));
        text = given ? xstrdup(given) : NULL;
        value_done(&root);
    }
    return text;
}

char *loader_likely_data_dir(const char *path)
{
    AUTO_BUFFER text = {0};
    if (text_file_read(path, VALUE_BYTES_MAX, &text) < 0)
        return NULL;
    struct slice rest = buffer_slice(&text);
    AUTO_TEXT given = NULL;
    while (rest.len > 0 && rest.ptr[0] != '[' && !given) { /* the keys of no table come first */
        struct slice line = slice_until(rest, '\n');
        given = data_dir_of_line(line);
        size_t taken = line.len + (line.len < rest.len);
        rest = (struct slice){rest.ptr + taken, rest.len - taken};
    }
    AUTO_TEXT dir = dir_of(path);
    return below(dir, given ? given : ".weir");
}

/* Every text of an array by its own line. */
static void check_texts(const struct value *list, const char *key,
                        const char *check(const char *text), struct config_report *report)
{
    for (size_t i = 0; list && list->type == VALUE_ARRAY && i < list->count; i++) {
        const struct value *item = &list->entries[i].value;
        const char *text = value_text(item), *wrong = text ? check(text) : NULL;
        if (wrong)
            config_error(report, item->line, key, "[[worker]] %s \"%s\": %s", key, text, wrong);
    }
}

struct serve_context {
    const char *dir;
    struct bundler bundler;
    const struct value *limits, *scale;
    struct config_report *report;
    json_t *workers, *routes; /* routes: whose they are, by their canonical form */
    const json_t *pool;       /* of the plan, or NULL */
    json_t *prisma;           /* of the plan, or NULL */
    bool build, has_default;
};

/* Messages about a project come under its own file's name. */
static int read_project(struct serve_context *context, const struct value *entry,
                        struct project *ret_project)
{
    struct config_report *report = context->report;
    struct error err = {""};
    const char *project_dir = value_text(value_get(entry, "project"));
    if (!project_dir) {
        config_error(report, entry->line, "project",
                     "[[worker]] needs project = \"…\", the directory with its wrangler "
                     "configuration");
        return -EINVAL;
    }
    AUTO_TEXT dir = below(context->dir, project_dir);
    const char *file = report->file;
    int errors_before = report->errors_count;
    int r = project_read(dir, value_text(value_get(entry, "env")), ret_project, report, &err);
    report->file = file;
    if (r < 0)
        config_error(report, entry->line, "project", "[[worker]] project = \"%s\": %s",
                     project_dir, err.text);
    return r < 0 ? r : report->errors_count > errors_before ? -EINVAL : 0;
}

static bool name_taken(const json_t *workers, const char *name)
{
    size_t index;
    json_t *worker;
    json_array_foreach(workers, index, worker)
        if (strcmp(json_string_value(json_object_get(worker, "name")), name) == 0)
            return true;
    return false;
}

static const char *name_of(const json_t *worker)
{
    return json_string_value(json_object_get(worker, "name"));
}

static void check_shared_routes(struct serve_context *context, const struct value *entry,
                                const json_t *worker)
{
    const struct value *own = value_get(entry, "routes");
    size_t index;
    json_t *route;
    json_array_foreach(json_object_get(worker, "routes"), index, route)
    {
        AUTO_TEXT canonical = check_route_canonical(json_string_value(route));
        const char *other = json_string_value(json_object_get(context->routes, canonical));
        if (other)
            config_error(context->report,
                         own && own->type == VALUE_ARRAY && index < own->count
                             ? own->entries[index].value.line
                             : entry->line,
                         "routes", "[[worker]] \"%s\": the worker \"%s\" has the route \"%s\", too",
                         name_of(worker), other, json_string_value(route));
        else
            (void)json_object_set_new(context->routes, canonical, json_string(name_of(worker)));
    }
}

/* scale: filled, so that a default counts as well. given: the table, or NULL. */
static void check_scale(const struct value *given, int line, const char *table,
                        const json_t *scale, struct config_report *report)
{
    json_int_t min = json_integer_value(json_object_get(scale, "min_instances")),
               max = json_integer_value(json_object_get(scale, "max_instances"));
    const struct value *at = value_get(given, "min_instances");
    at = at ? at : value_get(given, "max_instances");
    if (given && min > max)
        config_error(report, at ? at->line : line, "min_instances",
                     "%s min_instances = %lld is more than max_instances = %lld", table,
                     (long long)min, (long long)max);
}

static void build_worker(struct serve_context *context, const struct value *entry,
                         const struct project *project, json_t *worker)
{
    struct bundle bundle = {.path = NULL};
    struct error err = {""};
    if (project->main && context->build) {
        if (bundler_build(&context->bundler, project, &bundle, &err) < 0)
            config_error(context->report, entry->line, NULL, "[[worker]] \"%s\": %s",
                         project->name, err.text);
        else
            (void)json_object_set_new(worker, "bundle", json_string(bundle.path));
    }
    set_version(worker, bundle.path ? bundle.version : "");
    bundle_done(&bundle);
}

static void add_worker(struct serve_context *context, const struct value *entry)
{
    struct project project = {.name = NULL};
    const struct value *limits = value_get(entry, "limits"), *scale = value_get(entry, "scale");
    config_check(entry, &config_worker, NULL, context->report);
    config_check(limits, &config_limits, NULL, context->report);
    config_check(scale, &config_scale, NULL, context->report);
    check_texts(value_get(entry, "egress_allow"), "egress_allow", check_egress, context->report);
    check_texts(value_get(entry, "routes"), "routes", check_route, context->report);
    if (entry->type != VALUE_TABLE || read_project(context, entry, &project) < 0) {
        project_done(&project);
        return;
    }
    const char *name = value_text(value_get(entry, "name"));
    if (name) {
        free(project.name);
        project.name = xstrdup(name);
        const char *wrong = check_worker_name(name);
        if (wrong)
            config_error(context->report, value_get(entry, "name")->line, "name",
                         "[[worker]] name = \"%s\": %s", name, wrong);
    }
    if (name_taken(context->workers, project.name))
        config_error(context->report, entry->line, "name",
                     "[[worker]] the name \"%s\" is taken; give this one name = \"…\"",
                     project.name);
    hyperdrive_serve(&project, context->pool, entry->line, context->report);
    if (context->prisma)
        prisma_endpoint_declare(&project, context->prisma);
    json_t *worker = worker_of(&project, defaults_of(&config_limits, context->limits),
                               defaults_of(&config_scale, context->scale));
    config_override(limits, &config_limits, json_object_get(worker, "limits"));
    config_override(scale, &config_scale, json_object_get(worker, "scale"));
    config_override(entry, &config_worker, worker);
    if (json_is_true(json_object_get(worker, "default"))) {
        if (context->has_default)
            config_error(context->report, entry->line, "default",
                         "[[worker]] default = true: another worker is the default already");
        context->has_default = true;
    }
    if (json_array_size(json_object_get(worker, "routes")) == 0 &&
        !json_is_true(json_object_get(worker, "default")))
        config_warn(context->report, entry->line, "routes",
                    "[[worker]] \"%s\" has no routes and is not the default: nothing reaches it",
                    project.name);
    check_shared_routes(context, entry, worker);
    check_scale(scale, entry->line, "[[worker]] scale:", json_object_get(worker, "scale"),
                context->report);
    build_worker(context, entry, &project, worker);
    (void)json_array_append_new(context->workers, worker);
    project_done(&project);
}

/* seen: array of {address, port} so far. */
static void check_listener(const struct value *entry, const char *table, const json_t *listener,
                           const json_t *seen, struct config_report *report)
{
    const char *address = json_string_value(json_object_get(listener, "address"));
    const struct value *given = value_get(entry, "address");
    const char *wrong = check_address(address);
    int line = given ? given->line : entry ? entry->line : 0;
    if (wrong)
        config_error(report, line, "address", "%s address = \"%s\": %s", table, address, wrong);
    size_t index;
    json_t *other;
    json_array_foreach(seen, index, other)
    {
        const char *taken = json_string_value(json_object_get(other, "address"));
        bool v6 = strchr(address, ':'), all = strcmp(address, v6 ? "::" : "0.0.0.0") == 0 ||
                                              strcmp(taken, v6 ? "::" : "0.0.0.0") == 0;
        if (!json_equal(json_object_get(listener, "port"), json_object_get(other, "port")) ||
            (strcmp(address, taken) != 0 && !(all && v6 == (strchr(taken, ':') != NULL))))
            continue;
        long long port = json_integer_value(json_object_get(listener, "port"));
        config_error(report, entry ? entry->line : 0, "port",
                     "%s address = \"%s\", port = %lld: another listener has %s port %lld already",
                     table, address, port, taken, port);
        return;
    }
}

static json_t *listeners_of(const struct value *root, const char *dir, struct config_report *report)
{
    const struct value *list = value_get(root, "listener");
    json_t *listeners = json_array();
    if (list && list->type != VALUE_ARRAY) {
        config_error(report, list->line, "listener", "write [[listener]], with two brackets");
        return listeners;
    }
    for (size_t i = 0; i < (list ? list->count : 1); i++) {
        const struct value *entry = list ? &list->entries[i].value : NULL;
        config_check(entry, &config_listener, NULL, report);
        json_t *listener = defaults_of(&config_listener, entry);
        check_listener(entry, "[[listener]]", listener, listeners, report);
        json_t *tls = tls_files_read(entry, "[[listener]]", dir, report);
        if (tls)
            (void)json_object_set_new(listener, "tls", tls);
        (void)json_array_append_new(listeners, listener);
    }
    return listeners;
}

/* [prisma]: adds its listener to the plan's, and returns the system workers' variables. */
static json_t *read_prisma(const struct value *table, const char *dir, json_t *plan,
                           struct config_report *report)
{
    json_t *settings = defaults_of(&config_prisma, table), *listeners = json_object_get(plan, "listeners");
    config_check(table, &config_prisma, NULL, report);
    json_t *tls = tls_files_read(table, "[prisma]", dir, report);
    const json_t *port = json_object_get(settings, "port");
    if (json_is_integer(port)) {
        json_t *listener = json_pack("{s:O, s:O, s:s}", "address", json_object_get(settings, "address"),
                                     "port", port, "service", "prisma");
        if (tls)
            (void)json_object_set(listener, "tls", tls);
        check_listener(table, "[prisma]", listener, listeners, report);
        (void)json_array_append_new(listeners, listener);
    }
    json_decref(tls);
    return settings;
}

static json_t *plan_of(const struct value *root, const char *config_dir, const char *dir, bool color,
                       struct config_report *report)
{
    static const char *const tables[] = {"listener", "admin", "http", "limits",
                                         "scale",    "worker", "pool",   "prisma", NULL};
    json_t *plan = json_object();
    config_check(root, &config_root, tables, report);
    config_fill(root, &config_root, plan);
    const struct value *log = value_get(root, "access_log"), *admin = value_get(root, "admin");
    const char *kind = value_text(log);
    if (kind && strcmp(kind, "json") != 0 && strcmp(kind, "text") != 0 && strcmp(kind, "off") != 0)
        config_error(report, log->line, "access_log", "access_log = \"%s\": expected \"json\", \"text\" or \"off\"",
                     kind);
    config_check(admin, &config_admin, NULL, report);
    config_check(value_get(root, "http"), &config_http, NULL, report);
    config_check(value_get(root, "limits"), &config_limits, NULL, report);
    config_check(value_get(root, "scale"), &config_scale, NULL, report);
    (void)json_object_set_new(plan, "mode", json_string("serve"));
    (void)json_object_set_new(plan, "color", json_boolean(color));
    (void)json_object_set_new(plan, "data_dir", json_string(dir));
    json_t *listeners = listeners_of(root, config_dir, report);
    json_t *admin_listener = admin ? defaults_of(&config_admin, admin) : json_null();
    json_t *scale = defaults_of(&config_scale, value_get(root, "scale"));
    if (admin)
        check_listener(admin, "[admin]", admin_listener, listeners, report);
    check_scale(value_get(root, "scale"), 0, "[scale]", scale, report);
    json_decref(scale);
    (void)json_object_set_new(plan, "listeners", listeners);
    (void)json_object_set_new(plan, "admin", admin_listener);
    (void)json_object_set_new(plan, "http", defaults_of(&config_http, value_get(root, "http")));
    return plan;
}

int loader_serve(const char *path, const struct serve_options *options, struct buffer *ret_plan,
                 struct config_report *report, struct error *err)
{
    struct value root;
    report->file = path;
    int r = config_read(path, &root, err);
    if (r < 0) {
        config_error_at(report, err->text);
        return error_set(err, r, "%s cannot be used", path);
    }
    if (pool_config_is_own(&root)) {
        config_error(report, 0, NULL,
                     "this is a configuration of the pool by itself: run it with `weir pool "
                     "--config %s`, check it with `weir pool --config %s --check`",
                     path, path);
        value_done(&root);
        return error_set(err, -EINVAL, "%s cannot be used", path);
    }
    AUTO_TEXT dir = dir_of(path);
    const char *given = value_text(value_get(&root, "data_dir"));
    AUTO_TEXT data_dir = below(dir, given ? given : ".weir");
    struct serve_context context = {.dir = dir,
                                    .limits = value_get(&root, "limits"),
                                    .scale = value_get(&root, "scale"),
                                    .report = report,
                                    .workers = json_array(),
                                    .routes = json_object(),
                                    .build = options->build};
    json_t *plan = plan_of(&root, dir, data_dir, options->color, report);
    if (options->build)
        r = bundler_init(&context.bundler, options->data_dir ? options->data_dir : data_dir, false,
                         false, err);
    if (r == 0)
        r = prisma_endpoint_part(data_dir, &context.prisma, err);
    const struct value *workers = value_get(&root, "worker"), *pool = value_get(&root, "pool");
    if (pool)
        (void)json_object_set_new(plan, "pool", pool_config_plan(pool, "[pool]", path, report));
    context.pool = json_object_get(plan, "pool");
    json_t *settings = read_prisma(value_get(&root, "prisma"), dir, plan, report);
    if (r == 0 && (!workers || workers->type != VALUE_ARRAY))
        config_error(report, workers ? workers->line : 0, "worker",
                     "there is no [[worker]]; add one with project = \"…\"");
    for (size_t i = 0; r == 0 && workers && workers->type == VALUE_ARRAY && i < workers->count; i++)
        add_worker(&context, &workers->entries[i].value);
    (void)json_object_set_new(plan, "workers", context.workers);
    if (r == 0 && context.prisma && options->build)
        r = add_prisma(plan, &context.bundler, json_incref(context.prisma), settings, err);
    config_report_sort(report);
    if (r == 0 && report->errors_count > 0)
        r = error_set(err, -EINVAL, "%s has %d mistake%s", path, report->errors_count,
                      report->errors_count > 1 ? "s" : "");
    if (r == 0)
        r = dump(plan, ret_plan);
    if (options->build)
        bundler_done(&context.bundler);
    json_decref(context.routes);
    json_decref(context.prisma);
    json_decref(settings);
    json_decref(plan);
    value_done(&root);
    return r;
}
