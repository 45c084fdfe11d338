//! Random statements on the provider, applied in several ways, give equal tables each time.

use rlondiste::config::Apply;
use rlondiste::londiste::apply::Settings;

use super::{Replay, SETTINGS};
use crate::support::statements::Dice;
use crate::support::{
    Cluster, Database, QUEUE, Replication, Session, assert_same_rows, kinds, replay_until_in_sync, wait_until_ok,
};
use crate::support::{effort, hostile};

const SCHEMA: &str = r#"
    create type mood as enum ('sad', 'ok', 'happy');
    create type pair as (a int, b text);
    create domain code as text check (value ~ '^[a-z]+$');
    create table parent (id int primary key, code code unique, note text);
    create table child (
        id int primary key,
        parent_id int references parent on delete cascade on update cascade,
        other_id int references parent on delete set null,
        n int);
    create table tree (id int primary key, up int references tree on delete cascade, label text);
    create table ring_a (id int primary key, b_id int);
    create table ring_b (id int primary key, a_id int references ring_a);
    alter table ring_a add foreign key (b_id) references ring_b on delete set null;
    create table wide (
        a numeric, "Key Two" text, m mood, p pair, j jsonb, b bytea, ts timestamptz, arr text[], v varchar(5), c char(4),
        f float8, bits bit(3), twice int generated always as (length("Key Two") * 2) stored, "select" bool,
        primary key ("Key Two", a));
    create table zoned (at timestamptz, n int, data text, primary key (at, n));
    create table floats (x float8 primary key, y int);
    create table serials (id int generated always as identity primary key, v text unique);
"#;

const TABLES: [&str; 13] = [
    "parent", "child", "tree", "ring_a", "ring_b", "wide", "zoned", "floats", "serials", "parts", "kinds", "twins",
    "tones",
];

/// The tables of both sides for a major version.
fn schema(major: u32) -> String {
    let schema = if major >= 12 { SCHEMA.to_owned() } else { SCHEMA.replace(GENERATED, "default null") };
    // Before PostgreSQL 11 no partitioned table has a primary key.
    let (by_list, partitions) = if major >= 11 { (" partition by list (region)", PARTITIONS) } else { ("", "") };
    let parts =
        format!("create table parts (id int, region text, v int, primary key (id, region)){by_list}; {partitions}");
    [&schema, &parts, &kinds::schema(major)].map(String::as_str).join(" ")
}

const GENERATED: &str = r#"generated always as (length("Key Two") * 2) stored"#;

const PARTITIONS: &str =
    "create table parts_a partition of parts for values in ('a'); create table parts_b partition of parts default;";

/// Which statements change keys.
const MOVES: [u64; 5] = [3, 24, 25, 31, 35];

/// A statement that may fail, because of what is in the tables.
fn statement(dice: &mut Dice, major: u32, moves: bool) -> String {
    if dice.below(5) == 0 {
        return kinds::statement(dice, major, moves);
    }
    let mut n = |limit| dice.below(limit);
    let (id, other, small) = (n(12), n(12), n(4));
    let kind = n(37);
    if MOVES.contains(&kind) && !moves {
        return String::new();
    }
    match kind {
        0 | 1 => {
            format!("insert into parent values ({id}, chr(97 + {other}), 'it''s \\ {small}') on conflict do nothing")
        }
        2 => format!("update parent set note = note || E'\\t\\n' where id > {id}"),
        3 => format!("update parent set id = id + 20 where id = {id}"),
        4 => format!("update parent set code = chr(97 + {other}) where id = {id}"),
        5 => format!("delete from parent where id = {id}"),
        6 => {
            format!("delete from parent where id = {id}; insert into parent values ({id}, chr(97 + {other}), 'again')")
        }
        7 | 8 => format!(
            "insert into child select {id}, id, nullif({small}, 0), 1 from parent where id = {other} on conflict do nothing"
        ),
        9 => format!(
            "insert into child select g, p.id, null, g from generate_series(20, 20 + {id}) g, parent p where p.id = {other} on conflict do nothing"
        ),
        10 => format!("update child set parent_id = {other}, n = n + 1 where id <= {id}"),
        11 => format!("update child set n = -n where id >= {id}"),
        12 => format!("update child set other_id = {other} where id = {id}; delete from parent where id = {small}"),
        13 => format!("delete from child where id = {id} or id > 30 - {other}"),
        14 | 15 => {
            format!("insert into tree values ({id}, null, 'l'), ({other} + 15, {id}, 'm') on conflict do nothing")
        }
        16 => format!("update tree set up = {other}, label = label || 'x' where id = {id} and {id} > {other}"),
        17 => format!("delete from tree where id = {id}"),
        18 => format!(
            "insert into ring_a values ({id}, null) on conflict do nothing; insert into ring_b values ({other}, {id}) on conflict do nothing"
        ),
        19 => format!("update ring_a set b_id = {other} where id = {id}"),
        20 => format!("delete from ring_b where id = {id}; delete from ring_a where id = {other}"),
        21 | 22 => wide(id, other, small),
        23 => {
            format!("update wide set j = jsonb_build_object('n', null, 'x', {small}), \"select\" = null where a > {id}")
        }
        24 => format!("update wide set a = a + 1.50, m = 'sad' where a = {id}"),
        25 => format!("update wide set \"Key Two\" = \"Key Two\" || 'é' where a = {id}"),
        26 => "delete from wide where a > 8".to_owned(),
        27 => format!(
            "set timezone = 'Asia/Kolkata'; insert into zoned values ('2020-01-01 00:00+00'::timestamptz + '{id} h', {small}, 'x') on conflict do nothing"
        ),
        28 => format!(
            "set timezone = 'America/New_York'; update zoned set data = data || 'y' where at < '2020-01-01 {id}:00+00'"
        ),
        29 => format!("delete from zoned where n = {small}"),
        30 => format!("insert into floats values ({id} / 3.0::float8, {other}), (-0.0, 1) on conflict do nothing"),
        31 => format!("update floats set y = y + 1, x = x * 2 where y > {other}; delete from floats where y > 14"),
        32 => format!(
            "insert into serials (v) select 'v' || g from generate_series({id}, {id} + {other}) g on conflict do nothing"
        ),
        33 => format!(
            "update serials set v = 'v' || ((id + {small}) % 15) where id % 3 = 0; delete from serials where id % 7 = {small}"
        ),
        34 => format!(
            "insert into parts values ({id}, substr('abc', 1 + {small}, 1), 1) on conflict (id, region) do update set v = parts.v + 1"
        ),
        35 => format!("update parts set region = 'b' where id = {id}; delete from parts where id = {other}"),
        _ => truncate(dice),
    }
}

fn wide(id: u64, other: u64, small: u64) -> String {
    format!(
        r#"insert into wide values ({id}.{small}0, 'k{other}', 'happy', row({id}, 'a,"b'), '{{"a": null, "q": "\"\\"}}', '\x00ff5c',
           now(), array['x', null, 'null', ''], 'v{small}', 'c', 'NaN', b'101', default, true), ({other}, '', null, row(null, null),
           'null', '', 'infinity', '{{}}', '', '', 1e-300, null, default, false) on conflict do nothing"#
    )
}

fn truncate(dice: &mut Dice) -> String {
    match dice.below(5) {
        0 => "truncate tree; insert into tree values (1, null, 'new')".to_owned(),
        1 => "truncate parent, child".to_owned(),
        2 => "truncate zoned".to_owned(),
        _ => String::new(),
    }
}

/// A setting for a transaction of the provider. The names of the statements have to be found, and their texts to be sent.
fn setting(dice: &mut Dice) -> String {
    let mut settings = hostile::quick();
    settings.retain(|(name, _)| !["search_path", "client_encoding"].contains(name));
    let (name, value) = settings[usize::try_from(dice.below(settings.len() as u64)).unwrap()];
    format!("set {name} = {value}")
}

/// Runs random transactions on the provider.
fn run(provider: &Database, dice: &mut Dice, count: usize, moves: bool) {
    let session = provider.session();
    for _ in 0..count {
        // Some servers lack some of them.
        let _ = session.try_rows(&setting(dice));
        let mut parts: Vec<String> = (0..=dice.below(4)).map(|_| statement(dice, provider.major(), moves)).collect();
        let end = if dice.below(10) == 0 { "rollback" } else { "commit" };
        parts.push(format!("begin;{};{end}", parts.join(";")));
        for part in parts {
            if session.try_rows(&part).is_err() {
                let _ = session.try_rows("rollback");
            }
        }
        session.sql("reset all");
    }
}

/// Subscribers, each with its own way of applying.
struct Ways {
    settings: Vec<Settings>,
    replays: Vec<Replay>,
    copies: Vec<Database>,
    sessions: Vec<Session>,
    count: u64,
    by_row: u64,
}

impl Ways {
    /// One that applies row by row, and others with chunks from one event up.
    fn new(provider: &Database, dice: &mut Dice) -> Ways {
        let settings = |apply, memory, small_chunk| Settings { apply, memory, small_chunk, ..SETTINGS };
        let any = 8 * (100 + dice.below(5000));
        let settings = vec![
            settings(Apply::Row, 1 << 20, 0),
            settings(Apply::Set, 8, 0),
            settings(Apply::Set, 8 * 400, 0),
            settings(Apply::Set, any, 4),
            settings(Apply::Set, 64 << 20, 16),
        ];
        let copies: Vec<Database> = settings.iter().map(|_| Cluster::subscriber().database()).collect();
        for copy in &copies {
            copy.sql(&schema(copy.major()));
        }
        let source = hostile::superuser(Cluster::provider(), provider);
        let names = TABLES.map(|table| format!("public.{table}")).join(" ");
        let replay = |(way, copy): (&Settings, &Database)| {
            Replay::between([&source, &hostile::superuser(Cluster::subscriber(), copy)], *way, &names)
        };
        let replays = settings.iter().zip(&copies).map(replay).collect();
        let sessions = copies.iter().map(Database::session).collect();
        Ways { settings, replays, copies, sessions, count: 0, by_row: 0 }
    }

    /// Applies the events in each way, as one batch. All subscribers are equal afterwards.
    fn apply(&mut self, from: i64, to: i64, place: &str) {
        let sql = format!("select * from pgq.event_1 where ev_id > {from} and ev_id <= {to}");
        for (i, replay) in self.replays.iter_mut().enumerate() {
            let way = self.settings[i];
            let applied = replay
                .apply(&sql)
                .unwrap_or_else(|error| panic!("{place} {way:?} events {from}..{to}: {}", rlondiste::Report(&error)));
            if i > 0 {
                self.count += applied.count;
                self.by_row += applied.row_by_row;
            }
        }
        let expected = fingerprint(&self.sessions[0]);
        for (i, session) in self.sessions.iter().enumerate().skip(1) {
            if fingerprint(session) != expected {
                println!("{place} {:?} events {from}..{to}: not as row by row", self.settings[i]);
                assert_same_rows(&self.copies[0], &self.copies[i], &TABLES);
            }
        }
    }
}

/// All rows of all tables, each in one text.
fn fingerprint(session: &Session) -> Vec<String> {
    let table =
        |table: &&str| format!("(select md5(string_agg(t::text, '|' order by t::text collate \"C\")) from {table} t)");
    let tables: Vec<String> = TABLES.iter().map(table).collect();
    session.sql("set extra_float_digits = 1; set timezone = 'UTC'");
    session.rows(&format!("select {}", tables.join(", "))).swap_remove(0)
}

/// Applies what the provider does to a subscriber for each way of applying: batches are cut at random, in transactions
/// too; at the end of a transaction, both sides are equal.
fn check(format: &str, seed: u64, rounds: usize) {
    println!("{SEED}={seed}");
    let r = Replication::new().with_schema(&schema(Cluster::provider().binaries().major()));
    r.install();
    for (nr, table) in (0..).zip(TABLES) {
        let formats = if format == "mixed" { ["sql", "urlenc", "json"] } else { [format; 3] };
        let format = formats[table.len() % 3];
        // All tables by statement, all by row, or every other one.
        let capture = if seed.is_multiple_of(3) || seed % 3 == 2 && nr % 2 == 0 { "statement" } else { "row" };
        r.provider.sql(&format!(
            "select londiste.provider_add_table_as('{QUEUE}', 'public.{table}', '{capture}', '{format}', null)"
        ));
    }
    let mut dice = Dice::new(seed);
    let mut ways = Ways::new(&r.provider, &mut dice);
    let provider = r.provider.session();
    let mut from: i64 = 0;
    for round in 0..rounds {
        let place = format!("seed {seed} round {round}");
        // urlenc and json have no form for a changed key.
        let count = usize::try_from(1 + dice.below(12)).unwrap();
        run(&r.provider, &mut dice, count, format == "sql");
        let to: i64 = provider.value("select coalesce(max(ev_id), 0) from pgq.event_1").parse().unwrap();
        let between = |dice: &mut Dice| from + i64::try_from(dice.below((to - from + 1).cast_unsigned())).unwrap();
        let mut cuts: Vec<i64> = (0..dice.below(3)).map(|_| between(&mut dice)).collect();
        cuts.push(to);
        cuts.sort_unstable();
        for cut in cuts {
            ways.apply(from, cut, &place);
            from = cut;
        }
        if fingerprint(&provider) != fingerprint(&ways.sessions[0]) {
            println!("{place}");
            assert_same_rows(&r.provider, &ways.copies[0], &TABLES);
        }
    }
    assert!(from > 10 * i64::try_from(rounds).unwrap(), "only {from} events");
    let (by_row, count) = (ways.by_row, ways.count);
    println!("{from} events, {by_row} of {count} were applied one by one where sets were allowed");
    assert!(by_row < count * 9 / 10, "{by_row} of {count} events were applied one by one");
}

/// A seed to repeat a failure with.
const SEED: &str = "TORTURE_SEED";

/// The fixed seeds; or the one that the environment names; and new ones for the time that it gives.
pub(super) fn seeds(fixed: &[u64], check: impl FnMut(u64)) {
    effort::seeds("TORTURE", fixed.iter().copied(), check);
}

#[test]
fn every_way_of_applying_gives_equal_tables() {
    seeds(&[2], |seed| check("sql", seed, 40));
}

#[test]
fn other_formats_give_equal_tables() {
    seeds(&[6], |seed| check("mixed", seed, 30));
}

/// The same through the programs: ticker, queue, and two subscribers side by side.
#[test]
fn subscribers_that_apply_sets_and_rows_stay_equal() {
    seeds(&[3], |seed| {
        println!("{SEED}={seed}");
        let mut r = Replication::new().with_schema(&schema(Cluster::provider().binaries().major()));
        r.londiste.configure("apply_memory", "4kB");
        let (other, copy) = r.second_subscriber("by-row");
        let other = other.set("apply", "row");
        copy.sql(&schema(copy.major()));
        r.install();
        other.run("subscriber install");
        r.start();
        other.start();
        r.add("--all");
        other.run("subscriber add --all");
        r.wait_until_ok();
        wait_until_ok(&copy);
        let mut dice = Dice::new(seed);
        for round in 0..12 {
            let count = usize::try_from(1 + dice.below(25)).unwrap();
            run(&r.provider, &mut dice, count, true);
            replay_until_in_sync(&r.provider, other.name());
            r.replay_until_in_sync();
            println!("seed {seed} round {round}");
            assert_same_rows(&r.provider, &r.subscriber, &TABLES);
            assert_same_rows(&r.provider, &copy, &TABLES);
        }
    });
}
