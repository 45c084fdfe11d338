//! A replication's life behind a pooler: everything works as on a direct connection, and nothing is left in the pool.

use pretty_assertions::assert_eq;

use super::{Pooled, Side, complaints};
use crate::support::{Load, LoginOptions, PoolMode, Pooler, QUEUE, Replication, effort};

/// `plain` is copied in the binary form, `typed` as text.
const SCHEMA: &str = "
    create type mood as enum ('glad', 'sad');
    create domain small as int check (value < 1000000);
    create table plain (id int primary key, data text, at timestamptz, bytes bytea, span interval, f float8);
    create table typed (id small primary key, mood mood, moods mood[], pair point);
    create table late (id int primary key, data text);
    create table parent (id int primary key, data text);
    create table child (id int primary key, parent int references parent, data text);
    create index on plain (data);
    create sequence counter";

const ROWS: &str = "
    insert into plain select i, 'row ' || i, now() + i * interval '1 day', decode(md5(i::text), 'hex'),
                             i * interval '1 hour 1 second', sqrt(i) from generate_series(1, 2000) i;
    insert into typed select i, 'glad', '{glad,sad}', point(i, sqrt(i)) from generate_series(1, 2000) i;
    insert into parent select i, 'p' from generate_series(1, 50) i;
    insert into child select i, i, 'c' from generate_series(1, 50) i";

/// Defaults that a database may have, each of which would change what a statement does, means or returns.
const HOSTILE: &[&str] = &[
    "default_transaction_isolation = 'serializable'",
    "datestyle = 'German, DMY'",
    "intervalstyle = 'sql_standard'",
    "bytea_output = 'escape'",
    "extra_float_digits = 0",
    "standard_conforming_strings = off",
    "search_path = nowhere",
    "timezone = 'Asia/Kathmandu'",
    "row_security = off",
];

/// What a transaction of an application does: it writes, or looks at its settings, which are those of the database.
fn application(client: usize, n: usize) -> String {
    if n.is_multiple_of(2) {
        let settings = HOSTILE.iter().map(|setting| setting.split_once(" = ").unwrap());
        let wrong: Vec<String> = settings
            .map(|(name, value)| {
                let value = if value.starts_with('\'') { value.to_owned() } else { format!("'{value}'") };
                format!("lower(current_setting('{name}')) <> lower({value})")
            })
            .collect();
        return format!(
            "do $$ begin
                 if {} or current_setting('transaction_isolation') <> 'serializable' or current_setting('lock_timeout') <> '0' then
                     raise exception 'the settings of somebody else';
                 end if;
             end $$",
            wrong.join(" or ")
        );
    }
    let id = 10_000 + client * 100_000 + n;
    format!(
        "begin isolation level read committed read write;
         insert into public.plain values ({id}, 'x', clock_timestamp(), 'abc', '3 hours', 0.1);
         update public.plain set data = data || 'y', bytes = bytes || 'z' where id between {n} % 2000 and {n} % 2000 + 3;
         delete from public.plain where id = {id} - 40;
         insert into public.typed values ({id}, 'sad', '{{sad}}', point({n}, 0.1));
         insert into public.child values ({id}, 1 + {n} % 50, 'new');
         select nextval('public.counter');
         commit"
    )
}

/// Gives both databases the defaults above.
fn make_hostile(p: &Pooled) {
    for database in [&p.r.provider, &p.r.subscriber] {
        for setting in HOSTILE {
            database.sql(&format!("alter database {} set {setting}", database.name()));
        }
    }
    for (pooler, _) in p.databases() {
        pooler.restart();
    }
}

fn life(side: Side, mode: PoolMode, options: LoginOptions) {
    if !Pooler::is_installed() {
        return;
    }
    // Two writers that wait for a table that is compared have two. In session mode each session has one.
    let size = if mode == PoolMode::Session { 20 } else { 5 };
    let p = Pooled::new(Replication::new().with_schema(SCHEMA), side, mode, size, options);
    p.r.provider.sql(ROWS);
    p.r.install();
    make_hostile(&p);
    p.r.start();
    let load = match &p.provider {
        Some(pooler) => Load::of((0..2).map(|_| pooler.session(&p.r.provider)).collect(), application),
        None => Load::start(&p.r.provider, 2, application),
    };
    p.r.add("--all");
    p.r.londiste.run("provider add-seq --all");
    p.r.londiste.run("subscriber add-seq --all");
    p.r.wait_until_ok();
    p.r.londiste.run("subscriber resync plain typed");
    p.r.londiste.run("subscriber wait-sync");
    p.r.londiste.run("compare --force plain child");
    p.r.londiste.run("compare --force --checksum typed");
    let writes = load.stop();
    assert!(writes > 20, "{writes}");
    p.r.assert_sequences_in_sync();
    commands(&p);
    p.r.assert_in_sync();
    assert_eq!(complaints(&p.r.ticker), Vec::<String>::new());
    let expected = |line: &String| line.ends_with("Results do not match!");
    assert_eq!(
        complaints(&p.r.londiste).into_iter().filter(|line| !expected(line)).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
    if mode == PoolMode::Transaction {
        p.assert_nothing_kept();
    }
    p.r.londiste.stop();
    p.r.ticker.stop();
    p.assert_nothing_kept();
}

/// The commands that look, change and mend.
fn commands(p: &Pooled) {
    let r = &p.r;
    r.londiste.run("subscriber status");
    r.londiste.run("subscriber tables");
    r.londiste.run("subscriber check");
    r.londiste.run("subscriber missing");
    r.londiste.run("subscriber fkeys");
    r.londiste.run("provider tables");
    r.ticker.run("status");
    r.ticker.run(&format!("config {QUEUE} ticker_max_count=400"));
    // A column of each side, and triggers that know it.
    for database in [&r.provider, &r.subscriber] {
        database.sql("alter table public.late add column more text");
    }
    r.londiste.run("provider refresh late");
    r.provider.sql("insert into public.late values (1, 'a', 'b'), (2, 'c', null); truncate public.parent cascade");
    r.replay_until_in_sync();
    // Rows that differ are found and mended.
    r.subscriber.sql("update public.plain set bytes = 'other' where id < 30; delete from public.typed where id = 7");
    r.londiste.program(["compare", "--checksum", "plain", "typed"]).status(1).run();
    r.londiste.run("repair --apply plain typed");
    r.londiste.run("compare --checksum plain typed late child");
    r.londiste.run("subscriber remove late");
    r.londiste.run("subscriber add late --expect-sync");
    r.londiste.run("subscriber wait-sync");
}

/// One of the ways to stand behind poolers; with `POOLER_EFFORT=all` each of them.
#[test]
fn tables_live_behind_poolers() {
    let ways = [
        (Side::Provider, PoolMode::Transaction, LoginOptions::Refused),
        (Side::Subscriber, PoolMode::Transaction, LoginOptions::Ignored),
        (Side::Both, PoolMode::Transaction, LoginOptions::Ignored),
        (Side::Both, PoolMode::Session, LoginOptions::Refused),
    ];
    let (first, step) = effort::cases("POOLER_EFFORT", ways.len());
    for (side, mode, options) in ways.into_iter().skip(first).step_by(step) {
        life(side, mode, options);
    }
}

/// Nothing is remembered by the sessions of the verification.
#[test]
fn verification_goes_on_behind_poolers() {
    if !Pooler::is_installed() {
        return;
    }
    let mut r = Replication::new().with_table("t", "id int primary key, v text");
    r.provider.sql("insert into t select i, 'x' from generate_series(1, 3000) i");
    r.londiste.configure("verify_interval", "2s");
    let p = Pooled::new(r, Side::Both, PoolMode::Transaction, 4, LoginOptions::Ignored);
    p.r.install();
    p.r.start();
    p.r.add("t");
    p.r.wait_until_ok();
    p.r.subscriber.sql("update t set v = 'y' where id = 2999");
    p.r.londiste.wait_for_log("public.t: 1 rows differ from the provider's: (id) = (2999): changed");
    p.r.subscriber.sql("update t set v = 'x' where id = 2999");
    p.r.londiste.wait_for_log("public.t: no rows differ from the provider's any more");
    p.r.londiste.stop();
    p.r.ticker.stop();
    p.assert_nothing_kept();
}

/// Writers that wait for the lock on the table have all server connections of the pool, so that nothing goes on.
#[test]
fn comparison_gives_up_when_the_pool_is_full_of_writers_that_wait_for_it() {
    if !Pooler::is_installed() {
        return;
    }
    let r = Replication::new().with_table("t", "id int primary key");
    let p = Pooled::new(r, Side::Provider, PoolMode::Transaction, 2, LoginOptions::Ignored);
    p.r.install();
    p.r.start();
    p.r.add("t");
    p.r.wait_until_ok();
    p.r.replay_until_in_sync();
    p.r.londiste.stop();
    let pooler = p.provider.as_ref().unwrap();
    let insert = |client: usize, n: usize| format!("insert into public.t values ({})", client * 1_000_000 + n);
    let load = Load::of((0..2).map(|_| pooler.session(&p.r.provider)).collect(), insert);
    let output = p.r.londiste.program(["compare", "t"]).stdout("").status(1).run();
    let full = "got free in 10 s while public.t was locked: the clients that wait for the lock may have them all\n\
                HINT: Give rlondiste a pool of its own: another user, or a database entry of the pooler for rlondiste alone.\n";
    assert!(output.stderr.contains(full), "{}", output.stderr);
    load.stop();
    p.r.londiste.start();
    p.r.assert_in_sync();
}
