# SPDX-License-Identifier: Apache-2.0
# Shared by quickstart and check: installs what is missing, builds. Sourced, not run.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
die() { printf 'weir: %s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need_packages NAME… : installs the Debian packages that are not there.
need_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || missing+=("$name")
  done
  [ ${#missing[@]} = 0 ] && return 0
  command -v apt-get >/dev/null || die "needs Debian 12 (apt-get was not found); packages: ${missing[*]}"
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "needs root or sudo to install: ${missing[*]}"
  say "installing ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Node is a build and test tool. One that is on the machine already is used; else Debian's.
need_node() {
  if command -v node >/dev/null && command -v npm >/dev/null; then return 0; fi
  need_packages nodejs npm
}

# Postgres's server program, without the cluster that Debian's package would make and start.
need_postgres() {
  local config=/etc/postgresql-common/createcluster.conf
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && return 0
  if [ ! -e "$config" ]; then
    as_root mkdir -p "${config%/*}"
    echo 'create_main_cluster = false' | as_root tee "$config" >/dev/null
  fi
  need_packages postgresql-15
}

build_packages=(gcc libc6-dev meson ninja-build pkg-config
  libjavascriptcoregtk-4.1-dev libseccomp-dev libjansson-dev libcurl4-openssl-dev libssl-dev libpg-query-dev libicu-dev liburing-dev
  zlib1g-dev libbrotli-dev libzstd-dev libcmocka-dev)

# need_npm DIR : node_modules as its lock file says, only when that changed.
need_npm() {
  local dir=$1 stamp
  stamp="$dir/node_modules/.weir-lock"
  if [ -f "$stamp" ] && cmp -s "$stamp" "$dir/package-lock.json"; then return 0; fi
  say "npm packages of ${dir#"$root"/}"
  # Node may deadlock as it ends (nodejs/node#54918), npm with it: a second time is for that, and for the network.
  (cd "$dir" && for _ in 1 2 3; do
    if timeout 600 npm ci --no-audit --no-fund --loglevel=error; then exit 0; fi
    say "npm ci failed or took more than 10 minutes; again"
  done; exit 1) || die "npm ci failed in ${dir#"$root"/}; see above"
  cp "$dir/package-lock.json" "$stamp"
}

# The second compiler, with the fuzz targets and the hooks of the hostile tests.
build_with_clang() {
  CC=clang build "$root/build-clang" -Dtest_hooks=true -Dfuzz=true -Db_lundef=false
}

# build DIR [meson options]
build() {
  local dir=$1
  shift
  need_npm "$root/system/prisma"
  if [ ! -f "$dir/build.ninja" ]; then meson setup "$dir" "$@" >"$dir.log" 2>&1 || { cat "$dir.log"; die "meson setup failed"; }; fi
  ninja -C "$dir" >"$dir.log" 2>&1 || { tail -50 "$dir.log"; die "the build failed; see above"; }
}
