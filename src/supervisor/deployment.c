/* SPDX-License-Identifier: Apache-2.0 */
#include "deployment.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "plan.h"

static void take_crons(struct deployment *deployment, const json_t *worker)
{
    size_t index;
    json_t *text;
    json_array_foreach(json_object_get(worker, "crons"), index, text)
    {
        struct error err = {""};
        const char *expression = json_string_value(text);
        if (!expression || deployment->crons_count == CRONS_MAX)
            continue;
        if (cron_parse(expression, &deployment->crons[deployment->crons_count], &err) < 0) {
            log_warn("%s: cron \"%s\" never runs: %s", deployment->name, expression, err.text);
            continue;
        }
        deployment->cron_texts[deployment->crons_count++] = xstrdup(expression);
    }
}

static void drop_crons(struct deployment *deployment)
{
    for (int i = 0; i < deployment->crons_count; i++)
        text_free(&deployment->cron_texts[i]);
    deployment->crons_count = 0;
}

static uint32_t limit(const json_t *limits, const char *key, int64_t fallback)
{
    int64_t value = plan_integer(limits, key, fallback);
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

void deployment_update(struct deployment *deployment, const json_t *worker, bool dev)
{
    const json_t *limits = json_object_get(worker, "limits");
    deployment->limits = (struct control_template){
        .deployment_id = deployment->id,
        .template_id = deployment->limits.template_id,
        .flags = dev ? TEMPLATE_DEV : 0,
        .memory_bytes_max = limit(limits, "memory_bytes", 128 << 20),
        .cpu_ms_max = limit(limits, "cpu_ms", 30000),
        .startup_cpu_ms_max = limit(limits, "startup_cpu_ms", 1000),
        .subrequests_max = limit(limits, "subrequests", 1000),
    };
    deployment->has_databases = json_array_size(json_object_get(worker, "databases")) > 0;
    const char *bundle = plan_text(worker, "bundle");
    text_free(&deployment->bundle_path);
    deployment->bundle_path = bundle ? xstrdup(bundle) : NULL;
    drop_crons(deployment);
    take_crons(deployment, worker);
}

struct deployment *deployment_new(uint32_t id, const json_t *worker, bool dev)
{
    struct deployment *deployment = xcalloc(1, sizeof(*deployment));
    deployment->id = id;
    deployment->control = deployment->seed_fd = -1;
    memset(deployment->spare.fds, -1, sizeof(deployment->spare.fds));
    deployment->name = xstrdup(plan_text(worker, "name"));
    deployment->version = xstrdup(plan_text(worker, "version"));
    deployment_update(deployment, worker, dev);
    return deployment;
}

void deployment_free(struct deployment **place)
{
    struct deployment *deployment = TAKE(*place);
    if (!deployment)
        return;
    while (deployment->instances)
        deployment_remove_instance(deployment, deployment->instances->instance_id);
    drop_crons(deployment);
    fd_close(&deployment->control);
    fd_close(&deployment->seed_fd);
    free(deployment->name);
    free(deployment->version);
    free(deployment->bundle_path);
    free(deployment->failure);
    free(deployment);
}

struct instance_ref *deployment_find_instance(struct deployment *deployment, uint32_t instance_id)
{
    for (struct instance_ref *ref = deployment->instances; ref; ref = ref->next)
        if (ref->instance_id == instance_id)
            return ref;
    return NULL;
}

void deployment_add_instance(struct deployment *deployment, uint32_t instance_id, int gateway)
{
    struct instance_ref *ref = xcalloc(1, sizeof(*ref));
    *ref = (struct instance_ref){deployment->instances, instance_id, gateway};
    deployment->instances = ref;
    deployment->instances_count++;
}

void deployment_remove_instance(struct deployment *deployment, uint32_t instance_id)
{
    for (struct instance_ref **place = &deployment->instances; *place; place = &(*place)->next) {
        if ((*place)->instance_id != instance_id)
            continue;
        struct instance_ref *ref = *place;
        *place = ref->next;
        free(ref);
        deployment->instances_count--;
        return;
    }
}
