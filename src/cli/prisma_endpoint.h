/* SPDX-License-Identifier: Apache-2.0 */
/* The Prisma endpoint's part of a plan: a system worker (system/prisma) for each database that has
 * api keys, and for the workers that have such keys the hosts which lead to it. */
#ifndef WEIR_PRISMA_ENDPOINT_H
#define WEIR_PRISMA_ENDPOINT_H

#include "project.h"

/* The database of a project's private Postgres, in weir dev. */
#define PRISMA_PRIVATE "private"

/* The plan's "prisma": {secret, keys}; NULL where there never was a key. */
int prisma_endpoint_part(const char *state_dir, json_t **ret_part, struct error *err) WARN_UNUSED;

/* Which databases the keys are for: an array of names, each once. */
json_t *prisma_endpoint_databases(const json_t *part);

/* Tells the worker of the project which hosts are answered here: those of its prisma:// URLs with a
 * key of ours, and with one, the vendor's, where clients send invalidations whatever their URL
 * says. */
void prisma_endpoint_declare(struct project *project, const json_t *part);

/* weir dev's listener for clients elsewhere on this machine: plain HTTP and TLS (with a certificate
 * for localhost) on the same port. An entry of the plan's listeners; NULL with err. */
json_t *prisma_endpoint_dev_listener(const char *state_dir, const char *address, int port,
                                     struct error *err);

/* The system worker for a database, as the project that it is. binding: {host, database, user},
 * what it may connect to (taken over); settings: [prisma] as it is filled, its
 * variables. -ENOENT with err: this build
 * has none. */
int prisma_endpoint_project(const char *name, json_t *binding, const json_t *settings,
                            struct project *ret_project, struct error *err) WARN_UNUSED;

/* For which a transaction may rest: it is the endpoint that ends it, and says that its time was
 * over. So long its instance is not ended for being idle. */
json_int_t prisma_endpoint_longest_ms(const json_t *settings);

#endif
