/* SPDX-License-Identifier: Apache-2.0 */
/* Files in the format of pg_hba.conf and pg_ident.conf, as far as a pool can follow them. */
#ifndef WEIR_HBA_FILE_H
#define WEIR_HBA_FILE_H

#include <jansson.h>

#include "report.h"

/* The rules as the plan has them (docs/plan.md). ident_path: maps, or NULL. Mistakes go to the
 * report, with the file and line that they are in. */
json_t *hba_file_read(const char *path, const char *ident_path, struct config_report *report);

#endif
