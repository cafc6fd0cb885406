/* SPDX-License-Identifier: Apache-2.0 */
#include "prisma_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base64url.h"
#include "state_dir.h"

enum {
    SECRET_BYTES = 32,
    MAC_BYTES = 32,
    SECRET_DIGITS = 43, /* of 32 bytes */
    KEY_BYTES_MAX = 2048,
    FILE_BYTES_MAX = 16 * 1024 * 1024,
};

/* ---- the file ---- */

char *prisma_keys_path(const char *state_dir)
{
    return xasprintf("%s/prisma/keys.json", state_dir);
}

/* The directory that has the file. Symlinks on the last two steps are not followed: root may work
 * in a project of somebody else. Negative errno. */
static int open_dir(const char *state_dir, bool make, struct error *err)
{
    if (make) {
        int r = state_dir_make(state_dir, err);
        if (r < 0)
            return r;
    }
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (geteuid() == 0 ? O_NOFOLLOW : 0);
    AUTO_FD state = open(state_dir, flags);
    bool made = state >= 0 && make && mkdirat(state, "prisma", 0700) == 0;
    struct stat owner;
    int dir = state < 0 ? -1 : openat(state, "prisma", flags);
    if (dir >= 0 && made && geteuid() == 0 && fstat(state, &owner) == 0)
        (void)fchown(dir, owner.st_uid, owner.st_gid);
    if (dir >= 0)
        return dir;
    /* Where keys cannot be, there are none. */
    if (!make && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EACCES))
        return -ENOENT;
    return error_set(err, -errno, "%s/prisma cannot be used: %s", state_dir, strerror(errno));
}

int prisma_keys_dir(const char *state_dir, struct error *err)
{
    return open_dir(state_dir, true, err);
}

static json_t *empty_file(void)
{
    return json_pack("{s:{}}", "keys");
}

static json_t *read_file(int dir, const char *state_dir, struct error *err)
{
    AUTO_FD fd = openat(dir, "keys.json", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat stat;
    json_error_t error;
    if (fd < 0 && errno == ENOENT)
        return empty_file();
    if (fd < 0 || fstat(fd, &stat) < 0) {
        (void)error_set(err, -errno, "%s/prisma/keys.json cannot be read: %s", state_dir,
                        strerror(errno));
        return NULL;
    }
    if (stat.st_mode & 077) {
        (void)error_set(err, -EPERM,
                        "%s/prisma/keys.json is readable by others, and has a secret: chmod 600 it",
                        state_dir);
        return NULL;
    }
    json_t *file = stat.st_size > FILE_BYTES_MAX ? NULL : json_loadfd(fd, 0, &error);
    if (!json_is_object(json_object_get(file, "keys"))) {
        (void)error_set(err, -EINVAL,
                        "%s/prisma/keys.json is damaged: remove it, and make new keys", state_dir);
        json_decref(file);
        return NULL;
    }
    return file;
}

json_t *prisma_keys_read(const char *state_dir, struct error *err)
{
    AUTO_FD dir = open_dir(state_dir, false, err);
    if (dir < 0)
        return dir == -ENOENT ? empty_file() : NULL;
    return read_file(dir, state_dir, err);
}

json_t *prisma_keys_listed(const char *state_dir)
{
    struct error err = {""}; /* told by who loads all of it */
    json_t *file = prisma_keys_read(state_dir, &err);
    bool is_there = json_object_get(file, "secret"); /* else a directory is away for a moment */
    json_t *keys = is_there ? json_incref(json_object_get(file, "keys")) : NULL;
    json_decref(file);
    return keys;
}

static int write_file(int dir, const char *state_dir, const json_t *file, struct error *err)
{
    char name[] = ".keys-new";
    (void)unlinkat(dir, name, 0);
    AUTO_FD fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct stat owner;
    if (fd >= 0 && geteuid() == 0 && fstat(dir, &owner) == 0) /* root makes it for who serves */
        (void)fchown(fd, owner.st_uid, owner.st_gid);
    if (fd < 0 || json_dumpfd(file, fd, JSON_INDENT(2)) < 0 || fsync(fd) < 0 ||
        renameat(dir, name, dir, "keys.json") < 0)
        return error_set(err, -errno, "%s/prisma/keys.json cannot be written: %s", state_dir,
                         strerror(errno));
    return 0;
}

/* Opens, locks against others who write, reads. The descriptor holds the lock. */
static int begin_change(const char *state_dir, json_t **ret_file, struct error *err)
{
    int dir = open_dir(state_dir, true, err);
    if (dir < 0)
        return dir;
    (void)flock(dir, LOCK_EX);
    *ret_file = read_file(dir, state_dir, err);
    if (!*ret_file) {
        (void)close(dir);
        return -EINVAL;
    }
    return dir;
}

/* ---- keys ---- */

static bool sign(const json_t *file, const char *text, size_t len, unsigned char ret_mac[MAC_BYTES])
{
    const char *secret = json_string_value(json_object_get(file, "secret"));
    unsigned char bytes[SECRET_BYTES + 1];
    unsigned mac_len = 0;
    bool ok = secret && strlen(secret) == SECRET_DIGITS &&
              base64url_decode(slice_of(secret), bytes) == SECRET_BYTES &&
              HMAC(EVP_sha256(), bytes, SECRET_BYTES, (const unsigned char *)text, len, ret_mac,
                   &mac_len);
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return ok;
}

static char *random_text(size_t bytes)
{
    unsigned char random[64];
    AUTO_BUFFER text = {0};
    if (RAND_bytes(random, (int)bytes) != 1)
        return NULL;
    base64url_append(&text, random, bytes);
    OPENSSL_cleanse(random, sizeof(random));
    return xstrndup(text.data, buffer_len(&text));
}

/* Hexadecimal: an argument of the command line that cannot be taken for an option. */
static char *random_id(void)
{
    uint64_t number;
    return RAND_bytes((unsigned char *)&number, sizeof(number)) == 1
               ? xasprintf("%016llx", (unsigned long long)number)
               : NULL;
}

static char *token_of(const json_t *file, const char *id, const struct prisma_key *key, int64_t now)
{
    AUTO_BUFFER text = {0};
    unsigned char mac[MAC_BYTES];
    json_t *claims = json_pack("{s:s, s:s, s:s, s:I}", "jti", id, "database", key->database,
                               "access", key->read_only ? "read" : "all", "iat", (json_int_t)now);
    if (key->expires)
        (void)json_object_set_new(claims, "exp", json_integer(key->expires));
    char *payload = json_dumps(claims, JSON_COMPACT);
    static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    base64url_append(&text, header, sizeof(header) - 1);
    buffer_append_text(&text, ".");
    base64url_append(&text, payload, strlen(payload));
    bool ok = sign(file, text.data, buffer_len(&text), mac);
    buffer_append_text(&text, ".");
    base64url_append(&text, mac, sizeof(mac));
    free(payload);
    json_decref(claims);
    return ok ? xstrndup(text.data, buffer_len(&text)) : NULL;
}

char *prisma_keys_create(const char *state_dir, const struct prisma_key *key, char ret_id[17],
                         struct error *err)
{
    json_t *file = NULL;
    AUTO_FD dir = begin_change(state_dir, &file, err);
    if (dir < 0)
        return NULL;
    AUTO_TEXT id = random_id();
    AUTO_TEXT secret = random_text(SECRET_BYTES);
    int64_t now = time(NULL);
    if (secret && !json_object_get(file, "secret"))
        (void)json_object_set_new(file, "secret", json_string(secret));
    char *token = id ? token_of(file, id, key, now) : NULL;
    if (!token) {
        (void)error_set(err, -EINVAL,
                        "%s/prisma/keys.json is damaged: remove it, and make new keys", state_dir);
    } else {
        json_t *entry = json_pack("{s:s, s:b, s:I, s:I}", "database", key->database, "read_only",
                                  key->read_only, "created", (json_int_t)now, "expires",
                                  (json_int_t)key->expires);
        if (key->requests_max > 0)
            (void)json_object_set_new(entry, "requests_max", json_integer(key->requests_max));
        if (key->transactions_max > 0)
            (void)json_object_set_new(entry, "transactions_max",
                                      json_integer(key->transactions_max));
        (void)json_object_set_new(json_object_get(file, "keys"), id, entry);
        (void)snprintf(ret_id, 17, "%s", id);
        if (write_file(dir, state_dir, file, err) < 0)
            text_free(&token);
    }
    json_decref(file);
    return token;
}

/* Takes it off the list. */
static int remove_key(json_t *keys, const char *id, const char *database, struct error *err)
{
    const json_t *key = json_object_get(keys, id);
    const char *own = json_string_value(json_object_get(key, "database"));
    if (!key)
        return error_set(err, -ENOENT,
                         "there is no key \"%s\"; weir prisma key list tells which there are", id);
    if (database && (!own || strcmp(own, database) != 0))
        return error_set(err, -ENOENT, "key %s is for the database \"%s\", not for \"%s\"", id,
                         own ? own : "", database);
    return json_object_del(keys, id);
}

int prisma_keys_revoke(const char *state_dir, const char *id, const char *database,
                       struct error *err)
{
    json_t *file = NULL;
    AUTO_FD dir = begin_change(state_dir, &file, err);
    if (dir < 0)
        return dir;
    int r = remove_key(json_object_get(file, "keys"), id, database, err);
    if (r == 0)
        r = write_file(dir, state_dir, file, err);
    json_decref(file);
    return r;
}

bool prisma_keys_signed(const json_t *file, const char *key, size_t key_len)
{
    const char *last = memrchr(key, '.', key_len);
    unsigned char mac[MAC_BYTES], given[MAC_BYTES + 1];
    if (key_len > KEY_BYTES_MAX || !last || !sign(file, key, (size_t)(last - key), mac))
        return false;
    struct slice signature = {last + 1, (size_t)(key + key_len - last - 1)};
    return signature.len == SECRET_DIGITS && base64url_decode(signature, given) == MAC_BYTES &&
           CRYPTO_memcmp(given, mac, MAC_BYTES) == 0;
}
