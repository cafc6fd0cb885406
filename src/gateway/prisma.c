/* SPDX-License-Identifier: Apache-2.0 */
#include "prisma.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <time.h>

#include "base64url.h"
#include "clock.h"
#include "log.h"

enum { KEY_BYTES_MAX = 2048, SECRET_BYTES = 32, MAC_BYTES = 32, SECRET_DIGITS = 43 };

static struct {
    json_t *keys; /* object: id => {database, read_only, expires} */
    unsigned char secret[SECRET_BYTES];
    bool enabled;
} prisma;

/* ---- the key ---- */

static struct slice bearer_of(const struct http1_request *parsed)
{
    for (int i = 0; i < parsed->headers_count; i++) {
        struct slice value = parsed->headers[i].value;
        if (slice_equal(parsed->headers[i].name, SLICE("authorization")) && value.len > 7 &&
            strncasecmp(value.ptr, "bearer ", 7) == 0)
            return (struct slice){value.ptr + 7, value.len - 7};
    }
    return (struct slice){0};
}

static bool is_signed(struct slice text, struct slice signature)
{
    unsigned char given[MAC_BYTES + 3], made[MAC_BYTES];
    unsigned len = 0;
    if (signature.len != SECRET_DIGITS || base64url_decode(signature, given) != MAC_BYTES ||
        !HMAC(EVP_sha256(), prisma.secret, SECRET_BYTES, (const unsigned char *)text.ptr, text.len,
              made, &len))
        return false;
    return CRYPTO_memcmp(given, made, MAC_BYTES) == 0;
}

/* The listed key of a token's payload; NULL: there is none. */
static const json_t *listed(struct slice payload, const char **ret_id)
{
    unsigned char text[KEY_BYTES_MAX];
    json_error_t error;
    ssize_t len = base64url_decode(payload, text);
    json_t *claims = len < 0 ? NULL : json_loadb((const char *)text, (size_t)len, 0, &error);
    const char *id = json_string_value(json_object_get(claims, "jti"));
    const json_t *key = NULL;
    void *place = id ? json_object_iter_at(prisma.keys, id) : NULL;
    if (place) {
        *ret_id = json_object_iter_key(place);
        key = json_object_iter_value(place);
    }
    json_decref(claims);
    return key;
}

static struct deployment *deployment_of(const char *database)
{
    for (struct deployment *d = gateway.deployments; d; d = d->next)
        if (d->current && d->prisma && strcmp(d->prisma, database) == 0)
            return d;
    return NULL;
}

enum prisma_refusal prisma_admit(const struct http1_request *parsed, int64_t body_bytes,
                                 struct prisma_claim *ret_claim)
{
    struct slice token = bearer_of(parsed);
    if (token.len == 0)
        return PRISMA_NO_KEY;
    const char *dot = token.len <= KEY_BYTES_MAX ? memchr(token.ptr, '.', token.len) : NULL;
    const char *end = token.ptr + token.len,
               *last = dot ? memrchr(token.ptr, '.', token.len) : NULL;
    if (!last || last == dot || !prisma.enabled)
        return PRISMA_BAD_KEY;
    if (!is_signed((struct slice){token.ptr, (size_t)(last - token.ptr)},
                   (struct slice){last + 1, (size_t)(end - last - 1)}))
        return PRISMA_BAD_KEY;
    const json_t *key =
        listed((struct slice){dot + 1, (size_t)(last - dot - 1)}, &ret_claim->key_id);
    if (!key)
        return PRISMA_REVOKED;
    json_int_t expires = json_integer_value(json_object_get(key, "expires"));
    if (expires && (json_int_t)(clock_wall_us() / 1000000) >= expires)
        return PRISMA_EXPIRED;
    ret_claim->read_only = json_is_true(json_object_get(key, "read_only"));
    ret_claim->deployment = deployment_of(json_string_value(json_object_get(key, "database")));
    if (!ret_claim->deployment)
        return PRISMA_NO_DATABASE;
    return body_bytes > ret_claim->deployment->request_body_bytes_max ? PRISMA_TOO_LARGE
                                                                      : PRISMA_ADMITTED;
}

/* ---- refusing ---- */

/* is_panic, message, error_code: the clients of 5 and 6; code, error: 7. */
#define REFUSAL(status, code, text)                                                                \
    {                                                                                              \
        status, "{\"is_panic\":false,\"message\":\"" text "\",\"error_code\":\"" code              \
                "\",\"code\":\"" code "\",\"error\":\"" text "\"}"                                 \
    }
static const struct {
    int status;
    const char *body;
} refusals[] = {
    [PRISMA_NO_KEY] = REFUSAL(401, "P6002",
                              "The request has no api key: the URL is like "
                              "prisma://host/?api_key=KEY, with a KEY of weir prisma key create."),
    [PRISMA_BAD_KEY] = REFUSAL(
        401, "P6002", "The api key is not valid here: make one with weir prisma key create."),
    [PRISMA_REVOKED] = REFUSAL(401, "P6002",
                               "The api key is not among this server's: it was revoked, or is "
                               "another server's. Make one with weir prisma key create."),
    [PRISMA_EXPIRED] =
        REFUSAL(401, "P6002", "The api key has expired: make another with weir prisma key create."),
    [PRISMA_NO_DATABASE] =
        REFUSAL(404, "P6001", "The api key's database is not configured on this server any more."),
    [PRISMA_TOO_MANY] =
        REFUSAL(429, "P5008", "Too many requests of this worker are under way at once."),
    [PRISMA_TOO_LARGE] = REFUSAL(413, "P6000", "The request is larger than this server takes."),
};

int prisma_refusal_status(enum prisma_refusal refusal)
{
    return refusals[refusal].status;
}

struct slice prisma_refusal(enum prisma_refusal refusal)
{
    return slice_of(refusals[refusal].body);
}

/* ---- the plan ---- */

void prisma_take_plan(const json_t *plan)
{
    const json_t *part = json_object_get(plan, "prisma");
    const char *secret = json_string_value(json_object_get(part, "secret"));
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL); /* no file is read from here */
    json_decref(prisma.keys);
    prisma.keys = json_incref(json_object_get(part, "keys"));
    prisma.enabled = secret && strlen(secret) == SECRET_DIGITS &&
                     base64url_decode(slice_of(secret), prisma.secret) == SECRET_BYTES;
}
