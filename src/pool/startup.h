/* SPDX-License-Identifier: Apache-2.0 */
/* The startup packet of a client, read. It comes from anybody. */
#ifndef WEIR_POOL_STARTUP_H
#define WEIR_POOL_STARTUP_H

#include "buffer.h"
#include "params.h"

struct startup {
    char *user, *database; /* owned; database: the user's name if none is given */
    char *replication;     /* as the client says it, owned; NULL: an ordinary session */
    bool physical;         /* … of the whole server, and not of a database */
    struct params *params; /* all others, those of `options` too */
    struct buffer unknown; /* names of protocol options (_pq_.…), each with its NUL */
    uint32_t unknown_count;
    const char *sqlstate, *hint; /* of: */
    char problem[160];           /* what is wrong with it, when startup_read says so */
};

/* body: after length and code. ignored: names to leave out (NULL at the end). */
bool startup_read(struct slice body, char *const *ignored, struct startup *ret);
void startup_done(struct startup *startup);

#endif
