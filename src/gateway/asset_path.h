/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of requests and of files. A pathname is what a URL parser makes of a request's path: dot
 * segments resolved, percent-encoded (URL standard, path state). Decoded, it names a file below the
 * asset directory; encoded again, it is the one spelling under which that file is served.
 * Pure functions over bytes. */
#ifndef WEIR_ASSET_PATH_H
#define WEIR_ASSET_PATH_H

#include "slice.h"

enum { ASSET_PATH_BYTES_MAX = 4096 }; /* with its terminator, in each of the three forms */

/* raw: begins with '/'; ends at the first '?' or '#'. False: not a path, or too long. */
bool asset_path_normalise(struct slice raw, char ret_pathname[ASSET_PATH_BYTES_MAX]);
/* Percent-decodes each segment that decodes to UTF-8, and joins repeated slashes. False: no file
 * can be meant (a NUL, or a dot segment that only decoding reveals). */
bool asset_path_decode(const char *pathname, char ret_path[ASSET_PATH_BYTES_MAX]);
/* Encodes every byte but unreserved marks and slashes. False: too long. */
bool asset_path_encode(const char *path, char ret_pathname[ASSET_PATH_BYTES_MAX]);

#endif
