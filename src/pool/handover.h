/* SPDX-License-Identifier: Apache-2.0 */
/* Online restart: the supervisor starts a second pool process and joins the two by a socket. The
 * old one stops listening and hands its clients over, each when it is between two transactions: its
 * socket with the state of its session. Who can not go along stays until it leaves: TLS 1.2 (its
 * keys are in this process), pinned sessions, listeners, workers. When nobody is left the old
 * process ends. After a further restart while it is there it still has but one neighbour: the
 * process after it hands on what it takes. That one ends, too, when it has nothing left, and gives
 * its neighbours to each other.
 *
 * What an administrator says on a console holds in all of them: each passes it on to its other
 * neighbour, and tells the one from which it came when the transactions in what is paused are over,
 * here and behind it. */
#ifndef WEIR_POOL_HANDOVER_H
#define WEIR_POOL_HANDOVER_H

#include "pool.h"

/* The new process, before its first plan: clients will come from fd, which it takes over. */
void handover_take(int fd);
/* The old process: begins. */
void handover_begin(int fd);
/* Once a turn: whoever may go goes. */
void handover_give(void);
/* Is this the old process? */
bool handover_has_begun(void);
/* Every tick. */
void handover_tick(void);
/* True: this process has handed over everybody, and ends. */
bool handover_is_over(void);
/* A command of a console, which all processes are to obey; word: the database, or what else it
 * takes, NULL: nothing. False: there are no others. */
bool handover_command(const char *name, const char *word);
/* Has another process transactions yet in what is paused? */
bool handover_is_busy(void);
/* … or connections that are to be closed? */
bool handover_is_closing(void);
/* What the others have; an older version does not tell. */
void handover_others(uint32_t *ret_clients, uint32_t *ret_servers);
/* A cancel request for a session that is not here: an older process may know it. False: there is
 * none. */
bool handover_cancel(uint32_t number, uint32_t key);

#endif
