/* SPDX-License-Identifier: Apache-2.0 */
#include "users_file.h"

#include <errno.h>
#include <string.h>

/* "text" at the front of *line; NULL: there is none. */
static char *take_quoted(const char **line)
{
    const char *p = *line + strspn(*line, " \t");
    AUTO_TEXT text = xcalloc(1, strlen(p) + 1);
    size_t len = 0;
    if (*p++ != '"')
        return NULL;
    for (; *p && (*p != '"' || p[1] == '"'); p++) {
        p += *p == '"';
        text[len++] = *p;
    }
    if (*p != '"')
        return NULL;
    *line = p + 1;
    return TAKE(text);
}

int users_file_next(struct users_file *file, char **ret_name, char **ret_secret)
{
    for (char *line; (line = strsep(&file->left, "\n"));) {
        const char *rest = line + strspn(line, " \t\r");
        file->line++;
        if (*rest == 0 || *rest == ';' || *rest == '#')
            continue;
        AUTO_TEXT name = take_quoted(&rest);
        char *secret = name ? take_quoted(&rest) : NULL;
        if (!secret)
            return -EINVAL;
        *ret_name = TAKE(name);
        *ret_secret = secret;
        return 1;
    }
    return 0;
}
