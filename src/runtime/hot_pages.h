/* SPDX-License-Identifier: Apache-2.0 */
/* A page that a forked process writes is copied when it does, with a fault of its own: that was
 * most of a cold start. Instances of one template write much the same pages up to their first
 * answer, so the first of them is watched, and those after it have these pages copied at once, in
 * few system calls, right after the fork.
 *
 * The template sees in its own page map which of its pages the watched child does not share any
 * more; the child reports what it has besides. A child that lies has others of its own worker waste
 * memory, up to a bound. */
#ifndef WEIR_HOT_PAGES_H
#define WEIR_HOT_PAGES_H

#include <stdbool.h>

/* ---- in the template ---- */

/* Before the sandbox. The descriptors that it needs, or -1: without them nothing is learned. */
void hot_pages_open(int proc_fd, int ret_fds[2]);
/* Before a fork; alone: no other child is there. True: this child is to be watched. */
bool hot_pages_begin(bool alone);
/* Readable when the watched child has answered; -1: none is watched. */
int hot_pages_fd(void);
void hot_pages_learn(void);
/* Nobody is watched any more: it has ended, or another one shares our pages, too. */
void hot_pages_give_up(void);
/* The next ones will write other pages: all is to be learned anew. */
void hot_pages_forget(void);

/* ---- in the child ---- */

/* Right after the fork: takes what is known to be written soon, or begins to watch. */
void hot_pages_take(bool watched);
/* It has answered, and is idle; only the first call tells the template. */
void hot_pages_report(void);

#endif
