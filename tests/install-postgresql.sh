#!/usr/bin/env bash
# Installs the PostgreSQL of a Debian or Ubuntu distribution: server programs, psql, pg_dump, pgbench.
#
# Only the programs: the package would also make a cluster "main" and start it on port 5432. That is switched off for
# the time of the installation, so that nothing runs afterwards that nobody asked for.
set -euo pipefail

give_up() {
    echo "PostgreSQL's server programs (initdb, postgres) are missing, and $1" >&2
    echo "Install them (on Debian or Ubuntu: apt-get install postgresql) or set PG_BINDIR to their directory." >&2
    exit 1
}

command -v apt-get > /dev/null || give_up "this system has no apt-get to install them with."
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo > /dev/null || give_up "installing them takes root: there is no sudo."
    as_root=(sudo)
    # Without a terminal a password cannot be asked for.
    [ -t 0 ] || as_root=(sudo -n)
    "${as_root[@]}" true || give_up "installing them takes root: sudo refused."
fi
as_root+=(env DEBIAN_FRONTEND=noninteractive)

apt_get() {
    "${as_root[@]}" apt-get -q -y "$@" < /dev/null || give_up "apt-get ${*: -1} failed (its messages are above)."
}

echo "installing PostgreSQL from the distribution"
apt_get update
apt_get install --no-install-recommends postgresql-common

conf=/etc/postgresql-common/createcluster.conf
saved=$(mktemp)
cp "$conf" "$saved"
restore() {
    "${as_root[@]}" cp "$saved" "$conf"
    rm -f "$saved"
}
trap restore EXIT
echo "create_main_cluster = false" | "${as_root[@]}" tee -a "$conf" > /dev/null

apt_get install --no-install-recommends postgresql
