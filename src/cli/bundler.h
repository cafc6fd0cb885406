/* SPDX-License-Identifier: Apache-2.0 */
/* From a project to a bundle file: esbuild, then the module transform in its sandbox. Kept by the hash
 * of what went in, so that an unchanged worker is not transformed twice. */
#ifndef WEIR_BUNDLER_H
#define WEIR_BUNDLER_H

#include "project.h"

struct bundler {
    char *data_dir; /* absolute */
    char *esbuild;  /* path of the packaged one */
    bool dev, color;
    int transform_in, transform_out; /* pipes of `weir __transform`; -1: not started */
    int transform_pid;
};

struct bundle {
    char *path;      /* the bundle file */
    char version[65];
    json_t *inputs;  /* array: absolute paths of the sources, for watching */
};

int bundler_init(struct bundler *bundler, const char *data_dir, bool dev, bool color,
                 struct error *err) WARN_UNUSED;
void bundler_done(struct bundler *bundler);

/* The error is esbuild's or the transform's own text, with source positions. */
int bundler_build(struct bundler *bundler, const struct project *project, struct bundle *ret_bundle,
                  struct error *err) WARN_UNUSED;
void bundle_done(struct bundle *bundle);

/* A file that was built with this program: "system/prisma/index.js". malloc'ed; NULL: there is none. */
char *bundler_find(const char *name);
/* esbuild beside this program or in its source tree; NULL when there is none. malloc'ed. */
char *bundler_find_esbuild(void);

#endif
