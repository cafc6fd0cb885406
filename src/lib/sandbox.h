/* SPDX-License-Identifier: Apache-2.0 */
/* Sandbox primitives, one a mechanism. The nursery enters the namespaces and the empty root once;
 * templates and instances inherit them, so a fork pays nothing. */
#ifndef WEIR_SANDBOX_H
#define WEIR_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

/* When root: becomes nobody (65534), so that no sandboxed process is root outside. */
int sandbox_drop_user(struct error *err) WARN_UNUSED;

/* Enters new user, mount, network, IPC and UTS namespaces (and a new pid namespace for the
 * children, if asked), keeping the uid. The process has every capability inside until
 * sandbox_drop_capabilities. The error says what the machine must allow. */
int sandbox_unshare(bool pid_namespace, struct error *err) WARN_UNUSED;

/* Makes an empty, read-only directory the root. Open descriptors stay usable. */
int sandbox_empty_root(struct error *err) WARN_UNUSED;
int sandbox_drop_capabilities(struct error *err) WARN_UNUSED;

/* seccomp profiles, compiled once into BPF and installed where they belong. Everything not listed
 * answers EPERM, or ends the process where the list says so. */
enum sandbox_profile {
    SANDBOX_NURSERY,  /* + new pid namespaces for templates */
    SANDBOX_TEMPLATE, /* + fork without new namespaces, its control socket */
    SANDBOX_INSTANCE, /* compute, memory, its bells: no open, no socket, no fork, no exec */
    SANDBOX_TRANSFORM,
    SANDBOX_GATEWAY, /* accept, not connect; openat2 below its asset directories */
    SANDBOX_BROKER,  /* connect, read-only files */
    SANDBOX_POOL,    /* connect and accept; files only for resolving names */
    SANDBOX_PROFILES,
};

struct sandbox_filter; /* compiled BPF; never freed: lives as long as the process */
const struct sandbox_filter *sandbox_compile(enum sandbox_profile profile);
/* no-new-privs, then the filter. Asserts that it took. */
void sandbox_install(const struct sandbox_filter *filter);

/* Closes every descriptor from `from` on except those in keep[0..count) (ascending or not). */
void sandbox_close_fds(int from, const int *keep, int count);

#endif
