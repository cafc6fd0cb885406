/* SPDX-License-Identifier: Apache-2.0 */
#include "secret_environment.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"

static int hidden = -1; /* "name=value" after another, each with its NUL */

/* The value behind "name=" in the hidden file. */
static char *read_hidden(const char *name)
{
    struct stat stat_;
    if (hidden < 0 || fstat(hidden, &stat_) < 0)
        return NULL;
    size_t len = strlen(name), bytes = (size_t)stat_.st_size;
    char *all = xcalloc(1, bytes + 1), *value = NULL;
    ssize_t got = pread(hidden, all, bytes, 0);
    for (const char *at = all; got > 0 && !value && at < all + got; at += strlen(at) + 1)
        if (strncmp(at, name, len) == 0 && at[len] == '=')
            value = xstrdup(at + len + 1);
    explicit_bzero(all, bytes);
    free(all);
    return value;
}

char *secret_environment_read(const char *name)
{
    const char *value = getenv(name);
    return value ? xstrdup(value) : read_hidden(name);
}

static void hide(const char *name, char *value)
{
    size_t name_len = strlen(name), len = strlen(value);
    if (write(hidden, name, name_len) != (ssize_t)name_len || write(hidden, "=", 1) != 1 ||
        write(hidden, value, len + 1) != (ssize_t)len + 1)
        return; /* it stays where it is, so that the next load finds it */
    explicit_bzero(value, len);
    (void)unsetenv(name);
}

void secret_environment_hide(const json_t *names)
{
    size_t index;
    json_t *name;
    json_array_foreach(names, index, name)
    {
        char *value = getenv(json_string_value(name));
        if (value && hidden < 0)
            hidden = memfd_create("weir-environment", MFD_CLOEXEC);
        if (value && hidden >= 0)
            hide(json_string_value(name), value);
    }
}
