/* SPDX-License-Identifier: Apache-2.0 */
#include "bindings_crypto.h"

void crypto_keys_define(JSContextRef ctx, JSObjectRef crypto)
{
}
