/* SPDX-License-Identifier: Apache-2.0 */
/* A project's own Postgres, in .weir/postgres: for developing, with nothing to set up. It is Debian's
 * server, run as an ordinary user (as root: as the project's owner, else the user postgres), on a unix
 * socket and on loopback, with a generated password. It is started when somebody needs it and
 * stopped by the last one who holds it (private_postgres_hold). */
#ifndef WEIR_PRIVATE_POSTGRES_H
#define WEIR_PRIVATE_POSTGRES_H

#include <stdbool.h>

#include "error.h"

/* Starts it if it does not run, makes it if there is none; says so on stderr. Its URL, malloc'ed;
 * NULL with err. */
char *private_postgres_url(const char *project_dir, struct error *err);
/* The URL by which ordinary tools reach it, on loopback. */
char *private_postgres_tcp_url(const char *project_dir, struct error *err);

/* While somebody holds it, private_postgres_release of others does not stop it. A descriptor, or
 * negative errno. */
int private_postgres_hold(const char *project_dir);
/* Stops it, unless others hold it, when this process ends without a release (SIGKILL, say): a process
 * of its own does, as the user that the server has. Once is enough. */
void private_postgres_guard(const char *project_dir, int hold);
/* Closes the descriptor, and stops the server unless others hold it. */
void private_postgres_release(const char *project_dir, int hold);

bool private_postgres_runs(const char *project_dir);
bool private_postgres_exists(const char *project_dir);
/* 0 also when it does not run; -EBUSY while somebody holds it. */
int private_postgres_stop(const char *project_dir, struct error *err);
/* Stops it and removes all of its data; -EBUSY while somebody holds it. */
int private_postgres_remove(const char *project_dir, struct error *err);
/* A pidfd of its process, readable once that has ended, or negative errno. */
int private_postgres_process(const char *project_dir);
/* The path of one of Postgres's programs, malloc'ed; NULL with err. */
char *private_postgres_program(const char *name, struct error *err);

#endif
