/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.3 records (RFC 8446, section 5) after the handshake, which stays OpenSSL's, and so do the
 * ciphers. OpenSSL keeps 14 KiB a connection, most of it for what a handshake might need; of an
 * idle client nothing is needed but two keys and two counters: half a KiB. */
#ifndef WEIR_POOL_TLS_RECORDS_H
#define WEIR_POOL_TLS_RECORDS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "buffer.h"

struct tls_records;
struct uring_socket;

enum { TLS_SECRET_BYTES_MAX = 48 };

/* The application traffic secrets of both directions; no record was protected by them yet. Borrows
 * fd, a non-blocking socket. NULL: the cipher suite (its number in TLS) is not known here. */
struct tls_records *tls_records_new(int fd, uint16_t suite, const unsigned char *peer_secret,
                                    const unsigned char *own_secret);
/* Its socket is read and written by io_uring from now on. Borrows it. */
void tls_records_hasten(struct tls_records *records, struct uring_socket *uring);
/* As tls_read and tls_writev: what could not be written yet must come again, more may follow it. */
ssize_t tls_records_read(struct tls_records *records, void *dst, size_t cap);
ssize_t tls_records_writev(struct tls_records *records, const struct iovec *parts, int count);
/* close_notify, if it can be written without waiting. */
void tls_records_shutdown(struct tls_records *records);
void tls_records_free(struct tls_records **records);

/* To another process (handover.h), with its secrets; only while nothing of it waits here but
 * `unread`, which has come since it was read last. */
bool tls_records_may_move(const struct tls_records *records);
void tls_records_describe(const struct tls_records *records, struct slice unread,
                          struct buffer *out);
/* NULL: that is no description. Takes it from the front of *rest. */
struct tls_records *tls_records_resume(int fd, struct slice *rest);

#endif
