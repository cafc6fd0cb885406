/* SPDX-License-Identifier: Apache-2.0 */
/* A Worker project: what its wrangler configuration says, for one environment. */
#ifndef WEIR_PROJECT_H
#define WEIR_PROJECT_H

#include <jansson.h>

#include "config.h"
#include "rules.h"

struct project {
    char *dir;         /* absolute */
    char *config_path; /* absolute */
    struct value config;
    const struct value *env; /* [env.NAME], or NULL */
    char *name, *main;       /* main: absolute, or NULL (assets only) */
    char *compatibility_date;
    json_t *compatibility_flags; /* array */
    json_t *vars;                /* object: vars and .dev.vars */
    json_t *routes, *crons;      /* arrays of strings */
    json_t *hyperdrive;          /* array of {binding, id, url?}: what [[hyperdrive]] says */
    json_t *databases; /* array of {binding, host, database, user}: what it comes to (hyperdrive.h) */
    json_t *limits;              /* object, as in the plan */
    json_t *assets;              /* as in the plan, or NULL */
    struct rules *rules;
    char *module_root; /* base_dir or the entry's directory, from dir; "" for dir itself */
    const struct value *define, *alias;
    char *tsconfig; /* absolute, or NULL */
    json_t *services;            /* array: hosts that a worker of ours answers (prisma_endpoint.h) */
    bool minify, keep_names, no_bundle;
    bool system; /* a worker of the platform's own */
    json_t *secrets_paths; /* array: files of secrets that were read, or would be if they were there */
};

/* The configuration of the project at dir (a directory, or the file itself), absolute, malloc'ed.
 * upwards: or of a directory above. NULL with err: there is none. */
char *project_find(const char *dir, bool upwards, struct error *err);

/* The directory that such a file lies in, malloc'ed. */
char *project_dir_of(const char *config_path);

/* dir: of the project, or the configuration file itself. env: NULL or a name. Warnings and errors go to
 * report, whose file is set; with errors the project is not complete. -ENOENT with err: there is no
 * project. */
int project_read(const char *dir, const char *env, struct project *ret_project,
                 struct config_report *report, struct error *err) WARN_UNUSED;
void project_done(struct project *project);

/* Are Node's modules there? As in src/runtime/js/transform/builtins.js. */
bool project_has_node(const struct project *project);
bool project_has_flag(const struct project *project, const char *flag);

#endif
