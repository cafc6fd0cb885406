/* SPDX-License-Identifier: Apache-2.0 */
/* Warns of the lines in _headers and _redirects that the gateway skips (src/gateway/asset_rules.c),
 * for the reasons that wrangler names. */
#ifndef WEIR_SITE_RULES_H
#define WEIR_SITE_RULES_H

#include "report.h"

/* report->file: the file that text was read from. */
void site_rules_check_headers(const char *text, struct config_report *report);
void site_rules_check_redirects(const char *text, struct config_report *report);

#endif
