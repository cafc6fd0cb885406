/* SPDX-License-Identifier: Apache-2.0 */
/* TLS over a non-blocking socket, towards clients and towards servers. */
#ifndef WEIR_POOL_TLS_H
#define WEIR_POOL_TLS_H

#include <sys/types.h>
#include <sys/uio.h>

#include "buffer.h"
#include "pool_plan.h"

struct tls_context; /* what connections of one configuration share */
struct tls;         /* a connection's */
struct uring_socket;

enum { TLS_BINDING_BYTES_MAX = 64 };

/* NULL with the reason in err. for_clients: we are the server. */
struct tls_context *tls_context_new(const struct tls_settings *settings, bool for_clients,
                                    struct error *err) WARN_UNUSED;
void tls_context_free(struct tls_context **context);

/* Borrows fd. host: what a server's certificate has to be for (verify-full), NULL for clients. */
struct tls *tls_new(struct tls_context *context, int fd, const char *host);
/* The same, once more, for another connection to a server that `tls` leads to. */
struct tls *tls_again(const struct tls *tls, int fd);
/* 1: done. 0: in progress, come again when the socket is ready. -1: failed, see tls_failure. */
int tls_handshake(struct tls *tls);
const char *tls_failure(const struct tls *tls);
/* Its socket is read and written by io_uring from now on, which it borrows. False: OpenSSL has it,
 * and does that itself. */
bool tls_hasten(struct tls *tls, struct uring_socket *uring) WARN_UNUSED;
/* As stream_read and stream_write. */
ssize_t tls_read(struct tls *tls, void *dst, size_t cap);
ssize_t tls_writev(struct tls *tls, const struct iovec *parts, int count);
/* Says goodbye, if that can be done without waiting. */
void tls_shutdown(struct tls *tls);
void tls_free(struct tls **tls);

/* A client's connection goes on in another process (handover.h): not with TLS 1.2, and not while
 * something of it waits here but `unread`, which has come since it was read last. The description
 * has its secrets. */
bool tls_may_move(const struct tls *tls);
void tls_describe(const struct tls *tls, struct slice unread, struct buffer *out);
/* NULL: that is no description. Takes it from the front of *rest. */
struct tls *tls_resume(int fd, struct slice *rest);

/* Did the peer agree to speak Postgres's protocol (ALPN "postgresql")? */
bool tls_has_alpn(const struct tls *tls);
/* tls-server-end-point (RFC 5929) of the server's certificate into ret[]; its length, 0: none. */
size_t tls_binding(const struct tls *tls, char ret[TLS_BINDING_BYTES_MAX]);
/* The common name of a client's verified certificate, to be freed; NULL: there is none. */
char *tls_peer_name(const struct tls *tls);

#endif
