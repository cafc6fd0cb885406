/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "json_wipe.h"

int plan_parse(struct slice text, struct plan *ret_plan, struct error *err)
{
    json_error_t where;
    json_t *json = json_loadb(text.ptr, text.len, 0, &where);
    if (!json)
        return error_set(err, -EINVAL, "the loader's plan is broken at line %d: %s", where.line,
                         where.text);
    size_t index;
    json_t *worker;
    json_array_foreach(json_object_get(json, "workers"), index, worker)
    {
        if (!plan_text(worker, "name") || !plan_text(worker, "version")) {
            json_decref(json);
            return error_set(err, -EINVAL, "the loader's plan has a worker without a name");
        }
    }
    *ret_plan = (struct plan){json};
    return 0;
}

void plan_done(struct plan *plan)
{
    json_decref(plan->json);
    plan->json = NULL;
}

int64_t plan_integer(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

const char *plan_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static int sealed_memfd(const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    if (!text)
        return -ENOMEM;
    int r = 0;
    AUTO_FD fd = memfd_create("weir-plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t len = strlen(text);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        r = -errno;
    json_wipe_free(text);
    if (r < 0)
        return r;
    int result = fd;
    fd = -1;
    return result;
}

/* A copy of the plan whose workers lack the keys given: a process learns what it needs. prisma: api keys,
 * too. */
static int part_without(const struct plan *plan, bool prisma, const char *const keys[])
{
    json_t *copy = json_deep_copy(plan->json);
    size_t index;
    json_t *worker;
    (void)json_object_del(copy, "pool"); /* it has the secrets of databases */
    if (!prisma) { /* the secret of api keys, and the keys of TLS */
        (void)json_object_del(copy, "prisma");
        json_array_foreach(json_object_get(copy, "listeners"), index, worker)
            (void)json_object_del(worker, "tls");
    }
    json_array_foreach(json_object_get(copy, "workers"), index, worker)
    {
        for (size_t i = 0; keys[i]; i++)
            (void)json_object_del(worker, keys[i]); /* fails when it is not there: as well */
    }
    int fd = sealed_memfd(copy);
    json_decref(copy);
    return fd;
}

int plan_gateway_part(const struct plan *plan)
{
    /* Whether there is code at all is all that a gateway needs of the bundle. */
    size_t index;
    json_t *worker;
    json_array_foreach(json_object_get(plan->json, "workers"), index, worker)
    {
        (void)json_object_set_new(worker, "has_code",
                                  json_boolean(json_is_string(json_object_get(worker, "bundle"))));
    }
    return part_without(plan, true, (const char *const[]){"bundle", "egress_allow", "databases", NULL});
}

int plan_broker_part(const struct plan *plan)
{
    return part_without(plan, false, (const char *const[]){"bundle", "routes", "assets", "crons", "databases", NULL});
}

int plan_pool_part(const struct plan *plan)
{
    json_t *part = json_copy(json_object_get(plan->json, "pool")), *workers = json_array(), *worker;
    size_t index;
    json_array_foreach(json_object_get(plan->json, "workers"), index, worker)
    {
        if (json_array_size(json_object_get(worker, "databases")) > 0)
            (void)json_array_append_new(
                workers, json_pack("{s:O, s:O}", "deployment_id",
                                   json_object_get(worker, "deployment_id"), "databases",
                                   json_object_get(worker, "databases")));
    }
    (void)json_object_set_new(part, "workers", workers);
    int fd = sealed_memfd(part);
    json_decref(part);
    return fd;
}

void plan_forget_secrets(struct plan *plan)
{
    json_t *pool = json_object_get(plan->json, "pool"), *database;
    size_t index;
    (void)json_object_del(pool, "users");
    (void)json_object_del(pool, "tls");
    json_array_foreach(json_object_get(pool, "databases"), index, database)
    {
        (void)json_object_del(database, "password");
        (void)json_object_del(database, "tls");
    }
}
