#!/usr/bin/env bash
# Installs the PostgreSQL of a Debian or Ubuntu distribution: server programs, psql, pg_dump, pgbench.
#
# Only the programs: the package would also make a cluster "main" and start it on port 5432. That is switched off for
# the time of the installation, so that nothing runs afterwards that nobody asked for.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"

give_up() {
    echo "PostgreSQL's server programs (initdb, postgres) are missing, and $1" >&2
    echo "Install them (on Debian or Ubuntu: apt-get install postgresql) or set PG_BINDIR to their directory." >&2
    exit 1
}

command -v apt-get > /dev/null || give_up "this system has no apt-get to install them with."
can_be_root || give_up "installing them takes root: there is no sudo, or it refused."

apt_get_or_give_up() {
    apt_get "$@" || give_up "apt-get ${*: -1} failed (its messages are above)."
}

echo "installing PostgreSQL from the distribution"
apt_get_or_give_up update
apt_get_or_give_up install --no-install-recommends postgresql-common

conf=/etc/postgresql-common/createcluster.conf
saved=$(mktemp)
cp "$conf" "$saved"
restore() {
    "${as_root[@]}" cp "$saved" "$conf"
    rm -f "$saved"
}
trap restore EXIT
echo "create_main_cluster = false" | "${as_root[@]}" tee -a "$conf" > /dev/null

apt_get_or_give_up install --no-install-recommends postgresql
