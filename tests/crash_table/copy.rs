//! Ends between the steps of a copy, of its catching up, and of the hand-over to replay.

use super::copied_table::{Child, CopiedTable};
use super::places_of;

/// One end after the other; after the last one: state, rows, indexes and trigger, foreign key, registered consumers of copies.
type Row = (&'static [&'static str], &'static str);

const COPY: &[Row] = &[
    (&["replay copy::named"], "- | old | whole | no key, pending | 0 registered"),
    (&["replay copy::begun"], "in-copy | old | whole | no key, pending | 0 registered"),
    (&["replay copy::registered"], "in-copy | old | whole | no key, pending | 1 registered"),
    (
        &["replay copy::registered", "replay copy::unregistered_old"],
        "in-copy | old | whole | no key, pending | 0 registered",
    ),
    (&["replay copy::triggers_dropped"], "in-copy | old | whole | no key, pending | 1 registered"),
    (&["replay copy::indexes_dropped"], "in-copy | old | whole | no key, pending | 1 registered"),
    (&["replay copy::truncated"], "in-copy | old | whole | no key, pending | 1 registered"),
    (&["replay copy::snapshot_taken"], "in-copy | old | whole | no key, pending | 1 registered"),
    (&["replay copy::rows_copied"], "in-copy | old | whole | no key, pending | 1 registered"),
    (&["replay copy::flushed"], "in-copy | old | whole | no key, pending | 1 registered"),
    (&["replay copy::indexes_created"], "in-copy | old | whole | no key, pending | 1 registered"),
    (&["replay copy::stored"], "in-copy | old | whole | no key, pending | 1 registered"),
    (&["replay copy::committed"], "catching-up | new | without trigger | no key, pending | 1 registered"),
    (&["replay copy::analyzed"], "catching-up | new | without trigger | no key, pending | 1 registered"),
    (&["copy copy::indexes_created"], "in-copy | old | whole | no key, pending | 1 registered"),
    (&["copy copy::committed", "copy batch::applied"], CAUGHT_UP),
    (&["copy copy::committed", "copy batch::tick_stored"], CAUGHT_UP),
    (&["copy copy::committed", "copy batch::committed"], CAUGHT_UP),
    (&["copy copy::committed", "copy batch::committed", "copy batch::found_done"], CAUGHT_UP),
    (&["copy copy::committed", "copy batch::finished"], CAUGHT_UP),
    // Replay drops the snapshot and restores the key at the same time.
    (&["replay copy::unregistered"], "ok | new | without trigger | * | 0 registered"),
    (&["replay copy::forgotten"], "ok | new | without trigger | * | 0 registered"),
];

const CAUGHT_UP: &str = "catching-up | new | without trigger | no key, pending | 1 registered";

const HAND_OVER: &[Row] = &[
    (&["replay hand_over::wanna_sync"], "wanna-sync:* | new | without trigger | no key, pending | 1 registered"),
    (&["copy hand_over::wanna_sync"], "wanna-sync:* | new | without trigger | no key, pending | 1 registered"),
    (&["replay hand_over::do_sync"], "do-sync:* | new | without trigger | no key, pending | 1 registered"),
    (&["replay hand_over::ok"], "ok | new | without trigger | no key, pending | 1 registered"),
    (
        &["replay hand_over::do_sync", "replay hand_over::ok"],
        "ok | new | without trigger | no key, pending | 1 registered",
    ),
    // The consumer is unregistered at the start; replay may already drop the snapshot and restore the key.
    (&["replay hand_over::ok", "replay hand_over::gate_open"], "ok | new | without trigger | * | 0 registered"),
    (&["replay hand_over::ok", "replay batch::tick_stored"], "ok | new | without trigger | * | 0 registered"),
    (&["replay hand_over::ok", "replay batch::committed"], "ok | new | without trigger | * | 0 registered"),
    (&["replay hand_over::snapshot_dropped"], "ok | new | without trigger | no key, pending | *"),
];

pub(super) fn places() -> Vec<&'static str> {
    places_of(COPY.iter().flat_map(|(ends, _)| *ends))
}

pub(super) fn places_of_hand_over() -> Vec<&'static str> {
    places_of(HAND_OVER.iter().flat_map(|(ends, _)| *ends))
}

fn each(rows: &[Row]) {
    let mut table = CopiedTable::new();
    for (ends, left) in rows {
        table.round(ends, Child::Fits, left);
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
