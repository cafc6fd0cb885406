/* SPDX-License-Identifier: Apache-2.0 */
/* NAME=value files (.dev.vars, .env), as the dotenv package reads them: quotes ' " ` around values,
 * which may then have several lines; \n and \r in double quotes; comments; "export ". */
#ifndef WEIR_DOTENV_H
#define WEIR_DOTENV_H

#include <jansson.h>

#include "report.h"

/* Sets what text has in vars, over what is there. The values are secrets: no message shows one. */
void dotenv_parse(const char *text, json_t *vars, struct config_report *report);

#endif
