/* SPDX-License-Identifier: Apache-2.0 */
#include "project.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checks.h"
#include "cron.h"
#include "dotenv.h"
#include "site_rules.h"
#include "text_file.h"

/* Known to wrangler and of no consequence here. */
static const char *const accepted[] = {
    "$schema",       "account_id",         "workers_dev",        "preview_urls", "observability",
    "logpush",       "upload_source_maps", "keep_vars",          "dev",          "placement",
    "send_metrics",  "find_additional_modules", "preserve_file_names", "build",
    "tail_consumers", "usage_model",       "first_party_worker", "jsx_factory",  "jsx_fragment",
    "secrets",       NULL,
};
/* Known to wrangler and not served here yet. */
static const char *const unserved[] = {
    "kv_namespaces", "d1_databases", "r2_buckets", "durable_objects", "migrations", "services",
    "queues", "workflows", "ai", "browser", "images", "vectorize", "send_email",
    "analytics_engine_datasets", "dispatch_namespaces", "mtls_certificates", "secrets_store_secrets",
    "pipelines", "version_metadata", "ratelimits", "unsafe", "containers", "worker_loaders",
    "wasm_modules", "text_blobs", "data_blobs", "site", "pages_build_output_dir", "cloudchamber",
    "media", "stream", "vpc_services", NULL,
};

static char *find_in(const char *dir)
{
    static const char *const names[] = {"wrangler.json", "wrangler.jsonc", "wrangler.toml"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO_TEXT path = xasprintf("%s/%s", dir, names[i]);
        if (access(path, F_OK) == 0)
            return realpath(path, NULL);
    }
    return NULL;
}

char *project_find(const char *dir, bool upwards, struct error *err)
{
    struct stat stat_of;
    AUTO_TEXT real = realpath(dir, NULL);
    if (real && stat(real, &stat_of) == 0 && S_ISREG(stat_of.st_mode))
        return TAKE(real);
    while (real && *real) {
        char *found = find_in(real);
        if (found)
            return found;
        *(upwards ? strrchr(real, '/') : real) = 0;
    }
    (void)error_set(err, -ENOENT,
                    "%s has no wrangler.toml, wrangler.json or wrangler.jsonc%s; name the project's "
                    "directory, as in: weir dev path/to/project",
                    dir,
                    !real     ? ", there is no such directory"
                    : upwards ? ", nor has a directory above it"
                              : "");
    return NULL;
}

/* A key of the environment if it has it, else of the top level. Bindings are not inherited. */
static const struct value *inherited(const struct project *project, const char *key)
{
    const struct value *value = value_get(project->env, key);
    return value ? value : value_get(&project->config, key);
}

static const struct value *own(const struct project *project, const char *key)
{
    return value_get(project->env ? project->env : &project->config, key);
}

static char *absolute(const struct project *project, const char *path)
{
    AUTO_TEXT joined = path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", project->dir, path);
    char *real = realpath(joined, NULL);
    return real ? real : TAKE(joined);
}

static void check_keys(const struct value *table, struct config_report *report)
{
    const char *also[ARRAY_LEN(accepted) + ARRAY_LEN(unserved)];
    size_t count = 0;
    for (size_t i = 0; accepted[i]; i++)
        also[count++] = accepted[i];
    for (size_t i = 0; unserved[i]; i++)
        also[count++] = unserved[i];
    also[count] = NULL;
    config_check(table, &config_wrangler, also, report);
}

/* Bindings are not inherited: those of other environments are of no concern. */
static void warn_unserved(const struct project *project, struct config_report *report)
{
    const struct value *table = project->env ? project->env : &project->config;
    for (size_t i = 0; i < table->count; i++)
        for (size_t j = 0; unserved[j]; j++)
            if (strcmp(table->entries[i].key, unserved[j]) == 0)
                config_warn(report, table->entries[i].key_line, unserved[j],
                            "\"%s\" is not available on this server yet; the binding will be "
                            "missing from env",
                            unserved[j]);
}

static void take_vars(struct project *project, struct config_report *report)
{
    const struct value *vars = own(project, "vars");
    if (!vars)
        return;
    if (vars->type != VALUE_TABLE) {
        config_error(report, vars->line, "vars", "vars must be a table of names and values");
        return;
    }
    for (size_t i = 0; i < vars->count; i++)
        (void)json_object_set_new(project->vars, vars->entries[i].key,
                                  config_json(&vars->entries[i].value));
}

/* NULL: it is not there, or, as is told, can not be read. */
static char *read_text_file(const char *path, struct config_report *report)
{
    AUTO_BUFFER text = {0};
    int r = text_file_read(path, VALUE_BYTES_MAX, &text);
    if (r < 0 && r != -ENOENT)
        config_warn(report, 0, NULL, "cannot read %s: %s", path, text_file_problem(r));
    if (r < 0)
        return NULL;
    buffer_append(&text, "", 1);
    char *result = xstrdup(text.data + text.start);
    explicit_bzero(text.data, text.cap); /* it may hold secrets */
    return result;
}

static void take_secrets(struct project *project, const char *path, const char *text,
                         struct config_report *report)
{
    const char *file = report->file;
    report->file = path;
    dotenv_parse(text, project->vars, report);
    report->file = file;
}

/* .dev.vars.NAME or .dev.vars, the first that is there and nothing else; or all of the .env files, the
 * more particular ones over the others. Those that are not there are watched for. */
static void find_secrets(struct project *project, const char *env, struct config_report *report)
{
    static const struct {
        const char *name, *end;
        bool of_env, alone;
    } candidates[] = {
        {".dev.vars.", "", true, true}, {".dev.vars", "", false, true},
        {".env", "", false, false},     {".env.", "", true, false},
        {".env", ".local", false, false}, {".env.", ".local", true, false},
    };
    bool done = false;
    for (size_t i = 0; i < ARRAY_LEN(candidates); i++) {
        if (candidates[i].of_env && !env)
            continue;
        AUTO_TEXT path = xasprintf("%s/%s%s%s", project->dir, candidates[i].name,
                                   candidates[i].of_env ? env : "", candidates[i].end);
        (void)json_array_append_new(project->secrets_paths, json_string(path));
        AUTO_TEXT text = done ? NULL : read_text_file(path, report);
        if (text)
            take_secrets(project, path, text, report);
        if (text)
            explicit_bzero(text, strlen(text));
        done |= text && candidates[i].alone;
    }
}

static void add_route(struct project *project, const struct value *route,
                      struct config_report *report)
{
    const struct value *pattern = route->type == VALUE_TABLE ? value_get(route, "pattern") : route;
    const struct value *custom = value_get(route, "custom_domain");
    const char *text = value_text(pattern);
    if (!text) {
        config_error(report, route->line, "routes",
                     "routes: expected a pattern such as \"example.com/*\" or { pattern = \"…\" }");
        return;
    }
    bool whole_domain = custom && custom->type == VALUE_BOOL && custom->boolean;
    const char *scheme = strstr(text, "://"); /* Cloudflare allows one */
    const char *wrong = check_route(scheme ? scheme + 3 : text);
    if (!wrong && whole_domain && strpbrk(text, "/*"))
        wrong = "a custom domain is a host alone";
    if (wrong)
        config_error(report, pattern->line, "routes", "routes: \"%s\": %s", text, wrong);
    AUTO_TEXT all = xasprintf("%s%s", text, whole_domain ? "/*" : "");
    (void)json_array_append_new(project->routes, json_string(all));
}

static void take_crons(struct project *project, struct config_report *report)
{
    const struct value *triggers = inherited(project, "triggers"),
                       *crons = value_get(triggers, "crons");
    if (triggers && triggers->type != VALUE_TABLE)
        config_error(report, triggers->line, "triggers",
                     "triggers: expected a table with crons, as in [triggers]");
    if (crons && crons->type != VALUE_ARRAY)
        config_error(report, crons->line, "crons",
                     "[triggers] crons: expected an array such as [\"*/5 * * * *\"]");
    for (size_t i = 0; crons && crons->type == VALUE_ARRAY && i < crons->count; i++) {
        const struct value *item = &crons->entries[i].value;
        const char *text = value_text(item);
        struct cron cron;
        struct error err = {""};
        if (!text)
            config_error(report, item->line, "crons",
                         "[triggers] crons: expected a string such as \"*/5 * * * *\"");
        else if (cron_parse(text, &cron, &err) < 0)
            config_error(report, item->line, "crons", "[triggers] crons = \"%s\": %s", text,
                         err.text);
        else
            (void)json_array_append_new(project->crons, json_string(text));
    }
}

static void take_routes(struct project *project, struct config_report *report)
{
    const struct value *routes = inherited(project, "routes"),
                       *route = inherited(project, "route");
    if (route)
        add_route(project, route, report);
    if (routes && routes->type != VALUE_ARRAY)
        config_error(report, routes->line, "routes", "routes must be an array of patterns");
    for (size_t i = 0; routes && routes->type == VALUE_ARRAY && i < routes->count; i++)
        add_route(project, &routes->entries[i].value, report);
}

/* [define] and [alias]: names and texts. */
static const struct value *take_texts(const struct value *table, const char *key,
                                      struct config_report *report)
{
    if (table && table->type != VALUE_TABLE) {
        config_error(report, table->line, key, "%s: expected a table of strings, not %s", key,
                     value_type_name(table->type));
        return NULL;
    }
    for (size_t i = 0; table && i < table->count; i++)
        if (!value_text(&table->entries[i].value))
            config_error(report, table->entries[i].key_line, table->entries[i].key,
                         "%s.%s: expected a string, not %s%s", key, table->entries[i].key,
                         value_type_name(table->entries[i].value.type),
                         strcmp(key, "define") == 0 ? "; write source text, such as \"'a text'\""
                                                      " or \"true\""
                                                    : "");
    return table;
}

static bool is_one_of(const struct value *value, const char *const *words)
{
    const char *text = value_text(value);
    for (size_t i = 0; text && words[i]; i++)
        if (strcmp(words[i], text) == 0)
            return true;
    return false;
}

static void check_run_worker_first(const struct value *value, struct config_report *report)
{
    if (!value || value->type == VALUE_BOOL)
        return;
    if (value->type != VALUE_ARRAY) {
        config_error(report, value->line, "run_worker_first",
                     "[assets] run_worker_first: expected true, false or an array of globs such as "
                     "[\"/api/*\"], not %s",
                     value_type_name(value->type));
        return;
    }
    for (size_t i = 0; i < value->count; i++) {
        const struct value *item = &value->entries[i].value;
        const char *glob = value_text(item),
                   *wrong = glob ? check_asset_glob(glob) : "expected a string";
        if (wrong)
            config_error(report, item->line, "run_worker_first",
                         "[assets] run_worker_first: \"%s\": %s", glob ? glob : "", wrong);
    }
}

/* _headers and _redirects: their text, for the plan. */
static void take_site_rules(struct project *project, const char *directory, const char *name,
                            const char *plan_name,
                            void check(const char *text, struct config_report *report),
                            struct config_report *report)
{
    AUTO_TEXT path = xasprintf("%s/%s", directory, name);
    AUTO_TEXT text = read_text_file(path, report);
    const char *file = report->file;
    report->file = path;
    if (text)
        check(text, report);
    report->file = file;
    (void)json_object_set_new(project->assets, plan_name, json_string(text ? text : ""));
}

static void take_assets(struct project *project, struct config_report *report)
{
    static const char *const html[] = {"auto-trailing-slash", "force-trailing-slash",
                                       "drop-trailing-slash", "none", NULL};
    static const char *const missing[] = {"none", "404-page", "single-page-application", NULL};
    const struct value *assets = inherited(project, "assets");
    if (!assets)
        return;
    config_check(assets, &config_assets, NULL, report);
    const struct value *directory = value_get(assets, "directory"),
                       *html_handling = value_get(assets, "html_handling"),
                       *not_found = value_get(assets, "not_found_handling");
    if (!value_text(directory)) {
        config_error(report, assets->line, "assets",
                     "[assets] needs directory = \"…\", the directory of the static files");
        return;
    }
    if (html_handling && !is_one_of(html_handling, html))
        config_error(report, html_handling->line, "html_handling",
                     "[assets] html_handling: expected auto-trailing-slash, force-trailing-slash, "
                     "drop-trailing-slash or none");
    if (not_found && !is_one_of(not_found, missing))
        config_error(report, not_found->line, "not_found_handling",
                     "[assets] not_found_handling: expected none, 404-page or "
                     "single-page-application");
    check_run_worker_first(value_get(assets, "run_worker_first"), report);
    AUTO_TEXT path = absolute(project, value_text(directory));
    struct stat stat_of;
    if (stat(path, &stat_of) < 0 || !S_ISDIR(stat_of.st_mode)) {
        config_error(report, directory->line, "directory",
                     "[assets] directory = \"%s\": there is no such directory; create it or build "
                     "the project first",
                     value_text(directory));
        return;
    }
    project->assets = json_object();
    config_fill(assets, &config_assets, project->assets);
    (void)json_object_set_new(project->assets, "directory", json_string(path));
    take_site_rules(project, path, "_headers", "headers_text", site_rules_check_headers, report);
    take_site_rules(project, path, "_redirects", "redirects_text", site_rules_check_redirects,
                    report);
}

static bool is_label(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= 63 && text[0] != '-' && text[len - 1] != '-' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == len;
}

static bool is_identifier(const char *text)
{
    return !strchr("0123456789", text[0]) &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$") ==
               strlen(text);
}

static void add_hyperdrive(struct project *project, const struct value *entry,
                           struct config_report *report)
{
    config_check(entry, &config_hyperdrive, NULL, report);
    const char *binding = value_text(value_get(entry, "binding")),
               *id = value_text(value_get(entry, "id")),
               *url = value_text(value_get(entry, "localConnectionString"));
    size_t index;
    json_t *other;
    if (!binding || !is_identifier(binding)) {
        config_error(report, entry->line, "binding",
                     "[[hyperdrive]] needs binding = \"…\", its name in env, such as \"DB\"");
        return;
    }
    if (!id || !is_label(id)) {
        config_error(report, entry->line, "id",
                     "[[hyperdrive]] \"%s\" needs id = \"…\" of at most 63 letters, digits, - and _",
                     binding);
        return;
    }
    json_array_foreach(project->hyperdrive, index, other)
    {
        if (strcmp(json_string_value(json_object_get(other, "binding")), binding) == 0)
            config_error(report, entry->line, "binding",
                         "[[hyperdrive]] the binding \"%s\" is there twice", binding);
    }
    (void)json_array_append_new(project->hyperdrive, json_pack("{s:s, s:s, s:s?}", "binding", binding,
                                                               "id", id, "url", url));
}

static void take_hyperdrive(struct project *project, struct config_report *report)
{
    const struct value *list = own(project, "hyperdrive");
    if (list && list->type != VALUE_ARRAY)
        config_error(report, list->line, "hyperdrive", "write [[hyperdrive]], with two brackets");
    for (size_t i = 0; list && list->type == VALUE_ARRAY && i < list->count; i++)
        add_hyperdrive(project, &list->entries[i].value, report);
}

static void take_main(struct project *project, struct config_report *report)
{
    const struct value *main_value = inherited(project, "main");
    const char *name = value_text(main_value);
    if (!name) {
        if (!project->assets && report->errors_count == 0)
            config_error(report, 1, "main",
                         "needs main = \"src/index.ts\", the entry file, or [assets] for a static "
                         "site");
        return;
    }
    project->main = absolute(project, name);
    if (access(project->main, R_OK) < 0)
        config_error(report, main_value->line, "main", "main = \"%s\": %s", name, strerror(errno));
}

static void take_module_root(struct project *project)
{
    const char *base = value_text(inherited(project, "base_dir"));
    AUTO_TEXT root = base            ? absolute(project, base)
                     : project->main ? xstrdup(project->main)
                                     : xstrdup(project->dir);
    if (!base && project->main)
        *strrchr(root, '/') = 0;
    size_t len = strlen(project->dir);
    bool below = strncmp(root, project->dir, len) == 0 && root[len] == '/';
    project->module_root = xstrdup(below ? root + len + 1 : "");
}

static const char *take_checked(const struct project *project, const char *key,
                                const char *check(const char *text), struct config_report *report)
{
    const struct value *value = inherited(project, key);
    const char *text = value_text(value), *wrong = text ? check(text) : NULL;
    if (wrong)
        config_error(report, value->line, key, "%s = \"%s\": %s", key, text, wrong);
    return text;
}

static bool choose_env(struct project *project, const char *env, struct config_report *report)
{
    const struct value *all = value_get(&project->config, "env");
    if (!env)
        return true;
    project->env = value_get(all, env);
    if (project->env && project->env->type == VALUE_TABLE) {
        check_keys(project->env, report);
        return true;
    }
    AUTO_BUFFER names = {0};
    for (size_t i = 0; all && all->type == VALUE_TABLE && i < all->count; i++)
        buffer_printf(&names, "%s%s", i ? ", " : "", all->entries[i].key);
    config_error(report, all ? all->line : 0, "env", "there is no [env.%s]; the file has: %.*s", env,
                 (int)buffer_len(&names), names.data ? names.data : "none");
    return false;
}

char *project_dir_of(const char *config_path)
{
    return xstrndup(config_path, (size_t)(strrchr(config_path, '/') - config_path));
}

int project_read(const char *dir, const char *env, struct project *ret_project,
                 struct config_report *report, struct error *err)
{
    struct project project = {.vars = json_object(),
                              .secrets_paths = json_array(),
                              .routes = json_array(),
                              .crons = json_array(),
                              .hyperdrive = json_array(),
                              .databases = json_array(),
                              .services = json_array(),
                              .limits = json_object(),
                              .compatibility_flags = json_array()};
    *ret_project = project;
    project.config_path = project_find(dir, false, err);
    if (!project.config_path)
        return -ENOENT;
    report->file = project.config_path;
    int r = config_read(project.config_path, &project.config, err);
    project.dir = project_dir_of(project.config_path);
    if (r < 0) {
        config_error_at(report, err->text);
        *ret_project = project;
        return 0;
    }
    check_keys(&project.config, report);
    if (choose_env(&project, env, report)) {
        warn_unserved(&project, report);
        const char *name = take_checked(&project, "name", check_worker_name, report);
        const char *date = take_checked(&project, "compatibility_date", check_date, report);
        const char *base = strrchr(project.dir, '/');
        const char *top = name ? name : base && base[1] ? base + 1 : "worker";
        bool own_name = project.env && value_get(project.env, "name");
        project.name = env && !own_name ? xasprintf("%s-%s", top, env) : xstrdup(top);
        project.compatibility_date = xstrdup(date ? date : "2024-09-23");
        const struct value *flags = inherited(&project, "compatibility_flags");
        if (flags && flags->type == VALUE_ARRAY) {
            json_decref(project.compatibility_flags);
            project.compatibility_flags = config_json(flags);
        }
        const struct value *minify = inherited(&project, "minify"),
                           *no_bundle = inherited(&project, "no_bundle"),
                           *limits = inherited(&project, "limits");
        project.minify = minify && minify->type == VALUE_BOOL && minify->boolean;
        const struct value *keep_names = inherited(&project, "keep_names");
        project.keep_names = keep_names ? keep_names->type == VALUE_BOOL && keep_names->boolean
                                        : project.minify;
        project.no_bundle = no_bundle && no_bundle->type == VALUE_BOOL && no_bundle->boolean;
        project.rules = rules_new(inherited(&project, "rules"), report);
        project.define = take_texts(own(&project, "define"), "define", report);
        project.alias = take_texts(inherited(&project, "alias"), "alias", report);
        const char *tsconfig = value_text(inherited(&project, "tsconfig"));
        project.tsconfig = tsconfig ? absolute(&project, tsconfig) : NULL;
        config_check(limits, &config_wrangler_limits, NULL, report);
        if (limits)
            config_override(limits, &config_wrangler_limits, project.limits);
        take_vars(&project, report);
        find_secrets(&project, env, report);
        take_routes(&project, report);
        take_crons(&project, report);
        take_assets(&project, report);
        take_hyperdrive(&project, report);
        take_main(&project, report);
        take_module_root(&project);
    }
    *ret_project = project;
    return 0;
}

void project_done(struct project *project)
{
    value_done(&project->config);
    free(project->dir);
    free(project->config_path);
    free(project->name);
    free(project->main);
    free(project->compatibility_date);
    free(project->tsconfig);
    free(project->module_root);
    rules_free(&project->rules);
    json_decref(project->compatibility_flags);
    json_decref(project->vars);
    json_decref(project->secrets_paths);
    json_decref(project->routes);
    json_decref(project->crons);
    json_decref(project->hyperdrive);
    json_decref(project->databases);
    json_decref(project->services);
    json_decref(project->limits);
    json_decref(project->assets);
    *project = (struct project){.name = NULL};
}

bool project_has_node(const struct project *project)
{
    if (project_has_flag(project, "nodejs_compat") || project_has_flag(project, "nodejs_compat_v2"))
        return true;
    return strcmp(project->compatibility_date, "2026-08-04") >= 0 &&
           !project_has_flag(project, "no_nodejs_compat") &&
           !project_has_flag(project, "no_nodejs_compat_v2");
}

bool project_has_flag(const struct project *project, const char *flag)
{
    size_t index;
    json_t *item;
    json_array_foreach(project->compatibility_flags, index, item)
        if (json_is_string(item) && strcmp(json_string_value(item), flag) == 0)
            return true;
    return false;
}
