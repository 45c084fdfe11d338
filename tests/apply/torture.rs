//! Random statements on the provider, applied in several ways, give equal tables each time.

use rlondiste::config::Apply;
use rlondiste::londiste::apply::{Applied, Settings};

use super::{Replay, SETTINGS};
use crate::support::{Cluster, Database, QUEUE, Replication, assert_same_rows};

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
    create table parts (id int, region text, v int, primary key (id, region)) partition by list (region);
    create table parts_a partition of parts for values in ('a');
    create table parts_b partition of parts default;
"#;

const TABLES: [&str; 10] =
    ["parent", "child", "tree", "ring_a", "ring_b", "wide", "zoned", "floats", "serials", "parts"];

/// Pseudo-random numbers: the same for the same seed, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Which statements change keys.
const MOVES: [u64; 5] = [3, 24, 25, 31, 35];

/// A statement that may fail, because of what is in the tables.
fn statement(dice: &mut Dice, moves: bool) -> String {
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

/// Runs random transactions on the provider.
fn run(provider: &Database, dice: &mut Dice, count: usize, moves: bool) {
    let session = provider.session();
    for _ in 0..count {
        let mut parts: Vec<String> = (0..=dice.below(4)).map(|_| statement(dice, moves)).collect();
        let end = if dice.below(10) == 0 { "rollback" } else { "commit" };
        parts.push(format!("begin;{};{end}", parts.join(";")));
        for part in parts {
            if session.try_rows(&part).is_err() {
                let _ = session.try_rows("rollback");
            }
        }
        session.sql("reset timezone");
    }
}

/// Applies what the provider did to a new subscriber for each way of applying, cut into batches at random.
fn check(format: &str, seed: u64) {
    let r = Replication::new().with_schema(SCHEMA);
    r.install();
    for table in TABLES {
        let formats = if format == "mixed" { ["sql", "urlenc", "json"] } else { [format; 3] };
        let format = formats[table.len() % 3];
        r.provider.sql(&format!(
            "select londiste.provider_add_table_as('{QUEUE}', 'public.{table}', 'statement', '{format}', null)"
        ));
    }
    let mut dice = Dice(seed);
    let settings = |apply, memory, few| Settings { apply, memory, few, ..SETTINGS };
    let ways = [
        settings(Apply::Row, 1 << 20, 0),
        settings(Apply::Set, 8, 0),
        settings(Apply::Set, 8 * 400, 0),
        settings(Apply::Set, 8 * 3000, 4),
        settings(Apply::Set, 64 << 20, 16),
    ];
    let copies: Vec<Database> = ways.iter().map(|_| Cluster::subscriber().database()).collect();
    for copy in &copies {
        copy.sql(SCHEMA);
    }
    let names = TABLES.map(|table| format!("public.{table}")).join(" ");
    let mut replays: Vec<Replay> =
        ways.iter().zip(&copies).map(|(settings, copy)| Replay::new(&r.provider, copy, *settings, &names)).collect();
    let mut totals: Vec<Applied> = ways.iter().map(|_| Applied::default()).collect();
    let mut from: i64 = 0;
    for round in 0..8 {
        // urlenc and json have no form for a changed key.
        run(&r.provider, &mut dice, 40, format == "sql");
        let to: i64 = r.provider.value("select coalesce(max(ev_id), 0) from pgq.event_1").parse().unwrap();
        for (((replay, total), copy), way) in replays.iter_mut().zip(&mut totals).zip(&copies).zip(&ways) {
            let mut cut = from;
            while cut < to {
                let end = to.min(cut + 1 + i64::try_from(dice.below(300)).unwrap());
                let sql = format!("select * from pgq.event_1 where ev_id > {cut} and ev_id <= {end}");
                match replay.apply(&sql) {
                    Ok(applied) => {
                        total.count += applied.count;
                        total.row_by_row += applied.row_by_row;
                    }
                    Err(error) => {
                        panic!("seed {seed} round {round} {way:?} events {cut}..{end}: {}", rlondiste::Report(&error))
                    }
                }
                cut = end;
            }
            assert_same_rows(&r.provider, copy, &TABLES);
        }
        from = to;
    }
    assert!(from > 800, "only {from} events");
    let by_row: u64 = totals.iter().skip(1).map(|applied| applied.row_by_row).sum();
    let count: u64 = totals.iter().skip(1).map(|applied| applied.count).sum();
    assert!(by_row < count * 9 / 10, "{by_row} of {count} events were applied one by one");
}

#[test]
fn every_way_of_applying_gives_equal_tables() {
    for seed in 1..3 {
        check("sql", seed);
    }
}

#[test]
fn other_formats_give_equal_tables() {
    check("mixed", 7);
}
