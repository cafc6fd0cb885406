/* SPDX-License-Identifier: Apache-2.0 */
/* What a stranger sends before it is known who it is: the first byte chooses a startup packet,
 * SCRAM messages to either side, a secret, or a query's text. */
#include <stdlib.h>
#include <string.h>

#include "scram.h"
#include "startup.h"
#include "traits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_startup(struct slice text)
{
    static char ignored_name[] = "extra_float_digits";
    static char *const ignored[] = {ignored_name, NULL};
    struct startup startup;
    if (startup_read(text, ignored, &startup) && (!startup.user || !startup.database))
        abort();
    startup_done(&startup);
}

static void try_scram_server(struct slice text)
{
    struct scram scram = {.known = true, .could_plus = true, .plus = text.len & 1};
    AUTO_BUFFER answer = {0};
    scram_mock("somebody", NULL, &scram.keys);
    const char *half = text.len ? memchr(text.ptr, '|', text.len) : NULL;
    struct slice first = {text.ptr, half ? (size_t)(half - text.ptr) : text.len};
    if (scram_server_first(&scram, first, &answer) && half &&
        scram_server_final(&scram, (struct slice){half + 1, text.len - first.len - 1}, &answer))
        abort(); /* nobody knows a mock's password */
    scram_done(&scram);
}

static void try_scram_client(struct slice text)
{
    struct scram scram = {0};
    AUTO_BUFFER message = {0};
    AUTO_TEXT zero_ended = xstrndup(text.ptr, text.len);
    struct scram_keys keys;
    (void)secret_form(zero_ended, &keys);
    scram_client_first(&scram, &message);
    if (scram_client_final(&scram, NULL, text, &message))
        abort(); /* without a password or keys */
    if (scram_client_verify(&scram, text) && text.len == 0)
        abort();
    scram_done(&scram);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[64], parameter[PARAMETER_BYTES];
    AUTO_BUFFER value = {0};
    if (size == 0)
        return 0;
    char *copy = malloc(size); /* of its own length, for the sanitizer */
    memcpy(copy, data, size);
    struct slice text = {copy + 1, size - 1};
    switch (copy[0] & 3) {
    case 0:
        try_startup(text);
        break;
    case 1:
        try_scram_server(text);
        break;
    case 2:
        try_scram_client(text);
        break;
    default:
        (void)traits_of(text, READING_WIDE | READING_ESCAPES);
        (void)traits_deallocated(text, name);
        (void)traits_parameter(text, parameter, &value);
        (void)traits_listen(text, name);
        (void)traits_channels(text);
        (void)traits_executed(text, name, &text);
        free(traits_outline(text, 200));
    }
    free(copy);
    return 0;
}
