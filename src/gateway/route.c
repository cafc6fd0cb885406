/* SPDX-License-Identifier: Apache-2.0 */
#include "route.h"

#include <stdlib.h>

#include "common.h"

struct route {
    char *host, *path;
    size_t host_len, path_len;
    bool host_suffix; /* the pattern began with * */
    bool path_prefix; /* it ended with * */
    struct deployment *deployment;
};

struct routes {
    struct route *entries; /* the most specific first */
    size_t count;
    struct deployment *fallback;
};

struct routes *routes_new(void)
{
    return xcalloc(1, sizeof(struct routes));
}

void routes_free(struct routes **place)
{
    struct routes *routes = TAKE(*place);
    if (!routes)
        return;
    for (size_t i = 0; i < routes->count; i++) {
        free(routes->entries[i].host);
        free(routes->entries[i].path);
    }
    free(routes->entries);
    free(routes);
}

static int by_specificity(const void *a, const void *b)
{
    const struct route *left = a, *right = b;
    if (left->host_suffix != right->host_suffix)
        return left->host_suffix - right->host_suffix;
    if (left->host_len != right->host_len)
        return left->host_len < right->host_len ? 1 : -1;
    if (left->path_len != right->path_len)
        return left->path_len < right->path_len ? 1 : -1;
    return left->path_prefix - right->path_prefix;
}

void routes_add(struct routes *routes, const char *pattern, struct deployment *deployment)
{
    const char *scheme = strstr(pattern, "://");
    if (scheme)
        pattern = scheme + 3;
    size_t host_len = strcspn(pattern, "/");
    struct route route = {.deployment = deployment, .host_suffix = pattern[0] == '*'};
    route.host = xstrndup(pattern + route.host_suffix, host_len - route.host_suffix);
    route.host_len = strlen(route.host);
    for (size_t i = 0; i < route.host_len; i++)
        if (route.host[i] >= 'A' && route.host[i] <= 'Z')
            route.host[i] |= 32;
    const char *path = pattern[host_len] ? pattern + host_len : "/*"; /* a bare host: all of it */
    size_t path_len = strlen(path);
    route.path_prefix = path[path_len - 1] == '*';
    route.path_len = path_len - route.path_prefix;
    route.path = xstrndup(path, route.path_len);
    routes->entries = xrealloc(routes->entries, (routes->count + 1) * sizeof(routes->entries[0]));
    routes->entries[routes->count++] = route;
    qsort(routes->entries, routes->count, sizeof(routes->entries[0]), by_specificity);
}

void routes_set_default(struct routes *routes, struct deployment *deployment)
{
    routes->fallback = deployment;
}

static bool matches(const struct route *route, struct slice host, struct slice path)
{
    if (route->host_suffix ? host.len < route->host_len : host.len != route->host_len)
        return false;
    if (strncasecmp(host.ptr + host.len - route->host_len, route->host, route->host_len) != 0)
        return false;
    struct slice without_query = path;
    const char *query = memchr(path.ptr, '?', path.len);
    if (query)
        without_query.len = (size_t)(query - path.ptr);
    if (route->path_prefix)
        return slice_starts_with(path, (struct slice){route->path, route->path_len});
    return slice_equal(without_query, (struct slice){route->path, route->path_len});
}

static struct slice without_port(struct slice host)
{
    size_t len = host.len;
    while (len > 0 && host.ptr[len - 1] >= '0' && host.ptr[len - 1] <= '9')
        len--;
    if (len > 0 && len < host.len && host.ptr[len - 1] == ':')
        host.len = len - 1;
    return host;
}

struct deployment *routes_find(const struct routes *routes, struct slice host, struct slice path)
{
    host = without_port(host);
    for (size_t i = 0; i < routes->count; i++)
        if (matches(&routes->entries[i], host, path))
            return routes->entries[i].deployment;
    return routes->fallback;
}
