/* SPDX-License-Identifier: Apache-2.0 */
/* Outbound requests of instances, over libcurl. An attachment is one instance's channel. What it
 * sends is hostile: copied, checked, and an instance that breaks the protocol is detached and
 * reported. */
#ifndef WEIR_FETCH_H
#define WEIR_FETCH_H

#include "channel.h"
#include "control.h"
#include "egress.h"
#include "loop.h"

struct policy { /* of a deployment */
    struct policy *next;
    uint32_t deployment_id;
    struct egress *egress;
};

int fetch_init(struct loop *loop);
/* Takes the channel's fds over. */
void fetch_attach(const struct control_instance *order, struct policy *policy,
                  int fds[CHANNEL_FDS]);
void fetch_detach(uint32_t instance_id);
/* Once a turn, before sleeping. */
void fetch_flush(void);

#endif
