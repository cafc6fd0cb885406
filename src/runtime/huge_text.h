/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's code on huge pages. A new process finds no page of a file in its page table, and
 * takes a fault for every few; a cold start runs through a tenth of 24 MB of code. What a process
 * has copied to huge pages of its own, its children have mapped from the start, by a dozen entries.
 */
#ifndef WEIR_HUGE_TEXT_H
#define WEIR_HUGE_TEXT_H

/* Copies what is only read, code and constants, of the loaded library whose file name has `name` in
 * it; as many bytes of memory, once for this process and all that it forks. Before any other thread
 * is there. Where the kernel has no huge pages to give, all stays as it is. */
void huge_text_map(const char *name);

#endif
