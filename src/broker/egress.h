/* SPDX-License-Identifier: Apache-2.0 */
/* Where a worker's fetch may connect to. Decided on the address of the socket that is about to be
 * opened, after names were resolved, so that no name leads inside. By default the public internet
 * alone; the allow list adds to it. Pure: asks no system. */
#ifndef WEIR_EGRESS_H
#define WEIR_EGRESS_H

#include <stdint.h>
#include <sys/socket.h>

#include "common.h"
#include "slice.h"

struct egress;

/* An empty policy: the public internet. */
struct egress *egress_new(void);
void egress_free(struct egress **egress);

/* entry: "ip", "ip/prefix", "ip:port", "[v6]", "[v6]:port", "host" or "host:port"; the host is the
 * URL's, any address that it resolves to is allowed then. -EINVAL: none of these. */
int egress_allow(struct egress *egress, const char *entry) WARN_UNUSED;
/* Refuses an address and port that the program itself listens on, unless the allow list names that
 * port. -EINVAL: not an address. */
int egress_refuse_own(struct egress *egress, const char *address, uint16_t port);

/* Nothing is allowed any more. */
void egress_close(struct egress *egress);
bool egress_is_closed(const struct egress *egress);

enum egress_verdict {
    EGRESS_OK,
    EGRESS_RESERVED, /* loopback, private, link-local, multicast … */
    EGRESS_OWN,      /* one of our own listeners */
};

/* host: of the URL, without brackets. address: AF_INET or AF_INET6, with the port. */
enum egress_verdict egress_check(const struct egress *egress, struct slice host,
                                 const struct sockaddr *address);

/* Is it an address of the public internet? Forms that carry an IPv4 address (mapped, NAT64, 6to4)
 * are as public as that is. */
bool egress_is_public(const struct sockaddr *address);

#endif
