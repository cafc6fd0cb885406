/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's socket: an exchange that libcurl has connected (its resolver, the egress policy, all of
 * a host's addresses) and that goes on here as bytes, with TLS or without. */
#ifndef WEIR_BROKER_SOCKET_H
#define WEIR_BROKER_SOCKET_H

#include "broker.h"

/* Takes over a connection of libcurl's (a copy of its descriptor). The exchange's head follows, or its
 * error. */
void socket_take(struct exchange *exchange, int fd);
/* TLS is wanted, after what is to be sent in the clear. What has come in the clear and has not gone on
 * to the instance would pass for what came through TLS: the connection fails then. */
void socket_start_tls(struct exchange *exchange);
/* There are bytes to send, room for what is to be read, an end, or TLS is wanted now. */
void socket_run(struct exchange *exchange);
/* The instance has let go of it. True: there is more to send first, and it frees the exchange then;
 * false: it is closed. */
bool socket_linger(struct exchange *exchange);

#endif
