#!/usr/bin/env bash
# Two throwaway PostgreSQL clusters, host1 and host2, and the way to a replicated database between them while a shop keeps
# writing: first by one command, then the same command by command. Each part ends with a comparison of both sides, row by row.
#
#   examples/quickstart.sh           sets up, shows, cleans up
#   examples/quickstart.sh --keep    leaves everything running, to look around
#
# Environment: RLONDISTE = a built program (else cargo builds it), PG_BINDIR = the directory of initdb.
# Exit status: 0 when both sides are equal, 1 when they are not or a command failed.
# run() expands the command that it shows.
# shellcheck disable=SC2016
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
keep=no
work=

# How long the copies, and the last changes, may take.
copy_limit=120
catch_up_limit=60

# --- output -------------------------------------------------------------------------------------------------------

bold='' dim='' plain=''
if [ -t 1 ]; then
    bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi

heading() {
    printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

give_up() {
    local log
    echo "quickstart: $*" >&2
    for log in "${work:-/nonexistent}"/*.{log,stderr}; do
        if [ -s "$log" ]; then
            echo "--- the end of $(basename "$log")" >&2
            tail -n 15 "$log" >&2
        fi
    done
    exit 1
}

# Shows a command as one would type it, and runs it.
run() {
    printf '%s$%s %s\n' "$dim" "$plain" "$1"
    eval "$1" || give_up "this command failed: $1"
}

# --- what is needed -----------------------------------------------------------------------------------------------

find_postgresql() {
    local dir configured
    configured=$(pg_config --bindir 2> /dev/null || true)
    for dir in "${PG_BINDIR:-}" "$configured" $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
        if [ -n "$dir" ] && [ -x "$dir/initdb" ]; then
            echo "$dir"
            return
        fi
    done
    return 1
}

find_program() {
    if [ -n "${RLONDISTE:-}" ]; then
        [ -x "$RLONDISTE" ] || give_up "RLONDISTE=$RLONDISTE is not a program"
        program=$(realpath "$RLONDISTE")
        return
    fi
    command -v cargo > /dev/null || give_up "cargo is missing: install Rust (https://rustup.rs), or set RLONDISTE"
    heading "Building rlondiste (some minutes the first time)"
    run "cargo build --release --locked --manifest-path $repository/Cargo.toml"
    program=${CARGO_TARGET_DIR:-$repository/target}/release/rlondiste
}

# Clusters that only this user (and root) can reach: by sockets in directories of their own, without a TCP port.
create_cluster() {
    local host=$1
    mkdir -m 700 "$work/$host"
    [ "$(id -u)" -ne 0 ] || chown postgres "$work/$host"
    $as_server initdb -D "$work/$host/data" -U postgres -A trust -E UTF8 --locale=C --no-sync > /dev/null
    $as_server tee -a "$work/$host/data/postgresql.conf" > /dev/null << END
listen_addresses = ''
unix_socket_directories = '$work/$host'
port = $PGPORT
fsync = off
END
    if ! $as_server pg_ctl -D "$work/$host/data" -l "$work/$host/server.log" -w start > /dev/null; then
        cat "$work/$host/server.log" >&2
        give_up "the server of $host did not start"
    fi
}

# How to stop everything: a script of its own, so that --keep can leave it to the user.
write_stop_script() {
    cat > "$work/stop" << END
#!/usr/bin/env bash
# Stops what quickstart.sh left running, and removes it.
for pidfile in $work/load.pid $work/db1.pid $work/db1-londiste.pid $work/db1-ticker.pid; do
    pid=\$(cat "\$pidfile" 2> /dev/null) && kill "\$pid" 2> /dev/null && timeout 5 tail --pid="\$pid" -f /dev/null
done
for data in $work/host1/data $work/host2/data; do
    $as_server $bindir/pg_ctl -D "\$data" -m fast -w stop > /dev/null 2>&1
done
rm -rf $work
END
    chmod +x "$work/stop"
}

# Runs on every way out, Ctrl-C included.
leave() {
    local status=$?
    trap '' INT TERM
    [ -n "$work" ] || exit "$status"
    if [ "$keep" = no ]; then
        "$work/stop"
    elif [ "$status" -ne 0 ]; then
        echo "kept: $work ($work/stop stops and removes everything)" >&2
    fi
    exit "$status"
}

prepare() {
    bindir=$(find_postgresql) || {
        "$repository/tests/install-postgresql.sh"
        bindir=$(find_postgresql) || give_up "no initdb after the installation of PostgreSQL; set PG_BINDIR"
    }
    find_program
    as_server=
    if [ "$(id -u)" -eq 0 ]; then
        id postgres > /dev/null 2>&1 || give_up "the servers cannot run as root, and there is no user postgres"
        as_server="runuser -u postgres --"
    fi
    # A short path: the name of a socket has room for 107 bytes.
    work=$(mktemp -d /tmp/rlondiste-quickstart.XXXXXX)
    trap leave EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    chmod 755 "$work"
    write_stop_script
    mkdir "$work/bin"
    ln -s "$program" "$work/bin/rlondiste"
    unset "${!PG@}"
    export PATH=$work/bin:$bindir:$PATH PGPORT=5433 PGUSER=postgres
    cd "$work"
}

# --- the tour -----------------------------------------------------------------------------------------------------

start_clusters() {
    heading "Two clusters, host1 with a shop in database db1, host2 empty"
    host1=$work/host1
    host2=$work/host2
    create_cluster host1
    create_cluster host2
    postgres --version
    echo "host1=$host1 host2=$host2 PGPORT=$PGPORT PGUSER=$PGUSER"
    run 'createdb -h $host1 db1'
    run "psql -h \$host1 -q -f $repository/examples/shop.sql db1"
}

start_load() {
    heading "From now on the shop is open: 2 clients write all the time"
    local command="pgbench -h \$host1 -n -c 2 -R 100 -T 3600 -f $repository/examples/shop-load.sql db1"
    printf '%s$%s %s &\n' "$dim" "$plain" "$command"
    pgbench -h "$host1" -n -c 2 -R 100 -T 3600 -f "$repository/examples/shop-load.sql" db1 > load.out 2>&1 &
    echo $! > load.pid
}

# The clients end in the middle of whatever they do, as clients do that go away.
stop_load() {
    heading "The shop closes"
    local pid
    pid=$(cat load.pid)
    kill -0 "$pid" 2> /dev/null || { cat load.out >&2; give_up "the write load ended before its time"; }
    kill "$pid"
    wait "$pid" 2> /dev/null || true
    rm load.pid
    echo "orders placed meanwhile: $(psql -h "$host1" -XAtc 'select count(*) from orders where id > 10000' db1)"
}

one_command() {
    heading "One command: schema, queue, tables, sequences, copies, and replay as a daemon with a ticker of its own"
    run 'createdb -h $host2 db1'
    run 'rlondiste up --provider "dbname=db1 host=$host1" --subscriber "dbname=db1 host=$host2" --schema --plan'
    run 'timeout $copy_limit rlondiste -q up --provider "dbname=db1 host=$host1" --subscriber "dbname=db1 host=$host2" --schema -d'
    run 'cat db1.ini'
    run 'rlondiste db1.ini subscriber tables'
}

take_it_away() {
    heading "And one command takes it away again; the rows stay"
    run 'rlondiste db1.ini doctor'
    run 'rlondiste -q db1.ini down'
}

write_ini_files() {
    heading "The configuration: two ini files"
    cat > db1-ticker.ini << END
[pgqadm]
job_name = db1-ticker
db = dbname=db1 host=$host1
maint_delay = 600
loop_delay = 0.1
logfile = $work/%(job_name)s.log
pidfile = $work/%(job_name)s.pid
END
    cat > db1-londiste.ini << END
[londiste]
job_name = db1-londiste
provider_db = dbname=db1 host=$host1
subscriber_db = dbname=db1 host=$host2
pgq_queue_name = db1-londiste-queue
logfile = $work/%(job_name)s.log
pidfile = $work/%(job_name)s.pid
log_size = 5242880
log_count = 3
END
    run 'cat db1-ticker.ini'
    echo
    run 'cat db1-londiste.ini'
}

set_up_replication() {
    heading "Command by command, from the beginning: the ticker on the provider"
    run 'dropdb -h $host2 db1'
    run 'rlondiste db1-ticker.ini install'
    run 'rlondiste db1-ticker.ini ticker -d'

    heading "The users and the schema on the subscriber, after making sure that no replay runs"
    run 'rlondiste -s db1-londiste.ini'
    run 'pg_dumpall -r -h $host1 | grep -v "ROLE postgres" | psql -q -h $host2'
    run 'pg_dump -s -C -h $host1 db1 | psql -h $host2 1>db1-restore.stdout 2>db1-restore.stderr'
    [ ! -s db1-restore.stderr ] || { cat db1-restore.stderr >&2; give_up "the schema was not restored cleanly"; }

    heading "Replication: install on both sides, start as a daemon"
    run 'rlondiste db1-londiste.ini provider install'
    run 'rlondiste db1-londiste.ini subscriber install'
    run 'rlondiste db1-londiste.ini replay -d'

    heading "Tables and sequences"
    run 'rlondiste db1-londiste.ini provider add --all'
    run 'rlondiste db1-londiste.ini subscriber add --all'
    run 'rlondiste db1-londiste.ini provider add-seq --all'
    run 'rlondiste db1-londiste.ini subscriber add-seq --all'
}

wait_for_copies() {
    heading "Waiting until every table is copied and in sync"
    run 'rlondiste db1-londiste.ini subscriber tables'
    local loop='while [ $(rlondiste db1-londiste.ini subscriber tables | tail -n+2 | awk '\''{print $2}'\'' | grep -v ok | wc -l) -ne 0 ]; do sleep 1; done'
    printf '%s$%s %s\n' "$dim" "$plain" "$loop"
    timeout --foreground "$copy_limit" bash -c "$loop" || {
        rlondiste db1-londiste.ini subscriber tables
        give_up "not every table was ok after $copy_limit seconds"
    }
    run 'rlondiste db1-londiste.ini subscriber tables'
}

# --- the proof ----------------------------------------------------------------------------------------------------

# Writes the content of every table and the position of every sequence of db1 on a host to files of a directory.
dump_content() {
    local host=$1 dir=$2 table
    rm -rf "$dir"
    mkdir "$dir"
    for table in "${tables[@]}"; do
        psql -h "$host" -XAtq -c "select replace(row(t.*)::text, chr(10), '\n') collate \"C\"
            from $table t order by 1" db1 > "$dir/$table"
    done
    psql -h "$host" -XAtq -c "select format('%I.%I %s', schemaname, sequencename, last_value) from pg_sequences
        where schemaname not in ('pgq', 'londiste') order by 1" db1 > "$dir/sequences"
}

compare_sides() {
    heading "Comparing both sides"
    mapfile -t tables < <(psql -h "$host1" -XAtq -c "select format('%I.%I', schemaname, tablename) from pg_tables
        where schemaname not in ('pgq', 'londiste', 'pg_catalog', 'information_schema') order by 1" db1)
    local deadline=$((SECONDS + catch_up_limit)) table rows total=0
    dump_content "$host1" provider
    dump_content "$host2" subscriber
    # The last changes need a tick and a batch to arrive.
    while ! diff -rq provider subscriber > /dev/null && [ $SECONDS -lt $deadline ]; do
        sleep 1
        dump_content "$host2" subscriber
    done
    for table in "${tables[@]}"; do
        rows=$(wc -l < "provider/$table")
        total=$((total + rows))
        printf '%-25s %7d rows  %s\n' "$table" "$rows" "$(verdict "$table")"
    done
    printf '%-25s %7d       %s\n' sequences "$(wc -l < provider/sequences)" "$(verdict sequences)"
    if ! diff -r provider subscriber > differences; then
        heading "What differs (< provider, > subscriber)"
        head -n 40 differences
        echo "replication does not work: both sides differ"
        return 1
    fi
    [ "$total" -gt 0 ] || give_up "there was nothing to compare"
    result="replication works: ${#tables[@]} tables, $total rows equal on both sides"
}

verdict() {
    if cmp -s "provider/$1" "subscriber/$1"; then echo equal; else echo DIFFERENT; fi
}

ask_the_doctor() {
    heading "What the doctor says of both sides"
    run 'rlondiste db1-londiste.ini doctor'
    run 'rlondiste db1-ticker.ini doctor'
}

say_how_to_go_on() {
    heading "Everything keeps running"
    cat << END
export PATH=$work/bin:\$PATH PGPORT=$PGPORT PGUSER=$PGUSER
cd $work
psql -h $host1 db1                                 # the provider
psql -h $host2 db1                                 # the subscriber
rlondiste db1-londiste.ini subscriber tables       # what is replicated
rlondiste db1-londiste.ini doctor -v               # what was looked at, and found
tail -f db1-londiste.log                           # what replay does
$work/stop                   # stop and remove everything
END
    echo
}

main() {
    case ${1:-} in
        '') ;;
        --keep) keep=yes ;;
        *) give_up "usage: examples/quickstart.sh [--keep]" ;;
    esac
    prepare
    start_clusters
    start_load
    one_command
    stop_load
    compare_sides
    take_it_away
    start_load
    write_ini_files
    set_up_replication
    wait_for_copies
    stop_load
    compare_sides
    ask_the_doctor
    [ "$keep" = no ] || say_how_to_go_on
    echo "$result"
}

main "$@"
