/* SPDX-License-Identifier: Apache-2.0 */
/* A pathname, then the text of _headers, _redirects and .assetsignore, split by zero bytes. */
#include <stdint.h>
#include <stdlib.h>

#include "asset_ignore.h"
#include "asset_path.h"
#include "asset_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth)
        abort();
}

/* What is decoded names no directory above; encoding it again is stable. */
static void check_path(const char *pathname)
{
    char path[ASSET_PATH_BYTES_MAX], encoded[ASSET_PATH_BYTES_MAX], again[ASSET_PATH_BYTES_MAX];
    require(pathname[0] == '/' && !strstr(pathname, "/../") && strlen(pathname) < sizeof(path));
    if (!asset_path_decode(pathname, path))
        return;
    require(path[0] == '/' && !strstr(path, "//") && !strstr(path, "/../"));
    if (!asset_path_encode(path, encoded))
        return;
    require(asset_path_normalise(slice_of(encoded), again) && strcmp(encoded, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_TEXT text = xstrndup("", 0);
    text = xrealloc(text, size + 4);
    if (size > 0)
        memcpy(text, data, size);
    memset(text + size, 0, 4);
    const char *raw = text, *headers = raw + strlen(raw) + 1;
    const char *redirects = headers < text + size ? headers + strlen(headers) + 1 : text + size;
    const char *ignored = redirects < text + size ? redirects + strlen(redirects) + 1 : text + size;
    char pathname[ASSET_PATH_BYTES_MAX];
    if (!asset_path_normalise(slice_of(raw), pathname))
        return 0;
    check_path(pathname);
    struct asset_rules *rules = asset_rules_new(headers, redirects, true);
    AUTO_BUFFER target = {0};
    AUTO_BUFFER block = {0};
    int status = asset_rules_redirect(rules, pathname, &target);
    require(status == 0 || (status >= 200 && status <= 308 && buffer_len(&target) > 0));
    require(!memchr(target.data ? target.data : "", '\n', buffer_len(&target)));
    buffer_append_text(&block, "etag: \"x\"\ncontent-type: text/html\n");
    asset_rules_headers(rules, SLICE("example.com"), pathname, &block);
    require(buffer_len(&block) == 0 || block.data[block.end - 1] == '\n');
    asset_rules_free(&rules);
    struct asset_ignore *ignore = asset_ignore_new(slice_of(ignored));
    require(asset_ignore_matches(ignore, "/_headers"));
    (void)asset_ignore_matches(ignore, pathname);
    asset_ignore_free(&ignore);
    return 0;
}
