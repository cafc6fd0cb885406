/* SPDX-License-Identifier: Apache-2.0 */
/* The files below an asset directory: which there are, and the small ones' bytes in memory.
 *
 * Files are opened below the directory's descriptor by openat2, so that neither ".." nor a symbolic
 * link leads out of it. What is known of a file is looked up again at most once per
 * revalidate_ms. A listing of the directory's first level answers most questions about paths that
 * are no assets (an API's) without a system call. */
#ifndef WEIR_ASSET_FILES_H
#define WEIR_ASSET_FILES_H

#include <stdint.h>
#include <sys/stat.h>

#include "common.h"
#include "slice.h"

enum {
    ASSET_MEMORY_FILE_BYTES_MAX = 64 * 1024,   /* larger ones are sent by sendfile */
    ASSET_MEMORY_BYTES_MAX = 64 * 1024 * 1024, /* of all directories of this process */
};

enum asset_coding { ASSET_IDENTITY, ASSET_BR, ASSET_GZIP, ASSET_CODINGS };

/* A file or its compressed neighbour. */
struct asset_variant {
    bool present;
    dev_t dev;
    ino_t ino;
    int64_t bytes;
    struct timespec modified, changed;
    char etag[40]; /* strong, with its quotes */
};

struct asset_files;
struct asset_bytes;

struct asset_file {
    struct asset_file *next; /* of its hash bucket */
    struct asset_files *files;
    uint32_t refs, version; /* version: grows with every change of a variant */
    uint64_t checked_ms, hash;
    struct asset_variant variants[ASSET_CODINGS];
    struct asset_bytes *in_memory[ASSET_CODINGS];
    char path[];
};

/* Takes dir_fd over. */
struct asset_files *asset_files_new(int dir_fd, uint32_t revalidate_ms);
/* No file may be held any more. */
void asset_files_free(struct asset_files **files);

/* Can a file of this path, or a page of it (.html, /index.html), be there? False is certain. */
bool asset_files_may_have(struct asset_files *files, const char *path, uint64_t now_ms);
/* Is it a file that is served? Asks the system. */
bool asset_files_exists(struct asset_files *files, const char *path);

/* The file with a reference for the caller; NULL: there is none. */
struct asset_file *asset_file_get(struct asset_files *files, const char *path, uint64_t now_ms);
void asset_file_unref(struct asset_file **file);

/* Looks again if the last look is older than revalidate_ms. False: the file is gone. */
bool asset_file_fresh(struct asset_file *file, uint64_t now_ms);

/* The variant's content: in memory (*ret_bytes; valid until the next call of this module) or as a
 * descriptor that the caller closes (*ret_fd; else -1). False: it changed or went away just now:
 * asset_file_fresh with a forced look (checked_ms = 0) tells which. */
bool asset_file_content(struct asset_file *file, enum asset_coding coding, struct slice *ret_bytes,
                        int *ret_fd) WARN_UNUSED;

#endif
