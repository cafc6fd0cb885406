/* SPDX-License-Identifier: Apache-2.0 */
/* certificate_file and key_file of a table: TLS of an HTTP listener. */
#ifndef WEIR_TLS_FILES_H
#define WEIR_TLS_FILES_H

#include "config.h"

/* {certificate, key}, both PEM text; NULL: the table has neither, or a mistake that is told to
 * report. name: of the table, in messages; dir: where relative paths begin. */
json_t *tls_files_read(const struct value *table, const char *name, const char *dir,
                       struct config_report *report);

/* Can a plan's TLS settings (certificate, key and ca as PEM, protocols, ciphers) be used? NULL, or
 * which of them is wrong, with the reason in why. for_clients: the side that is a server. */
const char *tls_files_problem(const json_t *tls, bool for_clients, struct error *why);

#endif
