/* SPDX-License-Identifier: Apache-2.0 */
/* An instance without an engine, whose worker does what the request's path says: so that the
 * gateway's tests can have answers that a healthy library never gives. Paths: see fake_instance.c.
 */
#ifndef WEIR_FAKE_INSTANCE_H
#define WEIR_FAKE_INSTANCE_H

#include "channel.h"

/* Serves until told to retire. Takes the descriptors over. Returns the exit code. */
int fake_instance_serve(const int fds[CHANNEL_FDS]);

#endif
