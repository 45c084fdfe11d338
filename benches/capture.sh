#!/bin/bash
# What capture costs a writer: microseconds a row of INSERT, UPDATE and DELETE, of one statement and of a statement for each
# row, without triggers and for each way of capture and format, on a throwaway server.
#     benches/capture.sh [rows]                     RLONDISTE: the program, PG_BINDIR: the server's
#     benches/capture.sh --instructions [--help]    in instructions, beside Slony-I and PgQ: benches/instructions.py
set -eu
if [ "${1:-}" = --instructions ]; then
    shift
    exec "$(dirname "$0")/instructions.py" "$@"
fi
rows=${1:-50000}
rlondiste=${RLONDISTE:-target/release/rlondiste}
bin=${PG_BINDIR:-$(pg_config --bindir)}
dir=$(mktemp -d)
as=()
if [ "$(id -u)" = 0 ]; then
    as=(runuser -u postgres --)
    chown postgres "$dir"
fi
trap '"${as[@]}" "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null; rm -rf "$dir"' EXIT
"${as[@]}" "$bin/initdb" -D "$dir/data" -U postgres -A trust --locale=C -E UTF8 >/dev/null
"${as[@]}" "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w start \
    -o "-k $dir -c listen_addresses= -c shared_buffers=256MB -c max_wal_size=4GB" >/dev/null
export PGHOST=$dir PGUSER=postgres PGDATABASE=postgres PGOPTIONS='-c synchronous_commit=off -c client_min_messages=warning'
cat >"$dir/x.ini" <<INI
[londiste]
job_name = x
provider_db = host=$dir user=postgres dbname=postgres
subscriber_db = host=$dir user=postgres dbname=postgres
pgq_queue_name = q
logfile = $dir/x.log
pidfile = $dir/x.pid
INI
"$rlondiste" -q "$dir/x.ini" provider install
psql -qAt <<'SQL'
create function fill(i_rows int, i_each boolean) returns void as $$
declare
    c_row constant text := 'select g, ''row '' || g, case when g % 7 <> 0 then md5(g::text) || '' it''''s \ back'' end,
        timestamptz ''2020-01-01'' + g * interval ''1 s'', g::numeric / 7, g, jsonb_build_object(''k'', g),
        decode(md5(g::text), ''hex'') from generate_series($1, $2) g';
begin
    for i in 1 .. case when i_each then i_rows else 1 end loop
        execute 'insert into t ' || c_row using i, case when i_each then i else i_rows end;
    end loop;
end $$ language plpgsql;
create function change(i_rows int) returns void as $$
begin
    for i in 1 .. i_rows loop update t set n = n + 1, b = b || 'x' where id = i; end loop;
end $$ language plpgsql;
create function empty(i_rows int) returns void as $$
begin
    for i in 1 .. i_rows loop delete from t where id = i; end loop;
end $$ language plpgsql;
SQL

# Prints the microseconds a row of three statements.
measure() {
    psql -At -c '\timing on' -c "$2" -c "$3" -c "$4" | awk -v rows="$1" '/^Time/ {printf "%9.1f", $2 * 1000 / rows}'
}

printf '%-18s%27s%27s\n%-18s' '' 'one statement' 'a statement for each row' 'us/row'
printf '%9s%9s%9s' INSERT UPDATE DELETE INSERT UPDATE DELETE
for how in 'none' 'statement sql' 'statement urlenc' 'statement json' 'row sql' 'row urlenc' 'row json'; do
    psql -qAt -c 'drop table if exists t' -c 'create table t (id int primary key, a text not null, b text,
        at timestamptz not null, amount numeric, n int not null, doc jsonb, raw bytea)'
    if [ "$how" != none ]; then
        psql -qAt -c "select londiste.provider_remove_table('q', table_name) from londiste.provider_table" \
            -c "select londiste.provider_add_table_as('q', 'public.t', '${how% *}', '${how#* }', null)" >/dev/null
    fi
    printf '\n%-18s' "$how"
    # shellcheck disable=SC2016
    measure "$rows" "select fill($rows, false)" 'update t set n = n + 1, b = b || $$x$$' 'delete from t'
    psql -qAt -c 'vacuum t' -c checkpoint
    few=$((rows / 10))
    measure "$few" "select fill($few, true)" "select change($few)" "select empty($few)"
done
echo
