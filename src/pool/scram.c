/* SPDX-License-Identifier: Apache-2.0 */
#include "scram.h"

#include <openssl/rand.h>
#include <stdlib.h>

#include "base64.h"

enum { NONCE_BYTES = 18 };

void scram_done(struct scram *scram)
{
    buffer_done(&scram->gs2);
    buffer_done(&scram->auth);
    secret_wipe(scram, sizeof(*scram));
}

/* Takes "x=value" up to a comma or the end from the front; false: another attribute stands there.
 */
static bool take_attribute(struct slice *rest, char name, struct slice *ret_value)
{
    if (rest->len < 2 || rest->ptr[0] != name || rest->ptr[1] != '=')
        return false;
    const char *comma = memchr(rest->ptr, ',', rest->len);
    size_t len = comma ? (size_t)(comma - rest->ptr) : rest->len;
    *ret_value = (struct slice){rest->ptr + 2, len - 2};
    rest->ptr += comma ? len + 1 : len;
    rest->len -= comma ? len + 1 : len;
    return true;
}

static bool is_nonce(struct slice nonce)
{
    if (nonce.len == 0 || nonce.len > SCRAM_NONCE_TEXT_BYTES_MAX)
        return false;
    for (size_t i = 0; i < nonce.len; i++)
        if (nonce.ptr[i] < 0x21 || nonce.ptr[i] > 0x7e || nonce.ptr[i] == ',')
            return false;
    return true;
}

static void append_nonce(struct buffer *out)
{
    uint8_t bytes[NONCE_BYTES];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        abort();
    base64_encode(bytes, sizeof(bytes), out);
}

static void keep_nonce(struct scram *scram, struct slice nonce)
{
    memcpy(scram->nonce, nonce.ptr, nonce.len);
    scram->nonce[nonce.len] = 0;
}

static void xor_keys(uint8_t *into, const uint8_t *with)
{
    for (int i = 0; i < SCRAM_KEY_BYTES; i++)
        into[i] ^= with[i];
}

/* base64 of the client's header and what binds the channel. */
static void append_binding(const struct scram *scram, struct buffer *out)
{
    AUTO_BUFFER bytes = {0};
    buffer_append_slice(&bytes, buffer_slice(&scram->gs2));
    if (scram->plus)
        buffer_append_slice(&bytes, scram->binding);
    struct slice all = buffer_slice(&bytes);
    base64_encode((const uint8_t *)all.ptr, all.len, out);
}

static void append_server_signature(const struct scram *scram, struct buffer *out)
{
    uint8_t signature[SCRAM_KEY_BYTES];
    hmac_sha256(scram->keys.server_key, SCRAM_KEY_BYTES, buffer_slice(&scram->auth), signature);
    buffer_append_text(out, "v=");
    base64_encode(signature, sizeof(signature), out);
}

/* ---- server ---- */

/* "n,,", "y,," or "p=tls-server-end-point,,"; an authzid is not taken. */
static bool take_gs2(struct scram *scram, struct slice *rest)
{
    static const char plus[] = "p=tls-server-end-point,,";
    const char *header = scram->plus ? plus : rest->len > 0 && rest->ptr[0] == 'y' ? "y,," : "n,,";
    if (!slice_starts_with(*rest, slice_of(header)))
        return false;
    if (header[0] == 'y' && scram->could_plus)
        return false; /* somebody between us took the offer away */
    buffer_append_text(&scram->gs2, header);
    rest->ptr += strlen(header);
    rest->len -= strlen(header);
    return true;
}

bool scram_server_first(struct scram *scram, struct slice client_first, struct buffer *answer)
{
    struct slice rest = client_first, user, nonce;
    if (client_first.len > SCRAM_MESSAGE_BYTES_MAX || !take_gs2(scram, &rest))
        return false;
    struct slice bare = rest;
    if (!take_attribute(&rest, 'n', &user) || !take_attribute(&rest, 'r', &nonce) ||
        !is_nonce(nonce) || nonce.len > SCRAM_NONCE_TEXT_BYTES_MAX / 2)
        return false;
    AUTO_BUFFER text = {0};
    buffer_append_text(&text, "r=");
    buffer_append_slice(&text, nonce);
    append_nonce(&text);
    struct slice combined = buffer_slice(&text);
    keep_nonce(scram, (struct slice){combined.ptr + 2, combined.len - 2});
    buffer_append_text(&text, ",s=");
    base64_encode(scram->keys.salt, scram->keys.salt_len, &text);
    buffer_printf(&text, ",i=%d", scram->keys.iterations);
    buffer_append_slice(&scram->auth, bare);
    buffer_append_text(&scram->auth, ",");
    buffer_append_slice(&scram->auth, buffer_slice(&text));
    buffer_append_slice(answer, buffer_slice(&text));
    return true;
}

/* The proof gives the client's key away to who knows the stored one. */
static bool check_proof(struct scram *scram, struct slice proof_text)
{
    uint8_t key[SCRAM_KEY_BYTES], signature[SCRAM_KEY_BYTES], stored[SCRAM_KEY_BYTES];
    if (base64_decode(proof_text, key, sizeof(key)) != SCRAM_KEY_BYTES)
        return false;
    hmac_sha256(scram->keys.stored_key, SCRAM_KEY_BYTES, buffer_slice(&scram->auth), signature);
    xor_keys(key, signature);
    sha256(key, sizeof(key), stored);
    if (!secret_equal(stored, scram->keys.stored_key, SCRAM_KEY_BYTES))
        return false;
    memcpy(scram->keys.client_key, key, SCRAM_KEY_BYTES);
    scram->keys.has_client_key = true;
    return true;
}

bool scram_server_final(struct scram *scram, struct slice client_final, struct buffer *answer)
{
    struct slice rest = client_final, binding, nonce, proof = {NULL, 0};
    AUTO_BUFFER expected = {0};
    if (client_final.len > SCRAM_MESSAGE_BYTES_MAX || !take_attribute(&rest, 'c', &binding) ||
        !take_attribute(&rest, 'r', &nonce))
        return false;
    const char *end = rest.ptr - 1; /* the comma before what is not signed */
    while (rest.len > 0 && !take_attribute(&rest, 'p', &proof)) { /* extensions: signed, unknown */
        const char *comma = memchr(rest.ptr, ',', rest.len);
        if (!comma || rest.ptr[0] == 'm')
            return false;
        end = comma;
        rest.len -= (size_t)(comma + 1 - rest.ptr);
        rest.ptr = comma + 1;
    }
    append_binding(scram, &expected);
    if (!proof.ptr || rest.len > 0 || !slice_equal(binding, buffer_slice(&expected)) ||
        !slice_equal(nonce, slice_of(scram->nonce)))
        return false;
    buffer_append_text(&scram->auth, ",");
    buffer_append(&scram->auth, client_final.ptr, (size_t)(end - client_final.ptr));
    if (!check_proof(scram, proof) || !scram->known)
        return false;
    append_server_signature(scram, answer);
    return true;
}

/* ---- client ---- */

void scram_client_first(struct scram *scram, struct buffer *message)
{
    AUTO_BUFFER nonce = {0};
    append_nonce(&nonce);
    keep_nonce(scram, buffer_slice(&nonce));
    buffer_append_text(&scram->gs2, scram->plus         ? "p=tls-server-end-point,,"
                                    : scram->could_plus ? "y,,"
                                                        : "n,,");
    /* Postgres takes the user's name from the startup packet. */
    buffer_append_text(&scram->auth, "n=,r=");
    buffer_append_text(&scram->auth, scram->nonce);
    buffer_append_slice(message, buffer_slice(&scram->gs2));
    buffer_append_slice(message, buffer_slice(&scram->auth));
}

/* The server's nonce, and the salt and iterations that it wants. False: it is malformed. */
static bool read_server_first(const struct scram *scram, struct slice server_first,
                              struct slice *ret_nonce, struct scram_keys *ret_wanted)
{
    struct slice rest = server_first, salt, count;
    if (server_first.len > SCRAM_MESSAGE_BYTES_MAX || !take_attribute(&rest, 'r', ret_nonce) ||
        !take_attribute(&rest, 's', &salt) || !take_attribute(&rest, 'i', &count))
        return false;
    AUTO_TEXT count_text = xstrndup(count.ptr, count.len);
    long iterations = strtol(count_text, NULL, 10);
    ssize_t salt_len = base64_decode(salt, ret_wanted->salt, sizeof(ret_wanted->salt));
    if (!is_nonce(*ret_nonce) || !slice_starts_with(*ret_nonce, slice_of(scram->nonce)) ||
        ret_nonce->len == strlen(scram->nonce) || iterations < 1 ||
        iterations > SCRAM_ITERATIONS_MAX || salt_len <= 0)
        return false;
    ret_wanted->iterations = (int)iterations;
    ret_wanted->salt_len = (size_t)salt_len;
    return true;
}

static bool fit(const struct scram_keys *keys, const struct scram_keys *wanted)
{
    return keys->has_client_key && keys->iterations == wanted->iterations &&
           keys->salt_len == wanted->salt_len &&
           memcmp(keys->salt, wanted->salt, wanted->salt_len) == 0;
}

bool scram_client_wants(const struct scram *scram, struct slice server_first,
                        struct scram_keys *ret_keys)
{
    struct slice nonce;
    *ret_keys = (struct scram_keys){0};
    return read_server_first(scram, server_first, &nonce, ret_keys) && !fit(&scram->keys, ret_keys);
}

bool scram_client_final(struct scram *scram, const char *password, struct slice server_first,
                        struct buffer *message)
{
    struct slice nonce;
    struct scram_keys wanted;
    uint8_t proof[SCRAM_KEY_BYTES];
    if (!read_server_first(scram, server_first, &nonce, &wanted))
        return false;
    if (!fit(&scram->keys, &wanted)) {
        if (!password)
            return false;
        scram_derive(password, wanted.salt, wanted.salt_len, wanted.iterations, &scram->keys);
    }
    AUTO_BUFFER final = {0};
    buffer_append_text(&final, "c=");
    append_binding(scram, &final);
    buffer_append_text(&final, ",r=");
    buffer_append_slice(&final, nonce);
    buffer_append_text(&scram->auth, ",");
    buffer_append_slice(&scram->auth, server_first);
    buffer_append_text(&scram->auth, ",");
    buffer_append_slice(&scram->auth, buffer_slice(&final));
    hmac_sha256(scram->keys.stored_key, SCRAM_KEY_BYTES, buffer_slice(&scram->auth), proof);
    xor_keys(proof, scram->keys.client_key);
    buffer_append_text(&final, ",p=");
    base64_encode(proof, sizeof(proof), &final);
    buffer_append_slice(message, buffer_slice(&final));
    return true;
}

bool scram_client_verify(const struct scram *scram, struct slice server_final)
{
    AUTO_BUFFER expected = {0};
    append_server_signature(scram, &expected);
    struct slice ours = buffer_slice(&expected);
    return server_final.len >= ours.len && secret_equal(server_final.ptr, ours.ptr, ours.len) &&
           (server_final.len == ours.len || server_final.ptr[ours.len] == ',');
}
