/* SPDX-License-Identifier: Apache-2.0 */
/* env.ASSETS.fetch(): an instance asks its gateway for a file. All return 0, or -EPROTO when the
 * instance broke the protocol. */
#ifndef WEIR_ASSET_EXCHANGE_H
#define WEIR_ASSET_EXCHANGE_H

#include "gateway.h"

int asset_exchange_start(struct instance *instance, const struct ring_frame *frame,
                         struct slice payload);
int asset_exchange_credit(struct instance *instance, uint32_t slot, uint64_t id, uint32_t bytes);
void asset_exchange_abort(struct instance *instance, uint32_t slot, uint64_t id);
/* The instance's ring has room again. */
void asset_exchange_resume(struct instance *instance);
/* The instance is gone. */
void asset_exchange_drop_all(struct instance *instance);

#endif
