//! `compare --online` and `repair --online` under load: no row is reported that is equal, and each that was changed by hand is.

use std::collections::BTreeSet;

use super::world::World;
use crate::support::effort::number;
use crate::support::statements::Dice;

/// How many rounds are played, beside a pgbench at full speed; each has [`SPOILED`] rows. Without it, one round at a moderate speed.
const ROUNDS: &str = "SOAK_ROUNDS";

/// How many rounds a pair of servers has.
const ROUNDS_OF_A_WORLD: u64 = 5;

/// How many rows are changed by hand in a round.
const SPOILED: usize = 50;

/// Rows that no client writes, some of them before and behind all others.
const QUIET: &str = "
    insert into parent select n, 'quiet' from generate_series(-150, -1) n; insert into parent select n, 'quiet' from generate_series(5001, 5150) n;
    insert into child select id, id, 'quiet' from parent where id < 0 or id > 5000;
    insert into pairs select n, 7, 'quiet' from generate_series(-150, -1) n; insert into pairs select n, 7, 'quiet' from generate_series(5001, 5150) n;
    insert into pgbench_accounts select n, 1, 0, 'quiet' from generate_series(-150, -1) n;
    insert into pgbench_accounts select n, 1, 0, 'quiet' from generate_series(200001, 200150) n;
    insert into pgbench_tellers select n, 1, 0, 'quiet' from generate_series(5001, 5150) n";

/// Tables, how rows with a number for a key are told, what is set in them, and how a row is made.
const TABLES: [(&str, &str, &str, &str, i64); 5] = [
    ("parent", "id", "v", "{n}, 'by hand'", 5001),
    ("child", "id", "v", "{n}, -1, 'by hand'", 5001),
    ("pairs", "a", "v", "{n}, 7, 'by hand'", 5001),
    ("pgbench_accounts", "aid", "filler", "{n}, 1, 0, 'by hand'", 200_001),
    ("pgbench_tellers", "tid", "filler", "{n}, 1, 0, 'by hand'", 5001),
];

/// Changes rows on the subscriber, alone and in groups of neighbours. Returns what the comparison has to say.
fn spoil(world: &World, dice: &mut Dice) -> BTreeSet<String> {
    let mut expected = BTreeSet::new();
    // Deletes of the parent would take the child along.
    let mut sql = "set session_replication_role = replica;".to_owned();
    let mut used = BTreeSet::new();
    while expected.len() < SPOILED {
        let (table, key, column, row, high) = TABLES[usize::try_from(dice.below(5)).unwrap()];
        let first = i64::try_from(dice.below(150)).unwrap();
        let group = if dice.below(2) == 0 { 1 } else { 1 + i64::try_from(dice.below(8)).unwrap() };
        let kind = dice.below(3);
        let is_low = table != "pgbench_tellers" && dice.below(2) == 0;
        for number in first..(first + group).min(150) {
            // The first and the last keys are among them; new ones are before and behind those.
            let n = match (is_low, kind) {
                (true, 0) => -151 - number,
                (true, _) => -150 + number,
                (false, 0) => high + 150 + number,
                (false, _) => high + 149 - number,
            };
            if expected.len() == SPOILED || !used.insert((table, n)) {
                continue;
            }
            let word = match kind {
                0 => {
                    sql += &format!("insert into {table} values ({});", row.replace("{n}", &n.to_string()));
                    "extra"
                }
                1 => {
                    sql += &format!("update {table} set {column} = 'other' where {key} = {n};");
                    "changed"
                }
                _ => {
                    sql += &format!("delete from {table} where {key} = {n};");
                    "missing"
                }
            };
            let key = if table == "pairs" { format!("(a, b) = ({n}, 7)") } else { format!("({key}) = ({n})") };
            expected.insert(format!("public.{table} {key}: {word}"));
        }
    }
    world.r.subscriber.sql(&sql);
    expected
}

/// The rows that `compare --online` names, and how many it could not verify.
fn compare(world: &World) -> (BTreeSet<String>, u64) {
    let output = world.operator.program(["compare", "--online"]).output();
    let named = output.stdout.lines().filter(|line| line.contains(" = (")).map(str::to_owned).collect();
    let unverified = output.stdout.lines().filter_map(|line| line.strip_suffix(" rows could not be verified"));
    let unverified = unverified.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    // Sequences that the clients draw from are compared, too.
    let is_equal = !output.stdout.lines().any(|line| line.contains(" differ"))
        && !output.stderr.contains("Results do not match!")
        && !output.stderr.contains("WARNING Sequence ");
    let code = if !is_equal {
        1
    } else if unverified > 0 {
        3
    } else {
        0
    };
    assert_eq!(output.status, code, "{}\n{}", output.stdout, output.stderr);
    (named, unverified)
}

#[test]
fn every_row_changed_by_hand_is_found_under_load_and_no_other() {
    let wanted = number(ROUNDS);
    let rounds = wanted.unwrap_or(1);
    let first = number(super::SEED).unwrap_or(1);
    let (mut spoiled, mut unverified, mut committed) = (0, 0, 0);
    for seed in 0..rounds.div_ceil(ROUNDS_OF_A_WORLD) {
        let mut dice = Dice::new(first + seed);
        let world = World::new(first + seed);
        world.pause();
        if wanted.is_some() {
            world.pgbench.at_full_speed();
        }
        world.r.provider.sql(QUIET);
        world.go_on();
        for round in 0..ROUNDS_OF_A_WORLD.min(rounds - seed * ROUNDS_OF_A_WORLD) {
            let about = format!("seed {}, round {round}", first + seed);
            let (named, open) = compare(&world);
            assert_eq!(named, BTreeSet::new(), "{about}: rows that nobody has touched");
            let expected = spoil(&world, &mut dice);
            let (named, more) = compare(&world);
            assert_eq!(named, expected, "{about}");
            let output = world.operator.program(["repair", "--online", "--apply"]).output();
            assert!([0, 3].contains(&output.status), "{about}: {}", output.stderr);
            let (named, last) = compare(&world);
            assert_eq!(named, BTreeSet::new(), "{about}: repaired");
            println!("{about}: {} rows changed by hand, all named and mended", expected.len());
            spoiled += expected.len();
            unverified += open + more + last;
        }
        world.pause();
        assert_eq!(compare(&world), (BTreeSet::new(), 0), "without load");
        let of_pgbench = world.rows_of_pgbench();
        assert!(of_pgbench > 0);
        committed += of_pgbench + world.writers.committed();
    }
    println!(
        "{rounds} rounds, {spoiled} rows changed by hand and found, {unverified} times a row was not verified, {committed} transactions"
    );
}
