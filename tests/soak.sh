#!/usr/bin/env bash
# Plays operations of a DBA's day and faults of servers, processes and networks at random, under load, and compares both sides.
#
#   tests/soak.sh [MINUTES] [SEED]      2 minutes and a seed by the clock, unless given
#
# The load is two clients that write to seven tables, and the program pgbench with its own tables and script.
# Each seed draws the major versions of both servers (from SOAK_MAJORS, "10 13 15 17 18" unless set; they are fetched), what is
# between them and the daemons (a proxy or a transaction pooler), and whether the provider has a standby (then behind proxies),
# which is promoted with all WAL and without the last. It prints what it does, and at its end what was done how often.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export SOAK_SECONDS=$((${1:-2} * 60))
export SOAK_MAJORS=${SOAK_MAJORS:-10 13 15 17 18}
export SOAK_SEED=${2:-$(date +%s)}
for major in $SOAK_MAJORS; do
    [ -d "/usr/lib/postgresql/$major" ] || tests/fetch-postgresql.sh "$major" > /dev/null
done
cargo test --locked --features failpoints --test it -- --nocapture soak::operations
