/* SPDX-License-Identifier: Apache-2.0 */
#include "hba.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "pool_plan.h"

enum hba_type { HBA_LOCAL, HBA_HOST, HBA_HOSTSSL, HBA_HOSTNOSSL };

/* Databases or users. */
struct names {
    bool all, sameuser, replication;
    char **list; /* NULL at the end */
};

struct map_entry {
    char *system, *user; /* user NULL: any */
};

struct hba_rule {
    enum hba_type type;
    int line, method;
    struct names databases, users;
    int family; /* of its address; AF_UNSPEC: any */
    unsigned bits;
    uint8_t address[16];
    bool mapped;
    struct map_entry *map;
    size_t map_count;
};

struct system_user {
    uid_t uid;
    char *name;
};

struct hba {
    struct hba_rule *rules;
    size_t count;
    struct system_user *system_users;
    size_t system_users_count;
};

/* ---- reading ---- */

static void read_names(const json_t *json, struct names *ret)
{
    const json_t *list = json_object_get(json, "names");
    ret->all = json_is_true(json_object_get(json, "all"));
    ret->sameuser = json_is_true(json_object_get(json, "sameuser"));
    ret->replication = json_is_true(json_object_get(json, "replication"));
    ret->list = xcalloc(json_array_size(list) + 1, sizeof(*ret->list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        ret->list[i] = xstrdup(name ? name : "");
    }
}

static void read_map(const json_t *list, struct hba_rule *rule)
{
    rule->mapped = json_is_array(list);
    rule->map_count = json_array_size(list);
    rule->map = xcalloc(rule->map_count + 1, sizeof(*rule->map));
    for (size_t i = 0; i < rule->map_count; i++) {
        const json_t *entry = json_array_get(list, i);
        const char *system = json_string_value(json_object_get(entry, "system"));
        const char *user = json_string_value(json_object_get(entry, "user"));
        rule->map[i] =
            (struct map_entry){xstrdup(system ? system : ""), user ? xstrdup(user) : NULL};
    }
}

static bool read_address(const json_t *json, struct hba_rule *rule)
{
    const char *text = json_string_value(json_object_get(json, "address"));
    rule->family = AF_UNSPEC;
    if (!text)
        return true;
    rule->family = strchr(text, ':') ? AF_INET6 : AF_INET;
    rule->bits = (unsigned)json_integer_value(json_object_get(json, "bits"));
    return rule->bits <= (rule->family == AF_INET6 ? 128u : 32u) &&
           inet_pton(rule->family, text, rule->address) == 1;
}

static bool read_rule(const json_t *json, struct hba_rule *rule)
{
    static const char *const types[] = {"local", "host", "hostssl", "hostnossl"};
    const char *type = json_string_value(json_object_get(json, "type"));
    const char *method = json_string_value(json_object_get(json, "method"));
    size_t i = 0;
    while (i < ARRAY_LEN(types) && (!type || strcmp(types[i], type) != 0))
        i++;
    rule->type = (enum hba_type)i;
    rule->line = (int)json_integer_value(json_object_get(json, "line"));
    rule->method = method ? config_auth_named(method) : -1;
    read_names(json_object_get(json, "databases"), &rule->databases);
    read_names(json_object_get(json, "users"), &rule->users);
    read_map(json_object_get(json, "map"), rule);
    return i < ARRAY_LEN(types) && rule->method >= 0 && read_address(json, rule);
}

static void read_system_users(json_t *json, struct hba *hba)
{
    const char *uid;
    json_t *name;
    hba->system_users = xcalloc(json_object_size(json) + 1, sizeof(*hba->system_users));
    json_object_foreach(json, uid, name)
    {
        if (json_is_string(name))
            hba->system_users[hba->system_users_count++] = (struct system_user){
                (uid_t)strtoul(uid, NULL, 10), xstrdup(json_string_value(name))};
    }
}

int hba_read(const json_t *json, struct hba **ret_hba, struct error *err)
{
    const json_t *rules = json_object_get(json, "rules");
    struct hba *hba = xcalloc(1, sizeof(*hba));
    hba->count = json_array_size(rules);
    hba->rules = xcalloc(hba->count + 1, sizeof(*hba->rules));
    read_system_users(json_object_get(json, "system_users"), hba);
    for (size_t i = 0; i < hba->count; i++)
        if (!read_rule(json_array_get(rules, i), &hba->rules[i])) {
            hba_free(&hba);
            return error_set(err, -EINVAL, "hba.rules[%zu] of the plan is none", i);
        }
    *ret_hba = hba;
    return 0;
}

static void free_names(struct names *names)
{
    for (char **name = names->list; name && *name; name++)
        free(*name);
    free(names->list);
}

void hba_free(struct hba **hba)
{
    struct hba *h = TAKE(*hba);
    if (!h)
        return;
    for (size_t i = 0; i < h->count; i++) {
        struct hba_rule *rule = &h->rules[i];
        free_names(&rule->databases);
        free_names(&rule->users);
        for (size_t j = 0; rule->map && j < rule->map_count; j++) {
            free(rule->map[j].system);
            free(rule->map[j].user);
        }
        free(rule->map);
    }
    for (size_t i = 0; i < h->system_users_count; i++)
        free(h->system_users[i].name);
    free(h->system_users);
    free(h->rules);
    free(h);
}

/* ---- asking ---- */

static bool is_among(const struct names *names, const char *name, const char *user)
{
    return names->all || (names->sameuser && strcmp(name, user) == 0) ||
           config_lists(names->list, name);
}

static bool fits_address(const struct hba_rule *rule, const struct sockaddr *address)
{
    static const uint8_t v4_in_v6[12] = {[10] = 0xff, [11] = 0xff};
    const uint8_t *bytes;
    int family = address->sa_family;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (rule->family == AF_UNSPEC)
        return true;
    if (family == AF_INET) {
        memcpy(&v4, address, sizeof(v4));
        bytes = (const uint8_t *)&v4.sin_addr;
    } else if (family == AF_INET6) {
        memcpy(&v6, address, sizeof(v6));
        bytes = v6.sin6_addr.s6_addr;
        if (memcmp(bytes, v4_in_v6, sizeof(v4_in_v6)) == 0 && rule->family == AF_INET) {
            bytes += sizeof(v4_in_v6);
            family = AF_INET;
        }
    } else {
        return false;
    }
    if (family != rule->family || memcmp(bytes, rule->address, rule->bits / 8) != 0)
        return false;
    uint8_t mask = (uint8_t)(0xff00 >> rule->bits % 8);
    return rule->bits % 8 == 0 ||
           (bytes[rule->bits / 8] & mask) == (rule->address[rule->bits / 8] & mask);
}

static bool fits_peer(const struct hba_rule *rule, const struct hba_peer *peer)
{
    if (rule->type == HBA_LOCAL || !peer->address)
        return rule->type == HBA_LOCAL && !peer->address;
    if ((rule->type == HBA_HOSTSSL && !peer->tls) || (rule->type == HBA_HOSTNOSSL && peer->tls))
        return false;
    return fits_address(rule, peer->address);
}

const struct hba_rule *hba_match(const struct hba *hba, const struct hba_peer *peer,
                                 const char *database, const char *user)
{
    for (size_t i = 0; hba && i < hba->count; i++) {
        const struct hba_rule *rule = &hba->rules[i];
        bool fits = peer->replicates ? rule->databases.replication
                                     : is_among(&rule->databases, database, user);
        if (fits && fits_peer(rule, peer) && is_among(&rule->users, user, user))
            return rule;
    }
    return NULL;
}

int hba_method(const struct hba_rule *rule)
{
    return rule->method;
}

int hba_line(const struct hba_rule *rule)
{
    return rule->line;
}

bool hba_allows(const struct hba_rule *rule, const char *name, const char *user)
{
    if (!rule || !rule->mapped)
        return strcmp(name, user) == 0;
    for (size_t i = 0; i < rule->map_count; i++)
        if (strcmp(rule->map[i].system, name) == 0 &&
            (!rule->map[i].user || strcmp(rule->map[i].user, user) == 0))
            return true;
    return false;
}

const char *hba_system_user(const struct hba *hba, uid_t uid)
{
    for (size_t i = 0; hba && i < hba->system_users_count; i++)
        if (hba->system_users[i].uid == uid)
            return hba->system_users[i].name;
    return NULL;
}
