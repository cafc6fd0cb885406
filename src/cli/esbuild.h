/* SPDX-License-Identifier: Apache-2.0 */
/* Runs esbuild on a project, and tells what came out. */
#ifndef WEIR_ESBUILD_H
#define WEIR_ESBUILD_H

#include "bundler.h"

struct esbuild_output {
    json_t *inputs;  /* array: absolute paths of the sources */
    json_t *modules; /* array of {name, path, type}: what the entry imports beside itself, sorted */
    bool has_exports;
};

/* Into out_dir: index.js and index.js.map, and the modules that are not JavaScript. err: esbuild's
 * own text, or what is wrong with a module. */
int esbuild_run(const struct bundler *bundler, const struct project *project, const char *out_dir,
                bool service_worker, struct esbuild_output *ret_output,
                struct error *err) WARN_UNUSED;
void esbuild_output_done(struct esbuild_output *output);

#endif
