#!/usr/bin/env python3
"""What capture costs a writer, in CPU instructions of its backend: figures that repeat within about 1 %, also on a busy machine.

Each system that captures gets a database of its own, with the tables of pgbench, on a throwaway cluster. A copy of the stopped
cluster is then run by a single-user backend below valgrind's callgrind, which writes one dump for each command.

    benches/capture.sh --instructions [--only FIGURES] [--systems SYSTEMS] [--rows N]

RLONDISTE is the program, PG_BINDIR the server's directory. Slony-I and PgQ's triggers in C are measured where they are installed.
"""
import argparse
import concurrent.futures
import functools
import glob
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

# Executions before the measured ones: the server makes a generic plan of a prepared statement at the sixth, and so does PL/pgSQL.
WARM_UP = 8
MEASURED = 9
BULK_WARM_UP = 6
BULK_MEASURED = 3

SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "jit=off", "autovacuum=off", "shared_buffers=128MB")
QUEUE = "q"
TABLES = ("pgbench_accounts", "pgbench_tellers", "pgbench_branches", "pgbench_history")

# pgbench's tables at scale 1. Its history has no key, and Slony-I takes no table without one.
SCHEMA = """
create table pgbench_accounts (aid int primary key, bid int, abalance int, filler char(84));
create table pgbench_tellers (tid int primary key, bid int, tbalance int, filler char(84));
create table pgbench_branches (bid int primary key, bbalance int, filler char(88));
create table pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22), hid bigserial primary key);
insert into pgbench_accounts select g, 1, 0, '' from generate_series(1, 100000) g;
insert into pgbench_tellers select g, 1, 0 from generate_series(1, 10) g;
insert into pgbench_branches values (1, 0);
"""

# initdb analyzes the catalogs; a database whose statistics were lost in an upgrade, say, has nothing.
FORGET_STATISTICS = """
set allow_system_table_mods = on;
delete from pg_statistic;
update pg_class set reltuples = -1, relpages = 0 where relkind in ('r', 'i', 't');
"""

PREPARED = {
    "account": "(int, int) as update pgbench_accounts set abalance = abalance + $2 where aid = $1",
    "balance": "(int) as select abalance from pgbench_accounts where aid = $1",
    "teller": "(int, int) as update pgbench_tellers set tbalance = tbalance + $2 where tid = $1",
    "branch": "(int, int) as update pgbench_branches set bbalance = bbalance + $2 where bid = $1",
    "history": "(int, int, int, int) as insert into pgbench_history (tid, bid, aid, delta, mtime)"
               " values ($1, $2, $3, $4, current_timestamp)",
    "away": "(int) as delete from pgbench_accounts where aid = $1",
    "many_history": "(int, int) as insert into pgbench_history (tid, bid, aid, delta, mtime)"
                    " select 1, 1, g, g, current_timestamp from generate_series($1, $2) g",
    "many_accounts": "(int, int) as update pgbench_accounts set abalance = abalance + 1 where aid between $1 and $2",
    "many_away": "(int, int) as delete from pgbench_accounts where aid between $1 and $2",
}


class Unavailable(Exception):
    """A system that is not installed, or cannot be set up; its text goes into the table."""


def fail(what, result):
    raise SystemExit(f"benches/instructions.py: {what}: {result.stdout}{result.stderr}".rstrip())


class Cluster:
    """A throwaway cluster in a directory of its own, which the server's user owns."""

    def __init__(self, directory):
        self.dir = directory
        self.oids = {}
        self.data = directory / "data"
        self.bin = pathlib.Path(os.environ.get("PG_BINDIR") or
                                subprocess.check_output(["pg_config", "--bindir"], text=True).strip())
        # The server refuses to run as root.
        self.as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.as_user:
            shutil.chown(directory, "postgres")
        self.env = dict(os.environ, PGHOST=str(directory), PGUSER="postgres",
                        PGOPTIONS="-c client_min_messages=warning -c synchronous_commit=off")

    def server(self, program, *args):
        result = subprocess.run([*self.as_user, self.bin / program, *args], capture_output=True, text=True, cwd=self.dir)
        if result.returncode:
            fail(program, result)

    def start(self):
        self.server("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--locale=C", "-E", "UTF8")
        options = " ".join(f"-c {setting}" for setting in SETTINGS)
        subprocess.run([*self.as_user, self.bin / "pg_ctl", "-D", self.data, "-l", self.dir / "log", "-w", "start",
                        "-o", f"-k {self.dir} -c listen_addresses= {options}"],
                       check=True, stdout=subprocess.DEVNULL, cwd=self.dir)

    def stop(self, mode="fast"):
        self.server("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    def psql(self, database, sql):
        result = subprocess.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", database], input=sql, env=self.env,
                                capture_output=True, text=True)
        if result.returncode:
            fail(sql.strip()[:60], result)
        return result.stdout.strip()

    def conninfo(self, database):
        return f"host={self.dir} user=postgres dbname={database}"


def nothing(cluster, database):
    """No triggers. The other systems' figures are what they cost above these."""


def rlondiste(capture, cluster, database):
    program = os.environ.get("RLONDISTE", "target/release/rlondiste")
    if not os.access(program, os.X_OK):
        raise SystemExit(f"benches/instructions.py: there is no {program}: name the program in RLONDISTE")
    ini = cluster.dir / f"{database}.ini"
    ini.write_text(f"[londiste]\njob_name = {database}\nprovider_db = {cluster.conninfo(database)}\n"
                   f"subscriber_db = {cluster.conninfo(database)}\npgq_queue_name = {QUEUE}\n"
                   f"logfile = {cluster.dir}/{database}.log\npidfile = {cluster.dir}/{database}.pid\n")
    way = [f"--capture={capture}"] if capture else []
    for command in (["install"], ["add", *way, *TABLES]):
        result = subprocess.run([program, "-q", ini, "provider", *command], capture_output=True, text=True)
        if result.returncode:
            fail(f"provider {command[0]}", result)
    if not capture:
        # What the ticker's maintenance does once it has seen what is done to the tables.
        cluster.psql(database, "".join(
            f"begin; update pgbench_accounts set abalance = abalance + 1 where aid = {number};\n"
            f"update pgbench_tellers set tbalance = tbalance + 1 where tid = {number % 10 + 1};\n"
            "update pgbench_branches set bbalance = bbalance + 1 where bid = 1; commit;\n" for number in range(1, 121)))
        cluster.psql(database, f"select londiste.provider_adapt('{QUEUE}'); select londiste.provider_maintain('{QUEUE}')")
    cluster.psql(database, f"update pgq.queue set queue_rotation_period = '0' where queue_name = '{QUEUE}'")


def slony(cluster, database):
    if not shutil.which("slonik"):
        raise Unavailable("not installed")
    tables = "".join(f"set add table (set id = 1, origin = 1, id = {number}, fully qualified name = 'public.{table}');\n"
                     for number, table in enumerate(TABLES, 1))
    script = (f"cluster name = bench;\nnode 1 admin conninfo = '{cluster.conninfo(database)}';\n"
              "init cluster (id = 1, comment = 'origin');\ncreate set (id = 1, origin = 1, comment = 'tables');\n" + tables)
    result = subprocess.run(["slonik"], input=script, capture_output=True, text=True, cwd=cluster.dir)
    if result.returncode:
        raise Unavailable("cannot be set up: " + (result.stdout + result.stderr).strip().splitlines()[-1])


def pgq(function, cluster, database):
    library = cluster.psql(database, "select c.setting from pg_config c, pg_available_extensions e"
                                     " where c.name = 'PKGLIBDIR' and e.name = 'pgq'")
    if not library or not os.path.exists(f"{library}/pgq_triggers.so"):
        raise Unavailable("not installed")
    sql = f"create extension pgq; select pgq.create_queue('{QUEUE}');"
    for table in TABLES:
        sql += (f"create trigger capture after insert or update or delete on {table}"
                f" for each row execute procedure pgq.{function}('{QUEUE}');")
    cluster.psql(database, sql)
    cluster.psql(database, "update pgq.queue set queue_rotation_period = '0'")


# What is measured, each in databases of its own. Londiste 3 captures by PgQ's logutriga unless told otherwise; sqltriga makes SQL.
SYSTEMS = {
    "none": nothing,
    "default": functools.partial(rlondiste, None),
    "statement": functools.partial(rlondiste, "statement"),
    "row": functools.partial(rlondiste, "row"),
    "slony": slony,
    "logutriga": functools.partial(pgq, "logutriga"),
    "sqltriga": functools.partial(pgq, "sqltriga"),
}
PGQ_SYSTEMS = ("default", "statement", "row", "logutriga", "sqltriga")


def make_databases(cluster, names, states):
    """The databases of the systems, each in the states in which a connection can find it; the reasons why some are missing."""
    missing = {}
    cluster.psql("postgres", "create database base")
    cluster.psql("base", SCHEMA)
    cluster.psql("base", "".join(f"vacuum analyze {table};\n" for table in TABLES))
    for name in names:
        cluster.psql("postgres", f'create database "{name}" template base')
        try:
            SYSTEMS[name](cluster, name)
        except Unavailable as reason:
            missing[name] = str(reason)
            continue
        for state in states:
            database = f"{name}_{state}"
            cluster.psql("postgres", f'create database {database} template "{name}"')
            cluster.psql(database, "vacuum analyze")
            if state != "analyzed" and name in PGQ_SYSTEMS:
                rotate_twice(cluster, database)
            if state == "unanalyzed":
                cluster.psql(database, FORGET_STATISTICS)
            # The connection leaves the file of catalog entries behind that each later one loads.
            cluster.psql(database, "select count(*) from pg_class")
    cluster.oids = dict(line.split("|") for line in cluster.psql("postgres", "select datname, oid from pg_database").splitlines())
    return missing


def rotate_twice(cluster, database):
    """Makes event table 2 the current one."""
    for _ in range(2):
        cluster.psql(database, f"select txid_current(); select pgq.maint_rotate_tables_step1('{QUEUE}')")
        cluster.psql(database, "select pgq.maint_rotate_tables_step2()")
    current = cluster.psql(database, "select queue_cur_table from pgq.queue")
    if current != "2":
        raise SystemExit(f"benches/instructions.py: event table {current} of {database} is current, not 2")


def total(dump):
    """The instructions of a dump."""
    with open(dump, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith(("totals:", "summary:")):
                return int(line.split()[1])
    raise SystemExit(f"benches/instructions.py: no totals in {dump}")


def copy(cluster, database, target):
    """A copy of the stopped cluster, without the files of databases that the backend does not read."""
    wanted = [path for path in cluster.data.iterdir() if path.name != "base"]
    subprocess.run([*cluster.as_user, "mkdir", "-m", "700", target, target / "base"], check=True)
    subprocess.run([*cluster.as_user, "cp", "-a", *wanted, target], check=True)
    subprocess.run([*cluster.as_user, "cp", "-a", cluster.data / "base" / cluster.oids[database], target / "base"], check=True)


def run(cluster, database, commands):
    """The instructions of each command, from its reading to the next prompt, in a backend of its own on a copy of the cluster."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=cluster.dir))
    try:
        if cluster.as_user:
            shutil.chown(place, "postgres")
        copy(cluster, database, place / "data")
        settings = [word for setting in SETTINGS for word in ("-c", setting)]
        result = subprocess.run(
            [*cluster.as_user, "valgrind", "--tool=callgrind", f"--callgrind-out-file={place}/dump", "--dump-line=no",
             "--dump-before=ReadyForQuery", cluster.bin / "postgres", "--single", "-D", place / "data", *settings, database],
            input="".join(command + "\n" for command in commands), capture_output=True, text=True, errors="replace",
            cwd=cluster.dir)
        errors = [line for line in (result.stdout + result.stderr).splitlines() if "ERROR:" in line or "FATAL:" in line]
        dumps = len(glob.glob(f"{place}/dump.*"))
        # The first dump is the backend's start, and one more is written at its end.
        if result.returncode or errors or dumps < len(commands) + 1:
            raise SystemExit(f"benches/instructions.py: {database}: {dumps} dumps for {len(commands)} commands: "
                             + (errors[0] if errors else result.stderr[-500:]))
        return [total(f"{place}/dump.{number}") for number in range(2, len(commands) + 2)]
    finally:
        shutil.rmtree(place, ignore_errors=True)


def prepare(*names):
    return [f"prepare {name} {PREPARED[name]}" for name in names]


def median_of(cluster, database, names, unit, warm_up, measured):
    """The median of the instructions of one execution of a unit, a function from a number to commands."""
    commands = prepare(*names)
    first = len(commands)
    for number in range(warm_up + measured):
        commands += unit(number)
    counts = run(cluster, database, commands)[first:]
    size = len(counts) // (warm_up + measured)
    sums = [sum(counts[at:at + size]) for at in range(0, len(counts), size)]
    return statistics.median(sums[warm_up:])


def one(name, execute):
    """A figure of one prepared statement a transaction; the number that execute gets is another one each time."""
    return lambda cluster, system, rows: {
        name: median_of(cluster, f"{system}_analyzed", [execute(1).split("(")[0]],
                        lambda number: ["execute " + execute(number + 1)], WARM_UP, MEASURED)}


def tpcb(cluster, system, rows):
    def transaction(number):
        account, teller, delta = number * 997 + 1, number % 10 + 1, number + 1
        return ["begin", f"execute account({account}, {delta})", f"execute balance({account})",
                f"execute teller({teller}, {delta})", f"execute branch(1, {delta})",
                f"execute history({teller}, 1, {account}, {delta})", "commit"]
    names = ("account", "balance", "teller", "branch", "history")
    return {"TPC-B": median_of(cluster, f"{system}_analyzed", names, transaction, WARM_UP, MEASURED)}


def first(state, cluster, system, rows):
    """The first captured statement of a connection, and that of each further table."""
    commands = prepare("account", "teller", "branch") + ["execute account(1, 1)", "execute teller(1, 1)", "execute branch(1, 1)"]
    counts = run(cluster, f"{system}_{state}", commands)[3:]
    words = {"analyzed": "", "table2": ", table 2", "unanalyzed": ", table 2, no statistics"}[state]
    return {f"first statement{words}": counts[0], f"each further table{words}": sum(counts[1:]) / 2}


def bulk(name, statement):
    """A figure of one statement for many rows, for each row."""
    def measure(cluster, system, rows):
        def unit(number):
            few = number < BULK_WARM_UP
            # The warm-up has fewer rows; each execution has rows that no other has touched.
            start = 1 + number * 20 if few else 1 + BULK_WARM_UP * 20 + (number - BULK_WARM_UP) * rows
            return [f"execute {statement}({start}, {start + (20 if few else rows) - 1})"]
        return {name: median_of(cluster, f"{system}_analyzed", [statement], unit, BULK_WARM_UP, BULK_MEASURED) / rows}
    return measure


# Each figure: the measurement, the unit in instructions, and the state of the database.
FIGURES = {
    "insert": (one("INSERT", lambda number: f"history(1, 1, {number}, {number})"), 1000, "analyzed"),
    "update": (one("UPDATE", lambda number: f"account({number * 997}, {number})"), 1000, "analyzed"),
    "delete": (one("DELETE", lambda number: f"away({number * 997})"), 1000, "analyzed"),
    "tpcb": (tpcb, 1000, "analyzed"),
    "first": (functools.partial(first, "analyzed"), 1000000, "analyzed"),
    "first-table2": (functools.partial(first, "table2"), 1000000, "table2"),
    "first-unanalyzed": (functools.partial(first, "unanalyzed"), 1000000, "unanalyzed"),
    "bulk-insert": (bulk("INSERT of many, a row", "many_history"), 1000, "analyzed"),
    "bulk-update": (bulk("UPDATE of many, a row", "many_accounts"), 1000, "analyzed"),
    "bulk-delete": (bulk("DELETE of many, a row", "many_away"), 1000, "analyzed"),
}


def measure(cluster, figures, systems, rows):
    """Of each line of each figure its unit, its words, and the instructions of each system; yields one when it is measured.

    Each run has a backend of its own, so as many run at once as there are cores.
    """
    with concurrent.futures.ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        runs = {figure: {system: pool.submit(FIGURES[figure][0], cluster, system, rows) for system in systems}
                for figure in figures}
        try:
            for figure, of_system in runs.items():
                counts = {system: result.result() for system, result in of_system.items()}
                for line in counts["none"]:
                    yield FIGURES[figure][1], line, {system: lines[line] for system, lines in counts.items()}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def print_table(lines, systems, missing):
    """In thousands (K) or millions (M), above none but for none itself; the ratios of rlondiste's default to the peers."""
    peers = [peer for peer in ("slony", "logutriga", "sqltriga") if peer in systems] if "default" in systems else []
    print(f"{'instructions, above none':<46}" + "".join(f"{name:>10}" for name in [*systems, *missing])
          + "".join(f"{'/' + peer:>11}" for peer in peers))
    for unit, line, counts in lines:
        above = {system: count - counts["none"] for system, count in counts.items() if system != "none"}
        print(f"{line} ({'M' if unit == 1000000 else 'K'})".ljust(46) + f"{counts['none'] / unit:>10.1f}"
              + "".join(f"{count / unit:>10.1f}" for count in above.values()) + "".join(f"{'-':>10}" for _ in missing)
              + "".join(f"{above['default'] / above[peer]:>11.2f}" for peer in peers), flush=True)
    for name, reason in missing.items():
        print(f"{name}: {reason}")


def words_of(known):
    def parse(text):
        words = text.split(",")
        unknown = [word for word in words if word not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(known)}")
        return words
    return parse


def main():
    parser = argparse.ArgumentParser(prog="benches/capture.sh --instructions", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=words_of(FIGURES), default=list(FIGURES), help=", ".join(FIGURES))
    parser.add_argument("--systems", type=words_of(SYSTEMS), default=list(SYSTEMS), help=", ".join(SYSTEMS))
    parser.add_argument("--rows", type=int, default=1000, help="rows of a statement for many")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        raise SystemExit("benches/instructions.py: valgrind is not installed")
    systems = [name for name in SYSTEMS if name == "none" or name in options.systems]
    with tempfile.TemporaryDirectory(prefix="instructions-") as directory:
        os.chmod(directory, 0o755)
        cluster = Cluster(pathlib.Path(directory))
        cluster.start()
        try:
            missing = make_databases(cluster, systems, {FIGURES[name][2] for name in options.only})
        except BaseException:
            cluster.stop("immediate")
            raise
        cluster.stop()
        systems = [name for name in systems if name not in missing]
        print_table(measure(cluster, options.only, systems, options.rows), systems, missing)


if __name__ == "__main__":
    sys.exit(main())
