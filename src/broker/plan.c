/* SPDX-License-Identifier: Apache-2.0 */
/* The broker's part of the plan: which deployments there are, and where each may connect to. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker.h"
#include "log.h"

enum { PLAN_BYTES_MAX = 256 * 1024 * 1024 };

struct deployment *deployment_find(uint32_t id)
{
    struct deployment *deployment = broker.deployments;
    while (deployment && deployment->id != id)
        deployment = deployment->next;
    return deployment;
}

void deployment_release(struct deployment *deployment)
{
    struct deployment **place = &broker.deployments;
    if (deployment->current || deployment->superseded || deployment->attachments > 0 ||
        deployment->exchanges > 0)
        return;
    while (*place != deployment)
        place = &(*place)->next;
    *place = deployment->next;
    pool_retire(deployment);
    egress_free(&deployment->egress);
    free(deployment->egress_text);
    free(deployment);
}

/* Every address of this machine, for a listener on all of them. */
static void refuse_every_address(struct egress *egress, uint16_t port)
{
    struct ifaddrs *list = NULL;
    char text[INET6_ADDRSTRLEN];
    if (getifaddrs(&list) < 0)
        list = NULL;
    for (struct ifaddrs *entry = list; entry; entry = entry->ifa_next) {
        const struct sockaddr *address = entry->ifa_addr;
        const struct sockaddr_in *in = (const void *)address;
        const struct sockaddr_in6 *in6 = (const void *)address;
        const void *bytes = !address                         ? NULL
                            : address->sa_family == AF_INET  ? (const void *)&in->sin_addr
                            : address->sa_family == AF_INET6 ? (const void *)&in6->sin6_addr
                                                             : NULL;
        if (bytes && inet_ntop(address->sa_family, bytes, text, sizeof(text)))
            (void)egress_refuse_own(egress, text, port); /* it is one */
    }
    if (list)
        freeifaddrs(list);
}

static void refuse_listener(struct egress *egress, const json_t *listener)
{
    const char *address = json_string_value(json_object_get(listener, "address"));
    json_int_t port = json_integer_value(json_object_get(listener, "port"));
    if (!address || port <= 0 || port > 65535)
        return;
    if (strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0)
        refuse_every_address(egress, (uint16_t)port);
    if (egress_refuse_own(egress, address, (uint16_t)port) < 0)
        log_warn("listener %s: not an address; workers may reach it by its name", address);
}

static struct egress *make_egress(const json_t *plan, const json_t *worker)
{
    struct egress *egress = egress_new();
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(plan, "listeners"), index, entry)
        refuse_listener(egress, entry);
    refuse_listener(egress, json_object_get(plan, "admin"));
    if (json_is_false(json_object_get(worker, "egress_allow"))) /* a system worker's */
        egress_close(egress);
    json_array_foreach(json_object_get(worker, "egress_allow"), index, entry)
    {
        const char *text = json_string_value(entry);
        if (!text || egress_allow(egress, text) < 0)
            log_error("egress_allow: \"%s\" is neither an address, a network nor a host; it "
                      "allows nothing",
                      text ? text : "(no text)");
    }
    return egress;
}

static void take_worker(const json_t *plan, const json_t *worker)
{
    uint32_t id = (uint32_t)json_integer_value(json_object_get(worker, "deployment_id"));
    struct deployment *deployment = deployment_find(id);
    json_t *policy =
        json_pack("[O?,O?,O?]", json_object_get(plan, "listeners"), json_object_get(plan, "admin"),
                  json_object_get(worker, "egress_allow"));
    char *text = json_dumps(policy, JSON_COMPACT);
    json_decref(policy);
    if (!deployment) {
        deployment = xcalloc(1, sizeof(*deployment));
        deployment->id = id;
        deployment->next = broker.deployments;
        broker.deployments = deployment;
    }
    deployment->current = true;
    deployment->superseded = false;
    deployment->exchanges_max = EXCHANGES_MAX;
    if (deployment->egress_text && strcmp(deployment->egress_text, text) == 0) {
        free(text);
        return;
    }
    pool_retire(deployment); /* open connections were made under the old policy */
    egress_free(&deployment->egress);
    deployment->egress = make_egress(plan, worker);
    free(deployment->egress_text);
    deployment->egress_text = text;
}

static json_t *read_plan(int fd)
{
    struct stat stat;
    if (fstat(fd, &stat) < 0 || stat.st_size <= 0 || stat.st_size > PLAN_BYTES_MAX)
        return NULL;
    char *text = xcalloc(1, (size_t)stat.st_size);
    ssize_t got = pread(fd, text, (size_t)stat.st_size, 0);
    json_t *plan = got == stat.st_size ? json_loadb(text, (size_t)got, 0, NULL) : NULL;
    free(text);
    return plan;
}

void plan_take(int fd)
{
    json_t *plan = read_plan(fd), *worker;
    size_t index;
    if (!plan) {
        log_error("the plan cannot be read; the old one stays");
        return;
    }
    const char *ca_file = json_string_value(json_object_get(plan, "tls_ca_file"));
    free(TAKE(broker.ca_file));
    broker.ca_file = ca_file ? xstrdup(ca_file) : NULL;
    for (struct deployment *d = broker.deployments; d; d = d->next) {
        d->superseded = d->current; /* gateways go over to the plan later than we do */
        d->current = false;
    }
    json_array_foreach(json_object_get(plan, "workers"), index, worker) take_worker(plan, worker);
    for (struct deployment *d = broker.deployments, *next; d; d = next) {
        next = d->next;
        deployment_release(d);
    }
    json_decref(plan);
}
