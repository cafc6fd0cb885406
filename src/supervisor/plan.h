/* SPDX-License-Identifier: Apache-2.0 */
/* The plan: what the loader read from the configuration, as JSON (docs/plan.md). The supervisor
 * takes from it what it needs itself and hands each process its part. */
#ifndef WEIR_PLAN_H
#define WEIR_PLAN_H

#include <jansson.h>
#include <stdint.h>

#include "error.h"
#include "slice.h"

struct plan {
    json_t *json; /* workers carry "deployment_id" after plan_number_deployments */
};

/* Parses the loader's text and checks the shape that the supervisor relies on. */
int plan_parse(struct slice text, struct plan *ret_plan, struct error *err) WARN_UNUSED;
void plan_done(struct plan *plan);

/* plan.object.key as an integer, or fallback. object NULL: the plan itself. */
int64_t plan_integer(const json_t *object, const char *key, int64_t fallback);
/* NULL when missing or no string. */
const char *plan_text(const json_t *object, const char *key);

/* The part for gateways (without bundles) and for the broker (without routes and assets): a memfd
 * with JSON, sealed. Negative errno on failure. */
int plan_gateway_part(const struct plan *plan);
int plan_broker_part(const struct plan *plan);
/* What the pool gets, and nobody else: it has secrets. */
int plan_pool_part(const struct plan *plan);
/* Of the pool, whose part has been made. */
void plan_forget_secrets(struct plan *plan);

#endif
