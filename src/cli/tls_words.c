/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_words.h"

#include <string.h>
#include <strings.h>

#include "buffer.h"

static const char *const versions[] = {"tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3"};

enum { ALL = 0xf, SECURE = 0xc }; /* bit i: versions[i] */

static unsigned versions_of(const char *word)
{
    static const struct {
        const char *word;
        unsigned versions;
    } known[] = {
        {"all", ALL}, {"legacy", ALL}, {"tlsv1", ALL}, {"secure", SECURE}, {"default", SECURE}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcasecmp(known[i].word, word) == 0)
            return known[i].versions;
    for (size_t i = 0; i < ARRAY_LEN(versions); i++)
        if (strcasecmp(versions[i], word) == 0)
            return 1u << i;
    return 0;
}

char *tls_words_protocols(const char *words)
{
    AUTO_TEXT copy = xstrdup(words);
    AUTO_BUFFER list = {0};
    char *save = NULL;
    unsigned chosen = 0;
    bool any = false;
    for (char *word = strtok_r(copy, ",: \t", &save); word; word = strtok_r(NULL, ",: \t", &save)) {
        bool without = *word == '!';
        unsigned these = versions_of(word + without);
        if (these == 0)
            return NULL;
        if (without && !any)
            chosen = ALL;
        chosen = without ? chosen & ~these : chosen | these;
        any = true;
    }
    for (size_t i = 0; i < ARRAY_LEN(versions); i++)
        if (chosen & 1u << i)
            buffer_printf(&list, "%s%s", buffer_len(&list) > 0 ? "," : "", versions[i]);
    return chosen ? xstrndup(list.data + list.start, buffer_len(&list)) : NULL;
}

const char *tls_words_ciphers(const char *words)
{
    static const struct {
        const char *word, *list;
    } known[] = {{"default", ""},
                 {"secure", ""},
                 {"fast", ""},
                 {"normal", ""},
                 {"compat", "HIGH:!aNULL"},
                 {"legacy", "HIGH:MEDIUM:!aNULL"},
                 {"all", "ALL:!aNULL:!eNULL"}}; /* none that proves or hides nothing */
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcasecmp(known[i].word, words) == 0)
            return known[i].list;
    return words;
}
