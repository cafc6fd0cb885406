/* SPDX-License-Identifier: Apache-2.0 */
#include "startup.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "pool_plan.h"
#include "wire.h"

enum { NAME_BYTES_MAX = 127, PARAMETERS_MAX = 100 };

void startup_done(struct startup *startup)
{
    text_free(&startup->user);
    text_free(&startup->database);
    text_free(&startup->replication);
    params_release(&startup->params);
    buffer_done(&startup->unknown);
}

static bool problem(struct startup *startup, const char *format, ...) PRINTF_LIKE(2, 3);
static bool problem(struct startup *startup, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(startup->problem, sizeof(startup->problem), format, arguments);
    va_end(arguments);
    return false;
}

/* A parameter's name goes into SQL of ours: nothing but what one can consist of. */
static bool is_parameter_name(struct slice name)
{
    if (name.len == 0 || name.len > NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '.'))
            return false;
    }
    return name.ptr[0] != '.' && name.ptr[name.len - 1] != '.';
}

/* Of the packet itself, and of nothing that stands in its options: there they would come behind
 * what the pool has checked. */
static bool is_of_packet(struct slice name)
{
    static const char *const names[] = {"user", "database", "replication", "options"};
    return slice_is_one_of_nocase(name, names, ARRAY_LEN(names)) ||
           (name.len > 5 && strncasecmp(name.ptr, "_pq_.", 5) == 0);
}

/* As Postgres takes an application's name: what is not ASCII is a question mark. */
static void clean_name(char *name)
{
    for (; *name; name++)
        if (*name < ' ' || *name > '~')
            *name = '?';
}

/* As Postgres spells it in what it reports; drivers compare. */
static bool is_utf8(const char *encoding)
{
    char letters[16] = "";
    for (size_t len = 0; *encoding && len < sizeof(letters) - 1; encoding++)
        if (isalnum((unsigned char)*encoding))
            letters[len++] = *encoding;
    return strcasecmp(letters, "utf8") == 0 || strcasecmp(letters, "unicode") == 0;
}

static bool add_parameter(struct startup *startup, struct slice name, struct slice value,
                          char *const *ignored)
{
    if (is_of_packet(name)) {
        startup->hint = "Give it to the driver itself, not in options.";
        return problem(startup, "\"%.*s\" is no parameter of a session", (int)name.len, name.ptr);
    }
    if (!is_parameter_name(name)) {
        startup->hint = "A name has letters, digits, underscores and dots, 127 at most.";
        return problem(startup, "a startup parameter has an impossible name");
    }
    if (params_count(startup->params) >= PARAMETERS_MAX) {
        startup->hint = "There can be 100; SET the others after the login.";
        return problem(startup, "too many startup parameters");
    }
    AUTO_TEXT text = xstrndup(name.ptr, name.len);
    AUTO_TEXT meant = xstrndup(value.ptr, value.len);
    if (config_lists(ignored, text))
        return true;
    if (strcasecmp(text, "application_name") == 0)
        clean_name(meant);
    bool spelled = strcasecmp(text, "client_encoding") == 0 && is_utf8(meant);
    startup->params = params_with(startup->params, name, slice_of(spelled ? "UTF8" : meant));
    return true;
}

/* The next word of `options`, in which a backslash keeps a blank in; false: there is none. */
static bool take_option(const char **text, struct buffer *word)
{
    const char *p = *text;
    word->start = word->end = 0;
    while (*p == ' ' || *p == '\t' || *p == '\n')
        p++;
    bool any = *p != 0;
    for (; *p && *p != ' ' && *p != '\t' && *p != '\n'; p++) {
        if (*p == '\\' && p[1])
            p++;
        buffer_append(word, p, 1);
    }
    buffer_append(word, "", 1);
    *text = p;
    return any;
}

static bool wrong_options(struct startup *startup, const char *why)
{
    startup->sqlstate = "42601"; /* as Postgres, of a command line */
    startup->hint = "For example: options=-c statement_timeout=5s.";
    return problem(startup, "%s", why);
}

/* "-c name=value" and "--name=value"; a dash in a name stands for an underscore. */
static bool add_options(struct startup *startup, struct slice options, char *const *ignored)
{
    AUTO_TEXT text = xstrndup(options.ptr, options.len);
    AUTO_BUFFER word = {0};
    const char *rest = text;
    while (take_option(&rest, &word)) {
        char *setting = word.data;
        if (strcmp(setting, "-c") == 0 && take_option(&rest, &word))
            setting = word.data;
        else if (strncmp(setting, "--", 2) == 0 || strncmp(setting, "-c", 2) == 0)
            setting += 2;
        else
            return wrong_options(startup, "options can have -c name=value and --name=value only");
        char *equals = strchr(setting, '=');
        if (!equals)
            return wrong_options(startup, "a setting in options has no value");
        for (char *p = setting; p < equals; p++)
            *p = *p == '-' ? '_' : *p;
        if (!add_parameter(startup, (struct slice){setting, (size_t)(equals - setting)},
                           slice_of(equals + 1), ignored))
            return false;
    }
    return true;
}

/* As Postgres reads it: "database", or a truth value, of which the beginning is enough. */
static bool add_replication(struct startup *startup, struct slice value)
{
    static const struct {
        const char *word;
        size_t least;
        bool on;
    } words[] = {{"true", 1, true},   {"yes", 1, true}, {"on", 2, true},   {"1", 1, true},
                 {"false", 1, false}, {"no", 1, false}, {"off", 2, false}, {"0", 1, false}};
    bool logical = slice_equal(value, SLICE("database"));
    text_free(&startup->replication);
    startup->physical = false;
    for (size_t i = 0; i < ARRAY_LEN(words) && !logical; i++) {
        if (value.len < words[i].least || value.len > strlen(words[i].word) ||
            strncasecmp(value.ptr, words[i].word, value.len) != 0)
            continue;
        startup->physical = words[i].on;
        startup->replication = words[i].on ? xstrdup("true") : NULL;
        return true;
    }
    if (!logical) {
        startup->sqlstate = "22023";
        startup->hint = "Leave it out, unless the connection is to replicate.";
        return problem(startup, "replication is neither \"database\" nor on or off");
    }
    startup->replication = xstrdup("database");
    return true;
}

static bool add(struct startup *startup, struct slice name, struct slice value,
                char *const *ignored)
{
    if (slice_equal(name, SLICE("user"))) {
        text_free(&startup->user);
        startup->user = xstrndup(value.ptr, value.len);
    } else if (slice_equal(name, SLICE("database"))) {
        text_free(&startup->database);
        startup->database = xstrndup(value.ptr, value.len);
    } else if (slice_equal(name, SLICE("replication"))) {
        return add_replication(startup, value);
    } else if (slice_equal(name, SLICE("options"))) {
        return add_options(startup, value, ignored);
    } else if (slice_starts_with(name, SLICE("_pq_."))) {
        buffer_append(&startup->unknown, name.ptr, name.len + 1);
        startup->unknown_count++;
    } else {
        return add_parameter(startup, name, value, ignored);
    }
    return true;
}

/* Its options, or all but those. */
static bool read_pairs(struct slice body, bool options, char *const *ignored, struct startup *ret)
{
    struct slice name, value;
    for (;;) {
        if (!wire_take_text(&body, &name))
            return problem(ret, "the startup packet does not end as it should");
        if (name.len == 0)
            break;
        if (!wire_take_text(&body, &value))
            return problem(ret, "the startup packet does not end as it should");
        if (slice_equal(name, SLICE("options")) == options && !add(ret, name, value, ignored))
            return false;
    }
    if (body.len > 0)
        return problem(ret, "something follows the end of the startup packet");
    return true;
}

bool startup_read(struct slice body, char *const *ignored, struct startup *ret)
{
    *ret = (struct startup){.params = params_empty(), .sqlstate = "08P01"};
    /* As in Postgres, what stands in the packet itself holds. */
    if (!read_pairs(body, true, ignored, ret) || !read_pairs(body, false, ignored, ret))
        return false;
    if (!ret->user || !*ret->user) {
        ret->hint = "Name one: in the connection string, or by PGUSER.";
        return problem(ret, "no user is named in the startup packet");
    }
    if (strlen(ret->user) > NAME_BYTES_MAX ||
        (ret->database && strlen(ret->database) > NAME_BYTES_MAX)) {
        ret->hint = "It can have 127 bytes.";
        return problem(ret, "the name of a user or a database is too long");
    }
    if (!ret->database || !*ret->database) {
        text_free(&ret->database);
        ret->database = xstrdup(ret->user);
    }
    return true;
}
