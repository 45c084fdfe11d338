//! A switchover that is ended between two of its steps: the next call goes on, or undoes it and does it anew.

use crate::support::{Database, Program};
use crate::switchover::{Place, assert_open, is_open};

/// The places before the old side is closed, in their order.
const BEFORE: [&str; 3] = ["switchover::prepared", "switchover::armed", "switchover::new_closed"];

/// Those at which it is closed for a time.
const FENCED: [&str; 6] = [
    "switchover::fenced",
    "switchover::ticked",
    "switchover::applied",
    "switchover::back_ticked",
    "switchover::registered",
    "switchover::positioned",
];

/// Those behind the point of no return, at which nobody may write.
const FINAL: [&str; 3] = ["switchover::final", "switchover::unregistered", "switchover::sequences_set"];

/// Those at which the new side is open.
const OPEN: [&str; 3] = ["switchover::opened", "switchover::turned", "switchover::started"];

/// Those of a switchover that fails.
const UNDOING: [&str; 2] = ["switchover::reopened", "switchover::undone"];

pub(super) fn places() -> Vec<&'static str> {
    [&BEFORE[..], &FENCED, &FINAL, &OPEN, &UNDOING].concat()
}

/// A place, whether the old side is open there, and whether the new one is.
type Ended = (&'static str, bool, bool);

const SCHEMA: &str = "create table t (id serial primary key, v text)";

/// Ends the program at a place; `arguments` follow the command.
#[track_caller]
fn end_at(p: &Place, command: &str, place: &str, arguments: &[&str]) {
    let program: Program = p.r.londiste.program([command]);
    let program = arguments.iter().fold(program, Program::arg);
    let output = program.env("FAILPOINTS", format!("{place}=return")).output();
    assert_eq!(output.status, 137, "{place} was not reached\n{}{}", output.stdout, output.stderr);
}

fn may_write(database: &Database, nr: usize) -> bool {
    match database.try_rows(&format!("insert into t (v) values ('{nr}')")) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.code, "25006", "{error}");
            false
        }
    }
}

fn ends_at(places: &[Ended]) {
    let p = Place::new(SCHEMA);
    let mut switches = 0;
    let mut rows = 0;
    for (nr, (place, old_is_open, new_is_open)) in places.iter().enumerate() {
        eprintln!("ends at {place}");
        let command = if switches % 2 == 0 { "switchover" } else { "switchback" };
        end_at(&p, command, place, &["--timeout", "60"]);
        let (old, new) = p.open_side(switches);
        assert_eq!(may_write(old, nr), *old_is_open, "{place}: the old side");
        rows += usize::from(*old_is_open);
        if *new_is_open {
            assert!(may_write(new, nr), "{place}: the new side");
            rows += 1;
        } else if switches > 0 || !BEFORE[..2].contains(place) {
            assert!(!is_open(new), "{place}: the new side");
        }
        let told = p.run(command);
        assert_eq!(told.contains("Nobody could write for "), !new_is_open, "{place}: {told}");
        switches += 1;
        let (open, closed) = p.open_side(switches);
        assert_open(open, closed);
        assert!(may_write(open, nr), "{place}");
        rows += 1;
        p.assert_equal();
        assert_eq!(
            closed.value("select count(*) || ' ' || count(distinct id) from t"),
            format!("{rows} {rows}"),
            "{place}"
        );
        assert_eq!(
            open.value("select max(t.id) <= s.last_value from t, t_id_seq s group by s.last_value"),
            "t",
            "{place}"
        );
    }
}

fn all(places: &[&'static str], old_is_open: bool, new_is_open: bool) -> Vec<Ended> {
    places.iter().map(|place| (*place, old_is_open, new_is_open)).collect()
}

#[test]
fn ended_before_the_point_of_no_return_it_is_undone_and_done_anew() {
    ends_at(&[all(&BEFORE, true, false), all(&FENCED, false, false)].concat());
}

#[test]
fn ended_behind_the_point_of_no_return_it_goes_on() {
    ends_at(&[all(&FINAL, false, false), all(&OPEN, false, true)].concat());
}

#[test]
fn ended_while_it_is_undone_it_is_undone_by_the_next_call() {
    let p = Place::new(SCHEMA);
    for (nr, place) in UNDOING.iter().enumerate() {
        end_at(&p, "switchover", place, &["--before-fence", "false"]);
        assert!(may_write(&p.r.provider, nr), "{place}");
        let output = p.output("switchover --before-fence false");
        assert_eq!(output.status, 2, "{}", output.stderr);
        assert!(is_open(&p.r.provider) && is_open(&p.r.subscriber), "{place}");
        assert_eq!(p.r.provider.value("select count(*) from londiste.fence_armed()"), "0", "{place}");
        p.assert_equal();
    }
}
