//! Ends between the steps of a copy, of its catching up, and of the hand-over to replay.

use super::copied_table::{Child, CopiedTable};
use super::{End, places_of};

// Each end, and what it leaves: state, rows, indexes and trigger, foreign key, registered consumers of copies. A list is one copy: each
// process takes up what the one before has left.

const COPY: &[&[End]] = &[
    &[
        ("replay copy::named", "- | old | whole | no key, pending | 0 registered"),
        ("replay copy::begun", "in-copy | old | whole | no key, pending | 0 registered"),
        ("replay copy::registered", IN_COPY),
        ("replay copy::unregistered_old", "in-copy | old | whole | no key, pending | 0 registered"),
        ("replay copy::triggers_dropped", IN_COPY),
        ("replay copy::indexes_dropped", IN_COPY),
        ("replay copy::truncated", IN_COPY),
        ("copy copy::snapshot_taken", IN_COPY),
        ("replay copy::analyzed", CATCHING_UP),
        ("replay copy::unregistered", OK),
        ("replay copy::forgotten", OK),
    ],
    &[
        ("replay copy::rows_copied", IN_COPY),
        ("replay copy::flushed", IN_COPY),
        ("copy copy::indexes_created", IN_COPY),
        ("replay copy::stored", IN_COPY),
        ("replay copy::committed", CATCHING_UP),
        ("copy batch::applied", CATCHING_UP),
        ("copy batch::tick_stored", CATCHING_UP),
        ("copy batch::committed", CATCHING_UP),
        ("copy batch::found_done", CATCHING_UP),
        ("copy batch::finished", CATCHING_UP),
        ("replay copy::forgotten", OK),
    ],
];

const HAND_OVER: &[&[End]] = &[
    &[
        ("replay hand_over::wanna_sync", "wanna-sync:* | new | without trigger | no key, pending | 1 registered"),
        ("replay hand_over::do_sync", "do-sync:* | new | without trigger | no key, pending | 1 registered"),
        ("replay hand_over::ok", "ok | new | without trigger | no key, pending | 1 registered"),
        ("replay hand_over::gate_open", OK),
        ("replay batch::tick_stored", OK),
        ("replay batch::committed", OK),
    ],
    &[
        ("copy hand_over::wanna_sync", "wanna-sync:* | new | without trigger | no key, pending | 1 registered"),
        ("replay hand_over::snapshot_dropped", "ok | new | without trigger | no key, pending | *"),
    ],
];

const IN_COPY: &str = "in-copy | old | whole | no key, pending | 1 registered";
const CATCHING_UP: &str = "catching-up | new | without trigger | no key, pending | 1 registered";
/// Replay drops the snapshot and restores the key while the consumer is forgotten.
const OK: &str = "ok | new | without trigger | * | 0 registered";

pub(super) fn places() -> Vec<&'static str> {
    places_of(COPY.iter().flat_map(|ends| *ends).map(|(end, _)| end))
}

pub(super) fn places_of_hand_over() -> Vec<&'static str> {
    places_of(HAND_OVER.iter().flat_map(|ends| *ends).map(|(end, _)| end))
}

fn each(copies: &[&[End]]) {
    let mut table = CopiedTable::new();
    for ends in copies {
        table.round(ends, Child::Fits);
    }
}

#[test]
#[cfg_attr(not(feature = "failpoints"), ignore = "needs a program with --features failpoints")]
fn copy_begins_anew_or_goes_on_whenever_its_process_ends() {
    each(COPY);
}

#[test]
#[cfg_attr(not(feature = "failpoints"), ignore = "needs a program with --features failpoints")]
fn table_is_handed_over_whenever_a_process_ends() {
    each(HAND_OVER);
}
