/* SPDX-License-Identifier: Apache-2.0 */
#include "dotenv.h"

#include <stdlib.h>

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t\r");
}

/* The quote that closes the value which at begins, if only a comment may follow it; NULL: the value
 * is not quoted, whatever it begins with. */
static const char *closing_quote(const char *at)
{
    char quote = *at;
    if (!quote || !strchr("'\"`", quote))
        return NULL;
    for (const char *end = at + 1; *end; end++) {
        if (*end == '\\' && end[1] == quote) {
            end++;
        } else if (*end == quote) {
            const char *rest = skip_blanks(end + 1);
            return *rest == '\n' || *rest == '#' || !*rest ? end : NULL;
        }
    }
    return NULL;
}

/* \n and \r of a value in double quotes. */
static void unescape(char *value)
{
    char *out = value;
    for (char *at = value; *at; at++) {
        bool escaped = *at == '\\' && (at[1] == 'n' || at[1] == 'r');
        *out++ = !escaped ? *at : at[1] == 'n' ? '\n' : '\r';
        at += escaped;
    }
    *out = 0;
}

/* Up to a comment. Quotes around it go even when they are not well-formed, as with dotenv. */
static char *bare_value(const char *at)
{
    size_t len = strcspn(at, "#\r\n");
    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    bool quoted = len >= 2 && strchr("'\"`", *at) && at[len - 1] == *at;
    return xstrndup(at + quoted, len - 2 * quoted);
}

void dotenv_parse(const char *text, json_t *vars, struct config_report *report)
{
    int line = 1;
    for (const char *at = text; *at; line++) {
        const char *start = at;
        at = skip_blanks(at);
        if (strncmp(at, "export ", 7) == 0)
            at = skip_blanks(at + 7);
        size_t name_len =
            strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
        const char *equals = skip_blanks(at + name_len);
        if (*at == '\n' || *at == '#' || !*at) {
            at += strcspn(at, "\n");
        } else if (name_len == 0 || *equals != '=') {
            config_warn(report, line, NULL, "expected NAME=value; the line is ignored");
            at += strcspn(at, "\n");
        } else {
            AUTO_TEXT name = xstrndup(at, name_len);
            const char *value = skip_blanks(equals + 1), *end = closing_quote(value);
            AUTO_TEXT content =
                end ? xstrndup(value + 1, (size_t)(end - value) - 1) : bare_value(value);
            if (end && *value == '"')
                unescape(content);
            (void)json_object_set_new(vars, name, json_string(content));
            explicit_bzero(content, strlen(content));
            at = end ? end + 1 : value;
            at += strcspn(at, "\n");
        }
        for (const char *passed = start; passed < at; passed++)
            line += *passed == '\n'; /* of a value with several */
        at += *at == '\n';
    }
}
