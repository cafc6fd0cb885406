/* SPDX-License-Identifier: Apache-2.0 */
/* The words by which PgBouncer and libpq name TLS protocols and ciphers, as the pool's plan has
 * them. */
#ifndef WEIR_TLS_WORDS_H
#define WEIR_TLS_WORDS_H

/* "secure", "all", "legacy", or a list such as "tlsv1.2,tlsv1.3" or "all:!tlsv1.0": the list, to be
 * freed. NULL: a word is none of them, or nothing is left. */
char *tls_words_protocols(const char *words);

/* A shortcut ("default", "all", "legacy" …) as OpenSSL's cipher list; "": what OpenSSL has by
 * itself. What is no shortcut is a list already. */
const char *tls_words_ciphers(const char *words);

#endif
