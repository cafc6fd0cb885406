/* SPDX-License-Identifier: Apache-2.0 */
/* What clients of the Prisma endpoint send with a request: a path, and behind a line's end an api
 * key, or what is to stand in one that is signed as ours are; the first byte chooses. */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "base64url.h"
#include "prisma.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIGNED = 1, POSTED = 2, OF_INSTANCE = 4 };
static struct instance instance;
static struct deployment other = {.id = 2, .current = true, .prisma = (char *)"other"},
                         held = {.id = 7, .prisma = (char *)"database", .next = &other},
                         deployment = {.id = 1,
                                       .current = true,
                                       .prisma = (char *)"database",
                                       .request_body_bytes_max = 100,
                                       .next = &held};
static struct worker_counters counts;
static struct worker worker = {.name = (char *)"fuzz", .count = &counts};

static void start(void)
{
    json_t *plan = json_pack("{s:{s:s,s:{s:{s:s},s:{s:s,s:b,s:i},s:{s:s,s:i}}}}", "prisma",
                             "secret", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "keys", "k",
                             "database", "database", "r", "database", "database", "read_only", 1,
                             "requests_max", 1000000, "o", "database", "other", "expires", 1);
    if (!plan)
        abort();
    prisma_take_plan(plan);
    json_decref(plan);
    deployment.worker = held.worker = other.worker = &worker;
    held.instances = deployment.instances = &instance;
    instance.deployment = &deployment;
    gateway.deployments = &deployment;
}

static void sign(struct slice payload, struct buffer *token)
{
    static const unsigned char secret[32];
    unsigned char mac[32];
    unsigned len;
    buffer_append_text(token, "e30.");
    base64url_append(token, payload.ptr, payload.len);
    struct slice text = buffer_slice(token);
    if (!HMAC(EVP_sha256(), secret, sizeof(secret), (const unsigned char *)text.ptr, text.len, mac,
              &len))
        abort();
    buffer_append(token, ".", 1);
    base64url_append(token, mac, sizeof(mac));
}

static void admit(uint8_t how, struct slice path, struct slice key)
{
    static struct http1_request request;
    AUTO_BUFFER field = {0}, token = {0};
    struct prisma_claim claim = {0};
    if (how & SIGNED)
        sign(key, &token);
    else
        buffer_append_slice(&token, key);
    buffer_append_text(&field, "Bearer ");
    buffer_append_slice(&field, buffer_slice(&token));
    request.method = how & POSTED ? SLICE("POST") : SLICE("GET");
    request.path = path;
    request.headers_count = 1;
    request.headers[0] = (struct http1_header){SLICE("authorization"), buffer_slice(&field)};
    enum prisma_refusal refusal = prisma_admit(&request, how >> 4, &claim);
    if (refusal != PRISMA_ADMITTED)
        (void)prisma_refusal(refusal);
    else if (!(how & SIGNED) || strcmp(claim.deployment->prisma, "database") != 0 ||
             (claim.read_only && claim.invalidates))
        abort(); /* nobody knows the secret, and "other" has no key that holds */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t all;
    if (!gateway.deployments)
        start();
    if (size == 0)
        return 0;
    char *copy = malloc(size); /* of its own length, for the sanitizer */
    memcpy(copy, data, size);
    struct slice text = {copy + 1, size - 1}, path = slice_until(text, '\n');
    struct slice key = {path.ptr + path.len, text.len - path.len};
    if (key.len > 0)
        key = (struct slice){key.ptr + 1, key.len - 1};
    if (copy[0] & OF_INSTANCE) {
        (void)prisma_note_open(&instance, path, &all);
        prisma_close_all(&instance);
    } else {
        admit((uint8_t)copy[0], path, key);
    }
    free(copy);
    return 0;
}
