/* SPDX-License-Identifier: Apache-2.0 */
/* Where a worker's requests may go. The address is checked after name resolution, right before the
 * connection is made, so that a name that points inwards does not help. Pure: no sockets, no
 * globals. */
#ifndef WEIR_EGRESS_H
#define WEIR_EGRESS_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/socket.h>

struct egress;

/* allow: array of "10.0.0.0/8", "127.0.0.1:5432", "[::1]:80", "::1/128", "host:port"; others are
 * ignored. May be NULL. */
struct egress *egress_new(const json_t *allow);
void egress_free(struct egress **egress);

/* May a connection to this address be made? host: the name that was asked for. */
bool egress_allows(const struct egress *egress, const char *host, const struct sockaddr *address);

#endif
