//! Dump and restore with the programs of PostgreSQL.

use std::process::Command;

use super::{Cluster, Database, Scratch, Session};

/// Runs a program that comes with the server, against a database.
#[track_caller]
pub fn client(cluster: &Cluster, program: &str, database: &Database, arguments: &[&str]) {
    client_at(cluster, program, database.conninfo(), arguments);
}

/// As [`client`], for a database by its connection string. Returns what the program wrote to standard error.
#[track_caller]
pub fn client_at(cluster: &Cluster, program: &str, conninfo: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(cluster.binaries().client(program));
    let output = command.arg("-d").arg(conninfo).args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program}: {stderr}");
    stderr
}

/// Copies a database by `pg_dump` and `psql` into another one, which is empty.
#[track_caller]
pub fn dump_and_restore(cluster: &Cluster, from: &Database, to: &Database) {
    let scratch = Scratch::new();
    let file = scratch.path().join("dump.sql");
    let file = file.to_str().unwrap();
    client(cluster, "pg_dump", from, &["-f", file]);
    client(cluster, "psql", to, &["-qXf", file]);
}

/// Lets a cluster use up more transaction ids than a new one has given out.
#[track_caller]
pub fn use_up_transactions(session: &Session) {
    session.sql(
        "create table used (id int);
         do $$ begin
            for i in 1 .. 20000 loop
                begin insert into used values (i); exception when others then null; end;
            end loop;
         end $$;
         drop table used",
    );
}
