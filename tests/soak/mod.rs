//! Operations at random under load: in the end both sides have equal rows, and a difference on the way was reported before
//! anybody asked.
//!
//! After each round the clients pause. While all tables are `ok`, everything is applied and `subscriber check` exits 0, the
//! rows have to be equal, and the sequence of the set too. Otherwise the difference must have been told: by the table's state or
//! `check`, and by a line in the log of ticker or replay that is there without anybody's asking. What the line tells to do is
//! done, and has to help.
//!
//! The seed and the operations are printed. The same seed makes the same choices, though not at the same moments.

mod comparison;
mod faults;
mod operation;
mod oracle;
mod pgbench;
mod promotion;
mod wire;
mod world;
mod writers;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use operation::{ALL, Operation};
use world::World;

use crate::support::effort::number;
use crate::support::statements::Dice;

/// The first seed. Without [`SECONDS`] it is played to its end.
const SEED: &str = "SOAK_SEED";
/// For how many seconds to go on with ever new seeds.
const SECONDS: &str = "SOAK_SECONDS";

/// How long the first seed is played when the environment says nothing.
const SHORT: Duration = Duration::from_mins(1);

/// Each operation once, in an order of the seed's, in rounds of one to `most`. A promotion has a round of its own; one of them
/// comes early, so that short runs have it.
fn deck(dice: &mut Dice, most: u64, has_standby: bool) -> Vec<Vec<Operation>> {
    let (mut promotions, mut left): (Vec<_>, Vec<_>) = ALL.into_iter().partition(|operation| operation.is_promotion());
    let mut rounds = Vec::new();
    while !left.is_empty() {
        let mut round = Vec::new();
        for _ in 0..=dice.below(most) {
            if left.is_empty() {
                break;
            }
            round.push(left.swap_remove(below(dice, left.len())));
        }
        rounds.push(round);
    }
    if has_standby {
        let early = promotions.swap_remove(below(dice, promotions.len()));
        for promotion in promotions {
            rounds.insert(below(dice, rounds.len()), vec![promotion]);
        }
        rounds.insert(below(dice, 4), vec![early]);
    }
    rounds
}

fn below(dice: &mut Dice, limit: usize) -> usize {
    usize::try_from(dice.below(u64::try_from(limit).unwrap())).unwrap()
}

/// Plays the rounds of a seed, and begins none after the deadline.
fn play(seed: u64, deadline: Option<Instant>) {
    println!("seed {seed}; again: tests/soak.sh 60 {seed}");
    let started = Instant::now();
    let mut dice = Dice::new(seed);
    let mut world = World::new(seed);
    let mut found: BTreeMap<String, u32> = BTreeMap::new();
    // A provider that goes back may have fewer in the end.
    let mut by_pgbench = 0;
    let mut done: BTreeMap<String, u32> = BTreeMap::new();
    for (number, round) in deck(&mut dice, 3, world.has_standby()).into_iter().enumerate() {
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            break;
        }
        let since = world.logs().lengths();
        for operation in round.iter().copied() {
            std::thread::sleep(Duration::from_millis(dice.below(500)));
            println!("seed {seed}, round {number}, {:.1} s: {operation:?}", started.elapsed().as_secs_f64());
            let about = operation.run(&mut world, &mut dice);
            println!("  {about}");
            *done.entry(format!("{operation:?}")).or_default() += 1;
        }
        world.pause();
        let kinds = oracle::settle(&world, since);
        promotion::assert_outcome(&round, &kinds);
        for kind in kinds {
            *found.entry(format!("{kind:?}")).or_default() += 1;
        }
        by_pgbench = by_pgbench.max(world.rows_of_pgbench());
        world.go_on();
    }
    println!(
        "seed {seed}: {} operations, {} transactions and {by_pgbench} of pgbench, {:.0} s, {}, rounds that ended: {found:?}; {done:?}",
        done.values().sum::<u32>(),
        world.writers.committed(),
        started.elapsed().as_secs_f64(),
        world.volume()
    );
    assert!(world.writers.committed() > 0 && by_pgbench > 0);
}

/// The seeds of one of the two lanes, which run side by side: as the environment says, else a short time of one seed.
fn seeds(lane: u64) {
    let deadline = number(SECONDS).map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let first = number(SEED);
    let Some(end) = deadline else {
        match first {
            _ if lane > 0 => println!("not played: {SECONDS} is not set"),
            Some(seed) => play(seed, None),
            None => play(1, Some(Instant::now() + SHORT)),
        }
        return;
    };
    let mut seed = first.unwrap_or_else(|| u64::from(std::process::id()) << 8) + lane;
    while Instant::now() < end {
        play(seed, deadline);
        seed += 2;
    }
}

#[test]
fn operations_at_random() {
    seeds(0);
}

#[test]
fn operations_at_random_beside_the_others() {
    seeds(1);
}
