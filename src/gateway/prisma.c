/* SPDX-License-Identifier: Apache-2.0 */
#include "prisma.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <time.h>

#include "base64url.h"
#include "clock.h"
#include "counting.h"
#include "dispatch.h"
#include "log.h"
#include "request.h"

enum { KEY_BYTES_MAX = 2048, SECRET_BYTES = 32, MAC_BYTES = 32, SECRET_DIGITS = 43 };
enum { OWED_MAX_S = 10 }; /* of a key's rate */
#define NOT_COUNTED UINT32_MAX

struct prisma_key {
    const char *id, *database; /* borrowed from json */
    bool read_only;
    int64_t expires; /* seconds since 1970; 0: never */
    uint32_t number, transactions_max;
    struct worker_counters *count;
    double rate; /* requests a second; 0: no limit */
    double tokens;
    uint64_t admitted;  /* by all gateways: what has been taken from the tokens */
    uint64_t filled_us; /* when there were so many */
};

static struct {
    json_t *json;            /* id => {database, read_only, expires, …} */
    struct prisma_key *keys; /* sorted by id */
    size_t count;
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

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct prisma_key *)a)->id, ((const struct prisma_key *)b)->id);
}

static struct prisma_key *find(const char *id)
{
    const struct prisma_key wanted = {.id = id};
    return prisma.count == 0 ? NULL
                             : bsearch(&wanted, prisma.keys, prisma.count, sizeof(wanted), by_id);
}

/* The listed key of a token's payload; NULL: there is none. */
static struct prisma_key *listed(struct slice payload)
{
    unsigned char text[KEY_BYTES_MAX];
    json_error_t error;
    ssize_t len = base64url_decode(payload, text);
    json_t *claims = len < 0 ? NULL : json_loadb((const char *)text, (size_t)len, 0, &error);
    const char *id = json_string_value(json_object_get(claims, "jti"));
    struct prisma_key *key = id ? find(id) : NULL;
    json_decref(claims);
    return key;
}

/* By all gateways. Of a key that is not counted we know our own alone. */
static uint64_t admitted(const struct prisma_key *key)
{
    return key->count ? counting_worker_sum(key->number, offsetof(struct worker_counters, admitted))
                      : key->admitted;
}

/* A bucket of a second's requests, which fills as time goes by, and from which all gateways take.
 * needed: also when there is none left; it is owed then. */
static bool takes_token(struct prisma_key *key, bool needed)
{
    uint64_t now_us = clock_monotonic_us(), all = admitted(key);
    if (key->rate <= 0)
        return true;
    double most = key->rate < 1 ? 1 : key->rate;
    key->tokens += (double)(now_us - key->filled_us) / 1e6 * key->rate;
    key->tokens -= (double)(all - key->admitted);
    if (key->tokens > most)
        key->tokens = most;
    if (key->tokens < -OWED_MAX_S * most)
        key->tokens = -OWED_MAX_S * most;
    key->filled_us = now_us;
    key->admitted = all;
    if (key->tokens < 1 && !needed)
        return false;
    if (key->count)
        key->count->admitted++;
    else
        key->tokens--;
    return true;
}

static struct deployment *deployment_of(const char *database)
{
    for (struct deployment *d = gateway.deployments; d; d = d->next)
        if (d->current && d->prisma && strcmp(d->prisma, database) == 0)
            return d;
    return NULL;
}

/* Behind the next slash of *rest; what is left is behind it. */
static struct slice next_segment(struct slice *rest)
{
    const char *slash = rest->len > 0 ? memchr(rest->ptr + 1, '/', rest->len - 1) : NULL;
    size_t len = slash ? (size_t)(slash - rest->ptr) : rest->len;
    struct slice segment = {rest->ptr + (len > 0), len - (len > 0)};
    *rest = (struct slice){rest->ptr + len, rest->len - len};
    return segment;
}

/* Has it nothing in it that a URL takes for something else? */
static bool is_plain(struct slice segment)
{
    for (size_t i = 0; i < segment.len; i++)
        if (!isalnum((unsigned char)segment.ptr[i]) && !memchr("-~.", segment.ptr[i], 3))
            return false;
    return segment.len > 0 && !slice_equal(segment, SLICE(".")) &&
           !slice_equal(segment, SLICE(".."));
}

/* A request of a transaction, /transaction/ID.NUMBER/ACTION or /itx/HASH/ID.NUMBER/ACTION, and
 * nothing else, however the worker reads it: the number, of the deployment that has it, and the
 * action. */
static bool is_of_transaction(struct slice path, uint32_t *ret_number, struct slice *ret_action)
{
    struct slice first = next_segment(&path), id = next_segment(&path);
    bool hashed = slice_equal(first, SLICE("itx"));
    if (hashed ? !is_plain(id) : !slice_equal(first, SLICE("transaction")))
        return false;
    if (hashed)
        id = next_segment(&path);
    *ret_action = next_segment(&path);
    const char *dot = is_plain(id) ? memrchr(id.ptr, '.', id.len) : NULL, *end = id.ptr + id.len;
    *ret_number = 0;
    if (!dot || dot + 1 == end || path.len > 0)
        return false;
    while (++dot < end && *dot >= '0' && *dot <= '9')
        *ret_number = *ret_number * 10 + (uint32_t)(*dot - '0');
    return dot == end;
}

static struct deployment *deployment_numbered(uint32_t number, const char *database)
{
    struct deployment *deployment = deployment_by_id(number);
    bool is = deployment && deployment->instances && deployment->prisma &&
              strcmp(deployment->prisma, database) == 0;
    return is ? deployment : NULL;
}

static bool is_start(struct slice path)
{
    struct slice end = SLICE("/transaction/start");
    return path.len >= end.len && memcmp(path.ptr + path.len - end.len, end.ptr, end.len) == 0;
}

static bool is_invalidation(const struct http1_request *parsed)
{
    return slice_equal(parsed->method, SLICE("POST")) &&
           slice_equal(slice_until(parsed->path, '?'), SLICE("/invalidate"));
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
    struct prisma_key *key = listed((struct slice){dot + 1, (size_t)(last - dot - 1)});
    if (!key)
        return PRISMA_REVOKED;
    if (key->expires && (int64_t)(clock_wall_us() / 1000000) >= key->expires)
        return PRISMA_EXPIRED;
    struct slice path = slice_until(parsed->path, '?'), action;
    uint32_t number;
    bool within = is_of_transaction(path, &number, &action);
    /* Its end sets free what others wait for. */
    bool ends =
        within && (slice_equal(action, SLICE("commit")) || slice_equal(action, SLICE("rollback")));
    if (!takes_token(key, ends)) {
        if (key->count)
            key->count->shed++;
        return PRISMA_THROTTLED;
    }
    struct deployment *holder = within ? deployment_numbered(number, key->database) : NULL;
    *ret_claim = (struct prisma_claim){
        .key_id = key->id,
        .read_only = key->read_only,
        .transactions_max = key->transactions_max,
        .count = key->count,
        .begins = !holder && is_start(path),
        .deployment = holder ? holder : deployment_of(key->database),
    };
    if (!ret_claim->deployment)
        return PRISMA_NO_DATABASE;
    if (body_bytes > ret_claim->deployment->request_body_bytes_max)
        return PRISMA_TOO_LARGE;
    const struct worker *worker = ret_claim->deployment->worker;
    ret_claim->invalidates = is_invalidation(parsed);
    if (ret_claim->invalidates && key->read_only)
        return PRISMA_READ_ONLY; /* all others' queries would go to the database again */
    if (ret_claim->invalidates)
        worker->count->invalidations++;
    ret_claim->invalidations =
        counting_worker_sum(worker->number, offsetof(struct worker_counters, invalidations));
    return PRISMA_ADMITTED;
}

/* ---- open transactions ---- */

/* Of one instance and key. */
struct prisma_open {
    struct prisma_open *next;
    struct worker_counters *count;
    uint64_t transactions;
};

/* Of two gateways that count one more each and then look at the sum, one at least sees both: that
 * is what the fence is for. */
static void change_open(struct worker_counters *count, uint64_t from, uint64_t to)
{
    __atomic_store_n(&count->transactions, count->transactions - from + to, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static struct prisma_open *open_of(struct instance *instance, struct worker_counters *count)
{
    struct prisma_open *open = instance->open;
    while (open && open->count != count)
        open = open->next;
    if (open)
        return open;
    open = xcalloc(1, sizeof(*open));
    *open = (struct prisma_open){.next = instance->open, .count = count};
    return instance->open = open;
}

/* /KEY/COUNT. The id is copied into room of KEY_BYTES_MAX. */
static bool read_open(struct slice path, char *ret_id, uint64_t *ret_count)
{
    const char *number = path.len > 0 ? memrchr(path.ptr, '/', path.len) : NULL, *end;
    if (path.len >= KEY_BYTES_MAX || !number || number == path.ptr)
        return false;
    end = path.ptr + path.len;
    memcpy(ret_id, path.ptr + 1, (size_t)(number - path.ptr - 1));
    ret_id[number - path.ptr - 1] = '\0';
    *ret_count = 0;
    for (number++; number < end && *number >= '0' && *number <= '9' && *ret_count <= UINT16_MAX;)
        *ret_count = *ret_count * 10 + (uint64_t)(*number++ - '0');
    return number == end && end[-1] != '/';
}

int prisma_note_open(struct instance *instance, struct slice path, uint64_t *ret_all)
{
    char id[KEY_BYTES_MAX];
    uint64_t transactions;
    if (!read_open(path, id, &transactions))
        return -EINVAL;
    const struct prisma_key *key = find(id);
    if (!key)
        return -ENOENT;
    if (strcmp(key->database, instance->deployment->prisma) != 0)
        return -EINVAL;
    *ret_all = transactions; /* of a key that is not counted we know no others */
    if (!key->count)
        return 0;
    struct prisma_open *open = open_of(instance, key->count);
    change_open(open->count, open->transactions, transactions);
    open->transactions = transactions;
    *ret_all = counting_worker_sum(key->number, offsetof(struct worker_counters, transactions));
    return 0;
}

void prisma_close_all(struct instance *instance)
{
    for (struct prisma_open *open = instance->open, *next; open; open = next) {
        next = open->next;
        change_open(open->count, open->transactions, 0);
        free(open);
    }
    instance->open = NULL;
}

/* ---- telling the endpoints ---- */

/* Those that may have transactions which nobody is to go on with. */
static void tell(const char *what, const char *of)
{
    char text[CRON_BYTES_MAX + 1];
    if (snprintf(text, sizeof(text), "%s %s", what, of) >= (int)sizeof(text))
        return; /* no key that was made here */
    for (struct deployment *d = gateway.deployments; d; d = d->next)
        if (d->prisma && d->instances)
            dispatch_request(request_new_event(d, slice_of(text), clock_wall_us() / 1000, 0));
}

void prisma_forget_caller(uint32_t id)
{
    char text[12];
    (void)snprintf(text, sizeof(text), "%" PRIu32, id);
    tell("gone", text);
}

/* ---- refusing ---- */

/* is_panic, message, error_code: the clients of 5 and 6; code, error: 7. */
#define BODY(code, text)                                                                           \
    "{\"is_panic\":false,\"message\":\"" text "\",\"error_code\":\"" code "\",\"code\":\"" code    \
    "\",\"error\":\"" text "\"}"
#define REFUSAL(status, code, text)                                                                \
    {                                                                                              \
        status, BODY(code, text)                                                                   \
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
    [PRISMA_THROTTLED] =
        REFUSAL(429, "P5011",
                "Too many requests of this api key in a second: its limit is told by "
                "weir prisma key list."),
    [PRISMA_READ_ONLY] = REFUSAL(
        403, "P6002", "The api key is read only: it may not invalidate what others have cached."),
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

struct slice prisma_failure(enum failure failure)
{
    static const char *const bodies[] = {
        [FAILURE_EXCEPTION] = BODY("P6000", "The endpoint failed: the server's log tells why."),
        /* The clients of 5 and 6 ask again without an error_code. What ended this endpoint would
         * end the next one, and what was written before would be written twice. */
        [FAILURE_CRASH] = BODY("P6000", "The endpoint's process has ended, and with it the open "
                                        "transactions: the server's log tells why."),
        [FAILURE_LIMITS] = BODY("P6000", "The endpoint ran out of memory or time over its "
                                         "requests: ask for less at once."),
        [FAILURE_TIMEOUT] = BODY("P6004", "The endpoint did not answer within its time limit."),
        [FAILURE_BUSY] = BODY("P5011", "Too many requests wait for this database's endpoint."),
        [FAILURE_UNAVAILABLE] = BODY("P6000", "The server stops."),
        [FAILURE_BUILD] =
            BODY("P6008", "The endpoint can not be built: the server's log tells why."),
        [FAILURE_START] = BODY("P6008", "The endpoint does not start: the server's log tells why."),
    };
    return slice_of(bodies[failure]);
}

/* ---- the plan ---- */

bool prisma_next_key(size_t *place, const char **ret_id, const char **ret_database,
                     uint32_t *ret_number)
{
    while (*place < prisma.count && prisma.keys[*place].number == NOT_COUNTED)
        (*place)++;
    if (*place >= prisma.count)
        return false;
    const struct prisma_key *key = &prisma.keys[(*place)++];
    *ret_id = key->id;
    *ret_database = key->database;
    *ret_number = key->number;
    return true;
}

static void read_key(const char *id, const json_t *json, double rate_otherwise,
                     struct prisma_key *ret)
{
    const json_t *number = json_object_get(json, "number");
    const char *database = json_string_value(json_object_get(json, "database"));
    double rate = (double)json_integer_value(json_object_get(json, "requests_max"));
    const struct prisma_key *before = find(id);
    rate = rate > 0 ? rate : rate_otherwise;
    *ret = (struct prisma_key){
        .id = id,
        .database = database ? database : "",
        .read_only = json_is_true(json_object_get(json, "read_only")),
        .expires = json_integer_value(json_object_get(json, "expires")),
        .number = json_is_integer(number) ? (uint32_t)json_integer_value(number) : NOT_COUNTED,
        .transactions_max = (uint32_t)json_integer_value(json_object_get(json, "transactions_max")),
        .count = before && before->count ? before->count /* what is open stays so */
                 : json_is_integer(number)
                     ? counting_take_worker((uint32_t)json_integer_value(number))
                     : NULL,
        .rate = rate,
        .tokens = before ? before->tokens : rate, /* a reload is no reason for more of them */
        .filled_us = before ? before->filled_us : clock_monotonic_us(),
    };
    ret->admitted = before ? before->admitted : admitted(ret);
}

static void take_keys(json_t *json, double rate_otherwise)
{
    struct prisma_key *keys = xcalloc(json_object_size(json) + 1, sizeof(*keys));
    const char *id;
    json_t *one;
    size_t count = 0;
    json_object_foreach(json, id, one) read_key(id, one, rate_otherwise, &keys[count++]);
    qsort(keys, count, sizeof(*keys), by_id);
    for (size_t i = 0; i < prisma.count; i++)
        if (!json_object_get(json, prisma.keys[i].id))
            tell("revoked", prisma.keys[i].id);
    free(prisma.keys);
    json_decref(prisma.json);
    prisma.keys = keys;
    prisma.count = count;
    prisma.json = json_incref(json);
}

void prisma_take_plan(const json_t *plan)
{
    const json_t *part = json_object_get(plan, "prisma");
    const char *secret = json_string_value(json_object_get(part, "secret"));
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL); /* no file is read from here */
    take_keys(json_object_get(part, "keys"),
              (double)json_integer_value(json_object_get(part, "key_requests_max")));
    prisma.enabled = secret && strlen(secret) == SECRET_DIGITS &&
                     base64url_decode(slice_of(secret), prisma.secret) == SECRET_BYTES;
}
