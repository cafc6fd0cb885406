/* SPDX-License-Identifier: Apache-2.0 */
/* What the tables of keys cannot tell: whether a text means something. Each returns NULL, or what
 * is wrong and how it should be. */
#ifndef WEIR_CHECKS_H
#define WEIR_CHECKS_H

#include <stdbool.h>

/* An IP address, or "localhost". */
const char *check_address(const char *text);
/* "host/path*" as src/gateway/route.c understands it. */
const char *check_route(const char *text);
/* The form in which equal routes are equal, malloc'ed. */
char *check_route_canonical(const char *text);
/* An entry of egress_allow, as src/broker/egress.c understands it. */
const char *check_egress(const char *text);
/* Lower-case letters, digits, - and _: as wrangler has it. */
const char *check_worker_name(const char *text);
/* 2025-01-31 */
const char *check_date(const char *text);
/* A glob of run_worker_first. */
const char *check_asset_glob(const char *text);

/* A host, or the directory of a unix socket: no abstract one ("@name"). */
const char *check_socket_dir(const char *text);
/* Rights of a file in octal, "0770". */
const char *check_file_mode(const char *text);
/* A group of this machine, by name or number; its number into *ret_id. */
const char *check_group(const char *text, unsigned *ret_id);
/* A SCRAM verifier, by which a password is checked and nobody logs in? */
bool check_is_verifier(const char *secret);
/* Can everybody on this machine read the file? */
bool check_others_read(const char *path);

#endif
