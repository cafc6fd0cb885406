/* SPDX-License-Identifier: Apache-2.0 */
#include "asset_files.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "asset_ignore.h"
#include "asset_path.h"

enum {
    BUCKETS = 256,
    LISTING_NAMES_MAX = 16 * 1024, /* a larger directory goes without its listing */
    IGNORE_BYTES_MAX = 256 * 1024,
    /* A directory that changed this recently may change again without a new time stamp. */
    STAMP_GRAIN_NS = 20 * 1000 * 1000,
};

static const char *const suffixes[ASSET_CODINGS] = {"", ".br", ".gz"};

/* The bytes of a variant in memory, in a list from the most to the least recently used. */
struct asset_bytes {
    struct asset_bytes *newer, *older;
    struct asset_file *file;
    enum asset_coding coding;
    char *bytes;
    int64_t bytes_len;
};

struct asset_files {
    int dir_fd;
    uint32_t revalidate_ms;
    struct asset_ignore *ignore;
    struct asset_file *buckets[BUCKETS];
    struct { /* names of the first level without ".html"; open addressing by hash */
        uint64_t *hashes;
        uint32_t cap; /* a power of two; 0: no listing */
        bool known, settled;
        uint64_t checked_ms;
        struct timespec modified;
    } listing;
};

static struct {
    struct asset_bytes *newest, *oldest;
    int64_t bytes;
} memory;

static uint64_t hash_of(const char *text, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325ull; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3ull;
    return hash ? hash : 1;
}

/* ---- the directory ---- */

static int open_below(const struct asset_files *files, const char *path, uint64_t flags)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    while (*path == '/')
        path++;
    return (int)syscall(SYS_openat2, files->dir_fd, *path ? path : ".", &how, sizeof(how));
}

/* Opens a regular file; negative when there is none that is served. */
static int open_file(const struct asset_files *files, const char *path, uint64_t flags,
                     struct stat *ret_stat)
{
    size_t len = strlen(path);
    if (len < 2 || path[0] != '/' || path[len - 1] == '/' || strstr(path, "//") ||
        asset_ignore_matches(files->ignore, path))
        return -ENOENT;
    int fd = open_below(files, path, flags);
    if (fd < 0)
        return -errno;
    if (fstat(fd, ret_stat) < 0 || !S_ISREG(ret_stat->st_mode)) {
        (void)close(fd);
        return -ENOENT;
    }
    return fd;
}

static struct asset_ignore *read_ignore(const struct asset_files *files)
{
    AUTO_FD fd = open_below(files, ".assetsignore", O_RDONLY | O_NONBLOCK);
    AUTO_TEXT text = fd >= 0 ? xcalloc(1, IGNORE_BYTES_MAX) : NULL;
    ssize_t got = fd >= 0 ? read(fd, text, IGNORE_BYTES_MAX) : 0;
    return asset_ignore_new((struct slice){text, got > 0 ? (size_t)got : 0});
}

struct asset_files *asset_files_new(int dir_fd, uint32_t revalidate_ms)
{
    struct asset_files *files = xcalloc(1, sizeof(*files));
    files->dir_fd = dir_fd;
    files->revalidate_ms = revalidate_ms;
    files->ignore = read_ignore(files);
    return files;
}

void asset_files_free(struct asset_files **place)
{
    struct asset_files *files = TAKE(*place);
    if (!files)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        assert(!files->buckets[i]);
    fd_close(&files->dir_fd);
    asset_ignore_free(&files->ignore);
    free(files->listing.hashes);
    free(files);
}

/* The first component without ".html": /a, /a.html, /a/b and /a/index.html share it. */
static uint64_t stem_hash(const char *name, size_t len)
{
    if (len > 5 && memcmp(name + len - 5, ".html", 5) == 0)
        len -= 5;
    return hash_of(name, len);
}

static void listing_put(struct asset_files *files, uint64_t hash)
{
    uint32_t mask = files->listing.cap - 1, at = (uint32_t)hash & mask;
    while (files->listing.hashes[at] && files->listing.hashes[at] != hash)
        at = (at + 1) & mask;
    files->listing.hashes[at] = hash;
}

static void read_listing(struct asset_files *files)
{
    struct stat stat;
    struct timespec now;
    struct dirent *entry;
    free(TAKE(files->listing.hashes));
    files->listing.cap = 0;
    files->listing.known = false;
    int fd = open_below(files, "", O_RDONLY | O_DIRECTORY);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir || fstat(fd, &stat) < 0) {
        if (dir)
            (void)closedir(dir);
        else
            fd_close(&fd);
        return;
    }
    files->listing.modified = stat.st_mtim;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    int64_t age_ns = (int64_t)(now.tv_sec - stat.st_mtim.tv_sec) * 1000000000 +
                     (now.tv_nsec - stat.st_mtim.tv_nsec);
    files->listing.settled = age_ns > STAMP_GRAIN_NS;
    size_t count = 0, cap = 64;
    uint64_t *stems = xcalloc(LISTING_NAMES_MAX, sizeof(*stems));
    while (count < LISTING_NAMES_MAX && (entry = readdir(dir)))
        stems[count++] = stem_hash(entry->d_name, strlen(entry->d_name));
    (void)closedir(dir);
    if (count < LISTING_NAMES_MAX) {
        while (cap < count * 2)
            cap *= 2;
        files->listing.hashes = xcalloc(cap, sizeof(uint64_t));
        files->listing.cap = (uint32_t)cap;
        for (size_t i = 0; i < count; i++)
            listing_put(files, stems[i]);
    }
    free(stems);
    files->listing.known = true;
}

static void refresh_listing(struct asset_files *files, uint64_t now_ms)
{
    struct stat stat;
    files->listing.checked_ms = now_ms;
    if (files->listing.known && files->listing.settled &&
        fstatat(files->dir_fd, "", &stat, AT_EMPTY_PATH) == 0 &&
        stat.st_mtim.tv_sec == files->listing.modified.tv_sec &&
        stat.st_mtim.tv_nsec == files->listing.modified.tv_nsec)
        return;
    read_listing(files);
}

bool asset_files_may_have(struct asset_files *files, const char *path, uint64_t now_ms)
{
    size_t len = strcspn(path + 1, "/");
    if (len == 0)
        return true;
    if (!files->listing.known || now_ms - files->listing.checked_ms >= files->revalidate_ms)
        refresh_listing(files, now_ms);
    if (files->listing.cap == 0)
        return true;
    uint64_t hash = stem_hash(path + 1, len);
    uint32_t mask = files->listing.cap - 1, at = (uint32_t)hash & mask;
    while (files->listing.hashes[at] && files->listing.hashes[at] != hash)
        at = (at + 1) & mask;
    return files->listing.hashes[at] == hash;
}

bool asset_files_exists(struct asset_files *files, const char *path)
{
    struct stat stat;
    AUTO_FD fd = open_file(files, path, O_PATH, &stat);
    return fd >= 0;
}

/* ---- memory ---- */

static void unlink_cached(struct asset_bytes *cached)
{
    *(cached->newer ? &cached->newer->older : &memory.newest) = cached->older;
    *(cached->older ? &cached->older->newer : &memory.oldest) = cached->newer;
}

static void link_newest(struct asset_bytes *cached)
{
    cached->newer = NULL;
    cached->older = memory.newest;
    *(memory.newest ? &memory.newest->newer : &memory.oldest) = cached;
    memory.newest = cached;
}

static void forget_bytes(struct asset_file *file, enum asset_coding coding)
{
    struct asset_bytes *cached = TAKE(file->in_memory[coding]);
    if (!cached)
        return;
    unlink_cached(cached);
    memory.bytes -= cached->bytes_len;
    free(cached->bytes);
    free(cached);
}

/* Keeps the small file's bytes. Their hash is the validator then: the same content has the same
 * one, whenever and wherever it was put there. */
static void remember_bytes(struct asset_file *file, enum asset_coding coding, int fd)
{
    struct asset_variant *variant = &file->variants[coding];
    struct asset_bytes *cached = xcalloc(1, sizeof(*cached));
    *cached = (struct asset_bytes){.file = file, .coding = coding, .bytes_len = variant->bytes};
    cached->bytes = xcalloc(1, (size_t)variant->bytes + 1);
    for (int64_t at = 0; at <= variant->bytes;) {
        /* One byte more than it should have: it must not have grown since. */
        ssize_t got = pread(fd, cached->bytes + at, (size_t)(variant->bytes + 1 - at), at);
        if (got < 0 || at + got > variant->bytes || (got == 0 && at < variant->bytes)) {
            free(cached->bytes);
            free(cached);
            return;
        }
        if (got == 0)
            break;
        at += got;
    }
    char etag[sizeof(variant->etag)];
    (void)snprintf(etag, sizeof(etag), "\"%016llx%llx\"",
                   (unsigned long long)hash_of(cached->bytes, (size_t)variant->bytes),
                   (unsigned long long)variant->bytes);
    file->version += strcmp(etag, variant->etag) != 0;
    memcpy(variant->etag, etag, sizeof(etag));
    file->in_memory[coding] = cached;
    link_newest(cached);
    memory.bytes += cached->bytes_len;
    while (memory.bytes > ASSET_MEMORY_BYTES_MAX && memory.oldest != cached)
        forget_bytes(memory.oldest->file, memory.oldest->coding);
}

/* ---- files ---- */

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_same(const struct asset_variant *variant, const struct stat *stat)
{
    return variant->present && variant->dev == stat->st_dev && variant->ino == stat->st_ino &&
           variant->bytes == stat->st_size && same_time(variant->modified, stat->st_mtim) &&
           same_time(variant->changed, stat->st_ctim);
}

static int open_variant(const struct asset_file *file, enum asset_coding coding,
                        struct stat *ret_stat)
{
    char path[ASSET_PATH_BYTES_MAX];
    int len = snprintf(path, sizeof(path), "%s%s", file->path, suffixes[coding]);
    if (len >= (int)sizeof(path))
        return -ENAMETOOLONG;
    return open_file(file->files, path, O_RDONLY | O_NONBLOCK, ret_stat);
}

static void look_at(struct asset_file *file, enum asset_coding coding)
{
    struct asset_variant *variant = &file->variants[coding];
    struct stat stat;
    AUTO_FD fd = open_variant(file, coding, &stat);
    if (fd >= 0 && is_same(variant, &stat))
        return;
    if (fd < 0 && !variant->present)
        return;
    file->version++;
    forget_bytes(file, coding);
    *variant = (struct asset_variant){.present = fd >= 0};
    if (fd < 0)
        return;
    variant->dev = stat.st_dev;
    variant->ino = stat.st_ino;
    variant->bytes = stat.st_size;
    variant->modified = stat.st_mtim;
    variant->changed = stat.st_ctim;
    (void)snprintf(variant->etag, sizeof(variant->etag), "\"%llx-%llx\"",
                   (unsigned long long)stat.st_size,
                   (unsigned long long)stat.st_mtim.tv_sec * 1000000000ull +
                       (unsigned long long)stat.st_mtim.tv_nsec);
    if (stat.st_size <= ASSET_MEMORY_FILE_BYTES_MAX)
        remember_bytes(file, coding, fd);
}

bool asset_file_fresh(struct asset_file *file, uint64_t now_ms)
{
    if (file->checked_ms == 0 || now_ms - file->checked_ms >= file->files->revalidate_ms) {
        file->checked_ms = now_ms;
        for (int coding = 0; coding < ASSET_CODINGS; coding++)
            look_at(file, (enum asset_coding)coding);
    }
    return file->variants[ASSET_IDENTITY].present;
}

struct asset_file *asset_file_get(struct asset_files *files, const char *path, uint64_t now_ms)
{
    size_t len = strlen(path);
    uint64_t hash = hash_of(path, len);
    struct asset_file *file = files->buckets[hash % BUCKETS];
    while (file && (file->hash != hash || strcmp(file->path, path) != 0))
        file = file->next;
    if (!file) {
        file = xcalloc(1, sizeof(*file) + len + 1);
        memcpy(file->path, path, len + 1);
        file->hash = hash;
        file->files = files;
        file->next = files->buckets[hash % BUCKETS];
        files->buckets[hash % BUCKETS] = file;
    }
    file->refs++;
    if (!asset_file_fresh(file, now_ms))
        asset_file_unref(&file);
    return file;
}

void asset_file_unref(struct asset_file **place)
{
    struct asset_file *file = TAKE(*place);
    if (!file || --file->refs > 0)
        return;
    struct asset_file **link = &file->files->buckets[file->hash % BUCKETS];
    while (*link != file)
        link = &(*link)->next;
    *link = file->next;
    for (int coding = 0; coding < ASSET_CODINGS; coding++)
        forget_bytes(file, (enum asset_coding)coding);
    free(file);
}

bool asset_file_content(struct asset_file *file, enum asset_coding coding, struct slice *ret_bytes,
                        int *ret_fd)
{
    struct asset_bytes *cached = file->in_memory[coding];
    struct stat stat;
    AUTO_FD fd = cached ? -1 : open_variant(file, coding, &stat);
    if (!cached && (fd < 0 || !is_same(&file->variants[coding], &stat)))
        return false;
    if (!cached && stat.st_size <= ASSET_MEMORY_FILE_BYTES_MAX) { /* it had to make room */
        remember_bytes(file, coding, fd);
        cached = file->in_memory[coding];
    }
    if (cached) {
        if (memory.newest != cached) {
            unlink_cached(cached);
            link_newest(cached);
        }
        *ret_fd = -1;
        *ret_bytes = (struct slice){cached->bytes, (size_t)cached->bytes_len};
        return true;
    }
    *ret_bytes = (struct slice){0};
    *ret_fd = fd;
    fd = -1;
    return true;
}
