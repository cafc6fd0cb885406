/* SPDX-License-Identifier: Apache-2.0 */
/* Workers as clients: sockets that instances open in their channel to the pool (http_frames.h). An
 * instance is hostile: each frame is copied out, then checked. */
#ifndef WEIR_POOL_WORKER_H
#define WEIR_POOL_WORKER_H

#include "channel.h"
#include "control.h"
#include "pool.h"

/* An instance of a worker with databases; takes the fds over. */
void worker_attach(const struct control_instance *order, int fds[CHANNEL_FDS]);
/* It is gone, and so are its clients: their transactions are rolled back. */
void worker_detach(uint32_t instance_id);
/* Is there an instance that could ask for something? */
bool worker_any(void);
/* What the client, which came through a channel, may use. */
const struct binding_config *worker_binding(const struct client *client);
/* Of the worker that the client is; 0: it is none. */
uint32_t worker_deployment(const struct client *client);
/* Once a turn, before sleeping: reads what bells announced; then, last of all, sends what clients
 * were told. */
void worker_read_all(void);
void worker_flush_all(void);

#endif
