#!/usr/bin/env bash
# Installs the Debian package in a clean root of this machine's distribution, uses it against a PostgreSQL server over TCP, upgrades, removes and
# purges it. Builds the package first, unless one is given.
#
#   packaging/test-deb.sh [PACKAGE.deb]
#
# Needs root, mmdebstrap, lintian, iproute2, and PostgreSQL's server programs (PG_BINDIR = the directory of initdb). All processes run in namespaces
# of their own: they end with this script, and their ports are seen by nobody else. The clean root is kept, packed, in target/package.
# Not shown here: services under a running systemd, since a root without init has none; their command lines are run by themselves.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

give_up() {
    echo "packaging/test-deb.sh: $*" >&2
    exit 1
}

passed=0
pass() {
    passed=$((passed + 1))
    echo "ok: $*"
}

# --- outside: the package and the clean root -----------------------------------------------------------------------

if [ "${1:-}" != --inside ]; then
    [ "$(id -u)" -eq 0 ] || give_up "must be run as root"
    for program in mmdebstrap lintian ip unshare; do
        command -v "$program" > /dev/null || give_up "$program is missing: apt-get install mmdebstrap lintian iproute2 util-linux"
    done
    if [ $# -gt 0 ]; then
        package=$(realpath "$1")
    else
        packaging/release.sh deb
        package=$(realpath target/release-artefacts/*.deb)
    fi
    lintian --allow-root --fail-on error "$package" || give_up "lintian finds errors"
    pass "lintian finds no errors in $(basename "$package")"

    # shellcheck source=/dev/null
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    depends=$(dpkg-deb -f "$package" Depends | sed 's/ ([^)]*)//g; s/ *| *[^,]*//g; s/ //g')
    base=$PWD/target/package/root-$suite-$(sha256sum <<< "$depends" | cut -c 1-8).tar
    if [ ! -f "$base" ]; then
        mmdebstrap --variant=minbase --include="$depends,man-db,bash-completion,logrotate" "$suite" "${base%.tar}.part.tar"
        mv "${base%.tar}.part.tar" "$base"
    fi
    work=$(mktemp -d /tmp/rlondiste-deb.XXXXXX)
    trap 'rm -rf "$work"' EXIT
    chmod 755 "$work"
    mkdir "$work/root"
    tar --extract --file "$base" --directory "$work/root"
    cp "$package" "$work/root/tmp/rlondiste.deb"
    unshare --mount --pid --net --ipc --fork --kill-child --mount-proc "${BASH_SOURCE[0]}" --inside "$work"
    exit
fi

# --- inside of the namespaces --------------------------------------------------------------------------------------

work=$2
root=$work/root
ip link set lo up
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"

in_root() {
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root DEBIAN_FRONTEND=noninteractive "$@"
}

# As the units run it.
as_postgres() {
    chroot --userspec=postgres:postgres "$root" /usr/bin/env -i -C /var/lib/rlondiste PATH=/usr/bin:/bin LC_ALL=C.UTF-8 \
        PGPASSFILE=/etc/rlondiste/pgpass "$@"
}

# The files of the root, without those in which dpkg and its friends write down what they have done.
files() {
    (cd "$root" && find . -xdev \( -path ./proc -o -path ./dev -o -path ./tmp -o -path ./var/lib/dpkg -o -path ./var/cache \) -prune -o -print) \
        | grep -v -e '^./var/log/[a-z]*\.log$' -e '^./etc/ld\.so\.cache$' | sort
}

expect() {
    local what=$1 wanted=$2 found=$3
    [ "$found" = "$wanted" ] || give_up "$what: expected \"$wanted\", found \"$found\""
    pass "$what"
}

version=$(in_root dpkg-deb -f /tmp/rlondiste.deb Version)
files > "$work/before"
in_root dpkg --install /tmp/rlondiste.deb

expect "version" "rlondiste ${version%-*} (Skytools 2.1 compatible)" "$(in_root rlondiste --version)"
for name in londiste londiste.py pgqadm pgqadm.py; do
    help=$(in_root "$name" --help)
    grep -q "^Usage: $name " <<< "$help" || give_up "$name --help is not its own: $help"
done
pass "londiste, pgqadm and their .py names lead to the program"
for page in rlondiste londiste pgqadm rlondiste.ini; do
    in_root man -w "$page" > /dev/null || give_up "no manual page $page"
done
pass "manual pages"
# shellcheck disable=SC2016
for name in rlondiste londiste pgqadm; do
    in_root bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader "$1"; complete -p "$1"' - "$name" > /dev/null \
        || give_up "no completion for $name"
done
pass "completions of bash"
for directory in /var/log/rlondiste /var/lib/rlondiste /run/rlondiste; do
    expect "$directory" "postgres:postgres 750" "$(in_root stat -c '%U:%G %a' "$directory")"
done
in_root logrotate --debug /etc/logrotate.d/rlondiste > "$work/logrotate" 2>&1 || give_up "logrotate: $(cat "$work/logrotate")"
pass "logrotate reads its file"
if command -v systemd-analyze > /dev/null; then
    for unit in rlondiste-ticker rlondiste-replay; do
        # systemd before 253 says that it ignores the second Type. The root has neither systemd's own units nor kill.
        wrong=$(systemd-analyze verify --root="$root" --man=no "$root/usr/lib/systemd/system/$unit@.service" 2>&1 \
            | grep "$unit" | grep -v -e notify-reload -e 'sysinit.target not found' -e 'Command /bin/kill' || true)
        expect "systemd reads $unit@.service" "" "$wrong"
    done
else
    echo "skipped: systemd-analyze is not on this machine"
fi

# --- used ------------------------------------------------------------------------------------------------------------

configured=$(pg_config --bindir 2> /dev/null || true)
for bindir in "${PG_BINDIR:-}" "$configured" /usr/lib/postgresql/*/bin ''; do
    [ ! -x "$bindir/initdb" ] || break
done
[ -n "$bindir" ] || give_up "no initdb: set PG_BINDIR"
install -d -m 700 -o postgres "$work/cluster"
echo secret > "$work/password"
chmod 644 "$work/password"
runuser -u postgres -- "$bindir/initdb" -D "$work/cluster" -U postgres -A scram-sha-256 --pwfile="$work/password" --no-sync > "$work/initdb.log"
runuser -u postgres -- "$bindir/pg_ctl" -D "$work/cluster" -l "$work/cluster/server.log" -w -s \
    -o "-p 54321 -c listen_addresses=127.0.0.1 -c unix_socket_directories='$work/cluster' -c fsync=off" start
sql() {
    PGPASSWORD=secret "$bindir/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -p 54321 -U postgres -d "$1" -c "$2"
}
sql postgres "create database shop"
sql postgres "create database reports"
sql shop "create table orders (id int primary key, what text); insert into orders select n, 'order ' || n from generate_series(1, 1000) n"
sql reports "create table orders (id int primary key, what text)"

# The samples that the program prints, with the databases and directories of this machine.
server="host=127.0.0.1 port=54321 user=postgres"
adapted() {
    sed -e "s/^job_name = .*/job_name = $1/" \
        -e "s/^\(db\|provider_db\) = .*/\1 = dbname=shop $server/" -e "s/^subscriber_db = .*/subscriber_db = dbname=reports $server/" \
        -e 's,^pidfile = .*,pidfile = /run/rlondiste/%(job_name)s.pid,' -e 's,^logfile = .*,logfile = /var/log/rlondiste/%(job_name)s.log,'
}
in_root rlondiste --ini pgqadm | adapted ticker > "$root/etc/rlondiste/ticker.ini"
in_root rlondiste --ini londiste | adapted shop > "$root/etc/rlondiste/shop.ini"
echo "127.0.0.1:54321:*:postgres:secret" > "$root/etc/rlondiste/pgpass"
in_root chown postgres: /etc/rlondiste/pgpass
in_root chmod 600 /etc/rlondiste/pgpass

londiste() {
    as_postgres londiste /etc/rlondiste/shop.ini "$@"
}
# A service by the command line of its unit, in the background.
service() {
    local line
    line=$(sed -n "s/^ExecStart=//p" "$root/usr/lib/systemd/system/rlondiste-$1@.service")
    # shellcheck disable=SC2086
    as_postgres ${line//%i/$2} > "$work/$1.out" 2>&1 &
}
# Writes a row, and waits until it is on the subscriber.
write_and_wait() {
    local transaction
    transaction=$(sql shop "insert into orders select max(id) + 1, '$1' from orders returning txid_current()")
    expect "$1" t "$(sql reports "select londiste.wait_visible($transaction, '60 seconds')")"
}
stop() {
    as_postgres rlondiste -s "/etc/rlondiste/$2.ini"
    wait "$1" || give_up "$2 did not end well"
}

as_postgres pgqadm /etc/rlondiste/ticker.ini install
londiste provider install
londiste subscriber install
service ticker ticker
ticker=$!
service replay shop
replay=$!
londiste provider add --all
londiste subscriber add --all
londiste subscriber wait-sync --timeout 60
write_and_wait "a row is replicated by the installed program"
londiste compare --online
expect "both sides are equal" "$(sql shop "select count(*), sum(id) from orders")" "$(sql reports "select count(*), sum(id) from orders")"
expect "replay is healthy" "good: shop: replay runs as process" "$(londiste health | sed 's/ [0-9]*$//')"
expect "the ticker is healthy" "good: ticker: ticker runs as process" "$(as_postgres pgqadm /etc/rlondiste/ticker.ini health | sed 's/ [0-9]*$//')"
[ -s "$root/var/log/rlondiste/shop.log" ] || give_up "no log"
pass "the log is in /var/log/rlondiste"

# --- upgraded --------------------------------------------------------------------------------------------------------

# The next version of the package has another /etc/logrotate.d/rlondiste, and the administrator has changed it too.
echo "# of the administrator" >> "$root/etc/logrotate.d/rlondiste"
dpkg-deb --raw-extract "$root/tmp/rlondiste.deb" "$work/next"
sed -i "s/^Version: .*/Version: $version+1/" "$work/next/DEBIAN/control"
echo "# of the next version" >> "$work/next/etc/logrotate.d/rlondiste"
dpkg-deb --build --root-owner-group "$work/next" "$root/tmp/next.deb" > /dev/null
in_root dpkg --force-confdef --force-confold --install /tmp/next.deb
expect "the upgrade is installed" "$version+1" "$(in_root dpkg-query -s rlondiste | sed -n 's/^Version: //p')"
grep -q "of the administrator" "$root/etc/logrotate.d/rlondiste" || give_up "the upgrade overwrote a changed conffile"
grep -q "of the next version" "$root/etc/logrotate.d/rlondiste.dpkg-dist" || give_up "the new conffile is not beside the changed one"
pass "the upgrade keeps a changed conffile, with the new one beside it"
write_and_wait "replication goes on while the package is upgraded"
stop "$replay" shop
stop "$ticker" ticker
service ticker ticker
ticker=$!
service replay shop
replay=$!
write_and_wait "and after a restart"
stop "$replay" shop
stop "$ticker" ticker
status=0
londiste health || status=$?
expect "what is stopped is not healthy" 2 "$status"

# --- removed and purged ----------------------------------------------------------------------------------------------

in_root dpkg --remove rlondiste
for name in rlondiste londiste londiste.py pgqadm pgqadm.py; do
    if [ -e "$root/usr/bin/$name" ] || [ -L "$root/usr/bin/$name" ]; then
        give_up "/usr/bin/$name is still there"
    fi
done
for file in rlondiste/README logrotate.d/rlondiste; do
    [ -e "$root/etc/$file" ] || give_up "remove took conffile /etc/$file away"
done
pass "remove takes the programs and leaves the conffiles"
# As systemctl enable makes it.
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s /usr/lib/systemd/system/rlondiste-replay@.service "$root/etc/systemd/system/multi-user.target.wants/rlondiste-replay@shop.service"
in_root dpkg --purge rlondiste
expect "purge leaves the administrator's files" "pgpass shop.ini ticker.ini" "$(cd "$root/etc/rlondiste" && echo ./* | sed 's,\./,,g')"
rm -r "$root/etc/rlondiste"
rmdir --ignore-fail-on-non-empty "$root/etc/systemd/system/multi-user.target.wants"
files > "$work/after"
expect "purge leaves nothing else" "" "$(diff "$work/before" "$work/after" || true)"

runuser -u postgres -- "$bindir/pg_ctl" -D "$work/cluster" -m fast -w -s stop
echo
echo "$passed passed, 0 failed"
