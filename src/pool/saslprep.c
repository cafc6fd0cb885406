/* SPDX-License-Identifier: Apache-2.0 */
#include "saslprep.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/usprep.h>
#include <unicode/ustring.h>

#include "common.h"

static char *prepare(const UStringPrepProfile *profile, const UChar *text, int32_t len, int32_t cap)
{
    UErrorCode status = U_ZERO_ERROR;
    UChar *prepared = xcalloc((size_t)cap, sizeof(*prepared));
    char *utf8 = xcalloc((size_t)cap * 3 + 1, 1);
    int32_t count =
        usprep_prepare(profile, text, len, prepared, cap, USPREP_DEFAULT, NULL, &status);
    (void)u_strToUTF8(utf8, cap * 3 + 1, NULL, prepared, count, &status);
    free(prepared);
    if (U_FAILURE(status) || !*utf8)
        text_free(&utf8);
    return utf8;
}

char *saslprep(const char *password)
{
    size_t bytes = strlen(password);
    bool ascii = true;
    for (size_t i = 0; i < bytes; i++)
        ascii = ascii && (unsigned char)password[i] < 0x80;
    if (ascii || bytes > 4096)
        return xstrdup(password);
    UErrorCode status = U_ZERO_ERROR;
    int32_t len = 0, cap = (int32_t)bytes * 4 + 16; /* NFKC makes some characters longer */
    UChar *text = xcalloc((size_t)cap, sizeof(*text));
    (void)u_strFromUTF8(text, cap, &len, password, (int32_t)bytes, &status);
    UStringPrepProfile *profile =
        U_SUCCESS(status) ? usprep_openByType(USPREP_RFC4013_SASLPREP, &status) : NULL;
    char *prepared = profile && U_SUCCESS(status) ? prepare(profile, text, len, cap) : NULL;
    if (profile)
        usprep_close(profile);
    free(text);
    return prepared ? prepared : xstrdup(password);
}
