#!/usr/bin/env bash
# Installs the programs that the tests run against beside PostgreSQL, where they are missing:
#
#   Debian's or Ubuntu's pgqd, the extension pgq for the distribution's PostgreSQL, and the SQL of Londiste 3 (from apt)
#   Debian's or Ubuntu's pgbouncer, for tests of replication through a connection pool
#   the Python consumers and Londiste 3 (PyPI's pgq, skytools and londiste, in a virtual environment below target/)
#   Debian's or Ubuntu's chromium, which opens the page of http_listen
#   promtool of Debian's or Ubuntu's package prometheus, unpacked below target/: the package would also start a server
#
# What cannot be installed is named, and its tests skip; nothing here fails the run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. tests/apt.sh

venv=target/python-peers
python_packages=(pgq==3.8 skytools==3.10.0 londiste==3.12 psycopg2-binary)

without() {
    echo "tests/install-peers.sh: $1; the tests with $2 will skip" >&2
}

# The packages of daemons make a service of them and start that. Nobody asked for one: the policy forbids starts for the time
# of the installation, and the service is switched off before the next boot.
install_daemon() {
    local name=$1 policy=/usr/sbin/policy-rc.d made=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" > /dev/null
        "${as_root[@]}" chmod 755 "$policy"
        made=yes
    elif "$policy" "$name" start > /dev/null 2>&1; then
        echo "$policy allows services to start" >&2
        return 1
    fi
    local status=0
    install_packages "$name" || status=$?
    [ -z "$made" ] || "${as_root[@]}" rm -f "$policy"
    [ "$status" -ne 0 ] || "${as_root[@]}" update-rc.d "$name" disable
    return "$status"
}

packages() {
    command -v apt-get > /dev/null || { without "there is no apt-get" "pgbouncer, pgqd, the extension pgq and Londiste 3"; return; }
    local major
    major=$(dpkg-query -W -f '${Depends}' postgresql 2> /dev/null | sed -n 's/^postgresql-\([0-9]*\).*/\1/p')
    # In this order: the packages of the extensions depend on pgqd.
    local wanted=(pgbouncer pgqd)
    [ -z "$major" ] || wanted+=("postgresql-$major-pgq3" "postgresql-$major-pgq-node" "postgresql-$major-londiste-sql")
    local missing=() package
    for package in "${wanted[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        can_be_root || { without "installing ${missing[*]} takes root" "${missing[*]}"; return; }
    fi
    for package in "${missing[@]}"; do
        case $package in
            pgbouncer) install_daemon pgbouncer || without "could not install pgbouncer" "pgbouncer" ;;
            pgqd) install_daemon pgqd || { without "could not install pgqd" "${missing[*]}"; return; } ;;
            *) install_packages "$package" || without "could not install $package" "$package" ;;
        esac
    done
    [ -n "$major" ] || without "no PostgreSQL of the distribution is installed" "the extension pgq and Londiste 3"
}

python_consumers() {
    if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import londiste, pgq, psycopg2, skytools' 2> /dev/null; then
        return 0
    fi
    if ! python3 -c 'import ensurepip, venv' 2> /dev/null; then
        { command -v apt-get > /dev/null && can_be_root && install_packages python3-venv; } ||
            { without "could not install python3-venv" "Python consumers and Londiste 3"; return; }
    fi
    echo "installing ${python_packages[*]} in $venv"
    rm -rf "$venv"
    { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check "${python_packages[@]}"; } ||
        { without "could not install ${python_packages[*]}" "Python consumers and Londiste 3"; return; }
}

install_browser() {
    command -v chromium > /dev/null && return 0
    { command -v apt-get > /dev/null && can_be_root && install_packages chromium; } ||
        without "could not install chromium" "a browser"
}

fetch_promtool() {
    local dir=target/promtool
    if command -v promtool > /dev/null || [ -x "$dir/usr/bin/promtool" ]; then
        return 0
    fi
    echo "unpacking promtool in $dir"
    mkdir -p "$dir"
    (cd "$dir" && apt-get -q download prometheus && dpkg-deb -x prometheus_*.deb . && rm -f prometheus_*.deb usr/bin/prometheus) ||
        without "could not fetch the package prometheus" "promtool"
}

packages
python_consumers
install_browser
fetch_promtool
