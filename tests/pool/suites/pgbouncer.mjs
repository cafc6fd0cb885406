// SPDX-License-Identifier: Apache-2.0
// PgBouncer's own tests (pgbouncer/pgbouncer, test/), which start the program of BOUNCER_EXE with an ini: here that is
// `weir pool --pgbouncer-ini`. Not run: peering (one process here), restart by -R, what needs OpenLDAP or PAM.
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { weirPath } from "../../e2e/lib.mjs";
import { asUser, postgresBin } from "../lib.mjs";
import { pytest } from "./pytest.mjs";

export const bar = 201;
export const settings = "";
// Why they do not pass; "module::test".
const reasons = {
  "it is as on Postgres itself: the session goes on, and hears of its statement": "prepared::test_deallocate_all prepared::test_discard_all prepared::test_describe_non_existent_prepared_statement",
  "Debian's psycopg fails so on Postgres itself, too": "prepared::test_prepared_failed_prepare_pipeline",
  "statements that were prepared before SET max_prepared_statements = 0 go on working": "prepared::test_evict_statement_cache",
  "looks for PgBouncer's words in the log": "prepared::test_prepared_disallow_name_reuse misc::test_auto_database misc::test_equivalent_startup_param auth::test_change_server_password_reconnect auth::test_change_server_password_server_lifetime ssl::test_client_ssl_set_ciphers_for_tls_v1_3 ssl::test_system_error_propagation no_database::test_no_database_pg no_database::test_no_database_auto_database load_balance_hosts::test_load_balance_hosts_disable_bad_first replication::test_replication_pool_size_mixed_clients",
  "the session outlives its transaction, and hears of it as 25P03 or 25P04": "timeouts::test_transaction_timeout_user_overide_global timeouts::test_transaction_timeout_user timeouts::test_transaction_timeout timeouts::test_user_idle_transaction_timeout_override_global timeouts::test_user_idle_transaction_timeout timeouts::test_idle_transaction_timeout",
  "a database that is away is told at once; clients do not wait for it": "timeouts::test_server_login_retry misc::test_scram_server[trust] misc::test_scram_server[scram-sha-256]",
  "the test before it has left its Postgres stopped": "timeouts::test_server_connect_timeout_establish timeouts::test_query_timeout_when_no_active_query",
  "server_fast_close is not carried over": "misc::test_fast_close",
  "the same in other words": "misc::test_options_startup_param auth::test_auth_dbname_global_invalid auth::test_auth_dbname_disabled auth::test_auth_dbname_usage auth::test_auth_query_logs_server_error auth::test_scram_server no_database::test_no_database no_database::test_no_database_auto_database_auth_user no_database::test_no_database_md5_auth_scram_pw_success no_database::test_no_database_scram_auth_scram_pw_success no_database::test_no_database_md5_auth_md5_pw_success replication::test_logical_rep_unprivileged replication::test_physcal_rep_unprivileged",
  "what only prepares a statement does not count as a query": "admin::test_show_stats",
  "whether there is such a user is not told": "auth::test_auth_user no_user::test_no_user_scram no_user::test_no_user_scram_forced_user no_user::test_no_user_auth_user",
  "a reserved name for auth_dbname is refused at its use, and not at start": "auth::test_auth_dbname_usage_global_setting",
  "files of TLS are changed in the configuration, and not by SET": "ssl::test_server_ssl_verify ssl::test_server_ssl_auth ssl::test_client_ssl ssl::test_client_ssl_set_enable_disable ssl::test_client_ssl_set_change_ca",
};
export const known = Object.fromEntries(
  Object.entries(reasons).flatMap(([why, tests]) => tests.split(" ").map((one) => [`test.test_${one}`, why])),
);

const names = ["prepared", "copy", "cancel", "limits", "timeouts", "misc", "auth", "ssl", "no_user", "no_database", "admin", "load_balance_hosts", "replication"];

// PgBouncer writes its log to a file that the ini names, and the tests read that.
const wrapper = `#!/bin/sh
for ini; do :; done
case "$1" in --version|-V) exec ${weirPath} --version;; --help|-h) exec ${weirPath} pool --help;; esac
log=$(sed -n 's/^ *logfile *= *//p' "$ini" | tail -1)
exec ${weirPath} pool --pgbouncer-ini "$ini" >>"\${log:-/dev/null}" 2>&1
`;

export async function run({ dir, only, execute }) {
  const exe = join(dir, "weir-as-pgbouncer");
  writeFileSync(exe, wrapper);
  chmodSync(exe, 0o755);
  // What its tests ask of a build.
  const features = ["tls_support = yes", "ldap_support = no", "pam_support = no", "systemd_support = no", "WITH_CARES = no", "cares_support = no", "evdns_support = no"];
  writeFileSync(join(dir, "config.mak"), `${features.join("\n")}\n`);
  await execute("sh", ["-c", 'chmod -R a+rwX "$1"; mkdir -m 777 "$1/tmp"', "sh", dir]);
  const results = new Map();
  for (const name of names.filter((name) => only.test(name))) {
    const found = await pytest(execute, dir, ["-p", "no:cacheprovider", "--timeout=60", `--basetemp=${join(dir, "tmp", name)}`, `test/test_${name}.py`], {
      PATH: `${postgresBin()}:/usr/bin:/bin:/usr/sbin:/sbin`,
      BOUNCER_EXE: exe,
      HOME: join(dir, "tmp"),
      TMPDIR: join(dir, "tmp"),
    }, 900, asUser.command);
    for (const [test, why] of found) results.set(test, why);
  }
  return results;
}
