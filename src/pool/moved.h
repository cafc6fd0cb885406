/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts that are given by name: what the name means is asked every so often while there are
 * connections to it (dns_max_ttl), and those to an address that is not among the answers any more
 * are closed when nobody has them. A failed look-up changes nothing. */
#ifndef WEIR_POOL_MOVED_H
#define WEIR_POOL_MOVED_H

/* About once a second. */
void moved_tick(void);

#endif
