/* SPDX-License-Identifier: Apache-2.0 */
/* From configuration to the plan that the supervisor works by (docs/plan.md). */
#ifndef WEIR_LOADER_H
#define WEIR_LOADER_H

#include "config.h"

struct dev_options {
    const char *dir, *env, *address;
    const char *data_dir; /* for its bundles */
    int port;
    int prisma_port; /* of the Prisma endpoint for others than workers; -1: none */
    bool color;
    const char *const *vars; /* "NAME:value", NULL-terminated */
};

/* The plan of `weir dev`: one project, the default worker. Warnings are in the plan, for whom it takes
 * to print once; errors are printed. A project that does not build is in the plan with "failed". */
int loader_dev(const struct dev_options *options, struct buffer *ret_plan, struct error *err)
    WARN_UNUSED;

struct serve_options {
    bool build;           /* false: only what can be told without the bundler */
    const char *data_dir; /* for bundles, instead of the configured one; may be NULL */
    bool color;           /* of the access log */
};

/* The plan of `weir serve`. Errors and warnings go to report; -EINVAL when there are errors. */
int loader_serve(const char *path, const struct serve_options *options, struct buffer *ret_plan,
                 struct config_report *report, struct error *err) WARN_UNUSED;

/* data_dir of a weir.toml, absolute, without checking anything else. malloc'ed; NULL on error. */
char *loader_data_dir(const char *path, struct error *err);
/* The same of one with mistakes, by a look at its first lines: what it most likely is. NULL: the
 * file cannot be read. */
char *loader_likely_data_dir(const char *path);

#endif
