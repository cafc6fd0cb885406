/* SPDX-License-Identifier: Apache-2.0 */
#include "pgbouncer_notes.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common.h"

#define LOG        "the log goes to standard error; let systemd or the shell keep it"
#define KEEPALIVE  "idle connections are asked after 60 seconds, then every 10; see tcp_user_timeout"
#define RESOLVED   "names are resolved by the system's resolver, for each connection and after dns_max_ttl"
#define BUFFERS    "the pool chooses the sizes of its buffers itself"
#define STATISTICS "the log has no statistics: ask SHOW STATS, or Prometheus by metrics_listen"
#define NAMELESS   "the pool has no such name"

/* quiet: values that need no note, with | between; numbers are compared as numbers. */
static const struct {
    const char *name, *quiet, *instead;
} settings[] = {
    {"logfile", "", LOG},
    {"syslog", "0", LOG},
    {"syslog_facility", "daemon", LOG},
    {"syslog_ident", "pgbouncer", LOG},
    {"pidfile", "", "weir stays in the foreground; systemd or the shell knows its process"},
    {"user", "", "started as root, the pool itself becomes a user without rights"},
    {"verbose", "0", "log_connections, log_disconnections and slow_query say what is logged"},
    {"log_stats", "0|1", STATISTICS},
    {"stats_period", "60", "averages of SHOW STATS are of the last minute"},
    {"max_packet_size", "2147483647", "messages pass in parts, however long; the text of a statement may have 16 MiB"},
    {"pkt_buf", "4096", BUFFERS},
    {"sbuf_loopcnt", "5", BUFFERS},
    {"tcp_socket_buffer", "0", "the kernel chooses the sizes of sockets' buffers"},
    {"tcp_defer_accept", "0|1|45", "a connection is taken at once; client_login_timeout limits it"},
    {"tcp_keepalive", "1", KEEPALIVE},
    {"tcp_keepidle", "0", KEEPALIVE},
    {"tcp_keepintvl", "0", KEEPALIVE},
    {"tcp_keepcnt", "0", KEEPALIVE},
    {"listen_backlog", "128", "it is 4096, or what net.core.somaxconn allows"},
    {"so_reuseport", "0", "one process serves the port; SIGUSR2 replaces it under its clients"},
    {"server_login_retry", "15",
     "a database that is away is tried by one connection at a time, after 0.1 seconds at first and "
     "every 5 in the end"},
    {"server_fast_close", "0", "a session keeps its connection until it ends, or until KILL"},
    {"dns_nxdomain_ttl", "15", RESOLVED},
    {"dns_zone_check_period", "0", RESOLVED},
    {"resolv_conf", "", RESOLVED},
    {"track_extra_parameters", "|IntervalStyle",
     "every parameter that the server reports goes along with its session"},
    {"application_name_add_host", "0", "SHOW CLIENTS has the addresses of clients"},
    {"disable_pqexec", "0", "several statements in one simple query are let through"},
    {"scram_iterations", "4096", "verifiers are made by Postgres, or stand in the list of users"},
    {"suspend_timeout", "10", "there is no SUSPEND; SIGUSR2 hands the clients over"},
    {"autodb_idle_timeout", "3600", "pool_idle_timeout is for every pool"},
    {"client_tls_dheparams", "auto", "OpenSSL chooses them"},
    {"client_tls_ecdhcurve", "auto", "OpenSSL chooses it"},
    {"client_tls13_ciphers", "", "with TLS 1.3 they are OpenSSL's; all of them are sound"},
    {"server_tls13_ciphers", "", "with TLS 1.3 they are OpenSSL's; all of them are sound"},
    {"auth_ldap_options", "", "there is no LDAP"},
    {"peer_id", "0", "a cancel request is answered by the process that it is for"},
    {"conffile", "", "the next reload reads the same file"},
    {"job_name", "pgbouncer", NAMELESS},
    {"service_name", "pgbouncer", NAMELESS},
};

static bool is_same(const char *value, const char *quiet)
{
    char *end, *quiet_end;
    double number = strtod(value, &end), other = strtod(quiet, &quiet_end);
    if (*value && !*end && *quiet && !*quiet_end)
        return number == other;
    return strcasecmp(value, quiet) == 0;
}

static bool is_quiet(const char *value, const char *quiet)
{
    AUTO_TEXT copy = xstrdup(quiet);
    char *rest = copy;
    for (char *one; (one = strsep(&rest, "|"));)
        if (is_same(value, one))
            return true;
    return false;
}

const char *pgbouncer_notes_text(const char *setting, const char *value)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (strcmp(settings[i].name, setting) == 0)
            return is_quiet(value, settings[i].quiet) ? NULL : settings[i].instead;
    return NULL;
}

const char *pgbouncer_notes_name(size_t i)
{
    return i < ARRAY_LEN(settings) ? settings[i].name : NULL;
}
