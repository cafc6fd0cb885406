// SPDX-License-Identifier: Apache-2.0
// PgBouncer's own tests (pgbouncer/pgbouncer, test/), which start the program of BOUNCER_EXE with an ini: here that is
// `weir pool --pgbouncer-ini`. Not run: peering (one process here), restart by -R, what needs OpenLDAP or PAM.
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { weirPath } from "../../e2e/lib.mjs";
import { asUser, postgresBin } from "../lib.mjs";
import { pytest } from "./pytest.mjs";

export const bar = 0;
export const settings = "";
export const known = {};

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
